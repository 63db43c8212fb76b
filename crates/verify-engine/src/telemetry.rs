//! The names of everything that is measured, traced and logged, in one place.
//!
//! Metrics go through the `metrics` facade, spans and log lines through `tracing`: without a recorder or a
//! subscriber they cost next to nothing. A recorder may be installed at any time: it counts from then on, and is told with
//! the next command what every metric means and in which unit. An engine keeps what it got from the recorder for the busiest
//! metrics, so a recorder must not drop metrics that are idle. Labels are words of closed lists, names of rules and names of
//! providers; spans and lines carry fingerprints. A number, a mailbox, a code or a user id is in neither.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, counter, gauge, histogram};
use verify_core::event::Event;
use verify_core::outcome::{Explanation, Outcome, RefusalCode};
use verify_core::port::{Detail, ProviderName};
use verify_core::store::Origin;
use verify_core::time::Timestamp;

use crate::meters::Meters;

macro_rules! measured {
    ($(#[doc = $help:literal] $name:ident = $word:literal: $describe:ident $unit:ident;)+) => {
        $(#[doc = $help] pub const $name: &str = $word;)+

        /// Tells the recorder what each of them means, and in which unit.
        pub(crate) fn describe() {
            $(metrics::$describe!($word, Unit::$unit, $help.trim());)+
        }
    };
}

measured! {
    /// Commands that ended, by `command` and `answer`. Counter.
    COMMANDS = "verify_commands_total": describe_counter Count;
    /// From a command's start to its answer, by `command`. Histogram, seconds.
    COMMAND_SECONDS = "verify_command_seconds": describe_histogram Seconds;
    /// Steps that a flow took to its answer, by `command`. Histogram.
    FLOW_STEPS = "verify_flow_steps": describe_histogram Count;
    /// Refusals, by `code` and by the first `rule` that refused. Counter.
    REFUSALS = "verify_refusals_total": describe_counter Count;
    /// Calls of the store, by `operation`. Histogram, seconds.
    STORE_SECONDS = "verify_store_seconds": describe_histogram Seconds;
    /// Calls of the store that failed or were dropped, by `operation` and `fault`. Counter.
    STORE_FAULTS = "verify_store_faults_total": describe_counter Count;
    /// Changes of the store's epoch under a running engine: it was emptied, or another one is in its place. Counter.
    STORE_EPOCH_CHANGES = "verify_store_epoch_changes_total": describe_counter Count;
    /// 1 while the store's epoch is accepted, 0 while nobody accepted it: something may have been lost. Gauge.
    STORE_EPOCH_ACCEPTED = "verify_store_epoch_accepted": describe_gauge Count;
    /// How long ago the store's epoch was made, by its own clock. Gauge, seconds.
    STORE_EPOCH_AGE = "verify_store_epoch_age_seconds": describe_gauge Seconds;
    /// Times that another server held the store, seen by a running engine: a copy took over, or one was restored. Counter.
    STORE_FAILOVERS = "verify_store_failovers_total": describe_counter Count;
    /// By how much the store's clock and this machine's differ, where both are a machine's own. Gauge, seconds.
    STORE_CLOCK_DIFFERENCE = "verify_store_clock_difference_seconds": describe_gauge Seconds;
    /// Calls of a provider, by `provider` and `call`. Histogram, seconds.
    PROVIDER_SECONDS = "verify_provider_seconds": describe_histogram Seconds;
    /// What providers said, by `provider`, `call` and `result`. Counter.
    PROVIDER_RESULTS = "verify_provider_results_total": describe_counter Count;
    /// 1 while a provider's breaker keeps calls away, else 0; by `provider` and `call` (`dispatch`, `compare`). Gauge.
    BREAKER_OPEN = "verify_breaker_open": describe_gauge Count;
    /// What risk scorers, each for itself, and the human check said, by `question` and `result`. Counter.
    ASSESSMENTS = "verify_assessments_total": describe_counter Count;
    /// Events that the sink took, by `kind`. Counter.
    EVENTS = "verify_events_total": describe_counter Count;
    /// Sends and checks that came without the client's address although the engine was told they would. Counter.
    MISSING_IP = "verify_missing_client_ip_total": describe_counter Count;
}

/// The span of a command: `command`, `service`, then `answer`, `destination` and `verification` (fingerprints).
pub const COMMAND_SPAN: &str = "verify.command";

/// Log target of commands: refusals at `debug`, faults at `warn`.
pub const TARGET_COMMAND: &str = "verify::command";
/// Log target of providers: breakers and refused credentials at `warn`.
pub const TARGET_PROVIDER: &str = "verify::provider";
/// Log target of the store: faults at `warn`, another epoch and clocks that differ at `error`.
pub const TARGET_STORE: &str = "verify::store";
/// Log target of the sweeper and the outbox pump.
pub const TARGET_BACKGROUND: &str = "verify::background";
/// Log target of start and reload: caps that are off, channels without a provider.
pub const TARGET_START: &str = "verify::start";

/// What the flood shield is called where rules are named.
pub const FLOOD_SHIELD_RULE: &str = "flood_shield";
/// The rule of a send that found no room: [`EngineBuilder::calls_at_once`](crate::EngineBuilder::calls_at_once).
pub const CALLS_AT_ONCE_RULE: &str = "calls_at_once";

/// A span for a command; fingerprints are recorded once they are known.
pub(crate) fn command_span(command: &'static str, service: &str) -> tracing::Span {
    tracing::info_span!(
        target: TARGET_COMMAND,
        COMMAND_SPAN,
        command,
        service,
        answer = tracing::field::Empty,
        destination = tracing::field::Empty,
        verification = tracing::field::Empty,
    )
}

/// The recorder that is installed, or that there is none: what was got from one measures nothing of another.
pub(crate) fn recorder() -> usize {
    metrics::with_recorder(|recorder| std::ptr::from_ref(recorder).addr())
}

/// Counts and logs what a command came to. Called inside its span.
pub(crate) fn command_ended(
    meters: &Meters,
    command: &'static str,
    outcome: &Outcome,
    steps: usize,
    took: Duration,
) {
    let answer = outcome.as_str();
    meters.command_ended(command, answer, took.as_secs_f64(), steps);
    record_on_span(answer, &outcome.explanation);
    if let Some(refusal) = outcome.refusal() {
        let (code, rule) = (refusal.code.as_str(), outcome.explanation.rules.first());
        let rule = rule.map_or("none", |hit| &hit.rule);
        tracing::debug!(target: TARGET_COMMAND, code, rule, "refused");
        meters.refused(code, rule);
    }
    if let Err(fault) = &outcome.answer {
        let store = outcome.explanation.store.as_ref().map(Detail::message);
        tracing::warn!(target: TARGET_COMMAND, fault = fault.as_str(), store, "a command failed");
    }
}

/// Logs what came of a flow after its answer. Called inside its span.
pub(crate) fn rest_ended(outcome: &Outcome) {
    for said in &outcome.explanation.providers {
        let (provider, came, words) = (&*said.provider, said.came, said.detail.message());
        tracing::debug!(target: TARGET_PROVIDER, provider, came, words, "after the answer");
    }
    if let Err(fault) = &outcome.answer {
        let store = outcome.explanation.store.as_ref().map(Detail::message);
        tracing::warn!(target: TARGET_COMMAND, fault = fault.as_str(), store, "what followed an answer failed");
    }
}

fn record_on_span(answer: &'static str, explanation: &Explanation) {
    let span = tracing::Span::current();
    tracing::record_all!(
        span,
        answer,
        destination = explanation.destination.map(tracing::field::display),
        verification = explanation.verification.map(tracing::field::display),
    );
}

/// Counts a request that was turned away before it began.
pub(crate) fn turned_away(rule: &'static str) {
    let code = RefusalCode::Overloaded.as_str();
    counter!(REFUSALS, "code" => code, "rule" => rule).increment(1);
}

/// Counts a send or check that came without the address that it was promised to have.
pub(crate) fn missing_ip(command: &'static str) {
    counter!(MISSING_IP).increment(1);
    tracing::debug!(target: TARGET_COMMAND, command, "no client address was passed: limits by ip were skipped");
}

/// Counts a call of the store that did not do it, or that nobody knows about, and logs the store's own words.
pub(crate) fn store_failed(operation: &'static str, trouble: StoreTrouble, words: &str) {
    let fault = trouble.as_str();
    counter!(STORE_FAULTS, "operation" => operation, "fault" => fault).increment(1);
    tracing::warn!(target: TARGET_STORE, operation, fault, words, "the store failed");
}

/// Counts an epoch that changed.
pub(crate) fn epoch_changed() {
    counter!(STORE_EPOCH_CHANGES).increment(1);
}

/// Shows where what the store holds comes from. One without a clock has no age.
pub(crate) fn epoch(origin: &Origin) {
    gauge!(STORE_EPOCH_ACCEPTED).set(f64::from(u8::from(origin.accepted)));
    if origin.clock != Timestamp::ZERO {
        gauge!(STORE_EPOCH_AGE).set(origin.clock.since(origin.made).as_secs_f64());
    }
}

/// Counts a server that took over.
pub(crate) fn failed_over() {
    counter!(STORE_FAILOVERS).increment(1);
}

/// Shows by how much the clocks differ.
pub(crate) fn clock_difference(difference: Duration) {
    gauge!(STORE_CLOCK_DIFFERENCE).set(difference.as_secs_f64());
}

/// What can be wrong with a call of the store.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StoreTrouble {
    /// It said so, by this word.
    Fault(&'static str),
    /// It may have happened.
    Unknown,
    /// The deadline had passed before the call.
    TooLate,
}

impl StoreTrouble {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Fault(word) => word,
            Self::Unknown => "unknown",
            Self::TooLate => "too_late",
        }
    }
}

/// Measures a call of a provider.
pub(crate) fn provider_called(provider: &ProviderName, call: &'static str, took: Duration) {
    histogram!(PROVIDER_SECONDS, "provider" => Arc::clone(provider), "call" => call)
        .record(took.as_secs_f64());
}

/// Counts what a provider said, or why it was not asked.
pub(crate) fn provider_said(provider: &ProviderName, call: &'static str, result: &'static str) {
    counter!(PROVIDER_RESULTS, "provider" => Arc::clone(provider), "call" => call, "result" => result)
        .increment(1);
}

/// Shows whether a provider's breaker keeps calls away.
pub(crate) fn breaker(provider: &ProviderName, call: &'static str, open: bool) {
    gauge!(BREAKER_OPEN, "provider" => Arc::clone(provider), "call" => call).set(if open {
        1.0
    } else {
        0.0
    });
}

/// Counts what a scorer or the human check said.
pub(crate) fn assessed(question: &'static str, result: &'static str) {
    counter!(ASSESSMENTS, "question" => question, "result" => result).increment(1);
}

/// Counts events that the sink took.
pub(crate) fn event_taken(event: &Event) {
    counter!(EVENTS, "kind" => event.kind.as_str()).increment(1);
}
