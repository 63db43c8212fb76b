//! Whether the target of the machine would notice: its corpus, on machines that lack a rule.
//!
//! Four of them it cannot notice, because it holds nothing about who is known, which mailboxes are one, and what a provider
//! says is over: the token of another kind, limits that strangers share with known callers, mailboxes that are taken for one,
//! and what is ended though it is newer.
#![cfg(verify_broken)]
#![allow(missing_docs, reason = "tests")]

use std::fs;
use std::path::Path;

use verify_core::broken::Broken;
use verify_fuzz::machine_in;

/// Some input of the corpus finds this promise broken.
fn notices(how: Broken, promise: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/machine");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let found = files
        .iter()
        .map(|file| fs::read(file).unwrap())
        .filter_map(|input| machine_in(&input, |world| world.broken(how)).err())
        .any(|what| what.starts_with(promise));
    assert!(found, "nothing in the corpus finds {promise} broken by {how:?}");
}

macro_rules! notices {
    ($($test:ident: $how:ident breaks $promise:literal),+ $(,)?) => {$(
        #[test]
        fn $test() {
            notices(Broken::$how, concat!($promise, ":"));
        }
    )+};
}

notices! {
    charge_after_dispatch: ChargeAfterDispatch breaks "i48",
    count_after_compare: CountAfterCompare breaks "i06",
    ignore_expected_version: IgnoreExpectedVersion breaks "i35",
    reset_failures_on_resend: ResetFailuresOnResend breaks "i03",
    reset_on_unknown: ResetOnUnknown breaks "i07",
    resend_after_unknown: ResendAfterUnknown breaks "i51",
    approve_without_compare_and_swap: ApproveWithoutCompareAndSwap breaks "i02",
    extend_expiry_on_resend: ExtendExpiryOnResend breaks "i22",
    skip_one_limit: SkipOneLimit breaks "i48",
}
