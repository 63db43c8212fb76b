//! What is measured does not fill the memory while nobody asks for it.

use std::alloc::System;
use std::time::Duration;

use metrics::histogram;
use metrics_exporter_prometheus::PrometheusBuilder;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use verify_gateway::serve::keep_up;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A measurement takes sixteen bytes until it is summed up.
const ONE: usize = 16;
const ROUNDS: usize = 100;
const A_ROUND: usize = 10_000;

#[tokio::test(start_paused = true)]
async fn measurements_are_summed_up_though_nobody_reads_them() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let histogram = metrics::with_local_recorder(&recorder, || histogram!("verify_http_request_seconds"));
    tokio::spawn(keep_up(recorder.handle()));
    let region = Region::new(COUNTING);
    for _ in 0..ROUNDS {
        (0..A_ROUND).for_each(|n| histogram.record(n as f64));
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    let change = region.change();
    let kept = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    assert!(kept < ROUNDS * A_ROUND * ONE / 4, "{kept} bytes are kept");
    let text = recorder.handle().render();
    assert!(
        text.contains(&format!("verify_http_request_seconds_count {}", ROUNDS * A_ROUND)),
        "{text}"
    );
}
