//! Moved whole, and looked at.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::time::Duration;

use redis::Commands;
use support::{
    WITHIN, connected, creating, directory, fresh, fresh_at, is_there, nothing, open, run, scan, server,
    server_with,
};
use verify_batch::copy::{CopyError, Source, Target, compare, copy};
use verify_core::event::{Event, EventKind};
use verify_core::ids::HolderId;
use verify_core::keys::{KeyId, Print};
use verify_core::limit::Rule;
use verify_core::seed::Seed;
use verify_core::store::{
    Changeset, Charge, Claim, ClaimKey, ClaimKind, CounterKey, Expect, Lifetime, Mode, RecordChange,
    RecordKey, RecordKind, Store, StoreAnswer, Work, Write, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_lab::{RedisCluster, RedisKind};
use verify_redis::{OpenError, RedisKeys, RedisOptions, RedisStore, inspect};

/// Services, and how many changesets each has: more than a copy reads at a time.
const SERVICES: [&str; 2] = ["one", "two"];
const EACH: u32 = 1_100;

/// After the server's own time: what is in there now is not outlived when it is copied.
fn later() -> Timestamp {
    Timestamp::from_millis(1_900_000_000_000)
}

fn print(number: u32) -> Print {
    Print::from_bytes((u128::from(number) << 64).to_be_bytes())
}

/// Something of each kind, under keys made of this number.
fn something(service: &str, number: u32) -> Changeset {
    let (now, print) = (later(), print(number));
    let mut changeset = nothing();
    (changeset.at, changeset.service) = (now, ServiceId::new(service).unwrap());
    // Both lie together, and one of them ends much later.
    changeset.charges = [(1, 60), (1 << 40, 86_400)]
        .map(|(scope, seconds)| Charge {
            key: CounterKey { scope, print },
            rule: Rule::Window {
                max: 5,
                per: Duration::from_secs(seconds),
            },
            cost: 1,
            mode: Mode::Charge,
            when_live: Vec::new(),
        })
        .into();
    let kind = match number % 2 {
        0 => RecordKind::Notes,
        _ => RecordKind::Verifications,
    };
    changeset.records.push(RecordChange {
        key: RecordKey { kind, print },
        expect: Expect::Absent,
        write: Write::Put(verify_core::store::Row {
            version: 0,
            lifetime: match kind {
                RecordKind::Notes => Lifetime::Durable,
                RecordKind::Verifications => Lifetime::Until(now + Duration::from_secs(600)),
            },
            live_until: None,
            due: Some(now),
            under: WrittenUnder {
                fingerprint: KeyId::new(1),
                seal: Some(KeyId::new(u8::try_from(number % 3).unwrap())),
            },
            bytes: number.to_be_bytes().to_vec(),
        }),
    });
    let key = ClaimKey {
        kind: ClaimKind::Proof,
        print,
    };
    changeset.claims.push(Claim {
        key,
        value: number.to_be_bytes().to_vec(),
        expires_at: now + Duration::from_secs(300),
    });
    let seed = Seed::from_bytes([1; Seed::BYTES]);
    let event = Event::new(&seed, 0, now, changeset.service.clone(), EventKind::SendIntended);
    changeset.events.push(event);
    changeset
}

async fn applies(store: &RedisStore, changeset: &Changeset) {
    let answer = store.apply(changeset, WITHIN).await;
    assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
}

/// A place with something of each kind, of which some was acknowledged.
async fn filled() -> RedisOptions {
    let options = fresh();
    let store = open(options.clone()).await;
    for service in SERVICES {
        for number in 0..EACH {
            applies(&store, &something(service, number)).await;
        }
        let service = ServiceId::new(service).unwrap();
        let events = store.outbox(&service, 3).await.unwrap();
        store
            .acknowledge(&service, events.last().unwrap().0)
            .await
            .unwrap();
    }
    options
}

async fn alone(options: &RedisOptions) -> RedisKeys {
    let alone = RedisKeys::alone(options).await;
    alone.unwrap_or_else(|error| panic!("{error}"))
}

/// Copies it, reads it back, and says how many rows there are.
async fn copied(from: &RedisOptions, to: &RedisOptions) -> [u64; 4] {
    copy(&alone(from).await, &alone(to).await).await.unwrap();
    compare(&alone(from).await, &alone(to).await).await.unwrap().rows
}

/// The rows of all services of [`filled`].
const ALL: [u64; 4] = [
    4 * EACH as u64,
    2 * EACH as u64,
    2 * EACH as u64,
    2 * (EACH as u64 - 3),
];

async fn go_on_alike(from: &RedisOptions, to: &RedisOptions) {
    let (one, other) = (open(from.clone()).await, open(to.clone()).await);
    let epochs = (one.health().await.unwrap(), other.health().await.unwrap());
    assert_eq!(epochs.0.epoch, epochs.1.epoch);
    assert!(epochs.1.accepted && epochs.1.moved.is_none());
    for name in SERVICES {
        let service = ServiceId::new(name).unwrap();
        // The next version and the next place are the same in both.
        let next = something(name, 9_999_999);
        let seen = [&one, &other].map(|store| store.apply(&next, WITHIN));
        let [left, right] = seen;
        let (left, right) = (left.await.seen().unwrap(), right.await.seen().unwrap());
        assert_eq!(left.records, right.records);
        assert_eq!(left.origin.epoch, right.origin.epoch);
        let now = later() + Duration::from_millis(1);
        let most = 3 * usize::try_from(EACH).unwrap();
        assert_eq!(
            one.outbox(&service, most).await,
            other.outbox(&service, most).await
        );
        assert_eq!(
            one.due(&service, now, most).await,
            other.due(&service, now, most).await
        );
    }
    assert_eq!(one.durable().await.unwrap().len(), 3, "under three keys");
    assert_eq!(one.durable().await, other.durable().await);
}

#[test]
fn i62_a_copy_goes_on_where_the_other_ended() {
    run(async {
        let (from, to) = (filled().await, fresh());
        assert_eq!(copied(&from, &to).await, ALL);
        scan(&mut connected(server(RedisKind::Installed).port()), &to.prefix);
        go_on_alike(&from, &to).await;
        // What is there is not written over.
        let again = copy(&alone(&from).await, &alone(&to).await).await;
        assert_eq!(again, Err(CopyError::NotEmpty));
        let differ = compare(&alone(&from).await, &alone(&to).await).await;
        assert!(differ.is_ok(), "the same was done in both");
        applies(&open(to.clone()).await, &something("two", 9_999_998)).await;
        let differ = compare(&alone(&from).await, &alone(&to).await).await.unwrap_err();
        assert_eq!(
            differ.to_string(),
            "read back, versions and sequences are not the same"
        );
    });
}

#[test]
fn i62_a_copy_that_ended_early_serves_nobody_and_is_made_again() {
    run(async {
        let (from, to) = (filled().await, fresh());
        {
            let (from, to) = (alone(&from).await, alone(&to).await);
            to.begin().await.unwrap();
            for (service, lane) in from.lanes().await.unwrap() {
                to.put_lane(&service, lane).await.unwrap();
                for table in verify_batch::copy::Table::ALL {
                    let page = from.entries(&service, table, &[], 500).await.unwrap();
                    to.put(&service, table, page).await.unwrap();
                }
            }
            // Something that the next one will not bring along.
            to.put_lane(&ServiceId::new("gone").unwrap(), Default::default())
                .await
                .unwrap();
        }
        let refused = RedisStore::open(to.clone()).await.unwrap_err();
        assert!(
            matches!(refused, OpenError::HalfCopied) && refused.to_string().contains("again"),
            "{refused}"
        );
        let found = inspect(&to).await.unwrap();
        assert!(found.half_copied && found.origin.is_none(), "{found:?}");
        // It is no place to copy from.
        let of_it = copy(&alone(&to).await, &alone(&fresh()).await).await;
        assert_eq!(of_it, Err(CopyError::NothingThere));
        assert_eq!(copied(&from, &to).await, ALL);
        assert!(!inspect(&to).await.unwrap().half_copied);
        scan(&mut connected(server(RedisKind::Installed).port()), &to.prefix);
        go_on_alike(&from, &to).await;
    });
}

#[test]
fn of_two_copies_into_one_place_the_last_to_begin_ends() {
    run(async {
        let (from, to) = (fresh(), fresh());
        let store = open(from.clone()).await;
        applies(&store, &something("one", 1)).await;
        let origin = store.health().await.unwrap();
        let (one, other) = (alone(&to).await, alone(&to).await);
        one.begin().await.unwrap();
        other.begin().await.unwrap();
        let ended = one.end(origin).await.unwrap_err().to_string();
        assert!(ended.contains("another copy into it has begun"), "{ended}");
        copy(&alone(&from).await, &alone(&to).await).await.unwrap();
        // A gateway that begins while nothing is marked yet is met all the same.
        let late = fresh();
        let target = alone(&late).await;
        open(late).await;
        let begun = target.begin().await.unwrap_err().to_string();
        assert!(begun.contains("begun to serve"), "{begun}");
    });
}

#[test]
fn a_place_that_somebody_serves_from_is_not_copied_and_not_filled() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        let (service, holder) = (ServiceId::default(), HolderId::from_bytes([1; 16]));
        let none = fresh();
        let of_nothing = copy(&alone(&none).await, &alone(&fresh()).await).await;
        assert_eq!(of_nothing, Err(CopyError::NothingThere));
        // Whoever began there has an epoch: that is something.
        let filled = copy(&alone(&options).await, &alone(&options).await).await;
        assert_eq!(filled, Err(CopyError::NotEmpty));
        let hour = Duration::from_secs(3_600);
        store.lease(Work::Sink, &service, holder, hour).await.unwrap();
        alone(&options).await;
        store.lease(Work::Sweep, &service, holder, hour).await.unwrap();
        let refused = RedisKeys::alone(&options).await;
        assert!(matches!(refused, Err(OpenError::InUse)));
        store
            .lease(Work::Sweep, &service, holder, Duration::ZERO)
            .await
            .unwrap();
        alone(&options).await;
    });
}

