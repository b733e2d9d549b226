//! What browsers are told to allow: who may read what is served, who may frame it, and what its pages may do.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::Settings;
use crate::State;

/// What the player's pages do without.
const PERMISSIONS: &str = "accelerometer=(), bluetooth=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
    hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=(), xr-spatial-tracking=()";
const READ_METHODS: &str = "GET, HEAD, OPTIONS";

/// Stands before all routes: refuses what no route is for, and adds what browsers have to know.
pub(crate) async fn apply(
    Shared(state): Shared<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let settings = &state.settings;
    let api = request.uri().path().starts_with("/api/");
    let asking = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut response = match request.method().as_str() {
        "GET" | "HEAD" => next.run(request).await,
        "OPTIONS" => StatusCode::NO_CONTENT.into_response(),
        // The only requests that change something: no other site's page makes them.
        "POST" if api && !own(request.headers()) => {
            (StatusCode::FORBIDDEN, "this is for pages of this server").into_response()
        }
        "POST" if api => match timeout(settings.head, next.run(request)).await {
            Ok(response) => response,
            Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
        },
        _ => {
            let allowed = [(header::ALLOW, READ_METHODS)];
            (StatusCode::METHOD_NOT_ALLOWED, allowed).into_response()
        }
    };
    let headers = response.headers_mut();
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if api {
        set(headers, CORP, "same-origin");
        return response;
    }
    set(headers, CORP, "cross-origin");
    if !settings.cors_origins.is_empty() {
        // Caches keep an answer for each page that asks.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    let Some(reader) = reader(settings, asking) else { return response };
    headers.insert("timing-allow-origin", reader.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, reader);
    set(
        headers,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Content-Length, Content-Range, Accept-Ranges",
    );
    if preflight {
        set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, READ_METHODS);
        set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, "Range");
        set(headers, header::ACCESS_CONTROL_MAX_AGE, "86400");
    }
    response
}

const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// Which pages may read the answer (Fetch §3.3.3): never with credentials.
fn reader(settings: &Settings, asking: Option<HeaderValue>) -> Option<HeaderValue> {
    if settings.cors_origins.is_empty() {
        return Some(HeaderValue::from_static("*"));
    }
    let listed = |origin: &str| {
        let mut all = settings.cors_origins.iter();
        all.any(|one| one.trim_end_matches('/').eq_ignore_ascii_case(origin))
    };
    asking.filter(|origin| origin.to_str().is_ok_and(listed))
}

/// Whether a request comes from a page of this server, or from no page at all.
fn own(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(origin) = text(header::ORIGIN) else { return true };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && host == text(header::HOST)
}

/// Whether a list can be written into a Content-Security-Policy, or as a list in a page: `Err` names what cannot.
pub(crate) fn check(settings: &Settings) -> Result<(), String> {
    for one in settings.cors_origins.iter().chain(&settings.embed_on).chain(&settings.embed_src) {
        let fine = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>,;".contains(&byte);
        if one.is_empty() || !one.bytes().all(fine) {
            return Err(one.clone());
        }
    }
    Ok(())
}

/// What a page of this server comes with. `frame`: it is the iframe's, which others may show.
pub(crate) fn page(settings: &Settings, frame: bool, html: &str) -> [(HeaderName, String); 3] {
    let ancestors = match (frame, settings.embed_on.as_slice()) {
        (true, []) => "*".to_owned(),
        (true, pages) => format!("'self' {}", pages.join(" ")),
        (false, _) => "'self'".to_owned(),
    };
    let styles: String = inline_styles(html).iter().map(|hash| format!(" '{hash}'")).collect();
    // Streams, posters and trackers may be anywhere: pages play what they are told to.
    let policy = format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'{styles}; worker-src 'self'; \
         connect-src 'self' http: https: ws: wss: blob: data:; img-src 'self' http: https: blob: data:; \
         media-src 'self' http: https: blob: data:; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types potluck; frame-ancestors {ancestors}"
    );
    [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin".to_owned()),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS.to_owned()),
    ]
}

/// The style sheets in a page, as a policy names them (CSP §8.4).
fn inline_styles(html: &str) -> Vec<String> {
    let sheets = html.split("<style>").skip(1).filter_map(|rest| rest.split_once("</style>"));
    sheets.map(|(sheet, _)| format!("sha256-{}", STANDARD.encode(Sha256::digest(sheet)))).collect()
}

/// The iframe's page with the list of what it plays.
pub(crate) fn with_sources(page: String, settings: &Settings) -> String {
    if settings.embed_src.is_empty() {
        return page;
    }
    let list = settings.embed_src.join(" ").replace('&', "&amp;");
    let tag = format!("<meta name=\"potluck-embed-src\" content=\"{list}\">\n<title>");
    page.replacen("<title>", &tag, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_own_style_sheets() {
        // As `openssl dgst -sha256 -binary | base64` has it.
        let html = "<title>x</title><style>a{}</style><style>a{}</style>";
        let hash = "sha256-X1RutGBrXCt9KkSaXMK7tHftWiRscFHOhxsS8tv8hBk=";
        assert_eq!(inline_styles(html), [hash, hash]);
        let [(_, policy), ..] = page(&Settings::default(), false, html);
        assert!(policy.contains(hash) && !policy.contains("unsafe-inline"), "{policy}");
    }

    #[test]
    fn what_would_end_a_directive_or_an_attribute_is_no_origin() {
        let with = |one: &str| Settings { embed_on: vec![one.to_owned()], ..Settings::default() };
        assert_eq!(check(&with("https://*.site.example:8443/films/")), Ok(()));
        for one in ["", "a b", "a;script-src *", "\">", "a,b", "ä", "a\nb"] {
            assert_eq!(check(&with(one)), Err(one.to_owned()));
        }
    }
}
