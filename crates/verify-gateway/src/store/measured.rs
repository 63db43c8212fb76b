//! What is measured of the store while it serves, besides what the store and the engine measure themselves.

use std::collections::BTreeSet;

use metrics::{Unit, describe_gauge, gauge};
use verify_batch::{Figures, Outbox};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

/// The part of the store's room that is used, 0 to 1. Gauge.
pub const ROOM: &str = "verify_store_room_ratio";
/// Bytes of what the store holds. Gauge; of a store in memory there is none.
pub const HELD: &str = "verify_store_held_bytes";
/// Bytes that its file or its tables take on the disk, with what is free in between. Gauge; of a store in memory there is none.
pub const DISK: &str = "verify_store_disk_bytes";
/// How long ago the row could have been dropped that was outlived first, 0 where there is none. Gauge, seconds.
pub const OUTLIVED: &str = "verify_store_outlived_seconds";
/// Events that no sink took yet, by `service`. Gauge.
pub const OUTBOX_EVENTS: &str = "verify_store_outbox_events";
/// The age of the first of them, by `service`. Gauge, seconds.
pub const OUTBOX_OLDEST: &str = "verify_store_outbox_oldest_seconds";

/// Tells the recorder what they mean.
pub(crate) fn describe() {
    let (count, bytes, seconds) = (Unit::Count, Unit::Bytes, Unit::Seconds);
    describe_gauge!(ROOM, count, "The part of the store's room that is used, 0 to 1.");
    describe_gauge!(HELD, bytes, "Bytes of what the store holds.");
    let disk = "Bytes that the store's file or tables take on the disk, with what is free in between.";
    describe_gauge!(DISK, bytes, disk);
    let outlived = "Seconds since the row could have been dropped that was outlived first; 0: there is none.";
    describe_gauge!(OUTLIVED, seconds, outlived);
    describe_gauge!(OUTBOX_EVENTS, count, "Events that no sink took yet, by service.");
    let oldest = "The age of the first event that no sink took yet, by service.";
    describe_gauge!(OUTBOX_OLDEST, seconds, oldest);
}

/// Shows a store's figures, and which services it showed before.
#[derive(Debug, Default)]
pub(super) struct Shown(BTreeSet<ServiceId>);

impl Shown {
    pub(super) fn show(&mut self, figures: &Figures, now: Timestamp) {
        for (name, bytes) in [(HELD, figures.held), (DISK, figures.disk)] {
            if let Some(bytes) = bytes {
                gauge!(name).set(bytes as f64);
            }
        }
        let outlived = figures.outlived.map_or(0.0, |at| now.since(at).as_secs_f64());
        gauge!(OUTLIVED).set(outlived);
        for outbox in &figures.outboxes {
            let age = age(outbox, now).unwrap_or_default();
            set_outbox(&outbox.service, outbox.events as f64, age as f64);
        }
        // One that is empty now is not among them, and must not stand there as it was.
        let named: BTreeSet<_> = figures
            .outboxes
            .iter()
            .map(|outbox| outbox.service.clone())
            .collect();
        for service in self.0.difference(&named) {
            set_outbox(service, 0.0, 0.0);
        }
        self.0 = named;
    }
}

/// For how many seconds the first event has been waiting.
pub(crate) fn age(outbox: &Outbox, now: Timestamp) -> Option<u64> {
    outbox.oldest.map(|oldest| now.since(oldest).as_secs())
}

fn set_outbox(service: &ServiceId, events: f64, oldest: f64) {
    gauge!(OUTBOX_EVENTS, "service" => service.to_string()).set(events);
    gauge!(OUTBOX_OLDEST, "service" => service.to_string()).set(oldest);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn each_is_introduced_and_an_outbox_that_was_emptied_is_shown_empty() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let figures = Figures {
            held: Some(3),
            disk: Some(4),
            outlived: Some(now - Duration::from_secs(90)),
            outboxes: vec![Outbox {
                service: ServiceId::default(),
                events: 7,
                oldest: Some(now - Duration::from_secs(5)),
                used: 0.1,
            }],
        };
        let mut shown = Shown::default();
        metrics::with_local_recorder(&recorder, || {
            describe();
            gauge!(ROOM).set(0.5);
            shown.show(&figures, now);
        });
        let text = recorder.handle().render();
        for name in [ROOM, HELD, DISK, OUTLIVED, OUTBOX_EVENTS, OUTBOX_OLDEST] {
            assert!(text.contains(&format!("# HELP {name} ")), "{name}: {text}");
        }
        let of_default = |name| format!("{name}{{service=\"default\"}}");
        let lines = |lines: [(&str, u32); 5]| lines.map(|(name, value)| format!("\n{name} {value}\n"));
        let (events, oldest) = (of_default(OUTBOX_EVENTS), of_default(OUTBOX_OLDEST));
        for line in lines([(HELD, 3), (DISK, 4), (OUTLIVED, 90), (&events, 7), (&oldest, 5)]) {
            assert!(text.contains(&line), "{line}: {text}");
        }
        metrics::with_local_recorder(&recorder, || shown.show(&Figures::default(), now));
        let text = recorder.handle().render();
        // What is not said stands as it was.
        for line in lines([(HELD, 3), (DISK, 4), (OUTLIVED, 0), (&events, 0), (&oldest, 0)]) {
            assert!(text.contains(&line), "{line}: {text}");
        }
    }
}
