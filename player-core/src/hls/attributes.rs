//! Attribute lists (RFC 8216 §4.2).

use std::borrow::Cow;

use super::number;
use super::variables::Variables;

/// The attributes of a tag as they were written, quotes removed, variables replaced, in the tag's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeList(pub(super) Vec<(String, String)>);

impl AttributeList {
    /// The value of the attribute with this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Names and values in the tag's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Sets an attribute, in its place if it is there already.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        if let Some(entry) = self.0.iter_mut().find(|(key, _)| key == name) {
            value.clone_into(&mut entry.1);
        } else {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// The attributes of a line while it is read.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a>(Vec<(&'a str, Cow<'a, str>)>);

impl<'a> Attributes<'a> {
    /// Splits a tag's attribute list. A quoted value ends at the first quote that a comma or the end follows;
    /// a value whose quote never ends goes to the next comma.
    pub(super) fn read(text: &'a str, variables: &mut Variables) -> Self {
        let mut list = Vec::new();
        let mut rest = text;
        while let Some((name, after)) = rest.split_once('=') {
            // `A,B=1`: the part before the comma has no value.
            let name = name.rsplit(',').next().unwrap_or(name).trim();
            let after = after.trim_start();
            let (value, tail) = quoted(after).unwrap_or_else(|| {
                let (value, tail) = after.split_once(',').unwrap_or((after, ""));
                (value.trim(), tail)
            });
            rest = tail;
            if !name.is_empty() {
                list.push((name, variables.substitute(value)));
            }
        }
        Self(list)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(key, _)| *key == name).map(|(_, value)| value.as_ref())
    }

    /// As [`text`](Self::text), but an empty value counts as absent.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|value| !value.is_empty())
    }

    pub(super) fn string(&self, name: &str) -> Option<String> {
        self.filled(name).map(str::to_owned)
    }

    pub(super) fn yes(&self, name: &str) -> bool {
        self.text(name) == Some("YES")
    }

    pub(super) fn integer(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(number::integer)
    }

    pub(super) fn float(&self, name: &str) -> Option<f64> {
        self.text(name).and_then(number::float)
    }

    pub(super) fn byte_range(&self, name: &str) -> Option<(u64, Option<u64>)> {
        self.text(name).and_then(number::byte_range)
    }

    pub(super) fn to_list(&self) -> AttributeList {
        let mut list = AttributeList::default();
        for (name, value) in &self.0 {
            list.set(name, value);
        }
        list
    }
}

/// The content of a leading quoted string, and what follows its comma.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    for (index, _) in inside.match_indices('"') {
        let after = inside[index + 1..].trim_start();
        if after.is_empty() {
            return Some((&inside[..index], ""));
        }
        if let Some(tail) = after.strip_prefix(',') {
            return Some((&inside[..index], tail));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        Attributes::read(text, &mut Variables::default()).to_list().0
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn quoted_values_may_hold_commas_and_equal_signs() {
        assert_eq!(
            read(r#"BANDWIDTH=1, CODECS="avc1,mp4a=x" ,RESOLUTION=1x2,"#),
            pairs(&[("BANDWIDTH", "1"), ("CODECS", "avc1,mp4a=x"), ("RESOLUTION", "1x2")])
        );
    }

    #[test]
    fn broken_lists_give_what_can_be_read() {
        assert_eq!(read(r#"URI="cut.m4"#), pairs(&[("URI", "\"cut.m4")]));
        assert_eq!(read(r#"URI=""#), pairs(&[("URI", "\"")]));
        assert_eq!(read("A,B=1,=2,C="), pairs(&[("B", "1"), ("C", "")]));
        assert_eq!(read(r#"T="a"b",U=1"#), pairs(&[("T", "a\"b"), ("U", "1")]));
        assert_eq!(read(""), pairs(&[]));
    }
}
