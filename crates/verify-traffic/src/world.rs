//! The outside of the core in one place: a store, a provider that delivers, inboxes and the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use verify_core::command::Command;
use verify_core::event::Event;
use verify_core::flow::{AssessAnswer, MOST_STEPS, Machine, Question, Routes, Start, Step};
use verify_core::keys::{Keys, Print};
use verify_core::outcome::{Answer, Explanation, Fault, Outcome};
use verify_core::policy::PolicySet;
use verify_core::port::{
    Assessment, Capabilities, Compared, Concluded, DispatchRequest, Dispatched, Inquired, Maker, RiskLevel,
    Scopes,
};
use verify_core::seed::Seed;
use verify_core::store::EventSeq;
use verify_core::time::Timestamp;
use verify_core::vocabulary::Channel;
use verify_testkit::ModelState;

/// How long an inbox keeps a message: longer than the longest code of a phone lives.
const KEPT: Duration = Duration::from_secs(900);
/// How often what is outlived is dropped.
const HOUSEKEEPING: Duration = Duration::from_secs(600);
/// The token that the human check takes.
pub(crate) const HUMAN: &str = "human";

/// The latest message to a destination.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) code: String,
    pub(crate) at: Timestamp,
    /// Who read it: an approval without having read it is a guess that hit.
    pub(crate) read_by: Option<u64>,
}

/// What a command did besides its outcome.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) trips: u32,
    /// Destinations that a message left for, with its channel.
    pub(crate) left_for: Vec<(String, Channel)>,
    pub(crate) events: Vec<Event>,
}

impl Ran {
    /// Whom it was about.
    pub(crate) fn destination(&self) -> Option<Print> {
        self.outcome.explanation.destination
    }

    /// The rule that refused, or the refusal's code where none took part.
    pub(crate) fn refused_by(&self) -> Option<Arc<str>> {
        let Answer::Refused(refusal) = &self.outcome.answer else {
            return None;
        };
        let first = self.outcome.explanation.rules.first();
        Some(first.map_or_else(|| refusal.code.as_str().into(), |hit| Arc::clone(&hit.rule)))
    }
}

/// One provider that carries own codes, one store, no scorer that could help: the caps alone have to hold.
pub(crate) struct World {
    machine: Machine,
    keys: Arc<Keys>,
    store: ModelState,
    inbox: BTreeMap<String, Letter>,
    /// Inboxes by the fingerprints that the core knows them by.
    by_print: BTreeMap<Print, String>,
    seed: u64,
    commands: u64,
    left_for: Vec<(String, Channel)>,
    cleaned: Timestamp,
}

impl World {
    pub(crate) fn new(policies: PolicySet, seed: u64) -> Self {
        let mut master = [0x5a; 32];
        fill(&mut master, &[seed]);
        Self {
            machine: Machine::new(Arc::new(policies), Arc::new(routes())),
            keys: Arc::new(Keys::generate(&master)),
            store: ModelState::default(),
            inbox: BTreeMap::new(),
            by_print: BTreeMap::new(),
            seed,
            commands: 0,
            left_for: Vec::new(),
            cleaned: Timestamp::ZERO,
        }
    }

    /// How many commands ran.
    pub(crate) fn commands(&self) -> u64 {
        self.commands
    }

    /// How many counters, records, claims, events and letters are held.
    pub(crate) fn held(&self) -> usize {
        let store = &self.store;
        store.counters().len()
            + store.records().len()
            + store.claims().len()
            + store.events().len()
            + self.inbox.len()
    }

    pub(crate) fn letter(&mut self, to: &str) -> Option<&mut Letter> {
        self.inbox.get_mut(to)
    }

    /// Who read the latest message to a destination.
    pub(crate) fn reader(&self, destination: &Print) -> Option<u64> {
        self.inbox.get(self.by_print.get(destination)?)?.read_by
    }

