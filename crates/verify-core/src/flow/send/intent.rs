//! The intent: one changeset that charges everything and records which provider is about to be called.

use crate::broken::Broken;
use crate::event::{Event, EventKind};
use crate::keys::{Print, PrintKind};
use crate::outcome::{Answer, Refusal, RefusalCode};
use crate::policy::{Resend, Then};
use crate::record::{CodeOf, Delivery, Entry, RETENTION, Record, Status};
use crate::store::{Changeset, Claim, Mode, Seen, StoreAnswer};
use crate::time::{SKEW, Timestamp};

use super::judge::{Found, Go, Verdict};
use super::{Attempt, Carrier, Replaced, Send};
use crate::flow::board::{Kind, lockout_keys};
use crate::flow::carrier::{Carried, carriers};
use crate::flow::context::Context;
use crate::flow::idempotency::IdempotencyKey;
use crate::flow::place::{Place, write_down_ends};
use crate::flow::step::{Step, StoreStep, StoreThen};
use crate::flow::view::{contention, print_of, store_fault, view};

/// An intent on its way to the store.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Intent {
    send: Send,
    attempt: Attempt,
    /// An answer was lost: the intent may be there already.
    maybe_applied: bool,
}

impl Send {
    /// The usual case first: no record is there.
    pub(super) fn intend_on_nothing(self, now: Timestamp) -> Step {
        let nothing = Found {
            record: Record::default(),
            clock: now,
        };
        let go = Go {
            entry: None,
            waive_gap: false,
        };
        self.intend(nothing, &go, now)
    }

    /// From the top, as if nothing had been seen. What was seen before somebody else was asked is stale, and an intent
    /// on nothing that expected those versions would put nothing in the place of what is pending.
    pub(super) fn begin_again(mut self, now: Timestamp) -> Step {
        self.place.forget();
        self.notes.forget();
        self.prefix_notes.iter_mut().for_each(Place::forget);
        self.intend_on_nothing(now)
    }

    pub(super) fn intend(mut self, found: Found, go: &Go, now: Timestamp) -> Step {
        // By the latest stamp that was seen, as it was judged: should the clock have gone back, the store would refuse
        // again what stands in nobody's way.
        let clock = found.clock;
        let Some(attempt) = self.attempt(found, go) else {
            return self.ctx.refuse(contention());
        };
        let (Some(entry), Ok(row)) = (attempt.entry(), attempt.record.encode()) else {
            return self.ctx.fault(store_fault());
        };
        let mut changeset = self.ctx.changeset(clock, self.who.standing);
        for line in &mut self.board.lines {
            let forced = (line.kind == Kind::Gap && go.waive_gap)
                || (line.then == Then::HumanCheck && self.human_passed)
                || line.then == Then::Alert;
            if line.charge.mode != Mode::Probe {
                line.charge.mode = if forced { Mode::Force } else { Mode::Charge };
            }
        }
        if !self.ctx.is_broken(Broken::ChargeAfterDispatch) {
            changeset.charges = self.board.charges();
        }
        if self.ctx.is_broken(Broken::ResetFailuresOnResend) {
            changeset.resets = lockout_keys(&self.ctx, &self.who, self.who.standing).collect();
        }
        changeset.records = self.place.becomes(Some(row));
        changeset.records.extend(self.notes.stays());
        changeset
            .records
            .extend(self.prefix_notes.iter().flat_map(Place::stays));
        let expires_at = entry.expires + RETENTION + SKEW;
        let key = self.idempotency.as_ref();
        changeset.claims = key.map_or(Vec::new(), |key| key.claimed(&attempt.nonce, expires_at));
        changeset.events = self.events(&attempt, now, EventKind::SendIntended);
        self.ctx.explanation.verification = Some(print_of(attempt.nonce));
        Intent {
            send: self,
            attempt,
            maybe_applied: false,
        }
        .step(changeset)
    }

    /// The record as it will be: the ends that time and lockouts made, the verification, and a new delivery.
    fn attempt(&self, found: Found, go: &Go) -> Option<Attempt> {
        let Found { mut record, clock } = found;
        let kept = go
            .entry
            .and_then(|nonce| record.entry(&nonce))
            .filter(|entry| self.must_keep_code(entry));
        let fits = |carrier: &Carrier| kept.is_none_or(|entry| carrier.can_carry(&entry.code));
        let mut rest: Vec<Carrier> = self
            .carriers
            .iter()
            .filter(|carrier| fits(carrier))
            .cloned()
            .collect();
        if rest.is_empty() {
            return None;
        }
        let carrier = rest.remove(0);
        self.write_down_ends(&mut record, clock);
        let [fresh, delivery] = self.ctx.seed.ids("intent");
        let nonce = match go.entry {
            Some(nonce) => nonce,
            None => {
                record.make_room(self.who.standing, clock).then_some(())?;
                record.entries.push(self.new_entry(fresh, &carrier, clock));
                fresh
            }
        };
        let keeps = record
            .entry(&nonce)
            .is_some_and(|entry| self.must_keep_code(entry));
        let entry = record.entry_mut(&nonce)?;
        let before = (keeps && go.entry.is_some()).then(|| Replaced {
            code: entry.code.clone(),
            issued: entry.issued,
            expires: entry.expires,
            by: delivery,
        });
        if go.entry.is_some() {
            self.renew(entry, &carrier, keeps, clock);
        }
        let replaced = before.filter(|before| before.code != entry.code).map(Box::new);
        entry.consent |= self.consent;
        entry.add_delivery(Delivery::dispatching(
            delivery,
            self.channel,
            carrier.provider.clone(),
            clock,
            self.ctx.not_after,
        ));
        Some(Attempt {
            record,
            nonce,
            delivery,
            carrier,
            rest,
            counted: true,
            replaced,
        })
    }

