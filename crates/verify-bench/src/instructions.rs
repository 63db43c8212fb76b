//! Instructions instead of time: they repeat, whoever else uses the machine.
//!
//! valgrind's processor has no instructions for SHA-256, so hashing takes far more of its instructions than of a real
//! processor's. It is counted apart: a share that large would hide what happens to the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::measure::{BenchError, Measured};
use crate::rows::counted::{COLLECTED, KINDS};

/// Operations of a row. Enough that one table which grows in the middle does not matter.
const TIMES: u64 = 200;
/// Slower than the baseline by more than this part is a failure.
const MOST_SLOWER: f64 = 0.10;
/// The head of the table.
pub const HEAD: &str = "| work | instructions | and of SHA-256 |\n|---|---|---|";
/// What the compression of SHA-256 has in its name.
const HASHING: &str = "sha2::";

/// Instructions of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// All but hashing.
    pub instructions: u64,
    /// Hashing.
    pub sha256: u64,
}

/// Instructions of one operation, by kind of work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, Count>);

impl Counts {
    /// The rows of the table.
    pub fn rows(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|(kind, count)| format!("| {kind} | {} | {} |", count.instructions, count.sha256))
    }
}

/// Counts every kind of work of `program`, each in a process of its own.
///
/// # Errors
/// Without valgrind, or when a row did not end as it says.
pub fn count_all(program: &Path) -> Measured<Counts> {
    let counted = KINDS
        .iter()
        .map(|(kind, _)| Ok(((*kind).to_owned(), count(program, kind)?)));
    counted.collect::<Measured<_>>().map(Counts)
}

fn count(program: &Path, kind: &str) -> Measured<Count> {
    let profile = std::env::temp_dir().join(format!("verify-counts-{}-{kind}", std::process::id()));
    let ran = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--quiet",
            "--compress-strings=no",
            "--compress-pos=no",
        ])
        .arg(format!("--toggle-collect={COLLECTED}"))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args([kind, &TIMES.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| BenchError::Setup(format!("valgrind cannot be run: {error}")))?;
    let text = fs::read_to_string(&profile);
    fs::remove_file(&profile).ok();
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        return Err(BenchError::Setup(format!("{kind} under valgrind: {said}")));
    }
    let text = text.map_err(|error| BenchError::setup(&error))?;
    let costs = self_costs(&text);
    let of = |hashing: bool| -> u64 {
        let of_these = costs.iter().filter(|(name, _)| name.contains(HASHING) == hashing);
        of_these.map(|(_, cost)| cost).sum::<u64>() / TIMES
    };
    match of(false) {
        0 => Err(BenchError::Setup(format!("nothing of {kind} was counted"))),
        instructions => Ok(Count {
            instructions,
            sha256: of(true),
        }),
    }
}

/// What each function of a profile took itself, without those that it called.
fn self_costs(profile: &str) -> BTreeMap<&str, u64> {
    let (mut costs, mut function, mut of_a_call) = (BTreeMap::new(), "", false);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = name;
        } else if line.starts_with("calls=") {
            of_a_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            // A position and a cost; the line after a call is what was called.
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok());
            if !std::mem::take(&mut of_a_call) {
                *costs.entry(function).or_insert(0) += cost.unwrap_or_default();
            }
        }
    }
    costs
}

/// Counts that later ones are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    rustc: String,
    commit: String,
    counts: Counts,
}

/// What a comparison says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// False when the baseline is of another compiler.
    pub compared: bool,
    /// Rows that got slower.
    pub slower: Vec<String>,
    /// What is worth a word, and no failure.
    pub notes: Vec<String>,
}

