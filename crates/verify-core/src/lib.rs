//! The pure policy engine for verification and 2FA.
//!
//! It decides whether, when, how and through whom somebody is challenged, and what a guess is worth. It has no runtime, no
//! HTTP, no clock and no randomness: time, a seed and the answers of the outside world are inputs. Applications embed
//! `verify-engine`, which drives it; this crate is for whoever writes an adapter, a driver or a policy.
//!
//! # The loop
//!
//! 1. Make a [`Machine`](flow::Machine) of policies and routes, once. It holds no state.
//! 2. [`start`](flow::Machine::start) it with a [request](outcome::Request), the time and random bytes. What comes back is
//!    a [`Step`](flow::Step).
//! 3. Do what the step says: apply a changeset, ask a scorer or a provider. Begin nothing after the step's
//!    [`not_after`](flow::Step::not_after), and drop the call then.
//! 4. `resume` the step with the time *now* and the answer. It is consumed, and the next one comes back. Without an answer
//!    it is [`lost`](flow::Step::lost) when it may have happened, [`not_begun`](flow::Step::not_begun) when it surely did
//!    not: which answer is safe then is the step's business.
//! 5. [`Answer`](flow::Step::Answer) is the outcome of a flow that goes on after it: hand it over at once, and resume. What
//!    [`Done`](flow::Step::Done) says then is for operators.
//! 6. [`Done`](flow::Step::Done) holds the [`Outcome`](outcome::Outcome), and the outcome the request's own answer. Run its
//!    `follow_up`, if there is one, after you have answered.
//!
//! [`flow::drive`] is this loop over an [`Outside`](flow::Outside) that answers at once.
//!
//! A flow ends within [`MOST_STEPS`](flow::MOST_STEPS) steps and [`FLOW_BUDGET`](flow::FLOW_BUDGET). It may be dropped
//! between any two steps, as a crash would: what was recorded is the truth, and the next command or a
//! [`Tick`](command::Command::Tick) of the record repairs it.
//!
//! Time may jump; see [`time`]. The same inputs always give the same steps.
//!
//! ```
//! use std::time::Duration;
//! # use std::sync::Arc;
//! use verify_core::command::{CheckRequest, SendRequest};
//! use verify_core::flow::{AssessAnswer, Machine, Outside, Question, Resting, Routes, Start, drive};
//! use verify_core::outcome::{CheckAnswer, Fault, Outcome, Request, SendAnswer};
//! use verify_core::policy::PolicySet;
//! use verify_core::port::*;
//! use verify_core::store::{Changeset, Loaded, StoreAnswer};
//! use verify_core::time::Timestamp;
//! # use verify_core::code::Code;
//! # use verify_core::keys::Keys;
//! # use verify_core::seed::Seed;
//! # use verify_core::vocabulary::Channel;
//!
//! /// A store is a map and one function, a provider takes what it is given.
//! struct Toy {
//!     machine: Machine,
//!     now: Timestamp,
//!     shelf: Loaded,
//!     version: u64,
//!     arrived: Option<String>,
//! }
//!
//! impl Outside for Toy {
//!     fn now(&self) -> Timestamp {
//!         self.now
//!     }
//!     fn apply(&mut self, changeset: &Changeset) -> StoreAnswer {
//!         self.version += 1;
//!         let decided = self.shelf.decide(changeset, self.version);
//!         match decided.applied {
//!             true => StoreAnswer::Applied(decided.seen),
//!             false => StoreAnswer::Refused(decided.seen),
//!         }
//!     }
//!     fn dispatch(&mut self, request: &DispatchRequest) -> Dispatched {
//!         self.arrived = request.code.as_ref().map(|code| code.expose().to_owned());
//!         Dispatched::Accepted { upstream: None }
//!     }
//!     // Nobody is there to be asked.
//!     fn assess(&mut self, _: &Question) -> AssessAnswer {
//!         AssessAnswer::Unavailable
//!     }
//!     fn compare(&mut self, _: &CompareRequest) -> Compared {
//!         Compared::NotAsked(Detail::default())
//!     }
//!     fn inquire(&mut self, _: &InquireRequest) -> Inquired {
//!         Inquired::Unknown
//!     }
//!     fn conclude(&mut self, _: &ConcludeRequest) -> Concluded {
//!         Concluded::Gone
//!     }
//! }
//!
//! impl Toy {
//!     fn run<R: Request>(&mut self, request: R) -> Result<R::Answer, Fault> {
//!         # let start = Start {
//!         #     now: self.now,
//!         #     seed: Seed::from_bytes([self.version as u8; Seed::BYTES]),
//!         #     keys: Arc::new(Keys::generate(&[42; 32])),
//!         #     resting: Resting::default(),
//!         #     human_check: false,
//!         # };
//!         let step = self.machine.start(request, start);
//!         drive(step, self).of::<R::Answer>().answer
//!     }
//! }
//!
//! # let provider = Capabilities {
//! #     name: "sms".into(),
//! #     channels: vec![Channel::Sms],
//! #     maker: Maker::Own,
//! #     scopes: Scopes::default(),
//! #     can_inquire: false,
//! #     can_conclude: false,
//! #     reports: false,
//! #     most_checks: None,
//! # };
//! let policies = PolicySet::from_toml("version = 1\n[code]\nttl = \"5m\"\n")?.policies;
//! let mut toy = Toy {
//!     machine: Machine::new(policies.into(), Routes::in_order([provider]).into()),
//!     now: Timestamp::from_millis(1_800_000_000_000),
//!     shelf: Loaded::default(),
//!     version: 0,
//!     arrived: None,
//! };
//! let SendAnswer::Sent(verification) = toy.run(SendRequest::to("+12025550123"))? else {
//!     panic!("nothing was sent");
//! };
//! let code = toy.arrived.take().expect("it carries a code");
//! let check = CheckRequest::of(&verification.id, code, "+12025550123");
//! toy.now = toy.now + Duration::from_secs(20);
//! assert!(matches!(toy.run(check.clone())?, CheckAnswer::Approved(_)));
//!
//! // A code is good once.
//! assert!(matches!(toy.run(check)?, CheckAnswer::Refused(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is where
//!
//! | module | |
//! |---|---|
//! | [`command`], [`outcome`] | what goes in, and what each comes to |
//! | [`flow`] | the machine, its steps, and a module for each command |
//! | [`policy`] | files and code to a checked policy |
//! | [`limit`] | the two arithmetics: windows, and runs of failures |
//! | [`store`] | changesets, the function that decides them, the port |
//! | [`record`] | what is kept of a destination, with its transition tables |
//! | [`port`] | the other ports, each with its safe direction of failure |
//! | [`destination`], [`code`], [`keys`], [`token`], [`seal`] | canonical forms, codes, key rings, sealed tokens |
//! | [`event`] | what goes to the outbox |
//! | [`vocabulary`], [`ids`], [`time`], [`seed`], [`secret`], [`address`] | small words of the domain |
//!
//! # Personal data
//!
//! A number, a mailbox, a user id and a code go in with a command and out with a dispatch. In between they are in types
//! without a telling `Debug`; what is stored, logged or counted is a [fingerprint](keys::Print) or sealed.

pub mod address;
#[cfg(not(verify_broken))]
mod broken;
#[cfg(verify_broken)]
pub mod broken;
pub mod code;
pub mod command;
pub mod destination;
mod detail;
pub mod event;
pub mod flow;
mod hidden;
pub mod ids;
pub mod keys;
pub mod limit;
mod mac;
pub mod outcome;
pub mod policy;
pub mod port;
pub mod record;
pub mod seal;
pub mod secret;
pub mod seed;
pub mod store;
pub mod time;
pub mod token;
pub mod vocabulary;
