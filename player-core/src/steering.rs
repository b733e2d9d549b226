//! The steering manifest (RFC 8216bis §7.1, §7.2): JSON that ranks the pathways a title can be had from.

use crate::hls::{number, with_host, with_parameter};
use crate::json::{self, Json};

/// What is read of any list in it.
const MAX_ENTRIES: usize = 64;
/// Deepest nesting that is read; a manifest has 4.
const MAX_DEPTH: u32 = 16;

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
    let value = json::read::<MAX_DEPTH>(body)?;
    // Other versions may mean anything.
    if value.field("VERSION").and_then(whole) != Some(1) {
        return None;
    }
    let list = |name| value.field(name).map_or(&[][..], Json::list).iter().take(MAX_ENTRIES);
    Some(Manifest {
        ttl: value.field("TTL").and_then(whole),
        reload_uri: filled(&value, "RELOAD-URI"),
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
        base_id: filled(value, "BASE-ID")?,
        id: filled(value, "ID")?,
        host: filled(replacement, "HOST"),
        params: pairs("PARAMS"),
        variants: pairs("PER-VARIANT-URIS"),
        renditions: pairs("PER-RENDITION-URIS"),
    })
}

/// A string that is not empty.
fn filled(value: &Json, name: &str) -> Option<String> {
    value.field(name)?.text().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A number without its fraction; `None` below 0.
fn whole(value: &Json) -> Option<u64> {
    if let Json::Number(text) = value { number::integer(text) } else { None }
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
