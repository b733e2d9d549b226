//! The peer protocol.
mod message;
pub use message::*;
