//! Bodies: read up to a bound, and strictly.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;

use verify_http::{Problem, ProblemCode};

/// The longest JSON body.
pub const MAX_JSON: usize = 16 * 1024;
/// The longest body of a webhook.
pub const MAX_WEBHOOK: usize = 256 * 1024;
/// A body that takes longer to arrive is not waited for.
const MOST_ARRIVING: Duration = Duration::from_secs(10);

/// A JSON object of this type and nothing else: unknown fields, other types and trailing text are refused with a
/// pointer to what is wrong.
#[derive(Debug, Clone)]
pub struct JsonBody<T>(pub T);

impl<T, S> FromRequest<S> for JsonBody<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                ProblemCode::UnsupportedMediaType,
                "send the body as JSON with the header content-type: application/json",
            ));
        }
        let bytes = read(request, MAX_JSON, |_| true).await?;
        parse(&bytes).map(Self)
    }
}

/// Reads a body of at most `most` bytes; `hold` is asked for room for each part of it.
///
/// # Errors
/// `too_large`, told before the rest is read, `invalid_request` when the connection broke or the rest stays away, or
/// `overloaded` when there is no room.
pub async fn read(request: Request, most: usize, hold: impl FnMut(usize) -> bool) -> Result<Bytes, Problem> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > most as u64) {
        return Err(too_large(most));
    }
    match timeout(MOST_ARRIVING, read_all(request.into_body(), most, hold)).await {
        Ok(read) => read,
        Err(_) => Err(not_whole()),
    }
}

async fn read_all(
    mut body: Body,
    most: usize,
    mut hold: impl FnMut(usize) -> bool,
) -> Result<Bytes, Problem> {
    // Most bodies come in one part, which is not copied then. All others grow in place: who sends a byte at a time must not
    // have all that came before copied for each.
    let mut first = Bytes::new();
    let mut grown = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame.map_err(|_| not_whole())?.into_data() else {
            continue;
        };
        if first.len() + grown.len() + data.len() > most {
            return Err(too_large(most));
        }
        if !hold(data.len()) {
            return Err(Problem::new(
                ProblemCode::Overloaded,
                "too much is being sent at once; send it again",
            ));
        }
        if first.is_empty() && grown.is_empty() {
            first = data;
        } else {
            if grown.is_empty() {
                grown = std::mem::take(&mut first).into();
            }
            grown.extend_from_slice(&data);
        }
    }
    Ok(if grown.is_empty() { first } else { grown.into() })
}

fn too_large(most: usize) -> Problem {
    Problem::new(
        ProblemCode::TooLarge,
        format!("the body may have at most {most} bytes"),
    )
}

fn not_whole() -> Problem {
    Problem::new(ProblemCode::InvalidRequest, "the body did not arrive as a whole")
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(media) = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    if media == "application/json" {
        return true;
    }
    let essence = media
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A struct would take an array too, field by field; nobody means that.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(not_json());
    }
    // What is right need not know where it is wrong.
    serde_json::from_slice(bytes).or_else(|_| {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| explain(&error))?;
        json.end().map_err(|_| not_json())?;
        Ok(value)
    })
}

fn not_json() -> Problem {
    Problem::new(ProblemCode::InvalidRequest, "the body is not a JSON object")
}

/// Says what is wrong without repeating a value: values may be numbers, mailboxes or codes.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    match error.inner().classify() {
        Category::Io | Category::Syntax | Category::Eof => not_json(),
        Category::Data => {
            let field = error.path().to_string();
            let (field, detail) = explain_data(&field, &error.inner().to_string());
            let problem = Problem::new(ProblemCode::InvalidRequest, detail);
            if is_plain(&field) {
                problem.at(&field)
            } else {
                problem
            }
        }
    }
}

fn explain_data(path: &str, said: &str) -> (String, String) {
    // Names and values of the sender stand in front of serde's own words, and may hold the same ones: only what
    // follows the last of them is serde's.
    let said = said.rsplit_once(" at line ").map_or(said, |(said, _)| said);
    if said.starts_with("unknown field") {
        let known = said
            .rsplit_once("`, expected ")
            .map_or("", |(_, known)| known)
            .replace("one of ", "")
            .replace('`', "");
        return (
            path.to_owned(),
            format!("this field is not known here; known are: {known}"),
        );
    }
    if let Some(field) = said
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        return (field.to_owned(), "this field is needed".to_owned());
    }
    if let Some(field) = said
        .strip_prefix("duplicate field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        return (field.to_owned(), "this field stands there twice".to_owned());
    }
    match said.rsplit_once("expected ") {
        // The names of types are Rust's, and the reader's language is another.
        Some((_, "u8" | "u16" | "u32" | "u64" | "usize")) => (
            path.to_owned(),
            "expected a whole number, zero or more and not too large".to_owned(),
        ),
        Some((_, expected)) => (path.to_owned(), format!("expected {expected}")),
        None => (path.to_owned(), "this value cannot be used".to_owned()),
    }
}

/// A field name that may be repeated: short, and nothing that could be personal.
fn is_plain(field: &str) -> bool {
    (1..=40).contains(&field.len())
        && field
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its reading is tested")]
    struct Sample {
        to: String,
        asn: Option<u32>,
    }

    fn refusal(text: &str) -> (String, Option<String>) {
        let problem = parse::<Sample>(text.as_bytes()).unwrap_err();
        assert_eq!(problem.body().code, ProblemCode::InvalidRequest);
        (problem.body().detail.to_string(), problem.body().pointer.clone())
    }

    fn says(text: &str, detail: &str, pointer: Option<&str>) {
        assert_eq!(
            refusal(text),
            (detail.to_owned(), pointer.map(str::to_owned)),
            "{text}"
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_pointed_at() {
        says("", "the body is not a JSON object", None);
        says("to=+12025550100", "the body is not a JSON object", None);
        says(r#"{"to":"a"} x"#, "the body is not a JSON object", None);
        says("{}", "this field is needed", Some("/to"));
        says(
            r#"{"to":"a","to":"b"}"#,
            "this field stands there twice",
            Some("/to"),
        );
        says(
            r#"{"to":"a","colour":1}"#,
            "this field is not known here; known are: to or asn",
            Some("/colour"),
        );
        says(r#"{"to":["a"]}"#, "expected a string", Some("/to"));
        for number in ["-1", "1.5", "4294967296"] {
            says(
                &format!(r#"{{"to":"a","asn":{number}}}"#),
                "expected a whole number, zero or more and not too large",
                Some("/asn"),
            );
        }
        says(r#"["a"]"#, "the body is not a JSON object", None);
    }

    #[test]
    fn i20_no_value_is_repeated() {
        for text in [
            r#"{"to":"a","asn":"+12025550177"}"#,
            r#"{"+12025550177":1,"to":"a"}"#,
            r#""+12025550177""#,
        ] {
            let (detail, pointer) = refusal(text);
            assert!(
                !format!("{detail} {pointer:?}").contains("555"),
                "{text}: {detail} {pointer:?}"
            );
        }
    }

    #[test]
    fn json_is_recognised_by_its_media_type() {
        for (media, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(media))]
                .into_iter()
                .collect();
            assert_eq!(is_json(&headers), json, "{media}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
