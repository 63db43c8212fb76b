//! The naive reference: what the policy promises, in the simplest form that can be run.
//!
//! It keeps the whole history (every send, check, success, unlock, with its instant and its caller) and recounts
//! everything from it on each question. It knows no stamps, no records and no changesets, and takes from the core
//! its words and constants alone: the policy's model, destinations, channels, codes of refusals, how long a flow may take and
//! how many verifications a destination has. What the core does in constant
//! time this does by looking at everything again, so that the two agree only where both are right.
//!
//! [`Answers`] is whoever can be asked: the reference, the core ([`CoreSide`]), and in the workspace's tests the engine.
//!
//! What it leaves out: several providers for one channel, breakers, key rotation, reserve room in a store.

mod ask;
mod check;
mod core_side;
mod deliver;
mod history;
mod rules;
mod send;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use verify_core::destination::Destination;
use verify_core::outcome::RefusalCode;
use verify_core::policy::{Disclosure, Policy};
use verify_core::port::{Maker, RejectionKind, RiskLevel};
use verify_core::record::{DeliveryStatus, MOST_INQUIRIES, RETENTION, Status};
use verify_core::time::{SKEW, Timestamp};
use verify_core::vocabulary::{Channel, Purpose, Standing};
use verify_testkit::ManagedCodes;

pub use ask::{
    Answers, Ask, CheckAsk, Fate, From, Guess, Mishap, Of, Outside, Person, Refused, Seen, SendAsk, Told,
};
pub use core_side::CoreSide;
use history::{Approval, Delivery, Event, Happened, Message, Note, Verification, Who};
pub use tokens::{Sent, Tokens};

/// From the first step of a command to its last word with a provider.
const FLOW: Duration = verify_core::flow::FLOW_BUDGET;

/// How long a provider may take to hear of an end.
const HEARS: Duration = Duration::from_secs(6);

/// The reference.
#[derive(Clone)]
pub struct Reference {
    policy: Arc<Policy>,
    maker: Maker,
    /// The time.
    pub now: Timestamp,
    /// With what instant it writes down what happens, when that is not `now`: after a clock was set back, charges carry
    /// what it shows, and what is judged goes by the latest that is known.
    pub stamp: Option<Timestamp>,
    /// By how much longer limits and lockouts hold than they must: what may be refused at most.
    pub slack: Duration,
    events: Vec<Event>,
    verifications: Vec<Verification>,
    approvals: Vec<Approval>,
    messages: Vec<Message>,
    notes: Vec<Note>,
    /// Until when the provider sends nothing to a destination, as it said.
    caps: Vec<(String, Timestamp)>,
    provider: ManagedCodes,
    rejecting: Option<RejectionKind>,
    risk: RiskLevel,
    mishap: Option<Mishap>,
    codes: u32,
    /// What alerted, and when.
    alerts: Vec<(rules::Passed, Timestamp)>,
    /// Until when the provider may not have heard of an end, by destination.
    concluding: Vec<(Destination, Timestamp)>,
    /// What callers have seen, in that order, and until when its id is good: the numbers of commands and answers.
    shown: Vec<(usize, Timestamp)>,
}

