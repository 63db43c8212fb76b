//! The default policy: what holds when a file says nothing. It is safe.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{
    AtEnd, Automatic, ChannelRules, CodeRules, CountryAction, CountryRules, Counts, Disclosure, EmailRules,
    Limit, Lockout, Max, NumberRules, Policy, PolicySet, Prices, PrivacyRules, Resend, RiskAction, RiskRules,
    Then, Unenrolled, Wait,
};
use crate::vocabulary::{Channel, Dimension};

const MINUTE: Duration = Duration::from_secs(60);
const TEN_MINUTES: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The names of the limits that every policy has, and of what is no limit. A file may change limits or make them
/// `"unlimited"`, never drop them.
pub mod limit_names {
    /// Not a limit: the lockout of a destination. No limit may be called so.
    pub const LOCKOUT_DESTINATION: &str = "lockout_destination";
    /// Not a limit: the lockout of a subject. No limit may be called so.
    pub const LOCKOUT_SUBJECT: &str = "lockout_subject";
    /// Sends by client address.
    pub const SENDS_PER_IP: &str = "sends_per_ip";
    /// Sends to one destination, within minutes.
    pub const SENDS_PER_DESTINATION: &str = "sends_per_destination";
    /// Sends to one destination, within a day.
    pub const SENDS_PER_DESTINATION_DAY: &str = "sends_per_destination_day";
    /// Sends for one subject.
    pub const SENDS_PER_SUBJECT: &str = "sends_per_subject";
    /// The gap between two sends to one destination.
    pub const RESEND_GAP: &str = "resend_gap";
    /// Guesses for one subject, or one destination where there is no subject.
    pub const CHECKS_PER_IDENTITY: &str = "checks_per_identity";
    /// Guesses by client address.
    pub const CHECKS_PER_IP: &str = "checks_per_ip";
    /// Sends to numbers that share all but their last four digits.
    pub const SENDS_PER_PREFIX: &str = "sends_per_prefix";
    /// Sends of the whole service.
    pub const SENDS_PER_SERVICE: &str = "sends_per_service";
    /// Failures of the whole service: guessing spread over many accounts.
    pub const FAILURES_PER_SERVICE: &str = "failures_per_service";
}

impl Default for PolicySet {
    /// The default policy for every service.
    fn default() -> Self {
        Self {
            default: Arc::new(Policy::default()),
            services: BTreeMap::new(),
        }
    }
}

impl Default for Policy {
    /// What an empty policy file means.
    fn default() -> Self {
        Self {
            code: CodeRules::default(),
            channels: ChannelRules::default(),
            limits: default_limits(),
            lockout: Lockout::default(),
            risk: RiskRules::default(),
            countries: CountryRules::default(),
            numbers: NumberRules {
                premium_rate_allowed: false,
            },
            prices: Prices::default(),
            networks: Vec::new(),
            email: EmailRules {
                plus_tags_same: true,
                dotless_domains: Vec::new(),
                disposable_allowed: true,
            },
            privacy: PrivacyRules {
                disclosure: Disclosure::Open,
                last_digits: 2,
            },
            proof_ttl: 5 * MINUTE,
            device_ttl: 90 * DAY,
            tests: Vec::new(),
            purposes: BTreeMap::new(),
        }
    }
}

impl Default for CodeRules {
    fn default() -> Self {
        Self {
            length: 6,
            allow_short: false,
            ttl: TEN_MINUTES,
            resend: Resend::Same,
        }
    }
}

impl Default for ChannelRules {
    fn default() -> Self {
        Self {
            default: Channel::Sms,
            enabled: vec![Channel::Sms, Channel::Call, Channel::Email],
            fallback: vec![Channel::Call, Channel::Email],
            fallback_after: Duration::from_secs(20),
            automatic: Automatic::WithConsent,
            at_end: AtEnd::Support,
            default_locale: "en".into(),
            default_country: None,
        }
    }
}

impl Default for Lockout {
    fn default() -> Self {
        let waits = BTreeMap::from([
            (1, Wait::For(MINUTE)),
            (5, Wait::For(15 * MINUTE)),
            (10, Wait::For(HOUR)),
            (100, Wait::Never),
        ]);
        Self {
            waits: Arc::new(waits),
            forget_after: 30 * DAY,
        }
    }
}

impl Default for RiskRules {
    fn default() -> Self {
        Self {
            enabled: true,
            high: RiskAction::Refuse,
            medium: RiskAction::StepUp,
            low: RiskAction::Proceed,
            unavailable: RiskAction::Proceed,
            step_up: vec!["totp".into()],
            unenrolled: Unenrolled::Refuse,
            medium_from: 50,
            high_from: 80,
        }
    }
}

impl Default for CountryRules {
    fn default() -> Self {
        Self {
            default: CountryAction::Allow,
            listed: BTreeMap::new(),
            channels: BTreeMap::new(),
        }
    }
}

// long because it is a table: one entry a limit
fn default_limits() -> Vec<Limit> {
    use limit_names as name;
    let limit = |name: &str, counts, by, max, per, then| Limit {
        name: name.into(),
        counts,
        by: vec![by],
        or_by: None,
        max: Max::Units(max),
        per,
        then,
    };
    let (sends, checks) = (Counts::Sends, Counts::Checks);
    let (ip, destination, subject) = (Dimension::Ip, Dimension::Destination, Dimension::Subject);
    let refuse = Then::Refuse;
    vec![
        limit(name::SENDS_PER_IP, sends, ip, 5, TEN_MINUTES, refuse),
        limit(
            name::SENDS_PER_DESTINATION,
            sends,
            destination,
            3,
            TEN_MINUTES,
            refuse,
        ),
        limit(
            name::SENDS_PER_DESTINATION_DAY,
            sends,
            destination,
            10,
            DAY,
            refuse,
        ),
        limit(name::SENDS_PER_SUBJECT, sends, subject, 5, TEN_MINUTES, refuse),
        limit(
            name::RESEND_GAP,
            sends,
            destination,
            1,
            Duration::from_secs(30),
            refuse,
        ),
        Limit {
            or_by: Some(destination),
            ..limit(name::CHECKS_PER_IDENTITY, checks, subject, 5, TEN_MINUTES, refuse)
        },
        limit(name::CHECKS_PER_IP, checks, ip, 50, TEN_MINUTES, refuse),
        limit(
            name::SENDS_PER_PREFIX,
            sends,
            Dimension::Prefix,
            30,
            TEN_MINUTES,
            Then::HumanCheck,
        ),
        limit(
            name::SENDS_PER_SERVICE,
            sends,
            Dimension::Service,
            1000,
            TEN_MINUTES,
            Then::HumanCheck,
        ),
        limit(
            name::FAILURES_PER_SERVICE,
            Counts::Failures,
            Dimension::Service,
            200,
            TEN_MINUTES,
            Then::Alert,
        ),
    ]
}
