//! What tests of verification need, for this project and for applications.
//!
//! - Time and chance in hand: [`ManualClock`], [`SeededEntropy`].
//! - Stores: [`ModelStore`], the simplest there is; [`CountingStore`] and [`FaultyStore`] around any other; a
//!   [`FlawedStore`] that tests of the tests must find out.
//! - A provider, a risk scorer and a human check that do as they are told: [`ScriptedProvider`],
//!   [`ScriptedRiskScorer`], [`ScriptedHumanCheck`].
//! - Exploration of every interleaving of several flows: [`explore`]. A [`Watch`] counts again what any run does.
//! - A naive reference of what a policy promises, to compare with: [`mod@reference`].
//! - Suites for your own adapters: [`store_suite!`], [`provider_suite!`].
//!
//! Nothing here reads a clock or draws randomness: what happens depends on what was handed in alone.

mod by_service;
mod clock;
mod counting_store;
pub mod explore;
mod faulty_store;
mod flawed_store;
mod managed_codes;
mod model_store;
pub mod reference;
mod scripted_provider;
mod scripted_risk;
pub mod suite;
mod watch;

pub use by_service::ByService;
pub use clock::{ManualClock, SeededEntropy};
pub use counting_store::CountingStore;
pub use faulty_store::{Fault, FaultyStore};
pub use flawed_store::{Flaw, FlawedStore};
pub use model_store::{KeptCounter, ModelState, ModelStore};
pub use scripted_provider::{Asked, ScriptedProvider, Sent, Turn, Verb};
pub use scripted_risk::{ScriptedHumanCheck, ScriptedRiskScorer};
pub use watch::{Course, Holds, Watch};
