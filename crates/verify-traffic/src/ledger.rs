//! What each attacker got, what honest people suffered, what operators would have seen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use verify_core::event::EventKind;
use verify_core::outcome::{Answer, CheckAnswer, RefusalCode, ReportAnswer};
use verify_core::record::Status;
use verify_core::time::Timestamp;

use crate::booth::{Actor, Leaving, Side};
use crate::markets::Market;
use crate::world::Ran;

/// Columns of a [`Series`].
pub(crate) const COLUMNS: usize = 96;

/// A message that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Timestamp,
    /// The digits of the number; for a mailbox, which one it is.
    pub to: u64,
    /// Where that is; `None` for a mailbox.
    pub market: Option<&'static Market>,
    /// The place of its sender in [`Ledger::accounts`].
    pub account: u16,
}

impl Sent {
    /// What it cost, in micro-dollars. A mail costs nothing.
    pub fn price(&self) -> u64 {
        self.market.map_or(0, |market| u64::from(market.price))
    }

    /// The number without its last four digits; `None` for a mailbox.
    pub fn prefix(&self) -> Option<u64> {
        self.market.map(|_| self.to / 10_000)
    }
}

/// What one name did and got.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// Whose.
    pub name: &'static str,
    /// Whose side.
    pub side: Side,
    /// The naive defence that does not stop it.
    pub defeats: &'static str,
    /// Sends that it asked for.
    pub sends: u64,
    /// Messages that left because of it.
    pub messages: u64,
    /// What they cost the operator, in micro-dollars.
    pub money_micros: u64,
    /// Messages by price in micro-dollars.
    pub by_price: BTreeMap<u64, u64>,
    /// Checks that it asked for.
    pub checks: u64,
    /// Guesses that were compared with a code. Where a node died over a guess that it had taken, that is one too.
    pub compared: u64,
    /// Approvals with a code that it had read.
    pub completed: u64,
    /// Approvals with a code that it had not read: accounts taken. Always zero for honest people.
    pub taken: u64,
    /// Verifications that it looked at.
    pub reads: u64,
    /// Delivery reports that it sent in.
    pub reports: u64,
    /// How many of those changed anything.
    pub believed: u64,
    /// Refusals by the rule that decided.
    pub refused: BTreeMap<Arc<str>, u64>,
    /// Visits of honest people.
    pub people: People,
}

/// Visits of honest people.
#[derive(Debug, Clone, Default, Serialize)]
pub struct People {
    /// How many came.
    pub came: u64,
    /// How many were verified.
    pub verified: u64,
    /// How many had no message and left.
    pub no_message: u64,
    /// How many were refused for longer than they wait.
    pub turned_away: u64,
    /// By what.
    pub turned_away_by: BTreeMap<Arc<str>, u64>,
    /// How many of those were locked out, by failures of their own or in their name.
    pub locked: u64,
    /// How many of those verified had to wait for a limit.
    pub delayed: u64,
    /// For how long altogether, in milliseconds.
    pub delay_millis: u64,
    /// How long the one who waited longest did.
    pub longest_delay_millis: u64,
}

/// A limit that told its operators.
#[derive(Debug, Clone, Serialize)]
pub struct Alert {
    /// How often.
    pub count: u64,
    /// When first, in milliseconds since the world began.
    pub first_millis: u64,
}

/// Figures over time, in equal columns over the span of the run.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// The length of a column in milliseconds.
    pub column_millis: u64,
    /// Money by the name that caused it, in micro-dollars.
    pub money: BTreeMap<&'static str, Vec<u64>>,
    /// Refusals by rule, whoever met them.
    pub refused: BTreeMap<Arc<str>, Vec<u64>>,
    /// Refusals that honest people met, by rule.
    pub refused_honest: BTreeMap<Arc<str>, Vec<u64>>,
}

/// All that is kept of a run.
#[derive(Debug, Clone)]
pub struct Ledger {
    began: Timestamp,
    accounts: Vec<Account>,
    sent: Vec<Sent>,
    events: BTreeMap<&'static str, u64>,
    alerts: BTreeMap<Arc<str>, Alert>,
    looks: BTreeMap<String, (u64, u64)>,
    mailboxes: BTreeMap<String, u64>,
    series: Series,
}

/// What a command asked for, of those that actors can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Send,
    Check,
    Read,
    Report,
}

impl Ledger {
    pub(crate) fn new(began: Timestamp) -> Self {
        Self {
            began,
            accounts: Vec::new(),
            sent: Vec::new(),
            events: BTreeMap::new(),
            alerts: BTreeMap::new(),
            looks: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            series: Series {
                column_millis: 60_000,
                money: BTreeMap::new(),
                refused: BTreeMap::new(),
                refused_honest: BTreeMap::new(),
            },
        }
    }