#[test]
fn what_is_outlived_on_the_way_is_no_difference_and_what_is_missing_is() {
    run(async {
        let (from, mut to) = (fresh(), fresh());
        to.margin = Duration::ZERO;
        let store = open(from.clone()).await;
        for number in 0..6 {
            let mut changeset = something("one", number);
            changeset.at = Timestamp::from_millis(1_600_000_000_000);
            // Transient, and over by the server's time.
            if let Some(claim) = changeset.claims.first_mut() {
                claim.expires_at = changeset.at + Duration::from_secs(1);
            }
            applies(&store, &changeset).await;
        }
        assert_eq!(copied(&from, &to).await, [0, 6, 0, 6]);
        let mut owner = connected(server(RedisKind::Installed).port());
        let keys: Vec<Vec<u8>> = owner.keys(format!("{}{{one}}r*", to.prefix)).unwrap();
        let () = owner.del(keys.first().unwrap()).unwrap();
        let differ = compare(&alone(&from).await, &alone(&to).await).await.unwrap_err();
        assert_eq!(
            differ.to_string(),
            "read back, the records of one are not the same"
        );
    });
}

#[test]
fn i62_what_one_service_has_lost_the_copy_has_lost() {
    run(async {
        let (from, to) = (fresh(), fresh());
        let store = open(from.clone()).await;
        for service in SERVICES {
            applies(&store, &something(service, 1)).await;
        }
        let mut owner = connected(server(RedisKind::Installed).port());
        let keys: Vec<Vec<u8>> = owner.keys(format!("{}{{two}}*", from.prefix)).unwrap();
        let () = owner.del(keys).unwrap();
        applies(&store, &something("two", 2)).await;
        assert!(store.health().await.unwrap().accepted);
        copied(&from, &to).await;
        let other = open(to).await;
        assert!(!other.health().await.unwrap().accepted);
        for service in SERVICES {
            let seen = other.apply(&something(service, 3), WITHIN).await.seen().unwrap();
            assert!(!seen.origin.accepted, "{service}");
        }
    });
}

