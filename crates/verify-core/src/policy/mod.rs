//! The policy: what is allowed, how often, and what happens then.
//!
//! A policy is data. It comes from a file ([`PolicySet::from_toml`], [`PolicySet::from_json`]) or is built in code
//! from [`Policy::default`] and checked ([`PolicySet::check`]); nothing in it is read while a command runs but what
//! stands in these types. A file is read as a whole: unknown keys, wrong types, values out of bounds and impossible
//! combinations are all named at once ([`PolicyErrors`]), and nothing of a faulty file is used.
//!
//! What stands in the same file and is no policy (credentials by reference, logging) is in [`HostSettings`].

mod bounds;
mod check;
mod defaults;
mod duration;
mod errors;
mod host;
mod limits;
mod load;
mod model;
mod money;
mod owner;
mod places;
mod print;
mod reader;
mod sections;
mod source;
mod values;
mod words;

pub use defaults::limit_names;
pub use errors::PolicyErrors;
pub use host::{AuthMode, HostSettings, LogLevel, LoggingSettings, TwilioSettings, VerifyServices};
pub use load::Loaded;
pub use model::*;

/// Runs the Rust of the policy reference.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/policy.md")]
struct Reference;
