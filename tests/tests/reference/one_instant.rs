//! Every flow judges an instant alike (I-139), while the clock goes forward. After a jump back a send goes by the stamps of all that it
//! charges, others' too, and a check by those of its limits: they may find over what the others find pending.

use std::time::Duration;

use proptest::prelude::*;
use verify_core::outcome::RefusalCode;
use verify_core::record::Status;
use verify_lab::explore::{Kinds, World};
use verify_lab::reference::{Answers, Ask, CheckAsk, CoreSide, From, Guess, Of, Outside, SendAsk, Told};

use super::acts::{Act, Rules, ask, rules};
use super::{config, policies};

/// What each flow makes of a verification: pending or not, where it says.
fn judged(core: &CoreSide, number: usize) -> Vec<(&'static str, Option<bool>)> {
    let told = |ask: Ask| core.clone().answer(&ask);
    let of = || Of::Verification(number);
    let status = |seen: &Told| match seen {
        Told::Status(seen) => Some(seen.status == Status::Pending),
        _ => None,
    };
    let mut ticked = core.clone();
    ticked.answer(&Ask::Tick);
    let wrong = CheckAsk {
        of: of(),
        guess: Guess::Wrong,
        from: From::default(),
        key: None,
    };
    let mut send = SendAsk::to(of());
    send.human = true;
    vec![
        ("status", status(&told(Ask::Status(number)))),
        ("tick", status(&ticked.answer(&Ask::Status(number)))),
        (
            "cancel",
            Some(matches!(told(Ask::Cancel(number)), Told::Canceled(_))),
        ),
        (
            "check",
            match told(Ask::Check(wrong)) {
                Told::Wrong { .. } => Some(true),
                Told::Refused(refused) if refused.code == RefusalCode::NotFound => Some(false),
                // A limit says no before anything is looked at.
                _ => None,
            },
        ),
        (
            "send",
            match told(Ask::Send(send)) {
                Told::Sent(seen) | Told::Repeated(seen) => Some(seen.verification == number),
                _ => None,
            },
        ),
    ]
}

fn agree(rules: &Rules, acts: &[Act]) -> Result<(), TestCaseError> {
    let mut core = CoreSide::new(World::new(policies(rules.policy()), Kinds::Own));
    let mut log = Vec::new();
    let mut verifications = 0;
    for act in acts {
        log.push(format!("{act:?}"));
        let now = core.world().now;
        match act {
            Act::Wait(ms) => core.outside(Outside::Now(now + Duration::from_millis(*ms))),
            Act::Outside(change) => core.outside(*change),
            Act::Ask(ask) => {
                let mut ask = ask.clone().among(verifications, 0, core.messages());
                // Strangers all: what a known caller sent they do not meet.
                if let Ask::Send(send) = &mut ask {
                    send.from.token = None;
                }
                if let Told::Sent(seen) = core.answer(&ask) {
                    verifications = verifications.max(seen.verification + 1);
                }
            }
            Act::CheckLast(..) | Act::Back(_) => {}
        }
        for number in 0..verifications {
            let said = judged(&core, number);
            let there = said.iter().any(|(_, pending)| pending.is_some());
            let all = |wanted| {
                said.iter()
                    .all(|(_, pending)| pending.is_none_or(|it| it == wanted))
            };
            prop_assert!(
                !there || all(true) || all(false),
                "{rules:?}\n{}\n{number}: {said:?}",
                log.join("\n")
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn i139_every_flow_finds_the_same_pending(
        rules in rules(), acts in prop::collection::vec(ask(), 1..40)
    ) {
        agree(&rules, &acts)?;
    }
}
