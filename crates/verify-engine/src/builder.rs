//! Building an engine: every port by its name, a safe default for what may be left out, an error for what may not.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use verify_core::flow::{Machine, Routes};
use verify_core::ids::HolderId;
use verify_core::keys::Keys;
use verify_core::policy::{BackendKeys, Disclosure, PolicySet};
use verify_core::port::{
    Capabilities, Clock, Entropy, EventSink, HumanCheck, KeySource, Maker, NoHumanCheck, NoRefusals, NoRisk,
    Provider, ProviderName, RefusalSink, RiskScorer,
};
use verify_core::store::Store;
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Country, Dimension};

use crate::build_error::BuildError;
use crate::carrier::{Carrier, Room};
use crate::engine::{Engine, Flows, Inner};
use crate::meters::Meters;
use crate::outside::Outside;
use crate::rate::{FloodShield, Pacer};
use crate::sinks::Sinks;
use crate::store_watch::StoreWatch;
use crate::system::{FixedKeys, SystemClock, SystemEntropy};
use crate::telemetry;
use crate::without_effect::{self, Asked};

/// A call of the store that takes longer is given up, unless told otherwise.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls of providers at a time, unless told otherwise: what a process of 1 024 descriptors can spare.
const CALLS_AT_ONCE: usize = 128;

/// Names that stand in records where no provider is asked.
const RESERVED: [&str; 2] = ["decoy", "test"];

/// Collects what an engine is made of.
///
/// Needed: keys, a store, a provider for the policy's default channel, and a word on the client's address. All else
/// has a default: the default policy, the system's clock and randomness, no risk scorer, no human check, no sinks,
/// no flood shield.
#[derive(Default)]
pub struct EngineBuilder {
    policies: Option<PolicySet>,
    keys: Option<Arc<dyn KeySource>>,
    store: Option<Arc<dyn Store>>,
    store_timeout: Option<Duration>,
    providers: Vec<Arc<dyn Provider>>,
    routes: Vec<Route>,
    paces: Vec<(String, u32)>,
    calls_at_once: Option<usize>,
    scorers: Vec<Arc<dyn RiskScorer>>,
    human_check: Option<Arc<dyn HumanCheck>>,
    clock: Option<Arc<dyn Clock>>,
    entropy: Option<Arc<dyn Entropy>>,
    event_sink: Option<Arc<dyn EventSink>>,
    refusal_sink: Option<Arc<dyn RefusalSink>>,
    flood_shield: Option<u32>,
    client_ip: Option<bool>,
}

struct Route {
    channel: Channel,
    country: Option<Country>,
    names: Vec<String>,
}

impl EngineBuilder {
    /// The policies; the safe default policy when left out. Checked as strictly as those of a file. What their file says of
    /// a backend must have been taken up by then ([`BackendKeys`]).
    #[must_use]
    pub fn policy(mut self, policies: PolicySet) -> Self {
        self.policies = Some(policies);
        self
    }

    /// Keys that stay the same while the process runs.
    #[must_use]
    pub fn keys(self, keys: Keys) -> Self {
        self.key_source(FixedKeys(Arc::new(keys)))
    }

    /// Keys that may be rotated while the process runs.
    #[must_use]
    pub fn key_source(mut self, keys: impl KeySource + 'static) -> Self {
        self.keys = Some(Arc::new(keys));
        self
    }

    /// Where state lives. An `Arc` or a `Box` of a store is a store, and so with every port.
    #[must_use]
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// How long a call of the store may take, within the flow's own deadline; 5 seconds when left out.
    #[must_use]
    pub fn store_timeout(mut self, most: Duration) -> Self {
        self.store_timeout = Some(most);
        self
    }

    /// One more provider. For each channel, those that carry it are tried in the order of registration.
    #[must_use]
    pub fn provider(mut self, provider: impl Provider + 'static) -> Self {
        self.providers.push(Arc::new(provider));
        self
    }

    /// Other providers, or another order, for a channel: to one country, or with `None` to all that have no route of
    /// their own. No names at all: the channel is not offered there.
    #[must_use]
    pub fn route<N: Into<String>>(
        mut self,
        channel: Channel,
        country: Option<Country>,
        providers: impl IntoIterator<Item = N>,
    ) -> Self {
        let names = providers.into_iter().map(Into::into).collect();
        self.routes.push(Route {
            channel,
            country,
            names,
        });
        self
    }

