//! A run: the moves of a plan in a world, and what must hold after each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use verify_core::command::{Command, Report, ReportRequest, TickRequest};
use verify_core::event::EventKind;
use verify_core::flow::{AssessAnswer, Step};
use verify_core::keys::Keys;
use verify_core::outcome::{Answer, Outcome, Refusal, RefusalCode, Verification};
use verify_core::port::{Compared, Concluded, Detail, Dispatched, Inquired, RejectionKind, RiskLevel};
use verify_core::record::{DeliveryStatus, Record};
use verify_core::store::{RecordKind, StoreAnswer, StoreFault};
use verify_core::time::{Timestamp, Until};
use verify_core::token::ProofToken;
use verify_core::vocabulary::ServiceId;
use verify_lab::explore::{Kinds, World};
use verify_lab::{Course, Holds, Watch};

use super::orders::{FOR_TESTS, Facts, Known, Told};
use super::plan::{Move, Order, POLICIES, Plan, Way, longest, span};

/// More flows than this are not open at once: the oldest goes to its end.
const MOST_OPEN: usize = 4;
/// Every wait that is told is tried twice, and these are enough.
const MOST_WAITS: usize = 4;

pub(super) struct Run {
    world: World,
    watch: Watch,
    known: Known,
    flows: Vec<Flow>,
    policy: usize,
    keys: Keys,
    rotations: u8,
    waits_tried: usize,
    proofs: BTreeSet<[u8; 16]>,
    redeemed: BTreeMap<[u8; 16], Option<String>>,
}

struct Flow {
    step: Step,
    course: Course,
    command: Command,
    facts: Facts,
    /// The policy and the keys that it knows.
    under: (usize, u8),
    /// A driver's patience ended: its calls are dropped from now on.
    late: bool,
    asked_a_provider: bool,
}

