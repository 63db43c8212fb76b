//! What is told about waiting is true: random traffic, and every refusal with an instant is tried again at it.
#![allow(missing_docs, reason = "tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;
use verify_core::command::{CancelRequest, CheckRequest, Command, SendRequest};
use verify_core::flow::Step;
use verify_core::outcome::{Answer, CheckAnswer, RefusalCode, SendAnswer};
use verify_core::port::{Detail, Dispatched, Rejection, RejectionKind};
use verify_core::time::{Timestamp, Until};
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Kinds, World};
use verify_tests::{Asks, code, policy, send, sent, wrong};

/// Small limits, so that random traffic runs into all of them.
const TIGHT: &str = r#"
version = 1
[code]
ttl = "5m"
[[limit]]
name = "sends_per_ip"
max = 4
[[limit]]
name = "sends_per_prefix"
max = 12
then = "refuse"
[[limit]]
name = "checks_per_ip"
max = 9
"#;

#[derive(Debug, Clone)]
enum Act {
    Send { who: u8, call: bool, ip: u8 },
    Check { who: u8, right: bool, ip: u8 },
    Cancel { who: u8 },
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0u8..2, any::<bool>(), 0u8..3).prop_map(|(who, call, ip)| Act::Send { who, call, ip }),
        4 => (0u8..2, prop::bool::weighted(0.1), 0u8..3).prop_map(|(who, right, ip)| Act::Check { who, right, ip }),
        1 => (0u8..2).prop_map(|who| Act::Cancel { who }),
        4 => prop_oneof![0u64..40_000, 0u64..200_000, Just(60_000), Just(30_000)].prop_map(Act::Wait),
    ]
}

fn address(host: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, host).into()
}

fn to(who: u8) -> String {
    format!("+1202555012{who}")
}

fn command(world: &World, act: &Act, ids: &[String; 2]) -> Option<Command> {
    match act {
        Act::Send { who, call, ip } => {
            let channel = if *call { Channel::Call } else { Channel::Sms };
            let send = SendRequest::to(to(*who)).by(channel);
            Some(send.ip(address(*ip)).into())
        }
        Act::Check { who, right, ip } => {
            let code = world
                .code_for(&to(*who))
                .map_or("123456".into(), |code| code.expose().to_owned());
            let code = if *right { code } else { wrong(&code) };
            let check = CheckRequest::to(to(*who), code);
            Some(check.ip(address(*ip)).into())
        }
        Act::Cancel { who } => ids
            .get(usize::from(*who))
            .filter(|id| !id.is_empty())
            .map(|id| CancelRequest::of(id).into()),
        Act::Wait(_) => None,
    }
}

/// The same request at the instant that was told, and a millisecond before it.
fn told_the_truth(world: &World, command: &Command, until: Timestamp) -> Result<(), TestCaseError> {
    let waited = |at: Timestamp| {
        let mut world = world.clone();
        world.now = at;
        world.run(command.clone()).0.answer.unwrap()
    };
    let refused_by_time =
        |answer: &Answer| answer.refusal().is_some_and(|refusal| refusal.retry_at.is_some());
    let at = waited(until);
    prop_assert!(!refused_by_time(&at), "i43: told {until:?}, and then {at:?}");
    if until > world.now {
        let before = waited(Timestamp::from_millis(until.as_millis() - 1));
        prop_assert!(
            refused_by_time(&before),
            "i43: admitted before {until:?}: {before:?}"
        );
    }
    Ok(())
}

fn traffic(kinds: Kinds, acts: &[Act]) -> Result<(), TestCaseError> {
    let mut world = World::new(policy(TIGHT), kinds);
    let mut ids = [String::new(), String::new()];
    for act in acts {
        if let Act::Wait(ms) = act {
            world.advance(Duration::from_millis(*ms));
            continue;
        }
        let Some(command) = command(&world, act, &ids) else {
            continue;
        };
        let before = world.clone();
        let answer = world.run(command.clone()).0.answer.unwrap();
        match (&answer, act) {
            (Answer::Send(SendAnswer::Sent(sent)), Act::Send { who, .. }) => {
                ids[usize::from(*who)].clone_from(&sent.id);
                // I-53: what was sent can be checked, as far as this person's own rules go.
                let guess = world.code_for(&to(*who)).unwrap();
                let check = CheckRequest::to(to(*who), guess.expose());
                let answer = world.clone().ask(check.ip(address(200)));
                prop_assert!(
                    matches!(answer, CheckAnswer::Approved(_)),
                    "i53: a code that cannot be checked: {answer:?}"
                );
            }
            (answer, _) => {
                if let Some(Until::At(until)) = answer.refusal().and_then(|refusal| refusal.retry_at) {
                    told_the_truth(&before, &command, until)?;
                }
            }
        }
    }
    Ok(())
}

