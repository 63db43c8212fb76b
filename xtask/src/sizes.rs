//! `cargo xtask sizes`: what is too long to be read at once.

use std::io;
use std::path::Path;

use crate::tree::{Source, function_on, head_of, sources};

const MOST_LINES_OF_A_FILE: usize = 600;
const MOST_LINES_OF_A_FUNCTION: usize = 70;
/// Above a function it says why this one may be longer.
const EXCUSE: &str = "// long because ";

/// All files and functions that are too long.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn check(root: &Path) -> io::Result<Vec<String>> {
    let sources = sources(root, &["crates", "tests", "xtask"])?;
    Ok(sources.iter().flat_map(too_long).collect())
}

fn too_long(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    if lines.len() > MOST_LINES_OF_A_FILE {
        found.push(format!("{} has {} lines", source.path, lines.len()));
    }
    for (first, line) in lines.iter().enumerate() {
        let Some(name) = function_on(line) else { continue };
        let length = length_from(&lines, first);
        if length > MOST_LINES_OF_A_FUNCTION && !head_of(&lines, first).any(|line| line.starts_with(EXCUSE)) {
            found.push(format!(
                "{}:{}: {name} has {length} lines",
                source.path,
                first + 1
            ));
        }
    }
    found
}

/// How long the function is that starts there. Formatted code closes a body where its first line is indented to, and a
/// declaration without a body ends there too, on a line with a semicolon.
fn length_from(lines: &[&str], first: usize) -> usize {
    let body = lines.get(first..).unwrap_or_default();
    let indent = body.first().map_or(0, |line| indent_of(line));
    let ends = |line: &&str| {
        let text = line.trim_end();
        indent_of(line) == indent && (text.ends_with('}') || text.ends_with(';'))
    };
    body.iter().position(ends).map_or(0, |last| last + 1)
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: String) -> Source {
        Source {
            path: "a.rs".to_owned(),
            text,
        }
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    go();\n".repeat(lines - 2))
    }

    #[test]
    fn nothing_in_this_workspace_is_too_long() {
        assert_eq!(check(&crate::tree::root()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_function_of_71_lines_is_named() {
        assert!(too_long(&source(function(70))).is_empty());
        assert_eq!(too_long(&source(function(71))), ["a.rs:1: long has 71 lines"]);
    }

    #[test]
    fn a_reason_excuses_it() {
        let excused = format!("// long because it is a table\n#[test]\n{}", function(90));
        assert!(too_long(&source(excused)).is_empty());
    }

    #[test]
    fn a_declaration_has_no_body() {
        let text = format!(
            "trait T {{\n    fn one(\n        &self,\n    ) -> u8;\n{}}}\n",
            "    // …\n".repeat(90)
        );
        assert!(too_long(&source(text)).is_empty());
    }

    #[test]
    fn a_file_of_601_lines_is_named() {
        assert!(too_long(&source("\n".repeat(600))).is_empty());
        assert_eq!(too_long(&source("\n".repeat(601))), ["a.rs has 601 lines"]);
    }
}
