//! The settlement: one changeset that says what became of a delivery. When surely nothing was sent it names the next
//! provider, or takes the whole send back.

use crate::broken::Broken;
use crate::event::{Event, EventKind};
use crate::outcome::{Answer, Refusal, RefusalCode};
use crate::port::{Helps, ProviderName, Rejection, RejectionKind, Remember};
use crate::record::{CodeOf, Delivery, DeliveryStatus, Note, Record, Status};
use crate::store::{Changeset, RecordChange, Seen, StoreAnswer, Takeback};
use crate::time::{Timestamp, Until};

use super::{Attempt, Came, Carrier, Send};
use crate::flow::board::Kind;
use crate::flow::step::{Step, StoreStep, StoreThen};
use crate::flow::view::{store_fault, view};

/// A settlement on its way to the store.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Settle {
    send: Send,
    attempt: Attempt,
    came: Came,
    /// The attempt as it goes on with the next provider, which is rare.
    next: Option<Box<Attempt>>,
    /// The record as it becomes.
    record: Record,
}

impl Settle {
    pub(super) fn new(send: Send, attempt: Attempt, came: Came) -> Self {
        let record = attempt.record.clone();
        Self {
            send,
            attempt,
            came,
            next: None,
            record,
        }
    }

    /// Writes down what came of the delivery, unless somebody else has.
    pub(super) fn write(mut self, now: Timestamp) -> Step {
        self.record = self.attempt.record.clone();
        self.next = None;
        let advanced = self.advance(now);
        if !advanced {
            return self.finish(now);
        }
        let nothing_sent = self
            .record
            .entry(&self.attempt.nonce)
            .is_some_and(|entry| !entry.may_have_sent());
        if nothing_sent {
            self.record
                .entries
                .retain(|entry| entry.nonce != self.attempt.nonce);
        }
        match self.changeset(nothing_sent, now) {
            Some(changeset) => {
                let not_after = self.send.ctx.not_after;
                Step::Store(StoreStep {
                    changeset,
                    not_after,
                    then: Box::new(StoreThen::Settle(self)),
                })
            }
            None => self.send.ctx.fault(store_fault()),
        }
    }

    /// The delivery, and the verification with it, as they become. False when there is nothing left to write.
    fn advance(&mut self, now: Timestamp) -> bool {
        let decoyed = self.attempt.carrier == Carrier::decoy();
        let Some(entry) = self.record.entry_mut(&self.attempt.nonce) else {
            return false;
        };
        let decoy = &self.attempt.carrier.provider;
        let only_decoys = entry
            .deliveries
            .iter()
            .all(|delivery| delivery.id == self.attempt.delivery || delivery.provider == *decoy);
        if decoyed && only_decoys && entry.code != CodeOf::Test {
            entry.code = CodeOf::Decoy;
        }
        let Some(delivery) = entry.delivery_mut(&self.attempt.delivery) else {
            return false;
        };
        if decoyed {
            delivery.provider = self.attempt.carrier.provider.clone();
        }
        let to = match &self.came {
            Came::Accepted { upstream } => {
                if delivery.upstream.is_none() {
                    delivery.upstream.clone_from(upstream);
                }
                DeliveryStatus::Accepted
            }
            Came::Unknown => DeliveryStatus::Unknown,
            Came::Rejected(rejection) => {
                delivery.rejection = Some(rejection.kind);
                DeliveryStatus::Rejected
            }
            Came::Stopped(_) => DeliveryStatus::Rejected,
            Came::Hidden(_) => DeliveryStatus::Accepted,
        };
        let advanced = delivery.advance(to);
        let goes_on = match &self.came {
            Came::Rejected(rejection) => rejection.kind.helps() == Helps::AnotherProvider,
            Came::Unknown => self.send.ctx.is_broken(Broken::ResendAfterUnknown),
            Came::Accepted { .. } | Came::Stopped(_) | Came::Hidden(_) => false,
        };
        if advanced && goes_on {
            self.name_next(now);
        }
        if advanced && self.next.is_none() {
            self.put_back();
        }
        advanced
    }

    /// A new code that surely nobody got leaves the one before it in force: a send that was stopped ends nothing.
    fn put_back(&mut self) {
        let entry = self.record.entry_mut(&self.attempt.nonce);
        let (Some(entry), Some(replaced)) = (entry, &self.attempt.replaced) else {
            return;
        };
        let since = entry
            .deliveries
            .iter()
            .skip_while(|delivery| delivery.id != replaced.by);
        if since
            .into_iter()
            .any(|delivery| delivery.status().may_have_sent())
        {
            return;
        }
        entry.code = replaced.code.clone();
        entry.issued = replaced.issued;
        entry.expires = replaced.expires;
    }

