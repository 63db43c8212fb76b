//! Digests of states. A search of 10^7 states that told them apart by 64 bits would miss one by chance in a hundred
//! thousand searches; with 128 bits it never does.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Two hashers over the same bytes, the second behind a prefix of its own.
struct Wide {
    low: DefaultHasher,
    high: DefaultHasher,
}

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        self.low.write(bytes);
        self.high.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.low.finish()
    }
}

/// 128 bits that stand for a value.
pub(crate) fn digest(value: &impl Hash) -> u128 {
    let mut wide = Wide {
        low: DefaultHasher::new(),
        high: DefaultHasher::new(),
    };
    wide.high.write_u8(1);
    value.hash(&mut wide);
    u128::from(wide.high.finish()) << 64 | u128::from(wide.low.finish())
}
