//! `verify-bench`: prints the table of all rows about time.
//!
//! `--smoke` runs every row once over next to nothing; `--keys N` measures up to that many keys.

use std::process::ExitCode;

use verify_bench::measure::Measured;
use verify_bench::report::{HEAD, Row};
use verify_bench::rows::{Effort, attack, charge, flows, growth};

const USAGE: &str = "usage: verify-bench [--smoke] [--keys N]";

fn main() -> ExitCode {
    let Some(effort) = effort(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("{HEAD}");
    let parts: [fn(Effort) -> Measured<Vec<Row>>; 4] = [charge, flows, growth, attack];
    for part in parts {
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

fn effort(mut arguments: impl Iterator<Item = String>) -> Option<Effort> {
    let mut effort = Effort::FULL;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--smoke" => effort = Effort::SMOKE,
            "--keys" => effort.most_keys = arguments.next()?.parse().ok().filter(|keys| *keys >= 1_000)?,
            _ => return None,
        }
    }
    Some(effort)
}
