//! What an operation costs more with many live keys than with few, against what a bare map costs more.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use verify_core::store::CounterKey;

use super::Effort;
use super::charge::{Charges, key};
use crate::measure::{Figure, Measured, Sample, timed};
use crate::report::{Row, Target};

/// The row.
///
/// # Errors
/// A charge that was not admitted.
pub fn growth(effort: Effort) -> Measured<Vec<Row>> {
    let few = 1_000.min(effort.most_keys);
    let (mut small, mut large) = (Charges::on(few), Charges::on(effort.most_keys));
    let (mut small_map, mut large_map) = (Map::on(few), Map::on(effort.most_keys));
    let batch = effort.batch * 20;
    let (mut ratios, mut ours, mut maps) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        let store = (small.sample(batch)?.nanos(), large.sample(batch)?.nanos());
        let map = (small_map.sample(batch)?.nanos(), large_map.sample(batch)?.nanos());
        ours.push(store.1 / store.0);
        maps.push(map.1 / map.0);
        ratios.push((store.1 / store.0) / (map.1 / map.0));
    }
    Ok(vec![Row {
        work: format!("growth of a charge from {few} to {} keys", effort.most_keys),
        figure: Figure::of(ratios),
        unit: "×",
        target: Target::Most(1.2),
        made_of: format!(
            "grows to {:.2} ×, a bare map to {:.2} ×",
            Figure::of(ours).median,
            Figure::of(maps).median
        ),
    }])
}

/// A map from the same keys to values of the size of a small state.
struct Map {
    map: HashMap<CounterKey, [u64; 6], RandomState>,
    turn: u64,
    keys: u64,
}

impl Map {
    fn on(keys: u64) -> Self {
        let map = (0..keys).map(|turn| (key(turn, keys), [turn; 6])).collect();
        Self { map, turn: 0, keys }
    }

    fn sample(&mut self, operations: usize) -> Measured<Sample> {
        timed(operations, || {
            for _ in 0..operations {
                let key = key(self.turn, self.keys);
                self.turn += 1;
                if let Some(value) = self.map.get_mut(&key) {
                    *value = value.map(|word| word.wrapping_add(self.turn));
                }
            }
            Ok(())
        })
    }
}
