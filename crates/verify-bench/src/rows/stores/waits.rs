//! Who waits while others flood a service: those of another one, and those whom it knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use verify_core::store::{Room, Store, StoreAnswer};
use verify_core::vocabulary::ServiceId;

use super::CALLERS;
use super::work::{Kind, changeset, service};
use crate::measure::{BenchError, Figure, Measured};
use crate::report::{Row, Target};
use crate::scene::BEGIN;

/// Numbers that no other row has.
static NUMBERS: AtomicU64 = AtomicU64::new(1 << 48);

/// The rows: each of these alone, and then while strangers ask for as much as they can.
pub(super) fn waits(
    name: &str,
    store: &Arc<dyn Store>,
    samples: usize,
    runtime: &Runtime,
) -> Measured<Vec<Row>> {
    let (flooded, quiet) = (service(100), service(101));
    runtime.block_on(async {
        let alone = p99(&**store, &quiet, Room::Stranger, samples).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let flood = flood(store, &flooded, &stop);
        let of_another = p99(&**store, &quiet, Room::Stranger, samples).await;
        let known = p99(&**store, &flooded, Room::Known, samples).await;
        stop.store(true, Ordering::Relaxed);
        let (of_another, known) = (of_another?, known?);
        flood.join_all().await;
        let row = |whom: &str, time: Duration| Row {
            work: format!(
                "{name}: slowest hundredth of the sends of {whom} during a flood of {CALLERS} callers"
            ),
            figure: Figure::of(vec![time.as_secs_f64() / alone.as_secs_f64()]),
            unit: "× alone",
            target: Target::Most(3.0),
            made_of: format!(
                "{:.2} ms against {:.2} ms, one after the other",
                time.as_secs_f64() * 1e3,
                alone.as_secs_f64() * 1e3
            ),
        };
        Ok(vec![
            row("another service", of_another),
            row("a known caller of that service", known),
        ])
    })
}

/// Strangers who ask for one after the other until they are stopped.
fn flood(store: &Arc<dyn Store>, service: &ServiceId, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        let (store, service, stop) = (Arc::clone(store), service.clone(), Arc::clone(stop));
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                ask(&*store, &service, Room::Stranger).await;
            }
        });
    }
    tasks
}

/// Asks for a send; whether it was applied, and how long that took.
async fn ask(store: &dyn Store, service: &ServiceId, room: Room) -> (bool, Duration) {
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let mut changeset = changeset(Kind::Send, number, service.clone(), BEGIN);
    changeset.room = room;
    let began = Instant::now();
    let answer = store.apply(&changeset, Duration::from_secs(30)).await;
    (matches!(answer, StoreAnswer::Applied(_)), began.elapsed())
}

async fn p99(store: &dyn Store, service: &ServiceId, room: Room, samples: usize) -> Measured<Duration> {
    let mut times = Vec::with_capacity(samples);
    for _ in 0..samples {
        let (applied, time) = ask(store, service, room).await;
        if !applied {
            return Err(BenchError::OtherOutcome("changeset during a flood"));
        }
        times.push(time);
    }
    times.sort_unstable();
    let at = (samples * 99 / 100).min(samples.saturating_sub(1));
    Ok(times.get(at).copied().unwrap_or_default())
}
