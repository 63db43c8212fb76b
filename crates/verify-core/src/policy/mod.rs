//! The policy: what is allowed, how often, and what happens then.
//!
//! A policy is data. It comes from a file ([`PolicySet::from_toml`], [`PolicySet::from_json`]) or is built in code
//! from [`Policy::default`] and checked ([`PolicySet::check`]); nothing in it is read while a command runs but what
//! stands in these types. A file is read as a whole: unknown keys, wrong types, values out of bounds and impossible
//! combinations are all named at once ([`PolicyErrors`]), and nothing of a faulty file is used.
//!
//! The same file may hold what is no policy, such as credentials by reference. Whoever needs it reads it from the
//! [`PolicyFile`] before the policies; the core knows nothing of it, but whether it was taken up ([`BackendKeys`]).
//!
//! Each noun of the policy has a file of its own with all there is about it: types, defaults, how it is read, printed and
//! checked. This one is their sum, `set` has the services, `file` what is the same for all.

mod backend_keys;
#[cfg(feature = "toml")]
mod changes;
mod channels;
mod code;
mod countries;
mod effect;
pub(crate) mod email;
pub mod file;
mod limits;
mod load;
mod lockout;
mod looks_back;
mod networks;
mod owner;
mod prices;
mod privacy;
mod purposes;
mod risk;
mod set;
mod test_destinations;
mod tokens;
mod weaker;

use std::collections::BTreeMap;
use std::time::Duration;

use self::file::{Page, Report, Section};
use crate::destination::{Destination, DestinationError};
use crate::vocabulary::{Channel, Country, Purpose};

pub use backend_keys::BackendKeys;
pub use channels::{AtEnd, Automatic, ChannelRules, DefaultLocale};
pub use code::{CodeRules, Resend};
pub use countries::{CountryAction, CountryRules, NumberRules};
pub use effect::{Effect, Reserve};
pub use email::EmailRules;
pub use file::errors::PolicyErrors;
pub use limits::{Counts, Limit, Max, Then, limit_names};
pub use load::{Loaded, Place, PolicyFile};
pub use lockout::{Lockout, Wait, Waits};
pub use networks::Network;
pub use prices::Prices;
pub use privacy::{Disclosure, PrivacyRules};
pub use purposes::PurposeRules;
pub use risk::{RiskAction, RiskRules, Unenrolled};
pub use set::PolicySet;
pub use test_destinations::TestDestination;

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

impl Default for Policy {
    /// What an empty policy file means.
    fn default() -> Self {
        Self {
            code: CodeRules::default(),
            channels: ChannelRules::default(),
            limits: limits::defaults(),
            lockout: Lockout::default(),
            risk: RiskRules::default(),
            countries: CountryRules::default(),
            numbers: NumberRules::default(),
            prices: Prices::default(),
            networks: Vec::new(),
            email: EmailRules::default(),
            privacy: PrivacyRules::default(),
            proof_ttl: tokens::PROOF_TTL,
            device_ttl: tokens::DEVICE_TTL,
            tests: Vec::new(),
            purposes: BTreeMap::new(),
        }
    }
}

