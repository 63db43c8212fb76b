//! How the reference answers a check.

use verify_core::outcome::RefusalCode;
use verify_core::policy::{Counts, Then};
use verify_core::port::{Compared, End, Maker};
use verify_core::record::{DeliveryStatus, RETENTION, Status};
use verify_core::time::{Timestamp, Until};

use super::history::{Approval, Body, Delivery, Happened, Verification, Who};
use super::rules::{Lockout, Passed};
use super::{CheckAsk, FLOW, Guess, Mishap, Of, Reference, Refused, Told};

/// What a guess is.
enum Verdict {
    /// Right, for this verification.
    Right(usize),
    /// Wrong; at this managed verification, where its provider's own cap is counted here.
    Wrong(Option<usize>),
    /// There is nothing to compare it with.
    NothingPending,
    /// The provider has nothing to compare it with.
    Gone,
    /// The provider says that what it would compare with is over.
    Ended(String, Status),
    /// Surely nobody compared it.
    NotAsked,
    /// The provider compared it, and its answer was lost.
    Perhaps,
    /// The check stopped before it heard the answer.
    NotHeard,
}

impl Reference {
    pub(super) fn check(&mut self, ask: &CheckAsk) -> Told {
        let refused = |code| Told::Refused(Refused::because(code));
        let (who, named, guess) = match self.asked(ask) {
            Ok(asked) => asked,
            Err(refused) => return Told::Refused(refused),
        };
        let key = ask.key.clone().map(|key| (key, Self::body(&who, &guess)));
        if let Some(told) = key
            .as_ref()
            .and_then(|(key, body)| self.used_key(&who, named, key, body))
        {
            return told;
        }
        if let Some(refused) = self.against_check(&who) {
            return Told::Refused(refused);
        }
        // Counted before anything is compared, and as a failure only while something is pending here.
        let here =
            |found: &Verification| found.who.same_destination(&who) && self.open_to(&who, found, self.now);
        // A closing that nobody has written yet is found after the count, and a check that stops before leaves it.
        let unwritten = |found: &Verification| {
            let stops = self.mishap == Some(Mishap::StopsWhenCharged) && found.who.same_destination(&who);
            stops && !found.gone && found.ended.is_none() && self.now < found.expires
        };
        let live = self
            .verifications
            .iter()
            .any(|found| here(found) || unwritten(found));
        let by = key.as_ref().map(|(key, _)| key.clone());
        let passed = self.passed_by_a_check(&who, live);
        self.remember(&who, Happened::Checked { key });
        let mine = self.met(&who, named);
        if live {
            self.remember(&who, Happened::Failed { taken_back: false });
        }
        if self.mishap == Some(Mishap::StopsWhenCharged) {
            return Told::Nothing;
        }
        match self.compared(&mine, &guess) {
            Verdict::Right(number) => self.approve(&who, number, by),
            Verdict::Wrong(at) => {
                self.alert(passed);
                self.found_wrong(&who, &mine, at)
            }
            Verdict::NothingPending => {
                let exhausted = self.close(&who, &[]);
                if !exhausted.is_empty() {
                    self.alert(passed);
                }
                self.conclude(&exhausted, true);
                refused(RefusalCode::NotFound)
            }
            Verdict::Gone => refused(RefusalCode::NotFound),
            Verdict::Ended(upstream, status) => self.over(&who, passed, &upstream, status),
            Verdict::NotAsked => {
                self.alert(passed);
                self.take_back_failure();
                refused(RefusalCode::ProviderUnavailable)
            }
            Verdict::Perhaps => refused(RefusalCode::ProviderUnavailable),
            Verdict::NotHeard => Told::Nothing,
        }
    }

    /// Who is meant, the verification that is named, and the guess. How long that must be a verification's id says, which is
    /// opened first.
    fn asked(&self, ask: &CheckAsk) -> Result<(Who, Option<usize>, String), Refused> {
        let invalid = || Refused::because(RefusalCode::InvalidCode);
        let as_long = self.is_as_long(&ask.guess);
        let by_id = !matches!(ask.of, Of::Person(_));
        let guess = self.guess(&ask.guess).filter(|_| as_long || by_id);
        let guess = guess.ok_or_else(invalid)?;
        let (who, named) = self.who(&ask.of, &ask.from)?;
        as_long.then_some((who, named, guess)).ok_or_else(invalid)
    }

    fn passed_by_a_check(&self, who: &Who, live: bool) -> Vec<Passed> {
        let mut passed = self.passed(who, &[Counts::Checks], 0);
        if live {
            passed.extend(self.passed(who, &[Counts::Failures], 0));
        }
        passed
    }

