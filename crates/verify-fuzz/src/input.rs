//! Bytes as what the bodies need. Total: whatever the bytes are, something comes out.

use std::borrow::Cow;

/// A byte for choices, and the rest; zero when there is none.
pub(crate) fn choice(data: &[u8]) -> (usize, &[u8]) {
    data.split_first()
        .map_or((0, data), |(first, rest)| (usize::from(*first), rest))
}

/// The bytes as text; what is no UTF-8 becomes replacement characters.
pub(crate) fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// As many texts as are asked for, one a line, the last one with all that is left: a corpus can be read and written
/// by hand.
pub(crate) fn lines<const N: usize>(data: &[u8]) -> [Cow<'_, str>; N] {
    let mut parts = data.splitn(N, |byte| *byte == b'\n');
    std::array::from_fn(|_| text(parts.next().unwrap_or_default()))
}
