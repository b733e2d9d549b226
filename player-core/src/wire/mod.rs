//! The peer protocol: its messages, and how they are written in bytes.

mod codec;
mod message;

pub use codec::*;
pub use message::*;
