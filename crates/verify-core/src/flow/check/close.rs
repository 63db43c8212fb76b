//! Writing down what a failure, or its end without an answer, means for the record.

use crate::broken::Broken;
use crate::event::{Event, EventKind};
use crate::limit::Rule;
use crate::outcome::Answer;
use crate::port::{ConcludeRequest, Concluded, Conclusion};
use crate::record::Record;
use crate::store::{ClaimKey, ClaimKind, Counted, StoreAnswer, Takeback};
use crate::time::{SKEW, Timestamp};
use crate::vocabulary::Standing;

use super::Check;
use crate::flow::board::{Board, Closed, Kind, run_of, window_of};
use crate::flow::conclude::{announce, conclude_request};
use crate::flow::context::Context;
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
        let exhausted = write_down_ends(&mut record, clock, |entry| {
            match check.who.may_meet(entry) || entry.identity.standing == check.who.standing {
                true => self.closed.of(&check.who, entry),
                false => Timestamp::ZERO,
            }
        });
        // Closing ends what is pending, so it has the room of known callers.
        let mut changeset = check.ctx.changeset(now, Standing::Known);
        changeset.takebacks.clone_from(&self.takebacks);
        if check.ctx.is_broken(Broken::CountAfterCompare) {
            changeset.charges = check.board.charges();
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

/// Gives back what lines of these kinds were charged.
pub(super) fn takebacks(ctx: &Context, board: &Board, wanted: impl Fn(Kind) -> bool) -> Vec<Takeback> {
    let back = |(index, line): (usize, &crate::flow::board::Line)| {
        let counted = match (&line.charge.rule, wanted(line.kind) && line.before != line.after) {
            (Rule::Window { per, .. }, true) => Counted::Units {
                per: *per,
                units: line.charge.cost,
                at: window_of(&line.after)?.newest(),
            },
            (Rule::Backoff { forget_after, .. }, true) => Counted::Failure {
                before: *run_of(&line.before)?,
                charged: *run_of(&line.after)?,
                forget_after: *forget_after,
            },
            (Rule::Window { .. } | Rule::Backoff { .. }, false) => return None,
        };
        let once = ctx.seed.bytes(&format!("takeback {index}"));
        Some(Takeback {
            key: line.charge.key,
            counted,
            once: ClaimKey {
                kind: ClaimKind::Takeback,
                print: print_of(once),
            },
            expires_at: ctx.not_after + SKEW + SKEW,
        })
    };
    board.lines.iter().enumerate().filter_map(back).collect()
}
