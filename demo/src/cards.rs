//! How other sites show a title: oEmbed (<https://oembed.com>), Open Graph and Twitter's player cards.
//!
//! Everything that is said here ends in the HTML of a stranger's page: each value is escaped where it is written.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use form_urlencoded::Serializer;
use serde_json::json;

use crate::State;
use crate::http::Secure;
use crate::origin::Title;

/// Size of a player for those who name none, in CSS pixels; films have this shape.
const SIZE: (u32, u32) = (640, 360);
/// Smallest and largest width that is offered, in CSS pixels.
const WIDTHS: (u32, u32) = (160, 3840);
/// Longest URL that is looked at, in bytes.
const MAX_URL: usize = 4096;

/// `GET /services/oembed?url=…&maxwidth=…&maxheight=…&format=json`: what to show for a page of this server (oEmbed §2).
pub(crate) async fn oembed(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    secure: Option<Extension<Secure>>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let value = |name: &str| parameter(&query, name);
    if value("format").is_some_and(|format| format != "json") {
        return (StatusCode::NOT_IMPLEMENTED, "only format=json is answered").into_response();
    }
    let Some(url) = value("url").filter(|url| url.len() <= MAX_URL) else {
        return (StatusCode::BAD_REQUEST, "url has to be the address of a page of this server")
            .into_response();
    };
    let base = base(&headers, secure.is_some());
    let Some(title) =
        url.strip_prefix(&base).and_then(|path| title_of(path, &base, state.origin.titles()))
    else {
        return (StatusCode::NOT_FOUND, "this server has no such title").into_response();
    };
    let limit = |name: &str| value(name).and_then(|limit| limit.parse::<u32>().ok());
    let (width, height) = size(limit("maxwidth"), limit("maxheight"));
    let card = Card::of(title, &base);
    let mut answer = json!({
        "version": "1.0",
        "type": "video",
        "provider_name": "Potluck",
        "provider_url": format!("{base}/"),
        "title": title.title,
        "html": card.iframe(width, height),
        "width": width,
        "height": height,
        "cache_age": 3600,
    });
    if let Some(poster) = card.poster {
        answer["thumbnail_url"] = poster.into();
        answer["thumbnail_width"] = 1280.into();
        answer["thumbnail_height"] = 720.into();
    }
    ([(header::CACHE_CONTROL, "no-cache")], Json(answer)).into_response()
}

/// The page with what others read of it, in the place of its comment `<!-- cards -->`, if it is about a title.
pub(crate) fn with_cards(
    page: &str,
    path: &str,
    headers: &HeaderMap,
    secure: bool,
    titles: &[Title],
) -> Option<String> {
    let (before, after) = page.split_once("<!-- cards -->")?;
    let base = base(headers, secure);
    let title = title_of(path, &base, titles)?;
    Some(format!("{before}{}{after}", Card::of(title, &base).tags()))
}

/// Addresses of one title.
struct Card<'a> {
    title: &'a str,
    base: &'a str,
    /// The page with the player in it.
    page: String,
    /// The bare player.
    embed: String,
    poster: Option<String>,
}

impl<'a> Card<'a> {
    fn of(title: &'a Title, base: &'a str) -> Self {
        let poster = title.poster.as_ref().map(|poster| format!("{base}{poster}"));
        let tracker = format!("{}/announce", base.replacen("http", "ws", 1));
        let mut query = Serializer::new(String::new());
        query.append_pair("src", &format!("{base}{}", title.src));
        query.append_pair("trackers", &tracker).append_pair("title", &title.title);
        if let Some(poster) = &poster {
            // The poster first: what is below the fold of somebody's page costs one picture.
            query.append_pair("poster", poster).append_pair("lazy", "1");
        }
        let embed = format!("{base}/embed?{}", query.finish());
        let page = Serializer::new(String::new()).append_pair("title", &title.id).finish();
        Self { title: &title.title, base, page: format!("{base}/?{page}"), embed, poster }
    }

    fn iframe(&self, width: u32, height: u32) -> String {
        format!(
            r#"<iframe src="{}" title="{}" width="{width}" height="{height}" style="border: 0" loading="lazy" allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>"#,
            escape(&self.embed),
            escape(self.title)
        )
    }

    /// Elements for a page's head.
    fn tags(&self) -> String {
        let mut tags = String::new();
        let link = Serializer::new(String::new()).append_pair("url", &self.page).finish();
        let _ = write!(
            tags,
            r#"<link rel="alternate" type="application/json+oembed" href="{}" title="{}">"#,
            escape(&format!("{}/services/oembed?{link}", self.base)),
            escape(self.title)
        );
        let (width, height) = (SIZE.0.to_string(), SIZE.1.to_string());
        let about = "A video player whose viewers carry the stream for each other";
        let mut meta = |attribute: &str, name: &str, value: &str| {
            let _ = write!(tags, "\n<meta {attribute}=\"{name}\" content=\"{}\">", escape(value));
        };
        for (name, value) in [
            ("og:type", "video.other"),
            ("og:site_name", "Potluck"),
            ("og:title", self.title),
            ("og:description", about),
            ("og:url", &self.page),
            ("og:video", &self.embed),
            ("og:video:secure_url", &self.embed),
            ("og:video:type", "text/html"),
            ("og:video:width", &width),
            ("og:video:height", &height),
        ] {
            if name == "og:video:secure_url" && !self.base.starts_with("https:") {
                continue;
            }
            meta("property", name, value);
        }
        for (name, value) in [
            ("twitter:card", "player"),
            ("twitter:title", self.title),
            ("twitter:description", about),
            ("twitter:player", &self.embed),
            ("twitter:player:width", &width),
            ("twitter:player:height", &height),
        ] {
            meta("name", name, value);
        }
        if let Some(poster) = &self.poster {
            meta("property", "og:image", poster);
            meta("name", "twitter:image", poster);
        }
        tags
    }
}

