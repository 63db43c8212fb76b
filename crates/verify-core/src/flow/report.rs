//! A delivery report: it moves a delivery forward, never back, and never approves anything. A duplicate, an unknown
//! reference and what is older than what is known change nothing.
//!
//! ```text
//! open the reference ── look ── write, claim the report ── done, perhaps with a send that follows
//!                         ▲              │ conflict, lost answer
//!                         └──────────────┘
//! ```

use crate::command::{Caller, Expected, Report, ReportRequest, SendRequest};
use crate::event::{Event, EventKind};
use crate::keys::PrintKind;
use crate::outcome::{Fault, Outcome, ReportAnswer};
use crate::policy::Automatic;
use crate::record::{DeliveryStatus, RETENTION, Verification};
use crate::store::{Claim, ClaimKey, ClaimKind, RecordKey, RecordKind, StoreAnswer, StoreFault};
use crate::time::{SKEW, Timestamp};
use crate::token::{DeliveryToken, DeviceToken};
use crate::vocabulary::{Channel, Standing};

use super::context::Context;
use super::found::{Found, Place, Places};
use super::sealed::{Origin, Sealed};
use super::step::{Step, StoreStep, StoreThen};
use super::view::verification_id;

/// The look on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Look(Reporting);

/// The change on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Write {
    reporting: Reporting,
    found: Found,
}

/// A report whose reference opened.
#[derive(Debug, Clone)]
struct Reporting {
    ctx: Context,
    token: DeliveryToken,
    report: Report,
    dedupe: ClaimKey,
    places: Places,
}

pub(super) fn start(mut ctx: Context, request: &ReportRequest, now: Timestamp) -> Step {
    let Ok(token) = ctx
        .keys
        .open_token::<DeliveryToken>(&ctx.service, now, &request.reference)
    else {
        return ctx.done(ReportAnswer { changed: false });
    };
    ctx.explanation.destination = Some(token.record);
    ctx.explanation.verification = Some(token.nonce.print());
    let mut dedupe = token.nonce.as_bytes().to_vec();
    dedupe.push(token.delivery);
    dedupe.extend_from_slice(request.dedupe.as_bytes());
    let print = ctx
        .keys
        .prints(PrintKind::Request, &ctx.service, &dedupe)
        .newest();
    let record = RecordKey {
        kind: RecordKind::Verifications,
        print: token.record,
    };
    Reporting {
        places: Places::of_record(Place::at(&ctx.keys, record)),
        dedupe: ClaimKey {
            kind: ClaimKind::Report,
            print,
        },
        report: request.report.clone(),
        ctx,
        token,
    }
    .look(now)
}

impl Reporting {
    fn look(self, now: Timestamp) -> Step {
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.reads = self.places.keys();
        StoreStep::step(changeset, self.ctx.not_after, StoreThen::ReportLook(Look(self)))
    }

    fn write(mut self, mut found: Found, now: Timestamp) -> Step {
        let unchanged = |reporting: Self| reporting.ctx.done(ReportAnswer { changed: false });
        let Some(verification) = found.record.verification_mut(self.token.nonce) else {
            return unchanged(self);
        };
        let (expires, subject) = (verification.expires, verification.identity.subject);
        let mut deliveries = verification.deliveries.iter_mut();
        let Some(delivery) = deliveries.find(|delivery| delivery.number == self.token.delivery) else {
            return unchanged(self);
        };
        let was = delivery.status();
        if was == DeliveryStatus::Dispatching {
            // The report overtook the provider's own answer: it was accepted, whatever comes next.
            delivery.advance(DeliveryStatus::Accepted);
        }
        delivery.advance(match &self.report {
            Report::Underway => DeliveryStatus::Accepted,
            Report::Delivered => DeliveryStatus::Delivered,
            Report::Undelivered(_) => DeliveryStatus::Undelivered,
        });
        if delivery.status() == was {
            return unchanged(self);
        }
        // Only who was asked has the reference: it was carried, whatever was said of it before.
        delivery.decoy = false;
        let (channel, provider, now_is) = (delivery.channel, delivery.provider.clone(), delivery.status());
        let Ok(change) = self.places.record.becomes(&found.record) else {
            return self.ctx.fault(Fault::Defect);
        };
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.records = change;
        changeset.claims = vec![Claim {
            key: self.dedupe,
            value: Vec::new(),
            expires_at: expires + RETENTION + SKEW,
        }];
        let detail = match &self.report {
            Report::Undelivered(detail) => Some(detail.clone()),
            Report::Underway | Report::Delivered => None,
        };
        let code = detail.as_ref().and_then(|detail| detail.code);
        if let Some(detail) = detail {
            self.ctx.said(&provider, "undelivered", detail);
        }
        changeset.events.extend(event_kind(now_is).map(|kind| Event {
            subject,
            channel: Some(channel),
            provider: Some(provider),
            code,
            ..self.ctx.event(kind, 0, now)
        }));
        let not_after = self.ctx.not_after;
        let then = Write {
            reporting: self,
            found,
        };
        StoreStep::step(changeset, not_after, StoreThen::ReportWrite(then))
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
        let Self(mut reporting) = self;
        let found = answer
            .seen()
            .and_then(|seen| Found::at(&mut reporting.places, &[], &seen, now));
        match found {
            Ok(found) => reporting.write(found, now),
            Err(fault) => reporting.ctx.failed(fault),
        }
    }
}

