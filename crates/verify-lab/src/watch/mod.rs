//! A watch over a run: what holds after every step of any number of flows, whatever became of the others.
//!
//! It believes nothing that the machine or the store says about itself. Of every limit it keeps the uses, of every
//! lockout the run, of every delivery whether it was dispatched, and counts again. What it finds begins with the number
//! of the promise, where there is one.

mod before;
mod counts;
mod course;
mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use verify_core::event::{Event, EventKind};
use verify_core::ids::{ApprovalId, DeliveryId, EventId};
use verify_core::keys::{KeyId, Keys, Print};
use verify_core::outcome::{Answer, Approval, CheckAnswer, Fault, Outcome, RedeemAnswer};
use verify_core::policy::{Max, PolicySet, Then};
use verify_core::port::{DispatchRequest, LONGEST_CAP, RejectionKind, Remember};
use verify_core::record::Record;
use verify_core::store::{
    Alert, Changeset, ClaimKey, ClaimKind, Lifetime, RecordKey, RecordKind, Row, StoreAnswer,
};
use verify_core::time::{SKEW, Timestamp};
use verify_core::token::ProofToken;
use verify_core::vocabulary::ServiceId;
use verify_testkit::ModelState;

use crate::digest::digest;
use crate::explore::World;
use before::Before;
use counts::{Key, Run, Uses};
pub use course::Course;

/// What does not hold: the text begins with the promise.
pub type Holds = Result<(), String>;

/// All flows of one run in one world.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// The longest effect that any policy of the run or a provider's word has.
    longest: Duration,
    /// For how long a limit that only alerts does so once, under any policy of the run.
    alerting: BTreeSet<(Arc<str>, Duration)>,
    latest: Timestamp,
    uses: BTreeMap<Key, Uses>,
    runs: BTreeMap<Key, Run>,
    deliveries: BTreeMap<DeliveryId, Named>,
    /// How many sends were charged.
    intents: usize,
    approved: BTreeSet<Print>,
    /// Approvals that are recorded.
    proofs: BTreeSet<ApprovalId>,
    /// Proofs that were spent, each with its idempotency key.
    redeemed: BTreeMap<ApprovalId, Option<String>>,
    /// A digest of every event, by its id.
    events: BTreeMap<EventId, u128>,
    /// Until when an alert is not raised again.
    alerted: BTreeMap<(ServiceId, ClaimKey), Timestamp>,
    /// With which key of the ring a record's own key was made.
    made_with: BTreeMap<(ServiceId, RecordKey), KeyId>,
}

#[derive(Debug, Clone)]
struct Named {
    provider: Arc<str>,
    dispatched: bool,
}

fn holds(holds: bool, what: impl FnOnce() -> String) -> Holds {
    if holds { Ok(()) } else { Err(what()) }
}

impl Watch {
    /// A watch over a world from now on. What its store holds by now is believed.
    pub fn over(world: &World) -> Self {
        let mut watch = Self {
            longest: RejectionKind::ALL
                .iter()
                .filter_map(|kind| remembered(*kind))
                .max()
                .unwrap_or_default(),
            ..Self::default()
        };
        watch.knows(world.policies());
        watch.latest = world.now;
        for ((service, key), kept) in world.store.counters().iter() {
            watch.believe_counter((service.clone(), *key), kept);
        }
        for ((service, key), row) in world.store.records().iter() {
            watch
                .made_with
                .insert((service.clone(), *key), row.under.fingerprint);
            if key.kind == RecordKind::Verifications
                && let Ok(record) = Record::decode(row)
            {
                watch.believe_record(&record);
            }
        }
        for ((service, key), claim) in world.store.claims().iter() {
            if key.kind == ClaimKind::Alert {
                watch.alerted.insert((service.clone(), *key), claim.expires_at);
            }
        }
        for event in world.store.events().values() {
            watch.events.insert(event.id, digest(event));
            let approved = event.verification.filter(|_| event.kind == EventKind::Approved);
            watch.approved.extend(approved);
            watch.intents += usize::from(event.kind == EventKind::SendIntended);
        }
        watch
    }

