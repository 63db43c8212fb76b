//! Writing down what a failure, or its end without an answer, means for the record.

use crate::broken::Broken;
use crate::event::{Event, EventKind};
use crate::outcome::{CheckAnswer, Fault};
use crate::port::{ConcludeRequest, Concluded};
use crate::store::{StoreAnswer, Takeback};
use crate::time::Timestamp;
use crate::vocabulary::Standing;

use super::Checking;
use crate::flow::board::Closed;
use crate::flow::conclude::announce;
use crate::flow::found::Found;
use crate::flow::step::{ConcludeStep, ConcludeThen, Step, StoreStep, StoreThen};

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
    conclude: Option<ConcludeRequest>,
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
            conclude: None,
        }
    }

    pub(super) fn taking_back(mut self, takebacks: Vec<Takeback>) -> Self {
        self.takebacks = takebacks;
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
        let exhausted = found.write_down_ends(|verification| self.closed.of_met(who, verification));
        // Closing ends what is pending, so it has the room of known callers.
        let mut changeset = ctx.changeset(now, Standing::Known);
        changeset.takebacks.clone_from(&self.takebacks);
        if ctx.is_broken(Broken::CountAfterCompare) {
            changeset.charges = self.checking.charges();
        }
        let closings = (0..).zip(&exhausted).map(|(nth, nonce)| Event {
            verification: Some(nonce.print()),
            ..self.checking.event(EventKind::Exhausted, nth, now)
        });
        changeset.events = closings.collect();
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
            StoreAnswer::Unknown(_) if checking.ctx.try_again() => self.write(now),
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
        match conclude {
            Some(request) => {
                let not_after = request.not_after;
                ConcludeStep::step(request, not_after, ConcludeThen::Close(Tell { checking, answer }))
            }
            None => checking.ctx.answer(answer),
        }
    }
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
