//! Cancel: the end is written first, together with the announcement that its provider will be told; sends of that
//! scope wait for it, so that it cannot end a code that was sent after it.
//!
//! ```text
//! open the id ── look ── write the end ──┬── done
//!                  ▲          │ conflict │
//!                  └──────────┘          └── tell the provider ── take the announcement back ── done
//! ```
//!
//! Under private disclosure the answer comes before the provider is told, and the announcement runs out by itself: how long a
//! provider takes would tell that there is one.

use crate::command::CancelRequest;
use crate::event::EventKind;
use crate::outcome::{CancelAnswer, Fault};
use crate::port::{ConcludeRequest, Concluded};
use crate::record::{Status, Verification};
use crate::store::{StoreAnswer, StoreFault};
use crate::time::Timestamp;
use crate::vocabulary::Standing;

use super::conclude::{announce, announcer, conclude_request, tell};
use super::context::Context;
use super::found::Found;
use super::named::Named;
use super::refusals::{contention, not_found};
use super::step::{ConcludeThen, Step, StoreStep, StoreThen};

/// The look on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Look {
    named: Named,
    /// The end may be written already: an answer was lost.
    maybe_written: bool,
}

/// The end on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Write {
    named: Named,
    found: Found,
    conclude: Option<ConcludeRequest>,
    maybe_written: bool,
}

/// A provider that is told.
#[derive(Debug, Clone)]
pub(super) struct Tell {
    named: Named,
    found: Found,
}

/// The announcement that is taken back.
#[derive(Debug, Clone)]
pub(super) struct Clear {
    named: Named,
    found: Found,
}

pub(super) fn start(ctx: Context, request: &CancelRequest, now: Timestamp) -> Step {
    match Named::of(ctx, &request.verification_id, now) {
        Ok(named) => look(named, false, now),
        Err(refused) => {
            let (ctx, refusal) = *refused;
            ctx.refuse::<CancelAnswer>(refusal)
        }
    }
}

fn look(named: Named, maybe_written: bool, now: Timestamp) -> Step {
    let then = |named| StoreThen::CancelLook(Look { named, maybe_written });
    named.look(now, then)
}

impl Look {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self {
            mut named,
            maybe_written,
        } = self;
        match named.seen(answer, now) {
            Ok(found) => write(named, found, maybe_written, now),
            Err(fault) => named.ctx.failed(fault),
        }
    }
}

/// Writes the end, unless somebody has.
fn write(named: Named, mut found: Found, maybe_written: bool, now: Timestamp) -> Step {
    let clock = found.clock;
    let verification = found.record.verification_mut(named.nonce);
    let canceled = verification
        .is_some_and(|verification| verification.is_pending(clock) && verification.advance(Status::Canceled));
    if !canceled {
        let there = found.record.verification(named.nonce).map(Verification::status);
        return match maybe_written && there == Some(Status::Canceled) {
            // It was written, and its answer was lost.
            true => written_before(named, found, now),
            false => named.ctx.refuse::<CancelAnswer>(not_found()),
        };
    }
    let conclude = announce(&named.ctx, &mut found, &named.who, named.nonce, now);
    let Ok(change) = named.places.record.becomes(&found.record) else {
        return named.ctx.fault(Fault::Defect);
    };
    let mut changeset = named.ctx.changeset(now, Standing::Known);
    changeset.records = change;
    changeset.events = vec![named.who.event(&named.ctx, EventKind::Canceled, 0, now)];
    let not_after = named.ctx.not_after;
    let then = Write {
        named,
        found,
        conclude,
        maybe_written,
    };
    StoreStep::step(changeset, not_after, StoreThen::CancelWrite(then))
}

/// The end is there already, by this flow: what it announced is told.
fn written_before(named: Named, found: Found, now: Timestamp) -> Step {
    let by = announcer(&named.ctx);
    let ours = found.record.concluding.as_ref().is_some_and(|it| it.by == by);
    let conclude = match ours {
        true => conclude_request(&named.ctx, &found, &named.who, named.nonce),
        false => None,
    };
    written(named, found, conclude, now)
}

impl Write {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self {
            mut named,
            found,
            conclude,
            maybe_written,
        } = self;
        match answer {
            StoreAnswer::Applied(seen) => {
                named.places.record.take(&seen);
                written(named, found, conclude, now)
            }
            StoreAnswer::Refused(seen) => {
                let found = match Found::at(&mut named.places, &[&named.board], &seen, now) {
                    Ok(found) => named.with_ends(found),
                    Err(fault) => return named.ctx.failed(fault),
                };
                let by = announcer(&named.ctx);
                let ours = found.record.concluding.as_ref().is_some_and(|it| it.by == by);
                match (ours, named.ctx.try_again()) {
                    // It was written, and its answer was lost.
                    (true, _) => written(named, found, conclude, now),
                    (false, true) => write(named, found, maybe_written, now),
                    (false, false) => named.ctx.refuse::<CancelAnswer>(contention()),
                }
            }
            // The look tells whether it was applied.
            StoreAnswer::Unknown(_) if named.ctx.ask_again() => look(named, true, now),
            StoreAnswer::Unknown(words) => named.ctx.failed(StoreFault::Unavailable(words)),
            StoreAnswer::NotApplied(fault) => named.ctx.failed(fault),
        }
    }
}

/// The end is written: its provider is told, where there is time for it.
fn written(named: Named, found: Found, conclude: Option<ConcludeRequest>, now: Timestamp) -> Step {
    match conclude.filter(|request| now < request.not_after) {
        Some(request) => {
            let ctx = named.ctx.clone();
            let told = || Ok(answer(&named, &found.clone().later(now)));
            let told = ctx.is_private().then(told);
            tell(&ctx, told, request, ConcludeThen::Cancel(Tell { named, found }))
        }
        None => canceled(named, &found.later(now)),
    }
}

impl Tell {
    pub(super) fn resume(self, now: Timestamp, answer: Concluded) -> Step {
        let Self { mut named, found } = self;
        let mut found = found.later(now);
        match answer {
            Concluded::Done | Concluded::Gone if named.ctx.is_private() => return canceled(named, &found),
            Concluded::Done | Concluded::Gone => found.record.concluding = None,
            // It may still arrive: the announcement stays until it surely cannot.
            Concluded::Unknown(detail) => {
                named.ctx.said(&"conclude".into(), "unknown", detail);
                return canceled(named, &found);
            }
        }
        let Ok(change) = named.places.record.becomes(&found.record) else {
            return named.ctx.fault(Fault::Defect);
        };
        let mut changeset = named.ctx.changeset(now, Standing::Known);
        changeset.records = change;
        let not_after = named.ctx.not_after;
        StoreStep::step(
            changeset,
            not_after,
            StoreThen::CancelClear(Clear { named, found }),
        )
    }
}

impl Clear {
    /// Whatever the store says: an announcement that stays runs out by itself.
    pub(super) fn resume(self, now: Timestamp) -> Step {
        canceled(self.named, &self.found.later(now))
    }
}

fn canceled(named: Named, found: &Found) -> Step {
    let answer = answer(&named, found);
    named.ctx.done(answer)
}

fn answer(named: &Named, found: &Found) -> CancelAnswer {
    let view = named.view(found);
    view.map_or_else(
        || CancelAnswer::Refused(not_found()),
        |view| CancelAnswer::Canceled(Box::new(view)),
    )
}
