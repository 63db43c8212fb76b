//! The device token, in a cookie.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{AppendHeaders, IntoResponseParts, ResponseParts};
use cookie::{Cookie, SameSite};

/// The prefix binds it to this host, to TLS and to all paths (RFC 6265bis, 4.1.3.2).
const NAME: &str = "__Host-verify-device";
/// What the policy gives a device token where nothing else is said.
const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// The device token of an earlier approval: read from the request, and set with a response.
///
/// It makes a person a known caller, whose budget strangers cannot use up. A stolen one opens nothing.
///
/// ```
/// # use axum::response::IntoResponse;
/// use verify_axum::DeviceCookie;
/// # fn signed_in(device_token: String) -> impl IntoResponse {
/// (DeviceCookie(Some(device_token)), "welcome")
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DeviceCookie(pub Option<String>);

impl std::fmt::Debug for DeviceCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DeviceCookie").field(&self.0.is_some()).finish()
    }
}

impl<S: Sync> FromRequestParts<S> for DeviceCookie {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let texts = parts.headers.get_all(COOKIE).iter();
        let token = texts
            .filter_map(|text| text.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .find(|cookie| cookie.name() == NAME)
            .map(|cookie| cookie.value().to_owned());
        Ok(Self(token))
    }
}

impl IntoResponseParts for DeviceCookie {
    type Error = <AppendHeaders<[(HeaderName, HeaderValue); 1]> as IntoResponseParts>::Error;

    fn into_response_parts(self, response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let Some(token) = self.0 else { return Ok(response) };
        let cookie = Cookie::build((NAME, token))
            .path("/")
            .secure(true)
            .http_only(true)
            .same_site(SameSite::Lax)
            .max_age(KEPT.try_into().unwrap_or_default())
            .build();
        // A token has no character that a header could not have.
        match HeaderValue::from_str(&cookie.to_string()) {
            Ok(value) => AppendHeaders([(SET_COOKIE, value)]).into_response_parts(response),
            Err(_) => Ok(response),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use axum::response::IntoResponse;

    async fn read(cookies: &[&str]) -> Option<String> {
        let mut request = Request::builder();
        for text in cookies {
            request = request.header(COOKIE, *text);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let Ok(cookie) = DeviceCookie::from_request_parts(&mut parts, &()).await;
        cookie.0
    }

    #[tokio::test]
    async fn what_is_set_is_read_again() {
        let response = (DeviceCookie(Some("vd1.token".to_owned())), "").into_response();
        let set = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        for held in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=7776000"] {
            assert!(set.contains(held), "{set}");
        }
        let pair = set.split(';').next().unwrap();
        assert_eq!(read(&[pair]).await.as_deref(), Some("vd1.token"));
        assert_eq!(
            read(&["a=b", &format!("c=d; {pair}")]).await.as_deref(),
            Some("vd1.token")
        );
        assert_eq!(read(&[]).await, None);
        assert_eq!(read(&["verify-device=vd1.token"]).await, None);
    }

    #[test]
    fn no_token_sets_no_cookie_and_none_is_printed() {
        let response = (DeviceCookie(None), "").into_response();
        assert!(!response.headers().contains_key(SET_COOKIE));
        assert!(!format!("{:?}", DeviceCookie(Some("secret".to_owned()))).contains("secret"));
    }
}
