//! WebSockets to trackers.

use std::rc::Weak;

use js_sys::{Function, JsString};
use player_core::io::{Input, TrackerId};
use wasm_bindgen::prelude::*;
use web_sys::WebSocket;

use crate::messages::Message;
use crate::shell::Shell;

/// Longer messages are dropped before they are copied, in UTF-16 units: no tracker has that much to say.
const LONGEST_MESSAGE: u32 = 1 << 20;

/// An open or opening WebSocket. Dropped, it closes, and says nothing more.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: WebSocket,
    _handlers: [Closure<dyn Fn(JsValue)>; 3],
}

impl Socket {
    /// Connects. `None` when the browser refuses the URL.
    #[inline(never)]
    pub(crate) fn open(shell: &Weak<Shell>, tracker: TrackerId, url: &str) -> Option<Self> {
        let socket = WebSocket::new(url).ok()?;
        let handler = |act: fn(&Shell, TrackerId, JsValue)| {
            let shell = shell.clone();
            Closure::new(move |event| {
                if let Some(shell) = shell.upgrade() {
                    act(&shell, tracker, event);
                }
            })
        };
        let open = handler(|shell, tracker, _| shell.input(Input::TrackerOpened(tracker)));
        let message = handler(|shell, tracker, event| {
            let data = event.unchecked_into::<Message>().data();
            let text: Option<JsString> = data.dyn_into().ok();
            if let Some(text) = text.filter(|text| text.length() <= LONGEST_MESSAGE) {
                shell.input(Input::TrackerMessage(tracker, text.into()));
            }
        });
        // An error is always followed by a close.
        let close = handler(|shell, tracker, _| shell.tracker_closed(tracker));
        socket.set_onopen(Some(function(&open)));
        socket.set_onmessage(Some(function(&message)));
        socket.set_onclose(Some(function(&close)));
        Some(Self { socket, _handlers: [open, message, close] })
    }

    /// Sends a text message; false when the socket is not open.
    pub(crate) fn send(&self, text: &str) -> bool {
        self.socket.ready_state() == WebSocket::OPEN && self.socket.send_with_str(text).is_ok()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}

fn function(handler: &Closure<dyn Fn(JsValue)>) -> &Function {
    handler.as_ref().unchecked_ref()
}
