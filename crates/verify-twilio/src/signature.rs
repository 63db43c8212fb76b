//! Whether a request came from Twilio: `X-Twilio-Signature`.
//!
//! The signature is an HMAC-SHA1 over the URL that Twilio called and the decoded form; for other bodies the URL
//! carries the body's hash. Twilio and the proxies in between do not agree on how that URL is spelled (ports,
//! credentials, apostrophes), so that every spelling that one of Twilio's own libraries accepts is tried, and nothing
//! else. Scheme, host, path and query are never folded.
//!
//! Give the URL from configuration with the request's path and query appended. A `Host` header is the sender's word.
//!
//! A valid signature says who wrote the request, not when: Twilio signs no time. Repeats have to do no harm.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use verify_core::secret::SecretString;

pub use crate::signed_url::{Credentials, Port, Quotes, Variant};

use crate::signed_url::Parts;

/// The query parameter with the hash of a body that is not a form.
const BODY_HASH: &str = "bodySHA256";

/// Checks signatures under one or, during a rotation, several auth tokens.
#[derive(Clone)]
pub struct Validator {
    keys: Vec<Hmac<Sha1>>,
}

/// There is nothing to check signatures with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no auth token, or an empty one; webhooks are signed with the account's auth token, never with an api key"
)]
pub struct NoToken;

/// What came with the request.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// The decoded fields of a form, in any order, repeated names included. Empty for a `GET`.
    Form(&'a [(String, String)]),
    /// Anything else: the bytes as they came.
    Raw(&'a [u8]),
}

/// The request is not known to come from Twilio: change nothing because of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not signed by twilio: {reason}; tried: {}", spellings(.tried))]
pub struct Mismatch {
    /// Which spellings of the URL were tried, the given one first.
    pub tried: Vec<Variant>,
    /// Where it went wrong.
    pub reason: Reason,
}

/// Where it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The signature is empty or not Base64 of 20 bytes.
    Malformed,
    /// The URL is not absolute.
    NotAUrl,
    /// The URL has not exactly one hash of the body, or another one.
    BodyHash,
    /// The signature fits no spelling of the URL with these fields under any token.
    Differs,
}

impl Validator {
    /// A validator for the account's primary auth token, and the next one while it is being rotated.
    ///
    /// # Errors
    /// [`NoToken`] when there is none, or an empty one: anybody could sign with that.
    pub fn new(tokens: impl IntoIterator<Item = SecretString>) -> Result<Self, NoToken> {
        let keys: Vec<_> = tokens
            .into_iter()
            .map(|token| match token.expose().as_bytes() {
                [] => Err(NoToken),
                bytes => Hmac::new_from_slice(bytes).map_err(|_| NoToken),
            })
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            Err(NoToken)
        } else {
            Ok(Self { keys })
        }
    }

    /// Says which spelling of `url` was signed. Compares in constant time.
    ///
    /// # Errors
    /// [`Mismatch`] when the request may be anybody's.
    pub fn validate(&self, url: &str, signature: &str, body: Body<'_>) -> Result<Variant, Mismatch> {
        let fail = |reason, tried| Err(Mismatch { tried, reason });
        let signature = match STANDARD.decode(signature) {
            Ok(bytes) if bytes.len() == 20 => bytes,
            Ok(_) | Err(_) => return fail(Reason::Malformed, Vec::new()),
        };
        let Some(parts) = Parts::of(url) else {
            return fail(Reason::NotAUrl, Vec::new());
        };
        let fields = match body {
            Body::Form(fields) => joined(fields),
            Body::Raw(bytes) if names_hash_of(&parts, bytes) => String::new(),
            Body::Raw(_) => return fail(Reason::BodyHash, Vec::new()),
        };
        let mut tried = Vec::new();
        for (variant, spelled) in parts.variants() {
            if self
                .keys
                .iter()
                .any(|key| fits(key, &spelled, &fields, &signature))
            {
                return Ok(variant);
            }
            tried.push(variant);
        }
        fail(Reason::Differs, tried)
    }
}

/// Names and values as they are signed: in byte order, and each pair once however often it came.
fn joined(fields: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
        .into_iter()
        .flat_map(|(name, value)| [name, value])
        .collect()
}

fn names_hash_of(parts: &Parts<'_>, body: &[u8]) -> bool {
    let hash: String = Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    match parts.query_values(BODY_HASH).as_slice() {
        [named] => named.as_bytes().ct_eq(hash.as_bytes()).into(),
        _ => false,
    }
}

fn fits(key: &Hmac<Sha1>, url: &str, fields: &str, signature: &[u8]) -> bool {
    let mut mac = key.clone();
    mac.update(url.as_bytes());
    mac.update(fields.as_bytes());
    mac.verify_slice(signature).is_ok()
}

