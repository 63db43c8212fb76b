//! What becomes of a send once it is charged: the scorer and the provider are asked.

use verify_core::outcome::RefusalCode;
use verify_core::policy::RiskAction;
use verify_core::port::{RejectionKind, Remember, RiskLevel};
use verify_core::record::{DeliveryStatus, RETENTION};
use verify_testkit::SendsUsedUp;

use super::history::{Happened, Message, Note};
use super::send::Sending;
use super::{Mishap, Reference, Refused, Told};

impl Reference {
    /// The scorer, then the provider. What is told, and whether what came of it was written down.
    pub(super) fn carried(&mut self, sending: &Sending, number: usize) -> (Told, bool) {
        let private = self.is_private();
        let risk = self.policy.risk_for(sending.who.purpose);
        let (action, rule) = match self.risk {
            RiskLevel::Low => (risk.low, "risk_low"),
            RiskLevel::Medium => (risk.medium, "risk_medium"),
            RiskLevel::High => (risk.high, "risk_high"),
        };
        let asked = risk.enabled && !sending.test;
        let stopped = match action {
            // A human check is configured here, so that is what can be done.
            RiskAction::HumanCheck | RiskAction::Auto if !sending.human => {
                Some(RefusalCode::HumanCheckRequired)
            }
            RiskAction::StepUp => Some(RefusalCode::StepUpRequired),
            RiskAction::Refuse => Some(RefusalCode::Blocked),
            RiskAction::Proceed | RiskAction::HumanCheck | RiskAction::Auto => None,
        };
        let mut silent = sending.decoy || sending.test;
        if let Some(code) = stopped.filter(|_| asked) {
            if code != RefusalCode::Blocked || !private {
                self.not_sent(number);
                let mut refused = Refused::by(rule, code);
                if sending.noted {
                    refused.rules.insert(0, "note".to_owned());
                }
                return (Told::Refused(refused), true);
            }
            self.hide(number);
            silent = true;
        }
        if silent {
            return (self.settled(sending, number, DeliveryStatus::Accepted), true);
        }
        if self.mishap == Some(Mishap::CallLost) {
            return (self.settled(sending, number, DeliveryStatus::Unknown), true);
        }
        // Where nobody may notice who is asked, the answer comes before.
        let before = private.then(|| self.seen(number, &sending.who).map_or(Told::Fault, Told::Sent));
        let came = self.dispatch(number);
        match (self.mishap, came) {
            (Some(Mishap::StopsWhenAsked), _) => (before.unwrap_or(Told::Nothing), false),
            (Some(Mishap::AnswerLost), _) => (self.settled(sending, number, DeliveryStatus::Unknown), true),
            (Some(Mishap::StopsWhenCharged | Mishap::CallLost) | None, Err(kind)) => {
                (self.rejected(sending, number, kind), true)
            }
            (Some(Mishap::StopsWhenCharged | Mishap::CallLost) | None, Ok(())) => {
                (self.settled(sending, number, DeliveryStatus::Accepted), true)
            }
        }
    }

    fn settled(&mut self, sending: &Sending, number: usize, status: DeliveryStatus) -> Told {
        if let Some(last) = self
            .verifications
            .get_mut(number)
            .and_then(|found| found.deliveries.last_mut())
        {
            last.status = status;
            let message = last.message.and_then(|message| self.messages.get(message));
            let heard = message.filter(|_| status == DeliveryStatus::Accepted);
            last.upstream = heard.and_then(|message| message.upstream.clone());
        }
        self.seen(number, &sending.who).map_or(Told::Fault, Told::Sent)
    }

    /// It goes on as if it had been sent.
    fn hide(&mut self, number: usize) {
        let found = self.verifications.get_mut(number);
        if let Some(last) = found.and_then(|found| found.deliveries.last_mut()) {
            last.decoy = true;
        }
    }

