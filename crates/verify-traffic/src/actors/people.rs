//! Honest people: they mistype, their messages get lost or come late, they try again, wait a little, and go.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use verify_core::command::{Caller, CheckRequest, SendRequest};
use verify_core::outcome::{Answer, CheckAnswer, RefusalCode};
use verify_core::time::Timestamp;

use crate::{Actor, Booth, Leaving, Market, Reply, Side};

/// How people behave. Sources of the defaults are in `docs/simulator.md`.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// How likely a message is lost.
    pub lost: f64,
    /// How long half of the messages take at most.
    pub latency: Duration,
    /// How far latencies spread: the sigma of a log-normal.
    pub spread: f64,
    /// How likely the first typing of a code is wrong.
    pub typing_error: f64,
    /// How long somebody waits for a message.
    pub patience_for_message: Duration,
    /// How long somebody waits when told to.
    pub patience_for_limit: Duration,
    /// How likely somebody tries again after no message came: the first time, the second time, and never after.
    pub tries_again: [f64; 2],
    /// How likely somebody passes a human check.
    pub passes_human_check: f64,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            lost: 0.03,
            latency: Duration::from_secs(4),
            spread: 0.7,
            typing_error: 0.04,
            patience_for_message: Duration::from_secs(45),
            patience_for_limit: Duration::from_secs(120),
            tries_again: [0.37, 0.08],
            passes_human_check: 0.97,
        }
    }
}

/// How much older than a visit a message may be to be taken for its own: a resend gap.
const RECENT: Duration = Duration::from_secs(30);

/// What a person does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Come,
    Ask,
    Read,
    Type,
    Despair,
}

/// One person with one number.
#[derive(Debug, Clone)]
pub struct Visitor {
    name: &'static str,
    habits: Habits,
    to: String,
    ip: IpAddr,
    keeps_device: bool,
    device_token: Option<String>,
    visits_left: u32,
    every: Duration,
    next: Next,
    /// The verification of this visit.
    id: String,
    came: Timestamp,
    /// When the person has waited enough for a message.
    enough: Timestamp,
    /// What the messages said; the one to be typed next comes first.
    read: VecDeque<String>,
    unanswered: u32,
    asked: usize,
    mistyped: bool,
    human: bool,
    waited: Duration,
}

impl Visitor {
    /// Somebody who comes once.
    pub fn once(name: &'static str, habits: Habits, to: String, ip: IpAddr) -> Self {
        Self {
            name,
            habits,
            to,
            ip,
            keeps_device: false,
            device_token: None,
            visits_left: 1,
            every: Duration::ZERO,
            next: Next::Come,
            id: String::new(),
            came: Timestamp::ZERO,
            enough: Timestamp::ZERO,
            read: VecDeque::new(),
            unanswered: 0,
            asked: 0,
            mistyped: false,
            human: false,
            waited: Duration::ZERO,
        }
    }

    /// Comes so many times, with this much time between two visits.
    #[must_use]
    pub fn again(mut self, visits: u32, every: Duration) -> Self {
        (self.visits_left, self.every) = (visits, every);
        self
    }

    /// Keeps the device token of an approval and shows it from then on.
    #[must_use]
    pub fn on_one_device(mut self) -> Self {
        self.keeps_device = true;
        self
    }

    fn ask(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        let mut request = SendRequest::to(self.to.clone());
        request.caller = self.caller();
        request.human_check = self.human.then(|| booth.human_token());
        let reply = booth.send(request);
        let Some(verification) = reply.sent() else {
            return self.refused(Next::Ask, reply, booth);
        };
        self.id.clone_from(&verification.id);
        self.asked += 1;
        Some(self.message_comes(reply.took, booth))
    }

