//! Exploration: several flows over one world, every interleaving, with faults at every step.
//!
//! The [`World`] is everything outside the core as plain data: a store, providers, an inbox, a clock. It can be cloned,
//! so that a [`Search`] goes back to any state, and digested, so that no state is visited twice. Whatever happens in it is
//! [`Watched`].

mod moves;
mod search;
mod transitions;
mod watched;
mod world;

pub use moves::Way;
pub use search::{Budget, Explored, Found, Invariant, Opening, Search};
pub use transitions::Transitions;
pub use watched::{Taken, Watched};
pub use world::{Delivered, Kinds, World};
