//! A store that cannot run our code loads what a changeset names and decides on that: it comes to what the whole store does.
#![allow(missing_docs, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use verify_core::store::Written;
use verify_core::vocabulary::ServiceId;
use verify_testkit::{KeptCounter, ModelState, ModelStore, store_answers_as_the_model, store_around};

/// A model whose changesets are decided twice: on all of it, and on what they name.
struct Named<S> {
    inner: S,
    model: ModelStore,
    versions: AtomicU64,
}

impl Named<ModelStore> {
    fn new() -> Self {
        let model = ModelStore::new();
        Self {
            inner: model.clone(),
            model,
            versions: AtomicU64::new(0),
        }
    }
}

/// What a service holds.
fn held<'a, K: Ord + Copy + 'a, V: Clone + 'a>(
    service: &ServiceId,
    entries: impl Iterator<Item = ((&'a ServiceId, &'a K), &'a V)>,
) -> BTreeMap<K, V> {
    let own = entries.filter(|((of, _), _)| *of == service);
    own.map(|((_, key), value)| (*key, value.clone())).collect()
}

/// The same after these writes; `None` removes.
fn over<K: Ord, V>(
    mut held: BTreeMap<K, V>,
    writes: impl IntoIterator<Item = (K, Option<V>)>,
) -> BTreeMap<K, V> {
    for (key, value) in writes {
        match value {
            Some(value) => drop(held.insert(key, value)),
            None => drop(held.remove(&key)),
        }
    }
    held
}

/// After a changeset there is what there was before, but for what was to be written.
fn is_written(before: &ModelState, after: &ModelState, service: &ServiceId, written: Written) {
    let counters = written.counters.into_iter();
    let counters = counters.map(|(key, (state, expires_at))| (key, Some(KeptCounter { state, expires_at })));
    let was = held(service, before.counters().iter());
    assert_eq!(over(was, counters), held(service, after.counters().iter()));
    let was = held(service, before.records().iter());
    assert_eq!(over(was, written.records), held(service, after.records().iter()));
    let was = held(service, before.claims().iter());
    assert_eq!(over(was, written.claims), held(service, after.claims().iter()));
    let mut new = held(service, after.events().iter());
    new.retain(|place, _| before.events().get(service, place).is_none());
    assert_eq!(written.events, new.into_values().collect::<Vec<_>>());
}

store_around! {
    Named,
    apply(this, changeset, within) {
        let before = this.model.state();
        let mut loaded = before.load(&changeset.service, &changeset.names(), changeset.at);
        let version = this.versions.load(Ordering::Relaxed) + 1;
        let decided = loaded.decide(changeset, version);
        let puts = changeset.records.iter().any(|change| matches!(change.write, Write::Put(_)));
        if decided.applied && puts {
            this.versions.store(version, Ordering::Relaxed);
        }
        let whole = this.inner.apply(changeset, within).await;
        let of_named = match decided.applied {
            true => StoreAnswer::Applied(decided.seen),
            false => StoreAnswer::Refused(decided.seen),
        };
        assert_eq!(of_named, whole);
        is_written(&before, &this.model.state(), &changeset.service, loaded.into_written());
        whole
    }
}

// The model itself answers as the model does: the comparison is made in the store.
store_answers_as_the_model!(
    what_is_decided_on_what_is_named_is_what_the_whole_store_decides,
    200,
    || async { Named::new() }
);
