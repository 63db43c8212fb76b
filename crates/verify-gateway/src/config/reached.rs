//! How a server is reached that is the store, besides its URL.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use verify_postgres::OnFailover;

use super::store::{GoesBy, Store};
use super::values::{Given, Reader};

/// How a database is reached, besides its URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reached {
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// Whose signatures on the server's certificate are good.
    pub ca_file: Option<PathBuf>,
    /// A certificate of this client and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The schema that the tables are in.
    pub schema: Option<String>,
    /// Connections at most.
    pub connections: Option<usize>,
    /// What happens when a copy of the server takes over.
    pub on_failover: OnFailover,
    /// What keys begin with.
    pub prefix: Option<String>,
    /// So many replicas have what an answer says before it is given.
    pub wait_replicas: u32,
}

impl Reached {
    /// `unreadable`: what files cannot be read.
    pub(super) fn read(
        mut given: impl FnMut(&str, &str, GoesBy) -> Option<Given>,
        faults: &mut Vec<String>,
        unreadable: &mut Vec<String>,
    ) -> Self {
        let mut file = |name, key| {
            let given = given(name, key, Store::is_reached)?;
            if let Err(why) = may_be_read(Path::new(&given.text)) {
                unreadable.push(format!("{}: {why}", given.origin));
            }
            Some(PathBuf::from(given.text))
        };
        let password_file = file("VERIFY_STORE_PASSWORD_FILE", "store_password_file");
        let ca_file = file("VERIFY_STORE_CA_FILE", "store_ca_file");
        let certificate = file("VERIFY_STORE_CERT_FILE", "store_cert_file");
        let key = file("VERIFY_STORE_KEY_FILE", "store_key_file");
        if certificate.is_some() != key.is_some() {
            faults.push(
                "VERIFY_STORE_CERT_FILE, VERIFY_STORE_KEY_FILE: one without the other; set both or none"
                    .to_owned(),
            );
        }
        let schema = given("VERIFY_STORE_SCHEMA", "store_schema", Store::is_postgres);
        let connections = given(
            "VERIFY_STORE_CONNECTIONS",
            "store_connections",
            Store::is_postgres,
        );
        let on_failover = given("VERIFY_STORE_ON_FAILOVER", "store_on_failover", Store::is_reached);
        let prefix = given("VERIFY_STORE_PREFIX", "store_prefix", Store::is_redis);
        let wait_replicas = given(
            "VERIFY_STORE_WAIT_REPLICAS",
            "store_wait_replicas",
            Store::is_redis,
        );
        let mut read = Reader { faults };
        Self {
            password_file,
            ca_file,
            client: certificate.zip(key),
            schema: schema.map(|given| given.text.to_owned()),
            connections: read.of(connections, connections_of),
            on_failover: read.of(on_failover, on_failover_of).unwrap_or_default(),
            prefix: read.of(prefix, prefix_of),
            wait_replicas: read.of(wait_replicas, wait_replicas_of).unwrap_or_default(),
        }
    }
}

/// What can be read only once, as a pipe, is left to whoever needs it.
fn may_be_read(path: &Path) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("cannot read {}: {}", path.display(), error.kind());
    let file = fs::metadata(path).map_err(unreadable)?;
    if file.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    if file.is_file() {
        File::open(path).map_err(unreadable)?;
        if file.len() == 0 {
            return Err(format!("the file {} is empty", path.display()));
        }
    }
    Ok(())
}

fn connections_of(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (3..=1_000).contains(number));
    number.ok_or_else(|| format!("found {text:?}; expected a number from 3 to 1000"))
}

fn on_failover_of(text: &str) -> Result<OnFailover, String> {
    match text {
        "tell" => Ok(OnFailover::Tell),
        "cool" => Ok(OnFailover::Cool),
        other => Err(format!("found {other:?}; expected tell or cool")),
    }
}

fn prefix_of(text: &str) -> Result<String, String> {
    let checked = verify_redis::checked_prefix(text).map_err(|error| error.to_string());
    checked.map(|()| text.to_owned())
}

fn wait_replicas_of(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number <= 16);
    number.ok_or_else(|| format!("found {text:?}; expected a number from 0 to 16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failover_is_told_or_cools() {
        assert_eq!(on_failover_of("tell"), Ok(OnFailover::Tell));
        assert_eq!(on_failover_of("cool"), Ok(OnFailover::Cool));
        let said = on_failover_of("Cool").unwrap_err();
        assert!(said.contains("tell or cool"), "{said}");
    }

    #[test]
    fn what_redis_goes_by_is_within_its_bounds() {
        assert_eq!(prefix_of("shop:"), Ok("shop:".to_owned()));
        for wrong in ["a b", "{a}", "a*", &"a".repeat(65)] {
            let said = prefix_of(wrong).unwrap_err();
            assert!(said.contains("at most 64 letters"), "{said}");
        }
        assert_eq!(wait_replicas_of("0"), Ok(0));
        assert_eq!(wait_replicas_of("16"), Ok(16));
        for wrong in ["17", "-1", "one"] {
            let said = wait_replicas_of(wrong).unwrap_err();
            assert!(said.contains("from 0 to 16"), "{said}");
        }
    }
}