fn spellings(tried: &[Variant]) -> String {
    let tried: Vec<_> = tried.iter().map(ToString::to_string).collect();
    match tried.is_empty() {
        true => "nothing".to_owned(),
        false => tried.join(", "),
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator")
            .field("tokens", &self.keys.len())
            .finish()
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The fields hold numbers.
        f.write_str(match self {
            Self::Form(_) => "Form(**)",
            Self::Raw(_) => "Raw(**)",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the signature is empty or malformed",
            Self::NotAUrl => "the url is not absolute; set the public url",
            Self::BodyHash => "the url does not name the hash of this body",
            Self::Differs => "it fits no spelling of the url; compare the public url and the auth token",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        id: String,
        auth_token: String,
        url: String,
        kind: String,
        params: Option<Vec<(String, String)>>,
        body: Option<String>,
        signature: String,
        valid: bool,
    }

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    fn token(text: &str) -> SecretString {
        SecretString::new(text.into())
    }

    fn validator(tokens: &[&str]) -> Validator {
        Validator::new(tokens.iter().map(|text| token(text))).unwrap()
    }

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| (String::from(*name), String::from(*value)))
            .collect()
    }

    fn sign(key: &str, text: &str) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    #[test]
    fn i35_the_vectors_of_the_official_libraries() {
        let fixture: Fixture =
            serde_json::from_str(include_str!("../tests/fixtures/signature_vectors.json")).unwrap();
        assert_eq!(fixture.vectors.len(), 22);
        for vector in fixture.vectors {
            let params = vector.params.unwrap_or_default();
            let body = match vector.kind.as_str() {
                "form" => Body::Form(&params),
                _ => Body::Raw(vector.body.as_deref().unwrap().as_bytes()),
            };
            let found = validator(&[&vector.auth_token]).validate(&vector.url, &vector.signature, body);
            assert_eq!(found.is_ok(), vector.valid, "{}: {found:?}", vector.id);
        }
    }

    #[test]
    fn i35_any_change_of_a_field_breaks_the_signature() {
        let genuine = fields(&[("MessageSid", "SM1"), ("MessageStatus", "sent")]);
        let signature = sign("12345", &format!("{URL}MessageSidSM1MessageStatussent"));
        let validator = validator(&["12345"]);
        assert!(validator.validate(URL, &signature, Body::Form(&genuine)).is_ok());
        for forged in [
            fields(&[("MessageSid", "SM1"), ("MessageStatus", "delivered")]),
            fields(&[("MessageSid", "SM1")]),
            fields(&[("MessageSid", "SM1"), ("MessageStatus", "sent"), ("x", "")]),
            fields(&[("MessageSid", "SM1"), ("MessageStatus", "sent ")]),
            fields(&[]),
        ] {
            let found = validator
                .validate(URL, &signature, Body::Form(&forged))
                .unwrap_err();
            assert_eq!(found.reason, Reason::Differs);
            assert_eq!(found.tried.len(), 2);
        }
        let other_url = URL.replace("foo=1", "foo=2");
        assert!(
            validator
                .validate(&other_url, &signature, Body::Form(&genuine))
                .is_err()
        );
    }

    #[test]
    fn both_tokens_of_a_rotation_sign_and_a_third_does_not() {
        let rotating = validator(&["old", "new"]);
        for (key, fits) in [("old", true), ("new", true), ("else", false), ("", false)] {
            assert_eq!(
                rotating.validate(URL, &sign(key, URL), Body::Form(&[])).is_ok(),
                fits,
                "{key}"
            );
        }
    }

    #[test]
    fn i35_without_a_token_nothing_can_be_valid() {
        assert_eq!(Validator::new([]).unwrap_err(), NoToken);
        assert_eq!(Validator::new([token("a"), token("")]).unwrap_err(), NoToken);
    }

    #[test]
    fn the_spelling_that_was_signed_is_named() {
        let signed = sign("12345", "https://mycompany.com:443/myapp.php?foo=1&bar=2");
        let found = validator(&["12345"])
            .validate(URL, &signed, Body::Form(&[]))
            .unwrap();
        assert_eq!(found.port, Port::Added);
        let given = "https://user:pass@mycompany.com/myapp.php?foo=1&bar=2";
        let found = validator(&["12345"])
            .validate(given, &sign("12345", URL), Body::Form(&[]))
            .unwrap();
        assert_eq!(
            (found.credentials, found.port),
            (Credentials::Removed, Port::AsGiven)
        );
    }

    #[test]
    fn repeated_fields_count_once_per_value() {
        let signature = sign("12345", &format!("{URL}MediaaMediab"));
        let repeated = fields(&[("Media", "b"), ("Media", "a"), ("Media", "b")]);
        assert!(
            validator(&["12345"])
                .validate(URL, &signature, Body::Form(&repeated))
                .is_ok()
        );
    }

    #[test]
    fn i35_a_body_needs_its_own_hash_exactly_once() {
        let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let other = hash.replace("44", "45");
        for (query, fits) in [
            (format!("bodySHA256={hash}"), true),
            (format!("a=b&bodySHA256={hash}"), true),
            (format!("bodySHA256={}", hash.to_uppercase()), false),
            (format!("bodySHA256={other}&bodySHA256={hash}"), false),
            (format!("bodysha256={hash}"), false),
            ("bodySHA256=".into(), false),
        ] {
            let url = format!("https://mycompany.com/events?{query}");
            let found = validator(&["12345"]).validate(&url, &sign("12345", &url), Body::Raw(b"{}"));
            assert_eq!(found.is_ok(), fits, "{query}");
        }
    }

    #[test]
    fn malformed_signatures_and_urls_are_told_apart() {
        let reason = |url, signature: &str| {
            validator(&["12345"])
                .validate(url, signature, Body::Form(&[]))
                .unwrap_err()
                .reason
        };
        for signature in ["", "=", "not base64", "AAAA", " RSOYDt4T1cUTdK1PDd93/VVr8B8="] {
            assert_eq!(reason(URL, signature), Reason::Malformed, "{signature}");
        }
        assert_eq!(
            reason("/myapp.php", &sign("12345", "/myapp.php")),
            Reason::NotAUrl
        );
    }

    #[test]
    fn i65_debug_shows_no_token() {
        assert_eq!(format!("{:?}", validator(&["12345"])), "Validator { tokens: 1 }");
    }
}
