//! `cargo xtask stores`: every store held to its contract: suites, kills, cuts of power, and random changesets beside the model.
//! `--long` is for the rounds whose figures stand in the docs, `--only TEXT` for the parts whose names have this in them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::tree;

/// Some tests of a package.
struct Part {
    name: &'static str,
    package: &'static str,
    binaries: &'static [&'static str],
    /// Those whose names have this in them.
    named: &'static str,
    rounds: Option<Rounds>,
    needs: &'static [Need],
}

/// The variable that says how many rounds, and what the long ones are.
struct Rounds {
    variable: &'static str,
    long: u32,
    what: &'static str,
}

const fn rounds(variable: &'static str, long: u32, what: &'static str) -> Option<Rounds> {
    Some(Rounds { variable, long, what })
}

/// A program that a part cannot be without, and the command that finds it.
struct Need(&'static str, &'static str);

const HISTORIES: Option<Rounds> = rounds("VERIFY_HISTORIES", 2_000, "histories");
/// Of twenty changesets each on the average.
const RUNS: Option<Rounds> = rounds("VERIFY_RUNS", 5_000, "runs");
/// Where a store that is opened twice is asked in turns.
const IN_TURNS: Option<Rounds> = rounds("VERIFY_RUNS", 1_000, "runs");
const KILLS: Option<Rounds> = rounds("VERIFY_KILLS", 50, "kills");
const CUTS: Option<Rounds> = rounds("VERIFY_CUTS", 20, "cuts");
const WALKS: Option<Rounds> = rounds("VERIFY_WALKS", 100, "walks");
const DURABLE: Option<Rounds> = rounds("VERIFY_DURABLE", 100_000, "opt-outs");

const POSTGRES: Need = Need("postgresql", "ls /usr/lib/postgresql/*/bin/postgres");
const PGBOUNCER: Need = Need("pgbouncer", "command -v pgbouncer");
const REDIS: &[Need] = &[
    Need("redis-server", "command -v redis-server"),
    Need(
        "what scripts/servers.sh gets",
        "ls ${TMPDIR:-/tmp}/verify-servers/valkey-server",
    ),
];
const COMPILER: Need = Need("a C compiler", "command -v cc");

