//! Potluck's engine, without I/O.
pub mod config;
pub mod error;
pub mod hls;
pub mod io;
pub mod stats;
pub mod time;

pub use config::Config;
pub mod tracker;
pub mod wire;
