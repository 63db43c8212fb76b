//! How full the store and its outboxes are, for as long as it serves.

use std::collections::BTreeSet;
use std::time::Duration;

use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval};
use verify_batch::Outbox;
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_engine::Engine;

use super::OpenStore;
use super::measured::{ROOM, Shown, age};

/// How often its room is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Each so many times it is asked for figures too, which costs it more.
const FIGURES_EACH: u32 = 5;
/// From this part on it is worth a warning.
pub(crate) const WARNED_FROM: f64 = 0.8;
/// The warning is over below this one: what stands at the edge is not told each second.
const OVER_BELOW: f64 = 0.75;

/// Looks at it again and again, for as long as it is polled.
pub async fn watch(store: OpenStore, engine: Engine) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_warned, mut shown, mut warned) = (false, Shown::default(), BTreeSet::new());
    for nth in (0..FIGURES_EACH).cycle() {
        clock.tick().await;
        // A store that does not answer is told elsewhere.
        if let Ok(used) = store.room_used().await {
            gauge!(ROOM).set(used);
            is_warned = told_of_room(used, is_warned);
        }
        if nth == 0
            && let Ok(figures) = store.figures().await
        {
            let now = engine.now();
            shown.show(&figures, now);
            warned = told_of_outboxes(&figures.outboxes, &warned, now);
        }
    }
}

/// Whether the warning stands now.
fn warns(used: f64, warned: bool) -> bool {
    let from = if warned { OVER_BELOW } else { WARNED_FROM };
    used >= from
}

fn told_of_room(used: f64, was_warned: bool) -> bool {
    let is_warned = warns(used, was_warned);
    let percent = (used * 100.0).floor();
    match (was_warned, is_warned) {
        (false, true) => tracing::warn!(
            percent,
            "the store is nearly full: from 90 % on strangers are refused; give it more room"
        ),
        (true, false) => tracing::info!(percent, "the store has room again"),
        (false, false) | (true, true) => {}
    }
    is_warned
}

/// Of which services' outboxes a warning stands now.
fn told_of_outboxes(
    outboxes: &[Outbox],
    warned: &BTreeSet<ServiceId>,
    now: Timestamp,
) -> BTreeSet<ServiceId> {
    let full = outboxes
        .iter()
        .filter(|outbox| warns(outbox.used, warned.contains(&outbox.service)));
    let mut standing = BTreeSet::new();
    for outbox in full {
        let Outbox {
            service,
            events,
            used,
            ..
        } = outbox;
        if !warned.contains(service) {
            let (percent, oldest_seconds) = ((used * 100.0).floor(), age(outbox, now));
            tracing::warn!(
                %service, percent, events, oldest_seconds,
                "events wait that no sink takes: when no more fit what strangers begin is refused"
            );
        }
        standing.insert(service.clone());
    }
    for service in warned.difference(&standing) {
        tracing::info!(%service, "the outbox has room again");
    }
    standing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_at_the_edge_is_told_once() {
        let mut warned = false;
        let mut told = Vec::new();
        for used in [0.0, 0.79, 0.8, 0.79, 0.8, 0.95, 0.76, 0.74, 0.79, 0.81] {
            let before = warned;
            warned = warns(used, before);
            if before != warned {
                told.push(used);
            }
        }
        assert_eq!(told, [0.8, 0.74, 0.81]);
    }

    #[test]
    fn each_outbox_is_told_of_by_itself() {
        let outbox = |name: &str, used| Outbox {
            service: ServiceId::new(name).unwrap(),
            events: 8,
            oldest: None,
            used,
        };
        let mut warned = BTreeSet::new();
        for (outboxes, standing) in [
            (vec![outbox("a", 0.79), outbox("b", 0.8)], vec!["b"]),
            (vec![outbox("a", 0.9), outbox("b", 0.76)], vec!["a", "b"]),
            (vec![outbox("a", 0.8), outbox("b", 0.7)], vec!["a"]),
            // Empty, it is not named any more.
            (vec![], vec![]),
        ] {
            warned = told_of_outboxes(&outboxes, &warned, Timestamp::ZERO);
            let names: Vec<_> = warned.iter().map(ServiceId::as_str).collect();
            assert_eq!(names, standing);
        }
    }
}
