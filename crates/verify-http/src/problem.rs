//! Refusals on the wire: RFC 9457 problem documents with a stable `code`.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use verify_core::outcome::{Fault, Refusal, RefusalCode, WrongCode, wait_secs};
use verify_core::time::{Timestamp, Until};

/// How long to wait where nobody knows: stores are asked each second whether they are back, and a client need not be quicker.
const A_WHILE: Duration = Duration::from_secs(5);

/// The media type of every refusal.
pub const PROBLEM_JSON: &str = "application/problem+json";

macro_rules! problem_codes {
    ($($(#[$meta:meta])* $variant:ident = $name:literal, $status:ident, $title:literal;)+) => {
        /// What is the matter. Codes are stable; clients branch on them and on nothing else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum ProblemCode { $($(#[$meta])* #[serde(rename = $name)] $variant),+ }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The HTTP status that it travels with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            /// The kind of problem, as a URI.
            pub const fn uri(self) -> &'static str {
                match self { $(Self::$variant => concat!("urn:verify:problem:", $name)),+ }
            }

            /// A short text that is the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }
    };
}

problem_codes! {
    /// Not JSON, an unknown field, a bad value; `pointer` names it.
    InvalidRequest = "invalid_request", BAD_REQUEST, "The request cannot be used";
    /// The number or mailbox cannot be used.
    InvalidDestination = "invalid_destination", BAD_REQUEST, "The number or mailbox cannot be used";
    /// A code that cannot be one; it counts as nothing.
    InvalidCode = "invalid_code", BAD_REQUEST, "That is not a code";
    /// The caller's key is missing or unknown.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid API key is needed";
    /// The guess was wrong.
    WrongCode = "wrong_code", UNAUTHORIZED, "The code is wrong";
    /// The caller's role or a signature does not allow it.
    Forbidden = "forbidden", FORBIDDEN, "This is not allowed";
    /// Nothing is sent to this destination.
    Blocked = "blocked", FORBIDDEN, "A code cannot be sent there";
    /// A stronger factor is asked for.
    StepUpRequired = "step_up_required", FORBIDDEN, "A stronger factor is needed";
    /// A human check is asked for.
    HumanCheckRequired = "human_check_required", FORBIDDEN, "A human check is needed";
    /// Expired, used, canceled, exhausted, foreign, or never there: all alike.
    NotFound = "not_found", NOT_FOUND, "There is nothing here";
    /// The route exists, the method does not.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This route has no such method";
    /// This destination cannot be reached by this channel.
    ChannelUnavailable = "channel_unavailable", UNPROCESSABLE_ENTITY, "This channel does not reach that destination";
    /// Too much contention, or the key of a check that is over.
    Conflict = "conflict", CONFLICT, "Something else happened at the same time";
    /// The other request with this idempotency key still runs.
    InProgress = "in_progress", CONFLICT, "The same request still runs";
    /// The body is too large.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The body is of another type than expected.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body has another type than expected";
    /// The idempotency key came with another body.
    IdempotencyMismatch = "idempotency_mismatch", UNPROCESSABLE_ENTITY, "This idempotency key was used for another request";
    /// A limit.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    /// A short wait.
    Cooldown = "cooldown", TOO_MANY_REQUESTS, "A short wait is needed";
    /// A long wait after failures.
    Locked = "locked", TOO_MANY_REQUESTS, "Too many wrong codes";
    /// A fault of this server.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong here";
    /// No provider took it.
    ProviderUnavailable = "provider_unavailable", SERVICE_UNAVAILABLE, "No message can be sent just now";
    /// The store is down; nothing is allowed because of that.
    StoreUnavailable = "store_unavailable", SERVICE_UNAVAILABLE, "Nothing can be decided just now";
    /// The flood shield, or too many messages under way.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Too many requests at once";
}

#[cfg(feature = "openapi")]
mod schema {
    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
    use utoipa::{PartialSchema, ToSchema};

    use super::ProblemCode;

    // By hand: the derive takes no name that a macro hands in, and would list the variants by theirs.
    impl PartialSchema for ProblemCode {
        fn schema() -> RefOr<Schema> {
            let names = Self::ALL.iter().map(|code| code.as_str());
            let names = ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some("What is the matter. Codes are stable."))
                .enum_values(Some(names));
            names.into()
        }
    }

    impl ToSchema for ProblemCode {}
}

