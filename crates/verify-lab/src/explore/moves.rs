//! What may happen to a step: it goes well, or one thing goes wrong with it.

use std::time::Duration;

use verify_core::flow::{AssessAnswer, Step};
use verify_core::port::{
    Compared, ConcludeRequest, Concluded, Detail, DispatchRequest, Dispatched, Inquired, Rejection,
    RejectionKind,
};
use verify_core::store::{Changeset, StoreAnswer, StoreFault};
use verify_core::time::Timestamp;

use super::World;
use super::digest::digest;

/// How a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
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
            Step::Done(_) => &[],
        }
    }

    pub(super) fn is_fault(self) -> bool {
        match self {
            Self::LoseAnswer | Self::LoseCall | Self::Delay | Self::Fail => true,
            Self::RepeatFirst | Self::RepeatSecond => true,
            Self::Go | Self::Slow(_) | Self::TooLate => false,
        }
    }

    /// True when the outside is asked, whatever becomes of it.
    fn asks(self) -> bool {
        match self {
            Self::Go | Self::Slow(_) | Self::LoseAnswer | Self::LoseCall | Self::Delay => true,
            Self::RepeatFirst | Self::RepeatSecond => true,
            Self::Fail | Self::TooLate => false,
        }
    }

    /// The answer that the flow hears, after the effect that there was.
    fn answer<A>(
        self,
        world: &mut World,
        not_after: Timestamp,
        effect: impl Fn(&mut World) -> A,
        [unknown, failed]: [A; 2],
    ) -> A {
        match self {
            Self::Go => effect(world),
            Self::Slow(span) => {
                let answer = effect(world);
                world.advance(span);
                // The driver dropped the call at its deadline.
                if world.now < not_after { answer } else { unknown }
            }
            Self::LoseAnswer => {
                effect(world);
                unknown
            }
            Self::LoseCall | Self::Delay => unknown,
            Self::Fail | Self::TooLate => failed,
            Self::RepeatFirst => {
                let answer = effect(world);
                effect(world);
                answer
            }
            Self::RepeatSecond => {
                effect(world);
                effect(world)
            }
        }
    }
}

/// Until when a step may begin.
pub(super) fn deadline(step: &Step) -> Timestamp {
    match step {
        Step::Store(step) => step.not_after(),
        Step::Assess(step) => step.not_after(),
        Step::Dispatch(step) => step.not_after(),
        Step::Compare(step) => step.not_after(),
        Step::Inquire(step) => step.not_after(),
        Step::Conclude(step) => step.not_after(),
        Step::Done(_) => Timestamp::MAX,
    }
}

/// A call that is on its way while its flow has given it up.
#[derive(Debug, Clone)]
pub(super) enum Delayed {
    /// A store may find it whenever it likes.
    Store(Changeset),
    /// A provider is not sent anything after its deadline.
    Dispatch(DispatchRequest),
    /// As before.
    Conclude(ConcludeRequest),
}

impl Delayed {
    pub(super) fn of(step: &Step) -> Option<Self> {
        match step {
            Step::Store(step) => Some(Self::Store(step.changeset().clone())),
            Step::Dispatch(step) => Some(Self::Dispatch(step.request().clone())),
            Step::Conclude(step) => Some(Self::Conclude(step.request().clone())),
            Step::Assess(_) | Step::Compare(_) | Step::Inquire(_) | Step::Done(_) => None,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Store(_) => "store",
            Self::Dispatch(_) => "dispatch",
            Self::Conclude(_) => "conclude",
        }
    }

    /// False when it is too late to arrive.
    pub(super) fn arrive(&self, world: &mut World) -> bool {
        match self {
            Self::Store(changeset) => drop(world.apply(changeset)),
            Self::Dispatch(request) if world.now < request.not_after => drop(world.dispatch(request)),
            Self::Conclude(request) if world.now < request.not_after => drop(world.conclude(request)),
            Self::Dispatch(_) | Self::Conclude(_) => return false,
        }
        true
    }
}

/// Takes a step this way, and resumes it. The number stands for all that the flow heard so far.
pub(super) fn take(world: &mut World, step: Step, way: Way, heard: u128) -> (Step, u128) {
    let not_after = deadline(&step);
    let hears = |world: &World, answer: u128| digest(&(heard, world.now, answer));
    macro_rules! resumed {
        ($step:ident, $effect:expr, $answers:expr) => {{
            let answer = way.answer(world, not_after, $effect, $answers);
            let heard = hears(world, digest(&answer));
            ($step.resume(world.now, answer), heard)
        }};
    }
    match step {
        Step::Store(step) => {
            let changeset = step.changeset().clone();
            let failed = StoreAnswer::NotApplied(StoreFault::Unavailable);
            let effect = |world: &mut World| world.apply(&changeset);
            resumed!(step, effect, [StoreAnswer::Unknown, failed])
        }
        Step::Assess(step) => {
            let question = step.question().clone();
            let effect = |world: &mut World| world.assess(&question);
            resumed!(
                step,
                effect,
                [AssessAnswer::Unavailable, AssessAnswer::Unavailable]
            )
        }
        Step::Dispatch(step) => {
            let request = step.request().clone();
            world.dispatches += u32::from(way.asks());
            let unknown = Dispatched::Unknown(Detail::default());
            let effect = |world: &mut World| world.dispatch(&request);
            resumed!(step, effect, [unknown, surely_not_sent()])
        }
        Step::Compare(step) => {
            let request = step.request().clone();
            world.compared += u32::from(way.asks());
            let unknown = Compared::Unknown(Detail::default());
            let failed = Compared::NotAsked(Detail::default());
            let effect = |world: &mut World| world.compare(&request);
            resumed!(step, effect, [unknown, failed])
        }
        Step::Inquire(step) => {
            let request = step.request().clone();
            let effect = |world: &mut World| world.inquire(&request);
            resumed!(step, effect, [Inquired::Unknown, Inquired::Unknown])
        }
        Step::Conclude(step) => {
            let request = step.request().clone();
            let unknown = || Concluded::Unknown(Detail::default());
            let effect = |world: &mut World| world.conclude(&request);
            resumed!(step, effect, [unknown(), unknown()])
        }
        Step::Done(outcome) => (Step::Done(outcome), heard),
    }
}

fn surely_not_sent() -> Dispatched {
    Dispatched::Rejected(Rejection {
        kind: RejectionKind::Down,
        retry_after: None,
        detail: Detail::default(),
    })
}
