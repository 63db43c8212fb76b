//! Check, top to bottom: the guess is counted as a failure before it is compared; a match takes that back with the
//! approval, and nothing else does. A failure needs no further write to be safe.

mod approve;
mod close;

pub(super) use approve::{Approve, approval};
pub(super) use close::{Close, Told};

use crate::broken::Broken;
use crate::code::{Code, CodeLength};
use crate::command::CheckRequest;
use crate::event::{Event, EventKind};
use crate::outcome::{Answer, Refusal, RefusalCode, WrongCode};
use crate::policy::Then;
use crate::port::{CompareRequest, Compared, Maker};
use crate::record::{CodeOf, Entry, RETENTION, Record, Status};
use crate::store::{Charge, Claim, ClaimKind, Mode, RecordKind, Seen, StoreAnswer};
use crate::time::Timestamp;

use super::FLOW_BUDGET;
use super::board::{Board, Closed, Kind, fixpoint};
use super::carrier::own_code;
use super::context::Context;
use super::idempotency::{IdempotencyKey, check_key};
use super::place::Place;
use super::step::{CompareStep, Step, StoreStep, StoreThen};
use super::view::{print_of, store_fault};
use super::who::{Spelled, Who, not_found};

/// A check on its way.
#[derive(Debug, Clone)]
pub(super) struct Check {
    ctx: Context,
    who: Who,
    guess: Code,
    key: Option<IdempotencyKey>,
    board: Board,
    place: Place,
}

/// The count on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Count {
    check: Check,
    /// By this instant the store decides what is pending, and with it whether the guess counts.
    at: Timestamp,
}

/// A guess that a managed provider compares.
#[derive(Debug, Clone)]
pub(super) struct Comparing {
    check: Check,
    record: Record,
    nonce: [u8; 16],
}

pub(super) fn start(mut ctx: Context, request: &CheckRequest, now: Timestamp) -> Step {
    let spelled = Spelled {
        subject: request.subject.clone(),
        purpose: request.purpose,
        amount: request.amount.clone(),
        payee: request.payee.clone(),
    };
    let parts = guess(&ctx, request).and_then(|guess| {
        let who = Who::of(&mut ctx, &request.target, spelled, &request.caller, now)?;
        Ok((guess, who))
    });
    let (guess, who) = match parts {
        Ok(parts) => parts,
        Err(refusal) => return ctx.refuse(refusal),
    };
    if nobody_can_compare(&ctx) {
        ctx.hit("breaker", 0, None, None);
        return ctx.refuse(unavailable());
    }
    let place = Place::of(RecordKind::Verifications, &who.destination);
    let board = Board::for_check(&ctx, &who);
    let key = request
        .idempotency_key
        .as_ref()
        .map(|key| idempotency(&ctx, key, &who, &guess));
    Check {
        ctx,
        who,
        guess,
        key,
        board,
        place,
    }
    .count(now)
}

/// Exactly as many ASCII digits as a code has, before anything else (RFC 4226, INVARIANT I-15). A managed provider may
/// have codes of another length than the policy's, which only it knows.
fn guess(ctx: &Context, request: &CheckRequest) -> Result<Code, Refusal> {
    check_key(request.idempotency_key.as_ref())?;
    let managed = ctx
        .routes
        .providers
        .values()
        .any(|provider| provider.maker == Maker::Managed);
    let digits = u8::try_from(request.code.len()).unwrap_or(u8::MAX);
    let own = [ctx.policy.code.length]
        .into_iter()
        .chain(ctx.policy.purposes.values().map(|rules| rules.code.length));
    let fits = managed || own.into_iter().any(|length| length == digits);
    let length = CodeLength::new(digits).filter(|_| fits);
    length
        .and_then(|length| Code::parse(&request.code, length).ok())
        .ok_or_else(|| {
            Refusal::new(
                RefusalCode::InvalidCode,
                "a code has digits 0 to 9 only, as many as were sent",
            )
            .field("code")
        })
}

