//! The store itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use verify_core::event::Event;
use verify_core::ids::HolderId;
use verify_core::store::{
    Changeset, Epoch, EventSeq, Origin, RecordKey, Store, StoreAnswer, StoreFault, Work, Write, WrittenUnder,
    evaluate, kept,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::capacity::{Cap, Capacity, ShardCaps, Usage};
use crate::expiring_map::Hashed;
use crate::held::{Held, Placement};
use crate::outbox::Outbox;
use crate::shard::{SWEPT_BY_A_LOOK, Shard};

/// A store in memory, for one process.
///
/// - *Atomic*: a changeset holds the locks of all shards that it touches while it is decided and written.
/// - *Bounded* by its [`Capacity`]. At a cap what is new is answered [`StoreFault::Full`]; what is there can be
///   changed and removed, and [`Room::Known`](verify_core::store::Room::Known) has room of its own. The outbox is
///   bounded too: an event is stored with its change or not at all, so when nobody drains it, changesets with
///   events are answered `Full`. A host without an event sink turns it off: [`MemStore::without_outbox`].
/// - *Forgetful, in time*: entries past their expiry are absent at once, and leave memory a few at a time when
///   others come and with [`Store::services`], judged by the time that comes with these. There is no thread.
///
/// - *Without a clock*: its own time, by which it lends work, is the latest that it was told when somebody asked what
///   there is to do.
///
/// It answers at once and never [`StoreAnswer::Unknown`].
pub struct MemStore {
    shards: Box<[Mutex<Shard>]>,
    placement: Placement,
    capacity: Capacity,
    caps: ShardCaps,
    /// Locked last. `None`: nobody listens.
    outbox: Option<Mutex<Outbox>>,
    versions: AtomicU64,
    epoch: Origin,
    /// In milliseconds.
    latest: AtomicU64,
    /// Who was lent which work, and until when.
    leases: Mutex<BTreeMap<(Work, ServiceId), (HolderId, Timestamp)>>,
}

impl MemStore {
    /// An empty store with the default capacity.
    pub fn new() -> Self {
        Self::with_capacity(Capacity::default())
    }

    /// An empty store that holds at most this. Nothing is allocated ahead.
    pub fn with_capacity(capacity: Capacity) -> Self {
        let shards = capacity.shards();
        let placement = Placement::over(shards);
        let events = Cap::new(capacity.events, capacity.reserved_for_known_percent);
        Self {
            shards: (0..shards)
                .map(|_| Mutex::new(Shard::new(placement.hasher())))
                .collect(),
            placement,
            capacity,
            caps: capacity.of_one_shard(),
            outbox: Some(Mutex::new(Outbox::new(events))),
            versions: AtomicU64::new(0),
            epoch: Origin {
                epoch: new_epoch(),
                accepted: true,
                ..Origin::default()
            },
            latest: AtomicU64::new(0),
            leases: Mutex::default(),
        }
    }

    /// The same without an outbox: events are forgotten as they come, and the outbox is always empty.
    #[must_use]
    pub fn without_outbox(mut self) -> Self {
        self.outbox = None;
        self
    }

    /// [`Store::apply`] without a runtime. Waits for other changesets that touch the same shards, and for nothing
    /// else.
    pub fn apply_now(&self, changeset: &Changeset) -> StoreAnswer {
        let answer = self.decide(changeset);
        let is_full = matches!(answer, StoreAnswer::NotApplied(StoreFault::Full(_)));
        if !is_full || changeset.alerts.is_empty() {
            return answer;
        }
        // An alert refuses nothing: where there is no room for it, it is left out.
        self.decide(&Changeset {
            alerts: Vec::new(),
            ..changeset.clone()
        })
    }

    fn decide(&self, changeset: &Changeset) -> StoreAnswer {
        let mut held = Held::lock(&self.placement, &self.shards, changeset, self.epoch);
        let decided = evaluate(changeset, &held, self.version_for(changeset));
        if !decided.applied {
            return StoreAnswer::Refused(decided.seen);
        }
        if !held.make_room(&self.caps, changeset.room, &decided) {
            return StoreAnswer::NotApplied(StoreFault::full("no room for another entry"));
        }
        // Sequence numbers are given while the shards are held, so that the outbox has the order of the changes.
        let more = changeset.events.len() + decided.alerts.len();
        if let Some(outbox) = self.outbox.as_ref().filter(|_| more > 0) {
            let mut outbox = outbox.lock();
            if !outbox.has_room(changeset.room, more) {
                return StoreAnswer::NotApplied(StoreFault::full(
                    "no room for another event: nobody drains the outbox",
                ));
            }
            outbox.append(&changeset.service, changeset.events.iter().chain(&decided.alerts));
        }
        StoreAnswer::Applied(held.write(decided))
    }

    /// What it holds at most.
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// How full it is. Counted shard by shard while others go on.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage {
            events: self.outbox.as_ref().map_or(0, |outbox| outbox.lock().len()),
            ..Usage::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            usage.counters += shard.counters.len();
            usage.records += shard.records.len();
            usage.claims += shard.claims.len();
        }
        usage
    }

    /// Services with events that nobody acknowledged, how many, and when the first of them came to be. All share
    /// [`Capacity::events`].
    pub fn waiting_events(&self) -> Vec<(ServiceId, usize, Timestamp)> {
        let outbox = self.outbox.as_ref().map(Mutex::lock);
        let waiting = outbox.iter().flat_map(|outbox| outbox.waiting());
        waiting
            .map(|(service, events, oldest)| (service.clone(), events, oldest))
            .collect()
    }

    /// The bytes of everything that it holds, outlived or not, to search for what must not be there. Not a format.
    pub fn dump(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let mut put = |service, key: &[u8], value: &[u8]| {
                out.extend(
                    shard
                        .services
                        .name(service)
                        .into_iter()
                        .flat_map(|name| name.as_str().bytes()),
                );
                out.extend_from_slice(key);
                out.extend_from_slice(value);
            };
            for entry in shard.counters.iter() {
                let bytes = kept::counter(&entry.value.state(), entry.value.expires_at());
                put(entry.service, &entry.key.to_bytes(), &bytes);
            }
            for entry in shard.records.iter() {
                put(
                    entry.service,
                    &entry.key.to_bytes(),
                    &kept::row(&entry.value.row()),
                );
            }
            for entry in shard.claims.iter() {
                put(entry.service, &entry.key.to_bytes(), &entry.value.value);
            }
        }
        if let Some(outbox) = &self.outbox {
            let outbox = outbox.lock();
            let events = outbox
                .services()
                .flat_map(|service| outbox.oldest(service, usize::MAX));
            out.extend(events.flat_map(|(_, event)| kept::event(&event)));
        }
        out
    }

    /// A number that no record had before. Only a changeset that puts one uses it up.
    fn version_for(&self, changeset: &Changeset) -> u64 {
        let puts = changeset
            .records
            .iter()
            .any(|change| matches!(change.write, Write::Put(_)));
        if puts {
            self.versions.fetch_add(1, Ordering::Relaxed) + 1
        } else {
            0
        }
    }
}

