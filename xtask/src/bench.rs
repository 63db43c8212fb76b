//! `cargo xtask bench`: the tables of `docs/benchmarks.md`. What measures is a package of its own, so that this one
//! stays quick to build.

use std::io;
use std::process::Command;

use crate::tree;

const PROGRAMS: &[&str] = &["verify-bench", "memory"];

/// Runs the programs one after the other, optimised; the first one takes the arguments.
///
/// # Errors
/// A program that cannot be run.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut arguments: Vec<String> = arguments.collect();
    for program in PROGRAMS {
        let status = Command::new(&cargo)
            .args([
                "run",
                "--quiet",
                "--release",
                "-p",
                "verify-bench",
                "--bin",
                program,
                "--",
            ])
            .args(std::mem::take(&mut arguments))
            .current_dir(tree::root())
            .status()?;
        if !status.success() {
            return Ok(vec![format!("{program} failed")]);
        }
    }
    Ok(Vec::new())
}