#[rustfmt::skip]
const PARTS: &[Part] = &[
    Part { name: "suite, in memory", package: "verify-memstore", binaries: &["suite"], named: "::", rounds: HISTORIES, needs: &[] },
    Part { name: "beside the model, in memory", package: "verify-memstore", binaries: &["differential"], named: "", rounds: RUNS, needs: &[] },
    Part { name: "what memory holds", package: "verify-memstore", binaries: &["memory", "budget"], named: "", rounds: None, needs: &[] },
    Part { name: "decided together", package: "verify-batch", binaries: &["batch"], named: "", rounds: HISTORIES, needs: &[] },
    Part { name: "suite, in a file", package: "verify-sqlite", binaries: &["suite"], named: "::", rounds: HISTORIES, needs: &[] },
    Part { name: "beside the model, in a file", package: "verify-sqlite", binaries: &["suite"], named: "sqlite_answers_as", rounds: RUNS, needs: &[] },
    Part { name: "opened twice, in a file", package: "verify-sqlite", binaries: &["suite"], named: "twice_answers_as", rounds: IN_TURNS, needs: &[] },
    Part { name: "killed, in a file", package: "verify-sqlite", binaries: &["killed"], named: "kill", rounds: KILLS, needs: &[] },
    Part { name: "power cut, in a file", package: "verify-sqlite", binaries: &["killed"], named: "power", rounds: CUTS, needs: &[COMPILER] },
    Part { name: "all else, in a file", package: "verify-sqlite", binaries: &["copy", "figures", "full", "kept", "opening", "rows"], named: "", rounds: None, needs: &[] },
    Part { name: "suite, in Postgres", package: "verify-postgres", binaries: &["suite"], named: "::", rounds: HISTORIES, needs: &[POSTGRES] },
    Part { name: "beside the model, in Postgres", package: "verify-postgres", binaries: &["suite"], named: "postgres_answers_as", rounds: RUNS, needs: &[POSTGRES] },
    Part { name: "opened twice, in Postgres", package: "verify-postgres", binaries: &["suite"], named: "twice_answers_as", rounds: IN_TURNS, needs: &[POSTGRES] },
    Part { name: "killed and stopped, Postgres", package: "verify-postgres", binaries: &["crashes"], named: "i149", rounds: KILLS, needs: &[POSTGRES] },
    Part { name: "power cut, Postgres", package: "verify-postgres", binaries: &["crashes"], named: "power", rounds: CUTS, needs: &[POSTGRES, COMPILER] },
    Part { name: "reaching Postgres", package: "verify-postgres", binaries: &["reaching"], named: "", rounds: None, needs: &[POSTGRES, PGBOUNCER] },
    Part { name: "all else, in Postgres", package: "verify-postgres", binaries: &["copy", "defaults", "failover", "figures", "lines", "rows", "standby", "switched"], named: "", rounds: None, needs: &[POSTGRES, COMPILER] },
    Part { name: "suite, in Redis and Valkey", package: "verify-redis", binaries: &["suite"], named: "::", rounds: HISTORIES, needs: REDIS },
    Part { name: "beside the model, in Redis", package: "verify-redis", binaries: &["suite"], named: "::answers_as", rounds: RUNS, needs: REDIS },
    Part { name: "opened twice, in Redis", package: "verify-redis", binaries: &["suite"], named: "twice_answers_as", rounds: IN_TURNS, needs: REDIS },
    Part { name: "a Cluster", package: "verify-redis", binaries: &["cluster"], named: "", rounds: RUNS, needs: REDIS },
    Part { name: "all else, in Redis", package: "verify-redis", binaries: &["copy", "crashes", "lost", "mind", "refusing"], named: "", rounds: None, needs: REDIS },
    Part { name: "nothing in the clear", package: "verify-tests", binaries: &["in_the_clear"], named: "", rounds: None, needs: &[] },
    Part { name: "racing flows, in a file", package: "verify-tests", binaries: &["seeded"], named: "", rounds: WALKS, needs: &[] },
    Part { name: "rings turned, in a file", package: "verify-tests", binaries: &["turned_rings"], named: "", rounds: DURABLE, needs: &[] },
    Part { name: "missteps are found", package: "verify-tests", binaries: &["broken_transactions"], named: "", rounds: None, needs: &[] },
    Part { name: "a gateway on a file", package: "verify-gateway", binaries: &["durable"], named: "", rounds: None, needs: &[] },
    Part { name: "a gateway on a file, killed", package: "verify-gateway", binaries: &["killed_on_file"], named: "", rounds: KILLS, needs: &[] },
    Part { name: "what gateways leave behind", package: "verify-gateway", binaries: &["canary"], named: "", rounds: None, needs: &[POSTGRES] },
    Part { name: "stores lost under gateways", package: "verify-gateway", binaries: &["loss"], named: "", rounds: None, needs: &[POSTGRES] },
    Part { name: "eight gateways", package: "verify-gateway", binaries: &["many"], named: "", rounds: None, needs: &[POSTGRES] },
    Part { name: "eight gateways, killed", package: "verify-gateway", binaries: &["killed"], named: "", rounds: KILLS, needs: &[POSTGRES] },
];

/// What became of a part.
struct Ran {
    passed: bool,
    tests: usize,
    took: Duration,
    /// What its tests say that they did, and what they left out.
    said: Vec<String>,
    /// What was told of one that failed.
    told: String,
}

/// What is printed of a part that failed.
const MOST_LINES: usize = 100;
/// How a line goes on that says where a test failed.
const PANICKED: &str = " panicked at ";

/// Runs all parts, also behind one that fails, and prints a line for each, with what its tests did, and a summary.
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
    let parts: Vec<_> = PARTS.iter().filter(|part| part.name.contains(&only)).collect();
    if parts.is_empty() {
        return Ok(vec![format!("no part has {only} in its name")]);
    }
    let programs = built(&parts)?;
    if programs.is_empty() {
        return Ok(vec!["the tests cannot be built".to_owned()]);
    }
    let (mut faults, mut skipped, mut passed) = (Vec::new(), Vec::new(), 0);
    let (mut tests, mut took) = (0, Duration::ZERO);
    println!("{:<31}{:>6}{:>10}  each", "", "tests", "seconds");
    for part in parts {
        if let Some(missing) = part.needs.iter().find(|need| !need.is_there()) {
            println!("{:<31}skipped: {} is not installed", part.name, missing.0);
            skipped.push(part.name.to_owned());
            continue;
        }
        let ran = part.run(&programs, long)?;
        ran.print(part, long);
        let left_out = ran.said.iter().filter(|said| said.starts_with(LEFT_OUT));
        skipped.extend(left_out.map(|said| format!("some of {} ({said})", part.name)));
        (tests, took) = (tests + ran.tests, took + ran.took);
        match ran.passed {
            true => passed += 1,
            false => faults.push(format!("{} failed", part.name)),
        }
    }
    let (failed, took) = (faults.len(), took.as_secs());
    println!("{passed} parts passed and {failed} failed: {tests} tests in {took} s");
    for what in skipped {
        println!("skipped: {what}");
    }
    Ok(faults)
}

