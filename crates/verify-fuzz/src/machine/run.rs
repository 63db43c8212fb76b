//! A run: the moves of a plan in a world, and what must hold after each.

use std::rc::Rc;
use std::time::Duration;

use verify_core::command::{CheckRequest, Command, Report, ReportRequest, Target, TickRequest};
use verify_core::destination::Destination;
use verify_core::flow::Step;
use verify_core::keys::Keys;
use verify_core::outcome::{Answer, CheckAnswer, Outcome, RefusalCode};
use verify_core::policy::EmailRules;
use verify_core::port::{Detail, RejectionKind, RiskLevel};
use verify_core::record::{DeliveryStatus, Record};
use verify_core::store::RecordKind;
use verify_core::time::{Timestamp, Until};
use verify_core::token::VerificationToken;
use verify_core::vocabulary::ServiceId;
use verify_lab::explore::{Kinds, Watched, Way, World};
use verify_lab::reference::{Ask, Sent, Tokens};
use verify_lab::{Course, Holds, Watch};

use super::plan::{FOR_TESTS, Goes, Move, POLICIES, Plan, span};

/// More flows than this are not open at once: the oldest goes to its end.
const MOST_OPEN: usize = 4;
/// Every wait that is told is tried twice, and these are enough.
const MOST_WAITS: usize = 4;

pub(super) struct Run {
    world: World,
    watch: Rc<Watch>,
    /// What the callers know by now.
    tokens: Tokens,
    flows: Vec<Flow>,
    policy: usize,
    keys: Keys,
    rotations: u8,
    waits_tried: usize,
}

