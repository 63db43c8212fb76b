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
use std::sync::atomic::AtomicU32;
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

/// The rows, for SQLite and for Postgres where it is installed.
///
/// # Errors
/// A store that cannot be opened, or an answer that the work does not expect.
pub fn stores(effort: Effort, programs: &Programs) -> Measured<Vec<Row>> {
    let runtime = runtime()?;
    let directory = directory()?;
    let rounds = effort.rounds.min(ROUNDS);
    let operations = effort.batch * 4;
    let mut rows = sqlite(&runtime, &directory, rounds, operations)?;
    if operations > 1_000 {
        rows.push(sqlite_with_slow_syncs(&directory)?);
    }
    rows.extend(sqlite_that_lasts(&runtime, &directory, effort, programs)?);
    match PostgresServer::make(&directory.join("postgres"), Syncs::Yes, "") {
        Ok(server) => rows.extend(postgres(
            &runtime,
            server,
            &directory,
            (rounds, operations),
            effort,
        )?),
        Err(error) => eprintln!("skipped: {error}"),
    }
    // Whoever still has something in it open needs it no more.
    fs::remove_dir_all(&directory).ok();
    Ok(rows)
}

fn runtime() -> Measured<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.map_err(|error| BenchError::setup(&error))
}

fn directory() -> Measured<PathBuf> {
    let directory = std::env::temp_dir().join(format!("verify-bench-{}", std::process::id()));
    fs::remove_dir_all(&directory).ok();
    fs::create_dir_all(&directory).map_err(|error| BenchError::setup(&error))?;
    Ok(directory)
}

fn open_sqlite(path: &Path) -> Measured<SqliteStore> {
    SqliteStore::open(SqliteOptions::at(path)).map_err(|error| BenchError::setup(&error))
}

fn sqlite(runtime: &Runtime, directory: &Path, rounds: usize, operations: usize) -> Measured<Vec<Row>> {
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
        (rounds, operations),
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
    let quiet: Arc<dyn Store> = Arc::new(open_sqlite(&directory.join("waits.db"))?);
    let mut rows = waits::waits("SQLite", &quiet, effort.batch, runtime)?;
    let file = SqliteFile {
        directory,
        number: AtomicU32::new(0),
    };
    let (lasting, store) = lasting::lasting("SQLite", &file, effort.changesets, runtime)?;
    rows.extend(lasting);
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
    mut server: PostgresServer,
    directory: &Path,
    (rounds, operations): (usize, usize),
    effort: Effort,
) -> Measured<Vec<Row>> {
    let setup = |error: std::io::Error| BenchError::setup(&error);
    server.begin(&[]).map_err(setup)?;
    let mut rows = postgres_rows(runtime, &server, "Postgres", [60.0, 4.0], (rounds, operations))?;
    let database = Database { server: &server };
    let quiet = database.open(runtime)?;
    rows.extend(waits::waits("Postgres", &quiet, effort.batch, runtime)?);
    drop(quiet);
    let (lasting, _store) = lasting::lasting("Postgres", &database, effort.changesets, runtime)?;
    rows.extend(lasting);
    if operations > 1_000 {
        let beside = directory.join("slow");
        fs::create_dir_all(&beside).map_err(setup)?;
        server.kill().map_err(setup)?;
        let power = Power::of(&server.data(), &beside).map_err(setup)?;
        server.begin(&power.slow_syncs(SLOW)).map_err(setup)?;
        let slow = postgres_rows(
            runtime,
            &server,
            "Postgres, each sync 5 ms longer",
            [0.0, 5.0],
            (3, 1_000),
        )?;
        rows.extend(
            slow.into_iter()
                .filter(|row| row.work.contains("one transaction each")),
        );
    }
    Ok(rows)
}

fn postgres_rows(
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
    let setup = |error: std::io::Error| BenchError::setup(&error);
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
/// As [`stores`].
pub fn stores_with_slow_syncs(directory: &Path) -> Measured<String> {
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