/// How a line begins that says what a test did, and one that says what it did not.
const DID: &str = "did: ";
const LEFT_OUT: &str = "skipped: ";

impl Need {
    fn is_there(&self) -> bool {
        let mut found = Command::new("sh");
        let found = found.args(["-c", self.1]).stdout(Stdio::null());
        found
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Ran {
    fn print(&self, part: &Part, long: bool) {
        let rounds = match &part.rounds {
            Some(Rounds {
                long: rounds, what, ..
            }) if long => format!("{rounds} {what}"),
            Some(_) | None => "-".to_owned(),
        };
        let (tests, took) = (self.tests, self.took.as_secs_f64());
        println!("{:<31}{tests:>6}{took:>10.1}  {rounds}", part.name);
        for said in &self.said {
            println!("    {}", said.strip_prefix(DID).unwrap_or(said));
        }
        if !self.passed {
            eprintln!("{}", self.told);
        }
    }
}

impl Part {
    fn run(&self, programs: &[Program], long: bool) -> io::Result<Ran> {
        let (mut passed, mut told, began) = (true, String::new(), Instant::now());
        for binary in self.binaries {
            let program = programs.iter().find(|program| program.is(self.package, binary));
            let ran = program
                .map(|program| self.command(program, long).output())
                .transpose()?;
            passed &= ran.as_ref().is_some_and(|ran| ran.status.success());
            told.extend(ran.map(|ran| text(&ran.stdout) + &text(&ran.stderr)));
        }
        let (took, tests, lines) = (began.elapsed(), ok(&told), told.lines().collect::<Vec<_>>());
        let said = lines
            .iter()
            .filter(|line| line.starts_with(DID) || line.starts_with(LEFT_OUT));
        // What went wrong stands where it is told first, and a long example of it behind that.
        let first = lines.iter().position(|line| line.contains(PANICKED));
        let from = first.unwrap_or(lines.len().saturating_sub(MOST_LINES));
        let failed = lines.iter().skip(from).take(MOST_LINES);
        Ok(Ran {
            // A name that no test has any more would pass for ever.
            passed: passed && tests > 0,
            tests,
            took,
            said: said.map(|line| (*line).to_owned()).collect(),
            told: failed.copied().collect::<Vec<_>>().join("\n"),
        })
    }

    fn command(&self, program: &Program, long: bool) -> Command {
        let mut command = Command::new(&program.path);
        command
            .args([self.named, "--show-output"])
            .current_dir(&program.home);
        if let Some(rounds) = self.rounds.as_ref().filter(|_| long) {
            command.env(rounds.variable, rounds.long.to_string());
        }
        command
    }
}

/// Some tests that were built, as one program.
struct Program {
    binary: String,
    path: PathBuf,
    /// Where its package lies.
    home: PathBuf,
}

impl Program {
    fn is(&self, package: &str, binary: &str) -> bool {
        // The one package whose folder has another name.
        let folder = if package == "verify-tests" {
            "tests"
        } else {
            package
        };
        self.binary == binary && self.home.ends_with(folder)
    }

    /// One that cargo says that it built, if this line is about one.
    fn of(line: &str) -> Option<Self> {
        let built: Value = serde_json::from_str(line).ok()?;
        let text = |path: &str| built.pointer(path)?.as_str();
        Some(Self {
            binary: text("/target/name")?.to_owned(),
            path: text("/executable")?.into(),
            home: Path::new(text("/manifest_path")?).parent()?.to_owned(),
        })
    }
}

/// The programs of these parts, all built at once; none where one of them cannot be built, which cargo has said.
fn built(parts: &[&Part]) -> io::Result<Vec<Program>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "test",
        "--workspace",
        "--no-run",
        "--quiet",
        "--message-format",
        "json",
    ]);
    for binary in parts.iter().flat_map(|part| part.binaries) {
        command.args(["--test", binary]);
    }
    let output = command
        .env("RUSTFLAGS", tree::BROKEN)
        .current_dir(tree::root())
        .stderr(Stdio::inherit())
        .output()?;
    match output.status.success() {
        true => Ok(text(&output.stdout).lines().filter_map(Program::of).collect()),
        false => Ok(Vec::new()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How many tests passed, by what they print.
fn ok(told: &str) -> usize {
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
        assert_eq!(ok(told), 1);
    }
}
