//! What the outside says in its own words, kept for operators with everything personal masked.

use serde::{Deserialize, Serialize};

/// The own words of a provider or a store, for operators. Numbers and mailboxes are masked when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Detail {
    /// Its code, where it has one.
    pub code: Option<u32>,
    message: String,
}

impl Detail {
    /// A detail; the message is cut to 300 characters, and what looks like a number or a mailbox is masked.
    pub fn new(code: Option<u32>, message: &str) -> Self {
        Self {
            code,
            message: masked(message),
        }
    }

    /// The masked message.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Masks runs with five or more digits (see [`breaks_up`] for what may stand between them) and words with an `@`, as it
/// is or as it stands in an address; control characters become spaces.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !out.is_empty() {
            out.push(' ');
        }
        if word.contains(['@', '\u{fe6b}', '\u{ff20}']) || word.contains("%40") {
            out.push_str("[mailbox]");
        } else {
            out.push_str(word);
        }
    }
    // Cut last: half a mailbox has no `@`, and half a number too few digits.
    mask_digit_runs(&out).chars().take(300).collect()
}

/// True for what people and programs put between the digits of one number: the usual marks, every dash, and characters
/// that nobody sees.
fn breaks_up(c: char) -> bool {
    matches!(
        c,
        '+' | ' ' | '-' | '.' | '(' | ')' | '/' | '\u{b7}' | '\u{2010}'
            ..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    ) || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// True for what does so with a digit on either side, and elsewhere parts one thing from another.
fn joins(c: char) -> bool {
    matches!(c, ',' | ':' | '_' | '*')
}

fn mask_digit_runs(text: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    let mut digits = 0_usize;
    let flush = |run: &mut String, digits: &mut usize, out: &mut String| {
        if *digits >= 5 {
            out.push_str("[number]");
            out.extend(run.chars().rev().take_while(|c| *c == ' ' || *c == '.'));
        } else {
            out.push_str(run);
        }
        run.clear();
        *digits = 0;
    };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let joined = || joins(c) && run.ends_with(char::is_numeric);
        if c.is_numeric() {
            run.push(c);
            digits += 1;
        } else if (breaks_up(c) && (!run.is_empty() || c == '+'))
            || (joined() && chars.peek().is_some_and(|next| next.is_numeric()))
        {
            run.push(c);
        } else {
            flush(&mut run, &mut digits, &mut out);
            out.push(c);
        }
    }
    flush(&mut run, &mut digits, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i65_numbers_and_mailboxes_are_masked_for_operators_too() {
        for (said, kept) in [
            (
                "Invalid parameter `To`: +12025550110",
                "Invalid parameter `To`: [number]",
            ),
            (
                "The number +1 (202) 555-0110 is blocked",
                "The number [number] is blocked",
            ),
            (
                "+1\u{a0}202\u{a0}555\u{a0}0110 and 202\u{2011}555\u{2011}0110, 202\u{2013}555\u{2013}0110",
                "[number] and [number], [number]",
            ),
            (
                "call 202,555,0110 or 202_555_0110, 202:555:0110",
                "call [number] or [number], [number]",
            ),
            ("no mailbox ann@example.com here", "no mailbox [mailbox] here"),
            (
                "/Verifications/ann%40example.com was not found",
                "[mailbox] was not found",
            ),
            ("bell\u{7}rings", "bell rings"),
            ("code 60203, 5 of 5", "code [number], 5 of 5"),
            ("try 3 of 10", "try 3 of 10"),
        ] {
            assert_eq!(Detail::new(None, said).message(), kept);
        }
        assert!(Detail::new(None, &"x".repeat(9_000)).message().len() <= 300);
        let at_the_cut = format!("{} ann.lee@example.com", "x".repeat(292));
        assert!(!Detail::new(None, &at_the_cut).message().contains("ann"));
        let at_the_cut = format!("{} 2025550110", "x".repeat(295));
        assert!(!Detail::new(None, &at_the_cut).message().contains('2'));
    }
}
