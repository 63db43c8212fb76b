//! The comparison: here for an own code, by the provider for a managed one. What it comes to is approved, closed, or told.

use crate::broken::Broken;
use crate::outcome::{CheckAnswer, Fault, WrongCode};
use crate::port::{CompareRequest, Compared};
use crate::record::{CodeOf, Status, Verification};
use crate::time::Timestamp;

use super::approve::Approve;
use super::close::{Close, Over};
use super::{Checking, unavailable};
use crate::flow::board::{Closed, Kind};
use crate::flow::candidate::own_code;
use crate::flow::found::Found;
use crate::flow::refusals::not_found;
use crate::flow::sealed::spelling;
use crate::flow::step::{CompareStep, Step};
use crate::flow::view::guesses_left;
use crate::ids::Nonce;

/// A guess that a managed provider compares.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Compare {
    checking: Checking,
    found: Found,
    nonce: Nonce,
    /// The newest of those that the guess was at: whether its code was ever sent must not show in what is counted.
    newest: Nonce,
}

impl Checking {
    /// The guess is counted: compare it with what is pending.
    pub(super) fn decide(mut self, found: Found, now: Timestamp) -> Step {
        let clock = found.clock;
        let closed = self.board.closed_before(clock);
        let open = |verification: &&Verification| {
            self.who.may_meet(verification)
                && verification.is_pending(clock)
                && verification.issued >= closed.of_own()
        };
        let mine = || found.record.verifications.iter().rev().filter(open);
        let only = match (mine().next(), mine().nth(1)) {
            (None, _) => return self.nothing_pending(found, closed, now),
            (Some(only), None) => Some(only.nonce.print()),
            (Some(_), Some(_)) => self.ctx.explanation.verification,
        };
        let fits = mine().any(|verification| self.fits(verification));
        let right = mine().find(|verification| self.is_right(verification, clock));
        let managed = || mine().filter(|it| it.scope().is_some());
        let newest = managed().next().map(|it| it.nonce);
        let asked = managed().find(|it| !it.is_decoy()).map(|it| it.nonce).or(newest);
        let right = right.map(|it| it.nonce);
        self.ctx.explanation.verification = only;
        match (right, asked.zip(newest)) {
            _ if !fits => self.fits_nothing(found, now),
            (Some(nonce), _) => Approve::new(self, found, nonce).write(now),
            (None, Some((nonce, newest))) => self.compare(found, nonce, newest, now),
            (None, None) => self.wrong(found, None, now),
        }
    }

    /// Compared in constant time; a decoy and a test destination after its date are never right.
    fn is_right(&self, verification: &Verification, clock: Timestamp) -> bool {
        let test = self.who.test(&self.ctx);
        let over = matches!(verification.code, CodeOf::Test) && test.is_none_or(|test| clock >= test.until);
        let code = own_code(&self.ctx, &self.who, verification);
        code.is_some_and(|code| code.matches(&self.guess)) && !over && !verification.is_decoy()
    }

    fn nothing_pending(self, found: Found, closed: Closed, now: Timestamp) -> Step {
        let clock = found.clock;
        let closes = self.board.closes_before(clock);
        let pending = || {
            let all = found.record.verifications.iter();
            all.filter(|verification| verification.is_pending(clock))
        };
        let live = pending().any(|it| it.issued >= closed.of_met(&self.who, it));
        let lags = pending().any(|it| it.issued < closed.of_met(&self.who, it));
        let ends = pending().any(|it| it.issued < closes.of_standing(&self.who, it));
        let answer = CheckAnswer::Refused(not_found());
        if lags && !live {
            // A crash kept the closing from being written, so that this guess was counted though nothing is pending.
            let back = self.failures_back();
            return Close::new(self, found, closed, Ok(answer))
                .taking_back(back)
                .write(now);
        }
        if ends {
            // The guess was at another identity's code, or at none, and its failure closes what is pending here.
            return Close::new(self, found, closes, Ok(answer)).write(now);
        }
        self.over(found, answer, now)
    }

    /// Nothing more to write, but for an alert that the failure raises.
    fn over(self, found: Found, answer: CheckAnswer, now: Timestamp) -> Step {
        match self.board.is_alerting(found.clock) {
            true => Close::new(self, found, Closed::default(), Ok(answer)).write(now),
            false => self.ctx.done(answer),
        }
    }

