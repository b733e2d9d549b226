//! The steering manifest (RFC 8216bis §7.1, §7.2): JSON that ranks the pathways a title can be had from.

use crate::hls::{with_host, with_parameter};

/// What is read of any list in it.
const MAX_ENTRIES: usize = 64;

/// A steering manifest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// `TTL`: seconds until it is to be loaded again.
    pub(crate) ttl: Option<u64>,
    /// `RELOAD-URI`: from where, relative to the manifest.
    pub(crate) reload_uri: Option<String>,
    /// `PATHWAY-PRIORITY`, the best first.
    pub(crate) priority: Vec<String>,
    /// `PATHWAY-CLONES`.
    pub(crate) clones: Vec<Clone>,
}

/// A pathway made from another (`PATHWAY-CLONES`).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Clone {
    /// `BASE-ID`.
    pub(crate) base_id: String,
    /// `ID`.
    pub(crate) id: String,
    /// `HOST` of `URI-REPLACEMENT`.
    host: Option<String>,
    /// `PARAMS`: query parameters to set.
    params: Vec<(String, String)>,
    /// `PER-VARIANT-URIS`, by stable id.
    variants: Vec<(String, String)>,
    /// `PER-RENDITION-URIS`, by stable id.
    renditions: Vec<(String, String)>,
}

impl Clone {
    /// The clone's version of a playlist's URL.
    pub(crate) fn url(&self, base: &str, stable_id: &str, variant: bool) -> String {
        let own = if variant { &self.variants } else { &self.renditions };
        let own = own.iter().find(|(id, _)| !id.is_empty() && id == stable_id);
        let mut url = match (own, &self.host) {
            (Some((_, url)), _) => crate::hls::resolve(base, url),
            (None, Some(host)) => with_host(base, host),
            (None, None) => base.to_owned(),
        };
        for (name, value) in &self.params {
            url = with_parameter(&url, name, value);
        }
        url
    }
}

/// Reads a manifest; `None` for what is none.
pub(crate) fn read(body: &[u8]) -> Option<Manifest> {
    let mut reader = Reader { rest: body };
    let value = reader.value(0)?;
    // Other versions may mean anything.
    if value.field("VERSION")?.number() != Some(1) || !reader.is_at_end() {
        return None;
    }
    let list = |name| value.field(name).map_or(&[][..], Json::list).iter().take(MAX_ENTRIES);
    Some(Manifest {
        ttl: value.field("TTL").and_then(Json::number),
        reload_uri: value.filled("RELOAD-URI"),
        priority: list("PATHWAY-PRIORITY").filter_map(Json::text).map(str::to_owned).collect(),
        clones: list("PATHWAY-CLONES").filter_map(clone).collect(),
    })
}

fn clone(value: &Json) -> Option<Clone> {
    let replacement = value.field("URI-REPLACEMENT")?;
    let pairs = |name| {
        let fields = replacement.field(name).map_or(&[][..], Json::fields).iter();
        let pairs =
            fields.filter_map(|(name, value)| Some((name.clone(), value.text()?.to_owned())));
        pairs.take(MAX_ENTRIES).collect()
    };
    Some(Clone {
        base_id: value.filled("BASE-ID")?,
        id: value.filled("ID")?,
        host: replacement.filled("HOST"),
        params: pairs("PARAMS"),
        variants: pairs("PER-VARIANT-URIS"),
        renditions: pairs("PER-RENDITION-URIS"),
    })
}

/// What is read of JSON. The tracker's reader is not here when nobody shares.
enum Json {
    Text(String),
    /// A number without its fraction.
    Number(u64),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// `true`, `false`, `null`, and numbers below 0.
    Other,
}

