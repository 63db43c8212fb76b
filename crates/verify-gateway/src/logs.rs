//! Logs: one JSON object a line on standard error, with fields redacted by name.
//!
//! Whoever reads them decides nothing: a request, the start and the stop wait for no line. What was lost is counted, and
//! told as soon as a line can be written again.

mod queue;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::LogLevel;
use queue::Queue;

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

/// Lines that were lost: the log could not keep up, or standard error took none. Counter.
pub const DROPPED: &str = "verify_log_lines_dropped_total";

/// What stands where a value was.
const REDACTED: &str = "[redacted]";

/// For the last lines nothing waits longer, and neither for those that have to be out.
const MOST_WAITED: Duration = Duration::from_secs(2);

/// The log of this process.
static LOG: OnceLock<Arc<Queue>> = OnceLock::new();

/// Starts to log. Lines are written by a thread of their own until the guard is dropped, which waits at most two seconds
/// until what is left is written.
///
/// # Errors
/// When something else logs already.
pub fn start(level: LogLevel, redact: &[String]) -> Result<Guard, TryInitError> {
    let queue = Arc::new(Queue::default());
    let layer = JsonLines::new(redact, Arc::clone(&queue));
    tracing_subscriber::registry()
        .with(layer.with_filter(filter(level)))
        .try_init()?;
    LOG.set(Arc::clone(&queue)).ok();
    let lines = Arc::clone(&queue);
    std::thread::spawn(move || lines.write_all(standard_error()));
    Ok(Guard { queue })
}

/// Standard error without the lock and the panics of the library's: a thread that waits here must not keep the others.
fn standard_error() -> Box<dyn Write + Send> {
    match std::io::stderr().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(std::io::sink()),
    }
}

/// Says something on standard error before the process ends without having served. It waits two seconds at most, and
/// minds no failure.
pub fn say(text: &str) {
    let text = format!("{text}\n");
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        standard_error().write_all(text.as_bytes()).ok();
        // Nobody may be waiting any more, and that is fine.
        tell.send(()).ok();
    });
    told.recv_timeout(MOST_WAITED).ok();
}

/// Answers somebody who asked a tool, however long they take to read, and minds no failure.
pub fn answer(mut to: impl Write, text: &str) {
    if !text.is_empty() {
        writeln!(to, "{}", text.trim_end_matches('\n')).ok();
    }
}

/// Waits until all lines so far are written, so that a process that is killed takes none of them with it. A log that nobody
/// reads is waited for once, two seconds, until it is read again: whoever reads it decides nothing.
pub async fn written() {
    if let Some(log) = LOG.get() {
        log.written_so_far().await;
    }
}

/// Writes what is left when it is dropped.
pub struct Guard {
    queue: Arc<Queue>,
}

impl Guard {
    /// Says something to people, between the lines.
    pub fn say(&self, text: &str) {
        self.queue.line(text.as_bytes());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.queue.end();
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
    /// Takes one, without what ends it.
    fn line(&self, line: &[u8]);
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

    /// With room for so many of the usual length.
    fn fields(&self, room: usize) -> Fields {
        Fields {
            redacted: Arc::clone(&self.redacted),
            found: Vec::with_capacity(room),
            json: Vec::with_capacity(room * 32),
        }
    }
}

impl<S, L> Layer<S> for JsonLines<L>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Lines,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = self.fields(OF_A_SPAN);
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
        let mut fields = self.fields(OF_A_LINE);
        let at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        fields.put("at", &at);
        fields.put("level", event.metadata().level().as_str().to_ascii_lowercase());
        fields.put("target", event.metadata().target());
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        event.record(&mut fields);
        self.lines.line(&fields.to_line());
    }
}

/// Fields of a span, commonly.
const OF_A_SPAN: usize = 6;
/// Fields of a line and of the spans around it, commonly.
const OF_A_LINE: usize = 20;

/// Fields with their values as JSON.
struct Fields {
    redacted: Arc<BTreeSet<String>>,
    found: Vec<(&'static str, Range<usize>)>,
    json: Vec<u8>,
}

impl Fields {
    /// A field that may be redacted.
    fn take(&mut self, field: &Field, value: impl Serialize) {
        let name = field.name().strip_prefix("r#").unwrap_or(field.name());
        let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let is_redacted = if is_lower {
            self.redacted.contains(name)
        } else {
            self.redacted.contains(&name.to_ascii_lowercase())
        };
        if is_redacted {
            self.put(name, REDACTED);
        } else {
            self.put(name, value);
        }
    }

    fn put(&mut self, name: &'static str, value: impl Serialize) {
        let start = self.json.len();
        // Text, figures and truth values can be said in JSON; a figure that cannot is null.
        if serde_json::to_writer(&mut self.json, &value).is_err() {
            self.json.truncate(start);
            self.json.extend_from_slice(b"null");
        }
        self.found.push((name, start..self.json.len()));
    }

    fn extend(&mut self, others: &Self) {
        let start = self.json.len();
        self.json.extend_from_slice(&others.json);
        let moved = others
            .found
            .iter()
            .map(|(name, place)| (*name, place.start + start..place.end + start));
        self.found.extend(moved);
    }

    /// One JSON object. Of several fields of one name the last holds: an event knows better than the spans around it.
    fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(self.json.len() + self.found.len() * 20);
        line.push(b'{');
        for (index, (name, place)) in self.found.iter().enumerate() {
            let mut later = self.found.iter().skip(index + 1);
            if later.any(|(other, _)| other == name) {
                continue;
            }
            if line.len() > 1 {
                line.push(b',');
            }
            // Names of fields are words of the sources: nothing in them needs an escape.
            line.push(b'"');
            line.extend_from_slice(name.as_bytes());
            line.extend_from_slice(b"\":");
            line.extend_from_slice(self.json.get(place.clone()).unwrap_or(b"null"));
        }
        line.push(b'}');
        line
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use serde_json::Value;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl Lines for Kept {
        fn line(&self, line: &[u8]) {
            self.0.lock().push(String::from_utf8(line.to_vec()).unwrap());
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

    #[test]
    fn an_event_knows_better_than_its_spans_and_no_name_stands_twice() {
        let kept = Kept::default();
        let layer = JsonLines::new(&[], kept.clone()).with_filter(filter(LogLevel::Info));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let outer = tracing::info_span!("request", service = "outer", route = "/a\"b\\");
            let _outer = outer.enter();
            let inner = tracing::info_span!("command", service = "inner", answer = tracing::field::Empty);
            let _inner = inner.enter();
            inner.record("answer", "sent");
            tracing::info!(service = "event", ms = f64::NAN, at = "then", "a\nb");
        });
        let lines = kept.0.lock();
        assert_eq!(lines[0].matches("\"service\"").count(), 1, "{}", lines[0]);
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        for (name, value) in [
            ("service", "event"),
            ("route", "/a\"b\\"),
            ("answer", "sent"),
            ("message", "a\nb"),
            ("at", "then"),
        ] {
            assert_eq!(line[name], value, "{name}");
        }
        assert_eq!(line["ms"], Value::Null);
    }
}