    /// The next provider, named in the record before it is called.
    fn name_next(&mut self, now: Timestamp) {
        let Some(entry) = self.record.entry_mut(&self.attempt.nonce) else {
            return;
        };
        if self.send.ctx.is_late(now) || entry.status() != Status::Pending {
            return;
        }
        let keeps = self.send.must_keep_code(entry);
        let fits = |carrier: &Carrier| !keeps || carrier.can_carry(&entry.code);
        let mut rest: Vec<Carrier> = self
            .attempt
            .rest
            .iter()
            .filter(|carrier| fits(carrier))
            .cloned()
            .collect();
        if rest.is_empty() {
            return;
        }
        let carrier = rest.remove(0);
        let clock = now.max(entry.issued);
        if !keeps && !carrier.can_carry(&entry.code) {
            self.send.renew(entry, &carrier, false, clock);
        }
        let id = self.send.ctx.seed.bytes(&format!("failover {}", rest.len()));
        let provider: ProviderName = carrier.provider.clone();
        entry.add_delivery(Delivery::dispatching(
            id,
            self.send.channel,
            provider,
            clock,
            self.send.ctx.not_after,
        ));
        self.next = Some(Box::new(Attempt {
            delivery: id,
            carrier,
            rest,
            record: Record::default(),
            ..self.attempt.clone()
        }));
    }

    fn changeset(&self, nothing_sent: bool, now: Timestamp) -> Option<Changeset> {
        let Self { send, attempt, .. } = self;
        // Settling repairs what is there: it has the room of known callers.
        let mut changeset = send.ctx.changeset(now, crate::vocabulary::Standing::Known);
        let row = match self.record.entries.is_empty() && self.record.concluding.is_none() {
            true => None,
            false => Some(self.record.encode().ok()?),
        };
        changeset.records = send.place.becomes(row);
        if send.ctx.is_broken(Broken::ChargeAfterDispatch) {
            changeset.charges = send.board.charges();
        }
        changeset.events.push(send.event(attempt, now, self.event_kind()));
        if let Came::Rejected(rejection) | Came::Hidden(rejection) = &self.came {
            if let Some((change, event)) = self.note(rejection, now) {
                changeset.records.extend(change);
                changeset.events.push(event);
            }
            if let Some(event) = changeset.events.first_mut() {
                event.code = rejection.detail.code;
            }
        }
        if self.next.is_none() && matches!(self.came, Came::Rejected(_) | Came::Hidden(_) | Came::Stopped(_))
        {
            changeset.takebacks = self.takebacks(nothing_sent);
            if nothing_sent {
                changeset
                    .unclaim
                    .extend(send.idempotency.iter().flat_map(|key| key.claims.clone()));
            }
        }
        for rule in send.board.alerts(now).into_iter().filter(|_| self.next.is_none()) {
            let alert = Event {
                rules: vec![rule],
                ..Event::new(now, send.ctx.service.clone(), EventKind::LimitAlert)
            };
            changeset.events.push(alert);
        }
        Some(changeset)
    }

    fn event_kind(&self) -> EventKind {
        match self.came {
            Came::Accepted { .. } => EventKind::SendAccepted,
            Came::Rejected(_) | Came::Hidden(_) => EventKind::SendRejected,
            Came::Unknown => EventKind::SendUnknown,
            Came::Stopped(_) => EventKind::RiskStopped,
        }
    }

    /// Money goes back when this message surely was not sent; the gap when nothing was, now or earlier.
    fn takebacks(&self, nothing_sent: bool) -> Vec<Takeback> {
        if !self.attempt.counted {
            return Vec::new();
        }
        let send = &self.send;
        send.board.takebacks(&send.ctx, |kind| {
            kind == Kind::Spend || (kind == Kind::Gap && nothing_sent)
        })
    }

    /// A verdict worth remembering, on the destination or on its prefix.
    fn note(&self, rejection: &Rejection, now: Timestamp) -> Option<(Vec<RecordChange>, Event)> {
        let send = &self.send;
        let here = (&send.notes, &send.noted_here);
        let ((place, noted), until) = match rejection.kind.remember() {
            Remember::Nothing => return None,
            Remember::Destination(span) => (here, Some(now + span)),
            Remember::DestinationForGood => (here, None),
            Remember::Prefix(span) => {
                let prefix = (send.prefix_notes.as_ref()?, &send.noted_prefix);
                (prefix, Some(now + span))
            }
        };
        let mut notes = noted.clone();
        notes.take(
            Note {
                channel: send.channel,
                kind: rejection.kind,
                until,
            },
            now,
        );
        let event = send.event(&self.attempt, now, EventKind::NoteTaken);
        Some((place.becomes(Some(notes.encode().ok()?)), event))
    }