/// True when every provider compares its own codes and none can be asked.
fn nobody_can_compare(ctx: &Context) -> bool {
    let mut providers = ctx.routes.providers.values().peekable();
    providers.peek().is_some()
        && ctx.policy.tests.is_empty()
        && providers
            .all(|provider| provider.maker == Maker::Managed && ctx.open_breakers.contains(&provider.name))
}

fn idempotency(ctx: &Context, key: &str, who: &Who, guess: &Code) -> IdempotencyKey {
    let fields = [
        Some(who.to.canonical()),
        Some(who.purpose().as_str()),
        who.spelled.subject.as_deref(),
        who.spelled.amount.as_deref(),
        who.spelled.payee.as_deref(),
        Some(guess.expose()),
    ];
    IdempotencyKey::new(ctx, ClaimKind::Check, key, &fields)
}

pub(super) fn unavailable() -> Refusal {
    Refusal::new(
        RefusalCode::ProviderUnavailable,
        "the code cannot be compared just now; try again in a while",
    )
}

impl Check {
    fn count(self, now: Timestamp) -> Step {
        let mut changeset = self.ctx.changeset(now, self.who.standing);
        changeset.charges = self.charges();
        for charge in &mut changeset.charges {
            if self.ctx.is_broken(Broken::CountAfterCompare) {
                charge.mode = Mode::Probe;
            }
        }
        changeset.reads = self.place.keys().copied().collect();
        let life = self.ctx.policy.code_for(self.who.purpose()).ttl + RETENTION;
        let began = now.as_millis().to_be_bytes();
        changeset.claims = self
            .key
            .as_ref()
            .map_or(Vec::new(), |key| key.claimed(&began, now + life));
        changeset.events.push(self.event(EventKind::CheckTaken, now));
        let not_after = self.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::Count(Count { check: self, at: now })),
        })
    }

    /// Failures count only while something is pending.
    fn charges(&self) -> Vec<Charge> {
        let mut charges = self.board.charges();
        for (charge, line) in charges.iter_mut().zip(&self.board.lines) {
            if matches!(line.kind, Kind::Failures | Kind::Lockout) {
                charge.when_live = self.place.keys().copied().collect();
            }
        }
        charges
    }

    fn event(&self, kind: EventKind, now: Timestamp) -> Event {
        Event {
            destination: Some(self.who.destination.newest()),
            purpose: Some(self.who.purpose()),
            verification: self.ctx.explanation.verification,
            ..Event::new(now, self.ctx.service.clone(), kind)
        }
    }

    /// The guess is counted: compare it with what is pending.
    fn decide(mut self, record: Record, at: Timestamp, now: Timestamp) -> Step {
        let clock = at.max(record.newest()).max(self.board.newest());
        let closed = self.board.closed_before(clock);
        let open = |entry: &&Entry| {
            self.who.may_meet(entry) && entry.is_pending(clock) && entry.issued >= closed.of_own()
        };
        let mine = || record.entries.iter().rev().filter(open);
        let only = match (mine().next(), mine().nth(1)) {
            (None, _) => return self.nothing_pending(record, closed, clock, now),
            (Some(only), None) => Some(print_of(only.nonce)),
            (Some(_), Some(_)) => self.ctx.explanation.verification,
        };
        let nonce_of = |entry: &Entry| entry.nonce;
        let right = mine().find(|entry| self.is_right(entry, clock)).map(nonce_of);
        let managed = mine().find(|entry| entry.scope().is_some()).map(nonce_of);
        self.ctx.explanation.verification = only;
        match (right, managed) {
            (Some(nonce), _) => Approve::new(self, record, nonce, clock).write(now),
            (None, Some(nonce)) => self.compare(record, nonce, now),
            (None, None) => self.wrong(record, now),
        }
    }

    /// Compared in constant time; a decoy and a test destination after its date are never right.
    fn is_right(&self, entry: &Entry, clock: Timestamp) -> bool {
        let tests = &self.ctx.policy.tests;
        let over = matches!(entry.code, CodeOf::Test)
            && !tests
                .iter()
                .any(|test| test.to == self.who.to.canonical() && clock < test.until);
        !over && own_code(&self.ctx, &self.who, entry).is_some_and(|code| code.matches(&self.guess))
    }

    fn nothing_pending(self, record: Record, closed: Closed, clock: Timestamp, now: Timestamp) -> Step {
        let pending = || record.entries.iter().filter(|entry| entry.is_pending(clock));
        let live = pending().any(|entry| entry.issued >= closed.of_met(&self.who, entry));
        let lags = pending().any(|entry| entry.issued < closed.of_met(&self.who, entry));
        let answer = Answer::Refused(not_found());
        if lags && !live {
            // A crash kept the closing from being written, so that this guess was counted though nothing is pending.
            let back = self.failures_back();
            return Close::new(self, record, closed, answer)
                .taking_back(back)
                .write(now);
        }
        let closes = self.board.closes_before(clock);
        if pending().any(|entry| entry.issued < closes.of_standing(&self.who, entry)) {
            // The guess was at another identity's code, or at none, and its failure closes what is pending here.
            return Close::new(self, record, closes, answer).write(now);
        }
        self.ctx.done(answer)
    }

    fn compare(self, record: Record, nonce: [u8; 16], now: Timestamp) -> Step {
        let Some(entry) = record.entry(&nonce) else {
            return self.ctx.refuse(not_found());
        };
        let Some((provider, scope)) = entry.scope() else {
            return self.ctx.refuse(not_found());
        };
        let late = self.ctx.is_late(now);
        if late
            || self.ctx.open_breakers.contains(provider)
            || !self.ctx.routes.providers.contains_key(provider)
        {
            return self.not_asked(record, now);
        }
        let request = CompareRequest {
            provider: provider.clone(),
            service: self.ctx.service.clone(),
            scope: scope.clone(),
            to: self.who.to.delivery().to_owned(),
            upstream: entry
                .deliveries
                .iter()
                .rev()
                .find_map(|delivery| delivery.upstream.clone()),
            code: self.guess.clone(),
            amount: self.who.spelled.amount.clone(),
            payee: self.who.spelled.payee.clone(),
            not_after: self.ctx.not_after,
        };
        let not_after = self.ctx.not_after;
        Step::Compare(CompareStep {
            request,
            not_after,
            then: Box::new(Comparing {
                check: self,
                record,
                nonce,
            }),
        })
    }

    /// No provider was asked, so nobody guessed: the failure goes back (I-67).
    fn not_asked(self, record: Record, now: Timestamp) -> Step {
        let back = self.failures_back();
        Close::new(self, record, Closed::default(), Answer::Refused(unavailable()))
            .taking_back(back)
            .write(now)
    }

    fn wrong(self, record: Record, now: Timestamp) -> Step {
        let clock = now.max(record.newest()).max(self.board.newest());
        let closes = self.board.closes_before(clock);
        let ends = |entry: &Entry| {
            self.who.may_meet(entry) && entry.is_pending(clock) && entry.issued < closes.of_own()
        };
        let exhausted = record.entries.iter().any(ends);
        let answer = Answer::WrongCode(WrongCode {
            status: if exhausted {
                Status::Exhausted
            } else {
                Status::Pending
            },
            checks_left: if exhausted {
                0
            } else {
                self.board.checks_left(clock)
            },
            retry_at: self.board.personal_wait(&[Kind::Checks, Kind::Lockout], clock),
        });
        let alerts = !self.board.alerts(clock).is_empty();
        if exhausted || alerts || self.ctx.is_broken(Broken::CountAfterCompare) {
            return Close::new(self, record, closes, answer).write(now);
        }
        self.ctx.done(answer)
    }

    /// What a guess that is not counted after all gives back.
    fn failures_back(&self) -> Vec<crate::store::Takeback> {
        self.board
            .takebacks(&self.ctx, |kind| matches!(kind, Kind::Lockout | Kind::Failures))
    }
}

