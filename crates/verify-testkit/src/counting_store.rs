//! A store that counts round trips.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::store_around;

/// Counts the changesets that are applied to the store inside. Other calls go through uncounted.
#[derive(Debug, Default)]
pub struct CountingStore<S> {
    inner: S,
    round_trips: AtomicU64,
}

impl<S> CountingStore<S> {
    /// Around a store.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            round_trips: AtomicU64::new(0),
        }
    }

    /// Changesets since the start or the last call of [`CountingStore::take_round_trips`], whatever the answer.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::SeqCst)
    }

    /// The same, and begins anew.
    pub fn take_round_trips(&self) -> u64 {
        self.round_trips.swap(0, Ordering::SeqCst)
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

store_around! {
    CountingStore,
    apply(this, changeset, within) {
        this.round_trips.fetch_add(1, Ordering::SeqCst);
        this.inner.apply(changeset, within).await
    }
}
