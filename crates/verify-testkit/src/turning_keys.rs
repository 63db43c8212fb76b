//! Key rings that are turned while engines serve.

use std::sync::Arc;

use parking_lot::Mutex;
use verify_core::keys::Keys;
use verify_core::port::KeySource;

/// Lends key rings, and others once it is told. Clones lend the same ones.
///
/// ```
/// use verify_core::keys::Keys;
/// use verify_core::port::KeySource;
/// use verify_testkit::TurningKeys;
///
/// let keys = TurningKeys::new(Keys::generate(&[7; 32]));
/// let of_an_engine = keys.clone();
/// keys.turn(keys.keys().rotated(&[8; 32]));
/// assert!(of_an_engine.keys().to_text().matches(&keys.keys().to_text()));
/// ```
#[derive(Debug, Clone)]
pub struct TurningKeys(Arc<Mutex<Arc<Keys>>>);

impl TurningKeys {
    /// These, until they are turned.
    pub fn new(keys: Keys) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(keys))))
    }

    /// Lends these from now on.
    pub fn turn(&self, keys: Keys) {
        *self.0.lock() = Arc::new(keys);
    }
}

impl KeySource for TurningKeys {
    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0.lock())
    }
}
