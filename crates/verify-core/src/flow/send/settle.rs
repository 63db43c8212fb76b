//! The settlement: one changeset that says what became of a delivery. When surely nothing was sent it names the next
//! provider, or takes the whole send back.

use std::time::Duration;

use crate::broken::Broken;
use crate::event::EventKind;
use crate::ids::DeliveryId;
use crate::outcome::{Fault, Refusal, RefusalCode, SendAnswer};
use crate::port::{Helps, LONGEST_CAP, Rejection, RejectionKind, Remember};
use crate::record::{Cap, Delivery, DeliveryStatus, Note, Notes, Status, Unwritable};
use crate::store::{Changeset, RecordChange, Seen, StoreAnswer, Takeback};
use crate::time::{Timestamp, Until};
use crate::vocabulary::Standing;

use super::{Attempt, Sending};
use crate::flow::board::Kind;
use crate::flow::candidate::Candidate;
use crate::flow::found::{Found, NotesPlace};
use crate::flow::step::{Step, StoreStep, StoreThen};
use crate::flow::view::view;

/// A provider that says to come back at once is asked again after this.
const SHORTEST_CAP: Duration = Duration::from_secs(1);

/// What became of a delivery.
#[derive(Debug, Clone)]
pub(super) enum Came {
    Accepted {
        upstream: Option<String>,
    },
    Rejected(Rejection),
    Unknown,
    /// Stopped before the provider was asked.
    Stopped(Refusal),
}

/// A settlement on its way to the store.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Settle {
    sending: Sending,
    attempt: Attempt,
    came: Came,
    /// The attempt as it goes on with the next provider, which is rare.
    next: Option<Box<Attempt>>,
    /// The record as it becomes.
    found: Found,
    /// When it was heard: a wait that a provider named begins here, whenever it is written down or told.
    heard: Timestamp,
}

impl Sending {
    pub(super) fn settle(self, attempt: Attempt, came: Came, now: Timestamp) -> Step {
        Settle::new(self, attempt, came, now).write(now)
    }

    /// What a send that went out is answered, or may have.
    pub(super) fn answer(&self, attempt: &Attempt, found: &Found) -> SendAnswer {
        let Found { record, notes, clock } = found;
        let written = record.verification(attempt.nonce);
        match written.or(attempt.verification()) {
            Some(verification) => {
                let view = view(&self.ctx, &self.who, verification, &self.board, notes, *clock);
                SendAnswer::Sent(Box::new(view))
            }
            // Erased, or found unsent by a repair, while the provider was asked.
            None => {
                let text = "it could not be delivered; send again";
                SendAnswer::Refused(Refusal::new(RefusalCode::ProviderUnavailable, text))
            }
        }
    }
}

impl Settle {
    fn new(sending: Sending, attempt: Attempt, came: Came, heard: Timestamp) -> Self {
        Self {
            sending,
            attempt,
            came,
            next: None,
            found: Found::default(),
            heard,
        }
    }

    /// Writes down what came of the delivery, unless somebody else has.
    fn write(mut self, now: Timestamp) -> Step {
        self.found = self.attempt.found.clone();
        self.next = None;
        if !self.advance(now) {
            return self.finish(now);
        }
        let nonce = self.attempt.nonce;
        let record = &mut self.found.record;
        let nothing_sent = record
            .verification(nonce)
            .is_some_and(|verification| !verification.may_have_sent());
        if nothing_sent {
            record
                .verifications
                .retain(|verification| verification.nonce != nonce);
        }
        match self.changeset(nothing_sent, now) {
            Ok(changeset) => {
                let not_after = self.sending.ctx.not_after;
                StoreStep::step(changeset, not_after, StoreThen::SendSettle(self))
            }
            Err(Unwritable) => self.sending.ctx.fault(Fault::Defect),
        }
    }

