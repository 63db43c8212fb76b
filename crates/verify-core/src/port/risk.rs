//! The risk scorer and the human check.

use std::net::IpAddr;

use async_trait::async_trait;
use auto_impl::auto_impl;

#[cfg(doc)]
use super::Blame;
use super::RejectionKind;
use crate::keys::Print;
use crate::vocabulary::{Channel, Country, Purpose, ServiceId, Standing};

/// What a scorer is asked about. It gets the destination in the clear, because a lookup needs it, and nothing of it
/// is kept.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AssessRequest {
    /// The service.
    pub service: ServiceId,
    /// Canonical destination. Do not log it.
    pub to: String,
    /// Its fingerprint, for logs.
    pub destination: Print,
    /// Country of the number.
    pub country: Option<Country>,
    /// The channel that is about to be used.
    pub channel: Channel,
    /// Why.
    pub purpose: Purpose,
    /// The application's user id.
    pub subject: Option<String>,
    /// Whether the caller showed a device token.
    pub standing: Standing,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The client's network.
    pub asn: Option<u32>,
    /// The application's device id.
    pub device: Option<String>,
}

impl std::fmt::Debug for AssessRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AssessRequest")
            .field("service", &self.service)
            .field("destination", &self.destination)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// How risky a send is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RiskLevel {
    /// Nothing stands out.
    Low,
    /// Something does.
    Medium,
    /// It looks like an attack.
    High,
}

/// A scorer's word. Of several scorers the worst holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Assessment {
    /// The level, when the scorer has its own thresholds.
    pub level: Option<RiskLevel>,
    /// 0 (fine) to 100; the policy's thresholds make a level of it where none is given.
    pub score: Option<u8>,
    /// What it saw, for operators: short words without personal data.
    pub signals: Vec<String>,
    /// The channel does not reach this destination, and why: settled as if a provider had refused it;
    /// under private disclosure it is a decoy that is sent, and nothing is noted. Kinds that blame
    /// the destination count ([`Blame::Destination`]); any other says nothing.
    pub verdict: Option<RejectionKind>,
}

impl Assessment {
    /// This level, and nothing else.
    pub fn of_level(level: RiskLevel) -> Self {
        Self {
            level: Some(level),
            ..Self::default()
        }
    }

    /// This score, and nothing else.
    pub fn of_score(score: u8) -> Self {
        Self {
            score: Some(score),
            ..Self::default()
        }
    }

    /// This verdict, and nothing else.
    pub fn of_verdict(kind: RejectionKind) -> Self {
        Self {
            verdict: Some(kind),
            ..Self::default()
        }
    }
}

/// The scorer could not be asked, or did not answer by the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the assessment is unavailable")]
pub struct Unavailable;

/// Judges how risky a send is, before anything is dispatched and after everything was charged.
///
/// *Safe direction of failure*: [`Unavailable`]; the policy's `risk.unavailable` decides then, and the caps hold
/// whatever it says.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(Arc, Box)]
pub trait RiskScorer: Send + Sync {
    /// Judges one send.
    ///
    /// # Errors
    /// [`Unavailable`] when it cannot tell.
    async fn assess(&self, request: &AssessRequest) -> Result<Assessment, Unavailable>;
}

/// A scorer that finds everything low.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRisk;

#[async_trait]
impl RiskScorer for NoRisk {
    async fn assess(&self, _request: &AssessRequest) -> Result<Assessment, Unavailable> {
        Ok(Assessment::of_level(RiskLevel::Low))
    }
}

/// What a human check is asked about.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HumanRequest {
    /// The service.
    pub service: ServiceId,
    /// Why somebody is verified.
    pub purpose: Purpose,
    /// The fingerprint of the destination: what a token can be bound to.
    pub destination: Print,
    /// The token that the application collected.
    pub token: String,
    /// The client's address.
    pub ip: Option<IpAddr>,
}

impl std::fmt::Debug for HumanRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HumanRequest")
            .field("service", &self.service)
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}

/// Tells a person from a program, by a token that the application collected (a CAPTCHA, a proof of work).
///
/// *Safe direction of failure*: [`Unavailable`], which refuses.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(Arc, Box)]
pub trait HumanCheck: Send + Sync {
    /// False when there is no such check here: what would ask for one refuses instead.
    fn is_configured(&self) -> bool;

    /// True when the token shows a person. A token is good once; remembering that is the check's own business.
    ///
    /// # Errors
    /// [`Unavailable`] when it cannot tell.
    async fn verify(&self, request: &HumanRequest) -> Result<bool, Unavailable>;
}

/// No human check: what would ask for one refuses.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHumanCheck;

#[async_trait]
impl HumanCheck for NoHumanCheck {
    fn is_configured(&self) -> bool {
        false
    }

    async fn verify(&self, _request: &HumanRequest) -> Result<bool, Unavailable> {
        Err(Unavailable)
    }
}
