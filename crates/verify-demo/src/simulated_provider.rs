//! A provider and a risk scorer over a simulated phone network.

use std::sync::Arc;

use async_trait::async_trait;
use verify_core::port::{
    AssessRequest, Assessment, Capabilities, CompareRequest, Compared, ConcludeRequest, Concluded, Detail,
    DispatchRequest, Dispatched, InquireRequest, Inquired, Maker, Provider, ProviderName, Rejection,
    RiskLevel, RiskScorer, Scopes, Unavailable,
};
use verify_core::vocabulary::Channel;

use crate::phone_network::PhoneNetwork;

/// Carries codes of the engine over a [`PhoneNetwork`], by every channel.
#[derive(Debug, Clone)]
pub struct SimulatedProvider {
    name: ProviderName,
    network: Arc<PhoneNetwork>,
}

impl SimulatedProvider {
    /// A provider of this name over a network.
    pub fn new(name: &str, network: Arc<PhoneNetwork>) -> Self {
        Self {
            name: name.into(),
            network,
        }
    }
}

#[async_trait]
impl Provider for SimulatedProvider {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: Arc::clone(&self.name),
            channels: Channel::ALL.to_vec(),
            maker: Maker::Own,
            scopes: Scopes::default(),
            can_inquire: true,
            can_conclude: false,
            reports: true,
            most_checks: None,
        }
    }

    async fn dispatch(&self, request: &DispatchRequest) -> Dispatched {
        self.network.carry(request)
    }

    async fn compare(&self, _request: &CompareRequest) -> Compared {
        Compared::NotAsked(Detail::new(None, "codes of the engine are not compared here"))
    }

    async fn inquire(&self, request: &InquireRequest) -> Inquired {
        self.network.look_up(request.dispatch_id)
    }

    async fn conclude(&self, _request: &ConcludeRequest) -> Concluded {
        Concluded::Gone
    }

    async fn health(&self) -> Result<(), Rejection> {
        Ok(())
    }
}

/// Finds destinations as risky as the network's [`Behaviour`](crate::Behaviour)s say.
#[derive(Debug, Clone)]
pub struct SimulatedRiskScorer {
    network: Arc<PhoneNetwork>,
}

impl SimulatedRiskScorer {
    /// A scorer over a network.
    pub fn new(network: Arc<PhoneNetwork>) -> Self {
        Self { network }
    }
}

#[async_trait]
impl RiskScorer for SimulatedRiskScorer {
    async fn assess(&self, request: &AssessRequest) -> Result<Assessment, Unavailable> {
        let level = self.network.risk(&request.to);
        let signals = if level == RiskLevel::Low {
            Vec::new()
        } else {
            vec!["simulated".to_owned()]
        };
        Ok(Assessment {
            level: Some(level),
            signals,
            ..Assessment::default()
        })
    }
}
