//! The header `Idempotency-Key`.

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use verify_http::{Problem, ProblemCode};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key.
const MOST: usize = 255;

/// The header `Idempotency-Key`, where there is one: 1 to 255 visible ASCII characters, once.
///
/// Clients choose their keys without knowing of one another. Where several share a service, make a key of the client's
/// name and this one, so that nobody meets another's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut keys = parts.headers.get_all(HEADER).iter();
        let Some(key) = keys.next() else {
            return Ok(Self(None));
        };
        let key = key.to_str().ok().filter(|key| (1..=MOST).contains(&key.len()));
        match (key, keys.next()) {
            (Some(key), None) => Ok(Self(Some(key.to_owned()))),
            (Some(_) | None, Some(_) | None) => Err(Problem::new(
                ProblemCode::InvalidRequest,
                "the header Idempotency-Key has 1 to 255 visible ASCII characters, and comes once",
            )),
        }
    }
}
