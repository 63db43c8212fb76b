//! A [`Store`](verify_core::store::Store) in Redis 6.2 or later, or Valkey, for as many processes as there are.
//!
//! A changeset is one script in the server, and one trip: it decides with arithmetic of its own, writes all of it or nothing, and
//! answers with what it found. The core's own function decides once more, here, on what was found: where the two are not of one mind
//! that is counted, logged and answered as a fault, never hidden.
//!
//! All that a service has lies under its name as a hash tag, so a Cluster spreads services over its shards, and each lives on one.
//!
//! ```no_run
//! use verify_redis::{RedisOptions, RedisStore};
//!
//! # async fn example() -> Result<(), verify_redis::OpenError> {
//! let options = RedisOptions::parse("rediss://verify@cache.internal:6379")?.password_file("/run/secrets/redis");
//! let store = RedisStore::open(options).await?;
//! // verify_engine::Engine::builder().store(store)
//! # Ok(())
//! # }
//! ```

mod alone;
mod answer;
#[cfg(verify_broken)]
mod broken;
mod connect;
mod durable;
mod epoch;
mod errors;
mod inspect;
mod keys;
mod nodes;
mod options;
mod plan;
mod room;
mod script;
mod services;
mod store;
pub mod telemetry;
mod url;
mod work;

pub use alone::RedisKeys;
#[cfg(verify_broken)]
pub use broken::Flaw;
pub use errors::OpenError;
pub use inspect::{Inspection, inspect};
pub use options::{Address, RedisOptions, Servers, checked_prefix};
pub use store::RedisStore;
pub use verify_batch::OnFailover;
