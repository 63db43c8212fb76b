//! The pure policy engine for verification and 2FA.
//!
//! No runtime, no HTTP, no clock, no randomness: time, a seed and the answers of the outside world are inputs.

pub mod destination;
pub mod policy;
pub mod time;
pub mod vocabulary;
