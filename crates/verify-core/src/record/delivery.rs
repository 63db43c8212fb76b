//! A delivery: one attempt to carry a code, and what became of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DeliveryStatus;
use crate::ids::DeliveryId;
use crate::port::{ProviderName, RejectionKind};
use crate::time::{SKEW, Timestamp};
use crate::vocabulary::Channel;

/// How often an unknown delivery is asked about.
pub const MOST_INQUIRIES: u8 = 4;

/// One attempt to carry a code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Delivery {
    /// Its number within the verification, rising.
    pub number: u8,
    /// By it the flow that recorded it finds it again.
    pub id: DeliveryId,
    /// How.
    pub channel: Channel,
    /// Through whom.
    pub provider: ProviderName,
    /// When it was recorded.
    pub at: Timestamp,
    /// Nothing is dispatched after this.
    pub not_after: Timestamp,
    /// The provider's id.
    pub upstream: Option<String>,
    /// Why it failed, when a provider said so.
    pub rejection: Option<RejectionKind>,
    /// How often it was asked about.
    pub inquiries: u8,
    /// Nobody carries it: it is a decoy's, or surely was not sent where nobody may notice.
    pub decoy: bool,
    status: DeliveryStatus,
}

impl Delivery {
    /// A delivery that is about to be dispatched.
    pub fn dispatching(
        id: DeliveryId,
        channel: Channel,
        provider: ProviderName,
        at: Timestamp,
        not_after: Timestamp,
    ) -> Self {
        Self {
            number: 0,
            id,
            channel,
            provider,
            at,
            not_after,
            upstream: None,
            rejection: None,
            inquiries: 0,
            decoy: false,
            status: DeliveryStatus::Dispatching,
        }
    }

    /// Where it stands.
    pub fn status(&self) -> DeliveryStatus {
        self.status
    }

    /// Moves along the table; false, and nothing changes, where the table has no such step.
    pub fn advance(&mut self, to: DeliveryStatus) -> bool {
        let allowed = DeliveryStatus::TRANSITIONS.contains(&(self.status, to));
        if allowed {
            self.status = to;
        }
        allowed
    }

    /// True when somebody may have got what it carries.
    pub fn may_have_come(&self) -> bool {
        !self.decoy && self.status.may_have_sent()
    }

    /// When it wants to be looked at, while nobody knows what became of it.
    pub fn due(&self) -> Option<Timestamp> {
        let waits = matches!(self.status, DeliveryStatus::Dispatching | DeliveryStatus::Unknown);
        (waits && self.inquiries < MOST_INQUIRIES)
            .then(|| self.not_after + SKEW + Duration::from_secs(30) * ((1 << self.inquiries) - 1))
    }
}
