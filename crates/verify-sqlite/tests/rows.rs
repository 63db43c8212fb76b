//! Rows that nobody can read, and what is in the clear.

mod support;

use rusqlite::Connection;
use support::{WITHIN, charging, creating, fresh, open, run};
use verify_core::keys::KeyId;
use verify_core::store::{Store, StoreAnswer, StoreFault, WrittenUnder};
use verify_core::vocabulary::ServiceId;
use verify_sqlite::SqliteOptions;

#[test]
fn i146_a_corrupt_row_is_a_fault_of_those_that_name_it() {
    run(async {
        let path = fresh();
        let store = open(SqliteOptions::at(&path));
        for number in [1, 2] {
            assert!(matches!(
                store.apply(&charging(number), WITHIN).await,
                StoreAnswer::Applied(_)
            ));
            assert!(matches!(
                store.apply(&creating(number), WITHIN).await,
                StoreAnswer::Applied(_)
            ));
        }
        let file = Connection::open(&path).unwrap();
        let broken = file.execute(
            "UPDATE counter SET value = x'09' WHERE key = ?1",
            [support::counter(1).to_bytes()],
        );
        assert_eq!(broken, Ok(1));
        let corrupt = store.apply(&charging(1), WITHIN).await;
        assert!(
            matches!(corrupt, StoreAnswer::NotApplied(StoreFault::Corrupt(_))),
            "{corrupt:?}"
        );
        assert!(matches!(
            store.apply(&charging(2), WITHIN).await,
            StoreAnswer::Applied(_)
        ));
        assert!(store.health().await.is_ok());
    });
}

/// A transient row has an expiry, a durable one none, and no row lies beside a lane.
#[test]
fn i11_every_row_ends_or_is_durable_and_is_somebody_s() {
    run(async {
        let path = fresh();
        let store = open(SqliteOptions::at(&path));
        for number in 0..50 {
            store.apply(&charging(number), WITHIN).await;
            store.apply(&creating(number), WITHIN).await;
        }
        support::scan(&path);
    });
}

/// However many a later program left before it: what comes behind them is due, and is moved to new keys.
#[test]
fn i150_records_of_unknown_kinds_hide_none_that_is_known() {
    run(async {
        let path = fresh();
        let store = open(SqliteOptions::at(&path));
        let known = support::record(15);
        for number in (1..=15).step_by(2) {
            let answer = store.apply(&creating(number), WITHIN).await;
            assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        }
        let file = Connection::open(&path).unwrap();
        let unknown = "UPDATE record SET due = 1, key = CASE WHEN key = ?1 THEN key ELSE CAST(x'00' || substr(key, 2) AS BLOB) END";
        assert_eq!(file.execute(unknown, [known.to_bytes()]), Ok(8));
        let under = WrittenUnder {
            fingerprint: KeyId::new(1),
            seal: Some(KeyId::new(1)),
        };
        let service = ServiceId::default();
        let listed = store.durable_under(under, None, 3).await;
        assert_eq!(listed, Ok(vec![(service.clone(), known)]));
        assert_eq!(
            store.due(&service, support::nothing().at, 3).await,
            Ok(vec![known])
        );
    });
}

/// What the scan above looks for, it finds.
#[test]
fn a_row_that_must_not_be_there_is_found() {
    run(async {
        let path = fresh();
        let store = open(SqliteOptions::at(&path));
        store.apply(&charging(0), WITHIN).await.seen().unwrap();
        for number in [0, 1] {
            store.apply(&creating(number), WITHIN).await.seen().unwrap();
        }
        let file = Connection::open(&path).unwrap();
        let event = "INSERT INTO event VALUES (1, 1, x'00'); UPDATE lane SET events = 1, bytes = 1, seq = 1";
        file.execute_batch(event).unwrap();
        for (spoils, fault) in verify_lab::SPOILS {
            file.execute_batch(&format!("BEGIN; {spoils}")).unwrap();
            let found = support::faults(&file);
            assert!(found.is_some_and(|found| found.contains(fault)), "{spoils}");
            file.execute_batch("ROLLBACK").unwrap();
        }
        support::scan(&path);
    });
}

/// What is refused writes nothing: no frame of the log, no sync.
#[test]
fn i49_a_refusal_costs_no_write() {
    run(async {
        let path = fresh();
        let store = open(SqliteOptions::at(&path));
        assert!(matches!(
            store.apply(&creating(1), WITHIN).await,
            StoreAnswer::Applied(_)
        ));
        let log = path.with_extension("db-wal");
        let before = std::fs::read(&log).unwrap();
        for _ in 0..50 {
            let again = store.apply(&creating(1), WITHIN).await;
            assert!(matches!(again, StoreAnswer::Refused(_)), "{again:?}");
        }
        assert!(std::fs::read(&log).unwrap() == before, "the log is another");
    });
}
