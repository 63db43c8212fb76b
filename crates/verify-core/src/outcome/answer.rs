//! The answers: one type a command, with what that command can come to and nothing else.

use std::sync::Arc;

use super::{Approval, Fault, Redemption, Refusal, Unclaimed, VerificationView, WrongCode};
use crate::command::{
    CancelRequest, CheckRequest, Command, EraseRequest, RedeemRequest, ReportRequest, SendRequest,
    StatusRequest, TickRequest, UnlockRequest,
};
use crate::time::Until;
use crate::vocabulary::Standing;

/// What can be asked, and what it is answered with.
pub trait Request: Into<Command> {
    /// What it comes to. The machine never gives another one.
    type Answer: TryFrom<Answer, Error = Fault> + Into<Answer>;
}

/// What came of a send.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SendAnswer {
    /// A challenge is on its way. Under private disclosure: it was taken, and what becomes of it is not told.
    Sent(Box<VerificationView>),
    /// The same send again: nothing was sent, nothing charged.
    Repeated(Box<VerificationView>),
    /// No, and why.
    Refused(Refusal),
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CheckAnswer {
    /// The code was right, and of the person whom the request named. The proof in it is what to act on.
    Approved(Box<Approval>),
    /// The code was right; whose it was the request did not say. It gives nothing until it is told whom to act for.
    Unclaimed(Box<Unclaimed>),
    /// The code was wrong; it was counted.
    WrongCode(WrongCode),
    /// It was not compared, and why.
    Refused(Refusal),
}

/// What came of a cancel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CancelAnswer {
    /// Its code works no more.
    Canceled(Box<VerificationView>),
    /// No, and why.
    Refused(Refusal),
}

/// What came of a status.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StatusAnswer {
    /// As it is now.
    Found(Box<VerificationView>),
    /// No, and why.
    Refused(Refusal),
}

/// A report was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReportAnswer {
    /// False for duplicates, unknown references and what is older than what is known.
    pub changed: bool,
}

/// A record was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TickAnswer {
    /// False for a spurious tick, and for what could not be settled.
    pub changed: bool,
}

/// What came of redeeming a proof.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RedeemAnswer {
    /// It was good, and is spent now.
    Redeemed(Redemption),
    /// No, and why. Nothing was spent.
    Refused(Refusal),
}

/// What came of an unlock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UnlockAnswer {
    /// The lockout of whoever was named is over.
    Unlocked {
        /// What refuses them all the same: rules of theirs, and of subjects that have something at this destination and
        /// were not named. Client addresses, prefixes, countries and the service have limits of their own.
        stands: Vec<Stands>,
    },
    /// No, and why.
    Refused(Refusal),
}

/// A rule that still refuses somebody after an unlock. For operators: it has a rule's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Stands {
    /// A limit's name, `lockout_destination` or `lockout_subject`.
    pub rule: Arc<str>,
    /// Of whom: strangers and known callers are counted apart.
    pub standing: Standing,
    /// False: it is of a subject that the request did not name. Name it, and its lockout ends too.
    pub named: bool,
    /// When it would admit one more.
    pub until: Until,
}

/// What came of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EraseAnswer {
    /// The records are gone; counters stay.
    Erased {
        /// How many verifications went.
        verifications: usize,
    },
    /// No, and why.
    Refused(Refusal),
}

macro_rules! answers {
    ($($(#[$meta:meta])* $name:ident: $request:ty => $answer:ty { $($pattern:pat => $word:literal),+ } $(no $refused:path)?;)+) => {
        /// The answer to any command, for whoever drives all of them alike. A host gets its request's own answer.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Answer { $($(#[$meta])* $name($answer)),+ }

        impl Answer {
            /// The stable word for it, for logs and metrics.
            pub const fn as_str(&self) -> &'static str {
                match self { $($(Self::$name($pattern) => $word,)+ $(Self::$name($refused(_)) => "refused",)?)+ }
            }

            /// Why not, when the answer is no.
            pub const fn refusal(&self) -> Option<&Refusal> {
                match self {
                    $($(Self::$name($refused(refusal)) => Some(refusal),)? Self::$name(_) => None,)+
                }
            }
        }

        $(
            impl Request for $request {
                type Answer = $answer;
            }

            impl From<$answer> for Answer {
                fn from(answer: $answer) -> Self {
                    Self::$name(answer)
                }
            }

            impl TryFrom<Answer> for $answer {
                type Error = Fault;

                /// Another command's answer is a defect: the machine gives none.
                fn try_from(answer: Answer) -> Result<Self, Fault> {
                    match answer {
                        Answer::$name(answer) => Ok(answer),
                        #[allow(clippy::wildcard_enum_match_arm, reason = "all others, by name, in each of them")]
                        _ => Err(Fault::Defect),
                    }
                }
            }

            $(impl From<Refusal> for $answer {
                fn from(refusal: Refusal) -> Self {
                    $refused(refusal)
                }
            })?
        )+
    };
}

answers! {
    /// Of a send.
    Send: SendRequest => SendAnswer { SendAnswer::Sent(_) => "sent", SendAnswer::Repeated(_) => "repeated" } no SendAnswer::Refused;
    /// Of a check.
    Check: CheckRequest => CheckAnswer {
        CheckAnswer::Approved(_) => "approved", CheckAnswer::Unclaimed(_) => "approved", CheckAnswer::WrongCode(_) => "wrong_code"
    } no CheckAnswer::Refused;
    /// Of a cancel.
    Cancel: CancelRequest => CancelAnswer { CancelAnswer::Canceled(_) => "canceled" } no CancelAnswer::Refused;
    /// Of a status.
    Status: StatusRequest => StatusAnswer { StatusAnswer::Found(_) => "status" } no StatusAnswer::Refused;
    /// Of a report.
    Report: ReportRequest => ReportAnswer { ReportAnswer { .. } => "reported" };
    /// Of a tick.
    Tick: TickRequest => TickAnswer { TickAnswer { .. } => "ticked" };
    /// Of a redeem.
    Redeem: RedeemRequest => RedeemAnswer { RedeemAnswer::Redeemed(_) => "redeemed" } no RedeemAnswer::Refused;
    /// Of an unlock.
    Unlock: UnlockRequest => UnlockAnswer { UnlockAnswer::Unlocked { .. } => "unlocked" } no UnlockAnswer::Refused;
    /// Of an erasure.
    Erase: EraseRequest => EraseAnswer { EraseAnswer::Erased { .. } => "erased" } no EraseAnswer::Refused;
}
