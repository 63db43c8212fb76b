//! `cargo xtask purity`: the core stays a function of its inputs.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::tree::{Source, sources};

/// What `verify-core` may depend on directly. A new name here needs a reason in the commit: it must not bring a clock,
/// randomness, a runtime or a network.
const ALLOWED: &[&str] = &[
    "async-trait",
    "auto_impl",
    "base64",
    "chacha20poly1305",
    "chrono",
    "hmac",
    "idna",
    "ipnet",
    "mailchecker",
    "mockall",
    "postcard",
    "rlibphonenumber",
    "serde",
    "serde_json",
    "sha2",
    "subtle",
    "thiserror",
    "toml",
    "zeroize",
];

/// What its sources may not name. Comments may.
const FORBIDDEN: &[&str] = &[
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "rand",
    "getrandom",
    "tokio",
    "std::env",
    "std::thread",
    "std::net::Tcp",
    "std::net::Udp",
    "std::fs",
    "HashMap",
    "HashSet",
];

/// All that makes `verify-core` impure.
///
/// # Errors
/// A file that cannot be read, or `cargo tree` that cannot be run.
pub(crate) fn check(root: &Path) -> io::Result<Vec<String>> {
    let mut found = strangers(&dependencies(root)?);
    for source in sources(root, &["crates/verify-core/src"])? {
        found.extend(impurities(&source));
    }
    Ok(found)
}

/// What `cargo tree` says, every feature on.
fn dependencies(root: &Path) -> io::Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--package", "verify-core", "--edges", "normal,build"])
        .args(["--all-features", "--depth", "1", "--prefix", "none", "--locked"])
        .current_dir(root)
        .output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("cargo tree failed: {}", said.trim())))
    }
}

/// The dependencies in `cargo tree`'s words that are not allowed. The first line is the package itself.
fn strangers(tree: &str) -> Vec<String> {
    let names: BTreeSet<&str> = tree
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| !name.starts_with('['))
        .collect();
    names
        .into_iter()
        .filter(|name| !ALLOWED.contains(name))
        .map(|name| format!("verify-core depends on {name}, which is not on the list in xtask/src/purity.rs"))
        .collect()
}

fn impurities(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let named = FORBIDDEN.iter().filter(|name| names(code, name));
        found.extend(named.map(|name| format!("{}:{}: names {name}", source.path, index + 1)));
    }
    found
}

/// True when the code has this word, not as a part of a longer one. What ends in a capital word (`std::net::Tcp`) is a
/// beginning and may go on.
fn names(code: &str, word: &str) -> bool {
    let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code.get(..at).and_then(|text| text.chars().next_back());
        let after = code.get(at + word.len()..).and_then(|text| text.chars().next());
        let open_end = word.starts_with("std::net::");
        !before.is_some_and(part_of_a_word) && (open_end || !after.is_some_and(part_of_a_word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(text: &str) -> Vec<String> {
        impurities(&Source {
            path: "a.rs".to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn the_core_of_this_workspace_is_pure() {
        assert_eq!(check(&crate::tree::root()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_that_is_not_on_the_list_is_named() {
        let tree = "verify-core v0.1.0 (/w)\nserde v1.0.0\ntokio v1.54.0\n[build-dependencies]\ncc v1.0.0\n";
        let found = strangers(tree);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("cc") && found[1].contains("tokio"));
    }

    #[test]
    fn each_forbidden_name_is_found_where_it_stands() {
        for name in FORBIDDEN {
            assert_eq!(
                found_in(&format!("fn a() {{}}\nuse {name};")),
                [format!("a.rs:2: names {name}")]
            );
        }
        assert_eq!(
            found_in("let now = std::time::Instant::now();"),
            ["a.rs:1: names Instant::now"]
        );
        assert_eq!(
            found_in("std::net::TcpStream::connect(it)"),
            ["a.rs:1: names std::net::Tcp"]
        );
    }

    #[test]
    fn comments_and_longer_words_are_fine() {
        assert!(found_in("//! without tokio\nlet brand = operand; // no HashMap here").is_empty());
    }
}
