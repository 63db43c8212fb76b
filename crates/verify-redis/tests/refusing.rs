//! What a server says instead of deciding, each said by a server: nothing was done, and that is what is answered.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::time::Duration;

use redis::{Commands, Connection};
use support::{WITHIN, at, connected, fresh_at, nothing, open, run, server_with};
use verify_core::event::{Event, EventKind};
use verify_core::keys::{KeyId, Print};
use verify_core::limit::Rule;
use verify_core::seed::Seed;
use verify_core::store::{
    Changeset, Charge, CounterKey, Expect, Lifetime, Mode, RecordChange, RecordKey, RecordKind, Row, Store,
    StoreAnswer, StoreFault, Write, WrittenUnder,
};
use verify_core::vocabulary::ServiceId;
use verify_lab::{RedisKind, RedisServer};
use verify_redis::{OpenError, RedisOptions, RedisStore};

/// A bit of everything.
fn writing(number: u8) -> Changeset {
    let print = Print::from_bytes([number; 16]);
    let mut changeset = nothing();
    changeset.charges.push(Charge {
        key: CounterKey { scope: 7, print },
        rule: Rule::Window {
            max: 1,
            per: Duration::from_secs(60),
        },
        cost: 1,
        mode: Mode::Charge,
        when_live: Vec::new(),
    });
    changeset.records.push(RecordChange {
        key: RecordKey {
            kind: RecordKind::Notes,
            print,
        },
        expect: Expect::Absent,
        write: Write::Put(Row {
            version: 0,
            lifetime: Lifetime::Durable,
            live_until: None,
            due: Some(at()),
            under: WrittenUnder {
                fingerprint: KeyId::new(1),
                seal: Some(KeyId::new(1)),
            },
            bytes: vec![number],
        }),
    });
    let seed = Seed::from_bytes([1; Seed::BYTES]);
    changeset.events.push(Event::new(
        &seed,
        number,
        at(),
        ServiceId::default(),
        EventKind::SendIntended,
    ));
    changeset
}

/// What is answered instead.
async fn refusal(store: &RedisStore, changeset: &Changeset) -> StoreFault {
    match store.apply(changeset, WITHIN).await {
        StoreAnswer::NotApplied(fault) => fault,
        other @ (StoreAnswer::Applied(_) | StoreAnswer::Refused(_) | StoreAnswer::Unknown(_)) => {
            panic!("{other:?}")
        }
    }
}

async fn is_applied(store: &RedisStore, number: u8) {
    let answer = store.apply(&writing(number), WITHIN).await;
    assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
}

fn says(fault: &StoreFault, word: &str, code: &str) {
    assert_eq!(fault.as_str(), word, "{fault}");
    assert!(fault.to_string().contains(code), "{fault}");
}

/// All keys with what is in them.
fn dump(server: &mut Connection) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut keys: Vec<Vec<u8>> = server.keys("*").unwrap();
    keys.sort();
    let dumped = keys.into_iter().map(|key| {
        let bytes = redis::cmd("DUMP").arg(&key).query(server).unwrap();
        (key, bytes)
    });
    dumped.collect()
}

fn config(server: &mut Connection, name: &str, value: &str) {
    redis::cmd("CONFIG")
        .arg("SET")
        .arg(name)
        .arg(value)
        .exec(server)
        .unwrap();
}

/// A server of its own, a store on it that decided once, and its owner's connection.
async fn begun(
    kind: RedisKind,
    name: &str,
    settings: &[&str],
) -> (RedisServer, RedisStore, Connection, RedisOptions) {
    let server = server_with(kind, &format!("{name}-{kind:?}"), settings);
    let options = fresh_at(&server.url());
    let store = open(options.clone()).await;
    is_applied(&store, 1).await;
    let owner = connected(server.port());
    (server, store, owner, options)
}

const KINDS: [RedisKind; 3] = [RedisKind::Installed, RedisKind::Redis62, RedisKind::Valkey];

