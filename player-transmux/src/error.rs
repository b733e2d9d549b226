//! Why a segment cannot be turned into fragmented MP4.

use std::fmt;

use crate::text;

/// Why a segment cannot be turned into fragmented MP4. The next [`begin`](crate::Transmuxer::begin) starts afresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransmuxError {
    /// The segment's bytes are no transport stream and no raw audio.
    UnknownContainer,
    /// The segment is MP4 already.
    AlreadyMp4,
    /// A transport stream without a program association table.
    NoPat,
    /// A transport stream without a program map table.
    NoPmt,
    /// The program has no stream that could be played.
    NoStreams,
    /// Streams were announced, but not one frame with its parameters and a time came.
    NoSamples,
    /// A codec that has no place here, by its stream type (ISO/IEC 13818-1 table 2-34).
    UnsupportedStream {
        /// `stream_type` of the program map table.
        stream_type: u8,
    },
    /// A stream encrypted by SAMPLE-AES, by its stream type.
    EncryptedStream {
        /// `stream_type` of the program map table.
        stream_type: u8,
    },
    /// The transport stream's packets are scrambled.
    Scrambled,
    /// MPEG audio of layer 1 or 2.
    UnsupportedLayer {
        /// The layer, 1 or 2.
        layer: u8,
    },
    /// A frame or an ID3 tag larger than the limit.
    Oversized {
        /// The limit in bytes.
        limit: usize,
    },
}

impl fmt::Display for TransmuxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl TransmuxError {
    /// What [`Display`](fmt::Display) shows, without the standard library's formatting code.
    pub(crate) fn text(self) -> String {
        let mut out = String::new();
        out.push_str(match self {
            Self::UnknownContainer => "neither a transport stream nor raw audio",
            Self::AlreadyMp4 => "already fragmented MP4",
            Self::NoPat => "no PAT",
            Self::NoPmt => "no PMT",
            Self::NoStreams => "no audio or video in the PMT",
            Self::NoSamples => "no complete frame of the announced streams",
            Self::UnsupportedStream { .. } => "codec stream type 0x",
            Self::EncryptedStream { .. } => "encrypted stream type 0x",
            Self::Scrambled => "scrambled transport stream",
            Self::UnsupportedLayer { .. } => "MPEG audio layer ",
            Self::Oversized { .. } => "a frame of more than ",
        });
        match self {
            Self::UnsupportedStream { stream_type } | Self::EncryptedStream { stream_type } => {
                text::hex(&mut out, u32::from(stream_type), 2);
                out.push_str(" not supported");
            }
            Self::UnsupportedLayer { layer } => {
                text::decimal(&mut out, u32::from(layer));
                out.push_str(" not supported");
            }
            Self::Oversized { limit } => {
                text::decimal(&mut out, limit as u32);
                out.push_str(" bytes");
            }
            _ => {}
        }
        out
    }
}

impl std::error::Error for TransmuxError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_cause() {
        assert_eq!(TransmuxError::NoPat.to_string(), "no PAT");
        assert_eq!(
            TransmuxError::UnsupportedStream { stream_type: 2 }.to_string(),
            "codec stream type 0x02 not supported"
        );
        assert_eq!(
            TransmuxError::Oversized { limit: 1024 }.to_string(),
            "a frame of more than 1024 bytes"
        );
    }
}
