//! The words of a policy file: one spelling for each choice, for reading and for printing.

use super::{
    AtEnd, AuthMode, Automatic, CountryAction, Counts, Disclosure, LogLevel, Resend, RiskAction, Then,
    Unenrolled,
};
use crate::vocabulary::{Channel, Dimension, Purpose};

/// A choice that has a word.
pub(super) trait Word: Copy + 'static {
    /// Every choice, in the order of the manual.
    const ALL: &'static [Self];

    /// Its word.
    fn word(self) -> &'static str;
}

/// The choice of a word.
pub(super) fn named<T: Word>(word: &str) -> Option<T> {
    T::ALL.iter().copied().find(|known| known.word() == word)
}

/// All words of a choice, for messages: `same, new`.
pub(super) fn all<T: Word>() -> String {
    T::ALL
        .iter()
        .map(|known| known.word())
        .collect::<Vec<_>>()
        .join(", ")
}

macro_rules! words {
    ($($choice:ident { $($variant:ident = $word:literal),+ })+) => { $(
        impl Word for $choice {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    )+ };
}

words! {
    Resend { Same = "same", New = "new" }
    Automatic { Never = "never", WithConsent = "with_consent", Always = "always" }
    AtEnd { StepUp = "step_up", Support = "support" }
    Counts { Sends = "sends", Checks = "checks", Failures = "failures", Spend = "spend" }
    Then { Refuse = "refuse", HumanCheck = "human_check", Alert = "alert" }
    RiskAction { Proceed = "proceed", HumanCheck = "human_check", StepUp = "step_up", Refuse = "refuse" }
    Unenrolled { Refuse = "refuse", Enroll = "enroll" }
    CountryAction { Allow = "allow", Monitor = "monitor", HumanCheck = "human_check", Block = "block" }
    Disclosure { Open = "open", Private = "private" }
    AuthMode { ApiKey = "api_key", AuthToken = "auth_token" }
    LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" }
    Permit { Allow = "allow", Block = "block" }
    Likeness { Same = "same", Distinct = "distinct" }
}

/// Allowed or not, where the policy keeps a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    Allow,
    Block,
}

impl Permit {
    /// The word for a flag that is true when something is allowed.
    pub(super) const fn of(allowed: bool) -> Self {
        if allowed { Self::Allow } else { Self::Block }
    }
}

/// One mailbox or two, where the policy keeps a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    Same,
    Distinct,
}

impl Likeness {
    /// The word for a flag that is true when two spellings are one mailbox.
    pub(super) const fn of(same: bool) -> Self {
        if same { Self::Same } else { Self::Distinct }
    }
}

macro_rules! words_of_the_domain {
    ($($choice:ident)+) => { $(
        impl Word for $choice {
            const ALL: &'static [Self] = $choice::ALL;

            fn word(self) -> &'static str {
                self.as_str()
            }
        }
    )+ };
}

words_of_the_domain! { Channel Dimension Purpose }