impl From<RefusalCode> for ProblemCode {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::InvalidRequest => Self::InvalidRequest,
            RefusalCode::InvalidDestination => Self::InvalidDestination,
            RefusalCode::InvalidCode => Self::InvalidCode,
            RefusalCode::Blocked => Self::Blocked,
            RefusalCode::StepUpRequired => Self::StepUpRequired,
            RefusalCode::HumanCheckRequired => Self::HumanCheckRequired,
            RefusalCode::NotFound => Self::NotFound,
            RefusalCode::ChannelUnavailable => Self::ChannelUnavailable,
            RefusalCode::Conflict => Self::Conflict,
            RefusalCode::InProgress => Self::InProgress,
            RefusalCode::IdempotencyMismatch => Self::IdempotencyMismatch,
            RefusalCode::RateLimited => Self::RateLimited,
            RefusalCode::Cooldown => Self::Cooldown,
            RefusalCode::Locked => Self::Locked,
            RefusalCode::ProviderUnavailable => Self::ProviderUnavailable,
            RefusalCode::Overloaded => Self::Overloaded,
        }
    }
}

/// A refusal: an RFC 9457 problem document.
///
/// It has no place for a rule, a provider or a provider's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Problem))]
pub struct ProblemBody {
    /// Names the kind of problem: `urn:verify:problem:` and the code.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub kind: &'static str,
    /// A short text that is the same for every occurrence.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: ProblemCode,
    /// What exactly, for a developer.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub detail: Cow<'static, str>,
    /// Always false.
    pub ok: bool,
    /// A JSON pointer (RFC 6901) to the field it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Seconds after which the same request would be admitted, rounded up; where nobody knows, as while the store is down,
    /// after which it is worth asking again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Channels that may be tried instead. One that does not reach this destination (`email` for a number) is among them: ask
    /// for another destination and send there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<&'static str>,
    /// Stronger factors that would do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<String>,
    /// True when a factor may be enrolled now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enroll: bool,
    /// The reference that the stronger factor answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_up: Option<String>,
    /// True when support is what is left.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub support: bool,
    /// Checks left before the verification is closed; absent when nothing ends them but time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks_left: Option<u32>,
    /// False for a wrong code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// Where the verification stands after a wrong code: `pending`, or `exhausted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub verification_status: Option<&'static str>,
}

/// A [`ProblemBody`] on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(Box<ProblemBody>);

