//! HMAC-SHA256 over a list of parts, with the key's state prepared once.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A key that is ready to use: its two key blocks are already hashed, so that a short message costs two
/// compressions and not four. Cleared on drop.
#[derive(Clone)]
pub(crate) struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// Prepares a key of exactly 32 bytes.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        // One block of 64 bytes, as HMAC pads a short key itself: the constructor for whole blocks cannot fail.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (slot, byte) in block.iter_mut().zip(key) {
            *slot = *byte;
        }
        let prepared = Hmac::new(&block);
        zeroize::Zeroize::zeroize(block.as_mut_slice());
        Self(prepared)
    }

    /// The MAC of `parts`.
    ///
    /// Every part but the last is preceded by its length, so that two lists with the same number of parts give
    /// the same message only if they are the same list. The number of parts is fixed by the use of a key.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut state = self.0.clone();
        if let Some((last, framed)) = parts.split_last() {
            for part in framed {
                state.update(&length(part));
                state.update(part);
            }
            state.update(last);
        }
        state.finalize().into_bytes().into()
    }
}

/// A part's length in four bytes: the usual fingerprint then fits one block. Nothing of 4 GiB gets here.
fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// The first `N` bytes of a block; `N` is at most 32, checked when the program is compiled.
pub(crate) fn first<const N: usize>(block: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32, "a block has 32 bytes") };
    block.first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_hmac_sha256() {
        // RFC 4231, test case 1: the key is shorter than a block and zero-padded either way.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        let hex: String = MacKey::new(&key)
            .of(&[b"Hi There"])
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, expected);
    }

    proptest! {
        #[test]
        fn moving_a_boundary_between_parts_changes_the_mac(
            bytes in proptest::collection::vec(any::<u8>(), 0..40), one in 0usize..40, other in 0usize..40,
        ) {
            let key = MacKey::new(&[7; 32]);
            let (one, other) = (one.min(bytes.len()), other.min(bytes.len()));
            let cut = |at: usize| { let (a, b) = bytes.split_at(at); key.of(&[a, b]) };
            prop_assert_eq!(one == other, cut(one) == cut(other));
        }
    }
}
