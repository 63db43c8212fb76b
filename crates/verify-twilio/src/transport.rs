//! One HTTP call: sent at most twice, read within bounds, and every failure sorted by whether Twilio may have acted.
//!
//! A second try is made only of what surely was not processed: the connection was refused, or Twilio answered 20429
//! (too many requests) and asks for a wait of a second or less. A connection that took too long is not tried again,
//! because the caller's time is nearly over then. Nothing else is repeated, since Twilio has no idempotency keys and
//! a second start may be a second message.

use std::fmt;
use std::time::Duration;

use reqwest::header::{ACCEPT, DATE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use verify_core::port::{Detail, RejectionKind};
use verify_core::secret::SecretString;
use verify_core::time::Timestamp;

use crate::config::{Config, ConfigError};
use crate::error_table::{self, Class};

/// A larger answer is none of Twilio's.
const MOST_BYTES: usize = 1 << 20;
/// The longest wait before the second try.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The wait when Twilio names none.
const USUAL_PAUSE: Duration = Duration::from_millis(250);
/// Longer waits are not believed.
const LONGEST_RETRY_AFTER: f64 = 7.0 * 86_400.0;

/// Says that the operator's own limit of the Verify Service was reached: whoever else carries it would get round that.
const REACHED_RATE_LIMIT: &str = "twilio-reached-rate-limit";

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Twilio never saw it: no connection could be made.
    #[error("twilio was not reached: {}", .0.message())]
    NotReached(Detail),
    /// Twilio answered that it did not do it.
    #[error("twilio refused: {}", .0.detail.message())]
    Refused(Refusal),
    /// Twilio may have done it: no answer, a fault on its side, or an answer that cannot be read.
    #[error("twilio may or may not have acted: {}", .0.message())]
    Unclear(Detail),
}

/// An answer with a 4xx status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub http: u16,
    /// What the answer means.
    pub class: Class,
    /// When to come back, if Twilio said so legibly.
    pub retry_after: Option<Duration>,
    /// Twilio's code, and its message with numbers and mailboxes masked.
    pub detail: Detail,
}

/// A 2xx answer.
pub(crate) struct Reply {
    /// Twilio's clock when it answered.
    pub(crate) date: Option<Timestamp>,
    body: Vec<u8>,
}

impl Reply {
    /// The answer that came with this status and these headers, if it is a positive one.
    #[cfg(feature = "double")]
    pub(crate) fn of(status: u16, headers: &HeaderMap, body: Vec<u8>) -> Result<Self, CallError> {
        let status = StatusCode::from_u16(status).map_err(|_| unclear("no http status"))?;
        judged(status, headers, body).map_err(|failure| failure.error)
    }

    /// The body, which has to be what was expected.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| unclear("a positive status with a body that cannot be read"))
    }
}

