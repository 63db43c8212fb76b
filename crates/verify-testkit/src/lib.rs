//! The test kit: clocks, fakes, suites and exploration for the core and its adapters.

pub mod explore;
mod model_store;

pub use model_store::{ModelStore, Snapshot};
