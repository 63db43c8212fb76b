//! What each world is held to: figures of a finished run against what they may be. What a limit comes to is the core's
//! word, under the policy in force; whether it was kept is recounted from what left, with nothing of the core's arithmetic.

use std::time::Duration;

use serde::Serialize;
use verify_core::policy::{Counts, Limit, Policy, Then};
use verify_core::vocabulary::{Dimension, Purpose, Standing};

use super::Run;
use super::admitted::admitted_guesses;
use super::worlds::{
    ACCOUNTS, COPIES, HOUR, NIGHT, OFFICE_PEOPLE, OPENED, OVERWRITTEN, OWNERS, OWNERS_VISITS, RUSH,
    SPELLINGS, WRONG_BY, scaled,
};
use crate::{Account, Ledger, Sent};

/// In what a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Things.
    Count,
    /// Micro-dollars.
    Money,
    /// Milliseconds.
    Time,
}

/// A figure of a run, and between what it has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// Of what.
    pub what: String,
    /// In what it counts.
    pub unit: Unit,
    /// What it was.
    pub figure: u64,
    /// The least that it may be: below this the attack did not take place, and the run shows nothing.
    pub least: u64,
    /// The most that it may be.
    pub most: u64,
}

impl Bound {
    fn most(what: impl Into<String>, figure: u64, most: u64) -> Self {
        Self {
            what: what.into(),
            unit: Unit::Count,
            figure,
            least: 0,
            most,
        }
    }

    fn least(what: impl Into<String>, figure: u64, least: u64) -> Self {
        Self {
            least,
            ..Self::most(what, figure, u64::MAX)
        }
    }

    fn is(what: impl Into<String>, figure: u64, wanted: u64) -> Self {
        Self {
            least: wanted,
            ..Self::most(what, figure, wanted)
        }
    }

    /// Whether it is between the two.
    pub fn holds(&self) -> bool {
        (self.least..=self.most).contains(&self.figure)
    }

    /// How close the figure came to the most that it may be, 1 at that; 0 where there is nothing to come close to.
    pub fn strain(&self) -> f64 {
        match (self.least, self.most) {
            (_, 0 | u64::MAX) => 0.0,
            (least, most) if least == most => 0.0,
            (_, most) => self.figure as f64 / most as f64,
        }
    }
}

/// A look at a run, in few words.
struct Seen<'a> {
    run: &'a Run,
    ledger: &'a Ledger,
    policy: &'a Policy,
}

impl<'a> Seen<'a> {
    fn of(run: &'a Run) -> Self {
        Self {
            run,
            ledger: run.simulation.ledger(),
            policy: &run.simulation.policies().default,
        }
    }

    /// A figure of a name; nothing where nobody of that name came.
    fn figure(&self, name: &str, figure: impl Fn(&Account) -> u64) -> u64 {
        self.ledger.account(name).map_or(0, figure)
    }

    fn scaled(&self, count: u64) -> u64 {
        scaled(count, self.run.scale)
    }

    /// Limits of the policy that refuse and count this by exactly this, with what they admit of strangers who sign in:
    /// nobody else sends in the worlds that are held to them.
    fn limits(&self, counts: Counts, by: Dimension) -> impl Iterator<Item = (&'a Limit, u64)> {
        let policy = self.policy;
        let limits = policy.limits.iter();
        limits
            .filter(move |limit| limit.counts == counts && limit.then == Then::Refuse)
            .filter(|limit| limit.purposes.contains(&Purpose::SignIn))
            .filter_map(move |limit| {
                let effect = limit.effect(policy, |has| has == by, None, Standing::Stranger)?;
                Some((limit, effect.max))
            })
    }

    /// Every cap on money by prefix, country and service, in any window of its length.
    fn money(&self) -> Vec<Bound> {
        let country = |sent: &Sent| sent.market.map(|market| market.country);
        let mut bounds = self.spent(Dimension::Prefix, "a prefix", Sent::prefix);
        bounds.extend(self.spent(Dimension::Country, "a country", country));
        bounds.extend(self.spent(Dimension::Service, "the service", |_| Some(())));
        bounds
    }

    fn spent<K: Ord>(&self, by: Dimension, what: &str, key: impl Fn(&Sent) -> Option<K>) -> Vec<Bound> {
        let bound = |(limit, max): (&Limit, u64)| Bound {
            unit: Unit::Money,
            ..Bound::most(
                format!("spent on {what} in any {}", span(limit.per)),
                self.ledger.most(limit.per, &key, Sent::price),
                max,
            )
        };
        self.limits(Counts::Spend, by).map(bound).collect()
    }

