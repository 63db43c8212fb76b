//! The pure policy engine for verification and 2FA.
//!
//! No runtime, no HTTP, no clock, no randomness: time, a seed and the answers of the outside world are inputs.

pub mod code;
pub mod command;
pub mod destination;
pub mod event;
pub mod flow;
pub mod keys;
pub mod limit;
mod mac;
pub mod outcome;
pub mod policy;
pub mod port;
pub mod record;
pub mod seal;
pub mod secret;
pub mod seed;
pub mod store;
pub mod time;
pub mod token;
pub mod vocabulary;
