//! A [`Store`](verify_core::store::Store) in the memory of one process.
//!
//! Sharded, so that changesets of different people rarely wait for one another, and bounded: at its [`Capacity`]
//! what is new is refused, what is there can always be changed, and nothing counted is forgotten before its time.
//! It does *not* survive a restart and is *not* shared between processes; several processes need a store outside.
//!
//! ```
//! use verify_core::store::{Changeset, Room, StoreAnswer};
//! use verify_core::time::Timestamp;
//! use verify_core::vocabulary::ServiceId;
//! use verify_memstore::MemStore;
//!
//! let store = MemStore::new();
//! let nothing = Changeset::new(ServiceId::default(), Timestamp::from_millis(1), Room::Stranger);
//! assert!(matches!(store.apply_now(&nothing), StoreAnswer::Applied(_)));
//! ```

mod capacity;
mod expiring_map;
mod held;
mod kept;
mod outbox;
mod services;
mod shard;
mod store;

pub use capacity::{Capacity, Usage};
pub use store::MemStore;
