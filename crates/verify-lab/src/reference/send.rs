//! How the reference answers a send.

use verify_core::outcome::RefusalCode;
use verify_core::policy::{Automatic, CountryAction, Counts, Max, Resend, Then, limit_names};
use verify_core::port::{Maker, RejectionKind};
use verify_core::record::{DeliveryStatus, KEPT_FOR_KNOWN, MOST_VERIFICATIONS, RETENTION};
use verify_core::time::{SKEW, Timestamp};
use verify_core::vocabulary::{Channel, Standing};

use super::history::{Body, Delivery, Happened, Verification, Who};
use super::{FLOW, Mishap, Reference, Refused, SendAsk, Told};

/// A send that could be one.
pub(super) struct Sending {
    pub(super) who: Who,
    named: Option<usize>,
    pub(super) channel: Channel,
    pub(super) human: bool,
    consent: bool,
    pub(super) decoy: bool,
    /// A provider has said something that keeps it from being asked, and nobody may notice.
    pub(super) noted: bool,
    pub(super) test: bool,
    key: Option<(String, Body)>,
}

/// Something that stands against a send.
pub(super) struct Stop {
    code: RefusalCode,
    rule: String,
    /// Somebody who shows to be human passes.
    human: bool,
}

impl Stop {
    fn by(rule: &str, code: RefusalCode) -> Self {
        Self {
            code,
            rule: rule.to_owned(),
            human: false,
        }
    }
}

impl Sending {
    /// Whoever showed to be human passes what asks for that alone.
    pub(super) fn is_stopped_by(&self, stops: &[Stop]) -> bool {
        stops.iter().any(|stop| !(stop.human && self.human))
    }
}

impl Reference {
    pub(super) fn send(&mut self, ask: &SendAsk) -> Told {
        match self.sending(ask) {
            Ok(sending) => self.decide(sending),
            Err(refused) => Told::Refused(refused),
        }
    }

    /// A failure was reported: the next channel by itself, where policy and person want it.
    pub(super) fn follow_up(&mut self, number: usize) {
        let Some(found) = self
            .verifications
            .get(number)
            .filter(|found| self.pending(found, self.now))
        else {
            return;
        };
        let rules = self.policy.channels_for(found.who.purpose);
        let wanted = match rules.automatic {
            Automatic::Never => false,
            Automatic::WithConsent => found.consent,
            Automatic::Always => true,
        };
        let tried = |channel| found.deliveries.iter().any(|each| each.channel == channel);
        let mut next = rules.fallback.iter().copied();
        let fits = |channel: &Channel| {
            rules.enabled.contains(channel) && found.who.to.fits(*channel) && !tried(*channel)
        };
        let Some(channel) = next.find(fits).filter(|_| wanted && !self.is_private()) else {
            return;
        };
        let who = found.who.clone();
        let (named, human, consent, decoy, noted, test) = (Some(number), false, true, false, false, false);
        self.decide(Sending {
            who,
            named,
            channel,
            human,
            consent,
            decoy,
            noted,
            test,
            key: None,
        });
    }

    fn decide(&mut self, mut sending: Sending) -> Told {
        if let Some(told) = self.by_key(&sending) {
            return told;
        }
        let pending = self.matching(&sending, self.now);
        if let Some(number) = pending.filter(|number| self.is_repeat(&sending, *number)) {
            return self
                .seen(number, &sending.who)
                .map_or(Told::Fault, Told::Repeated);
        }
        let note = self.note(&sending.who, sending.channel, self.now);
        sending.noted = self.is_private() && (note.is_some() || self.is_capped(&sending, self.now));
        sending.decoy |= sending.noted;
        let stops = self.stops(&sending, self.now);
        if !sending.is_stopped_by(&stops) {
            return self.charged(&sending, pending);
        }
        Told::Refused(self.refusal(&sending, &stops))
    }

    /// The first stop names the answer; one that a human would pass only where nothing else is in the way.
    fn refusal(&self, sending: &Sending, stops: &[Stop]) -> Refused {
        let named = stops.iter().find(|stop| !stop.human).or(stops.first());
        let code = named.map_or(RefusalCode::RateLimited, |stop| stop.code);
        let unreachable = code == RefusalCode::ChannelUnavailable;
        Refused {
            wait: (!unreachable).then(|| self.search(|at| sending.is_stopped_by(&self.stops(sending, at)))),
            fallback: match unreachable {
                true => self.others(&sending.who, |channel| channel == sending.channel),
                false => Vec::new(),
            },
            rules: stops.iter().map(|stop| stop.rule.clone()).collect(),
            ..Refused::because(code)
        }
    }

