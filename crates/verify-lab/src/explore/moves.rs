//! What may happen to a step: it goes well, or one thing goes wrong with it.

use std::time::Duration;

use verify_core::flow::Step;

/// How a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is done, and the flow hears of it.
    Go,
    /// The same, and the flow hears of it that much later.
    Slow(Duration),
    /// It is done, and the answer is lost.
    LoseAnswer,
    /// It is not done, and nobody knows.
    LoseCall,
    /// It is on its way, and will be done whenever it arrives; the flow does not wait for that.
    Delay,
    /// It surely is not done.
    Fail,
    /// It is done twice, and the flow hears of the first time.
    RepeatFirst,
    /// It is done twice, and the flow hears of the second time.
    RepeatSecond,
    /// Its deadline has passed: the driver does not begin it.
    TooLate,
}

impl Way {
    /// Everything that may go wrong with a step.
    pub(super) fn faults(step: &Step) -> &'static [Self] {
        use Way::{Delay, Fail, LoseAnswer, LoseCall, RepeatFirst, RepeatSecond};
        match step {
            Step::Store(_) => &[LoseAnswer, LoseCall, Delay, Fail, RepeatFirst, RepeatSecond],
            // Asking changes nothing: whether they were asked makes no difference.
            Step::Assess(_) | Step::Inquire(_) => &[LoseCall],
            // To send the same twice would be the adapter's fault, and is not the core's to make good.
            Step::Dispatch(_) => &[LoseAnswer, LoseCall, Delay, Fail],
            Step::Compare(_) => &[LoseAnswer, LoseCall, Fail, RepeatFirst, RepeatSecond],
            Step::Conclude(_) => &[LoseAnswer, LoseCall, Delay, RepeatFirst, RepeatSecond],
            Step::Answer(_) | Step::Done(_) => &[],
        }
    }

    pub(super) fn is_fault(self) -> bool {
        match self {
            Self::LoseAnswer | Self::LoseCall | Self::Delay | Self::Fail => true,
            Self::RepeatFirst | Self::RepeatSecond => true,
            Self::Go | Self::Slow(_) | Self::TooLate => false,
        }
    }
}
