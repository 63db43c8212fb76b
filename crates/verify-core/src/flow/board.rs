//! The board: which rules a command is charged by, what the store said of each, and how long they make it wait.

use std::sync::Arc;
use std::time::Duration;

use crate::broken::Broken;
use crate::keys::{Print, PrintKind, Prints};
use crate::limit::{Counter, Rule};
use crate::outcome::RefusalCode;
use crate::policy::{Counts, Effect, Limit, Max, Policy, Reserve, Then, limit_names};
use crate::record::Verification;
use crate::store::{Charge, ClaimKey, ClaimKind, Counted, CounterKey, CounterSeen, Mode, Takeback};
use crate::time::{SKEW, Timestamp, Until};
use crate::vocabulary::{Channel, Dimension, Standing};

use super::context::Context;
use super::scopes::Scope;
use super::who::Who;

/// What kind of rule a line of the board is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gap,
    Sends,
    Spend,
    Checks,
    Failures,
    Lockout,
}

/// A rule, the charge made of it, and what the store said.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) rule: Arc<str>,
    pub(super) kind: Kind,
    pub(super) then: Then,
    /// Counted by subject or destination: what a person may be told about.
    pub(super) personal: bool,
    pub(super) kept: Kept,
    pub(super) charge: Charge,
    pub(super) before: Counter,
    pub(super) after: Counter,
}

/// What a line has to do with what is kept for known callers, whose board it is on.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    Nothing,
    /// Of `whole`, so much is there for all.
    Common {
        common: u64,
        whole: u64,
    },
    /// What one caller may use of what is kept of this limit, and how the limit itself is charged.
    Share {
        of: Arc<str>,
        most: u64,
        drawn: Mode,
    },
}

impl Line {
    /// The latest true instant that the counter has seen.
    fn newest(&self) -> Timestamp {
        match &self.before {
            Counter::Window(window) => window.newest(),
            Counter::Backoff(run) => run.last,
        }
    }

    /// Units used, or failures in the run.
    pub(super) fn figure(&self, now: Timestamp) -> u64 {
        used(&self.before, &self.charge.rule, now)
    }

    pub(super) fn allowed(&self) -> Option<u64> {
        match &self.charge.rule {
            Rule::Window { max, .. } => Some(*max),
            Rule::Backoff { .. } => None,
        }
    }

    /// What a refusal by this rule is called.
    pub(super) fn code(&self) -> RefusalCode {
        match (self.kind, self.then, &self.before, &self.charge.rule) {
            (Kind::Gap, _, _, _) => RefusalCode::Cooldown,
            (Kind::Lockout, _, Counter::Backoff(run), Rule::Backoff { waits, forget_after }) => {
                match run.closes_before(waits, *forget_after, run.last) {
                    Some(_) => RefusalCode::Locked,
                    None => RefusalCode::Cooldown,
                }
            }
            (Kind::Sends | Kind::Spend | Kind::Checks | Kind::Failures | Kind::Lockout, _, _, _) => {
                RefusalCode::RateLimited
            }
        }
    }

    /// What was charged, as a takeback names it, and for how long its marker is kept besides the flow's own time.
    fn counted(&self) -> Option<(Counted, Duration)> {
        match (&self.charge.rule, &self.before, &self.after) {
            (Rule::Window { per, .. }, _, Counter::Window(after)) => {
                let (units, at) = (self.charge.cost, after.newest());
                Some((Counted::Units { per: *per, units, at }, *per))
            }
            (Rule::Backoff { forget_after, .. }, Counter::Backoff(before), Counter::Backoff(charged)) => {
                let (before, charged) = (*before, *charged);
                let forget_after = *forget_after;
                Some((
                    Counted::Failure {
                        before,
                        charged,
                        forget_after,
                    },
                    SKEW,
                ))
            }
            (Rule::Window { .. } | Rule::Backoff { .. }, _, _) => None,
        }
    }

    /// `None` where there is no end: none at all, or none that a number of this size could tell.
    fn left(&self, counter: &Counter, now: Timestamp) -> Option<u32> {
        match (counter, &self.charge.rule) {
            (Counter::Backoff(run), Rule::Backoff { waits, forget_after }) => {
                run.left_before_closing(waits, *forget_after, now)
            }
            (counter, Rule::Window { max, .. }) => {
                u32::try_from(max.saturating_sub(used(counter, &self.charge.rule, now))).ok()
            }
            (Counter::Window(_), Rule::Backoff { .. }) => None,
        }
    }
}

