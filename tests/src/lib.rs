//! Potluck's checks that need more than one crate's own tests: the simulation.

pub mod simulation;
pub mod transport_stream;
