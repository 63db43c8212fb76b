//! What others than its owner may do with the files of a store.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::{Storage, Store};

/// What others may do with a file that is for its owner alone, with what to do about it.
pub(super) fn file(path: &Path) -> Option<String> {
    let mode = mode(path).filter(|mode| mode & 0o077 != 0)?;
    Some(format!(
        "others may open it ({:04o}); chmod 600 it, and what stands beside it with -wal and -shm",
        mode & 0o777
    ))
}

/// Directories in which others may put other files in the place of the store's, each with what to do about it.
pub(super) fn directories(storage: &Storage) -> Vec<(PathBuf, String)> {
    let of_the_file = match &storage.store {
        Store::Sqlite(path) => path.parent(),
        Store::Memory | Store::Postgres(_) | Store::Redis(_) => None,
    };
    let own = storage.remembers.then_some(storage.state_dir.as_path());
    let all: BTreeSet<_> = of_the_file.into_iter().chain(own).collect();
    let exposed = all.into_iter().filter_map(|path| {
        // With the sticky bit whoever owns a file is the only one to move it.
        let mode = mode(path).filter(|mode| mode & 0o022 != 0 && mode & 0o1000 == 0)?;
        let words = format!("others may put other files in the place of its own ({mode:04o}); chmod 700 it");
        Some((path.to_owned(), words))
    });
    exposed.collect()
}

/// All of it, for whoever starts.
pub(crate) fn notes(storage: &Storage) -> Vec<String> {
    let of_the_file = match &storage.store {
        Store::Sqlite(path) => file(path).map(|words| (path.clone(), words)),
        Store::Memory | Store::Postgres(_) | Store::Redis(_) => None,
    };
    of_the_file
        .into_iter()
        .chain(directories(storage))
        .map(|(path, words)| format!("{}: {words}", path.display()))
        .collect()
}

fn mode(path: &Path) -> Option<u32> {
    let metadata = fs::metadata(path).ok()?;
    Some(metadata.permissions().mode() & 0o7777)
}
