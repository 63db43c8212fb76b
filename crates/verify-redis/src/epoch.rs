//! The store's epoch, and its list of services. Each service has the epoch that the store had when it was first heard of; one that had
//! something once and has no epoch now has lost it, and begins one that nobody accepted.

use rand::TryRng;
use rand::rngs::SysRng;
use redis::Value;
use verify_core::store::{Epoch, Origin, StoreFault};
use verify_core::time::Timestamp;

/// A random name for an epoch that may begin.
pub(crate) fn name() -> Result<[u8; 16], StoreFault> {
    let mut name = [0; 16];
    let drawn = SysRng.try_fill_bytes(&mut name);
    drawn.map_err(|error| StoreFault::unavailable(&format!("no randomness: {error}")))?;
    Ok(name)
}

/// What a hash has of an epoch.
pub(crate) const FIELDS: [&str; 4] = ["epoch", "made", "accepted", "moved"];

/// The values of [`FIELDS`]. `None`: there is no epoch in it.
pub(crate) fn found(values: Value, clock: Timestamp) -> Result<Option<Origin>, StoreFault> {
    type Found = (Option<Vec<u8>>, Option<u64>, Option<u64>, Option<u64>);
    let (epoch, made, accepted, moved): Found = redis::from_redis_value(values).map_err(|_| broken())?;
    let Some(epoch) = epoch else { return Ok(None) };
    Ok(Some(Origin {
        epoch: Epoch(epoch.try_into().map_err(|_| broken())?),
        made: Timestamp::from_millis(made.unwrap_or(0)),
        accepted: accepted == Some(1),
        moved: moved
            .map(Timestamp::from_millis)
            .filter(|moved| *moved > Timestamp::ZERO),
        clock,
    }))
}

fn broken() -> StoreFault {
    StoreFault::corrupt("the store's epoch is not in its format")
}

/// What the store says of itself, and whether it knows the service that was named.
pub(crate) fn read(answer: Value) -> Result<(Origin, bool), StoreFault> {
    let said: (Vec<u8>, u64, u64, u64, u64, u64) = redis::from_redis_value(answer).map_err(|_| broken())?;
    let (epoch, made, accepted, moved, clock, has_lane) = said;
    let origin = Origin {
        epoch: Epoch(epoch.try_into().map_err(|_| broken())?),
        made: Timestamp::from_millis(made),
        accepted: accepted == 1,
        moved: Some(Timestamp::from_millis(moved)).filter(|moved| *moved > Timestamp::ZERO),
        clock: Timestamp::from_millis(clock),
    };
    Ok((origin, has_lane == 1))
}
