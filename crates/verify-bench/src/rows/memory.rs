//! What a store keeps. Measured by a program of its own whose allocator counts, see `bin/memory.rs`.

use verify_core::store::{
    Changeset, Expect, RecordChange, RecordKey, RecordKind, Room, Row as Record, Write,
};
use verify_core::vocabulary::ServiceId;
use verify_memstore::{Capacity, MemStore};

use crate::measure::{Figure, Measured};
use crate::report::{Row, Target};
use crate::scene::{BEGIN, Scene, print};

/// The rows. `kept` says how many bytes of the heap are in use.
///
/// # Errors
/// A send that was not accepted.
pub fn memory(people: u64, kept: impl Fn() -> usize) -> Measured<Vec<Row>> {
    Ok(vec![
        live_verification(people, &kept)?,
        accepted_send(people, &kept)?,
    ])
}

fn roomy(people: u64) -> MemStore {
    let people = usize::try_from(people).unwrap_or(usize::MAX);
    MemStore::with_capacity(Capacity {
        counters: people.saturating_mul(16),
        records: people.saturating_mul(4),
        claims: people,
        ..Capacity::default()
    })
    .without_outbox()
}

/// The record of a real send, put under many keys.
fn live_verification(people: u64, kept: &impl Fn() -> usize) -> Measured<Row> {
    let (mut scene, model) = (Scene::new(), MemStore::new().without_outbox());
    let mut sample: Option<Record> = None;
    scene.send_to(0, |changeset| {
        let written = changeset.records.iter().find_map(|change| match &change.write {
            Write::Put(row) => Some(row.clone()),
            Write::Delete | Write::Keep => None,
        });
        sample = written.or(sample.take());
        model.apply_now(changeset)
    })?;
    let row = sample.ok_or(crate::measure::BenchError::OtherOutcome("send"))?;
    let bare = row.bytes.len() + size_of::<RecordKey>();

    let before = kept();
    let store = roomy(people);
    for n in 0..people {
        let mut changeset = Changeset::new(ServiceId::default(), BEGIN, Room::Known);
        changeset.records.push(RecordChange {
            key: RecordKey {
                kind: RecordKind::Verifications,
                print: print(n),
            },
            expect: Expect::Absent,
            write: Write::Put(row.clone()),
        });
        store.apply_now(&changeset);
    }
    let each = (kept() - before) as f64 / people as f64;
    drop(store);
    Ok(Row {
        work: "memory of a live verification".to_owned(),
        figure: Figure::of(vec![each / bare as f64]),
        unit: "×",
        target: Target::Most(2.0),
        made_of: format!("{each:.0} bytes against {bare} of its record and key, {people} of them"),
    })
}

/// Everything that an accepted send to a new destination from a new address leaves behind.
fn accepted_send(people: u64, kept: &impl Fn() -> usize) -> Measured<Row> {
    let mut scene = Scene::new();
    // The first one fills whatever is filled once, such as the tables of numbering plans.
    scene.send_to(0, |changeset| roomy(1).apply_now(changeset)).ok();
    let before = kept();
    let store = roomy(people);
    for n in 0..people {
        scene.send_to(n, |changeset| store.apply_now(changeset))?;
    }
    let each = (kept() - before) as f64 / people as f64;
    let usage = store.usage();
    Ok(Row {
        work: "memory kept after an accepted send, new destination, new address".to_owned(),
        figure: Figure::of(vec![each]),
        unit: "bytes",
        target: Target::Most(600.0),
        made_of: format!(
            "{:.1} counters and {:.1} records each, {people} of them",
            usage.counters as f64 / people as f64,
            usage.records as f64 / people as f64
        ),
    })
}
