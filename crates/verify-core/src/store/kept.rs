//! The kept form: the bytes in which a store outside the process keeps what it is given.
//!
//! Each begins with a format byte; what a program does not know it refuses ([`StoreFault::Corrupt`]) and never guesses at.
//! Numbers are little-endian, of fixed width, and at most 2^53 - 1, so that a script whose numbers are doubles can read
//! them. A counter says itself when it may be forgotten: that is judged by a changeset's time, and no timer of a store's
//! own is the judge of it.
//!
//! | | bytes |
//! |---|---|
//! | window | `1`, `1`, ends (8), newest (8), then for each stamp: at (8), units (8) |
//! | window that was ended before | `1`, `3`, ends (8), newest (8), ended (8), then the stamps |
//! | run of failures | `1`, `2`, ends (8), last (8), count (8), run (8) |
//! | row | `1`, flags (1: durable, 2: live, 4: due, 8: sealed), version (8), ends (8), live until (8), due (8), fingerprint key (1), seal key (1), the record |
//! | claim | `1`, ends (8), the value |
//! | event | `1`, the event (postcard) |

use super::StoreFault;
use super::changeset::{Claim, Lifetime, Row, WrittenUnder};
use super::key::ClaimKey;
use crate::event::Event;
use crate::keys::KeyId;
use crate::limit::{Backoff, Counter, Stamp, Window};
use crate::time::Timestamp;

const FORMAT: u8 = 1;
const WINDOW: u8 = 1;
const RUN: u8 = 2;
const ENDED_WINDOW: u8 = 3;
const DURABLE: u8 = 1;
const LIVE: u8 = 2;
const DUE: u8 = 4;
const SEALED: u8 = 8;

/// The bytes of a state, and of the instant at which it may be forgotten.
pub fn counter(state: &Counter, expires_at: Timestamp) -> Vec<u8> {
    let mut bytes = Writer::new(FORMAT);
    match state {
        Counter::Window(window) => {
            match window.ended() {
                Timestamp::ZERO => bytes.byte(WINDOW).at(expires_at).at(window.newest()),
                ended => bytes
                    .byte(ENDED_WINDOW)
                    .at(expires_at)
                    .at(window.newest())
                    .at(ended),
            };
            for stamp in window.stamps() {
                bytes.at(stamp.at).number(stamp.units);
            }
        }
        Counter::Backoff(Backoff { count, last, run }) => {
            bytes.byte(RUN).at(expires_at).at(*last);
            bytes.number((*count).into()).number((*run).into());
        }
    }
    bytes.0
}

/// The state that [`counter`] wrote, and when it may be forgotten.
///
/// # Errors
/// [`StoreFault::Corrupt`] when these are not such bytes.
pub fn read_counter(bytes: &[u8]) -> Result<(Counter, Timestamp), StoreFault> {
    Reader::new(bytes)
        .and_then(|mut bytes| {
            let kind = bytes.byte()?;
            let ends = bytes.at()?;
            let newest = bytes.at()?;
            let state = match kind {
                WINDOW | ENDED_WINDOW => {
                    let ended = match kind {
                        WINDOW => Timestamp::ZERO,
                        // Zero has the other form: no two bytes mean the same.
                        _ => bytes.at().filter(|ended| *ended > Timestamp::ZERO)?,
                    };
                    let mut stamps = Vec::new();
                    while !bytes.is_empty() {
                        stamps.push(Stamp {
                            at: bytes.at()?,
                            units: bytes.number()?,
                        });
                    }
                    Counter::Window(Window::of(newest, ended, &stamps)?)
                }
                RUN => Counter::Backoff(Backoff {
                    last: newest,
                    count: u32::try_from(bytes.number()?).ok()?,
                    run: u32::try_from(bytes.number()?).ok()?,
                }),
                _ => return None,
            };
            bytes.is_empty().then_some((state, ends))
        })
        .ok_or_else(|| StoreFault::corrupt("a counter is not in its format"))
}

