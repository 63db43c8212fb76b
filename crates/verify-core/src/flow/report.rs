//! A delivery report: it moves a delivery forward, never back, and never approves anything. A duplicate, an unknown
//! reference and what is older than what is known change nothing.

use crate::command::{Caller, Command, Report, ReportRequest, SendRequest, Target};
use crate::event::{Event, EventKind};
use crate::keys::PrintKind;
use crate::outcome::{Answer, Outcome};
use crate::policy::Automatic;
use crate::record::{DeliveryStatus, Entry, RETENTION, Record};
use crate::seed::Seed;
use crate::store::{Claim, ClaimKey, ClaimKind, RecordKey, RecordKind, StoreAnswer};
use crate::time::{SKEW, Timestamp};
use crate::token::{DeliveryToken, DeviceToken, VerificationToken};
use crate::vocabulary::{Channel, Standing};

use super::context::Context;
use super::place::Place;
use super::sealed::Sealed;
use super::step::{Step, StoreStep, StoreThen};
use super::view::{doubled, print_of, store_fault};

/// The first look.
#[derive(Debug, Clone)]
pub(super) struct Look {
    told: Told,
}

/// The change on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Write {
    told: Told,
    record: Record,
}

/// A report whose reference opened.
#[derive(Debug, Clone)]
struct Told {
    ctx: Context,
    token: DeliveryToken,
    report: Report,
    dedupe: ClaimKey,
    place: Place,
}

pub(super) fn start(mut ctx: Context, request: &ReportRequest, now: Timestamp) -> Step {
    let Ok(token) = ctx
        .keys
        .open_token::<DeliveryToken>(&ctx.service, now, &request.reference)
    else {
        return ctx.done(Answer::Reported { changed: false });
    };
    ctx.explanation.destination = Some(token.record);
    ctx.explanation.verification = Some(print_of(token.nonce));
    let mut dedupe = token.nonce.to_vec();
    dedupe.push(token.delivery);
    dedupe.extend_from_slice(request.dedupe.as_bytes());
    let print = ctx
        .keys
        .prints(PrintKind::Request, &ctx.service, &dedupe)
        .newest();
    let place = Place::at(RecordKey {
        kind: RecordKind::Verifications,
        print: token.record,
    });
    let dedupe = ClaimKey {
        kind: ClaimKind::Report,
        print,
    };
    Told {
        ctx,
        token,
        report: request.report.clone(),
        dedupe,
        place,
    }
    .look(now)
}

impl Told {
    fn look(self, now: Timestamp) -> Step {
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.reads = self.place.keys().copied().collect();
        let not_after = self.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::ReportLook(Look { told: self })),
        })
    }

    fn write(mut self, record: Record, now: Timestamp) -> Step {
        let mut next = record;
        let unchanged = |told: Self| told.ctx.done(Answer::Reported { changed: false });
        let Some(entry) = next.entry_mut(&self.token.nonce) else {
            return unchanged(self);
        };
        let expires = entry.expires;
        let Some(delivery) = entry
            .deliveries
            .iter_mut()
            .find(|delivery| delivery.number == self.token.delivery)
        else {
            return unchanged(self);
        };
        let to = match &self.report {
            Report::Underway => DeliveryStatus::Accepted,
            Report::Delivered => DeliveryStatus::Delivered,
            Report::Undelivered(_) => DeliveryStatus::Undelivered,
        };
        let was = delivery.status();
        if was == DeliveryStatus::Dispatching {
            // The report overtook the provider's own answer: it was accepted, whatever comes next.
            delivery.advance(DeliveryStatus::Accepted);
        }
        delivery.advance(to);
        if delivery.status() == was {
            return unchanged(self);
        }
        let (channel, provider, now_is) = (delivery.channel, delivery.provider.clone(), delivery.status());
        let Ok(row) = next.encode() else {
            return self.ctx.fault(store_fault());
        };
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.records = self.place.becomes(Some(row));
        changeset.claims = vec![Claim {
            key: self.dedupe,
            value: Vec::new(),
            expires_at: expires + RETENTION + SKEW,
        }];
        let code = match &self.report {
            Report::Undelivered(detail) => detail.code,
            Report::Underway | Report::Delivered => None,
        };
        if let Report::Undelivered(detail) = &self.report {
            self.ctx.said(&provider, "undelivered", detail.clone());
        }
        changeset.events.extend(event_kind(now_is).map(|kind| Event {
            destination: Some(self.token.record),
            verification: Some(print_of(self.token.nonce)),
            channel: Some(channel),
            provider: Some(provider),
            code,
            ..Event::new(now, self.ctx.service.clone(), kind)
        }));
        let not_after = self.ctx.not_after;
        let then = StoreThen::ReportWrite(Write {
            told: self,
            record: next,
        });
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(then),
        })
    }
}

