//! The spellings of one URL that Twilio may have signed.
//!
//! Works on the text as it is: parsing a URL and printing it again folds case, encodes and drops default ports, and
//! each of that breaks a signature.

use std::fmt;

/// How the signed URL differs from the one that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// What became of `user:password@`.
    pub credentials: Credentials,
    /// What became of the port.
    pub port: Port,
    /// What became of apostrophes in the query.
    pub quotes: Quotes,
}

/// What became of `user:password@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// As given.
    AsGiven,
    /// Taken out.
    Removed,
}

/// What became of the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// As given.
    AsGiven,
    /// Taken out.
    Removed,
    /// The scheme's own was put in.
    Added,
}

/// What became of apostrophes in the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// As given.
    AsGiven,
    /// Each became `%27`.
    Escaped,
    /// Each `%27` became one.
    Raw,
}

/// A URL, cut where the variants differ.
pub(crate) struct Parts<'a> {
    scheme: &'a str,
    credentials: Option<&'a str>,
    host: &'a str,
    port: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// `None` for what is not an absolute URL. A fragment is never sent, so that it is dropped.
    pub(crate) fn of(url: &'a str) -> Option<Self> {
        let url = url.split_once('#').map_or(url, |(before, _)| before);
        let (scheme, rest) = url.split_once("://")?;
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };
        let (credentials, address) = match authority.rsplit_once('@') {
            Some((credentials, address)) => (Some(credentials), address),
            None => (None, authority),
        };
        // Colons within brackets belong to an IPv6 address.
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            Some(_) | None => (address, None),
        };
        (!scheme.is_empty() && !host.is_empty()).then_some(Self {
            scheme,
            credentials,
            host,
            port,
            path,
            query,
        })
    }

    /// Every variant that differs from the others, the URL as given first.
    pub(crate) fn variants(&self) -> Vec<(Variant, String)> {
        let mut found = Vec::new();
        for credentials in self.credential_forms() {
            for port in self.port_forms() {
                for quotes in self.quote_forms() {
                    let variant = Variant {
                        credentials,
                        port,
                        quotes,
                    };
                    found.push((variant, self.spelled(variant)));
                }
            }
        }
        found
    }

    /// The values of a parameter of the query, as they stand there.
    pub(crate) fn query_values(&self, name: &str) -> Vec<&'a str> {
        let pairs = self.query.into_iter().flat_map(|query| query.split('&'));
        pairs
            .filter_map(|pair| pair.split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .collect()
    }

    fn credential_forms(&self) -> Vec<Credentials> {
        let removed = self.credentials.map(|_| Credentials::Removed);
        [Credentials::AsGiven].into_iter().chain(removed).collect()
    }

    fn port_forms(&self) -> Vec<Port> {
        let other = match (self.port, self.default_port()) {
            (Some(_), _) => Some(Port::Removed),
            (None, Some(_)) => Some(Port::Added),
            (None, None) => None,
        };
        [Port::AsGiven].into_iter().chain(other).collect()
    }

    fn quote_forms(&self) -> Vec<Quotes> {
        let query = self.query.unwrap_or_default();
        let escaped = query.contains('\'').then_some(Quotes::Escaped);
        let raw = query.contains("%27").then_some(Quotes::Raw);
        [Quotes::AsGiven].into_iter().chain(escaped).chain(raw).collect()
    }

    fn default_port(&self) -> Option<&'static str> {
        match self.scheme.to_ascii_lowercase().as_str() {
            "https" => Some("443"),
            "http" => Some("80"),
            _ => None,
        }
    }

    fn spelled(&self, variant: Variant) -> String {
        let mut url = format!("{}://", self.scheme);
        if let (Some(credentials), Credentials::AsGiven) = (self.credentials, variant.credentials) {
            url.push_str(credentials);
            url.push('@');
        }
        url.push_str(self.host);
        let port = match variant.port {
            Port::AsGiven => self.port,
            Port::Removed => None,
            Port::Added => self.default_port(),
        };
        if let Some(port) = port {
            url.push(':');
            url.push_str(port);
        }
        url.push_str(self.path);
        if let Some(query) = self.query {
            url.push('?');
            url.push_str(&match variant.quotes {
                Quotes::AsGiven => query.to_owned(),
                Quotes::Escaped => query.replace('\'', "%27"),
                Quotes::Raw => query.replace("%27", "'"),
            });
        }
        url
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = match self.credentials {
            Credentials::AsGiven => None,
            Credentials::Removed => Some("without credentials"),
        };
        let port = match self.port {
            Port::AsGiven => None,
            Port::Removed => Some("without port"),
            Port::Added => Some("with the default port"),
        };
        let quotes = match self.quotes {
            Quotes::AsGiven => None,
            Quotes::Escaped => Some("apostrophes as %27"),
            Quotes::Raw => Some("%27 as apostrophes"),
        };
        let changes: Vec<_> = [credentials, port, quotes].into_iter().flatten().collect();
        f.write_str(&if changes.is_empty() {
            "as given".into()
        } else {
            changes.join(", ")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spellings(url: &str) -> Vec<String> {
        Parts::of(url)
            .unwrap()
            .variants()
            .into_iter()
            .map(|(_, spelled)| spelled)
            .collect()
    }

    #[test]
    fn ports_come_and_go() {
        assert_eq!(
            spellings("https://a.test/p?q=1"),
            ["https://a.test/p?q=1", "https://a.test:443/p?q=1"]
        );
        assert_eq!(spellings("http://a.test"), ["http://a.test", "http://a.test:80"]);
        assert_eq!(
            spellings("HTTP://A.test/"),
            ["HTTP://A.test/", "HTTP://A.test:80/"]
        );
        assert_eq!(
            spellings("https://a.test:8443?q"),
            ["https://a.test:8443?q", "https://a.test?q"]
        );
        assert_eq!(
            spellings("https://[::1]:8443/"),
            ["https://[::1]:8443/", "https://[::1]/"]
        );
        assert_eq!(
            spellings("https://[::1]/"),
            ["https://[::1]/", "https://[::1]:443/"]
        );
        assert_eq!(spellings("wss://a.test/"), ["wss://a.test/"]);
    }

    #[test]
    fn credentials_may_have_been_dropped() {
        assert_eq!(
            spellings("https://u:p@a.test/"),
            [
                "https://u:p@a.test/",
                "https://u:p@a.test:443/",
                "https://a.test/",
                "https://a.test:443/"
            ],
        );
    }

    #[test]
    fn apostrophes_of_the_query_go_both_ways_and_those_of_the_path_stay() {
        assert_eq!(
            spellings("https://a.test:1/o'x%27?q='&r=%27")
                .iter()
                .filter(|url| url.contains(":1/"))
                .collect::<Vec<_>>(),
            [
                "https://a.test:1/o'x%27?q='&r=%27",
                "https://a.test:1/o'x%27?q=%27&r=%27",
                "https://a.test:1/o'x%27?q='&r='"
            ],
        );
    }

    #[test]
    fn what_is_no_url_has_no_variants() {
        for url in [
            "",
            "/path",
            "a.test/p",
            "://a",
            "https://",
            "https:///p",
            "https://:80/",
        ] {
            assert!(Parts::of(url).is_none(), "{url}");
        }
        assert_eq!(spellings("wss://a/p?q#f?g"), ["wss://a/p?q"]);
    }

    #[test]
    fn a_variant_says_what_was_changed() {
        let all = Parts::of("https://u@a.test/?'").unwrap().variants();
        let said: Vec<_> = all.iter().map(|(variant, _)| variant.to_string()).collect();
        assert_eq!(said.first().map(String::as_str), Some("as given"));
        assert_eq!(
            said.last().map(String::as_str),
            Some("without credentials, with the default port, apostrophes as %27"),
        );
    }
}
