//! The WebTorrent tracker protocol: how peers find each other.
//!
//! The messages are shared with the demo's tracker; [`Signaling`] is the client.

mod binary;
mod client;
pub(crate) mod json;
mod link;
mod message;

pub use binary::*;
pub use client::*;
pub(crate) use link::FEW;
pub use message::*;
