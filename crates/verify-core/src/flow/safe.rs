//! What a flow hears when it hears no answer: the safe one for each question.
//!
//! A call that began may have happened; one that never began surely did not. Which answer says so is decided here, for
//! every driver.

use std::time::Duration;

use crate::detail::Detail;
use crate::port::{Compared, Concluded, Dispatched, Inquired, Rejection, RejectionKind};
use crate::store::{StoreAnswer, StoreFault};

use super::step::AssessAnswer;

/// Why a call surely did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotBegun {
    /// The step's deadline had passed.
    TooLate,
    /// The provider's breaker is open, for that much longer.
    BreakerOpen(Duration),
    /// The provider's pace left no turn before the deadline, or as many calls were under way as may be.
    Paced,
    /// No provider of that name is registered.
    Unregistered,
}

impl NotBegun {
    /// The stable word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLate => "too_late",
            Self::BreakerOpen(_) => "breaker_open",
            Self::Paced => "paced",
            Self::Unregistered => "unregistered",
        }
    }

    /// For operators.
    fn detail(self) -> Detail {
        Detail::new(
            None,
            match self {
                Self::TooLate => "not called: the deadline had passed",
                Self::BreakerOpen(_) => "not called: its breaker is open",
                Self::Paced => "not called: its pace, or the calls that were under way, left no turn in time",
                Self::Unregistered => "not called: no provider of this name is registered",
            },
        )
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Heard<A> {
    /// This answer.
    Answer(A),
    /// None: the call began, and was dropped at its deadline, or its answer was lost. It may have happened.
    Lost,
    /// None: it surely did not begin.
    NotBegun(NotBegun),
}

/// An answer that says what is known without one.
pub(super) trait Safe: Sized {
    /// It may have happened.
    fn lost() -> Self;
    /// It surely did not.
    fn not_begun(why: NotBegun) -> Self;

    fn of(heard: Heard<Self>) -> Self {
        match heard {
            Heard::Answer(answer) => answer,
            Heard::Lost => Self::lost(),
            Heard::NotBegun(why) => Self::not_begun(why),
        }
    }
}

/// Nothing can go wrong with an answer: whoever asked hears it or is gone.
impl Safe for () {
    fn lost() {}

    fn not_begun(_: NotBegun) {}
}

fn dropped() -> Detail {
    Detail::new(None, "dropped at its deadline")
}

impl Safe for StoreAnswer {
    fn lost() -> Self {
        Self::Unknown(dropped())
    }

    fn not_begun(why: NotBegun) -> Self {
        Self::NotApplied(StoreFault::Unavailable(why.detail()))
    }
}

impl Safe for AssessAnswer {
    fn lost() -> Self {
        Self::Unavailable
    }

    fn not_begun(_: NotBegun) -> Self {
        Self::Unavailable
    }
}

impl Safe for Dispatched {
    fn lost() -> Self {
        Self::Unknown(dropped())
    }

    fn not_begun(why: NotBegun) -> Self {
        let (kind, retry_after) = match why {
            NotBegun::TooLate => (RejectionKind::Down, None),
            NotBegun::BreakerOpen(rests) => (RejectionKind::Down, Some(rests)),
            NotBegun::Paced => (RejectionKind::AccountQuota, None),
            NotBegun::Unregistered => (RejectionKind::Misconfigured, None),
        };
        Self::Rejected(Rejection {
            kind,
            retry_after,
            detail: why.detail(),
        })
    }
}

impl Safe for Compared {
    fn lost() -> Self {
        Self::Unknown(dropped())
    }

    fn not_begun(why: NotBegun) -> Self {
        Self::NotAsked(why.detail())
    }
}

impl Safe for Inquired {
    fn lost() -> Self {
        Self::Unknown
    }

    fn not_begun(_: NotBegun) -> Self {
        Self::Unknown
    }
}

impl Safe for Concluded {
    fn lost() -> Self {
        Self::Unknown(dropped())
    }

    fn not_begun(why: NotBegun) -> Self {
        Self::Unknown(why.detail())
    }
}