    fn compare(self, found: Found, nonce: Nonce, newest: Nonce, now: Timestamp) -> Step {
        let verification = found.record.verification(nonce);
        let scoped = verification.and_then(|it| Some((it, it.scope()?)));
        let Some((verification, (provider, scope))) = scoped else {
            return self.refuse(not_found());
        };
        let ctx = &self.ctx;
        if !ctx.routes.providers.contains_key(provider) {
            return self.not_asked(found, Err(Fault::Misconfigured), now);
        }
        let rests = ctx.resting.compares.get(provider).copied();
        if ctx.is_late(now) || rests.is_some() {
            return self.not_asked(found, Ok(CheckAnswer::Refused(unavailable(rests))), now);
        }
        if verification.is_decoy() {
            return self.no_match(found, newest, now);
        }
        let request = CompareRequest {
            provider: provider.clone(),
            service: ctx.service.clone(),
            scope: scope.clone(),
            to: spelling(ctx, &self.who, verification),
            upstream: verification.upstream().cloned(),
            code: self.guess.clone(),
            payment: self.who.spelled.payment.clone(),
            not_after: ctx.not_after,
        };
        let not_after = ctx.not_after;
        let then = Compare {
            checking: self,
            found,
            nonce,
            newest,
        };
        CompareStep::step(request, not_after, then)
    }

    /// No provider was asked, so nobody guessed: the failure goes back (I-67).
    fn not_asked(self, found: Found, answer: Result<CheckAnswer, Fault>, now: Timestamp) -> Step {
        let back = self.failures_back();
        Close::new(self, found, Closed::default(), answer)
            .taking_back(back)
            .write(now)
    }

    /// It is over there, so it is over here. Nothing was compared: the failure goes back.
    fn ended(self, over: Over, found: Found, now: Timestamp) -> Step {
        let back = self.failures_back();
        Close::new(
            self,
            found,
            Closed::default(),
            Ok(CheckAnswer::Refused(not_found())),
        )
        .taking_back(back)
        .ending(over)
        .write(now)
    }

    /// Not the code of a managed provider, or of a decoy of it. Where nobody may tell the two apart its own cap on guesses is
    /// counted here.
    fn no_match(self, found: Found, nonce: Nonce, now: Timestamp) -> Step {
        let verification = found.record.verification(nonce);
        let guessed = verification.filter(|it| guesses_left(&self.ctx, it).is_some());
        let guessed = guessed.map(|it| it.nonce);
        self.wrong(found, guessed, now)
    }

    fn wrong(self, found: Found, guessed: Option<Nonce>, now: Timestamp) -> Step {
        let found = found.later(now);
        let clock = found.clock;
        let closes = self.board.closes_before(clock);
        let guessed_at = guessed.and_then(|nonce| found.record.verification(nonce));
        let left_there = guessed_at.and_then(|it| guesses_left(&self.ctx, it));
        let left_there = left_there.map(|left| left.saturating_sub(1));
        let ends = |verification: &Verification| {
            self.who.may_meet(verification)
                && verification.is_pending(clock)
                && verification.issued < closes.of_own()
        };
        let exhausted = left_there == Some(0) || found.record.verifications.iter().any(ends);
        let (status, checks_left) = match exhausted {
            true => (Status::Exhausted, Some(0)),
            false => {
                let left = [left_there, self.board.checks_left(clock)];
                (Status::Pending, left.into_iter().flatten().min())
            }
        };
        let answer = CheckAnswer::WrongCode(WrongCode {
            status,
            checks_left,
            retry_at: self.board.personal_wait(&[Kind::Checks, Kind::Lockout], clock),
        });
        let alerts = self.board.is_alerting(clock);
        if guessed.is_some() || exhausted || alerts || self.ctx.is_broken(Broken::CountAfterCompare) {
            return Close::new(self, found, closes, Ok(answer))
                .guessing_at(guessed)
                .write(now);
        }
        self.ctx.done(answer)
    }
}

impl Compare {
    pub(in crate::flow) fn resume(self, asked: CompareRequest, now: Timestamp, answer: Compared) -> Step {
        let Self {
            mut checking,
            found,
            nonce,
            newest,
        } = self;
        let refused = Ok(CheckAnswer::Refused(unavailable(None)));
        match answer {
            Compared::Match => Approve::new(checking, found.later(now), nonce).write(now),
            Compared::NoMatch => checking.no_match(found, newest, now),
            // That a provider has nothing to compare with, or no more, must not show: of a decoy none says so.
            Compared::Gone | Compared::Ended { .. } if checking.ctx.is_private() => {
                checking.no_match(found, newest, now)
            }
            // The provider has nothing to compare with. That writes nothing: another flow's match may be on its way.
            Compared::Gone => checking.over(found, CheckAnswer::Refused(not_found()), now),
            Compared::Ended { upstream, end } => {
                let asked_about_it = asked.upstream.as_ref().is_none_or(|asked| *asked == upstream);
                match asked_about_it {
                    true => checking.ended(Over::new(&asked, upstream, end, &found), found, now),
                    false => checking.over(found, CheckAnswer::Refused(not_found()), now),
                }
            }
            Compared::NotAsked(words) => {
                checking.ctx.said(&asked.provider, "not_asked", words);
                checking.not_asked(found, refused, now)
            }
            Compared::Unknown(words) => {
                checking.ctx.said(&asked.provider, "unknown", words);
                match checking.ctx.is_broken(Broken::ResetOnUnknown) {
                    true => checking.not_asked(found, refused, now),
                    false => checking.over(found, CheckAnswer::Refused(unavailable(None)), now),
                }
            }
        }
    }
}