fn event_kind(status: DeliveryStatus) -> Option<EventKind> {
    match status {
        DeliveryStatus::Delivered => Some(EventKind::DeliveryDelivered),
        DeliveryStatus::Undelivered => Some(EventKind::DeliveryFailed),
        DeliveryStatus::Accepted => Some(EventKind::DeliveryReconciled),
        DeliveryStatus::Dispatching | DeliveryStatus::Rejected | DeliveryStatus::Unknown => None,
    }
}

impl Look {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let mut told = self.told;
        let (StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen)) = answer else {
            return told.ctx.fault(store_fault());
        };
        told.place.take(&seen);
        match told.place.record(&seen) {
            Ok(record) => told.write(record, now),
            Err(_) => told.ctx.fault(store_fault()),
        }
    }
}

impl Write {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self { mut told, record } = self;
        match answer {
            StoreAnswer::Applied(_) => told.reported(&record, now),
            StoreAnswer::Refused(seen) if seen.claim(&told.dedupe).is_some() => {
                told.ctx.done(Answer::Reported { changed: false })
            }
            StoreAnswer::Refused(_) | StoreAnswer::Unknown if told.ctx.try_again() => told.look(now),
            // Told again, it will be taken: the host answers so that the provider repeats it.
            StoreAnswer::Refused(_) | StoreAnswer::Unknown | StoreAnswer::NotApplied(_) => {
                told.ctx.fault(store_fault())
            }
        }
    }
}

impl Told {
    fn reported(self, record: &Record, now: Timestamp) -> Step {
        let entry = record.entry(&self.token.nonce);
        let failed = matches!(self.report, Report::Undelivered(_));
        let follow_up = entry
            .filter(|_| failed)
            .and_then(|entry| self.follow_up(entry, now));
        let answer = Answer::Reported { changed: true };
        Step::Done(Box::new(Outcome {
            answer,
            explanation: self.ctx.explanation,
            follow_up: follow_up.map(|request| Box::new(Command::Send(request))),
        }))
    }

    /// The send by the next channel, where the policy and the person want it to go on by itself.
    fn follow_up(&self, entry: &Entry, now: Timestamp) -> Option<SendRequest> {
        let ctx = &self.ctx;
        let rules = ctx.policy.channels_for(entry.identity.purpose);
        let wanted = match rules.automatic {
            Automatic::Never => false,
            Automatic::WithConsent => entry.consent,
            Automatic::Always => true,
        };
        let latest = entry
            .deliveries
            .last()
            .is_some_and(|last| last.number == self.token.delivery);
        if !wanted || !latest || !entry.is_pending(now) {
            return None;
        }
        let sealed = Sealed::open(ctx, &entry.sealed)?;
        let to = sealed.destination(ctx)?;
        let tried = |channel: Channel| {
            entry
                .deliveries
                .iter()
                .any(|delivery| delivery.channel == channel)
        };
        let channel = rules
            .fallback
            .iter()
            .copied()
            .find(|channel| rules.enabled.contains(channel) && to.fits(*channel) && !tried(*channel))?;
        let spelled = sealed.spelled();
        let id = VerificationToken {
            nonce: entry.nonce,
            to: sealed.to().to_owned(),
            subject: spelled.subject,
            purpose: spelled.purpose,
            amount: spelled.amount,
            payee: spelled.payee,
        };
        let seed = Seed::from_bytes(doubled(entry.nonce));
        let id = ctx
            .keys
            .issue(&ctx.service, entry.expires + RETENTION, &seed, &id)
            .ok()?;
        Some(SendRequest {
            service: ctx.service.clone(),
            target: Target::Verification(id),
            channel: Some(channel),
            locale: Some(sealed.locale),
            consent: true,
            caller: self.caller(entry, now),
            ..SendRequest::to("")
        })
    }

    /// Whoever sent it first: a verification of a known caller goes on as one.
    fn caller(&self, entry: &Entry, now: Timestamp) -> Caller {
        let token = DeviceToken {
            destination: self.token.record,
            subject: entry.identity.subject,
            issued: now,
        };
        let known = entry.identity.standing == Standing::Known;
        let issued = self
            .ctx
            .keys
            .issue(&self.ctx.service, self.ctx.not_after, &self.ctx.seed, &token);
        Caller {
            device_token: issued.ok().filter(|_| known),
            ..Caller::default()
        }
    }
}
