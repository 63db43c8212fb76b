//! A changeset as its script takes it: keys, and bytes that say what to do with them.

use std::time::Duration;

use verify_core::keys::Print;
use verify_core::limit::Rule;
use verify_core::policy::Wait;
use verify_core::store::{
    Changeset, Charge, ClaimKey, Counted, CounterKey, Expect, Mode, Names, RecordKey, Room, Takeback, Write,
    kept,
};
use verify_core::time::Timestamp;

use crate::keys::Keys;

/// The kinds of counters, as the script knows them.
const WINDOW: u8 = 1;
const RUN: u8 = 2;

/// A changeset for the script.
pub(crate) struct Plan {
    pub(crate) names: Names,
    pub(crate) keys: Vec<Vec<u8>>,
    /// What does not depend on where it is decided.
    body: Vec<u8>,
    payloads: Vec<Vec<u8>>,
    at: Timestamp,
    looks_back: Duration,
    uses_up: Option<Timestamp>,
    room: Room,
}

/// What besides the changeset decides, and depends on where and when it is asked for.
pub(crate) struct Terms<'a> {
    /// The last instant of the server's clock at which it is begun.
    pub(crate) not_after: Timestamp,
    pub(crate) margin: Duration,
    /// The epoch that a service has which has none: since when (zero: since now), and whether it is accepted.
    pub(crate) epoch: [u8; 16],
    pub(crate) made: Timestamp,
    pub(crate) accepts: bool,
    /// 0: there is room for everybody, 1: for known callers, 2: for nobody.
    pub(crate) fill: u8,
    pub(crate) outbox_events: u64,
    pub(crate) outbox_bytes: u64,
    pub(crate) server: &'a str,
    pub(crate) cools: bool,
    pub(crate) touches: bool,
}

impl Plan {
    pub(crate) fn of(changeset: &Changeset, keys: &Keys) -> Self {
        let names = changeset.names();
        let mut prints: Vec<Print> = names.counters.iter().map(|key| key.print).collect();
        prints.sort_unstable();
        prints.dedup();
        let mut all: Vec<Vec<u8>> = keys.structural().into();
        all.extend(prints.iter().map(|print| keys.counters(print)));
        all.extend(names.records.iter().map(|key| keys.record(key)));
        all.extend(names.claims.iter().map(|key| keys.claim(key)));
        let mut bytes = Bytes::default();
        for count in [
            prints.len(),
            names.counters.len(),
            names.records.len(),
            names.claims.len(),
            changeset.takebacks.len(),
            changeset.resets.len(),
            changeset.charges.len(),
            changeset.records.len(),
            changeset.claims.len(),
            changeset.unclaim.len(),
            changeset.events.len(),
            changeset.alerts.len(),
        ] {
            bytes.place(count);
        }
        for key in &names.counters {
            bytes.nth(&prints, &key.print);
            bytes.0.extend_from_slice(&key.scope.to_be_bytes());
        }
        let mut payloads = Vec::new();
        let mut writer = Writing {
            names: &names,
            bytes,
            payloads: &mut payloads,
        };
        writer.changeset(changeset);
        let body = writer.bytes.0;
        Self {
            keys: all,
            body,
            payloads,
            at: changeset.at,
            looks_back: changeset.looks_back,
            uses_up: changeset.uses_up,
            room: changeset.room,
            names,
        }
    }

    /// What the script is told first.
    pub(crate) fn head(&self, terms: &Terms<'_>) -> Vec<u8> {
        let mut bytes = Bytes::default();
        bytes
            .number(self.at.as_millis())
            .number(terms.not_after.as_millis());
        bytes.span(terms.margin).span(self.looks_back);
        bytes.number(self.uses_up.map_or(0, |issued| issued.as_millis() + 1));
        bytes.number(terms.made.as_millis());
        bytes.number(terms.outbox_events).number(terms.outbox_bytes);
        bytes.0.extend([
            u8::from(self.room == Room::Known),
            terms.fill,
            u8::from(terms.accepts),
            u8::from(terms.cools),
            u8::from(terms.touches),
        ]);
        bytes.0.extend_from_slice(&self.body);
        bytes.0
    }

    /// All arguments of the script.
    pub(crate) fn args<'a>(&'a self, head: &'a [u8], terms: &'a Terms<'a>) -> Vec<&'a [u8]> {
        let mut args = vec![head, &terms.epoch, terms.server.as_bytes()];
        args.extend(self.payloads.iter().map(Vec::as_slice));
        args
    }
}

