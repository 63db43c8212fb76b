//! How a server is reached, and what is said where it cannot be: each refusal names what to change.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use support::{WITHIN, as_owner, connected, creating, directory, execute, fresh, nothing, open, run, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use verify_core::store::{Epoch, Store, StoreAnswer};
use verify_lab::{PgBouncer, PostgresServer, Syncs};
use verify_postgres::{OpenError, PostgresOptions, PostgresStore, inspect, migrate};
use verify_testkit::store_answers_as_the_model;

async fn why_not(options: PostgresOptions) -> OpenError {
    match PostgresStore::open(options).await {
        Ok(_) => panic!("it must not be opened"),
        Err(error) => error,
    }
}

#[test]
fn i148_a_newer_schema_is_refused_where_it_must_be_and_used_where_it_may_be() {
    run(async {
        let options = fresh();
        drop(open(options.clone()).await);
        let schema = &options.schema;
        as_owner(&options, &format!("UPDATE {schema}.meta SET version = 9")).await;
        drop(open(options.clone()).await);
        as_owner(&options, &format!("UPDATE {schema}.meta SET needs = 3")).await;
        let why = why_not(options).await;
        assert!(
            matches!(
                why,
                OpenError::Newer {
                    found: 9,
                    needed: 3,
                    ..
                }
            ),
            "{why}"
        );
    });
}

#[test]
fn i148_of_many_that_begin_at_once_one_makes_the_tables() {
    run(async {
        for _ in 0..3 {
            let options = fresh();
            let opening: Vec<_> = (0..8).map(|_| tokio::spawn(open(options.clone()))).collect();
            let mut epochs = Vec::new();
            for opened in opening {
                epochs.push(opened.await.unwrap().health().await.unwrap().epoch);
            }
            epochs.dedup();
            assert_eq!(epochs.len(), 1, "{epochs:?}");
        }
    });
}

/// As a long `pg_dump` is at the tables of an earlier program, whose nodes go on.
#[test]
fn i148_whoever_migrates_waits_for_who_reads_and_holds_nobody_up() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        let schema = &options.schema;
        execute(&format!(
            "ALTER TABLE {schema}.meta DROP system, DROP timeline, DROP moved; UPDATE {schema}.meta SET version = 1"
        ))
        .await;
        let (reader, watch) = (connected(&options).await, connected(&options).await);
        let read = format!("SELECT version FROM {schema}.meta");
        reader.batch_execute(&format!("BEGIN; {read}")).await.unwrap();
        let migrating = tokio::spawn({
            let options = options.clone();
            async move { migrate(&options).await }
        });
        let waits = format!(
            "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND relation = '{schema}.meta'::regclass"
        );
        until(&watch, &waits).await;
        let others = tokio::time::timeout(WITHIN, watch.batch_execute(&read));
        assert!(others.await.is_ok(), "who reads waits behind who migrates");
        assert!(!migrating.is_finished());
        reader.batch_execute("COMMIT").await.unwrap();
        assert_eq!(migrating.await.unwrap().unwrap(), 1);
        assert_eq!(inspect(&options).await.unwrap().schema, 2);
        let answer = store.apply(&creating(1), WITHIN).await;
        assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
    });
}

#[test]
fn i148_a_program_needs_no_right_to_make_tables_that_are_there() {
    run(async {
        let options = fresh();
        let mut lesser = options.clone();
        lesser.config.user("lesser");
        as_owner(&options, "CREATE ROLE lesser LOGIN").await;
        let why = why_not(lesser.clone()).await;
        assert!(matches!(why, OpenError::Migrate(_)), "{why}");
        assert!(why.to_string().contains("store migrate"), "{why}");
        drop(open(options.clone()).await);
        let schema = &options.schema;
        let rights = format!(
            "GRANT USAGE ON SCHEMA {schema} TO lesser; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO lesser"
        );
        as_owner(&options, &rights).await;
        let store = open(lesser).await;
        let answer = store.apply(&creating(1), WITHIN).await;
        assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
    });
}

