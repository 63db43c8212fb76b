//! Sealing: encryption that also notices every change (XChaCha20-Poly1305), under a ring of keys.
//!
//! Sealed bytes are `key id (1) | nonce (24) | ciphertext and tag`. The header (what it is for, the key id and
//! the caller's own context) is authenticated with them.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::keys::{Key, KeyId, Keys};
use crate::secret::Secret;
use crate::seed::Seed;

/// How much longer sealed bytes are than what they hold: key id, nonce and tag.
pub const OVERHEAD: usize = 1 + NONCE + 16;

const NONCE: usize = 24;

/// A value that cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a value of 256 GiB and more cannot be sealed; store something shorter")]
pub struct SealError;

/// What sealed bytes are for. A record never opens as a token, whatever the caller's context is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Record,
    Token,
}

impl Use {
    /// Part of the format.
    const fn tag(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Token => 2,
        }
    }
}

/// The key that sealed bytes were made with; `None` for nothing.
pub(crate) fn key_of(sealed: &[u8]) -> Option<KeyId> {
    sealed.first().copied().map(KeyId::new)
}

impl Keys {
    /// Seals `plain` under the newest key. `context` is not in the result: whoever opens it names the same one
    /// (say, the record's key), so that sealed bytes cannot be moved somewhere else.
    ///
    /// One seed may seal any number of values.
    ///
    /// # Errors
    /// [`SealError`] for a value beyond the cipher's limit.
    pub fn seal(&self, seed: &Seed, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_for(Use::Record, seed, context, plain)
    }

    /// Opens what [`Keys::seal`] made under any key of the ring.
    ///
    /// `None` when it was changed, cut, made for another context or under a key that has left the ring; nothing
    /// of the contents is given away then.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
        self.open_for(Use::Record, context, sealed)
    }

    pub(crate) fn seal_for(
        &self,
        purpose: Use,
        seed: &Seed,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let key = self.seal.newest_key();
        let header = header(purpose, key, context);
        let nonce = seed.nonce(&header, plain);
        let body = cipher(key)
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: plain,
                    aad: &header,
                },
            )
            .map_err(|_| SealError)?;
        let mut sealed = Vec::with_capacity(1 + NONCE + body.len());
        sealed.push(key.id().get());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    pub(crate) fn open_for(&self, purpose: Use, context: &[u8], sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
        let (id, rest) = sealed.split_first()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE>()?;
        let key = self.seal.get(KeyId::new(*id))?;
        let header = header(purpose, key, context);
        let plain = cipher(key)
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: body,
                    aad: &header,
                },
            )
            .ok()?;
        Some(Secret::new(plain))
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.secret().into())
}

/// The authenticated header. The context comes last and is the only part that varies in length.
fn header(purpose: Use, key: &Key, context: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(2 + context.len());
    header.push(purpose.tag());
    header.push(key.id().get());
    header.extend_from_slice(context);
    header
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> Keys {
        Keys::generate(&[1; 32])
    }

    fn seed() -> Seed {
        Seed::from_bytes([2; 48])
    }

    fn opened(keys: &Keys, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        keys.open(context, sealed).map(|plain| plain.expose().clone())
    }

    proptest! {
        #[test]
        fn i55_sealed_bytes_open_whole_and_in_their_context_only(
            plain in proptest::collection::vec(any::<u8>(), 0..64),
            context in proptest::collection::vec(any::<u8>(), 0..16),
            other in proptest::collection::vec(any::<u8>(), 0..16),
            at in any::<prop::sample::Index>(), flip in 1u8..=255, cut in any::<prop::sample::Index>(),
        ) {
            let keys = keys();
            let sealed = keys.seal(&seed(), &context, &plain).unwrap();
            prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            prop_assert_eq!(opened(&keys, &context, &sealed), Some(plain));
            prop_assert_eq!(opened(&keys, &other, &sealed).is_some(), other == context);
            prop_assert!(keys.open_for(Use::Token, &context, &sealed).is_none());
            prop_assert!(keys.open(&context, &sealed[..cut.index(sealed.len())]).is_none());
            let mut changed = sealed.clone();
            changed[at.index(sealed.len())] ^= flip;
            prop_assert!(keys.open(&context, &changed).is_none());
            changed.clone_from(&sealed);
            changed.push(flip);
            prop_assert!(keys.open(&context, &changed).is_none());
            prop_assert!(Keys::generate(&[3; 32]).open(&context, &sealed).is_none());
        }
    }

    #[test]
    fn i55_a_key_id_is_part_of_what_is_sealed() {
        // The same secret under another id: changing the id must still open nothing.
        let text = keys().to_text();
        let (before, secret) = text.expose().rsplit_once(':').unwrap();
        let before = before.trim_end_matches(|last: char| last.is_ascii_digit());
        let twin = Keys::parse(&format!("{before}9:{secret}")).unwrap();
        let mut sealed = keys().seal(&seed(), b"", b"plain").unwrap();
        assert!(keys().open(b"", &sealed).is_some());
        sealed[0] = 9;
        assert!(twin.open(b"", &sealed).is_none());
    }

    #[test]
    fn i20_sealed_bytes_hold_nothing_readable_and_share_no_nonce() {
        let keys = keys();
        let one = keys.seal(&seed(), b"", b"+15005550006").unwrap();
        let other = keys.seal(&seed(), b"", b"+15005550007").unwrap();
        assert!(!one.windows(7).any(|window| window == b"5005550"));
        assert_ne!(one[1..25], other[1..25], "one seed, two messages, two nonces");
        assert_ne!(
            one[..25],
            keys.seal(&Seed::from_bytes([4; 48]), b"", b"+15005550006")
                .unwrap()[..25]
        );
    }

    #[test]
    fn i56_a_rotated_ring_opens_what_the_old_one_sealed() {
        let old = keys();
        let sealed = old.seal(&seed(), b"record", b"plain").unwrap();
        let new = old.rotated(&[5; 32]);
        assert_eq!(opened(&new, b"record", &sealed).as_deref(), Some(&b"plain"[..]));
        assert_eq!(key_of(&sealed), Some(old.seal.newest()));
        let resealed = new.seal(&seed(), b"record", b"plain").unwrap();
        assert_eq!(key_of(&resealed), Some(new.seal.newest()));
        assert_eq!(key_of(&[]), None);
        assert!(
            old.open(b"record", &resealed).is_none(),
            "the new key is not the old one"
        );
    }
}
