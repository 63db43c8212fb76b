//! Writing down what a failure, or its end without an answer, means for the record.

use std::sync::Arc;

use crate::broken::Broken;
use crate::event::{Event, EventKind};
use crate::ids::Nonce;
use crate::outcome::{CheckAnswer, Fault};
use crate::port::{CompareRequest, ConcludeRequest, Concluded, End, ProviderName};
use crate::record::{Delivery, Record, Status, Verification};
use crate::store::{StoreAnswer, Takeback};
use crate::time::Timestamp;
use crate::vocabulary::Standing;

use super::Checking;
use crate::flow::board::Closed;
use crate::flow::conclude::{announce, tell};
use crate::flow::context::Context;
use crate::flow::found::Found;
use crate::flow::step::{ConcludeThen, Step, StoreStep, StoreThen};
use crate::flow::view::guesses_left;

/// A closing on its way to the store. Its answer stands already: closing is derived from the lockout as well, so a
/// store that does not take it changes nothing.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Close {
    checking: Checking,
    found: Found,
    /// What the lockouts close.
    closed: Closed,
    answer: Result<CheckAnswer, Fault>,
    takebacks: Vec<Takeback>,
    /// What the provider said is over.
    over: Option<Box<Over>>,
    /// What the wrong guess was at, where its maker's cap on guesses ends it.
    guessed: Option<Nonce>,
    conclude: Option<ConcludeRequest>,
}

/// A verification of a managed provider that is over, and what was there when the provider was asked about it.
#[derive(Debug, Clone)]
pub(super) struct Over {
    provider: ProviderName,
    scope: Arc<str>,
    upstream: String,
    end: End,
    asked: Record,
}

impl Over {
    pub(super) fn new(asked: &CompareRequest, upstream: String, end: End, found: &Found) -> Self {
        Self {
            provider: asked.provider.clone(),
            scope: asked.scope.clone(),
            upstream,
            end,
            asked: found.record.clone(),
        }
    }

    const fn status(&self) -> (Status, EventKind) {
        match self.end {
            End::UsedUp => (Status::Exhausted, EventKind::Exhausted),
            End::Expired => (Status::Expired, EventKind::Expired),
            End::Canceled => (Status::Canceled, EventKind::Canceled),
        }
    }

    /// Ends what shares it, siblings too, unless that was overtaken. Returns what was ended.
    fn write_down(&self, ctx: &Context, found: &mut Found) -> Vec<Nonce> {
        let ends_newer = ctx.is_broken(Broken::EndWhatIsNewer);
        if self.is_overtaken(&found.record) && !ends_newer {
            return Vec::new();
        }
        let clock = found.clock;
        let mut ended = Vec::new();
        for verification in &mut found.record.verifications {
            let shares = self.is_of(verification) && (ends_newer || self.is_last_of(verification));
            if shares && verification.is_pending(clock) && verification.advance(self.status().0) {
                ended.push(verification.nonce);
            }
        }
        ended
    }

    fn is_of(&self, verification: &Verification) -> bool {
        verification.scope() == Some((&self.provider, &self.scope))
    }

    /// True when the message that may have come last is of it. A send on its way, or one whose answer was lost, may carry
    /// what came after it.
    fn is_last_of(&self, verification: &Verification) -> bool {
        let sent = |delivery: &&Delivery| delivery.status().may_have_sent();
        let last = verification.deliveries.iter().rfind(sent);
        last.is_some_and(|last| last.upstream.as_ref() == Some(&self.upstream))
    }

    /// True when since the question something was sent in the scope, or a guess there was right: what the provider said is
    /// older than that.
    fn is_overtaken(&self, record: &Record) -> bool {
        let mut here = record
            .verifications
            .iter()
            .filter(|verification| self.is_of(verification));
        here.any(|verification| {
            let before = self.asked.verification(verification.nonce);
            let approved = |it: &Verification| it.status() == Status::Approved;
            let newer =
                |delivery: &Delivery| before.is_none_or(|before| before.delivery(&delivery.id).is_none());
            (approved(verification) && !before.is_some_and(approved))
                || verification.deliveries.iter().any(newer)
        })
    }
}

/// A provider that is told; the answer is the one that stood.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Tell {
    checking: Checking,
    answer: Result<CheckAnswer, Fault>,
}

impl Close {
    pub(super) fn new(
        checking: Checking,
        found: Found,
        closed: Closed,
        answer: Result<CheckAnswer, Fault>,
    ) -> Self {
        Self {
            checking,
            found,
            closed,
            answer,
            takebacks: Vec::new(),
            over: None,
            guessed: None,
            conclude: None,
        }
    }

