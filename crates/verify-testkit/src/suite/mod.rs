//! Suites that hold an adapter to the contract of its port, one test a case.
//!
//! ```
//! # mod in_a_test_file {
//! use verify_testkit::{ModelStore, store_suite};
//!
//! store_suite!(model_store, || async { ModelStore::new() });
//! # }
//! ```
//!
//! A case is an async function that panics when the adapter fails it; the macros make a `#[test]` of each. Names
//! begin with the id of the promise that they prove, where there is one.

#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a case fails by panicking, as tests do"
)]

pub mod differential;
mod plans;
pub mod provider;
pub mod store;

/// How many rounds: as many as usual, or what this variable of the environment says for long runs.
///
/// # Panics
/// When it says no number.
pub fn rounds(variable: &str, usual: u32) -> u32 {
    match std::env::var(variable).map(|text| text.parse()) {
        Ok(Ok(rounds)) => rounds,
        Ok(Err(_)) => panic!("{variable} must be a number"),
        Err(_) => usual,
    }
}

/// Runs a case on several threads, so that races are races.
///
/// # Panics
/// When the case fails, or no runtime can be had.
pub fn run(case: impl Future<Output = ()>) {
    match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(case),
        Err(error) => panic!("no runtime to run the case on: {error}"),
    }
}
