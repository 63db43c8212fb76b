//! What is said of a store that came up without what it held.

use std::time::Duration;

use super::answer::Epoch;
use super::changeset::{Alert, Changeset, Claim, Room};
use super::key::{ClaimKey, ClaimKind};
use crate::event::{Event, EventKind};
use crate::ids::EventId;
use crate::keys::Print;
use crate::seed::Seed;
use crate::time::Timestamp;
use crate::vocabulary::ServiceId;

/// Whoever has not accepted an epoch by then is told of it again.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(365 * 86_400);

impl Changeset {
    /// Tells a service that the store came up with an epoch that nobody expected: `store.forgot`, once, whoever asks. It is
    /// the same event for every engine.
    pub fn telling_of_loss(service: ServiceId, epoch: Epoch, at: Timestamp) -> Self {
        let seed = Seed::of_id(&epoch.0);
        let id = EventId::from_bytes(seed.bytes(&format!("forgot {service}")));
        let mut changeset = Self::new(service.clone(), at, Room::Known);
        changeset.alerts.push(Alert {
            event: Event {
                id,
                ..Event::new(&seed, 0, at, service, EventKind::StoreForgot)
            },
            once: Claim {
                key: ClaimKey {
                    kind: ClaimKind::Alert,
                    print: Print::from_bytes(epoch.0),
                },
                value: Vec::new(),
                expires_at: at + TOLD_AGAIN_AFTER,
            },
        });
        changeset
    }
}
