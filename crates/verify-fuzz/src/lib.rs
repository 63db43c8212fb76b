//! What is fuzzed: each function takes any bytes and panics when a promise does not hold.
//!
//! A fuzzer calls them through the shells in `fuzz/`, and the tests of this package replay what it found worth keeping.
//! How to run it, and what it came to, is in `docs/fuzzing.md`.
//!
//! | function | promises |
//! |---|---|
//! | [`destination`] | I-20, I-30 |
//! | [`policy`] | I-60 |
//! | [`token`] | I-55, I-56 |
//! | [`record`] | I-24, I-28, I-47, and that what a store gives back never brings a flow down |
//! | [`machine`] | I-01 to I-03, I-06, I-10 to I-12, I-14, I-22 to I-25, I-28, I-35, I-37, I-40, I-43, I-47 to I-49, I-51, I-54, I-56, I-64 |
//! | [`webhook`] | I-35, I-65 |
//! | [`twilio_answer`] | I-34, I-65 |

mod destination;
mod input;
mod machine;
mod policy;
mod record;
mod token;
mod twilio_answer;
mod webhook;

pub use destination::destination;
pub use machine::{machine, machine_in};
pub use policy::policy;
pub use record::record;
pub use token::token;
pub use twilio_answer::twilio_answer;
pub use webhook::webhook;
