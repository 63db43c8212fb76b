//! The pure policy engine for verification and 2FA.
//!
//! It decides whether, when, how and through whom somebody is challenged, and what a guess is worth. It has no runtime, no
//! HTTP, no clock and no randomness: time, a seed and the answers of the outside world are inputs. Applications embed
//! `verify-engine`, which drives it; this crate is for whoever writes an adapter, a driver or a policy.
//!
//! # The loop
//!
//! 1. Make a [`Machine`](flow::Machine) of policies and routes, once. It holds no state.
//! 2. [`start`](flow::Machine::start) it with a [`Command`](command::Command), the time and 32 random bytes. What comes
//!    back is a [`Step`](flow::Step).
//! 3. Do what the step says: apply a changeset, ask a scorer or a provider. Drop the call at the step's `not_after`; what
//!    may have happened is then `Unknown`, what surely did not begin is `NotApplied` or `NotAsked`.
//! 4. `resume` the step with the time *now* and the answer. It is consumed, and the next one comes back.
//! 5. [`Done`](flow::Step::Done) holds the [`Outcome`](outcome::Outcome). Run its `follow_up`, if there is one, after you
//!    have answered.
//!
//! A flow ends within [`MOST_STEPS`](flow::MOST_STEPS) steps and [`FLOW_BUDGET`](flow::FLOW_BUDGET). It may be dropped
//! between any two steps, as a crash would: what was recorded is the truth, and the next command or a
//! [`Tick`](command::Command::Tick) of the record repairs it.
//!
//! Time may jump; see [`time`]. The same inputs always give the same steps.
//!
//! ```
//! # use std::collections::{BTreeMap, BTreeSet};
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! use verify_core::command::{CheckRequest, Command, SendRequest};
//! use verify_core::flow::{AssessAnswer, Machine, Routes, Start, Step};
//! use verify_core::outcome::Answer;
//! use verify_core::policy::PolicySet;
//! use verify_core::port::{Compared, Concluded, Dispatched, Inquired};
//! use verify_core::store::{StoreAnswer, evaluate};
//! # use verify_core::keys::Keys;
//! # use verify_core::limit::Counter;
//! # use verify_core::port::{Capabilities, Maker, Scopes};
//! # use verify_core::seed::Seed;
//! # use verify_core::store::{Claim, ClaimKey, CounterKey, RecordKey, Row, View};
//! # use verify_core::time::Timestamp;
//! # use verify_core::vocabulary::Channel;
//! # #[derive(Default)]
//! # struct Shelf {
//! #     counters: BTreeMap<CounterKey, Counter>,
//! #     records: BTreeMap<RecordKey, Row>,
//! #     claims: BTreeMap<ClaimKey, Claim>,
//! #     version: u64,
//! # }
//! # impl View for Shelf {
//! #     fn counter(&self, key: &CounterKey) -> Option<Counter> { self.counters.get(key).cloned() }
//! #     fn record(&self, key: &RecordKey) -> Option<Row> { self.records.get(key).cloned() }
//! #     fn claim(&self, key: &ClaimKey) -> Option<Claim> { self.claims.get(key).cloned() }
//! # }
//! # impl Shelf {
//! #     fn write(&mut self, it: verify_core::store::Evaluation) {
//! #         self.counters.extend(it.counters.into_iter().map(|(key, state, _)| (key, state)));
//! #         for (key, row) in it.records {
//! #             match row { Some(row) => { self.records.insert(key, row); } None => { self.records.remove(&key); } }
//! #         }
//! #         for (key, claim) in it.claims {
//! #             match claim { Some(claim) => { self.claims.insert(key, claim); } None => { self.claims.remove(&key); } }
//! #         }
//! #     }
//! # }
//! # let provider = Capabilities {
//! #     name: "sms".into(),
//! #     channels: vec![Channel::Sms],
//! #     maker: Maker::Own,
//! #     scopes: Scopes::default(),
//! #     can_inquire: false,
//! #     can_conclude: false,
//! #     reports: false,
//! # };
//! # let routes = Routes {
//! #     providers: [("sms".into(), provider)].into(),
//! #     order: [((Channel::Sms, None), vec!["sms".into()])].into(),
//! # };
//! # let keys = Arc::new(Keys::generate(&[42; 32]));
//! let policies = PolicySet::from_toml("version = 1\n[code]\nttl = \"5m\"\n")?.policies;
//! let machine = Machine::new(Arc::new(policies), Arc::new(routes));
//!
//! // A store is a map and one function, a provider takes what it is given.
//! let mut shelf = Shelf::default();
//! let mut arrived = None;
//! let mut run = |command, now| {
//!     # let start = Start {
//!     #     now,
//!     #     seed: Seed::from_bytes([shelf.version as u8; 32]),
//!     #     keys: Arc::clone(&keys),
//!     #     open_breakers: BTreeSet::new(),
//!     #     human_check: false,
//!     # };
//!     let mut step = machine.start(command, start);
//!     loop {
//!         step = match step {
//!             Step::Store(it) => {
//!                 shelf.version += 1;
//!                 let evaluation = evaluate(it.changeset(), &shelf, shelf.version);
//!                 let (applied, seen) = (evaluation.applied, evaluation.seen.clone());
//!                 shelf.write(evaluation); // nothing, when it is refused
//!                 it.resume(now, if applied { StoreAnswer::Applied(seen) } else { StoreAnswer::Refused(seen) })
//!             }
//!             Step::Dispatch(it) => {
//!                 arrived = it.request().code.as_ref().map(|code| code.expose().to_owned());
//!                 it.resume(now, Dispatched::Accepted { upstream: None })
//!             }
//!             // Nobody is there to be asked.
//!             Step::Assess(it) => it.resume(now, AssessAnswer::Unavailable),
//!             Step::Compare(it) => it.resume(now, Compared::NotAsked(Default::default())),
//!             Step::Inquire(it) => it.resume(now, Inquired::Unknown),
//!             Step::Conclude(it) => it.resume(now, Concluded::Gone),
//!             Step::Done(outcome) => break (outcome.answer, arrived.take()),
//!         }
//!     }
//! };
//!
//! let now = Timestamp::from_millis(1_800_000_000_000);
//! let (Answer::Sent(verification), Some(code)) = run(Command::Send(SendRequest::to("+12025550123")), now) else {
//!     panic!("nothing was sent");
//! };
//! let check = CheckRequest::of(&verification.id, code);
//! let (answer, _) = run(Command::Check(check.clone()), now + Duration::from_secs(20));
//! assert!(matches!(answer, Answer::Approved(_)));
//!
//! // A code is good once.
//! let (answer, _) = run(Command::Check(check), now + Duration::from_secs(21));
//! assert!(matches!(answer, Answer::Refused(_)));
//! # Ok::<(), verify_core::policy::PolicyErrors>(())
//! ```
//!
//! # What is where
//!
//! | module | |
//! |---|---|
//! | [`command`], [`outcome`] | what goes in, what comes out |
//! | [`flow`] | the machine, its steps, and a module for each command |
//! | [`policy`] | files and code to a checked policy |
//! | [`limit`] | the two arithmetics: windows, and runs of failures |
//! | [`store`] | changesets, the function that decides them, the port |
//! | [`record`] | what is kept of a destination, with its transition tables |
//! | [`port`] | the other ports, each with its safe direction of failure |
//! | [`destination`], [`code`], [`keys`], [`token`], [`seal`] | canonical forms, codes, key rings, sealed tokens |
//! | [`event`] | what goes to the outbox |
//! | [`vocabulary`], [`time`], [`seed`], [`secret`] | small words of the domain |
//!
//! # Personal data
//!
//! A number, a mailbox, a user id and a code go in with a command and out with a dispatch. In between they are in types
//! without a telling `Debug`; what is stored, logged or counted is a [fingerprint](keys::Print) or sealed.

#[cfg(not(feature = "broken"))]
mod broken;
#[cfg(feature = "broken")]
pub mod broken;
pub mod code;
pub mod command;
pub mod destination;
pub mod event;
pub mod flow;
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
