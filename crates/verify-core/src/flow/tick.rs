//! A tick: it settles deliveries whose flow died, asks about those nobody knows of, and writes expiry down. It only
//! repairs: a spurious tick changes nothing, and none acts before a flow's deadline and the skew have passed.
//!
//! ```text
//! look ── settle, expire ──┬── ask about a delivery ── write ── done
//!                          ├── write ── done
//!                          └── done
//! ```

use crate::command::TickRequest;
use crate::event::{Event, EventKind};
use crate::ids::{DeliveryId, Nonce};
use crate::outcome::{Fault, TickAnswer};
use crate::port::{InquireRequest, Inquired};
use crate::record::{DeliveryStatus, MOST_INQUIRIES, Record, Status, Verification};
use crate::store::StoreAnswer;
use crate::time::{SKEW, Timestamp};
use crate::vocabulary::Standing;

use super::context::Context;
use super::found::{Found, Place, Places};
use super::sealed::Sealed;
use super::step::{InquireStep, Step, StoreStep, StoreThen};

/// The look on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Look {
    ctx: Context,
    places: Places,
}

/// A delivery that a provider is asked about.
#[derive(Debug, Clone)]
pub(super) struct Inquire {
    look: Look,
    record: Record,
    events: Vec<Event>,
    nonce: Nonce,
    delivery: DeliveryId,
}

/// The repair on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) ctx: Context,
}

pub(super) fn start(mut ctx: Context, request: &TickRequest, now: Timestamp) -> Step {
    ctx.explanation.destination = Some(request.record.print);
    let places = Places::of_record(Place::at(&ctx.keys, request.record));
    let mut changeset = ctx.changeset(now, Standing::Known);
    changeset.reads = places.keys();
    let not_after = ctx.not_after;
    StoreStep::step(changeset, not_after, StoreThen::TickLook(Look { ctx, places }))
}

impl Look {
    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let found = answer
            .seen()
            .and_then(|seen| Found::at(&mut self.places, &[], &seen, now));
        let Found {
            record: before,
            clock,
            ..
        } = match found {
            Ok(found) => found,
            Err(fault) => return self.ctx.failed(fault),
        };
        let mut record = before.clone();
        let mut events = Vec::new();
        for (nth, verification) in (0..).zip(&mut record.verifications) {
            settle_abandoned(verification, clock);
            if clock >= verification.expires + SKEW && verification.advance(Status::Expired) {
                events.push(about(&self.ctx, verification, EventKind::Expired, nth, now));
            }
        }
        match self.question(&mut record, clock) {
            Some((request, nonce, delivery)) => {
                let not_after = self.ctx.not_after;
                let then = Inquire {
                    look: self,
                    record,
                    events,
                    nonce,
                    delivery,
                };
                InquireStep::step(request, not_after, then)
            }
            None if record == before => self.ctx.done(TickAnswer { changed: false }),
            None => self.write(record, events, now),
        }
    }

    /// The first delivery that nobody knows of and that is due to be asked about.
    fn question(&self, record: &mut Record, clock: Timestamp) -> Option<(InquireRequest, Nonce, DeliveryId)> {
        for verification in &mut record.verifications {
            let scope = verification
                .scope()
                .map(|(_, scope)| scope.clone())
                .unwrap_or_default();
            let sealed = &verification.sealed;
            for delivery in &mut verification.deliveries {
                if delivery.status() != DeliveryStatus::Unknown
                    || delivery.due().is_none_or(|due| clock < due)
                {
                    continue;
                }
                delivery.inquiries += 1;
                let provider = self.ctx.routes.providers.get(&delivery.provider);
                let able = !delivery.decoy && provider.is_some_and(|provider| provider.can_inquire);
                let open = Sealed::open(&self.ctx, sealed).and_then(|sealed| sealed.destination(&self.ctx));
                let (Some(to), true) = (open, able) else {
                    // Nobody can be asked: it stays unknown, and is not looked at again.
                    delivery.inquiries = MOST_INQUIRIES;
                    continue;
                };
                let request = InquireRequest {
                    provider: delivery.provider.clone(),
                    service: self.ctx.service.clone(),
                    scope,
                    to: to.delivery().to_owned(),
                    channel: delivery.channel,
                    upstream: delivery.upstream.clone(),
                    dispatch_id: delivery.id,
                    from: delivery.at,
                    not_after: delivery.not_after,
                };
                return Some((request, verification.nonce, delivery.id));
            }
        }
        None
    }

    fn write(self, mut record: Record, events: Vec<Event>, now: Timestamp) -> Step {
        // A verification of which surely nothing was sent is none.
        record
            .verifications
            .retain(|verification| verification.may_have_sent() || verification.status() != Status::Pending);
        let Ok(change) = self.places.record.becomes(&record) else {
            return self.ctx.fault(Fault::Defect);
        };
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.records = change;
        changeset.events = events;
        let not_after = self.ctx.not_after;
        StoreStep::step(
            changeset,
            not_after,
            StoreThen::TickWrite(Write { ctx: self.ctx }),
        )
    }
}

