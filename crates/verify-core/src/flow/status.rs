//! Status: one read. It never consumes and never counts (I-27, I-41).
//!
//! ```text
//! open the id ── look ── done
//! ```

use crate::command::StatusRequest;
use crate::outcome::StatusAnswer;
use crate::store::StoreAnswer;
use crate::time::Timestamp;

use super::context::Context;
use super::named::Named;
use super::refusals::not_found;
use super::step::{Step, StoreThen};

/// The look on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Look(Named);

pub(super) fn start(ctx: Context, request: &StatusRequest, now: Timestamp) -> Step {
    match Named::of(ctx, &request.verification_id, now) {
        Ok(named) => named.look(now, |named| StoreThen::StatusLook(Look(named))),
        Err(refused) => {
            let (ctx, refusal) = *refused;
            ctx.refuse::<StatusAnswer>(refusal)
        }
    }
}

impl Look {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self(mut named) = self;
        match named.seen(answer, now).map(|found| named.view(&found)) {
            Ok(Some(view)) => named.ctx.done(StatusAnswer::Found(Box::new(view))),
            Ok(None) => named.ctx.refuse::<StatusAnswer>(not_found()),
            Err(fault) => named.ctx.failed(fault),
        }
    }
}
