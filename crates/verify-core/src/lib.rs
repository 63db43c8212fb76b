//! The pure policy engine for verification and 2FA.
//!
//! No runtime, no HTTP, no clock, no randomness: time, a seed and the answers of the outside world are inputs.

pub mod code;
pub mod keys;
mod mac;
pub mod policy;
pub mod seal;
pub mod secret;
pub mod seed;
pub mod time;
pub mod token;
pub mod vocabulary;
