//! A [`Store`](verify_core::store::Store) in Postgres 15 or later, for as many processes as there are.
//!
//! Each service has a *lane*, a row that is locked first: it gives the order in which changesets are decided, by the core's own
//! function, in whichever process. Changesets that come at the same time share a transaction ([`verify_batch`]), which takes two
//! trips. Statements are prepared where a connection surely leads to one process of the server, and else nothing is kept in a
//! session, so a pool of connections in front (PgBouncer, by transaction) is fine.
//!
//! ```no_run
//! use verify_postgres::{PostgresOptions, PostgresStore};
//!
//! # async fn example() -> Result<(), verify_postgres::OpenError> {
//! let options = PostgresOptions::parse("postgres://verify@db.internal/verify")?.password_file("/run/secrets/db");
//! let store = PostgresStore::open(options).await?;
//! // verify_engine::Engine::builder().store(store)
//! # Ok(())
//! # }
//! ```

mod alone;
mod connect;
mod decide;
mod epoch;
mod errors;
mod figures;
mod hosts;
mod housekeeping;
mod inspect;
mod load;
mod options;
mod outbox;
mod prepared;
mod records;
mod rights;
mod schema;
mod statements;
mod store;
mod transaction;
mod write;

pub use alone::PostgresTables;
pub use errors::OpenError;
pub use inspect::{Inspection, inspect, migrate};
pub use options::{Durability, PostgresOptions};
pub use store::PostgresStore;
/// Where a server is: what [`PostgresOptions::config`] says of its hosts.
pub use tokio_postgres::config::Host;
pub use verify_batch::OnFailover;
