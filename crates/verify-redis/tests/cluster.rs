//! A Cluster of three masters: the contract, a slot that moves under load, a master that is gone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::Connection;
use support::{WITHIN, connected, creating, directory, fresh_at, load, missing, nothing, open, run, scan};
use verify_core::store::{Store, StoreAnswer, StoreFault};
use verify_core::vocabulary::ServiceId;
use verify_lab::{RedisCluster, RedisKind};
use verify_testkit::{durable_store_suite, store_answers_as_the_model, store_around, store_suite};

fn start(name: &str) -> RedisCluster {
    RedisCluster::start(RedisKind::Installed, &directory(name), 3).unwrap_or_else(|error| panic!("{error}"))
}

static CLUSTER: LazyLock<RedisCluster> = LazyLock::new(|| start("cluster"));

/// A store whose keys are looked through on each node when a case is over.
struct Scanned<S: Store> {
    inner: S,
    prefix: String,
}

impl<S: Store> Drop for Scanned<S> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for node in &CLUSTER.nodes {
                scan(&mut connected(node.port()), &self.prefix);
            }
        }
    }
}

store_around! {
    Scanned,
    apply(this, changeset, within) { this.inner.apply(changeset, within).await }
}

async fn one() -> Scanned<impl Store> {
    let options = fresh_at(&CLUSTER.url());
    let prefix = options.prefix.clone();
    Scanned {
        inner: open(options).await,
        prefix,
    }
}

store_suite!(redis_cluster, one);
durable_store_suite!(durable_redis_cluster, || async {
    let options = fresh_at(&CLUSTER.url());
    move || {
        let options = options.clone();
        async move { open(options).await }
    }
});
store_answers_as_the_model!(a_cluster_answers_as_the_model, 50, one);

/// Where a node has the slot of a service.
fn slot_of(node: &mut Connection, service: &str) -> u16 {
    redis::cmd("CLUSTER")
        .arg("KEYSLOT")
        .arg(format!("{{{service}}}"))
        .query(node)
        .unwrap()
}

/// A service that this node has.
fn service_on(cluster: &RedisCluster, nth: usize) -> String {
    let mut node = connected(cluster.nodes[nth].port());
    let names = (0..100).map(|number| format!("service-{number}"));
    let mut here = names.filter(|name| usize::from(slot_of(&mut node, name)) / (16_384 / 3) == nth);
    here.next().unwrap()
}

/// A node's name in the Cluster.
fn id_of(node: &mut Connection) -> String {
    redis::cmd("CLUSTER").arg("MYID").query(node).unwrap()
}

fn set_slot(node: &mut Connection, slot: u16, state: &[&str]) {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SETSLOT").arg(slot).arg(state).exec(node).unwrap();
}

/// Takes a slot from one node to another, key by key.
fn move_slot(cluster: &RedisCluster, slot: u16, from: usize, to: usize) {
    let mut nodes: Vec<Connection> = cluster.nodes.iter().map(|node| connected(node.port())).collect();
    let ids: Vec<String> = nodes.iter_mut().map(id_of).collect();
    set_slot(&mut nodes[to], slot, &["IMPORTING", &ids[from]]);
    set_slot(&mut nodes[from], slot, &["MIGRATING", &ids[to]]);
    loop {
        let mut command = redis::cmd("CLUSTER");
        let keys: Vec<Vec<u8>> = command
            .arg("GETKEYSINSLOT")
            .arg(slot)
            .arg(1)
            .query(&mut nodes[from])
            .unwrap();
        let Some(key) = keys.first() else { break };
        let port = cluster.nodes[to].port();
        let mut moved = redis::cmd("MIGRATE");
        moved
            .arg("127.0.0.1")
            .arg(port)
            .arg(key.as_slice())
            .arg(0)
            .arg(1_000)
            .exec(&mut nodes[from])
            .unwrap();
    }
    for node in [to, from] {
        set_slot(&mut nodes[node], slot, &["NODE", &ids[to]]);
    }
}

