//! `cargo xtask mutants`: whether the tests notice. Machines and stores that are broken on purpose first, then whatever
//! `cargo-mutants` makes of `verify-core`. Arguments after `--` are its own: `--file`, `--shard`, `--in-diff`.

use std::io;
use std::process::{Command, ExitStatus};

use crate::tree;

const BROKEN: &[&str] = &[
    "test",
    "-p",
    "verify-tests",
    "--test",
    "broken_machines",
    "--test",
    "broken_stores",
    "--test",
    "broken_transactions",
];

/// Mutants of the core against its own tests, which are quick.
const BY_ITSELF: &[&str] = &["--test-package", "verify-core"];

/// Those that are left against the tests of the whole.
const BY_THE_WHOLE: &[&str] = &[
    "--iterate",
    "--test-package",
    "verify-core",
    "--test-package",
    "verify-tests",
];

/// Searches that take longer than all other tests together. The others explore the same flows.
const SKIPPED: &[&str] = &[
    "--tests",
    "--",
    "--skip",
    "i02_two_checks_and_a_send",
    "--skip",
    "i24_a_check_a_cancel_and_a_send",
    "--skip",
    "every_transition_of_both_tables",
];

/// What `cargo mutants` exits with when mutants were missed, or took too long.
const SURVIVORS: [i32; 2] = [2, 3];

/// Runs it all: what is not noticed is a fault. That `cargo-mutants` is not there and cannot be
/// installed is one too.
///
/// # Errors
/// A program that cannot be run.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let given: Vec<String> = arguments.skip_while(|word| word == "--").collect();
    if !cargo(BROKEN)?.success() {
        return Ok(vec!["a broken machine or store is not noticed".to_owned()]);
    }
    let installed = cargo(&["mutants", "--version"])?.success()
        || cargo(&["install", "cargo-mutants", "--locked"])?.success();
    if !installed {
        return Ok(vec![
            "cargo-mutants cannot be installed. Not run: the mutants of verify-core".to_owned(),
        ]);
    }
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let of_the_core = ["mutants", "--package", "verify-core"];
    let alone = cargo(&[&of_the_core, BY_ITSELF, &given, &["--", "--tests"]].concat())?;
    if alone.success() {
        return Ok(Vec::new());
    }
    if !alone.code().is_some_and(|code| SURVIVORS.contains(&code)) {
        return Ok(vec!["cargo mutants could not be run".to_owned()]);
    }
    let whole = cargo(&[&of_the_core, BY_THE_WHOLE, &given, &["--"], SKIPPED].concat())?;
    match whole.success() {
        true => Ok(Vec::new()),
        false => Ok(vec![
            "mutants survive: they are listed in mutants.out/missed.txt".to_owned(),
        ]),
    }
}

fn cargo(arguments: &[&str]) -> io::Result<ExitStatus> {
    println!("cargo {}", arguments.join(" "));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo)
        .args(arguments)
        .env("RUSTFLAGS", tree::BROKEN)
        .current_dir(tree::root())
        .status()
}
