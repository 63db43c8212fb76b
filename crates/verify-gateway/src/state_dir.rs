//! The state directory: what this machine keeps besides the store. So far that is which epoch each store had when it was last
//! used here, so that one that lost its data is not taken for a new one.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use verify_core::store::Epoch;

const EPOCHS: &str = "epochs.toml";
/// Whoever changes that file holds a lock on this one: the file itself is replaced.
const LOCK: &str = "epochs.lock";
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

    /// The epoch that a store had when it was last used here, by the first of its names that is known.
    ///
    /// # Errors
    /// What is remembered cannot be read.
    pub(crate) fn remembered(&self, names: &[String]) -> Result<Option<Epoch>, StateDirError> {
        let all = self.all()?;
        let Some(text) = names.iter().find_map(|name| all.get(name)) else {
            return Ok(None);
        };
        let epoch = from_hex(text).ok_or_else(|| self.unreadable())?;
        Ok(Some(epoch))
    }

    /// Keeps it under each of a store's names, durably, where it is another one than before. What other processes keep meanwhile
    /// stays.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn remember(&self, names: &[String], epoch: Epoch) -> Result<(), StateDirError> {
        let epoch = to_hex(epoch);
        let says = |all: &BTreeMap<_, _>| names.iter().all(|name| all.get(name) == Some(&epoch));
        // Where there is nothing to write a directory that cannot be written to will do.
        if says(&self.all()?) {
            return Ok(());
        }
        let _alone = self.lock().map_err(|error| failed(&self.0.join(LOCK), error))?;
        let mut all = self.all()?;
        all.extend(names.iter().map(|name| (name.clone(), epoch.clone())));
        let text = toml::to_string(&all).map_err(|_| self.unreadable())?;
        let written = self.replace(&format!("{HEAD}{text}"));
        written.map_err(|error| failed(&self.epochs(), error))
    }

    /// Waits until no other process changes it, for as long as what comes back is held.
    fn lock(&self) -> io::Result<File> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.0.join(LOCK))?;
        self.belongs_to_whose_directory_it_is(&lock)?;
        lock.lock()?;
        Ok(lock)
    }

    /// What an operator's command makes as another user is for the gateway, whose directory it is. Who may not give it away
    /// shares the directory in another way.
    fn belongs_to_whose_directory_it_is(&self, file: &File) -> io::Result<()> {
        let (own, directory) = (file.metadata()?, fs::metadata(&self.0)?);
        if own.uid() == directory.uid() {
            return Ok(());
        }
        match fchown(file, Some(directory.uid()), Some(directory.gid())) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            given => given,
        }
    }

    /// A file is there whole or as before: under its own name only once it is on the disk. What somebody left who was killed
    /// in between is written over.
    fn replace(&self, text: &str) -> io::Result<()> {
        let new = self.0.join(format!("{EPOCHS}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        self.belongs_to_whose_directory_it_is(&file)?;
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

    /// A directory of a test, where there is nothing yet.
    fn fresh(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("verify-state-{}-{name}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        path
    }

    fn named(name: &str) -> [String; 1] {
        [name.to_owned()]
    }

    #[test]
    fn what_is_remembered_is_read_back_and_for_its_owner_alone() {
        let path = fresh("read");
        let dir = StateDir::make(&path.join("deep")).unwrap();
        let (one, two) = (Epoch([1; 16]), Epoch([0xfe; 16]));
        let odd = named("sqlite:/a \"b\".db");
        assert_eq!(dir.remembered(&odd).unwrap(), None);
        let x = named("x");
        for (store, epoch) in [(&odd, one), (&x, two), (&x, one), (&x, one)] {
            dir.remember(store, epoch).unwrap();
            assert_eq!(dir.remembered(store).unwrap(), Some(epoch));
        }
        assert_eq!(dir.remembered(&odd).unwrap(), Some(one));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path.join("deep")), mode(&dir.epochs())), (0o700, 0o600));
        let mut names: Vec<_> = fs::read_dir(path.join("deep"))
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, [LOCK, EPOCHS], "nothing is left over");
        for damaged in ["x = 1\n", "x = \"12\"\n", "what?"] {
            fs::write(dir.epochs(), damaged).unwrap();
            let said = dir.remembered(&x).unwrap_err().to_string();
            assert!(said.contains("is not what was written there"), "{said}");
        }
        fs::remove_dir_all(&path).unwrap();
    }

    /// As root does it for a service that is somebody else.
    #[test]
    fn what_an_operator_made_is_the_directorys_owners() {
        let path = fresh("owner");
        let dir = StateDir::make(&path).unwrap();
        if std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).is_err() {
            // Only root can be somebody else here.
            return;
        }
        dir.remember(&named("a"), Epoch([1; 16])).unwrap();
        for file in [EPOCHS, LOCK] {
            assert_eq!(fs::metadata(path.join(file)).unwrap().uid(), 65_534, "{file}");
        }
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_store_is_known_by_any_of_its_names() {
        let path = fresh("names");
        let dir = StateDir::make(&path).unwrap();
        let (one, two) = (Epoch([1; 16]), Epoch([2; 16]));
        let names = ["a", "b"].map(str::to_owned);
        dir.remember(&names, one).unwrap();
        dir.remember(&named("b"), two).unwrap();
        assert_eq!(dir.remembered(&named("a")).unwrap(), Some(one));
        assert_eq!(dir.remembered(&["c", "b"].map(str::to_owned)).unwrap(), Some(two));
        assert_eq!(
            dir.remembered(&names).unwrap(),
            Some(one),
            "the first one says it"
        );
        assert_eq!(dir.remembered(&[]).unwrap(), None);
        // One of two is not what it was: both are written.
        dir.remember(&names, one).unwrap();
        assert_eq!(dir.remembered(&named("b")).unwrap(), Some(one));
        fs::remove_dir_all(&path).unwrap();
    }

    /// As containers are that share a directory: each has the number 1 for a process.
    #[test]
    fn what_starts_at_once_loses_nothing_of_what_others_remember() {
        let path = fresh("at-once");
        let dir = StateDir::make(&path).unwrap();
        let name = |who: u8, nth: u8| named(&format!("{who} {nth}"));
        std::thread::scope(|scope| {
            for who in 0..8 {
                let dir = &dir;
                scope.spawn(move || {
                    for nth in 0..8 {
                        dir.remember(&name(who, nth), Epoch([who; 16])).unwrap();
                    }
                });
            }
        });
        for (who, nth) in (0..8).flat_map(|who| (0..8).map(move |nth| (who, nth))) {
            let kept = dir.remembered(&name(who, nth)).unwrap();
            assert_eq!(kept, Some(Epoch([who; 16])), "{who} {nth}");
        }
        fs::remove_dir_all(&path).unwrap();
    }
}