    pub(super) fn taking_back(mut self, takebacks: Vec<Takeback>) -> Self {
        self.takebacks = takebacks;
        self
    }

    pub(super) fn ending(mut self, over: Over) -> Self {
        self.over = Some(Box::new(over));
        self
    }

    pub(super) const fn guessing_at(mut self, guessed: Option<Nonce>) -> Self {
        self.guessed = guessed;
        self
    }

    pub(super) fn write(mut self, now: Timestamp) -> Step {
        let Checking {
            ctx,
            who,
            board,
            places,
            ..
        } = &self.checking;
        let mut found = self.found.clone().later(now);
        let over = self
            .over
            .as_ref()
            .map(|over| (over.status().1, over.write_down(ctx, &mut found)));
        let used_up = self
            .guessed
            .filter(|nonce| guess_uses_up(ctx, &mut found, *nonce));
        let mut exhausted = found.write_down_ends(|verification| self.closed.of_met(who, verification));
        exhausted.extend(used_up);
        // Closing ends what is pending, so it has the room of known callers.
        let mut changeset = ctx.changeset(now, Standing::Known);
        changeset.takebacks.clone_from(&self.takebacks);
        if ctx.is_broken(Broken::CountAfterCompare) {
            changeset.charges = self.checking.charges();
        }
        let closings = exhausted.iter().map(|nonce| (EventKind::Exhausted, nonce));
        let ends = over
            .iter()
            .flat_map(|(kind, ended)| ended.iter().map(|nonce| (*kind, nonce)));
        let events = (0..).zip(closings.chain(ends)).map(|(nth, (kind, nonce))| Event {
            verification: Some(nonce.print()),
            ..self.checking.event(kind, nth, now)
        });
        changeset.events = events.collect();
        changeset.alerts = board.alerts(ctx, who, &self.takebacks, found.clock);
        let conclude = exhausted
            .iter()
            .find_map(|nonce| announce(ctx, &mut found, who, *nonce, now));
        if found.record != self.found.record {
            match places.record.becomes(&found.record) {
                Ok(change) => changeset.records = change,
                Err(_) => return self.checking.ctx.answer(self.answer),
            }
        }
        self.conclude = conclude;
        let not_after = self.checking.ctx.not_after;
        StoreStep::step(changeset, not_after, StoreThen::CheckClose(self))
    }

    pub(in crate::flow) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let checking = &mut self.checking;
        match answer {
            StoreAnswer::Applied(_) => self.closed(),
            StoreAnswer::Refused(seen) => {
                match Found::at(&mut checking.places, &[&checking.board], &seen, now) {
                    Ok(found) if checking.ctx.try_again() => {
                        self.found = found;
                        self.write(now)
                    }
                    Ok(_) | Err(_) => self.checking.ctx.answer(self.answer),
                }
            }
            StoreAnswer::Unknown(_) if checking.ctx.ask_again() => self.write(now),
            StoreAnswer::Unknown(_) | StoreAnswer::NotApplied(_) => self.checking.ctx.answer(self.answer),
        }
    }

    fn closed(self) -> Step {
        let Self {
            checking,
            answer,
            conclude,
            ..
        } = self;
        let Some(request) = conclude else {
            return checking.ctx.answer(answer);
        };
        let ctx = checking.ctx.clone();
        let told = ctx.is_private().then(|| answer.clone());
        tell(
            &ctx,
            told,
            request,
            ConcludeThen::Close(Tell { checking, answer }),
        )
    }
}

/// One more wrong guess at it. True when whoever made the code compares no more after that, so that it is over.
fn guess_uses_up(ctx: &Context, found: &mut Found, nonce: Nonce) -> bool {
    let clock = found.clock;
    let verification = found.record.verification_mut(nonce);
    let Some(verification) = verification.filter(|it| it.is_pending(clock)) else {
        return false;
    };
    verification.guesses = verification.guesses.saturating_add(1);
    guesses_left(ctx, verification) == Some(0) && verification.advance(Status::Exhausted)
}

impl Tell {
    pub(in crate::flow) fn resume(self, answer: Concluded) -> Step {
        let Self {
            mut checking,
            answer: stood,
        } = self;
        if let Concluded::Unknown(words) = answer {
            checking.ctx.said(&"conclude".into(), "unknown", words);
        }
        checking.ctx.answer(stood)
    }
}
