//! By which names the state directory remembers a store: by whatever tells it from others, however it is spelled.
//!
//! Nothing inside a store could tell: what it says of itself is lost with it. A store has several names where one of them may
//! change and it is the same store all the same, and is known by any of them.

use std::path::{Path, PathBuf, absolute};

use verify_postgres::{Host, PostgresOptions};
use verify_redis::{RedisOptions, Servers};

use super::StoreError;
use crate::config::{Storage, Store};

const DEFAULT_PORT: u16 = 5_432;
/// Links that are followed from a file's name to a file. The system follows as many.
const LINKS: usize = 40;

/// All names of a store; none where nothing of it outlives the process.
///
/// # Errors
/// It is no URL; that was looked at before.
pub(crate) fn names(storage: &Storage, store: &Store) -> Result<Vec<String>, StoreError> {
    Ok(match store {
        Store::Memory => Vec::new(),
        Store::Sqlite(path) => of_a_file(path),
        Store::Postgres(url) => of_a_database(&storage.postgres(url)?),
        Store::Redis(url) => of_servers(&storage.redis(url)?),
    })
}

/// The file's own, and what it is called here: a link that is set to an empty disk is a loss.
fn of_a_file(path: &Path) -> Vec<String> {
    let called = absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut names = vec![format!("sqlite:{}", file_at(&called, LINKS).display())];
    let called = format!("sqlite:{}", called.display());
    if !names.contains(&called) {
        names.push(called);
    }
    names
}

/// The file that is or would be at a path, behind all links.
fn file_at(path: &Path, links: usize) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return found;
    }
    let Some((directory, name)) = path.parent().zip(path.file_name()) else {
        return path.to_owned();
    };
    match path.read_link() {
        Ok(target) if links > 0 => file_at(&directory.join(target), links - 1),
        Ok(_) | Err(_) => {
            let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
            directory.join(name)
        }
    }
}

/// One for each host, with port, database and schema: several hosts are one cluster, whichever of them are named, in which order.
/// Who connects, and how, makes no other store.
fn of_a_database(options: &PostgresOptions) -> Vec<String> {
    let config = &options.config;
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    let hosts: Vec<_> = match config.get_hosts() {
        [] => config
            .get_hostaddrs()
            .iter()
            .map(|it| host(&it.to_string()))
            .collect(),
        hosts => hosts
            .iter()
            .map(|it| match it {
                Host::Tcp(name) => host(name),
                Host::Unix(path) => path
                    .canonicalize()
                    .as_deref()
                    .unwrap_or(path)
                    .display()
                    .to_string(),
            })
            .collect(),
    };
    // One port is everybody's.
    let ports = config.get_ports();
    let port = |nth| ports.get(nth).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
    let named = hosts.iter().enumerate();
    named
        .map(|(nth, host)| format!("postgres://{host}:{}/{database}/{}", port(nth), options.schema))
        .collect()
}

/// One for each server, or for each sentinel with the master that it knows, with database and prefix: several are one store,
/// whichever of them are named.
fn of_servers(options: &RedisOptions) -> Vec<String> {
    let (kind, master) = match &options.servers {
        Servers::Endpoints(_) => ("redis", String::new()),
        Servers::Sentinels { master, .. } => ("redis+sentinel", format!("/{master}")),
        Servers::Cluster(_) => ("redis+cluster", String::new()),
    };
    let servers = options.servers.addresses().iter();
    servers
        .map(|server| {
            let (host, port, database) = (host(&server.host), server.port, options.database);
            format!("{kind}://{host}:{port}{master}/{database}/{}", options.prefix)
        })
        .collect()
}

