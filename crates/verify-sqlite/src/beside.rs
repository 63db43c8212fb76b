//! What SQLite keeps beside a file: its log, and the index of that.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Which file stands under a name.
pub(crate) type Inode = (u64, u64);

/// A file and what lies beside it, as they were when it was opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Files {
    pub(crate) file: Inode,
    log: Option<Inode>,
    index: Option<Inode>,
}

impl Files {
    /// Those under this name now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: inode(path)?,
            log: inode(&beside(path, "-wal")?).ok(),
            index: inode(&beside(path, "-shm")?).ok(),
        })
    }

    /// Once another file stands in the place of this one: its log would be read into that, because SQLite goes by the name. It is
    /// kept under another one, for it has what was written last into the file that was moved away. One that came along with the
    /// other file stays.
    pub(crate) fn set_aside(&self, path: &Path) -> io::Result<()> {
        let (log, index) = (beside(path, "-wal")?, beside(path, "-shm")?);
        // Whoever has noticed too does the same, and must not meet the log that was begun since. No lock of SQLite's is on a directory.
        let directory = File::open(log.parent().unwrap_or(&log))?;
        flock(&directory, FlockOperation::LockExclusive)?;
        let is_this = |path: &Path, this: Option<Inode>| this.is_some() && inode(path).ok() == this;
        if is_this(&log, self.log) {
            fs::rename(&log, beside(path, "-wal-of-before")?)?;
        }
        if is_this(&index, self.index) {
            fs::remove_file(&index)?;
        }
        Ok(())
    }
}

/// Which file stands under this name now. Another one than was opened: it was moved away, and what is written is lost with it.
pub(crate) fn inode(path: &Path) -> io::Result<Inode> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

/// A name beside a file, as SQLite makes it: beside the file itself, where the name is a link to it.
pub(crate) fn beside(path: &Path, ending: &str) -> io::Result<PathBuf> {
    let mut name = OsString::from(fs::canonicalize(path)?);
    name.push(ending);
    Ok(name.into())
}