    /// The delivery, and the verification with it, as they become. False when there is nothing left to write.
    fn advance(&mut self, now: Timestamp) -> bool {
        let goes_on = match &self.came {
            Came::Rejected(rejection) => rejection.kind.helps() == Helps::AnotherProvider,
            Came::Unknown => self.sending.ctx.is_broken(Broken::ResendAfterUnknown),
            Came::Accepted { .. } | Came::Stopped(_) => false,
        };
        let next = goes_on.then(|| self.next_candidate(now)).flatten();
        // The last word on it, and nobody may notice: it stays as if it had been sent.
        let hidden = self.sending.ctx.is_private() && next.is_none();
        let decoy = self.sending.decoy;
        let Some(verification) = self.found.record.verification_mut(self.attempt.nonce) else {
            return false;
        };
        let Some(delivery) = verification.delivery_mut(&self.attempt.delivery) else {
            return false;
        };
        delivery.decoy |= decoy;
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
                delivery.decoy |= hidden;
                match hidden {
                    true => DeliveryStatus::Accepted,
                    false => DeliveryStatus::Rejected,
                }
            }
            Came::Stopped(_) => DeliveryStatus::Rejected,
        };
        let advanced = delivery.advance(to);
        match next.filter(|_| advanced) {
            Some(next) => self.name_next(next, now),
            None if advanced => self.put_back(),
            None => {}
        }
        advanced
    }

    /// A new code that surely nobody got leaves the one before it in force: a send that was stopped ends nothing.
    fn put_back(&mut self) {
        let verification = self.found.record.verification_mut(self.attempt.nonce);
        let (Some(verification), Some(replaced)) = (verification, &self.attempt.replaced) else {
            return;
        };
        let mut since = verification
            .deliveries
            .iter()
            .skip_while(|delivery| delivery.id != replaced.by);
        if since.any(|delivery| delivery.status().may_have_sent()) {
            return;
        }
        verification.code = replaced.code.clone();
        verification.issued = replaced.issued;
        verification.expires = replaced.expires;
    }

    /// Who may carry it when this one surely did not, first choice first.
    fn next_candidate(&self, now: Timestamp) -> Option<Vec<Candidate>> {
        let Sending { ctx, decoy, .. } = &self.sending;
        let verification = self.found.record.verification(self.attempt.nonce)?;
        // Somebody has asked again since: what goes on now would be the last message, and show.
        let last = verification.deliveries.last()?;
        let is_overtaken = ctx.is_private() && last.id != self.attempt.delivery;
        if *decoy || is_overtaken || ctx.is_late(now) || verification.status() != Status::Pending {
            return None;
        }
        let mut others = verification
            .deliveries
            .iter()
            .filter(|delivery| delivery.id != self.attempt.delivery);
        // A code of another maker has another life, which would show.
        let keeps = ctx.is_private() || others.any(|delivery| delivery.status().may_have_sent());
        let fits = |candidate: &&Candidate| !keeps || candidate.can_carry(&verification.code);
        let rest: Vec<Candidate> = self.attempt.rest.iter().filter(fits).cloned().collect();
        (!rest.is_empty()).then_some(rest)
    }

    /// The next provider, named in the record before it is called.
    fn name_next(&mut self, mut rest: Vec<Candidate>, now: Timestamp) {
        let sending = &self.sending;
        let Some(verification) = self.found.record.verification_mut(self.attempt.nonce) else {
            return;
        };
        let candidate = rest.remove(0);
        // Where a provider's word must not show, neither may the time that it took.
        let last = verification.deliveries.last().map(|last| last.at);
        let clock = last
            .filter(|_| sending.ctx.is_private())
            .unwrap_or_else(|| now.max(verification.issued));
        if !candidate.can_carry(&verification.code) {
            sending.renew(verification, &candidate, false, clock);
        }
        let id = DeliveryId::from_bytes(sending.ctx.seed.bytes(&format!("failover {}", rest.len())));
        let provider = candidate.provider.clone();
        let not_after = sending.ctx.not_after;
        verification.add_delivery(Delivery::dispatching(
            id,
            sending.channel,
            provider,
            clock,
            not_after,
        ));
        self.next = Some(Box::new(Attempt {
            delivery: id,
            candidate,
            rest,
            found: Found::default(),
            ..self.attempt.clone()
        }));
    }

    fn changeset(&self, nothing_sent: bool, now: Timestamp) -> Result<Changeset, Unwritable> {
        let Self { sending, attempt, .. } = self;
        // Settling repairs what is there: it has the room of known callers.
        let mut changeset = sending.ctx.changeset(now, Standing::Known);
        changeset.records = sending.places.record.becomes(&self.found.record)?;
        if sending.ctx.is_broken(Broken::ChargeAfterDispatch) {
            changeset.charges = sending.board.charges();
        }
        let mut event = sending.event(attempt, self.event_kind(), now);
        let rejection = match &self.came {
            Came::Rejected(rejection) => Some(rejection),
            Came::Accepted { .. } | Came::Unknown | Came::Stopped(_) => None,
        };
        event.code = rejection.and_then(|rejection| rejection.detail.code);
        changeset.events.push(event);
        if let Some(change) = rejection.and_then(|rejection| self.note(rejection, now)) {
            changeset.records.extend(change?);
            changeset
                .events
                .push(sending.event(attempt, EventKind::NoteTaken, now));
        }
        if self.next.is_some() {
            return Ok(changeset);
        }
        // Where nobody may notice a rejection, nothing that it was charged goes back.
        let told = rejection.is_some() && !sending.ctx.is_private();
        if told || matches!(self.came, Came::Stopped(_)) {
            changeset.takebacks = self.takebacks(nothing_sent);
            if nothing_sent {
                let keys = sending.idempotency.iter();
                changeset.unclaim.extend(keys.flat_map(|key| key.claims.clone()));
            }
        }
        changeset.alerts = sending
            .board
            .alerts(&sending.ctx, &sending.who, &changeset.takebacks, now);
        Ok(changeset)
    }

    fn event_kind(&self) -> EventKind {
        match self.came {
            Came::Accepted { .. } => EventKind::SendAccepted,
            Came::Rejected(_) => EventKind::SendRejected,
            Came::Unknown => EventKind::SendUnknown,
            Came::Stopped(_) => EventKind::RiskStopped,
        }
    }

    /// What goes back.
    fn takebacks(&self, nothing_sent: bool) -> Vec<Takeback> {
        if !self.attempt.counted {
            return Vec::new();
        }
        let sending = &self.sending;
        sending
            .board
            .takebacks(&sending.ctx, |kind| goes_back(kind, nothing_sent))
    }

    /// A verdict worth remembering, on the destination or on its prefix.
    fn note(&self, rejection: &Rejection, now: Timestamp) -> Option<Result<Vec<RecordChange>, Unwritable>> {
        let sending = &self.sending;
        let [here, prefix @ ..] = sending.places.notes.as_slice() else {
            return None;
        };
        let (NotesPlace { place, noted }, until) = match rejection.kind.remember() {
            Remember::Nothing => return None,
            Remember::Cap => {
                let mut notes = here.noted.clone();
                notes.take_cap(self.cap()?, now);
                return Some(here.place.becomes_notes(&notes));
            }
            Remember::Destination(span) => (here, Some(now + span)),
            Remember::DestinationForGood => (here, None),
            Remember::Prefix(span) => (prefix.first()?, Some(now + span)),
        };
        let mut notes: Notes = noted.clone();
        let note = Note {
            channel: sending.channel,
            kind: rejection.kind,
            until,
        };
        notes.take(note, now);
        // Those of a prefix all end.
        if notes.is_durable() && notes.whose.is_none() {
            let whose = sending.who.to.canonical();
            notes
                .name(&sending.ctx.keys, &sending.ctx.seed, whose.as_bytes())
                .ok();
        }
        Some(place.becomes_notes(&notes))
    }

    /// The provider's own cap, for as long as it said, or as a code lives.
    fn cap(&self) -> Option<Cap> {
        let rejection = match &self.came {
            Came::Rejected(rejection) => (rejection.kind.remember() == Remember::Cap).then_some(rejection)?,
            Came::Accepted { .. } | Came::Unknown | Came::Stopped(_) => return None,
        };
        let Sending { ctx, who, .. } = &self.sending;
        let ttl = || ctx.policy.code_for(who.purpose()).ttl;
        let wait = rejection.retry_after.unwrap_or_else(ttl);
        let candidate = &self.attempt.candidate;
        Some(Cap {
            provider: candidate.provider.clone(),
            scope: candidate.scope(),
            until: self.heard + wait.clamp(SHORTEST_CAP, LONGEST_CAP),
        })
    }

    /// When the same send is admitted again: not before the cap ends, nor before anything else that stands against it.
    fn wait(&self, cap: Cap, now: Timestamp) -> Until {
        let mut found = self.found.clone().later(now);
        let verification = found.record.verification(self.attempt.nonce);
        let nothing_sent = verification.is_none_or(|verification| !verification.may_have_sent());
        found.notes.take_cap(cap, now);
        let back = |kind| self.attempt.counted && goes_back(kind, nothing_sent);
        self.sending.wait_after(back, &found)
    }

    pub(in crate::flow) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(seen) => {
                self.sending.places.record.take(&seen);
                match self.next.take() {
                    Some(next) => {
                        let found = self.found;
                        self.sending.ask_to_carry(Attempt { found, ..*next }, now)
                    }
                    None => self.finish(now),
                }
            }
            StoreAnswer::Refused(seen) => self.again(&seen, now),
            // The same once more: if it was applied, the version tells.
            StoreAnswer::Unknown(_) if self.sending.ctx.ask_again() => self.write(now),
            StoreAnswer::Unknown(_) | StoreAnswer::NotApplied(_) => self.unwritten(now),
        }
    }

    /// Somebody else wrote the record in between, or this flow did and did not hear of it.
    fn again(mut self, seen: &Seen, now: Timestamp) -> Step {
        let sending = &mut self.sending;
        // The board stays what the intent was charged.
        let Ok(found) = Found::at(&mut sending.places, &[&sending.board], seen, now) else {
            return self.unwritten(now);
        };
        let next = self.next.as_ref().filter(|next| {
            let named = found.record.verification(next.nonce);
            named.is_some_and(|verification| verification.delivery(&next.delivery).is_some())
        });
        if let Some(next) = next {
            let next = Attempt {
                found,
                ..Attempt::clone(next)
            };
            return match next.receipt().is_some() {
                true => self.sending.ask_to_carry(next, now),
                false => Self::new(self.sending, next, Came::Unknown, now).unwritten(now),
            };
        }
        if !sending.ctx.is_broken(Broken::IgnoreExpectedVersion) {
            self.attempt.found = found;
        }
        match self.sending.ctx.try_again() {
            true => self.write(now),
            false => self.unwritten(now),
        }
    }

    /// The store did not take it. What came of the delivery is known here all the same; a tick repairs the record.
    fn unwritten(mut self, now: Timestamp) -> Step {
        self.found = self.attempt.found.clone();
        self.finish(now)
    }

    fn finish(self, now: Timestamp) -> Step {
        let wait = self.cap().map(|cap| self.wait(cap, now));
        let Self {
            mut sending,
            attempt,
            came,
            found,
            ..
        } = self;
        let found = found.later(now);
        match came {
            Came::Stopped(refusal) => sending.refuse(refusal),
            Came::Rejected(rejection) if !sending.ctx.is_private() => {
                let refusal = refusal(&mut sending, &rejection, wait, &found, now);
                sending.refuse(refusal)
            }
            Came::Accepted { .. } | Came::Rejected(_) | Came::Unknown => {
                let answer = sending.answer(&attempt, &found);
                sending.ctx.done(answer)
            }
        }
    }
}

