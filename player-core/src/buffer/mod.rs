//! What the media element holds, and what keeps it from playing.

mod ranges;
mod stall;

pub(crate) use ranges::Ranges;
pub(crate) use stall::{StallAction, StallWatch};
