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

use verify_core::keys::Print;
use verify_core::store::{ClaimKey, RecordKey, Work};
use verify_core::vocabulary::ServiceId;

/// Slots of a Cluster.
const SLOTS: u16 = 16_384;

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

    /// Of the store itself: no service is called that.
    pub(crate) fn of_store(prefix: &str) -> Self {
        Self::tagged(prefix, "*")
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
        self.key(b'c', print.as_bytes())
    }

    pub(crate) fn record(&self, key: &RecordKey) -> Vec<u8> {
        self.key(b'r', &key.to_bytes())
    }

    /// The same by its name in a set.
    pub(crate) fn record_named(&self, name: &[u8]) -> Vec<u8> {
        self.key(b'r', name)
    }

    pub(crate) fn claim(&self, key: &ClaimKey) -> Vec<u8> {
        self.key(b'm', &key.to_bytes())
    }

    /// Of the store: its epoch, its services, and those that have a lane.
    pub(crate) fn store(&self) -> [Vec<u8>; 3] {
        [self.key(b'o', &[]), self.key(b's', &[]), self.key(b'm', &[])]
    }
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
}
