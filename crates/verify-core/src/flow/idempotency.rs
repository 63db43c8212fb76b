//! Idempotency keys: the same key and the same body are the same request. A key is claimed under every fingerprint of the
//! ring, so that a rotation in between does not make it another one.

use crate::keys::{Print, PrintKind, Prints};
use crate::outcome::{Refusal, RefusalCode};
use crate::store::{Claim, ClaimKey, ClaimKind, Seen};
use crate::time::Timestamp;

use super::context::Context;

/// The longest key, in bytes.
const LONGEST_KEY: usize = 255;

/// A caller's idempotency key, and what it is used for.
#[derive(Debug, Clone)]
pub(super) struct IdempotencyKey {
    /// One claim for each fingerprint, the newest first.
    pub(super) claims: Vec<ClaimKey>,
    body: Prints,
}

impl IdempotencyKey {
    /// `fields` is what makes a request another one.
    pub(super) fn new(ctx: &Context, kind: ClaimKind, key: &str, fields: &[Option<&str>]) -> Self {
        let keys = ctx
            .keys
            .prints(PrintKind::IdempotencyKey, &ctx.service, key.as_bytes());
        let mut body = Vec::new();
        for field in [&Some(key)].into_iter().chain(fields) {
            // Each with its length in front: no two requests share their bytes.
            let text = field.unwrap_or_default();
            body.push(u8::from(field.is_some()));
            body.extend_from_slice(&(text.len() as u64).to_be_bytes());
            body.extend_from_slice(text.as_bytes());
        }
        Self {
            claims: keys.iter().map(|print| ClaimKey { kind, print }).collect(),
            body: ctx.keys.prints(PrintKind::Request, &ctx.service, &body),
        }
    }

    /// What is claimed: the body's fingerprint, and 16 or fewer bytes of the flow's own.
    pub(super) fn claimed(&self, own: &[u8], expires_at: Timestamp) -> Vec<Claim> {
        let value = [self.body.newest().as_bytes().as_slice(), own].concat();
        let claim = |key: &ClaimKey| Claim {
            key: *key,
            value: value.clone(),
            expires_at,
        };
        self.claims.iter().map(claim).collect()
    }

    /// The claim that was there before.
    pub(super) fn found<'a>(&self, seen: &'a Seen) -> Option<&'a Claim> {
        self.claims.iter().find_map(|key| seen.claim(key))
    }

    /// The flow's own bytes in a claim for the same body.
    ///
    /// # Errors
    /// A refusal when the key was used for another one.
    pub(super) fn own<'a>(&self, claim: &'a Claim) -> Result<&'a [u8], Refusal> {
        match claim.value.split_first_chunk::<16>() {
            Some((body, own)) if self.body.contains(&Print::from_bytes(*body)) => Ok(own),
            Some(_) | None => Err(Refusal::new(
                RefusalCode::IdempotencyMismatch,
                "this idempotency key was used with another request; use a new one",
            )),
        }
    }

    /// What tells this request under this key from any other.
    pub(super) fn mark(&self) -> Print {
        self.body.newest()
    }

    /// True when a mark is of this request under this key.
    pub(super) fn is(&self, mark: Option<Print>) -> bool {
        mark.is_some_and(|mark| self.body.contains(&mark))
    }
}

/// What an idempotency key may look like.
pub(super) fn check_key(key: Option<&String>) -> Result<(), Refusal> {
    match key {
        Some(key) if key.is_empty() || key.len() > LONGEST_KEY => {
            let refusal = Refusal::new(RefusalCode::InvalidRequest, "must have 1 to 255 characters");
            Err(refusal.field("Idempotency-Key"))
        }
        Some(_) | None => Ok(()),
    }
}