    /// Every limit on messages to one destination, in any window of its length. `apart`: by how much the clocks of nodes
    /// differ.
    fn messages_to_one(&self, apart: Duration) -> Vec<Bound> {
        let limits = self.limits(Counts::Sends, Dimension::Destination);
        let bound = |(limit, max): (&Limit, u64)| {
            let figure = self.ledger.most(limit.per, |sent| Some(sent.to), |_| 1);
            let windows = (limit.per + apart)
                .as_millis()
                .div_ceil(limit.per.as_millis().max(1));
            let most = max * u64::try_from(windows).unwrap_or(u64::MAX);
            Bound {
                least: 1,
                ..Bound::most(
                    format!("messages to one destination in any {}", span(limit.per)),
                    figure,
                    most,
                )
            }
        };
        limits.map(bound).collect()
    }

    /// What the lockout lets strangers compare against one destination while the run lasts, and a wrong clock longer.
    fn guesses(&self, name: &str, apart: Duration) -> Bound {
        let what = format!("guesses of {name} compared");
        let most = admitted_guesses(self.policy, self.run.span + apart);
        // Where nothing was compared the lockout was not tried.
        Bound {
            least: 1,
            ..Bound::most(what, self.figure(name, |a| a.compared), most)
        }
    }

    fn taken(&self, name: &str) -> Bound {
        Bound::most(
            format!("accounts taken by {name}"),
            self.figure(name, |a| a.taken),
            0,
        )
    }

    /// Not one of these people was refused anything, and at least so many came.
    fn unharmed(&self, name: &str, least: u64) -> [Bound; 3] {
        [
            Bound::least(
                format!("{name} who came"),
                self.figure(name, |a| a.people.came),
                least,
            ),
            Bound::most(
                format!("refusals that {name} met"),
                self.figure(name, |a| a.refused.values().sum()),
                0,
            ),
            Bound::most(
                format!("{name} turned away"),
                self.figure(name, |a| a.people.turned_away),
                0,
            ),
        ]
    }

    /// Every one of these people was verified, after a minute at most: so long waits who typed a stranger's code.
    fn verified(&self, name: &str, came: u64) -> [Bound; 3] {
        [
            Bound::is(
                format!("{name} who came"),
                self.figure(name, |a| a.people.came),
                came,
            ),
            Bound::is(
                format!("{name} who were verified"),
                self.figure(name, |a| a.people.verified),
                came,
            ),
            Bound {
                unit: Unit::Time,
                ..Bound::most(
                    format!("longest wait of {name}"),
                    self.figure(name, |a| a.people.longest_delay_millis),
                    60_000,
                )
            },
        ]
    }

    /// No message left twice on one charge.
    fn charged_first(&self) -> Bound {
        let charged = self.ledger.events().get("send.intended").copied().unwrap_or(0);
        Bound::most(
            "messages that left, against charges",
            self.ledger.sent().len() as u64,
            charged,
        )
    }
}

