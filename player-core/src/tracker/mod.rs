//! The WebTorrent tracker protocol: how peers find each other.
//!
//! The messages are shared with the demo's tracker.

mod binary;
mod message;

pub use binary::*;
pub use message::*;
