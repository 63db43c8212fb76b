//! A ring: the same key over time, newest first.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeysError;
use crate::mac::MacKey;
use crate::secret::Secret;

/// The most keys a ring holds. Every fingerprint is computed once for each, so a ring stays short.
pub const MAX_KEYS: usize = 8;

/// Names a key within its ring. Not secret: records and sealed bytes carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(u8);

impl KeyId {
    /// An id from its number.
    pub const fn new(id: u8) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One to [`MAX_KEYS`] keys with different ids and secrets, newest first. New writes use the newest; all of them read.
///
/// `Debug` prints the ids.
#[derive(Clone)]
pub struct Ring {
    newest: Key,
    older: Vec<Key>,
}

impl Ring {
    /// The key that new writes use.
    pub const fn newest(&self) -> KeyId {
        self.newest.id
    }

    /// All ids, newest first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys().map(Key::id)
    }

    pub(crate) const fn newest_key(&self) -> &Key {
        &self.newest
    }

    pub(crate) fn older_keys(&self) -> &[Key] {
        &self.older
    }

    pub(crate) fn get(&self, id: KeyId) -> Option<&Key> {
        self.keys().find(|key| key.id == id)
    }

    pub(super) fn single(secret: [u8; 32]) -> Self {
        Self {
            newest: Key::new(KeyId(1), secret),
            older: Vec::new(),
        }
    }

    /// This ring with this key as the newest. Beyond [`MAX_KEYS`] the eldest leaves.
    pub(super) fn with_newest(&self, secret: [u8; 32]) -> Self {
        let newest = Key::new(self.free_id(), secret);
        // Under a second id all that lies under it would lie twice in one place.
        let newest = self.same_as(&newest).cloned().unwrap_or(newest);
        let others = self.keys().filter(|key| key.id != newest.id);
        let older = others.take(MAX_KEYS - 1).cloned().collect();
        Self { newest, older }
    }

    /// This ring with this key at its end, where it is read and not written with. Of a full one the eldest leaves.
    pub(super) fn with_announced(&self, secret: [u8; 32]) -> Self {
        let announced = Key::new(self.free_id(), secret);
        let mut ring = self.clone();
        if self.same_as(&announced).is_none() {
            ring.older.truncate(MAX_KEYS - 2);
            ring.older.push(announced);
        }
        ring
    }

    /// This ring with the key in front that was announced: the one at its end, whose id is behind all others'.
    pub(super) fn with_announced_in_front(&self) -> Option<Self> {
        let (announced, others) = self.older.split_last()?;
        let is_announced = self.ids().all(|id| id <= announced.id);
        is_announced.then(|| Self {
            newest: announced.clone(),
            older: std::iter::once(&self.newest).chain(others).cloned().collect(),
        })
    }

    /// `ID:SECRET,ID:SECRET`, newest first.
    pub(super) fn write(&self, out: &mut String) {
        for (at, key) in self.keys().enumerate() {
            if at > 0 {
                out.push(',');
            }
            let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(key.secret()));
            out.push_str(&key.id.to_string());
            out.push(':');
            out.push_str(&secret);
        }
    }

    pub(super) fn read(name: &'static str, text: &str) -> Result<Self, KeysError> {
        let mut keys: Vec<Key> = Vec::with_capacity(MAX_KEYS);
        for entry in text.split(',') {
            let key = Key::read(entry).ok_or(KeysError::BadKey(name))?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(KeysError::SameId(name));
            }
            if keys.iter().any(|earlier| earlier.secret() == key.secret()) {
                return Err(KeysError::SameSecret(name));
            }
            if keys.len() == MAX_KEYS {
                return Err(KeysError::TooMany(name));
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let newest = keys.next().ok_or(KeysError::BadKey(name))?;
        Ok(Self {
            newest,
            older: keys.collect(),
        })
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    /// The key of the ring with that one's secret.
    fn same_as(&self, key: &Key) -> Option<&Key> {
        self.keys().find(|own| own.secret() == key.secret())
    }

    /// The id behind all of the ring's: one in between may be that of a key that was cut off. Numbers start again after 255, with
    /// those that no key of the ring has.
    fn free_id(&self) -> KeyId {
        let last = self.ids().max().unwrap_or(self.newest.id);
        let mut id = KeyId(last.0.wrapping_add(1));
        while self.get(id).is_some() {
            id = KeyId(id.0.wrapping_add(1));
        }
        id
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ring")?;
        f.debug_list().entries(self.ids().map(KeyId::get)).finish()
    }
}

/// One key: its id, its 32 bytes, and the same prepared for HMAC.
#[derive(Clone)]
pub(crate) struct Key {
    id: KeyId,
    secret: Secret<[u8; 32]>,
    mac: MacKey,
}

impl Key {
    pub(crate) const fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) const fn secret(&self) -> &[u8; 32] {
        self.secret.expose()
    }

    pub(crate) const fn mac(&self) -> &MacKey {
        &self.mac
    }

    fn new(id: KeyId, secret: [u8; 32]) -> Self {
        Self {
            id,
            mac: MacKey::new(&secret),
            secret: Secret::new(secret),
        }
    }

    fn read(entry: &str) -> Option<Self> {
        let (id, secret) = entry.split_once(':')?;
        let number: u8 = id.parse().ok()?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(secret).ok()?);
        let secret: [u8; 32] = bytes.as_slice().try_into().ok()?;
        // One spelling: `+1` and `01` would not be printed back the way they came.
        (number.to_string() == id).then(|| Self::new(KeyId(number), secret))
    }
}
