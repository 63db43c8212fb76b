//! The state directory: what this machine keeps besides the store. So far that is which epoch each store had when it was last
//! used here, so that one that lost its data is not taken for a new one.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use verify_core::store::Epoch;

const EPOCHS: &str = "epochs.toml";
const HEAD: &str = "# The epoch that each store had when it was last used here. A store without one is new only if it is not in this list.\n";

/// The state directory.
#[derive(Debug, Clone)]
pub(crate) struct StateDir(PathBuf);

/// It cannot be had or used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// It cannot be made, read or written.
    #[error(
        "the state directory: {path}: {error}; set --state-dir or STATE_DIRECTORY to a directory that this user may write"
    )]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What it remembers cannot be read.
    #[error(
        "the state directory: {path} is not what was written there; restore it, or remove it if no store lost its data"
    )]
    Unreadable {
        /// Which file.
        path: PathBuf,
    },
}

impl StateDir {
    /// Makes it, for its owner alone, where there is none.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn make(path: &Path) -> Result<Self, StateDirError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| failed(path, error))?;
        Ok(Self(path.to_owned()))
    }

    /// As it is; there may be none.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The epoch that a store had when it was last used here.
    ///
    /// # Errors
    /// What is remembered cannot be read.
    pub(crate) fn remembered(&self, store: &str) -> Result<Option<Epoch>, StateDirError> {
        let all = self.all()?;
        let Some(text) = all.get(store) else {
            return Ok(None);
        };
        let epoch = from_hex(text).ok_or_else(|| self.unreadable())?;
        Ok(Some(epoch))
    }

    /// Keeps it, durably, where it is another one than before.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn remember(&self, store: &str, epoch: Epoch) -> Result<(), StateDirError> {
        let mut all = self.all()?;
        let before = all.insert(store.to_owned(), to_hex(epoch));
        if before.as_ref() == all.get(store) {
            return Ok(());
        }
        let text = toml::to_string(&all).map_err(|_| self.unreadable())?;
        let written = self.replace(&format!("{HEAD}{text}"));
        written.map_err(|error| failed(&self.epochs(), error))
    }

    /// A file is there whole or as before: under its own name only once it is on the disk.
    fn replace(&self, text: &str) -> io::Result<()> {
        let new = self.0.join(format!("{EPOCHS}.{}", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.epochs())?;
        File::open(&self.0)?.sync_all()
    }

    fn all(&self) -> Result<BTreeMap<String, String>, StateDirError> {
        match fs::read_to_string(self.epochs()) {
            Ok(text) => toml::from_str(&text).map_err(|_| self.unreadable()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(failed(&self.epochs(), error)),
        }
    }

    fn epochs(&self) -> PathBuf {
        self.0.join(EPOCHS)
    }

    fn unreadable(&self) -> StateDirError {
        StateDirError::Unreadable { path: self.epochs() }
    }
}

/// An epoch as it is written.
pub(crate) fn to_hex(epoch: Epoch) -> String {
    format!("{:032x}", u128::from_be_bytes(epoch.0))
}

fn from_hex(text: &str) -> Option<Epoch> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(Epoch(number.to_be_bytes()))
}

fn failed(path: &Path, error: io::Error) -> StateDirError {
    StateDirError::Io {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_remembered_is_read_back_and_for_its_owner_alone() {
        let path = std::env::temp_dir().join(format!("verify-state-{}", std::process::id()));
        let dir = StateDir::make(&path.join("deep")).unwrap();
        let (one, two) = (Epoch([1; 16]), Epoch([0xfe; 16]));
        assert_eq!(dir.remembered("sqlite:/a \"b\".db").unwrap(), None);
        for (store, epoch) in [("sqlite:/a \"b\".db", one), ("x", two), ("x", one), ("x", one)] {
            dir.remember(store, epoch).unwrap();
            assert_eq!(dir.remembered(store).unwrap(), Some(epoch));
        }
        assert_eq!(dir.remembered("sqlite:/a \"b\".db").unwrap(), Some(one));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path.join("deep")), mode(&dir.epochs())), (0o700, 0o600));
        let names: Vec<_> = fs::read_dir(path.join("deep")).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left over: {names:?}");
        for damaged in ["x = 1\n", "x = \"12\"\n", "what?"] {
            fs::write(dir.epochs(), damaged).unwrap();
            let said = dir.remembered("x").unwrap_err().to_string();
            assert!(said.contains("is not what was written there"), "{said}");
        }
        fs::remove_dir_all(&path).unwrap();
    }
}
