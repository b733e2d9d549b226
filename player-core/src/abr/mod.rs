//! Adaptive bitrate: what the origin's line and the viewer's carry, and which variant fits it.

mod bandwidth;
mod line;
mod selection;

pub(crate) use bandwidth::BandwidthEstimator;
pub(crate) use line::Line;
pub(crate) use selection::{Rung, Situation, select};
