//! How keys are called. All of a service have its name as their hash tag, so a Cluster has them in one slot.
//!
//! | key | what |
//! |---|---|
//! | `{service}l` | a hash: the last version, the last event's place, bytes of the outbox, the epoch |
//! | `{service}o` | a stream: events that nobody acknowledged |
//! | `{service}d`, `{service}t` | a sorted set of records by when they are due, a hash of how often they were put off |
//! | `{service}k` | a sorted set of the durable records with something sealed in them, by the keys that they were written under |
//! | `{service}x` | what every answer touches where replicas are waited for |
//! | `{service}w` and a byte | who is lent which work |
//! | `{service}c` and 16 bytes | a hash: the counters of a fingerprint, by their scope |
//! | `{service}r` and 17 bytes | a record |
//! | `{service}m` and 17 bytes | a claim |
//! | `{*}o`, `{*}s`, `{*}m` | the epoch of the store, the services, and those of which something was kept |
//! | `{*}f` | who fills the store with a copy: while it is there, nobody serves from it |

use verify_core::keys::Print;
use verify_core::store::{ClaimKey, RecordKey, Work};
use verify_core::vocabulary::ServiceId;

/// Slots of a Cluster.
const SLOTS: u16 = 16_384;

/// What stands in the place of a service's name in the store's own keys. No service is called that.
const STORE: &str = "*";

/// What all keys of a service begin with, and where a Cluster has them.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    begins: Vec<u8>,
    pub(crate) slot: u16,
}

impl Keys {
    pub(crate) fn of(prefix: &str, service: &ServiceId) -> Self {
        Self::tagged(prefix, service.as_str())
    }

    /// Of the store itself.
    pub(crate) fn of_store(prefix: &str) -> Self {
        Self::tagged(prefix, STORE)
    }

    fn tagged(prefix: &str, tag: &str) -> Self {
        Self {
            begins: format!("{prefix}{{{tag}}}").into_bytes(),
            slot: crc16(tag.as_bytes()) % SLOTS,
        }
    }

    fn key(&self, kind: u8, name: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.begins.len() + 1 + name.len());
        key.extend_from_slice(&self.begins);
        key.push(kind);
        key.extend_from_slice(name);
        key
    }

    pub(crate) fn lane(&self) -> Vec<u8> {
        self.key(b'l', &[])
    }

    pub(crate) fn outbox(&self) -> Vec<u8> {
        self.key(b'o', &[])
    }

    pub(crate) fn due(&self) -> Vec<u8> {
        self.key(b'd', &[])
    }

    pub(crate) fn times(&self) -> Vec<u8> {
        self.key(b't', &[])
    }

    pub(crate) fn durable(&self) -> Vec<u8> {
        self.key(b'k', &[])
    }

    /// The first of a changeset's keys, in the order in which the script has them.
    pub(crate) fn structural(&self) -> [Vec<u8>; 6] {
        [
            self.lane(),
            self.outbox(),
            self.due(),
            self.times(),
            self.durable(),
            self.key(b'x', &[]),
        ]
    }

    pub(crate) fn lease(&self, work: Work) -> Vec<u8> {
        self.key(b'w', &[work.tag()])
    }

    pub(crate) fn counters(&self, print: &Print) -> Vec<u8> {
        self.counters_named(print.as_bytes())
    }

    pub(crate) fn record(&self, key: &RecordKey) -> Vec<u8> {
        self.key(b'r', &key.to_bytes())
    }

    /// The same by its name in a set.
    pub(crate) fn record_named(&self, name: &[u8]) -> Vec<u8> {
        self.key(b'r', name)
    }

    /// A claim by the bytes of its key.
    pub(crate) fn claim_named(&self, name: &[u8]) -> Vec<u8> {
        self.key(b'm', name)
    }

    /// Counters by the bytes of their fingerprint.
    pub(crate) fn counters_named(&self, print: &[u8]) -> Vec<u8> {
        self.key(b'c', print)
    }

    pub(crate) fn claim(&self, key: &ClaimKey) -> Vec<u8> {
        self.claim_named(&key.to_bytes())
    }

    /// Of the store: its epoch, its services, those that have a lane, and who fills it with a copy.
    pub(crate) fn store(&self) -> [Vec<u8>; 4] {
        [b'o', b's', b'm', b'f'].map(|kind| self.key(kind, &[]))
    }
}

/// What every key of a store begins with, as a pattern: nothing in a prefix has another meaning there.
pub(crate) fn pattern(prefix: &str) -> String {
    format!("{prefix}{{*")
}

/// Whose a key is (`None`: the store's own), of which kind, and its name. `None`: it is none of a store's.
pub(crate) fn parts<'a>(prefix: &str, key: &'a [u8]) -> Option<(Option<ServiceId>, u8, &'a [u8])> {
    let tagged = key.strip_prefix(prefix.as_bytes())?.strip_prefix(b"{")?;
    let end = tagged.iter().position(|byte| *byte == b'}')?;
    let tag = std::str::from_utf8(tagged.get(..end)?).ok()?;
    let (kind, name) = tagged.get(end + 1..)?.split_first()?;
    let service = match tag {
        STORE => None,
        tag => Some(ServiceId::new(tag).ok()?),
    };
    Some((service, *kind, name))
}

/// CRC-16/XMODEM, by which a Cluster has its slots.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => crc << 1 ^ 0x1021,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_a_cluster() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(Keys::tagged("verify:", "somekey").slot, 11_058);
    }

    #[test]
    fn a_key_is_taken_apart_as_it_was_put_together() {
        let service = ServiceId::new("a.b").unwrap();
        let key = Keys::of("p:", &service).record_named(b"}x");
        assert_eq!(parts("p:", &key), Some((Some(service), b'r', b"}x".as_slice())));
        let [epoch, ..] = Keys::of_store("").store();
        assert_eq!(parts("", &epoch), Some((None, b'o', b"".as_slice())));
        for other in ["p:{a}", "p:a}l", "q:{a}l", "p:{a b}l", "p:{}l"] {
            assert_eq!(parts("p:", other.as_bytes()), None, "{other}");
        }
    }
}
