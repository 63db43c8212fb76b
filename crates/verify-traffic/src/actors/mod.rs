//! The actors that come with the simulator: honest people and the attacks that are known from the field.

mod callbacks;
mod faults;
mod guessing;
mod nuisance;
mod people;
mod probing;
mod pumping;
mod scanning;

pub use callbacks::{Callbacks, Reference};
pub use faults::{ClockSkew, Dying, Forecast, NodeCrash};
pub use guessing::{Horizontal, ParallelGuess, ResendGuess, SessionFarm};
pub use nuisance::{AliasFlood, LockoutDos, SmsBomb, VictimOverwrite};
pub use people::{Addresses, Crowd, Habits, Visitor};
pub use probing::Enumerate;
pub use pumping::{Numbers, Pump};
pub use scanning::MailScanner;
