//! What goes wrong, and what it means.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use verify_batch::Ended;
use verify_core::port::Detail;
use verify_core::store::StoreFault;

/// Why a file cannot be the store. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Its directory is missing, or it may not be written.
    #[error("{path}: {error}; the directory must exist and belong to this user")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Locks are not to be relied on there.
    #[error(
        "{path} lies on a network file system ({kind}), where locks do not hold; put it on a disk of this machine"
    )]
    NetworkFileSystem {
        /// Which file.
        path: PathBuf,
        /// Which kind.
        kind: &'static str,
    },
    /// It was written by a later program, and this one would misread it.
    #[error(
        "the file's schema is {found} and needs a program that knows {needed}; this one knows {known}: run a later program"
    )]
    Newer {
        /// The schema of the file.
        found: u32,
        /// The least schema that a program must know.
        needed: u32,
        /// What this one knows.
        known: u32,
    },
    /// It is a SQLite file of something else.
    #[error("{path} is a database of another program; name another file")]
    NotOurs {
        /// Which file.
        path: PathBuf,
    },
    /// It is no database, or what makes it one is damaged.
    #[error(
        "{path} is no SQLite database, or a damaged one; name another file, or put a backup in its place"
    )]
    NotADatabase {
        /// Which file.
        path: PathBuf,
    },
    /// It is to be read or filled whole, and somebody else has it open.
    #[error("{path} is open in another process; stop that first")]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// What SQLite says.
    #[error("{path}: {error}")]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
}

impl OpenError {
    /// What SQLite says of a file that is opened.
    pub(crate) fn of(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            _ => Self::Sqlite { path, error },
        }
    }
}

/// What a failure means for whoever asked; nothing of it was applied.
pub(crate) fn fault(error: &rusqlite::Error) -> StoreFault {
    let words = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreFault::full(&words),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreFault::corrupt(&words),
        _ => StoreFault::unavailable(&words),
    }
}

/// What a failure means before the commit was asked for.
pub(crate) fn before_commit(error: &rusqlite::Error) -> Ended {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
            Ended::OneIsRefused(words(error))
        }
        _ => Ended::NotApplied(fault(error)),
    }
}

/// What a commit that failed means. Only where surely nothing can be read of it, nothing was applied: what could not be written
/// has no end in the log.
pub(crate) fn at_commit(error: &rusqlite::Error) -> Ended {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::ConstraintViolation) => {
            Ended::NotApplied(fault(error))
        }
        _ => Ended::Lost(words(error)),
    }
}

pub(crate) fn words(error: &rusqlite::Error) -> Detail {
    Detail::new(None, &error.to_string())
}
