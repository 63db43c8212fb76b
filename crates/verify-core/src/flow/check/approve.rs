//! The approval: by compare-and-swap, with the reset of the failures, in one changeset.

use std::sync::Arc;

use crate::broken::Broken;
use crate::event::{Event, EventKind};
use crate::ids::{ApprovalId, Nonce};
use crate::outcome::{Approval, CheckAnswer, Fault, Unclaimed};
use crate::port::ProviderName;
use crate::record::{ApprovalMark, CodeOf, Delivery, Status, Verification};
use crate::seed::Seed;
use crate::store::{StoreAnswer, StoreFault};
use crate::time::Timestamp;
use crate::token::{Assurance, DeviceToken, ProofToken};
use crate::vocabulary::Standing;

use super::Checking;
use crate::flow::board::{Kind, lockout_keys};
use crate::flow::context::Context;
use crate::flow::found::Found;
use crate::flow::idempotency::IdempotencyKey;
use crate::flow::refusals::{contention, not_found};
use crate::flow::step::{Step, StoreStep, StoreThen};
use crate::flow::who::Who;

/// An approval on its way to the store.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Approve {
    checking: Checking,
    found: Found,
    nonce: Nonce,
}

impl Approve {
    pub(super) fn new(checking: Checking, found: Found, nonce: Nonce) -> Self {
        Self {
            checking,
            found,
            nonce,
        }
    }

    pub(super) fn write(mut self, now: Timestamp) -> Step {
        let mark = self.mark();
        let mut found = self.found.clone();
        let verification = found.record.verification_mut(self.nonce);
        // Expired in the meantime, canceled, or approved by somebody else.
        let pending = verification
            .filter(|verification| verification.is_pending(self.found.clock))
            .filter(|verification| verification.status() == Status::Pending);
        let Some(verification) = pending else {
            return self.checking.refuse(not_found());
        };
        verification.advance(Status::Approved);
        verification.approval = Some(mark);
        let scope = cloned_scope(verification);
        let channel = carried_by(verification).map(|last| last.channel);
        let checking = &self.checking;
        // The reset forgets what the lockout had closed, so that is written down first; and what is over is no sibling.
        let closed = checking.board.closed_before(found.clock);
        found.write_down_ends(|verification| closed.of_standing(&checking.who, verification));
        if scope.is_some() {
            // Siblings in the scope shared the code that is used up now.
            for sibling in &mut found.record.verifications {
                if cloned_scope(sibling) == scope
                    && self.checking.who.is_delivered_to(sibling.identity.mailbox)
                {
                    sibling.advance(Status::Canceled);
                }
            }
        }
        let Ok(change) = checking.places.record.becomes(&found.record) else {
            return self.checking.ctx.fault(Fault::Defect);
        };
        let Checking { ctx, who, board, .. } = checking;
        let mut changeset = ctx.admitting(now, Standing::Known);
        changeset.takebacks = board.takebacks(ctx, |kind| kind == Kind::Failures);
        changeset.resets = lockout_keys(ctx, who, who.standing).collect();
        changeset.records = change;
        changeset.events = vec![Event {
            verification: Some(self.nonce.print()),
            channel,
            ..checking.event(EventKind::Approved, 0, now)
        }];
        self.checking.ctx.explanation.verification = Some(self.nonce.print());
        let not_after = self.checking.ctx.not_after;
        StoreStep::step(changeset, not_after, StoreThen::CheckApprove(self))
    }

    fn mark(&self) -> ApprovalMark {
        let checking = &self.checking;
        ApprovalMark {
            id: ApprovalId::from_bytes(checking.ctx.seed.bytes("approval")),
            by_key: checking.key.as_ref().map(IdempotencyKey::mark),
            at: self.found.clock,
        }
    }

