//! The event log: what happened and what was refused, as log lines. Fingerprints only.

use async_trait::async_trait;
use verify_core::event::Event;
use verify_core::outcome::{Explanation, RefusalCode};
use verify_core::port::{EventSink, RefusalSink};

use verify_http::views::rfc3339;

use crate::logs;

/// Writes events and refusals to the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventLog;

#[async_trait]
impl EventSink for EventLog {
    async fn take(&self, events: &[Event]) -> bool {
        for event in events {
            tracing::info!(
                target: "verify::event",
                event = event.kind.as_str(),
                event_id = tracing::field::display(event.id),
                event_at = rfc3339(event.at),
                service = event.service.as_str(),
                destination = event.destination.map(tracing::field::display),
                subject = event.subject.map(tracing::field::display),
                verification = event.verification.map(tracing::field::display),
                purpose = event.purpose.map(tracing::field::display),
                standing = event.standing.map(tracing::field::display),
                mailbox = event.mailbox.map(tracing::field::display),
                payment = event.payment.map(tracing::field::display),
                channel = event.channel.map(tracing::field::display),
                provider = event.provider.as_deref(),
                provider_code = event.code,
                rules = names(event.rules.iter().map(|rule| &**rule)),
            );
        }
        // What was taken is forgotten by the store.
        logs::written().await;
        true
    }
}

impl RefusalSink for EventLog {
    fn refused(&self, code: RefusalCode, explanation: &Explanation) {
        let said = explanation.providers.last();
        // The command, the service and the fingerprints are on the engine's span, in which this is called.
        tracing::info!(
            target: "verify::event",
            event = "refused",
            // Not `code`: fields of that name are redacted, whatever is in them.
            refusal = code.as_str(),
            event_at = rfc3339(explanation.at),
            last_digits = explanation.last_digits.as_deref(),
            rules = names(explanation.rules.iter().map(|hit| &*hit.rule)),
            provider = said.map(|said| &*said.provider),
            provider_code = said.and_then(|said| said.detail.code),
        );
    }
}

fn names<'a>(rules: impl Iterator<Item = &'a str>) -> String {
    let mut names = String::new();
    for rule in rules {
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(rule);
    }
    names
}
