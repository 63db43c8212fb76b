//! The codes of a managed provider, with the meaning that Twilio Verify gives them: within one scope a destination
//! has one code at a time, and all who send to it share its sends and its checks.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use verify_core::port::{Compared, End};
use verify_core::time::Timestamp;

/// How long a code lives, from its first send.
const LIFE: Duration = Duration::from_secs(600);
/// How often it is sent.
const MOST_SENDS: u8 = 5;
/// A code that went out. Its `Debug` does not show the digits.
#[derive(Clone, PartialEq, Eq)]
pub struct SentCode {
    /// The provider's id for it: the same for every send of one code.
    pub upstream: String,
    /// Its six digits.
    pub code: String,
}

/// The destination used up the sends of its code; it gets another when this one has died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendsUsedUp;

/// All codes of one managed provider, as a value: cloned, compared and hashed by whoever explores what can happen.
///
/// A code lives for ten minutes from its first send, is sent five times and compared five times, and ends with a match. The
/// digits differ from code to code and are the same in every run.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ManagedCodes {
    live: BTreeMap<(Arc<str>, String), ManagedCode>,
    made: u64,
    renews: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct ManagedCode {
    upstream: String,
    code: String,
    made_at: Timestamp,
    sends: u8,
    checks: u8,
}

impl ManagedCodes {
    /// How often a code is compared; afterwards it is as good as gone.
    pub const MOST_CHECKS: u8 = 5;

    /// The same, where a send after five checks makes a new code: what Twilio does then is not documented.
    #[must_use]
    pub fn renewing(self) -> Self {
        Self { renews: true, ..self }
    }

    /// Sends the code that lives, or a new one.
    ///
    /// # Errors
    /// The code that lives was sent five times: surely nothing is sent.
    pub fn send(&mut self, scope: &Arc<str>, to: &str, now: Timestamp) -> Result<SentCode, SendsUsedUp> {
        let key = (Arc::clone(scope), to.to_owned());
        let lives = |code: &&ManagedCode| {
            now < code.made_at + LIFE && !(self.renews && code.checks >= Self::MOST_CHECKS)
        };
        let mut code = match self.live.get(&key).filter(lives) {
            Some(code) => code.clone(),
            None => self.make(now),
        };
        if code.sends >= MOST_SENDS {
            return Err(SendsUsedUp);
        }
        code.sends += 1;
        let sent = SentCode {
            upstream: code.upstream.clone(),
            code: code.code.clone(),
        };
        self.live.insert(key, code);
        Ok(sent)
    }

    /// Compares a guess: `Match`, which ends the code, `NoMatch`, `Ended` where five were compared, or `Gone` where none lives.
    pub fn compare(&mut self, scope: &Arc<str>, to: &str, guess: &str, now: Timestamp) -> Compared {
        let key = (Arc::clone(scope), to.to_owned());
        let alive = |code: &&mut ManagedCode| now < code.made_at + LIFE;
        let Some(code) = self.live.get_mut(&key).filter(alive) else {
            return Compared::Gone;
        };
        code.checks = code.checks.saturating_add(1);
        if code.checks > Self::MOST_CHECKS {
            return Compared::Ended {
                upstream: code.upstream.clone(),
                end: End::UsedUp,
            };
        }
        if code.code != guess {
            return Compared::NoMatch;
        }
        self.live.remove(&key);
        Compared::Match
    }

    /// Ends a code; false when none lives.
    pub fn end(&mut self, scope: &Arc<str>, to: &str, now: Timestamp) -> bool {
        let ended = self.live.remove(&(Arc::clone(scope), to.to_owned()));
        ended.is_some_and(|code| now < code.made_at + LIFE)
    }

    /// The provider's id for the code that a destination has, whether or not it can still be used.
    pub fn upstream(&self, scope: &Arc<str>, to: &str) -> Option<&str> {
        let code = self.live.get(&(Arc::clone(scope), to.to_owned()))?;
        Some(&code.upstream)
    }

    fn make(&mut self, now: Timestamp) -> ManagedCode {
        self.made += 1;
        let digits = self.made.wrapping_mul(271_829) % 1_000_000;
        ManagedCode {
            upstream: format!("VE{:032x}", self.made),
            code: format!("{digits:06}"),
            made_at: now,
            sends: 0,
            checks: 0,
        }
    }
}

impl fmt::Debug for ManagedCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedCodes")
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentCode")
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SendsUsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the code was sent as often as it may be; wait until it has died")
    }
}

impl Error for SendsUsedUp {}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: &str = "+12025550199";

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn sent(codes: &mut ManagedCodes, seconds: u64) -> Option<String> {
        codes
            .send(&"scope".into(), TO, at(seconds))
            .ok()
            .map(|sent| sent.code)
    }

    #[test]
    fn one_code_for_ten_minutes_and_five_sends() {
        let mut codes = ManagedCodes::default();
        let first = sent(&mut codes, 0);
        for second in 1..5 {
            assert_eq!(sent(&mut codes, second), first);
        }
        assert_eq!(sent(&mut codes, 599), None);
        let next = sent(&mut codes, 600);
        assert!(next.is_some() && next != first);
    }

    #[test]
    fn five_checks_then_it_has_ended_even_for_the_right_one() {
        let mut codes = ManagedCodes::default();
        let right = sent(&mut codes, 0).unwrap();
        for _ in 0..5 {
            assert_eq!(
                codes.compare(&"scope".into(), TO, "nope", at(1)),
                Compared::NoMatch
            );
        }
        let ended = Compared::Ended {
            upstream: format!("VE{:032x}", 1),
            end: End::UsedUp,
        };
        assert_eq!(codes.compare(&"scope".into(), TO, &right, at(1)), ended);
    }

    #[test]
    fn codes_that_renew_begin_again_once_they_are_used_up() {
        let mut codes = ManagedCodes::default().renewing();
        let first = sent(&mut codes, 0);
        for _ in 0..5 {
            codes.compare(&"scope".into(), TO, "nope", at(1));
        }
        let next = sent(&mut codes, 2);
        assert!(next.is_some() && next != first);
        let right = codes.compare(&"scope".into(), TO, &next.unwrap(), at(3));
        assert_eq!(right, Compared::Match);
    }

    #[test]
    fn a_match_ends_the_code_in_its_scope_only() {
        let mut codes = ManagedCodes::default();
        let right = sent(&mut codes, 0).unwrap();
        let other = codes.send(&"other".into(), TO, at(0)).unwrap().code;
        assert_eq!(codes.compare(&"scope".into(), TO, &right, at(1)), Compared::Match);
        assert_eq!(codes.compare(&"scope".into(), TO, &right, at(1)), Compared::Gone);
        assert_eq!(codes.compare(&"other".into(), TO, &other, at(1)), Compared::Match);
    }

    #[test]
    fn an_expired_code_is_gone() {
        let mut codes = ManagedCodes::default();
        let right = sent(&mut codes, 0).unwrap();
        assert_eq!(
            codes.compare(&"scope".into(), TO, &right, at(600)),
            Compared::Gone
        );
        assert!(!codes.end(&"scope".into(), TO, at(600)));
    }
}
