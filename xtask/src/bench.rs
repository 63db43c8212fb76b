//! `cargo xtask bench`: the tables of `docs/benchmarks.md`. What measures is a package of its own, so that this one
//! stays quick to build.

use std::io;
use std::process::Command;

use crate::tree;

/// Programs that print tables, one after the other; the first one takes the arguments.
const TABLES: &[&str] = &["verify-bench", "memory"];
/// What counts instructions.
const COUNTS: &str = "counts";

/// Measures, or counts instructions when the first argument is `--instructions`.
///
/// # Errors
/// A program that cannot be run.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let mut arguments: Vec<String> = arguments.collect();
    if arguments.first().is_some_and(|first| first == "--instructions") {
        let arguments = arguments.split_off(1);
        return program("counts", COUNTS, arguments).map(|fault| fault.into_iter().collect());
    }
    // The programs that the first one starts are built along.
    if !cargo(&["build", "--quiet", "--release", "-p", "verify-bench", "--bins"])? {
        return Ok(vec!["the programs cannot be built".to_owned()]);
    }
    for name in TABLES {
        if let Some(fault) = program("release", name, std::mem::take(&mut arguments))? {
            return Ok(vec![fault]);
        }
    }
    Ok(Vec::new())
}

/// Runs a program, built in this profile. What is wrong with it, if anything is.
fn program(profile: &str, name: &str, arguments: Vec<String>) -> io::Result<Option<String>> {
    let run = [
        "run",
        "--quiet",
        "--profile",
        profile,
        "-p",
        "verify-bench",
        "--bin",
        name,
        "--",
    ];
    let arguments = run.into_iter().chain(arguments.iter().map(String::as_str));
    let ran = cargo(&arguments.collect::<Vec<_>>())?;
    Ok((!ran).then(|| format!("{name} failed")))
}

fn cargo(arguments: &[&str]) -> io::Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(arguments)
        .current_dir(tree::root())
        .status()?;
    Ok(status.success())
}
