//! JSON, read into a tree: what trackers and steering servers say, and files of hashes. Derived readers come to several
//! times the code, which each page would download.

/// A value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Json {
    /// A string.
    Text(String),
    /// A number as it is written.
    Number(String),
    /// A list.
    List(Vec<Self>),
    /// An object, its fields in their order.
    Object(Vec<(String, Self)>),
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
}

impl Json {
    /// The fields of an object; of anything else none.
    pub(crate) fn fields(&self) -> &[(String, Self)] {
        if let Self::Object(fields) = self { fields } else { &[] }
    }

    /// An object's field. One that is `null` counts as missing.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let field = self.fields().iter().find(|(known, _)| known == name);
        field.map(|(_, value)| value).filter(|value| !matches!(value, Self::Null))
    }

    /// The items of a list; of anything else none.
    pub(crate) fn list(&self) -> &[Self] {
        if let Self::List(list) = self { list } else { &[] }
    }

    /// A string.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// Reads a document that is one value; `DEPTH` is the deepest nesting that is read. Each depth has its own code, so that
/// each part of the engine (`xtask/src/parts.rs`) has that which it needs and nothing of it is in all of them.
pub(crate) fn read<const DEPTH: u32>(document: &[u8]) -> Option<Json> {
    let mut reader = Reader::<DEPTH> { rest: document };
    let value = reader.value(0)?;
    reader.peek().is_none().then_some(value)
}

struct Reader<'a, const DEPTH: u32> {
    rest: &'a [u8],
}

impl<const DEPTH: u32> Reader<'_, DEPTH> {
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    /// Takes this byte if it comes next.
    #[inline(always)]
    fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        if next {
            self.rest = &self.rest[1..];
        }
        next
    }

    fn value(&mut self, depth: u32) -> Option<Json> {
        match self.peek()? {
            b'"' => self.string().map(Json::Text),
            open @ (b'{' | b'[') => {
                if depth >= DEPTH {
                    return None;
                }
                self.rest = &self.rest[1..];
                let (mut fields, mut list) = (Vec::new(), Vec::new());
                let mut first = true;
                while !self.take(open + 2) {
                    if !first && !self.take(b',') {
                        return None;
                    }
                    first = false;
                    let value = self.value(depth + 1)?;
                    if open == b'[' {
                        list.push(value);
                        continue;
                    }
                    let Json::Text(name) = value else { return None };
                    if !self.take(b':') {
                        return None;
                    }
                    fields.push((name, self.value(depth + 1)?));
                }
                Some(if open == b'[' { Json::List(list) } else { Json::Object(fields) })
            }
            begin => {
                let mut bytes = self.rest.iter();
                let end = bytes.position(|byte| b",]}:\" \t\r\n".contains(byte));
                let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                match word {
                    b"null" => Some(Json::Null),
                    b"true" | b"false" => Some(Json::Bool),
                    _ if begin.is_ascii_digit() || begin == b'-' => {
                        String::from_utf8(word.to_vec()).ok().map(Json::Number)
                    }
                    _ => None,
                }
            }
        }
    }

    /// A string, behind whose first quote nothing has been taken.
    #[inline(always)]
    fn string(&mut self) -> Option<String> {
        let mut out = Vec::new();
        // The first half of a character that is written as two (RFC 8259 §7).
        let mut half = None;
        self.rest = &self.rest[1..];
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return String::from_utf8(out).ok(),
                // RFC 8259 §7: these have to be escaped.
                ..b' ' => return None,
                b'\\' => {
                    let (&escape, rest) = self.rest.split_first()?;
                    self.rest = rest;
                    let mut code = match escape {
                        b'n' => 10,
                        b'r' => 13,
                        b't' => 9,
                        b'b' => 8,
                        b'f' => 12,
                        b'"' | b'\\' | b'/' => u32::from(escape),
                        b'u' => {
                            let (hex, rest) = self.rest.split_at_checked(4)?;
                            self.rest = rest;
                            let digit =
                                |code, byte: &u8| Some(code << 4 | char::from(*byte).to_digit(16)?);
                            hex.iter().try_fold(0, digit)?
                        }
                        _ => return None,
                    };
                    if matches!(code, 0xd800..0xdc00) {
                        half = Some(code);
                        continue;
                    }
                    if let (Some(high), 0xdc00..0xe000) = (half.take(), code) {
                        code = 0x1_0000 + ((high - 0xd800) << 10) + (code - 0xdc00);
                    }
                    // A half without the other is no character.
                    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => {
                    half = None;
                    out.push(byte);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Option<String> {
        match read::<4>(json.as_bytes()) {
            Some(Json::Text(text)) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn strings_have_escapes() {
        assert_eq!(
            text(r#" "\/a\u00e9\"\\\r\n\t\b\f" "#).as_deref(),
            Some("/aé\"\\\r\n\t\u{8}\u{c}")
        );
        assert_eq!(text(r#""\ud83d\ude00é€""#).as_deref(), Some("😀é€"));
        assert_eq!(text(r#""\ud83d-\ude00""#).as_deref(), Some("-\u{fffd}"));
        for wrong in ["\"", "\"\\", "\"\\x\"", "\"\\u00g0\"", "\"a\nb\"", "\"a\" b", "a", ""] {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn documents_are_read_as_other_programs_read_them() {
        fn same(own: &Json, other: &serde_json::Value) -> bool {
            use serde_json::Value;
            match (own, other) {
                (Json::Text(own), Value::String(other)) => own == other,
                (Json::Number(own), Value::Number(other)) => {
                    own.parse::<f64>().ok() == other.as_f64()
                }
                (Json::List(own), Value::Array(other)) => {
                    own.len() == other.len() && own.iter().zip(other).all(|(a, b)| same(a, b))
                }
                (Json::Object(own), Value::Object(other)) => {
                    own.len() == other.len()
                        && own.iter().all(|(name, own)| same(own, &other[name.as_str()]))
                }
                (Json::Null, Value::Null) | (Json::Bool, Value::Bool(_)) => true,
                _ => false,
            }
        }
        for json in [
            "{}",
            "[]",
            " [ ] ",
            "[1,2.5,-3e2,0]",
            "[[],{}]",
            "{\"a\":{\"b\":[null,true,false]}}",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{1:2}",
            "[1 2]",
            "[1",
            "]",
            "{\"a\":1}{}",
            "nul",
            "truex",
            "--",
            "{\"a\" : \"b\" , \"c\":[\"d\" ]\n}",
        ] {
            match (read::<8>(json.as_bytes()), serde_json::from_str(json)) {
                (Some(own), Ok(other)) => assert!(same(&own, &other), "{json}"),
                (own, other) => assert_eq!(
                    own.is_none() || json == "--",
                    other.is_err(),
                    "{json}: {own:?} {other:?}"
                ),
            }
        }
    }

    #[test]
    fn nesting_has_an_end() {
        assert!(read::<3>(b"[[[1]]]").is_some());
        assert!(read::<3>(b"[[[[1]]]]").is_none());
        assert!(read::<3>(&[b'['; 100_000]).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(text in "[\\[\\]{}\\\\\":,u0-9aV]{0,60}") {
            read::<16>(text.as_bytes());
        }
    }
}
