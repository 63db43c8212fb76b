//! Stores outside the process, against loops that write as many rows and decide nothing.

mod bare_postgres;
mod bare_sqlite;
mod lasting;
mod places;
mod waits;
mod work;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use verify_core::store::Store;
use verify_lab::{PostgresServer, Power, Syncs};
use verify_postgres::{PostgresOptions, PostgresStore};
use verify_sqlite::{SqliteOptions, SqliteStore};

use super::{Effort, start};
use crate::gateway::Programs;
use crate::measure::{BenchError, Comparison, Measured, Sample, compare};
use crate::report::{Row, Target};
use places::{Database, Place, SqliteFile};
use work::{Callers, Kind};

/// Who asks at once.
const CALLERS: usize = 64;
/// What a bare loop writes in one transaction, at its best.
const BATCH: usize = 64;
/// Pairs of samples; each takes a good part of a second.
const ROUNDS: usize = 7;
/// How much longer a sync takes where syncs are slow.
const SLOW: Duration = Duration::from_millis(5);

/// Sends, checks and refusals in SQLite, and in Postgres where it is installed.
///
/// # Errors
/// A store that cannot be opened, or an answer that the work does not expect.
pub fn stores_work(effort: Effort) -> Measured<Vec<Row>> {
    let place = Directory::new()?;
    let runtime = runtime()?;
    let much = (effort.rounds.min(ROUNDS), effort.batch * 4);
    let mut rows = sqlite(&runtime, &place.0, much)?;
    rows.extend(place.postgres(|server| {
        server.begin(&[]).map_err(setup)?;
        postgres(&runtime, server, "Postgres", [60.0, 4.0], much)
    })?);
    Ok(rows)
}

/// The same where each sync takes longer, against one transaction each.
///
/// # Errors
/// As [`stores_work`].
pub fn stores_with_slow_syncs(_effort: Effort) -> Measured<Vec<Row>> {
    let place = Directory::new()?;
    let runtime = runtime()?;
    let mut rows = vec![sqlite_with_slow_syncs(&place.0)?];
    rows.extend(place.postgres(|server| {
        let beside = place.0.join("slow");
        fs::create_dir_all(&beside).map_err(setup)?;
        let power = Power::of(&server.data(), &beside).map_err(setup)?;
        server.begin(&power.slow_syncs(SLOW)).map_err(setup)?;
        let name = "Postgres, each sync 5 ms longer";
        let mut slow = postgres(&runtime, server, name, [0.0, 5.0], (3, 1_000))?;
        slow.retain(|row| row.work.contains("one transaction each"));
        Ok(slow)
    })?);
    Ok(rows)
}

/// Who waits during a flood, in both.
///
/// # Errors
/// As [`stores_work`].
pub fn stores_waits(effort: Effort) -> Measured<Vec<Row>> {
    let place = Directory::new()?;
    let runtime = runtime()?;
    let quiet: Arc<dyn Store> = Arc::new(open_sqlite(&place.0.join("waits.db"))?);
    let mut rows = waits::waits("SQLite", &quiet, effort.batch, &runtime)?;
    rows.extend(place.postgres(|server| {
        server.begin(&[]).map_err(setup)?;
        let quiet = Database { server }.open(&runtime)?;
        waits::waits("Postgres", &quiet, effort.batch, &runtime)
    })?);
    Ok(rows)
}

/// Rows that come and go, in both, and the start of a process on them.
///
/// # Errors
/// As [`stores_work`].
pub fn stores_lasting(effort: Effort, programs: &Programs) -> Measured<Vec<Row>> {
    let place = Directory::new()?;
    let runtime = runtime()?;
    let mut rows = sqlite_that_lasts(&runtime, &place.0, effort, programs)?;
    rows.extend(place.postgres(|server| {
        server.begin(&[]).map_err(setup)?;
        let database = Database { server };
        let (rows, _store) = lasting::lasting("Postgres", &database, effort.changesets, &runtime)?;
        Ok(rows)
    })?);
    Ok(rows)
}

