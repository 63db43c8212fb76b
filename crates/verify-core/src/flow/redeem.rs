//! Redeem: a proof is spent once, by someone who names what it proves. A mismatch looks like a spent one and consumes
//! nothing.

use crate::command::RedeemRequest;
use crate::event::{Event, EventKind};
use crate::keys::{Print, PrintKind, Prints};
use crate::outcome::{Answer, Redemption, Refusal, RefusalCode};
use crate::store::{Changeset, Claim, ClaimKey, ClaimKind, StoreAnswer};
use crate::time::{SKEW, Timestamp};
use crate::token::ProofToken;
use crate::vocabulary::Standing;

use super::context::Context;
use super::idempotency::check_key;
use super::step::{Step, StoreStep, StoreThen};
use super::view::{print_of, store_fault};
use super::who::parsed;

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
        return ctx.refuse(refusal);
    }
    let Ok(to) = parsed(&ctx, &request.to, request.country) else {
        return ctx.refuse(spent());
    };
    let token: Option<ProofToken> = ctx.keys.open_token(&ctx.service, now, &request.proof).ok();
    let Some(token) = token.filter(|token| fits(&ctx, token, request, to.canonical())) else {
        return ctx.refuse(spent());
    };
    ctx.explanation.destination = Some(token.destination);
    let key = request.idempotency_key.as_ref().map(|key| {
        ctx.keys
            .prints(PrintKind::IdempotencyKey, &ctx.service, key.as_bytes())
    });
    let by: [u8; 16] = ctx.seed.bytes("redeem");
    let mut value = by.to_vec();
    value.extend(key.iter().flat_map(|key| *key.newest().as_bytes()));
    let claim = ClaimKey {
        kind: ClaimKind::Proof,
        print: print_of(token.id),
    };
    let mut changeset = ctx.changeset(now, Standing::Known);
    changeset.claims = vec![Claim {
        key: claim,
        value,
        expires_at: token.expires + SKEW,
    }];
    changeset.events = vec![Event {
        destination: Some(token.destination),
        purpose: Some(token.purpose),
        channel: Some(token.channel),
        ..Event::new(now, ctx.service.clone(), EventKind::ProofRedeemed)
    }];
    Spend { ctx, token, by, key }.step(changeset)
}

/// All that the request names is what the proof proves.
fn fits(ctx: &Context, token: &ProofToken, request: &RedeemRequest, to: &str) -> bool {
    let keys = &ctx.keys;
    let destination = keys.prints(PrintKind::Destination, &ctx.service, to.as_bytes());
    let subject = match (&request.subject, &token.subject) {
        (None, None) => true,
        (Some(subject), Some(print)) => keys
            .prints(PrintKind::Subject, &ctx.service, subject.as_bytes())
            .contains(print),
        (None, Some(_)) | (Some(_), None) => false,
    };
    let binding = match (&request.amount, &request.payee, &token.binding) {
        (None, None, None) => true,
        (Some(amount), Some(payee), Some(print)) => {
            keys.binding_prints(&ctx.service, amount, payee).contains(print)
        }
        (_, _, _) => false,
    };
    destination.contains(&token.destination) && request.purpose == token.purpose && subject && binding
}

fn spent() -> Refusal {
    Refusal::new(
        RefusalCode::NotFound,
        "this proof is spent, expired, or proves something else",
    )
}

impl Spend {
    fn step(self, changeset: Changeset) -> Step {
        let not_after = self.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::Redeem(self)),
        })
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
                if by == self.by || again {
                    self.redeemed()
                } else {
                    self.ctx.refuse(spent())
                }
            }
            StoreAnswer::Unknown if self.ctx.try_again() => self.step(asked),
            StoreAnswer::Unknown | StoreAnswer::NotApplied(_) => self.ctx.fault(store_fault()),
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
        self.ctx.done(Answer::Redeemed(redemption))
    }
}
