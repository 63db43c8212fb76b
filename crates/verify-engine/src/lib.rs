//! The engine: what an application embeds.
//!
//! `verify-core` decides, without a clock, a network or a runtime; this crate is the short loop around it that asks
//! the outside world and brings the answers back. It adds no rule of its own. What it does add is what a rule cannot
//! be: deadlines on every outside call, breakers for each provider, pacing and the flood shield, repair of what a
//! crash left open, delivery of events, and telemetry.
//!
//! Start with [`Engine::builder`]; `examples/smallest.rs` is a whole program. Then [`Engine::send`] and
//! [`Engine::check`]: each takes its request and returns an [`Outcome`](verify_core::outcome::Outcome) with that command's
//! own answer, and with the explanation that operators need. A refusal is an answer; a
//! [`Fault`](verify_core::outcome::Fault) is the error.
//!
//! # What holds
//!
//! - A flow that began runs to its end, also when its caller goes away; [`Engine::drain`] waits for all of them.
//! - An outside call is dropped at its step's deadline. What may have happened is `Unknown`, never taken for a
//!   failure and never repeated; only what surely never began is taken as not done.
//! - A store that fails refuses. Nothing is allowed because of a fault.
//! - Logs, spans and metrics carry fingerprints, never a number, a mailbox, a code or a user id.
//!
//! # Running it
//!
//! Keep [`Engine::spawn_background`] running, in any number of processes on one store: it repairs, expires, and
//! hands events to the sink. [`Engine::readiness`] is for a load balancer, [`telemetry`] lists what to watch.

mod assess;
mod background;
mod breaker;
mod build_error;
mod builder;
mod carrier;
mod caught;
mod deliverer;
mod driver;
mod engine;
mod first_poll;
mod meters;
mod outside;
mod rate;
mod readiness;
mod rekey;
mod sinks;
mod store_watch;
mod system;
pub mod telemetry;
mod without_effect;

pub use background::{Background, Pumped, Swept};
pub use build_error::BuildError;
pub use builder::EngineBuilder;
pub use deliverer::Deliverer;
pub use engine::Engine;
pub use rate::FloodShield;
pub use readiness::{ProviderReadiness, Readiness};
pub use system::{SystemClock, SystemEntropy};
pub use verify_core;
