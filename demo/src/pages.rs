//! The built pages: files of one folder.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::extract::{Request, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::State;
use crate::cards::with_cards;
use crate::http::{Secure, policy};

const NOT_BUILT: &str =
    "the pages are not built yet: run `cargo xtask build`, or `cargo xtask demo`";

/// Serves a file of the folder, `/` being `index.html`, and `/embed`, `/generator` and `/docs` pages without their `.html`. What other sites read
/// of a page is put into it (see [`crate::cards`]).
pub(crate) async fn serve(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let name = match request.uri().path() {
        "/" => "index.html",
        "/embed" => "embed.html",
        "/generator" => "generator.html",
        "/docs" => "docs.html",
        other => other.trim_start_matches('/'),
    };
    let path = match decode(name) {
        Some(name) => file_inside(&state.www, &name).await,
        None => None,
    };
    let Some((path, data)) = path else {
        return if name == "index.html" {
            (StatusCode::NOT_FOUND, NOT_BUILT).into_response()
        } else {
            StatusCode::NOT_FOUND.into_response()
        };
    };
    let changed = data
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |time| time.as_nanos());
    let tag = format!("\"{changed:x}-{:x}\"", data.len());
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    // A new build is seen at the next load: the browser asks each time, and mostly hears 304.
    let fresh = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    match tokio::fs::read(&path).await {
        Ok(bytes) => {
            let kind = [(header::CONTENT_TYPE, content_type(&path))];
            match String::from_utf8(bytes) {
                Ok(page) if name.ends_with(".html") => {
                    (fresh, kind, page_of(&state, name, &request, page)).into_response()
                }
                Ok(text) => (fresh, kind, text).into_response(),
                Err(bytes) => (fresh, kind, bytes.into_bytes()).into_response(),
            }
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A page, with what others read of it and what browsers are to allow it.
fn page_of(
    state: &State,
    name: &str,
    request: &Request,
    page: String,
) -> impl IntoResponse + use<> {
    let frame = name == "embed.html";
    let about = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let secure = request.extensions().get::<Secure>().is_some();
    let titles = state.origin.titles();
    let cards = with_cards(&page, about, request.headers(), secure, titles);
    let mut page = cards.unwrap_or(page);
    if frame {
        page = policy::with_sources(page, &state.settings);
    }
    (policy::page(&state.settings, frame, &page), page)
}

/// A file below `folder`, with what is known of it. Symbolic links are followed as long as they stay in the folder: what
/// counts is where the file really is. (Whoever may change the folder meanwhile may read what the server may.)
pub(crate) async fn file_inside(folder: &Path, name: &str) -> Option<(PathBuf, Metadata)> {
    let path = inside(folder, name)?;
    let folder = folder.to_owned();
    let find = move || {
        let path = path.canonicalize().ok()?;
        let data = path.metadata().ok()?;
        (data.is_file() && path.starts_with(folder.canonicalize().ok()?)).then_some((path, data))
    };
    tokio::task::spawn_blocking(find).await.ok()?
}

/// The path that a URL path stands for (RFC 3986 §2.1); `None` when it is no UTF-8 or badly escaped.
pub(crate) fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let ([high, low], tail) = tail.split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// `name` below `folder`, unless it would lead out of it or names a hidden file.
pub(crate) fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let fine = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0', ':'])
    };
    name.split('/').all(fine).then(|| folder.join(name))
}

/// The media type of a file, by its name.
pub(crate) fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    match extension.to_ascii_lowercase().as_str() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "txt" => "text/plain; charset=utf-8",
        // RFC 8216 §4 and RFC 8216bis §3.1.
        "m3u8" | "m3u" => "application/vnd.apple.mpegurl",
        "mp4" | "m4s" | "m4v" | "cmfv" => "video/mp4",
        "m4a" | "cmfa" => "audio/mp4",
        "ts" => "video/mp2t",
        "aac" => "audio/aac",
        "mp3" => "audio/mpeg",
        "vtt" => "text/vtt; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = Path::new("www");
        assert_eq!(inside(folder, "a/b.js"), Some(PathBuf::from("www/a/b.js")));
        for name in
            ["../x", "a/../../x", "", "a//b", "/etc/passwd", ".git/config", "a\\..\\b", "c:x"]
        {
            assert_eq!(inside(folder, name), None, "{name:?}");
        }
        assert_eq!(inside(folder, &decode("%2e%2e/x").unwrap()), None);
        assert_eq!(inside(folder, &decode("a%2f..%2fx").unwrap()), None);
    }

    #[test]
    fn escapes_are_read_or_refused() {
        assert_eq!(decode("a%20b%C3%A9").as_deref(), Some("a bé"));
        for path in ["%", "%4", "%zz", "%ff", "a%+1"] {
            assert_eq!(decode(path), None, "{path:?}");
        }
    }

    #[test]
    fn wasm_and_scripts_have_the_types_that_browsers_insist_on() {
        assert_eq!(content_type(Path::new("x/potluck.wasm")), "application/wasm");
        assert!(content_type(Path::new("potluck.js")).starts_with("text/javascript"));
        assert_eq!(content_type(Path::new("a.TS")), "video/mp2t");
    }
}
