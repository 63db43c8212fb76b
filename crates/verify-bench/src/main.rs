//! `verify-bench`: prints the table of all rows about time.
//!
//! `--smoke` runs every row once over next to nothing; `--keys N` measures up to that many keys; `--changesets N` has so many rows
//! come and go in the stores; `--only PART` leaves out the parts whose names do not begin with that.

use std::process::ExitCode;

use verify_bench::gateway::Programs;
use verify_bench::measure::Measured;
use verify_bench::report::{HEAD, Row};
use verify_bench::rows::{
    Effort, attack, charge, flows, gateway, growth, sqlite_as_it_is, start, stores_lasting, stores_waits,
    stores_with_slow_syncs, stores_work,
};

const USAGE: &str = "usage: verify-bench [--smoke] [--keys N] [--changesets N] [--only charge|flows|growth|attack|gateway|start|stores|stores-work|stores-waits|stores-lasting|stores-slow]";

type Part = fn(Effort) -> Measured<Vec<Row>>;

const PARTS: [(&str, Part); 10] = [
    ("charge", charge),
    ("flows", flows),
    ("growth", growth),
    ("attack", attack),
    ("gateway", |effort| gateway(effort, &Programs::beside_this_one()?)),
    ("start", |effort| start(effort, &Programs::beside_this_one()?)),
    ("stores-work", stores_work),
    ("stores-waits", stores_waits),
    ("stores-lasting", |effort| {
        stores_lasting(effort, &Programs::beside_this_one()?)
    }),
    ("stores-slow", stores_with_slow_syncs),
];

fn main() -> ExitCode {
    // Started by the part about stores, with a library preloaded.
    if let Some(directory) = std::env::args()
        .nth(1)
        .filter(|_| std::env::args().nth(2).as_deref() == Some("--slow"))
    {
        return match sqlite_as_it_is(directory.as_ref()) {
            Ok(line) => {
                println!("{line}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("verify-bench: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let Some((effort, parts)) = wanted(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("{HEAD}");
    for (_, part) in parts {
        match part(effort) {
            Ok(rows) => rows.iter().for_each(|row| println!("{row}")),
            Err(error) => {
                eprintln!("verify-bench: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Option<(Effort, Vec<(&'static str, Part)>)> {
    let mut effort = Effort::FULL;
    let mut parts = PARTS.to_vec();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--smoke" => effort = Effort::SMOKE,
            "--keys" => effort.most_keys = arguments.next()?.parse().ok().filter(|keys| *keys >= 1_000)?,
            "--changesets" => {
                effort.changesets = arguments.next()?.parse().ok().filter(|many| *many >= 100)?;
            }
            "--only" => {
                let only = arguments.next()?;
                parts.retain(|(name, _)| name.starts_with(&only));
            }
            _ => return None,
        }
    }
    (!parts.is_empty()).then_some((effort, parts))
}