impl Count {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let mut check = self.check;
        match answer {
            StoreAnswer::Applied(mut seen) => {
                check.board.take(std::mem::take(&mut seen.counters));
                check.place.take(&seen);
                match check.place.record(&seen) {
                    // A clock that was set back since then must not find a code pending that the store found dead: the
                    // guess would be compared and not counted.
                    Ok(record) => check.decide(record, now.max(self.at), now),
                    Err(_) => check.ctx.fault(store_fault()),
                }
            }
            StoreAnswer::Refused(seen) => check.refused(seen, now),
            // Perhaps counted, and not compared: the safe direction.
            StoreAnswer::NotApplied(_) | StoreAnswer::Unknown => check.ctx.fault(store_fault()),
        }
    }
}

impl Check {
    fn refused(mut self, mut seen: Seen, now: Timestamp) -> Step {
        self.board.take(std::mem::take(&mut seen.counters));
        if let Some(key) = &self.key
            && let Some(claim) = key.found(&seen)
        {
            let Ok(record) = self.place.record(&seen) else {
                return self.ctx.fault(store_fault());
            };
            let answer = self.used(key, claim, &record, now);
            return self.ctx.done(answer);
        }
        let clock = now.max(self.board.newest());
        let board = &self.board;
        let lines = || board.lines.iter().filter(|line| line.then != Then::Alert);
        let wait = fixpoint(clock, |at| lines().filter_map(|line| line.denied(at)).max());
        let mut denied: Vec<_> = lines().filter(|line| line.denied(clock).is_some()).collect();
        denied.sort_by_key(|line| line.kind != Kind::Lockout);
        let Some(first) = denied.first() else {
            // The clock went back: by the latest stamp that was seen nothing stands against it.
            return match self.ctx.try_again() && !self.ctx.is_late(now) {
                true => self.count(clock),
                false => self.ctx.refuse(super::view::contention()),
            };
        };
        let code = first.code();
        for line in &denied {
            self.ctx.hit(
                line.rule.clone(),
                line.figure(clock),
                line.allowed(),
                line.denied(clock),
            );
        }
        let mut refusal = Refusal::new(code, "too many attempts; wait and try again").until(wait);
        refusal.checks_left = Some(board.checks_left(clock));
        self.ctx.refuse(refusal)
    }
}