    /// Malformed, then country, number and channel rules.
    // long because the order of judgement in one place
    fn sending(&self, ask: &SendAsk) -> Result<Sending, Refused> {
        if ask.decoy && !self.is_private() {
            return Err(Refused::because(RefusalCode::InvalidRequest));
        }
        let (who, named) = self.who(&ask.of, &ask.from)?;
        let rules = self.policy.channels_for(who.purpose);
        let usual = if who.to.fits(Channel::Email) {
            Channel::Email
        } else {
            rules.default
        };
        let channel = ask.by.unwrap_or(usual);
        let unavailable = || Refused {
            fallback: self.others(&who, |tried| tried == channel),
            ..Refused::because(RefusalCode::ChannelUnavailable)
        };
        if !who.to.fits(channel) {
            return Err(Refused::because(RefusalCode::InvalidRequest));
        }
        if !rules.enabled.contains(&channel) {
            return Err(Refused {
                rules: vec!["channels_enabled".to_owned()],
                ..unavailable()
            });
        }
        let mut tests = self.policy.tests.iter();
        let test = tests.find(|test| test.to == who.to.as_delivered());
        let country = who.to.country();
        let countries = &self.policy.countries;
        // A number of no country is in no list; no country rule judges a mailbox.
        let listed = country.and_then(|country| countries.listed.get(&country));
        let action = match who.to.fits(Channel::Email) {
            true => CountryAction::Allow,
            false => listed.copied().unwrap_or(countries.default),
        };
        let premium = who.to.is_premium() && !self.policy.numbers.premium_rate_allowed;
        let disposable = who.to.is_disposable() && !self.policy.email.disposable_allowed;
        let limited = country.and_then(|country| countries.channels.get(&country));
        let against = match test {
            Some(test) => (self.now >= test.until).then_some("test_destination"),
            None if premium => Some("premium_rate"),
            None if disposable => Some("disposable"),
            None => (action == CountryAction::Block).then_some("country"),
        };
        if let Some(rule) = against.filter(|_| test.is_some() || !self.is_private()) {
            return Err(Refused::by(rule, RefusalCode::Blocked));
        }
        if test.is_none() {
            if limited.is_some_and(|channels| !channels.contains(&channel)) {
                let rules = vec!["country_channels".to_owned()];
                return Err(Refused {
                    rules,
                    ..unavailable()
                });
            }
            if action == CountryAction::HumanCheck && !ask.human {
                return Err(Refused::by("country", RefusalCode::HumanCheckRequired));
            }
        }
        let body = Self::body_of(&who, channel);
        Ok(Sending {
            named,
            channel,
            human: ask.human,
            consent: ask.consent,
            decoy: against.is_some() || ask.decoy,
            noted: false,
            test: test.is_some(),
            key: ask.key.clone().map(|key| (key, body)),
            who,
        })
    }

    /// What makes a send another one.
    fn body_of(who: &Who, channel: Channel) -> Body {
        let payment = who.payment.clone().unzip();
        vec![
            Some(who.to.as_delivered().into_owned()),
            Some(channel.to_string()),
            Some(who.purpose.to_string()),
            who.subject.clone(),
            payment.0,
            payment.1,
            Some(who.standing.to_string()),
        ]
    }

    /// The same idempotency key: the same answer, for as long as the verification could be read when it was sent.
    fn by_key(&self, sending: &Sending) -> Option<Told> {
        let (key, body) = sending.key.as_ref()?;
        let mut sends = self.events.iter().rev().filter_map(|event| {
            let Happened::Sent {
                key: Some(used),
                nothing_sent: false,
                verification,
                ..
            } = &event.what
            else {
                return None;
            };
            let (of, before, until) = used;
            (of == key && self.now < *until).then_some((before, *verification))
        });
        let (before, number) = sends.next()?;
        let found = self.verifications.get(number)?;
        if before != body {
            return Some(Told::Refused(Refused::because(RefusalCode::IdempotencyMismatch)));
        }
        let last = found.deliveries.last()?;
        let running = last.status == DeliveryStatus::Dispatching && self.now < last.at + FLOW;
        // Where nobody may notice who is asked, the answer came before.
        let running = running && !self.is_private();
        if self.pending(found, self.now) && running {
            return Some(Told::Refused(Refused::because(RefusalCode::InProgress)));
        }
        self.seen(number, &sending.who).map(Told::Repeated)
    }

