//! The provider port: who carries a code, and who may make and compare it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auto_impl::auto_impl;
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::detail::Detail;
use crate::ids::DeliveryId;
use crate::time::Timestamp;
use crate::vocabulary::{Channel, Payment, Purpose, ServiceId};

/// A provider's name: `[a-z0-9_-]`, at most 32, stable, since records hold it.
pub type ProviderName = Arc<str>;

/// Who makes and compares the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Maker {
    /// The engine derives it; the provider only carries it.
    Own,
    /// The provider makes, sends and compares it.
    Managed,
}

/// What a provider can do. Read once, at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Its name.
    pub name: ProviderName,
    /// Channels that it carries.
    pub channels: Vec<Channel>,
    /// Who makes the code.
    pub maker: Maker,
    /// Where a managed provider's codes are valid (for Twilio a Verify Service): verifications of one destination
    /// that meet in one scope share a code, its sends and its checks.
    pub scopes: Scopes,
    /// It can be asked later what became of a delivery.
    pub can_inquire: bool,
    /// It wants to be told when a verification ended here: canceled, or closed by failures.
    pub can_conclude: bool,
    /// It reports deliveries. Where it does not, silence means nothing.
    pub reports: bool,
    /// The wrong guesses after which a managed provider compares a code no more. Under private disclosure so many end a
    /// verification here, whoever's it is: that the provider says so must not show.
    pub most_checks: Option<u8>,
}

/// The scope of a provider's codes by service and purpose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes {
    /// Where nothing else is named. Codes of services that share it are right at one another: where there are several, name
    /// each of them.
    pub default: Arc<str>,
    /// By service, and by service and purpose.
    pub named: BTreeMap<(ServiceId, Option<Purpose>), Arc<str>>,
}

impl Scopes {
    /// The scope for a service and a purpose.
    pub fn of(&self, service: &ServiceId, purpose: Purpose) -> &Arc<str> {
        self.named
            .get(&(service.clone(), Some(purpose)))
            .or_else(|| self.named.get(&(service.clone(), None)))
            .unwrap_or(&self.default)
    }

    /// One of these services that is not named where others are: it would share the default scope unasked.
    pub fn left_out<'a>(&self, services: impl IntoIterator<Item = &'a ServiceId>) -> Option<&'a ServiceId> {
        let named = |service: &ServiceId| self.named.keys().any(|(named, _)| named == service);
        let mut services = services.into_iter();
        services.find(|service| !self.named.is_empty() && !self.default.is_empty() && !named(service))
    }
}

/// Carries challenges.
///
/// # Contract
///
/// - `dispatch` is called at most once for a delivery. [`Dispatched::Rejected`] means *surely not sent*. Whenever the
///   provider may have sent, the answer is [`Dispatched::Unknown`]; that is also the *safe direction of failure*.
/// - A provider never retries inside by itself unless the call was surely not processed.
/// - Every call ends by `not_after` at the latest; the engine drops it then and takes it as `Unknown`.
/// - Error texts are for operators; the engine masks numbers and mailboxes in them.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(Arc, Box)]
pub trait Provider: Send + Sync {
    /// What it can do. Constant.
    fn capabilities(&self) -> Capabilities;

    /// Sends.
    async fn dispatch(&self, request: &DispatchRequest) -> Dispatched;

    /// Compares a code that a managed provider made.
    async fn compare(&self, request: &CompareRequest) -> Compared;

    /// What became of a delivery whose answer was lost.
    async fn inquire(&self, request: &InquireRequest) -> Inquired;

    /// Is told the end of a verification.
    async fn conclude(&self, request: &ConcludeRequest) -> Concluded;

    /// Whether it can be reached with its credentials. Costs nothing and sends nothing. Under private disclosure it alone tells
    /// when sends may be tried again after an outage: any answer but [`RejectionKind::Down`] does.
    ///
    /// # Errors
    /// What is wrong, for operators.
    async fn health(&self) -> Result<(), Rejection>;
}

/// A message to send.
#[derive(Clone)]
pub struct DispatchRequest {
    /// Which provider.
    pub provider: ProviderName,
    /// The service.
    pub service: ServiceId,
    /// The scope of the code, for managed providers.
    pub scope: Arc<str>,
    /// E.164, or the mailbox as written. Do not log it.
    pub to: String,
    /// How.
    pub channel: Channel,
    /// Why.
    pub purpose: Purpose,
    /// The code to carry; `None` when the provider makes it.
    pub code: Option<Code>,
    /// The language that is wished for: letters, digits and `-`, in the form of BCP 47 and perhaps of no language that there
    /// is; `und-` and a country for the language of that country; empty for none. A provider takes the nearest that it has,
    /// or chooses itself, and rejects nothing because of it.
    pub locale: String,
    /// What is paid and to whom, for `transaction`.
    pub payment: Option<Payment>,
    /// How long the code still lives.
    pub code_ttl: Duration,
    /// A sealed reference, at most 128 characters: put it where reports carry it back (a callback URL, a tag).
    pub reference: String,
    /// The same for every try of this delivery, different for any other.
    pub dispatch_id: DeliveryId,
    /// Nothing may be sent after this.
    pub not_after: Timestamp,
}