pub(super) fn used(counter: &Counter, rule: &Rule, now: Timestamp) -> u64 {
    match (counter, rule) {
        (Counter::Window(window), Rule::Window { per, .. }) => window.used(*per, now),
        (Counter::Backoff(run), Rule::Backoff { forget_after, .. }) => {
            u64::from(run.failures(*forget_after, now))
        }
        (Counter::Window(_) | Counter::Backoff(_), _) => 0,
    }
}

/// The instants before which lockouts have closed what was issued. The destination's closes whatever is pending there,
/// the subject's only what is the subject's own: whoever locks one subject out must not end the codes of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Closed {
    destination: Timestamp,
    subject: Timestamp,
}

impl Closed {
    /// For verifications of the command's own identity.
    pub(super) fn of_own(self) -> Timestamp {
        self.destination.max(self.subject)
    }

    /// For any verification of the destination.
    pub(super) fn of(self, who: &Who, verification: &Verification) -> Timestamp {
        match who.is_of_subject(verification) {
            true => self.of_own(),
            false => self.destination,
        }
    }

    /// The same, of one standing only: its lockouts close nothing of the other.
    pub(super) fn of_standing(self, who: &Who, verification: &Verification) -> Timestamp {
        match verification.identity.standing == who.standing {
            true => self.of(who, verification),
            false => Timestamp::ZERO,
        }
    }

    /// The same, and of what a check by this person meets besides.
    pub(super) fn of_met(self, who: &Who, verification: &Verification) -> Timestamp {
        match who.may_meet(verification) {
            true => self.of(who, verification),
            false => self.of_standing(who, verification),
        }
    }
}

/// All rules of a command.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    pub(super) lines: Vec<Line>,
}

impl Board {
    /// With room for a line of each limit and lockout: while keys are rotated there are more.
    fn with_room(ctx: &Context) -> Self {
        Self {
            lines: Vec::with_capacity(ctx.policy.limits.len() + 2),
        }
    }

    /// Charges of all lines, for a changeset; the answer's counters come back in this order.
    pub(super) fn charges(&self) -> Vec<Charge> {
        self.lines.iter().map(|line| line.charge.clone()).collect()
    }

    /// Takes what the store said.
    pub(super) fn take(&mut self, seen: impl IntoIterator<Item = CounterSeen>) {
        for (line, seen) in self.lines.iter_mut().zip(seen) {
            line.before = seen.before;
            line.after = seen.after;
        }
    }

    /// The latest true instant that any counter has seen.
    pub(super) fn newest(&self) -> Timestamp {
        self.lines
            .iter()
            .map(Line::newest)
            .max()
            .unwrap_or(Timestamp::ZERO)
    }

