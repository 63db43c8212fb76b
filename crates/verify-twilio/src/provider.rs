//! Twilio Verify as a provider of the policy engine: Twilio makes, sends and compares the code.
//!
//! A scope is a Verify Service. What Twilio answers becomes *accepted* only when it is a parsed positive answer that
//! names a pending verification; whenever a message may be on its way the answer is *unknown*.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use verify_core::port::{
    Capabilities, CompareRequest, Compared, ConcludeRequest, Concluded, Detail, DispatchRequest, Dispatched,
    End, InquireRequest, Inquired, Maker, Provider, ProviderName, Rejection, RejectionKind, Scopes,
};
use verify_core::time::{SKEW, Timestamp};
use verify_core::vocabulary::Channel;

use crate::client::{AttemptFilter, Attempts, CANCELED, Check, Start, TwilioClient, Which};
use crate::config::{Warning, odd_sid};
use crate::error_table::{Class, MOST_CHECKS, NOT_FOUND};
use crate::locale::{is_turned_away, nearest};
use crate::transport::{CallError, Refusal};
use crate::wire::{Attempt, Verification, VerificationCheck, usable_sid};

/// The tag that carries the delivery's reference through Twilio's events.
pub(crate) const REFERENCE_TAG: &str = "ref";

/// After five wrong guesses Verify answers 60202 (<https://www.twilio.com/docs/api/errors/60202>).
const MOST_CHECKS_OF_A_CODE: u8 = 5;

/// By how much the search for a lost dispatch is wider than the dispatch, for clocks that differ and lists that lag.
const SEARCH_MARGIN: Duration = Duration::from_secs(60);

/// Twilio Verify.
#[derive(Debug)]
pub struct TwilioVerify {
    name: ProviderName,
    client: TwilioClient,
    scopes: Scopes,
    reports: bool,
}

impl TwilioVerify {
    /// A provider of this name, with Verify Services (`VA…`) by service and purpose as scopes.
    pub fn new(name: &str, client: TwilioClient, scopes: Scopes) -> Self {
        Self {
            name: name.into(),
            client,
            scopes,
            reports: false,
        }
    }

    /// Verify itself reports no deliveries. Say so if an Event Streams sink with its message events leads to
    /// [`crate::events`].
    #[must_use]
    pub fn with_message_events(mut self) -> Self {
        self.reports = true;
        self
    }

    /// What is probably not meant; to be logged at start.
    pub fn warnings(&self) -> Vec<Warning> {
        self.verify_services()
            .into_iter()
            .filter_map(|sid| odd_sid("a verify service", "VA", sid))
            .collect()
    }

    fn verify_services(&self) -> BTreeSet<&Arc<str>> {
        self.scopes.named.values().chain([&self.scopes.default]).collect()
    }
}

#[async_trait]
impl Provider for TwilioVerify {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: self.name.clone(),
            channels: vec![Channel::Sms, Channel::Call, Channel::Whatsapp, Channel::Email],
            maker: Maker::Managed,
            scopes: self.scopes.clone(),
            can_inquire: true,
            can_conclude: true,
            reports: self.reports,
            most_checks: Some(MOST_CHECKS_OF_A_CODE),
        }
    }

    async fn dispatch(&self, request: &DispatchRequest) -> Dispatched {
        let tags = tags(&request.reference);
        let start = Start {
            to: &request.to,
            channel: request.channel.as_str(),
            locale: nearest(&request.locale),
            payment: request.payment.as_ref(),
            tags: tags.as_deref(),
        };
        let mut answer = self.client.start(&request.scope, &start).await;
        if start.locale.is_some() && is_turned_away(&answer) {
            // Not processed, so it may be asked once more; without a language Twilio chooses one by the number's country.
            let start = Start {
                locale: None,
                ..start
            };
            answer = self.client.start(&request.scope, &start).await;
        }
        dispatched(answer)
    }

    async fn compare(&self, request: &CompareRequest) -> Compared {
        let check = Check {
            which: which(request.upstream.as_deref(), &request.to),
            code: request.code.expose(),
            payment: request.payment.as_ref(),
        };
        let asked = request.upstream.as_deref();
        compared(self.client.check(&request.scope, &check).await, asked)
    }

    async fn inquire(&self, request: &InquireRequest) -> Inquired {
        let filter = AttemptFilter {
            service: &request.scope,
            to: &request.to,
            after: request.from - SEARCH_MARGIN,
            before: request.not_after + SEARCH_MARGIN,
        };
        match self.client.attempts(&filter).await {
            Ok(listing) => judged(&listing, request),
            Err(CallError::NotReached(_) | CallError::Refused(_) | CallError::Unclear(_)) => {
                Inquired::Unknown
            }
        }
    }

    async fn conclude(&self, request: &ConcludeRequest) -> Concluded {
        let which = which(request.upstream.as_deref(), &request.to);
        concluded(self.client.cancel(&request.scope, which).await)
    }

    async fn health(&self) -> Result<(), Rejection> {
        for sid in self.verify_services() {
            match self.client.service(sid).await {
                Ok(_) => {}
                Err(CallError::NotReached(detail) | CallError::Unclear(detail)) => return Err(down(detail)),
                Err(CallError::Refused(refusal)) => {
                    let kind = match refusal.class {
                        Class::Rejects(kind) => kind,
                        Class::ByName | Class::Done | Class::Afterwards | Class::Unclear => {
                            RejectionKind::Down
                        }
                    };
                    return Err(rejection(kind, refusal));
                }
            }
        }
        Ok(())
    }
}

