//! `cargo xtask alone`: every library compiles by itself, with its default features and without them. A build of the whole
//! workspace shows neither: there, what one crate switches on is on for all.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::tree;

/// What somebody may depend on, and nothing else of ours. `http` and `axum` are the same crates below the umbrella.
const CHECKS: &[&[&str]] = &[
    &["verify-core", "--no-default-features"],
    &["verify-engine", "--no-default-features"],
    &["verify-http"],
    &["verify-axum"],
    &["verify-twilio"],
    &["verify-2fa", "--features", "axum,twilio"],
];

/// What is left without any feature but a store does its work.
const LEAN: &[&str] = &[
    "verify-2fa",
    "--no-default-features",
    "--features",
    "memstore",
    "--test",
    "lean",
];

/// Says what does not compile by itself.
///
/// # Errors
/// Cargo cannot be run.
pub(crate) fn check(root: &Path) -> io::Result<Vec<String>> {
    let checks = CHECKS.iter().map(|of| ("check", *of));
    let mut found = Vec::new();
    for (verb, of) in checks.chain([("test", LEAN)]) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args([verb, "--quiet", "--package"])
            .args(of)
            .env("RUSTFLAGS", tree::BROKEN)
            .current_dir(root)
            .status()?;
        if !status.success() {
            found.push(format!("cargo {verb} --package {} failed", of.join(" ")));
        }
    }
    Ok(found)
}
