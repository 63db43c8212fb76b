//! Notes: what a provider said of a destination or of a prefix that will still hold tomorrow.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::format::{self, Unwritable};
use crate::keys::{KeyId, Keys, PrintKind, Prints};
use crate::port::{ProviderName, RejectionKind};
use crate::seal::{self, SealError};
use crate::secret::Secret;
use crate::seed::Seed;
use crate::store::{Lifetime, RecordKey, Row, StoreFault, WrittenUnder};
use crate::time::{SKEW, Timestamp};
use crate::vocabulary::{Channel, ServiceId};

/// What is remembered of a destination or of a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Notes {
    /// At most one for each channel.
    pub notes: Vec<Note>,
    /// At most one for each provider and scope.
    pub caps: Vec<Cap>,
    /// Whose they are, sealed, while one of them has no end: a note that outlives a key of fingerprints is found again
    /// under the next one by it. Erasing a person takes it away; such a note ends with its key.
    pub whose: Option<Vec<u8>>,
}

/// A provider's verdict, or an operator's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Note {
    /// The channel that does not reach it.
    pub channel: Channel,
    /// Why.
    pub kind: RejectionKind,
    /// Until when; `None` until an operator ends it.
    pub until: Option<Timestamp>,
}

/// A provider's own cap on this destination, as it was told: nothing is asked of it before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cap {
    /// Whose cap.
    pub provider: ProviderName,
    /// Of which scope of managed codes; empty for a provider that carries own ones.
    pub scope: Arc<str>,
    /// Until when.
    pub until: Timestamp,
}

/// Keeps whose they are apart from any other sealed text.
const WHOSE: &[u8] = b"notes";

impl Notes {
    /// Reads a row.
    ///
    /// # Errors
    /// As [`Record::decode`](super::Record::decode).
    pub fn decode(row: &Row) -> Result<Self, StoreFault> {
        format::decoded(row)
    }

    /// The row that holds them: durable when one of them is.
    ///
    /// # Errors
    /// As [`Record::encode`](super::Record::encode).
    pub fn encode(&self, fingerprint: KeyId) -> Result<Row, Unwritable> {
        let bytes = format::encoded(self)?;
        let caps = self.caps.iter().map(|cap| Some(cap.until));
        let ends: Option<Vec<Timestamp>> = self.notes.iter().map(|note| note.until).chain(caps).collect();
        let lifetime = ends.map_or(Lifetime::Durable, |ends| {
            Lifetime::Until(ends.into_iter().max().unwrap_or(Timestamp::ZERO) + SKEW)
        });
        Ok(Row {
            version: 0,
            lifetime,
            live_until: None,
            due: None,
            under: WrittenUnder {
                fingerprint,
                seal: self.whose.as_deref().and_then(seal::key_of),
            },
            bytes,
        })
    }

    /// Says whose they are: a destination, canonical.
    pub(crate) fn name(&mut self, keys: &Keys, seed: &Seed, whose: &[u8]) -> Result<(), SealError> {
        self.whose = Some(keys.seal(seed, WHOSE, whose)?);
        Ok(())
    }

    /// Whose they are, canonical, with the fingerprints under each key, one of which they lie under. `None`: they say no
    /// name, or were written under another key than the rings have, also where one of these has its id.
    pub fn named(
        &self,
        keys: &Keys,
        service: &ServiceId,
        at: &RecordKey,
    ) -> Option<(Secret<Vec<u8>>, Prints)> {
        let whose = keys.open(WHOSE, self.whose.as_deref()?)?;
        let prints = keys.prints(PrintKind::Destination, service, whose.expose());
        prints.contains(&at.print).then_some((whose, prints))
    }

    /// The note that holds for a channel.
    pub fn on(&self, channel: Channel, now: Timestamp) -> Option<&Note> {
        self.notes
            .iter()
            .find(|note| note.channel == channel && note.until.is_none_or(|until| now < until))
    }

    /// Until when a provider's cap on a scope holds.
    pub fn capped_until(&self, provider: &str, scope: &str, now: Timestamp) -> Option<Timestamp> {
        let caps = self.caps.iter();
        caps.filter(|cap| &*cap.provider == provider && &*cap.scope == scope && now < cap.until)
            .map(|cap| cap.until)
            .max()
    }

    /// True when one of them has no end.
    pub fn is_durable(&self) -> bool {
        self.notes.iter().any(|note| note.until.is_none())
    }

    /// Takes these besides.
    pub fn take_all(&mut self, others: &Self, now: Timestamp) {
        for note in &others.notes {
            self.take(note.clone(), now);
        }
        for cap in &others.caps {
            self.take_cap(cap.clone(), now);
        }
        if self.whose.is_none() {
            self.whose.clone_from(&others.whose);
        }
    }

    /// Takes a cap; of two of one scope the longer holds.
    pub fn take_cap(&mut self, new: Cap, now: Timestamp) {
        let until = self.capped_until(&new.provider, &new.scope, now);
        if until.is_none_or(|until| until < new.until) {
            let same = |cap: &Cap| (&cap.provider, &cap.scope) == (&new.provider, &new.scope);
            self.caps.retain(|cap| now < cap.until && !same(cap));
            self.caps.push(new);
        }
    }

    /// Takes a note; of two on one channel the longer holds.
    pub fn take(&mut self, new: Note, now: Timestamp) {
        let longer = self
            .on(new.channel, now)
            .is_some_and(|old| match (old.until, new.until) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(old), Some(new)) => old >= new,
            });
        if !longer {
            self.notes.retain(|note| note.channel != new.channel);
            self.notes.push(new);
        }
    }
}
