//! `cargo xtask stores`: every store held to its contract: suites, kills, cuts of power, and random changesets beside the model.
//! `--long` is for the rounds whose figures stand in the docs, `--only TEXT` for the parts whose names have this in them.

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
const KILLS: Option<(&str, u32)> = Some(("VERIFY_KILLS", 50));
const CUTS: Option<(&str, u32)> = Some(("VERIFY_CUTS", 20));

#[rustfmt::skip]
const PARTS: &[Part] = &[
    Part { name: "suite, in memory", package: "verify-memstore", binary: "suite", named: "::", rounds: HISTORIES },
    Part { name: "beside the model, in memory", package: "verify-memstore", binary: "differential", named: "", rounds: RUNS },
    Part { name: "suite, in a file", package: "verify-sqlite", binary: "suite", named: "::", rounds: HISTORIES },
    Part { name: "beside the model, in a file", package: "verify-sqlite", binary: "suite", named: "answers_as_the_model", rounds: RUNS },
    Part { name: "killed, in a file", package: "verify-sqlite", binary: "killed", named: "kill", rounds: KILLS },
    Part { name: "power cut, in a file", package: "verify-sqlite", binary: "killed", named: "power", rounds: CUTS },
    Part { name: "full disk, in a file", package: "verify-sqlite", binary: "full", named: "", rounds: None },
    Part { name: "opening, in a file", package: "verify-sqlite", binary: "opening", named: "", rounds: None },
    Part { name: "rows, in a file", package: "verify-sqlite", binary: "rows", named: "", rounds: None },
    Part { name: "kept forms, in a file", package: "verify-sqlite", binary: "kept", named: "", rounds: None },
    Part { name: "copied, in a file", package: "verify-sqlite", binary: "copy", named: "", rounds: None },
    Part { name: "suite, in Postgres", package: "verify-postgres", binary: "suite", named: "::", rounds: HISTORIES },
    Part { name: "beside the model, in Postgres", package: "verify-postgres", binary: "suite", named: "answers_as_the_model", rounds: RUNS },
    Part { name: "killed and stopped, Postgres", package: "verify-postgres", binary: "crashes", named: "i149", rounds: KILLS },
    Part { name: "power cut, Postgres", package: "verify-postgres", binary: "crashes", named: "power", rounds: CUTS },
    Part { name: "lines that break, Postgres", package: "verify-postgres", binary: "lines", named: "", rounds: None },
    Part { name: "reaching Postgres", package: "verify-postgres", binary: "reaching", named: "", rounds: None },
    Part { name: "copied, Postgres", package: "verify-postgres", binary: "copy", named: "", rounds: None },
    Part { name: "suite, in Redis and Valkey", package: "verify-redis", binary: "suite", named: "::", rounds: HISTORIES },
    Part { name: "beside the model, in Redis", package: "verify-redis", binary: "suite", named: "answers_as_the_model", rounds: RUNS },
    Part { name: "a Cluster", package: "verify-redis", binary: "cluster", named: "", rounds: RUNS },
    Part { name: "crashes and replicas, Redis", package: "verify-redis", binary: "crashes", named: "", rounds: None },
    Part { name: "of two minds, Redis", package: "verify-redis", binary: "mind", named: "", rounds: None },
    Part { name: "refusals of Redis", package: "verify-redis", binary: "refusing", named: "", rounds: None },
    Part { name: "lost data, Redis", package: "verify-redis", binary: "lost", named: "", rounds: None },
    Part { name: "nothing in the clear", package: "verify-tests", binary: "in_the_clear", named: "", rounds: None },
    Part { name: "racing flows, in a file", package: "verify-tests", binary: "seeded", named: "", rounds: Some(("VERIFY_WALKS", 100)) },
    Part { name: "rings turned, in a file", package: "verify-tests", binary: "turned_rings", named: "", rounds: Some(("VERIFY_DURABLE", 100_000)) },
    Part { name: "missteps are found", package: "verify-tests", binary: "broken_transactions", named: "", rounds: None },
    Part { name: "the gateway on a file", package: "verify-gateway", binary: "durable", named: "", rounds: None },
    Part { name: "eight gateways", package: "verify-gateway", binary: "many", named: "", rounds: None },
    Part { name: "eight gateways, killed", package: "verify-gateway", binary: "killed", named: "", rounds: KILLS },
];

/// Runs all parts, also behind one that fails, and prints a table.
///
/// # Errors
/// A test that cannot be run.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let (mut long, mut only) = (false, String::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--long" => long = true,
            "--only" => only = arguments.next().unwrap_or_default(),
            _ => {
                return Ok(vec![format!(
                    "{argument} is unknown; known are --long and --only TEXT"
                )]);
            }
        }
    }
    let mut parts = PARTS.iter().filter(|part| part.name.contains(&only)).peekable();
    if parts.peek().is_none() {
        return Ok(vec![format!("no part has {only} in its name")]);
    }
    println!("{:<31}{:>7}{:>9}{:>9}", "", "tests", "rounds", "seconds");
    parts.filter_map(|part| part.run(long).transpose()).collect()
}

impl Part {
    /// Runs it and prints its line; what is wrong with it, if anything is.
    fn run(&self, long: bool) -> io::Result<Option<String>> {
        let built = self.cargo(false, &["--no-run"])?;
        let began = Instant::now();
        let ran = self.cargo(long, &["--", self.named])?;
        let took = began.elapsed().as_secs_f64();
        let told = format!("{}{}", text(&ran.stdout), text(&ran.stderr));
        let tests = passed(&told);
        let rounds = match self.rounds {
            Some((_, rounds)) if long => rounds.to_string(),
            Some(_) | None => "-".to_owned(),
        };
        println!("{:<31}{tests:>7}{rounds:>9}{took:>9.1}", self.name);
        // A name that no test has any more would pass for ever.
        let passed = built.status.success() && ran.status.success() && tests > 0;
        if !passed {
            eprintln!("{told}");
        }
        Ok((!passed).then(|| format!("{} failed", self.name)))
    }

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
