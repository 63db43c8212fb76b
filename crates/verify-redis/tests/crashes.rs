//! The server crashes, stops, and is followed by its replica: what was answered is true as far as its settings go.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::time::Duration;

use support::{
    WITHIN, connected, creating, fresh_at, is_there, load, missing, nothing, open, recovered, run,
    server_with,
};
use verify_core::store::{Store, StoreAnswer};
use verify_lab::{RedisKind, RedisServer};
use verify_redis::RedisOptions;

const SYNCED: [&str; 2] = ["appendonly yes", "appendfsync always"];

#[test]
fn i149_a_crash_of_a_server_that_syncs_each_write_loses_nothing_that_was_answered() {
    run(async {
        let server = std::sync::Mutex::new(server_with(RedisKind::Installed, "crash", &SYNCED));
        let options = fresh_at(&server.lock().unwrap().url());
        let store = open(options).await;
        let told = load(&store, "default", || server.lock().unwrap().kill().unwrap()).await;
        assert!(
            told.iter()
                .any(|(_, answer)| !matches!(answer, StoreAnswer::Applied(_)))
        );
        server.lock().unwrap().begin().unwrap();
        recovered(&store).await;
        assert_eq!(missing(&store, "default", &told).await, 0);
        assert!(store.health().await.unwrap().accepted);
    });
}

#[test]
fn i62_a_crash_of_a_server_that_keeps_nothing_is_noticed() {
    run(async {
        let mut server = server_with(RedisKind::Installed, "forgets", &[]);
        let store = open(fresh_at(&server.url())).await;
        assert!(store.apply(&creating("default", 1), WITHIN).await.seen().is_ok());
        server.kill().unwrap();
        server.begin().unwrap();
        recovered(&store).await;
        assert!(!is_there(&store, "default", 1).await);
        assert!(
            !store
                .apply(&nothing(), WITHIN)
                .await
                .seen()
                .unwrap()
                .origin
                .accepted
        );
    });
}

#[test]
fn i149_what_a_server_that_stood_still_comes_upon_late_is_not_begun() {
    // A second to begin, and two until nobody waits any more.
    run(async {
        let server = server_with(RedisKind::Installed, "late", &[]);
        let store = open(fresh_at(&server.url())).await;
        recovered(&store).await;
        server.signal("STOP").unwrap();
        let answer = store.apply(&creating("default", 1), Duration::from_secs(1)).await;
        assert!(matches!(answer, StoreAnswer::Unknown(_)), "{answer:?}");
        server.signal("CONT").unwrap();
        recovered(&store).await;
        assert!(!is_there(&store, "default", 1).await);
    });
}

#[test]
fn i149_a_server_that_stops_is_soon_not_waited_for_and_comes_back() {
    run(async {
        let server = server_with(RedisKind::Installed, "stopped", &[]);
        let store = open(fresh_at(&server.url())).await;
        recovered(&store).await;
        server.signal("STOP").unwrap();
        for _ in 0..5 {
            assert!(store.apply(&nothing(), WITHIN).await.seen().is_err());
        }
        let fault = store.apply(&nothing(), WITHIN).await.seen().unwrap_err();
        server.signal("CONT").unwrap();
        let words = fault.detail().message();
        assert!(words.contains("asked each second"), "{words}");
        recovered(&store).await;
    });
}

/// A master and its replica, in step.
fn with_replica(name: &str) -> (RedisServer, RedisServer) {
    let settings = ["repl-diskless-sync-delay 0", "repl-ping-replica-period 1"];
    let master = server_with(RedisKind::Installed, &format!("{name}-master"), &settings);
    let of_master = format!("replicaof 127.0.0.1 {}", master.port());
    let replica = server_with(RedisKind::Installed, &format!("{name}-replica"), &[&of_master]);
    while !replica
        .command("INFO replication")
        .unwrap()
        .contains("master_link_status:up")
    {
        std::thread::yield_now();
    }
    (master, replica)
}

/// Both, of which one is the master.
fn endpoints(one: &RedisServer, other: &RedisServer) -> RedisOptions {
    fresh_at(&format!(
        "redis://127.0.0.1:{},127.0.0.1:{}",
        other.port(),
        one.port()
    ))
}

#[test]
fn i62_what_replicas_were_waited_for_survives_their_master() {
    run(async {
        let (master, replica) = with_replica("waited");
        let master = std::sync::Mutex::new(master);
        let options = endpoints(&master.lock().unwrap(), &replica).wait_replicas(1);
        let store = open(options).await;
        let told = load(&store, "default", || master.lock().unwrap().kill().unwrap()).await;
        assert!(
            told.iter()
                .any(|(_, answer)| matches!(answer, StoreAnswer::Applied(_)))
        );
        replica.command("REPLICAOF NO ONE").unwrap();
        // Nobody is behind the new master.
        let alone = RedisOptions::parse(&replica.url())
            .unwrap()
            .prefix(&prefix_of(&replica));
        let after = open(alone).await;
        assert_eq!(missing(&after, "default", &told).await, 0);
        let origin = after.apply(&nothing(), WITHIN).await.seen().unwrap().origin;
        assert!(origin.moved.is_some() && origin.accepted);
    });
}

/// The only prefix that there is.
fn prefix_of(server: &RedisServer) -> String {
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*{default}l")
        .query(&mut connected(server.port()))
        .unwrap();
    keys[0].split('{').next().unwrap().to_owned()
}

#[test]
fn i62_while_no_replica_follows_nothing_is_answered_as_done() {
    run(async {
        let (master, replica) = with_replica("behind");
        let store = open(endpoints(&master, &replica).wait_replicas(1)).await;
        let first = store.apply(&creating("default", 1), WITHIN).await;
        assert!(matches!(first, StoreAnswer::Applied(_)), "{first:?}");
        replica.signal("STOP").unwrap();
        let done = store.apply(&creating("default", 2), WITHIN).await;
        assert!(matches!(done, StoreAnswer::Unknown(_)), "{done:?}");
        // It speaks of what may be lost.
        let refused = store.apply(&creating("default", 2), WITHIN).await;
        assert!(matches!(refused, StoreAnswer::NotApplied(_)), "{refused:?}");
        let read = store.apply(&nothing(), WITHIN).await;
        assert!(!matches!(read, StoreAnswer::Applied(_)), "{read:?}");
        replica.signal("CONT").unwrap();
        recovered(&store).await;
    });
}