/// The id is the narrower name: the pending verification of a destination may be another one by now.
fn which<'a>(upstream: Option<&'a str>, to: &'a str) -> Which<'a> {
    upstream.map_or(Which::To(to), Which::Sid)
}

fn tags(reference: &str) -> Option<String> {
    // Longer ones would have the whole send refused; a delivery without reports is the smaller loss.
    let fits = !reference.is_empty() && reference.chars().count() <= 128;
    fits.then(|| serde_json::json!({ REFERENCE_TAG: reference }).to_string())
}

fn down(detail: Detail) -> Rejection {
    Rejection {
        kind: RejectionKind::Down,
        retry_after: None,
        detail,
    }
}

fn rejection(kind: RejectionKind, refusal: Refusal) -> Rejection {
    Rejection {
        kind,
        retry_after: refusal.retry_after,
        detail: refusal.detail,
    }
}

pub(crate) fn dispatched(answer: Result<Verification, CallError>) -> Dispatched {
    match answer {
        Ok(started) => match (usable_sid(started.sid), started.status.as_deref()) {
            (Some(sid), Some("pending")) => Dispatched::Accepted { upstream: Some(sid) },
            (_, _) => Dispatched::Unknown(Detail::new(None, "the answer names no pending verification")),
        },
        Err(CallError::Unclear(detail)) => Dispatched::Unknown(detail),
        Err(CallError::NotReached(detail)) => Dispatched::Rejected(down(detail)),
        Err(CallError::Refused(refusal)) => match refusal.class {
            Class::Rejects(kind) => Dispatched::Rejected(rejection(kind, refusal)),
            Class::ByName | Class::Done | Class::Afterwards | Class::Unclear => {
                Dispatched::Unknown(refusal.detail)
            }
        },
    }
}

/// `asked` is the verification that was asked about, where its id is known.
pub(crate) fn compared(answer: Result<VerificationCheck, CallError>, asked: Option<&str>) -> Compared {
    match answer {
        Ok(answer) => verdict(&answer, asked),
        Err(CallError::Unclear(detail)) => Compared::Unknown(detail),
        Err(CallError::NotReached(detail)) => Compared::NotAsked(detail),
        Err(CallError::Refused(refusal)) => match (refusal.detail.code, refusal.class) {
            (Some(MOST_CHECKS), _) => over(asked.map(str::to_owned), End::UsedUp),
            (Some(NOT_FOUND), _) => Compared::Gone,
            (_, Class::Rejects(_) | Class::ByName) => Compared::NotAsked(refusal.detail),
            (_, Class::Done | Class::Afterwards | Class::Unclear) => Compared::Unknown(refusal.detail),
        },
    }
}