    /// The same of those that send, check, cancel and status all look at, so that all of them have the same time: what
    /// refuses a person's own checks.
    pub(super) fn newest_of_the_person(&self) -> Timestamp {
        let refuses = |line: &&Line| {
            line.personal && line.then == Then::Refuse && [Kind::Checks, Kind::Lockout].contains(&line.kind)
        };
        let own = self.lines.iter().filter(refuses).map(Line::newest);
        own.max().unwrap_or(Timestamp::ZERO)
    }

    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.kind == kind)
    }

    /// Charges for sends and spend of a message by `channel`, and probes of what a check of its code will need.
    pub(super) fn for_send(ctx: &Context, who: &Who, channel: Channel) -> Self {
        let mut board = Self::with_room(ctx);
        let mut prints = Fingerprints::new(ctx, who);
        for limit in limits_for(ctx, who) {
            match limit.0.counts {
                Counts::Sends => board.limit(&mut prints, limit, 1, Mode::Charge),
                Counts::Spend => {
                    let price = ctx.policy.prices.of(who.to.country(), channel);
                    board.limit(&mut prints, limit, price, Mode::Charge);
                }
                Counts::Checks | Counts::Failures if limit.0.then == Then::Refuse => {
                    board.limit(&mut prints, limit, 1, Mode::Probe);
                }
                Counts::Checks | Counts::Failures => {}
            }
        }
        board.lockouts(ctx, who, Mode::Probe);
        board
    }

    /// Charges for a check.
    pub(super) fn for_check(ctx: &Context, who: &Who) -> Self {
        let mut board = Self::with_room(ctx);
        let mut prints = Fingerprints::new(ctx, who);
        for limit in limits_for(ctx, who) {
            match limit.0.counts {
                Counts::Checks | Counts::Failures => board.limit(&mut prints, limit, 1, Mode::Charge),
                Counts::Sends | Counts::Spend => {}
            }
        }
        board.lockouts(ctx, who, Mode::Charge);
        board
    }

    /// Probes of everything that a view tells: sends, checks and lockout of this person.
    pub(super) fn for_view(ctx: &Context, who: &Who) -> Self {
        let mut board = Self::of_person(ctx, who, limits_for(ctx, who));
        board.lines.retain(|line| line.then == Then::Refuse);
        board
    }

    /// The same for any purpose, and of what a human check would lift: all that can refuse this person, as a person.
    pub(super) fn for_person(ctx: &Context, who: &Who) -> Self {
        Self::of_person(ctx, who, limits(ctx))
    }

    fn of_person<'a>(
        ctx: &'a Context,
        who: &'a Who,
        limits: impl Iterator<Item = (&'a Limit, Scope)>,
    ) -> Self {
        let mut board = Self::with_room(ctx);
        let mut prints = Fingerprints::new(ctx, who);
        for limit in limits {
            match limit.0.counts {
                Counts::Sends | Counts::Checks => board.limit(&mut prints, limit, 1, Mode::Probe),
                Counts::Spend | Counts::Failures => {}
            }
        }
        board.lockouts(ctx, who, Mode::Probe);
        board
            .lines
            .retain(|line| line.personal && line.then != Then::Alert);
        board
    }

    /// One line for each fingerprint of the limit's key: while keys are rotated, all are charged.
    fn limit<'a>(
        &mut self,
        prints: &mut Fingerprints<'a>,
        (limit, scope_of): (&'a Limit, Scope),
        cost: u64,
        mode: Mode,
    ) {
        let Fingerprints { ctx, who, .. } = *prints;
        if ctx.is_broken(Broken::SkipOneLimit) && &*limit.name == limit_names::SENDS_PER_DESTINATION {
            return;
        }
        let has = |dimension| who.has(dimension);
        let effect = limit.effect(&ctx.policy, has, who.caller.ip, who.standing);
        let Some(Effect {
            by,
            max: whole,
            per,
            personal,
            reserve,
            ..
        }) = effect
        else {
            return;
        };
        let max = reserve.map_or(whole, |reserve| reserve.common);
        let rule = Rule::Window { max, per };
        let own = personal && !ctx.is_broken(Broken::ShareBetweenStandings);
        let scope = scope_of.for_standing(own.then_some(who.standing));
        let kind = match limit.counts {
            Counts::Sends if &*limit.name == limit_names::RESEND_GAP => Kind::Gap,
            Counts::Sends => Kind::Sends,
            Counts::Spend => Kind::Spend,
            Counts::Checks => Kind::Checks,
            Counts::Failures => Kind::Failures,
        };
        let mode = if limit.then == Then::Alert && mode == Mode::Charge {
            Mode::Force
        } else {
            mode
        };
        for print in prints.of(by).iter() {
            let charge = Charge {
                key: CounterKey { scope, print },
                rule: rule.clone(),
                cost,
                mode,
                when_live: Vec::new(),
            };
            self.push(Arc::clone(&limit.name), kind, limit.then, personal, charge);
            if let (Some(Reserve { common, .. }), Some(line)) = (reserve, self.lines.last_mut()) {
                line.kept = Kept::Common { common, whole };
            }
        }
        if let Some(reserve) = reserve {
            self.shares(prints, (limit, scope_of), (by, reserve));
        }
    }

    fn lockouts(&mut self, ctx: &Context, who: &Who, mode: Mode) {
        let rule = Rule::Backoff {
            waits: Arc::clone(&ctx.policy.lockout.waits),
            forget_after: ctx.policy.lockout.forget_after,
        };
        for (name, key) in lockouts(ctx, who, who.standing) {
            let charge = Charge {
                key,
                rule: rule.clone(),
                cost: 1,
                mode,
                when_live: Vec::new(),
            };
            self.push(Arc::clone(name), Kind::Lockout, Then::Refuse, true, charge);
        }
    }

    fn push(&mut self, rule: Arc<str>, kind: Kind, then: Then, personal: bool, charge: Charge) {
        let empty = Counter::empty(&charge.rule);
        self.lines.push(Line {
            rule,
            kind,
            then,
            personal,
            kept: Kept::Nothing,
            charge,
            before: empty.clone(),
            after: empty,
        });
    }

    /// What the lockouts, as they were, have closed.
    pub(super) fn closed_before(&self, now: Timestamp) -> Closed {
        self.closed(|line| &line.before, now)
    }

    /// The same, as the lockouts are after the charge.
    pub(super) fn closes_before(&self, now: Timestamp) -> Closed {
        self.closed(|line| &line.after, now)
    }

    fn closed(&self, state: impl Fn(&Line) -> &Counter, now: Timestamp) -> Closed {
        let by = |rule: &str| {
            let lines = self.of(Kind::Lockout).filter(|line| &*line.rule == rule);
            closing(lines.map(|line| (state(line), &line.charge.rule)), now)
        };
        Closed {
            destination: by(limit_names::LOCKOUT_DESTINATION),
            subject: by(limit_names::LOCKOUT_SUBJECT),
        }
    }

    /// Gives back, once, what the lines of these kinds were charged.
    pub(super) fn takebacks(&self, ctx: &Context, wanted: impl Fn(Kind) -> bool) -> Vec<Takeback> {
        let back = |(index, line): (usize, &Line)| {
            if !wanted(line.kind) || line.before == line.after {
                return None;
            }
            let (counted, life) = line.counted()?;
            let once: [u8; 16] = ctx.seed.bytes(&format!("takeback {index}"));
            Some(Takeback {
                key: line.charge.key,
                counted,
                once: ClaimKey {
                    kind: ClaimKind::Takeback,
                    print: Print::from_bytes(once),
                },
                expires_at: ctx.not_after + life + SKEW,
            })
        };
        self.lines.iter().enumerate().filter_map(back).collect()
    }

    /// Sends left for this person, waiting out the gap in between; `None` for no end.
    pub(super) fn sends_left(&self, now: Timestamp) -> Option<u32> {
        let lines = self
            .of(Kind::Sends)
            .filter(|line| line.personal && line.then == Then::Refuse);
        lines.filter_map(|line| line.left(&line.after, now)).min()
    }

    /// Checks left for this person before the verification is closed; `None` for no end.
    pub(super) fn checks_left(&self, now: Timestamp) -> Option<u32> {
        let limits = self
            .of(Kind::Checks)
            .filter(|line| line.personal && line.then == Then::Refuse);
        limits
            .chain(self.of(Kind::Lockout))
            .filter_map(|line| line.left(&line.after, now))
            .min()
    }

    /// When all rules of `kinds` that concern this person would admit one more, counted from what is there after the
    /// charge: a fixpoint, because waiting for one rule may run into another.
    pub(super) fn personal_wait(&self, kinds: &[Kind], now: Timestamp) -> Until {
        fixpoint(now, |at| self.personal_denial(kinds, at))
    }

    /// The longest wait of these rules at an instant; none when all of them admit one more.
    pub(super) fn personal_denial(&self, kinds: &[Kind], at: Timestamp) -> Option<Until> {
        let personal =
            |line: &&Line| line.personal && line.then == Then::Refuse && kinds.contains(&line.kind);
        let lines = self.lines.iter().filter(personal);
        lines
            .filter_map(|line| line.after.denied(&line.charge.rule, line.charge.cost, at))
            .max()
    }
}

