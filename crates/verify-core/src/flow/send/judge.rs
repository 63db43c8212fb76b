//! The judgement of a send on what the store showed: a repeat, a refusal, or on with it. One function decides; the wait
//! that is told is the fixpoint of the same rules.

use std::time::Duration;

use crate::ids::Nonce;
use crate::outcome::{Refusal, RefusalCode};
use crate::policy::Then;
use crate::port::RejectionKind;
use crate::record::{KEPT_FOR_KNOWN, MOST_VERIFICATIONS, Record, Verification};
use crate::store::Mode;
use crate::time::{Timestamp, Until};
use crate::vocabulary::Standing;

use super::Sending;
use crate::flow::board::{Kind, fixpoint, gap};
use crate::flow::candidate::{Candidate, Carried, candidates};
use crate::flow::found::Found;
use crate::flow::offers::{gap_waived_from, shown};
use crate::flow::refusals::not_found;
use crate::flow::view::last_minute;

/// How to go on.
#[derive(Debug, Clone)]
pub(super) struct Go {
    /// The verification to send again; `None` for a new one.
    pub(super) verification: Option<Nonce>,
    /// The gap is counted, not asked.
    pub(super) waive_gap: bool,
}

pub(super) enum Verdict {
    Repeat(Nonce),
    Refuse(Refusal),
    AskHuman,
    Go(Go),
}

/// One thing that stands against a send.
struct Stop {
    code: RefusalCode,
    rule: std::sync::Arc<str>,
    /// What it saw, where that is no figure.
    value: Option<&'static str>,
    figure: u64,
    allowed: Option<u64>,
    until: Until,
    /// A human check would lift it.
    human: bool,
}