#[test]
fn i149_a_slot_that_moves_under_load_is_followed_and_nothing_is_done_twice() {
    let cluster = start("moving");
    run(async {
        let service: &'static str = Box::leak(service_on(&cluster, 0).into_boxed_str());
        let slot = slot_of(&mut connected(cluster.nodes[0].port()), service);
        let store = open(fresh_at(&cluster.url())).await;
        assert!(
            store
                .apply(&creating(service, 1_000_000), WITHIN)
                .await
                .seen()
                .is_ok()
        );
        let is_moved = AtomicBool::new(false);
        let told = load(&store, service, || {
            move_slot(&cluster, slot, 0, 1);
            is_moved.store(true, Ordering::SeqCst);
        })
        .await;
        assert!(is_moved.load(Ordering::SeqCst));
        let applied = told
            .iter()
            .filter(|(_, answer)| matches!(answer, StoreAnswer::Applied(_)))
            .count();
        assert!(applied > told.len() / 2, "{applied} of {}", told.len());
        assert_eq!(missing(&store, service, &told).await, 0);
    });
}

/// Half of the keys are on one node, and half on the other: whoever names some of both waits, and is not answered by either alone.
#[test]
fn i149_a_slot_that_stays_half_moved_is_not_decided_on() {
    let cluster = start("half");
    run(async {
        let service = service_on(&cluster, 0);
        let (mut from, mut to) = (
            connected(cluster.nodes[0].port()),
            connected(cluster.nodes[1].port()),
        );
        let slot = slot_of(&mut from, &service);
        let store = open(fresh_at(&cluster.url())).await;
        assert!(store.apply(&creating(&service, 1), WITHIN).await.seen().is_ok());
        let ids = [&mut from, &mut to].map(id_of);
        set_slot(&mut to, slot, &["IMPORTING", &ids[0]]);
        set_slot(&mut from, slot, &["MIGRATING", &ids[1]]);
        // What is there is answered where it is; what is not is on its way.
        match store.apply(&creating(&service, 2), WITHIN).await {
            StoreAnswer::NotApplied(StoreFault::Unavailable(words)) => {
                assert!(words.message().contains("slot"), "{words:?}");
            }
            answer @ (StoreAnswer::Applied(_)
            | StoreAnswer::Refused(_)
            | StoreAnswer::NotApplied(_)
            | StoreAnswer::Unknown(_)) => panic!("decided on a half: {answer:?}"),
        }
        for node in [&mut to, &mut from] {
            set_slot(node, slot, &["STABLE"]);
        }
        assert!(store.apply(&creating(&service, 2), WITHIN).await.seen().is_ok());
    });
}

#[test]
fn i149_a_master_that_is_gone_takes_its_services_along_and_no_others() {
    let mut cluster = start("gone");
    for node in &cluster.nodes {
        node.command("CONFIG SET cluster-require-full-coverage no")
            .unwrap();
    }
    run(async {
        let (lost, kept) = (service_on(&cluster, 0), service_on(&cluster, 1));
        let store = open(fresh_at(&cluster.url())).await;
        let of = |service: &str| {
            let mut changeset = nothing();
            changeset.service = ServiceId::new(service).unwrap();
            changeset
        };
        for service in [&lost, &kept] {
            assert!(store.apply(&of(service), WITHIN).await.seen().is_ok());
        }
        cluster.nodes[0].kill().unwrap();
        for _ in 0..10 {
            assert!(store.apply(&of(&lost), WITHIN).await.seen().is_err());
            assert!(store.apply(&of(&kept), WITHIN).await.seen().is_ok());
        }
        cluster.nodes[0].begin().unwrap();
        let origin = loop {
            match store.apply(&of(&lost), WITHIN).await.seen() {
                Ok(seen) => break seen.origin,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        // It kept nothing, and says so.
        assert!(!origin.accepted);
        assert!(
            store
                .apply(&of(&kept), WITHIN)
                .await
                .seen()
                .unwrap()
                .origin
                .accepted
        );
    });
}
