//! Data channels to peers: handed over by the page, or relayed by it where that is not possible.

use std::cell::Cell;
use std::rc::Weak;

use bytes::Bytes;
use js_sys::{ArrayBuffer, Function, Uint8Array};
use player_core::io::{ConnectionId, Input};
use player_core::wire::MAX_FRAME_BYTES;
use wasm_bindgen::prelude::*;
use web_sys::{RtcDataChannel, RtcDataChannelState, RtcDataChannelType};

use crate::messages::Message;
use crate::shell::Shell;

/// Most bytes in a channel's buffer. Media is held back long before; what piles up so far are answers to an endless line of
/// questions, for somebody who does not read them: that channel is closed.
pub(crate) const MAX_UNREAD: usize = 4 << 20;

/// A way to a peer.
#[derive(Debug)]
pub(crate) enum Link {
    /// The page makes the connection; there is no channel yet.
    Pending,
    /// The channel lives here.
    Channel(Channel),
    /// The channel lives on the page, which relays each message.
    Relay(Pressure),
}

/// How much was sent since the core was last told that a channel's buffer is low.
///
/// The core counts what it sends and stops at a mark until it hears `PeerWritable`. A channel
/// reports only a fall from above the low mark to below it, so one that drains faster than it is
/// fed would never report: what was sent without a report is counted here too, and once it
/// exceeds the low mark while the buffer is below it, the report is made from here.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    unreported: Cell<usize>,
}

impl Pressure {
    /// Counts a message that was sent.
    pub(crate) fn sent(&self, bytes: usize) {
        self.unreported.set(self.unreported.get().saturating_add(bytes));
    }

    /// The buffer holds `amount` bytes now: whether the core is to be told that it is low.
    pub(crate) fn is_low(&self, amount: usize, low: usize) -> bool {
        let report = amount <= low && self.unreported.get() > low;
        if report {
            self.unreported.set(0);
        }
        report
    }

    /// The buffer fell below the low mark.
    fn fell(&self) {
        self.unreported.set(0);
    }
}

/// A data channel that lives in this worker. Dropped, it closes, and says nothing more.
#[derive(Debug)]
pub(crate) struct Channel {
    channel: RtcDataChannel,
    pressure: Pressure,
    low: usize,
    _handlers: [Closure<dyn Fn(JsValue)>; 4],
}

impl Channel {
    /// Takes over a channel. `low` is its low mark in bytes.
    pub(crate) fn adopt(
        shell: &Weak<Shell>,
        connection: ConnectionId,
        channel: RtcDataChannel,
        low: usize,
    ) -> Self {
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(u32::try_from(low).unwrap_or(u32::MAX));
        let handler = |act: fn(&Shell, ConnectionId, JsValue)| {
            let shell = shell.clone();
            Closure::new(move |event| {
                if let Some(shell) = shell.upgrade() {
                    act(&shell, connection, event);
                }
            })
        };
        let open = handler(|shell, connection, _| shell.input(Input::PeerConnected(connection)));
        let message = handler(|shell, connection, event| {
            let data = event.unchecked_into::<Message>().data();
            // Text: no peer of ours sends any.
            let frame = data.dyn_into::<ArrayBuffer>().ok().as_ref().and_then(bytes);
            match frame {
                Some(frame) => shell.input(Input::PeerFrame(connection, frame)),
                None => shell.link_broke(connection),
            }
        });
        let low_again = handler(|shell, connection, _| shell.buffer_fell(connection));
        let closed = handler(|shell, connection, _| shell.link_broke(connection));
        channel.set_onopen(Some(function(&open)));
        channel.set_onmessage(Some(function(&message)));
        channel.set_onbufferedamountlow(Some(function(&low_again)));
        channel.set_onclose(Some(function(&closed)));
        channel.set_onerror(Some(function(&closed)));
        Self {
            channel,
            pressure: Pressure::default(),
            low,
            _handlers: [open, message, low_again, closed],
        }
    }

    /// Whether it was open already when it came, or closed: then no event will say so.
    pub(crate) fn state(&self) -> RtcDataChannelState {
        self.channel.ready_state()
    }

    /// Sends a message. Whether the core is to be told that the buffer is low; an error when the
    /// channel is not open or has more than [`MAX_UNREAD`] in its buffer.
    pub(crate) fn send(&self, message: &[u8]) -> Result<bool, JsValue> {
        self.channel.send_with_u8_array(message)?;
        self.pressure.sent(message.len());
        let amount = self.channel.buffered_amount() as usize;
        if amount > MAX_UNREAD {
            return Err(JsValue::NULL);
        }
        Ok(self.pressure.is_low(amount, self.low))
    }

    /// The browser says that the buffer fell below the low mark.
    pub(crate) fn fell(&self) {
        self.pressure.fell();
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channel.set_onopen(None);
        self.channel.set_onmessage(None);
        self.channel.set_onbufferedamountlow(None);
        self.channel.set_onclose(None);
        self.channel.set_onerror(None);
        self.channel.close();
    }
}

/// The bytes of a message, copied into wasm's memory; `None` when there are more than the
/// protocol allows: those are not worth copying.
pub(crate) fn bytes(data: &ArrayBuffer) -> Option<Bytes> {
    (data.byte_length() as usize <= MAX_FRAME_BYTES).then(|| Uint8Array::new(data).to_vec().into())
}

/// A copy of the bytes outside wasm's memory, to be transferred.
pub(crate) fn buffer(bytes: &[u8]) -> ArrayBuffer {
    Uint8Array::from(bytes).buffer()
}

fn function(handler: &Closure<dyn Fn(JsValue)>) -> &Function {
    handler.as_ref().unchecked_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_drains_at_once_is_reported_low_after_enough_was_sent() {
        let pressure = Pressure::default();
        pressure.sent(60);
        assert!(!pressure.is_low(0, 64), "too little was sent for the core to wait");
        pressure.sent(60);
        assert!(pressure.is_low(0, 64));
        assert!(!pressure.is_low(0, 64), "reported once");
    }

    #[test]
    fn a_full_buffer_is_not_reported_until_it_fell() {
        let pressure = Pressure::default();
        pressure.sent(300);
        assert!(!pressure.is_low(300, 64));
        pressure.fell();
        assert!(!pressure.is_low(10, 64), "the fall itself was the report");
    }
}
