//! The keys of what a store holds, inside a service. They are fingerprints: none has personal data in it.

use super::Changeset;
use crate::keys::Print;

macro_rules! tagged {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $tag:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable number, part of a key wherever one is kept.
            pub const fn tag(self) -> u8 { match self { $(Self::$variant => $tag),+ } }

            /// The kind with this number.
            pub fn of_tag(tag: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.tag() == tag)
            }
        }
    };
}

/// The key of a limit or a lockout: a scope (rule, service and, for limits on people, standing) and a fingerprint.
///
/// 24 bytes without personal data. Never a session, a purpose or a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    /// Which rule of which service; see [`crate::policy`].
    pub scope: u64,
    /// Of whom.
    pub print: Print,
}

/// The key of a record inside a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// What kind of record.
    pub kind: RecordKind,
    /// Whose.
    pub print: Print,
}

tagged! {
    /// The kinds of records.
    RecordKind {
        /// The verifications of a destination.
        Verifications = 1,
        /// What providers and operators said about a destination or a prefix.
        Notes = 2,
    }
}

/// The key of a claim inside a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// What is claimed.
    pub kind: ClaimKind,
    /// Which one.
    pub print: Print,
}

tagged! {
    /// What a claim stands for.
    ClaimKind {
        /// An idempotency key of a send.
        Send = 1,
        /// An idempotency key of a check.
        Check = 2,
        /// A proof that was redeemed.
        Proof = 3,
        /// A report from a provider.
        Report = 4,
        /// A takeback that was made.
        Takeback = 5,
        /// An alert that was raised.
        Alert = 6,
    }
}

impl CounterKey {
    /// Scope and fingerprint in one: what stands for this key among claims.
    pub(crate) fn mixed(&self) -> Print {
        let mut bytes = *self.print.as_bytes();
        for (slot, byte) in bytes.iter_mut().zip(self.scope.to_be_bytes()) {
            *slot ^= byte;
        }
        Print::from_bytes(bytes)
    }

    /// Its bytes: the scope, most significant byte first, and the fingerprint.
    pub fn to_bytes(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let scope = self.scope.to_be_bytes();
        for (slot, byte) in bytes.iter_mut().zip(scope.iter().chain(self.print.as_bytes())) {
            *slot = *byte;
        }
        bytes
    }
}

impl RecordKey {
    /// Its bytes: the tag of its kind, and the fingerprint.
    pub fn to_bytes(&self) -> [u8; 17] {
        tagged_bytes(self.kind.tag(), &self.print)
    }
}

impl RecordKey {
    /// The key with these bytes. `None`: they are none, or of a kind that this version does not know.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, print) = bytes.split_first()?;
        Some(Self {
            kind: RecordKind::of_tag(*tag)?,
            print: Print::from_bytes(print.try_into().ok()?),
        })
    }
}

impl ClaimKey {
    /// Its bytes: the tag of its kind, and the fingerprint.
    pub fn to_bytes(&self) -> [u8; 17] {
        tagged_bytes(self.kind.tag(), &self.print)
    }
}

fn tagged_bytes(tag: u8, print: &Print) -> [u8; 17] {
    let mut bytes = [tag; 17];
    for (slot, byte) in bytes.iter_mut().skip(1).zip(print.as_bytes()) {
        *slot = *byte;
    }
    bytes
}

/// Every key that a changeset names, each once and in order: what a store loads before it decides, and the order in
/// which one that locks them takes its locks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// Of limits and lockouts.
    pub counters: Vec<CounterKey>,
    /// Of records: expected, written, read, or asked whether they are live.
    pub records: Vec<RecordKey>,
    /// Of claims and markers.
    pub claims: Vec<ClaimKey>,
}

impl Names {
    /// Those of several changesets together.
    #[must_use]
    pub fn joined<'a>(several: impl IntoIterator<Item = &'a Self> + Clone) -> Self {
        Self {
            counters: sorted(
                several
                    .clone()
                    .into_iter()
                    .flat_map(|names| names.counters.iter().copied()),
            ),
            records: sorted(
                several
                    .clone()
                    .into_iter()
                    .flat_map(|names| names.records.iter().copied()),
            ),
            claims: sorted(several.into_iter().flat_map(|names| names.claims.iter().copied())),
        }
    }
}

impl Changeset {
    /// Every key in it.
    pub fn names(&self) -> Names {
        let takebacks = self.takebacks.iter();
        let live = self.charges.iter().flat_map(|charge| &charge.when_live);
        let claimed = self.claims.iter().map(|claim| claim.key);
        let alerts = self.alerts.iter().map(|alert| alert.once.key);
        Names {
            counters: sorted(
                takebacks
                    .clone()
                    .map(|takeback| takeback.key)
                    .chain(self.resets.iter().copied())
                    .chain(self.charges.iter().map(|charge| charge.key)),
            ),
            records: sorted(
                self.records
                    .iter()
                    .map(|change| change.key)
                    .chain(self.reads.iter().chain(live).copied()),
            ),
            claims: sorted(
                takebacks
                    .map(|takeback| takeback.once)
                    .chain(claimed)
                    .chain(self.unclaim.iter().copied())
                    .chain(alerts),
            ),
        }
    }
}

fn sorted<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<K> {
    let mut keys: Vec<K> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
