//! JSON for the tracker protocol: read field by field, written piece by piece. Derived serializers come to
//! several times the code, which each page would download.

use super::binary::{from_latin1, to_latin1};
use super::message::{
    MAX_MESSAGE_BYTES, MAX_SDP_BYTES, MAX_TOKEN_BYTES, TrackerMessageError, limit,
};
use crate::hls::number;
use crate::json::{self, Json};
use crate::text::push_decimal;

/// Deepest nesting that is read; the protocol has 4.
const MAX_DEPTH: u32 = 64;

/// Reads a text that is one value.
pub(super) fn read(text: &str) -> Result<Json, TrackerMessageError> {
    if text.len() > MAX_MESSAGE_BYTES {
        return Err(TrackerMessageError::TooLarge { len: text.len() });
    }
    read_document(text.as_bytes()).ok_or(TrackerMessageError::Json)
}

/// The same, of any length, for other documents.
pub(crate) fn read_document(document: &[u8]) -> Option<Json> {
    json::read::<MAX_DEPTH>(document)
}

/// A 20-byte id.
pub(super) fn id(value: &Json) -> Option<[u8; 20]> {
    from_latin1(value.text()?)
}

/// The fields of an object. One that is `null` counts as missing.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(&'a Json);

impl<'a> Fields<'a> {
    /// `None` when the value is no object.
    pub(crate) fn of(value: &'a Json) -> Option<Self> {
        matches!(value, Json::Object(_)).then_some(Self(value))
    }

    /// Names and values.
    pub(crate) fn entries(self) -> impl Iterator<Item = (&'a str, &'a Json)> {
        self.0.fields().iter().map(|(name, value)| (name.as_str(), value))
    }

    fn value(self, name: &str) -> Option<&'a Json> {
        self.0.field(name)
    }

    /// A string.
    pub(super) fn text(self, name: &'static str) -> Result<Option<&'a str>, TrackerMessageError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(TrackerMessageError::WrongType(name)),
        }
    }

    /// A short string that is to be kept.
    pub(super) fn secret(self, name: &'static str) -> Result<Option<String>, TrackerMessageError> {
        let text = self.text(name)?;
        limit(text.map_or(0, str::len), MAX_TOKEN_BYTES, name)?;
        Ok(text.map(str::to_owned))
    }

    /// An id that may be missing.
    pub(super) fn id(self, name: &'static str) -> Result<Option<[u8; 20]>, TrackerMessageError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        id(value).map(Some).ok_or(TrackerMessageError::WrongType(name))
    }

    /// An id that may not.
    pub(super) fn needed_id(self, name: &'static str) -> Result<[u8; 20], TrackerMessageError> {
        self.id(name)?.ok_or(TrackerMessageError::Missing(name))
    }

    /// A count, however it is written: JavaScript's `Infinity` comes as `null`, and some write fractions or strings.
    pub(super) fn number(self, name: &'static str) -> Result<Option<u64>, TrackerMessageError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::Number(text)) => Ok(Some(count(text))),
            Some(Json::Text(text)) => Ok(number::integer(text)),
            Some(_) => Err(TrackerMessageError::WrongType(name)),
        }
    }

    /// A count; a larger one than fits becomes the largest.
    pub(super) fn count(self, name: &'static str) -> Result<Option<u32>, TrackerMessageError> {
        let number = self.number(name)?;
        Ok(number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
    }

    /// A list; anything else counts as missing.
    pub(super) fn list(self, name: &str) -> Option<&'a [Json]> {
        match self.value(name) {
            Some(Json::List(list)) => Some(list),
            _ => None,
        }
    }

    /// An object; anything else counts as missing.
    pub(super) fn object(self, name: &str) -> Option<Self> {
        self.value(name).and_then(Self::of)
    }

    /// The `sdp` of an `RTCSessionDescription`. Its `type` is not read: the field's name says as much.
    pub(super) fn description(
        self,
        name: &'static str,
    ) -> Result<Option<String>, TrackerMessageError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let sdp = match Self::of(value) {
            Some(description) => description.text("sdp")?,
            None => None,
        };
        let sdp = sdp.ok_or(TrackerMessageError::WrongType(name))?;
        limit(sdp.len(), MAX_SDP_BYTES, name)?;
        Ok(Some(sdp.to_owned()))
    }
}

/// A number as JSON has it, as a count: no less than 0, without its fraction, and no more than fits.
fn count(text: &str) -> u64 {
    match text.bytes().position(|byte| matches!(byte, b'e' | b'E')) {
        None => number::integer(text).unwrap_or(0),
        Some(at) => {
            let (mantissa, exponent) = (&text[..at], &text[at + 1..]);
            let mut value = number::float(mantissa).unwrap_or(0.0);
            let (smaller, exponent) = match exponent.as_bytes() {
                [sign @ (b'-' | b'+'), ..] => (*sign == b'-', &exponent[1..]),
                _ => (false, exponent),
            };
            // Nothing that fits has more digits.
            for _ in 0..number::integer(exponent).unwrap_or(0).min(40) {
                value *= if smaller { 0.1 } else { 10.0 };
            }
            value as u64
        }
    }
}