impl Problem {
    /// A problem with a code and what exactly is the matter. `detail` never repeats what came in.
    pub fn new(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(ProblemBody {
            kind: code.uri(),
            title: code.title(),
            status: code.status().as_u16(),
            code,
            detail: detail.into(),
            ok: false,
            pointer: None,
            retry_after: None,
            fallback: Vec::new(),
            factors: Vec::new(),
            enroll: false,
            step_up: None,
            support: false,
            checks_left: None,
            valid: None,
            verification_status: None,
        }))
    }

    /// A bug here.
    pub fn internal() -> Self {
        Self::new(
            ProblemCode::Internal,
            "something went wrong here; the log of this request id says what",
        )
    }

    /// A webhook that is not known to come from the provider. What was compared is for the log, and not for the sender.
    pub fn not_signed() -> Self {
        Self::new(
            ProblemCode::Forbidden,
            "the signature is missing or does not fit; the log says what was tried",
        )
    }

    /// About this field of the body, in place of the one that it was about: for bodies whose fields have other names than
    /// those of the ready routes.
    #[must_use]
    pub fn at(mut self, field: &str) -> Self {
        self.0.pointer = Some(format!("/{}", field.replace('~', "~0").replace('/', "~1")));
        self
    }

    /// Worth asking again after this wait.
    fn after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait.as_millis().div_ceil(1_000) as u64);
        self
    }

    /// The engine's refusal; `now` is the engine's time.
    pub fn refused(refusal: Refusal, now: Timestamp) -> Self {
        let mut problem = Self::new(refusal.code.into(), refusal.detail);
        if let Some(field) = refusal.field {
            problem = problem.at(field_on_the_wire(field));
        }
        let body = &mut *problem.0;
        body.retry_after = refusal.retry_at.and_then(|until| wait_secs(until, now));
        body.fallback = refusal.fallback.iter().map(|channel| channel.as_str()).collect();
        body.factors = refusal.factors;
        body.enroll = refusal.enroll;
        body.step_up = refusal.step_up;
        body.support = refusal.support;
        body.checks_left = refusal.checks_left;
        problem
    }

    /// A wrong code; `now` is the engine's time.
    pub fn wrong_code(wrong: &WrongCode, now: Timestamp) -> Self {
        let detail = match (wrong.checks_left, wrong.retry_at) {
            (Some(0), _) => "the code is wrong and no check is left; ask for a new code",
            (_, Until::Never) => "the code is wrong; another way to sign in is needed",
            (_, Until::At(at)) if at <= now => "the code is wrong; it may be tried again at once",
            (_, Until::At(_)) => "the code is wrong; it may be tried again after the wait",
        };
        let mut problem = Self::new(ProblemCode::WrongCode, detail);
        let body = &mut *problem.0;
        body.retry_after = wait_secs(wrong.retry_at, now);
        body.checks_left = wrong.checks_left;
        body.valid = Some(false);
        body.verification_status = Some(wrong.status.as_str());
        problem
    }

    /// What it says.
    pub fn body(&self) -> &ProblemBody {
        &self.0
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// The body as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Its maps have text keys and its values are plain: there is nothing in it that JSON cannot say.
        serde_json::to_vec(&*self.0).unwrap_or_default()
    }

    /// The headers that go with it: `Content-Type`, `Retry-After` where there is a wait, `WWW-Authenticate` where a key
    /// is missing.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.code == ProblemCode::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::StoreUnavailable => Self::new(
                ProblemCode::StoreUnavailable,
                "the store cannot be reached, so nothing was allowed; try again in a while",
            )
            .after(A_WHILE),
            Fault::StoreFull => Self::new(
                ProblemCode::StoreUnavailable,
                "the store has no room for anything new, so nothing was allowed; give it more room, or wait until what \
                 it holds expires",
            )
            .after(A_WHILE),
            Fault::StoreCorrupt => Self::new(
                ProblemCode::StoreUnavailable,
                "the store holds something that this version cannot read, so nothing was allowed; run the version that \
                 wrote it, or a newer one",
            ),
            Fault::Defect => Self::internal(),
            Fault::Misconfigured => Self::new(
                ProblemCode::ProviderUnavailable,
                "the provider that made this code is not in use here any more; ask for a new code",
            ),
            Fault::ClocksDiffer => Self::new(
                ProblemCode::StoreUnavailable,
                "the clock here and the store's differ, so nothing was allowed; try again once an operator has set them right",
            )
            .after(A_WHILE),
            Fault::StoreCools { wait } => Self::new(
                ProblemCode::StoreUnavailable,
                "the store may have lost what it counted, so nothing was allowed; try again after the wait, or once an \
                 operator has accepted the store",
            )
            .after(wait),
        }
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for Problem {
    fn into_response(self) -> axum_core::response::Response {
        let mut response = axum_core::response::Response::new(self.to_json().into());
        *response.status_mut() = self.status();
        *response.headers_mut() = self.headers();
        response
    }
}

