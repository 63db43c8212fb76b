//! The steps: what a driver sees of a flow, and where each goes on.

use crate::outcome::Outcome;
use crate::port::{
    AssessRequest, Assessment, CompareRequest, Compared, ConcludeRequest, Concluded, DispatchRequest,
    Dispatched, InquireRequest, Inquired,
};
use crate::store::{Changeset, StoreAnswer};
use crate::time::Timestamp;

use super::{cancel, check, operator, redeem, report, send, status, tick};

/// What must be done next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Apply this changeset.
    Store(StoreStep),
    /// Ask the risk scorer or the human check.
    Assess(AssessStep),
    /// Ask a provider to send.
    Dispatch(DispatchStep),
    /// Ask a managed provider to compare.
    Compare(CompareStep),
    /// Ask what became of a delivery.
    Inquire(InquireStep),
    /// Tell a provider the end.
    Conclude(ConcludeStep),
    /// The flow is over.
    Done(Box<Outcome>),
}

/// What is asked about a send before it is dispatched.
#[derive(Debug, Clone)]
pub enum Question {
    /// How risky is it?
    Risk(AssessRequest),
    /// Does this token show a person?
    Human {
        /// The token.
        token: String,
        /// The client's address.
        ip: Option<std::net::IpAddr>,
    },
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AssessAnswer {
    /// The scorer's word.
    Assessed(Assessment),
    /// Whether the token shows a person.
    Human(bool),
    /// Nobody could tell.
    Unavailable,
}

macro_rules! steps {
    ($($(#[$meta:meta])* $name:ident { $field:ident: $request:ty } then $then:ty, takes $answer:ty;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            pub(super) $field: $request,
            pub(super) not_after: Timestamp,
            pub(super) then: Box<$then>,
        }

        impl $name {
            /// What to do.
            pub fn $field(&self) -> &$request {
                &self.$field
            }

            /// The outside call is dropped then.
            pub fn not_after(&self) -> Timestamp {
                self.not_after
            }

            /// Takes the answer, and says what is next.
            pub fn resume(self, now: Timestamp, answer: $answer) -> Step {
                self.then.resume(now, answer)
            }
        }
    )+};
}

/// A changeset to apply.
#[derive(Debug, Clone)]
pub struct StoreStep {
    pub(super) changeset: Changeset,
    pub(super) not_after: Timestamp,
    pub(super) then: Box<StoreThen>,
}

impl StoreStep {
    /// What to do.
    pub fn changeset(&self) -> &Changeset {
        &self.changeset
    }

    /// The outside call is dropped then.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Takes the answer, and says what is next.
    pub fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        self.then.resume(self.changeset, now, answer)
    }
}

steps! {
    /// A question about a send.
    AssessStep { question: Question } then AssessThen, takes AssessAnswer;
    /// A message to send. It can be built only from a delivery that an applied changeset recorded.
    DispatchStep { request: DispatchRequest } then DispatchThen, takes Dispatched;
    /// A code to compare.
    CompareStep { request: CompareRequest } then check::Comparing, takes Compared;
    /// A delivery to ask about.
    InquireStep { request: InquireRequest } then tick::Inquiring, takes Inquired;
    /// An end to tell.
    ConcludeStep { request: ConcludeRequest } then ConcludeThen, takes Concluded;
}

/// Where a flow goes on after the store answered: one variant a flow and stage.
#[derive(Debug, Clone)]
pub(super) enum StoreThen {
    Intent(send::Intent),
    Settle(send::Settle),
    Count(check::Count),
    Approve(check::Approve),
    Close(check::Close),
    CancelLook(cancel::Look),
    CancelWrite(cancel::Write),
    CancelClear(cancel::Clear),
    Status(status::Look),
    ReportLook(report::Look),
    ReportWrite(report::Write),
    TickLook(tick::Look),
    TickWrite(tick::Write),
    Redeem(redeem::Spend),
    UnlockLook(operator::UnlockLook),
    UnlockWrite(operator::UnlockWrite),
    EraseLook(operator::EraseLook),
    EraseWrite(operator::EraseWrite),
}

impl StoreThen {
    /// Some flows ask the same again when the answer was lost, so what was asked comes with the answer.
    fn resume(self, asked: Changeset, now: Timestamp, answer: StoreAnswer) -> Step {
        match self {
            Self::Intent(stage) => stage.resume(asked, now, answer),
            Self::Settle(stage) => stage.resume(now, answer),
            Self::Count(stage) => stage.resume(now, answer),
            Self::Approve(stage) => stage.resume(now, answer),
            Self::Close(stage) => stage.resume(now, answer),
            Self::CancelLook(stage) => stage.resume(now, answer),
            Self::CancelWrite(stage) => stage.resume(now, answer),
            Self::CancelClear(stage) => stage.resume(now, &answer),
            Self::Status(stage) => stage.resume(now, answer),
            Self::ReportLook(stage) => stage.resume(now, answer),
            Self::ReportWrite(stage) => stage.resume(now, answer),
            Self::TickLook(stage) => stage.resume(now, answer),
            Self::TickWrite(stage) => stage.resume(now, answer),
            Self::Redeem(stage) => stage.resume(asked, answer),
            Self::UnlockLook(stage) => stage.resume(now, answer),
            Self::UnlockWrite(stage) => stage.resume(now, answer),
            Self::EraseLook(stage) => stage.resume(now, answer),
            Self::EraseWrite(stage) => stage.resume(now, answer),
        }
    }
}

/// Where a send goes on after it was assessed.
#[derive(Debug, Clone)]
pub(super) struct AssessThen {
    pub(super) send: send::Send,
    pub(super) attempt: Option<send::Attempt>,
    pub(super) asked: send::Asked,
}

impl AssessThen {
    fn resume(self, now: Timestamp, answer: AssessAnswer) -> Step {
        self.send.assessed(self.attempt, self.asked, now, answer)
    }
}

/// Where a send goes on after it was dispatched.
#[derive(Debug, Clone)]
pub(super) struct DispatchThen {
    pub(super) send: send::Send,
    pub(super) attempt: send::Attempt,
}

impl DispatchThen {
    fn resume(self, now: Timestamp, answer: Dispatched) -> Step {
        self.send.dispatched(self.attempt, now, answer)
    }
}

/// Where a flow goes on after a provider was told.
#[derive(Debug, Clone)]
pub(super) enum ConcludeThen {
    /// A cancel takes its announcement back, so that a new send need not wait for it.
    Cancel(cancel::Told),
    /// A closing leaves the announcement to run out: nobody may send before that anyway.
    Closed(check::Told),
}

impl ConcludeThen {
    fn resume(self, now: Timestamp, answer: Concluded) -> Step {
        match self {
            Self::Cancel(stage) => stage.resume(now, answer),
            Self::Closed(stage) => stage.resume(answer),
        }
    }
}