/// The title that a path with its query is about: `/?title=ID`, or a player's `/embed?src=…`.
fn title_of<'a>(path: &str, base: &str, titles: &'a [Title]) -> Option<&'a Title> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query = query.split('#').next().unwrap_or_default();
    match path {
        "" | "/" | "/index.html" => match parameter(query, "title") {
            Some(id) => titles.iter().find(|title| title.id == id),
            None => titles.first(),
        },
        "/embed" | "/embed.html" => {
            let src = parameter(query, "src")?;
            let src = src.strip_prefix(base).unwrap_or(&src).to_owned();
            titles.iter().find(|title| title.src == src)
        }
        _ => None,
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|pair| pair.0 == name).map(|pair| pair.1.into_owned())
}

/// The largest player within the limits that has a film's shape (oEmbed §2.2), in CSS pixels.
fn size(max_width: Option<u32>, max_height: Option<u32>) -> (u32, u32) {
    let widest = max_width.unwrap_or_else(|| if max_height.is_some() { u32::MAX } else { SIZE.0 });
    let highest = max_height.unwrap_or(u32::MAX);
    let by_height = u64::from(highest) * u64::from(SIZE.0) / u64::from(SIZE.1);
    let width = widest.min(u32::try_from(by_height).unwrap_or(u32::MAX));
    let width = width.clamp(WIDTHS.0, WIDTHS.1);
    (width, width * SIZE.1 / SIZE.0)
}

/// `https://host` as the visitor sees this server: behind a proxy by `X-Forwarded-Proto`. A `Host` that is none is left out.
fn base(headers: &HeaderMap, secure: bool) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let secure = secure || text("x-forwarded-proto") == Some("https");
    let scheme = if secure { "https" } else { "http" };
    let fine = |host: &&str| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
    };
    format!("{scheme}://{}", text("host").filter(fine).unwrap_or("localhost"))
}

/// Text for HTML, in attributes too.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles() -> Vec<Title> {
        let title = |id: &str, title: &str| Title {
            id: id.to_owned(),
            title: title.to_owned(),
            src: format!("/media/{id}/master.m3u8"),
            live: false,
            poster: Some(format!("/media/{id}/poster.jpg")),
        };
        vec![title("sample", "A day"), title("odd", "\"><script>alert(1)</script> & 'more'")]
    }

    #[test]
    fn nothing_in_a_name_gets_out_of_its_attribute() {
        let titles = titles();
        let card = Card::of(&titles[1], "https://site.example");
        for html in [card.tags(), card.iframe(640, 360)] {
            assert!(!html.contains("<script"), "{html}");
            assert!(!html.contains("\"'") && !html.contains("\">alert"), "{html}");
            assert_eq!(html.matches('"').count() % 2, 0, "{html}");
            assert!(html.contains("&quot;&gt;&lt;script&gt;"), "{html}");
        }
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        let mut headers = HeaderMap::new();
        assert_eq!(base(&headers, false), "http://localhost");
        assert_eq!(base(&headers, true), "https://localhost");
        headers.insert("host", "site.example:8080".parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        assert_eq!(base(&headers, false), "https://site.example:8080");
        headers.insert("host", "x\"><script>".parse().unwrap());
        headers.insert("x-forwarded-proto", "javascript".parse().unwrap());
        assert_eq!(base(&headers, false), "http://localhost");
    }

    #[test]
    fn players_keep_their_shape_within_the_limits() {
        assert_eq!(size(None, None), (640, 360));
        assert_eq!(size(Some(320), None), (320, 180));
        assert_eq!(size(Some(1000), Some(180)), (320, 180));
        assert_eq!(size(None, Some(720)), (1280, 720));
        assert_eq!(size(Some(1), Some(1)), (160, 90));
        assert_eq!(size(Some(u32::MAX), Some(u32::MAX)), (3840, 2160));
    }

    #[test]
    fn pages_are_about_the_title_they_name() {
        let titles = titles();
        let base = "http://a";
        let id = |path: &str| title_of(path, base, &titles).map(|title| title.id.as_str());
        assert_eq!(id("/"), Some("sample"));
        assert_eq!(id("/?p2p=off&title=odd#x"), Some("odd"));
        assert_eq!(id("/?title=none"), None);
        assert_eq!(id("/embed?src=http%3A%2F%2Fa%2Fmedia%2Fodd%2Fmaster.m3u8"), Some("odd"));
        assert_eq!(id("/embed?src=http%3A%2F%2Felsewhere%2Fmedia%2Fodd%2Fmaster.m3u8"), None);
        assert_eq!(id("/media/sample/master.m3u8"), None);
    }
}