    /// Ends in the record what time and the lockouts have ended, though nobody may have written it yet.
    fn write_down_ends(&self, record: &mut Record, clock: Timestamp) {
        let closed = self.board.closed_before(clock);
        write_down_ends(record, clock, |entry| closed.of_standing(&self.who, entry));
    }

    /// A code that somebody may hold stays; a decoy's never does.
    pub(super) fn must_keep_code(&self, entry: &Entry) -> bool {
        entry.code != CodeOf::Decoy && entry.may_have_sent()
    }

    fn new_entry(&self, nonce: [u8; 16], carrier: &Carrier, clock: Timestamp) -> Entry {
        let ttl = self.ctx.policy.code_for(self.who.purpose()).ttl;
        let code = carrier.fresh_code(&self.ctx, &self.who);
        // What a repair needs to know, and nobody may read in the store.
        let context = super::super::sealed::Sealed::of(&self.who, &self.locale);
        let sealed = context.seal(&self.ctx).unwrap_or_default();
        Entry::pending(nonce, self.who.identity(), code, clock, clock + ttl, sealed)
    }

    /// A resend: the same code, or under `resend = "new"` and for decoys a new one with a life of its own.
    pub(super) fn renew(&self, entry: &mut Entry, carrier: &Carrier, keeps: bool, clock: Timestamp) {
        let rules = self.ctx.policy.code_for(self.who.purpose());
        // Nobody may tell a decoy by a life that a resend extends.
        let lives_on = entry.code == CodeOf::Decoy && self.keeps_life();
        if self.ctx.is_broken(Broken::ExtendExpiryOnResend) {
            entry.expires = clock + rules.ttl;
        }
        match &mut entry.code {
            CodeOf::Own { key, generation, .. } if keeps && rules.resend == Resend::New => {
                *generation = generation.wrapping_add(1);
                *key = self.ctx.keys.code.newest();
            }
            CodeOf::Own { .. } | CodeOf::Managed { .. } | CodeOf::Test if keeps => return,
            CodeOf::Own { .. } | CodeOf::Managed { .. } | CodeOf::Test | CodeOf::Decoy => {
                entry.code = carrier.fresh_code(&self.ctx, &self.who);
            }
        }
        if !lives_on {
            entry.issued = clock;
            entry.expires = clock + rules.ttl;
        }
    }

    /// True when a resend by this channel would leave the life of a real code as it is.
    fn keeps_life(&self) -> bool {
        let same = self.ctx.policy.code_for(self.who.purpose()).resend == Resend::Same;
        let (real, _) = carriers(&self.ctx, &self.who, self.channel);
        same || real
            .first()
            .is_some_and(|carrier| matches!(carrier.code, Carried::Managed { .. }))
    }

    pub(super) fn event(&self, attempt: &Attempt, now: Timestamp, kind: EventKind) -> Event {
        Event {
            destination: Some(self.who.destination.newest()),
            verification: Some(print_of(attempt.nonce)),
            purpose: Some(self.who.purpose()),
            channel: Some(self.channel),
            provider: Some(attempt.carrier.provider.clone()),
            rules: self.ctx.rules(),
            ..Event::new(now, self.ctx.service.clone(), kind)
        }
    }

    fn events(&self, attempt: &Attempt, now: Timestamp, kind: EventKind) -> Vec<Event> {
        let mut events = vec![self.event(attempt, now, kind)];
        if self
            .ctx
            .explanation
            .rules
            .iter()
            .any(|hit| &*hit.rule == "country_monitor")
        {
            events.push(self.event(attempt, now, EventKind::CountryMonitored));
        }
        events
    }

    fn repeated(self, nonce: [u8; 16], found: &Found, now: Timestamp) -> Step {
        let mut record = found.record.clone();
        self.write_down_ends(&mut record, found.clock);
        let Some(entry) = record.entry(&nonce) else {
            return self.ctx.refuse(contention());
        };
        let mut send = self;
        send.ctx.hit("repeat", 0, None, None);
        send.ctx.explanation.verification = Some(print_of(nonce));
        let seen = view(
            &send.ctx,
            &send.who,
            entry,
            &send.board,
            &send.noted,
            found.clock.max(now),
        );
        send.ctx.done(Answer::Repeated(Box::new(seen)))
    }
}

impl Intent {
    fn step(self, changeset: Changeset) -> Step {
        let not_after = self.send.ctx.not_after;
        Step::Store(StoreStep {
            changeset,
            not_after,
            then: Box::new(StoreThen::Intent(self)),
        })
    }

