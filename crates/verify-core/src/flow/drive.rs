//! The loop without a runtime: a flow is taken to its end over an outside that answers at once.

use crate::outcome::{Explanation, Fault, Outcome};
use crate::port::{
    CompareRequest, Compared, ConcludeRequest, Concluded, DispatchRequest, Dispatched, InquireRequest,
    Inquired,
};
use crate::store::{Changeset, StoreAnswer};
use crate::time::Timestamp;

use super::MOST_STEPS;
use super::safe::NotBegun;
use super::step::{AssessAnswer, Question, Step};

/// Everything that a flow may ask, as something that answers at once: a test, a simulation, a fuzzer.
///
/// An asynchronous driver has the same loop over [`Step::not_after`], [`Step::lost`] and [`Step::not_begun`].
pub trait Outside {
    /// The time.
    fn now(&self) -> Timestamp;
    /// Applies a changeset.
    fn apply(&mut self, changeset: &Changeset) -> StoreAnswer;
    /// Answers a question about a send.
    fn assess(&mut self, question: &Question) -> AssessAnswer;
    /// Sends.
    fn dispatch(&mut self, request: &DispatchRequest) -> Dispatched;
    /// Compares.
    fn compare(&mut self, request: &CompareRequest) -> Compared;
    /// Says what became of a delivery.
    fn inquire(&mut self, request: &InquireRequest) -> Inquired;
    /// Is told an end.
    fn conclude(&mut self, request: &ConcludeRequest) -> Concluded;
    /// Hears an answer that comes before the end of its flow. Nothing is asked of it.
    fn told(&mut self, _outcome: &Outcome) {}
}

impl Step {
    /// Does what the step asks, and says what is next. What is asked too late is not begun; an answer that comes after the
    /// deadline was dropped.
    #[must_use]
    pub fn perform(self, outside: &mut impl Outside) -> Self {
        let Some(not_after) = self.not_after() else {
            return self;
        };
        let now = outside.now();
        if now >= not_after {
            return self.not_begun(now, NotBegun::TooLate);
        }
        macro_rules! asked {
            ($step:expr, $answer:expr) => {{
                let answer = $answer;
                let now = outside.now();
                match now < not_after {
                    true => $step.resume(now, answer),
                    false => $step.lost(now),
                }
            }};
        }
        match self {
            Self::Store(step) => asked!(step, outside.apply(step.changeset())),
            Self::Assess(step) => asked!(step, outside.assess(step.question())),
            Self::Dispatch(step) => asked!(step, outside.dispatch(step.request())),
            Self::Compare(step) => asked!(step, outside.compare(step.request())),
            Self::Inquire(step) => asked!(step, outside.inquire(step.request())),
            Self::Conclude(step) => asked!(step, outside.conclude(step.request())),
            Self::Answer(step) => {
                outside.told(step.outcome());
                step.resume(now, ())
            }
            Self::Done(outcome) => Self::Done(outcome),
        }
    }
}

/// Takes a flow to its end; what was answered before is what it came to. One that takes more than [`MOST_STEPS`] is a [`Fault::Defect`]; there is none.
pub fn drive(mut step: Step, outside: &mut impl Outside) -> Outcome {
    let mut told = None;
    for _ in 0..=MOST_STEPS {
        if let Step::Answer(answer) = &step {
            told = Some(Outcome::clone(answer.outcome()));
        }
        if let Step::Done(outcome) = step {
            return told.unwrap_or(*outcome);
        }
        step = step.perform(outside);
    }
    Outcome::new(Err(Fault::Defect), Explanation::default())
}