    pub(in crate::flow) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let checking = &mut self.checking;
        let clock = self.found.clock.max(now);
        let mut found = |seen| Found::at(&mut checking.places, &[&checking.board], seen, clock);
        match answer {
            StoreAnswer::Applied(seen) => match found(&seen) {
                Ok(found) => self.approved(&found),
                Err(fault) => self.checking.ctx.failed(fault),
            },
            StoreAnswer::Refused(seen) => match found(&seen) {
                Ok(found) => self.again(found, now),
                Err(fault) => self.checking.ctx.failed(fault),
            },
            StoreAnswer::Unknown(_) if checking.ctx.ask_again() => self.write(now),
            StoreAnswer::Unknown(words) => self.checking.ctx.failed(StoreFault::Unavailable(words)),
            StoreAnswer::NotApplied(fault) => self.checking.ctx.failed(fault),
        }
    }

    /// Somebody else wrote the record in between, or this flow did and did not hear of it.
    fn again(mut self, found: Found, now: Timestamp) -> Step {
        let id = self.mark().id;
        let verification = found.record.verification(self.nonce);
        let mark = verification.and_then(|verification| verification.approval.as_ref());
        if mark.is_some_and(|mark| mark.id == id) {
            return self.approved(&found);
        }
        self.found.clock = found.clock;
        if !self.checking.ctx.is_broken(Broken::ApproveWithoutCompareAndSwap) {
            self.found = found;
        }
        match self.checking.ctx.try_again() {
            true => self.write(now),
            false => self.checking.refuse(contention()),
        }
    }

    fn approved(self, found: &Found) -> Step {
        match found.record.verification(self.nonce) {
            Some(verification) => self.checking.approved(verification),
            None => self.checking.ctx.fault(Fault::Defect),
        }
    }
}

impl Checking {
    /// The approval of a verification, to be claimed where the request did not say whose it is.
    pub(super) fn approved(self, verification: &Verification) -> Step {
        let Self { ctx, who, .. } = self;
        match approval(&ctx, &who, verification) {
            Ok(approval) if self.unclaimed => {
                let country = ctx.policy.channels.default_country;
                let unclaimed = Unclaimed::new(who.spelled_out(), country, approval);
                ctx.done(CheckAnswer::Unclaimed(Box::new(unclaimed)))
            }
            Ok(approval) => ctx.done(CheckAnswer::Approved(Box::new(approval))),
            Err(fault) => ctx.fault(fault),
        }
    }
}

fn cloned_scope(verification: &Verification) -> Option<(ProviderName, Arc<str>)> {
    let (provider, scope) = verification.scope()?;
    Some((provider.clone(), scope.clone()))
}

/// The delivery that an approval names: the last that may have carried the code, not one that surely did not.
fn carried_by(verification: &Verification) -> Option<&Delivery> {
    verification
        .deliveries
        .iter()
        .rfind(|delivery| delivery.may_have_come())
        .or(verification.deliveries.last())
}

/// The approval of a verification, made from what its record says: the same whenever it is made again.
fn approval(ctx: &Context, who: &Who, verification: &Verification) -> Result<Approval, Fault> {
    let Some((mark, last)) = verification.approval.as_ref().zip(carried_by(verification)) else {
        return Err(Fault::Defect);
    };
    let test = verification.code == CodeOf::Test;
    let assurance = if test {
        Assurance::Test
    } else {
        Assurance::of(last.channel)
    };
    let seed = Seed::of_id(mark.id.as_bytes());
    let proof = ProofToken {
        id: mark.id,
        destination: who.delivered.newest(),
        subject: verification.identity.subject,
        purpose: verification.identity.purpose,
        binding: verification.identity.binding,
        channel: last.channel,
        assurance,
        approved_at: mark.at,
        expires: mark.at + ctx.policy.proof_ttl,
    };
    let device = DeviceToken {
        destination: who.delivered.newest(),
        subject: verification.identity.subject,
        issued: mark.at,
    };
    let proof = ctx.keys.issue(&ctx.service, proof.expires, &seed, &proof);
    let device = ctx
        .keys
        .issue(&ctx.service, mark.at + ctx.policy.device_ttl, &seed, &device);
    let (Ok(proof), Ok(device_token)) = (proof, device) else {
        return Err(Fault::Defect);
    };
    Ok(Approval {
        sid: verification.upstream().filter(|_| !ctx.is_private()).cloned(),
        proof,
        device_token,
        subject: who.spelled.subject.clone(),
        purpose: verification.identity.purpose,
        channel: last.channel,
        assurance,
        test,
    })
}
