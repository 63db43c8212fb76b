//! Redeem: a proof is spent once, by someone who names what it proves. A mismatch looks like a spent one and consumes
//! nothing.
//!
//! ```text
//! open the proof, compare what it proves ── claim it ── done
//!                                            ▲   │ lost answer
//!                                            └───┘
//! ```

use crate::command::{Person, RedeemRequest};
use crate::destination::Destination;
use crate::event::{Event, EventKind};
use crate::keys::{Print, PrintKind, Prints};
use crate::outcome::{RedeemAnswer, Redemption, Refusal, RefusalCode};
use crate::store::{Changeset, Claim, ClaimKey, ClaimKind, StoreAnswer, StoreFault};
use crate::time::{SKEW, Timestamp};
use crate::token::ProofToken;
use crate::vocabulary::Standing;

use super::context::Context;
use super::idempotency::check_key;
use super::step::{Step, StoreStep, StoreThen};
use super::who::{delivered, parsed};

/// A claim on a proof, on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Spend {
    ctx: Context,
    token: ProofToken,
    /// Who spends it: this flow, and whoever comes again with the same idempotency key.
    by: [u8; 16],
    key: Option<Prints>,
}

pub(super) fn start(mut ctx: Context, request: &RedeemRequest, now: Timestamp) -> Step {
    if let Err(refusal) = check_key(request.idempotency_key.as_ref()) {
        return ctx.refuse::<RedeemAnswer>(refusal);
    }
    let token: Option<ProofToken> = ctx.keys.open_token(&ctx.service, now, &request.proof).ok();
    let proven = token.and_then(|token| {
        let to = parsed(&ctx, &request.person.to, request.person.country).ok()?;
        proves(&ctx, &token, &to, &request.person).then_some((token, to))
    });
    let Some((token, to)) = proven else {
        return ctx.refuse::<RedeemAnswer>(spent());
    };
    let canonical = to.canonical().as_bytes();
    let destination = ctx.keys.prints(PrintKind::Destination, &ctx.service, canonical);
    ctx.explanation.destination = Some(destination.newest());
    let key = request.idempotency_key.as_ref().map(|key| {
        ctx.keys
            .prints(PrintKind::IdempotencyKey, &ctx.service, key.as_bytes())
    });
    let by: [u8; 16] = ctx.seed.bytes("redeem");
    let mut value = by.to_vec();
    value.extend(key.iter().flat_map(|key| *key.newest().as_bytes()));
    let mut changeset = ctx.admitting(now, Standing::Known);
    changeset.uses_up = Some(token.approved_at);
    changeset.claims = vec![Claim {
        key: ClaimKey {
            kind: ClaimKind::Proof,
            print: token.id.print(),
        },
        value,
        expires_at: token.expires + SKEW,
    }];
    changeset.events = vec![Event {
        subject: token.subject,
        purpose: Some(token.purpose),
        payment: token.binding,
        channel: Some(token.channel),
        ..ctx.event(EventKind::ProofRedeemed, 0, now)
    }];
    Spend { ctx, token, by, key }.step(changeset)
}

/// All that the request names is what the proof proves.
fn proves(ctx: &Context, token: &ProofToken, to: &Destination, person: &Person) -> bool {
    let keys = &ctx.keys;
    let subject = match (&person.subject, &token.subject) {
        (None, None) => true,
        (Some(subject), Some(print)) => keys
            .prints(PrintKind::Subject, &ctx.service, subject.as_bytes())
            .contains(print),
        (None, Some(_)) | (Some(_), None) => false,
    };
    let binding = match (&person.payment, &token.binding) {
        (None, None) => true,
        (Some(payment), Some(print)) => keys.binding_prints(&ctx.service, payment).contains(print),
        (None, Some(_)) | (Some(_), None) => false,
    };
    delivered(ctx, to).contains(&token.destination) && person.purpose == token.purpose && subject && binding
}

fn spent() -> Refusal {
    Refusal::new(
        RefusalCode::NotFound,
        "this proof is spent, expired, or proves something else",
    )
}

impl Spend {
    fn step(self, changeset: Changeset) -> Step {
        StoreStep::step(changeset, self.ctx.not_after, StoreThen::RedeemSpend(self))
    }

    pub(super) fn resume(mut self, asked: Changeset, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(_) => self.redeemed(),
            StoreAnswer::Refused(seen) => {
                let value = seen
                    .claims
                    .first()
                    .map(|claim| claim.value.as_slice())
                    .unwrap_or_default();
                let (by, key) = value.split_at_checked(16).unwrap_or_default();
                // This very flow, whose answer was lost, or the same request again.
                let key: Option<[u8; 16]> = key.try_into().ok();
                let again = self
                    .key
                    .as_ref()
                    .zip(key)
                    .is_some_and(|(own, key)| own.contains(&Print::from_bytes(key)));
                match by == self.by || again {
                    true => self.redeemed(),
                    false => self.ctx.refuse::<RedeemAnswer>(spent()),
                }
            }
            StoreAnswer::Unknown(_) if self.ctx.ask_again() => self.step(asked),
            StoreAnswer::Unknown(words) => self.ctx.failed(StoreFault::Unavailable(words)),
            StoreAnswer::NotApplied(fault) => self.ctx.failed(fault),
        }
    }

    fn redeemed(self) -> Step {
        let redemption = Redemption {
            purpose: self.token.purpose,
            channel: self.token.channel,
            assurance: self.token.assurance,
            approved_at: self.token.approved_at,
            test: self.token.assurance.is_test(),
        };
        self.ctx.done(RedeemAnswer::Redeemed(redemption))
    }
}