    /// The pending verification of the same identity and standing.
    fn matching(&self, sending: &Sending, at: Timestamp) -> Option<usize> {
        let matches = |found: &Verification| {
            self.pending(found, at)
                && found.who.same_identity(&sending.who)
                && found.who.standing == sending.who.standing
        };
        let mut all = self.verifications.iter().enumerate().rev();
        let named = |number: usize| sending.named.is_none_or(|named| named == number);
        all.find(|(number, found)| named(*number) && matches(found))
            .map(|(number, _)| number)
    }

    /// The same channel inside the gap, and the last delivery has not failed.
    fn is_repeat(&self, sending: &Sending, number: usize) -> bool {
        let mut limits = self.policy.limits.iter();
        let gap = limits.find(|limit| &*limit.name == limit_names::RESEND_GAP && limit.max != Max::Unlimited);
        let last = self
            .verifications
            .get(number)
            .and_then(|found| found.deliveries.last());
        last.zip(gap).is_some_and(|(last, gap)| {
            last.channel == sending.channel && !self.failed(last) && self.now < last.at + gap.per
        })
    }

    /// All that stands against a send at an instant, in the order of judgement.
    pub(super) fn stops(&self, sending: &Sending, at: Timestamp) -> Vec<Stop> {
        let who = &sending.who;
        let mut stops = Vec::new();
        if let Some(note) = self.note(who, sending.channel, at).filter(|_| !self.is_private()) {
            stops.push(Stop::by(note.kind.as_str(), RefusalCode::ChannelUnavailable));
        }
        for lockout in Self::lockouts(who).filter(|lockout| self.locks(*lockout, who, at)) {
            let code = if self.closes(lockout, who, at) {
                RefusalCode::Locked
            } else {
                RefusalCode::Cooldown
            };
            stops.push(Stop::by(lockout.name(), code));
        }
        stops.extend(self.limits_against(sending, at));
        let pending = self
            .matching(sending, at)
            .and_then(|number| self.verifications.get(number));
        if pending.is_some_and(|found| self.last_minute(found, at)) {
            stops.push(Stop::by("last_minute", RefusalCode::Cooldown));
        }
        let managed = self.maker == Maker::Managed && !sending.test;
        if managed && self.concludes(&who.to, at) {
            stops.push(Stop::by("concluding", RefusalCode::Cooldown));
        }
        if self.is_capped(sending, at) && !self.is_private() {
            let rule = RejectionKind::DestinationQuota.as_str();
            stops.push(Stop::by(rule, RefusalCode::RateLimited));
        }
        if pending.is_none() && self.places_taken(who, at) >= Self::places(who.standing) {
            stops.push(Stop::by("pending_verifications", RefusalCode::RateLimited));
        }
        stops
    }

    /// The provider has said that it sends nothing there.
    fn is_capped(&self, sending: &Sending, at: Timestamp) -> bool {
        let to = sending.who.to.canonical();
        let capped = |(of, until): &(String, Timestamp)| of == to && at < *until;
        !sending.test && self.caps.iter().any(capped)
    }

    /// Limits on sends and money, and those that would refuse a check of the code.
    fn limits_against(&self, sending: &Sending, at: Timestamp) -> Vec<Stop> {
        let who = &sending.who;
        let rules = self.rules(
            who,
            &[Counts::Sends, Counts::Spend, Counts::Checks, Counts::Failures],
        );
        let price = self.policy.prices.of(who.to.country(), sending.channel);
        let mut stops = Vec::new();
        for rule in rules {
            let sends = matches!(rule.limit.counts, Counts::Sends | Counts::Spend);
            let gap = &*rule.limit.name == limit_names::RESEND_GAP;
            let human = rule.limit.then == Then::HumanCheck;
            let asked = match rule.limit.then {
                Then::Refuse => !(gap && self.waives_gap(sending, at)),
                Then::HumanCheck => sends,
                Then::Alert => false,
            };
            let against = self.against(&rule, who, rule.cost(price), at);
            for name in against.into_iter().filter(|_| asked) {
                let code = match (human, gap) {
                    (true, _) => RefusalCode::HumanCheckRequired,
                    (false, true) => RefusalCode::Cooldown,
                    (false, false) => RefusalCode::RateLimited,
                };
                stops.push(Stop {
                    human,
                    ..Stop::by(&name, code)
                });
            }
        }
        stops
    }

