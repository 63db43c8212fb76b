//! The workspace as files: where it is, and its Rust sources.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Compiles in the machines that are broken on purpose, for tests of the tests.
pub(crate) const BROKEN: &str = "--cfg verify_broken";

/// A source file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// From the root, with `/` between its parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The root of the workspace: the parent of this package, as cargo says while it runs it. What was true when it was
/// compiled need not be: several checkouts may share a target folder.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let package = PathBuf::from(package);
    package
        .parent()
        .map_or_else(|| package.clone(), Path::to_path_buf)
}

/// Every `.rs` file below these folders of the root, sorted by path. Build output and hidden folders are left out.
///
/// # Errors
/// A folder or file that cannot be read.
pub(crate) fn sources(root: &Path, folders: &[&str]) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    for folder in folders {
        collect(root, &root.join(folder), &mut found)?;
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(root, &path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(Source {
                path: relative(root, &path),
                text: fs::read_to_string(&path)?,
            });
        }
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

/// The lines directly above `lines[index]` that belong to the item there, nearest first: attributes and comments.
pub(crate) fn head_of<'a>(lines: &'a [&'a str], index: usize) -> impl Iterator<Item = &'a str> {
    let above = lines.get(..index).unwrap_or_default().iter().rev();
    above
        .map(|line| line.trim())
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
}

/// The name of the function that starts on this line, if one does.
pub(crate) fn function_on(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    loop {
        let (word, rest) = words.split_once(' ')?;
        match word {
            "fn" => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
                return rest.get(..end).filter(|name| !name.is_empty());
            }
            "async" | "const" | "pub" | "unsafe" | "extern" => words = rest,
            _ if word.starts_with("pub(") => words = rest,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_their_first_line() {
        assert_eq!(function_on("    pub(super) async fn go(self) {"), Some("go"));
        assert_eq!(
            function_on("pub const fn as_str(self) -> &'static str {"),
            Some("as_str")
        );
        assert_eq!(function_on("fn generic<T>("), Some("generic"));
        assert_eq!(function_on("    let fn_name = go();"), None);
        assert_eq!(function_on("// fn commented() {"), None);
        assert_eq!(function_on("        fn $case() {"), None);
    }

    #[test]
    fn the_head_of_an_item_ends_at_the_first_other_line() {
        let lines = ["let a = 1;", "/// Doc.", "#[test]", "fn it() {"];
        assert_eq!(head_of(&lines, 3).collect::<Vec<_>>(), ["#[test]", "/// Doc."]);
    }
}
