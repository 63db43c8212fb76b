//! Killed in the middle of it: what was answered is there, and nothing else counts.

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{WITHIN, charging, creating, fresh, open, record, run};
use verify_core::store::{Store, StoreAnswer};
use verify_sqlite::SqliteOptions;

/// How often; `VERIFY_KILLS` says otherwise.
const KILLS: usize = 5;
/// Where the child has its file, and its first number.
const FILE: &str = "VERIFY_KILLED_FILE";
const FROM: &str = "VERIFY_KILLED_FROM";
/// A child tells that many answers before it is killed.
const TOLD: usize = 300;

/// Not a test by itself: what is killed. It writes until it is, sixteen at a time, and tells each answer.
#[test]
fn child() {
    let Ok(path) = std::env::var(FILE) else { return };
    let from: u64 = std::env::var(FROM).unwrap().parse().unwrap();
    run(async move {
        let store = open(SqliteOptions::at(path));
        let mut tasks = tokio::task::JoinSet::new();
        for lane in 0..16 {
            let store = store.clone();
            tasks.spawn(async move {
                for number in (from + lane..).step_by(16) {
                    let answer = store.apply(&creating(number), WITHIN).await;
                    assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
                    println!("created {number}");
                    let answer = store.apply(&charging(0), WITHIN).await;
                    assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
                    println!("charged");
                }
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn i62_what_was_answered_before_a_kill_is_there_after_it() {
    let kills = std::env::var("VERIFY_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let path = fresh();
    let (mut created, mut charged) = (BTreeSet::new(), 0);
    for round in 0..kills as u64 {
        let told = child_until_killed(&path, round * 1_000_000);
        for line in &told {
            match line.strip_prefix("created ") {
                Some(number) => assert!(created.insert(number.parse().unwrap()), "{line} twice"),
                None => charged += 1,
            }
        }
        holds(&path, &created, charged);
    }
    support::scan(&path);
}

/// Starts a child, and kills it in the midst of its work; what it had told.
fn child_until_killed(path: &Path, from: u64) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(FILE, path)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let is_answer = |line: &String| line.starts_with("created ") || line == "charged";
    let mut told: Vec<String> = lines.by_ref().filter(is_answer).take(TOLD).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it told before it was dead counts; the last line may be half a one.
    told.extend(lines.filter(|line| line == "charged"));
    assert!(told.len() >= TOLD);
    told
}

/// Everything that was told is there. More may be: the answer was on its way.
fn holds(path: &PathBuf, created: &BTreeSet<u64>, charged: u64) {
    run(async {
        let store = open(SqliteOptions::at(path));
        for number in created {
            let mut look = support::nothing();
            look.reads.push(record(*number));
            let seen = store.apply(&look, WITHIN).await.seen().unwrap();
            let row = seen.record(&record(*number));
            assert_eq!(
                row.map(|row| row.bytes.as_slice()),
                Some(number.to_be_bytes().as_slice())
            );
        }
        let seen = store.apply(&charging(0), WITHIN).await.seen().unwrap();
        let verify_core::limit::Counter::Window(window) = &seen.counters.first().unwrap().before else {
            panic!("a window was charged");
        };
        let counted: u64 = window.stamps().iter().map(|stamp| stamp.units).sum();
        assert!(
            counted >= charged,
            "{charged} charges were told, {counted} are there"
        );
    });
}