#[test]
fn i62_a_copy_into_a_cluster_and_out_of_it_is_the_same() {
    run(async {
        let cluster = RedisCluster::start(RedisKind::Installed, &directory("copied"), 3).unwrap();
        let (from, into, back) = (filled().await, fresh_at(&cluster.url()), fresh());
        {
            // Broken off here too.
            let into = alone(&into).await;
            into.begin().await.unwrap();
            for service in ["a", "b", "c", "d", "e", "f"] {
                into.put_lane(&ServiceId::new(service).unwrap(), Default::default())
                    .await
                    .unwrap();
            }
        }
        assert_eq!(copied(&from, &into).await, ALL);
        for node in &cluster.nodes {
            scan(&mut connected(node.port()), &into.prefix);
        }
        assert_eq!(copied(&into, &back).await, ALL);
        go_on_alike(&from, &back).await;
    });
}

#[test]
fn i149_a_copy_is_there_once_as_many_replicas_have_it_as_are_waited_for() {
    run(async {
        let (from, to) = (fresh(), fresh().wait_replicas(1));
        applies(&open(from.clone()).await, &something("one", 1)).await;
        let alone_there = copy(&alone(&from).await, &alone(&to).await).await.unwrap_err();
        assert!(
            alone_there.to_string().contains("too few replicas"),
            "{alone_there}"
        );
    });
}

