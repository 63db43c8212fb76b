//! A tick of notes that have no end: they are written again under the newest keys, so that the older ones can leave their
//! rings. What they say stays as it is.
//!
//! ```text
//! look ── look under every key of the ring ── write ── done
//! ```

use crate::outcome::{Fault, TickAnswer};
use crate::record::Notes;
use crate::secret::Secret;
use crate::store::{RecordKey, RecordKind, StoreAnswer};
use crate::time::Timestamp;
use crate::vocabulary::Standing;

use super::context::Context;
use super::found::Place;
use super::step::{Step, StoreStep, StoreThen};
use super::tick::Write;

/// The look on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Look {
    ctx: Context,
    record: RecordKey,
}

/// The second look: whose they are is known, and so where else something may lie.
#[derive(Debug, Clone)]
pub(super) struct Gather {
    ctx: Context,
    place: Place,
    whose: Secret<Vec<u8>>,
}

pub(super) fn start(mut ctx: Context, record: RecordKey, now: Timestamp) -> Step {
    ctx.explanation.destination = Some(record.print);
    let mut changeset = ctx.changeset(now, Standing::Known);
    changeset.reads = vec![record];
    let not_after = ctx.not_after;
    StoreStep::step(changeset, not_after, StoreThen::RekeyLook(Look { ctx, record }))
}

impl Look {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self { ctx, record } = self;
        let notes = answer
            .seen()
            .and_then(|seen| seen.record(&record).map(Notes::decode).transpose());
        let notes = match notes {
            Ok(notes) => notes.unwrap_or_default(),
            Err(fault) => return ctx.failed(fault),
        };
        // Nobody can tell where else to put them: they say no name, or are gone, or one of their keys is.
        let Some((whose, prints)) = notes.named(&ctx.keys, &ctx.service, &record) else {
            return ctx.done(TickAnswer { changed: false });
        };
        let place = Place::of(&ctx.keys, RecordKind::Notes, &prints);
        let mut changeset = ctx.changeset(now, Standing::Known);
        changeset.reads = place.keys().copied().collect();
        let not_after = ctx.not_after;
        StoreStep::step(
            changeset,
            not_after,
            StoreThen::RekeyGather(Gather { ctx, place, whose }),
        )
    }
}

impl Gather {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self {
            ctx,
            mut place,
            whose,
        } = self;
        let notes = answer.seen().and_then(|seen| {
            place.take(&seen);
            place.notes(&seen, now)
        });
        let mut notes = match notes {
            Ok(notes) => notes,
            Err(fault) => return ctx.failed(fault),
        };
        // Meanwhile ended, or erased: then nobody's name is put back.
        if !notes.is_durable() || notes.whose.is_none() {
            return ctx.done(TickAnswer { changed: false });
        }
        let named = notes.name(&ctx.keys, &ctx.seed, whose.expose());
        let (Ok(()), Ok(change)) = (named, place.becomes_notes(&notes)) else {
            return ctx.fault(Fault::Defect);
        };
        let mut changeset = ctx.changeset(now, Standing::Known);
        changeset.records = change;
        let not_after = ctx.not_after;
        StoreStep::step(changeset, not_after, StoreThen::TickWrite(Write { ctx }))
    }
}