impl Baseline {
    /// These counts, of the tree and the compiler as they are now.
    ///
    /// # Errors
    /// When git or the compiler cannot be asked.
    pub fn now(counts: Counts) -> Measured<Self> {
        Ok(Self {
            rustc: rustc()?,
            commit: said_by("git", &["rev-parse", "--short", "HEAD"])?,
            counts,
        })
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is not there, or not in its form.
    pub fn read(path: &Path) -> Measured<Self> {
        let text = fs::read_to_string(path).map_err(|error| BenchError::setup(&error))?;
        Self::parse(&text)
            .ok_or_else(|| BenchError::Setup("the baseline cannot be read; record it anew".into()))
    }

    fn parse(text: &str) -> Option<Self> {
        let table: toml::Table = text.parse().ok()?;
        let word = |key: &str| table.get(key)?.as_str().map(str::to_owned);
        let count = |value: &toml::Value| {
            let number = |key: &str| u64::try_from(value.get(key)?.as_integer()?).ok();
            Some(Count {
                instructions: number("instructions")?,
                sha256: number("sha256")?,
            })
        };
        let counts = table.get("counts")?.as_table()?;
        let counts = counts
            .iter()
            .map(|(kind, value)| Some((kind.clone(), count(value)?)));
        Some(Self {
            rustc: word("rustc")?,
            commit: word("commit")?,
            counts: Counts(counts.collect::<Option<_>>()?),
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Measured<()> {
        fs::write(path, self.to_text()).map_err(|error| BenchError::setup(&error))
    }

    fn to_text(&self) -> String {
        let counts = self
            .counts
            .0
            .iter()
            .map(|(kind, Count { instructions, sha256 })| {
                format!("{kind} = {{ instructions = {instructions}, sha256 = {sha256} }}\n")
            });
        format!(
            "# Instructions of one operation. Written by `cargo xtask bench --instructions --record`.\n\
             rustc = \"{}\"\ncommit = \"{}\"\n\n[counts]\n{}",
            self.rustc,
            self.commit,
            counts.collect::<String>()
        )
    }

    /// Compares. Another compiler makes other instructions: then nothing is compared, and a note says so.
    ///
    /// # Errors
    /// When the compiler does not say which one it is.
    pub fn compare(&self, counts: &Counts) -> Measured<Verdict> {
        Ok(self.compare_by(counts, &rustc()?))
    }

    fn compare_by(&self, counts: &Counts, rustc: &str) -> Verdict {
        let mut verdict = Verdict {
            compared: self.rustc == rustc,
            ..Verdict::default()
        };
        if !verdict.compared {
            let was = &self.rustc;
            verdict.notes.push(format!(
                "recorded with {was}, this is {rustc}: not compared; record anew"
            ));
            return verdict;
        }
        let (known, found) = (&self.counts.0, &counts.0);
        for kind in known.keys().filter(|kind| !found.contains_key(*kind)) {
            verdict.slower.push(format!(
                "{kind}: is in the baseline and was not counted; record anew"
            ));
        }
        for (kind, now) in found {
            let Some(then) = known.get(kind) else {
                verdict
                    .slower
                    .push(format!("{kind}: is not in the baseline; record anew"));
                continue;
            };
            let pairs = [
                ("instructions", then.instructions, now.instructions),
                ("instructions of SHA-256", then.sha256, now.sha256),
            ];
            for (what, then, now) in pairs {
                let said = format!("{kind}: {now} {what}, {then} at {}", self.commit);
                if now as f64 > then as f64 * (1.0 + MOST_SLOWER) {
                    verdict.slower.push(said);
                } else if (now as f64) < then as f64 * (1.0 - MOST_SLOWER) {
                    verdict
                        .notes
                        .push(format!("{said}; faster: record anew, so that it stays so"));
                }
            }
        }
        verdict
    }
}

fn rustc() -> Measured<String> {
    said_by("rustc", &["--version"])
}

fn said_by(program: &str, arguments: &[&str]) -> Measured<String> {
    let ran = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| BenchError::Setup(format!("{program} cannot be run: {error}")))?;
    match ran.status.success() {
        true => Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned()),
        false => Err(BenchError::Setup(format!("{program} failed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: u64, sha256: u64) -> Counts {
        Counts([("send".to_owned(), Count { instructions, sha256 })].into())
    }

    fn baseline() -> Baseline {
        Baseline {
            rustc: "rustc 1".into(),
            commit: "abc".into(),
            counts: counts(1_000, 500),
        }
    }

    fn found(counts: &Counts) -> (usize, usize) {
        let verdict = baseline().compare_by(counts, "rustc 1");
        (verdict.slower.len(), verdict.notes.len())
    }

    #[test]
    fn slower_by_more_than_a_tenth_fails_and_faster_is_told() {
        assert_eq!(found(&counts(1_100, 550)), (0, 0));
        assert_eq!(found(&counts(1_101, 500)), (1, 0));
        assert_eq!(found(&counts(1_000, 551)), (1, 0), "hashing is counted apart");
        assert_eq!(found(&counts(899, 500)), (0, 1));
        assert_eq!(found(&Counts::default()), (1, 0), "a row that is gone");
    }

    #[test]
    fn with_another_compiler_nothing_is_compared_and_that_is_told() {
        let verdict = baseline().compare_by(&counts(9_000, 500), "rustc 2");
        assert!(!verdict.compared);
        assert_eq!((verdict.slower.len(), verdict.notes.len()), (0, 1));
        assert!(baseline().compare_by(&counts(1_000, 500), "rustc 1").compared);
    }

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(Baseline::parse(&baseline().to_text()), Some(baseline()));
        assert_eq!(Baseline::parse("rustc = 1"), None);
    }

    #[test]
    fn a_function_has_what_it_took_itself() {
        let profile = "positions: line\nevents: Ir\n\nfn=a\n0 10\ncfn=b\ncalls=2 0\n0 500\n0 5\n\nfn=b\n7 250\nfn=a\n1 1\n\
                       totals: 266\n";
        assert_eq!(self_costs(profile), BTreeMap::from([("a", 16), ("b", 250)]));
    }
}