    /// Every account, in the order in which the names appeared.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The account of a name.
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// Accounts of one side.
    pub fn of_side(&self, side: Side) -> impl Iterator<Item = &Account> {
        self.accounts.iter().filter(move |account| account.side == side)
    }

    /// Every message that left, in order.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Events by kind.
    pub fn events(&self) -> &BTreeMap<&'static str, u64> {
        &self.events
    }

    /// Alerts by limit.
    pub fn alerts(&self) -> &BTreeMap<Arc<str>, Alert> {
        &self.alerts
    }

    /// What could be told of people with an account and of people without one: how often each look came from the
    /// former and from the latter.
    pub fn looks(&self) -> &BTreeMap<String, (u64, u64)> {
        &self.looks
    }

    pub(crate) fn saw(&mut self, look: String, has_account: bool) {
        let (of_known, of_unknown) = self.looks.entry(look).or_default();
        *(if has_account { of_known } else { of_unknown }) += 1;
    }

    /// Figures over time.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// The most that was counted in any interval of length `per`, its end left out, for any one key: recounted from what left, with
    /// nothing of the core's arithmetic. Messages without a key are left out.
    pub fn most<K: Ord>(
        &self,
        per: Duration,
        key: impl Fn(&Sent) -> Option<K>,
        cost: impl Fn(&Sent) -> u64,
    ) -> u64 {
        let mut windows: BTreeMap<K, (VecDeque<(Timestamp, u64)>, u64)> = BTreeMap::new();
        let mut most = 0;
        for sent in &self.sent {
            let Some(key) = key(sent) else { continue };
            let (window, sum) = windows.entry(key).or_default();
            while let Some((_, gone)) = window.pop_front_if(|(at, _)| sent.at.since(*at) >= per) {
                *sum -= gone;
            }
            window.push_back((sent.at, cost(sent)));
            *sum += cost(sent);
            most = most.max(*sum);
        }
        most
    }

    pub(crate) fn spans(&mut self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.series.column_millis = (millis / COLUMNS as u64).max(1);
    }

    /// The account of an actor's name, opened when the name is new.
    pub(crate) fn open(&mut self, actor: &dyn Actor) -> usize {
        let name = actor.name();
        if let Some(found) = self.accounts.iter().position(|account| account.name == name) {
            return found;
        }
        self.accounts.push(Account {
            name,
            side: actor.side(),
            defeats: actor.defeats(),
            sends: 0,
            messages: 0,
            money_micros: 0,
            by_price: BTreeMap::new(),
            checks: 0,
            compared: 0,
            completed: 0,
            taken: 0,
            reads: 0,
            reports: 0,
            believed: 0,
            refused: BTreeMap::new(),
            people: People::default(),
        });
        self.accounts.len() - 1
    }

    /// Takes down what a command came to. `read`: its caller had read the latest message to that destination.
    pub(crate) fn ran(&mut self, place: usize, now: Timestamp, asked: Asked, read: bool, ran: &Ran) {
        let column = self.column(now);
        let sent: Vec<Sent> = ran
            .left_for
            .iter()
            .map(|(to, _)| self.left(place, now, to))
            .collect();
        let Some(account) = self.accounts.get_mut(place) else {
            return;
        };
        *match asked {
            Asked::Send => &mut account.sends,
            Asked::Check => &mut account.checks,
            Asked::Read => &mut account.reads,
            Asked::Report => &mut account.reports,
        } += 1;
        match &ran.outcome {
            Some(outcome) => outcome
                .answer
                .iter()
                .for_each(|answer| account.answered(answer, read)),
            None => account.unanswered(ran, read),
        }
        if let Some(rule) = ran.refused_by() {
            count(&mut account.refused, &rule);
            mark(&mut self.series.refused, Arc::clone(&rule), column, 1);
            match account.side {
                Side::Honest => mark(&mut self.series.refused_honest, rule, column, 1),
                Side::Attacker => {}
            }
        }
        for sent in sent {
            account.messages += 1;
            account.money_micros += sent.price();
            *account.by_price.entry(sent.price()).or_default() += 1;
            mark(&mut self.series.money, account.name, column, sent.price());
            self.sent.push(sent);
        }
        for event in &ran.events {
            *self.events.entry(event.kind.as_str()).or_default() += 1;
            if event.kind == EventKind::LimitAlert {
                let since = now.since(self.began).as_millis();
                for rule in &event.rules {
                    let alert = self.alerts.entry(Arc::clone(rule)).or_insert_with(|| Alert {
                        count: 0,
                        first_millis: u64::try_from(since).unwrap_or(u64::MAX),
                    });
                    alert.count += 1;
                }
            }
        }
    }

    fn left(&mut self, place: usize, at: Timestamp, to: &str) -> Sent {
        let number = to.strip_prefix('+').and_then(|digits| digits.parse().ok());
        let known = self.mailboxes.len() as u64;
        Sent {
            at,
            to: number.unwrap_or_else(|| *self.mailboxes.entry(to.to_owned()).or_insert(known)),
            market: Market::of_number(to),
            account: u16::try_from(place).unwrap_or(u16::MAX),
        }
    }

    pub(crate) fn arrives(&mut self, place: usize) {
        if let Some(account) = self.accounts.get_mut(place) {
            account.people.came += 1;
        }
    }

    pub(crate) fn leaves(&mut self, place: usize, how: &Leaving) {
        let Some(people) = self.accounts.get_mut(place).map(|account| &mut account.people) else {
            return;
        };
        match how {
            Leaving::Verified { waited } => {
                let millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                people.verified += 1;
                people.delayed += u64::from(millis > 0);
                people.delay_millis = people.delay_millis.saturating_add(millis);
                people.longest_delay_millis = people.longest_delay_millis.max(millis);
            }
            Leaving::NoMessage => people.no_message += 1,
            Leaving::TurnedAway(reply) => {
                let locked = match reply.answer() {
                    Some(Answer::Check(CheckAnswer::WrongCode(wrong))) => wrong.status == Status::Exhausted,
                    Some(answer) => answer.refusal().is_some_and(|no| no.code == RefusalCode::Locked),
                    None => false,
                };
                let unnamed = || match &reply.answer {
                    Some(Ok(answer)) => answer.as_str(),
                    Some(Err(_)) => "fault",
                    None => "no_answer",
                };
                people.turned_away += 1;
                people.locked += u64::from(locked);
                let rule = reply.rule.clone().unwrap_or_else(|| unnamed().into());
                count(&mut people.turned_away_by, &rule);
            }
        }
    }

    fn column(&self, now: Timestamp) -> usize {
        let since = u64::try_from(now.since(self.began).as_millis()).unwrap_or(u64::MAX);
        usize::try_from(since / self.series.column_millis)
            .unwrap_or(usize::MAX)
            .min(COLUMNS - 1)
    }
}

