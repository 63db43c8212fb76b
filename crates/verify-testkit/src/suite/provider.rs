//! What every provider promises.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use verify_core::port::{
    CompareRequest, Compared, ConcludeRequest, Concluded, DispatchRequest, Dispatched, InquireRequest,
    Inquired, Maker, Provider, RejectionKind,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Purpose, ServiceId};

use crate::requests::{self, code};

/// Tells the newest code that truly went to a destination.
pub type Received = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A provider with what a case has to know of the world behind it.
pub struct ProviderUnderTest {
    /// The provider, fresh.
    pub provider: Arc<dyn Provider>,
    /// What its clock shows.
    pub now: Timestamp,
    /// A number that everything reaches.
    pub phone: String,
    /// A mailbox that everything reaches.
    pub mailbox: String,
    /// The newest code that truly went to a destination, if any did.
    pub received: Received,
}

impl fmt::Debug for ProviderUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderUnderTest")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Holds a [`Provider`] to its contract: a module of tests, one a case.
///
/// The second argument makes a fresh [`ProviderUnderTest`]: `|| async { … }`. Cases about codes that the provider
/// makes pass by themselves for one that makes none, and the other way round.
#[macro_export]
macro_rules! provider_suite {
    ($name:ident, $make:expr) => {
        $crate::__provider_cases! { $name, $make, [
            capabilities_are_constant_and_sound,
            it_sends_by_each_of_its_channels,
            nothing_is_sent_after_the_deadline,
            an_own_code_is_carried_as_it_is_and_not_compared,
            i34_a_send_without_a_code_is_never_taken_for_one,
            i02_a_code_of_the_provider_matches_once,
            a_code_of_the_provider_is_the_same_on_a_resend,
            what_was_never_sent_matches_nothing,
            what_was_never_sent_is_not_said_to_be_sent,
            what_was_sent_is_not_said_to_be_not_sent,
            a_canceled_code_matches_no_more,
            a_provider_at_hand_is_healthy,
        ] }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __provider_cases {
    ($name:ident, $make:expr, [$($case:ident),* $(,)?]) => {
        mod $name {
            #[allow(unused_imports, reason = "the expression that makes the provider may need what surrounds the suite")]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::suite::run(async {
                        $crate::suite::provider::$case(($make)().await).await;
                    });
                }
            )*
        }
    };
}

const OWN_CODE: &str = "480213";

impl ProviderUnderTest {
    fn to(&self, channel: Channel) -> &str {
        if channel.reaches_phone() {
            &self.phone
        } else {
            &self.mailbox
        }
    }

    fn makes_codes(&self) -> bool {
        match self.provider.capabilities().maker {
            Maker::Own => false,
            Maker::Managed => true,
        }
    }

    fn deadline(&self) -> Timestamp {
        self.now + Duration::from_secs(10)
    }

    fn channel(&self) -> Channel {
        match self.provider.capabilities().channels.first() {
            Some(channel) => *channel,
            None => panic!("a provider carries at least one channel"),
        }
    }

    fn scope(&self) -> Arc<str> {
        Arc::clone(
            self.provider
                .capabilities()
                .scopes
                .of(&ServiceId::default(), Purpose::SignIn),
        )
    }

    fn message(&self, channel: Channel, number: u8) -> DispatchRequest {
        DispatchRequest {
            provider: self.provider.capabilities().name,
            scope: self.scope(),
            channel,
            code: (!self.makes_codes()).then(|| code(OWN_CODE)),
            not_after: self.deadline(),
            ..requests::dispatch(self.to(channel), number)
        }
    }

    async fn sent(&self, channel: Channel, number: u8) -> Option<String> {
        match self.provider.dispatch(&self.message(channel, number)).await {
            Dispatched::Accepted { upstream } => upstream,
            other @ (Dispatched::Rejected(_) | Dispatched::Unknown(_)) => {
                panic!("a good destination was not served by {channel}: {other:?}")
            }
        }
    }

    fn received(&self, channel: Channel) -> String {
        match (self.received)(self.to(channel)) {
            Some(code) => code,
            None => panic!("nothing arrived by {channel}"),
        }
    }

    async fn compare(&self, upstream: Option<String>, guess: &str) -> Compared {
        let request = CompareRequest {
            provider: self.provider.capabilities().name,
            scope: self.scope(),
            upstream,
            not_after: self.deadline(),
            ..requests::compare(self.to(self.channel()), guess)
        };
        self.provider.compare(&request).await
    }

    async fn inquire(&self, upstream: Option<String>, number: u8) -> Inquired {
        let request = InquireRequest {
            provider: self.provider.capabilities().name,
            scope: self.scope(),
            channel: self.channel(),
            upstream,
            from: self.now,
            not_after: self.deadline(),
            ..requests::inquire(self.to(self.channel()), number)
        };
        self.provider.inquire(&request).await
    }

    async fn cancel(&self, upstream: Option<String>) -> Concluded {
        let request = ConcludeRequest {
            provider: self.provider.capabilities().name,
            scope: self.scope(),
            upstream,
            not_after: self.deadline(),
            ..requests::conclude(self.to(self.channel()))
        };
        self.provider.conclude(&request).await
    }
}

/// A code of the same length that is another.
fn wrong(right: &str) -> String {
    right
        .chars()
        .map(|digit| {
            if digit == '9' {
                '0'
            } else {
                char::from(digit as u8 + 1)
            }
        })
        .collect()
}

