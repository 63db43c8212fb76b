//! Answers that several routes give alike, for the OpenAPI document: each stands here once.

use utoipa::IntoResponses;

use verify_http::ProblemBody;

/// Of routes that need a key.
#[derive(IntoResponses)]
pub(super) enum Keyed {
    /// `unauthenticated`
    #[response(status = 401)]
    Unauthenticated(ProblemBody),
}

/// Of routes that need the key of an operator.
#[derive(IntoResponses)]
pub(super) enum OperatorKeyed {
    /// `unauthenticated`
    #[response(status = 401)]
    Unauthenticated(ProblemBody),
    /// `forbidden`
    #[response(status = 403)]
    Forbidden(ProblemBody),
}

/// Of routes that take JSON.
#[derive(IntoResponses)]
pub(super) enum Bodied {
    /// `too_large`
    #[response(status = 413)]
    TooLarge(ProblemBody),
    /// `unsupported_media_type`
    #[response(status = 415)]
    UnsupportedMediaType(ProblemBody),
}

/// Of routes that name a destination.
#[derive(IntoResponses)]
pub(super) enum Addressed {
    /// `invalid_request`, `invalid_destination`
    #[response(status = 400)]
    Invalid(ProblemBody),
}

/// Of routes that look for something by its id alone.
#[derive(IntoResponses)]
pub(super) enum Sought {
    /// `not_found`
    #[response(status = 404)]
    NotFound(ProblemBody),
}

/// Of routes that write what others write too.
#[derive(IntoResponses)]
pub(super) enum Contended {
    /// `conflict`
    #[response(status = 409)]
    Conflict(ProblemBody),
}

/// Of routes that write what others write too, once for an idempotency key.
#[derive(IntoResponses)]
pub(super) enum Repeatable {
    /// `conflict`, `in_progress`
    #[response(status = 409)]
    Conflict(ProblemBody),
}

/// Of routes that the policy limits.
#[derive(IntoResponses)]
pub(super) enum Limited {
    /// `rate_limited`, `cooldown`, `locked`
    #[response(status = 429)]
    Limited(ProblemBody),
}

/// Of routes that need the store.
#[derive(IntoResponses)]
pub(super) enum Stored {
    /// `store_unavailable`
    #[response(status = 503)]
    Unavailable(ProblemBody),
}

/// Of routes that need the store, behind the flood shield.
#[derive(IntoResponses)]
pub(super) enum Shielded {
    /// `store_unavailable`, `overloaded`
    #[response(status = 503)]
    Unavailable(ProblemBody),
}

/// Of routes that need the store and a provider, behind the flood shield.
#[derive(IntoResponses)]
pub(super) enum Carried {
    /// `provider_unavailable`, `store_unavailable`, `overloaded`
    #[response(status = 503)]
    Unavailable(ProblemBody),
}

/// Of webhooks.
#[derive(IntoResponses)]
pub(super) enum Signed {
    /// `invalid_request`: it is signed, and not what this route expects
    #[response(status = 400)]
    Unreadable(ProblemBody),
    /// `forbidden`: the signature is missing or does not fit
    #[response(status = 403)]
    Forbidden(ProblemBody),
    /// `too_large`
    #[response(status = 413)]
    TooLarge(ProblemBody),
    /// `store_unavailable`: send it again; `overloaded`: too many without a signature that fits, or too much at once
    #[response(status = 503)]
    Again(ProblemBody),
}
