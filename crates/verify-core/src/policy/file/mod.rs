//! How a policy file is read and printed, whatever it says: texts to values, tables to keys, and every fault with the
//! path of its key.
//!
//! Nothing here knows a section of the policy. What is public is for readers of sections that are no policy: a
//! [`PolicyFile`](super::PolicyFile) hands them a [`Section`], whose keys they read by the functions here, or by their own.

mod duration;
pub(super) mod errors;
mod money;
mod page;
mod report;
mod section;
pub(super) mod source;
mod values;
mod words;

pub use section::Section;
pub use values::{Read, env_name, is_name, list, unshown_text, word, wrong};
pub use words::Word;

pub(super) use duration::{FORM as SPAN, parse as parse_span, print as print_span};
pub(super) use money::{at_most as at_most_amount, print as print_amount};
pub(super) use page::{Page, key_text, quoted};
pub(super) use report::Report;
pub(super) use section::{camel_case, join};
pub(super) use values::{
    MOST_UNITS, NONE, UNLIMITED, describe, either, flag, integer, name, or_none, span, word_list,
};
pub(super) use words::words;
