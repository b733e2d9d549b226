//! Real cores on a virtual network, in virtual time.
//!
//! A [`World`] says who watches what over which lines; [`World::run`] lets it happen, event by
//! event, and gives a [`Report`]. No clock is read and nothing is random but the seed, so a world
//! runs the same way each time, on however many threads: viewers are in shards, which go ahead by
//! themselves for as long as nothing that one sends can have reached another.
//!
//! The model: each viewer has an uplink that serves its data channels in turns, frame by frame, and
//! a downlink that is one queue; loss is delay; responses of the origin share one connection per
//! viewer, with slow start, and all of them the origin's line. Session descriptions are tokens, and
//! a connection takes three round trips and 200 ms. A media element reads the appended bytes,
//! compares them with what the origin serves, and plays.

mod cases;
mod commons;
mod engine;
mod event;
pub(crate) mod fmp4;
mod http;
mod media;
mod net;
mod origin;
mod peers;
mod plot;
mod polluters;
mod report;
mod run;
#[cfg(test)]
mod sequential;
mod shard;
mod title;
mod trace;
mod tracker;
mod viewer;
mod world;

pub use cases::{Bar, Case, MOST_CONTROL, MOST_DUPLICATES, cases};
pub use engine::Engine;
pub use media::Sample;
pub use origin::{Fault, FaultKind, Ranges};
pub use polluters::Pollution;
pub use report::{Report, Second, SegmentReport, Spread, ViewerReport, jain};
pub use title::{Hashes, Title};
pub use world::{Action, Setting, Step, World};
