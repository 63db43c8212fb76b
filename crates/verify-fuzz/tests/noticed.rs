//! Whether the target of the machine would notice: what its corpus does, on machines that lack a rule.
#![allow(missing_docs, reason = "tests")]

use std::fs;
use std::path::Path;

use verify_core::broken::Broken;
use verify_fuzz::machine_in;

/// The promise that the first input of the corpus finds broken.
fn noticed(how: Broken) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/machine");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let inputs = files.iter().map(|file| fs::read(file).unwrap());
    inputs
        .map(|input| machine_in(&input, |world| world.broken(how)))
        .find_map(Result::err)
}

macro_rules! notices {
    ($($test:ident: $how:ident),+ $(,)?) => {$(
        #[test]
        fn $test() {
            let found = noticed(Broken::$how);
            println!("{found:?}");
            assert!(found.is_some());
        }
    )+};
}

notices! {
    charge_after_dispatch: ChargeAfterDispatch,
    count_after_compare: CountAfterCompare,
    ignore_expected_version: IgnoreExpectedVersion,
    reset_failures_on_resend: ResetFailuresOnResend,
    reset_on_unknown: ResetOnUnknown,
    resend_after_unknown: ResendAfterUnknown,
    approve_without_compare_and_swap: ApproveWithoutCompareAndSwap,
    extend_expiry_on_resend: ExtendExpiryOnResend,
    skip_one_limit: SkipOneLimit,
    accept_token_of_another_kind: AcceptTokenOfAnotherKind,
    share_between_standings: ShareBetweenStandings,
}