impl Sending {
    /// The verification that this send is about, while its code can still be given.
    fn matching<'a>(&self, record: &'a Record, at: Timestamp) -> Option<&'a Verification> {
        if record.verifications.is_empty() {
            return None;
        }
        let closed = self.board.closed_before(at);
        record.verifications.iter().rev().find(|verification| {
            verification.identity.standing == self.who.standing
                && self.who.may_meet(verification)
                && verification.is_pending(at)
                && verification.issued >= closed.of_own()
        })
    }

    pub(super) fn judge(&mut self, found: &Found) -> Verdict {
        let clock = found.clock;
        let verification = self.matching(&found.record, clock);
        if verification.is_none() && self.goes_on {
            return Verdict::Refuse(not_found());
        }
        if let Some(nonce) = verification
            .filter(|verification| self.is_repeat(verification, clock))
            .map(|verification| verification.nonce)
        {
            return Verdict::Repeat(nonce);
        }
        let stops = self.stops(found, clock);
        if stops.is_empty() {
            if let Some(verification) = verification.filter(|verification| !self.carries(verification)) {
                return Verdict::Refuse(self.cannot_carry(verification, found));
            }
            let waive_gap = self
                .gap_waived_from(verification, clock)
                .is_some_and(|from| from <= clock);
            return Verdict::Go(Go {
                verification: verification.map(|verification| verification.nonce),
                waive_gap,
            });
        }
        // The same request with its token need not wait for what a human passes.
        let passes = |stop: &Stop| stop.human && self.human_token.is_some() && self.ctx.human_check;
        if stops.iter().all(passes) {
            return Verdict::AskHuman;
        }
        let last = |stops: &[Stop]| {
            let stops = stops.iter().filter(|stop| !passes(stop));
            stops.map(|stop| stop.until).max()
        };
        let wait = fixpoint(clock, |at| match at == clock {
            true => last(&stops),
            false => last(&self.stops(found, at)),
        });
        Verdict::Refuse(self.refusal(stops, wait, found))
    }

    /// A repeat: inside the gap, by the same channel, and the last delivery has not failed.
    fn is_repeat(&self, verification: &Verification, clock: Timestamp) -> bool {
        let Some(last) = verification.deliveries.last() else {
            return false;
        };
        let gap = gap(&self.ctx.policy).unwrap_or(Duration::ZERO);
        last.channel == self.channel && !shown(&self.ctx, last).has_failed() && clock < last.at + gap
    }

    /// From when on this send may come inside the gap.
    fn gap_waived_from(&self, verification: Option<&Verification>, at: Timestamp) -> Option<Timestamp> {
        gap_waived_from(&self.ctx, &self.who, verification?, self.channel, at)
    }

    /// All that stands against this send at `at`, in the order of judgement.
    fn stops(&self, found: &Found, at: Timestamp) -> Vec<Stop> {
        let plain = |code, rule: &str, until| Stop {
            code,
            rule: rule.into(),
            value: Some(self.channel.as_str()),
            figure: 0,
            allowed: None,
            until,
            human: false,
        };
        let verification = self.matching(&found.record, at);
        let mut stops = Vec::new();
        // Under private disclosure what a provider said stops nothing that anyone can see.
        let told = !self.ctx.is_private();
        if let Some(note) = found.notes.on(self.channel, at).filter(|_| told) {
            let until = note.until.map_or(Until::Never, Until::At);
            stops.push(plain(RefusalCode::ChannelUnavailable, note.kind.as_str(), until));
        }
        stops.extend(self.denials(verification, at, true));
        stops.extend(self.denials(verification, at, false));
        if let Some(end) =
            verification.and_then(|verification| last_minute(&self.ctx, self.who.purpose(), verification, at))
        {
            stops.push(plain(RefusalCode::Cooldown, "last_minute", Until::At(end)));
        }
        if let Some(concluding) = &found.record.concluding
            && at < concluding.until
            && self.who.is_delivered_to(concluding.mailbox)
            && self.candidates.iter().any(
                |candidate| matches!(&candidate.code, Carried::Managed { scope } if *scope == concluding.scope),
            )
        {
            stops.push(plain(
                RefusalCode::Cooldown,
                "concluding",
                Until::At(concluding.until),
            ));
        }
        if let Some(until) = self.capped_until(verification, found, at).filter(|_| told) {
            let rule = RejectionKind::DestinationQuota.as_str();
            stops.push(plain(RefusalCode::RateLimited, rule, Until::At(until)));
        }
        if verification.is_none()
            && let Some(until) = no_room(&found.record, self.who.standing, at)
        {
            stops.push(plain(RefusalCode::RateLimited, "pending_verifications", until));
        }
        stops
    }

    /// Until when whoever would be asked first has said that it sends nothing there. Nobody else is asked instead: its cap
    /// would be got round.
    fn capped_until(
        &self,
        verification: Option<&Verification>,
        found: &Found,
        at: Timestamp,
    ) -> Option<Timestamp> {
        let kept = verification.filter(|verification| verification.may_have_sent());
        let fits = |candidate: &&Candidate| kept.is_none_or(|kept| candidate.can_carry(&kept.code));
        let first = self.candidates.iter().find(fits)?;
        found.notes.capped_until(&first.provider, &first.scope(), at)
    }

    /// When the same send is admitted again, by all that stands against it once this one is settled; what these kinds were
    /// charged goes back.
    pub(super) fn wait_after(&self, back: impl Fn(Kind) -> bool, found: &Found) -> Until {
        let mut settled = self.clone();
        for line in settled.board.lines.iter_mut().filter(|line| !back(line.kind)) {
            line.before = line.after.clone();
        }
        fixpoint(found.clock, |at| {
            settled.stops(found, at).iter().map(|stop| stop.until).max()
        })
    }

    /// What the lockouts (or the limits) deny.
    fn denials(
        &self,
        verification: Option<&Verification>,
        at: Timestamp,
        lockouts: bool,
    ) -> impl Iterator<Item = Stop> {
        let waived_from = self.gap_waived_from(verification, at);
        let waived = waived_from.is_some_and(|from| from <= at);
        let lines = self
            .board
            .lines
            .iter()
            .filter(move |line| (line.kind == Kind::Lockout) == lockouts);
        let lines = lines.filter(move |line| {
            let forced = (line.kind == Kind::Gap && waived)
                || (line.then == Then::HumanCheck && self.human_passed && line.charge.mode != Mode::Probe);
            line.then != Then::Alert && !forced
        });
        lines.filter_map(move |line| {
            let denied = self.board.denied(line, at)?;
            let until = match waived_from.filter(|_| line.kind == Kind::Gap) {
                Some(from) => denied.min(Until::At(from)),
                None => denied,
            };
            let human = line.then == Then::HumanCheck;
            let code = match human && self.ctx.human_check {
                true => RefusalCode::HumanCheckRequired,
                false => line.code(),
            };
            Some(Stop {
                code,
                rule: line.rule.clone(),
                value: None,
                figure: line.figure(at),
                allowed: line.allowed(),
                until,
                human,
            })
        })
    }

    /// The first stop names the answer; one that a human check would lift only where nothing else is in the way.
    fn refusal(&mut self, stops: Vec<Stop>, wait: Until, found: &Found) -> Refusal {
        let named = stops.iter().find(|stop| !stop.human).or(stops.first());
        let code = named.map_or(RefusalCode::RateLimited, |stop| stop.code);
        for stop in stops {
            self.ctx
                .hit(stop.rule, stop.figure, stop.allowed, Some(stop.until));
            let hit = self.ctx.explanation.rules.last_mut();
            hit.into_iter()
                .for_each(|hit| hit.value = stop.value.map(Into::into));
        }
        let refusal = Refusal::new(code, text(code));
        if code == RefusalCode::ChannelUnavailable {
            return self.instead(refusal, found);
        }
        refusal.until(wait)
    }

    /// Somebody holds a code that no available provider of this channel can carry.
    fn cannot_carry(&mut self, verification: &Verification, found: &Found) -> Refusal {
        let by = |channel| candidates(&self.ctx, &self.who, channel);
        let fits = |candidate: &Candidate| candidate.can_carry(&verification.code);
        let resting = by(self.channel).resting;
        let rests = resting.iter().filter(|(candidate, _)| fits(candidate));
        let until = rests.map(|(_, until)| Until::At(*until)).min();
        // Another destination has a code of its own.
        let lost = |channel| self.who.to.fits(channel) && !by(channel).awake.iter().any(fits);
        let text =
            "nobody can carry the pending code by this channel just now; cancel it, or try another channel";
        let mut refusal = Refusal::new(RefusalCode::ProviderUnavailable, text);
        refusal.retry_at = until;
        let refusal = self.instead_but(refusal, found, lost);
        self.ctx.hit_until("maker", self.channel.as_str(), until);
        refusal
    }
}