fn holds(holds: bool, what: &str) -> Holds {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

impl Run {
    pub(super) fn new(plan: &Plan, change: impl Fn(World) -> World) -> Self {
        let kinds = [Kinds::Own, Kinds::Managed, Kinds::TwoOwn][usize::from(plan.kinds) % 3];
        let policy = usize::from(plan.policy) % POLICIES.len();
        let mut world = change(World::new(POLICIES[policy].clone(), kinds));
        let keys = Keys::generate(&[7; 32]);
        world.use_keys(keys.clone());
        Self {
            world,
            watch: Watch::new(longest()),
            known: Known::default(),
            flows: Vec::new(),
            policy,
            keys,
            rotations: 0,
            waits_tried: 0,
            proofs: BTreeSet::new(),
            redeemed: BTreeMap::new(),
        }
    }

    pub(super) fn follow(mut self, moves: Vec<Move>) -> Holds {
        for next in moves {
            self.make(next)?;
            self.messages_are_charged()?;
        }
        self.settle()?;
        self.repaired()?;
        self.watch.forgets(&self.world.store)
    }

    fn make(&mut self, next: Move) -> Holds {
        match next {
            Move::Open(order) => {
                self.order(order)?;
            }
            Move::Do(order) => {
                if self.order(order)? {
                    self.finish(self.flows.len() - 1)?;
                }
            }
            Move::Step { flow, way } => {
                if !self.flows.is_empty() {
                    self.step(usize::from(flow) % self.flows.len(), way)?;
                }
            }
            Move::Settle => self.settle()?,
            Move::Forth(choice) => self.advance(span(choice)),
            Move::Back(choice) => self.world.now = self.world.now - span(choice),
            Move::Sweep => self.sweep()?,
            Move::Report { message, what, again } => self.report(message, what, again)?,
            Move::Refuse { second, kind } => {
                let names = if second {
                    &["second"][..]
                } else {
                    &["own", "managed"]
                };
                for name in names {
                    match kind.map(|choice| usize::from(choice) % RejectionKind::ALL.len()) {
                        Some(kind) => self
                            .world
                            .rejecting
                            .insert((*name).into(), RejectionKind::ALL[kind]),
                        None => self.world.rejecting.remove(*name),
                    };
                }
            }
            Move::Risk(choice) => {
                let levels = [RiskLevel::Low, RiskLevel::Medium, RiskLevel::High];
                self.world.risk = levels[usize::from(choice) % levels.len()];
            }
            Move::Rotate if self.rotations < 2 => {
                self.rotations += 1;
                self.keys = self.keys.rotated(&[self.rotations; 32]);
                self.world.use_keys(self.keys.clone());
            }
            Move::Rotate => {}
            Move::Policy(choice) => {
                self.policy = usize::from(choice) % POLICIES.len();
                self.world.use_policies(POLICIES[self.policy].clone());
            }
        }
        Ok(())
    }

    /// Time that passed for flows too: a driver gives up at a step's end.
    fn advance(&mut self, by: Duration) {
        self.world.advance(by);
        for flow in &mut self.flows {
            flow.late |= ends(&flow.step).is_some_and(|end| self.world.now > end);
        }
    }

    fn order(&mut self, order: Order) -> Result<bool, String> {
        let policy = &POLICIES[self.policy].default;
        match self.known.command(order, &self.world, policy) {
            Some((command, facts)) => self.open(command, facts),
            None => Ok(false),
        }
    }

    /// True when there is a flow now, the last one.
    fn open(&mut self, command: Command, facts: Facts) -> Result<bool, String> {
        if self.flows.len() == MOST_OPEN {
            self.finish(0)?;
        }
        let step = self.world.start(command.clone());
        if facts.malformed {
            holds(
                matches!(step, Step::Done(_)),
                "i14: a malformed code makes a trip",
            )?;
        }
        let flow = Flow {
            step,
            course: Course::of(command.name()),
            command,
            facts,
            under: (self.policy, self.rotations),
            late: false,
            asked_a_provider: false,
        };
        self.keep(flow)
    }

    /// A flow that goes on stays, one that is over is looked at.
    fn keep(&mut self, mut flow: Flow) -> Result<bool, String> {
        match flow.step {
            Step::Done(outcome) => {
                flow.step = Step::Done(outcome.clone());
                self.over(&flow, *outcome)?;
                Ok(false)
            }
            step => {
                flow.step = step;
                self.flows.push(flow);
                Ok(true)
            }
        }
    }

    fn settle(&mut self) -> Holds {
        while !self.flows.is_empty() {
            self.finish(0)?;
        }
        Ok(())
    }

    /// One flow to its end; what follows up on it stays open.
    fn finish(&mut self, index: usize) -> Holds {
        let mut flow = self.flows.remove(index);
        while !matches!(flow.step, Step::Done(_)) {
            flow = self.stepped(flow, Way::Go)?;
        }
        self.keep(flow).map(drop)
    }

    fn step(&mut self, index: usize, way: Way) -> Holds {
        let flow = self.flows.remove(index);
        if way == Way::Crash {
            return Ok(());
        }
        let flow = self.stepped(flow, way)?;
        self.keep(flow).map(drop)
    }

    fn stepped(&mut self, mut flow: Flow, way: Way) -> Result<Flow, String> {
        flow.course.step()?;
        let now = self.world.now;
        let way = if flow.late { Way::LoseCall } else { way };
        let happens = matches!(way, Way::Go | Way::LoseAnswer);
        flow.step = match flow.step {
            Step::Store(step) => {
                let answer = match happens {
                    true => self
                        .watch
                        .apply(&mut flow.course, &mut self.world.store, step.changeset())?,
                    false => StoreAnswer::Unknown,
                };
                let answer = match way {
                    Way::Go => answer,
                    Way::Fail => StoreAnswer::NotApplied(StoreFault::Unavailable),
                    Way::LoseAnswer | Way::LoseCall | Way::Crash => StoreAnswer::Unknown,
                };
                step.resume(now, answer)
            }
            step => {
                flow.asked_a_provider |= matches!(step, Step::Dispatch(_) | Step::Compare(_));
                let step_again = step.clone();
                let mut answered = None;
                if happens {
                    match &step {
                        Step::Dispatch(step) => {
                            holds(!flow.facts.decoy, "i40: a decoy is sent")?;
                            holds(!flow.facts.test, "i64: a test destination is sent to")?;
                            self.watch
                                .dispatches(&flow.course, step.request(), flow.facts.least)?;
                        }
                        Step::Compare(_) => flow.course.compares()?,
                        Step::Store(_)
                        | Step::Assess(_)
                        | Step::Inquire(_)
                        | Step::Conclude(_)
                        | Step::Done(_) => {}
                    }
                    answered = Some(self.world.perform(step));
                }
                match answered.filter(|_| way == Way::Go) {
                    Some(next) => next,
                    None => unanswered(step_again, happens, now),
                }
            }
        };
        Ok(flow)
    }

    fn over(&mut self, flow: &Flow, outcome: Outcome) -> Holds {
        match outcome.answer {
            Answer::Sent(told) | Answer::Repeated(told) | Answer::Status(told) | Answer::Canceled(told) => {
                self.tell(flow, *told);
            }
            Answer::Approved(approval) => {
                let guess = flow.facts.guess.as_deref();
                let mut sent = self.world.sent.iter();
                let had = sent.any(|sent| sent.to == flow.facts.to && guess == Some(sent.code.as_str()));
                holds(
                    had || flow.facts.to == FOR_TESTS,
                    "i23: approved by a code that was never sent there",
                )?;
                self.proofs.insert(self.proof_id(&approval.proof)?);
                let recorded = self.proofs.len() <= self.watch.approvals();
                holds(recorded, "i25: an approval was told that is not recorded")?;
                self.known.proofs.push(approval.proof);
                self.known.device_tokens.push(approval.device_token);
            }
            Answer::Redeemed(_) => {
                let (proof, key) = flow.facts.redeems.clone().ok_or("redeemed, and not asked to")?;
                let first = self.redeemed.insert(self.proof_id(&proof)?, key.clone());
                let same = first.is_none_or(|first| first.is_some() && first == key);
                holds(same, "i54: redeemed twice")?;
            }
            Answer::Refused(refusal) => self.waits_are_true(flow, &refusal)?,
            Answer::WrongCode(_) => flow.course.counted()?,
            Answer::Reported { .. }
            | Answer::Ticked { .. }
            | Answer::Unlocked
            | Answer::Erased { .. }
            | Answer::Fault(_) => {}
        }
        match outcome.follow_up {
            Some(command) => self.open(*command, Facts::default()).map(drop),
            None => Ok(()),
        }
    }

    /// A proof that is told again is sealed again: what tells it from others is inside.
    fn proof_id(&self, proof: &str) -> Result<[u8; 16], String> {
        let opened = self
            .keys
            .open_token::<ProofToken>(&ServiceId::default(), Timestamp::ZERO, proof);
        opened
            .map(|token| token.id)
            .map_err(|_| "a proof that does not open".into())
    }

    fn tell(&mut self, flow: &Flow, told: Verification) {
        let new = self.known.verifications.iter().all(|known| known.id != told.id);
        if new && !flow.facts.to.is_empty() {
            self.known.verifications.push(Told {
                id: told.id,
                to: flow.facts.to.clone(),
                subject: flow.facts.subject,
            });
        }
    }

    /// At the instant that was told the same request is not refused for being early, and a millisecond before it is.
    fn waits_are_true(&mut self, flow: &Flow, refusal: &Refusal) -> Holds {
        let Some(Until::At(until)) = refusal.retry_at else {
            return Ok(());
        };
        let same = flow.under == (self.policy, self.rotations) && !flow.asked_a_provider;
        if !is_early(refusal.code) || !same || self.waits_tried == MOST_WAITS {
            return Ok(());
        }
        self.waits_tried += 1;
        let asked_at = |at: Timestamp| {
            let mut world = self.world.clone();
            world.now = at;
            world.run(flow.command.clone()).0
        };
        let then = asked_at(until);
        // A provider may have a cap of its own.
        let by_rules = then.explanation.providers.is_empty();
        let early = matches!(then.answer, Answer::Refused(refusal) if is_early(refusal.code));
        holds(!(by_rules && early), "i43: refused at the instant that was told")?;
        let before = Timestamp::from_millis(until.as_millis().saturating_sub(1));
        let refused = before < self.world.now || matches!(asked_at(before).answer, Answer::Refused(_));
        holds(refused, "i43: admitted before the instant that was told")
    }

    fn report(&mut self, message: u8, what: u8, again: u8) -> Holds {
        if self.world.sent.is_empty() {
            return Ok(());
        }
        let index = usize::from(message) % self.world.sent.len();
        let report = match what % 3 {
            0 => Report::Underway,
            1 => Report::Delivered,
            _ => Report::Undelivered(Detail::new(Some(30_003), "unreachable")),
        };
        let request = ReportRequest {
            service: ServiceId::default(),
            reference: self.world.sent[index].reference.clone(),
            report,
            dedupe: format!("{}", again % 2),
        };
        self.open(Command::Report(request), Facts::default()).map(drop)
    }

    fn sweep(&mut self) -> Holds {
        for (service, record) in self.world.store.due(self.world.now, 8) {
            if self.open(Command::Tick(TickRequest { service, record }), Facts::default())? {
                self.finish(self.flows.len() - 1)?;
            }
        }
        Ok(())
    }

    fn messages_are_charged(&self) -> Holds {
        let events = self.world.store.events().values();
        let intents = events
            .filter(|event| event.kind == EventKind::SendIntended)
            .count();
        holds(
            self.world.sent.len() <= intents,
            "i51: more messages than charged intents",
        )
    }

    /// When all is over, ticks repair: nothing is left between states.
    fn repaired(&mut self) -> Holds {
        self.world.now = self.world.now.max(self.watch.latest());
        for _ in 0..8 {
            self.advance(Duration::from_secs(3_600));
            self.sweep()?;
            self.settle()?;
        }
        let rows = self.world.store.records().iter();
        for ((_, key), row) in rows.filter(|(_, row)| !row.is_outlived(self.world.now)) {
            if key.kind != RecordKind::Verifications {
                continue;
            }
            let record = Record::decode(row).map_err(|_| "a record cannot be read")?;
            let mut deliveries = record.entries.iter().flat_map(|entry| &entry.deliveries);
            let stuck = deliveries.any(|delivery| delivery.status() == DeliveryStatus::Dispatching);
            holds(!stuck, "i28: a delivery is never settled")?;
        }
        Ok(())
    }
}

/// The step whose answer does not come, after its effect or without it.
fn unanswered(step: Step, happened: bool, now: Timestamp) -> Step {
    let nothing = Detail::default();
    match step {
        Step::Store(step) => step.resume(now, StoreAnswer::Unknown),
        Step::Assess(step) => step.resume(now, AssessAnswer::Unavailable),
        Step::Dispatch(step) => step.resume(now, Dispatched::Unknown(nothing)),
        Step::Compare(step) if happened => step.resume(now, Compared::Unknown(nothing)),
        Step::Compare(step) => step.resume(now, Compared::NotAsked(nothing)),
        Step::Inquire(step) => step.resume(now, Inquired::Unknown),
        Step::Conclude(step) => step.resume(now, Concluded::Unknown(nothing)),
        Step::Done(outcome) => Step::Done(outcome),
    }
}

fn is_early(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::RateLimited | RefusalCode::Cooldown | RefusalCode::Locked
    )
}

fn ends(step: &Step) -> Option<Timestamp> {
    match step {
        Step::Store(step) => Some(step.not_after()),
        Step::Assess(step) => Some(step.not_after()),
        Step::Dispatch(step) => Some(step.not_after()),
        Step::Compare(step) => Some(step.not_after()),
        Step::Inquire(step) => Some(step.not_after()),
        Step::Conclude(step) => Some(step.not_after()),
        Step::Done(_) => None,
    }
}
