//! Harm: messages nobody asked for, owners locked out, limits walked around by spelling.

use std::time::Duration;

use verify_core::command::{CheckRequest, SendRequest};
use verify_core::time::Timestamp;

use crate::{Actor, Booth};

/// Message after message to one number.
#[derive(Debug, Clone)]
pub struct SmsBomb {
    /// Whose phone.
    pub victim: String,
    /// Messages asked for each second.
    pub per_second: f64,
}

impl Actor for SmsBomb {
    fn name(&self) -> &'static str {
        "sms_bomb"
    }

    fn defeats(&self) -> &'static str {
        "limit by address"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        let mut request = SendRequest::to(self.victim.clone()).ip(booth.any_address());
        request.human_check = Some(booth.human_token());
        booth.send(request);
        let gap = booth.chance().gap(self.per_second);
        Some(booth.now() + gap)
    }
}

/// Keeps owners locked out by failing in their name.
#[derive(Debug, Clone)]
pub struct LockoutDos {
    /// Whom.
    pub victims: Vec<String>,
    /// How often it comes back to each.
    pub every: Duration,
    /// How many times it still comes.
    pub rounds: u64,
}

impl Actor for LockoutDos {
    fn name(&self) -> &'static str {
        "lockout_dos"
    }

    fn defeats(&self) -> &'static str {
        "hard lockout"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        self.rounds = self.rounds.checked_sub(1)?;
        for victim in &self.victims {
            let mut request = SendRequest::to(victim.clone()).ip(booth.any_address());
            request.human_check = Some(booth.human_token());
            booth.send(request);
            for _ in 0..3 {
                let mut request = CheckRequest::to(victim.clone(), "000000");
                request.caller.ip = Some(booth.any_address());
                booth.check(request);
            }
        }
        Some(booth.now() + self.every)
    }
}

/// Asks for another code each time while the owner types the one that has come.
#[derive(Debug, Clone)]
pub struct VictimOverwrite {
    /// Whose number.
    pub victim: String,
    /// How often the owner comes. The attacker wakes when the owner asks, and sends a moment later.
    pub every: Duration,
    /// How many of the owner's visits are left.
    pub visits: u32,
    met: Option<Timestamp>,
}

impl VictimOverwrite {
    /// Meets so many visits.
    pub fn new(victim: String, every: Duration, visits: u32) -> Self {
        Self {
            victim,
            every,
            visits,
            met: None,
        }
    }
}

impl Actor for VictimOverwrite {
    fn name(&self) -> &'static str {
        "victim_overwrite"
    }

    fn defeats(&self) -> &'static str {
        "one live challenge"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        let Some(met) = self.met.take() else {
            self.visits = self.visits.checked_sub(1)?;
            self.met = Some(booth.now());
            let moment = booth
                .chance()
                .between(Duration::from_secs(1), Duration::from_secs(20));
            return Some(booth.now() + moment);
        };
        let mut request = SendRequest::to(self.victim.clone()).ip(booth.any_address());
        request.human_check = Some(booth.human_token());
        booth.send(request);
        Some(met + self.every)
    }
}

/// One number or mailbox in very many spellings.
#[derive(Debug, Clone)]
pub struct AliasFlood {
    /// Whose.
    pub victim: String,
    /// How many spellings.
    pub spellings: u64,
    /// How many a second.
    pub per_second: f64,
    tried: u64,
}

impl AliasFlood {
    /// So many spellings, so many a second.
    pub fn new(victim: impl Into<String>, spellings: u64, per_second: f64) -> Self {
        Self {
            victim: victim.into(),
            spellings,
            per_second,
            tried: 0,
        }
    }
}

impl Actor for AliasFlood {
    fn name(&self) -> &'static str {
        "alias_flood"
    }

    fn defeats(&self) -> &'static str {
        "limit by the text as typed"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        if self.tried >= self.spellings {
            return None;
        }
        let spelled = spelling(&self.victim, self.tried);
        self.tried += 1;
        let mut request = SendRequest::to(spelled).ip(booth.any_address());
        request.human_check = Some(booth.human_token());
        booth.send(request);
        let gap = booth.chance().gap(self.per_second);
        Some(booth.now() + gap)
    }
}

/// One of very many spellings of one destination. A mailbox gets another tag and other capitals, a number separators
/// in other places: no two numbers below 4¹¹ give the same text for a number of twelve digits.
fn spelling(destination: &str, number: u64) -> String {
    if let Some((local, domain)) = destination.split_once('@') {
        let capitals: String = domain
            .chars()
            .enumerate()
            .map(|(at, letter)| match number >> (at % 16) & 1 {
                1 => letter.to_ascii_uppercase(),
                _ => letter,
            })
            .collect();
        return format!("{local}+{number}@{capitals}");
    }
    let mut rest = number;
    let mut text = String::new();
    for (at, digit) in destination.chars().enumerate() {
        // Not within the country code and not at the end, where separators mean nothing good.
        if at > 3 {
            text.push_str(match rest % 4 {
                1 => " ",
                2 => "-",
                3 => ".",
                _ => "",
            });
            rest /= 4;
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use verify_core::destination::Destination;
    use verify_core::policy::Policy;

    #[test]
    fn spellings_differ_and_mean_one_destination() {
        let rules = Policy::default().email;
        for destination in ["+447400000123", "victim@example.com"] {
            let spellings: BTreeSet<String> =
                (0..10_000).map(|number| spelling(destination, number)).collect();
            assert_eq!(spellings.len(), 10_000);
            for spelled in &spellings {
                let parsed =
                    Destination::parse(spelled, None, &rules).unwrap_or_else(|_| panic!("{spelled}"));
                assert_eq!(parsed.canonical(), destination, "{spelled}");
            }
        }
    }
}