    /// At most this many calls per second to a provider; calls wait for their turn within their deadline.
    #[must_use]
    pub fn pacing(mut self, provider: impl Into<String>, per_second: u32) -> Self {
        self.paces.push((provider.into(), per_second));
        self
    }

    /// At most this many sends at a time that providers are asked for, all providers together, as many checks, and half as many
    /// ends and inquiries; 128 when left out. One more waits two seconds for room, and is not made then. Under private disclosure nobody waits for a send's call:
    /// while as many are not over, a send waits a second and is then `overloaded`, and nothing is charged.
    ///
    /// A call may hold a socket for ten seconds. The process needs two and a half times as many, besides those of its clients.
    #[must_use]
    pub fn calls_at_once(mut self, most: NonZeroU32) -> Self {
        self.calls_at_once = Some(usize::try_from(most.get()).unwrap_or(usize::MAX));
        self
    }

    /// One more risk scorer. All are asked, and the worst answer wins.
    #[must_use]
    pub fn risk_scorer(mut self, scorer: impl RiskScorer + 'static) -> Self {
        self.scorers.push(Arc::new(scorer));
        self
    }

    /// Tells people from programs. Without one, what would ask for it refuses.
    #[must_use]
    pub fn human_check(mut self, check: impl HumanCheck + 'static) -> Self {
        self.human_check = Some(Arc::new(check));
        self
    }

    /// Another clock than the system's, for all that is decided, counted and kept. What waits goes by tokio's clock: the flood
    /// shield, the pacing of calls, and the timeouts of store and providers. Only the system's clock is compared with the
    /// store's ([`Readiness::clocks_differ`](crate::Readiness::clocks_differ)).
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Other randomness than the system's. It must be cryptographically secure outside tests.
    #[must_use]
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> Self {
        self.entropy = Some(Arc::new(entropy));
        self
    }

    /// Where events go, once [`Engine::spawn_background`] or [`Engine::pump_once`] hands them over. Without one they are dropped
    /// there, but for those of a store that an engine with a sink used within the last week: they are kept for it, and an engine
    /// without one that starts beside it is not [ready](crate::Readiness::lacks_a_sink).
    #[must_use]
    pub fn event_sink(mut self, sink: impl EventSink + 'static) -> Self {
        self.event_sink = Some(Arc::new(sink));
        self
    }

    /// Who is told of refusals.
    #[must_use]
    pub fn refusal_sink(mut self, sink: impl RefusalSink + 'static) -> Self {
        self.refusal_sink = Some(Arc::new(sink));
        self
    }

    /// Turns away sends and checks of one client beyond this many per second, before anything is charged or read.
    #[must_use]
    pub fn flood_shield(mut self, per_second: u32) -> Self {
        self.flood_shield = Some(per_second);
        self
    }

    /// Every send and check carries the client's address, from a trusted hop. One that does not is counted
    /// ([`telemetry::MISSING_IP`]), and limits by ip are skipped for it.
    #[must_use]
    pub fn with_client_ip(mut self) -> Self {
        self.client_ip = Some(true);
        self
    }

    /// There is no client's address to be had. Limits by ip are skipped; the others hold.
    #[must_use]
    pub fn without_client_ip(mut self) -> Self {
        self.client_ip = Some(false);
        self
    }

