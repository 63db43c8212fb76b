//! The types of a policy. Every default here is the default of the policy file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::time::Timestamp;
use crate::vocabulary::{Channel, Country, Dimension, Purpose, ServiceId};

/// The policies of all services: the default one, and those that differ.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySet {
    /// What holds where a service says nothing else.
    pub default: Arc<Policy>,
    /// Services with overrides, already merged over the default.
    pub services: BTreeMap<ServiceId, Arc<Policy>>,
}

impl PolicySet {
    /// The policy of a service.
    pub fn of(&self, service: &ServiceId) -> &Arc<Policy> {
        self.services.get(service).unwrap_or(&self.default)
    }
}

/// Everything that one service decides by.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// How codes are made and how long they live.
    pub code: CodeRules,
    /// Which channels, in which order, and when the next one is offered.
    pub channels: ChannelRules,
    /// The limits. Names are unique. Their order decides nothing.
    pub limits: Vec<Limit>,
    /// The wait that follows failures in a row.
    pub lockout: Lockout,
    /// What follows from the risk scorer's word.
    pub risk: RiskRules,
    /// Countries that are blocked, watched, asked for a human, or limited to some channels.
    pub countries: CountryRules,
    /// Kinds of numbers.
    pub numbers: NumberRules,
    /// What a message costs the operator.
    pub prices: Prices,
    /// Networks shared by many people, with limits of their own.
    pub networks: Vec<Network>,
    /// How mailboxes are told apart.
    pub email: EmailRules,
    /// What answers and logs may show.
    pub privacy: PrivacyRules,
    /// How long a proof lives.
    pub proof_ttl: Duration,
    /// How long a device token lives.
    pub device_ttl: Duration,
    /// Destinations with a fixed code, never sent to.
    pub tests: Vec<TestDestination>,
    /// What a purpose overrides.
    pub purposes: BTreeMap<Purpose, PurposeRules>,
}

/// What a purpose may override: a whole section each, already merged over the service's.
#[derive(Debug, Clone, PartialEq)]
pub struct PurposeRules {
    /// See [`Policy::code`].
    pub code: CodeRules,
    /// See [`Policy::channels`].
    pub channels: ChannelRules,
    /// See [`Policy::risk`].
    pub risk: RiskRules,
}

/// How codes are made and how long they live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRules {
    /// Digits, 4 to 10; below 6 only with `allow_short`.
    pub length: u8,
    /// Said explicitly by whoever wants fewer than six digits.
    pub allow_short: bool,
    /// Life of a code, fixed when it is issued. Phone channels at most 10 minutes, mail at most 24 hours.
    pub ttl: Duration,
    /// What a resend carries.
    pub resend: Resend,
}

/// What a resend carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// The same code: deliveries may arrive in any order.
    Same,
    /// A new code; the one before is void.
    New,
}

/// Which channels, in which order, and when the next one is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRules {
    /// For a phone number when the request names none. A mailbox always means `email`.
    pub default: Channel,
    /// What may be used at all.
    pub enabled: Vec<Channel>,
    /// Offered in this order.
    pub fallback: Vec<Channel>,
    /// No `delivered` by then: the next channel is offered.
    pub fallback_after: Duration,
    /// Whether a reported failure makes the engine go on by itself.
    pub automatic: Automatic,
    /// What is said when nothing is left.
    pub at_end: AtEnd,
    /// BCP 47 language of the message when the request names none.
    pub default_locale: String,
    /// For national input without a country.
    pub default_country: Option<Country>,
}

/// Whether a reported failure makes the engine go on to the next channel by itself. Silence only ever offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Automatic {
    /// Never.
    Never,
    /// When the send said `consent`.
    WithConsent,
    /// Always. Check the law of the country first.
    Always,
}

/// What is said when no channel is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// Ask for a stronger factor.
    StepUp,
    /// Send the person to support.
    Support,
}

/// At most `max` in any interval of length `per`, on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Unique; overrides, networks and operators name it.
    pub name: Arc<str>,
    /// What is counted.
    pub counts: Counts,
    /// The key: one dimension, or several together. Never empty.
    pub by: Vec<Dimension>,
    /// Used where a dimension of `by` is missing; else the limit is skipped. `checks_per_identity` has the destination.
    pub or_by: Option<Dimension>,
    /// How much.
    pub max: Max,
    /// In any interval of this length.
    pub per: Duration,
    /// What follows.
    pub then: Then,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counts {
    /// Messages that were decided to be sent, whatever became of them.
    Sends,
    /// Guesses that were taken.
    Checks,
    /// Guesses counted as failures while something was pending.
    Failures,
    /// Money, in micros of the operator's currency, at the operator's price.
    Spend,
}

/// How much a limit admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Max {
    /// Units; money in micros (a millionth of the currency unit). At least 1.
    Units(u64),
    /// An explicit, logged choice.
    Unlimited,
}

/// What follows when a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Refuse until the window admits it again.
    Refuse,
    /// Ask for a human; who passes is admitted and counted.
    HumanCheck,
    /// Refuse nothing; raise an event once per `per`.
    Alert,
}