/// A delivery whose flow is surely over and wrote nothing: perhaps sent.
fn settle_abandoned(verification: &mut Verification, clock: Timestamp) {
    for delivery in &mut verification.deliveries {
        if delivery.status() == DeliveryStatus::Dispatching && clock >= delivery.not_after + SKEW {
            delivery.advance(DeliveryStatus::Unknown);
        }
    }
}

fn about(ctx: &Context, verification: &Verification, kind: EventKind, nth: u8, now: Timestamp) -> Event {
    Event {
        subject: verification.identity.subject,
        verification: Some(verification.nonce.print()),
        purpose: Some(verification.identity.purpose),
        standing: Some(verification.identity.standing),
        mailbox: verification.identity.mailbox,
        payment: verification.identity.binding,
        ..ctx.event(kind, nth, now)
    }
}

impl Inquire {
    pub(super) fn resume(self, _asked: InquireRequest, now: Timestamp, answer: Inquired) -> Step {
        let Self {
            look,
            mut record,
            mut events,
            nonce,
            delivery,
        } = self;
        let Some(verification) = record.verification_mut(nonce) else {
            return look.ctx.done(TickAnswer { changed: false });
        };
        let reconciled = about(&look.ctx, verification, EventKind::DeliveryReconciled, 0, now);
        if let Some(delivery) = verification.delivery_mut(&delivery) {
            let (to, said) = match answer {
                Inquired::Sent { upstream } => (Some(DeliveryStatus::Accepted), upstream),
                // The provider saw its code used. That is not an approval of ours: who gave it is not known here.
                Inquired::Converted { upstream } => (Some(DeliveryStatus::Accepted), upstream),
                Inquired::NotSent if look.ctx.is_private() => {
                    delivery.decoy = true;
                    (Some(DeliveryStatus::Accepted), None)
                }
                Inquired::NotSent => (Some(DeliveryStatus::Rejected), None),
                Inquired::Unknown => (None, None),
            };
            if let Some(to) = to {
                delivery.advance(to);
                delivery.upstream = delivery.upstream.take().or(said);
                events.push(Event {
                    channel: Some(delivery.channel),
                    provider: Some(delivery.provider.clone()),
                    ..reconciled
                });
            }
        }
        look.write(record, events, now)
    }
}

impl Write {
    /// A conflict or a lost answer is no matter: the record stays due, and the next tick looks again.
    pub(super) fn resume(self, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(_) => self.ctx.done(TickAnswer { changed: true }),
            StoreAnswer::Refused(_) | StoreAnswer::Unknown(_) => self.ctx.done(TickAnswer { changed: false }),
            StoreAnswer::NotApplied(fault) => self.ctx.failed(fault),
        }
    }
}
