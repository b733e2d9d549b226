//! Licence expressions (SPDX 2.3, Annex D), as far as crates and packages write them.

use spdx::{Expression, ParseMode};

/// Whether an expression leaves a choice of which each licence is allowed. What cannot be read is not.
pub(crate) fn allowed(expression: &str, list: &[String]) -> bool {
    // Older crates write `/` for `OR`, and names that SPDX has replaced.
    let mode =
        ParseMode { allow_slash_as_or_operator: true, allow_deprecated: true, ..ParseMode::STRICT };
    Expression::parse_mode(expression, mode).is_ok_and(|expression| {
        expression.evaluate(|requirement| list.contains(&requirement.to_string()))
    })
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