/// When a place becomes free, where all are taken by pending verifications.
fn no_room(record: &Record, standing: Standing, at: Timestamp) -> Option<Until> {
    let most = match standing {
        Standing::Stranger => MOST_VERIFICATIONS - KEPT_FOR_KNOWN,
        Standing::Known => MOST_VERIFICATIONS,
    };
    let mut ends: Vec<Timestamp> = record
        .verifications
        .iter()
        .filter(|verification| verification.is_pending(at))
        .map(|verification| verification.expires)
        .collect();
    ends.sort_unstable();
    let excess = ends.len().checked_sub(most)?;
    ends.get(excess).map(|end| Until::At(*end))
}

fn text(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::ChannelUnavailable => "this channel does not reach this destination",
        RefusalCode::Cooldown => "too soon; wait and try again",
        RefusalCode::Locked => "too many failures; wait, or ask for help",
        RefusalCode::HumanCheckRequired => "show that a person asks: pass `human_check`",
        RefusalCode::RateLimited
        | RefusalCode::InvalidRequest
        | RefusalCode::InvalidDestination
        | RefusalCode::InvalidCode
        | RefusalCode::Blocked
        | RefusalCode::StepUpRequired
        | RefusalCode::NotFound
        | RefusalCode::Conflict
        | RefusalCode::InProgress
        | RefusalCode::IdempotencyMismatch
        | RefusalCode::Overloaded
        | RefusalCode::ProviderUnavailable => "too many requests; wait and try again",
    }
}
