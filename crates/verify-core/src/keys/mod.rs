//! The keys of an installation: three rings, one for each use, and the text they travel in.
//!
//! A key is never used for two things: `fingerprint` makes fingerprints, `code` derives codes, `seal` encrypts.
//!
//! # Rotation
//!
//! [`Keys::rotated`] puts a new key in front of each ring. Run with both until everything made under the old one
//! is over (the longest window, lockout and token life of the policy) and durable records are sealed again,
//! then cut the old entries off the text.

mod print;
mod ring;

use std::fmt;

use zeroize::Zeroizing;

pub use print::{InvalidPrint, Print, PrintKind, Prints};
pub(crate) use ring::Key;
pub use ring::{KeyId, MAX_KEYS, Ring};

use crate::mac::MacKey;
use crate::secret::SecretString;
use crate::seed::Seed;

/// Fewer bytes than this are not a master key (NIST asks for 112 bits of strength; 16 bytes are 128).
pub const MIN_MASTER: usize = 16;

const VERSION: &str = "v1";
const EXTRACT: &[u8; 32] = b"verify: keys from one master key";

/// All keys. `Debug` prints the ids.
#[derive(Clone)]
pub struct Keys {
    /// Fingerprints of numbers, mailboxes, addresses and subjects.
    pub fingerprint: Ring,
    /// Own codes.
    pub code: Ring,
    /// Tokens and sealed destinations.
    pub seal: Ring,
}