    pub(in crate::flow) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(seen) => {
                self.send.place.take(&seen);
                let record = self.record.clone();
                match self.next.take() {
                    Some(next) => self.send.dispatch(Attempt { record, ..*next }, now),
                    None => self.finish(now),
                }
            }
            StoreAnswer::Refused(seen) => self.again(&seen, now),
            StoreAnswer::NotApplied(_) => self.unwritten(now),
            StoreAnswer::Unknown => match self.send.ctx.try_again() {
                // The same once more: if it was applied, the version tells.
                true => self.write(now),
                false => self.unwritten(now),
            },
        }
    }

    /// Somebody else wrote the record in between, or this flow did and did not hear of it.
    fn again(mut self, seen: &Seen, now: Timestamp) -> Step {
        // The board stays what the intent was charged.
        let Ok(record) = self.send.look_at_records(seen, now) else {
            return self.unwritten(now);
        };
        if let Some(next) = &self.next
            && let Some(delivery) = record
                .entry(&next.nonce)
                .and_then(|entry| entry.delivery(&next.delivery))
        {
            let dispatching = delivery.status() == DeliveryStatus::Dispatching;
            let next = Attempt {
                record,
                ..Attempt::clone(next)
            };
            return match dispatching {
                true => self.send.dispatch(next, now),
                false => Self::new(self.send, next, Came::Unknown).finish(now),
            };
        }
        if !self.send.ctx.is_broken(Broken::IgnoreExpectedVersion) {
            self.attempt.record = record;
        }
        if self.send.ctx.try_again() {
            self.write(now)
        } else {
            self.unwritten(now)
        }
    }

    /// The store did not take it. What came of the delivery is known here all the same; a tick repairs the record.
    fn unwritten(mut self, now: Timestamp) -> Step {
        self.record = self.attempt.record.clone();
        self.finish(now)
    }

    fn finish(self, now: Timestamp) -> Step {
        let Self {
            mut send,
            attempt,
            came,
            record,
            ..
        } = self;
        match came {
            Came::Stopped(refusal) => send.ctx.refuse(refusal),
            Came::Rejected(rejection) => {
                let refusal = refusal(&mut send, &rejection, now);
                send.ctx.refuse(refusal)
            }
            Came::Accepted { .. } | Came::Hidden(_) | Came::Unknown => {
                let entry = record.entry(&attempt.nonce).or(attempt.entry());
                let Some(entry) = entry else {
                    // Erased, or found unsent by a repair, while the provider was asked.
                    let text = "it could not be delivered; send again";
                    return send
                        .ctx
                        .refuse(Refusal::new(RefusalCode::ProviderUnavailable, text));
                };
                let clock = now.max(entry.issued);
                let seen = view(&send.ctx, &send.who, entry, &send.board, &send.noted, clock);
                send.ctx.done(Answer::Sent(Box::new(seen)))
            }
        }
    }
}

/// What a provider's rejection means for the person.
fn refusal(send: &mut Send, rejection: &Rejection, now: Timestamp) -> Refusal {
    send.ctx.hit(rejection.kind.as_str(), 0, None, None);
    let new = Refusal::new;
    match rejection.kind {
        RejectionKind::InvalidDestination => new(
            RefusalCode::InvalidDestination,
            "this number or mailbox cannot be used",
        )
        .field("to"),
        RejectionKind::ChannelUnreachable
        | RejectionKind::OptedOut
        | RejectionKind::PrefixBlocked
        | RejectionKind::RegionBlocked => {
            let refusal = new(
                RefusalCode::ChannelUnavailable,
                "this channel does not reach this destination",
            );
            send.instead(refusal, now)
        }
        RejectionKind::DestinationQuota => {
            let wait = rejection
                .retry_after
                .unwrap_or(send.ctx.policy.code_for(send.who.purpose()).ttl);
            new(RefusalCode::RateLimited, "too many requests; wait and try again")
                .until(Until::At(now + wait))
        }
        RejectionKind::BadRequest
        | RejectionKind::AccountQuota
        | RejectionKind::Down
        | RejectionKind::Credentials
        | RejectionKind::Misconfigured => {
            let text = "nobody can carry this just now; try again in a while";
            send.instead(new(RefusalCode::ProviderUnavailable, text), now)
        }
    }
}