#[test]
fn a_role_that_lacks_a_right_is_told_which_before_it_serves() {
    run(async {
        let options = fresh();
        drop(open(options.clone()).await);
        let schema = &options.schema;
        as_owner(&options, "CREATE ROLE reader LOGIN").await;
        let mut reader = options.clone();
        reader.config.user("reader");
        for why in [inspect(&reader).await.unwrap_err(), why_not(reader.clone()).await] {
            let said = why.to_string();
            assert!(
                said.contains(&format!("lacks USAGE on schema {schema}; "))
                    && said.contains(&format!("; SELECT, INSERT, UPDATE, DELETE on {schema}.record; ")),
                "{said}"
            );
        }
        let rights = format!(
            "GRANT USAGE ON SCHEMA {schema} TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader;
             GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO reader; REVOKE INSERT, DELETE ON {schema}.event FROM reader;
             CREATE TABLE {schema}.somebody_elses ()"
        );
        as_owner(&options, &rights).await;
        let lacks = vec![format!("INSERT, DELETE on {schema}.event")];
        let found = inspect(&reader).await.unwrap();
        assert_eq!((found.lacks, found.schema), (lacks.clone(), found.known));
        let why = why_not(reader).await;
        assert!(
            matches!(&why, OpenError::Rights(lacking) if *lacking == lacks),
            "{why}"
        );
    });
}

#[test]
fn a_server_that_follows_another_one_is_told_and_not_served_from() {
    run(async {
        let replica = "wal_level = replica\nmax_wal_senders = 4";
        let primary = PostgresServer::start(&directory("followed"), Syncs::No, replica).unwrap();
        drop(open(PostgresOptions::parse(&primary.url()).unwrap()).await);
        let mut copy = PostgresServer::copy_of(&primary, &directory("follows")).unwrap();
        copy.begin(&[]).unwrap();
        let options = PostgresOptions::parse(&copy.url()).unwrap();
        let found = inspect(&options).await.unwrap();
        assert!(found.standby && found.lacks.is_empty(), "{found:?}");
        for why in [
            why_not(options.clone()).await,
            migrate(&options).await.unwrap_err(),
        ] {
            assert!(matches!(why, OpenError::Standby), "{why}");
        }
    });
}

#[test]
fn i62_an_empty_database_in_the_place_of_one_that_is_remembered_is_not_a_first_start() {
    run(async {
        let remembered = Some(Epoch([7; 16]));
        let store = open(fresh().remembered(remembered)).await;
        let origin = store.health().await.unwrap();
        assert!(!origin.accepted && Some(origin.epoch) != remembered);
        let seen = store.apply(&nothing(), WITHIN).await.seen().unwrap();
        assert!(!seen.origin.accepted, "every answer says so");
        store.accept().await.unwrap();
        assert!(store.health().await.unwrap().accepted);
        let begun = store.begin_epoch().await.unwrap();
        assert!(!begun.accepted && begun.epoch != origin.epoch);
    });
}

#[test]
fn i62_what_was_emptied_under_a_running_store_was_not_expected() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        let before = store.health().await.unwrap();
        let schema = &options.schema;
        as_owner(&options, &format!("TRUNCATE {schema}.lane, {schema}.record, {schema}.event; UPDATE {schema}.meta SET epoch = NULL")).await;
        let origin = store.apply(&nothing(), WITHIN).await.seen().unwrap().origin;
        assert!(!origin.accepted && origin.epoch != before.epoch);
        let told = open(options).await.health().await.unwrap();
        assert_eq!((told.epoch, told.accepted), (origin.epoch, false));
    });
}

#[test]
fn what_is_no_url_is_not_repeated() {
    let secret = "postgres://verify:s3cret@host:notaport/db";
    let error = PostgresOptions::parse(secret).unwrap_err().to_string();
    assert!(!error.contains("s3cret"), "{error}");
    let options = PostgresOptions::parse("postgres://verify:s3cret@127.0.0.1:1/db").unwrap();
    assert!(!format!("{options:?}").contains("s3cret"));
    run(async {
        let why = why_not(options).await.to_string();
        assert!(!why.contains("s3cret") && why.contains("refused"), "{why}");
        let why = why_not(fresh().schema("Robert'); --")).await;
        assert!(matches!(why, OpenError::SchemaName(_)), "{why}");
    });
}