/// Numbers as the script reads them: little-endian, times and spans in milliseconds.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    /// At most what a double holds exactly.
    fn number(&mut self, number: u64) -> &mut Self {
        let most = Timestamp::from_millis(number).as_millis();
        self.0.extend_from_slice(&most.to_le_bytes());
        self
    }

    fn span(&mut self, span: Duration) -> &mut Self {
        self.number(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    fn small(&mut self, number: u32) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// A count or a place. No policy comes near 65 535 of anything.
    fn place(&mut self, place: usize) -> &mut Self {
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&place.to_le_bytes());
        self
    }

    /// The place of one that is there, counted from 1.
    fn nth<K: Ord>(&mut self, keys: &[K], key: &K) -> &mut Self {
        let place = keys.binary_search(key).map_or(0, |index| index + 1);
        self.place(place)
    }
}

struct Writing<'a> {
    names: &'a Names,
    bytes: Bytes,
    payloads: &'a mut Vec<Vec<u8>>,
}

impl Writing<'_> {
    fn changeset(&mut self, changeset: &Changeset) {
        for takeback in &changeset.takebacks {
            self.takeback(takeback);
        }
        for key in &changeset.resets {
            self.counter(key);
        }
        for charge in &changeset.charges {
            self.charge(charge);
        }
        for change in &changeset.records {
            self.record(&change.key);
            let (expects, version) = match change.expect {
                Expect::Absent => (0, 0),
                Expect::At(version) => (1, version),
            };
            self.bytes.0.push(expects);
            self.bytes.number(version);
            match &change.write {
                Write::Keep => self.bytes.0.push(0),
                Write::Put(row) => {
                    self.bytes.0.push(1);
                    self.payloads.push(kept::row(row));
                }
                Write::Delete => self.bytes.0.push(2),
            }
        }
        for claim in &changeset.claims {
            self.claim(&claim.key);
            self.bytes.number(claim.expires_at.as_millis());
            self.payloads.push(kept::claim(claim));
        }
        for key in &changeset.unclaim {
            self.claim(key);
        }
        for alert in &changeset.alerts {
            self.claim(&alert.once.key);
            self.bytes.number(alert.once.expires_at.as_millis());
            self.payloads.push(kept::claim(&alert.once));
        }
        let alerts = changeset.alerts.iter().map(|alert| &alert.event);
        self.payloads
            .extend(changeset.events.iter().chain(alerts).map(kept::event));
    }

    fn counter(&mut self, key: &CounterKey) {
        self.bytes.nth(&self.names.counters, key);
    }

    fn record(&mut self, key: &RecordKey) {
        self.bytes.nth(&self.names.records, key);
    }

    fn claim(&mut self, key: &ClaimKey) {
        self.bytes.nth(&self.names.claims, key);
    }

    fn takeback(&mut self, takeback: &Takeback) {
        self.counter(&takeback.key);
        self.claim(&takeback.once);
        self.bytes.number(takeback.expires_at.as_millis());
        match &takeback.counted {
            Counted::Units { per, units, at } => {
                self.bytes.0.push(WINDOW);
                self.bytes.span(*per).number(*units).number(at.as_millis());
            }
            Counted::Failure {
                before,
                charged,
                forget_after,
            } => {
                self.bytes.0.push(RUN);
                self.bytes
                    .number(before.last.as_millis())
                    .number(charged.last.as_millis());
                self.bytes
                    .small(charged.count)
                    .small(charged.run)
                    .span(*forget_after);
            }
        }
        self.payloads.push(kept::claim(&verify_core::store::Claim {
            key: takeback.once,
            value: Vec::new(),
            expires_at: takeback.expires_at,
        }));
    }

    fn charge(&mut self, charge: &Charge) {
        self.counter(&charge.key);
        self.bytes.0.push(match charge.mode {
            Mode::Charge => 0,
            Mode::Force => 1,
            Mode::Probe => 2,
        });
        self.bytes.number(charge.cost);
        match &charge.rule {
            Rule::Window { max, per } => {
                self.bytes.0.push(WINDOW);
                self.bytes.number(*max).span(*per);
            }
            Rule::Backoff { waits, forget_after } => {
                self.bytes.0.push(RUN);
                self.bytes.span(*forget_after).place(waits.len());
                for (count, wait) in waits.iter() {
                    // One that never ends ends when the run is forgotten, as any longer one does.
                    let span = match wait {
                        Wait::For(span) => *span,
                        Wait::Never => Duration::MAX,
                    };
                    self.bytes.small(*count).span(span);
                }
            }
        }
        self.bytes.place(charge.when_live.len());
        for key in &charge.when_live {
            self.record(key);
        }
    }
}