fn closing<'a>(runs: impl Iterator<Item = (&'a Counter, &'a Rule)>, now: Timestamp) -> Timestamp {
    let end = |(counter, rule): (&Counter, &Rule)| match (counter, rule) {
        (Counter::Backoff(run), Rule::Backoff { waits, forget_after }) => {
            run.closes_before(waits, *forget_after, now)
        }
        (Counter::Window(_) | Counter::Backoff(_), _) => None,
    };
    runs.filter_map(end).max().unwrap_or(Timestamp::ZERO)
}

/// The first instant from `now` on at which `wait` asks for no more waiting.
pub(super) fn fixpoint(now: Timestamp, wait: impl Fn(Timestamp) -> Option<Until>) -> Until {
    let mut at = now;
    // Every round passes at least one rule's end; rules are few and each has at most 17 stamps.
    for _ in 0..512 {
        match wait(at) {
            None => return Until::At(at),
            Some(Until::At(end)) if end > at => at = end,
            Some(Until::At(_) | Until::Never) => return Until::Never,
        }
    }
    Until::Never
}

/// The limits of the policy, with their scopes.
fn limits(ctx: &Context) -> impl Iterator<Item = (&Limit, Scope)> {
    ctx.policy.limits.iter().zip(ctx.scopes.limits.iter().copied())
}