    /// The engine.
    ///
    /// # Errors
    /// [`BuildError`] says what is missing or does not fit, and what to do.
    pub fn build(self) -> Result<Engine, BuildError> {
        let keys = self.keys.ok_or(BuildError::MissingKeys)?;
        let store = self.store.ok_or(BuildError::MissingStore)?;
        let store_timeout = self.store_timeout.unwrap_or(STORE_TIMEOUT);
        if store_timeout.is_zero() {
            return Err(BuildError::ZeroStoreTimeout);
        }
        let providers = named(self.providers)?;
        let capabilities: Vec<_> = providers.iter().map(|(own, _)| own.clone()).collect();
        let routes = routes(&capabilities, &self.routes)?;
        let policies = self.policies.unwrap_or_default();
        let store_watch = StoreWatch::new(self.clock.is_none());
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let asked = Asked::of(&self.scorers, self.human_check.as_deref());
        check_policies(&policies, &routes, asked, clock.now())?;
        are_taken_up(&policies.backends)?;
        let expects_client_ip = client_ip(self.client_ip, &policies)?;
        let shield = self
            .flood_shield
            .map(|most| rate("flood_shield", most))
            .transpose()?;
        let room = Arc::new(Room::of_each(self.calls_at_once.unwrap_or(CALLS_AT_ONCE)));
        let mut pacers = pacers(&self.paces, &routes)?;
        let carriers = providers
            .into_iter()
            .map(|(capabilities, provider)| {
                let pacer = pacers.remove(&capabilities.name);
                (
                    capabilities.name.clone(),
                    Carrier::new(provider, capabilities, pacer, Arc::clone(&room)),
                )
            })
            .collect();
        let outside = Outside {
            clock,
            store,
            store_timeout,
            store_watch,
            carriers,
            scorers: at_least_one(self.scorers),
            human_check: self.human_check.unwrap_or_else(|| Arc::new(NoHumanCheck)),
            meters: Meters::default(),
        };
        outside.introduce_metrics();
        let entropy = self.entropy.unwrap_or_else(|| Arc::new(SystemEntropy));
        let machine = Machine::new(Arc::new(policies), Arc::new(routes)).restarted(outside.now());
        let inner = Inner {
            outside,
            holder: holder(&*entropy),
            lent: parking_lot::Mutex::default(),
            rekeying: tokio::sync::Mutex::default(),
            machine: RwLock::new(machine),
            keys,
            asked,
            entropy,
            event_sink: self.event_sink,
            sinks: Sinks::default(),
            refusal_sink: self.refusal_sink.unwrap_or_else(|| Arc::new(NoRefusals)),
            shield: shield.map(FloodShield::per_second),
            expects_client_ip,
            flows: Flows::of_which_answer_first(room.of_each),
            pump: tokio::sync::Mutex::new(()),
        };
        Ok(Engine {
            inner: Arc::new(inner),
        })
    }
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("providers", &self.providers.len())
            .finish_non_exhaustive()
    }
}

/// The scorers, or the one that sees no risk.
fn at_least_one(mut scorers: Vec<Arc<dyn RiskScorer>>) -> Vec<Arc<dyn RiskScorer>> {
    if scorers.is_empty() {
        scorers.push(Arc::new(NoRisk));
    }
    scorers
}

/// A random name, for as long as the engine runs.
fn holder(entropy: &dyn Entropy) -> HolderId {
    let mut name = [0; 16];
    for (slot, byte) in name.iter_mut().zip(entropy.seed()) {
        *slot = byte;
    }
    HolderId::from_bytes(name)
}

/// Checks policies by themselves, against what is here and by the day; logs what is worth a warning.
pub(crate) fn check_policies(
    policies: &PolicySet,
    routes: &Routes,
    asked: Asked,
    now: Timestamp,
) -> Result<(), BuildError> {
    let mut warnings = policies.check()?;
    warnings.extend(without_effect::notes(policies, routes, asked));
    warnings.extend(policies.notes_at(now));
    for (place, channel) in default_channels(policies) {
        if !is_carried(routes, channel) {
            return Err(BuildError::NoProviderForDefault { place, channel });
        }
    }
    for provider in routes.providers.values() {
        if let Some(service) = provider.scopes.left_out(policies.services.keys()) {
            return Err(BuildError::ServiceWithoutScope {
                service: service.clone(),
                provider: provider.name.clone(),
            });
        }
    }
    for warning in warnings {
        tracing::warn!(target: telemetry::TARGET_START, warning, "the policy");
    }
    let managed = routes.providers.values().find(|it| it.maker == Maker::Managed);
    let all = policies.services.values().chain([&policies.default]);
    let mut private = all.filter(|policy| policy.privacy.disclosure == Disclosure::Private);
    if let (Some(provider), true) = (managed, private.next().is_some()) {
        let provider = &*provider.name;
        let warning = "privacy.disclosure is private, and this provider compares its codes itself: that takes its time, and is a \
            503 where it fails, which a decoy has not; own codes have neither";
        tracing::warn!(target: telemetry::TARGET_START, provider, warning, "the policy");
    }
    for channel in policies
        .default
        .channels
        .enabled
        .iter()
        .filter(|channel| !is_carried(routes, **channel))
    {
        tracing::warn!(target: telemetry::TARGET_START, %channel, "enabled, but no provider carries it: never offered");
    }
    Ok(())
}

