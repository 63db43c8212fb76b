//! What tests of verification need: of an application that embeds the engine, and of an adapter that somebody writes.
//!
//! - Time, chance and keys in hand: [`ManualClock`], [`SeededEntropy`], [`TurningKeys`].
//! - Stores: [`ModelStore`], the simplest there is; [`CountingStore`] and [`FaultyStore`] around any other.
//! - A provider, a risk scorer and a human check that do as they are told: [`ScriptedProvider`],
//!   [`ScriptedRiskScorer`], [`ScriptedHumanCheck`]. [`ManagedCodes`] is what a provider that makes codes keeps.
//! - Suites for your own adapters: [`store_suite!`], [`capped_store_suite!`], [`durable_store_suite!`], [`provider_suite!`],
//!   and [`store_answers_as_the_model!`] on random changesets. [`InTurns`] asks several stores over one state; a [`Recorder`] tells
//!   whether some order explains what many were answered at once.
//!
//! Nothing here reads a clock or draws randomness: what happens depends on what was handed in alone.
//!
//! Phones and mailboxes are in `verify-demo`. How this project takes its own core apart (exploration, a reference, flawed
//! stores) is in `verify-lab`, and of no use to anybody else. Nothing here belongs into a product.
//!
//! ```
//! use verify_core::store::{Store, StoreFault};
//! use verify_testkit::{FaultyStore, ModelStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // For `Engine::builder().store(…)`: from now on it cannot be reached.
//! let store = FaultyStore::new(ModelStore::new());
//! store.set_down(true);
//! assert!(matches!(store.health().await, Err(StoreFault::Unavailable(_))));
//! # }
//! ```

mod around;
mod by_service;
mod clock;
mod counting_store;
mod faulty_store;
mod history;
mod in_turns;
mod managed_codes;
mod model_store;
pub mod requests;
mod scripted_provider;
mod scripted_risk;
pub mod suite;
mod turning_keys;

pub use by_service::ByService;
pub use clock::{ManualClock, SeededEntropy};
pub use counting_store::CountingStore;
pub use faulty_store::{Fault, FaultyStore};
pub use history::{History, Operation, Recorder, Unexplained};
pub use in_turns::InTurns;
pub use managed_codes::{ManagedCodes, SendsUsedUp, SentCode};
pub use model_store::{KeptCounter, ModelState, ModelStore};
pub use scripted_provider::{Asked, ScriptedProvider, Sent, Turn, Verb};
pub use scripted_risk::{ScriptedHumanCheck, ScriptedRiskScorer};
pub use turning_keys::TurningKeys;
