//! One number for a whole run: equal when, and only when, each core said the same at the same time.

use player_core::io::{Input, MediaCommand, Output};
use player_core::time::Instant;
use player_core::wire::Message;
use std::hash::Hasher;

use super::title::mix;

/// A running hash of all outputs.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Trace {
    hash: u64,
    pub(super) outputs: u64,
}

impl Hasher for Trace {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 56);
        }
    }
}

impl std::fmt::Write for Trace {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

impl Trace {
    const fn word(&mut self, word: u64) {
        self.hash = mix(self.hash.rotate_left(5) ^ word);
    }

    /// Media bytes: their length and both ends, which tell one block from another.
    fn media(&mut self, data: &[u8]) {
        self.word(data.len() as u64);
        self.write(&data[..data.len().min(16)]);
        self.write(&data[data.len().saturating_sub(16)..]);
    }

    /// Adds an output of a viewer's core.
    pub(super) fn output(&mut self, now: u64, viewer: u32, output: &Output) {
        self.outputs += 1;
        self.word(now);
        self.word(u64::from(viewer));
        // The frequent ones without text.
        match output {
            Output::SendPeer(connection, message) => {
                self.word(1 << 32 | u64::from(connection.0));
                match message {
                    Message::Piece { id, offset, data } => {
                        self.word(u64::from(*id) << 32 | u64::from(*offset));
                        self.media(data);
                    }
                    Message::Request { id, segment, block, due_ms } => {
                        self.word(u64::from(*due_ms));
                        self.word(u64::from(*id) << 32 | u64::from(*block));
                        self.word(u64::from(segment.rendition.0));
                        self.word(segment.sequence);
                    }
                    Message::Have { rendition, entries } => {
                        self.word(2 << 32 | u64::from(rendition.0));
                        for entry in entries {
                            self.word(entry.sequence);
                            self.word(u64::from(entry.tag) << 32 | u64::from(entry.size));
                            let blocks = entry.blocks.len();
                            for block in (0..blocks).filter(|block| entry.blocks.has(*block)) {
                                self.word(u64::from(block));
                            }
                        }
                    }
                    other => self.text(other),
                }
            }
            Output::Media(MediaCommand::Append { data, timestamp_offset, .. }) => {
                self.word(3 << 32);
                self.word(timestamp_offset.map_or(1, f64::to_bits));
                self.media(data);
            }
            other => self.text(other),
        }
    }

    fn text(&mut self, value: &impl std::fmt::Debug) {
        // Writing to a hash cannot fail.
        let _ = std::fmt::Write::write_fmt(self, format_args!("{value:?}"));
    }
}

/// Writes an input to standard error, media bytes left out.
pub(super) fn log_input(now: Instant, input: &Input) {
    let now = now.as_secs_f64();
    match input {
        Input::FetchChunk { id, data } => eprintln!("{now:.3} <- {id:?} {} bytes", data.len()),
        Input::PeerMessage(connection, Message::Piece { id, offset, data }) => {
            eprintln!("{now:.3} <- {connection:?} piece {id} +{offset} {} bytes", data.len());
        }
        Input::TrackerMessage(_, text) => eprintln!("{now:.3} <- tracker {text}"),
        other => eprintln!("{now:.3} <- {other:?}"),
    }
}

/// Writes an output to standard error, media bytes left out.
pub(super) fn log_output(now: Instant, output: &Output) {
    let now = now.as_secs_f64();
    match output {
        Output::SendPeer(connection, Message::Piece { id, offset, data }) => {
            eprintln!("{now:.3}    -> {connection:?} piece {id} +{offset} {} bytes", data.len());
        }
        Output::Media(MediaCommand::Append { data, timestamp_offset, .. }) => {
            eprintln!("{now:.3}    -> append {} bytes, offset {timestamp_offset:?}", data.len());
        }
        other => eprintln!("{now:.3}    -> {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use player_core::io::ConnectionId;

    fn hash(outputs: &[(u64, u32, Output)]) -> u64 {
        let mut trace = Trace::default();
        for (now, viewer, output) in outputs {
            trace.output(*now, *viewer, output);
        }
        trace.finish()
    }

    #[test]
    fn time_viewer_order_and_content_all_matter() {
        let piece = |byte| {
            let data = bytes::Bytes::from(vec![byte; 100]);
            Output::SendPeer(ConnectionId(1), Message::Piece { id: 1, offset: 0, data })
        };
        let a = hash(&[(1, 1, piece(1)), (2, 2, Output::ClosePeer(ConnectionId(1)))]);
        assert_eq!(a, hash(&[(1, 1, piece(1)), (2, 2, Output::ClosePeer(ConnectionId(1)))]));
        for other in [
            hash(&[(1, 1, piece(2)), (2, 2, Output::ClosePeer(ConnectionId(1)))]),
            hash(&[(1, 2, piece(1)), (2, 2, Output::ClosePeer(ConnectionId(1)))]),
            hash(&[(1, 1, piece(1)), (3, 2, Output::ClosePeer(ConnectionId(1)))]),
            hash(&[(1, 1, piece(1)), (2, 2, Output::ClosePeer(ConnectionId(2)))]),
            hash(&[(2, 2, Output::ClosePeer(ConnectionId(1))), (1, 1, piece(1))]),
        ] {
            assert_ne!(a, other);
        }
    }
}
