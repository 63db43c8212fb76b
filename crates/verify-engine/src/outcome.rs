//! What each verb returns: an enum of what can come of it. A refusal is an outcome; a [`Fault`] is the error.

use verify_core::outcome::{Answer, Approval, Fault, Redemption, Refusal, Verification, WrongCode};

use crate::telemetry;

/// What came of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// A challenge is on its way.
    Sent(Verification),
    /// The same send again: nothing was sent and nothing charged.
    Repeated(Verification),
    /// No, and why.
    Refused(Refusal),
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// The code was right. The proof in it is what to act on.
    Approved(Approval),
    /// The code was wrong; it was counted.
    WrongCode(WrongCode),
    /// It was not compared, and why.
    Refused(Refusal),
}

/// What came of a cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelOutcome {
    /// Its code works no more.
    Canceled(Verification),
    /// No, and why.
    Refused(Refusal),
}

/// What came of a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusOutcome {
    /// As it is now.
    Found(Verification),
    /// No, and why.
    Refused(Refusal),
}

/// What came of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOutcome {
    /// It was taken.
    Reported {
        /// False when it told nothing new.
        changed: bool,
    },
    /// No, and why.
    Refused(Refusal),
}

/// What came of redeeming a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedeemOutcome {
    /// It was good, and is spent now.
    Redeemed(Redemption),
    /// No, and why. Nothing was spent.
    Refused(Refusal),
}

/// What came of an unlock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnlockOutcome {
    /// The person may check again.
    Unlocked,
    /// No, and why.
    Refused(Refusal),
}

/// What came of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EraseOutcome {
    /// The records are gone; counters stay.
    Erased {
        /// How many verifications went.
        verifications: usize,
    },
    /// No, and why.
    Refused(Refusal),
}

impl SendOutcome {
    pub(crate) fn of(answer: Answer) -> Result<Self, Fault> {
        if let Answer::Sent(verification) = answer {
            Ok(Self::Sent(*verification))
        } else if let Answer::Repeated(verification) = answer {
            Ok(Self::Repeated(*verification))
        } else {
            no(answer).map(Self::Refused)
        }
    }
}

impl CheckOutcome {
    pub(crate) fn of(answer: Answer) -> Result<Self, Fault> {
        if let Answer::Approved(approval) = answer {
            Ok(Self::Approved(*approval))
        } else if let Answer::WrongCode(wrong) = answer {
            Ok(Self::WrongCode(wrong))
        } else {
            no(answer).map(Self::Refused)
        }
    }
}

impl CancelOutcome {
    pub(crate) fn of(answer: Answer) -> Result<Self, Fault> {
        if let Answer::Canceled(verification) = answer {
            Ok(Self::Canceled(*verification))
        } else {
            no(answer).map(Self::Refused)
        }
    }
}

impl StatusOutcome {
    pub(crate) fn of(answer: Answer) -> Result<Self, Fault> {
        if let Answer::Status(verification) = answer {
            Ok(Self::Found(*verification))
        } else {
            no(answer).map(Self::Refused)
        }
    }
}

impl ReportOutcome {
    pub(crate) fn of(answer: Answer) -> Result<Self, Fault> {
        if let Answer::Reported { changed } = answer {
            Ok(Self::Reported { changed })
        } else {
            no(answer).map(Self::Refused)
        }
    }
}

impl RedeemOutcome {
    pub(crate) fn of(answer: Answer) -> Result<Self, Fault> {
        if let Answer::Redeemed(redemption) = answer {
            Ok(Self::Redeemed(redemption))
        } else {
            no(answer).map(Self::Refused)
        }
    }
}

impl UnlockOutcome {
    pub(crate) fn of(answer: Answer) -> Result<Self, Fault> {
        if answer == Answer::Unlocked {
            Ok(Self::Unlocked)
        } else {
            no(answer).map(Self::Refused)
        }
    }
}

impl EraseOutcome {
    pub(crate) fn of(answer: Answer) -> Result<Self, Fault> {
        if let Answer::Erased { verifications } = answer {
            Ok(Self::Erased { verifications })
        } else {
            no(answer).map(Self::Refused)
        }
    }
}

/// What every verb can come to besides its own answers.
fn no(answer: Answer) -> Result<Refusal, Fault> {
    if let Answer::Refused(refusal) = answer {
        return Ok(refusal);
    }
    if let Answer::Fault(fault) = answer {
        return Err(fault);
    }
    // Another verb's answer: the machine never gives one. Nothing is allowed because of it.
    let answer = answer.as_str();
    tracing::error!(target: telemetry::TARGET_COMMAND, answer, "a command was answered as if it were another");
    Err(Fault::StoreUnavailable)
}

#[cfg(test)]
mod tests {
    use verify_core::outcome::RefusalCode;

    use super::*;

    #[test]
    fn a_refusal_is_an_outcome_and_a_fault_an_error() {
        let refusal = Refusal::new(RefusalCode::RateLimited, "too many");
        assert_eq!(
            CheckOutcome::of(Answer::Refused(refusal.clone())),
            Ok(CheckOutcome::Refused(refusal))
        );
        assert_eq!(
            SendOutcome::of(Answer::Fault(Fault::Misconfigured)),
            Err(Fault::Misconfigured)
        );
    }

    #[test]
    fn the_answer_of_another_verb_allows_nothing() {
        assert!(CheckOutcome::of(Answer::Unlocked).is_err());
        assert!(UnlockOutcome::of(Answer::Erased { verifications: 1 }).is_err());
    }
}
