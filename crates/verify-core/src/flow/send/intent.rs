//! The intent: one changeset that charges everything and records which provider is about to be called.

use crate::broken::Broken;
use crate::event::EventKind;
use crate::ids::{DeliveryId, Nonce};
use crate::keys::{Print, PrintKind};
use crate::outcome::{Fault, Refusal, RefusalCode, SendAnswer};
use crate::policy::{Resend, Then};
use crate::record::{CodeOf, Delivery, DeliveryStatus, RETENTION, Status, Verification};
use crate::store::{Changeset, Claim, Mode, Seen, StoreAnswer, StoreFault};
use crate::time::{SKEW, Timestamp};

use super::judge::{Go, Verdict};
use super::settle::Came;
use super::{Attempt, Replaced, Sending};
use crate::flow::board::{Kind, lockout_keys};
use crate::flow::candidate::Candidate;
use crate::flow::context::Context;
use crate::flow::found::{Found, Place};
use crate::flow::idempotency::IdempotencyKey;
use crate::flow::refusals::contention;
use crate::flow::sealed::{Sealed, spelling};
use crate::flow::step::{Step, StoreStep, StoreThen};
use crate::flow::view::view;

/// An intent on its way to the store.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Intent {
    sending: Sending,
    attempt: Attempt,
    /// An answer was lost: the intent may be there already.
    maybe_applied: bool,
}

/// A look at what is pending, before an intent that may not begin anything.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Look(Sending);

impl Sending {
    /// The usual case first: no record is there.
    pub(super) fn begin(self, now: Timestamp) -> Step {
        if self.goes_on {
            return self.look(now);
        }
        let go = Go {
            verification: None,
            waive_gap: false,
        };
        self.intend(Found::nothing(now), &go, now)
    }

    /// From the top, as if nothing had been seen. What was seen before somebody else was asked is stale, and an intent
    /// on nothing that expected those versions would put nothing in the place of what is pending.
    pub(super) fn begin_again(mut self, now: Timestamp) -> Step {
        self.places.forget();
        self.begin(now)
    }

    /// Reads the record, and probes everything that it would be charged on.
    fn look(self, now: Timestamp) -> Step {
        let mut changeset = self.ctx.admitting(now, self.who.standing);
        changeset.charges = self.board.charges();
        for charge in &mut changeset.charges {
            charge.mode = Mode::Probe;
        }
        changeset.reads = self.places.keys();
        let not_after = self.ctx.not_after;
        StoreStep::step(changeset, not_after, StoreThen::SendLook(Look(self)))
    }

    /// What the store showed, by the time of all that a send charges: it writes the stamps that the others go by.
    fn found(&mut self, seen: &mut Seen, now: Timestamp) -> Result<Found, StoreFault> {
        self.board.take(std::mem::take(&mut seen.counters));
        let found = Found::at(&mut self.places, &[&self.board], seen, now)?.later(self.board.newest());
        self.board.draw(found.clock);
        Ok(found)
    }

    fn intend(mut self, found: Found, go: &Go, now: Timestamp) -> Step {
        // By the latest stamp that was seen, as it was judged: should the clock have gone back, the store would refuse
        // again what stands in nobody's way.
        let clock = found.clock;
        let Some(attempt) = self.attempt(found, go) else {
            return self.refuse(contention());
        };
        let change = self.places.record.becomes(&attempt.found.record);
        let (Some(verification), Ok(change)) = (attempt.verification(), change) else {
            return self.ctx.fault(Fault::Defect);
        };
        self.ctx.explanation.verification = Some(attempt.nonce.print());
        let mut changeset = self.ctx.admitting(clock, self.who.standing);
        self.force(go);
        if !self.ctx.is_broken(Broken::ChargeAfterDispatch) {
            changeset.charges = self.board.charges();
        }
        if self.ctx.is_broken(Broken::ResetFailuresOnResend) {
            changeset.resets = lockout_keys(&self.ctx, &self.who, self.who.standing).collect();
        }
        changeset.records = change;
        let notes = self.places.notes.iter().map(|notes| &notes.place);
        // Where nobody may notice what was noted, it may not cost a second trip: it is looked at, and stands against nothing.
        match self.ctx.is_private() {
            true => changeset.reads.extend(notes.flat_map(Place::keys)),
            false => changeset.records.extend(notes.flat_map(Place::stays)),
        }
        let expires_at = verification.expires + RETENTION + SKEW;
        let key = self.idempotency.as_ref();
        changeset.claims = key.map_or(Vec::new(), |key| {
            key.claimed(attempt.nonce.as_bytes(), expires_at)
        });
        changeset
            .events
            .push(self.event(&attempt, EventKind::SendIntended, now));
        let monitored = self
            .ctx
            .explanation
            .rules
            .iter()
            .any(|hit| &*hit.rule == "country_monitor");
        if monitored {
            changeset
                .events
                .push(self.event(&attempt, EventKind::CountryMonitored, now));
        }
        Intent {
            sending: self,
            attempt,
            maybe_applied: false,
        }
        .step(changeset)
    }

