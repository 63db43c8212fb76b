//! Machines with one rule switched off: for tests of the tests only.
//!
//! A test that cannot fail shows nothing. Each [`Broken`] takes one rule away that a promise rests on, so that whoever
//! checks the promise can be seen to notice. The switches are compiled with `--cfg verify_broken` alone, which no dependency
//! can switch on, and a machine is broken only when it is asked to be (`Machine::broken`). Otherwise the question is the
//! constant `false`.
#![cfg_attr(
    not(verify_broken),
    allow(
        unreachable_pub,
        reason = "private without the cfg: only the names of the switches are left, for the flows to ask by"
    )
)]

/// The rule that a machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    /// A send is charged when it is settled, after the provider was asked.
    ChargeAfterDispatch,
    /// A guess is only decided on before it is compared, and counted when it was wrong.
    CountAfterCompare,
    /// A settlement that met somebody else's change writes over it.
    IgnoreExpectedVersion,
    /// A send ends the run of failures.
    ResetFailuresOnResend,
    /// A provider's "perhaps" about a guess gives the failure back.
    ResetOnUnknown,
    /// A message that may have been sent goes to the next provider as well.
    ResendAfterUnknown,
    /// An approval that met somebody else's change writes over it.
    ApproveWithoutCompareAndSwap,
    /// A resend of a code gives it a new life.
    ExtendExpiryOnResend,
    /// One limit of the policy, sends by destination, is never charged.
    SkipOneLimit,
    /// A proof makes its holder a known caller, as if it were a device token.
    AcceptTokenOfAnotherKind,
    /// Strangers and known callers count against the same limits.
    ShareBetweenStandings,
    /// Mailboxes that share limits are one to a verification.
    ShareBetweenMailboxes,
    /// What a provider says is over ends what was sent after it was asked.
    EndWhatIsNewer,
    /// A store that lost what it counted decides as if nothing had been counted.
    CountOnWhatIsLost,
}

#[cfg(verify_broken)]
impl Broken {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::ChargeAfterDispatch,
        Self::CountAfterCompare,
        Self::IgnoreExpectedVersion,
        Self::ResetFailuresOnResend,
        Self::ResetOnUnknown,
        Self::ResendAfterUnknown,
        Self::ApproveWithoutCompareAndSwap,
        Self::ExtendExpiryOnResend,
        Self::SkipOneLimit,
        Self::AcceptTokenOfAnotherKind,
        Self::ShareBetweenStandings,
        Self::ShareBetweenMailboxes,
        Self::EndWhatIsNewer,
        Self::CountOnWhatIsLost,
    ];

    /// What is broken, as names of tests spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChargeAfterDispatch => "charge_after_dispatch",
            Self::CountAfterCompare => "count_after_compare",
            Self::IgnoreExpectedVersion => "ignore_expected_version",
            Self::ResetFailuresOnResend => "reset_failures_on_resend",
            Self::ResetOnUnknown => "reset_on_unknown",
            Self::ResendAfterUnknown => "resend_after_unknown",
            Self::ApproveWithoutCompareAndSwap => "approve_without_compare_and_swap",
            Self::ExtendExpiryOnResend => "extend_expiry_on_resend",
            Self::SkipOneLimit => "skip_one_limit",
            Self::AcceptTokenOfAnotherKind => "accept_token_of_another_kind",
            Self::ShareBetweenStandings => "share_between_standings",
            Self::ShareBetweenMailboxes => "share_between_mailboxes",
            Self::EndWhatIsNewer => "end_what_is_newer",
            Self::CountOnWhatIsLost => "count_on_what_is_lost",
        }
    }

    /// The numbers of the promises that do not hold then; the first is the one that is about this rule.
    pub const fn promises(self) -> &'static [u8] {
        match self {
            Self::ChargeAfterDispatch => &[48],
            Self::CountAfterCompare => &[6, 1],
            Self::IgnoreExpectedVersion => &[24],
            Self::ResetFailuresOnResend => &[3, 10],
            Self::ResetOnUnknown => &[7],
            Self::ResendAfterUnknown => &[51],
            Self::ApproveWithoutCompareAndSwap => &[2],
            Self::ExtendExpiryOnResend => &[22],
            Self::SkipOneLimit => &[48, 31],
            Self::AcceptTokenOfAnotherKind => &[55],
            Self::ShareBetweenStandings => &[36],
            Self::ShareBetweenMailboxes => &[130],
            Self::EndWhatIsNewer => &[133],
            Self::CountOnWhatIsLost => &[62],
        }
    }
}
