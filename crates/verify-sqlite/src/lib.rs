//! A [`Store`](verify_core::store::Store) in one SQLite file, for one machine.
//!
//! What was answered is in the file: the write-ahead log is synced before any answer, unless [`Durability`] says otherwise.
//! Changesets that come at the same time share a transaction and its sync ([`verify_batch`]). Several processes may have the
//! file open, as in a restart where one begins before the other ended; they decide one after the other. The file must lie on a
//! file system of this machine.
//!
//! ```
//! use verify_sqlite::{SqliteOptions, SqliteStore};
//! # let directory = std::env::temp_dir().join(format!("verify-sqlite-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory).unwrap();
//! # let path = directory.join("verify.db");
//!
//! let store = SqliteStore::open(SqliteOptions::at(&path))?;
//! // verify_engine::Engine::builder().store(store)
//! # drop(store);
//! # std::fs::remove_dir_all(&directory).unwrap();
//! # Ok::<(), verify_sqlite::OpenError>(())
//! ```

mod alone;
mod beside;
mod decide;
mod epoch;
mod errors;
mod figures;
mod file;
mod housekeeping;
mod inspect;
mod log;
mod options;
mod outbox;
mod records;
mod room;
mod schema;
mod store;
mod worker;

pub use alone::SqliteFile;
pub use errors::OpenError;
pub use inspect::{Inspection, inspect, migrate};
pub use options::{Durability, SqliteOptions};
pub use room::Space;
pub use store::SqliteStore;
