//! URLs of stores. There may be a password in one: it is shown without, and not taken from a command line.

use std::fmt;

use verify_postgres::{Host, PostgresOptions};
use verify_redis::{RedisOptions, Servers};

/// A URL of a database. There may be a password in it: it is shown without.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(pub(super) String);

impl PostgresUrl {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parsed = PostgresOptions::parse(text).map_err(|error| error.to_string());
        parsed.map(|_| Self(text.to_owned()))
    }

    pub(super) fn has_password(&self) -> bool {
        PostgresOptions::parse(&self.0).is_ok_and(|options| options.config.get_password().is_some())
    }
}

/// Each host with its port, and database: what names it in logs.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(options) = PostgresOptions::parse(&self.0) else {
            return f.write_str("postgres:");
        };
        let (hosts, ports) = (options.config.get_hosts(), options.config.get_ports());
        let hosts = hosts.iter().enumerate().map(|(nth, host)| {
            let host = match host {
                Host::Tcp(address) if address.contains(':') => format!("[{address}]"),
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            };
            // One port is everybody's.
            let port = ports.get(nth).or(ports.first());
            port.map_or(host.clone(), |port| format!("{host}:{port}"))
        });
        let hosts: Vec<_> = hosts.collect();
        let database = options.config.get_dbname().unwrap_or_default();
        write!(f, "postgres://{}/{database}", hosts.join(","))
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL of servers of Redis or Valkey. There may be a password in it: it is shown without.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(pub(super) String);

impl RedisUrl {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parsed = RedisOptions::parse(text).map_err(|error| error.to_string());
        parsed.map(|_| Self(text.to_owned()))
    }

    pub(super) fn has_password(&self) -> bool {
        RedisOptions::parse(&self.0).is_ok_and(|options| options.password.is_some())
    }
}

/// Each server with its port, the master's name, and the database: what names it in logs.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(options) = RedisOptions::parse(&self.0) else {
            return f.write_str("redis:");
        };
        let servers: Vec<_> = options
            .servers
            .addresses()
            .iter()
            .map(ToString::to_string)
            .collect();
        let (kind, master) = match &options.servers {
            Servers::Endpoints(_) => ("", None),
            Servers::Sentinels { master, .. } => ("+sentinel", Some(master)),
            Servers::Cluster(_) => ("+cluster", None),
        };
        let scheme = if options.tls { "rediss" } else { "redis" };
        write!(f, "{scheme}{kind}://{}", servers.join(","))?;
        master.map_or(Ok(()), |master| write!(f, "/{master}"))?;
        match options.database {
            0 => Ok(()),
            number => write!(f, "/{number}"),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether that begins a URL of Redis, with whatever stands behind its plus.
pub(super) fn is_redis(scheme: &str) -> bool {
    let scheme = scheme.split('+').next();
    matches!(scheme, Some("redis" | "rediss"))
}

/// Whether a text that may be a URL has a password in it, wherever it stands.
pub(super) fn has_password(text: &str) -> bool {
    let parsed = PostgresOptions::parse(text);
    if parsed.is_ok_and(|options| options.config.get_password().is_some()) {
        return true;
    }
    let authority = text
        .split_once("://")
        .map(|(scheme, rest)| match is_redis(scheme) {
            // Only hosts stand behind the last @ there, so that what is not escaped is a name or a password too.
            true => rest,
            false => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        });
    let in_authority = authority
        .and_then(|authority| authority.rsplit_once('@'))
        .is_some_and(|(user, _)| user.contains(':'));
    in_authority || text.to_ascii_lowercase().contains("password=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Store;

    #[test]
    fn a_password_is_seen_wherever_it_stands() {
        for secret in [
            "postgres://u:p@h/db",
            "postgres://u:p/w@h/x",
            "redis://:p@h",
            "rediss+cluster://u:p@h:1,i:2",
            "redis+sentinel://u:p/w@h/x",
            "postgres://h/db?password=p",
            "host=h PASSWORD=p",
        ] {
            assert!(has_password(secret), "{secret}");
            let said = Store::parse_flag(secret).unwrap_err();
            assert!(
                said.contains("VERIFY_STORE_FILE") && !said.contains("h/db") && !said.contains("p/w"),
                "{said}"
            );
        }
        for none in [
            "postgres://u@h:5432/db",
            "sqlite:/a:b@c",
            "memory",
            "redis://h:6379",
            "redis://u@h:6379/1",
            "redis+sentinel://h:1,i:2/main",
        ] {
            assert!(!has_password(none), "{none}");
        }
    }

    #[test]
    fn a_url_of_postgres_is_shown_without_its_password() {
        let cut = Store::parse("postgres://u:p@ss3cret@h/db").unwrap_err();
        assert!(cut.contains("%40") && !cut.contains("ss3cret"), "{cut}");
        for (url, shown) in [
            (
                "postgres://u:s3cret@h:5433/db?sslmode=require",
                "postgres://h:5433/db",
            ),
            ("postgres://u@a:7,b:8/db", "postgres://a:7,b:8/db"),
            ("postgres://u@a,b/db", "postgres://a:5432,b:5432/db"),
            ("postgres:///db?host=a&host=b&port=7", "postgres://a:7,b:7/db"),
            ("postgres://u@[::1]:7/db", "postgres://[::1]:7/db"),
        ] {
            assert_eq!(Store::parse(url).unwrap().to_string(), shown);
        }
        let shown = Store::parse("postgres://u:s3cret@h/db").unwrap();
        assert!(!format!("{shown:?}").contains("s3cret"));
        let said = Store::parse("postgres://u:s3cret@h:port/db").unwrap_err();
        assert!(
            said.contains("postgres://USER@HOST:PORT/DATABASE") && !said.contains("s3cret"),
            "{said}"
        );
    }

    #[test]
    fn a_url_of_redis_is_shown_without_its_password() {
        for (url, shown) in [
            ("redis://:s3cret@h", "redis://h:6379"),
            ("rediss://u:s3cret@h:1/3", "rediss://h:1/3"),
            ("redis://a:7,[::1]", "redis://a:7,[::1]:6379"),
            (
                "redis+sentinel://u:s3cret@a,b:1/main/2",
                "redis+sentinel://a:26379,b:1/main/2",
            ),
            ("rediss+cluster://a,b:1", "rediss+cluster://a:6379,b:1"),
        ] {
            let store = Store::parse(url).unwrap();
            assert_eq!(store.to_string(), shown);
            assert!(!format!("{store:?}").contains("s3cret"));
        }
        for (wrong, why) in [
            ("redis://u:s3/cret@h", "%2F"),
            ("redis://u:s3cret@h:port", "a port is no number"),
            ("redis+other://s3cret", "sentinel nor cluster"),
        ] {
            let said = Store::parse(wrong).unwrap_err();
            assert!(said.contains(why) && !said.contains("cret@"), "{said}");
            assert!(!said.contains("s3cret"), "{said}");
        }
    }
}
