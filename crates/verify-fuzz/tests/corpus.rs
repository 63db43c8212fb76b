//! What a fuzzer found worth keeping, once more: one test for each target.
#![allow(missing_docs, reason = "tests")]

use std::fs;
use std::path::Path;

/// Runs a body on every file of a target's corpus. A corpus that is not there would show nothing.
fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in &files {
        // The name comes first: a panic says which input it was.
        println!("{}", file.display());
        body(&fs::read(file).unwrap());
    }
}

macro_rules! replays {
    ($($target:ident),+ $(,)?) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),+];
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), verify_fuzz::$target);
            }
        )+
    };
}

replays!(
    destination,
    machine,
    policy,
    record,
    token,
    twilio_answer,
    webhook
);

#[test]
fn every_target_of_the_fuzzer_is_replayed() {
    let shells = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let mut names: Vec<String> = fs::read_dir(shells)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(names, TARGETS);
}
