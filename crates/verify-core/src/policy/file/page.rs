//! What is printed as a policy file.

use std::fmt::Display;
use std::time::Duration;

use serde_json::Value;

use super::duration;
use super::words::Word;

/// The text so far, and the tables that the next one stands in (`services.acme.`).
#[derive(Default)]
pub(crate) struct Page {
    text: String,
    prefix: String,
}

impl Page {
    /// The text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// Prints tables that stand in another one.
    pub(crate) fn within(&mut self, table: &str, print: impl FnOnce(&mut Self)) {
        let outer = self.prefix.len();
        self.prefix.push_str(table);
        self.prefix.push('.');
        print(self);
        self.prefix.truncate(outer);
    }

    /// Prints what is not inherited as it is.
    pub(crate) fn new_of<T: PartialEq>(
        &mut self,
        own: &T,
        inherited: Option<&T>,
        print: impl FnOnce(&T, &mut Self),
    ) {
        if inherited != Some(own) {
            print(own, self);
        }
    }

    /// Begins a table; the empty name is the prefix's own table.
    pub(crate) fn header(&mut self, name: &str) {
        let table = format!("{}{name}", self.prefix);
        self.line(format_args!("\n[{}]", table.trim_end_matches('.')));
    }

    /// Begins a table of a list.
    pub(crate) fn entry(&mut self, name: &str) {
        let table = format!("{}{name}", self.prefix);
        self.line(format_args!("\n[[{table}]]"));
    }

    /// A key and its value as TOML.
    pub(crate) fn pair(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {value}"));
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.pair(key, quoted(text));
    }

    pub(crate) fn texts(&mut self, key: &str, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        let texts: Vec<_> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
        self.pair(key, format_args!("[{}]", texts.join(", ")));
    }

    pub(crate) fn word(&mut self, key: &str, choice: impl Word) {
        self.text(key, choice.word());
    }

    pub(crate) fn words<T: Word>(&mut self, key: &str, choices: &[T]) {
        self.texts(key, choices.iter().map(|choice| choice.word()));
    }

    /// One of two words, where the policy keeps a flag.
    pub(crate) fn either(&mut self, key: &str, flag: bool, yes: &str, no: &str) {
        self.text(key, if flag { yes } else { no });
    }

    pub(crate) fn span(&mut self, key: &str, span: Duration) {
        self.text(key, &duration::print(span));
    }

    fn line(&mut self, line: impl Display) {
        self.text.push_str(&format!("{line}\n"));
    }
}

/// A text in quotes. A text of JSON is one of TOML too, but that TOML wants one control more escaped.
pub(crate) fn quoted(content: &str) -> String {
    Value::from(content).to_string().replace('\u{7f}', "\\u007f")
}

/// A key: bare where TOML allows it.
pub(crate) fn key_text(name: &str) -> String {
    let bare = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare && !name.is_empty() {
        name.into()
    } else {
        quoted(name)
    }
}
