//! A tick: it settles deliveries whose flow died, asks about those nobody knows of, and writes expiry down. It only
//! repairs: a spurious tick changes nothing, and none acts before a flow's deadline and the skew have passed.

use crate::command::TickRequest;
use crate::event::{Event, EventKind};
use crate::outcome::Answer;
use crate::port::{InquireRequest, Inquired};
use crate::record::{DeliveryStatus, Entry, MOST_INQUIRIES, Record, Status};
use crate::store::StoreAnswer;
use crate::time::{SKEW, Timestamp};
use crate::vocabulary::Standing;

use super::context::Context;
use super::place::Place;
use super::sealed::Sealed;
use super::step::{InquireStep, Step, StoreStep, StoreThen};
use super::view::{print_of, store_fault};

/// The first look.
#[derive(Debug, Clone)]
pub(super) struct Look {
    ctx: Context,
    place: Place,
}

/// A delivery that a provider is asked about.
#[derive(Debug, Clone)]
pub(super) struct Inquiring {
    look: Look,
    record: Record,
    events: Vec<Event>,
    nonce: [u8; 16],
    delivery: [u8; 16],
}

/// The repair on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Write {
    ctx: Context,
}

pub(super) fn start(mut ctx: Context, request: &TickRequest, now: Timestamp) -> Step {
    ctx.explanation.destination = Some(request.record.print);
    let place = Place::at(request.record);
    let mut changeset = ctx.changeset(now, Standing::Known);
    changeset.reads = place.keys().copied().collect();
    let not_after = ctx.not_after;
    Step::Store(StoreStep {
        changeset,
        not_after,
        then: Box::new(StoreThen::TickLook(Look { ctx, place })),
    })
}

impl Look {
    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let (StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen)) = answer else {
            return self.ctx.fault(store_fault());
        };
        self.place.take(&seen);
        if self.place.is_empty() {
            return self.ctx.done(Answer::Ticked { changed: false });
        }
        let Ok(before) = self.place.record(&seen) else {
            return self.ctx.fault(store_fault());
        };
        let mut record = before.clone();
        let mut events = Vec::new();
        for entry in &mut record.entries {
            let about = about(&self.ctx, entry, &self.place, now);
            settle_abandoned(entry, now);
            if now >= entry.expires + SKEW && entry.advance(Status::Expired) {
                events.push(Event {
                    ..about(EventKind::Expired)
                });
            }
        }
        match self.question(&mut record, now) {
            Some((request, nonce, delivery)) => {
                let not_after = self.ctx.not_after;
                let then = Inquiring {
                    look: self,
                    record,
                    events,
                    nonce,
                    delivery,
                };
                Step::Inquire(InquireStep {
                    request,
                    not_after,
                    then: Box::new(then),
                })
            }
            None if record == before => self.ctx.done(Answer::Ticked { changed: false }),
            None => self.write(record, events, now),
        }
    }

    /// The first delivery that nobody knows of and that is due to be asked about.
    fn question(&self, record: &mut Record, now: Timestamp) -> Option<(InquireRequest, [u8; 16], [u8; 16])> {
        for entry in &mut record.entries {
            let (nonce, scope) = (
                entry.nonce,
                entry.scope().map(|(_, scope)| scope.clone()).unwrap_or_default(),
            );
            let sealed = entry.sealed.clone();
            for delivery in &mut entry.deliveries {
                if delivery.status() != DeliveryStatus::Unknown || delivery.due().is_none_or(|due| now < due)
                {
                    continue;
                }
                delivery.inquiries += 1;
                let able = self
                    .ctx
                    .routes
                    .providers
                    .get(&delivery.provider)
                    .is_some_and(|provider| provider.can_inquire);
                let open = Sealed::open(&self.ctx, &sealed).and_then(|sealed| sealed.destination(&self.ctx));
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
                return Some((request, nonce, delivery.id));
            }
        }
        None
    }

    fn write(self, mut record: Record, events: Vec<Event>, now: Timestamp) -> Step {
        // A verification of which surely nothing was sent is none.
        record
            .entries
            .retain(|entry| entry.may_have_sent() || entry.status() != Status::Pending);
        let row = match record.entries.is_empty() && record.concluding.is_none() {
            true => None,
            false => match record.encode() {
                Ok(row) => Some(row),
                Err(_) => return self.ctx.fault(store_fault()),
            },
        };
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.records = self.place.becomes(row);
        changeset.events = events;
        let not_after = self.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::TickWrite(Write { ctx: self.ctx })),
        })
    }
}

/// A delivery whose flow is surely over and wrote nothing: perhaps sent.
fn settle_abandoned(entry: &mut Entry, now: Timestamp) {
    for delivery in &mut entry.deliveries {
        if delivery.status() == DeliveryStatus::Dispatching && now >= delivery.not_after + SKEW {
            delivery.advance(DeliveryStatus::Unknown);
        }
    }
}

fn about(ctx: &Context, entry: &Entry, place: &Place, now: Timestamp) -> impl Fn(EventKind) -> Event + use<> {
    let (nonce, purpose, service) = (entry.nonce, entry.identity.purpose, ctx.service.clone());
    let destination = place.keys().next().map(|key| key.print);
    move |kind| Event {
        destination,
        verification: Some(print_of(nonce)),
        purpose: Some(purpose),
        ..Event::new(now, service.clone(), kind)
    }
}

impl Inquiring {
    pub(super) fn resume(self, now: Timestamp, answer: Inquired) -> Step {
        let Self {
            look,
            mut record,
            mut events,
            nonce,
            delivery,
        } = self;
        let Some(entry) = record.entry_mut(&nonce) else {
            return look.ctx.done(Answer::Ticked { changed: false });
        };
        let about = about(&look.ctx, entry, &look.place, now);
        if let Some(delivery) = entry.delivery_mut(&delivery) {
            let (to, said) = match answer {
                Inquired::Sent { upstream } => (Some(DeliveryStatus::Accepted), upstream),
                // The provider saw its code used. That is not an approval of ours: who gave it is not known here.
                Inquired::Converted { upstream } => (Some(DeliveryStatus::Accepted), upstream),
                Inquired::NotSent => (Some(DeliveryStatus::Rejected), None),
                Inquired::Unknown => (None, None),
            };
            if let Some(to) = to {
                delivery.advance(to);
                delivery.upstream = delivery.upstream.take().or(said);
                events.push(Event {
                    channel: Some(delivery.channel),
                    provider: Some(delivery.provider.clone()),
                    ..about(EventKind::DeliveryReconciled)
                });
            }
        }
        look.write(record, events, now)
    }
}

impl Write {
    /// A conflict or a lost answer is no matter: the record stays due, and the next tick looks again.
    pub(super) fn resume(self, _now: Timestamp, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(_) => self.ctx.done(Answer::Ticked { changed: true }),
            StoreAnswer::Refused(_) | StoreAnswer::Unknown => {
                self.ctx.done(Answer::Ticked { changed: false })
            }
            StoreAnswer::NotApplied(_) => self.ctx.fault(store_fault()),
        }
    }
}
