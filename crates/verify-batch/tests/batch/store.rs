//! The rest of a store over lanes in memory, so that the suites can be run on them.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use verify_batch::{Lanes, Limits};
use verify_core::event::Event;
use verify_core::ids::HolderId;
use verify_core::store::{
    Changeset, EventSeq, Lifetime, Origin, RecordKey, Row, Store, StoreAnswer, StoreFault, Work,
    WrittenUnder, kept, put_off_for,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_testkit::ModelStore;

use crate::memory::{Kept, Memory};

pub(crate) struct OverMemory {
    lanes: Lanes<Memory>,
    /// Lends work, and knows what time it is; nothing is kept there.
    model: ModelStore,
}

impl OverMemory {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            lanes: Lanes::new(Memory::default(), limits),
            model: ModelStore::new(),
        }
    }

    fn look<A>(&self, look: impl FnOnce(&mut Kept) -> A) -> A {
        self.lanes.backend().change(look)
    }

    fn durable_places(&self) -> BTreeMap<(ServiceId, RecordKey), WrittenUnder> {
        let moves = |row: &Row| row.lifetime == Lifetime::Durable && row.under.seal.is_some();
        self.look(|kept| {
            let rows = kept.records.iter().map(|(place, bytes)| (place, row(bytes)));
            let durable = rows.filter(|(_, row)| moves(row));
            durable.map(|(place, row)| (place.clone(), row.under)).collect()
        })
    }
}

fn row(bytes: &[u8]) -> Row {
    kept::read_row(bytes).unwrap()
}

/// What is due, with whose it is.
fn due(kept: &Kept, now: Timestamp) -> Vec<(Timestamp, ServiceId, RecordKey)> {
    let mut due = Vec::new();
    for ((service, key), bytes) in &kept.records {
        let row = row(bytes);
        let put_off = kept
            .put_off
            .get(&(service.clone(), *key))
            .map(|(until, _)| *until);
        let at = put_off
            .or(row.due)
            .filter(|at| *at <= now && !row.is_outlived(now));
        due.extend(at.map(|at| (at, service.clone(), *key)));
    }
    due.sort();
    due
}

#[async_trait]
impl Store for OverMemory {
    async fn apply(&self, changeset: &Changeset, within: Duration) -> StoreAnswer {
        self.lanes.apply(changeset, within).await
    }

    async fn services<'a>(
        &self,
        now: Timestamp,
        after: Option<&'a ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault> {
        self.model.services(now, None, 0).await?;
        let mut services: Vec<ServiceId> = self.look(|kept| {
            let due = due(kept, now).into_iter().map(|(_, service, _)| service);
            due.chain(kept.events.keys().map(|(service, _)| service.clone()))
                .collect()
        });
        services.sort();
        services.dedup();
        services.retain(|service| after.is_none_or(|after| service > after));
        services.truncate(most);
        Ok(services)
    }

    async fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault> {
        let due = self.look(|kept| due(kept, now)).into_iter();
        let of_it = due.filter(|(_, of, _)| of == service);
        Ok(of_it.take(most).map(|(_, _, key)| key).collect())
    }

    async fn put_off(
        &self,
        service: &ServiceId,
        record: &RecordKey,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        self.look(|kept| {
            if due(kept, now)
                .iter()
                .any(|(_, of, key)| (of, key) == (service, record))
            {
                let key = (service.clone(), *record);
                let times = kept.put_off.get(&key).map_or(0, |(_, times)| *times);
                kept.put_off.insert(key, (now + put_off_for(times), times + 1));
            }
        });
        Ok(())
    }

    async fn outbox(&self, service: &ServiceId, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        self.look(|kept| {
            let of_it = kept.events.iter().filter(|((of, _), _)| of == service);
            let read = |((_, seq), bytes): (&(ServiceId, u64), &Vec<u8>)| {
                Ok((EventSeq(*seq), kept::read_event(bytes)?))
            };
            of_it.take(most).map(read).collect()
        })
    }

    async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault> {
        self.look(|kept| {
            let lane = kept.lanes.entry(service.clone()).or_default();
            kept.events.retain(|(of, seq), bytes| {
                let goes = of == service && *seq <= through.0;
                if goes {
                    lane.events -= 1;
                    lane.bytes -= bytes.len() as u64;
                }
                !goes
            });
        });
        Ok(())
    }

    async fn lease(
        &self,
        work: Work,
        service: &ServiceId,
        holder: HolderId,
        span: Duration,
    ) -> Result<bool, StoreFault> {
        self.model.lease(work, service, holder, span).await
    }

    async fn drop_outlived(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<usize, StoreFault> {
        Ok(self.look(|kept| {
            let mut left = most;
            let mut stays = |of: &ServiceId, is_outlived: bool| {
                let goes = is_outlived && left > 0 && of == service;
                left -= usize::from(goes);
                !goes
            };
            kept.counters.retain(|(of, _), (_, ends)| stays(of, *ends <= now));
            kept.records
                .retain(|(of, _), bytes| stays(of, row(bytes).is_outlived(now)));
            kept.claims.retain(|(of, _), (_, ends)| stays(of, *ends <= now));
            most - left
        }))
    }

    async fn durable(&self) -> Result<Vec<(WrittenUnder, u64)>, StoreFault> {
        let mut counted = BTreeMap::new();
        for (_, under) in self.durable_places() {
            *counted.entry(under).or_default() += 1;
        }
        Ok(counted.into_iter().collect())
    }

    async fn durable_under<'a>(
        &self,
        under: WrittenUnder,
        after: Option<&'a (ServiceId, RecordKey)>,
        most: usize,
    ) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        let places = self.durable_places().into_iter();
        let under =
            places.filter(|(place, written)| *written == under && after.is_none_or(|after| place > after));
        Ok(under.map(|(place, _)| place).take(most).collect())
    }

    async fn health(&self) -> Result<Origin, StoreFault> {
        self.model.health().await
    }
}
