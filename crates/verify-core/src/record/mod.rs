//! The record of a destination: its verifications, their deliveries, and the two transition tables.
//!
//! One record for each (service, destination). It holds at most [`MOST_VERIFICATIONS`], [`KEPT_FOR_KNOWN`] of them
//! kept for known callers; terminal ones make room. Beside it there may be [`Notes`].

mod delivery;
mod format;
mod notes;
mod status;
mod verification;

pub use delivery::{Delivery, MOST_INQUIRIES};
pub use format::Unwritable;
pub use notes::{Cap, Note, Notes};
pub use status::{DeliveryStatus, Status};
pub use verification::{ApprovalMark, CodeOf, Identity, MOST_DELIVERIES, Verification};

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{AnnouncerId, Nonce};
use crate::keys::{KeyId, Print};
use crate::port::ProviderName;
use crate::store::{Lifetime, Row, StoreFault, WrittenUnder};
use crate::time::{SKEW, Timestamp};
use crate::vocabulary::Standing;

/// The most verifications that a destination has at a time.
pub const MOST_VERIFICATIONS: usize = 8;
/// Of these, kept for known callers, so that strangers cannot fill all.
pub const KEPT_FOR_KNOWN: usize = 2;
/// How long after its code died a verification can still be read.
pub const RETENTION: Duration = Duration::from_secs(600);

/// A conclusion that is about to be told to a provider. Sends of its scope wait for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Concluding {
    /// The provider that is told.
    pub provider: ProviderName,
    /// The scope whose code ends.
    pub scope: Arc<str>,
    /// Of which mailbox, as delivered; `None` for a number.
    pub mailbox: Option<Print>,
    /// Who announced it.
    pub by: AnnouncerId,
    /// It is surely over after this.
    pub until: Timestamp,
}

/// The verifications of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Record {
    /// Oldest first.
    pub verifications: Vec<Verification>,
    /// What is being told to a provider.
    pub concluding: Option<Concluding>,
}

impl Record {
    /// Reads a row.
    ///
    /// # Errors
    /// [`StoreFault::Corrupt`] when it is none, or of a format that this version does not know.
    pub fn decode(row: &Row) -> Result<Self, StoreFault> {
        format::decoded(row)
    }

    /// The row that holds it, with its header, for a key that was made with this one of the ring.
    ///
    /// # Errors
    /// [`Unwritable`] when it cannot be written; there is no such record.
    pub fn encode(&self, fingerprint: KeyId) -> Result<Row, Unwritable> {
        let bytes = format::encoded(self)?;
        let announced = self.concluding.iter().map(|concluding| concluding.until);
        let expiries = self.verifications.iter().map(|verification| verification.expires);
        let last = expiries.chain(announced).max().unwrap_or(Timestamp::ZERO);
        let pending = || {
            self.verifications
                .iter()
                .filter(|verification| verification.status() == Status::Pending)
        };
        let unsettled = self
            .verifications
            .iter()
            .flat_map(|verification| &verification.deliveries)
            .filter_map(Delivery::due);
        Ok(Row {
            version: 0,
            lifetime: Lifetime::Until(last + RETENTION),
            live_until: pending().map(|verification| verification.expires).max(),
            due: pending()
                .map(|verification| verification.expires + SKEW)
                .chain(unsettled)
                .min(),
            under: WrittenUnder {
                fingerprint,
                seal: self.verifications.first().and_then(Verification::sealed_under),
            },
            bytes,
        })
    }

    /// The newest stamp in it.
    pub fn newest(&self) -> Timestamp {
        self.verifications
            .iter()
            .map(Verification::newest)
            .max()
            .unwrap_or(Timestamp::ZERO)
    }

    /// The verification with this nonce.
    pub fn verification(&self, nonce: Nonce) -> Option<&Verification> {
        self.verifications
            .iter()
            .find(|verification| verification.nonce == nonce)
    }

    /// The verification with this nonce, to change it.
    pub fn verification_mut(&mut self, nonce: Nonce) -> Option<&mut Verification> {
        self.verifications
            .iter_mut()
            .find(|verification| verification.nonce == nonce)
    }

    /// True when there is nothing in it that anybody could ask for or wait for.
    pub fn is_empty(&self) -> bool {
        self.verifications.is_empty() && self.concluding.is_none()
    }

    /// Makes room for one more of this standing: the oldest terminal one goes. False when there is none to go.
    pub fn make_room(&mut self, standing: Standing, now: Timestamp) -> bool {
        let most = match standing {
            Standing::Stranger => MOST_VERIFICATIONS - KEPT_FOR_KNOWN,
            Standing::Known => MOST_VERIFICATIONS,
        };
        while self.verifications.len() >= most {
            let Some(oldest) = self
                .verifications
                .iter()
                .position(|verification| !verification.is_pending(now))
            else {
                return false;
            };
            self.verifications.remove(oldest);
        }
        true
    }
}
