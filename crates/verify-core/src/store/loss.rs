//! What is said of a store that came up without what it held, or elsewhere.

use std::time::Duration;

use super::answer::{Epoch, Origin};
use super::changeset::{Alert, Changeset, Claim, Room};
use super::key::{ClaimKey, ClaimKind};
use crate::event::{Event, EventKind};
use crate::ids::EventId;
use crate::keys::Print;
use crate::seed::Seed;
use crate::time::{SKEW, Timestamp};
use crate::vocabulary::ServiceId;

/// Whoever has not accepted an epoch by then is told of it again.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(365 * 86_400);

/// What a store may have lost. Each is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// It came up with an epoch that nobody expected: `store.forgot`.
    Forgot(Epoch),
    /// Since then another server holds it, which may lack what it was behind by: `store.failed_over`.
    FailedOver(Epoch, Timestamp),
}

impl Origin {
    /// What may be lost there. Nobody accepts a server that took over, so that is told for as long as what keeps it from being
    /// told twice surely stands.
    pub fn losses(&self) -> impl Iterator<Item = Loss> + use<> {
        let forgot = (!self.accepted).then_some(Loss::Forgot(self.epoch));
        let epoch = self.epoch;
        let is_news = |moved: &Timestamp| self.clock.since(*moved) + SKEW < TOLD_AGAIN_AFTER;
        let failed_over = self.moved.filter(is_news);
        let failed_over = failed_over.map(|moved| Loss::FailedOver(epoch, moved));
        forgot.into_iter().chain(failed_over)
    }
}

impl Changeset {
    /// Tells a service of a loss, once, whoever asks. It is the same event for every engine.
    pub fn telling_of_loss(service: ServiceId, loss: Loss, at: Timestamp) -> Self {
        let (epoch, kind, label) = match loss {
            Loss::Forgot(epoch) => (epoch, EventKind::StoreForgot, "forgot".to_owned()),
            Loss::FailedOver(epoch, moved) => {
                let label = format!("failed over {}", moved.as_millis());
                (epoch, EventKind::StoreFailedOver, label)
            }
        };
        let seed = Seed::of_id(&epoch.0);
        let id = EventId::from_bytes(seed.bytes(&format!("{label} {service}")));
        let print = match loss {
            Loss::Forgot(epoch) => epoch.0,
            Loss::FailedOver(..) => seed.bytes(&label),
        };
        let mut changeset = Self::new(service.clone(), at, Room::Known);
        changeset.alerts.push(Alert {
            event: Event {
                id,
                ..Event::new(&seed, 0, at, service, kind)
            },
            once: Claim {
                key: ClaimKey {
                    kind: ClaimKind::Alert,
                    print: Print::from_bytes(print),
                },
                value: Vec::new(),
                expires_at: at + TOLD_AGAIN_AFTER,
            },
        });
        changeset
    }
}
