//! The count: the guess is a failure, durably, before anybody compares it.

use crate::broken::Broken;
use crate::event::EventKind;
use crate::outcome::{Refusal, RefusalCode};
use crate::policy::Then;
use crate::record::{RETENTION, Verification};
use crate::store::{Charge, Claim, Mode, Seen, StoreAnswer, StoreFault};
use crate::time::Timestamp;

use super::Checking;
use crate::flow::FLOW_BUDGET;
use crate::flow::board::{Kind, fixpoint};
use crate::flow::found::Found;
use crate::flow::idempotency::IdempotencyKey;
use crate::flow::refusals::contention;
use crate::flow::step::{Step, StoreStep, StoreThen};

/// The count on its way to the store.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Count {
    checking: Checking,
    /// By this instant the store decides what is pending, and with it whether the guess counts.
    at: Timestamp,
}

impl Checking {
    pub(super) fn count(self, now: Timestamp) -> Step {
        let mut changeset = self.ctx.admitting(now, self.who.standing);
        changeset.charges = self.charges();
        if self.ctx.is_broken(Broken::CountAfterCompare) {
            for charge in &mut changeset.charges {
                charge.mode = Mode::Probe;
            }
        }
        changeset.reads = self.places.keys();
        let life = self.ctx.policy.code_for(self.who.purpose()).ttl + RETENTION;
        let began = now.as_millis().to_be_bytes();
        let key = self.key.as_ref();
        changeset.claims = key.map_or(Vec::new(), |key| key.claimed(&began, now + life));
        changeset.events.push(self.event(EventKind::CheckTaken, 0, now));
        let not_after = self.ctx.not_after;
        let then = Count {
            checking: self,
            at: now,
        };
        StoreStep::step(changeset, not_after, StoreThen::CheckCount(then))
    }

    /// Failures count only while something is pending.
    pub(super) fn charges(&self) -> Vec<Charge> {
        let mut charges = self.board.charges();
        for (charge, line) in charges.iter_mut().zip(&self.board.lines) {
            if matches!(line.kind, Kind::Failures | Kind::Lockout) {
                charge.when_live = self.places.keys();
            }
        }
        charges
    }
}

impl Count {
    pub(in crate::flow) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self { mut checking, at } = self;
        match answer {
            // A clock that was set back since then must not find a code pending that the store found dead: the guess would
            // be compared and not counted.
            StoreAnswer::Applied(mut seen) => match checking.found(&mut seen, now.max(at)) {
                Ok(found) => checking.decide(found, now),
                Err(fault) => checking.ctx.failed(fault),
            },
            StoreAnswer::Refused(seen) => checking.refused(seen, now),
            // Perhaps counted, and not compared: the safe direction.
            StoreAnswer::NotApplied(fault) => checking.ctx.failed(fault),
            StoreAnswer::Unknown(words) => checking.ctx.failed(StoreFault::Unavailable(words)),
        }
    }
}

impl Checking {
    fn found(&mut self, seen: &mut Seen, now: Timestamp) -> Result<Found, StoreFault> {
        self.board.take(std::mem::take(&mut seen.counters));
        Found::at(&mut self.places, &[&self.board], seen, now)
    }

    fn refused(mut self, mut seen: Seen, now: Timestamp) -> Step {
        let claim = self.key.as_ref().and_then(|key| key.found(&seen)).cloned();
        if let Some((claim, key)) = claim.and_then(|claim| Some((claim, self.key.take()?))) {
            return match self.found(&mut seen, now) {
                Ok(found) => self.used(&key, &claim, &found, now),
                Err(fault) => self.ctx.failed(fault),
            };
        }
        self.board.take(std::mem::take(&mut seen.counters));
        // By the counters alone. After a jump back a wait begins before the record's stamps, and is not over by them; and
        // under attack no record needs to be read to say no.
        let clock = now.max(self.board.newest());
        self.board.draw(clock);
        let board = &self.board;
        let lines = || board.lines.iter().filter(|line| line.then != Then::Alert);
        let wait = fixpoint(clock, |at| {
            lines().filter_map(|line| board.denied(line, at)).max()
        });
        let mut denied: Vec<_> = lines()
            .filter(|line| board.denied(line, clock).is_some())
            .collect();
        denied.sort_by_key(|line| line.kind != Kind::Lockout);
        let Some(first) = denied.first() else {
            // By the latest stamp that was seen nothing stands against it, or they draw on what is kept for known callers.
            return match self.ctx.try_again() && !self.ctx.is_late(now) {
                true => self.count(clock),
                false => self.refuse(contention()),
            };
        };
        let code = first.code();
        for line in &denied {
            let (figure, until) = (line.figure(clock), board.denied(line, clock));
            self.ctx.hit(line.rule.clone(), figure, line.allowed(), until);
        }
        let mut refusal = Refusal::new(code, "too many attempts; wait and try again").until(wait);
        refusal.checks_left = board.checks_left(clock);
        self.refuse(refusal)
    }

    /// The key was used before: approved by it, still running, or over without an approval.
    fn used(self, key: &IdempotencyKey, claim: &Claim, found: &Found, now: Timestamp) -> Step {
        let began = match key.own(claim) {
            Ok(own) => own.try_into().map_or(0, u64::from_be_bytes),
            Err(refusal) => return self.refuse(refusal),
        };
        let approved = |verification: &&Verification| {
            let mark = verification.approval.as_ref();
            mark.is_some_and(|mark| key.is(mark.by_key)) && self.who.may_meet(verification)
        };
        if let Some(verification) = found.record.verifications.iter().find(approved) {
            return self.approved(verification);
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
        self.refuse(Refusal::new(code, text))
    }
}
