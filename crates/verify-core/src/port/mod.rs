//! The ports: everything that the core asks of the outside world.
//!
//! Each is an object-safe trait with a contract and the *safe direction of failure* in its docs, and a null
//! implementation. An `Arc` or a `Box` of a port is one. With the feature `mock` each has a `mockall` mock (`MockProvider`,
//! …). The store is in [`crate::store`].

mod host;
mod provider;
mod risk;

pub use crate::detail::Detail;
pub use host::*;
pub use provider::*;
pub use risk::*;
