//! Languages: what Twilio's own texts are written in, and when an answer turned a language away.

use crate::error_table::names;
use crate::transport::{CallError, Refusal};

/// An unknown thing in the path, or an unknown language.
const NO_SUCH: u16 = 404;
/// A parameter is invalid; the message names it.
const INVALID_PARAMETER: u32 = 60_200;
/// No speech in this language.
const NO_SPEECH: u32 = 60_331;

/// The languages of the default template, by Twilio's list of supported languages.
const KNOWN: [&str; 43] = [
    "af", "ar", "ca", "cs", "da", "de", "el", "en", "en-GB", "es", "et", "fi", "fr", "he", "hi", "hr", "hu",
    "id", "it", "ja", "kn", "ko", "lt", "mr", "ms", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sv",
    "te", "th", "tl", "tr", "uk", "vi", "zh", "zh-CN", "zh-HK",
];

/// The nearest language that Twilio has: the tag itself, or with subtags left out from its end. One of which it has nothing
/// near stays as it is, because a template of the account's own may have it. `None` for no wish.
pub(crate) fn nearest(locale: &str) -> Option<&str> {
    let mut tag = locale;
    // The language of a country: by the number's country is what Twilio chooses itself.
    if tag.is_empty()
        || tag
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("und-"))
    {
        return None;
    }
    loop {
        if let Some(known) = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(tag)) {
            return Some(known);
        }
        match tag.rsplit_once('-') {
            Some((shorter, _)) => tag = shorter,
            None => return Some(locale),
        }
    }
}

/// True for a refusal that may be the language's fault. Each of them says that nothing was processed.
pub(crate) fn is_turned_away<T>(answer: &Result<T, CallError>) -> bool {
    let Err(CallError::Refused(Refusal { http, detail, .. })) = answer else {
        return false;
    };
    let names_it = detail.code == Some(INVALID_PARAMETER) && names(detail.message(), "Locale");
    *http == NO_SUCH || detail.code == Some(NO_SPEECH) || names_it
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i132_the_nearest_known_language_is_taken() {
        for (asked, taken) in [
            ("de", Some("de")),
            ("DE", Some("de")),
            ("de-DE", Some("de")),
            ("de-Latn-AT-1996", Some("de")),
            ("pt-br", Some("pt-BR")),
            ("pt-PT", Some("pt")),
            ("en-AU", Some("en")),
            ("en-GB-oed", Some("en-GB")),
            ("zh-Hant-TW", Some("zh")),
            ("eu", Some("eu")),
            ("eu-ES", Some("eu-ES")),
            ("und-DE", None),
            ("", None),
        ] {
            assert_eq!(nearest(asked), taken, "{asked}");
        }
    }

    #[test]
    fn i132_every_known_language_is_taken_as_it_is_however_it_is_written() {
        for known in KNOWN {
            for asked in [
                known.to_owned(),
                known.to_lowercase(),
                known.to_uppercase(),
                format!("{known}-x-any"),
            ] {
                assert_eq!(nearest(&asked), Some(known), "{asked}");
            }
        }
    }
}
