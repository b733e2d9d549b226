//! HTTP: one `fetch` per request of the core's, its body streamed.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use js_sys::{Function, Uint8Array};
use player_core::io::{FetchKind, FetchRequest, Input, RequestId};
use player_core::text::push_decimal;
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, AbortSignal, Headers, RequestInit, Response, ResponseType};

use crate::shell::Shell;

#[wasm_bindgen]
extern "C" {
    // Rejects; never throws.
    #[wasm_bindgen(js_name = fetch)]
    fn browser_fetch(url: &str, init: &RequestInit) -> Promise;

    #[derive(Debug)]
    pub(crate) type Promise;
    #[wasm_bindgen(method)]
    fn then(this: &Promise, fulfilled: &Function, rejected: &Function);

    /// A response's `ReadableStream`.
    type Body;
    // Throws only where someone else reads the stream already.
    #[wasm_bindgen(method, js_name = getReader)]
    fn reader(this: &Body) -> Reader;

    /// `ReadableStreamDefaultReader`.
    type Reader;
    #[wasm_bindgen(method)]
    fn read(this: &Reader) -> Promise;

    /// What `read` resolves to.
    type ReadResult;
    #[wasm_bindgen(method, getter)]
    fn done(this: &ReadResult) -> bool;
    #[wasm_bindgen(method, getter)]
    fn value(this: &ReadResult) -> Option<Uint8Array>;
}

/// A request in progress. Dropped, it is aborted, and says nothing more.
#[derive(Debug)]
pub(crate) struct Fetch {
    abort: Option<AbortController>,
}

impl Fetch {
    /// Starts a request, whose course `shell` is told. `begun`: it is on its way already.
    pub(crate) fn start(shell: Weak<Shell>, request: FetchRequest, begun: Option<Promise>) -> Self {
        let abort = AbortController::new().ok();
        let signal = abort.as_ref().map(AbortController::signal);
        // The defaults are what is wanted: mode `cors`, credentials `same-origin`, the HTTP cache as it is.
        let init = RequestInit::new();
        init.set_signal(signal.as_ref());
        if let (Some((first, end)), Ok(headers)) = (request.range, Headers::new()) {
            // Cannot fail: name and value are well formed.
            let _ = headers.set("range", &range_header(first, end));
            init.set_headers(&headers);
        }
        let promise = begun.unwrap_or_else(|| browser_fetch(&request.url, &init));
        let transfer =
            Transfer { shell, request, signal, reader: RefCell::default(), next: Cell::default() };
        Rc::new(transfer).wait(&promise, Transfer::responded);
        Self { abort }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }
}

type Handler = Closure<dyn Fn(JsValue)>;

/// One request's course. It belongs to the handlers of the promise that it waits for: aborted or not, that settles.
struct Transfer {
    shell: Weak<Shell>,
    request: FetchRequest,
    signal: Option<AbortSignal>,
    reader: RefCell<Option<Reader>>,
    /// The handlers.
    next: Cell<Option<[Handler; 2]>>,
}

impl Transfer {
    /// Goes on with `then` when the promise is fulfilled. A promise settles once: the handlers end with that.
    fn wait(self: Rc<Self>, promise: &Promise, then: fn(Rc<Self>, JsValue)) {
        let handler = |act: fn(Rc<Self>, JsValue)| {
            let transfer = self.clone();
            Closure::new(move |value| {
                let _handlers = transfer.next.take();
                act(transfer.clone(), value);
            })
        };
        let handlers = [handler(then), handler(|transfer, _| transfer.end(false))];
        let [fulfilled, rejected] = &handlers;
        promise.then(fulfilled.as_ref().unchecked_ref(), rejected.as_ref().unchecked_ref());
        self.next.set(Some(handlers));
    }