/// The library that reads URLs goes on behind the first @, and names what it takes for a word.
#[test]
fn i20_what_cuts_a_password_is_named_and_the_rest_of_it_is_not() {
    for (cut, rest) in [
        ("postgres://verify:s3@cret@host/db", "cret"),
        ("postgres://verify:s3@cret:x@host/db", "cret"),
        ("postgres://verify:s3@cret/x@host/db", "cret"),
        ("postgres://verify:s3@c/r?et=x@host/db", "et="),
        ("postgres://verify:s3@?cret=x@host/db", "cret"),
        ("host=db user=verify password=s3 cret=x", "cret"),
    ] {
        let why = PostgresOptions::parse(cut).unwrap_err();
        let said = why.to_string();
        assert!(matches!(why, OpenError::Cut) && said.contains("%40"), "{said}");
        assert!(
            !said.contains(rest) && !format!("{why:?}").contains(rest),
            "{said}"
        );
    }
    for whole in [
        "postgres://verify:s3%40cret@host/db?application_name=a@b",
        "postgres://verify:s/3?c#r%et@host/db",
        "host=db user=verify password='s3 cret'",
    ] {
        assert!(PostgresOptions::parse(whole).is_ok(), "{whole}");
    }
    let typo = PostgresOptions::parse("postgres://verify:s3@host/db?sslmod=require").unwrap_err();
    assert!(typo.to_string().contains("sslmod"), "{typo}");
}

#[test]
fn a_wrong_password_is_said_and_the_right_one_comes_from_a_file() {
    run(async {
        let server = PostgresServer::start(&directory("password"), Syncs::No, "").unwrap();
        let owner = PostgresOptions::parse(&server.url()).unwrap();
        as_owner(
            &owner,
            "CREATE ROLE app LOGIN PASSWORD 'right'; GRANT CREATE ON DATABASE postgres TO app",
        )
        .await;
        server.wants_password_of("app").unwrap();
        let mut without = owner.clone();
        without.config.user("app");
        let why = why_not(without).await;
        assert!(matches!(why, OpenError::NoPassword), "{why}");
        let file = directory("password").join("secret");
        let mut options = owner.password_file(&file);
        options.config.user("app");
        fs::write(&file, "wrong\n").unwrap();
        let why = why_not(options.clone()).await.to_string();
        assert!(
            why.contains("password authentication failed") && !why.contains("wrong\n"),
            "{why}"
        );
        fs::write(&file, "right\n").unwrap();
        open(options).await;
    });
}

/// A certificate for a name, signed by an authority; PEM of certificate and key.
fn signed(by: &Issuer<'_, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap();
    (
        certificate.signed_by(&key, by).unwrap().pem(),
        key.serialize_pem(),
    )
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = authority.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(authority, key))
}

#[test]
fn the_server_s_certificate_and_name_are_verified() {
    run(async {
        let at = directory("tls");
        let mut server = PostgresServer::make(
            &at,
            Syncs::No,
            "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'",
        )
        .unwrap();
        let (pem, issuer) = authority();
        let (certificate, key) = signed(&issuer, "localhost");
        fs::write(server.data().join("server.crt"), certificate).unwrap();
        fs::write(server.data().join("server.key"), key).unwrap();
        for file in ["server.crt", "server.key"] {
            let path = server.data().join(file);
            Command::new("chmod").arg("600").arg(&path).status().unwrap();
            // Where a test runs as root the server does not.
            Command::new("chown")
                .arg("--reference")
                .arg(server.data())
                .arg(&path)
                .status()
                .unwrap();
        }
        server.begin(&[]).unwrap();
        let (right, wrong) = (at.join("ca.pem"), at.join("other.pem"));
        fs::write(&right, pem).unwrap();
        fs::write(&wrong, authority().0).unwrap();
        let by_name = format!(
            "postgres://postgres@localhost:{}/postgres?hostaddr=127.0.0.1",
            server.port()
        );
        let to = |url: &str| PostgresOptions::parse(url).unwrap();
        open(to(&by_name).ca_file(&right)).await;
        let why = why_not(to(&by_name).ca_file(&wrong)).await.to_string();
        assert!(why.contains("certificate"), "{why}");
        let why = why_not(to(&server.url()).ca_file(&right)).await.to_string();
        assert!(why.contains("certificate"), "another name: {why}");
        let why = why_not(to(&by_name).ca_file(at.join("nothing.pem")))
            .await
            .to_string();
        assert!(why.contains("nothing.pem"), "{why}");
    });
}

