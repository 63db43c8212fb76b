//! Durable records are written again under the newest keys, so that the older ones can leave their rings.
//!
//! A walk goes through what is under older keys, a part of it in each sweep. One begins at the first sweep and when the keys
//! change, and again each hour: a process whose rings are not turned yet writes under the older ones.

use std::collections::BTreeMap;
use std::time::Duration;

use verify_core::keys::Keys;
use verify_core::store::{RecordKey, StoreFault, Work, WrittenUnder};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::engine::Engine;
use crate::telemetry;

/// Records that are named in one trip to the store.
const PAGE: usize = 256;
/// Pages in a sweep: what is due must not wait for long.
const PAGES: usize = 4;
/// From the end of a walk to the next one.
const AGAIN: Duration = Duration::from_secs(3_600);
/// The same where something could not be moved: somebody was at it, or it is lent to another engine.
const SOON: Duration = Duration::from_secs(60);

/// A walk, and after its end when the next one begins.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// The keys that it moves to.
    newest: Option<WrittenUnder>,
    /// What it still has to go through, the last one first.
    left: Vec<WrittenUnder>,
    after: Option<(ServiceId, RecordKey)>,
    moved: usize,
    stayed: usize,
    ended: Option<Timestamp>,
}

impl Walk {
    fn is_wanted(&self, newest: WrittenUnder, now: Timestamp) -> bool {
        let wait = if self.stayed > 0 { SOON } else { AGAIN };
        // By a clock that was set back it is not waited for longer.
        let is_over = self
            .ended
            .is_some_and(|at| now.since(at).max(at.since(now)) >= wait);
        self.newest != Some(newest) || is_over
    }

    /// Nothing is left. What was told once is not told again.
    fn end(&mut self, now: Timestamp) {
        if self.ended.is_some() {
            return;
        }
        let &mut Self { moved, stayed, .. } = self;
        if moved > 0 || stayed > 0 {
            tracing::info!(target: telemetry::TARGET_BACKGROUND, moved, stayed, "durable records were written again under the newest keys");
        }
        self.ended = Some(now);
    }
}

impl Engine {
    /// Moves some of what is under older keys; how many.
    pub(crate) async fn rekey_some(&self) -> Result<usize, StoreFault> {
        let outside = &self.inner.outside;
        // One sweep at a time is enough.
        let Ok(mut walk) = self.inner.rekeying.try_lock() else {
            return Ok(0);
        };
        let keys = self.inner.keys.keys();
        let newest = WrittenUnder::newest(&keys);
        if walk.is_wanted(newest, outside.now()) {
            let durable = outside.ask_store("durable", outside.store.durable()).await?;
            *walk = Walk {
                newest: Some(newest),
                left: older(&keys, newest, durable),
                ..Walk::default()
            };
        }
        let mut moved = 0;
        for _ in 0..PAGES {
            let Some(under) = walk.left.last().copied() else {
                walk.end(outside.now());
                break;
            };
            let page = outside.store.durable_under(under, walk.after.as_ref(), PAGE);
            let page = outside.ask_store("durable_under", page).await?;
            walk.after = page.last().cloned();
            if walk.after.is_none() {
                walk.left.pop();
                continue;
            }
            let found = page.len();
            let done = self.move_all(page).await;
            walk.moved += done;
            walk.stayed += found - done;
            moved += done;
        }
        Ok(moved)
    }

    /// How many of them were moved. A service's that are another engine's turn, or cannot be had, stay until the next walk.
    async fn move_all(&self, page: Vec<(ServiceId, RecordKey)>) -> usize {
        let mut by_service = BTreeMap::<_, Vec<_>>::new();
        for (service, record) in page {
            by_service.entry(service).or_default().push(record);
        }
        let mut moved = 0;
        for (service, records) in by_service {
            if self.is_lent(Work::Sweep, &service).await == Ok(true) {
                let found = records.len();
                moved += found - self.tick_all(&service, records).await.len();
            }
        }
        moved
    }
}

/// What has to be moved, and can be.
fn older(keys: &Keys, newest: WrittenUnder, durable: Vec<(WrittenUnder, u64)>) -> Vec<WrittenUnder> {
    let (there, lost): (Vec<_>, Vec<_>) = durable.into_iter().partition(|(under, _)| under.is_in(keys));
    for (under, records) in lost {
        tracing::warn!(
            target: telemetry::TARGET_BACKGROUND, records, %under,
            "durable records are under keys that the rings do not have: put these back"
        );
    }
    let older = there.into_iter().map(|(under, _)| under);
    older.filter(|under| *under != newest).collect()
}
