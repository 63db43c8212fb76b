//! Where this project's own core is taken apart.
//!
//! - [`explore`]: every interleaving of several flows over one world, with faults at every step.
//! - [`mod@reference`]: a naive reference of what a policy promises, to compare with.
//! - [`Watch`] counts again what any run does.
//! - [`FlawedStore`]: stores that tests of the tests must find out; [`Transactions`]: processes that decide on one server, and a
//!   [`Misstep`] of one.
//! - [`Power`]: what a killed program had not synced is taken back.
//! - [`PostgresServer`], [`PgBouncer`], [`RedisServer`]: servers of a test's own. [`SmallDisk`]: a disk that can be filled.
//! - [`faults_in_sqlite`], [`faults_in_postgres`], [`in_the_clear`]: what a store left in its tables. [`SPOILS`]: how it would come to that.
//!
//! It is for the tests of this workspace and for its fuzzer. Applications and adapters need none of it: what they
//! test with is `verify-testkit`, which knows nothing of this crate. What is here follows the core's insides and changes with
//! them.
//!
//! Nothing here reads a clock or draws randomness: what happens depends on what was handed in alone.
//!
//! ```
//! use verify_core::command::SendRequest;
//! use verify_core::policy::PolicySet;
//! use verify_lab::explore::{Kinds, World};
//!
//! let mut world = World::new(PolicySet::default(), Kinds::Own);
//! let (outcome, trips) = world.run(SendRequest::to("+12025550123"));
//! assert_eq!((outcome.as_str(), trips, world.sent.len()), ("sent", 2, 1));
//! ```

mod digest;
pub mod explore;
mod flawed_store;
mod kept;
mod power;
pub mod reference;
mod servers;
mod small_disk;
mod transactions;
mod watch;

pub use flawed_store::{Flaw, FlawedStore};
pub use kept::{SPOILS, faults_in_postgres, faults_in_sqlite, in_the_clear};
pub use power::Power;
pub use servers::{PgBouncer, PostgresServer, RedisCluster, RedisKind, RedisServer, Syncs};
pub use small_disk::SmallDisk;
pub use transactions::{Misstep, Transactions};
pub use watch::{Course, Holds, Watch};
