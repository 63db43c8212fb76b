//! The steps: what a driver sees of a flow, and where each goes on.

use std::sync::Arc;
use std::time::Duration;

use crate::detail::Detail;
use crate::outcome::Outcome;
use crate::port::{
    AssessRequest, Assessment, CompareRequest, Compared, ConcludeRequest, Concluded, DispatchRequest,
    Dispatched, HumanRequest, InquireRequest, Inquired, Unavailable,
};
use crate::store::{Changeset, StoreAnswer, StoreFault};
use crate::time::Timestamp;

use super::safe::{Heard, NotBegun, Safe};
use super::{cancel, check, erase, redeem, rekey, report, send, status, tick, unlock};

/// What became of a changeset whose answer was lost is asked for that long: somebody has waited for the answer before it.
const ASKED_AGAIN_WITHIN: Duration = Duration::from_millis(750);

/// For operators: what a store that lost its data is waited for.
const COOLS: &str = "its epoch is new and not accepted: what was counted before may be missing";

/// What must be done next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Apply this changeset.
    Store(StoreStep),
    /// Ask the risk scorers or the human check.
    Assess(AssessStep),
    /// Ask a provider to send.
    Dispatch(DispatchStep),
    /// Ask a managed provider to compare.
    Compare(CompareStep),
    /// Ask what became of a delivery.
    Inquire(InquireStep),
    /// Tell a provider the end.
    Conclude(ConcludeStep),
    /// Answer whoever asked; what is left comes after it.
    Answer(AnswerStep),
    /// The flow is over.
    Done(Box<Outcome>),
}

/// What is asked about a send before it is dispatched.
#[derive(Debug, Clone)]
pub enum Question {
    /// How risky is it? Of every scorer.
    Risk(AssessRequest),
    /// Does this token show a person?
    Human(HumanRequest),
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AssessAnswer {
    /// The words of the scorers, each for itself, in any order. The flow weighs them: of several the worst holds.
    Said(Vec<Result<Assessment, Unavailable>>),
    /// Whether the token shows a person.
    Human(bool),
    /// Nobody could tell.
    Unavailable,
}

macro_rules! steps {
    ($($(#[$meta:meta])* $variant:ident $word:literal $name:ident { $field:ident: $request:ty } then $then:ty, takes $answer:ty;)+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone)]
            pub struct $name {
                $field: $request,
                not_after: Timestamp,
                then: Box<$then>,
            }

            impl $name {
                pub(super) fn step($field: $request, not_after: Timestamp, then: $then) -> Step {
                    let then = Box::new(then);
                    Step::$variant(Self { $field, not_after, then })
                }

                /// What to do.
                pub fn $field(&self) -> &$request {
                    &self.$field
                }

                /// Until when it may begin; the outside call is dropped then.
                pub fn not_after(&self) -> Timestamp {
                    self.not_after
                }

                /// Takes the answer, and says what is next.
                pub fn resume(self, now: Timestamp, answer: $answer) -> Step {
                    self.then.resume(self.$field, now, answer)
                }

                /// Takes an answer, or what is known without one.
                pub fn hear(self, now: Timestamp, heard: Heard<$answer>) -> Step {
                    self.resume(now, <$answer>::of(heard))
                }

                /// No answer came, and it may have happened.
                pub fn lost(self, now: Timestamp) -> Step {
                    self.resume(now, <$answer>::lost())
                }

                /// It surely was not begun.
                pub fn not_begun(self, now: Timestamp, why: NotBegun) -> Step {
                    self.resume(now, <$answer>::not_begun(why))
                }
            }
        )+

        impl Step {
            /// Until when the step may begin, and when its call is dropped; `None` when the flow is over.
            pub fn not_after(&self) -> Option<Timestamp> {
                match self {
                    $(Self::$variant(step) => Some(step.not_after),)+
                    Self::Done(_) => None,
                }
            }

            /// No answer came, and it may have happened. A flow that is over stays so.
            #[must_use]
            pub fn lost(self, now: Timestamp) -> Self {
                match self {
                    $(Self::$variant(step) => step.lost(now),)+
                    Self::Done(outcome) => Self::Done(outcome),
                }
            }

            /// It surely was not begun. A flow that is over stays so.
            #[must_use]
            pub fn not_begun(self, now: Timestamp, why: NotBegun) -> Self {
                match self {
                    $(Self::$variant(step) => step.not_begun(now, why),)+
                    Self::Done(outcome) => Self::Done(outcome),
                }
            }

            /// What it is, for traces.
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $word,)+
                    Self::Done(_) => "done",
                }
            }

            /// The outcome, when the flow is over.
            ///
            /// # Errors
            /// The step, when it is not.
            pub fn over(self) -> Result<Box<Outcome>, Self> {
                match self {
                    Self::Done(outcome) => Ok(outcome),
                    $(Self::$variant(step) => Err(Self::$variant(step)),)+
                }
            }
        }
    };
}

steps! {
    /// A changeset to apply.
    Store "store" StoreStep { changeset: Changeset } then StoreThen, takes StoreAnswer;
    /// A question about a send.
    Assess "assess" AssessStep { question: Question } then AssessThen, takes AssessAnswer;
    /// A message to send. It can be built only from a delivery that an applied changeset recorded.
    Dispatch "dispatch" DispatchStep { request: DispatchRequest } then send::Dispatch, takes Dispatched;
    /// A code to compare.
    Compare "compare" CompareStep { request: CompareRequest } then check::Compare, takes Compared;
    /// A delivery to ask about.
    Inquire "inquire" InquireStep { request: InquireRequest } then tick::Inquire, takes Inquired;
    /// An end to tell.
    Conclude "conclude" ConcludeStep { request: ConcludeRequest } then ConcludeThen, takes Concluded;
    /// An answer to give at once. What is left of the flow depends on others, whom the answer must not depend on; the outcome at
    /// its end is for operators.
    Answer "answer" AnswerStep { outcome: Arc<Outcome> } then AnswerThen, takes ();
}

