//! Answers of the engine, cut in two: what went well, and the problem document of what did not.

use http::StatusCode;
use verify_core::outcome::{
    Approval, CancelAnswer, CheckAnswer, EraseAnswer, Outcome, RedeemAnswer, Redemption, SendAnswer, Stands,
    StatusAnswer, UnlockAnswer, VerificationView,
};
use verify_core::time::Timestamp;

use crate::problem::Problem;

/// What a command came to, for a handler that ends at the first no.
///
/// ```
/// # use verify_core::outcome::{Fault, Outcome, SendAnswer};
/// use verify_http::{OrProblem, Problem, Sent};
/// # use verify_core::time::Timestamp;
/// # fn handler(outcome: Outcome<SendAnswer>, now: Timestamp) -> Result<Sent, Problem> {
/// let sent = outcome.or_problem(now)?; // engine.send(request).await.or_problem(engine.now())?
/// # Ok(sent)
/// # }
/// ```
///
/// What decided, and the store's own words after a fault, are in the outcome's `explanation`: log it before, where you
/// keep such logs.
pub trait OrProblem {
    /// What is there when it went well.
    type Good;

    /// What went well; `now` is the engine's time, for waits.
    ///
    /// # Errors
    /// A refusal, a wrong code or a fault, as it goes to the client.
    fn or_problem(self, now: Timestamp) -> Result<Self::Good, Problem>;
}

/// A challenge is on its way; under private disclosure it was taken, and what becomes of it is not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What it is now.
    pub verification: VerificationView,
    /// True when it was the same send again: nothing was sent, nothing charged.
    pub repeated: bool,
}

impl Sent {
    /// 201, or 200 for a repeat.
    pub const fn status(&self) -> StatusCode {
        if self.repeated {
            StatusCode::OK
        } else {
            StatusCode::CREATED
        }
    }
}

impl<A: OrProblem> OrProblem for Outcome<A> {
    type Good = A::Good;

    fn or_problem(self, now: Timestamp) -> Result<A::Good, Problem> {
        self.answer.map_err(Problem::from)?.or_problem(now)
    }
}

impl OrProblem for SendAnswer {
    type Good = Sent;

    fn or_problem(self, now: Timestamp) -> Result<Sent, Problem> {
        let (verification, repeated) = match self {
            Self::Sent(verification) => (*verification, false),
            Self::Repeated(verification) => (*verification, true),
            Self::Refused(refusal) => return Err(Problem::refused(refusal, now)),
        };
        Ok(Sent {
            verification,
            repeated,
        })
    }
}

impl OrProblem for CheckAnswer {
    type Good = Approval;

    /// For checks that say who is expected. A check that expects [`Whoever`](verify_core::command::Expected::Whoever) has
    /// [`CheckAnswer::Unclaimed`] to compare first, and is matched by hand: here it approves nobody, and is `internal`.
    fn or_problem(self, now: Timestamp) -> Result<Approval, Problem> {
        match self {
            Self::Approved(approval) => Ok(*approval),
            Self::Unclaimed(_) => Err(Problem::internal()),
            Self::WrongCode(wrong) => Err(Problem::wrong_code(&wrong, now)),
            Self::Refused(refusal) => Err(Problem::refused(refusal, now)),
        }
    }
}

impl OrProblem for CancelAnswer {
    type Good = VerificationView;

    fn or_problem(self, now: Timestamp) -> Result<VerificationView, Problem> {
        match self {
            Self::Canceled(verification) => Ok(*verification),
            Self::Refused(refusal) => Err(Problem::refused(refusal, now)),
        }
    }
}

impl OrProblem for StatusAnswer {
    type Good = VerificationView;

    fn or_problem(self, now: Timestamp) -> Result<VerificationView, Problem> {
        match self {
            Self::Found(verification) => Ok(*verification),
            Self::Refused(refusal) => Err(Problem::refused(refusal, now)),
        }
    }
}

impl OrProblem for UnlockAnswer {
    type Good = Vec<Stands>;

    /// What refuses the person all the same. It has names of rules: for operators.
    fn or_problem(self, now: Timestamp) -> Result<Vec<Stands>, Problem> {
        match self {
            Self::Unlocked { stands } => Ok(stands),
            Self::Refused(refusal) => Err(Problem::refused(refusal, now)),
        }
    }
}

impl OrProblem for EraseAnswer {
    type Good = usize;

    /// How many verifications went.
    fn or_problem(self, now: Timestamp) -> Result<usize, Problem> {
        match self {
            Self::Erased { verifications } => Ok(verifications),
            Self::Refused(refusal) => Err(Problem::refused(refusal, now)),
        }
    }
}

impl OrProblem for RedeemAnswer {
    type Good = Redemption;

    fn or_problem(self, now: Timestamp) -> Result<Redemption, Problem> {
        match self {
            Self::Redeemed(redemption) => Ok(redemption),
            Self::Refused(refusal) => Err(Problem::refused(refusal, now)),
        }
    }
}
