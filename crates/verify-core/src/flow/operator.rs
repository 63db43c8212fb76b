//! Operators' commands: unlock ends a person's lockout and forgets what providers said of the destination; erase
//! removes a person's verifications. Limits stay counted either way.

use crate::command::{Caller, PersonRequest, Target};
use crate::event::{Event, EventKind};
use crate::outcome::{Answer, Refusal};
use crate::store::{RecordKind, StoreAnswer};
use crate::time::Timestamp;
use crate::vocabulary::{Purpose, Standing};

use super::board::lockout_keys;
use super::context::Context;
use super::place::Place;
use super::step::{Step, StoreStep, StoreThen};
use super::view::{contention, store_fault};
use super::who::{Spelled, Who};

/// The resets on their way to the store.
#[derive(Debug, Clone)]
pub(super) struct Unlock {
    ctx: Context,
    notes: Place,
    event: Event,
}

/// The notes of an unlocked person on their way out.
#[derive(Debug, Clone)]
pub(super) struct Forget {
    ctx: Context,
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
    let notes = Place::of(RecordKind::Notes, &who.destination);
    let mut changeset = ctx.changeset(now, Standing::Known);
    changeset.resets = Standing::ALL
        .iter()
        .flat_map(|standing| lockout_keys(&ctx, &who, *standing))
        .collect();
    changeset.reads = notes.keys().copied().collect();
    let event = event(&ctx, &who, EventKind::Unlocked, now);
    changeset.events.push(event.clone());
    let not_after = ctx.not_after;
    Step::Store(StoreStep {
        changeset,
        not_after,
        then: Box::new(StoreThen::Unlock(Unlock { ctx, notes, event })),
    })
}

impl Unlock {
    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let StoreAnswer::Applied(seen) = answer else {
            return self.ctx.fault(store_fault());
        };
        self.notes.take(&seen);
        if self.notes.is_empty() {
            return self.ctx.done(Answer::Unlocked);
        }
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.records = self.notes.becomes(None);
        changeset.events.push(Event {
            rules: vec!["note".into()],
            ..self.event
        });
        let not_after = self.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::Forget(Forget { ctx: self.ctx })),
        })
    }
}

impl Forget {
    pub(super) fn resume(self, _now: Timestamp, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(_) => self.ctx.done(Answer::Unlocked),
            StoreAnswer::Refused(_) => self.ctx.refuse(contention()),
            StoreAnswer::Unknown | StoreAnswer::NotApplied(_) => self.ctx.fault(store_fault()),
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
