//! What is kept sealed beside a record's own facts, for repairs and for whoever outlives a key: nobody reads it in the
//! store.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::destination::Destination;
use crate::record::Verification;
use crate::seal::SealError;

use super::context::Context;
use super::who::{Spelled, Who, delivered, parsed};

/// Of a verification: who it is for, how they are spoken to, and from where its latest send came.
#[derive(Serialize, Deserialize)]
pub(super) struct Sealed {
    pub(super) to: String,
    pub(super) spelled: Spelled,
    pub(super) locale: String,
    pub(super) from: Origin,
}

/// What a send was charged by besides whom it is for: a follow-up is charged by the same.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) ip: Option<IpAddr>,
    pub(super) asn: Option<u32>,
    pub(super) device: Option<String>,
}

/// Keeps this text apart from any other sealed one.
const OF_A_VERIFICATION: &[u8] = b"verification";

impl Sealed {
    pub(super) fn of(who: &Who, locale: &str) -> Self {
        Self {
            to: who.to.delivery().to_owned(),
            spelled: who.spelled.clone(),
            locale: locale.to_owned(),
            from: Origin {
                ip: who.caller.ip,
                asn: who.caller.asn,
                device: who.caller.device.clone(),
            },
        }
    }

    pub(super) fn seal(&self, ctx: &Context) -> Result<Vec<u8>, SealError> {
        let room = Vec::with_capacity(16 + self.to.len() + self.locale.len());
        let plain = postcard::to_extend(self, room).map_err(|_| SealError)?;
        ctx.keys.seal(&ctx.seed, OF_A_VERIFICATION, &plain)
    }

    pub(super) fn open(ctx: &Context, sealed: &[u8]) -> Option<Self> {
        let plain = ctx.keys.open(OF_A_VERIFICATION, sealed)?;
        postcard::from_bytes(plain.expose()).ok()
    }

    pub(super) fn destination(&self, ctx: &Context) -> Option<Destination> {
        parsed(ctx, &self.to, None).ok()
    }
}

/// How the first send of a verification spelled its destination, which is how providers know it: to some of them another
/// case is another mailbox, with another code.
pub(super) fn spelling(ctx: &Context, who: &Who, verification: &Verification) -> String {
    let known = match &who.to {
        Destination::Phone(_) => None,
        Destination::Mailbox(_) => Sealed::open(ctx, &verification.sealed).map(|sealed| sealed.to),
    };
    known.unwrap_or_else(|| who.to.delivery().to_owned())
}

/// True when two verifications of one record went to one mailbox, also when a key was rotated in between.
pub(super) fn same_mailbox(ctx: &Context, one: &Verification, other: &Verification) -> bool {
    let (Some(print), Some(wanted)) = (one.identity.mailbox, other.identity.mailbox) else {
        return one.identity.mailbox == other.identity.mailbox;
    };
    let sealed = || Sealed::open(ctx, &one.sealed)?.destination(ctx);
    print == wanted || sealed().is_some_and(|to| delivered(ctx, &to).contains(&wanted))
}
