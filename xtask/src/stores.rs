//! `cargo xtask stores`: every store held to its contract: suites, kills, cuts of power, and random changesets beside the model.
//! `--long` is for the rounds whose figures stand in the docs.

use std::fmt::Write as _;
use std::io;
use std::process::{Command, Output};
use std::time::Instant;

use crate::tree;

/// Some tests of one binary.
struct Part {
    name: &'static str,
    package: &'static str,
    binary: &'static str,
    /// Those whose names have this in them.
    named: &'static str,
    /// The variable that says how many rounds, and how many the long ones are.
    rounds: Option<(&'static str, u32)>,
}

const HISTORIES: Option<(&str, u32)> = Some(("VERIFY_HISTORIES", 2_000));
/// Of twenty changesets each on the average.
const RUNS: Option<(&str, u32)> = Some(("VERIFY_RUNS", 5_000));

#[rustfmt::skip]
const PARTS: &[Part] = &[
    Part { name: "suite, in memory", package: "verify-memstore", binary: "suite", named: "::", rounds: HISTORIES },
    Part { name: "suite, in a file", package: "verify-sqlite", binary: "suite", named: "::", rounds: HISTORIES },
    Part { name: "beside the model, in memory", package: "verify-memstore", binary: "differential", named: "", rounds: RUNS },
    Part { name: "beside the model, in a file", package: "verify-sqlite", binary: "suite", named: "answers_as_the_model", rounds: RUNS },
    Part { name: "killed, in a file", package: "verify-sqlite", binary: "killed", named: "kill", rounds: Some(("VERIFY_KILLS", 50)) },
    Part { name: "power cut, in a file", package: "verify-sqlite", binary: "killed", named: "power", rounds: Some(("VERIFY_CUTS", 20)) },
    Part { name: "opening, in a file", package: "verify-sqlite", binary: "opening", named: "", rounds: None },
    Part { name: "rows, in a file", package: "verify-sqlite", binary: "rows", named: "", rounds: None },
    Part { name: "kept forms, in a file", package: "verify-sqlite", binary: "kept", named: "", rounds: None },
    Part { name: "nothing in the clear", package: "verify-tests", binary: "in_the_clear", named: "", rounds: None },
    Part { name: "racing flows, in a file", package: "verify-tests", binary: "seeded", named: "", rounds: Some(("VERIFY_WALKS", 100)) },
    Part { name: "missteps are found", package: "verify-tests", binary: "broken_transactions", named: "", rounds: None },
];

/// Runs all parts, also behind one that fails, and prints a table.
///
/// # Errors
/// A test that cannot be run.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let mut long = false;
    for argument in arguments {
        match argument.as_str() {
            "--long" => long = true,
            _ => {
                return Ok(vec![format!(
                    "{argument} is unknown; --long is the only argument"
                )]);
            }
        }
    }
    let (mut table, mut faults) = (String::new(), Vec::new());
    for part in PARTS {
        let built = part.cargo(false, &["--no-run"])?;
        let began = Instant::now();
        let ran = part.cargo(long, &["--", part.named])?;
        let took = began.elapsed().as_secs_f64();
        let told = format!("{}{}", text(&ran.stdout), text(&ran.stderr));
        let tests = passed(&told);
        // A name that no test has any more would pass for ever.
        if !built.status.success() || !ran.status.success() || tests == 0 {
            eprintln!("{told}");
            faults.push(format!("{} failed", part.name));
        }
        let rounds = match part.rounds {
            Some((_, rounds)) if long => rounds.to_string(),
            Some(_) | None => "-".to_owned(),
        };
        let _ = writeln!(table, "{:<29}{tests:>7}{rounds:>9}{took:>9.1}", part.name);
    }
    println!("{:<29}{:>7}{:>9}{:>9}\n{table}", "", "tests", "rounds", "seconds");
    Ok(faults)
}

impl Part {
    fn cargo(&self, long: bool, behind: &[&str]) -> io::Result<Output> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["test", "--package", self.package, "--test", self.binary])
            .args(behind);
        if let Some((variable, rounds)) = self.rounds.filter(|_| long) {
            command.env(variable, rounds.to_string());
        }
        command
            .env("RUSTFLAGS", tree::BROKEN)
            .current_dir(tree::root())
            .output()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How many tests passed, by what they print.
fn passed(told: &str) -> usize {
    told.lines()
        .filter(|line| line.starts_with("test ") && line.ends_with(" ... ok"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passed_is_counted() {
        let told = "running 3 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored\ntest result: ok. 1 passed";
        assert_eq!(passed(told), 1);
    }
}