    pub(in crate::flow) fn resume(mut self, asked: Changeset, now: Timestamp, answer: StoreAnswer) -> Step {
        match answer {
            StoreAnswer::Applied(mut seen) => {
                self.send.board.take(std::mem::take(&mut seen.counters));
                self.send.place.take(&seen);
                self.send.go(self.attempt, now)
            }
            StoreAnswer::Refused(seen) => self.refused(seen, now),
            StoreAnswer::NotApplied(_) => self.send.ctx.fault(store_fault()),
            StoreAnswer::Unknown => {
                self.maybe_applied = true;
                // Asked again, the store tells: the delivery is there, or it is not and this makes it.
                if self.send.ctx.try_again() && !self.send.ctx.is_late(now) {
                    self.step(asked)
                } else {
                    self.send.ctx.fault(store_fault())
                }
            }
        }
    }

    fn refused(self, mut seen: Seen, now: Timestamp) -> Step {
        let Self {
            mut send,
            attempt,
            maybe_applied,
        } = self;
        let found = match send.look(&mut seen, now) {
            Ok(found) => found,
            Err(_) => return send.ctx.fault(store_fault()),
        };
        if maybe_applied
            && let Some(entry) = found.record.entry(&attempt.nonce)
            && let Some(delivery) = entry.delivery(&attempt.delivery)
        {
            // It was applied after all, and its answer was lost. What it was charged is not known any more.
            let dispatching = delivery.status() == crate::record::DeliveryStatus::Dispatching;
            let attempt = Attempt {
                record: found.record.clone(),
                counted: false,
                ..attempt
            };
            return if dispatching && !send.ctx.is_late(now) {
                send.go(attempt, now)
            } else {
                send.settle(attempt, super::Came::Unknown, now)
            };
        }
        if let Some(key) = &mut send.idempotency
            && let Some(claim) = key.found(&seen)
        {
            match claimed(claim, key, &found, now) {
                Claimed::Answer(nonce) => return send.repeated(nonce, &found, now),
                Claimed::Refuse(refusal) => return send.ctx.refuse(refusal),
                // Its send reached nobody and its flow is gone. The claim stays, so the next one stands for the key.
                Claimed::Free => {
                    let next = next_claim(&send.ctx, claim);
                    for own in key.claims.iter_mut().filter(|own| **own == claim.key) {
                        own.print = next;
                    }
                    return match send.ctx.try_again() && !send.ctx.is_late(now) {
                        true => send.begin_again(now),
                        false => send.ctx.refuse(contention()),
                    };
                }
            }
        }
        send.judged(found, now)
    }
}

/// What stands for an idempotency key after the claim of a send that reached nobody: always the same.
fn next_claim(ctx: &Context, claim: &Claim) -> Print {
    let dead = [claim.key.print.as_bytes().as_slice(), &claim.value].concat();
    ctx.keys
        .prints(PrintKind::IdempotencyKey, &ctx.service, &dead)
        .newest()
}

enum Claimed {
    Answer([u8; 16]),
    Refuse(Refusal),
    Free,
}

fn claimed(claim: &Claim, key: &IdempotencyKey, found: &Found, now: Timestamp) -> Claimed {
    let nonce: Option<[u8; 16]> = match key.own(claim) {
        Ok(own) => own.try_into().ok(),
        Err(refusal) => return Claimed::Refuse(refusal),
    };
    let Some((nonce, entry)) = nonce.and_then(|nonce| Some((nonce, found.record.entry(&nonce)?))) else {
        return Claimed::Free;
    };
    let running = entry.status() == Status::Pending
        && entry.deliveries.last().is_some_and(|last| {
            last.status() == crate::record::DeliveryStatus::Dispatching && now < last.not_after
        });
    if running {
        let text = "the first request with this idempotency key still runs; try again shortly";
        return Claimed::Refuse(Refusal::new(RefusalCode::InProgress, text));
    }
    Claimed::Answer(nonce)
}

impl Send {
    fn judged(mut self, found: Found, now: Timestamp) -> Step {
        match self.judge(&found) {
            Verdict::Repeat(nonce) => self.repeated(nonce, &found, now),
            Verdict::Refuse(refusal) => self.ctx.refuse(refusal),
            Verdict::Decoy => {
                self.carriers = vec![Carrier::decoy()];
                self.judged(found, now)
            }
            Verdict::AskHuman => self.ask_for_a_human(None, now),
            Verdict::Go(go) => {
                if self.ctx.try_again() && !self.ctx.is_late(now) {
                    self.intend(found, &go, now)
                } else {
                    self.ctx.refuse(contention())
                }
            }
        }
    }

    /// True when the message could go by this channel from what is left.
    pub(super) fn carries(&self, entry: &Entry) -> bool {
        !self.must_keep_code(entry) || self.carriers.iter().any(|carrier| carrier.can_carry(&entry.code))
    }

    pub(super) fn is_decoy(&self) -> bool {
        self.carriers.iter().all(|carrier| *carrier == Carrier::decoy())
    }
}
