//! Where Twilio is called, as whom, and how long an answer may take.
//!
//! # Hosts
//!
//! | region | edge | host |
//! |---|---|---|
//! | – or `us1` | – | `verify.twilio.com` |
//! | – | `dublin` | `verify.dublin.us1.twilio.com` |
//! | `ie1` | `dublin` | `verify.dublin.ie1.twilio.com` |
//! | `ie1` | – | refused: `verify.ie1.twilio.com` has no valid certificate |
//!
//! `us1` is where accounts live anyway, and `verify.us1.twilio.com` does not answer, so `us1` alone is left out of
//! the host. Falling back to the default host for any other region would send personal data to a place that
//! somebody took care not to name, so that is an error. Credentials belong to a region: those of another one are
//! refused (20003).

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use verify_core::secret::SecretString;

/// How to reach Twilio.
#[derive(Debug, Clone)]
pub struct Config {
    /// The account, `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// Who calls.
    pub credentials: Credentials,
    /// Where the account's data are, such as `ie1`.
    pub region: Option<String>,
    /// Where Twilio's network is entered, such as `dublin`.
    pub edge: Option<String>,
    /// Calls go here and not to the host that region and edge make. For emulators and tests.
    pub base_url: Option<String>,
    /// How long a connection may take. 2 s unless told.
    pub connect_timeout: Duration,
    /// How long a call may take as a whole. 5 s unless told.
    pub request_timeout: Duration,
}

/// Who calls Twilio. `Debug` shows no secret.
#[derive(Clone)]
pub enum Credentials {
    /// An API key: may be revoked alone, and never signs webhooks. To be preferred.
    ApiKey {
        /// `SK` and 32 hexadecimal digits.
        sid: String,
        /// Its secret.
        secret: SecretString,
    },
    /// The account's auth token.
    AuthToken {
        /// The token.
        token: SecretString,
    },
}

/// A configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Only `us1` may stand without an edge.
    #[error("region {region} has no host without an edge; name one (dublin for ie1, sydney for au1)")]
    RegionNeedsEdge {
        /// The region.
        region: String,
    },
    /// It would end up in a host name.
    #[error("a {what} has 1 to 32 characters of a-z 0-9 and -")]
    NotALabel {
        /// `region` or `edge`.
        what: &'static str,
    },
    /// The override is no address of a server.
    #[error("the base url must be an absolute http or https url without query, fragment or credentials")]
    BaseUrl,
    /// A credential is missing.
    #[error("{what} is empty; set it, or leave the provider out")]
    Empty {
        /// Which.
        what: &'static str,
    },
    /// Several services are on one Verify Service, and nobody said that they may be.
    #[error(
        "several services share a Verify Service ({found}), so that a code which one of them sent is right at the others; \
         give each a verify_service_sid of its own, or list those that may share in verify.shared"
    )]
    SharedVerifyService {
        /// Which services, and the ends of the SIDs.
        found: String,
    },
    /// The HTTP client could not be built, which usually means that no certificate authorities were found.
    #[error(
        "the http client could not be built; check that the system's certificate authorities are installed"
    )]
    HttpClient,
}

/// Something that works but is probably not meant. To be logged at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// An id that Twilio would not have made.
    #[error("{what} is not {prefix} and 32 hexadecimal digits; twilio will probably refuse it")]
    OddSid {
        /// Which id.
        what: &'static str,
        /// What it should begin with.
        prefix: &'static str,
    },
    /// `us1` stands alone.
    #[error("region us1 without an edge has no host of its own; verify.twilio.com is called, which is us1")]
    RegionLeftOut,
    /// An edge stands alone.
    #[error("an edge without a region means region us1; name the region if the account lives elsewhere")]
    RegionAssumed,
    /// The override sends credentials in the clear.
    #[error("the base url is http and not local; credentials and numbers travel unencrypted")]
    PlainHttp,
}

impl Config {
    /// The configuration for an account in the default region.
    pub fn new(account_sid: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            account_sid: account_sid.into(),
            credentials,
            region: None,
            edge: None,
            base_url: None,
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
        }
    }

    /// Where calls go: scheme and host, perhaps a path.
    ///
    /// # Errors
    /// [`ConfigError`] when there is no such place.
    pub fn base(&self) -> Result<Url, ConfigError> {
        match &self.base_url {
            Some(text) => overridden(text),
            None => Url::parse(&format!("https://{}", self.host()?)).map_err(|_| ConfigError::BaseUrl),
        }
    }

    /// What is probably not meant. Shapes are not errors: an emulator's ids need not be Twilio's.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut found = Vec::new();
        found.extend(odd_sid("the account sid", "AC", &self.account_sid));
        if let Credentials::ApiKey { sid, .. } = &self.credentials {
            found.extend(odd_sid("the api key sid", "SK", sid));
        }
        if self.base_url.is_some() {
            found.extend(
                self.base()
                    .is_ok_and(|url| in_the_clear(&url))
                    .then_some(Warning::PlainHttp),
            );
            return found;
        }
        match (named(&self.region), named(&self.edge)) {
            (Some("us1"), None) => found.push(Warning::RegionLeftOut),
            (None, Some(_)) => found.push(Warning::RegionAssumed),
            (Some(_), _) | (None, None) => {}
        }
        found
    }

    /// User name and password of every call.
    pub(crate) fn login(&self) -> Result<(&str, &SecretString), ConfigError> {
        let (user, password, what) = match &self.credentials {
            Credentials::ApiKey { sid, secret } => (sid.as_str(), secret, "the api key"),
            Credentials::AuthToken { token } => (self.account_sid.as_str(), token, "the auth token"),
        };
        if user.is_empty() || password.expose().is_empty() {
            return Err(ConfigError::Empty { what });
        }
        Ok((user, password))
    }

    fn host(&self) -> Result<String, ConfigError> {
        let region = label("region", named(&self.region))?;
        let edge = label("edge", named(&self.edge))?;
        match (region, edge) {
            (None | Some("us1"), None) => Ok("verify.twilio.com".into()),
            (None, Some(edge)) => Ok(format!("verify.{edge}.us1.twilio.com")),
            (Some(region), Some(edge)) => Ok(format!("verify.{edge}.{region}.twilio.com")),
            (Some(region), None) => Err(ConfigError::RegionNeedsEdge {
                region: region.into(),
            }),
        }
    }
}

