//! Cancel: the end is written first, together with the announcement that its provider will be told; sends of that
//! scope wait for it, so that it cannot end a code that was sent after it.

use crate::command::{Caller, Target, VerificationRequest};
use crate::event::{Event, EventKind};
use crate::keys::PrintKind;
use crate::outcome::Answer;
use crate::port::{ConcludeRequest, Concluded, Conclusion};
use crate::record::{Entry, Notes, Record, Status};
use crate::store::{RecordKind, StoreAnswer};
use crate::time::Timestamp;
use crate::vocabulary::{Purpose, Standing};

use super::board::Board;
use super::conclude::{announce, conclude_request};
use super::context::Context;
use super::place::{Place, write_down_ends};
use super::step::{ConcludeStep, ConcludeThen, Step, StoreStep, StoreThen};
use super::view::{contention, print_of, store_fault, view};
use super::who::{Spelled, Who, not_found};

/// A verification named by its id, with what a view of it needs.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) ctx: Context,
    pub(super) who: Who,
    pub(super) nonce: [u8; 16],
    pub(super) board: Board,
    /// The same for a known caller: whose verification it is shows only when the record is read.
    known: Board,
    pub(super) place: Place,
    /// Where it is kept what providers said of the destination and its prefix: what they refuse is not offered.
    notes: Vec<Place>,
    noted: Notes,
    /// The end may be written already: an answer was lost.
    maybe_written: bool,
}

/// Who holds the id speaks for the verification, whatever standing it was sent with.
pub(super) fn named(
    mut ctx: Context,
    request: &VerificationRequest,
    now: Timestamp,
) -> Result<Named, Box<Step>> {
    let spelled = Spelled {
        subject: None,
        purpose: Purpose::SignIn,
        amount: None,
        payee: None,
    };
    let target = Target::Verification(request.verification_id.clone());
    match Who::of(&mut ctx, &target, spelled, &Caller::default(), now) {
        Ok(who) => {
            let nonce = who.nonce.unwrap_or_default();
            ctx.explanation.verification = Some(print_of(nonce));
            let place = Place::of(RecordKind::Verifications, &who.destination);
            let board = Board::for_view(&ctx, &who);
            let as_known = Who {
                standing: Standing::Known,
                ..who.clone()
            };
            let known = Board::for_view(&ctx, &as_known);
            let prefix = who.to.prefix().map(|prefix| {
                ctx.keys
                    .prints(PrintKind::Prefix, &ctx.service, prefix.as_bytes())
            });
            let noted = [who.destination.clone()].into_iter().chain(prefix);
            let notes = noted
                .map(|prints| Place::of(RecordKind::Notes, &prints))
                .collect();
            Ok(Named {
                ctx,
                who,
                nonce,
                board,
                known,
                place,
                notes,
                noted: Notes::default(),
                maybe_written: false,
            })
        }
        Err(refusal) => Err(Box::new(ctx.refuse(refusal))),
    }
}

impl Named {
    /// Reads the record, and probes what a view tells. A probe that denies refuses the changeset and shows all the same.
    pub(super) fn look(&self, now: Timestamp, then: StoreThen) -> Step {
        let mut changeset = self.ctx.changeset(now, self.who.standing);
        changeset.charges = self.board.charges();
        changeset.charges.extend(self.known.charges());
        let places = [&self.place].into_iter().chain(&self.notes);
        changeset.reads = places.flat_map(Place::keys).copied().collect();
        Step::Store(StoreStep {
            changeset,
            not_after: self.ctx.not_after,
            then: Box::new(then),
        })
    }

    /// What the look showed.
    pub(super) fn seen(&mut self, answer: StoreAnswer, now: Timestamp) -> Option<Record> {
        let (StoreAnswer::Applied(mut seen) | StoreAnswer::Refused(mut seen)) = answer else {
            return None;
        };
        let mut counters = std::mem::take(&mut seen.counters).into_iter();
        self.board.take(counters.by_ref().take(self.board.lines.len()));
        self.known.take(counters);
        self.place.take(&seen);
        for place in &self.notes {
            self.noted.take_all(place.notes(&seen, now).ok()?, now);
        }
        let record = self.place.record(&seen).ok()?;
        let standing = record.entry(&self.nonce).map(|entry| entry.identity.standing);
        if standing == Some(Standing::Known) {
            self.who.standing = Standing::Known;
            self.board = self.known.clone();
        }
        Some(record)
    }

    /// Ends in the record what time and the lockouts have ended, though nobody may have written it yet.
    pub(super) fn write_down_ends(&self, record: &mut Record, clock: Timestamp) {
        let closed = self.board.closed_before(clock);
        write_down_ends(record, clock, |entry| closed.of_standing(&self.who, entry));
    }

    pub(super) fn view(&self, record: &Record, now: Timestamp) -> Option<crate::outcome::Verification> {
        let entry = record.entry(&self.nonce)?;
        let mut who = self.who.clone();
        who.standing = entry.identity.standing;
        let clock = now.max(record.newest());
        Some(view(&self.ctx, &who, entry, &self.board, &self.noted, clock))
    }
}

/// The first look.
#[derive(Debug, Clone)]
pub(super) struct Look {
    named: Named,
}

/// The end on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Write {
    named: Named,
    record: Record,
    conclude: Option<ConcludeRequest>,
}

/// The provider was told.
#[derive(Debug, Clone)]
pub(super) struct Told {
    named: Named,
    record: Record,
}

