//! The store itself.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use verify_core::event::Event;
use verify_core::store::{Changeset, EventSeq, RecordKey, Store, StoreAnswer, StoreFault, Write, evaluate};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::capacity::{Cap, Capacity, ShardCaps, Usage};
use crate::held::{Held, Placement};
use crate::outbox::Outbox;
use crate::shard::Shard;

/// A store in memory, for one process.
///
/// - *Atomic*: a changeset holds the locks of all shards that it touches while it is decided and written.
/// - *Bounded* by its [`Capacity`]. At a cap what is new is answered [`StoreFault::Full`]; what is there can be
///   changed and removed, and [`Room::Known`](verify_core::store::Room::Known) has room of its own. The outbox is
///   bounded too: an event is stored with its change or not at all, so when nobody drains it, changesets with
///   events are answered `Full`. A host without an event sink turns it off: [`MemStore::without_outbox`].
/// - *Forgetful, in time*: entries past their expiry are absent at once, and leave memory a few at a time when
///   others come and with [`Store::due`], judged by the time that comes with these. There is no thread.
///
/// It answers at once and never [`StoreAnswer::Unknown`].
pub struct MemStore {
    shards: Box<[Mutex<Shard>]>,
    placement: Placement,
    caps: ShardCaps,
    /// Locked last. `None`: nobody listens.
    outbox: Option<Mutex<Outbox>>,
    versions: AtomicU64,
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
            caps: capacity.of_one_shard(),
            outbox: Some(Mutex::new(Outbox::new(events))),
            versions: AtomicU64::new(0),
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
        let mut held = Held::lock(&self.placement, &self.shards, changeset);
        let decided = evaluate(changeset, &held, self.version_for(changeset));
        if !decided.applied {
            return StoreAnswer::Refused(decided.seen);
        }
        if !held.make_room(&self.caps, changeset.room, &decided) {
            return StoreAnswer::NotApplied(StoreFault::Full);
        }
        // Sequence numbers are given while the shards are held, so that the outbox has the order of the changes.
        if let Some(outbox) = self.outbox.as_ref().filter(|_| !changeset.events.is_empty()) {
            let mut outbox = outbox.lock();
            if !outbox.has_room(changeset.room, changeset.events.len()) {
                return StoreAnswer::NotApplied(StoreFault::Full);
            }
            outbox.append(&changeset.events);
        }
        StoreAnswer::Applied(held.write(decided))
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

    /// The bytes of everything that it holds, outlived or not, to search for what must not be there. Not a format.
    ///
    /// # Errors
    /// [`StoreFault::Corrupt`] when something cannot be written; better than a dump that lacks it.
    pub fn dump(&self) -> Result<Vec<u8>, StoreFault> {
        self.dump_all().map_err(|_| StoreFault::Corrupt)
    }

    fn dump_all(&self) -> postcard::Result<Vec<u8>> {
        let mut out = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let name = |number| shard.services.name(number);
            for entry in shard.counters.iter() {
                let (state, ends) = (entry.value.state(), entry.value.expires_at());
                out = postcard::to_extend(&(name(entry.service), entry.key, state, ends), out)?;
            }
            for entry in shard.records.iter() {
                out = postcard::to_extend(&(name(entry.service), entry.key, entry.value.row()), out)?;
            }
            for entry in shard.claims.iter() {
                let (value, ends) = (&entry.value.value, entry.value.expires_at);
                out = postcard::to_extend(&(name(entry.service), entry.key, value, ends), out)?;
            }
        }
        for (_, event) in self
            .outbox
            .as_ref()
            .map_or_else(Vec::new, |outbox| outbox.lock().oldest(usize::MAX))
        {
            out = postcard::to_extend(&event, out)?;
        }
        Ok(out)
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

#[async_trait]
impl Store for MemStore {
    async fn apply(&self, changeset: &Changeset) -> StoreAnswer {
        self.apply_now(changeset)
    }

    async fn due(&self, now: Timestamp, most: usize) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        let mut due: Vec<_> = self
            .shards
            .iter()
            .flat_map(|shard| shard.lock().due(now, most))
            .collect();
        due.sort_unstable();
        due.truncate(most);
        Ok(due.into_iter().map(|(_, service, key)| (service, key)).collect())
    }

    async fn outbox(&self, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        Ok(self
            .outbox
            .as_ref()
            .map_or_else(Vec::new, |outbox| outbox.lock().oldest(most)))
    }

    async fn acknowledge(&self, through: EventSeq) -> Result<(), StoreFault> {
        if let Some(outbox) = &self.outbox {
            outbox.lock().acknowledge(through);
        }
        Ok(())
    }

    async fn health(&self) -> Result<(), StoreFault> {
        Ok(())
    }
}
