//! The bounds of single values, for reading and for checking policies that were built in code.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Digits of a code.
pub(super) const CODE_LENGTH: RangeInclusive<u8> = 4..=10;
/// Below this many digits `allow_short` has to be said.
pub(super) const SHORT_CODE: u8 = 6;
/// The longest life of a code that may travel by phone.
pub(super) const PHONE_CODE_TTL: Duration = Duration::from_secs(600);
/// The longest life of a code that travels by mail alone.
pub(super) const EMAIL_CODE_TTL: Duration = Duration::from_secs(86_400);
/// Last digits of a number in logs.
pub(super) const LAST_DIGITS: RangeInclusive<u8> = 0..=2;
/// A risk score.
pub(super) const SCORE: RangeInclusive<u8> = 0..=100;
