//! Lanes over a backend that the tests hold in their hand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is amiss"
)]

mod bounds;
mod changesets;
mod doubt;
mod faults;
mod memory;
mod one_after_the_other;
mod room;
mod stalled;
mod store;
mod suite;
mod telemetry;