#[test]
fn servers_are_looked_at_and_not_changed() {
    run(async {
        for kind in [RedisKind::Installed, RedisKind::Redis62, RedisKind::Valkey] {
            let settings = ["user quiet on nopass ~* +@all -config"];
            let there = server_with(kind, &format!("looked-at-{kind:?}"), &settings);
            let options = fresh_at(&there.url());
            let mut owner = connected(there.port());
            let mut set = |name: &str, value: &str| {
                let mut command = redis::cmd("CONFIG");
                command.arg("SET").arg(name).arg(value);
                command.exec(&mut owner).unwrap();
            };
            let weak = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
            let found = inspect(&options).await.unwrap();
            assert!(found.origin.is_none() && !found.half_copied && !found.replica);
            assert_eq!(found.weak, weak("appendonly", "no"));
            assert!(found.held > 0 && found.room_used.is_none() && found.unfit.is_none());
            assert_eq!(found.server.starts_with("Valkey"), kind == RedisKind::Valkey);
            let quiet = fresh_at(&there.url().replace("redis://", "redis://quiet@"));
            assert_eq!(inspect(&quiet).await.unwrap().weak, weak("appendonly", "no"));
            set("appendonly", "yes");
            assert_eq!(
                inspect(&options).await.unwrap().weak,
                weak("appendfsync", "everysec")
            );
            let told = inspect(&quiet).await.unwrap();
            assert!(told.weak.is_empty() && told.syncs_untold, "{told:?}");
            set("appendfsync", "always");
            set("maxmemory", "1gb");
            let found = inspect(&options).await.unwrap();
            assert!(found.weak.is_empty() && !found.syncs_untold, "{found:?}");
            assert!(
                found.room_used.is_some_and(|part| part > 0.0 && part < 0.1),
                "{found:?}"
            );
            let store = open(options.clone()).await;
            assert!(inspect(&options).await.unwrap().origin.unwrap().accepted);
            applies(&store, &creating("one", 1)).await;
            set("maxmemory-policy", "allkeys-lru");
            let unfit = inspect(&options).await.unwrap().unfit;
            assert!(matches!(unfit, Some(OpenError::Evicts(policy)) if policy == "allkeys-lru"));
            set("maxmemory-policy", "noeviction");
            let mut follow = redis::cmd("REPLICAOF");
            follow.arg("127.0.0.1").arg(1).exec(&mut owner).unwrap();
            let found = inspect(&options).await.unwrap();
            assert!(found.replica && found.origin.is_some(), "{found:?}");
            let mut lead = redis::cmd("REPLICAOF");
            lead.arg("NO").arg("ONE").exec(&mut owner).unwrap();
            assert!(is_there(&open(options).await, "one", 1).await);
        }
    });
}

#[test]
fn a_password_that_is_missing_is_told_from_one_that_is_wrong() {
    run(async {
        for kind in [RedisKind::Installed, RedisKind::Redis62, RedisKind::Valkey] {
            let settings = ["requirepass word", "user app on >other ~* +@all"];
            let there = server_with(kind, &format!("password-{kind:?}"), &settings);
            let as_user = |who: &str| fresh_at(&there.url().replace("redis://", &format!("redis://{who}@")));
            for (options, is_none) in [
                (fresh_at(&there.url()), true),
                (as_user("app"), true),
                (as_user(":hunter2"), false),
                (as_user("app:hunter2"), false),
            ] {
                for refused in [
                    RedisStore::open(options.clone()).await.unwrap_err(),
                    inspect(&options).await.unwrap_err(),
                    RedisKeys::alone(&options).await.map(drop).unwrap_err(),
                ] {
                    let is_said = match is_none {
                        true => matches!(refused, OpenError::NoPassword),
                        false => matches!(refused, OpenError::WrongPassword(_)),
                    };
                    assert!(is_said && !refused.to_string().contains("hunter2"), "{refused}");
                }
            }
            for who in [":word", "app:other"] {
                open(as_user(who)).await;
            }
        }
    });
}
