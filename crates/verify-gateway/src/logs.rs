//! Logs: one JSON object a line on standard error, with fields redacted by name.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use verify_core::policy::LogLevel;

/// Fields that are never logged, whoever logs them.
const ALWAYS_REDACTED: [&str; 14] = [
    "to",
    "email",
    "phone",
    "code",
    "auth_token",
    "api_key",
    "api_key_secret",
    "authorization",
    "password",
    "secret",
    "token",
    "proof",
    "device_token",
    "user_id",
];

/// Lines that were dropped because the log could not keep up. Counter.
pub const DROPPED: &str = "verify_log_lines_dropped_total";

/// What stands where a value was.
const REDACTED: &str = "[redacted]";

/// Lines that may wait to be written. A request never waits for the log: what is more is dropped, and counted.
const MOST_WAITING: usize = 8_192;

/// Starts to log. Lines are written by a thread of their own until the guard is dropped, which writes what is left.
///
/// # Errors
/// When something else logs already.
pub fn start(level: LogLevel, redact: &[String]) -> Result<Guard, TryInitError> {
    let (queue, lines) = sync_channel(MOST_WAITING);
    let layer = JsonLines::new(redact, Queue(queue.clone()));
    tracing_subscriber::registry()
        .with(layer.with_filter(filter(level)))
        .try_init()?;
    let writer = std::thread::spawn(move || write_all(&lines));
    Ok(Guard {
        queue,
        writer: Some(writer),
    })
}

/// Writes what is left when it is dropped.
#[derive(Debug)]
pub struct Guard {
    queue: SyncSender<Message>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let stopping = self.queue.send(Message::Stop).is_ok();
        if let Some(writer) = self.writer.take().filter(|_| stopping) {
            // A writer that panicked has nothing left to write.
            writer.join().ok();
        }
    }
}

#[derive(Debug)]
enum Message {
    Line(String),
    Stop,
}

/// Takes lines off the queue, and writes all that are there at once.
fn write_all(lines: &Receiver<Message>) {
    let mut text = String::new();
    while let Ok(first) = lines.recv() {
        let mut stop = false;
        for message in std::iter::once(first).chain(lines.try_iter()).take(MOST_WAITING) {
            match message {
                Message::Line(line) => {
                    text.push_str(&line);
                    text.push('\n');
                }
                Message::Stop => stop = true,
            }
        }
        // Nobody to tell when standard error is closed.
        std::io::stderr().lock().write_all(text.as_bytes()).ok();
        text.clear();
        if stop {
            return;
        }
    }
}

/// Our own crates log at the level; others only from `warn` on, since at finer levels some of them write whole
/// requests.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("verify", level)
}

/// Takes finished lines.
trait Lines: Send + Sync + 'static {
    fn line(&self, line: String);
}

struct Queue(SyncSender<Message>);

impl Lines for Queue {
    fn line(&self, line: String) {
        if self.0.try_send(Message::Line(line)).is_err() {
            metrics::counter!(DROPPED).increment(1);
        }
    }
}

struct JsonLines<L> {
    redacted: Arc<BTreeSet<String>>,
    lines: L,
}

impl<L: Lines> JsonLines<L> {
    fn new(redact: &[String], lines: L) -> Self {
        let redacted = ALWAYS_REDACTED
            .iter()
            .map(|field| (*field).to_owned())
            .chain(redact.iter().cloned());
        Self {
            redacted: Arc::new(redacted.map(|field| field.to_ascii_lowercase()).collect()),
            lines,
        }
    }

    fn fields(&self) -> Fields {
        Fields {
            redacted: Arc::clone(&self.redacted),
            found: Map::new(),
        }
    }
}

impl<S, L> Layer<S> for JsonLines<L>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Lines,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = self.fields();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = self.fields();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.found.extend(of_span.found.clone());
            }
        }
        event.record(&mut fields);
        let mut line = Map::new();
        line.insert(
            "at".into(),
            Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true).into(),
        );
        line.insert(
            "level".into(),
            event.metadata().level().as_str().to_ascii_lowercase().into(),
        );
        line.insert("target".into(), event.metadata().target().into());
        line.extend(fields.found);
        self.lines.line(Value::Object(line).to_string());
    }
}

struct Fields {
    redacted: Arc<BTreeSet<String>>,
    found: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name().strip_prefix("r#").unwrap_or(field.name());
        let value = if self.redacted.contains(&name.to_ascii_lowercase()) {
            REDACTED.into()
        } else {
            value.into()
        };
        self.found.insert(name.to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl Lines for Kept {
        fn line(&self, line: String) {
            self.0.lock().push(line);
        }
    }

    fn logged(redact: &[&str], level: LogLevel, log: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let redact: Vec<String> = redact.iter().map(|field| (*field).to_owned()).collect();
        let layer = JsonLines::new(&redact, kept.clone()).with_filter(filter(level));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let lines = kept.0.lock();
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn i20_named_fields_are_redacted_in_events_and_spans() {
        let lines = logged(&["nickname"], LogLevel::Info, || {
            let span = tracing::info_span!(
                "request",
                to = "+12025550177",
                route = "/verify/send",
                email = tracing::field::Empty
            );
            span.record("email", "ann@example.com");
            span.in_scope(|| tracing::info!(code = "424242", Nickname = ?"ann", status = 201, "answered"));
        });
        let line = &lines[0];
        for field in ["to", "email", "code", "Nickname"] {
            assert_eq!(line[field], REDACTED, "{field}");
        }
        assert_eq!(
            (&line["route"], &line["status"], &line["message"]),
            (&"/verify/send".into(), &201.into(), &"answered".into())
        );
        assert_eq!(line["level"], "info");
    }

    #[test]
    fn other_peoples_crates_say_less() {
        let lines = logged(&[], LogLevel::Trace, || {
            tracing::trace!(target: "verify_core::flow", "ours");
            tracing::debug!(target: "hyper", "theirs");
            tracing::warn!(target: "hyper", "theirs, a warning");
        });
        let messages: Vec<&Value> = lines.iter().map(|line| &line["message"]).collect();
        assert_eq!(messages, ["ours", "theirs, a warning"]);
        let quiet = logged(
            &[],
            LogLevel::Error,
            || tracing::warn!(target: "hyper", "nothing"),
        );
        assert!(quiet.is_empty());
    }
}
