//! Unlock, for operators: it ends a person's lockout and forgets what providers said of the destination, and opens nothing
//! that the lockout had closed. Limits stay counted.
//!
//! ```text
//! parse ── look ── reset the lockouts, write down what they had closed ── done
//!            ▲                     │ conflict
//!            └─────────────────────┘
//! ```

use crate::command::{Caller, Person, UnlockRequest};
use crate::event::{Event, EventKind};
use crate::outcome::{Fault, UnlockAnswer};
use crate::store::{StoreAnswer, StoreFault};
use crate::time::Timestamp;
use crate::vocabulary::Standing;

use super::board::{Board, lockout_keys};
use super::context::Context;
use super::found::{Found, Places};
use super::refusals::contention;
use super::step::{Step, StoreStep, StoreThen};
use super::who::Who;

/// The look on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Look {
    ctx: Context,
    /// The person as each standing: their lockouts are counted apart.
    people: [(Who, Board); 2],
    places: Places,
}

/// The resets on their way to the store.
#[derive(Debug, Clone)]
pub(super) struct Write(Look);

pub(super) fn start(mut ctx: Context, request: &UnlockRequest, now: Timestamp) -> Step {
    let person = Person {
        country: request.country,
        subject: request.subject.clone(),
        ..Person::at(&*request.to)
    };
    let who = match Who::person(&mut ctx, &person, &Caller::default(), now) {
        Ok(who) => who,
        Err(refusal) => return ctx.refuse::<UnlockAnswer>(refusal),
    };
    let people = [Standing::Stranger, Standing::Known].map(|standing| {
        let who = Who {
            standing,
            ..who.clone()
        };
        let board = Board::for_view(&ctx, &who);
        (who, board)
    });
    Look {
        people,
        places: Places::with_notes(&ctx.keys, &who.destination, [&who.destination]),
        ctx,
    }
    .step(now)
}

impl Look {
    /// Probes the lockouts. A probe that denies refuses the changeset and shows all the same.
    fn step(self, now: Timestamp) -> Step {
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        let boards = self.people.iter().map(|(_, board)| board);
        changeset.charges = boards.flat_map(Board::charges).collect();
        changeset.reads = self.places.keys();
        StoreStep::step(changeset, self.ctx.not_after, StoreThen::UnlockLook(self))
    }

    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let mut seen = match answer.seen() {
            Ok(seen) => seen,
            Err(fault) => return self.ctx.failed(fault),
        };
        let mut counters = std::mem::take(&mut seen.counters).into_iter();
        for (_, board) in &mut self.people {
            board.take(counters.by_ref());
        }
        let [(_, stranger), (_, known)] = &self.people;
        match Found::at(&mut self.places, &[stranger, known], &seen, now) {
            Ok(found) => self.write(found, now),
            Err(fault) => self.ctx.failed(fault),
        }
    }

    /// The reset forgets what the lockouts had closed, so that is written down with it.
    fn write(self, mut found: Found, now: Timestamp) -> Step {
        let Self { ctx, people, places } = &self;
        let clock = found.clock;
        let exhausted = found.write_down_ends(|verification| {
            let closed =
                |(who, board): &(Who, Board)| board.closed_before(clock).of_standing(who, verification);
            people.iter().map(closed).max().unwrap_or(Timestamp::ZERO)
        });
        let mut changeset = ctx.changeset(now, Standing::Known);
        let keys = people
            .iter()
            .flat_map(|(who, _)| lockout_keys(ctx, who, who.standing));
        changeset.resets = keys.collect();
        let notes = places.notes.iter().map(|notes| &notes.place);
        changeset.records = notes.clone().flat_map(|place| place.goes()).collect();
        if !exhausted.is_empty() {
            match places.record.becomes(&found.record) {
                Ok(change) => changeset.records.extend(change),
                Err(_) => return self.ctx.fault(Fault::Defect),
            }
        }
        let [(who, _), _] = people;
        let event = |kind, nth| Event {
            purpose: None,
            ..who.event(ctx, kind, nth, now)
        };
        changeset.events.push(Event {
            rules: notes
                .filter(|place| !place.is_empty())
                .map(|_| "note".into())
                .collect(),
            ..event(EventKind::Unlocked, 0)
        });
        changeset
            .events
            .extend((0..).zip(&exhausted).map(|(nth, nonce)| Event {
                verification: Some(nonce.print()),
                ..event(EventKind::Exhausted, nth)
            }));
        StoreStep::step(changeset, self.ctx.not_after, StoreThen::UnlockWrite(Write(self)))
    }
}

impl Write {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self(mut look) = self;
        match answer {
            StoreAnswer::Applied(_) => look.ctx.done(UnlockAnswer::Unlocked),
            StoreAnswer::Refused(_) if look.ctx.try_again() => look.step(now),
            StoreAnswer::Refused(_) => look.ctx.refuse::<UnlockAnswer>(contention()),
            StoreAnswer::Unknown(words) => look.ctx.failed(StoreFault::Unavailable(words)),
            StoreAnswer::NotApplied(fault) => look.ctx.failed(fault),
        }
    }
}