impl Write {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self { mut reporting, found } = self;
        match answer {
            StoreAnswer::Applied(_) => reporting.reported(&found.later(now)),
            StoreAnswer::Refused(seen) if seen.claim(&reporting.dedupe).is_some() => {
                reporting.ctx.done(ReportAnswer { changed: false })
            }
            StoreAnswer::Refused(_) if reporting.ctx.try_again() => reporting.look(now),
            StoreAnswer::Unknown(_) if reporting.ctx.ask_again() => reporting.look(now),
            // Told again, it will be taken: the host answers so that the provider repeats it.
            StoreAnswer::Refused(_) => reporting
                .ctx
                .failed(StoreFault::unavailable("too much contention")),
            StoreAnswer::Unknown(words) => reporting.ctx.failed(StoreFault::Unavailable(words)),
            StoreAnswer::NotApplied(fault) => reporting.ctx.failed(fault),
        }
    }
}

impl Reporting {
    fn reported(self, found: &Found) -> Step {
        let verification = found.record.verification(self.token.nonce);
        let failed = matches!(self.report, Report::Undelivered(_));
        let follow_up = verification
            .filter(|_| failed)
            .and_then(|verification| self.follow_up(verification, found.clock));
        Step::Done(Box::new(Outcome {
            answer: Ok(ReportAnswer { changed: true }.into()),
            explanation: self.ctx.explanation,
            follow_up: follow_up.map(Box::new),
        }))
    }

    /// The send by the next channel, where the policy and the person want it to go on by itself.
    fn follow_up(&self, verification: &Verification, clock: Timestamp) -> Option<SendRequest> {
        let ctx = &self.ctx;
        let rules = ctx.policy.channels_for(verification.identity.purpose);
        // Of a decoy nothing is ever reported: nothing may go on by itself where somebody is to be hidden.
        let wanted = match rules.automatic {
            Automatic::Never => false,
            Automatic::WithConsent => verification.consent,
            Automatic::Always => true,
        };
        let latest = verification
            .deliveries
            .last()
            .is_some_and(|last| last.number == self.token.delivery);
        if ctx.is_private() || !wanted || !latest || !verification.is_pending(clock) {
            return None;
        }
        let sealed = Sealed::open(ctx, &verification.sealed)?;
        let to = sealed.destination(ctx)?;
        let tried = |channel: Channel| {
            let mut deliveries = verification.deliveries.iter();
            deliveries.any(|delivery| delivery.channel == channel)
        };
        let channel = rules
            .fallback
            .iter()
            .copied()
            .find(|channel| rules.enabled.contains(channel) && to.fits(*channel) && !tried(*channel))?;
        let id = verification_id(ctx, &sealed.to, &sealed.spelled, verification);
        Some(SendRequest {
            service: ctx.service.clone(),
            channel: Some(channel),
            locale: Some(sealed.locale).filter(|locale| !locale.is_empty()),
            consent: true,
            goes_on: true,
            caller: self.caller(verification, sealed.from, clock),
            ..SendRequest::again(id, Expected::Whoever)
        })
    }

    /// Whoever sent it last, from where they did: a verification of a known caller goes on as one.
    fn caller(&self, verification: &Verification, from: Origin, now: Timestamp) -> Caller {
        let Origin { ip, asn, device } = from;
        let token = DeviceToken {
            destination: verification.identity.mailbox.unwrap_or(self.token.record),
            subject: verification.identity.subject,
            issued: now,
        };
        let known = verification.identity.standing == Standing::Known;
        let ctx = &self.ctx;
        let issued = ctx.keys.issue(&ctx.service, ctx.not_after, &ctx.seed, &token);
        Caller {
            ip,
            asn,
            device,
            device_token: issued.ok().filter(|_| known),
        }
    }
}