#[test]
fn i49_a_key_of_another_kind_is_met_before_anything_is_written() {
    run(async {
        for kind in KINDS {
            let (_server, store, mut owner, options) = begun(kind, "kinds", &[]).await;
            for name in ["l", "o", "d", "t", "k"] {
                let key = format!("{}{{default}}{name}", options.prefix);
                let moved = format!("{key} of before");
                redis::cmd("RENAME")
                    .arg(&key)
                    .arg(&moved)
                    .query::<()>(&mut owner)
                    .ok();
                let () = owner.set(&key, "somebody else's").unwrap();
                let before = dump(&mut owner);
                says(&refusal(&store, &writing(2)).await, "corrupt", "WRONGTYPE");
                assert_eq!(dump(&mut owner), before, "{name}");
                let () = owner.del(&key).unwrap();
                redis::cmd("RENAME")
                    .arg(&moved)
                    .arg(&key)
                    .query::<()>(&mut owner)
                    .ok();
            }
            is_applied(&store, 2).await;
        }
    });
}

#[test]
fn i49_a_row_that_nobody_can_read_changes_nothing() {
    run(async {
        let (_server, store, mut owner, options) = begun(RedisKind::Installed, "unreadable", &[]).await;
        let changeset = writing(1);
        let record = [
            format!("{}{{default}}r", options.prefix).as_bytes(),
            &changeset.records[0].key.to_bytes(),
        ]
        .concat();
        let counters = [format!("{}{{default}}c", options.prefix).as_bytes(), &[1; 16]].concat();
        let kept: Vec<u8> = owner.get(&record).unwrap();
        for broken in [b"".to_vec(), vec![9; 60], kept[..20].to_vec()] {
            let () = owner.set(&record, &broken).unwrap();
            says(&refusal(&store, &changeset).await, "corrupt", "");
        }
        let () = owner.set(&record, &kept).unwrap();
        let () = owner
            .hset(&counters, 7_u64.to_be_bytes().as_slice(), [1, 1, 0].as_slice())
            .unwrap();
        says(&refusal(&store, &changeset).await, "corrupt", "");
        is_applied(&store, 2).await;
    });
}

#[test]
fn a_server_out_of_memory_is_full_and_goes_on_refusing() {
    run(async {
        for kind in KINDS {
            let (_server, store, mut owner, _) =
                begun(kind, "memory", &["maxmemory-policy noeviction"]).await;
            config(&mut owner, "maxmemory", "1");
            let mut known = writing(2);
            known.room = verify_core::store::Room::Known;
            says(&refusal(&store, &known).await, "full", "OOM");
            // What writes nothing needs no room.
            let answer = store.apply(&writing(1), WITHIN).await;
            assert!(matches!(answer, StoreAnswer::Refused(_)), "{answer:?}");
            config(&mut owner, "maxmemory", "0");
            is_applied(&store, 2).await;
        }
    });
}

#[test]
fn a_replica_decides_nothing() {
    run(async {
        for kind in KINDS {
            let (_server, store, mut owner, _) = begun(kind, "replica", &[]).await;
            redis::cmd("REPLICAOF")
                .arg("127.0.0.1")
                .arg(1)
                .exec(&mut owner)
                .unwrap();
            says(&refusal(&store, &writing(2)).await, "unavailable", "READONLY");
            // From now on it is known to be one.
            says(&refusal(&store, &nothing()).await, "unavailable", "replica");
            redis::cmd("REPLICAOF")
                .arg("NO")
                .arg("ONE")
                .exec(&mut owner)
                .unwrap();
            is_applied(&store, 2).await;
        }
    });
}

#[test]
fn a_replica_that_lost_its_master_decides_nothing() {
    run(async {
        let (_server, store, mut owner, _) =
            begun(RedisKind::Installed, "alone", &["replica-serve-stale-data no"]).await;
        redis::cmd("REPLICAOF")
            .arg("127.0.0.1")
            .arg(1)
            .exec(&mut owner)
            .unwrap();
        says(&refusal(&store, &nothing()).await, "unavailable", "MASTERDOWN");
    });
}

