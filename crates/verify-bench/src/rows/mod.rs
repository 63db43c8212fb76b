//! The rows: one file for each kind of work.

mod attack;
mod charge;
pub mod counted;
mod flows;
mod gateway;
mod growth;
pub mod memory;
mod start;
mod stores;

pub use attack::attack;
pub use charge::charge;
pub use flows::flows;
pub use gateway::gateway;
pub use growth::growth;
pub use start::start;
pub use stores::{sqlite_as_it_is, stores_lasting, stores_waits, stores_with_slow_syncs, stores_work};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Pairs of samples in each row.
    pub rounds: usize,
    /// Operations in each sample.
    pub batch: usize,
    /// The most keys that a store holds in any row.
    pub most_keys: u64,
    /// Changesets whose rows come and go in a store outside the process.
    pub changesets: u64,
}

impl Effort {
    /// What a published figure takes: some minutes.
    pub const FULL: Self = Self {
        rounds: 31,
        batch: 1_000,
        most_keys: 1_000_000,
        changesets: 20_000,
    };
    /// Enough to see that every row still runs. Its figures mean nothing.
    pub const SMOKE: Self = Self {
        rounds: 1,
        batch: 20,
        most_keys: 2_000,
        changesets: 400,
    };
}
