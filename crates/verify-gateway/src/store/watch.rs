//! How full the store is, for as long as it serves.

use std::time::Duration;

use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval};

use super::OpenStore;

/// The part of the store's room that is used, 0 to 1. Gauge.
pub const ROOM: &str = "verify_store_room_ratio";
/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// From this part on it is worth a warning.
const WARNED_FROM: f64 = 0.8;
/// The warning is over below this one: what stands at the edge is not told each second.
const OVER_BELOW: f64 = 0.75;

/// Looks at it again and again, for as long as it is polled.
pub async fn watch(store: OpenStore) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_warned = false;
    loop {
        clock.tick().await;
        // A store that does not answer is told elsewhere.
        let Ok(used) = store.room_used().await else {
            continue;
        };
        gauge!(ROOM).set(used);
        let was_warned = is_warned;
        is_warned = warns(used, was_warned);
        let percent = (used * 100.0).floor();
        match (was_warned, is_warned) {
            (false, true) => tracing::warn!(
                percent,
                "the store is nearly full: from 90 % on strangers are refused; give it more room"
            ),
            (true, false) => tracing::info!(percent, "the store has room again"),
            (false, false) | (true, true) => {}
        }
    }
}

/// Whether the warning stands now.
fn warns(used: f64, warned: bool) -> bool {
    let from = if warned { OVER_BELOW } else { WARNED_FROM };
    used >= from
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
}