    /// These policies hold from now on.
    pub fn knows(&mut self, policies: &PolicySet) {
        for policy in policies.services.values().chain([&policies.default]) {
            let limits = policy.limits.iter().filter(|limit| limit.max != Max::Unlimited);
            // A stamp may be rounded up by a sixteenth.
            let effects = limits.map(|limit| limit.per + limit.per / 16);
            let longest = effects.chain([policy.lockout.forget_after]).max();
            self.longest = self.longest.max(longest.unwrap_or_default());
            let alerting = policy.limits.iter().filter(|limit| limit.then == Then::Alert);
            let alerting = alerting.map(|limit| (Arc::clone(&limit.name), limit.per));
            self.alerting.extend(alerting);
        }
    }

    /// A flow begins: whatever the clock shows later, its own time goes on from here.
    pub(crate) fn is_now(&mut self, now: Timestamp) {
        self.latest = self.latest.max(now);
    }

    /// The latest instant at which a flow began or anything was applied.
    pub fn latest(&self) -> Timestamp {
        self.latest
    }

    /// When nothing is left to happen: all but what an operator has to end is forgotten by itself.
    ///
    /// # Errors
    /// I-11.
    pub fn forgets(&self, store: &ModelState) -> Holds {
        let mut store = store.clone();
        store.purge(self.latest + self.longest + SKEW + SKEW);
        let transient = |row: &Row| !matches!(row.lifetime, Lifetime::Durable);
        let left = store.counters().len()
            + store.claims().len()
            + store.records().values().filter(|row| transient(row)).count();
        holds(left == 0, || format!("i11: {left} entries that never end"))
    }

