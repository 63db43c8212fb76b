//! Whether the engine can work just now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use verify_core::port::{Blame, Detail, Provider, ProviderName, Rejection, RejectionKind};
use verify_core::store::{Origin, StoreFault};
use verify_core::time::Timestamp;

use crate::engine::Engine;

/// A provider that does not say how it is within this time is down.
const PROBE: Duration = Duration::from_secs(5);

/// How the store and the providers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether the store can decide, and where what it holds comes from; why not, in its own words, masked.
    pub store: Result<Origin, StoreFault>,
    /// Until when sends, checks and redeems wait because the store may have lost what it counted, unless an operator accepts
    /// it before; of the policies in force the one that waits longest. Cancels, status, reports and operators go on.
    pub cools_until: Option<Timestamp>,
    /// True while the store's clock and this machine's differ by more than the skew ([`SKEW`](verify_core::time::SKEW)), in
    /// three answers running: nothing is decided then. Looked at by each call of [`Engine::readiness`] and by the background
    /// rounds; without either an engine that refuses never learns that the clocks agree again.
    pub clocks_differ: bool,
    /// True when this engine has no event sink and started on a store that one with a sink used within the last week: events are
    /// kept for that one. Give it the same sink ([`EngineBuilder::event_sink`](crate::EngineBuilder::event_sink)).
    pub lacks_a_sink: bool,
    /// By provider.
    pub providers: BTreeMap<ProviderName, ProviderReadiness>,
}

/// How a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderReadiness {
    /// Whether it can be reached with its credentials, as it says itself.
    pub health: Result<(), Rejection>,
    /// True while a breaker keeps sends or comparisons away.
    pub breaker_open: bool,
    /// True when it refused our credentials within the last minute, whatever it was asked, or says now that it cannot work
    /// as it is set up: an operator has to act.
    pub operator_fault: bool,
}

impl Readiness {
    /// False when the store cannot decide, when its clock and this machine's differ, when this engine
    /// [lacks a sink](Self::lacks_a_sink), when an operator has to correct a provider's credentials or configuration, or when no provider at all can be reached. One provider of several that is down is no reason:
    /// the others carry on. Nothing that a request can bring about is one either: neither a channel or purpose that a
    /// provider is not set up for, nor a quota that is used up. While a store [cools](Self::cools_until) it is ready: all
    /// engines wait alike, and what goes on meanwhile needs one.
    pub fn is_ready(&self) -> bool {
        let wants_operator = self.providers.values().any(|provider| provider.operator_fault);
        let reached = |provider: &ProviderReadiness| match &provider.health {
            Ok(()) => true,
            Err(rejection) => rejection.kind.blame() == Blame::Quota,
        };
        let reachable = self.providers.values().any(reached);
        self.store.is_ok() && !self.clocks_differ && !self.lacks_a_sink && reachable && !wants_operator
    }
}

impl Engine {
    /// Asks the store and every provider how they are. Costs nothing and sends nothing.
    pub async fn readiness(&self) -> Readiness {
        let outside = &self.inner.outside;
        let mut asked = JoinSet::new();
        for (name, carrier) in &outside.carriers {
            let (name, provider) = (name.clone(), Arc::clone(&carrier.provider));
            asked.spawn(async move { (name, health_of(&*provider).await) });
        }
        let store = outside.look_at_store().await;
        if self.inner.event_sink.is_none() {
            // A fault is the store's, which says so itself.
            self.learn_of_sinks().await.ok();
        }
        let mut said = BTreeMap::new();
        while let Some(joined) = asked.join_next().await {
            said.extend(joined.ok());
        }
        let now = outside.now();
        let state = |(name, carrier): (&ProviderName, &crate::carrier::Carrier)| {
            let health = said
                .remove(name)
                .unwrap_or_else(|| Err(down("the health check failed")));
            // Nobody chose what the health check asked, so that whatever it finds wanting is the operator's matter.
            let blamed = |rejection: &Rejection| rejection.kind.blame() == Blame::Operator;
            let refused = health.as_ref().is_err_and(blamed);
            let readiness = ProviderReadiness {
                breaker_open: carrier.is_resting(now),
                operator_fault: refused || carrier.has_operator_fault(now),
                health,
            };
            (name.clone(), readiness)
        };
        Readiness {
            cools_until: store.as_ref().ok().and_then(|origin| self.cools_until(origin)),
            clocks_differ: outside.store_watch.is_apart(),
            lacks_a_sink: self.lacks_a_sink(),
            store,
            providers: outside.carriers.iter().map(state).collect(),
        }
    }
}

impl Engine {
    /// Until when a store that came up without what it held is waited for.
    fn cools_until(&self, origin: &Origin) -> Option<Timestamp> {
        let policies = self.policies();
        let all = policies.services.values().chain([&policies.default]);
        let longest = all.map(|policy| policy.looks_back()).max().unwrap_or_default();
        origin.cools(longest, self.now())?;
        origin.cools_until(longest)
    }
}

async fn health_of(provider: &dyn Provider) -> Result<(), Rejection> {
    timeout(PROBE, provider.health())
        .await
        .unwrap_or_else(|_| Err(down("no answer to the health check")))
}

fn down(text: &'static str) -> Rejection {
    Rejection {
        kind: RejectionKind::Down,
        retry_after: None,
        detail: Detail::new(None, text),
    }
}