/// A message under construction: an object, inside which others may be begun and ended.
pub(super) struct Object {
    json: String,
}

impl Object {
    /// A message with this `action`.
    pub(super) fn new(action: &str) -> Self {
        let mut object = Self { json: String::new() };
        object.begin();
        object.text("action", Some(action));
        object
    }

    /// The message.
    pub(super) fn finish(mut self) -> String {
        self.end();
        self.json
    }

    /// Begins an object as the value of the last name, or as an item of a list.
    pub(super) fn begin(&mut self) {
        self.json.push('{');
    }

    /// Ends the object that was begun last.
    pub(super) fn end(&mut self) {
        self.json.push('}');
    }

    /// The name of the value that comes next.
    pub(super) fn name(&mut self, name: &str) {
        self.separate();
        self.string(name);
        self.json.push(':');
    }

    /// The same, for a name that is an id.
    pub(super) fn id_name(&mut self, id: &[u8; 20]) {
        self.name(&to_latin1(id));
    }

    /// A string, if there is one.
    pub(super) fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.name(name);
            self.string(text);
        }
    }

    /// A number, if there is one.
    pub(super) fn number(&mut self, name: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.name(name);
            push_decimal(&mut self.json, number, 1);
        }
    }

    /// An id.
    pub(super) fn id(&mut self, name: &str, id: &[u8; 20]) {
        self.text(name, Some(&to_latin1(id)));
    }

    /// An `RTCSessionDescription` in the field named as its type.
    pub(super) fn description(&mut self, kind: &str, sdp: &str) {
        self.name(kind);
        self.begin();
        self.text("type", Some(kind));
        self.text("sdp", Some(sdp));
        self.end();
    }

    /// A list as the value of the last name; `write` writes an item.
    pub(super) fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.json.push('[');
        for item in items {
            self.separate();
            write(self, item);
        }
        self.json.push(']');
    }

    /// A string as the value of the last name, or as an item of a list.
    pub(super) fn string(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.json.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => {
                    self.json.push('\\');
                    self.json.push(character);
                }
                '\n' => self.json.push_str("\\n"),
                '\r' => self.json.push_str("\\r"),
                // RFC 8259 §7: no others have to be escaped.
                '\0'..='\u{1f}' => {
                    let code = character as usize;
                    self.json.push_str("\\u00");
                    self.json.push(char::from(HEX[code >> 4]));
                    self.json.push(char::from(HEX[code & 15]));
                }
                _ => self.json.push(character),
            }
        }
        self.json.push('"');
    }

    /// A comma, unless an object or a list has just begun.
    fn separate(&mut self) {
        if !matches!(self.json.as_bytes().last(), Some(b'{' | b'[')) {
            self.json.push(',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_they_are_written() {
        for (text, expected) in [
            ("0", 0),
            ("7", 7),
            ("-7", 0),
            ("10.9", 10),
            ("1.5e3", 1500),
            ("2E+2", 200),
            ("25e-1", 2),
            ("18446744073709551615", u64::MAX),
            ("1e21", u64::MAX),
            ("-1e21", 0),
        ] {
            assert_eq!(count(text), expected, "{text}");
        }
    }

    #[test]
    fn a_number_may_be_null_or_a_string_and_nothing_else() {
        let value = read(r#"{"a":null,"b":"12","c":"x","d":true}"#).unwrap();
        let fields = Fields::of(&value).unwrap();
        assert_eq!(fields.number("a"), Ok(None));
        assert_eq!(fields.number("b"), Ok(Some(12)));
        assert_eq!(fields.number("c"), Ok(None));
        assert_eq!(fields.number("d"), Err(TrackerMessageError::WrongType("d")));
        assert_eq!(fields.number("e"), Ok(None));
    }

    #[test]
    fn other_programs_read_what_is_written() {
        let text: String = (0..0x300).filter_map(char::from_u32).chain(['€', '😀']).collect();
        let mut object = Object::new("x");
        object.text("text", Some(&text));
        object.id("id", &[0x9f; 20]);
        object.name("list");
        object.list(&[1, 2], |object, number| {
            object.begin();
            object.number("n", Some(*number));
            object.end();
        });
        let json: serde_json::Value = serde_json::from_str(&object.finish()).unwrap();
        let id = "\u{9f}".repeat(20);
        assert_eq!(
            json,
            serde_json::json!({"action": "x", "text": text, "id": id, "list": [{"n": 1}, {"n": 2}]})
        );
    }
}
