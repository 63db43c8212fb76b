//! `cargo xtask promises`: every promise has a test, and the page that lists them is true.
//!
//! A test shows a promise when its name begins with the promise's id: `i12_no_interval_…`, or `i12_i05_…` for two. What
//! counts as a test is a function under `#[test]` or `#[tokio::test]`, and a case that a suite of the test kit lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use crate::tree::{Source, function_on, head_of, sources};

const PAGE: &str = "docs/promises.md";
const LATER: &str = "## Later";
/// The promises are numbered from 1 to this.
const LAST: u8 = 67;
/// From here on numbers are given by subject, with room between them: a promise is what has a row.
const BY_SUBJECT: u8 = 100;
const SUITES: &str = "crates/verify-testkit/src/suite";

/// All that is missing between promises, tests and the page.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn check(root: &Path) -> io::Result<Vec<String>> {
    let sources = sources(root, &["crates", "tests"])?;
    let page = Page::read(&fs::read_to_string(root.join(PAGE))?);
    let exists = |path: &str| root.join(path).is_file();
    Ok(compare(&tests_of(&sources), &page, exists))
}

/// What the page says.
#[derive(Debug, Default)]
struct Page {
    /// Ids with a row of their own.
    rows: BTreeSet<u8>,
    /// Ids whose tests are still to come.
    later: BTreeSet<u8>,
    /// Words in backticks that begin like a test's name.
    tests: BTreeSet<String>,
    /// Words in backticks that end like a source file's name.
    files: BTreeSet<String>,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut in_later = false;
        for line in text.lines() {
            if line.starts_with("## ") {
                in_later = line.trim_end() == LATER;
            }
            let first = line.split('|').nth(1).unwrap_or_default().trim();
            if in_later {
                page.later.extend(line.split(' ').filter_map(id_of));
            } else {
                page.rows.extend(id_of(first));
            }
            let quoted = line.split('`').skip(1).step_by(2).map(str::to_owned);
            for word in quoted {
                if !ids_of_test(&word).is_empty() {
                    page.tests.insert(word);
                } else if word.ends_with(".rs") {
                    page.files.insert(word);
                }
            }
        }
        page
    }
}

/// `I-07` is 7; punctuation around it does not matter.
fn id_of(word: &str) -> Option<u8> {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let digits = word
        .strip_prefix("I-")
        .filter(|digits| (2..=3).contains(&digits.len()))?;
    digits.parse().ok()
}

/// The ids that a test's name begins with.
fn ids_of_test(name: &str) -> Vec<u8> {
    let id = |part: &str| {
        let digits = part
            .strip_prefix('i')
            .filter(|digits| (2..=3).contains(&digits.len()))?;
        digits.parse().ok()
    };
    name.split('_').map_while(id).collect()
}

/// Names of tests, each with the promises that it shows.
fn tests_of(sources: &[Source]) -> BTreeMap<String, Vec<u8>> {
    let listed: BTreeSet<&str> = sources
        .iter()
        .filter(|source| source.path.starts_with(SUITES))
        .flat_map(|source| source.text.lines())
        .filter_map(|line| line.trim().strip_suffix(','))
        .collect();
    let mut tests = BTreeMap::new();
    for source in sources {
        let lines: Vec<&str> = source.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(name) = function_on(line) else { continue };
            let ids = ids_of_test(name);
            let marked =
                head_of(&lines, index).any(|line| line == "#[test]" || line.starts_with("#[tokio::test"));
            let case = source.path.starts_with(SUITES) && listed.contains(name);
            if !ids.is_empty() && (marked || case) {
                tests.insert(name.to_owned(), ids);
            }
        }
    }
    tests
}