impl Default for MemStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemStore")
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

/// A random name, from what makes its hashes unpredictable.
fn new_epoch() -> Epoch {
    let random = RandomState::default();
    let mut bytes = [0; 16];
    let halves = [random.hash_one(1), random.hash_one(2)];
    for (slot, byte) in bytes
        .iter_mut()
        .zip(halves.iter().flat_map(|half| half.to_be_bytes()))
    {
        *slot = byte;
    }
    Epoch(bytes)
}

#[async_trait]
impl Store for MemStore {
    async fn apply(&self, changeset: &Changeset, _within: Duration) -> StoreAnswer {
        self.apply_now(changeset)
    }

    async fn services<'a>(
        &self,
        now: Timestamp,
        after: Option<&'a ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault> {
        self.latest.fetch_max(now.as_millis(), Ordering::Relaxed);
        let mut services = BTreeSet::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.forget(now, SWEPT_BY_A_LOOK);
            for service in shard.services_with_due(now) {
                if !services.contains(service) {
                    services.insert(service.clone());
                }
            }
        }
        if let Some(outbox) = &self.outbox {
            services.extend(outbox.lock().services().cloned());
        }
        let behind = services
            .into_iter()
            .filter(|service| after.is_none_or(|after| service > after));
        Ok(behind.take(most).collect())
    }

    async fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault> {
        let due = self
            .shards
            .iter()
            .flat_map(|shard| shard.lock().due(service, now, most));
        let mut due: Vec<_> = due.collect();
        due.sort_unstable();
        due.truncate(most);
        Ok(due.into_iter().map(|(_, key)| key).collect())
    }

    async fn put_off(
        &self,
        service: &ServiceId,
        record: &RecordKey,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        let hash = self.placement.hasher().hash_one(record);
        if let Some(shard) = self.shards.get(self.placement.of_hash(hash)) {
            let mut shard = shard.lock();
            if let Some(service) = shard.services.number(service) {
                shard.put_off(&Hashed::new(service, *record, hash), now);
            }
        }
        Ok(())
    }

    async fn outbox(&self, service: &ServiceId, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        let outbox = self.outbox.as_ref();
        Ok(outbox.map_or_else(Vec::new, |outbox| outbox.lock().oldest(service, most)))
    }

    async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault> {
        if let Some(outbox) = &self.outbox {
            outbox.lock().acknowledge(service, through);
        }
        Ok(())
    }

    async fn lease(
        &self,
        work: Work,
        service: &ServiceId,
        holder: HolderId,
        span: Duration,
    ) -> Result<bool, StoreFault> {
        let now = Timestamp::from_millis(self.latest.load(Ordering::Relaxed));
        let mut leases = self.leases.lock();
        leases.retain(|_, (_, until)| *until > now);
        let lease = leases.entry((work, service.clone())).or_insert((holder, now));
        let lent = lease.0 == holder;
        if lent {
            lease.1 = now + span;
        }
        Ok(lent)
    }

    async fn drop_outlived(
        &self,
        _service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<usize, StoreFault> {
        let mut left = most;
        for shard in &self.shards {
            // Each kind is looked at: three entries at most go for one.
            left = left.saturating_sub(shard.lock().forget(now, left / 3));
        }
        Ok(most - left)
    }

    async fn durable(&self) -> Result<Vec<(WrittenUnder, u64)>, StoreFault> {
        let mut counted = BTreeMap::new();
        for shard in &self.shards {
            for (_, under) in shard.lock().durable() {
                *counted.entry(under).or_default() += 1;
            }
        }
        Ok(counted.into_iter().collect())
    }

    async fn durable_under<'a>(
        &self,
        under: WrittenUnder,
        after: Option<&'a (ServiceId, RecordKey)>,
        most: usize,
    ) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        let after = after.map(|(service, key)| (service, *key));
        let mut places = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let under = shard.durable().filter(|(_, written)| *written == under);
            let behind = under.filter(|(place, _)| after.is_none_or(|after| *place > after));
            places.extend(behind.map(|((service, key), _)| (service.clone(), key)));
        }
        places.sort_unstable();
        places.truncate(most);
        Ok(places)
    }

    async fn health(&self) -> Result<Origin, StoreFault> {
        Ok(self.epoch)
    }
}