/// The warning for an id that is not two letters and 32 hexadecimal digits.
pub(crate) fn odd_sid(what: &'static str, prefix: &'static str, sid: &str) -> Option<Warning> {
    let fits = sid
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (!fits).then_some(Warning::OddSid { what, prefix })
}

/// An unset variable often arrives as an empty text.
fn named(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn label<'a>(what: &'static str, text: Option<&'a str>) -> Result<Option<&'a str>, ConfigError> {
    match text {
        Some(text) if !is_label(text) => Err(ConfigError::NotALabel { what }),
        Some(_) | None => Ok(text),
    }
}

/// Whether nothing but a part of a host name can come of it.
pub(crate) fn is_label(text: &str) -> bool {
    text.len() <= 32
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn overridden(text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).map_err(|_| ConfigError::BaseUrl)?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if fits { Ok(url) } else { Err(ConfigError::BaseUrl) }
}

fn in_the_clear(url: &Url) -> bool {
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "http" && !local
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey { .. } => "ApiKey(**)",
            Self::AuthToken { .. } => "AuthToken(**)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(region: &str, edge: &str) -> Config {
        Config {
            region: Some(region.into()),
            edge: Some(edge.into()),
            ..Config::new(
                format!("AC{}", "0".repeat(32)),
                Credentials::AuthToken {
                    token: SecretString::new("t0ps3cret".into()),
                },
            )
        }
    }

    #[test]
    fn hosts_are_made_from_edge_and_region() {
        for (region, edge, host, warning) in [
            ("", "", "verify.twilio.com", None),
            ("us1", "", "verify.twilio.com", Some(Warning::RegionLeftOut)),
            (
                "",
                "dublin",
                "verify.dublin.us1.twilio.com",
                Some(Warning::RegionAssumed),
            ),
            ("us1", "ashburn", "verify.ashburn.us1.twilio.com", None),
            ("ie1", "dublin", "verify.dublin.ie1.twilio.com", None),
        ] {
            let config = config(region, edge);
            assert_eq!(
                config.base().unwrap().as_str(),
                format!("https://{host}/"),
                "{region} {edge}"
            );
            assert_eq!(config.warnings(), Vec::from_iter(warning), "{region} {edge}");
        }
    }

    #[test]
    fn a_region_that_has_no_host_alone_is_an_error() {
        let found = config("ie1", "").base().unwrap_err();
        assert_eq!(found, ConfigError::RegionNeedsEdge { region: "ie1".into() });
    }

    #[test]
    fn nothing_but_a_label_gets_into_the_host() {
        for text in ["evil.example/", "a.b", "user@", "IE1", "a b", &"a".repeat(33)] {
            assert_eq!(
                config(text, "dublin").base(),
                Err(ConfigError::NotALabel { what: "region" }),
                "{text}"
            );
            assert_eq!(
                config("ie1", text).base(),
                Err(ConfigError::NotALabel { what: "edge" }),
                "{text}"
            );
        }
    }

    #[test]
    fn the_base_url_goes_before_region_and_edge() {
        let with = |url: &str| Config {
            base_url: Some(url.into()),
            ..config("ie1", "")
        };
        assert_eq!(
            with("http://127.0.0.1:8123").base().unwrap().as_str(),
            "http://127.0.0.1:8123/"
        );
        assert_eq!(with("http://127.0.0.1:8123").warnings(), []);
        assert_eq!(with("http://twilio.test/x").warnings(), [Warning::PlainHttp]);
        for url in [
            "",
            "verify.twilio.com",
            "ftp://a/",
            "https://u:p@a/",
            "https://a/?q",
            "https://a/#f",
        ] {
            assert_eq!(with(url).base(), Err(ConfigError::BaseUrl), "{url}");
        }
    }

    #[test]
    fn odd_sids_are_warned_of_and_accepted() {
        let mut odd = config("", "");
        odd.account_sid = "AC2f7c2c6b2d2f4a1b9a0b3c1d2e3f4a5".into();
        let warned = Warning::OddSid {
            what: "the account sid",
            prefix: "AC",
        };
        assert_eq!(odd.warnings(), [warned]);
        assert!(odd.login().is_ok());
        odd.credentials = Credentials::ApiKey {
            sid: "AC".into(),
            secret: SecretString::new("s".into()),
        };
        assert_eq!(
            odd.warnings(),
            [
                warned,
                Warning::OddSid {
                    what: "the api key sid",
                    prefix: "SK"
                }
            ]
        );
    }

    #[test]
    fn a_missing_secret_is_found_before_the_first_call() {
        let mut empty = config("", "");
        empty.credentials = Credentials::AuthToken {
            token: SecretString::new(String::new()),
        };
        assert!(matches!(empty.login(), Err(ConfigError::Empty { .. })));
    }

    #[test]
    fn i65_debug_shows_no_secret() {
        assert!(!format!("{:?}", config("ie1", "dublin")).contains("t0ps3cret"));
    }
}