    /// The gap does not hold once the last delivery failed, nor for another channel when it stayed silent long enough:
    /// every provider here reports.
    fn waives_gap(&self, sending: &Sending, at: Timestamp) -> bool {
        let found = self
            .matching(sending, at)
            .and_then(|number| self.verifications.get(number));
        let after = self.policy.channels_for(sending.who.purpose).fallback_after;
        found
            .and_then(|found| found.deliveries.last())
            .is_some_and(|last| {
                self.failed(last) || (last.channel != sending.channel && at >= last.at + after)
            })
    }

    fn places(standing: Standing) -> usize {
        match standing {
            Standing::Stranger => MOST_VERIFICATIONS - KEPT_FOR_KNOWN,
            Standing::Known => MOST_VERIFICATIONS,
        }
    }

    fn places_taken(&self, who: &Who, at: Timestamp) -> usize {
        let here = self
            .verifications
            .iter()
            .filter(|found| found.who.same_destination(who));
        here.filter(|found| self.pending(found, at)).count()
    }

    /// Everything is counted; then the scorer and the provider are asked.
    fn charged(&mut self, sending: &Sending, pending: Option<usize>) -> Told {
        self.close(&sending.who, &[]);
        self.expire(&sending.who);
        let number = match pending {
            Some(number) => {
                self.renew(number);
                number
            }
            None => self.begin(sending),
        };
        let (at, channel) = (self.now, sending.channel);
        let status = DeliveryStatus::Dispatching;
        if let Some(found) = self.verifications.get_mut(number) {
            found.consent |= sending.consent;
            // A follow-up is charged as the latest send was.
            (found.who.ip, found.who.device) = (sending.who.ip, sending.who.device.clone());
            found.deliveries.push(Delivery {
                at,
                channel,
                status,
                message: None,
                upstream: None,
                inquiries: 0,
                decoy: sending.decoy,
            });
        }
        let price = self.policy.prices.of(sending.who.to.country(), channel);
        let expires = self.verifications.get(number).map_or(at, |found| found.expires);
        let until = expires + RETENTION + SKEW;
        let key = sending.key.clone().map(|(key, body)| (key, body, until));
        let passed = self.passed(&sending.who, &[Counts::Sends, Counts::Spend], price);
        let verification = number;
        let (money_back, nothing_sent) = (false, false);
        self.remember(
            &sending.who,
            Happened::Sent {
                verification,
                price,
                money_back,
                nothing_sent,
                key,
            },
        );
        if self.mishap == Some(Mishap::StopsWhenCharged) {
            return Told::Nothing;
        }
        let (told, settled) = self.carried(sending, number);
        if settled {
            self.alert(passed);
        }
        told
    }

    /// A resend under `resend = "new"` has a new code with a life of its own.
    fn renew(&mut self, number: usize) {
        let Some(found) = self.verifications.get(number) else {
            return;
        };
        let rules = self.policy.code_for(found.who.purpose);
        let replaced = (found.code.clone(), found.issued, found.expires);
        let same = rules.resend == Resend::Same || found.managed;
        let ttl = rules.ttl;
        let code = if same { None } else { Some(self.new_code()) };
        let Some(found) = self.verifications.get_mut(number) else {
            return;
        };
        found.replaced = code.is_some().then_some(replaced);
        if code.is_some() {
            (found.code, found.issued, found.expires) = (code, self.now, self.now + ttl);
        }
    }

    fn new_code(&mut self) -> String {
        self.codes += 1;
        format!("own code {}", self.codes)
    }

    /// A new verification; the oldest that is over makes room.
    fn begin(&mut self, sending: &Sending) -> usize {
        let who = &sending.who;
        let here = |found: &&Verification| !found.gone && found.who.same_destination(who);
        while self.verifications.iter().filter(here).count() >= Self::places(who.standing) {
            let over = |found: &Verification| here(&found) && !self.pending(found, self.now);
            let oldest = self.verifications.iter().position(over);
            match oldest.and_then(|oldest| self.verifications.get_mut(oldest)) {
                Some(oldest) => oldest.gone = true,
                None => break,
            }
        }
        let mut tests = self.policy.tests.iter();
        let test = tests
            .find(|test| test.to == who.to.as_delivered())
            .map(|test| test.code.clone());
        let managed = self.maker == Maker::Managed && test.is_none();
        let own = self.maker == Maker::Own && test.is_none();
        let code = if own { Some(self.new_code()) } else { test };
        self.verifications.push(Verification {
            who: who.clone(),
            issued: self.now,
            expires: self.now + self.policy.code_for(who.purpose).ttl,
            code,
            managed,
            replaced: None,
            ended: None,
            deliveries: Vec::new(),
            consent: false,
            guesses: 0,
            gone: false,
            forgotten: None,
        });
        self.verifications.len() - 1
    }
}
