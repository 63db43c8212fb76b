//! The approval: by compare-and-swap, with the reset of the failures, in one changeset.

use crate::broken::Broken;
use crate::event::{Event, EventKind};
use crate::outcome::{Answer, Approval, Fault};
use crate::policy::Disclosure;
use crate::record::{ApprovalMark, CodeOf, Delivery, Entry, Record, Status};
use crate::seed::Seed;
use crate::store::StoreAnswer;
use crate::time::Timestamp;
use crate::token::{Assurance, DeviceToken, ProofToken};
use crate::vocabulary::Standing;

use super::Check;
use crate::flow::board::{Kind, lockout_keys};
use crate::flow::context::Context;
use crate::flow::place::write_down_ends;
use crate::flow::step::{Step, StoreStep, StoreThen};
use crate::flow::view::{contention, doubled, print_of, store_fault};
use crate::flow::who::{Who, not_found};

/// An approval on its way to the store.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Approve {
    check: Check,
    record: Record,
    nonce: [u8; 16],
    clock: Timestamp,
}

impl Approve {
    pub(super) fn new(check: Check, record: Record, nonce: [u8; 16], clock: Timestamp) -> Self {
        Self {
            check,
            record,
            nonce,
            clock,
        }
    }

    pub(super) fn write(mut self, now: Timestamp) -> Step {
        let mark = self.mark();
        let mut record = self.record.clone();
        let Some(entry) = record.entry_mut(&self.nonce) else {
            return self.check.ctx.refuse(not_found());
        };
        // Expired in the meantime, canceled, or approved by somebody else.
        if !entry.is_pending(self.clock) || !entry.advance(Status::Approved) {
            return self.check.ctx.refuse(not_found());
        }
        entry.approval = Some(mark);
        let scope = entry
            .scope()
            .map(|(provider, scope)| (provider.clone(), scope.clone()));
        let check = &self.check;
        // The reset forgets what the lockout had closed, so that is written down first; and what is over is no sibling.
        let closed = check.board.closed_before(self.clock);
        write_down_ends(&mut record, self.clock, |entry| {
            closed.of_standing(&check.who, entry)
        });
        if scope.is_some() {
            // Siblings in the scope shared the code that is used up now.
            let shares = |entry: &&mut Entry| {
                entry
                    .scope()
                    .map(|(provider, scope)| (provider.clone(), scope.clone()))
                    == scope
            };
            for sibling in record.entries.iter_mut().filter(shares) {
                sibling.advance(Status::Canceled);
            }
        }
        let Ok(row) = record.encode() else {
            return self.check.ctx.fault(store_fault());
        };
        let mut changeset = check.ctx.changeset(now, Standing::Known);
        changeset.takebacks = check.board.takebacks(&check.ctx, |kind| kind == Kind::Failures);
        changeset.resets = lockout_keys(&check.ctx, &check.who, check.who.standing).collect();
        changeset.records = check.place.becomes(Some(row));
        changeset.events = vec![Event {
            verification: Some(print_of(self.nonce)),
            channel: record
                .entry(&self.nonce)
                .and_then(carried_by)
                .map(|last| last.channel),
            ..check.event(EventKind::Approved, now)
        }];
        self.check.ctx.explanation.verification = Some(print_of(self.nonce));
        let not_after = self.check.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::Approve(self)),
        })
    }

    fn mark(&self) -> ApprovalMark {
        let by_key = self
            .check
            .key
            .as_ref()
            .and_then(|key| key.claims.first())
            .map(|claim| claim.print);
        ApprovalMark {
            id: self.check.ctx.seed.bytes("approval"),
            by_key,
            at: self.clock,
        }
    }

    pub(in crate::flow) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(seen) => match self.check.place.record(&seen) {
                Ok(record) => self.approved(&record),
                Err(_) => self.check.ctx.fault(store_fault()),
            },
            StoreAnswer::Refused(seen) => {
                self.check.place.take(&seen);
                let Ok(record) = self.check.place.record(&seen) else {
                    return self.check.ctx.fault(store_fault());
                };
                let id = self.mark().id;
                let ours = record
                    .entry(&self.nonce)
                    .and_then(|entry| entry.approval.as_ref());
                if ours.is_some_and(|mark| mark.id == id) {
                    return self.approved(&record);
                }
                self.clock = self.clock.max(now).max(record.newest());
                if !self.check.ctx.is_broken(Broken::ApproveWithoutCompareAndSwap) {
                    self.record = record;
                }
                if self.check.ctx.try_again() {
                    self.write(now)
                } else {
                    self.check.ctx.refuse(contention())
                }
            }
            StoreAnswer::Unknown if self.check.ctx.try_again() => self.write(now),
            StoreAnswer::Unknown | StoreAnswer::NotApplied(_) => {
                self.check.ctx.fault(Fault::StoreUnavailable)
            }
        }
    }

    fn approved(self, record: &Record) -> Step {
        let Some(entry) = record.entry(&self.nonce) else {
            return self.check.ctx.fault(store_fault());
        };
        let answer = approval(&self.check.ctx, &self.check.who, entry);
        self.check.ctx.done(answer)
    }
}

/// The delivery that an approval names: the last that may have carried the code, not one that surely did not.
fn carried_by(entry: &Entry) -> Option<&Delivery> {
    let sent = |delivery: &&Delivery| delivery.status().may_have_sent();
    entry.deliveries.iter().rfind(sent).or(entry.deliveries.last())
}

/// The approval of a verification, made from what its record says: the same whenever it is made again.
pub(in crate::flow) fn approval(ctx: &Context, who: &Who, entry: &Entry) -> Answer {
    let Some((mark, last)) = entry.approval.as_ref().zip(carried_by(entry)) else {
        return Answer::Fault(store_fault());
    };
    let test = entry.code == CodeOf::Test;
    let assurance = if test {
        Assurance::Test
    } else {
        Assurance::of(last.channel)
    };
    let seed = Seed::from_bytes(doubled(mark.id));
    let proof = ProofToken {
        id: mark.id,
        destination: who.destination.newest(),
        subject: entry.identity.subject,
        purpose: entry.identity.purpose,
        binding: entry.identity.binding,
        channel: last.channel,
        assurance,
        approved_at: mark.at,
        expires: mark.at + ctx.policy.proof_ttl,
    };
    let device = DeviceToken {
        destination: who.destination.newest(),
        subject: entry.identity.subject,
        issued: mark.at,
    };
    let proof = ctx.keys.issue(&ctx.service, proof.expires, &seed, &proof);
    let device = ctx
        .keys
        .issue(&ctx.service, mark.at + ctx.policy.device_ttl, &seed, &device);
    let (Ok(proof), Ok(device_token)) = (proof, device) else {
        return Answer::Fault(store_fault());
    };
    let open = ctx.policy.privacy.disclosure == Disclosure::Open;
    Answer::Approved(Box::new(Approval {
        sid: entry
            .deliveries
            .iter()
            .rev()
            .find_map(|delivery| delivery.upstream.clone())
            .filter(|_| open),
        proof,
        device_token,
        purpose: entry.identity.purpose,
        channel: last.channel,
        assurance,
        test,
    }))
}