/// What the file says of a backend has no effect on an engine whose backend was not built from it.
fn are_taken_up(backends: &[BackendKeys]) -> Result<(), BuildError> {
    match backends.iter().find(|keys| !keys.taken_up) {
        Some(keys) => Err(BuildError::NotTakenUp {
            keys: keys.paths(),
            built_by: keys.built_by,
        }),
        None => Ok(()),
    }
}

/// Every default channel, with the place that names it.
fn default_channels(policies: &PolicySet) -> Vec<(String, Channel)> {
    let services = policies
        .services
        .iter()
        .map(|(service, policy)| (format!("service {service}"), policy));
    std::iter::once(("the policy".to_owned(), &policies.default))
        .chain(services)
        .flat_map(|(place, policy)| {
            let purposes = policy.purposes.iter().map({
                let place = place.clone();
                move |(purpose, rules)| (format!("purpose {purpose} of {place}"), rules.channels.default)
            });
            std::iter::once((place, policy.channels.default))
                .chain(purposes)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn is_carried(routes: &Routes, channel: Channel) -> bool {
    routes
        .order
        .iter()
        .any(|((routed, _), names)| *routed == channel && !names.is_empty())
}

fn client_ip(said: Option<bool>, policies: &PolicySet) -> Result<bool, BuildError> {
    if let Some(expected) = said {
        return Ok(expected);
    }
    let by_ip: BTreeSet<&str> = std::iter::once(&policies.default)
        .chain(policies.services.values())
        .flat_map(|policy| &policy.limits)
        .filter(|limit| {
            let by_address = |by: &Dimension| matches!(by, Dimension::Ip | Dimension::Network);
            limit.by.iter().any(by_address)
        })
        .map(|limit| &*limit.name)
        .collect();
    if by_ip.is_empty() {
        return Ok(false);
    }
    Err(BuildError::ClientIpUnsaid {
        limits: by_ip.into_iter().collect::<Vec<_>>().join(", "),
    })
}

type Named = Vec<(Capabilities, Arc<dyn Provider>)>;

fn named(providers: Vec<Arc<dyn Provider>>) -> Result<Named, BuildError> {
    if providers.is_empty() {
        return Err(BuildError::MissingProvider);
    }
    let mut seen = BTreeSet::new();
    let mut named = Vec::with_capacity(providers.len());
    for provider in providers {
        let capabilities = provider.capabilities();
        let name = &capabilities.name;
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !(1..=32).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(BuildError::ProviderName {
                name: name.to_string(),
            });
        }
        if RESERVED.contains(&&**name) {
            return Err(BuildError::ReservedName {
                name: name.to_string(),
            });
        }
        if !seen.insert(name.clone()) {
            return Err(BuildError::DuplicateProvider {
                name: name.to_string(),
            });
        }
        named.push((capabilities, provider));
    }
    Ok(named)
}

fn routes(providers: &[Capabilities], overrides: &[Route]) -> Result<Routes, BuildError> {
    let mut routes = Routes::in_order(providers.iter().cloned());
    for route in overrides {
        let names = route.names.iter().map(|name| {
            let provider = registered(&routes, "route", name)?;
            if !provider.channels.contains(&route.channel) {
                return Err(BuildError::RouteWithoutChannel {
                    channel: route.channel,
                    name: name.clone(),
                });
            }
            Ok(provider.name.clone())
        });
        let names = names.collect::<Result<Vec<_>, _>>()?;
        routes.order.insert((route.channel, route.country), names);
    }
    Ok(routes)
}

fn registered<'a>(
    routes: &'a Routes,
    called: &'static str,
    name: &str,
) -> Result<&'a Capabilities, BuildError> {
    routes
        .providers
        .get(name)
        .ok_or_else(|| BuildError::UnknownProvider {
            called,
            name: name.to_owned(),
            registered: routes
                .providers
                .keys()
                .map(AsRef::as_ref)
                .collect::<Vec<_>>()
                .join(", "),
        })
}

fn pacers(paces: &[(String, u32)], routes: &Routes) -> Result<BTreeMap<ProviderName, Pacer>, BuildError> {
    let pacer = |(name, most): &(String, u32)| {
        let provider = registered(routes, "pacing", name)?;
        Ok((provider.name.clone(), Pacer::per_second(rate("pacing", *most)?)))
    };
    paces.iter().map(pacer).collect()
}

fn rate(called: &'static str, most: u32) -> Result<NonZeroU32, BuildError> {
    NonZeroU32::new(most).ok_or(BuildError::ZeroRate { called })
}