pub(crate) fn concluded(answer: Result<Verification, CallError>) -> Concluded {
    match answer {
        Ok(answer) if answer.status.as_deref() == Some(CANCELED) => Concluded::Done,
        Ok(_) => Concluded::Unknown(Detail::new(None, "the answer names no canceled verification")),
        Err(CallError::Refused(refusal)) if refusal.detail.code == Some(NOT_FOUND) => Concluded::Gone,
        Err(CallError::Refused(Refusal { detail, .. })) => Concluded::Unknown(detail),
        Err(CallError::NotReached(detail) | CallError::Unclear(detail)) => Concluded::Unknown(detail),
    }
}

/// Over beyond doubt, where it is known which verification is.
fn over(sid: Option<String>, end: End) -> Compared {
    match usable_sid(sid) {
        Some(upstream) => Compared::Ended { upstream, end },
        None => Compared::Gone,
    }
}

/// Only an answer without contradiction is a match or a miss.
fn verdict(answer: &VerificationCheck, asked: Option<&str>) -> Compared {
    let unknown = |what| Compared::Unknown(Detail::new(None, what));
    if let (Some(asked), Some(answered)) = (asked, answer.sid.as_deref())
        && asked != answered
    {
        return unknown("the answer is about another verification");
    }
    match (answer.status.as_deref(), answer.valid) {
        (Some("approved"), Some(true)) => Compared::Match,
        (Some("pending"), Some(false)) => Compared::NoMatch,
        (Some(status), Some(false) | None) => {
            let named = || answer.sid.clone().or_else(|| asked.map(str::to_owned));
            match status {
                "max_attempts_reached" => over(named(), End::UsedUp),
                "expired" => over(named(), End::Expired),
                "canceled" => over(named(), End::Canceled),
                "deleted" | "failed" => Compared::Gone,
                _ => unknown("the answer says neither approved nor pending"),
            }
        }
        (_, _) => unknown("the answer says neither approved nor pending"),
    }
}

/// Found where the dispatch was: sent. Nothing anywhere near, and no longer possible: not sent. Anything between, such
/// as an earlier message of the same verification, proves nothing.
pub(crate) fn judged(listing: &Attempts, request: &InquireRequest) -> Inquired {
    let (earliest, latest) = (request.from - SKEW, request.not_after + SKEW);
    let mut nearby = listing
        .attempts
        .iter()
        .filter(|attempt| is_candidate(attempt, request))
        .peekable();
    if nearby.peek().is_none() {
        let over = listing
            .asked_at
            .is_some_and(|now| now > request.not_after + SEARCH_MARGIN);
        return if over {
            Inquired::NotSent
        } else {
            Inquired::Unknown
        };
    }
    let ours = nearby
        .filter_map(|attempt| Some((instant(attempt.date_created.as_deref()?)?, attempt)))
        .filter(|(at, _)| (earliest..=latest).contains(at))
        .max_by_key(|(at, _)| *at);
    match ours {
        Some((_, attempt)) => {
            let upstream = usable_sid(attempt.verification_sid.clone());
            match attempt.conversion_status.as_deref() {
                Some("converted") => Inquired::Converted { upstream },
                Some(_) | None => Inquired::Sent { upstream },
            }
        }
        None => Inquired::Unknown,
    }
}

fn is_candidate(attempt: &Attempt, request: &InquireRequest) -> bool {
    let same_verification = match (&request.upstream, &attempt.verification_sid) {
        (Some(asked), Some(found)) => asked == found,
        (_, _) => true,
    };
    let same_channel = match attempt.channel.as_deref() {
        // A text message that went as RCS.
        Some(channel) if channel.eq_ignore_ascii_case("rbm") => request.channel == Channel::Sms,
        Some(channel) => channel.eq_ignore_ascii_case(request.channel.as_str()),
        None => true,
    };
    same_verification && same_channel
}