/// Money goes back when this message surely was not sent; the gap when nothing was, now or earlier.
fn goes_back(kind: Kind, nothing_sent: bool) -> bool {
    kind == Kind::Spend || (kind == Kind::Gap && nothing_sent)
}

/// What a rejection means for the person.
fn refusal(
    sending: &mut Sending,
    rejection: &Rejection,
    wait: Option<Until>,
    found: &Found,
    now: Timestamp,
) -> Refusal {
    let channel = sending.channel.as_str();
    sending.ctx.hit_until(rejection.kind.as_str(), channel, wait);
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
            sending.instead(refusal, found)
        }
        RejectionKind::DestinationQuota => {
            let mut refusal = new(RefusalCode::RateLimited, "too many requests; wait and try again");
            refusal.retry_at = wait;
            refusal
        }
        RejectionKind::BadRequest
        | RejectionKind::AccountQuota
        | RejectionKind::Down
        | RejectionKind::Credentials
        | RejectionKind::Misconfigured => {
            let text = "nobody can carry this just now; try again in a while";
            let rests = rejection
                .retry_after
                .filter(|_| rejection.kind == RejectionKind::Down);
            let mut refusal = new(RefusalCode::ProviderUnavailable, text);
            refusal.retry_at = rests.map(|rests| Until::At(now + rests));
            sending.instead(refusal, found)
        }
    }
}
