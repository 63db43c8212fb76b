//! The words of a policy file: one spelling for each choice, for reading and for printing.

use crate::vocabulary::{Channel, Dimension, Purpose};

/// A choice that has a word.
pub trait Word: Copy + 'static {
    /// Every choice, in the order of the manual.
    const ALL: &'static [Self];

    /// Its word.
    fn word(self) -> &'static str;

    /// The choice of a word.
    fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.word() == word)
    }

    /// All words, for messages: `same, new`.
    fn all_words() -> String {
        let words: Vec<_> = Self::ALL.iter().map(|known| known.word()).collect();
        words.join(", ")
    }
}

/// The words of a choice: `words! { Resend { Same = "same", New = "new" } }`.
macro_rules! words {
    ($choice:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $crate::policy::file::Word for $choice {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

pub(crate) use words;

macro_rules! words_of_the_domain {
    ($($choice:ident)+) => { $(
        impl Word for $choice {
            const ALL: &'static [Self] = $choice::ALL;

            fn word(self) -> &'static str {
                self.as_str()
            }
        }
    )+ };
}

words_of_the_domain! { Channel Dimension Purpose }