/// Where the stores lie. Whoever still has something in it open when it goes needs it no more.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Measured<Self> {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), NUMBERS.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(format!("verify-bench-{process}-{number}"));
        fs::remove_dir_all(&directory).ok();
        fs::create_dir_all(&directory).map_err(setup)?;
        Ok(Self(directory))
    }

    /// The rows of a server that was not begun yet; none where it is not installed.
    fn postgres(&self, rows: impl FnOnce(&mut PostgresServer) -> Measured<Vec<Row>>) -> Measured<Vec<Row>> {
        match PostgresServer::make(&self.0.join("postgres"), Syncs::Yes, "") {
            Ok(mut server) => rows(&mut server),
            Err(error) => {
                eprintln!("skipped: {error}");
                Ok(Vec::new())
            }
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn setup(error: std::io::Error) -> BenchError {
    BenchError::setup(&error)
}

fn runtime() -> Measured<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.map_err(|error| BenchError::setup(&error))
}

fn open_sqlite(path: &Path) -> Measured<SqliteStore> {
    SqliteStore::open(SqliteOptions::at(path)).map_err(|error| BenchError::setup(&error))
}

fn sqlite(runtime: &Runtime, directory: &Path, much: (usize, usize)) -> Measured<Vec<Row>> {
    let path = directory.join("ours.db");
    let store: Arc<dyn Store> = Arc::new(open_sqlite(&path)?);
    let mut bare = bare_sqlite::Bare::at(&directory.join("bare.db"))?;
    let before = bare_sqlite::bytes(&path)?;
    let mut callers = Callers::of(store, runtime);
    let mut rows = ratios(
        "SQLite",
        &mut callers,
        &mut |operations, batch| bare.sample(operations, batch),
        [60.0, 1.5],
        much,
    )?;
    let more = bare_sqlite::bytes(&path)?.saturating_sub(before);
    rows.push(bytes("SQLite", more as f64 / callers.sent() as f64));
    Ok(rows)
}

fn sqlite_that_lasts(
    runtime: &Runtime,
    directory: &Path,
    effort: Effort,
    programs: &Programs,
) -> Measured<Vec<Row>> {
    let file = SqliteFile {
        directory,
        number: AtomicU32::new(0),
    };
    let (mut rows, store) = lasting::lasting("SQLite", &file, effort.changesets, runtime)?;
    let path = file.path();
    rows.push(start::on_a_file(
        effort,
        programs,
        &path,
        &places::log_of(&path),
        lasting::live(effort.changesets),
    )?);
    // Whoever closes a file last leaves no log.
    drop(store);
    Ok(rows)
}

fn postgres(
    runtime: &Runtime,
    server: &PostgresServer,
    name: &str,
    targets: [f64; 2],
    effort: (usize, usize),
) -> Measured<Vec<Row>> {
    let options = PostgresOptions::parse(&server.url()).map_err(|error| BenchError::setup(&error))?;
    let opened = runtime.block_on(PostgresStore::open(options));
    let store: Arc<dyn Store> = Arc::new(opened.map_err(|error| BenchError::setup(&error))?);
    let mut bare = bare_postgres::Bare::at(&server.url(), runtime)?;
    let mut callers = Callers::of(store, runtime);
    ratios(
        name,
        &mut callers,
        &mut |operations, batch| bare.sample(operations, batch, runtime),
        targets,
        effort,
    )
}

type Floor<'a> = dyn FnMut(usize, usize) -> Measured<Sample> + 'a;

/// Sends against both floors, alone, and what the other kinds come to.
fn ratios(
    name: &str,
    callers: &mut Callers<'_>,
    floor: &mut Floor<'_>,
    [of_best, of_single]: [f64; 2],
    (rounds, operations): (usize, usize),
) -> Measured<Vec<Row>> {
    let mut rows = Vec::new();
    for services in [1, 16] {
        let best = compare(
            rounds,
            || callers.sample(Kind::Send, operations, CALLERS, services),
            || floor(operations, BATCH),
        )?;
        rows.push(Row {
            work: format!("{name}: changesets of sends, {CALLERS} callers, services: {services}"),
            figure: inverse(&best).times(100.0),
            unit: "% of the best bare loop",
            target: Target::Least(of_best),
            made_of: per_second(&best),
        });
    }
    let few = (operations / 8).max(1);
    let single = compare(
        rounds,
        || callers.sample(Kind::Send, operations, CALLERS, 1),
        || floor(few, 1),
    )?;
    rows.push(Row {
        work: format!("{name}: changesets of sends, {CALLERS} callers, against one transaction each"),
        figure: inverse(&single),
        unit: "×",
        target: Target::Least(of_single),
        made_of: per_second(&single),
    });
    let alone = compare(rounds, || callers.sample(Kind::Send, few, 1, 1), || floor(few, 1))?;
    rows.push(Row {
        work: format!("{name}: one changeset at a time, its time"),
        figure: alone.ratio,
        unit: "× a bare transaction's",
        target: Target::Most(1.2),
        made_of: per_second(&alone),
    });
    for kind in [Kind::WrongCheck, Kind::Refused] {
        let sample = callers.sample(kind, operations, CALLERS, 1)?;
        rows.push(Row {
            work: format!("{name}: changesets of {}, {CALLERS} callers", kind.name()),
            figure: crate::measure::Figure::of(vec![1e9 / sample.nanos()]),
            unit: "a second",
            target: Target::None,
            made_of: "each asked for alone, decided together".to_owned(),
        });
    }
    Ok(rows)
}

/// How many of the floor's times one of ours takes, the other way round.
fn inverse(compared: &Comparison) -> crate::measure::Figure {
    crate::measure::Figure {
        median: 1.0 / compared.ratio.median,
        ..compared.ratio
    }
}

fn per_second(compared: &Comparison) -> String {
    let [ours, floor] = [compared.product, compared.floor].map(|figure| 1e9 / figure.median);
    format!("{ours:.0} a second against {floor:.0}")
}

fn bytes(name: &str, each: f64) -> Row {
    Row {
        work: format!("{name}: bytes of its file for a send"),
        figure: crate::measure::Figure::of(vec![each]),
        unit: "bytes",
        target: Target::None,
        made_of: "a record of 600 bytes, six counters of its own, a claim, two events".to_owned(),
    }
}

fn sqlite_with_slow_syncs(directory: &Path) -> Measured<Row> {
    let slow = directory.join("slow-sqlite");
    fs::create_dir_all(&slow).map_err(setup)?;
    let power = Power::of(directory, &slow).map_err(setup)?;
    let ran = Command::new(std::env::current_exe().map_err(setup)?)
        .arg(&slow)
        .arg("--slow")
        .envs(power.slow_syncs(SLOW))
        .output()
        .map_err(setup)?;
    let line = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
    let figures: Vec<f64> = line.split(' ').filter_map(|figure| figure.parse().ok()).collect();
    let [ratio, noise, ours, floor] = figures.as_slice() else {
        return Err(BenchError::Setup(
            String::from_utf8_lossy(&ran.stderr).into_owned(),
        ));
    };
    Ok(Row {
        work: format!(
            "SQLite, each sync 5 ms longer: changesets of sends, {CALLERS} callers, against one transaction each"
        ),
        figure: crate::measure::Figure {
            median: *ratio,
            noise_percent: *noise,
        },
        unit: "×",
        target: Target::Least(5.0),
        made_of: format!("{ours:.0} a second against {floor:.0}"),
    })
}

/// What a process says that was started with slow syncs: ratio, noise, both rates.
///
/// # Errors
/// As [`stores_work`].
pub fn sqlite_as_it_is(directory: &Path) -> Measured<String> {
    let runtime = runtime()?;
    let store: Arc<dyn Store> = Arc::new(open_sqlite(&directory.join("ours.db"))?);
    let mut bare = bare_sqlite::Bare::at(&directory.join("bare.db"))?;
    let mut callers = Callers::of(store, &runtime);
    let compared = compare(
        3,
        || callers.sample(Kind::Send, 1_000, CALLERS, 1),
        || bare.sample(50, 1),
    )?;
    let ratio = inverse(&compared);
    let [ours, floor] = [compared.product, compared.floor].map(|figure| 1e9 / figure.median);
    Ok(format!("{} {} {ours} {floor}", ratio.median, ratio.noise_percent))
}