    /// Has the store apply a flow's changeset, and looks at what it did.
    pub(crate) fn apply(
        &mut self,
        course: &mut Course,
        world: &mut World,
        changeset: &Changeset,
    ) -> (StoreAnswer, Holds) {
        let before = Before::of(&world.store, changeset);
        let answer = world.apply(changeset);
        let holds = match &answer {
            StoreAnswer::Applied(_) => self.applied(course, world, changeset, &before),
            StoreAnswer::Refused(_) | StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_) => {
                let same = Before::of(&world.store, changeset) == before;
                holds(same, || "i49: a refused changeset changed something".into())
            }
        };
        (answer, holds)
    }

    fn applied(
        &mut self,
        course: &mut Course,
        world: &World,
        changeset: &Changeset,
        before: &Before,
    ) -> Holds {
        self.is_now(changeset.at);
        self.counters(course, &world.store, changeset, before)?;
        self.tells(&world.store, changeset, before)?;
        self.records(course, world.keys(), changeset, before)
    }

    /// Events are stored with their changeset, each under an id of its own.
    fn tells(&mut self, store: &ModelState, changeset: &Changeset, before: &Before) -> Holds {
        let new = |alert: &&Alert| !before.claims.contains(&alert.once.key);
        let alerts: Vec<&Alert> = changeset.alerts.iter().filter(new).collect();
        let stored = store.events().len().saturating_sub(before.events);
        holds(stored == changeset.events.len() + alerts.len(), || {
            format!("{stored} events of a changeset with {}", changeset.events.len())
        })?;
        for event in &changeset.events {
            self.is_itself(event)?;
            self.intents += usize::from(event.kind == EventKind::SendIntended);
            if event.kind == EventKind::Approved {
                let first = event
                    .verification
                    .is_some_and(|print| self.approved.insert(print));
                holds(first, || "i02: approved twice".into())?;
            }
        }
        alerts
            .into_iter()
            .try_for_each(|alert| self.alerts(store, changeset, alert))
    }

    fn is_itself(&mut self, event: &Event) -> Holds {
        let first = *self.events.entry(event.id).or_insert_with(|| digest(event));
        holds(first == digest(event), || {
            format!("two events have one id: {}", event.kind.as_str())
        })
    }

    /// An alert is raised once within its limit's `per`.
    fn alerts(&mut self, store: &ModelState, changeset: &Changeset, alert: &Alert) -> Holds {
        self.is_itself(&alert.event)?;
        let key = (changeset.service.clone(), alert.once.key);
        let marker = store.claims().get(&key.0, &key.1).map(|marker| marker.expires_at);
        let mut spans = self
            .alerting
            .iter()
            .filter(|(name, _)| alert.event.rules.contains(name));
        let lives = spans.any(|(_, per)| marker == Some(alert.event.at + *per));
        holds(lives, || {
            "an alert's marker does not live as long as its limit".into()
        })?;
        let until = self.alerted.insert(key, marker.unwrap_or_default());
        holds(until.is_none_or(|until| until <= changeset.at), || {
            "an alert is raised twice".into()
        })
    }

    /// Before a provider is asked to send: everything was charged, and an applied changeset names the provider.
    pub(crate) fn dispatches(&mut self, course: &Course, request: &DispatchRequest) -> Holds {
        let (facts, charged) = (&course.facts, course.charged.len());
        facts.silent.map_or(Ok(()), |what| Err(what.to_owned()))?;
        holds(charged >= facts.least, || {
            format!("i48: {charged} limits of {} were charged", facts.least)
        })?;
        let named = self.deliveries.get_mut(&request.dispatch_id);
        let Some(named) = named.filter(|named| named.provider == request.provider) else {
            return Err("i48: no record names the provider that is called".into());
        };
        holds(!named.dispatched, || "i51: dispatched twice".into())?;
        named.dispatched = true;
        Ok(())
    }

    /// After a provider was asked to send.
    pub(crate) fn sent(&self, world: &World) -> Holds {
        holds(world.sent.len() <= self.intents, || {
            "i51: more messages than charged intents".into()
        })
    }

    fn was_recorded(&self, world: &World, approval: &Approval) -> Holds {
        let recorded = self.proofs.contains(&proof_id(world.keys(), &approval.proof)?);
        holds(recorded, || {
            "i25: an approval was told that is not recorded".into()
        })
    }

    /// When a flow is over, with this outcome.
    pub(crate) fn ended(&mut self, course: &Course, world: &World, outcome: &Outcome) -> Holds {
        match &outcome.answer {
            Ok(Answer::Check(CheckAnswer::Approved(approval))) => self.was_recorded(world, approval),
            Ok(Answer::Check(CheckAnswer::Unclaimed(unclaimed))) => {
                let claimed = unclaimed.clone().of(unclaimed.whose());
                self.was_recorded(world, &claimed.map_err(|it| format!("i25: {it}"))?)
            }
            Ok(Answer::Check(CheckAnswer::WrongCode(_))) => course.counted(),
            Ok(Answer::Redeem(RedeemAnswer::Redeemed(_))) => {
                let Some((proof, key)) = &course.facts.redeems else {
                    return Err("i54: redeemed, and not asked to".into());
                };
                let first = self.redeemed.insert(proof_id(world.keys(), proof)?, key.clone());
                let same = first.is_none_or(|first| first.is_some() && first == *key);
                holds(same, || "i54: redeemed twice".into())
            }
            Ok(
                Answer::Send(_)
                | Answer::Check(CheckAnswer::Refused(_))
                | Answer::Cancel(_)
                | Answer::Status(_)
                | Answer::Report(_)
                | Answer::Tick(_)
                | Answer::Redeem(RedeemAnswer::Refused(_))
                | Answer::Unlock(_)
                | Answer::Erase(_),
            ) => Ok(()),
            Err(Fault::Defect) => Err(format!("a defect of {}", course.facts.command)),
            Err(
                Fault::StoreUnavailable
                | Fault::StoreFull
                | Fault::StoreCorrupt
                | Fault::Misconfigured
                | Fault::ClocksDiffer
                | Fault::StoreCools { .. },
            ) => Ok(()),
        }
    }
}

/// For how long a provider's word is remembered; what ends with an operator has no such time.
fn remembered(kind: RejectionKind) -> Option<Duration> {
    match kind.remember() {
        Remember::Destination(span) | Remember::Prefix(span) => Some(span),
        Remember::Cap => Some(LONGEST_CAP),
        Remember::Nothing | Remember::DestinationForGood => None,
    }
}

/// A proof that is told again is sealed again: what tells it from others is inside.
fn proof_id(keys: &Keys, proof: &str) -> Result<ApprovalId, String> {
    let opened = keys.open_token::<ProofToken>(&ServiceId::default(), Timestamp::ZERO, proof);
    opened
        .map(|token| token.id)
        .map_err(|_| "a proof that does not open".into())
}