    /// When it is there to be read, or when the person has waited enough.
    fn message_comes(&mut self, answered_after: Duration, booth: &mut Booth<'_>) -> Timestamp {
        let now = booth.now();
        let habits = self.habits;
        self.enough = now + habits.patience_for_message;
        let latency = booth.chance().around(habits.latency, habits.spread);
        if booth.chance().happens(habits.lost) || latency > habits.patience_for_message {
            self.next = Next::Despair;
            return self.enough;
        }
        self.next = Next::Read;
        // Where to type it is shown once the send was answered.
        now + latency.max(answered_after)
    }

    fn reads(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        // What was there before the visit is not taken for this code, but for the message that a repeat speaks of.
        self.read = booth.messages(&self.to, self.came - RECENT).into();
        if self.read.is_empty() {
            self.next = Next::Despair;
            return Some(self.enough);
        }
        self.next = Next::Type;
        let typing = booth
            .chance()
            .between(Duration::from_secs(4), Duration::from_secs(20));
        Some(booth.now() + typing)
    }

    fn despair(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        let again = self
            .asked
            .checked_sub(1)
            .and_then(|tries| self.habits.tries_again.get(tries));
        if again.is_some_and(|probability| booth.chance().happens(*probability)) {
            return self.ask(booth);
        }
        self.leaves(Leaving::NoMessage, booth)
    }

    fn types(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        let code = self.read.front().cloned().unwrap_or_default();
        let slip = !self.mistyped && booth.chance().happens(self.habits.typing_error);
        self.mistyped |= slip;
        let typed = if slip { off_by_one(&code) } else { code };
        let mut request = CheckRequest::of(self.id.clone(), typed, self.to.clone());
        request.caller = self.caller();
        let reply = booth.check(request);
        if let Some(Answer::Check(CheckAnswer::Approved(approval))) = reply.answer() {
            if self.keeps_device {
                self.device_token = Some(approval.device_token.clone());
            }
            return self.leaves(Leaving::Verified { waited: self.waited }, booth);
        }
        if let Some(Answer::Check(CheckAnswer::WrongCode(wrong))) = reply.answer() {
            let wait = reply.wait(wrong.retry_at);
            let Some(wait) = wait.filter(|wait| *wait <= self.habits.patience_for_limit) else {
                return self.leaves(Leaving::TurnedAway(reply), booth);
            };
            if !slip {
                // It was in another message, then.
                self.read.rotate_left(1);
            }
            return Some(self.waits(booth.now(), wait.max(Duration::from_secs(6))));
        }
        let gone = reply
            .refusal()
            .is_some_and(|refusal| refusal.code == RefusalCode::NotFound);
        if gone && self.asked < 3 {
            self.ask(booth)
        } else {
            self.refused(Next::Type, reply, booth)
        }
    }

    /// Passes a human check, waits, or goes.
    fn refused(&mut self, next: Next, reply: Reply, booth: &mut Booth<'_>) -> Option<Timestamp> {
        self.next = next;
        let now = booth.now();
        if reply.answer.is_none() && self.unanswered < 3 {
            self.unanswered += 1;
            return Some(now + Duration::from_secs(5));
        }
        if reply.asks_for_human() && !self.human && booth.chance().happens(self.habits.passes_human_check) {
            self.human = true;
            return Some(self.waits(now, Duration::from_secs(10)));
        }
        let wait = reply
            .refusal()
            .filter(|_| !reply.asks_for_human())
            .and_then(|refusal| reply.wait(refusal.retry_at?));
        match wait {
            Some(wait) if wait <= self.habits.patience_for_limit => Some(self.waits(now, wait)),
            Some(_) | None => self.leaves(Leaving::TurnedAway(reply), booth),
        }
    }

    fn waits(&mut self, now: Timestamp, wait: Duration) -> Timestamp {
        let wait = wait.max(Duration::from_millis(1));
        // A wait that the person's own typing error caused is no delay of the policy's making.
        if !self.mistyped {
            self.waited += wait;
        }
        now + wait
    }

    fn leaves(&mut self, how: Leaving, booth: &mut Booth<'_>) -> Option<Timestamp> {
        booth.leaves(&how);
        self.visits_left = self.visits_left.saturating_sub(1);
        self.next = Next::Come;
        (self.visits_left > 0).then(|| self.came + self.every)
    }

