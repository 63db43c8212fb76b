//! `[proof]` and `[device]`: how long the tokens live that are handed out.

use std::time::Duration;

use super::file::{Page, Report, Section, span};

pub(super) const PROOF_TTL: Duration = Duration::from_secs(5 * 60);
pub(super) const DEVICE_TTL: Duration = Duration::from_secs(90 * 86_400);

/// Reads both sections of a policy.
pub(super) fn read(root: &mut Section<'_, '_>, proof_ttl: &mut Duration, device_ttl: &mut Duration) {
    for (section, ttl) in [("proof", proof_ttl), ("device", device_ttl)] {
        root.within(section, |section| {
            section.set("ttl", ttl, span);
        });
    }
}

pub(super) fn print((proof_ttl, device_ttl): &(Duration, Duration), page: &mut Page) {
    for (section, ttl) in [("proof", proof_ttl), ("device", device_ttl)] {
        page.header(section);
        page.span("ttl", *ttl);
    }
}

pub(super) fn check(proof_ttl: Duration, device_ttl: Duration, found: &mut Report) {
    for (key, ttl) in [("proof.ttl", proof_ttl), ("device.ttl", device_ttl)] {
        if ttl.is_zero() {
            found.fault(key, "found zero; a longer duration would do");
        }
    }
}