fn instant(text: &str) -> Option<Timestamp> {
    let millis = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
    u64::try_from(millis).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use verify_core::ids::DeliveryId;
    use verify_core::vocabulary::ServiceId;

    use super::*;

    /// 2015-07-30T20:00:00Z.
    const FROM: Timestamp = Timestamp::from_millis(1_438_286_400_000);

    fn request(upstream: Option<&str>) -> InquireRequest {
        InquireRequest {
            provider: "twilio".into(),
            service: ServiceId::default(),
            scope: "VA".into(),
            to: "+12025550110".into(),
            channel: Channel::Sms,
            upstream: upstream.map(Into::into),
            dispatch_id: DeliveryId::default(),
            from: FROM,
            not_after: FROM + Duration::from_secs(8),
        }
    }

    fn attempt(at: &str, channel: &str, conversion: &str) -> Attempt {
        Attempt {
            sid: Some("VL1".into()),
            verification_sid: Some("VE1".into()),
            date_created: Some(format!("2015-07-30T{at}Z")),
            conversion_status: Some(conversion.into()),
            channel: Some(channel.into()),
        }
    }

    fn judge(attempts: Vec<Attempt>, asked_after: u64, upstream: Option<&str>) -> Inquired {
        let asked_at = Some(FROM + Duration::from_secs(asked_after));
        judged(&Attempts { attempts, asked_at }, &request(upstream))
    }

    #[test]
    fn an_attempt_within_the_dispatch_is_ours() {
        let upstream = Some("VE1".to_owned());
        for at in ["19:59:50", "20:00:00", "20:00:18"] {
            let found = judge(vec![attempt(at, "SMS", "unconverted")], 20, None);
            assert_eq!(
                found,
                Inquired::Sent {
                    upstream: upstream.clone()
                },
                "{at}"
            );
        }
        let found = judge(vec![attempt("20:00:01", "rbm", "converted")], 20, Some("VE1"));
        assert_eq!(found, Inquired::Converted { upstream });
    }

    #[test]
    fn an_attempt_near_the_dispatch_proves_nothing() {
        for at in ["19:59:49", "20:00:19", "junk"] {
            assert_eq!(
                judge(vec![attempt(at, "sms", "unconverted")], 500, None),
                Inquired::Unknown,
                "{at}"
            );
        }
    }

    #[test]
    fn nothing_found_is_not_sent_once_it_cannot_come_any_more() {
        assert_eq!(judge(vec![], 68, None), Inquired::Unknown);
        assert_eq!(judge(vec![], 69, None), Inquired::NotSent);
        let listing = Attempts {
            attempts: vec![],
            asked_at: None,
        };
        assert_eq!(judged(&listing, &request(None)), Inquired::Unknown);
    }

    #[test]
    fn other_channels_and_verifications_are_not_ours() {
        let other_channel = attempt("20:00:00", "call", "unconverted");
        assert_eq!(judge(vec![other_channel], 69, None), Inquired::NotSent);
        let other_verification = attempt("20:00:00", "sms", "unconverted");
        assert_eq!(
            judge(vec![other_verification], 69, Some("VE2")),
            Inquired::NotSent
        );
    }

    #[test]
    fn i34_only_an_answer_without_contradiction_is_a_match() {
        let answer = |sid: Option<&str>, status: Option<&str>, valid| VerificationCheck {
            sid: sid.map(Into::into),
            status: status.map(Into::into),
            valid,
        };
        let asked = Some("VE1");
        assert_eq!(
            verdict(&answer(asked, Some("approved"), Some(true)), asked),
            Compared::Match
        );
        assert_eq!(
            verdict(&answer(asked, Some("pending"), Some(false)), asked),
            Compared::NoMatch
        );
        for status in ["deleted", "failed"] {
            assert_eq!(
                verdict(&answer(asked, Some(status), Some(false)), None),
                Compared::Gone,
                "{status}"
            );
        }
        for (sid, status, valid) in [
            (Some("VE2"), Some("approved"), Some(true)),
            (asked, Some("approved"), Some(false)),
            (asked, Some("approved"), None),
            (asked, Some("pending"), Some(true)),
            (asked, Some("canceled"), Some(true)),
            (asked, Some("new"), Some(false)),
            (asked, None, Some(true)),
            (None, None, None),
        ] {
            let found = verdict(&answer(sid, status, valid), asked);
            assert!(
                matches!(found, Compared::Unknown(_)),
                "{sid:?} {status:?} {valid:?}"
            );
        }
    }

    #[test]
    fn a_reference_that_does_not_fit_is_left_out() {
        assert_eq!(tags("a\"b").as_deref(), Some(r#"{"ref":"a\"b"}"#));
        assert!(tags(&"r".repeat(128)).is_some());
        assert_eq!(tags(&"r".repeat(129)), None);
        assert_eq!(tags(""), None);
    }
}
