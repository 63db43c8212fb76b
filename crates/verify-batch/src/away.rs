//! What is not begun at all.

use verify_core::store::{StoreAnswer, StoreFault};

use crate::telemetry;

/// Why a changeset was not begun.
#[derive(Debug, Clone, Copy)]
pub enum Away {
    /// It found too much waiting.
    Full,
    /// It waited for as long as it might.
    Late,
    /// The store answers nobody just now.
    Stalled,
}

impl Away {
    /// The answer to it.
    pub fn answer(self) -> StoreAnswer {
        StoreAnswer::NotApplied(self.fault())
    }

    /// The same as a fault. It is counted.
    pub fn fault(self) -> StoreFault {
        telemetry::turned_away(self.as_str());
        StoreFault::unavailable(match self {
            Self::Full => "too much waits for the store",
            Self::Late => "not begun in its time: too much waits for the store",
            Self::Stalled => "the store did not answer, and is asked each second whether it is back",
        })
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Late => "late",
            Self::Stalled => "stalled",
        }
    }
}
