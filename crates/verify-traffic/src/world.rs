//! The outside of the core in one place: a store, providers that deliver, inboxes and the clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{Command, Report, ReportRequest, TickRequest};
use verify_core::event::Event;
use verify_core::flow::{AssessAnswer, Machine, Outside, Question, Resting, Routes, Start, Step, drive};
use verify_core::keys::{Keys, Print};
use verify_core::outcome::{Answer, Outcome, SendAnswer};
use verify_core::policy::PolicySet;
use verify_core::port::{
    Assessment, Capabilities, CompareRequest, Compared, ConcludeRequest, Concluded, DispatchRequest,
    Dispatched, InquireRequest, Inquired, Maker, RiskLevel, Scopes,
};
use verify_core::seed::Seed;
use verify_core::store::{Changeset, EventSeq, StoreAnswer};
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
        let refusal = outcome.refusal()?;
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
    /// The one service that there is.
    service: ServiceId,
    store: ModelState,
    inbox: BTreeMap<String, Letter>,
    /// Inboxes by the fingerprints that the core knows them by.
    by_print: BTreeMap<Print, String>,
    seed: u64,
    commands: u64,
    left_for: Vec<(String, Channel)>,
    node: Node,
    /// The same when the command was answered, where it goes on after that.
    told: Option<Node>,
    cleaned: Timestamp,
    swept: Timestamp,
    pub(crate) weather: Weather,
    chance: Chance,
    /// Reports on their way: when, of what, and which copy.
    reports: VecDeque<(Timestamp, String, u32)>,
}

/// The node that a command runs on.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    clock: Timestamp,
    /// How far that is ahead, in milliseconds.
    ahead: i64,
    /// To the store, since the command began.
    trips: u32,
}

impl Node {
    /// One that is so far ahead, at an instant of the world.
    fn at(now: Timestamp, ahead: i64) -> Self {
        Self {
            clock: moved(now, ahead),
            ahead,
            trips: 0,
        }
    }
}

impl World {
    pub(crate) fn new(policies: PolicySet, seed: u64) -> Self {
        let mut master = [0x5a; 32];
        fill(&mut master, &[seed]);
        Self {
            machine: Machine::new(
                Arc::new(policies),
                Arc::new(Routes::in_order(CARRIERS.map(carrier))),
            ),
            keys: Arc::new(Keys::generate(&master)),
            service: ServiceId::default(),
            store: ModelState::default(),
            inbox: BTreeMap::new(),
            by_print: BTreeMap::new(),
            seed,
            commands: 0,
            left_for: Vec::new(),
            node: Node::default(),
            told: None,
            cleaned: Timestamp::ZERO,
            swept: Timestamp::ZERO,
            weather: Weather::default(),
            // A stream of its own: the weather changes nobody's decisions.
            chance: Chance::of(!seed),
            reports: VecDeque::new(),
        }
    }

    /// The same world with one rule of its machine switched off.
    #[cfg(verify_broken)]
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
    pub(crate) fn run(&mut self, command: impl Into<Command>, now: Timestamp, wanted: Wanted) -> Ran {
        self.keep_house(now);
        self.carry_reports(now);
        let node = wanted.node.unwrap_or_else(|| self.weather.node(&mut self.chance));
        let death = wanted.dies_after.or_else(|| self.weather.death(&mut self.chance));
        let began = Node::at(now, self.weather.ahead(node));
        self.node = began;
        let mut outcome = self.take(command, death);
        let ended = self.told.take().unwrap_or(self.node);
        if let Some(follow_up) = outcome.as_mut().and_then(|outcome| outcome.follow_up.take()) {
            self.take(*follow_up, None);
        }
        self.ran(outcome, began, ended)
    }

    /// Takes a command to its end, or to the death of its node: after that many steps, whose effects stay.
    fn take(&mut self, command: impl Into<Command>, death: Option<usize>) -> Option<Outcome> {
        self.commands += 1;
        let mut seed = [0; Seed::BYTES];
        // The first 32 bytes are what it derives from, the others name its events.
        fill(
            &mut seed,
            &[self.seed, self.commands, 0, 0, self.commands, self.seed],
        );
        let start = Start {
            now: self.node.clock,
            seed: Seed::from_bytes(seed),
            keys: Arc::clone(&self.keys),
            resting: Resting::default(),
            human_check: true,
        };
        let first = self.machine.start(command, start);
        match death {
            None => Some(drive(first, self)),
            Some(steps) => {
                let mut told = None;
                let last = (0..steps).fold(first, |step, _| {
                    if let Step::Answer(answer) = &step {
                        told = Some(Outcome::clone(answer.outcome()));
                    }
                    step.perform(self)
                });
                told.or_else(|| last.over().ok().map(|outcome| *outcome))
            }
        }
    }