/// The core speaks of subjects, requests of users.
fn field_on_the_wire(field: &'static str) -> &'static str {
    if field == "subject" { "user_id" } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verify_core::record::Status;

    #[test]
    fn every_refusal_of_the_core_keeps_its_code() {
        for code in RefusalCode::ALL {
            let problem = ProblemCode::from(*code);
            assert_eq!(problem.as_str(), code.as_str());
            assert_eq!(problem.status().as_u16(), code.http_status(), "{code:?}");
        }
    }

    #[test]
    fn every_fault_has_its_status_and_says_what_to_do() {
        let told = Fault::ALL.iter().map(|fault| {
            let problem = Problem::from(*fault);
            let body = problem.body();
            assert_eq!(body.status, fault.http_status(), "{fault:?}");
            (
                body.status,
                body.code.as_str(),
                body.retry_after,
                body.detail.to_string(),
            )
        });
        let expected = [
            (
                503,
                "store_unavailable",
                Some(5),
                "the store cannot be reached, so nothing was allowed; try again in a while",
            ),
            (
                503,
                "store_unavailable",
                Some(5),
                "the store has no room for anything new, so nothing was allowed; give it more room, or wait until what \
                 it holds expires",
            ),
            (
                503,
                "store_unavailable",
                None,
                "the store holds something that this version cannot read, so nothing was allowed; run the version that \
                 wrote it, or a newer one",
            ),
            (
                500,
                "internal",
                None,
                "something went wrong here; the log of this request id says what",
            ),
            (
                503,
                "provider_unavailable",
                None,
                "the provider that made this code is not in use here any more; ask for a new code",
            ),
            (
                503,
                "store_unavailable",
                Some(5),
                "the clock here and the store's differ, so nothing was allowed; try again once an operator has set them right",
            ),
            (
                503,
                "store_unavailable",
                Some(0),
                "the store may have lost what it counted, so nothing was allowed; try again after the wait, or once an \
                 operator has accepted the store",
            ),
        ];
        let expected = expected.map(|(status, code, wait, detail)| (status, code, wait, detail.to_owned()));
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn i62_a_store_that_cools_says_for_how_long() {
        let wait = Duration::from_millis(59_001);
        let problem = Problem::from(Fault::StoreCools { wait });
        assert_eq!(problem.body().retry_after, Some(60));
        assert_eq!(problem.headers()[header::RETRY_AFTER], "60");
    }

    #[test]
    fn waits_are_rounded_up_and_stand_in_body_and_header() {
        let now = Timestamp::from_millis(10_000);
        let refusal = Refusal::new(RefusalCode::Cooldown, "wait")
            .until(Until::At(Timestamp::from_millis(39_001)))
            .field("subject");
        let problem = Problem::refused(refusal, now);
        assert_eq!(problem.body().retry_after, Some(30));
        assert_eq!(problem.body().pointer.as_deref(), Some("/user_id"));
        assert_eq!(problem.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(problem.headers()[header::RETRY_AFTER], "30");
        assert_eq!(problem.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
    }

    #[test]
    fn a_wrong_code_speaks_of_a_wait_where_there_is_one_and_nowhere_else() {
        let now = Timestamp::from_millis(10_000);
        let at = |millis| Until::At(Timestamp::from_millis(millis));
        for (checks_left, retry_at, seconds, waits) in [
            (None, at(0), Some(0), false),
            (None, at(10_000), Some(0), false),
            (Some(4), at(10_000), Some(0), false),
            (Some(4), at(10_001), Some(1), true),
            (None, at(70_000), Some(60), true),
            // Another code is what helps.
            (Some(0), at(70_000), Some(60), false),
            (None, Until::Never, None, false),
        ] {
            let mut wrong = WrongCode::new(Status::Pending, retry_at);
            wrong.checks_left = checks_left;
            let problem = Problem::wrong_code(&wrong, now);
            let body = problem.body();
            assert_eq!(body.retry_after, seconds, "{wrong:?}");
            assert_eq!(body.detail.contains("wait"), waits, "{wrong:?}: {}", body.detail);
        }
    }

    #[test]
    fn waiting_that_does_not_help_has_no_retry_after() {
        let mut wrong = WrongCode::new(Status::Exhausted, Until::Never);
        wrong.checks_left = Some(0);
        let problem = Problem::wrong_code(&wrong, Timestamp::ZERO);
        assert_eq!(problem.body().retry_after, None);
        assert_eq!(problem.body().verification_status, Some("exhausted"));
        assert_eq!(problem.body().valid, Some(false));
    }
}
