//! Accounts: guessing codes that went to somebody else.

use std::time::Duration;

use verify_core::command::{CheckRequest, SendRequest};
use verify_core::time::Timestamp;

use crate::{Actor, Booth, Market};

/// A guess at a six-digit code.
fn guess(booth: &mut Booth<'_>) -> String {
    format!("{:06}", booth.chance().below(1_000_000))
}

/// Asks for a message to somebody, from an address not seen before. The verification's id where one is pending.
fn send(booth: &mut Booth<'_>, to: &str) -> Option<String> {
    let mut request = SendRequest::to(to).ip(booth.any_address());
    request.human_check = Some(booth.human_token());
    booth
        .send(request)
        .sent()
        .map(|verification| verification.id.clone())
}

/// Checks from an address not seen before.
fn check(booth: &mut Booth<'_>, mut request: CheckRequest) {
    request.caller.ip = Some(booth.any_address());
    booth.check(request);
}

/// Guesses, asks for the next code, and guesses on: for ever, against one account.
#[derive(Debug, Clone)]
pub struct ResendGuess {
    /// Whose account.
    pub victim: String,
    /// Guesses for each code.
    pub guesses: u32,
    /// How long it waits between two rounds.
    pub every: Duration,
}

impl Actor for ResendGuess {
    fn name(&self) -> &'static str {
        "resend_guess"
    }

    fn defeats(&self) -> &'static str {
        "counter by code"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        send(booth, &self.victim);
        for _ in 0..self.guesses {
            let code = guess(booth);
            check(booth, CheckRequest::to(self.victim.clone(), code));
        }
        Some(booth.now() + self.every)
    }
}

/// Opens session after session, each with a full set of guesses, as in the attack on a large vendor in 2024.
#[derive(Debug, Clone)]
pub struct SessionFarm {
    /// Whose account.
    pub victim: String,
    /// Sessions opened at each instant.
    pub sessions: u32,
    /// Guesses in each.
    pub guesses: u32,
    /// How long a round lasts.
    pub every: Duration,
    /// How many rounds are left.
    pub rounds: u64,
}

impl Actor for SessionFarm {
    fn name(&self) -> &'static str {
        "session_farm"
    }

    fn defeats(&self) -> &'static str {
        "counter by session"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        self.rounds = self.rounds.checked_sub(1)?;
        for _ in 0..self.sessions {
            let session = send(booth, &self.victim);
            for _ in 0..self.guesses {
                let code = guess(booth);
                let request = match &session {
                    Some(id) => CheckRequest::of(id.clone(), code, self.victim.clone()),
                    None => CheckRequest::to(self.victim.clone(), code),
                };
                check(booth, request);
            }
        }
        Some(booth.now() + self.every)
    }
}

/// Very many guesses at one instant. The simulated machine runs them one after the other; that it makes no difference
/// is shown elsewhere, by exploring interleavings.
#[derive(Debug, Clone)]
pub struct ParallelGuess {
    /// Whose account.
    pub victim: String,
    /// Guesses at one instant.
    pub at_once: u32,
    /// How long until the next volley.
    pub every: Duration,
}

impl Actor for ParallelGuess {
    fn name(&self) -> &'static str {
        "parallel_guess"
    }

    fn defeats(&self) -> &'static str {
        "counter read before it is written"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        send(booth, &self.victim);
        for _ in 0..self.at_once {
            let code = guess(booth);
            check(booth, CheckRequest::to(self.victim.clone(), code));
        }
        Some(booth.now() + self.every)
    }
}

/// One guess at each of very many accounts: no counter by account sees more than one.
#[derive(Debug, Clone)]
pub struct Horizontal {
    /// Where the accounts are.
    pub market: &'static Market,
    /// How many accounts.
    pub accounts: u64,
    /// Accounts tried each second.
    pub per_second: f64,
    tried: u64,
}

impl Horizontal {
    /// So many accounts, so many each second.
    pub fn new(market: &'static Market, accounts: u64, per_second: f64) -> Self {
        Self {
            market,
            accounts,
            per_second,
            tried: 0,
        }
    }
}

impl Actor for Horizontal {
    fn name(&self) -> &'static str {
        "horizontal_guess"
    }

    fn defeats(&self) -> &'static str {
        "counter by account"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        if self.tried >= self.accounts {
            return None;
        }
        // Spread over the whole country, so that no prefix sees many.
        let place = self
            .tried
            .wrapping_mul(self.market.size() / self.accounts.max(1) + 1);
        self.tried += 1;
        let victim = self.market.number(place);
        if let Some(id) = send(booth, &victim) {
            check(booth, CheckRequest::of(id, "123456", victim.clone()));
        }
        let gap = booth.chance().gap(self.per_second);
        Some(booth.now() + gap)
    }
}
