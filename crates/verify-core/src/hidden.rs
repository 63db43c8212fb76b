//! Characters that nobody sees: white space other than the space itself, controls, and what a screen leaves out (marks of
//! direction, joiners, zero-width spaces). They come along when text is copied, and make two texts of what looks like one.

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// True for a character that stands in no field on purpose.
pub(crate) fn is_hidden(c: char) -> bool {
    c != ' ' && (c.is_whitespace() || c.is_control() || is_mark(c))
}

/// The text without white space and marks around it. Controls stay: nobody copies them by accident.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_mark(c))
}

fn is_mark(c: char) -> bool {
    // The property's first character is the soft hyphen; of ASCII, which is nearly all there is, nothing is looked up.
    !c.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i136_what_nobody_sees_is_hidden_and_what_is_seen_is_not() {
        for c in [
            '\t',
            '\n',
            '\r',
            '\0',
            '\u{a0}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{2028}',
            '\u{202a}',
            '\u{202c}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3000}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{e0020}',
        ] {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in [' ', '-', '+', '0', 'a', 'é', '漢', '€', '•', '☎'] {
            assert!(!is_hidden(c), "{c:?}");
        }
    }

    #[test]
    fn i136_it_is_dropped_at_the_ends_alone() {
        assert_eq!(trimmed("\u{202a}\t 1 \u{200b}2\u{202c}\n"), "1 \u{200b}2");
        assert_eq!(trimmed("\u{feff}\u{a0} "), "");
        assert_eq!(trimmed("1\0"), "1\0");
    }
}