/// Where a flow goes on after the store answered: one variant a flow and stage.
#[derive(Debug, Clone)]
pub(super) enum StoreThen {
    SendLook(send::Look),
    SendIntent(send::Intent),
    SendSettle(send::Settle),
    CheckCount(check::Count),
    CheckApprove(check::Approve),
    CheckClose(check::Close),
    CancelLook(cancel::Look),
    CancelWrite(cancel::Write),
    CancelClear(cancel::Clear),
    StatusLook(status::Look),
    ReportLook(report::Look),
    ReportWrite(report::Write),
    TickLook(tick::Look),
    TickWrite(tick::Write),
    RekeyLook(rekey::Look),
    RekeyGather(rekey::Gather),
    RedeemSpend(redeem::Spend),
    UnlockLook(unlock::Look),
    UnlockWrite(unlock::Write),
    EraseLook(erase::Look),
    EraseWrite(erase::Write),
}

impl StoreThen {
    /// Some flows ask the same again when the answer was lost, so what was asked comes with the answer.
    fn resume(self, asked: Changeset, now: Timestamp, answer: StoreAnswer) -> Step {
        let answer = unless_it_cools(&asked, answer);
        let is_lost = matches!(answer, StoreAnswer::Unknown(_));
        let mut step = match self {
            Self::SendLook(stage) => stage.resume(now, answer),
            Self::SendIntent(stage) => stage.resume(asked, now, answer),
            Self::SendSettle(stage) => stage.resume(now, answer),
            Self::CheckCount(stage) => stage.resume(now, answer),
            Self::CheckApprove(stage) => stage.resume(now, answer),
            Self::CheckClose(stage) => stage.resume(now, answer),
            Self::CancelLook(stage) => stage.resume(now, answer),
            Self::CancelWrite(stage) => stage.resume(now, answer),
            Self::CancelClear(stage) => stage.resume(now),
            Self::StatusLook(stage) => stage.resume(now, answer),
            Self::ReportLook(stage) => stage.resume(now, answer),
            Self::ReportWrite(stage) => stage.resume(now, answer),
            Self::TickLook(stage) => stage.resume(now, answer),
            Self::TickWrite(stage) => stage.resume(answer),
            Self::RekeyLook(stage) => stage.resume(now, answer),
            Self::RekeyGather(stage) => stage.resume(now, answer),
            Self::RedeemSpend(stage) => stage.resume(asked, answer),
            Self::UnlockLook(stage) => stage.resume(now, answer),
            Self::UnlockWrite(stage) => stage.resume(now, answer),
            Self::EraseLook(stage) => stage.resume(now, answer),
            Self::EraseWrite(stage) => stage.resume(now, answer),
        };
        if let (Step::Store(again), true) = (&mut step, is_lost) {
            again.not_after = again.not_after.min(now + ASKED_AGAIN_WITHIN);
        }
        step
    }
}

/// What a store refused because it may have lost what it counted says nothing about anybody: it is a fault of the store.
fn unless_it_cools(asked: &Changeset, answer: StoreAnswer) -> StoreAnswer {
    let wait = match &answer {
        StoreAnswer::Refused(seen) => seen.origin.cools(asked.looks_back, asked.at),
        StoreAnswer::Applied(_) | StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_) => None,
    };
    match wait {
        Some(wait) => StoreAnswer::NotApplied(StoreFault::Cools(Detail::new(None, COOLS), wait)),
        None => answer,
    }
}

/// Where a send goes on after a question about it was answered.
#[derive(Debug, Clone)]
pub(super) enum AssessThen {
    Risk(send::Weigh),
    Human(send::AskHuman),
}

impl AssessThen {
    fn resume(self, _asked: Question, now: Timestamp, answer: AssessAnswer) -> Step {
        match self {
            Self::Risk(stage) => stage.resume(now, answer),
            Self::Human(stage) => stage.resume(now, &answer),
        }
    }
}

/// What is left to do after the answer.
#[derive(Debug, Clone)]
pub(super) enum AnswerThen {
    Send(send::Answered),
    Conclude(ConcludeRequest, ConcludeThen),
}

impl AnswerThen {
    fn resume(self, _told: Arc<Outcome>, now: Timestamp, (): ()) -> Step {
        match self {
            Self::Send(stage) => stage.resume(now),
            Self::Conclude(request, then) => {
                let not_after = request.not_after;
                ConcludeStep::step(request, not_after, then)
            }
        }
    }
}

/// Where a flow goes on after a provider was told an end.
#[derive(Debug, Clone)]
pub(super) enum ConcludeThen {
    /// A cancel takes its announcement back, so that a new send need not wait for it.
    Cancel(cancel::Tell),
    /// A closing leaves the announcement to run out: nobody may send before that anyway.
    Close(check::Tell),
}

impl ConcludeThen {
    fn resume(self, _asked: ConcludeRequest, now: Timestamp, answer: Concluded) -> Step {
        match self {
            Self::Cancel(stage) => stage.resume(now, answer),
            Self::Close(stage) => stage.resume(answer),
        }
    }
}