struct Flow {
    step: Step,
    course: Rc<Course>,
    command: Command,
    /// The policy and the keys that it knows.
    under: (usize, u8),
    /// A driver's patience ended, whatever the clock shows later: nothing begins any more.
    late: bool,
    /// The clock was set back while it was under way: it looked with one time and judges with another, which a driver that
    /// holds a flow's clock does not do. It opens nothing, and what it tells to wait is not true.
    set_back: bool,
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
            watch: Rc::new(Watch::over(&world)),
            world,
            tokens: Tokens::default(),
            flows: Vec::new(),
            policy,
            keys,
            rotations: 0,
            waits_tried: 0,
        }
    }

    pub(super) fn follow(mut self, moves: Vec<Move>) -> Holds {
        for next in moves {
            self.make(next)?;
        }
        self.settle()?;
        self.repaired()?;
        self.watch.forgets(&self.world.store)
    }

    fn make(&mut self, next: Move) -> Holds {
        match next {
            Move::Open(asked) => drop(self.order(asked.0)?),
            Move::Do(asked) => {
                if self.order(asked.0)? {
                    self.finish(self.flows.len() - 1)?;
                }
            }
            Move::Step { flow, goes } => {
                if !self.flows.is_empty() {
                    self.step(usize::from(flow) % self.flows.len(), &goes)?;
                }
            }
            Move::Settle => self.settle()?,
            Move::Forth(choice) => self.advance(span(choice)),
            Move::Back(choice) => {
                self.world.now = self.world.now - span(choice);
                self.flows.iter_mut().for_each(|flow| flow.set_back = true);
            }
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
                Rc::make_mut(&mut self.watch).knows(self.world.policies());
            }
        }
        Ok(())
    }

    /// Time that passed for flows too: a driver gives up at a step's end.
    fn advance(&mut self, by: Duration) {
        self.world.advance(by);
        for flow in &mut self.flows {
            flow.late |= flow.step.not_after().is_some_and(|end| self.world.now >= end);
        }
    }

    fn order(&mut self, ask: Ask) -> Result<bool, String> {
        let sent: Vec<Sent> = self.world.sent.iter().map(Sent::from).collect();
        let ask = self.tokens.among(ask, &sent);
        match self.tokens.command(&ask, &sent) {
            Some(command) => self.open(command),
            None => Ok(false),
        }
    }

    /// True when there is a flow now, the last one.
    fn open(&mut self, command: Command) -> Result<bool, String> {
        if self.flows.len() == MOST_OPEN {
            self.finish(0)?;
        }
        let mut flow = Flow {
            step: self.world.start(command.clone()),
            course: Rc::default(),
            command,
            under: (self.policy, self.rotations),
            late: false,
            set_back: false,
            asked_a_provider: false,
        };
        let mut watched = Watched {
            world: &mut self.world,
            watch: &mut self.watch,
            course: &mut flow.course,
        };
        watched.begins(&flow.command, &flow.step)?;
        self.keep(flow)
    }

    /// A flow that goes on stays, one that is over is looked at.
    fn keep(&mut self, mut flow: Flow) -> Result<bool, String> {
        match flow.step.over() {
            Ok(outcome) => {
                flow.step = Step::Done(outcome.clone());
                self.over(&flow, *outcome)?;
                Ok(false)
            }
            Err(step) => {
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
        while flow.step.not_after().is_some() {
            flow = self.stepped(flow, Way::Go)?;
        }
        self.keep(flow).map(drop)
    }

    fn step(&mut self, index: usize, Goes(way): &Goes) -> Holds {
        let flow = self.flows.remove(index);
        match way {
            Some(way) => {
                let flow = self.stepped(flow, *way)?;
                self.keep(flow).map(drop)
            }
            None => Ok(()),
        }
    }

    fn stepped(&mut self, mut flow: Flow, way: Way) -> Result<Flow, String> {
        flow.asked_a_provider |= matches!(flow.step, Step::Dispatch(_) | Step::Compare(_));
        let way = if flow.late { Way::TooLate } else { way };
        let mut watched = Watched {
            world: &mut self.world,
            watch: &mut self.watch,
            course: &mut flow.course,
        };
        let taken = watched.take(flow.step, way);
        taken.holds?;
        flow.step = taken.step;
        Ok(flow)
    }

    fn over(&mut self, flow: &Flow, outcome: Outcome) -> Holds {
        self.tokens.told(&outcome);
        if let (
            Command::Check(request),
            Ok(Answer::Check(CheckAnswer::Approved(_) | CheckAnswer::Unclaimed(_))),
        ) = (&flow.command, &outcome.answer)
        {
            self.was_sent_there(request)?;
        }
        self.waits_are_true(flow, &outcome)?;
        match outcome.follow_up {
            Some(request) => self.open(Command::Send(*request)).map(drop),
            None => Ok(()),
        }
    }

    fn was_sent_there(&self, request: &CheckRequest) -> Holds {
        let to = match &request.target {
            Target::To(person) => person.to.clone(),
            Target::Verification { id, .. } => {
                let keys = self.world.keys();
                let token = keys.open_token(&request.service, Timestamp::ZERO, id);
                token.map_or(String::new(), |token: VerificationToken| token.to)
            }
        };
        let mut sent = self.world.sent.iter();
        let delivered = |text: &str| {
            let read = Destination::parse(text, None, &EmailRules::default());
            read.map_or(String::new(), |to| to.as_delivered().into_owned())
        };
        let had = sent.any(|sent| delivered(&sent.to) == delivered(&to) && sent.code == request.code);
        holds(
            had || to == FOR_TESTS,
            "i23: approved by a code that was never sent there",
        )
    }

    /// At the instant that was told the same request is not refused for being early, and a millisecond before it is.
    fn waits_are_true(&mut self, flow: &Flow, outcome: &Outcome) -> Holds {
        let Some(Until::At(until)) = until(outcome) else {
            return Ok(());
        };
        let same = flow.under == (self.policy, self.rotations) && !flow.set_back;
        if !same || flow.asked_a_provider || self.waits_tried == MOST_WAITS {
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
        let early = then.refusal().is_some_and(|refusal| is_early(refusal.code));
        holds(!(by_rules && early), "i43: refused at the instant that was told")?;
        let before = Timestamp::from_millis(until.as_millis().saturating_sub(1));
        let refused = before < self.world.now || asked_at(before).refusal().is_some();
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
        let reference = self.world.sent[index].reference.clone();
        let request = ReportRequest::of(reference, report, format!("{}", again % 2));
        self.open(request.into()).map(drop)
    }

    fn sweep(&mut self) -> Holds {
        let service = ServiceId::default();
        for record in self.world.store.due(&service, self.world.now, 8) {
            if self.open(TickRequest::of(record).into())? {
                self.finish(self.flows.len() - 1)?;
            }
        }
        Ok(())
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
            let mut deliveries = record.verifications.iter().flat_map(|it| &it.deliveries);
            let stuck = deliveries.any(|delivery| delivery.status() == DeliveryStatus::Dispatching);
            holds(!stuck, "i28: a delivery is never settled")?;
        }
        Ok(())
    }
}

/// When somebody who came early may come again.
fn until(outcome: &Outcome) -> Option<Until> {
    let refusal = outcome.refusal().filter(|refusal| is_early(refusal.code));
    refusal.and_then(|refusal| refusal.retry_at)
}

fn is_early(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::RateLimited | RefusalCode::Cooldown | RefusalCode::Locked
    )
}