impl fmt::Debug for DispatchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchRequest")
            .field("provider", &self.provider)
            .field("service", &self.service)
            .field("channel", &self.channel)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// What became of a dispatch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dispatched {
    /// A parsed positive answer, nothing less.
    Accepted {
        /// The provider's id of the message or verification.
        upstream: Option<String>,
    },
    /// Surely not sent.
    Rejected(Rejection),
    /// Perhaps sent.
    Unknown(Detail),
}

/// Why a provider did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rejection {
    /// What is the matter.
    pub kind: RejectionKind,
    /// When the provider said to come back. For [`RejectionKind::DestinationQuota`] that is how long the cap holds: it is
    /// told and remembered, up to [`LONGEST_CAP`]; without it, the life of a code.
    pub retry_after: Option<Duration>,
    /// For operators.
    pub detail: Detail,
}

/// What is the matter, sorted by whose matter it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RejectionKind {
    /// Caller: the request was wrong in a way that the core should have seen.
    BadRequest,
    /// Destination: not a number or mailbox that can be used.
    InvalidDestination,
    /// Destination: this channel does not reach it (a landline, no such app).
    ChannelUnreachable,
    /// Destination: the person opted out of this channel.
    OptedOut,
    /// Destination: the provider blocks its prefix on this channel for fraud.
    PrefixBlocked,
    /// Destination: the operator's account does not send there (geographic permissions).
    RegionBlocked,
    /// Quota: the provider's own cap on this destination.
    DestinationQuota,
    /// Quota: the account sends too fast. Not processed.
    AccountQuota,
    /// Provider: down, or an answer that says it did not do it.
    Down,
    /// Operator: credentials are refused, or the account is, whatever is asked. This alone turns readiness red when it
    /// is the answer to a request.
    Credentials,
    /// Operator: configuration or account, as far as this request needs it: its channel, its purpose, its template. A
    /// health check says so of what every request needs.
    Misconfigured,
}

/// The longest that a cap on a destination is believed.
pub const LONGEST_CAP: Duration = Duration::from_secs(86_400);

/// Whose matter a rejection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blame {
    /// Our own request.
    Caller,
    /// The destination.
    Destination,
    /// The provider.
    Provider,
    /// A quota.
    Quota,
    /// The operator's credentials or configuration.
    Operator,
}

/// What may help after a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Helps {
    /// Another provider, now.
    AnotherProvider,
    /// Another channel.
    AnotherChannel,
    /// Time.
    Waiting,
    /// Another destination.
    AnotherDestination,
}

/// What is remembered of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remember {
    /// Nothing.
    Nothing,
    /// For this destination and channel, that long.
    Destination(Duration),
    /// For this destination and channel, until an operator ends it.
    DestinationForGood,
    /// For the whole prefix and channel, that long.
    Prefix(Duration),
    /// For this destination and whatever the provider counts together, as long as it said.
    Cap,
}

impl RejectionKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::BadRequest,
        Self::InvalidDestination,
        Self::ChannelUnreachable,
        Self::OptedOut,
        Self::PrefixBlocked,
        Self::RegionBlocked,
        Self::DestinationQuota,
        Self::AccountQuota,
        Self::Down,
        Self::Credentials,
        Self::Misconfigured,
    ];

    /// Whose matter it is.
    pub const fn blame(self) -> Blame {
        match self {
            Self::BadRequest => Blame::Caller,
            Self::InvalidDestination
            | Self::ChannelUnreachable
            | Self::OptedOut
            | Self::PrefixBlocked
            | Self::RegionBlocked => Blame::Destination,
            Self::DestinationQuota | Self::AccountQuota => Blame::Quota,
            Self::Down => Blame::Provider,
            Self::Credentials | Self::Misconfigured => Blame::Operator,
        }
    }

    /// What may help.
    pub const fn helps(self) -> Helps {
        match self {
            Self::BadRequest | Self::AccountQuota | Self::Down | Self::Credentials | Self::Misconfigured => {
                Helps::AnotherProvider
            }
            Self::ChannelUnreachable | Self::OptedOut | Self::PrefixBlocked | Self::RegionBlocked => {
                Helps::AnotherChannel
            }
            Self::DestinationQuota => Helps::Waiting,
            Self::InvalidDestination => Helps::AnotherDestination,
        }
    }

    /// What is remembered.
    pub const fn remember(self) -> Remember {
        const DAY: u64 = 86_400;
        match self {
            Self::ChannelUnreachable => Remember::Destination(Duration::from_secs(30 * DAY)),
            Self::OptedOut => Remember::DestinationForGood,
            Self::PrefixBlocked => Remember::Prefix(Duration::from_secs(DAY / 2)),
            Self::RegionBlocked => Remember::Prefix(Duration::from_secs(DAY / 24)),
            Self::DestinationQuota => Remember::Cap,
            Self::BadRequest
            | Self::InvalidDestination
            | Self::AccountQuota
            | Self::Down
            | Self::Credentials
            | Self::Misconfigured => Remember::Nothing,
        }
    }

    /// True when it holds whatever the provider is asked to send: no other channel helps that it carries as well.
    pub const fn is_of_the_provider(self) -> bool {
        match self {
            Self::AccountQuota | Self::Down | Self::Credentials => true,
            Self::BadRequest
            | Self::InvalidDestination
            | Self::ChannelUnreachable
            | Self::OptedOut
            | Self::PrefixBlocked
            | Self::RegionBlocked
            | Self::DestinationQuota
            | Self::Misconfigured => false,
        }
    }

    /// True when it counts as a fault of the provider for its breaker.
    pub const fn trips_breaker(self) -> bool {
        matches!(self, Self::Down)
    }

    /// The stable word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::InvalidDestination => "invalid_destination",
            Self::ChannelUnreachable => "channel_unreachable",
            Self::OptedOut => "opted_out",
            Self::PrefixBlocked => "prefix_blocked",
            Self::RegionBlocked => "region_blocked",
            Self::DestinationQuota => "destination_quota",
            Self::AccountQuota => "account_quota",
            Self::Down => "down",
            Self::Credentials => "credentials",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// A code to compare.
