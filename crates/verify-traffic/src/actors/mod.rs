//! The actors that come with the simulator: honest people and the attacks that are known from the field.

mod guessing;
mod nuisance;
mod people;
mod probing;
mod pumping;

pub use guessing::{Horizontal, ParallelGuess, ResendGuess, SessionFarm};
pub use nuisance::{AliasFlood, LockoutDos, SmsBomb};
pub use people::{Addresses, Crowd, Habits, Person};
pub use probing::{Enumerate, Seen};
pub use pumping::{Numbers, Pump};
