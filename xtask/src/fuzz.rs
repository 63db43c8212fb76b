//! `cargo xtask fuzz`: every target for a while, one after the other, on what its corpus holds.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::tree;

/// How long a target is run when nothing else is said.
const SECONDS: u32 = 60;
const INSTALL: &str = "cargo-fuzz is not here: cargo install cargo-fuzz --locked (it needs a C++ compiler: apt-get install clang)";

#[derive(Debug, PartialEq)]
struct Wanted {
    seconds: u32,
    target: Option<String>,
}

/// Runs the targets that are asked for. What a fuzzer finds is a fault; the input that shows it is left in
/// `fuzz/artifacts`.
///
/// # Errors
/// A program that cannot be run.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let root = tree::root();
    let targets = targets(&root)?;
    let wanted = match Wanted::read(arguments, &targets) {
        Ok(wanted) => wanted,
        Err(fault) => return Ok(vec![fault]),
    };
    if !cargo_fuzz(&root, &["--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?
        .success()
    {
        return Ok(vec![INSTALL.to_owned()]);
    }
    let mut faults = Vec::new();
    for target in wanted
        .target
        .as_ref()
        .map_or(targets.as_slice(), std::slice::from_ref)
    {
        println!("{target}: {} s", wanted.seconds);
        // What it learns goes to a folder of its own: the corpus that is committed stays small.
        let learned = root.join("fuzz/target/learned").join(target);
        fs::create_dir_all(&learned)?;
        let status = cargo_fuzz(&root, &["run", "--sanitizer", "none", target])
            .arg(&learned)
            .arg(root.join("fuzz/corpus").join(target))
            .args(["--", "-max_len=4096", "-timeout=20", "-print_final_stats=1"])
            .arg(format!("-max_total_time={}", wanted.seconds))
            .status()?;
        if !status.success() {
            faults.push(format!("{target} found something: see fuzz/artifacts/{target}"));
        }
    }
    Ok(faults)
}

/// Without a sanitizer it works on the stable compiler; the coverage that guides it is there all the same.
fn cargo_fuzz(root: &Path, arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("fuzz").args(arguments).current_dir(root);
    command
}

/// The names of all targets, sorted.
fn targets(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("fuzz/fuzz_targets"))? {
        names.extend(
            entry?
                .path()
                .file_stem()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    names.sort();
    Ok(names)
}

impl Wanted {
    fn read(mut arguments: impl Iterator<Item = String>, targets: &[String]) -> Result<Self, String> {
        let mut wanted = Self {
            seconds: SECONDS,
            target: None,
        };
        while let Some(argument) = arguments.next() {
            if argument == "--seconds" {
                let value = arguments.next().ok_or("--seconds needs a number")?;
                let seconds = value.parse().ok().filter(|seconds| *seconds > 0);
                wanted.seconds =
                    seconds.ok_or_else(|| format!("--seconds: {value} is no number that would do"))?;
            } else if targets.contains(&argument) && wanted.target.is_none() {
                wanted.target = Some(argument);
            } else {
                let known = targets.join(", ");
                return Err(format!(
                    "usage: cargo xtask fuzz [--seconds N] [TARGET], of {known}; not {argument}"
                ));
            }
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_faults_named() {
        let targets = targets(&tree::root()).unwrap();
        let read = |arguments: &[&str]| {
            Wanted::read(arguments.iter().map(|argument| (*argument).to_owned()), &targets)
        };
        let machine = Some("machine".to_owned());
        assert_eq!(
            read(&[]),
            Ok(Wanted {
                seconds: SECONDS,
                target: None
            })
        );
        assert_eq!(
            read(&["--seconds", "5", "machine"]),
            Ok(Wanted {
                seconds: 5,
                target: machine
            })
        );
        for faulty in [
            &["--seconds"][..],
            &["--seconds", "0"],
            &["--seconds", "x"],
            &["machin"],
            &["machine", "token"],
        ] {
            assert!(read(faulty).is_err(), "{faulty:?}");
        }
    }
}
