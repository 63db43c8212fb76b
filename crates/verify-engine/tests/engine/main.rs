//! The engine as a whole, over a store and a provider that the tests hold in their hand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is amiss"
)]

mod assess;
mod background;
mod breakers;
mod builder;
mod dropped_callers;
mod examples;
mod faults;
mod lost_data;
mod mock_provider;
mod private;
mod rekeying;
mod shield;
mod sinks;
mod support;
mod telemetry;
mod two_engines;
