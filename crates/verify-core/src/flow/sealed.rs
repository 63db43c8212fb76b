//! What a record keeps sealed, for repairs and automatic fallback: nobody reads it in the store.

use serde::{Deserialize, Serialize};

use crate::destination::Destination;
use crate::seal::SealError;

use super::context::Context;
use super::who::{Spelled, Who, parsed};
use crate::vocabulary::Purpose;

#[derive(Serialize, Deserialize)]
pub(super) struct Sealed {
    to: String,
    subject: Option<String>,
    purpose: Purpose,
    amount: Option<String>,
    payee: Option<String>,
    pub(super) locale: String,
}

/// Keeps these texts apart from any other sealed ones.
const CONTEXT: &[u8] = b"verification";

impl Sealed {
    pub(super) fn of(who: &Who, locale: &str) -> Self {
        Self {
            to: who.to.delivery().to_owned(),
            subject: who.spelled.subject.clone(),
            purpose: who.spelled.purpose,
            amount: who.spelled.amount.clone(),
            payee: who.spelled.payee.clone(),
            locale: locale.to_owned(),
        }
    }

    pub(super) fn seal(&self, ctx: &Context) -> Result<Vec<u8>, SealError> {
        let room = Vec::with_capacity(16 + self.to.len() + self.locale.len());
        let plain = postcard::to_extend(self, room).map_err(|_| SealError)?;
        ctx.keys.seal(&ctx.seed, CONTEXT, &plain)
    }

    pub(super) fn open(ctx: &Context, sealed: &[u8]) -> Option<Self> {
        let plain = ctx.keys.open(CONTEXT, sealed)?;
        postcard::from_bytes(plain.expose()).ok()
    }

    pub(super) fn destination(&self, ctx: &Context) -> Option<Destination> {
        parsed(ctx, &self.to, None).ok()
    }

    pub(super) fn spelled(&self) -> Spelled {
        Spelled {
            subject: self.subject.clone(),
            purpose: self.purpose,
            amount: self.amount.clone(),
            payee: self.payee.clone(),
        }
    }

    pub(super) fn to(&self) -> &str {
        &self.to
    }
}
