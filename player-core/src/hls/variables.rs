//! `EXT-X-DEFINE` and variable references (bis §4.4.2.3 and §4.3).

use crate::ordered::OrderedMap;
use std::borrow::Cow;

use super::attributes::Attributes;
use super::url;
use crate::text::split_at_first;

/// The variables that are defined so far.
#[derive(Debug, Default)]
pub(super) struct Variables {
    pub(super) map: OrderedMap<String, String>,
    /// Set when a reference to an undefined variable is met.
    pub(super) missing: bool,
}

impl Variables {
    /// Replaces each `{$name}`. An undefined variable's reference stays as it is written.
    pub(super) fn substitute<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        // Before the first definition nothing could be replaced; most playlists have none.
        if self.map.is_empty() || split_at_first(text, "{$").is_none() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = split_at_first(rest, "{$") {
            out.push_str(before);
            let name = after
                .split_once('}')
                .filter(|(name, _)| !name.is_empty() && name.bytes().all(is_name));
            if let Some((name, tail)) = name {
                if let Some(value) = self.map.get(name) {
                    out.push_str(value);
                } else {
                    self.missing = true;
                    out.push_str("{$");
                    out.push_str(name);
                    out.push('}');
                }
                rest = tail;
            } else {
                out.push_str("{$");
                rest = after;
            }
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// Takes an `EXT-X-DEFINE` tag. What is wrong with it is the error.
    pub(super) fn define(
        &mut self,
        attributes: &Attributes<'_>,
        url: &str,
        imports: &OrderedMap<String, String>,
    ) -> Result<(), &'static str> {
        let mut result = Ok(());
        let (name, value) = if let Some(name) = attributes.text("IMPORT") {
            let value = imports.get(name).ok_or(
                "EXT-X-DEFINE imports a variable that the multivariant playlist does not define",
            )?;
            (name, Cow::Borrowed(value.as_str()))
        } else if let Some(name) = attributes.text("QUERYPARAM") {
            let value = url::query_parameter(url, name);
            if value.is_none() {
                result = Err(
                    "EXT-X-DEFINE names a query parameter that the playlist's URL does not have",
                );
            }
            (name, Cow::Owned(value.unwrap_or_default()))
        } else {
            let name = attributes
                .text("NAME")
                .filter(|name| !name.is_empty())
                .ok_or("EXT-X-DEFINE without NAME, IMPORT or QUERYPARAM")?;
            (name, Cow::Borrowed(attributes.text("VALUE").unwrap_or_default()))
        };
        if self.map.contains_key(name) {
            return Err("EXT-X-DEFINE defines a variable again");
        }
        self.map.insert(name.to_owned(), value.into_owned());
        result
    }
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_once_and_undefined_ones_stay() {
        let mut variables = Variables::default();
        variables.map.insert("a".to_owned(), "{$b}".to_owned());
        assert_eq!(variables.substitute("x{$a}y{$}{$ a}{$"), "x{$b}y{$}{$ a}{$");
        assert!(!variables.missing);
        assert_eq!(variables.substitute("{$nope}"), "{$nope}");
        assert!(variables.missing);
    }
}
