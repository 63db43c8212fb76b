//! A phone network without phones: what is sent lands in an inbox, and reports come back as they would.
//!
//! - [`PhoneNetwork`] is the network. Each destination has a [`Behaviour`]: it gets what is sent to it, or is a landline,
//!   opted out, out of reach, and so on. [`PhoneNetwork::with_demo_destinations`] has one of each.
//! - [`SimulatedProvider`] sends over it, and [`SimulatedRiskScorer`] finds destinations as risky as it says.
//!
//! The demo mode of the gateway is made of these, and so a production gateway links them: they are an adapter as any other,
//! depend on the core alone, and are bounded. Tests of applications use them where a phone or a mailbox is wanted.
//!
//! It is not a fake that does as a test tells it, call by call: that is `ScriptedProvider` in `verify-testkit`. And it has no
//! clock: time is that of the clock it is given, and nothing happens by itself.
//!
//! ```
//! use std::sync::Arc;
//! use verify_core::{port::{Clock, Provider}, time::Timestamp, vocabulary::Channel};
//! use verify_demo::{Behaviour, Fate, PhoneNetwork, SimulatedProvider};
//! # use verify_testkit::ManualClock;
//!
//! # let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
//! let network = Arc::new(PhoneNetwork::new(clock));
//! // Texts to this number do not arrive, and are reported so; calls reach it.
//! let lost = Fate::Undelivered { code: 30_003, after: std::time::Duration::from_secs(2) };
//! network.set_behaviour("+12025550123", Behaviour::arrives().on(Channel::Sms, lost));
//! // For `Engine::builder().provider(…)`.
//! let provider = SimulatedProvider::new("phones", Arc::clone(&network));
//! assert!(provider.capabilities().reports && network.inbox("+12025550123").is_empty());
//! ```

mod destinations;
mod phone_network;
mod simulated_provider;

pub use phone_network::{Behaviour, Fate, Message, PhoneNetwork};
pub use simulated_provider::{SimulatedProvider, SimulatedRiskScorer};
