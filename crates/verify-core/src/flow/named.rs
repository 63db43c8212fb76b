//! A verification that its id names, and the look that cancel and status begin with: one read, which consumes and counts
//! nothing.

use crate::command::Caller;
use crate::ids::Nonce;
use crate::outcome::{Refusal, VerificationView};
use crate::store::{StoreAnswer, StoreFault};
use crate::time::Timestamp;
use crate::vocabulary::Standing;

use super::board::Board;
use super::context::Context;
use super::found::{Found, Places};
use super::step::{Step, StoreStep, StoreThen};
use super::view::view;
use super::who::Who;

/// A verification named by its id, with what a view of it needs.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) ctx: Context,
    pub(super) who: Who,
    pub(super) nonce: Nonce,
    pub(super) board: Board,
    /// The same for a known caller: whose verification it is shows only when the record is read.
    known: Board,
    /// What providers said of the destination and its prefix is among them: what they refuse is not offered.
    pub(super) places: Places,
}

impl Named {
    /// Who holds the id speaks for the verification, whatever standing it was sent with.
    pub(super) fn of(mut ctx: Context, id: &str, now: Timestamp) -> Result<Self, Box<(Context, Refusal)>> {
        let who = match Who::named(&mut ctx, id, &Caller::default(), now) {
            Ok(who) => who,
            Err(refusal) => return Err(Box::new((ctx, refusal))),
        };
        let as_known = Who {
            standing: Standing::Known,
            ..who.clone()
        };
        let prefix = who.prefix(&ctx);
        let noted = [&who.destination].into_iter().chain(&prefix);
        Ok(Self {
            board: Board::for_view(&ctx, &who),
            known: Board::for_view(&ctx, &as_known),
            places: Places::with_notes(&ctx.keys, &who.destination, noted),
            nonce: who.nonce.unwrap_or_default(),
            ctx,
            who,
        })
    }

    /// Reads the record, and probes what a view tells. A probe that denies refuses the changeset and shows all the same.
    pub(super) fn look(self, now: Timestamp, then: impl FnOnce(Self) -> StoreThen) -> Step {
        let mut changeset = self.ctx.changeset(now, self.who.standing);
        changeset.charges = self.board.charges();
        changeset.charges.extend(self.known.charges());
        changeset.reads = self.places.keys();
        StoreStep::step(changeset, self.ctx.not_after, then(self))
    }

    /// What the look showed, with what time and the lockouts have ended.
    pub(super) fn seen(&mut self, answer: StoreAnswer, now: Timestamp) -> Result<Found, StoreFault> {
        let mut seen = answer.seen()?;
        let mut counters = std::mem::take(&mut seen.counters).into_iter();
        self.board.take(counters.by_ref().take(self.board.lines.len()));
        self.known.take(counters);
        let found = Found::at(&mut self.places, &[&self.board, &self.known], &seen, now)?;
        let named = found.record.verification(self.nonce);
        if named.is_some_and(|named| named.identity.standing == Standing::Known) {
            self.who.standing = Standing::Known;
            self.board = self.known.clone();
        }
        Ok(self.with_ends(found))
    }

    /// With the ends that nobody may have written yet.
    pub(super) fn with_ends(&self, mut found: Found) -> Found {
        let closed = self.board.closed_before(found.clock);
        found.write_down_ends(|other| closed.of_standing(&self.who, other));
        found
    }

    pub(super) fn view(&self, found: &Found) -> Option<VerificationView> {
        let verification = found.record.verification(self.nonce)?;
        let (notes, clock) = (&found.notes, found.clock);
        Some(view(
            &self.ctx,
            &self.who,
            verification,
            &self.board,
            notes,
            clock,
        ))
    }
}