impl Policy {
    /// Reads a number or a mailbox as a command does: a national number of no named country is of the default one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn destination(&self, text: &str, country: Option<Country>) -> Result<Destination, DestinationError> {
        Destination::parse(text, country.or(self.channels.default_country), &self.email)
    }

    /// The rules for codes of a purpose.
    pub fn code_for(&self, purpose: Purpose) -> &CodeRules {
        let rules = self.purposes.get(&purpose);
        rules.map_or(&self.code, |rules| &rules.code)
    }

    /// The rules for codes that hold for one purpose or another.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &CodeRules> {
        let purposes = self.purposes.values().map(|rules| &rules.code);
        std::iter::once(&self.code).chain(purposes)
    }

    /// The rules for channels of a purpose.
    pub fn channels_for(&self, purpose: Purpose) -> &ChannelRules {
        let rules = self.purposes.get(&purpose);
        rules.map_or(&self.channels, |rules| &rules.channels)
    }

    /// The rules for risk of a purpose.
    pub fn risk_for(&self, purpose: Purpose) -> &RiskRules {
        let rules = self.purposes.get(&purpose);
        rules.map_or(&self.risk, |rules| &rules.risk)
    }

    /// What a purpose has that overrides nothing.
    fn for_any_purpose(&self) -> PurposeRules {
        PurposeRules {
            code: self.code.clone(),
            channels: self.channels.clone(),
            risk: self.risk.clone(),
        }
    }

    /// Reads every section over what holds already, but purposes: they come after what they inherit from.
    fn read(&mut self, root: &mut Section<'_, '_>) {
        #[rustfmt::skip]
        let Self {
            code, channels, limits, lockout, risk, countries, numbers, prices, networks, email, privacy,
            proof_ttl, device_ttl, tests, purposes: _,
        } = self;
        root.within("code", |section| code.read(section));
        root.within("channels", |section| channels.read(section));
        limits::read(root, limits);
        root.within("lockout", |section| lockout.read(section));
        root.within("risk", |section| risk.read(section));
        root.within("countries", |section| countries.read(section));
        root.within("numbers", |section| numbers.read(section));
        root.within("prices", |section| prices.read(section));
        networks::read(root, limits, networks);
        root.within("email", |section| email.read(section));
        root.within("privacy", |section| privacy.read(section));
        tokens::read(root, proof_ttl, device_ttl);
        test_destinations::read(root, email, tests);
    }

    /// Prints the policy; of one that inherits, only what differs.
    fn print(&self, page: &mut Page, inherited: Option<&Self>) {
        if inherited == Some(self) {
            return;
        }
        #[rustfmt::skip]
        let Self {
            code, channels, limits, lockout, risk, countries, numbers, prices, networks, email, privacy,
            proof_ttl, device_ttl, tests, purposes,
        } = self;
        let currency = prices.currency.as_deref();
        let other = inherited;
        // An empty list has no table of its own, so it belongs right under the policy's.
        if networks.is_empty() && other.is_some_and(|other| !other.networks.is_empty()) {
            page.pair("network", "[]");
        }
        page.new_of(code, other.map(|it| &it.code), CodeRules::print);
        page.new_of(channels, other.map(|it| &it.channels), ChannelRules::print);
        page.new_of(risk, other.map(|it| &it.risk), RiskRules::print);
        limits::print(page, limits, other.map(|it| &*it.limits), currency);
        page.new_of(lockout, other.map(|it| &it.lockout), Lockout::print);
        let inherited = other.map(|it| &it.countries);
        page.new_of(countries, inherited, |own, page| own.print(page, inherited));
        page.new_of(numbers, other.map(|it| &it.numbers), NumberRules::print);
        page.new_of(prices, other.map(|it| &it.prices), Prices::print);
        page.new_of(networks, other.map(|it| &it.networks), |own, page| {
            networks::print(page, own, limits, currency);
        });
        page.new_of(email, other.map(|it| &it.email), EmailRules::print);
        page.new_of(privacy, other.map(|it| &it.privacy), PrivacyRules::print);
        let ttls = (*proof_ttl, *device_ttl);
        page.new_of(
            &ttls,
            other.map(|it| (it.proof_ttl, it.device_ttl)).as_ref(),
            tokens::print,
        );
        page.new_of(tests, other.map(|it| &it.tests), |own, page| {
            test_destinations::print(page, own);
        });
        purposes::print(page, purposes);
    }

    /// What a policy must be, whether it came from a file or was built in code: bounds and combinations.
    fn check(&self) -> Report {
        let mut found = Report::default();
        let spends = self.limits.iter().find(|limit| limit.counts == Counts::Spend);
        purposes::check(&self.for_any_purpose(), &self.purposes, &mut found);
        limits::check(&self.limits, &mut found);
        self.lockout.check(&mut found);
        self.prices.check(spends.map(|limit| &*limit.name), &mut found);
        networks::check(&self.networks, &self.limits, &mut found);
        test_destinations::check(&self.tests, self.code.length, &self.email, &mut found);
        self.email.check(&mut found);
        self.countries.check(&mut found);
        self.prices.check_countries(&mut found);
        self.privacy.check(&mut found);
        if spends.is_none()
            && self.prices
                != (Prices {
                    currency: self.prices.currency.clone(),
                    ..Prices::default()
                })
        {
            found.warning("prices", "change nothing: no limit counts spend");
        }
        let mut enabled = self
            .purposes
            .values()
            .map(|rules| &rules.channels)
            .chain([&self.channels]);
        let private = self.privacy.disclosure == Disclosure::Private;
        if private && self.channels.automatic == Automatic::Always {
            found.warning(
                "channels.automatic",
                "changes nothing: under private disclosure nothing goes on by itself",
            );
        }
        let mailed = enabled.any(|channels| channels.enabled.contains(&Channel::Email));
        if !mailed && self.email != EmailRules::default() {
            found.warning("email", "changes nothing: email is not among channels.enabled");
        }
        tokens::check(self.proof_ttl, self.device_ttl, &mut found);
        found
    }
}

/// Runs the Rust of the policy reference.
#[cfg(doctest)]
#[doc = include_str!("../../docs/policy.md")]
struct Reference;
