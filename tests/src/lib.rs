//! Potluck's checks that need more than one crate's own tests: the simulation, the stage, and streams that are encrypted
//! for them.

pub mod abr;
pub mod encrypt;
pub mod replay;
pub mod simulation;
pub mod stage;
pub mod transport_stream;