    /// What is waived, passed or only watched is counted all the same.
    fn force(&mut self, go: &Go) {
        for line in &mut self.board.lines {
            let forced = (line.kind == Kind::Gap && go.waive_gap)
                || (line.then == Then::HumanCheck && self.human_passed)
                || line.then == Then::Alert;
            if line.charge.mode != Mode::Probe {
                line.charge.mode = if forced { Mode::Force } else { Mode::Charge };
            }
        }
    }

    /// The record as it will be: the ends that time and lockouts made, the verification, and a new delivery.
    fn attempt(&self, mut found: Found, go: &Go) -> Option<Attempt> {
        let clock = found.clock;
        let kept = go
            .verification
            .and_then(|nonce| found.record.verification(nonce))
            .filter(|verification| verification.may_have_sent());
        let fits = |candidate: &&Candidate| kept.is_none_or(|kept| candidate.can_carry(&kept.code));
        let mut rest: Vec<Candidate> = self.candidates.iter().filter(fits).cloned().collect();
        if rest.is_empty() {
            return None;
        }
        let candidate = rest.remove(0);
        self.write_down_ends(&mut found);
        let [fresh, delivery] = self.ctx.seed.ids("intent");
        let delivery = DeliveryId::from_bytes(delivery);
        let record = &mut found.record;
        let nonce = match go.verification {
            Some(nonce) => nonce,
            None => {
                record.make_room(self.who.standing, clock).then_some(())?;
                let new = self.new_verification(Nonce::from_bytes(fresh), &candidate, clock);
                record.verifications.push(new);
                Nonce::from_bytes(fresh)
            }
        };
        let verification = record.verification_mut(nonce)?;
        let keeps = verification.may_have_sent();
        let before = (keeps && go.verification.is_some()).then(|| Replaced {
            code: verification.code.clone(),
            issued: verification.issued,
            expires: verification.expires,
            by: delivery,
        });
        if go.verification.is_some() {
            verification.sealed = self.sealed(spelling(&self.ctx, &self.who, verification));
            self.renew(verification, &candidate, keeps, clock);
        }
        let replaced = before
            .filter(|before| before.code != verification.code)
            .map(Box::new);
        verification.consent |= self.consent;
        let mut intended = Delivery::dispatching(
            delivery,
            self.channel,
            candidate.provider.clone(),
            clock,
            self.ctx.not_after,
        );
        intended.decoy = self.decoy;
        verification.add_delivery(intended);
        Some(Attempt {
            found,
            nonce,
            delivery,
            candidate,
            rest,
            counted: true,
            replaced,
        })
    }

    /// Ends in the record what time and the lockouts have ended, though nobody may have written it yet.
    fn write_down_ends(&self, found: &mut Found) {
        let closed = self.board.closed_before(found.clock);
        found.write_down_ends(|verification| closed.of_standing(&self.who, verification));
    }

    fn new_verification(&self, nonce: Nonce, candidate: &Candidate, clock: Timestamp) -> Verification {
        let rules = self.ctx.policy.code_for(self.who.purpose());
        Verification::pending(
            nonce,
            self.who.identity(),
            candidate.fresh_code(&self.ctx),
            rules.length,
            clock,
            clock + rules.ttl,
            self.sealed(self.who.to.delivery().to_owned()),
        )
    }

