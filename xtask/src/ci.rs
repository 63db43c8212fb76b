//! `cargo xtask ci`: what a change has to pass, cheapest first; `scripts/test.sh` has what needs something installed.

use std::io;
use std::process::Command;

use crate::{alone, promises, purity, sizes, tree};

const STEPS: &[&[&str]] = &[
    &["fmt", "--all", "--check"],
    &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ],
    &["doc", "--workspace", "--no-deps"],
    // Each as somebody has it who takes nothing else: in the workspace the features of all others are on.
    &["check", "-p", "verify-http"],
    &["check", "-p", "verify-axum"],
    &["check", "-p", "verify-2fa"],
    &["test", "--workspace", "--all-features"],
];

/// Runs all of it and stops at the first step that fails.
///
/// # Errors
/// A step that cannot be run.
pub(crate) fn run() -> io::Result<Vec<String>> {
    let root = tree::root();
    for check in [promises::check, purity::check, sizes::check] {
        let found = check(&root)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for step in STEPS {
        println!("cargo {}", step.join(" "));
        let status = Command::new(&cargo)
            .args(*step)
            .env("RUSTDOCFLAGS", "--deny warnings")
            .env("RUSTFLAGS", tree::BROKEN)
            .current_dir(&root)
            .status()?;
        if !status.success() {
            return Ok(vec![format!("cargo {} failed", step.join(" "))]);
        }
    }
    alone::check(&root)
}