/// The bytes of a row.
pub fn row(row: &Row) -> Vec<u8> {
    let (ends, durable) = match row.lifetime {
        Lifetime::Until(end) => (end, 0),
        Lifetime::Durable => (Timestamp::MAX, DURABLE),
    };
    let flag = |there: bool, flag: u8| if there { flag } else { 0 };
    let flags = durable
        | flag(row.live_until.is_some(), LIVE)
        | flag(row.due.is_some(), DUE)
        | flag(row.under.seal.is_some(), SEALED);
    let mut bytes = Writer::new(FORMAT);
    bytes.byte(flags).number(row.version).at(ends);
    bytes
        .at(row.live_until.unwrap_or_default())
        .at(row.due.unwrap_or_default());
    bytes.byte(row.under.fingerprint.get());
    bytes.byte(row.under.seal.map_or(0, KeyId::get));
    bytes.0.extend_from_slice(&row.bytes);
    bytes.0
}

/// The row that [`row`](fn@row) wrote.
///
/// # Errors
/// [`StoreFault::Corrupt`] when these are not such bytes.
pub fn read_row(bytes: &[u8]) -> Result<Row, StoreFault> {
    Reader::new(bytes)
        .and_then(|mut bytes| {
            let flags = bytes.byte()?;
            let has = |flag: u8| flags & flag != 0;
            if flags & !(DURABLE | LIVE | DUE | SEALED) != 0 {
                return None;
            }
            let version = bytes.number()?;
            let (ends, live_until, due) = (bytes.at()?, bytes.at()?, bytes.at()?);
            let (fingerprint, seal) = (KeyId::new(bytes.byte()?), KeyId::new(bytes.byte()?));
            Some(Row {
                version,
                lifetime: match has(DURABLE) {
                    true => Lifetime::Durable,
                    false => Lifetime::Until(ends),
                },
                live_until: has(LIVE).then_some(live_until),
                due: has(DUE).then_some(due),
                under: WrittenUnder {
                    fingerprint,
                    seal: has(SEALED).then_some(seal),
                },
                bytes: bytes.0.to_vec(),
            })
        })
        .ok_or_else(|| StoreFault::corrupt("a row is not in its format"))
}

/// The bytes of a claim without its key.
pub fn claim(claim: &Claim) -> Vec<u8> {
    let mut bytes = Writer::new(FORMAT);
    bytes.at(claim.expires_at);
    bytes.0.extend_from_slice(&claim.value);
    bytes.0
}

/// The claim under this key that [`claim`](fn@claim) wrote.
///
/// # Errors
/// [`StoreFault::Corrupt`] when these are not such bytes.
pub fn read_claim(key: ClaimKey, bytes: &[u8]) -> Result<Claim, StoreFault> {
    Reader::new(bytes)
        .and_then(|mut bytes| {
            Some(Claim {
                key,
                expires_at: bytes.at()?,
                value: bytes.0.to_vec(),
            })
        })
        .ok_or_else(|| StoreFault::corrupt("a claim is not in its format"))
}

/// The bytes of an event.
pub fn event(event: &Event) -> Vec<u8> {
    // Nothing in an event can fail to be written; a store that met such bytes would refuse them as corrupt.
    postcard::to_extend(event, vec![FORMAT]).unwrap_or_default()
}

/// The event that [`event`](fn@event) wrote.
///
/// # Errors
/// [`StoreFault::Corrupt`] when these are not such bytes.
pub fn read_event(bytes: &[u8]) -> Result<Event, StoreFault> {
    Reader::new(bytes)
        .and_then(|bytes| postcard::take_from_bytes(bytes.0).ok())
        .and_then(|(event, rest)| rest.is_empty().then_some(event))
        .ok_or_else(|| StoreFault::corrupt("an event is not in its format"))
}

struct Writer(Vec<u8>);

impl Writer {
    fn new(format: u8) -> Self {
        let mut bytes = Vec::with_capacity(40);
        bytes.push(format);
        Self(bytes)
    }

    fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        debug_assert!(
            number <= Timestamp::MAX.as_millis(),
            "{number} does not read back"
        );
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn at(&mut self, at: Timestamp) -> &mut Self {
        self.number(at.as_millis())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Behind the format byte, where that is the one that is known here.
    fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => Some(Self(rest)),
            Some(_) | None => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// At most what a double holds exactly: a greater one was not written here.
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        let number = u64::from_le_bytes(*number);
        (number <= Timestamp::MAX.as_millis()).then_some(number)
    }

    fn at(&mut self) -> Option<Timestamp> {
        self.number().map(Timestamp::from_millis)
    }
}
