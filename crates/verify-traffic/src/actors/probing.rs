//! Knowledge: who has an account here?

use std::time::Duration;

use verify_core::command::{CheckRequest, SendRequest};
use verify_core::outcome::{Answer, CheckAnswer, VerificationView};
use verify_core::time::{Timestamp, Until};

use crate::{Actor, Booth, Market, Reply};

/// Asks for messages to numbers with and without an account, guesses at both, and compares all that can be seen:
/// status, counts, waits and the trips to the store that an answer takes. The ledger keeps what was seen.
///
/// The application says `decoy` where it knows nobody, as it has to under private disclosure.
#[derive(Debug, Clone)]
pub struct Enumerate {
    /// Where the numbers with an account are.
    pub known: &'static Market,
    /// Where those without one are.
    pub unknown: &'static Market,
    /// Numbers tried each second.
    pub per_second: f64,
    tried: u64,
}

impl Enumerate {
    /// Tries so many numbers a second, every other one without an account.
    pub fn new(known: &'static Market, unknown: &'static Market, per_second: f64) -> Self {
        Self {
            known,
            unknown,
            per_second,
            tried: 0,
        }
    }
}

impl Actor for Enumerate {
    fn name(&self) -> &'static str {
        "enumerate"
    }

    fn defeats(&self) -> &'static str {
        "same text for known and unknown"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        self.tried += 1;
        let known = self.tried.is_multiple_of(2);
        let market = if known { self.known } else { self.unknown };
        // No number twice, which would look different for reasons of its own.
        let to = market.number(self.tried.wrapping_mul(stride(market.size())));
        let mut request = SendRequest::to(to.clone()).ip(booth.any_address());
        request.decoy = !known;
        let first = booth.send(request.clone());
        let mut looks = vec![look(&first)];
        if let Some(verification) = first.sent() {
            looks.push(look(&booth.send(request)));
            let check =
                CheckRequest::of(verification.id.clone(), "000000", to.clone()).ip(booth.any_address());
            for _ in 0..2 {
                looks.push(look(&booth.check(check.clone())));
            }
        }
        for (step, look) in looks.into_iter().enumerate() {
            booth.saw(format!("{step}: {look}"), known);
        }
        let gap = booth.chance().gap(self.per_second);
        Some(booth.now() + Duration::max(gap, Duration::from_millis(1)))
    }
}

/// A step that visits every place of a country whose size has no prime factors but 2 and 5, neighbours far apart.
fn stride(size: u64) -> u64 {
    let step = (size as f64 * 0.618) as u64 | 1;
    if step.is_multiple_of(5) { step + 2 } else { step }
}

/// All that a caller can tell of an answer, but for ids and the number's own digits.
fn look(reply: &Reply) -> String {
    let wait = |until: Until| reply.wait(until);
    let of = |v: &VerificationView| {
        let (ends, again) = (v.expires_at.since(reply.clock), wait(v.resend_at));
        let (sid, deliveries, fallback) = (v.sid.is_some(), &v.deliveries, &v.fallback);
        format!(
            "{:?} {:?} {deliveries:?} {fallback:?} {ends:?} {again:?} {:?} {:?} {} {sid} {}",
            v.status,
            v.channel,
            v.sends_left,
            v.checks_left,
            v.code_length,
            v.id.len()
        )
    };
    let text = if let Some(verification) = reply.sent() {
        of(verification)
    } else if let Some(Answer::Check(CheckAnswer::WrongCode(wrong))) = reply.answer() {
        format!(
            "wrong {:?} {:?} {:?}",
            wrong.status,
            wrong.checks_left,
            wait(wrong.retry_at)
        )
    } else if let Some(no) = reply.refusal() {
        format!(
            "refused {} {:?} {:?}",
            no.code.as_str(),
            no.retry_at.map(wait),
            no.checks_left
        )
    } else {
        format!("{:?}", reply.answer)
    };
    format!("{text}, {} trips", reply.trips)
}
