//! Values that must not be printed, left in memory or compared byte by byte.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A value that shows itself only to whoever asks for it by name.
///
/// `Debug` prints `Secret(**)`, the memory is overwritten on drop, and there is no `==`: compare with
/// [`Secret::matches`], which takes the same time wherever two values first differ.
///
/// ```compile_fail,E0369
/// use verify_core::secret::SecretString;
/// let secret = SecretString::new("a".into());
/// let _ = secret == SecretString::new("b".into());
/// ```
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

/// A secret text.
pub type SecretString = Secret<String>;

impl<T: Zeroize> Secret<T> {
    /// Takes the value in. Copies that the caller made before are the caller's to clear.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. What is made from it is outside this type's care.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// True when both hold the same bytes. Values of different lengths are told apart at once: a length is
    /// not secret, the bytes are.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_ref().ct_eq(other.0.as_ref()).into()
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(**)")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn i20_debug_shows_nothing() {
        let secret = SecretString::new("correct horse".into());
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret)),
            "Secret(**) Some(\n    Secret(**),\n)"
        );
        assert_eq!(secret.expose(), "correct horse");
    }

    #[test]
    fn i21_matches_the_same_bytes_only() {
        let secret = |text: &str| SecretString::new(text.into());
        assert!(secret("123456").matches(&secret("123456")));
        for other in ["", "12345", "1234567", "023456", "123450", "123406"] {
            assert!(!secret("123456").matches(&secret(other)), "{other}");
        }
    }

    #[test]
    fn a_dropped_secret_is_overwritten() {
        struct Probe<'a>(&'a Cell<u8>);
        impl Zeroize for Probe<'_> {
            fn zeroize(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let wiped = Cell::new(0);
        drop(Secret::new(Probe(&wiped)));
        assert_eq!(wiped.get(), 1);
    }
}
