//! Characters that nobody sees: white space other than the space itself, controls, and what a screen leaves out (marks of
//! direction, joiners, zero-width spaces). They come along when text is copied, and make two texts of what looks like one.

/// Unicode's `Default_Ignorable_Code_Point`. It has room for marks to come, so that it hardly ever changes; the crate that
/// knows all properties is much larger, and a test compares the two.
const MARKS: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// True for a character that stands in no field on purpose.
pub(crate) fn is_hidden(c: char) -> bool {
    c != ' ' && (c.is_whitespace() || c.is_control() || is_mark(c))
}

/// The text without white space and marks around it. Controls stay: nobody copies them by accident.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_mark(c))
}

/// What people write between digits, as the character of ASCII that it looks like: `None` for anything but a space of some width,
/// a hyphen or a dash. Telephones and pages put the unbreakable ones into numbers and codes, and nobody sees the difference.
pub(crate) fn between_digits(c: char) -> Option<char> {
    match c {
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{2028}' | '\u{2029}' => None,
        _ => (c.is_whitespace() && !c.is_control()).then_some(' '),
    }
}

fn is_mark(c: char) -> bool {
    // Of ASCII, which is nearly all there is, nothing is looked up.
    !c.is_ascii() && MARKS.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    use icu_properties::CodePointSetData;
    use icu_properties::props::DefaultIgnorableCodePoint;

    use super::*;

    #[test]
    fn i136_the_marks_are_unicode_s() {
        let property = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        for c in '\0'..=char::MAX {
            assert_eq!(is_mark(c), property.contains(c), "{c:?}");
        }
    }

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