fn compare(tests: &BTreeMap<String, Vec<u8>>, page: &Page, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let shown: BTreeSet<u8> = tests.values().flatten().copied().collect();
    let mut found = Vec::new();
    for id in 1..=LAST {
        match (page.rows.contains(&id), page.later.contains(&id)) {
            (true, true) => found.push(format!(
                "I-{id:02} has a row and is listed under `{LATER}`: keep one"
            )),
            (false, false) => found.push(format!("I-{id:02} is missing in {PAGE}")),
            (true, false) if !shown.contains(&id) => found.push(format!(
                "I-{id:02} has no test: add one whose name begins with i{id:02}_"
            )),
            (false, true) if shown.contains(&id) => {
                found.push(format!("I-{id:02} has tests: give it a row instead of `{LATER}`"));
            }
            (true, false) | (false, true) => {}
        }
    }
    for id in page
        .rows
        .iter()
        .filter(|id| **id >= BY_SUBJECT && !shown.contains(id))
    {
        found.push(format!(
            "I-{id:02} has no test: add one whose name begins with i{id:02}_"
        ));
    }
    let known = |id: u8| id <= LAST || (id >= BY_SUBJECT && page.rows.contains(&id));
    let strange = |id: &&u8| !known(**id);
    for id in shown.union(&page.rows).chain(&page.later).filter(strange) {
        found.push(format!("I-{id:02} is no promise: they end at I-{LAST}"));
    }
    for name in &page.tests {
        if !tests.keys().any(|test| test.starts_with(name.as_str())) {
            found.push(format!("{PAGE} names {name}, and no test begins like that"));
        }
    }
    let gone = page.files.iter().filter(|path| !exists(path));
    found.extend(gone.map(|path| format!("{PAGE} names {path}, which is not there")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// A page with a row for each promise but those listed later.
    fn page(later: &[u8]) -> Page {
        Page {
            rows: (1..=LAST).filter(|id| !later.contains(id)).collect(),
            later: later.iter().copied().collect(),
            ..Page::default()
        }
    }

    /// A test for each promise but these.
    fn tests_without(missing: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let ids = (1..=LAST).filter(|id| !missing.contains(id));
        ids.map(|id| (format!("i{id:02}_it_holds"), vec![id])).collect()
    }

    #[test]
    fn every_promise_of_this_workspace_has_a_test_or_waits_for_one() {
        assert_eq!(check(&crate::tree::root()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_promise_without_a_test_is_named() {
        assert!(compare(&tests_without(&[]), &page(&[]), |_| true).is_empty());
        let found = compare(&tests_without(&[12]), &page(&[]), |_| true);
        assert_eq!(found, ["I-12 has no test: add one whose name begins with i12_"]);
    }

    #[test]
    fn a_promise_that_the_page_forgets_or_has_twice_is_named() {
        let mut forgets = page(&[]);
        forgets.rows.remove(&30);
        assert_eq!(
            compare(&tests_without(&[]), &forgets, |_| true),
            ["I-30 is missing in docs/promises.md"]
        );
        let mut twice = page(&[]);
        twice.later.insert(30);
        assert_eq!(compare(&tests_without(&[]), &twice, |_| true).len(), 1);
    }

    #[test]
    fn a_later_promise_with_a_test_leaves_the_list() {
        assert!(compare(&tests_without(&[62]), &page(&[62]), |_| true).is_empty());
        let found = compare(&tests_without(&[]), &page(&[62]), |_| true);
        assert_eq!(found, ["I-62 has tests: give it a row instead of `## Later`"]);
    }

    #[test]
    fn what_the_page_names_has_to_be_there() {
        let mut names = page(&[]);
        names.tests.insert("i12_gone".to_owned());
        names.files.insert("tests/gone.rs".to_owned());
        assert_eq!(compare(&tests_without(&[]), &names, |_| false).len(), 2);
    }

    #[test]
    fn tests_and_listed_cases_count_and_nothing_else_does() {
        let plain = "#[tokio::test(flavor = \"current_thread\")]\nasync fn i01_a() {\n}\n\
                     proptest! {\n    #[test]\n    fn i12_i05_b(x in 0..3) {\n    }\n}\n\
                     fn i02_helper() {\n}\n// fn i03_comment() {\n";
        let list = "cases! { [\n    i49_c,\n] }\n";
        let cases = "pub async fn i49_c(store: S) {\n}\npub async fn i57_not_listed(store: S) {\n}\n";
        let tests = tests_of(&[
            source("tests/a.rs", plain),
            source("crates/verify-testkit/src/suite/mod.rs", list),
            source("crates/verify-testkit/src/suite/cases.rs", cases),
        ]);
        let names: Vec<&str> = tests.keys().map(String::as_str).collect();
        assert_eq!(names, ["i01_a", "i12_i05_b", "i49_c"]);
        assert_eq!(tests["i12_i05_b"], [12, 5]);
    }

    #[test]
    fn rows_and_the_later_list_are_read_from_the_page() {
        let text = "| I-01 | words, see I-02 | `tests/a.rs`: `i01_a` |\n## Later\n- I-16, I-17: factors\n## More\nI-18\n";
        let page = Page::read(text);
        assert_eq!(page.rows, [1].into());
        assert_eq!(page.later, [16, 17].into());
        assert_eq!(page.tests, ["i01_a".to_owned()].into());
        assert_eq!(page.files, ["tests/a.rs".to_owned()].into());
    }
}
