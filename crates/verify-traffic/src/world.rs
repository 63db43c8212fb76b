//! The outside of the core in one place: a store, providers that deliver, inboxes and the clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{Command, Report, ReportRequest, TickRequest};
use verify_core::event::Event;
use verify_core::flow::{AssessAnswer, MOST_STEPS, Machine, Question, Routes, Start, Step};
use verify_core::keys::{Keys, Print};
use verify_core::outcome::{Answer, Outcome};
use verify_core::policy::PolicySet;
use verify_core::port::{
    Assessment, Capabilities, Compared, Concluded, DispatchRequest, Inquired, Maker, RiskLevel, Scopes,
};
use verify_core::seed::Seed;
use verify_core::store::EventSeq;
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, ServiceId};
use verify_testkit::ModelState;

use crate::Chance;
use crate::weather::{Call, REPORTED_AFTER, Weather};

/// How long an inbox keeps a message: longer than the longest code of a phone lives.
const KEPT: Duration = Duration::from_secs(900);
/// How many earlier codes somebody scrolls back to.
const MOST_EARLIER: usize = 3;
/// How often what is outlived is dropped.
const HOUSEKEEPING: Duration = Duration::from_secs(600);
/// How often due records are looked at, and how many at once.
const SWEEP: Duration = Duration::from_secs(30);
const MOST_SWEPT: usize = 1_000;
/// The token that the human check takes.
pub(crate) const HUMAN: &str = "human";
/// Who carries messages; the second one is asked when the first surely did not send.
const CARRIERS: [&str; 2] = ["carrier", "reserve"];

/// The latest message to a destination.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) code: String,
    pub(crate) at: Timestamp,
    /// Other codes that came before it, newest first: people see them too.
    pub(crate) earlier: Vec<(Timestamp, String)>,
    /// What its delivery reports refer to it by.
    pub(crate) reference: String,
    /// The id of its verification, as a link in a mail would carry it; empty until the send was answered.
    pub(crate) link: String,
    /// Who read it: an approval without having read it is a guess that hit.
    pub(crate) read_by: Option<u64>,
}

/// What a command did besides its outcome.
pub(crate) struct Ran {
    /// `None` when its node died before it answered.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) trips: u32,
    /// How long it took, and the clock of its node when it ended.
    pub(crate) took: Duration,
    pub(crate) clock: Timestamp,
    /// Destinations that a message left for, with its channel.
    pub(crate) left_for: Vec<(String, Channel)>,
    pub(crate) events: Vec<Event>,
}

impl Ran {
    /// Whom it was about.
    pub(crate) fn destination(&self) -> Option<Print> {
        self.outcome.as_ref()?.explanation.destination
    }

    /// The rule that refused, or the refusal's code where none took part.
    pub(crate) fn refused_by(&self) -> Option<Arc<str>> {
        let outcome = self.outcome.as_ref()?;
        let Answer::Refused(refusal) = &outcome.answer else {
            return None;
        };
        let first = outcome.explanation.rules.first();
        Some(first.map_or_else(|| refusal.code.as_str().into(), |hit| Arc::clone(&hit.rule)))
    }
}

/// Where the next command of an actor runs, where that is not left to the weather.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) node: Option<usize>,
    pub(crate) dies_after: Option<usize>,
}

/// Two providers that carry own codes, one store, no scorer that could help: the caps alone have to hold.
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
    swept: Timestamp,
    pub(crate) weather: Weather,
    chance: Chance,
    /// Reports on their way: when, of what, and which copy.
    reports: VecDeque<(Timestamp, String, u32)>,
}