#[test]
fn a_server_without_enough_replicas_decides_nothing() {
    run(async {
        // 6.2 does not look at this for a script: `wait_replicas` does.
        for kind in [RedisKind::Installed, RedisKind::Valkey] {
            let (_server, store, mut owner, _) = begun(kind, "replicas", &[]).await;
            config(&mut owner, "min-replicas-to-write", "1");
            let before = dump(&mut owner);
            says(&refusal(&store, &writing(2)).await, "unavailable", "NOREPLICAS");
            assert_eq!(dump(&mut owner), before);
        }
    });
}

#[test]
fn a_server_that_is_busy_with_a_script_decides_nothing() {
    run(async {
        let (server, store, mut owner, _) = begun(RedisKind::Installed, "busy", &["lua-time-limit 1"]).await;
        let endless = std::thread::spawn(move || {
            let mut other = connected(server.port());
            let ended = redis::cmd("EVAL")
                .arg("while true do end")
                .arg(0)
                .exec(&mut other);
            assert!(ended.is_err());
            server
        });
        while redis::cmd("PING").exec(&mut owner).is_ok() {
            tokio::task::yield_now().await;
        }
        says(&refusal(&store, &writing(2)).await, "unavailable", "BUSY");
        redis::cmd("SCRIPT").arg("KILL").exec(&mut owner).unwrap();
        let _server = endless.join().unwrap();
        is_applied(&store, 2).await;
    });
}

/// A user whom a command is taken from in the midst.
#[test]
fn what_a_user_may_not_do_is_not_done() {
    run(async {
        for kind in KINDS {
            let server = server_with(kind, &format!("acl-{kind:?}"), &["user verify on >word ~* +@all"]);
            let mut owner = connected(server.port());
            let url = server.url().replace("redis://", "redis://verify:word@");
            let store = open(fresh_at(&url)).await;
            is_applied(&store, 1).await;
            redis::cmd("ACL")
                .arg("SETUSER")
                .arg("verify")
                .arg("-xadd")
                .exec(&mut owner)
                .unwrap();
            let before = dump(&mut owner);
            says(&refusal(&store, &writing(2)).await, "unavailable", "");
            assert_eq!(dump(&mut owner), before);
            redis::cmd("ACL")
                .arg("SETUSER")
                .arg("verify")
                .arg("-evalsha")
                .exec(&mut owner)
                .unwrap();
            says(&refusal(&store, &writing(2)).await, "unavailable", "NOPERM");
            let wrong = RedisStore::open(fresh_at(
                &server.url().replace("redis://", "redis://verify:other@"),
            ))
            .await;
            let wrong = wrong.unwrap_err().to_string();
            assert!(
                wrong.contains("does not take this name with this password") && !wrong.contains("other"),
                "{wrong}"
            );
        }
    });
}

#[test]
fn a_server_that_forgets_what_is_counted_is_refused() {
    run(async {
        for kind in KINDS {
            let settings = [
                "maxmemory-policy allkeys-lru",
                "user limited on nopass ~* +@all -config",
                "user silent on nopass ~* +@all -config -info",
            ];
            let server = server_with(kind, &format!("evicts-{kind:?}"), &settings);
            let refused = |url: String| async move { RedisStore::open(fresh_at(&url)).await.unwrap_err() };
            assert!(
                matches!(refused(server.url()).await, OpenError::Evicts(policy) if policy == "allkeys-lru")
            );
            let as_user = |name: &str| server.url().replace("redis://", &format!("redis://{name}@"));
            assert!(matches!(refused(as_user("limited")).await, OpenError::Evicts(_)));
            let silent = refused(as_user("silent")).await;
            assert!(matches!(silent, OpenError::Connect(_)), "{silent:?}");
            config(&mut connected(server.port()), "maxmemory-policy", "noeviction");
            open(fresh_at(&as_user("limited"))).await;
        }
    });
}
