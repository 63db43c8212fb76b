//! What is not begun at all.

use verify_core::store::{StoreAnswer, StoreFault};

use crate::telemetry;

/// Why a changeset was not begun.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Away {
    /// It found too much waiting.
    Full,
    /// It waited for as long as it might.
    Late,
    /// The store answers nobody just now.
    Stalled,
}

impl Away {
    /// The answer to it.
    pub(crate) fn answer(self) -> StoreAnswer {
        telemetry::turned_away(self.as_str());
        StoreAnswer::NotApplied(StoreFault::unavailable(match self {
            Self::Full => "too much waits for the store",
            Self::Late => "not begun in its time: too much waits for the store",
            Self::Stalled => "the store did not answer, and is asked each second whether it is back",
        }))
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Late => "late",
            Self::Stalled => "stalled",
        }
    }
}
