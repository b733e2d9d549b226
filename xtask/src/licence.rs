//! Licence expressions (SPDX 2.3, Annex D), as far as crates and packages write them.

/// Whether an expression leaves a choice of which each licence is allowed. What cannot be read is not.
pub(crate) fn allowed(expression: &str, list: &[String]) -> bool {
    // Older crates write `/` for `OR`.
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, list };
    reader.either().is_some_and(|fine| fine && reader.words.is_empty())
}

struct Reader<'a> {
    words: &'a [&'a str],
    list: &'a [String],
}

impl Reader<'_> {
    fn take(&mut self, word: &str) -> bool {
        let here = self.words.first().is_some_and(|first| first.eq_ignore_ascii_case(word));
        if here {
            self.words = &self.words[1..];
        }
        here
    }

    fn either(&mut self) -> Option<bool> {
        let mut fine = self.all()?;
        while self.take("OR") {
            fine |= self.all()?;
        }
        Some(fine)
    }

    fn all(&mut self) -> Option<bool> {
        let mut fine = self.one()?;
        while self.take("AND") {
            fine &= self.one()?;
        }
        Some(fine)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let fine = self.either()?;
            return self.take(")").then_some(fine);
        }
        let (name, rest) = self.words.split_first()?;
        self.words = rest;
        let mut name = (*name).to_owned();
        if self.take("WITH") {
            let (exception, rest) = self.words.split_first()?;
            self.words = rest;
            name = format!("{name} WITH {exception}");
        }
        Some(self.list.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_needs_one_that_is_allowed_and_a_sum_needs_all() {
        let list =
            ["MIT".to_owned(), "ISC".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
        for fine in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "Apache-2.0 / MIT",
            "MIT AND ISC",
            "(MIT OR GPL-3.0) AND ISC",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "GPL-3.0 OR MIT AND ISC",
        ] {
            assert!(allowed(fine, &list), "{fine}");
        }
        for other in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "Apache-2.0",
            "(MIT OR ISC) AND GPL-3.0",
            "MIT OR",
            "(MIT",
            "MIT ISC",
            "SEE LICENSE IN file",
        ] {
            assert!(!allowed(other, &list), "{other}");
        }
    }
}
