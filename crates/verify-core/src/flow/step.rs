//! The steps: what a driver sees of a flow.

use crate::outcome::Outcome;
use crate::port::{
    AssessRequest, Assessment, CompareRequest, Compared, ConcludeRequest, Concluded, DispatchRequest, Dispatched,
    InquireRequest, Inquired,
};
use crate::store::{Changeset, StoreAnswer};
use crate::time::Timestamp;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssessAnswer {
    /// The scorer's word.
    Assessed(Assessment),
    /// Whether the token shows a person.
    Human(bool),
    /// Nobody could tell.
    Unavailable,
}

macro_rules! steps {
    ($($(#[$meta:meta])* $name:ident { $field:ident: $request:ty } takes $answer:ty;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $field: $request,
            not_after: Timestamp,
        }

        impl $name {
            /// What to do.
            pub fn $field(&self) -> &$request { &self.$field }
            /// The outside call is dropped then.
            pub fn not_after(&self) -> Timestamp { self.not_after }
            /// Takes the answer, and says what is next.
            pub fn resume(self, now: Timestamp, answer: $answer) -> Step { let _ = (now, answer); todo!() }
        }
    )+};
}

steps! {
    /// A changeset to apply.
    StoreStep { changeset: Changeset } takes StoreAnswer;
    /// A question about a send.
    AssessStep { question: Question } takes AssessAnswer;
    /// A message to send. It can be built only from a delivery that an applied changeset recorded.
    DispatchStep { request: DispatchRequest } takes Dispatched;
    /// A code to compare.
    CompareStep { request: CompareRequest } takes Compared;
    /// A delivery to ask about.
    InquireStep { request: InquireRequest } takes Inquired;
    /// An end to tell.
    ConcludeStep { request: ConcludeRequest } takes Concluded;
}