    /// What a repair and a follow-up need to know, and nobody may read in the store: of the latest send, but for the
    /// spelling, which is the one that the provider knows.
    fn sealed(&self, to: String) -> Vec<u8> {
        let latest = Sealed::of(&self.who, self.locale.as_deref().unwrap_or_default());
        Sealed { to, ..latest }.seal(&self.ctx).unwrap_or_default()
    }

    /// A resend: the same code, or under `resend = "new"` a new one with a life of its own.
    pub(super) fn renew(
        &self,
        verification: &mut Verification,
        candidate: &Candidate,
        keeps: bool,
        clock: Timestamp,
    ) {
        let rules = self.ctx.policy.code_for(self.who.purpose());
        // What is not as long as the policy says ends in its time: later no check by destination takes that length.
        let lives_on = verification.length != rules.length;
        if self.ctx.is_broken(Broken::ExtendExpiryOnResend) {
            verification.expires = clock + rules.ttl;
        }
        match &mut verification.code {
            CodeOf::Own { key, generation } if keeps && rules.resend == Resend::New => {
                *generation = generation.wrapping_add(1);
                *key = self.ctx.keys.code.newest();
            }
            CodeOf::Own { .. } | CodeOf::Managed { .. } | CodeOf::Test if keeps => return,
            CodeOf::Own { .. } | CodeOf::Managed { .. } | CodeOf::Test => {
                verification.code = candidate.fresh_code(&self.ctx);
            }
        }
        if !lives_on {
            verification.issued = clock;
            verification.expires = clock + rules.ttl;
        }
    }
}

impl Look {
    pub(in crate::flow) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self(mut sending) = self;
        let found = answer.seen().and_then(|mut seen| sending.found(&mut seen, now));
        match found {
            Ok(found) => sending.judged(found, now),
            Err(fault) => sending.ctx.failed(fault),
        }
    }
}

impl Intent {
    fn step(self, changeset: Changeset) -> Step {
        let not_after = self.sending.ctx.not_after;
        StoreStep::step(changeset, not_after, StoreThen::SendIntent(self))
    }

    pub(in crate::flow) fn resume(mut self, asked: Changeset, now: Timestamp, answer: StoreAnswer) -> Step {
        let sending = &mut self.sending;
        match answer {
            StoreAnswer::Applied(mut seen) => {
                sending.board.take(std::mem::take(&mut seen.counters));
                match sending.places.take(&seen, now) {
                    Ok(()) => self.sending.recorded(self.attempt, now),
                    Err(fault) => self.sending.ctx.failed(fault),
                }
            }
            StoreAnswer::Refused(seen) => self.refused(seen, now),
            StoreAnswer::NotApplied(fault) => self.sending.ctx.failed(fault),
            // Asked again, the store tells: the delivery is there, or it is not and this makes it.
            StoreAnswer::Unknown(_) if sending.ctx.ask_again() && !sending.ctx.is_late(now) => {
                self.maybe_applied = true;
                self.step(asked)
            }
            StoreAnswer::Unknown(words) => self.sending.ctx.failed(StoreFault::Unavailable(words)),
        }
    }

    /// A record is there, or something stands against it: what the store showed is looked at.
    fn refused(self, mut seen: Seen, now: Timestamp) -> Step {
        let Self {
            mut sending,
            attempt,
            maybe_applied,
        } = self;
        let found = match sending.found(&mut seen, now) {
            Ok(found) => found,
            Err(fault) => return sending.ctx.failed(fault),
        };
        let delivery = found
            .record
            .verification(attempt.nonce)
            .and_then(|verification| verification.delivery(&attempt.delivery));
        if let Some(delivery) = delivery.filter(|_| maybe_applied) {
            // It was applied after all, and its answer was lost. What it was charged is not known any more.
            let goes_on = delivery.status() == DeliveryStatus::Dispatching && !sending.ctx.is_late(now);
            let attempt = Attempt {
                found,
                counted: false,
                ..attempt
            };
            return match goes_on {
                true => sending.recorded(attempt, now),
                false => sending.settle(attempt, Came::Unknown, now),
            };
        }
        if let Some(key) = &mut sending.idempotency
            && let Some(claim) = key.found(&seen)
        {
            match claimed(&sending.ctx, claim, key, &found, now) {
                Claimed::Answer(nonce) => return sending.repeated(nonce, found),
                Claimed::Refuse(refusal) => return sending.refuse(refusal),
                // Its send reached nobody and its flow is gone. The claim stays, so the next one stands for the key.
                Claimed::Free => {
                    let next = next_claim(&sending.ctx, claim);
                    for own in key.claims.iter_mut().filter(|own| **own == claim.key) {
                        own.print = next;
                    }
                    return match sending.ctx.try_again() && !sending.ctx.is_late(now) {
                        true => sending.begin_again(now),
                        false => sending.refuse(contention()),
                    };
                }
            }
        }
        sending.judged(found, now)
    }
}