/// A provider caps the destination: whatever else stands against the same send, what is told holds to the millisecond, and
/// nobody is asked before.
fn capped(before: &[Act], by: Channel, said: Option<u64>) -> Result<(), TestCaseError> {
    let mut world = World::new(policy(TIGHT), Kinds::Own);
    for act in before {
        match (act, command(&world, act, &[String::new(), String::new()])) {
            (Act::Wait(ms), _) => world.advance(Duration::from_millis(*ms)),
            (_, Some(command)) => drop(world.run(command)),
            (_, None) => {}
        }
    }
    let send = SendRequest::to(to(0)).by(by).ip(address(0));
    let mut step = world.start(send.clone());
    let answer = loop {
        step = match step {
            Step::Dispatch(asked) => {
                let cap = Rejection {
                    kind: RejectionKind::DestinationQuota,
                    retry_after: said.map(Duration::from_millis),
                    detail: Detail::default(),
                };
                asked.resume(world.now, Dispatched::Rejected(cap))
            }
            Step::Done(outcome) => break outcome.answer.unwrap(),
            step => world.perform(step),
        };
    };
    let refusal = answer
        .refusal()
        .filter(|refusal| refusal.code == RefusalCode::RateLimited);
    let Some(Until::At(until)) = refusal.and_then(|refusal| refusal.retry_at) else {
        return Ok(());
    };
    let dispatched = world.dispatches;
    let early = Timestamp::from_millis(until.as_millis() - 1);
    for at in [world.now + Duration::from_millis(1), early] {
        let mut world = world.clone();
        world.now = at.min(early);
        let (outcome, trips) = world.run(send.clone());
        let refusal = outcome.refusal().and_then(|refusal| refusal.retry_at);
        prop_assert_eq!(
            refusal,
            Some(Until::At(until)),
            "i134: told another wait, or none"
        );
        prop_assert_eq!((trips, world.dispatches), (1, dispatched));
    }
    world.now = until;
    let (outcome, _) = world.run(send);
    let sent = matches!(outcome.answer, Ok(Answer::Send(SendAnswer::Sent(_))));
    prop_assert!(sent, "i134: told {until:?}, and then {outcome:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn i43_every_wait_is_true_with_own_codes(acts in prop::collection::vec(act(), 1..60)) {
        traffic(Kinds::Own, &acts)?;
    }

    #[test]
    fn i134_a_cap_of_the_provider_holds_until_the_stated_instant(
        before in prop::collection::vec(act(), 0..20),
        call in any::<bool>(),
        said in prop_oneof![
            Just(None),
            prop_oneof![Just(0), 0u64..20_000, Just(600_000), Just(86_400_000), Just(604_800_000)].prop_map(Some),
        ],
    ) {
        capped(&before, if call { Channel::Call } else { Channel::Sms }, said)?;
    }

    #[test]
    fn i53_every_wait_is_true_with_managed_codes(acts in prop::collection::vec(act(), 1..60)) {
        traffic(Kinds::Managed, &acts)?;
    }
}

#[test]
fn i43_the_view_tells_when_to_send_again() {
    let mut world = World::new(policy("version = 1"), Kinds::Own);
    for _ in 0..3 {
        let sent = sent(world.ask(send()));
        let Until::At(at) = sent.resend_at else {
            panic!("{sent:?}")
        };
        world.now = Timestamp::from_millis(at.as_millis() - 1);
        let early = world.clone().ask(send());
        assert!(!matches!(early, SendAnswer::Sent(_)), "{early:?}");
        world.now = at;
    }
    let code = code(&world);
    assert!(!code.is_empty());
}
