//! How a policy file is read and printed, whatever it says: texts to values, tables to keys, and every fault with the
//! path of its key.
//!
//! Nothing here knows a section of the policy.

mod duration;
mod errors;
mod money;
mod page;
mod report;
mod section;
pub(super) mod source;
mod values;
mod words;

pub use errors::PolicyErrors;

pub(super) use duration::{FORM as SPAN, parse as parse_span, print as print_span};
pub(super) use money::{at_most as at_most_amount, print as print_amount};
pub(super) use page::{Page, key_text, quoted};
pub(super) use report::Report;
pub(super) use section::{Section, camel_case, join};
pub(super) use values::{
    MOST_UNITS, NONE, Read, UNLIMITED, describe, either, env_name, flag, integer, is_name, list, name,
    or_none, span, unshown_text, word, word_list, wrong,
};
pub(super) use words::{Word, words};
