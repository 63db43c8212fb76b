//! What Twilio answers, as far as it is used. Unknown fields are welcome; missing ones are `None`.

use serde::Deserialize;

/// A verification, as a start, a reading or a change of status answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Verification {
    /// `VE…`.
    pub sid: Option<String>,
    /// `pending`, `approved`, `canceled`, `max_attempts_reached`, `deleted`, `failed` or `expired`; more may come.
    pub status: Option<String>,
}

/// The answer to a check. A wrong code is no error: `pending` and not valid.
#[derive(Debug, Clone, Deserialize)]
pub struct VerificationCheck {
    /// `VE…`.
    pub sid: Option<String>,
    /// As in [`Verification::status`].
    pub status: Option<String>,
    /// True when the code was right.
    pub valid: Option<bool>,
}

/// One message of a verification.
#[derive(Debug, Clone, Deserialize)]
pub struct Attempt {
    /// `VL…`.
    pub sid: Option<String>,
    /// The verification that it belongs to, `VE…`.
    pub verification_sid: Option<String>,
    /// Whole seconds, UTC: `2026-11-24T20:00:00Z`.
    pub date_created: Option<String>,
    /// `converted` when its code was used, or `unconverted`.
    pub conversion_status: Option<String>,
    /// `sms`, `call`, `email`, `whatsapp`, or `rbm` for a text message that went as RCS; more may come.
    pub channel: Option<String>,
}

/// A page of attempts.
#[derive(Deserialize)]
pub(crate) struct AttemptPage {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) meta: PageMeta,
}

/// Where the next page is.
#[derive(Deserialize)]
pub(crate) struct PageMeta {
    pub(crate) next_page_url: Option<String>,
}

/// A Verify Service.
#[derive(Debug, Clone, Deserialize)]
pub struct Service {
    /// `VA…`.
    pub sid: String,
    /// How many digits its codes have, 4 to 10.
    pub code_length: Option<u8>,
}

/// The id, if it looks like one at all: letters and digits, at most 64. It will be part of an address.
pub(crate) fn usable_sid(sid: Option<String>) -> Option<String> {
    sid.filter(|sid| (1..=64).contains(&sid.len()) && sid.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