impl Reference {
    /// Under this policy, with codes of this maker.
    pub fn new(policy: Arc<Policy>, maker: Maker, now: Timestamp) -> Self {
        Self {
            policy,
            maker,
            now,
            stamp: None,
            slack: Duration::ZERO,
            events: Vec::new(),
            verifications: Vec::new(),
            approvals: Vec::new(),
            messages: Vec::new(),
            notes: Vec::new(),
            caps: Vec::new(),
            provider: ManagedCodes::default(),
            rejecting: None,
            risk: RiskLevel::Low,
            mishap: None,
            codes: 0,
            alerts: Vec::new(),
            concluding: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// The instants at which something happened, in no order.
    pub fn instants(&self) -> impl Iterator<Item = Timestamp> {
        self.events.iter().map(|event| event.at)
    }

    /// What the clock on the wall shows, that providers go by too.
    fn wall(&self) -> Timestamp {
        self.stamp.unwrap_or(self.now)
    }

    /// How many guesses were counted as failures, whatever has become of them.
    pub fn failures(&self) -> usize {
        let failed = |event: &&Event| matches!(event.what, Happened::Failed { .. });
        self.events.iter().filter(failed).count()
    }

    fn remember(&mut self, who: &Who, what: Happened) {
        let drew = self.drawn(who, &what);
        let (at, who) = (self.wall(), who.clone());
        self.events.push(Event { at, who, what, drew });
    }

    /// Who a command is about, and which verification it names.
    fn who(&self, of: &Of, from: &From) -> Result<(Who, Option<usize>), Refused> {
        let not_found = || Refused::because(RefusalCode::NotFound);
        let (who, named) = match of {
            Of::Person(person) => (self.person(person)?, None),
            Of::Verification(number) | Of::VerificationOf(number, _) => {
                let (number, found) = self.named(*number).ok_or_else(not_found)?;
                (found.who.clone(), Some(number))
            }
        };
        match of {
            Of::VerificationOf(_, expected) if !self.person(expected)?.same_identity(&who) => {
                return Err(not_found());
            }
            Of::Person(_) | Of::Verification(_) | Of::VerificationOf(..) => {}
        }
        let known = !from.proof && from.token.is_some_and(|token| self.knows(&who, token));
        let who = Who {
            standing: if known {
                Standing::Known
            } else {
                Standing::Stranger
            },
            ip: from.ip,
            device: from.device.clone(),
            ..who
        };
        Ok((who, named))
    }

    /// A verification id says what it names until ten minutes after the death of the code that it was shown with.
    fn named(&self, shown: usize) -> Option<(usize, &Verification)> {
        let (number, until) = *self.shown.get(shown)?;
        let found = self.verifications.get(number)?;
        (self.wall() < until).then_some((number, found))
    }

    /// The number that callers know a verification by.
    fn show(&mut self, told: &mut Told) {
        let (Told::Sent(seen) | Told::Repeated(seen) | Told::Status(seen) | Told::Canceled(seen)) = told
        else {
            return;
        };
        let new = (seen.verification, seen.expires_at + RETENTION);
        let shown = self.shown.iter().position(|(number, _)| *number == new.0);
        match shown {
            Some(place) => self.shown.splice(place..=place, [new]).for_each(drop),
            None => self.shown.push(new),
        }
        seen.verification = shown.unwrap_or(self.shown.len() - 1);
    }

    fn person(&self, person: &Person) -> Result<Who, Refused> {
        let country = self.policy.channels.default_country;
        let to = Destination::parse(&person.to, country, &self.policy.email)
            .map_err(|_| Refused::because(RefusalCode::InvalidDestination))?;
        let payment = match (&person.amount, &person.payee) {
            (Some(amount), Some(payee)) => Some((amount.clone(), payee.clone())),
            (None, None) if person.purpose != Purpose::Transaction => None,
            (_, _) => return Err(Refused::because(RefusalCode::InvalidRequest)),
        };
        Ok(Who {
            to,
            subject: person.subject.clone(),
            purpose: person.purpose,
            payment,
            standing: Standing::Stranger,
            ip: None,
            device: None,
        })
    }

    /// A device token stands for the subject and mailbox of its approval.
    fn knows(&self, who: &Who, token: usize) -> bool {
        let Some(approval) = self.approvals.get(token) else {
            return false;
        };
        let of = self
            .verifications
            .get(approval.verification)
            .map(|found| &found.who);
        self.wall() < approval.at + self.policy.device_ttl
            && of.is_some_and(|of| of.same_mailbox(who) && of.subject == who.subject)
    }

    /// What a caller sees of a verification; `who` is whose limits are told.
    fn seen(&self, number: usize, who: &Who) -> Option<Seen> {
        use verify_core::policy::{Counts, Then};
        let found = self.verifications.get(number).filter(|found| !found.gone)?;
        let open = !self.is_private();
        let pending = self.pending(found, self.now);
        let personal = |rule: &rules::Rule<'_>| rule.personal && rule.limit.then == Then::Refuse;
        let resend_at = self.search(|at| {
            let rules = self.rules(who, &[Counts::Sends, Counts::Checks]);
            let denied = rules
                .iter()
                .filter(|rule| personal(rule))
                .any(|rule| self.denies(rule, who, 1, at));
            denied
                || Self::lockouts(who).any(|lockout| self.locks(lockout, who, at))
                || self.last_minute(found, at)
        });
        let last = found.deliveries.last();
        Some(Seen {
            verification: number,
            status: self.status_of(found, self.now),
            channel: last.map_or(self.policy.channels_for(who.purpose).default, |last| last.channel),
            expires_at: found.expires,
            resend_at,
            sends_left: self.sends_left(who, self.now),
            checks_left: if pending {
                let left = [self.checks_left(who, self.now), self.guesses_left(found)];
                left.into_iter().flatten().min()
            } else {
                Some(0)
            },
            deliveries: match open {
                true => found
                    .deliveries
                    .iter()
                    .map(|each| (each.channel, each.status))
                    .collect(),
                false => Vec::new(),
            },
            fallback: if pending { self.offered(found) } else { Vec::new() },
        })
    }

    /// What anybody can see depends on nothing that a provider said.
    fn is_private(&self) -> bool {
        self.policy.privacy.disclosure == Disclosure::Private
    }

    fn failed(&self, delivery: &Delivery) -> bool {
        delivery.failed() && !self.is_private()
    }

    /// Wrong guesses that are left before the provider compares no more: under private disclosure they end it here.
    fn guesses_left(&self, found: &Verification) -> Option<u32> {
        let counts = found.managed && self.is_private();
        counts.then(|| u32::from(ManagedCodes::MOST_CHECKS).saturating_sub(found.guesses))
    }

    /// Channels that are offered: once the last delivery failed, or was not reported in time. Every provider here reports.
    fn offered(&self, found: &Verification) -> Vec<Channel> {
        let Some(last) = found.deliveries.last() else {
            return Vec::new();
        };
        let after = self.policy.channels_for(found.who.purpose).fallback_after;
        let arrived = last.status == DeliveryStatus::Delivered && !self.is_private();
        let silent = !arrived && self.now >= last.at + after;
        if !silent && !self.failed(last) {
            return Vec::new();
        }
        let failed = |channel| {
            found
                .deliveries
                .iter()
                .any(|each| self.failed(each) && each.channel == channel)
        };
        self.others(&found.who, |channel| channel == last.channel || failed(channel))
    }

    /// The channels of the fallback list that may be tried, in its order.
    fn others(&self, who: &Who, tried: impl Fn(Channel) -> bool) -> Vec<Channel> {
        let rules = self.policy.channels_for(who.purpose);
        let country = who
            .to
            .country()
            .and_then(|country| self.policy.countries.channels.get(&country));
        let usable = |channel: &Channel| {
            let here = who.to.fits(*channel);
            let noted = !self.is_private() && self.note(who, *channel, self.now).is_some();
            let reached = !noted && country.is_none_or(|allowed| allowed.contains(channel));
            rules.enabled.contains(channel) && !tried(*channel) && (!here || reached)
        };
        rules.fallback.iter().copied().filter(usable).collect()
    }

    /// What a provider said of the destination or its prefix that still holds.
    fn note(&self, who: &Who, channel: Channel, at: Timestamp) -> Option<&Note> {
        let about = |note: &&Note| note.of == who.to.canonical() || Some(note.of.as_str()) == who.to.prefix();
        let holds = |note: &&Note| note.until.is_none_or(|until| at < until);
        let mut notes = self.notes.iter().filter(|note| note.channel == channel);
        notes.find(|note| about(note) && holds(note))
    }

    fn cancel(&mut self, shown: usize) -> Told {
        let named = self
            .named(shown)
            .filter(|(_, found)| self.pending(found, self.now));
        let Some((number, who)) = named.map(|(number, found)| (number, found.who.clone())) else {
            return Told::Refused(Refused::because(RefusalCode::NotFound));
        };
        self.end(number, Status::Canceled);
        self.conclude(&[number], false);
        self.seen(number, &who).map_or(Told::Fault, Told::Canceled)
    }

    fn end(&mut self, number: usize, end: Status) {
        if let Some(found) = self.verifications.get_mut(number) {
            found.ended = Some(end);
        }
    }

    /// The managed provider hears of an end, unless a pending verification shares the code, or it is just hearing of
    /// another. `waits` says that sends of its codes wait for as long as it may take to hear.
    fn conclude(&mut self, ended: &[usize], waits: bool) {
        for number in ended {
            let Some(ended) = self.verifications.get(*number).filter(|ended| ended.managed) else {
                continue;
            };
            let who = ended.who.clone();
            let shares = |other: &Verification| {
                other.managed && self.pending(other, self.now) && other.who.same_mailbox(&who)
            };
            // A record tells of one at a time, of whichever of its mailboxes.
            let mut told = self.concluding.iter();
            let running = told.any(|(of, until)| of.canonical() == who.to.canonical() && self.now < *until);
            if self.verifications.iter().any(shares) || running {
                continue;
            }
            if !ended.is_decoy() {
                self.provider.end(&Self::scope(), who.to.delivery(), self.wall());
            }
            // How soon the provider has heard must not show.
            if waits || self.is_private() {
                self.concluding.push((who.to, self.now + HEARS));
            }
        }
    }

    fn concludes(&self, to: &Destination, at: Timestamp) -> bool {
        let mut here = self
            .concluding
            .iter()
            .filter(|(of, _)| of.as_delivered() == to.as_delivered());
        here.any(|(_, until)| at < *until)
    }

    fn scope() -> Arc<str> {
        "scope".into()
    }

    fn status(&self, shown: usize) -> Told {
        let seen = self
            .named(shown)
            .and_then(|(number, found)| self.seen(number, &found.who));
        seen.map_or(
            Told::Refused(Refused::because(RefusalCode::NotFound)),
            Told::Status,
        )
    }

    /// A report moves a delivery on, never back.
    fn report(&mut self, message: usize, fate: Fate) -> Told {
        use DeliveryStatus::{Accepted, Delivered, Dispatching, Undelivered, Unknown};
        let known = self
            .messages
            .get(message)
            .filter(|message| self.wall() < message.until);
        let of = known.map(|message| message.verification);
        let Some(found) = of.and_then(|number| self.verifications.get_mut(number)) else {
            return Told::Reported(false);
        };
        let gone = found.gone;
        let delivery = found
            .deliveries
            .iter_mut()
            .find(|each| each.message == Some(message));
        let Some(delivery) = delivery.filter(|_| !gone) else {
            return Told::Reported(false);
        };
        let to = match fate {
            Fate::Underway => Accepted,
            Fate::Delivered => Delivered,
            Fate::Undelivered => Undelivered,
        };
        let moves = match delivery.status {
            Dispatching | Unknown => true,
            Accepted => to != Accepted,
            Delivered | Undelivered | DeliveryStatus::Rejected => false,
        };
        if moves {
            delivery.status = to;
        }
        let latest = found
            .deliveries
            .last()
            .is_some_and(|last| last.message == Some(message));
        if let Some(number) = of.filter(|_| moves && latest && to == Undelivered) {
            self.follow_up(number);
        }
        Told::Reported(moves)
    }

    /// A proof is spent once, by somebody who names all that it proves.
    fn redeem(&mut self, number: usize, person: &Person, key: Option<&String>) -> Told {
        let refused = Told::Refused(Refused::because(RefusalCode::NotFound));
        let Ok(who) = self.person(person) else {
            return refused;
        };
        let Some(approval) = self.approvals.get(number) else {
            return refused;
        };
        let approved_at = approval.at;
        let proves = self.verifications.get(approval.verification);
        let same = proves.is_some_and(|found| found.who.same_identity(&who));
        if !same || self.wall() >= approved_at + self.policy.proof_ttl + self.slack {
            return refused;
        }
        let spent = self.events.iter().find_map(|event| {
            let Happened::Redeemed { approval, key } = &event.what else {
                return None;
            };
            (*approval == number).then(|| key.clone())
        });
        match spent {
            Some(by) if by.is_none() || by.as_ref() != key => refused,
            Some(_) => Told::Redeemed { approved_at },
            None => {
                let (approval, key) = (number, key.cloned());
                self.remember(&who, Happened::Redeemed { approval, key });
                Told::Redeemed { approved_at }
            }
        }
    }

    fn unlock(&mut self, person: &Person, check_limits: bool) -> Told {
        match self.person(person) {
            Ok(who) => {
                self.notes.retain(|note| note.of != who.to.canonical());
                self.caps.retain(|(of, _)| of != who.to.canonical());
                // What the lockouts have closed stays closed.
                for standing in Standing::ALL {
                    let who = Who {
                        standing: *standing,
                        ..who.clone()
                    };
                    self.close(&who, &[]);
                }
                self.remember(&who, Happened::Unlocked { check_limits });
                Told::Unlocked(self.stands(&who))
            }
            Err(refused) => Told::Refused(refused),
        }
    }

    fn erase(&mut self, person: &Person) -> Told {
        let who = match self.person(person) {
            Ok(who) => who,
            Err(refused) => return Told::Refused(refused),
        };
        let mut erased = 0;
        let records = self.verifications.iter_mut();
        for found in records.filter(|found| !found.gone && found.who.same_destination(&who)) {
            found.gone = true;
            erased += 1;
        }
        Told::Erased(erased)
    }

    /// Deliveries of flows that died become unknown once those are surely over, and the provider is asked about one
    /// of each destination, again and again at longer intervals.
    fn tick(&mut self) -> Told {
        let over = FLOW + SKEW;
        let private = self.is_private();
        let mut asked: Vec<String> = Vec::new();
        let now = self.now;
        for found in self.verifications.iter_mut().filter(|found| !found.gone) {
            for delivery in &mut found.deliveries {
                if delivery.status == DeliveryStatus::Dispatching && self.now >= delivery.at + over {
                    delivery.status = DeliveryStatus::Unknown;
                }
                let later = Duration::from_secs(30) * ((1 << delivery.inquiries) - 1);
                let due = delivery.inquiries < MOST_INQUIRIES && self.now >= delivery.at + over + later;
                let to = found.who.to.canonical().to_owned();
                if delivery.status == DeliveryStatus::Unknown && due && delivery.decoy {
                    delivery.inquiries = MOST_INQUIRIES;
                } else if delivery.status == DeliveryStatus::Unknown && due && !asked.contains(&to) {
                    asked.push(to);
                    delivery.inquiries += 1;
                    // A provider that is asked later finds a message by whom it went to, how and when.
                    let found = self.messages.iter().any(|message| {
                        let same =
                            message.to == found.who.to.delivery() && message.channel == delivery.channel;
                        same && message.at >= delivery.at
                    });
                    delivery.decoy |= private && !found;
                    delivery.status = match found || private {
                        true => DeliveryStatus::Accepted,
                        false => DeliveryStatus::Rejected,
                    };
                }
            }
            found.expire(now - SKEW);
            found.gone |= found.ended.is_none() && !found.may_have_sent();
        }
        Told::Ticked
    }

    /// What is kept of a destination is forgotten ten minutes after the last of its codes died.
    fn forget(&mut self) {
        if self.stamp.is_some() {
            // After a clock was set back, what was forgotten is there again until it is forgotten once more.
            for found in &mut self.verifications {
                if found.forgotten.take_if(|until| self.now < *until).is_some() {
                    found.gone = false;
                }
            }
            return;
        }
        let kept: Vec<(String, Timestamp)> = self
            .verifications
            .iter()
            .filter(|found| !found.gone)
            .map(|found| (found.who.to.canonical().to_owned(), found.expires + RETENTION))
            .collect();
        for found in &mut self.verifications {
            let to = found.who.to.canonical();
            let until = kept
                .iter()
                .filter(|(of, _)| of == to)
                .map(|(_, until)| *until)
                .max();
            if let Some(until) = until.filter(|until| !found.gone && self.now >= *until) {
                (found.gone, found.forgotten) = (true, Some(until));
            }
        }
    }
}

impl Answers for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn answer(&mut self, ask: &Ask) -> Told {
        self.forget();
        let mut told = match ask {
            Ask::Send(ask) => self.send(ask),
            Ask::Check(ask) => self.check(ask),
            Ask::Cancel(number) => self.cancel(*number),
            Ask::Status(number) => self.status(*number),
            Ask::Report(message, fate) => self.report(*message, *fate),
            Ask::Redeem(approval, person, key) => self.redeem(*approval, person, key.as_ref()),
            Ask::Unlock(person, check_limits) => self.unlock(person, *check_limits),
            Ask::Erase(person) => self.erase(person),
            Ask::Tick => self.tick(),
        };
        self.mishap = None;
        self.show(&mut told);
        told
    }

    fn outside(&mut self, change: Outside) {
        match change {
            Outside::Now(now) => self.now = now,
            Outside::Rejects(kind) => self.rejecting = kind,
            Outside::Risk(level) => self.risk = level,
            Outside::Mishap(mishap) => self.mishap = Some(mishap),
        }
    }

    fn messages(&self) -> usize {
        self.messages.len()
    }

    fn alerts(&self) -> Option<usize> {
        Some(self.alerts.len())
    }
}