impl Sending {
    /// The intent is there. What a provider has said before keeps it from being asked; where nobody may notice, nobody else is
    /// asked either.
    fn recorded(mut self, mut attempt: Attempt, now: Timestamp) -> Step {
        if !self.ctx.is_private() {
            return self.assess(attempt, now);
        }
        let found = &mut attempt.found;
        for place in &self.places.notes {
            found.notes.take_all(&place.noted, found.clock);
        }
        let (notes, candidate) = (&found.notes, &attempt.candidate);
        let capped = notes.capped_until(&candidate.provider, &candidate.scope(), found.clock);
        if capped.is_some() || notes.on(self.channel, found.clock).is_some() {
            self.ctx.note("note", self.channel.as_str(), 0);
            self.decoy = true;
        }
        self.assess(attempt, now)
    }

    /// Goes on as what was found is judged.
    fn judged(mut self, found: Found, now: Timestamp) -> Step {
        match self.judge(&found) {
            Verdict::Repeat(nonce) => self.repeated(nonce, found),
            Verdict::Refuse(refusal) => self.refuse(refusal),
            Verdict::AskHuman => self.ask_for_a_human(None, now),
            Verdict::Go(go) => match self.ctx.try_again() && !self.ctx.is_late(now) {
                true => self.intend(found, &go, now),
                false => self.refuse(contention()),
            },
        }
    }

    fn repeated(mut self, nonce: Nonce, mut found: Found) -> Step {
        self.write_down_ends(&mut found);
        let Found { record, notes, clock } = &found;
        let Some(verification) = record.verification(nonce) else {
            return self.refuse(contention());
        };
        self.ctx.note("repeat", self.channel.as_str(), 0);
        self.ctx.explanation.verification = Some(nonce.print());
        let view = view(&self.ctx, &self.who, verification, &self.board, notes, *clock);
        self.ctx.done(SendAnswer::Repeated(Box::new(view)))
    }
}

/// What an idempotency key that was used before means.
enum Claimed {
    Answer(Nonce),
    Refuse(Refusal),
    Free,
}

fn claimed(ctx: &Context, claim: &Claim, key: &IdempotencyKey, found: &Found, now: Timestamp) -> Claimed {
    let nonce: Option<[u8; 16]> = match key.own(claim) {
        Ok(own) => own.try_into().ok(),
        Err(refusal) => return Claimed::Refuse(refusal),
    };
    let named = nonce.and_then(|nonce| found.record.verification(Nonce::from_bytes(nonce)));
    let Some(verification) = named else {
        return Claimed::Free;
    };
    let runs = |last: &Delivery| last.status() == DeliveryStatus::Dispatching && now < last.not_after;
    // Under private disclosure the first one was answered before anybody was asked.
    let unanswered = !ctx.is_private() && verification.deliveries.last().is_some_and(runs);
    if verification.status() == Status::Pending && unanswered {
        let text = "the first request with this idempotency key still runs; try again shortly";
        return Claimed::Refuse(Refusal::new(RefusalCode::InProgress, text));
    }
    Claimed::Answer(verification.nonce)
}

/// What stands for an idempotency key after the claim of a send that reached nobody: always the same.
fn next_claim(ctx: &Context, claim: &Claim) -> Print {
    let dead = [claim.key.print.as_bytes().as_slice(), &claim.value].concat();
    ctx.keys
        .prints(PrintKind::IdempotencyKey, &ctx.service, &dead)
        .newest()
}
