//! Adaptive bitrate: what the origin's line carries, and which variant fits it.

mod bandwidth;
mod selection;

pub(crate) use bandwidth::BandwidthEstimator;
pub(crate) use selection::{Rung, Situation, select};
