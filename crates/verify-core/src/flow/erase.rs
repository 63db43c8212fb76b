//! Erase, for operators: a person's verifications go, and what tells whose the notes are. Counters stay and run out by
//! themselves; so do notes, which are there for the person's sake.
//!
//! ```text
//! parse ── look ── delete ── done
//!            ▲        │ conflict, lost answer
//!            └────────┘
//! ```

use crate::command::{Caller, EraseRequest, Person};
use crate::event::{Event, EventKind};
use crate::outcome::{EraseAnswer, Fault};
use crate::record::{Notes, Unwritable};
use crate::store::{RecordChange, StoreAnswer, StoreFault};
use crate::time::Timestamp;
use crate::vocabulary::Standing;

use super::context::Context;
use super::found::{NotesPlace, Places};
use super::refusals::contention;
use super::step::{Step, StoreStep, StoreThen};
use super::who::Who;

/// The look on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Look {
    ctx: Context,
    places: Places,
    event: Event,
}

/// The erasure on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Write {
    look: Look,
    verifications: usize,
}

pub(super) fn start(mut ctx: Context, request: &EraseRequest, now: Timestamp) -> Step {
    let person = Person {
        country: request.country,
        ..Person::at(&*request.to)
    };
    match Who::person(&mut ctx, &person, &Caller::default(), now) {
        Ok(who) => Look {
            places: Places::with_notes(&ctx.keys, &who.destination, [&who.destination]),
            event: Event {
                purpose: None,
                standing: None,
                ..who.event(&ctx, EventKind::Erased, 0, now)
            },
            ctx,
        }
        .step(now),
        Err(refusal) => ctx.refuse::<EraseAnswer>(refusal),
    }
}

impl Look {
    fn step(self, now: Timestamp) -> Step {
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.reads = self.places.keys();
        StoreStep::step(changeset, self.ctx.not_after, StoreThen::EraseLook(self))
    }

    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let seen = match answer.seen() {
            Ok(seen) => seen,
            Err(fault) => return self.ctx.failed(fault),
        };
        // Whose they are might stay in notes that cannot be read, and they may be an opt-out: somebody has to look.
        if let Err(fault) = self.places.take(&seen, now) {
            return self.ctx.failed(fault);
        }
        // A record that cannot be read goes all the same.
        let record = self.places.record.record(&seen).unwrap_or_default();
        let notes = self.places.notes.iter().map(unnamed);
        let Ok(notes) = notes.collect::<Result<Vec<_>, _>>() else {
            return self.ctx.fault(Fault::Defect);
        };
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.records = notes.into_iter().flatten().collect();
        if self.places.record.is_empty() && changeset.records.is_empty() {
            return self.ctx.done(EraseAnswer::Erased { verifications: 0 });
        }
        changeset.records.extend(self.places.record.goes());
        changeset.events.push(self.event.clone());
        let not_after = self.ctx.not_after;
        let then = Write {
            verifications: record.verifications.len(),
            look: self,
        };
        StoreStep::step(changeset, not_after, StoreThen::EraseWrite(then))
    }
}

/// The change after which nothing tells whose these notes are; none where nothing does.
fn unnamed(notes: &NotesPlace) -> Result<Vec<RecordChange>, Unwritable> {
    let NotesPlace { place, noted } = notes;
    if place.is_empty() || noted.whose.is_none() {
        return Ok(Vec::new());
    }
    place.becomes_notes(&Notes {
        whose: None,
        ..noted.clone()
    })
}

impl Write {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self {
            mut look,
            verifications,
        } = self;
        match answer {
            StoreAnswer::Applied(_) => look.ctx.done(EraseAnswer::Erased { verifications }),
            StoreAnswer::Refused(_) if look.ctx.try_again() => look.step(now),
            StoreAnswer::Unknown(_) if look.ctx.ask_again() => look.step(now),
            StoreAnswer::Refused(_) => look.ctx.refuse::<EraseAnswer>(contention()),
            StoreAnswer::Unknown(words) => look.ctx.failed(StoreFault::Unavailable(words)),
            StoreAnswer::NotApplied(fault) => look.ctx.failed(fault),
        }
    }
}