/// Records hold the name, so it is a short stable word; there is something to send by.
pub async fn capabilities_are_constant_and_sound(subject: ProviderUnderTest) {
    let capabilities = subject.provider.capabilities();
    assert_eq!(capabilities, subject.provider.capabilities());
    let name = capabilities.name.as_bytes();
    let allowed =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    assert!(
        (1..=32).contains(&name.len()) && name.iter().all(allowed),
        "the name is not [a-z0-9_-]{{1,32}}"
    );
    assert!(!capabilities.channels.is_empty());
}

/// A good destination is served by every channel that it claims to carry.
pub async fn it_sends_by_each_of_its_channels(subject: ProviderUnderTest) {
    for (number, channel) in (1..).zip(subject.provider.capabilities().channels) {
        subject.sent(channel, number).await;
        subject.received(channel);
    }
}

/// What comes too late is surely not sent: a tick may have settled the delivery since.
pub async fn nothing_is_sent_after_the_deadline(subject: ProviderUnderTest) {
    let channel = subject.channel();
    let late = DispatchRequest {
        not_after: subject.now - Duration::from_millis(1),
        ..subject.message(channel, 1)
    };
    let answer = subject.provider.dispatch(&late).await;
    assert!(
        matches!(answer, Dispatched::Rejected(_)),
        "too late, and yet: {answer:?}"
    );
    assert_eq!((subject.received)(subject.to(channel)), None);
}

/// Where the engine makes the code, the message has that one, and only the engine compares.
pub async fn an_own_code_is_carried_as_it_is_and_not_compared(subject: ProviderUnderTest) {
    if subject.makes_codes() {
        return;
    }
    let upstream = subject.sent(subject.channel(), 1).await;
    assert_eq!(subject.received(subject.channel()), OWN_CODE);
    assert!(matches!(
        subject.compare(upstream, OWN_CODE).await,
        Compared::NotAsked(_)
    ));
}

/// A request that lacks its code is refused as ours, not accepted.
pub async fn i34_a_send_without_a_code_is_never_taken_for_one(subject: ProviderUnderTest) {
    if subject.makes_codes() {
        return;
    }
    let without = DispatchRequest {
        code: None,
        ..subject.message(subject.channel(), 1)
    };
    let answer = subject.provider.dispatch(&without).await;
    assert!(
        matches!(&answer, Dispatched::Rejected(rejection) if rejection.kind == RejectionKind::BadRequest),
        "without a code, and yet: {answer:?}"
    );
}

/// A wrong guess is wrong, the right one right, and right only once.
pub async fn i02_a_code_of_the_provider_matches_once(subject: ProviderUnderTest) {
    if !subject.makes_codes() {
        return;
    }
    let upstream = subject.sent(subject.channel(), 1).await;
    let right = subject.received(subject.channel());
    assert_eq!(
        subject.compare(upstream.clone(), &wrong(&right)).await,
        Compared::NoMatch
    );
    assert_eq!(subject.compare(upstream.clone(), &right).await, Compared::Match);
    let again = subject.compare(upstream, &right).await;
    assert!(
        matches!(again, Compared::Gone | Compared::NotAsked(_)),
        "used, and yet: {again:?}"
    );
}

/// A person who waits for the first message can use it after a second.
pub async fn a_code_of_the_provider_is_the_same_on_a_resend(subject: ProviderUnderTest) {
    if !subject.makes_codes() {
        return;
    }
    subject.sent(subject.channel(), 1).await;
    let first = subject.received(subject.channel());
    subject.sent(subject.channel(), 2).await;
    assert_eq!(subject.received(subject.channel()), first);
}

/// Without a code there is no match.
pub async fn what_was_never_sent_matches_nothing(subject: ProviderUnderTest) {
    let answer = subject.compare(None, OWN_CODE).await;
    assert!(
        matches!(answer, Compared::Gone | Compared::NotAsked(_)),
        "never sent, and yet: {answer:?}"
    );
}

/// A delivery that never was is not found.
pub async fn what_was_never_sent_is_not_said_to_be_sent(subject: ProviderUnderTest) {
    let answer = subject.inquire(None, 1).await;
    assert!(
        matches!(answer, Inquired::NotSent | Inquired::Unknown),
        "never sent, and yet: {answer:?}"
    );
}

/// A delivery that was is found, or it cannot tell: "not sent" would send again.
pub async fn what_was_sent_is_not_said_to_be_not_sent(subject: ProviderUnderTest) {
    let upstream = subject.sent(subject.channel(), 1).await;
    for known in [None, upstream] {
        let answer = subject.inquire(known, 1).await;
        assert!(
            matches!(answer, Inquired::Sent { .. } | Inquired::Unknown),
            "sent, and yet: {answer:?}"
        );
    }
}

/// After it heard of the end, the code does not work; to hear of an end that it does not know is fine.
pub async fn a_canceled_code_matches_no_more(subject: ProviderUnderTest) {
    if !(subject.makes_codes() && subject.provider.capabilities().can_conclude) {
        return;
    }
    let unknown = subject.cancel(None).await;
    assert!(
        !matches!(unknown, Concluded::Unknown(_)),
        "it knows of no verification, and yet: {unknown:?}"
    );
    let upstream = subject.sent(subject.channel(), 1).await;
    let right = subject.received(subject.channel());
    assert_eq!(subject.cancel(upstream.clone()).await, Concluded::Done);
    let answer = subject.compare(upstream, &right).await;
    assert!(
        matches!(
            answer,
            Compared::Gone | Compared::Ended { .. } | Compared::NotAsked(_)
        ),
        "canceled, and yet: {answer:?}"
    );
}

/// It says so when it can be reached.
pub async fn a_provider_at_hand_is_healthy(subject: ProviderUnderTest) {
    assert_eq!(subject.provider.health().await, Ok(()));
}
