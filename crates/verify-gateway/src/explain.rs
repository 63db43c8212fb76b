//! What decided: a bounded memory of explanations, for operators.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use verify_core::keys::Print;
use verify_core::outcome::Explanation;
use verify_core::time::Until;

use crate::observe::RequestId;
use verify_http::views::rfc3339;

/// How many commands are remembered.
const MOST: usize = 4_096;

/// The explanations of the last commands that came through this process, found by request id or verification id.
///
/// Verification ids are kept as hashes: with a code they are enough to check, and this is no place for that.
#[derive(Default)]
pub struct Explanations {
    kept: Mutex<VecDeque<Kept>>,
}

struct Kept {
    request: RequestId,
    ids: Vec<[u8; 32]>,
    explanation: Explanation,
}

impl Explanations {
    /// Keeps what decided a request; `ids` are the verification ids that it named or was shown.
    pub fn keep<'a>(
        &self,
        request: &RequestId,
        ids: impl IntoIterator<Item = &'a str>,
        explanation: Explanation,
    ) {
        let new = Kept {
            request: request.clone(),
            ids: ids.into_iter().map(hash).collect(),
            explanation,
        };
        let mut kept = self.kept.lock();
        let oldest = if kept.len() == MOST {
            kept.pop_front()
        } else {
            None
        };
        kept.push_back(new);
        drop(kept);
        // Freed when nobody waits for the lock any more.
        drop(oldest);
    }

    /// All that is remembered about a request or a verification, oldest first. Of a verification that is every
    /// command that touched it, whichever of its ids was named.
    pub fn of(&self, id: &str) -> Vec<ExplanationJson> {
        let hash = hash(id);
        let kept = self.kept.lock();
        let is_named = |one: &&Kept| one.request.as_str() == id || one.ids.contains(&hash);
        let prints: Vec<Print> = kept
            .iter()
            .filter(|one| one.ids.contains(&hash))
            .filter_map(|one| one.explanation.verification)
            .collect();
        kept.iter()
            .filter(|one| {
                is_named(one)
                    || one
                        .explanation
                        .verification
                        .is_some_and(|print| prints.contains(&print))
            })
            .map(ExplanationJson::of)
            .collect()
    }
}

fn hash(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

/// What decided one command. Fingerprints, rules and figures; no personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationJson {
    /// The request that brought the command.
    pub request_id: String,
    /// When, by the engine's time.
    pub at: String,
    /// The command.
    #[schema(value_type = String)]
    pub command: &'static str,
    /// The service.
    pub service: Option<String>,
    /// The destination's fingerprint.
    pub destination: Option<String>,
    /// The destination's last digits, as far as the policy allows.
    pub last_digits: Option<String>,
    /// The verification's fingerprint.
    pub verification: Option<String>,
    /// All rules that refused or would have; the first one named the answer.
    pub rules: Vec<RuleJson>,
    /// What providers said.
    pub providers: Vec<ProviderJson>,
    /// The store's own words, masked, when it did not do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// A rule that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Rule)]
pub struct RuleJson {
    /// Its name.
    pub rule: String,
    /// What it saw or says, where that is no number: a country, a channel, an action, a field and what is wrong with it.
    pub value: Option<String>,
    /// What it saw.
    pub figure: u64,
    /// What it allows.
    pub allowed: Option<u64>,
    /// When it would admit the same request: an instant, or `never`.
    pub until: Option<String>,
}

/// What a provider said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Provider)]
pub struct ProviderJson {
    /// Which one.
    pub provider: String,
    /// What came of it.
    #[schema(value_type = String)]
    pub came: &'static str,
    /// Its code.
    pub code: Option<u32>,
    /// Its words, masked.
    pub message: String,
}

/// An instant, or `never`.
pub fn until(until: Until) -> String {
    match until {
        Until::At(at) => rfc3339(at),
        Until::Never => "never".to_owned(),
    }
}

impl ExplanationJson {
    fn of(kept: &Kept) -> Self {
        let Kept {
            request, explanation, ..
        } = kept;
        Self {
            request_id: request.as_str().to_owned(),
            at: rfc3339(explanation.at),
            command: explanation.command,
            service: explanation.service.as_ref().map(ToString::to_string),
            destination: explanation.destination.as_ref().map(ToString::to_string),
            last_digits: explanation.last_digits.clone(),
            verification: explanation.verification.as_ref().map(ToString::to_string),
            rules: explanation
                .rules
                .iter()
                .map(|hit| RuleJson {
                    rule: hit.rule.to_string(),
                    value: hit.value.as_deref().map(str::to_owned),
                    figure: hit.figure,
                    allowed: hit.allowed,
                    until: hit.until.map(until),
                })
                .collect(),
            providers: explanation
                .providers
                .iter()
                .map(|said| ProviderJson {
                    provider: said.provider.to_string(),
                    came: said.came,
                    code: said.detail.code,
                    message: said.detail.message().to_owned(),
                })
                .collect(),
            store: explanation
                .store
                .as_ref()
                .map(|detail| detail.message().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verify_core::outcome::RuleHit;

    fn explanation(command: &'static str, verification: u8) -> Explanation {
        let mut explanation = Explanation::default();
        explanation.command = command;
        explanation.verification = Some(Print::from_bytes([verification; 16]));
        let mut hit = RuleHit::new("resend_gap", 1);
        hit.allowed = Some(1);
        hit.until = Some(Until::Never);
        explanation.rules.push(hit);
        explanation
    }

    fn commands(found: &[ExplanationJson]) -> Vec<&str> {
        found.iter().map(|one| one.command).collect()
    }

    #[test]
    fn a_verification_id_finds_all_that_touched_it_and_a_request_id_its_own() {
        let explanations = Explanations::default();
        let requests: Vec<RequestId> = (0..3).map(|_| RequestId::fresh()).collect();
        explanations.keep(&requests[0], ["id-a"], explanation("send", 1));
        explanations.keep(&requests[1], [], explanation("check", 1));
        explanations.keep(&requests[2], ["id-b"], explanation("send", 2));
        assert_eq!(commands(&explanations.of("id-a")), ["send", "check"]);
        assert_eq!(commands(&explanations.of(requests[1].as_str())), ["check"]);
        assert_eq!(commands(&explanations.of("id-b")), ["send"]);
        assert_eq!(explanations.of("id-c"), []);
        assert_eq!(
            explanations.of("id-b")[0].rules[0].until.as_deref(),
            Some("never")
        );
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let explanations = Explanations::default();
        let first = RequestId::fresh();
        explanations.keep(&first, [], explanation("send", 1));
        for _ in 0..MOST {
            explanations.keep(&RequestId::fresh(), [], explanation("check", 2));
        }
        assert_eq!(explanations.of(first.as_str()), []);
        assert_eq!(explanations.kept.lock().len(), MOST);
    }
}
