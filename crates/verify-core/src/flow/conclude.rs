//! Conclusions: a managed provider is told the end of a verification, so that its code stops working there too. The
//! record announces it first, and sends of that scope wait for it.

use std::time::Duration;

use crate::port::{ConcludeRequest, Conclusion};
use crate::record::{Concluding, Record};
use crate::time::Timestamp;

use super::context::Context;

/// How long a provider may take to hear of an end.
const TELL: Duration = Duration::from_secs(6);

/// Writes into the record that the provider of a verification will be told its end. Not while another verification of
/// the scope is pending (the code is its code too), while another conclusion runs, or where the provider does not care.
pub(super) fn announce(
    ctx: &Context,
    record: &mut Record,
    nonce: &[u8; 16],
    conclusion: Conclusion,
    now: Timestamp,
) -> bool {
    let clock = now.max(record.newest());
    let Some((provider, scope)) = record.entry(nonce).and_then(|entry| entry.scope()) else {
        return false;
    };
    let (provider, scope) = (provider.clone(), scope.clone());
    let cares = ctx
        .routes
        .providers
        .get(&provider)
        .is_some_and(|capabilities| capabilities.can_conclude);
    let shared = record.entries.iter().any(|entry| {
        entry.nonce != *nonce && entry.is_pending(clock) && entry.scope() == Some((&provider, &scope))
    });
    let running = record
        .concluding
        .as_ref()
        .is_some_and(|concluding| now < concluding.until);
    if !cares || shared || running || ctx.open_breakers.contains(&provider) {
        return false;
    }
    let by = ctx.seed.bytes("concluding");
    record.concluding = Some(Concluding {
        provider,
        scope,
        conclusion,
        by,
        until: ctx.call_until(now, TELL),
    });
    true
}

/// What the provider is told.
pub(super) fn conclude_request(
    ctx: &Context,
    record: &Record,
    nonce: &[u8; 16],
    to: &str,
) -> Option<ConcludeRequest> {
    let concluding = record.concluding.as_ref()?;
    let entry = record.entry(nonce)?;
    Some(ConcludeRequest {
        provider: concluding.provider.clone(),
        service: ctx.service.clone(),
        scope: concluding.scope.clone(),
        to: to.to_owned(),
        upstream: entry
            .deliveries
            .iter()
            .rev()
            .find_map(|delivery| delivery.upstream.clone()),
        conclusion: concluding.conclusion,
        not_after: concluding.until,
    })
}
