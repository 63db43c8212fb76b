//! Lines on their way to standard error: gathered, written by a thread of their own, and counted when they are lost.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::{DROPPED, Lines, MOST_WAITED};

/// Lines that may wait to be written. A request never waits for the log: what is more is dropped, and counted.
const MOST_WAITING: usize = 8_192;

/// Once there is a line, so long more are gathered before they are written together: to wake the writer for each would
/// cost more than the line.
const GATHERED_FOR: Duration = Duration::from_millis(5);

/// Lines on their way to standard error.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    written: Condvar,
    /// How many are written, or lost, of all that ever came.
    through: watch::Sender<u64>,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    lines: usize,
    /// The number of the last one.
    last: u64,
    /// How many were written, or lost, when somebody waited in vain for more.
    stuck: Option<u64>,
    /// Lines that were lost and of which nobody was told.
    lost: usize,
    is_over: bool,
    is_written: bool,
}

impl Waiting {
    fn lose(&mut self, lines: usize) {
        self.lost += lines;
        metrics::counter!(DROPPED).increment(lines as u64);
    }
}

impl Queue {
    /// Writes all that waits, again and again, until it is over.
    pub(super) fn write_all(&self, mut to: impl Write) {
        let mut text = Vec::new();
        let mut is_over = false;
        while !is_over {
            let mut waiting = self.waiting.lock();
            self.changed
                .wait_while(&mut waiting, |waiting| waiting.lines == 0 && !waiting.is_over);
            self.changed
                .wait_while_for(&mut waiting, |waiting| !waiting.is_over, GATHERED_FOR);
            std::mem::swap(&mut text, &mut waiting.text);
            let lines = std::mem::take(&mut waiting.lines);
            let lost = std::mem::take(&mut waiting.lost);
            let last = waiting.last;
            is_over = waiting.is_over;
            drop(waiting);
            if lost > 0 {
                text.extend_from_slice(&told_of_lost(lost));
            }
            if to.write_all(&text).is_err() {
                let mut waiting = self.waiting.lock();
                waiting.lose(lines);
                // They are still to be told of, and were counted before.
                waiting.lost += lost;
            }
            text.clear();
            self.through.send_replace(last);
        }
        self.waiting.lock().is_written = true;
        self.written.notify_all();
    }

    /// Waits until all lines so far are written. Where somebody waited in vain, nobody does until one more is written.
    pub(super) async fn written_so_far(&self) {
        let mut through = self.through.subscribe();
        let (last, stuck) = {
            let waiting = self.waiting.lock();
            (waiting.last, waiting.stuck)
        };
        if stuck == Some(*through.borrow()) {
            return;
        }
        let written = through.wait_for(|through| *through >= last);
        if tokio::time::timeout(MOST_WAITED, written).await.is_err() {
            self.waiting.lock().stuck = Some(*self.through.borrow());
        }
    }

    /// No line comes any more. Waits two seconds at most until those that wait are written.
    pub(super) fn end(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_over = true;
        self.changed.notify_one();
        // The writer hangs when nobody reads; it goes with the process.
        self.written
            .wait_while_for(&mut waiting, |waiting| !waiting.is_written, MOST_WAITED);
    }
}

/// The line that says how many were lost before it.
fn told_of_lost(lost: usize) -> Vec<u8> {
    let at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let line = serde_json::json!({
        "at": at,
        "level": "warn",
        "target": "verify_gateway::logs",
        "lost": lost,
        "message": "lines of this log were lost before this one",
    });
    format!("{line}\n").into_bytes()
}

impl Lines for Arc<Queue> {
    fn line(&self, line: &[u8]) {
        let mut waiting = self.waiting.lock();
        if waiting.lines == MOST_WAITING {
            waiting.lose(1);
            return;
        }
        waiting.text.extend_from_slice(line);
        waiting.text.push(b'\n');
        waiting.lines += 1;
        waiting.last += 1;
        // The writer gathers already when this is not the first.
        if waiting.lines == 1 {
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_log_that_cannot_keep_up_drops_lines_and_keeps_room() {
        let queue = Arc::new(Queue::default());
        for _ in 0..MOST_WAITING + 5 {
            queue.line(b"{}");
        }
        let waiting = queue.waiting.lock();
        assert_eq!(
            (waiting.lines, waiting.text.len(), waiting.lost),
            (MOST_WAITING, MOST_WAITING * 3, 5)
        );
    }

    /// A process that is killed takes along what it has not written, and the store has forgotten what was taken.
    #[tokio::test]
    async fn i145_lines_that_have_to_be_out_are_waited_for() {
        let queue = Arc::new(Queue::default());
        queue.line(b"{}");
        queue.line(b"{}");
        let at_once = tokio::time::timeout(Duration::ZERO, queue.written_so_far());
        assert!(at_once.await.is_err(), "nobody has written them yet");
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (lines, to) = (Arc::clone(&queue), Failing(0, Arc::clone(&kept)));
        std::thread::spawn(move || lines.write_all(to));
        queue.written_so_far().await;
        assert_eq!(*kept.lock(), b"{}\n{}\n");
        queue.waiting.lock().is_over = true;
        queue.changed.notify_one();
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_nobody_reads_is_waited_for_once() {
        let queue = Arc::new(Queue::default());
        let waits = async || {
            queue.line(b"{}");
            let began = tokio::time::Instant::now();
            queue.written_so_far().await;
            began.elapsed()
        };
        assert!(waits().await >= MOST_WAITED);
        assert_eq!(waits().await, Duration::ZERO);
        // Somebody reads it again, and no more.
        queue.through.send_replace(1);
        assert!(waits().await >= MOST_WAITED);
    }

    /// Fails so many times, then takes all.
    struct Failing(usize, Arc<Mutex<Vec<u8>>>);

    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0 > 0 {
                self.0 -= 1;
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.1.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn i145_what_was_lost_is_counted_once_and_told() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let queue = Arc::new(Queue::default());
        let written = Arc::new(Mutex::new(Vec::new()));
        // Two batches of three lines each fail; the third is written.
        for (failures, is_over) in [(1, false), (1, false), (0, true)] {
            metrics::with_local_recorder(&recorder, || {
                for _ in 0..3 {
                    queue.line(b"{}");
                }
                queue.waiting.lock().is_over = true;
                queue.write_all(Failing(failures, Arc::clone(&written)));
                queue.waiting.lock().is_over = is_over;
            });
        }
        let text = String::from_utf8(written.lock().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            (lines.len(), lines[..3].join("")),
            (4, "{}{}{}".to_owned()),
            "{text}"
        );
        let told: Value = serde_json::from_str(lines[3]).unwrap();
        assert_eq!((&told["lost"], &told["level"]), (&6.into(), &"warn".into()));
        let counted = recorder.handle().render();
        assert!(counted.contains("verify_log_lines_dropped_total 6"), "{counted}");
    }
}
