//! What a store lost is noticed, each service for itself, and what it is then.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::time::Duration;

use redis::{Commands, Connection};
use support::{WITHIN, connected, fresh, nothing, open, run, server_with};
use verify_core::store::{Changeset, Origin, Store, StoreAnswer};
use verify_core::vocabulary::ServiceId;
use verify_lab::RedisKind;
use verify_redis::{OnFailover, RedisOptions, RedisStore};

fn of(service: &str) -> Changeset {
    let mut changeset = nothing();
    changeset.service = ServiceId::new(service).unwrap();
    changeset
}

/// One that looks back an hour.
fn looking_back(service: &str) -> Changeset {
    let mut changeset = of(service);
    changeset.looks_back = Duration::from_secs(3_600);
    changeset
}

async fn origin(store: &RedisStore, service: &str) -> Origin {
    store.apply(&of(service), WITHIN).await.seen().unwrap().origin
}

async fn is_refused(store: &RedisStore, service: &str) -> bool {
    let now = store.health().await.unwrap().clock;
    let mut changeset = looking_back(service);
    changeset.at = now;
    match store.apply(&changeset, WITHIN).await {
        StoreAnswer::Applied(_) => false,
        StoreAnswer::Refused(_) => true,
        other @ (StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_)) => panic!("{other:?}"),
    }
}

fn drop_all(options: &RedisOptions, of: &str) {
    let mut owner: Connection = connected(options.servers.addresses()[0].port);
    let keys: Vec<Vec<u8>> = owner.keys(format!("{}{of}*", options.prefix)).unwrap();
    for key in keys {
        let () = owner.del(key).unwrap();
    }
}

#[test]
fn i62_a_store_that_was_emptied_under_a_running_engine_has_an_epoch_that_nobody_accepted() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        let first = origin(&store, "a").await;
        assert!(first.accepted);
        assert_eq!(store.health().await.unwrap().epoch, first.epoch);
        drop_all(&options, "");
        let now = origin(&store, "a").await;
        assert!(!now.accepted && now.epoch != first.epoch);
        assert!(!store.health().await.unwrap().accepted);
        assert!(is_refused(&store, "a").await);
        // One that was never heard of has nothing to lose, and yet may have been on another node's list.
        assert!(!origin(&store, "b").await.accepted);
        // Somebody who never knew another finds what there is.
        let other = open(options.clone()).await;
        assert!(!origin(&other, "a").await.accepted);
        store.accept().await.unwrap();
        for service in ["a", "b"] {
            assert!(origin(&other, service).await.accepted);
            assert!(!is_refused(&store, service).await);
        }
    });
}

#[test]
fn i62_an_empty_store_that_is_remembered_otherwise_lost_its_data() {
    run(async {
        let options = fresh();
        let known = open(options.clone()).await.health().await.unwrap().epoch;
        drop_all(&options, "");
        let store = open(options.remembered(Some(known))).await;
        assert!(!store.health().await.unwrap().accepted);
        assert!(is_refused(&store, "a").await);
    });
}

/// As where one shard of a Cluster comes up empty.
#[test]
fn i62_a_service_that_lost_its_data_alone_cools_alone() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        let first = origin(&store, "a").await;
        assert_eq!(origin(&store, "b").await.epoch, first.epoch);
        drop_all(&options, "{a}");
        // Nobody here knows it; the list does.
        let other = open(options.clone()).await;
        let now = origin(&other, "a").await;
        assert!(!now.accepted && now.epoch != first.epoch);
        assert!(is_refused(&store, "a").await && !is_refused(&store, "b").await);
        assert_eq!(origin(&store, "b").await.epoch, first.epoch);
        assert_eq!(store.health().await.unwrap().epoch, first.epoch);
        store.accept().await.unwrap();
        assert!(!is_refused(&other, "a").await);
    });
}

/// As where the shard with the list comes up empty.
#[test]
fn i62_a_list_of_services_that_was_lost_is_made_again() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        let first = origin(&store, "a").await;
        let mut event = of("a");
        let seed = verify_core::seed::Seed::from_bytes([1; verify_core::seed::Seed::BYTES]);
        let kind = verify_core::event::EventKind::SendIntended;
        event.events.push(verify_core::event::Event::new(
            &seed,
            0,
            support::at(),
            event.service.clone(),
            kind,
        ));
        assert!(store.apply(&event, WITHIN).await.seen().is_ok());
        drop_all(&options, "{\\*}");
        let busy = store.services(support::at(), None, 10).await.unwrap();
        assert_eq!(busy, [event.service]);
        // What it holds is what it held.
        let now = origin(&store, "a").await;
        assert!(now.accepted && now.epoch == first.epoch);
        assert!(!store.health().await.unwrap().accepted);
    });
}

#[test]
fn i62_another_epoch_is_begun_by_word() {
    run(async {
        let store = open(fresh()).await;
        let first = origin(&store, "a").await;
        let now = store.begin_epoch().await.unwrap();
        assert!(!now.accepted && now.epoch != first.epoch);
        assert_eq!(origin(&store, "a").await.epoch, now.epoch);
        assert!(is_refused(&store, "a").await);
    });
}

#[test]
fn i62_a_server_that_began_again_is_told_and_cools_where_that_is_asked_for() {
    run(async {
        for (on_failover, cools) in [(OnFailover::Tell, false), (OnFailover::Cool, true)] {
            let settings = ["appendonly yes", "appendfsync always"];
            let mut server = server_with(RedisKind::Installed, &format!("again-{cools}"), &settings);
            let options = RedisOptions::parse(&server.url())
                .unwrap()
                .on_failover(on_failover);
            let store = open(options).await;
            let first = origin(&store, "a").await;
            assert_eq!(first.moved, None);
            server.kill().unwrap();
            server.begin().unwrap();
            while store.health().await.is_err() {
                tokio::task::yield_now().await;
            }
            for now in [store.health().await.unwrap(), origin(&store, "a").await] {
                assert!(now.moved.is_some_and(|moved| moved >= first.made));
                assert_eq!((now.accepted, now.epoch == first.epoch), (!cools, !cools));
            }
            let moved = origin(&store, "a").await.moved;
            assert_eq!(origin(&store, "a").await.moved, moved, "told once");
        }
    });
}

#[test]
fn i62_a_master_that_names_its_history_anew_is_the_same_server() {
    run(async {
        let settings = ["enable-debug-command yes"];
        let server = server_with(RedisKind::Installed, "renamed", &settings);
        let options = || {
            let options = RedisOptions::parse(&server.url()).unwrap();
            options.on_failover(OnFailover::Cool)
        };
        let before = open(options()).await;
        let first = origin(&before, "a").await;
        let mut owner: Connection = connected(options().servers.addresses()[0].port);
        let () = redis::cmd("DEBUG")
            .arg("CHANGE-REPL-ID")
            .query(&mut owner)
            .unwrap();
        // One whose lines are from before, and one that sees the new name, in turns.
        let after = open(options()).await;
        for store in [&after, &before, &after] {
            let now = origin(store, "a").await;
            assert_eq!((now.epoch, now.moved, now.accepted), (first.epoch, None, true));
            assert_eq!(store.health().await.unwrap().moved, None);
        }
    });
}
