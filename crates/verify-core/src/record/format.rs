//! The bytes of a record: a format byte, and the body behind it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{Row, StoreFault};

/// The first byte.
const FORMAT: u8 = 3;

/// A record that has no bytes. None that a flow makes is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record cannot be written")]
pub struct Unwritable;

pub(super) fn encoded(body: &impl Serialize) -> Result<Vec<u8>, Unwritable> {
    // Room for a verification or two: a list that grows byte by byte is moved half a dozen times.
    let mut bytes = Vec::with_capacity(256);
    bytes.push(FORMAT);
    postcard::to_extend(body, bytes).map_err(|_| Unwritable)
}

/// The body, when the format is this one.
pub(super) fn decoded<T: DeserializeOwned>(row: &Row) -> Result<T, StoreFault> {
    match row.bytes.split_first() {
        Some((&FORMAT, body)) => {
            let unreadable = || StoreFault::corrupt("a record is not in its format");
            let (body, rest) = postcard::take_from_bytes(body).map_err(|_| unreadable())?;
            rest.is_empty().then_some(body).ok_or_else(unreadable)
        }
        Some(_) | None => Err(StoreFault::corrupt("a record is of another format")),
    }
}
