//! The policy: what is allowed, how often, and what happens then.
//!
//! A policy is data. It comes from a file ([`PolicySet::from_toml`], [`PolicySet::from_json`]) or is built in code
//! from [`Policy::default`]; nothing in it is read while a command runs but what stands in these types.

mod model;

pub use model::*;
