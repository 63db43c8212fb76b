//! Writing down what a failure, or its end without an answer, means for the record.

use crate::broken::Broken;
use crate::event::{Event, EventKind};
use crate::outcome::Answer;
use crate::port::{ConcludeRequest, Concluded, Conclusion};
use crate::record::Record;
use crate::store::{StoreAnswer, Takeback};
use crate::time::Timestamp;
use crate::vocabulary::Standing;

use super::Check;
use crate::flow::board::Closed;
use crate::flow::conclude::{announce, conclude_request};
use crate::flow::place::write_down_ends;
use crate::flow::step::{ConcludeStep, ConcludeThen, Step, StoreStep, StoreThen};
use crate::flow::view::print_of;

/// A closing on its way to the store. Its answer stands already: closing is derived from the lockout as well, so a
/// store that does not take it changes nothing.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Close {
    check: Check,
    record: Record,
    /// What the lockouts close.
    closed: Closed,
    answer: Answer,
    takebacks: Vec<Takeback>,
    conclude: Option<ConcludeRequest>,
}

/// The provider was told; the answer is the one that stood.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Told {
    check: Check,
    answer: Answer,
}

impl Close {
    pub(super) fn new(check: Check, record: Record, closed: Closed, answer: Answer) -> Self {
        Self {
            check,
            record,
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
        let check = &self.check;
        let mut record = self.record.clone();
        let clock = now.max(record.newest()).max(check.board.newest());
        let exhausted = write_down_ends(&mut record, clock, |entry| self.closed.of_met(&check.who, entry));
        // Closing ends what is pending, so it has the room of known callers.
        let mut changeset = check.ctx.changeset(now, Standing::Known);
        changeset.takebacks.clone_from(&self.takebacks);
        if check.ctx.is_broken(Broken::CountAfterCompare) {
            changeset.charges = check.charges();
        }
        changeset.events = exhausted
            .iter()
            .map(|nonce| Event {
                verification: Some(print_of(*nonce)),
                ..check.event(EventKind::Exhausted, now)
            })
            .chain(check.board.alerts(clock).into_iter().map(|rule| Event {
                rules: vec![rule],
                ..check.event(EventKind::LimitAlert, now)
            }))
            .collect();
        self.conclude = exhausted.iter().find_map(|nonce| {
            announce(&check.ctx, &mut record, nonce, Conclusion::Canceled, now)
                .then(|| conclude_request(&check.ctx, &record, nonce, check.who.to.delivery()))?
        });
        if record != self.record {
            match record.encode() {
                Ok(row) => changeset.records = check.place.becomes(Some(row)),
                Err(_) => return self.check.ctx.done(self.answer),
            }
        }
        let not_after = self.check.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::Close(self)),
        })
    }

    pub(in crate::flow) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(_) => match self.conclude {
                Some(request) => {
                    let told = Told {
                        check: self.check,
                        answer: self.answer,
                    };
                    let not_after = request.not_after;
                    Step::Conclude(ConcludeStep {
                        request,
                        not_after,
                        then: Box::new(ConcludeThen::Closed(told)),
                    })
                }
                None => self.check.ctx.done(self.answer),
            },
            StoreAnswer::Refused(seen) => {
                self.check.place.take(&seen);
                match self.check.place.record(&seen) {
                    Ok(record) if self.check.ctx.try_again() => {
                        self.record = record;
                        self.write(now)
                    }
                    Ok(_) | Err(_) => self.check.ctx.done(self.answer),
                }
            }
            StoreAnswer::Unknown if self.check.ctx.try_again() => self.write(now),
            StoreAnswer::Unknown | StoreAnswer::NotApplied(_) => self.check.ctx.done(self.answer),
        }
    }
}

impl Told {
    pub(in crate::flow) fn resume(mut self, answer: Concluded) -> Step {
        if let Concluded::Unknown(detail) = answer {
            self.check.ctx.said(&"conclude".into(), "unknown", detail);
        }
        self.check.ctx.done(self.answer)
    }
}
