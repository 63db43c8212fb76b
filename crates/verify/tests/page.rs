//! The front page: who copies the program with the dependencies that it names has all that the program needs.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test that panics has found something"
)]

const PAGE: &str = include_str!("../README.md");
const MANIFEST: &str = include_str!("../Cargo.toml");
const PROGRAM: [&str; 3] = [
    include_str!("../examples/service/accounts.rs"),
    include_str!("../examples/service/app.rs"),
    include_str!("../examples/service/main.rs"),
];
const TESTS: &str = include_str!("tutorial.rs");

/// The names of a section of a manifest.
fn names<'a>(manifest: &'a str, section: &str) -> Vec<&'a str> {
    let (_, rest) = manifest.split_once(section).unwrap();
    rest.lines()
        .skip(1)
        .take_while(|line| line.contains('='))
        .filter_map(|line| line.split([' ', '.']).next())
        .collect()
}

fn uses(text: &str, package: &str) -> bool {
    let path = format!("{}::", package.replace('-', "_"));
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.match_indices(&path).map(move |(at, _)| &line[..at]))
        .any(|before| !before.ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c)))
}

#[test]
fn the_page_names_what_the_program_and_its_tests_use() {
    let here = names(PAGE, "[dependencies]");
    let for_tests = names(PAGE, "[dev-dependencies]");
    let packages = names(MANIFEST, "[dev-dependencies]");
    assert!(
        packages.contains(&"rand") && here.contains(&"verify-2fa"),
        "{packages:?} {here:?}"
    );
    for package in packages {
        let by_the_program = PROGRAM.iter().any(|text| uses(text, package));
        assert!(
            !by_the_program || here.contains(&package),
            "the program needs {package}: {here:?}"
        );
        let by_tests = uses(TESTS, package);
        assert!(
            !by_tests || here.contains(&package) || for_tests.contains(&package),
            "its tests need {package}: {here:?} {for_tests:?}"
        );
    }
}