impl Json {
    fn field(&self, name: &str) -> Option<&Self> {
        self.fields().iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn filled(&self, name: &str) -> Option<String> {
        self.field(name)?.text().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn fields(&self) -> &[(String, Self)] {
        if let Self::Object(fields) = self { fields } else { &[] }
    }

    fn list(&self) -> &[Self] {
        if let Self::List(list) = self { list } else { &[] }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    const fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

/// Deepest nesting that is read; a manifest has 4.
const MAX_DEPTH: u32 = 16;

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Takes this byte if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        if next {
            self.rest = &self.rest[1..];
        }
        next
    }

    fn value(&mut self, depth: u32) -> Option<Json> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            b'"' => self.string().map(Json::Text),
            open @ (b'{' | b'[') => {
                self.take(open);
                let close = open + 2;
                let (mut fields, mut list) = (Vec::new(), Vec::new());
                while !self.take(close) {
                    let after_first = !fields.is_empty() || !list.is_empty();
                    if after_first && !self.take(b',') {
                        return None;
                    }
                    if open == b'[' {
                        list.push(self.value(depth + 1)?);
                        continue;
                    }
                    let name = self.string()?;
                    if !self.take(b':') {
                        return None;
                    }
                    fields.push((name, self.value(depth + 1)?));
                }
                Some(if open == b'[' { Json::List(list) } else { Json::Object(fields) })
            }
            _ => {
                let mut bytes = self.rest.iter();
                let end = bytes.position(|byte| b",]} \t\r\n".contains(byte));
                let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                let word = std::str::from_utf8(word).ok()?;
                let whole = word.split(['.', 'e', 'E']).next().unwrap_or_default();
                Some(whole.parse().map_or(Json::Other, Json::Number))
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        if !self.take(b'"') {
            return None;
        }
        let mut out = Vec::new();
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return String::from_utf8(out).ok(),
                b'\\' => {
                    let (escape, rest) = self.rest.split_first()?;
                    self.rest = rest;
                    match escape {
                        b'n' | b'r' | b't' | b'b' | b'f' => out.push(b' '),
                        b'u' => {
                            let hex = self.rest.get(..4)?;
                            self.rest = &self.rest[4..];
                            let code =
                                u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
                            // Half a pair has no character of its own; ids and URIs have neither.
                            let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                            out.extend(char.encode_utf8(&mut [0; 4]).bytes());
                        }
                        other => out.push(*other),
                    }
                }
                byte => out.push(*byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLONES: &str = r#"{"VERSION":1,"TTL":30,"RELOAD-URI":"next?x=1",
        "PATHWAY-PRIORITY":["c","b",7],
        "PATHWAY-CLONES":[{"BASE-ID":"b","ID":"c","URI-REPLACEMENT":{"HOST":"c.example:8443",
            "PARAMS":{"token":"a b","x":"2"},"PER-VARIANT-URIS":{"hi":"https://d.example/hi.m3u8"}}}, 1]}"#;

    #[test]
    fn a_manifest_ranks_pathways_and_makes_new_ones() {
        let manifest = read(CLONES.as_bytes()).expect("a manifest");
        assert_eq!((manifest.ttl, manifest.reload_uri.as_deref()), (Some(30), Some("next?x=1")));
        assert_eq!(manifest.priority, ["c", "b"]);
        let [clone] = &manifest.clones[..] else { panic!("{manifest:?}") };
        assert_eq!(
            clone.url("https://b.example/v/lo.m3u8?x=1&y=3#f", "lo", true),
            "https://c.example:8443/v/lo.m3u8?y=3&token=a%20b&x=2"
        );
        assert_eq!(
            clone.url("https://b.example/v/hi.m3u8", "hi", true),
            "https://d.example/hi.m3u8?token=a%20b&x=2"
        );
    }

    #[test]
    fn strings_have_escapes() {
        let text = r#" {"VERSION" : 1.0, "RELOAD-URI":"\/a\u00e9\"\\", "x":[true,null,-1,{}], "TTL":3e2} "#;
        let manifest = read(text.as_bytes()).expect("a manifest");
        assert_eq!(manifest.reload_uri.as_deref(), Some("/aé\"\\"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(text in "[\\[\\]{}\\\\\":,u0-9aV]{0,60}") {
            read(text.as_bytes());
            read(["{\"VERSION\":1,", &text].concat().as_bytes());
        }
    }

    #[test]
    fn what_is_no_manifest_steers_nobody() {
        for text in ["", "[]", "{\"VERSION\":2,\"TTL\":1}", "{\"TTL\":1}", "\u{fffd}"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        let bare = read(br#"{"VERSION":1,"TTL":"x","PATHWAY-CLONES":{}}"#).expect("it is one");
        assert_eq!(bare, Manifest::default());
    }
}
