//! `cargo xtask explore`: every interleaving under the large budgets, optimised. What is explored is in `tests`.

use std::io;
use std::process::Command;

use crate::tree;

/// Runs the program with these arguments: `--tests` for the budgets of the tests, names for some of the searches.
///
/// # Errors
/// A program that cannot be run.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let program = ["-p", "verify-tests", "--bin", "explore", "--"];
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--release"])
        .args(program)
        .args(arguments)
        .current_dir(tree::root())
        .status()?;
    match status.success() {
        true => Ok(Vec::new()),
        false => Ok(vec![
            "something does not hold, or a search could not be run".to_owned(),
        ]),
    }
}