/// A host, whichever way it is written.
fn host(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "127.0.0.1" | "::1" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn of_url(url: &str) -> Vec<String> {
        of_a_database(&PostgresOptions::parse(url).unwrap())
    }

    #[test]
    fn a_database_is_the_same_however_its_url_is_spelled() {
        let name = ["postgres://db.internal:5432/verify/verify"];
        for url in [
            "postgres://db.internal/verify",
            "postgresql://DB.internal:5432/verify",
            "postgres://somebody:secret@db.internal/verify?sslmode=require&connect_timeout=3",
            "postgres://db.internal/%76erify?application_name=other",
            "postgres://verify@db.internal",
            "host=db.internal user=other dbname=verify",
            "postgres:///verify?host=db.internal&port=5432",
        ] {
            assert_eq!(of_url(url), name, "{url}");
        }
        for other in [
            "postgres://db.internal:5433/verify",
            "postgres://db.internal/other",
            "postgres://db2.internal/verify",
        ] {
            assert_ne!(of_url(other), name, "{other}");
        }
        let schema = PostgresOptions::parse("postgres://db.internal/verify")
            .unwrap()
            .schema("other");
        assert_eq!(
            of_a_database(&schema),
            ["postgres://db.internal:5432/verify/other"]
        );
        assert_eq!(of_url("postgres://127.0.0.1/a"), of_url("postgres://localhost/a"));
    }

    #[test]
    fn each_host_of_a_cluster_is_a_name() {
        let named = |port| move |host| format!("postgres://{host}:{port}/d/verify");
        assert_eq!(of_url("postgres://b,a/d"), ["b", "a"].map(named(5_432)));
        assert_eq!(of_url("postgres://a:7,b:7,c:7/d"), ["a", "b", "c"].map(named(7)));
        assert_eq!(of_url("host=a,b port=7 dbname=d"), ["a", "b"].map(named(7)));
        let apart = of_url("postgres://a:7,b:8/d");
        assert_eq!(apart, [named(7)("a"), named(8)("b")]);
    }

    #[test]
    fn servers_are_the_same_however_their_url_is_spelled() {
        let of_url = |url: &str| of_servers(&RedisOptions::parse(url).unwrap());
        let name = ["redis://cache.internal:6379/0/verify:"];
        for url in [
            "redis://cache.internal",
            "rediss://somebody:secret@CACHE.internal:6379/0",
            "redis://%63ache.internal/",
        ] {
            assert_eq!(of_url(url), name, "{url}");
        }
        for other in [
            "redis://cache.internal:6380",
            "redis://cache.internal/1",
            "redis+cluster://cache.internal:6379",
        ] {
            assert_ne!(of_url(other), name, "{other}");
        }
        let prefix = RedisOptions::parse("redis://cache.internal")
            .unwrap()
            .prefix("b:");
        assert_eq!(of_servers(&prefix), ["redis://cache.internal:6379/0/b:"]);
        assert_eq!(of_url("redis://127.0.0.1"), of_url("redis://localhost"));
        assert_eq!(
            of_url("redis+sentinel://a,b:1/main"),
            ["a:26379", "b:1"].map(|at| format!("redis+sentinel://{at}/main/0/verify:"))
        );
        assert_eq!(
            of_url("redis+cluster://a:7,b:7"),
            ["a", "b"].map(|host| format!("redis+cluster://{host}:7/0/verify:"))
        );
    }

    #[test]
    fn a_file_is_the_same_whichever_way_leads_to_it() {
        let place = std::env::temp_dir().join(format!("verify-names-{}", std::process::id()));
        fs::remove_dir_all(&place).ok();
        fs::create_dir_all(place.join("disk")).unwrap();
        let place = place.canonicalize().unwrap();
        symlink("disk", place.join("link")).unwrap();
        symlink(place.join("disk/v.db"), place.join("v.db")).unwrap();
        let name = |path: PathBuf| format!("sqlite:{}", path.display());
        // Before there is a file, while there is one, and after it went.
        for there in [false, true, false] {
            match there {
                true => fs::write(place.join("disk/v.db"), "").unwrap(),
                false => drop(fs::remove_file(place.join("disk/v.db"))),
            }
            let own = name(place.join("disk/v.db"));
            for way in [
                "disk/v.db",
                "disk/./v.db",
                "link/v.db",
                "disk/../link/v.db",
                "v.db",
            ] {
                let names = of_a_file(&place.join(way));
                assert_eq!(names.first(), Some(&own), "{way}");
                assert!(names.iter().all(|name| name.starts_with("sqlite:/")), "{names:?}");
            }
            assert_eq!(of_a_file(&place.join("disk/v.db")), [own]);
        }
        // Set to another disk it is called what it was.
        let called = name(place.join("v.db"));
        fs::remove_file(place.join("v.db")).unwrap();
        symlink(place.join("v.db"), place.join("round")).unwrap();
        symlink(place.join("round"), place.join("v.db")).unwrap();
        assert!(
            of_a_file(&place.join("v.db")).contains(&called),
            "a link to itself ends"
        );
        fs::remove_dir_all(&place).unwrap();
    }
}