    /// The provider carries the code, or says why not.
    fn dispatch(&mut self, number: usize) -> Result<(), RejectionKind> {
        if let Some(kind) = self.rejecting {
            return Err(kind);
        }
        let (message, wall) = (self.messages.len(), self.wall());
        let Some(found) = self.verifications.get_mut(number) else {
            return Err(RejectionKind::Misconfigured);
        };
        let (code, upstream) = match &found.code {
            Some(code) if !found.managed => (code.clone(), None),
            _ => {
                let sent = self.provider.send(&Self::scope(), found.who.to.delivery(), wall);
                let sent = sent.map_err(|SendsUsedUp| RejectionKind::DestinationQuota)?;
                (sent.code, Some(sent.upstream))
            }
        };
        let Some(last) = found.deliveries.last_mut() else {
            return Err(RejectionKind::Misconfigured);
        };
        last.message = Some(message);
        self.messages.push(Message {
            at: wall,
            to: found.who.to.delivery().to_owned(),
            channel: last.channel,
            verification: number,
            code,
            upstream,
            until: found.expires + RETENTION,
        });
        Ok(())
    }

    /// Surely not sent: the money goes back, and when nothing was ever sent the gap and the verification too.
    fn not_sent(&mut self, number: usize) {
        let Some(found) = self.verifications.get_mut(number) else {
            return;
        };
        if let Some(last) = found.deliveries.last_mut() {
            last.status = DeliveryStatus::Rejected;
        }
        // A new code that surely nobody got leaves the one before it in force.
        if let Some(replaced) = found.replaced.take() {
            (found.code, found.issued, found.expires) = replaced;
        }
        let nothing = !found.may_have_sent();
        found.gone |= nothing;
        if let Some(Happened::Sent {
            money_back,
            nothing_sent,
            ..
        }) = self.events.last_mut().map(|event| &mut event.what)
        {
            (*money_back, *nothing_sent) = (true, nothing);
        }
    }

    fn rejected(&mut self, sending: &Sending, number: usize, kind: RejectionKind) -> Told {
        let who = &sending.who;
        let fallback = self.others(who, |channel| channel == sending.channel);
        let to = who.to.canonical().to_owned();
        let (of, until) = match kind.remember() {
            Remember::Nothing => (None, None),
            Remember::Cap => {
                let until = self.now + self.policy.code_for(who.purpose).ttl;
                self.caps.push((to, until));
                (None, None)
            }
            Remember::Destination(span) => (Some(to), Some(self.now + span)),
            Remember::DestinationForGood => (Some(to), None),
            Remember::Prefix(span) => (who.to.prefix().map(str::to_owned), Some(self.now + span)),
        };
        let channel = sending.channel;
        self.notes.extend(of.map(|of| Note {
            of,
            channel,
            kind,
            until,
        }));
        if self.is_private() {
            self.hide(number);
            return self.settled(sending, number, DeliveryStatus::Accepted);
        }
        self.not_sent(number);
        use RejectionKind as Kind;
        let code = match kind {
            Kind::InvalidDestination => RefusalCode::InvalidDestination,
            Kind::ChannelUnreachable | Kind::OptedOut | Kind::PrefixBlocked | Kind::RegionBlocked => {
                RefusalCode::ChannelUnavailable
            }
            Kind::DestinationQuota => RefusalCode::RateLimited,
            Kind::BadRequest | Kind::AccountQuota | Kind::Down | Kind::Credentials | Kind::Misconfigured => {
                RefusalCode::ProviderUnavailable
            }
        };
        let wait = || self.search(|at| sending.is_stopped_by(&self.stops(sending, at)));
        let helps = matches!(
            code,
            RefusalCode::ChannelUnavailable | RefusalCode::ProviderUnavailable
        );
        Told::Refused(Refused {
            wait: (kind == Kind::DestinationQuota).then(wait),
            // One provider carries everything here: what is wrong with it all is wrong with every other channel.
            fallback: match helps && !kind.is_of_the_provider() {
                true => fallback,
                false => Vec::new(),
            },
            ..Refused::by(kind.as_str(), code)
        })
    }
}