    fn ran(&mut self, outcome: Option<Outcome>, began: Node, ended: Node) -> Ran {
        let events: Vec<Event> = self.store.events().values().cloned().collect();
        self.store.acknowledge(&self.service, EventSeq(u64::MAX));
        let left_for = std::mem::take(&mut self.left_for);
        if let (Some(outcome), Some((to, _))) = (&outcome, left_for.first()) {
            if let Some(print) = outcome.explanation.destination {
                self.by_print.insert(print, to.clone());
            }
            if let (Ok(Answer::Send(SendAnswer::Sent(verification))), Some(letter)) =
                (&outcome.answer, self.inbox.get_mut(to))
            {
                letter.link.clone_from(&verification.id);
            }
        }
        Ran {
            outcome,
            trips: ended.trips,
            took: ended.clock.since(began.clock),
            clock: ended.clock,
            left_for,
            events,
        }
    }

    /// Tells the core of deliveries that are known by now. Each copy comes as a report of its own.
    fn carry_reports(&mut self, now: Timestamp) {
        while let Some((_, reference, copy)) = self.reports.pop_front_if(|(at, ..)| *at <= now) {
            let report = ReportRequest::of(reference, Report::Delivered, copy.to_string());
            self.alone(report.service(self.service.clone()), now);
        }
    }

    fn keep_house(&mut self, now: Timestamp) {
        if now.since(self.swept) >= SWEEP {
            self.swept = now;
            for record in self.store.due(&self.service, now, MOST_SWEPT) {
                self.alone(TickRequest::of(record).service(self.service.clone()), now);
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
    fn alone(&mut self, command: impl Into<Command>, now: Timestamp) {
        self.node = Node::at(now, 0);
        self.take(command, None);
        self.told = None;
    }
}

impl Outside for World {
    fn now(&self) -> Timestamp {
        self.node.clock
    }

    fn told(&mut self, _: &Outcome) {
        self.told = Some(self.node);
    }

    fn apply(&mut self, changeset: &Changeset) -> StoreAnswer {
        self.node.trips += 1;
        self.store.apply_now(changeset)
    }

    fn assess(&mut self, question: &Question) -> AssessAnswer {
        match question {
            Question::Risk(_) => AssessAnswer::Said(vec![Ok(Assessment::of_level(RiskLevel::Low))]),
            Question::Human(asked) => AssessAnswer::Human(asked.token == HUMAN),
        }
    }

    fn dispatch(&mut self, request: &DispatchRequest) -> Dispatched {
        let now = moved(self.node.clock, -self.node.ahead);
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
        if call.late {
            // As late as it still can be written down. That happens at once, with its later time: only this record is
            // written by it.
            self.node.clock = request.not_after - Duration::from_millis(1);
        }
        call.answer
    }

    // The carriers carry own codes: nothing is compared, asked or told there.
    fn compare(&mut self, _: &CompareRequest) -> Compared {
        Compared::Gone
    }

    fn inquire(&mut self, _: &InquireRequest) -> Inquired {
        Inquired::NotSent
    }

    fn conclude(&mut self, _: &ConcludeRequest) -> Concluded {
        Concluded::Gone
    }
}

fn carrier(name: &str) -> Capabilities {
    Capabilities {
        name: name.into(),
        channels: Channel::ALL.to_vec(),
        maker: Maker::Own,
        scopes: Scopes {
            default: "scope".into(),
            ..Scopes::default()
        },
        can_inquire: false,
        can_conclude: false,
        // How often, and whether at all, is the weather's business.
        reports: true,
        most_checks: None,
    }
}

/// An instant as a clock shows it that is so many milliseconds ahead.
fn moved(at: Timestamp, ahead: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add_signed(ahead))
}

fn fill(bytes: &mut [u8], numbers: &[u64]) {
    let from = numbers.iter().flat_map(|number| number.to_be_bytes());
    for (byte, from) in bytes.iter_mut().zip(from) {
        *byte = from;
    }
}