/// The wait that follows failures in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    /// From this many failures on, this wait. Counts are at least 1.
    pub waits: Waits,
    /// Without a failure for that long, the run is over.
    pub forget_after: Duration,
}

/// Waits by count of failures in a row: the entry with the greatest count not above the failures holds.
pub type Waits = Arc<BTreeMap<u32, Wait>>;

/// A wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// That long after the last failure.
    For(Duration),
    /// Until a stronger factor, an operator or `forget_after`.
    Never,
}

/// What follows from the risk scorer's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskRules {
    /// Off: the scorer is not asked.
    pub enabled: bool,
    /// Level high.
    pub high: RiskAction,
    /// Level medium.
    pub medium: RiskAction,
    /// Level low.
    pub low: RiskAction,
    /// The scorer could not be asked.
    pub unavailable: RiskAction,
    /// Factors that a step-up names.
    pub step_up: Vec<String>,
    /// Whether a step-up offers enrolment to a subject without a factor.
    pub unenrolled: Unenrolled,
    /// Score from which a level is medium, for scorers that give only a score (0 to 100).
    pub medium_from: u8,
    /// Score from which a level is high.
    pub high_from: u8,
}

/// What to do at a risk level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RiskAction {
    /// Go on.
    Proceed,
    /// Ask for a human.
    HumanCheck,
    /// Ask for a stronger factor.
    StepUp,
    /// Refuse.
    Refuse,
}

/// What a step-up says to a subject without a factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unenrolled {
    /// Refuse.
    Refuse,
    /// Offer enrolment, which needs a proof of its own.
    Enroll,
}

/// Countries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountryRules {
    /// For countries in no list.
    pub default: CountryAction,
    /// The lists, as one map.
    pub listed: BTreeMap<Country, CountryAction>,
    /// Channels that a country is limited to.
    pub channels: BTreeMap<Country, Vec<Channel>>,
}

/// What to do with a country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CountryAction {
    /// Send.
    Allow,
    /// Send, and report what `block` would have done.
    Monitor,
    /// Ask for a human first.
    HumanCheck,
    /// Refuse.
    Block,
}

/// Kinds of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberRules {
    /// Premium-rate, shared-cost and the like: allowed or not.
    pub premium_rate_allowed: bool,
}

/// What a message costs, in micros of the operator's currency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices {
    /// The currency of all prices and spend limits (ISO 4217), once one is named.
    pub currency: Option<String>,
    /// Where nothing else fits. Required when a limit counts spend.
    pub default: Option<u64>,
    /// By country and channel; a `None` channel means any.
    pub listed: BTreeMap<(Country, Option<Channel>), u64>,
}

impl Prices {
    /// The price of a message, in micros; zero when no price is known.
    pub fn of(&self, country: Option<Country>, channel: Channel) -> u64 {
        country
            .and_then(|country| {
                self.listed
                    .get(&(country, Some(channel)))
                    .or_else(|| self.listed.get(&(country, None)))
            })
            .copied()
            .or(self.default)
            .unwrap_or(0)
    }
}

/// Addresses shared by many people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The addresses.
    pub cidr: IpNet,
    /// `max` by the name of a limit that counts by ip.
    pub limits: BTreeMap<Arc<str>, Max>,
}

/// How mailboxes are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailRules {
    /// `a+x@d` is the mailbox `a@d` for limits (delivered as written).
    pub plus_tags_same: bool,
    /// Dots in the local part mean nothing at these domains (lower-case, IDNA).
    pub dotless_domains: Vec<String>,
    /// Disposable domains are allowed.
    pub disposable_allowed: bool,
}

/// What answers and logs may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacyRules {
    /// Whether refusals say what they are, or look like a send.
    pub disclosure: Disclosure,
    /// How many last digits of a number a log may carry, 0 to 2.
    pub last_digits: u8,
}

/// What a refusal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// It says what it is.
    Open,
    /// Blocked, risk-refused, suppressed and unknown recipients get a decoy.
    Private,
}

/// A destination with a fixed code. Never sent to.
#[derive(Clone, PartialEq, Eq)]
pub struct TestDestination {
    /// E.164 or a mailbox, canonical.
    pub to: String,
    /// The code, as many digits as `code.length`.
    pub code: String,
    /// It stops working then: the end of the named day, UTC.
    pub until: Timestamp,
}

impl fmt::Debug for TestDestination {
    /// Neither destination nor code: both are somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDestination")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// The rules for codes of a purpose.
    pub fn code_for(&self, purpose: Purpose) -> &CodeRules {
        self.purposes
            .get(&purpose)
            .map_or(&self.code, |rules| &rules.code)
    }

    /// The rules for channels of a purpose.
    pub fn channels_for(&self, purpose: Purpose) -> &ChannelRules {
        self.purposes
            .get(&purpose)
            .map_or(&self.channels, |rules| &rules.channels)
    }

    /// The rules for risk of a purpose.
    pub fn risk_for(&self, purpose: Purpose) -> &RiskRules {
        self.purposes
            .get(&purpose)
            .map_or(&self.risk, |rules| &rules.risk)
    }
}