/// What is asked.
#[derive(Clone)]
pub(crate) enum Call {
    /// A reading.
    Get(Url),
    /// An act, with its form.
    Post(Url, Vec<(&'static str, String)>),
}

/// The connection to one host under one login.
#[derive(Clone)]
pub(crate) struct Transport {
    http: Client,
    base: Url,
    user: String,
    password: SecretString,
}

/// A failure, and how long to wait if it may be tried again.
struct Failure {
    error: CallError,
    again_after: Option<Duration>,
}

impl Transport {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let base = config.base()?;
        let (user, password) = config.login()?;
        let http = Client::builder()
            .user_agent(concat!("verify-twilio/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            // Shorter than what servers usually keep: a connection that is just being closed would lose a send.
            .pool_idle_timeout(Duration::from_secs(30))
            .tcp_keepalive(Duration::from_secs(60))
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .https_only(base.scheme() == "https")
            .build()
            .map_err(|_| ConfigError::HttpClient)?;
        Ok(Self {
            http,
            base,
            user: user.into(),
            password: password.clone(),
        })
    }

    /// The address of a resource; each segment is percent-encoded.
    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // An http or https url always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// An address that an answer named, if it is on the host that is called anyway: credentials go nowhere else.
    pub(crate) fn same_host(&self, address: &str) -> Result<Url, CallError> {
        let url = Url::parse(address)
            .ok()
            .filter(|url| url.origin() == self.base.origin());
        url.ok_or_else(|| unclear("the next page is on another host"))
    }

    /// Makes the call.
    pub(crate) async fn send(&self, call: &Call) -> Result<Reply, CallError> {
        match self.once(call).await {
            Ok(reply) => Ok(reply),
            Err(Failure {
                again_after: Some(pause),
                ..
            }) => {
                tokio::time::sleep(pause).await;
                self.once(call).await.map_err(|failure| failure.error)
            }
            Err(Failure {
                error,
                again_after: None,
            }) => Err(error),
        }
    }

    async fn once(&self, call: &Call) -> Result<Reply, Failure> {
        let mut response = self
            .request(call)
            .send()
            .await
            .map_err(|error| unanswered(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match read_body(&mut response).await {
            Some(body) => body,
            None => return Err(final_failure(unclear("the answer broke off"))),
        };
        judged(status, &headers, body)
    }

    fn request(&self, call: &Call) -> RequestBuilder {
        let request = match call {
            Call::Get(url) => self.http.get(url.clone()),
            Call::Post(url, form) => self.http.post(url.clone()).form(form),
        };
        request
            .basic_auth(&self.user, Some(self.password.expose()))
            .header(ACCEPT, "application/json")
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("host", &self.base.host_str())
            .finish_non_exhaustive()
    }
}

/// Twilio's form of an error.
#[derive(Deserialize, Default)]
struct ErrorBody {
    code: Option<u32>,
    message: Option<String>,
}

/// An error of the uncertain kind, in our own words.
pub(crate) fn unclear(what: &str) -> CallError {
    CallError::Unclear(Detail::new(None, what))
}

/// The client's own error texts hold the url, and with it a number: they are never used.
fn unanswered(error: &reqwest::Error) -> Failure {
    // A request that cannot be built did not leave either.
    let never_left = error.is_connect() || error.is_builder();
    match (never_left, error.is_timeout()) {
        (true, true) => final_failure(not_reached("connecting took too long")),
        (true, false) => Failure {
            error: not_reached("no connection could be made"),
            again_after: Some(Duration::ZERO),
        },
        (false, true) => final_failure(unclear("no answer in time")),
        (false, false) => final_failure(unclear("the connection broke before an answer came")),
    }
}

fn not_reached(what: &str) -> CallError {
    CallError::NotReached(Detail::new(None, what))
}

fn final_failure(error: CallError) -> Failure {
    Failure {
        error,
        again_after: None,
    }
}

/// What a whole answer is worth.
fn judged(status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Result<Reply, Failure> {
    if status.is_success() {
        let date = date(headers);
        return Ok(Reply { date, body });
    }
    if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT {
        return Err(refused(status, headers, &body));
    }
    Err(final_failure(CallError::Unclear(faulty(status, &body))))
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let ErrorBody { code, message } = serde_json::from_slice(body).unwrap_or_default();
    let message = message.unwrap_or_else(|| format!("http {} without a readable error", status.as_u16()));
    let said = headers
        .get(RETRY_AFTER)
        .map(|value| value.to_str().ok().and_then(retry_after));
    let own_limit = status == StatusCode::TOO_MANY_REQUESTS && headers.contains_key(REACHED_RATE_LIMIT);
    let again_after = match (code, said) {
        (_, _) if own_limit => None,
        (Some(error_table::TOO_MANY_REQUESTS), None) if status == StatusCode::TOO_MANY_REQUESTS => {
            Some(USUAL_PAUSE)
        }
        (Some(error_table::TOO_MANY_REQUESTS), Some(Some(wait)))
            if status == StatusCode::TOO_MANY_REQUESTS && wait <= LONGEST_PAUSE =>
        {
            Some(wait)
        }
        (_, _) => None,
    };
    let refusal = Refusal {
        http: status.as_u16(),
        class: match own_limit {
            true => Class::Rejects(RejectionKind::DestinationQuota),
            false => error_table::classify(status.as_u16(), code, &message),
        },
        retry_after: said.flatten().or_else(|| error_table::usual_wait(code)),
        detail: Detail::new(code, &message),
    };
    Failure {
        error: CallError::Refused(refusal),
        again_after,
    }
}

/// What is kept of a fault: Twilio's own words if there are any, never a page of a gateway in between.
fn faulty(status: StatusCode, body: &[u8]) -> Detail {
    let ErrorBody { code, message } = serde_json::from_slice(body).unwrap_or_default();
    Detail::new(
        code,
        &message.unwrap_or_else(|| format!("http {}", status.as_u16())),
    )
}

/// Seconds. Twilio does not document the form, so that anything else is no statement.
fn retry_after(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    let believable = (0.0..=LONGEST_RETRY_AFTER).contains(&seconds);
    believable
        .then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let millis = chrono::DateTime::parse_from_rfc2822(text)
        .ok()?
        .timestamp_millis();
    u64::try_from(millis).ok().map(Timestamp::from_millis)
}

/// `None` when it breaks off, takes too long or is too large.
async fn read_body(response: &mut Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MOST_BYTES {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_nothing() {
        for (text, expected) in [
            ("0", Some(Duration::ZERO)),
            (" 30 ", Some(Duration::from_secs(30))),
            ("0.5", Some(Duration::from_millis(500))),
            ("-1", None),
            ("NaN", None),
            ("1e300", None),
            ("Tue, 24 Nov 2026 20:00:00 GMT", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text), expected, "{text}");
        }
    }

    #[test]
    fn only_a_short_pause_after_too_many_requests_is_waited_for() {
        let second = Duration::from_secs(1);
        for (http, code, said, pause) in [
            (429, 20429, None, Some(USUAL_PAUSE)),
            (429, 20429, Some("0.5"), Some(second / 2)),
            (429, 20429, Some("1"), Some(second)),
            (429, 20429, Some("1.001"), None),
            (429, 20429, Some("soon"), None),
            (429, 60203, Some("1"), None),
            (429, 60212, None, None),
            (400, 20429, None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(said.map(|text| (RETRY_AFTER, text.parse().unwrap())));
            let body = format!(r#"{{"code":{code},"message":"m"}}"#);
            let failure = refused(StatusCode::from_u16(http).unwrap(), &headers, body.as_bytes());
            assert_eq!(failure.again_after, pause, "{http} {code} {said:?}");
        }
    }

    #[test]
    fn i134_each_cap_has_a_wait_of_its_own() {
        for (code, header, said, kind, wait) in [
            (60202, false, None, RejectionKind::DestinationQuota, Some(600)),
            (60203, false, None, RejectionKind::DestinationQuota, Some(600)),
            (
                60203,
                false,
                Some("42"),
                RejectionKind::DestinationQuota,
                Some(42),
            ),
            (60212, false, None, RejectionKind::DestinationQuota, Some(10)),
            (
                60212,
                false,
                Some("soon"),
                RejectionKind::DestinationQuota,
                Some(10),
            ),
            (20429, false, Some("7"), RejectionKind::AccountQuota, Some(7)),
            (20429, true, Some("1"), RejectionKind::DestinationQuota, Some(1)),
            (20429, true, None, RejectionKind::DestinationQuota, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(said.map(|text| (RETRY_AFTER, text.parse().unwrap())));
            if header {
                headers.insert(REACHED_RATE_LIMIT, "per-ip".parse().unwrap());
            }
            let body = format!(r#"{{"code":{code},"message":"m"}}"#);
            let failure = refused(StatusCode::TOO_MANY_REQUESTS, &headers, body.as_bytes());
            let CallError::Refused(refusal) = failure.error else {
                panic!("{code}")
            };
            assert_eq!(refusal.class, Class::Rejects(kind), "{code} {header}");
            assert_eq!(
                refusal.retry_after,
                wait.map(Duration::from_secs),
                "{code} {said:?}"
            );
            if header {
                assert_eq!(failure.again_after, None, "no second try against one's own limit");
            }
        }
    }

    #[test]
    fn twilios_clock_is_read_from_the_answer() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(DATE, "Thu, 30 Jul 2015 20:00:00 GMT".parse().unwrap());
        assert_eq!(date(&headers), Some(Timestamp::from_millis(1_438_286_400_000)));
    }
}