/// Text or bytes that are not keys. Never holds any of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not the three rings in their order.
    #[error(
        "keys have the form v1/fingerprint=ID:SECRET/code=ID:SECRET/seal=ID:SECRET; make them with `keys new`"
    )]
    Form,
    /// An entry of this ring is not `ID:SECRET`.
    #[error("a key in ring {0} is not ID:SECRET with an id of 0 to 255 and 32 bytes in URL-safe base64")]
    BadKey(&'static str),
    /// Two keys of this ring share an id.
    #[error("two keys in ring {0} have the same id; give each its own")]
    SameId(&'static str),
    /// Two keys of this ring are one under two ids.
    #[error("two keys in ring {0} have the same secret; remove one")]
    SameSecret(&'static str),
    /// This ring is too long.
    #[error("ring {0} has more than {MAX_KEYS} keys; remove the oldest, at the end")]
    TooMany(&'static str),
    /// The master key is too short to derive from.
    #[error("the master key has fewer than {MIN_MASTER} bytes; use a longer random one")]
    ShortMaster,
}

impl Keys {
    /// New keys, one in each ring, from 32 bytes of a cryptographic random source.
    pub fn generate(seed_bytes: &[u8; 32]) -> Self {
        let [fingerprint, code, seal] = secrets(seed_bytes).map(Ring::single);
        Self {
            fingerprint,
            code,
            seal,
        }
    }

    /// Keys from one configured secret, the same each time (HKDF-SHA256 by construction: extract, then expand by
    /// label). Such keys cannot overlap with those of another master; rotating gently needs [`Keys::parse`].
    ///
    /// # Errors
    /// [`KeysError::ShortMaster`] below [`MIN_MASTER`] bytes.
    pub fn derive_from(master: &[u8]) -> Result<Self, KeysError> {
        if master.len() < MIN_MASTER {
            return Err(KeysError::ShortMaster);
        }
        let extracted = Zeroizing::new(MacKey::new(EXTRACT).of(&[master]));
        Ok(Self::generate(&extracted))
    }

    /// Reads what [`Keys::to_text`] wrote. White space around it, such as a file's last line break, is ignored.
    ///
    /// # Errors
    /// [`KeysError`] says what is wrong and in which ring.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let mut parts = text.trim().split('/');
        if parts.next() != Some(VERSION) {
            return Err(KeysError::Form);
        }
        let mut ring = |name: &'static str| {
            let (found, entries) = parts
                .next()
                .and_then(|part| part.split_once('='))
                .ok_or(KeysError::Form)?;
            if found == name {
                Ring::read(name, entries)
            } else {
                Err(KeysError::Form)
            }
        };
        let keys = Self {
            fingerprint: ring("fingerprint")?,
            code: ring("code")?,
            seal: ring("seal")?,
        };
        if parts.next().is_some() {
            Err(KeysError::Form)
        } else {
            Ok(keys)
        }
    }

    /// One line that [`Keys::parse`] reads back: `v1/fingerprint=ID:SECRET,…/code=…/seal=…`, newest first. It has
    /// no character that a shell, a dotenv file or YAML would want quoted.
    pub fn to_text(&self) -> SecretString {
        // Room for three full rings: a string that had to grow would leave copies of secrets behind.
        let mut text = String::with_capacity(64 + 3 * MAX_KEYS * 48);
        text.push_str(VERSION);
        for (name, ring) in [
            ("fingerprint", &self.fingerprint),
            ("code", &self.code),
            ("seal", &self.seal),
        ] {
            text.push('/');
            text.push_str(name);
            text.push('=');
            ring.write(&mut text);
        }
        SecretString::new(text)
    }

    /// These keys with a new newest one in each ring, from 32 bytes of a cryptographic random source. A ring
    /// that is full ([`MAX_KEYS`]) loses its eldest. A key that is there already, announced at its ring's end, moves to the front.
    pub fn rotated(&self, seed_bytes: &[u8; 32]) -> Self {
        let [fingerprint, code, seal] = secrets(seed_bytes);
        Self {
            fingerprint: self.fingerprint.with_newest(fingerprint),
            code: self.code.with_newest(code),
            seal: self.seal.with_newest(seal),
        }
    }

    /// These keys with a new one at the end of each ring, from 32 bytes of a cryptographic random source: for several processes,
    /// of which each must read what a key wrote before any writes with it. A ring that is full ([`MAX_KEYS`]) loses its eldest.
    #[must_use]
    pub fn announced(&self, seed_bytes: &[u8; 32]) -> Self {
        let [fingerprint, code, seal] = secrets(seed_bytes);
        Self {
            fingerprint: self.fingerprint.with_announced(fingerprint),
            code: self.code.with_announced(code),
            seal: self.seal.with_announced(seal),
        }
    }

    /// These keys with those in front that were [announced](Self::announced), as soon as every process has them. `None`: the last
    /// key of a ring was not, by its id.
    pub fn switched(&self) -> Option<Self> {
        Some(Self {
            fingerprint: self.fingerprint.with_announced_in_front()?,
            code: self.code.with_announced_in_front()?,
            seal: self.seal.with_announced_in_front()?,
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("fingerprint", &self.fingerprint)
            .field("code", &self.code)
            .field("seal", &self.seal)
            .finish()
    }
}

/// Three independent secrets: fingerprint, code, seal.
fn secrets(seed_bytes: &[u8; 32]) -> [[u8; 32]; 3] {
    let seed = Seed::of_secret(seed_bytes);
    ["fingerprint", "code", "seal"].map(|label| seed.bytes(label))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    /// Another one for each number.
    fn secret(number: u8) -> String {
        URL_SAFE_NO_PAD.encode([number; 32])
    }

    fn text(fingerprint: &str) -> String {
        format!("v1/fingerprint={fingerprint}/code=1:{SECRET}/seal=1:{SECRET}")
    }

    #[test]
    fn keys_read_back_as_they_were_written() {
        let mut keys = Keys::generate(&[1; 32]);
        for round in 2..14 {
            let text = keys.to_text();
            let read = Keys::parse(&format!("{}\n", text.expose())).unwrap();
            assert!(read.to_text().matches(&text));
            assert!(
                text.expose()
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"/=:,_-".contains(&b))
            );
            assert!(
                text.expose().len() <= 64 + 3 * MAX_KEYS * 48,
                "no copy of it was left behind"
            );
            keys = keys.rotated(&[round; 32]);
        }
    }

    #[test]
    fn what_is_not_keys_is_refused() {
        let good = format!("1:{SECRET}");
        assert!(Keys::parse(&text(&good)).is_ok());
        for bad in [
            "",
            "v1",
            "v2",
            &text(&good)[1..],
            &text(&good).replace("code", "seal"),
            &format!("{}/", text(&good)),
        ] {
            assert_eq!(Keys::parse(bad).unwrap_err(), KeysError::Form, "{bad}");
        }
        let short = &SECRET[..42];
        for bad in [
            "",
            ":",
            "1",
            SECRET,
            &format!("256:{SECRET}"),
            &format!("01:{SECRET}"),
            &format!("+1:{SECRET}"),
            &format!("1:{short}"),
            &format!("1:{SECRET}="),
            &format!("1:{SECRET}A"),
            &format!("{good},"),
            &format!("1: {SECRET}"),
        ] {
            assert_eq!(
                Keys::parse(&text(bad)).unwrap_err(),
                KeysError::BadKey("fingerprint"),
                "{bad}"
            );
        }
        assert_eq!(
            Keys::parse(&text(&format!("{good},{good}"))).unwrap_err(),
            KeysError::SameId("fingerprint")
        );
        assert_eq!(
            Keys::parse(&text(&format!("{good},2:{SECRET}"))).unwrap_err(),
            KeysError::SameSecret("fingerprint")
        );
        let nine: Vec<String> = (0..9).map(|id| format!("{id}:{}", secret(id))).collect();
        assert!(Keys::parse(&text(&nine[..8].join(","))).is_ok());
        assert_eq!(
            Keys::parse(&text(&nine.join(","))).unwrap_err(),
            KeysError::TooMany("fingerprint")
        );
    }

    #[test]
    fn i56_a_rotation_keeps_the_older_keys_up_to_the_bound() {
        let mut keys = Keys::generate(&[0; 32]);
        let ids = |keys: &Keys| keys.fingerprint.ids().map(KeyId::get).collect::<Vec<_>>();
        assert_eq!(ids(&keys), [1]);
        for round in 1..=9 {
            let before = keys;
            keys = before.rotated(&[round; 32]);
            let kept: Vec<_> = ids(&before).into_iter().take(MAX_KEYS - 1).collect();
            assert_eq!(ids(&keys)[1..], kept);
            for id in kept {
                let id = KeyId::new(id);
                assert_eq!(
                    keys.seal.get(id).unwrap().secret(),
                    before.seal.get(id).unwrap().secret()
                );
            }
        }
        assert_eq!(ids(&keys), [10, 9, 8, 7, 6, 5, 4, 3]);
    }

    /// It was announced at the end of the ring, or is the newest already: under two ids a record would lie twice in one place.
    #[test]
    fn i56_a_rotation_to_a_key_of_the_ring_puts_it_in_front() {
        let keys = (1..=3).fold(Keys::generate(&[0; 32]), |keys, round| keys.rotated(&[round; 32]));
        for (round, ids) in [(1, [2, 4, 3, 1]), (3, [4, 3, 2, 1])] {
            let rotated = keys.rotated(&[round; 32]);
            for ring in [&rotated.fingerprint, &rotated.code, &rotated.seal] {
                assert_eq!(ring.ids().map(KeyId::get).collect::<Vec<_>>(), ids);
            }
            let secret = |keys: &Keys| *keys.seal.get(KeyId::new(2)).unwrap().secret();
            assert_eq!(secret(&rotated), secret(&keys));
        }
    }

    #[test]
    fn i56_a_key_is_announced_at_the_end_and_moves_to_the_front() {
        let ids = |keys: &Keys| {
            let rings = [&keys.fingerprint, &keys.code, &keys.seal];
            let ids = rings.map(|ring| ring.ids().map(KeyId::get).collect::<Vec<_>>());
            assert!(ids[0] == ids[1] && ids[1] == ids[2], "{keys:?}");
            ids[0].clone()
        };
        let first = Keys::generate(&[0; 32]);
        assert!(first.switched().is_none());
        let announced = first.announced(&[1; 32]);
        assert_eq!(ids(&announced), [1, 2]);
        assert_eq!(ids(&announced.announced(&[1; 32])), [1, 2], "it is there already");
        let switched = announced.switched().unwrap();
        assert_eq!(ids(&switched), [2, 1]);
        assert!(switched.to_text().matches(&first.rotated(&[1; 32]).to_text()));
        assert!(switched.switched().is_none(), "the last one is the eldest");
        let third = switched.announced(&[2; 32]);
        assert_eq!(ids(&third), [2, 1, 3]);
        assert_eq!(ids(&third.switched().unwrap()), [3, 2, 1]);
        let full = (3..9).fold(third, |keys, round| keys.rotated(&[round; 32]));
        assert_eq!(ids(&full), [9, 8, 7, 6, 5, 4, 2, 1]);
        assert_eq!(ids(&full.announced(&[9; 32])), [9, 8, 7, 6, 5, 4, 2, 10]);
    }

    /// The one in between was cut off, and what was written under it may still be there.
    #[test]
    fn an_id_that_was_cut_off_is_not_given_again() {
        let keys = Keys::parse(&text(&format!("1:{SECRET},3:{}", secret(3)))).unwrap();
        assert_eq!(keys.rotated(&[1; 32]).fingerprint.newest(), KeyId::new(4));
    }

    #[test]
    fn ids_start_again_after_255_and_skip_those_in_use() {
        let keys = Keys::parse(&text(&format!("255:{SECRET},0:{}", secret(0)))).unwrap();
        assert_eq!(keys.rotated(&[1; 32]).fingerprint.newest(), KeyId::new(1));
    }

    #[test]
    fn a_master_key_gives_the_same_keys_each_time_and_no_two_alike() {
        assert_eq!(Keys::derive_from(&[7; 15]).unwrap_err(), KeysError::ShortMaster);
        let text = |master: &[u8]| Keys::derive_from(master).unwrap().to_text();
        assert!(text(&[7; 16]).matches(&text(&[7; 16])));
        assert!(!text(&[7; 16]).matches(&text(&[7; 17])));
        let keys = Keys::derive_from(&[7; 16]).unwrap();
        let [one, two, three] =
            [&keys.fingerprint, &keys.code, &keys.seal].map(|ring| *ring.newest_key().secret());
        assert!(one != two && two != three && one != three);
    }

    #[test]
    fn i20_debug_and_errors_show_no_key() {
        let keys = Keys::parse(&text(&format!("1:{SECRET}"))).unwrap();
        assert_eq!(
            format!("{keys:?}"),
            "Keys { fingerprint: Ring[1], code: Ring[1], seal: Ring[1] }"
        );
        let error = Keys::parse(&text(&format!("x:{SECRET}"))).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("AAECAw"));
    }
}
