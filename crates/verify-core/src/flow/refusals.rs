//! Refusals that several flows give.

use crate::outcome::{Refusal, RefusalCode};

/// What is expired, used, canceled, exhausted, foreign or never existed: all alike.
pub(super) fn not_found() -> Refusal {
    Refusal::new(
        RefusalCode::NotFound,
        "nothing is pending here; ask for a new code",
    )
}

/// Too many others are at the same record.
pub(super) fn contention() -> Refusal {
    Refusal::new(
        RefusalCode::Conflict,
        "too many requests for this destination at once; try again",
    )
}

/// What a policy, a provider or a scorer keeps from being sent to.
pub(super) fn blocked() -> Refusal {
    Refusal::new(RefusalCode::Blocked, "this cannot be sent to")
}
