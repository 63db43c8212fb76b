//! One charge of one window, against a keyed check of `governor` on as many keys.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use verify_core::limit::Rule;
use verify_core::store::{Changeset, Charge, CounterKey, Mode, Room, StoreAnswer};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_memstore::{Capacity, MemStore};

use super::Effort;
use crate::measure::{BenchError, Measured, Sample, compare, timed};
use crate::report::{Row, Target};
use crate::scene::{BEGIN, print};

/// Five units in ten minutes, as the default policy allows an address.
const MAX: u64 = 5;
const PER: Duration = Duration::from_secs(600);
/// So many of the five are in use when a key is charged again.
const IN_USE: u64 = 3;
/// A walk over all keys in an order that no cache foresees: odd, so that it visits each once.
const STRIDE: u64 = 7_919 * 104_729;

/// The row, with few keys and with many.
///
/// # Errors
/// A charge that was not admitted.
pub fn charge(effort: Effort) -> Measured<Vec<Row>> {
    [1_000.min(effort.most_keys), effort.most_keys]
        .into_iter()
        .map(|keys| row(effort, keys))
        .collect()
}

fn row(effort: Effort, keys: u64) -> Measured<Row> {
    let mut ours = Charges::on(keys);
    let mut floor = Governed::on(keys);
    let batch = effort.batch * 20;
    let compared = compare(effort.rounds, || ours.sample(batch), || floor.sample(batch))?;
    Ok(Row {
        work: format!("one window charge, {keys} keys"),
        figure: compared.ratio,
        unit: "×",
        target: Target::Most(2.0),
        made_of: format!(
            "{:.0} ns against {:.0} ns of a governor check",
            compared.product.median, compared.floor.median
        ),
    })
}

/// The key that comes after so many others.
pub(super) fn key(turn: u64, keys: u64) -> CounterKey {
    CounterKey {
        scope: 7,
        print: print(turn.wrapping_mul(STRIDE) % keys),
    }
}

/// A store whose keys are charged in turns, each again when it has room.
pub(super) struct Charges {
    store: MemStore,
    changeset: Changeset,
    keys: u64,
    turn: u64,
}

impl Charges {
    pub(super) fn on(keys: u64) -> Self {
        let capacity = Capacity {
            counters: usize::try_from(keys).unwrap_or(usize::MAX).saturating_mul(2),
            ..Capacity::default()
        };
        let mut changeset = Changeset::new(ServiceId::default(), BEGIN, Room::Known);
        changeset.charges.push(Charge {
            key: key(0, keys),
            rule: Rule::Window { max: MAX, per: PER },
            cost: 1,
            mode: Mode::Charge,
            when_live: Vec::new(),
        });
        let mut charges = Self {
            store: MemStore::with_capacity(capacity),
            changeset,
            keys,
            turn: 0,
        };
        // Every key reaches the use that it keeps.
        for _ in 0..keys * IN_USE {
            charges.charge();
        }
        charges
    }

    fn charge(&mut self) -> bool {
        let lap = u64::try_from(PER.as_millis()).unwrap_or(u64::MAX) / IN_USE;
        let at = BEGIN.as_millis()
            + u64::try_from(u128::from(self.turn) * u128::from(lap) / u128::from(self.keys)).unwrap_or(0);
        self.changeset.at = Timestamp::from_millis(at);
        for charge in &mut self.changeset.charges {
            charge.key = key(self.turn, self.keys);
        }
        self.turn += 1;
        matches!(self.store.apply_now(&self.changeset), StoreAnswer::Applied(_))
    }

    pub(super) fn sample(&mut self, operations: usize) -> Measured<Sample> {
        timed(operations, || self.charge_all(operations))
    }

    /// Charges the next keys; each has to be admitted.
    pub(super) fn charge_all(&mut self, operations: usize) -> Measured<()> {
        let admitted = (0..operations).filter(|_| self.charge()).count();
        match admitted == operations {
            true => Ok(()),
            false => Err(BenchError::OtherOutcome("charge")),
        }
    }
}

struct Governed {
    limiter: DefaultKeyedRateLimiter<CounterKey>,
    keys: u64,
    turn: u64,
}

impl Governed {
    fn on(keys: u64) -> Self {
        let mut governed = Self {
            limiter: RateLimiter::keyed(Quota::per_second(NonZeroU32::MAX).allow_burst(NonZeroU32::MAX)),
            keys,
            turn: 0,
        };
        for _ in 0..keys {
            governed.check();
        }
        governed
    }

    fn check(&mut self) -> bool {
        let key = key(self.turn, self.keys);
        self.turn += 1;
        self.limiter.check_key(&key).is_ok()
    }

    fn sample(&mut self, operations: usize) -> Measured<Sample> {
        timed(operations, || {
            let admitted = (0..operations).filter(|_| self.check()).count();
            match admitted == operations {
                true => Ok(()),
                false => Err(BenchError::OtherOutcome("governor check")),
            }
        })
    }
}
