//! The contract of a store, for one opening and for several of one place, and the model's answers; on each server that there is.

#![cfg(verify_broken)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::time::Duration;

use parking_lot::Mutex;
use redis::Commands;
use support::{connected, directory, fresh_on, open, scan};
use verify_core::store::Store;
use verify_core::time::Timestamp;
use verify_lab::{RedisKind, RedisServer};
use verify_redis::RedisOptions;
use verify_testkit::{
    InTurns, capped_store_suite, durable_store_suite, store_answers_as_the_model, store_around, store_suite,
};

/// A store whose keys are looked through when a case is over.
struct Scanned<S: Store> {
    inner: S,
    port: u16,
    prefix: String,
}

impl<S: Store> Scanned<S> {
    fn of(inner: S, options: &RedisOptions) -> Self {
        let port = options.servers.addresses()[0].port;
        let prefix = options.prefix.clone();
        Self { inner, port, prefix }
    }
}

impl<S: Store> Drop for Scanned<S> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            scan(&mut connected(self.port), &self.prefix);
        }
    }
}

store_around! {
    Scanned,
    apply(this, changeset, within) { this.inner.apply(changeset, within).await }
}

async fn one(kind: RedisKind) -> Scanned<impl Store> {
    let options = fresh_on(kind);
    Scanned::of(open(options.clone()).await, &options)
}

async fn opened_twice(kind: RedisKind) -> Scanned<impl Store> {
    let options = fresh_on(kind);
    let inner = InTurns::of(open(options.clone()).await, [open(options.clone()).await]);
    Scanned::of(inner, &options)
}

/// A server of its own with little memory, where time passes as fast as for whoever asks.
struct Small<S: Store> {
    inner: S,
    server: RedisServer,
    now: Mutex<Timestamp>,
}

impl<S: Store> Small<S> {
    /// What the server would forget by itself.
    fn pass(&self, at: Timestamp) {
        let mut now = self.now.lock();
        let passed = at.since(*now);
        if *now == Timestamp::ZERO {
            *now = at;
        } else if passed >= Duration::from_secs(60) {
            *now = at;
            let mut server = connected(self.server.port());
            let keys: Vec<Vec<u8>> = server.keys("*").unwrap();
            for key in keys {
                let left: i64 = server.pttl(&key).unwrap();
                let passed = i64::try_from(passed.as_millis()).unwrap();
                if left >= 0 {
                    // At once where that is negative.
                    let () = server.pexpire(&key, left - passed).unwrap();
                }
            }
        }
    }
}

store_around! {
    Small,
    apply(this, changeset, within) {
        this.pass(changeset.at);
        this.inner.apply(changeset, within).await
    }
}

async fn small(kind: RedisKind) -> Small<impl Store> {
    static NUMBERS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let server = RedisServer::start(
        kind,
        &directory(&format!("small-{number}")),
        &["maxmemory-policy noeviction"],
    );
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let mut options = RedisOptions::parse(&server.url()).unwrap();
    options.room_looked_at = Duration::ZERO;
    options.limits.outbox_events = 100;
    let inner = open(options).await;
    let mut owner = connected(server.port());
    assert!(
        inner
            .apply(&support::nothing(), support::WITHIN)
            .await
            .seen()
            .is_ok()
    );
    let said: String = redis::cmd("INFO").arg("memory").query(&mut owner).unwrap();
    let used = said
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"))
        .unwrap();
    // Nine tenths of it are that and room for some entries, far from where a table doubles (2048, 4096).
    let most = (used.trim().parse::<u64>().unwrap() + 520_000) * 10 / 9;
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg(most)
        .exec(&mut owner)
        .unwrap();
    let now = Mutex::default();
    Small { inner, server, now }
}

store_suite!(declared_keys_alone, || async {
    let mut options = fresh_on(RedisKind::Installed);
    options.watched = true;
    Scanned::of(open(options.clone()).await, &options)
});

macro_rules! suites {
    ($($name:ident = $kind:expr, $runs:expr;)+) => { $(mod $name {
        use super::*;

        store_suite!(redis, || one($kind));
        store_suite!(redis_opened_twice, || opened_twice($kind));
        durable_store_suite!(durable_redis, || async {
            let options = fresh_on($kind);
            move || {
                let options = options.clone();
                async move { open(options).await }
            }
        });
        store_answers_as_the_model!(answers_as_the_model, $runs, || one($kind));
        store_answers_as_the_model!(opened_twice_answers_as_the_model, $runs / 2, || opened_twice($kind));
    })+ };
}

capped_store_suite!(small_redis, || small(RedisKind::Installed));
capped_store_suite!(small_redis_62, || small(RedisKind::Redis62));

suites! {
    installed = RedisKind::Installed, 500;
    redis_62 = RedisKind::Redis62, 50;
    valkey = RedisKind::Valkey, 50;
}
