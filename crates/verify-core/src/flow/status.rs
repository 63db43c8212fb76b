//! Status: one read. It never consumes and never counts (I-27, I-41).

use crate::command::VerificationRequest;
use crate::outcome::Answer;
use crate::store::StoreAnswer;
use crate::time::Timestamp;

use super::cancel::{Named, named};
use super::context::Context;
use super::step::{Step, StoreThen};
use super::view::store_fault;
use super::who::not_found;

/// The look on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Look {
    named: Named,
}

pub(super) fn start(ctx: Context, request: &VerificationRequest, now: Timestamp) -> Step {
    match named(ctx, request, now) {
        Ok(named) => named.look(now, StoreThen::Status(Look { named: named.clone() })),
        Err(done) => *done,
    }
}

impl Look {
    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Some(mut record) = self.named.seen(answer, now) else {
            return self.named.ctx.fault(store_fault());
        };
        let clock = now.max(record.newest());
        // A closing that a crash kept from being written holds all the same.
        self.named.write_down_ends(&mut record, clock);
        match self.named.view(&record, now) {
            Some(seen) => self.named.ctx.done(Answer::Status(Box::new(seen))),
            None => self.named.ctx.refuse(not_found()),
        }
    }
}
