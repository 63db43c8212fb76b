//! The comparison disagrees with machines that lack a rule, wherever an answer can show it.

use proptest::prelude::*;
use verify_core::broken::Broken;
use verify_lab::explore::Kinds;

use crate::acts::{rules, with_mishaps};
use crate::{config, with_machine};

/// Machines whose missing rule no answer shows: three take a race of two commands, one a second provider, and one a store that
/// lost its data.
const UNSEEN: [Broken; 5] = [
    Broken::IgnoreExpectedVersion,
    Broken::ApproveWithoutCompareAndSwap,
    Broken::ResendAfterUnknown,
    Broken::EndWhatIsNewer,
    Broken::CountOnWhatIsLost,
];

/// The comparison disagrees with a machine that lacks this rule.
fn notices(broken: Broken) {
    let found = [Kinds::Own, Kinds::Managed].into_iter().any(|kinds| {
        let config = ProptestConfig {
            max_shrink_iters: 0,
            ..config(1_500)
        };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let acts = prop::collection::vec(with_mishaps(), 1..60);
        let run = runner.run(&(rules(), acts), |(rules, acts)| {
            with_machine(kinds, |world| world.broken(broken), &rules, &acts)
        });
        run.is_err()
    });
    assert!(found, "nobody noticed {}", broken.as_str());
}

macro_rules! noticed {
    ($($name:ident: $how:ident),+ $(,)?) => {
        const SEEN: &[(&str, Broken)] = &[$((stringify!($name), Broken::$how)),+];
        $(
            #[test]
            fn $name() {
                notices(Broken::$how);
            }
        )+
    };
}

noticed! {
    charge_after_dispatch_is_noticed: ChargeAfterDispatch,
    count_after_compare_is_noticed: CountAfterCompare,
    reset_failures_on_resend_is_noticed: ResetFailuresOnResend,
    reset_on_unknown_is_noticed: ResetOnUnknown,
    extend_expiry_on_resend_is_noticed: ExtendExpiryOnResend,
    skip_one_limit_is_noticed: SkipOneLimit,
    accept_token_of_another_kind_is_noticed: AcceptTokenOfAnotherKind,
    share_between_standings_is_noticed: ShareBetweenStandings,
    share_between_mailboxes_is_noticed: ShareBetweenMailboxes,
}

#[test]
fn every_broken_machine_is_noticed_or_cannot_be() {
    for broken in Broken::ALL {
        let name = format!("{}_is_noticed", broken.as_str());
        let seen = SEEN.contains(&(name.as_str(), *broken));
        assert!(seen != UNSEEN.contains(broken), "{name}");
    }
}