/// The announcement is taken back.
#[derive(Debug, Clone)]
pub(super) struct Clear {
    named: Named,
    record: Record,
}

pub(super) fn start(ctx: Context, request: &VerificationRequest, now: Timestamp) -> Step {
    match named(ctx, request, now) {
        Ok(named) => named.look(now, StoreThen::CancelLook(Look { named: named.clone() })),
        Err(done) => *done,
    }
}

impl Look {
    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        match self.named.seen(answer, now) {
            Some(record) => Write::write(self.named, record, now),
            None => self.named.ctx.fault(store_fault()),
        }
    }
}

impl Write {
    fn write(mut named: Named, mut record: Record, now: Timestamp) -> Step {
        let clock = now.max(record.newest());
        named.write_down_ends(&mut record, clock);
        let entry = record.entry_mut(&named.nonce);
        let canceled = entry.is_some_and(|entry| entry.is_pending(clock) && entry.advance(Status::Canceled));
        if !canceled {
            let there = record.entry(&named.nonce).map(Entry::status);
            if !named.maybe_written || there != Some(Status::Canceled) {
                return named.ctx.refuse(not_found());
            }
            // It was written, and its answer was lost.
            let by = named.ctx.seed.bytes("concluding");
            let ours = record
                .concluding
                .as_ref()
                .is_some_and(|concluding| concluding.by == by);
            let conclude = match ours {
                true => conclude_request(&named.ctx, &record, &named.nonce, named.who.to.delivery()),
                false => None,
            };
            return Self {
                named,
                record,
                conclude,
            }
            .written(now);
        }
        let announced = announce(&named.ctx, &mut record, &named.nonce, Conclusion::Canceled, now);
        let conclude = match announced {
            true => conclude_request(&named.ctx, &record, &named.nonce, named.who.to.delivery()),
            false => None,
        };
        let Ok(row) = record.encode() else {
            return named.ctx.fault(store_fault());
        };
        let mut changeset = named.ctx.changeset(now, Standing::Known);
        changeset.records = named.place.becomes(Some(row));
        changeset.events = vec![Event {
            destination: Some(named.who.destination.newest()),
            verification: Some(print_of(named.nonce)),
            purpose: Some(named.who.purpose()),
            ..Event::new(now, named.ctx.service.clone(), EventKind::Canceled)
        }];
        named.ctx.explanation.verification = Some(print_of(named.nonce));
        let not_after = named.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::CancelWrite(Self {
                named,
                record,
                conclude,
            })),
        })
    }

    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(seen) => {
                self.named.place.take(&seen);
                self.written(now)
            }
            StoreAnswer::Refused(seen) => {
                self.named.place.take(&seen);
                let Ok(record) = self.named.place.record(&seen) else {
                    return self.named.ctx.fault(store_fault());
                };
                let by = self.named.ctx.seed.bytes("concluding");
                let ours = record
                    .concluding
                    .as_ref()
                    .is_some_and(|concluding| concluding.by == by);
                if ours {
                    // It was written, and its answer was lost.
                    self.record = record;
                    return self.written(now);
                }
                match self.named.ctx.try_again() {
                    true => Self::write(self.named, record, now),
                    false => self.named.ctx.refuse(contention()),
                }
            }
            // The same once more: if it was applied, the version tells.
            StoreAnswer::Unknown if self.named.ctx.try_again() => {
                self.named.maybe_written = true;
                let read = self.named.clone();
                read.look(now, StoreThen::CancelLook(Look { named: self.named }))
            }
            StoreAnswer::Unknown | StoreAnswer::NotApplied(_) => self.named.ctx.fault(store_fault()),
        }
    }

    fn written(self, now: Timestamp) -> Step {
        let Self {
            named,
            record,
            conclude,
        } = self;
        match conclude.filter(|request| now < request.not_after) {
            Some(request) => {
                let not_after = request.not_after;
                let told = Told { named, record };
                Step::Conclude(ConcludeStep {
                    request,
                    not_after,
                    then: Box::new(ConcludeThen::Cancel(told)),
                })
            }
            None => canceled(named, &record, now),
        }
    }
}

impl Told {
    pub(super) fn resume(mut self, now: Timestamp, answer: Concluded) -> Step {
        match answer {
            Concluded::Done | Concluded::Gone => {}
            // It may still arrive: the announcement stays until it surely cannot.
            Concluded::Unknown(detail) => {
                self.named.ctx.said(&"conclude".into(), "unknown", detail);
                return canceled(self.named, &self.record, now);
            }
        }
        self.record.concluding = None;
        let Ok(row) = self.record.encode() else {
            return self.named.ctx.fault(store_fault());
        };
        let mut changeset = self.named.ctx.changeset(now, Standing::Known);
        changeset.records = self.named.place.becomes(Some(row));
        let not_after = self.named.ctx.not_after;
        let then = StoreThen::CancelClear(Clear {
            named: self.named,
            record: self.record,
        });
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(then),
        })
    }
}

impl Clear {
    /// Whatever the store says: an announcement that stays runs out by itself.
    pub(super) fn resume(self, now: Timestamp, _answer: &StoreAnswer) -> Step {
        canceled(self.named, &self.record, now)
    }
}

fn canceled(named: Named, record: &Record, now: Timestamp) -> Step {
    match named.view(record, now) {
        Some(seen) => named.ctx.done(Answer::Canceled(Box::new(seen))),
        None => named.ctx.refuse(not_found()),
    }
}
