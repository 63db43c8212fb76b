//! What a URL says.

use percent_encoding::percent_decode_str;

use crate::errors::OpenError;
use crate::options::{Address, RedisOptions, Servers};

const PORT: u16 = 6_379;
const SENTINELS_PORT: u16 = 26_379;

/// The options that a URL says, and the defaults for the rest.
pub(crate) fn parse(text: &str) -> Result<RedisOptions, OpenError> {
    let (scheme, rest) = text.split_once("://").ok_or(OpenError::Url("it has no scheme"))?;
    if rest.contains(['?', '#']) {
        return Err(OpenError::Url(
            "it has a query or a fragment, which say nothing here",
        ));
    }
    let (tls, kind) = match scheme.split_once('+').unwrap_or((scheme, "")) {
        ("redis", kind) => (false, kind),
        ("rediss", kind) => (true, kind),
        _ => return Err(OpenError::Url("it begins with neither redis nor rediss")),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.contains('@') {
        return Err(OpenError::Url(
            "a / in a name or password must be %2F there; or leave the password out, and name a file with it",
        ));
    }
    let (who, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (servers, database) = match kind {
        "" => (Servers::Endpoints(addresses(hosts, PORT)?), database(path)?),
        "sentinel" => {
            let (master, number) = path.split_once('/').unwrap_or((path, ""));
            if master.is_empty() {
                return Err(OpenError::Url("it does not name the master (…/MASTER)"));
            }
            let sentinels = addresses(hosts, SENTINELS_PORT)?;
            let master = decoded(master)?;
            (Servers::Sentinels { sentinels, master }, database(number)?)
        }
        "cluster" if path.is_empty() => (Servers::Cluster(addresses(hosts, PORT)?), 0),
        "cluster" => return Err(OpenError::Url("a Cluster has no numbered databases")),
        _ => return Err(OpenError::Url("behind + stands neither sentinel nor cluster")),
    };
    let mut options = RedisOptions::of(servers);
    (options.tls, options.database) = (tls, database);
    let (user, password) = who
        .split_once(':')
        .map_or((who, None), |(user, word)| (user, Some(word)));
    options.user = Some(decoded(user)?).filter(|user| !user.is_empty());
    options.password = password.map(decoded).transpose()?;
    Ok(options)
}

fn decoded(text: &str) -> Result<String, OpenError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| OpenError::Url("what is escaped in it is not UTF-8"))
}

fn database(path: &str) -> Result<i64, OpenError> {
    match path {
        "" => Ok(0),
        path => path
            .parse::<u32>()
            .map(i64::from)
            .map_err(|_| OpenError::Url("its database is no number")),
    }
}

fn addresses(hosts: &str, port: u16) -> Result<Vec<Address>, OpenError> {
    hosts.split(',').map(|host| address(host, port)).collect()
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`.
fn address(text: &str, otherwise: u16) -> Result<Address, OpenError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => text
            .rsplit_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(OpenError::Url("a host is missing"));
    }
    let port = port.map_or(Ok(otherwise), str::parse);
    let port = port.map_err(|_| OpenError::Url("a port is no number up to 65535"))?;
    Ok(Address {
        host: decoded(host)?,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses_of(text: &str) -> Vec<String> {
        let options = parse(text).unwrap();
        options
            .servers
            .addresses()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn each_way_to_reach_servers_has_a_url() {
        assert_eq!(addresses_of("redis://localhost"), ["localhost:6379"]);
        assert_eq!(addresses_of("redis://[::1]:7000,b"), ["[::1]:7000", "b:6379"]);
        let one = parse("rediss://me:p%40ss@cache:7/3").unwrap();
        assert!(one.tls);
        assert_eq!(
            (one.user.as_deref(), one.password.as_deref(), one.database),
            (Some("me"), Some("p@ss"), 3)
        );
        let sentinels = parse("redis+sentinel://a,b:1/main").unwrap();
        let Servers::Sentinels { sentinels, master } = sentinels.servers else {
            panic!("not sentinels")
        };
        assert_eq!(
            (sentinels.len(), sentinels[0].port, master.as_str()),
            (2, 26_379, "main")
        );
        assert_eq!(
            parse("redis+cluster://a:1,b:2")
                .unwrap()
                .servers
                .addresses()
                .len(),
            2
        );
    }

    #[test]
    fn what_is_no_url_is_refused_and_not_repeated() {
        for text in [
            "localhost:s3cret",
            "http://s3cret",
            "redis://",
            "redis://s3cret:x",
            "redis://a/s3cret",
            "redis://a?s3cret",
            "redis+cluster://a/s3cret",
            "redis+sentinel://s3cret",
            "redis+other://s3cret",
            "redis://a,,s3cret",
            "redis://me:s3/cret@a",
        ] {
            let refused = parse(text).unwrap_err().to_string();
            assert!(refused.starts_with("not a Redis URL"), "{text}: {refused}");
            assert!(!refused.contains("s3cret"), "{refused}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", parse("redis://me:s3cret@a").unwrap());
        assert!(shown.contains("me") && !shown.contains("s3cret"), "{shown}");
    }
}