/// A command that is over.
struct Ended {
    outcome: Option<Outcome>,
    clock: Timestamp,
    trips: u32,
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
            swept: Timestamp::ZERO,
            weather: Weather::default(),
            // A stream of its own: the weather changes nobody's decisions.
            chance: Chance::of(!seed),
            reports: VecDeque::new(),
        }
    }

    /// The same world with one rule of its machine switched off.
    #[cfg(feature = "broken")]
    pub(crate) fn broken(self, how: verify_core::broken::Broken) -> Self {
        Self {
            machine: self.machine.broken(how),
            ..self
        }
    }

    /// The policies in force.
    pub(crate) fn policies(&self) -> &PolicySet {
        self.machine.policies()
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

    /// All letters, by destination.
    pub(crate) fn letters(&self) -> impl Iterator<Item = (&str, &Letter)> {
        self.inbox.iter().map(|(to, letter)| (to.as_str(), letter))
    }

    /// Who read the latest message to a destination.
    pub(crate) fn reader(&self, destination: &Print) -> Option<u64> {
        self.inbox.get(self.by_print.get(destination)?)?.read_by
    }

    /// Runs a command to its end, or until its node dies, and what the engine does by itself because of it.
    pub(crate) fn run(&mut self, command: Command, now: Timestamp, wanted: Wanted) -> Ran {
        self.keep_house(now);
        self.carry_reports(now);
        let node = wanted.node.unwrap_or_else(|| self.weather.node(&mut self.chance));
        let death = wanted.dies_after.or_else(|| self.weather.death(&mut self.chance));
        let ahead = self.weather.ahead(node);
        let began = moved(now, ahead);
        let Ended {
            outcome,
            clock,
            trips,
        } = self.drive(command, began, death, ahead);
        if let Some(follow_up) = outcome.as_ref().and_then(|outcome| outcome.follow_up.clone()) {
            self.drive(*follow_up, clock, None, ahead);
        }
        self.ran(outcome, trips, clock, clock.since(began))
    }

    /// Drives a command to its end, or to the death of its node: after that many steps, whose effects stay.
    fn drive(&mut self, command: Command, began: Timestamp, death: Option<usize>, ahead: i64) -> Ended {
        self.commands += 1;
        let mut seed = [0; 32];
        fill(&mut seed, &[self.seed, self.commands]);
        let start = Start {
            now: began,
            seed: Seed::from_bytes(seed),
            keys: Arc::clone(&self.keys),
            open_breakers: BTreeSet::new(),
            human_check: true,
        };
        let mut step = self.machine.start(command, start);
        let mut ended = Ended {
            outcome: None,
            clock: began,
            trips: 0,
        };
        // The core promises that no flow is longer, and its own tests hold it to that.
        for steps in 0..=MOST_STEPS {
            if let Step::Done(outcome) = step {
                ended.outcome = Some(*outcome);
                break;
            }
            if death == Some(steps) {
                break;
            }
            ended.trips += u32::from(matches!(step, Step::Store(_)));
            (step, ended.clock) = self.perform(step, ended.clock, ahead);
        }
        ended
    }

    fn ran(&mut self, outcome: Option<Outcome>, trips: u32, clock: Timestamp, took: Duration) -> Ran {
        let events: Vec<Event> = self.store.events().values().cloned().collect();
        self.store.acknowledge(EventSeq(u64::MAX));
        let left_for = std::mem::take(&mut self.left_for);
        if let (Some(outcome), Some((to, _))) = (&outcome, left_for.first()) {
            if let Some(print) = outcome.explanation.destination {
                self.by_print.insert(print, to.clone());
            }
            if let (Answer::Sent(verification), Some(letter)) = (&outcome.answer, self.inbox.get_mut(to)) {
                letter.link.clone_from(&verification.id);
            }
        }
        Ran {
            outcome,
            trips,
            took,
            clock,
            left_for,
            events,
        }
    }

    fn perform(&mut self, step: Step, now: Timestamp, ahead: i64) -> (Step, Timestamp) {
        let next = match step {
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
                let call = self.deliver(step.request(), moved(now, -ahead));
                // The settlement happens at once, with its later time: only this record is written by it.
                let then = if call.late { step.not_after() } else { now };
                return (step.resume(then, call.answer), then);
            }
            // The providers carry own codes: nothing is compared, asked or told there.
            Step::Compare(step) => step.resume(now, Compared::Gone),
            Step::Inquire(step) => step.resume(now, Inquired::NotSent),
            Step::Conclude(step) => step.resume(now, Concluded::Gone),
            Step::Done(outcome) => Step::Done(outcome),
        };
        (next, now)
    }

    fn deliver(&mut self, request: &DispatchRequest, now: Timestamp) -> Call {
        let call = match *request.provider == *CARRIERS[0] {
            true => self.weather.call(&mut self.chance),
            false => Call::taken(),
        };
        if call.messages > 0
            && let Some(code) = &request.code
        {
            let mut earlier = match self.inbox.remove(&request.to) {
                Some(before) => [vec![(before.at, before.code)], before.earlier].concat(),
                None => Vec::new(),
            };
            earlier.retain(|(_, other)| other != code.expose());
            earlier.truncate(MOST_EARLIER);
            let letter = Letter {
                code: code.expose().to_owned(),
                at: now,
                earlier,
                reference: request.reference.clone(),
                link: String::new(),
                read_by: None,
            };
            self.inbox.insert(request.to.clone(), letter);
            for copy in 0..self.weather.reports {
                self.reports
                    .push_back((now + REPORTED_AFTER, request.reference.clone(), copy));
            }
        }
        for _ in 0..call.messages {
            self.left_for.push((request.to.clone(), request.channel));
        }
        call
    }

    /// Tells the core of deliveries that are known by now. Each copy comes as a report of its own.
    fn carry_reports(&mut self, now: Timestamp) {
        while let Some((_, reference, copy)) = self.reports.pop_front_if(|(at, ..)| *at <= now) {
            let request = ReportRequest {
                service: ServiceId::default(),
                reference,
                report: Report::Delivered,
                dedupe: copy.to_string(),
            };
            self.alone(Command::Report(request), now);
        }
    }

    fn keep_house(&mut self, now: Timestamp) {
        if now.since(self.swept) >= SWEEP {
            self.swept = now;
            for (service, record) in self.store.due(now, MOST_SWEPT) {
                self.alone(Command::Tick(TickRequest { service, record }), now);
            }
        }
        if now.since(self.cleaned) >= HOUSEKEEPING {
            self.cleaned = now;
            self.store.purge(now);
            self.inbox.retain(|_, letter| now.since(letter.at) < KEPT);
            let inbox = &self.inbox;
            self.by_print.retain(|_, to| inbox.contains_key(to));
        }
    }

    /// A command that nobody waits for: its events are found with those of the next one.
    fn alone(&mut self, command: Command, now: Timestamp) {
        self.drive(command, now, None, 0);
    }
}

fn routes() -> Routes {
    let mut routes = Routes::default();
    for name in CARRIERS {
        let capabilities = Capabilities {
            name: name.into(),
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
            order.push(name.into());
        }
        routes.providers.insert(name.into(), capabilities);
    }
    routes
}

/// An instant as a clock shows it that is so many milliseconds ahead.
fn moved(at: Timestamp, ahead: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add_signed(ahead))
}

fn fill(bytes: &mut [u8; 32], numbers: &[u64]) {
    let from = numbers.iter().flat_map(|number| number.to_be_bytes());
    for (byte, from) in bytes.iter_mut().zip(from) {
        *byte = from;
    }
}