impl Comparing {
    pub(super) fn resume(self, now: Timestamp, answer: Compared) -> Step {
        let Self {
            mut check,
            record,
            nonce,
        } = self;
        let provider = record
            .entry(&nonce)
            .and_then(|entry| entry.scope())
            .map(|(provider, _)| provider.clone());
        let mut said = |came, detail| {
            if let Some(provider) = &provider {
                check.ctx.said(provider, came, detail);
            }
        };
        match answer {
            Compared::Match => {
                let clock = now.max(record.newest()).max(check.board.newest());
                Approve::new(check, record, nonce, clock).write(now)
            }
            Compared::NoMatch => check.wrong(record, now),
            // The provider has nothing to compare with. That writes nothing: another flow's match may be on its way.
            Compared::Gone => check.ctx.refuse(not_found()),
            Compared::NotAsked(detail) => {
                said("not_asked", detail);
                check.not_asked(record, now)
            }
            Compared::Unknown(detail) => {
                said("unknown", detail);
                if check.ctx.is_broken(Broken::ResetOnUnknown) {
                    return check.not_asked(record, now);
                }
                check.ctx.refuse(unavailable())
            }
        }
    }
}

impl Check {
    /// The key was used before: approved by it, still running, or over without an approval.
    fn used(&self, key: &IdempotencyKey, claim: &Claim, record: &Record, now: Timestamp) -> Answer {
        let began = match key.own(claim) {
            Ok(own) => own.try_into().map_or(0, u64::from_be_bytes),
            Err(refusal) => return Answer::Refused(refusal),
        };
        let approved = |entry: &&Entry| {
            entry.approval.as_ref().is_some_and(|mark| key.is(mark.by_key)) && self.who.may_meet(entry)
        };
        if let Some(entry) = record.entries.iter().find(approved) {
            return approval(&self.ctx, &self.who, entry);
        }
        let (code, text) = match now < Timestamp::from_millis(began) + FLOW_BUDGET {
            true => (
                RefusalCode::InProgress,
                "the first request with this idempotency key still runs; try again shortly",
            ),
            false => (
                RefusalCode::Conflict,
                "the first request with this idempotency key is over; use a new one",
            ),
        };
        Answer::Refused(Refusal::new(code, text))
    }
}
