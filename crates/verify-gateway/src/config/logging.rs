//! What the file says of logs: from which level on, and what is redacted.

use serde_json::Value;
use verify_core::policy::PolicyFile;
use verify_core::policy::file::{Read, Word, is_name, list, word, wrong};

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LoggingSettings {
    /// More fields to redact, besides those that always are.
    pub(super) redact_fields: Vec<String>,
    /// From which level on.
    pub(super) level: Option<LogLevel>,
}

/// A log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What needs somebody now.
    Error,
    /// What may need somebody.
    Warn,
    /// What happened.
    Info,
    /// How it came about.
    Debug,
    /// Everything.
    Trace,
}

impl Word for LogLevel {
    const ALL: &'static [Self] = &[Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl LoggingSettings {
    /// Reads `[logging]`.
    pub(super) fn read(file: &mut PolicyFile) -> Self {
        let mut settings = Self::default();
        file.section("logging", |logging| {
            let fields = logging.optional("redact_fields", list(field));
            settings.redact_fields = fields.unwrap_or_default();
            settings.level = logging.optional("log_level", word);
        });
        settings
    }
}

fn field(value: &Value) -> Read<String> {
    let found = value.as_str().filter(|text| is_name(text));
    found
        .map(str::to_owned)
        .ok_or_else(|| wrong(value, "a list of field names"))
}
