//! URLs: reference resolution (RFC 3986 §5) with the normalisation that browsers apply (WHATWG URL), so that the
//! same segment has the same URL here and in a page. International host names are left as they are.

use std::borrow::Cow;

use crate::text::{from_utf8_lossy, push_hex};

/// The parts of a URL; slices without their delimiters.
#[derive(Debug, Clone, Copy, Default)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

/// The absolute URL of `reference` in a document at `base`. An absolute reference is only normalised. If `base` is
/// itself not absolute, it is taken as a path: the result is not absolute either.
#[must_use]
pub fn resolve(base: &str, reference: &str) -> String {
    let reference = clean(reference);
    let base = clean(base);
    let base = split(&base, false);
    let base_special = base.scheme.is_some_and(is_special);
    let mut parts = split(&reference, base_special);
    // `http:part.ts` is relative to a base of the same special scheme.
    if let Some(scheme) = parts.scheme
        && is_special(scheme)
        && parts.authority.is_none()
        && base.scheme.is_some_and(|other| other.eq_ignore_ascii_case(scheme))
    {
        parts.scheme = None;
    }
    let Some(scheme) = parts.scheme.or(base.scheme) else {
        return join(&base, &parts, false);
    };
    if parts.scheme.is_some() && !is_special(scheme) {
        // `data:`, `skd:` and the like: nothing but the scheme is touched.
        return opaque(scheme, &reference);
    }
    if parts.scheme.is_none()
        && !base_special
        && !base.path.starts_with('/')
        && base.authority.is_none()
    {
        // A base such as `data:` has no hierarchy to resolve in.
        return reference.into_owned();
    }
    let mut target = join(&base, &parts, is_special(scheme));
    target.insert(0, ':');
    target.insert_str(0, &scheme.to_ascii_lowercase());
    target
}

/// Host and port of an absolute URL; empty when it has none.
pub(crate) fn host(url: &str) -> &str {
    split(url, false).authority.unwrap_or_default()
}

/// The URL at another host (and port).
pub(crate) fn with_host(url: &str, host: &str) -> String {
    let parts = split(url, false);
    let Some(authority) = parts.authority.filter(|authority| !authority.is_empty()) else {
        return url.to_owned();
    };
    let Some((before, rest)) = crate::text::split_at_first(url, authority) else {
        return url.to_owned();
    };
    [before, host, rest].concat()
}

/// What cannot stand for itself in a query parameter.
const PARAMETER: &str = " %&#+=?/\"<>'";

/// The URL with a query parameter set, in place of any of the same name; without its fragment.
pub(crate) fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut out = path.to_owned();
    let mut mark = '?';
    let others = query.split('&').filter(|pair| {
        !pair.is_empty() && percent_decode(pair.split('=').next().unwrap_or_default()) != name
    });
    for pair in others {
        out.push(mark);
        out.push_str(pair);
        mark = '&';
    }
    out.push(mark);
    push_encoded(&mut out, name, PARAMETER);
    out.push('=');
    push_encoded(&mut out, value, PARAMETER);
    out
}

/// The percent-decoded value of a query parameter, `+` read as a space (bis §4.4.2.3, `QUERYPARAM`).
pub(super) fn query_parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split('#').next()?.split_once('?')?.1;
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode(key) == name).then(|| percent_decode(value))
    })
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        let hex = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        index += 1;
        match (byte, hex(index), hex(index + 1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                index += 2;
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(byte),
        }
    }
    from_utf8_lossy(&out)
}

/// Without the white space and control characters around it, and without tabs and line ends inside.
fn clean(text: &str) -> Cow<'_, str> {
    let text = text.trim_matches(|c: char| c <= ' ');
    if text.contains(['\t', '\n', '\r']) {
        Cow::Owned(text.replace(['\t', '\n', '\r'], ""))
    } else {
        Cow::Borrowed(text)
    }
}

fn is_special(scheme: &str) -> bool {
    ["http", "https", "ws", "wss", "ftp", "file"]
        .iter()
        .any(|special| scheme.eq_ignore_ascii_case(special))
}

fn scheme_length(text: &str) -> Option<usize> {
    let length = text.find(':')?;
    let scheme = &text.as_bytes()[..length];
    let valid = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    valid.then_some(length)
}