fn span(span: Duration) -> String {
    crate::report::time(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

fn night(run: &Run, name: &'static str) -> Vec<Bound> {
    let seen = Seen::of(run);
    let mut bounds = seen.money();
    let asked = Bound::least(
        "messages asked for",
        seen.figure(name, |a| a.sends),
        seen.scaled(NIGHT),
    );
    // A cap that is not reached was not tried.
    for bound in &mut bounds {
        bound.least = bound.most / 2;
    }
    bounds.push(asked);
    bounds
}

pub(super) fn night_burst(run: &Run) -> Vec<Bound> {
    night(run, "burst_residential")
}

fn all_convert(run: &Run) -> Bound {
    let seen = Seen::of(run);
    let messages = seen.figure("fake_conversion", |a| a.messages);
    Bound::is(
        "faked conversions",
        seen.figure("fake_conversion", |a| a.completed),
        messages,
    )
}

pub(super) fn fake_conversion(run: &Run) -> Vec<Bound> {
    let mut bounds = night(run, "fake_conversion");
    bounds.push(all_convert(run));
    bounds
}

pub(super) fn one_block(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let mut bounds = seen.money();
    bounds.push(Bound::least(
        "messages asked for",
        seen.figure("fake_conversion", |a| a.sends),
        seen.scaled(NIGHT),
    ));
    bounds.push(all_convert(run));
    bounds.extend(seen.unharmed("customers", 1));
    bounds
}

pub(super) fn pumping_zoo(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let mut bounds = seen.money();
    for name in [
        "sequential",
        "shuffled_block",
        "random_valid",
        "wide_probe",
        "country_hop",
        "slow_drip",
    ] {
        let messages = seen.figure(name, |a| a.messages);
        bounds.push(Bound::least(format!("messages of {name}"), messages, 1));
    }
    bounds
}

pub(super) fn authquake(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let name = "session_farm";
    vec![
        Bound::least(
            "guesses asked for",
            seen.figure(name, |a| a.checks),
            seen.scaled(780_000),
        ),
        seen.guesses(name, Duration::ZERO),
        seen.taken(name),
    ]
}

pub(super) fn resend_and_guess(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let mut bounds = Vec::new();
    for (name, checks) in [("resend_guess", 13_900), ("parallel_guess", 65_000)] {
        let asked = seen.figure(name, |a| a.checks);
        bounds.push(Bound::least(
            format!("guesses of {name} asked for"),
            asked,
            seen.scaled(checks),
        ));
        bounds.push(seen.guesses(name, Duration::ZERO));
        bounds.push(seen.taken(name));
    }
    bounds
}

pub(super) fn horizontal(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let name = "horizontal_guess";
    let alert = seen.ledger.alerts().get("failures_per_service");
    let mut bounds = seen.money();
    bounds.extend([
        Bound::is(
            "accounts tried",
            seen.figure(name, |a| a.sends),
            seen.scaled(ACCOUNTS),
        ),
        Bound::most(
            "guesses compared, against messages paid for",
            seen.figure(name, |a| a.compared),
            seen.figure(name, |a| a.messages),
        ),
        Bound {
            unit: Unit::Time,
            ..Bound::most(
                "first alert after",
                alert.map_or(u64::MAX, |alert| alert.first_millis),
                10_000,
            )
        },
    ]);
    bounds
}

pub(super) fn alias_flood(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let asked = seen.figure("alias_flood", |a| a.sends);
    let mut bounds = seen.messages_to_one(Duration::ZERO);
    bounds.extend([
        Bound::is("spellings tried", asked, 2 * seen.scaled(SPELLINGS)),
        Bound::most("things kept because of them", run.simulation.held() as u64, 200),
    ]);
    bounds
}

pub(super) fn sms_bomb(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let asked = seen.figure("sms_bomb", |a| a.sends);
    let mut bounds = seen.messages_to_one(Duration::ZERO);
    bounds.push(Bound::least("messages asked for", asked, seen.scaled(80_000)));
    bounds
}

pub(super) fn lockout_dos(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let half = seen.scaled(OWNERS) / 2;
    let visits = u64::from(OWNERS_VISITS);
    let mut bounds = seen
        .verified("owners_with_device", (seen.scaled(OWNERS) - half) * visits)
        .to_vec();
    bounds.extend(seen.verified("owners_a_day_later", half));
    bounds.push(Bound::least(
        "guesses compared in their name",
        seen.figure("lockout_dos", |a| a.compared),
        seen.scaled(OWNERS) * 5,
    ));
    bounds
}

pub(super) fn victim_overwrite(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let half = seen.scaled(OVERWRITTEN) / 2;
    let visits = u64::from(OWNERS_VISITS);
    let with = (seen.scaled(OVERWRITTEN) - half) * visits;
    let mut bounds = seen.verified("owners_with_device", with).to_vec();
    bounds.extend(seen.verified("owners_without_device", half * visits));
    let sends = seen.figure("victim_overwrite", |a| a.sends);
    bounds.push(Bound::is(
        "codes asked for over theirs",
        sends,
        with + half * visits,
    ));
    bounds
}

pub(super) fn webhooks(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let told = |name| seen.figure(name, |a| a.reports);
    let believed = |name| seen.figure(name, |a| a.believed);
    let messages = |name| seen.figure(name, |a| a.messages);
    let mut bounds = seen.money();
    bounds.extend([
        Bound::least("forged reports", told("webhook_forge"), 2),
        Bound::most("forged reports believed", believed("webhook_forge"), 0),
        Bound::least("repeated reports", told("webhook_replay"), u64::from(COPIES)),
        // Each message fails once, and each failure is worth one call.
        Bound::is(
            "repeated reports believed, against messages first sent",
            believed("webhook_replay"),
            told("webhook_replay") / u64::from(COPIES),
        ),
        Bound::most(
            "messages and calls of webhook_replay",
            messages("webhook_replay"),
            2 * told("webhook_replay") / u64::from(COPIES),
        ),
        // Of the three reports about each message only the first one tells anything.
        Bound::is(
            "reports out of order believed",
            believed("webhook_reorder"),
            told("webhook_reorder") / 3,
        ),
        Bound::is(
            "messages and calls of webhook_reorder",
            messages("webhook_reorder"),
            told("webhook_reorder") / 3,
        ),
        seen.charged_first(),
    ]);
    bounds
}

pub(super) fn provider_brownout(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let event = |kind| seen.ledger.events().get(kind).copied().unwrap_or(0);
    let (came, away) = (
        seen.figure("customers", |a| a.people.came),
        seen.figure("customers", |a| a.people.turned_away),
    );
    let mut bounds = seen.money();
    bounds.extend([
        Bound::least("sends of which nobody knows", event("send.unknown"), 1),
        seen.charged_first(),
        Bound::most(
            "deliveries believed to have arrived, against messages that left",
            event("delivery.delivered"),
            seen.ledger.sent().len() as u64,
        ),
        Bound::most("customers turned away, one in twenty", away, came / 20),
        Bound::most(
            "customers locked out",
            seen.figure("customers", |a| a.people.locked),
            0,
        ),
    ]);
    bounds.extend(seen.messages_to_one(Duration::ZERO));
    bounds
}

pub(super) fn node_crash(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let (came, away) = (
        seen.figure("customers", |a| a.people.came),
        seen.figure("customers", |a| a.people.turned_away),
    );
    let mut bounds = seen.money();
    bounds.extend(seen.messages_to_one(Duration::ZERO));
    bounds.extend([
        Bound::least(
            "guesses asked for",
            seen.figure("node_crash", |a| a.checks),
            seen.scaled(21_000),
        ),
        seen.guesses("node_crash", Duration::ZERO),
        seen.taken("node_crash"),
        seen.charged_first(),
        Bound::most("customers turned away, one in twenty", away, came / 20),
    ]);
    bounds
}

pub(super) fn clock_skew(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let apart = 2 * WRONG_BY;
    let mut bounds = seen.messages_to_one(apart);
    bounds.extend([
        Bound::least(
            "guesses asked for",
            seen.figure("clock_skew", |a| a.checks),
            seen.scaled(36_000),
        ),
        seen.guesses("clock_skew", apart),
        seen.taken("clock_skew"),
    ]);
    bounds
}

pub(super) fn mail_scanner(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let mut bounds = seen.unharmed("readers", 1).to_vec();
    bounds.extend([
        Bound::least(
            "links opened",
            seen.figure("mail_scanner", |a| a.reads),
            seen.figure("readers", |a| a.people.verified) * u64::from(OPENED),
        ),
        Bound::most(
            "codes used up by it",
            seen.figure("mail_scanner", |a| a.compared + a.taken),
            0,
        ),
        Bound::most(
            "readers who had to wait",
            seen.figure("readers", |a| a.people.delayed),
            0,
        ),
    ]);
    bounds
}

pub(super) fn enumeration(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let looks = seen.ledger.looks();
    let apart = looks
        .values()
        .map(|(known, unknown)| known.abs_diff(*unknown))
        .max();
    vec![
        Bound::least("different looks of an answer", looks.len() as u64, 4),
        // The last one that was tried has no partner yet.
        Bound::most(
            "looks that one kind of number has more often",
            apart.unwrap_or(u64::MAX),
            1,
        ),
        Bound::least(
            "messages to numbers with an account",
            seen.figure("enumerate", |a| a.messages),
            1,
        ),
        seen.taken("enumerate"),
    ]
}

pub(super) fn flash_crowd(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let mut bounds = seen.unharmed("flash_crowd", seen.scaled(RUSH)).to_vec();
    bounds.extend(seen.unharmed("customers", 1));
    bounds
}

pub(super) fn cgnat_office(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    seen.unharmed("cgnat_office", seen.scaled(OFFICE_PEOPLE)).to_vec()
}

pub(super) fn market_day(run: &Run) -> Vec<Bound> {
    let seen = Seen::of(run);
    let mut bounds = seen.money();
    if run.span > HOUR {
        bounds.push(Bound::least("alerts", seen.ledger.alerts().len() as u64, 1));
    }
    bounds.push(Bound::least(
        "customers who were verified",
        seen.figure("customers", |a| a.people.verified),
        1,
    ));
    bounds
}
