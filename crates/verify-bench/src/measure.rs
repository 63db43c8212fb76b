//! Pairs of samples, and what they say together.

use std::time::Duration;

use cpu_time::ThreadTime;

/// Why a row has no figure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The scene did not play as it was written: a figure would be of something else.
    #[error("a {0} came out otherwise than the row expects; the row has to follow the product")]
    OtherOutcome(&'static str),
    /// Something could not be set up.
    #[error("{0}")]
    Setup(String),
}

impl BenchError {
    /// [`BenchError::Setup`] with the words of another error.
    pub fn setup(error: &dyn std::fmt::Display) -> Self {
        Self::Setup(error.to_string())
    }
}

/// A result or why there is none.
pub type Measured<T> = Result<T, BenchError>;

/// Processor time for a number of operations.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Time of this thread.
    pub time: Duration,
    /// Operations in it, at least 1.
    pub operations: usize,
}

impl Sample {
    /// Nanoseconds for one operation.
    pub fn nanos(&self) -> f64 {
        self.time.as_secs_f64() * 1e9 / self.operations.max(1) as f64
    }
}

/// Times `work`, which does `operations` operations.
///
/// # Errors
/// What `work` returns.
pub fn timed(operations: usize, work: impl FnOnce() -> Measured<()>) -> Measured<Sample> {
    let began = ThreadTime::now();
    work()?;
    Ok(Sample {
        time: began.elapsed(),
        operations,
    })
}

/// A figure out of several, with the spread of the middle half in percent of it.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// The median.
    pub median: f64,
    /// From the first quartile to the third, in percent of the median.
    pub noise_percent: f64,
}

impl Figure {
    /// The median and spread of some figures; zeros of none.
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let index = figures.len().saturating_sub(1) * quarters / 4;
            figures.get(index).copied().unwrap_or_default()
        };
        let median = at(2);
        Self {
            median,
            noise_percent: if median > 0.0 {
                (at(3) - at(1)) / median * 100.0
            } else {
                0.0
            },
        }
    }
}

impl Figure {
    /// In another unit.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            ..self
        }
    }
}

/// The product against its floor.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// Nanoseconds for one operation of the product.
    pub product: Figure,
    /// The same of the floor.
    pub floor: Figure,
    /// The product's time in units of the floor's.
    pub ratio: Figure,
}

/// Runs both in turns, after a pair that is thrown away.
///
/// # Errors
/// What either returns.
pub fn compare(
    rounds: usize,
    mut product: impl FnMut() -> Measured<Sample>,
    mut floor: impl FnMut() -> Measured<Sample>,
) -> Measured<Comparison> {
    product()?;
    floor()?;
    let (mut products, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (ours, least) = (product()?.nanos(), floor()?.nanos());
        products.push(ours);
        floors.push(least);
        ratios.push(ours / least);
    }
    Ok(Comparison {
        product: Figure::of(products),
        floor: Figure::of(floors),
        ratio: Figure::of(ratios),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_with_the_spread_of_the_middle_half() {
        let figure = Figure::of(vec![100.0, 4.0, 2.0, 5.0, 3.0]);
        assert_eq!((figure.median, figure.noise_percent), (4.0, 50.0));
        assert_eq!(Figure::of(Vec::new()).median, 0.0);
    }

    #[test]
    fn a_pair_is_compared_within_its_round() {
        // The machine gets slower and slower; the ratio does not.
        let sample = |nanos| Sample {
            time: Duration::from_nanos(nanos),
            operations: 1,
        };
        let (mut slow, mut slower) = (0, 0);
        let product = || {
            slow += 1;
            Ok(sample(300 * slow))
        };
        let floor = || {
            slower += 1;
            Ok(sample(100 * slower))
        };
        let ratio = compare(9, product, floor).unwrap().ratio;
        assert!((ratio.median - 3.0).abs() < 1e-9 && ratio.noise_percent < 1e-6);
    }
}
