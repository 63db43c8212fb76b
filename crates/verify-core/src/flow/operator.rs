//! Operators' commands: unlock ends a person's lockout and forgets what providers said of the destination, and opens
//! nothing that the lockout had closed; erase removes a person's verifications. Limits stay counted either way.

use crate::command::{Caller, PersonRequest, Target};
use crate::event::{Event, EventKind};
use crate::outcome::{Answer, Refusal};
use crate::record::Record;
use crate::store::{RecordKind, StoreAnswer};
use crate::time::Timestamp;
use crate::vocabulary::{Purpose, Standing};

use super::board::{Board, lockout_keys};
use super::context::Context;
use super::place::{Place, write_down_ends};
use super::step::{Step, StoreStep, StoreThen};
use super::view::{contention, print_of, store_fault};
use super::who::{Spelled, Who};

/// The look before an unlock.
#[derive(Debug, Clone)]
pub(super) struct UnlockLook {
    ctx: Context,
    /// The person as each standing: their lockouts are counted apart.
    people: [(Who, Board); 2],
    place: Place,
    notes: Place,
    event: Event,
}

/// The resets on their way to the store.
#[derive(Debug, Clone)]
pub(super) struct UnlockWrite {
    look: UnlockLook,
}

/// The look before an erasure.
#[derive(Debug, Clone)]
pub(super) struct EraseLook {
    ctx: Context,
    place: Place,
    event: Event,
}

/// The erasure on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct EraseWrite {
    look: EraseLook,
    verifications: usize,
}

fn person(ctx: &mut Context, request: &PersonRequest, now: Timestamp) -> Result<Who, Refusal> {
    let target = Target::To {
        to: request.to.clone(),
        country: request.country,
    };
    let spelled = Spelled {
        subject: request.subject.clone(),
        purpose: Purpose::SignIn,
        amount: None,
        payee: None,
    };
    Who::of(ctx, &target, spelled, &Caller::default(), now)
}

fn event(ctx: &Context, who: &Who, kind: EventKind, now: Timestamp) -> Event {
    Event {
        destination: Some(who.destination.newest()),
        ..Event::new(now, ctx.service.clone(), kind)
    }
}

pub(super) fn unlock(mut ctx: Context, request: &PersonRequest, now: Timestamp) -> Step {
    let who = match person(&mut ctx, request, now) {
        Ok(who) => who,
        Err(refusal) => return ctx.refuse(refusal),
    };
    let people = [Standing::Stranger, Standing::Known].map(|standing| {
        let who = Who {
            standing,
            ..who.clone()
        };
        let board = Board::for_view(&ctx, &who);
        (who, board)
    });
    UnlockLook {
        people,
        place: Place::of(RecordKind::Verifications, &who.destination),
        notes: Place::of(RecordKind::Notes, &who.destination),
        event: event(&ctx, &who, EventKind::Unlocked, now),
        ctx,
    }
    .look(now)
}

impl UnlockLook {
    /// Probes the lockouts. A probe that denies refuses the changeset and shows all the same.
    fn look(self, now: Timestamp) -> Step {
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.charges = self
            .people
            .iter()
            .flat_map(|(_, board)| board.charges())
            .collect();
        changeset.reads = self.place.keys().chain(self.notes.keys()).copied().collect();
        let not_after = self.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::UnlockLook(self)),
        })
    }

    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let (StoreAnswer::Applied(mut seen) | StoreAnswer::Refused(mut seen)) = answer else {
            return self.ctx.fault(store_fault());
        };
        let mut counters = std::mem::take(&mut seen.counters).into_iter();
        for (_, board) in &mut self.people {
            board.take(counters.by_ref());
        }
        self.place.take(&seen);
        self.notes.take(&seen);
        match self.place.record(&seen) {
            Ok(record) => self.write(record, now),
            Err(_) => self.ctx.fault(store_fault()),
        }
    }

    /// The reset forgets what the lockouts had closed, so that is written down with it.
    fn write(self, mut record: Record, now: Timestamp) -> Step {
        let boards = || self.people.iter().map(|(_, board)| board.newest());
        let clock = boards().fold(now.max(record.newest()), Timestamp::max);
        let exhausted = write_down_ends(&mut record, clock, |entry| {
            let closed = |(who, board): &(Who, Board)| board.closed_before(clock).of_standing(who, entry);
            self.people.iter().map(closed).max().unwrap_or(Timestamp::ZERO)
        });
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.resets = self
            .people
            .iter()
            .flat_map(|(who, _)| lockout_keys(&self.ctx, who, who.standing))
            .collect();
        changeset.records = self.notes.becomes(None);
        if !exhausted.is_empty() {
            let Ok(row) = record.encode() else {
                return self.ctx.fault(store_fault());
            };
            changeset.records.extend(self.place.becomes(Some(row)));
        }
        let rules = match self.notes.is_empty() {
            true => Vec::new(),
            false => vec!["note".into()],
        };
        changeset.events.push(Event {
            rules,
            ..self.event.clone()
        });
        changeset.events.extend(exhausted.iter().map(|nonce| Event {
            kind: EventKind::Exhausted,
            verification: Some(print_of(*nonce)),
            ..self.event.clone()
        }));
        let not_after = self.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::UnlockWrite(UnlockWrite { look: self })),
        })
    }
}

impl UnlockWrite {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let mut look = self.look;
        match answer {
            StoreAnswer::Applied(_) => look.ctx.done(Answer::Unlocked),
            StoreAnswer::Refused(_) if look.ctx.try_again() => look.look(now),
            StoreAnswer::Refused(_) => look.ctx.refuse(contention()),
            StoreAnswer::Unknown | StoreAnswer::NotApplied(_) => look.ctx.fault(store_fault()),
        }
    }
}

pub(super) fn erase(mut ctx: Context, request: &PersonRequest, now: Timestamp) -> Step {
    match person(&mut ctx, request, now) {
        Ok(who) => {
            let event = event(&ctx, &who, EventKind::Erased, now);
            EraseLook {
                place: Place::of(RecordKind::Verifications, &who.destination),
                ctx,
                event,
            }
            .look(now)
        }
        Err(refusal) => ctx.refuse(refusal),
    }
}

impl EraseLook {
    fn look(self, now: Timestamp) -> Step {
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.reads = self.place.keys().copied().collect();
        let not_after = self.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::EraseLook(self)),
        })
    }

    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let (StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen)) = answer else {
            return self.ctx.fault(store_fault());
        };
        self.place.take(&seen);
        if self.place.is_empty() {
            return self.ctx.done(Answer::Erased { verifications: 0 });
        }
        let verifications = self.place.record(&seen).map_or(0, |record| record.entries.len());
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.records = self.place.becomes(None);
        changeset.events.push(self.event.clone());
        let not_after = self.ctx.not_after;
        let then = StoreThen::EraseWrite(EraseWrite {
            look: self,
            verifications,
        });
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(then),
        })
    }
}

impl EraseWrite {
    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(_) => {
                let answer = Answer::Erased {
                    verifications: self.verifications,
                };
                self.look.ctx.done(answer)
            }
            StoreAnswer::Refused(_) | StoreAnswer::Unknown if self.look.ctx.try_again() => {
                self.look.look(now)
            }
            StoreAnswer::Refused(_) => self.look.ctx.refuse(contention()),
            StoreAnswer::Unknown | StoreAnswer::NotApplied(_) => self.look.ctx.fault(store_fault()),
        }
    }
}