/// `special`: whether a URL without a scheme is of a special one, where any number of slashes precedes the host.
fn split(text: &str, special: bool) -> Parts<'_> {
    let mut parts = Parts::default();
    let mut rest = text;
    if let Some(length) = scheme_length(rest) {
        parts.scheme = Some(&rest[..length]);
        rest = &rest[length + 1..];
    }
    if let Some((before, fragment)) = rest.split_once('#') {
        parts.fragment = Some(fragment);
        rest = before;
    }
    if let Some((before, query)) = rest.split_once('?') {
        parts.query = Some(query);
        rest = before;
    }
    let slash = |c: Option<&u8>| matches!(c, Some(b'/' | b'\\'));
    let bytes = rest.as_bytes();
    if slash(bytes.first()) && slash(bytes.get(1)) {
        let mut after = &rest[2..];
        let file = |scheme: &str| scheme.eq_ignore_ascii_case("file");
        if parts.scheme.map_or(special, |scheme| is_special(scheme) && !file(scheme)) {
            after = after.trim_start_matches(['/', '\\']);
        }
        let end = after.find(['/', '\\']).unwrap_or(after.len());
        parts.authority = Some(&after[..end]);
        rest = &after[end..];
    }
    parts.path = rest;
    parts
}

/// Everything behind the scheme of the target (RFC 3986 §5.2.2).
fn join(base: &Parts<'_>, reference: &Parts<'_>, special: bool) -> String {
    let mut out = String::with_capacity(base.path.len() + reference.path.len() + 32);
    let own = reference.scheme.is_some() || reference.authority.is_some();
    let authority = if own { reference.authority } else { base.authority };
    let scheme = reference.scheme.or(base.scheme);
    if let Some(authority) = authority {
        out.push_str("//");
        push_authority(&mut out, authority, scheme.unwrap_or_default(), special);
    }
    let path = reference.path;
    let rooted = path.starts_with('/') || (special && path.starts_with('\\'));
    let mut query = reference.query;
    let merged = if own || rooted {
        Cow::Borrowed(path)
    } else if path.is_empty() {
        query = query.or(base.query);
        Cow::Borrowed(base.path)
    } else {
        // Without the base's last segment; a base that is only a host has the path `/`.
        let end = base.path.rfind(if special { &['/', '\\'][..] } else { &['/'][..] });
        let folder = match end {
            Some(end) => &base.path[..=end],
            None if authority.is_some() => "/",
            None => "",
        };
        Cow::Owned([folder, path].concat())
    };
    push_path(&mut out, &merged, special, authority.is_some());
    if let Some(query) = query {
        out.push('?');
        push_encoded(&mut out, query, if special { " \"#<>'" } else { " \"#<>" });
    }
    if let Some(fragment) = reference.fragment {
        out.push('#');
        push_encoded(&mut out, fragment, " \"<>`");
    }
    out
}

/// Host in lower case, the scheme's default port left out.
fn push_authority(out: &mut String, authority: &str, scheme: &str, special: bool) {
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        out.push_str(user);
        out.push('@');
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    };
    if special {
        out.push_str(&name.to_ascii_lowercase());
    } else {
        out.push_str(name);
    }
    let trimmed = port.trim_start_matches('0');
    let port = if trimmed.is_empty() && !port.is_empty() { "0" } else { trimmed };
    let default = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => "80",
        "https" | "wss" => "443",
        "ftp" => "21",
        _ => "",
    };
    if port != default && !port.is_empty() {
        out.push(':');
        out.push_str(port);
    }
}

/// The path without `.` and `..` (RFC 3986 §5.2.4), percent-encoded where browsers do.
fn push_path(out: &mut String, path: &str, special: bool, authority: bool) {
    const ENCODED: &str = " \"#<>?`{}";
    let is_slash = |c: char| c == '/' || (special && c == '\\');
    let root = out.len();
    let rooted = path.starts_with(is_slash);
    let inner = if rooted { &path[1..] } else { path };
    if inner.is_empty() && !rooted && !(special && authority) {
        return;
    }
    if rooted || authority {
        out.push('/');
    }
    // Where the first segment begins: `..` never goes above it.
    let floor = out.len();
    let mut segments = inner.split(is_slash).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if is_dot(segment, 1) {
            // Nothing: the slash before it is there already.
        } else if is_dot(segment, 2) {
            let cut = out[floor..]
                .strip_suffix('/')
                .and_then(|kept| kept.rfind('/'))
                .map_or(floor, |slash| floor + slash + 1);
            out.truncate(cut);
        } else {
            push_encoded(out, segment, ENCODED);
            if !last {
                out.push('/');
            }
        }
    }
    // `//` at the start of a path without a host would read as a host.
    if !authority && out[root..].starts_with("//") {
        out.insert_str(root, "/.");
    }
}