    fn caller(&self) -> Caller {
        let mut caller = Caller::default().ip(self.ip);
        caller.device_token.clone_from(&self.device_token);
        caller
    }
}

impl Actor for Visitor {
    fn name(&self) -> &'static str {
        self.name
    }

    fn defeats(&self) -> &'static str {
        ""
    }

    fn side(&self) -> Side {
        Side::Honest
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        match self.next {
            Next::Come => {
                (self.asked, self.mistyped, self.human, self.waited) = (0, false, false, Duration::ZERO);
                (self.came, self.unanswered) = (booth.now(), 0);
                booth.arrives();
                self.ask(booth)
            }
            Next::Ask => self.ask(booth),
            Next::Read => self.reads(booth),
            Next::Type => self.types(booth),
            Next::Despair => self.despair(booth),
        }
    }
}

/// A code of the same length that is not this one.
fn off_by_one(code: &str) -> String {
    let last = match code.bytes().last() {
        Some(b'0') => '1',
        Some(_) | None => '0',
    };
    let head = code.get(..code.len().saturating_sub(1)).unwrap_or_default();
    format!("{head}{last}")
}

/// Where people come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// Each from an own address.
    Own,
    /// All from this one: an office, a school, a mobile carrier.
    One(IpAddr),
}

/// People who come now and then, each once, as a Poisson process.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// Under which name.
    pub name: &'static str,
    /// Their countries, each as likely as its weight.
    pub mix: Vec<(&'static Market, u64)>,
    /// How many a second, on average over a day.
    pub per_second: f64,
    /// Whether nights are quiet.
    pub daily_rhythm: bool,
    /// Where they come from.
    pub addresses: Addresses,
    /// How they behave.
    pub habits: Habits,
    /// Whether they are reached by mail, each at a mailbox of its own.
    pub by_mail: bool,
    /// How many may still come.
    pub most: u64,
}

impl Crowd {
    fn arrival(&self, booth: &mut Booth<'_>) -> Option<Visitor> {
        let total = self.mix.iter().map(|(_, weight)| weight).sum();
        let mut drawn = booth.chance().below(total);
        let market = self
            .mix
            .iter()
            .find_map(|(market, weight)| match drawn.checked_sub(*weight) {
                Some(rest) => {
                    drawn = rest;
                    None
                }
                None => Some(*market),
            })?;
        let busy = market.busyness(booth.now().as_millis()) / BUSIEST;
        if self.daily_rhythm && !booth.chance().happens(busy) {
            return None;
        }
        let place = booth.chance().below(market.size());
        let to = match self.by_mail {
            true => format!("{}{place}@example.com", market.country.to_ascii_lowercase()),
            false => market.number(place),
        };
        let ip = match self.addresses {
            Addresses::Own => booth.any_address(),
            Addresses::One(ip) => ip,
        };
        Some(Visitor::once(self.name, self.habits, to, ip))
    }
}

/// The most that [`Market::busyness`] says.
const BUSIEST: f64 = 1.6;

impl Actor for Crowd {
    fn name(&self) -> &'static str {
        self.name
    }

    fn defeats(&self) -> &'static str {
        ""
    }

    fn side(&self) -> Side {
        Side::Honest
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        if let Some(person) = self.arrival(booth) {
            self.most = self.most.checked_sub(1)?;
            booth.spawn(booth.now(), person);
        }
        // As many candidates as at the busiest hour; of those of a quiet hour most stay at home.
        let rate = if self.daily_rhythm {
            self.per_second * BUSIEST
        } else {
            self.per_second
        };
        let gap = booth.chance().gap(rate);
        Some(booth.now() + gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_code_is_another_of_the_same_length() {
        for code in ["000000", "123456", "99999999"] {
            let typed = off_by_one(code);
            assert_ne!(typed, code);
            assert_eq!(typed.len(), code.len());
        }
    }
}
