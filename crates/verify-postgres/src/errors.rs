//! What goes wrong, and what it means.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};
use verify_batch::tls::TlsError;
use verify_core::port::Detail;
use verify_core::store::StoreFault;

/// Why a database cannot be the store. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not a URL of Postgres.
    #[error("not a Postgres URL (postgres://USER@HOST:PORT/DATABASE): {}", said(.0))]
    Url(Error),
    /// A name or a password with something in it that cuts it there.
    #[error(
        "not a Postgres URL (postgres://USER@HOST:PORT/DATABASE): an @ in a name or password must be %40 there (and % %25, : %3A, \
         / %2F, ? %3F); or leave the password out, and name a file with it"
    )]
    Cut,
    /// The server asks for a password.
    #[error("the server asks for a password, and there is none; name a file with it, or put it into the URL")]
    NoPassword,
    /// A schema's name that would have to be quoted.
    #[error("the schema {0:?} is no name: a-z, 0-9 and _, at most 63 characters, not beginning with a digit")]
    SchemaName(String),
    /// A file with a secret or a certificate.
    #[error("{}: {error}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Certificates or keys are not what they should be.
    #[error("TLS: {0}")]
    Tls(String),
    /// It cannot be reached, or takes neither name nor password.
    #[error("the database cannot be used: {0}")]
    Connect(String),
    /// An older server.
    #[error("the server is Postgres {0}; 15 or later is needed")]
    Version(i32),
    /// It follows another server.
    #[error(
        "the server is a copy that follows another one (a standby), where nothing can be written; name the one that can be \
         written, or all of them with target_session_attrs=read-write"
    )]
    Standby,
    /// Whoever serves from the tables needs these rights.
    #[error("this role lacks {}; have the owner of the tables grant it", .0.join("; "))]
    Rights(Vec<String>),
    /// It is not there, and this role may not make it.
    #[error(
        "the tables are not there, or of an earlier program, and this role may not change them: {0}; have the owner run `store migrate`"
    )]
    Migrate(String),
    /// It is of an earlier program, and somebody reads it all the while.
    #[error(
        "the tables are of an earlier program, and cannot be changed while a transaction that read them stays open, as that of a pg_dump does: begin again once it has ended"
    )]
    Held,
    /// It is to be read or filled whole, and somebody is at it.
    #[error("somebody is at these tables; stop what serves from them first")]
    InUse,
    /// It was written by a later program, and this one would misread it.
    #[error(
        "the database's schema is {found} and needs a program that knows {needed}; this one knows {known}: run a later program"
    )]
    Newer {
        /// The schema there.
        found: i32,
        /// The least schema that a program must know.
        needed: i32,
        /// What this one knows.
        known: i32,
    },
}

impl From<TlsError> for OpenError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

impl From<StoreFault> for OpenError {
    fn from(fault: StoreFault) -> Self {
        Self::Connect(fault.detail().message().to_owned())
    }
}

/// What an error says, with what the server said of it; a password is in neither.
pub(crate) fn said(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

pub(crate) fn words(error: &Error) -> Detail {
    Detail::new(None, &said(error))
}

/// What a failure means for whoever asked; nothing of it was applied.
pub(crate) fn fault(error: &Error) -> StoreFault {
    let full = [SqlState::DISK_FULL, SqlState::OUT_OF_MEMORY];
    match error.code() {
        Some(code) if full.contains(code) => StoreFault::full(&said(error)),
        Some(code) if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => {
            StoreFault::corrupt(&said(error))
        }
        Some(_) | None => StoreFault::unavailable(&said(error)),
    }
}

/// True when the same may well succeed a moment later, and surely nothing of it was applied.
pub(crate) fn is_worth_another_try(error: &Error) -> bool {
    let code = error.code();
    code == Some(&SqlState::T_R_DEADLOCK_DETECTED) || code == Some(&SqlState::T_R_SERIALIZATION_FAILURE)
}

/// True when the server takes offence at a value.
pub(crate) fn is_about_a_row(error: &Error) -> bool {
    error
        .code()
        .is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("23"))
}

/// True when the server has no such statement, or another one of that name.
pub(crate) fn is_about_a_statement(error: &Error) -> bool {
    let classes = ["08", "0A", "22", "26", "42"];
    let code = error.code().filter(|_| aborted(error));
    code.is_some_and(|code| classes.iter().any(|class| code.code().starts_with(class)))
}

/// True when the statement was refused and its transaction with it, by a server that goes on.
pub(crate) fn aborted(error: &Error) -> bool {
    let severity = error.as_db_error().and_then(|db| db.parsed_severity());
    severity == Some(Severity::Error)
}
