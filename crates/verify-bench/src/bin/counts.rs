//! `counts`: how many instructions the hot paths take, counted by callgrind, and whether they take more than they did.
//!
//! `counts` compares with the baseline beside the package, and exits with 77 when that is of another compiler;
//! `counts --record` writes a new one. `counts KIND TIMES` does
//! the work of one row, and is what it runs under `valgrind`.

use std::path::Path;
use std::process::ExitCode;

use verify_bench::instructions::{Baseline, Counts, HEAD, count_all};
use verify_bench::measure::{BenchError, Measured};
use verify_bench::rows::counted::KINDS;

/// What programs exit with that could not do what they are for.
const NOT_COMPARED: u8 = 77;
const USAGE: &str = "usage: counts [--record] | counts KIND TIMES";
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [] => compare(),
        ["--record"] => record(),
        [kind, times] => work(kind, times),
        [..] => Err(BenchError::Setup(USAGE.to_owned())),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("counts: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work(kind: &str, times: &str) -> Measured<ExitCode> {
    let known = KINDS.iter().find(|(name, _)| *name == kind);
    match (known, times.parse()) {
        (Some((_, work)), Ok(times)) => work(times).map(|()| ExitCode::SUCCESS),
        (Some(_) | None, Ok(_) | Err(_)) => Err(BenchError::Setup(USAGE.to_owned())),
    }
}

fn record() -> Measured<ExitCode> {
    let counts = counted()?;
    Baseline::now(counts)?.write(Path::new(BASELINE))?;
    println!("recorded in {BASELINE}");
    Ok(ExitCode::SUCCESS)
}

fn compare() -> Measured<ExitCode> {
    let baseline = Baseline::read(Path::new(BASELINE))?;
    let counts = counted()?;
    let verdict = baseline.compare(&counts)?;
    verdict.notes.iter().for_each(|note| println!("{note}"));
    verdict
        .slower
        .iter()
        .for_each(|slower| eprintln!("counts: {slower}"));
    Ok(match (verdict.compared, verdict.slower.is_empty()) {
        (false, _) => ExitCode::from(NOT_COMPARED),
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::FAILURE,
    })
}

fn counted() -> Measured<Counts> {
    let this = std::env::current_exe().map_err(|error| BenchError::setup(&error))?;
    let counts = count_all(&this)?;
    println!("{HEAD}");
    counts.rows().for_each(|row| println!("{row}"));
    Ok(counts)
}