/// Whether a path segment is `.` (count 1) or `..` (count 2), maybe percent-encoded.
fn is_dot(segment: &str, count: usize) -> bool {
    let mut rest = segment;
    for _ in 0..count {
        let Some(tail) = rest
            .strip_prefix('.')
            .or_else(|| rest.strip_prefix("%2e"))
            .or_else(|| rest.strip_prefix("%2E"))
        else {
            return false;
        };
        rest = tail;
    }
    rest.is_empty()
}

/// Appends with control characters, non-ASCII and `set` percent-encoded. Existing escapes stay.
fn push_encoded(out: &mut String, text: &str, set: &str) {
    let plain = |byte: u8| {
        (b'!'..=b'~').contains(&byte) && !set.as_bytes().contains(&byte)
            || (byte == b' ' && !set.starts_with(' '))
    };
    let mut rest = text;
    while let Some(index) = rest.bytes().position(|byte| !plain(byte)) {
        out.push_str(&rest[..index]);
        let Some(odd) = rest[index..].chars().next() else {
            return;
        };
        for byte in odd.encode_utf8(&mut [0; 4]).bytes() {
            out.push('%');
            push_hex(out, byte.into(), 2);
        }
        rest = &rest[index + odd.len_utf8()..];
    }
    out.push_str(rest);
}

/// A URL of a scheme that browsers do not take apart.
fn opaque(scheme: &str, text: &str) -> String {
    let mut out = scheme.to_ascii_lowercase();
    push_encoded(&mut out, &text[scheme.len()..], "");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_3986_hold() {
        let base = "http://a/b/c/d;p?q";
        for (reference, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q#s"),
            ("g;x?y#s", "http://a/b/c/g;x?y#s"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("http:g", "http://a/b/c/g"),
        ] {
            assert_eq!(resolve(base, reference), expected, "{reference}");
        }
    }

    #[test]
    fn urls_are_normalised_as_browsers_do() {
        for (base, reference, expected) in [
            ("http://h", "a.ts", "http://h/a.ts"),
            ("http://h?x", "a.ts", "http://h/a.ts"),
            (
                "https://H.Example:443/p/",
                "a b\u{e9}{}.ts?q='<>",
                "https://h.example/p/a%20b%C3%A9%7B%7D.ts?q=%27%3C%3E",
            ),
            ("http://h:8080/p", "HTTPS://U@X:443//a//b", "https://U@x//a//b"),
            ("http://h/p/q", "\\x\\.\\y", "http://h/x/y"),
            ("http://h/p", " a\tb\n ", "http://h/ab"),
            ("http://h/p", "%2e%2E/a%2fb", "http://h/a%2fb"),
            ("http://h/p", "skd://Key Id", "skd://Key Id"),
            ("http://h/p", "data:text/plain;base64,YQo=", "data:text/plain;base64,YQo="),
            ("http://h/a:b", "c:d/e", "c:d/e"),
            ("http://h/p", "1:2.ts", "http://h/1:2.ts"),
            ("https://h/p", "//c/d", "https://c/d"),
            ("https://h/p", "///c/d", "https://c/d"),
            ("blob:http://h/1", "a.ts", "a.ts"),
            ("file:///a/b.m3u8", "c.ts", "file:///a/c.ts"),
            ("a/b.m3u8?x", "c.ts", "a/c.ts"),
            ("main.m3u8", "c.ts", "c.ts"),
            ("", "", ""),
        ] {
            assert_eq!(resolve(base, reference), expected, "{base} + {reference}");
        }
    }

    #[test]
    fn query_parameters_are_decoded() {
        let url = "http://h/p?a=1&b%20c=x%2By+z&d&e=%zz#f?a=9";
        assert_eq!(query_parameter(url, "a").as_deref(), Some("1"));
        assert_eq!(query_parameter(url, "b c").as_deref(), Some("x+y z"));
        assert_eq!(query_parameter(url, "d").as_deref(), Some(""));
        assert_eq!(query_parameter(url, "e").as_deref(), Some("%zz"));
        assert_eq!(query_parameter(url, "g"), None);
    }
}