    /// The characters of a guess that can be one.
    fn guess(&self, guess: &Guess) -> Option<String> {
        match guess {
            Guess::Message(number) => {
                let message = self.messages.get(*number);
                Some(message.map_or("wrong".to_owned(), |message| message.code.clone()))
            }
            Guess::Wrong => Some("wrong".to_owned()),
            Guess::Text(text) => {
                let text = text.replace([' ', '-'], "");
                let fits = (4..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
                fits.then_some(text)
            }
        }
    }

    /// A managed provider alone knows how long its codes are; all others are as the policy says, which is one here.
    fn is_as_long(&self, guess: &Guess) -> bool {
        match (guess, self.maker) {
            (Guess::Text(text), Maker::Own) => {
                text.replace([' ', '-'], "").len() == usize::from(self.policy.code.length)
            }
            (Guess::Text(_), Maker::Managed) | (Guess::Message(_) | Guess::Wrong, _) => true,
        }
    }

    fn body(who: &Who, guess: &str) -> Body {
        let payment = who.payment.clone().unzip();
        let purpose = who.purpose.to_string();
        let to = who.to.as_delivered().into_owned();
        vec![
            Some(to),
            Some(purpose),
            who.subject.clone(),
            payment.0,
            payment.1,
            Some(guess.to_owned()),
        ]
    }

    /// The key was used before: approved by it, perhaps still running, or over.
    fn used_key(&self, who: &Who, named: Option<usize>, key: &str, body: &Body) -> Option<Told> {
        let life = self.policy.code_for(who.purpose).ttl + RETENTION;
        let mut uses = self.events.iter().rev().filter_map(|event| {
            let Happened::Checked {
                key: Some((of, before)),
            } = &event.what
            else {
                return None;
            };
            (of == key && event.at + life > self.now).then_some((event.at, before))
        });
        let (began, before) = uses.next()?;
        let refused = |code| Some(Told::Refused(Refused::because(code)));
        if before != body {
            return refused(RefusalCode::IdempotencyMismatch);
        }
        let approved = self.approvals.iter().enumerate().find(|(_, approval)| {
            let of = self
                .verifications
                .get(approval.verification)
                .filter(|found| !found.gone);
            let named = named.is_none_or(|named| named == approval.verification);
            let mine = of.is_some_and(|of| of.who.same_identity(who) && of.who.standing <= who.standing);
            approval.key.as_deref() == Some(key) && named && mine
        });
        if let Some((number, approval)) = approved {
            return Some(Told::Approved {
                approval: number,
                channel: approval.channel,
            });
        }
        // Nobody writes down that a check ended without an approval: while it may still run, it does.
        refused(if self.now < began + FLOW {
            RefusalCode::InProgress
        } else {
            RefusalCode::Conflict
        })
    }

    /// Lockouts, then limits.
    fn against_check(&self, who: &Who) -> Option<Refused> {
        let rules = self.rules(who, &[Counts::Checks, Counts::Failures]);
        let limits = || rules.iter().filter(|rule| rule.limit.then != Then::Alert);
        let locks = Self::lockouts(who).filter(|lockout| self.locks(*lockout, who, self.now));
        let locks: Vec<Lockout> = locks.collect();
        let denied: Vec<String> = limits()
            .flat_map(|rule| self.against(rule, who, 1, self.now))
            .collect();
        let code = match locks.first() {
            Some(first) if self.closes(*first, who, self.now) => RefusalCode::Locked,
            Some(_) => RefusalCode::Cooldown,
            None if denied.is_empty() => return None,
            None => RefusalCode::RateLimited,
        };
        let stopped = |at: Timestamp| {
            limits().any(|rule| !self.against(rule, who, 1, at).is_empty())
                || Self::lockouts(who).any(|lockout| self.locks(lockout, who, at))
        };
        let names = denied;
        Some(Refused {
            wait: Some(self.search(stopped)),
            checks_left: self.checks_left(who, self.now),
            rules: locks
                .iter()
                .map(|lockout| lockout.name().to_owned())
                .chain(names)
                .collect(),
            ..Refused::because(code)
        })
    }

    /// Pending verifications that the check is about, the newest first. A known caller meets what was sent as a
    /// stranger too, never the other way round.
    fn met(&self, who: &Who, named: Option<usize>) -> Vec<usize> {
        let met = |found: &&Verification| {
            let same = found.who.same_identity(who) && found.who.standing <= who.standing;
            same && self.open_to(who, found, self.now)
        };
        let mut met = self.numbers(met);
        met.retain(|number| named.is_none_or(|named| named == *number));
        met.reverse();
        met
    }

    fn is_right(&self, number: usize, guess: &str) -> bool {
        let found = self.verifications.get(number);
        let found = found.filter(|found| !found.managed && !found.is_decoy());
        let mut tests = self.policy.tests.iter();
        found.is_some_and(|found| {
            let test = tests.find(|test| test.to == found.who.to.as_delivered());
            found.code.as_deref() == Some(guess) && test.is_none_or(|test| self.now < test.until)
        })
    }

    /// The engine compares its own codes, a managed provider its own.
    fn compared(&mut self, mine: &[usize], guess: &str) -> Verdict {
        if mine.is_empty() {
            return Verdict::NothingPending;
        }
        if let Some(right) = mine.iter().find(|number| self.is_right(**number, guess)) {
            return Verdict::Right(*right);
        }
        let managed = |decoy: bool| {
            let mut mine = mine.iter().copied();
            mine.find(|number| {
                let found = self.verifications.get(*number);
                found.is_some_and(|found| found.managed && found.is_decoy() == decoy)
            })
        };
        let Some(number) = managed(false).or(managed(true)) else {
            return Verdict::Wrong(None);
        };
        let managed_at = |number: &&usize| {
            self.verifications
                .get(**number)
                .is_some_and(|found| found.managed)
        };
        let newest = mine.iter().find(managed_at).copied();
        let counts = newest.filter(|_| self.is_private());
        if managed(false).is_none() {
            return Verdict::Wrong(counts);
        }
        let to = self
            .verifications
            .get(number)
            .map(|found| found.who.to.delivery().to_owned());
        if self.mishap == Some(Mishap::CallLost) {
            return Verdict::NotAsked;
        }
        let said = self
            .provider
            .compare(&Self::scope(), &to.unwrap_or_default(), guess, self.wall());
        match (self.mishap, said) {
            (Some(Mishap::AnswerLost), _) => Verdict::Perhaps,
            (Some(Mishap::StopsWhenAsked), _) => Verdict::NotHeard,
            (_, Compared::Match) => Verdict::Right(number),
            (_, Compared::NoMatch) => Verdict::Wrong(counts),
            // That there is nothing to compare with must not show.
            (_, Compared::Gone | Compared::Ended { .. }) if counts.is_some() => Verdict::Wrong(counts),
            (_, Compared::Ended { upstream, end }) if self.is_about(number, &upstream) => {
                let status = match end {
                    End::UsedUp => Status::Exhausted,
                    End::Expired => Status::Expired,
                    End::Canceled => Status::Canceled,
                };
                Verdict::Ended(upstream, status)
            }
            (_, Compared::Gone | Compared::Ended { .. } | Compared::NotAsked(_) | Compared::Unknown(_)) => {
                Verdict::Gone
            }
        }
    }

    /// One more wrong guess at it. True when the provider compares no more after that, which ends it here.
    fn uses_up(&mut self, number: usize) -> bool {
        let pending = self
            .verifications
            .get(number)
            .is_some_and(|found| self.pending(found, self.now));
        let Some(found) = self.verifications.get_mut(number).filter(|_| pending) else {
            return false;
        };
        found.guesses += 1;
        let used_up = self
            .verifications
            .get(number)
            .is_some_and(|found| self.guesses_left(found) == Some(0));
        if used_up {
            self.end(number, Status::Exhausted);
        }
        used_up
    }

    /// What a provider says is over was what it was asked about.
    fn is_about(&self, number: usize, upstream: &str) -> bool {
        let asked = self.verifications.get(number).and_then(|found| {
            let mut known = found.deliveries.iter().rev();
            known.find_map(|each| each.upstream.as_deref())
        });
        asked.is_none_or(|asked| asked == upstream)
    }

    /// Ends whatever at the destination got that code last. Nobody compared anything.
    fn over(&mut self, who: &Who, passed: Vec<Passed>, upstream: &str, status: Status) -> Told {
        self.alert(passed);
        self.take_back_failure();
        self.expire(who);
        let last = |found: &&Verification| {
            let sent = |each: &&Delivery| each.status != DeliveryStatus::Rejected;
            let last = found.deliveries.iter().rfind(sent);
            let same = last.is_some_and(|last| last.upstream.as_deref() == Some(upstream));
            same && found.managed && found.who.same_destination(who) && self.pending(found, self.now)
        };
        for number in self.numbers(last) {
            self.end(number, status);
        }
        Told::Refused(Refused::because(RefusalCode::NotFound))
    }

    fn take_back_failure(&mut self) {
        for event in self.events.iter_mut().rev().take(1) {
            if let Happened::Failed { taken_back } = &mut event.what {
                *taken_back = true;
            }
        }
    }

    /// The code was right: the failure is none, those in a row are over, and what shared the code ends with it.
    fn approve(&mut self, who: &Who, number: usize, key: Option<String>) -> Told {
        self.take_back_failure();
        self.end(number, Status::Approved);
        // What lockouts have closed stays closed, though their runs are over now.
        self.close(who, &[]);
        self.expire(who);
        let Some(found) = self.verifications.get(number) else {
            return Told::Fault;
        };
        let (managed, to) = (found.managed, found.who.clone());
        let sent = |each: &&Delivery| each.may_have_come();
        let carried = found.deliveries.iter().rfind(sent).or(found.deliveries.last());
        let channel = carried.map_or(self.policy.channels.default, |last| last.channel);
        let shares = |other: &&Verification| {
            managed && other.managed && self.open_to(who, other, self.now) && other.who.same_mailbox(&to)
        };
        for sibling in self.numbers(shares) {
            self.end(sibling, Status::Canceled);
        }
        let approval = self.approvals.len();
        self.approvals.push(Approval {
            verification: number,
            at: self.now,
            channel,
            key,
        });
        self.remember(who, Happened::Approved);
        Told::Approved { approval, channel }
    }

    /// A failure that reaches a wait of five minutes or more closes what is pending here under that lockout, and what
    /// the failed check met.
    pub(super) fn close(&mut self, who: &Who, met: &[usize]) -> Vec<usize> {
        let closed = |number: usize, found: &Verification| {
            let by = |lockout| self.closed_by(lockout, who, found, self.now);
            found.ended.is_none()
                && !found.gone
                && self.now < found.expires
                && found.who.same_destination(who)
                && (found.who.standing == who.standing || met.contains(&number))
                && Self::lockouts(who).any(by)
        };
        let all = self.verifications.iter().enumerate();
        let closed: Vec<usize> = all
            .filter(|(number, found)| closed(*number, found))
            .map(|(number, _)| number)
            .collect();
        for number in &closed {
            self.end(*number, Status::Exhausted);
        }
        if !closed.is_empty() {
            self.expire(who);
        }
        closed
    }

    /// Writes down what has died at the destination.
    pub(super) fn expire(&mut self, who: &Who) {
        let now = self.now;
        let all = self.verifications.iter_mut();
        all.filter(|found| found.who.same_destination(who))
            .for_each(|found| found.expire(now));
    }

    fn numbers(&self, wanted: impl Fn(&&Verification) -> bool) -> Vec<usize> {
        let all = self.verifications.iter().enumerate();
        all.filter(|(_, found)| wanted(found))
            .map(|(number, _)| number)
            .collect()
    }

    /// A wrong guess, at this managed verification where its provider's own cap is counted here.
    fn found_wrong(&mut self, who: &Who, mine: &[usize], at: Option<usize>) -> Told {
        let used_up = at.filter(|number| self.uses_up(*number));
        let left = at.and_then(|number| self.verifications.get(number));
        let left = left.and_then(|found| self.guesses_left(found));
        let mut exhausted = self.close(who, mine);
        exhausted.extend(used_up);
        if at.is_some() {
            self.expire(who);
        }
        self.conclude(&exhausted, true);
        self.wrong(who, mine.iter().any(|number| exhausted.contains(number)), left)
    }

    fn wrong(&self, who: &Who, exhausted: bool, left: Option<u32>) -> Told {
        let rules = self.rules(who, &[Counts::Checks]);
        let wait: Until = self.search(|at| {
            let mut personal = rules
                .iter()
                .filter(|rule| rule.personal && rule.limit.then == Then::Refuse);
            personal.any(|rule| self.denies(rule, who, 1, at))
                || Self::lockouts(who).any(|lockout| self.locks(lockout, who, at))
        });
        let status = if exhausted {
            Status::Exhausted
        } else {
            Status::Pending
        };
        let checks_left = if exhausted {
            Some(0)
        } else {
            let left = [self.checks_left(who, self.now), left];
            left.into_iter().flatten().min()
        };
        Told::Wrong {
            status,
            checks_left,
            wait,
        }
    }
}
