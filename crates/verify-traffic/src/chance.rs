//! Chance from a seed.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// A stream of chance: xoshiro256++, whose output for a seed never changes. Not for secrets.
#[derive(Debug, Clone)]
pub struct Chance(Xoshiro256PlusPlus);

impl Chance {
    /// The stream of a seed.
    pub fn of(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A stream of its own, so that one actor more does not change what the others do.
    #[must_use]
    pub fn child(&mut self) -> Self {
        Self::of(self.0.random())
    }

    /// A whole number below `end`; zero where `end` is zero.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }

    /// True with this probability: never at 0, always at 1.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A wait between two events of a Poisson process with this many events a second. Without events, a year.
    pub fn gap(&mut self, per_second: f64) -> Duration {
        const YEAR: f64 = 365.0 * 86_400.0;
        let seconds = if per_second > 0.0 {
            -(1.0 - self.unit()).ln() / per_second
        } else {
            YEAR
        };
        Duration::from_secs_f64(seconds.min(YEAR))
    }

    /// A span between these two.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.unit())
    }

    /// A log-normal span: half of them are shorter than `median`. It is cut at an hour.
    pub fn around(&mut self, median: Duration, sigma: f64) -> Duration {
        let (angle, radius) = (
            self.unit() * std::f64::consts::TAU,
            (-2.0 * (1.0 - self.unit()).ln()).sqrt(),
        );
        let factor = (sigma * radius * angle.cos()).exp();
        Duration::from_secs_f64((median.as_secs_f64() * factor).min(3600.0))
    }

    /// From 0 up to and without 1.
    fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_stream_for_ever() {
        let mut chance = Chance::of(7);
        let drawn: Vec<u64> = (0..4).map(|_| chance.below(1000)).collect();
        let mut again = Chance::of(7);
        assert_eq!(drawn, (0..4).map(|_| again.below(1000)).collect::<Vec<_>>());
        assert_ne!(Chance::of(8).below(u64::MAX), Chance::of(7).below(u64::MAX));
    }

    #[test]
    fn the_bounds_of_probability_are_exact() {
        let mut chance = Chance::of(1);
        assert!((0..1000).all(|_| chance.happens(1.0) && !chance.happens(0.0)));
        assert_eq!(chance.below(0), 0);
    }

    #[test]
    fn gaps_and_latencies_have_the_stated_middle() {
        let mut chance = Chance::of(2);
        let mean = (0..10_000).map(|_| chance.gap(4.0).as_secs_f64()).sum::<f64>() / 10_000.0;
        assert!((0.23..0.27).contains(&mean), "{mean}");
        let median = Duration::from_secs(4);
        let shorter = (0..10_000)
            .filter(|_| chance.around(median, 0.6) < median)
            .count();
        assert!((4_800..5_200).contains(&shorter), "{shorter}");
    }
}