#[derive(Clone)]
pub struct CompareRequest {
    /// Which provider.
    pub provider: ProviderName,
    /// The service.
    pub service: ServiceId,
    /// The scope of the code.
    pub scope: Arc<str>,
    /// Where it was sent. Do not log it.
    pub to: String,
    /// The provider's id of the verification, when it is known.
    pub upstream: Option<String>,
    /// The guess.
    pub code: Code,
    /// What is paid and to whom, for `transaction`.
    pub payment: Option<Payment>,
    /// The answer must be there by then.
    pub not_after: Timestamp,
}

impl fmt::Debug for CompareRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompareRequest")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// How a verification of a managed provider ended without a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// It was compared as often as it may be.
    UsedUp,
    /// Its time is over.
    Expired,
    /// Somebody canceled it.
    Canceled,
}

/// What a managed provider says of a guess.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Compared {
    /// It is the code.
    Match,
    /// It is not.
    NoMatch,
    /// The provider has nothing to compare with, and does not say why: expired, used, canceled or used up. That writes
    /// nothing, because another guess may just have been right.
    Gone,
    /// It compared nothing, because this verification of its own is over beyond doubt and no guess at it was or can be right.
    /// What shares it ends, and the next send is a new one. Never said of one that matched.
    Ended {
        /// The provider's id of it.
        upstream: String,
        /// How it ended.
        end: End,
    },
    /// It was surely not asked, or surely did not process it.
    NotAsked(Detail),
    /// It may have compared.
    Unknown(Detail),
}

/// A question about a delivery.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InquireRequest {
    /// Which provider.
    pub provider: ProviderName,
    /// The service.
    pub service: ServiceId,
    /// The scope.
    pub scope: Arc<str>,
    /// Where it was sent. Do not log it.
    pub to: String,
    /// How.
    pub channel: Channel,
    /// The provider's id, when one is known.
    pub upstream: Option<String>,
    /// What [`DispatchRequest::dispatch_id`] was.
    pub dispatch_id: DeliveryId,
    /// It was dispatched between this instant …
    pub from: Timestamp,
    /// … and this one.
    pub not_after: Timestamp,
}

impl fmt::Debug for InquireRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InquireRequest")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Inquired {
    /// It was sent.
    Sent {
        /// The provider's id.
        upstream: Option<String>,
    },
    /// It surely was not.
    NotSent,
    /// It was sent, and the provider saw its code used. Never an approval here.
    Converted {
        /// The provider's id.
        upstream: Option<String>,
    },
    /// It cannot tell.
    Unknown,
}

/// A verification that ended: its code must not work at the provider any more.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ConcludeRequest {
    /// Which provider.
    pub provider: ProviderName,
    /// The service.
    pub service: ServiceId,
    /// The scope.
    pub scope: Arc<str>,
    /// Where it was sent. Do not log it.
    pub to: String,
    /// The provider's id, when it is known.
    pub upstream: Option<String>,
    /// Nothing may be told after this.
    pub not_after: Timestamp,
}

impl fmt::Debug for ConcludeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcludeRequest")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// What a provider says to that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Concluded {
    /// Done.
    Done,
    /// It knows no such verification (any more): as good as done.
    Gone,
    /// It may not have heard.
    Unknown(Detail),
}
