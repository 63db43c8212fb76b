//! The stamps of a window, kept so that the usual one costs no memory of its own and a copy costs next to nothing.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Stamp;

/// Stamps, oldest first. A state is copied several times on its way through a store and a flow, and most windows hold
/// one stamp: that one lies in the state itself, and more of them are shared between the copies.
///
/// One stamp is always [`Stamps::One`], so that equal stamps compare and hash alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum Stamps {
    One(Stamp),
    Other(Arc<[Stamp]>),
    #[default]
    None,
}

impl Stamps {
    /// `stamps` and a later one.
    pub(super) fn with_last(stamps: &[Stamp], last: Stamp) -> Self {
        match stamps {
            [] => Self::One(last),
            several => Self::Other(several.iter().copied().chain([last]).collect()),
        }
    }

    pub(super) fn as_slice(&self) -> &[Stamp] {
        match self {
            Self::None => &[],
            Self::One(stamp) => std::slice::from_ref(stamp),
            Self::Other(stamps) => stamps,
        }
    }
}

impl From<&[Stamp]> for Stamps {
    fn from(stamps: &[Stamp]) -> Self {
        match stamps {
            [] => Self::None,
            [only] => Self::One(*only),
            several => Self::Other(several.into()),
        }
    }
}

impl Serialize for Stamps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Stamps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stamps = Vec::<Stamp>::deserialize(deserializer)?;
        Ok(stamps.as_slice().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn stamp(at: u64) -> Stamp {
        Stamp {
            at: Timestamp::from_millis(at),
            units: 1,
        }
    }

    #[test]
    fn however_they_came_together_they_are_equal_and_packed_as_a_list() {
        let list: Vec<Stamp> = (1..=4).map(stamp).collect();
        for length in 0..=list.len() {
            let stamps = Stamps::from(&list[..length]);
            assert_eq!(stamps.as_slice(), &list[..length]);
            let packed = postcard::to_allocvec(&stamps).unwrap();
            assert_eq!(packed, postcard::to_allocvec(&list[..length]).unwrap());
            assert_eq!(postcard::from_bytes::<Stamps>(&packed).unwrap(), stamps);
            if let Some((last, before)) = list[..length].split_last() {
                assert_eq!(Stamps::with_last(before, *last), stamps);
            }
        }
    }

    #[test]
    fn they_take_no_more_room_than_a_list_does() {
        assert!(size_of::<Stamps>() <= size_of::<Vec<Stamp>>());
    }
}
