//! As many changesets as are asked for on one service, of which each keeps its eight rows for an eighth of them: from then on as
//! many rows go as come, and as many are live as there are changesets. The same while somebody reads all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use verify_core::store::{Store, StoreAnswer};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use super::CALLERS;
use super::places::Place;
use super::work::{KEPT, Kind, ROWS, changeset, service};
use crate::measure::{BenchError, Figure, Measured};
use crate::report::{Row, Target};

/// Each changeset's rows are kept for one of so many parts of the whole time.
const PARTS: u32 = 8;
/// With fewer changesets what a store keeps ready weighs more than what it has.
const MEANS_SOMETHING: u64 = 100_000;
/// What an engine's background does each second: hands over events, so many at a time, and drops what is outlived.
const EVERY: Duration = Duration::from_secs(1);
const EVENTS: usize = 256;
const DROPPED: usize = 1_024;
const TURNS: usize = 64;

/// The rows, and the store as it is then: what is left is as long as that is open.
pub(super) fn lasting(
    name: &str,
    place: &dyn Place,
    changesets: u64,
    runtime: &Runtime,
) -> Measured<(Vec<Row>, Arc<dyn Store>)> {
    let target = |most| match changesets >= MEANS_SOMETHING {
        true => Target::Most(most),
        false => Target::None,
    };
    let row = |tenths: &[f64], work: String, most| {
        let per_second =
            |tenth: usize| changesets as f64 / 10.0 / tenths.get(tenth).copied().unwrap_or(f64::NAN);
        Row {
            work,
            figure: Figure::of(vec![per_second(0) / per_second(9)]),
            unit: "× the first tenth's",
            target: target(most),
            made_of: format!(
                "{:.0} a second in the first tenth, {:.0} in the second, in which rows begin to go, {:.0} in the last; {} rows are live",
                per_second(0),
                per_second(1),
                per_second(9),
                live(changesets)
            ),
        }
    };
    let work = format!("{name}: time of the last tenth of {changesets} sends on one service");
    let reader = place.reader();
    let store = place.open(runtime)?;
    let read = run(&store, changesets, Some(place), runtime)?;
    drop(store);
    let store = place.open(runtime)?;
    let alone = run(&store, changesets, None, runtime)?;
    let (bytes, copy) = (place.bytes()?, place.bytes_of_a_copy()?);
    let rows = vec![
        row(&alone, work.clone(), 1.2),
        row(&read, format!("{work}, while {reader} reads all the time"), 1.5),
        Row {
            work: format!("{name}: bytes after that"),
            figure: Figure::of(vec![bytes as f64 / copy as f64]),
            unit: "× those of a copy of what is there",
            target: target(1.5),
            made_of: format!("{} MB against {} MB", bytes >> 20, copy >> 20),
        },
    ];
    Ok((rows, store))
}

/// How many rows are live at the end of so many.
pub(super) fn live(changesets: u64) -> u64 {
    changesets / u64::from(PARTS) * ROWS
}

/// The seconds that each tenth took.
fn run(
    store: &Arc<dyn Store>,
    changesets: u64,
    reader: Option<&dyn Place>,
    runtime: &Runtime,
) -> Measured<Vec<f64>> {
    let clock = Clock::of(changesets);
    let next = Arc::new(AtomicU64::new(0));
    let keeping = runtime.spawn(keep(Arc::clone(store), Arc::clone(&next), clock));
    let stop = AtomicBool::new(false);
    let (tenths, read) = thread::scope(|scope| {
        let reading = reader.map(|place| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    place.read()?;
                }
                Ok(())
            })
        });
        let tenths: Measured<Vec<f64>> = (1..=10)
            .map(|tenth| tenth_of(store, &next, changesets * tenth / 10, clock, runtime))
            .collect();
        stop.store(true, Ordering::Relaxed);
        let read: Option<std::io::Result<()>> = reading.map(|reading| match reading.join() {
            Ok(read) => read,
            Err(_) => Err(std::io::Error::other("the reader panicked")),
        });
        (tenths, read)
    });
    keeping.abort();
    read.unwrap_or(Ok(()))
        .map_err(|error| BenchError::setup(&error))?;
    tenths
}

/// When each changeset is asked for, in the hours before now: all that it writes is over by the store's own clock.
#[derive(Clone, Copy)]
struct Clock {
    began: Timestamp,
    changesets: u64,
}

impl Clock {
    fn of(changesets: u64) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
        Self {
            began: Timestamp::from_millis(now) - (PARTS + 2) * KEPT,
            changesets,
        }
    }

    fn at(self, number: u64) -> Timestamp {
        let all = u64::try_from((PARTS * KEPT).as_millis()).unwrap_or(0);
        self.began + Duration::from_millis(all * number / self.changesets)
    }
}

fn tenth_of(
    store: &Arc<dyn Store>,
    next: &Arc<AtomicU64>,
    through: u64,
    clock: Clock,
    runtime: &Runtime,
) -> Measured<f64> {
    let began = Instant::now();
    let applied = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..CALLERS {
            let (store, next) = (Arc::clone(store), Arc::clone(next));
            tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= through {
                        return true;
                    }
                    let changeset = changeset(Kind::Send, number, service(0), clock.at(number));
                    let answer = store.apply(&changeset, Duration::from_secs(30)).await;
                    if !matches!(answer, StoreAnswer::Applied(_)) {
                        eprintln!("{number}: {answer:?}");
                        return false;
                    }
                }
            });
        }
        tasks.join_all().await.into_iter().all(|applied| applied)
    });
    next.store(through, Ordering::Relaxed);
    match applied {
        true => Ok(began.elapsed().as_secs_f64()),
        false => Err(BenchError::OtherOutcome("changeset")),
    }
}

/// What an engine does beside it.
async fn keep(store: Arc<dyn Store>, next: Arc<AtomicU64>, clock: Clock) {
    let service = service(0);
    let pump = async {
        loop {
            while hand_over(&*store, &service).await == EVENTS {}
            tokio::time::sleep(EVERY).await;
        }
    };
    let sweep = async {
        loop {
            for _ in 0..TURNS {
                let now = clock.at(next.load(Ordering::Relaxed));
                // A fault is met by the callers too.
                if store.drop_outlived(&service, now, DROPPED).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::join!(pump, sweep);
}

/// How many events went.
async fn hand_over(store: &dyn Store, service: &ServiceId) -> usize {
    let events = store.outbox(service, EVENTS).await.unwrap_or_default();
    if let Some((last, _)) = events.last() {
        store.acknowledge(service, *last).await.ok();
    }
    events.len()
}