    /// Runs a command to its end, at one instant.
    pub(crate) fn run(&mut self, command: Command, now: Timestamp) -> Ran {
        self.clean(now);
        self.commands += 1;
        let mut seed = [0; 32];
        fill(&mut seed, &[self.seed, self.commands]);
        let start = Start {
            now,
            seed: Seed::from_bytes(seed),
            keys: Arc::clone(&self.keys),
            open_breakers: BTreeSet::new(),
            human_check: true,
        };
        let mut step = self.machine.start(command, start);
        let mut trips = 0;
        for _ in 0..MOST_STEPS {
            if let Step::Done(outcome) = step {
                return self.ran(*outcome, trips);
            }
            trips += u32::from(matches!(step, Step::Store(_)));
            step = self.perform(step, now);
        }
        // The core promises that this does not happen, and its own tests hold it to that.
        let outcome = Outcome {
            answer: Answer::Fault(Fault::Misconfigured),
            explanation: Explanation::default(),
            follow_up: None,
        };
        self.ran(outcome, trips)
    }

    fn ran(&mut self, outcome: Outcome, trips: u32) -> Ran {
        let events: Vec<Event> = self.store.events().values().cloned().collect();
        self.store.acknowledge(EventSeq(u64::MAX));
        let left_for = std::mem::take(&mut self.left_for);
        if let (Some(print), Some((to, _))) = (outcome.explanation.destination, left_for.first()) {
            self.by_print.insert(print, to.clone());
        }
        Ran {
            outcome,
            trips,
            left_for,
            events,
        }
    }

    fn perform(&mut self, step: Step, now: Timestamp) -> Step {
        match step {
            Step::Store(step) => {
                let answer = self.store.apply_now(step.changeset());
                step.resume(now, answer)
            }
            Step::Assess(step) => {
                let answer = match step.question() {
                    Question::Risk(_) => AssessAnswer::Assessed(Assessment {
                        level: Some(RiskLevel::Low),
                        ..Assessment::default()
                    }),
                    Question::Human { token, .. } => AssessAnswer::Human(token == HUMAN),
                };
                step.resume(now, answer)
            }
            Step::Dispatch(step) => {
                let answer = self.deliver(step.request(), now);
                step.resume(now, answer)
            }
            // The only provider carries own codes: nothing is compared, asked or told there.
            Step::Compare(step) => step.resume(now, Compared::Gone),
            Step::Inquire(step) => step.resume(now, Inquired::NotSent),
            Step::Conclude(step) => step.resume(now, Concluded::Gone),
            Step::Done(outcome) => Step::Done(outcome),
        }
    }

    fn deliver(&mut self, request: &DispatchRequest, now: Timestamp) -> Dispatched {
        if let Some(code) = &request.code {
            let letter = Letter {
                code: code.expose().to_owned(),
                at: now,
                read_by: None,
            };
            self.inbox.insert(request.to.clone(), letter);
        }
        self.left_for.push((request.to.clone(), request.channel));
        Dispatched::Accepted { upstream: None }
    }

    fn clean(&mut self, now: Timestamp) {
        if now.since(self.cleaned) >= HOUSEKEEPING {
            self.cleaned = now;
            self.store.purge(now);
            self.inbox.retain(|_, letter| now.since(letter.at) < KEPT);
            let inbox = &self.inbox;
            self.by_print.retain(|_, to| inbox.contains_key(to));
        }
    }
}

fn routes() -> Routes {
    let mut routes = Routes::default();
    let capabilities = Capabilities {
        name: "carrier".into(),
        channels: Channel::ALL.to_vec(),
        maker: Maker::Own,
        scopes: Scopes {
            default: "scope".into(),
            ..Scopes::default()
        },
        can_inquire: false,
        can_conclude: false,
        reports: false,
    };
    for channel in Channel::ALL {
        let order = routes.order.entry((*channel, None)).or_default();
        order.push("carrier".into());
    }
    routes.providers.insert("carrier".into(), capabilities);
    routes
}

fn fill(bytes: &mut [u8; 32], numbers: &[u64]) {
    let from = numbers.iter().flat_map(|number| number.to_be_bytes());
    for (byte, from) in bytes.iter_mut().zip(from) {
        *byte = from;
    }
}