/// The same of those that are about what this person is verified for.
fn limits_for<'a>(ctx: &'a Context, who: &Who) -> impl Iterator<Item = (&'a Limit, Scope)> {
    let purpose = who.purpose();
    limits(ctx).filter(move |(limit, _)| limit.purposes.contains(&purpose))
}

/// The keys of the lockouts of a person, for a standing.
pub(super) fn lockout_keys<'a>(
    ctx: &'a Context,
    who: &'a Who,
    standing: Standing,
) -> impl Iterator<Item = CounterKey> + 'a {
    lockouts(ctx, who, standing).map(|(_, key)| key)
}

fn lockouts<'a>(
    ctx: &'a Context,
    who: &'a Who,
    standing: Standing,
) -> impl Iterator<Item = (&'a Arc<str>, CounterKey)> {
    let of = move |(name, scope): &'a (Arc<str>, Scope), print: Print| {
        let scope = scope.for_standing(Some(standing));
        (name, CounterKey { scope, print })
    };
    let destinations = who.destination.iter();
    let subjects = who.subject.iter().flat_map(|prints| prints.iter());
    destinations
        .map(move |print| of(&ctx.scopes.lockout_destination, print))
        .chain(subjects.map(move |print| of(&ctx.scopes.lockout_subject, print)))
}

/// The fingerprints that the limits of a command are keyed by. Several limits have the same key, and each is computed
/// once.
pub(super) struct Fingerprints<'a> {
    ctx: &'a Context,
    pub(super) who: &'a Who,
    known: Vec<(&'a [Dimension], Prints)>,
}

impl<'a> Fingerprints<'a> {
    fn new(ctx: &'a Context, who: &'a Who) -> Self {
        Self {
            ctx,
            who,
            known: Vec::with_capacity(Dimension::ALL.len()),
        }
    }

    /// Of these dimensions together, newest first.
    fn of(&mut self, by: &'a [Dimension]) -> Prints {
        let known = self.known.iter().find(|(known, _)| *known == by);
        if let Some((_, prints)) = known {
            return prints.clone();
        }
        let prints = self.computed(by);
        self.known.push((by, prints.clone()));
        prints
    }

    pub(super) fn computed(&self, by: &[Dimension]) -> Prints {
        let Self { ctx, who, .. } = self;
        match (by, &who.subject) {
            ([Dimension::Destination], _) => who.destination.clone(),
            ([Dimension::Subject], Some(subject)) => subject.clone(),
            ([dimension], _) => {
                let kind = PrintKind::from(*dimension);
                ctx.keys.prints(kind, &ctx.service, who.value(*dimension).bytes())
            }
            (several, _) => {
                // Each dimension and its value, with their lengths in front: no two keys share their bytes. A subject may
                // well be called like a destination.
                let mut joined = Vec::new();
                for dimension in several {
                    let value = who.value(*dimension);
                    for part in [dimension.as_str().as_bytes(), value.bytes()] {
                        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
                        joined.extend_from_slice(part);
                    }
                }
                ctx.keys.prints(PrintKind::Identity, &ctx.service, &joined)
            }
        }
    }
}

/// The gap's length, where there is one.
pub(super) fn gap(policy: &Policy) -> Option<Duration> {
    let gap = policy
        .limits
        .iter()
        .find(|limit| &*limit.name == limit_names::RESEND_GAP)?;
    matches!(gap.max, Max::Units(_)).then_some(gap.per)
}