#[test]
fn a_server_without_tls_elsewhere_is_refused() {
    run(async {
        // A name that is not of this machine, though it leads here.
        let mut options = fresh();
        let url = format!(
            "postgres://postgres@db.invalid:{}/postgres?hostaddr=127.0.0.1",
            options.config.get_ports()[0]
        );
        options.config = PostgresOptions::parse(&url).unwrap().config;
        let why = why_not(options.clone()).await.to_string();
        assert!(why.contains("TLS"), "{why}");
        options.config = PostgresOptions::parse(&format!("{url}&sslmode=disable"))
            .unwrap()
            .config;
        open(options).await;
    });
}

/// It takes connections and says nothing, as a host does whose machine hangs.
#[test]
fn i149_a_first_host_that_says_nothing_leaves_the_others_time() {
    run(async {
        let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut options = fresh();
        let url = format!(
            "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
            silent.local_addr().unwrap().port(),
            options.config.get_ports()[0]
        );
        options.config = PostgresOptions::parse(&url).unwrap().config;
        let store = open(options.clone()).await;
        let answer = store.apply(&creating(1), WITHIN).await;
        assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        let silent_alone = format!("postgres://postgres@{}/postgres", silent.local_addr().unwrap());
        options.config = PostgresOptions::parse(&silent_alone).unwrap().config;
        let why = why_not(options).await.to_string();
        assert!(why.contains("no connection in time"), "{why}");
    });
}

/// A line to the server by a pool that refuses words in its own way; how many lines it refused.
async fn refuses_words(to: u16, refused: Arc<AtomicU32>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let refused = Arc::clone(&refused);
            tokio::spawn(async move {
                let length = client.read_u32().await.unwrap();
                let mut first = length.to_be_bytes().to_vec();
                first.resize(length as usize, 0);
                client.read_exact(first.get_mut(4..).unwrap()).await.unwrap();
                if first.windows(9).any(|word| word == b"\0options\0") {
                    refused.fetch_add(1, Ordering::SeqCst);
                    let said = b"SFATAL\0VFATAL\0C0A000\0MFeature not supported\0\0";
                    client.write_all(b"E").await.unwrap();
                    client.write_u32(said.len() as u32 + 4).await.unwrap();
                    client.write_all(said).await.unwrap();
                    return;
                }
                let mut server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                server.write_all(&first).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

#[test]
fn i149_a_pool_that_refuses_words_in_its_own_way_is_asked_without_them() {
    run(async {
        let (refused, mut options) = (Arc::new(AtomicU32::new(0)), fresh());
        let port = refuses_words(support::server().port(), Arc::clone(&refused)).await;
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        options.config = PostgresOptions::parse(&url).unwrap().config;
        let store = open(options).await;
        let answers = (0..8).map(|number| {
            let (store, changeset) = (store.clone(), creating(number));
            tokio::spawn(async move { store.apply(&changeset, WITHIN).await })
        });
        for answer in answers.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        }
        assert_eq!(refused.load(Ordering::SeqCst), 1, "it is asked once");
    });
}

store_answers_as_the_model!(
    through_a_pool_by_transaction_it_answers_as_the_model,
    6,
    || async {
        static POOL: std::sync::LazyLock<PgBouncer> = std::sync::LazyLock::new(|| {
            let behind = support::server();
            PgBouncer::start(&directory("pgbouncer"), behind).unwrap_or_else(|error| panic!("{error}"))
        });
        let mut options = fresh();
        options.config = PostgresOptions::parse(&POOL.url()).unwrap().config;
        open(options).await
    }
);
