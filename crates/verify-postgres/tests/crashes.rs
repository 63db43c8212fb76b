//! The server crashes, stops and loses its power under load: what was answered is true, and it goes on by itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use support::{Told, WITHIN, directory, load, missing, nothing, open, recovered, run, scan};
use verify_core::store::Store;
use verify_lab::{PostgresServer, Power, Syncs};
use verify_postgres::{Durability, PostgresOptions, PostgresStore};

/// How often; the variable says otherwise.
fn rounds(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |rounds| rounds.parse().unwrap())
}

/// Has a load run, and does this in the midst of it; what the load was told by then.
async fn in_the_midst(store: &PostgresStore, from: u64, act: impl FnOnce()) -> Told {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let running = load(store, from, &stop, &count);
    while count.load(Ordering::SeqCst) < 200 {
        tokio::task::yield_now().await;
    }
    act();
    stop.store(true, Ordering::SeqCst);
    running.await.unwrap()
}

#[test]
fn i149_a_crash_of_the_server_loses_nothing_that_was_answered() {
    run(async {
        let mut server = PostgresServer::start(&directory("crash"), Syncs::Yes, "").unwrap();
        let options = PostgresOptions::parse(&server.url()).unwrap();
        let store = open(options.clone()).await;
        let (kills, mut answers) = (rounds("VERIFY_KILLS", 3), 0);
        for round in 0..kills {
            let told = in_the_midst(&store, round * 1_000_000, || server.kill().unwrap()).await;
            assert!(store.health().await.is_err());
            server.begin(&[]).unwrap();
            recovered(&store).await;
            assert_eq!(missing(&store, &told).await, 0);
            scan(&options).await;
            answers += told.applied.len();
        }
        println!("did: {kills} kills, {answers} answers before them");
    });
}

/// Longer than anybody waits: every answer in that time is a fault, and comes.
#[test]
fn i149_a_server_that_stops_is_answered_for_and_comes_back() {
    run(async {
        let server = PostgresServer::start(&directory("stopped"), Syncs::No, "").unwrap();
        let store = open(PostgresOptions::parse(&server.url()).unwrap()).await;
        let told = in_the_midst(&store, 0, || server.signal("STOP").unwrap()).await;
        // What nobody can be asked about is in doubt, or was not begun.
        assert!(!told.unknown.is_empty() || !told.not_applied.is_empty());
        server.signal("CONT").unwrap();
        recovered(&store).await;
        assert_eq!(missing(&store, &told).await, 0);
    });
}

/// A server that hangs takes connections and says nothing on them: whoever finds none of the old ones waits for a new one.
#[test]
fn i149_a_server_that_stops_is_soon_not_waited_for_though_no_connection_is_left() {
    run(async {
        let server = PostgresServer::start(&directory("hangs"), Syncs::No, "").unwrap();
        let mut options = PostgresOptions::parse(&server.url()).unwrap();
        options.connect = Duration::from_millis(100);
        options.limits.transaction = Duration::from_millis(300);
        let store = open(options).await;
        server.signal("STOP").unwrap();
        for _ in 0..5 {
            assert!(store.apply(&nothing(), WITHIN).await.seen().is_err());
        }
        let sixth = store.apply(&nothing(), WITHIN).await;
        server.signal("CONT").unwrap();
        let fault = sixth.seen().unwrap_err();
        let words = fault.detail().message();
        assert!(words.contains("asked each second"), "{words}");
        recovered(&store).await;
    });
}

/// Has the power cut; how much is missing of what was answered.
async fn after_cuts(name: &str, durability: Durability) -> usize {
    let beside = directory(name);
    let mut server = PostgresServer::make(&beside, Syncs::Yes, "").unwrap();
    let power = Power::of(&server.data(), &beside).unwrap();
    let mut lost = 0;
    for round in 0..rounds("VERIFY_CUTS", 2) {
        server.begin(&power.environment()).unwrap();
        let options = PostgresOptions::parse(&server.url())
            .unwrap()
            .durability(durability);
        let store = open(options.clone()).await;
        let told = in_the_midst(&store, round * 1_000_000, || server.kill().unwrap()).await;
        drop(store);
        power.cut(|number| round % 2 == 0 || number % 2 == 0).unwrap();
        fs::remove_file(beside.join("notes")).ok();
        server.begin(&power.environment()).unwrap();
        lost += missing(&open(options).await, &told).await;
        server.kill().unwrap();
        power.cut(|_| false).unwrap();
    }
    lost
}

#[test]
fn i62_what_was_answered_survives_a_loss_of_power() {
    run(async { assert_eq!(after_cuts("power", Durability::AsServer).await, 0) });
}

#[test]
fn without_syncs_a_loss_of_power_takes_what_was_answered() {
    run(async { assert!(after_cuts("no-power", Durability::Process).await > 0) });
}
