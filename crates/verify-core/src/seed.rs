//! Randomness as the core sees it: 48 bytes that somebody hands in with each command.

use std::fmt;

use zeroize::Zeroizing;

use crate::ids::EventId;
use crate::mac::{MacKey, first};
use crate::secret::Secret;

/// The randomness of one command, from a cryptographic source, used for that command only.
///
/// Everything random that a command needs is derived from 32 of its bytes by label, so that the same command with the
/// same seed does the same again. The other 16 are no secret: they name the command's events. `Debug` prints `Seed(**)`.
#[derive(Clone)]
pub struct Seed {
    secret: Secret<[u8; 32]>,
    name: [u8; 16],
}

impl Seed {
    /// Bytes of a cryptographic random source that make a seed.
    pub const BYTES: usize = 48;

    /// A seed from bytes of a cryptographic random source.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self {
            secret: Secret::new(bytes.first_chunk().copied().unwrap_or_default()),
            name: bytes.last_chunk().copied().unwrap_or_default(),
        }
    }

    /// A seed that derives and names no events.
    pub(crate) fn of_secret(secret: &[u8; 32]) -> Self {
        Self {
            secret: Secret::new(*secret),
            name: [0; 16],
        }
    }

    /// For tokens that are the same whenever they are made: a seed from an id that is random itself.
    pub(crate) fn of_id(id: &[u8; 16]) -> Self {
        let mut twice = [0; 32];
        for (slot, byte) in twice.iter_mut().zip(id.iter().chain(id)) {
            *slot = *byte;
        }
        Self::of_secret(&twice)
    }

    /// The id of one of the command's events. `kind` is the event's tag, `nth` tells several of a kind apart. It costs
    /// no derivation: most commands have an event.
    pub(crate) fn event_id(&self, kind: u8, nth: u8) -> EventId {
        let mut id = self.name;
        let [.., of_kind, of_nth] = &mut id;
        *of_kind ^= kind;
        *of_nth ^= nth;
        EventId::from_bytes(id)
    }

    /// `N` bytes for the use that `label` names. Different labels give independent bytes, the same label the
    /// same bytes; a shorter request gives the beginning of a longer one.
    pub fn bytes<const N: usize>(&self, label: &str) -> [u8; N] {
        let key = MacKey::new(self.secret.expose());
        let mut out = [0; N];
        for (counter, chunk) in (0u32..).zip(out.chunks_mut(32)) {
            let block = Zeroizing::new(key.of(&[label.as_bytes(), &counter.to_be_bytes()]));
            for (slot, byte) in chunk.iter_mut().zip(block.iter()) {
                *slot = *byte;
            }
        }
        out
    }

    /// Two ids for the use that `label` names, for the price of one: the halves of [`Seed::bytes`].
    pub(crate) fn ids(&self, label: &str) -> [[u8; 16]; 2] {
        let both: [u8; 32] = self.bytes(label);
        let [mut one, mut other] = [[0; 16]; 2];
        for (slot, byte) in one.iter_mut().chain(&mut other).zip(both) {
            *slot = byte;
        }
        [one, other]
    }

    /// A nonce for sealing `plain` under `header`: two different messages of one command never share one, and
    /// nobody has to remember a label for each.
    pub(crate) fn nonce(&self, header: &[u8], plain: &[u8]) -> [u8; 24] {
        // After its label, a message of `bytes` has four bytes and this one more: they are never the same.
        first(&MacKey::new(self.secret.expose()).of(&[b"nonce", header, plain]))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(**)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        Seed::from_bytes(std::array::from_fn(|i| i as u8))
    }

    #[test]
    fn the_bytes_are_a_counter_over_hmac() {
        // Computed with another implementation: HMAC(seed, len(label) label counter) for counters 0 and 1.
        let hex: String = seed()
            .bytes::<64>("label")
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let expected = "8943b45b6cd29d542e7bdd13c1f7a2df62b87b82a2ca5a772a79fb98a946ca0f\
                        2a452acaf74a24e4b1db7517cd105e8cb2508a784a0a235e8f5854d3e1a96d85";
        assert_eq!(hex, expected);
        assert_eq!(seed().bytes::<33>("label"), seed().bytes::<64>("label")[..33]);
    }

    #[test]
    fn labels_and_seeds_are_independent() {
        let other = Seed::from_bytes([9; 48]);
        assert_ne!(seed().bytes::<16>("a"), seed().bytes::<16>("b"));
        assert_ne!(seed().bytes::<16>("a"), other.bytes::<16>("a"));
    }

    #[test]
    fn two_ids_are_the_halves_of_what_their_label_gives() {
        let [one, other] = seed().ids("a");
        assert_eq!([one, other].concat(), seed().bytes::<32>("a"));
    }

    #[test]
    fn a_nonce_differs_with_header_and_message() {
        let nonces = [(&b"a"[..], &b"b"[..]), (b"a", b"c"), (b"", b"ab"), (b"ab", b"")]
            .map(|(header, plain)| seed().nonce(header, plain));
        for (at, nonce) in nonces.iter().enumerate() {
            assert!(!nonces[at + 1..].contains(nonce));
        }
    }

    #[test]
    fn events_have_ids_of_their_own_that_say_nothing_of_the_secret() {
        let mut other = [7; 48];
        other[..32].fill(8);
        let (one, other) = (Seed::from_bytes([7; 48]), Seed::from_bytes(other));
        assert_eq!(one.event_id(1, 0), other.event_id(1, 0));
        let ids = [
            one.event_id(1, 0),
            one.event_id(2, 0),
            one.event_id(1, 1),
            seed().event_id(1, 0),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[at + 1..].contains(id));
        }
    }

    #[test]
    fn i20_debug_shows_nothing() {
        assert_eq!(format!("{:?}", seed()), "Seed(**)");
    }
}
