//! `cargo xtask packages`: every crate can be packaged, and asks for the Rust version that its dependencies ask for.
//!
//! The version is found from what the dependencies declare. That the code compiles with it is not shown by this.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    rust_version: Option<String>,
    description: Option<String>,
    readme: Option<String>,
    keywords: Vec<String>,
    categories: Vec<String>,
    manifest_path: String,
    metadata: Option<serde_json::Value>,
    /// Registries that it may go to: `None` is any, an empty list none.
    publish: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// Says what is missing, and packages the rest without building it again; `--verify` builds each package from its own
/// files alone.
///
/// # Errors
/// Cargo cannot be run.
pub(crate) fn check(root: &Path, arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let out = cargo(root).args(["metadata", "--format-version", "1"]).output()?;
    let metadata: Metadata = serde_json::from_slice(&out.stdout).map_err(io::Error::other)?;
    let mut found = Vec::new();
    let mut package = cargo(root);
    package.args(["package", "--workspace", "--allow-dirty", "--quiet"]);
    if !arguments.into_iter().any(|word| word == "--verify") {
        package.arg("--no-verify");
    }
    for member in metadata
        .packages
        .iter()
        .filter(|package| metadata.workspace_members.contains(&package.id))
    {
        if member.publish.as_ref().is_some_and(Vec::is_empty) {
            package.args(["--exclude", &member.name]);
            continue;
        }
        found.extend(lacks(member).map(|what| format!("{} has no {what}", member.name)));
        found.extend(too_old(member, &metadata));
    }
    if found.is_empty() && !package.status()?.success() {
        found.push("cargo package failed".to_owned());
    }
    Ok(found)
}

fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}

fn lacks(package: &Package) -> impl Iterator<Item = &'static str> {
    let beside = |name: &str| Path::new(&package.manifest_path).with_file_name(name).is_file();
    let has_docs = package
        .metadata
        .as_ref()
        .is_some_and(|it| it.pointer("/docs/rs").is_some());
    [
        (package.description.is_some(), "description"),
        (package.readme.as_deref().is_some_and(beside), "README.md"),
        (beside("LICENSE-MIT") && beside("LICENSE-APACHE"), "licence file"),
        (!package.keywords.is_empty(), "keywords"),
        (!package.categories.is_empty(), "categories"),
        (has_docs, "[package.metadata.docs.rs]"),
    ]
    .into_iter()
    .filter_map(|(has, what)| (!has).then_some(what))
}

/// The crate asks for an older Rust than one of its dependencies, or for a newer one than all of them need.
fn too_old(member: &Package, metadata: &Metadata) -> Option<String> {
    let packages: BTreeMap<_, _> = metadata.packages.iter().map(|it| (it.id.as_str(), it)).collect();
    let nodes: BTreeMap<_, _> = metadata
        .resolve
        .nodes
        .iter()
        .map(|it| (it.id.as_str(), it))
        .collect();
    let (mut seen, mut open) = (BTreeSet::new(), vec![member.id.as_str()]);
    while let Some(id) = open.pop() {
        if let Some(node) = nodes.get(id).filter(|_| seen.insert(id)) {
            let built = |it: &&Dependency| {
                it.dep_kinds
                    .iter()
                    .any(|kind| kind.kind.as_deref() != Some("dev"))
            };
            open.extend(node.deps.iter().filter(built).map(|it| it.pkg.as_str()));
        }
    }
    seen.remove(member.id.as_str());
    let asks = |it: &Package| it.rust_version.as_deref().map(version);
    let newest = seen
        .iter()
        .filter_map(|id| packages.get(id))
        .max_by_key(|it| asks(it))?;
    (asks(member) != asks(newest)).then(|| {
        format!(
            "{} asks for Rust {}, and its dependencies for {} ({} {})",
            member.name,
            member.rust_version.as_deref().unwrap_or("any"),
            newest.rust_version.as_deref().unwrap_or("any"),
            newest.name,
            newest.version,
        )
    })
}

/// The numbers of a version. `1.88` is `1.88.0`.
fn version(text: &str) -> [u32; 3] {
    let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(version("1.9") < version("1.88"));
        assert_eq!(version("1.88"), version("1.88.0"));
    }
}
