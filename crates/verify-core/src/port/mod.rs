//! The ports: everything that the core asks of the outside world.
//!
//! Each is an object-safe trait with a contract and the *safe direction of failure* in its docs, and a null
//! implementation. With the feature `mock` each has a `mockall` mock (`MockProvider`, …). The store is in
//! [`crate::store`].

mod host;
mod provider;
mod risk;
mod shared;

pub use crate::detail::Detail;
pub use host::*;
pub use provider::*;
pub use risk::*;
