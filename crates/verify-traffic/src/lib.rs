//! Attack traffic by seed: what an attack costs and whom it hurts under a policy, before it happens.
//!
//! A [`Simulation`] is a world on a clock of its own: the real decision core over a store in memory, honest people, and
//! attackers, each an [`Actor`]. All chance comes from one seed, so the same seed gives the same bytes. A [`Ledger`]
//! keeps what each attacker got, what honest people suffered and what operators would have seen; [`report`] prints it
//! as a table, as JSON and as a page with plots.
//!
//! Ready-made worlds are in [`scenario`]. An attacker of your own:
//!
//! ```
//! use std::time::Duration;
//! use verify_core::command::SendRequest;
//! use verify_core::policy::PolicySet;
//! use verify_core::time::Timestamp;
//! use verify_traffic::{Actor, Booth, Simulation, market};
//!
//! /// One message a second to numbers in a row.
//! struct Row(u64);
//!
//! impl Actor for Row {
//!     fn name(&self) -> &'static str {
//!         "row"
//!     }
//!     fn defeats(&self) -> &'static str {
//!         "limit by address"
//!     }
//!     fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
//!         self.0 += 1;
//!         let from = booth.any_address();
//!         booth.send(SendRequest::to(market("NG").number(self.0)).ip(from));
//!         Some(booth.now() + Duration::from_secs(1))
//!     }
//! }
//!
//! let mut simulation = Simulation::new(PolicySet::default(), 7);
//! simulation.add(Duration::ZERO, Row(0));
//! simulation.run(Duration::from_secs(300));
//! let got = simulation.ledger().account("row").unwrap();
//! // The default policy asks for a human after thirty messages to one prefix, three of them kept for known callers.
//! assert_eq!((got.sends, got.messages), (300, 27));
//! ```

pub mod actors;
mod booth;
mod chance;
mod ledger;
mod markets;
pub mod report;
pub mod scenario;
mod simulation;
mod weather;
mod world;

pub use booth::{Actor, Booth, Leaving, Reply, Side};
pub use chance::Chance;
pub use ledger::{Account, Alert, Ledger, People, Sent, Series};
pub use markets::{MARKETS, Market, market};
pub use simulation::{START, Simulation};
pub use weather::Weather;