impl Account {
    fn answered(&mut self, answer: &Answer, read: bool) {
        match answer {
            Answer::Check(CheckAnswer::Approved(_) | CheckAnswer::Unclaimed(_)) => {
                self.compared += 1;
                match self.side {
                    Side::Attacker if !read => self.taken += 1,
                    Side::Attacker | Side::Honest => self.completed += 1,
                }
            }
            Answer::Check(CheckAnswer::WrongCode(_)) => self.compared += 1,
            Answer::Report(ReportAnswer { changed }) => self.believed += u64::from(*changed),
            Answer::Check(CheckAnswer::Refused(_))
            | Answer::Send(_)
            | Answer::Cancel(_)
            | Answer::Status(_)
            | Answer::Tick(_)
            | Answer::Redeem(_)
            | Answer::Unlock(_)
            | Answer::Erase(_) => {}
        }
    }
}

impl Account {
    /// What a node did before it died: a guess that it had taken may have been compared, and an approval that it had
    /// written stands.
    fn unanswered(&mut self, ran: &Ran, read: bool) {
        let of = |kind| ran.events.iter().filter(|event| event.kind == kind).count() as u64;
        self.compared += of(EventKind::CheckTaken);
        match self.side {
            Side::Attacker if !read => self.taken += of(EventKind::Approved),
            Side::Attacker | Side::Honest => self.completed += of(EventKind::Approved),
        }
    }
}

fn count(counts: &mut BTreeMap<Arc<str>, u64>, rule: &Arc<str>) {
    match counts.get_mut(rule) {
        Some(count) => *count += 1,
        None => drop(counts.insert(Arc::clone(rule), 1)),
    }
}

fn mark<K: Ord>(rows: &mut BTreeMap<K, Vec<u64>>, key: K, column: usize, by: u64) {
    let row = rows.entry(key).or_insert_with(|| vec![0; COLUMNS]);
    if let Some(cell) = row.get_mut(column) {
        *cell += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_of_any_interval_is_recounted() {
        let mut ledger = Ledger::new(Timestamp::ZERO);
        for (second, to) in [(0, 10_000), (5, 10_001), (9, 20_000), (10, 10_002), (11, 10_003)] {
            ledger.sent.push(Sent {
                at: Timestamp::from_millis(second * 1_000),
                to,
                market: Some(crate::market("US")),
                account: 0,
            });
        }
        let per = Duration::from_secs(10);
        assert_eq!(ledger.most(per, |_| Some(0), |_| 1), 4, "seconds 5 to 11");
        assert_eq!(ledger.most(per, Sent::prefix, Sent::price), 21_000);
        assert_eq!(ledger.most(per, |_| None::<u64>, |_| 1), 0);
    }
}
