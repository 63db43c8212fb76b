//! What is told about waiting is true: random traffic, and every refusal with an instant is tried again at it.
#![allow(missing_docs, reason = "tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;
use verify_core::command::{CancelRequest, CheckRequest, Command, SendRequest};
use verify_core::outcome::{Answer, CheckAnswer, SendAnswer};
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn i43_every_wait_is_true_with_own_codes(acts in prop::collection::vec(act(), 1..60)) {
        traffic(Kinds::Own, &acts)?;
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
