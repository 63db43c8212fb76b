//! Stores in SQLite files, and one that is asked what a world's store was asked.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "not every binary needs each"
)]

#[path = "../../../crates/verify-sqlite/tests/support/mod.rs"]
mod files;

use std::path::Path;

use verify_core::store::{Origin, Store, StoreAnswer};
use verify_core::time::{SKEW, Timestamp};
use verify_lab::explore::World;
use verify_sqlite::{Durability, SqliteOptions, SqliteStore};

pub use files::{fresh, scan};

/// The store in a file that need not survive a loss of power.
pub fn open(path: &Path) -> SqliteStore {
    files::open(SqliteOptions::at(path).durability(Durability::Process))
}

/// The same in a new file.
pub fn sqlite() -> SqliteStore {
    open(&fresh())
}

/// A store in a file answers all that a world's store was asked as that did. The world had one service, whose versions are the
/// same numbers in both. From where something comes later than others that were asked after it, what is outlived by then may be
/// forgotten in one of them: nothing behind it is compared.
pub fn answers_the_same_in_a_file(world: &World) {
    let asked = world.asked.as_ref().expect("it was written down");
    files::run(async {
        let store = sqlite();
        let mut latest = Timestamp::ZERO;
        for (changeset, told) in asked {
            if changeset.at + SKEW < latest {
                return;
            }
            latest = latest.max(changeset.at);
            // What could not be reached was asked nothing.
            if !matches!(told, StoreAnswer::Applied(_) | StoreAnswer::Refused(_)) {
                continue;
            }
            let answer = store.apply(changeset, files::WITHIN).await;
            assert_eq!(wherever(answer), wherever(told.clone()), "{changeset:?}");
        }
    });
}

/// The same answer, from wherever it comes.
fn wherever(mut answer: StoreAnswer) -> StoreAnswer {
    if let StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen) = &mut answer {
        seen.origin = Origin::default();
    }
    answer
}