    fn responded(self: Rc<Self>, response: JsValue) {
        let response: Response = response.unchecked_into();
        self.give(head(&self.request, &response));
        let Some(body) = response.body() else { return self.end(true) };
        let body: Body = JsValue::from(body).unchecked_into();
        self.reader.replace(Some(body.reader()));
        self.read();
    }

    fn read(self: Rc<Self>) {
        if self.aborted() {
            return;
        }
        let promise = self.reader.borrow().as_ref().map(Reader::read);
        if let Some(promise) = promise {
            self.wait(&promise, Self::received);
        }
    }

    fn received(self: Rc<Self>, read: JsValue) {
        let read: ReadResult = read.unchecked_into();
        if read.done() {
            return self.end(true);
        }
        let data = Bytes::from(read.value().map_or_else(Vec::new, |value| value.to_vec()));
        if !data.is_empty() {
            self.give(Input::FetchChunk { id: self.request.id, data });
        }
        self.read();
    }

    fn aborted(&self) -> bool {
        self.signal.as_ref().is_some_and(AbortSignal::aborted)
    }

    fn give(&self, input: Input) {
        if let Some(shell) = self.listener() {
            shell.input(input);
        }
    }

    fn end(&self, whole: bool) {
        let id: RequestId = self.request.id;
        if let Some(shell) = self.listener() {
            let input = if whole { Input::FetchDone { id } } else { Input::FetchFailed { id } };
            shell.fetch_ended(id, input);
        }
    }

    /// The shell, until the request is aborted.
    fn listener(&self) -> Option<Rc<Shell>> {
        if self.aborted() { None } else { self.shell.upgrade() }
    }
}

fn head(request: &FetchRequest, response: &Response) -> Input {
    let headers = response.headers();
    let header = |name: &str| headers.get(name).ok().flatten();
    // `Content-Length` counts bytes as they travel, compressed or not. Another site's
    // `Content-Encoding` cannot be seen (it is no CORS-safelisted header): playlists are text and
    // often compressed, media are not.
    let hidden = response.type_() == ResponseType::Cors && request.kind == FetchKind::Playlist;
    let compressed = hidden || header("content-encoding").is_some();
    let length = if compressed { None } else { header("content-length") };
    let url = response.url();
    Input::FetchHead {
        id: request.id,
        status: response.status(),
        content_length: length.and_then(|length| length.trim().parse().ok()),
        content_range: header("content-range").and_then(|range| parse_content_range(&range)),
        content_type: header("content-type"),
        url: if url.is_empty() { request.url.clone() } else { url },
    }
}

/// `Range` for the bytes from `first` to before `end` (RFC 9110 §14.1.2, where the last is included).
fn range_header(first: u64, end: Option<u64>) -> String {
    let mut header = String::from("bytes=");
    push_decimal(&mut header, first, 1);
    header.push('-');
    if let Some(end) = end {
        push_decimal(&mut header, end.saturating_sub(1).max(first), 1);
    }
    header
}

/// First byte and total size out of `bytes 0-99/1234` or `bytes 0-99/*` (RFC 9110 §14.4).
fn parse_content_range(header: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = header.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse::<u64>().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (first <= last).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_with_and_without_its_total() {
        assert_eq!(parse_content_range("bytes 5-99/1234"), Some((5, Some(1234))));
        assert_eq!(parse_content_range("bytes 0-0/*"), Some((0, None)));
    }

    #[test]
    fn a_content_range_that_is_none_is_ignored() {
        for header in ["", "bytes", "bytes */1234", "bytes 9-5/10", "bytes -5/10", "items 0-1/2"] {
            assert_eq!(parse_content_range(header), None, "{header}");
        }
        assert_eq!(parse_content_range("bytes 0-1/99999999999999999999999"), None);
    }

    #[test]
    fn a_range_names_its_last_byte() {
        assert_eq!(range_header(0, Some(100)), "bytes=0-99");
        assert_eq!(range_header(7, None), "bytes=7-");
        assert_eq!(range_header(7, Some(7)), "bytes=7-7");
    }
}
