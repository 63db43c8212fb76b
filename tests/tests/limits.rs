//! What each word of the policy decides, on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::net::IpAddr;
use std::time::Duration;

use verify_core::command::{CheckRequest, Command, SendRequest};
use verify_core::event::EventKind;
use verify_core::outcome::{Answer, RefusalCode};
use verify_core::port::RejectionKind;
use verify_core::vocabulary::{Channel, Purpose};
use verify_lab::explore::{Kinds, World};
use verify_tests::{TO, approved, check, code, policy, refused, send, sent, world};

fn number(index: u32) -> String {
    format!("+1202555{index:04}")
}

fn sends(world: &mut World, requests: impl IntoIterator<Item = SendRequest>) -> usize {
    let reached = |request| matches!(world.run(Command::Send(request)).0.answer, Answer::Sent(_));
    requests
        .into_iter()
        .map(reached)
        .filter(|reached| *reached)
        .count()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn money_is_capped_and_comes_back_only_when_surely_not_sent() {
    let text = "version = 1\n[prices]\ndefault = \"0.10 USD\"\n[[limit]]\nname = \"spend\"\ncounts = \"spend\"\nby = [\"service\"]\nmax = \"1 USD\"\nper = \"1h\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    world.rejecting.insert("own".into(), RejectionKind::Down);
    assert_eq!(
        sends(&mut world, (100..112).map(|i| SendRequest::to(number(i)))),
        0
    );
    world.rejecting.clear();
    // Nothing was spent. A stranger may spend nine tenths.
    assert_eq!(
        sends(&mut world, (130..160).map(|i| SendRequest::to(number(i)))),
        9
    );
}

#[test]
fn a_tenth_of_shared_limits_is_kept_for_known_callers() {
    let text = "version = 1\n[[limit]]\nname = \"sends_per_service\"\nmax = 20\nthen = \"refuse\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    sent(world.run(send()).0.answer);
    let device = approved(world.run(check(&code(&world))).0.answer).device_token;
    world.advance(Duration::from_secs(31));
    assert_eq!(
        sends(&mut world, (200..240).map(|i| SendRequest::to(number(i)))),
        17
    );
    let mut known = SendRequest::to(TO);
    known.caller.device_token = Some(device);
    sent(world.run(Command::Send(known)).0.answer);
}

#[test]
fn i63_one_ipv6_network_is_one_address() {
    let mut world = world(Kinds::Own);
    let from = |i: u32| SendRequest::to(number(300 + i)).ip(ip(&format!("2001:db8:1:2::{i:x}")));
    assert_eq!(sends(&mut world, (0..20).map(from)), 5);
    let mapped = |i: u32| {
        let text = if i.is_multiple_of(2) {
            "192.0.2.7".to_owned()
        } else {
            "::ffff:192.0.2.7".to_owned()
        };
        SendRequest::to(number(400 + i)).ip(ip(&text))
    };
    assert_eq!(sends(&mut world, (0..20).map(mapped)), 5);
}

#[test]
fn a_named_network_has_limits_of_its_own() {
    let text = "version = 1\n[[network]]\ncidr = \"203.0.113.0/24\"\nlimits = { sends_per_ip = 12 }\n";
    let mut world = World::new(policy(text), Kinds::Own);
    let office = |i: u32| SendRequest::to(number(500 + i)).ip(ip("203.0.113.9"));
    assert_eq!(sends(&mut world, (0..20).map(office)), 12);
    let home = |i: u32| SendRequest::to(number(600 + i)).ip(ip("198.51.100.9"));
    assert_eq!(sends(&mut world, (0..20).map(home)), 5);
}

#[test]
fn a_human_lifts_the_limits_that_ask_for_one_and_is_counted() {
    let text = "version = 1\n[[limit]]\nname = \"sends_per_prefix\"\nmax = 10\n";
    let mut world = World::new(policy(text), Kinds::Own);
    assert_eq!(
        sends(&mut world, (700..730).map(|i| SendRequest::to(number(i)))),
        9
    );
    let again = SendRequest::to(number(730));
    let asked = refused(world.run(Command::Send(again.clone())).0.answer);
    assert_eq!(asked.code, RefusalCode::HumanCheckRequired);
    let robot = SendRequest {
        human_check: Some("robot".into()),
        ..again.clone()
    };
    assert_eq!(
        refused(world.run(Command::Send(robot)).0.answer).code,
        RefusalCode::HumanCheckRequired
    );
    let human = SendRequest {
        human_check: Some("human".into()),
        ..again
    };
    sent(world.run(Command::Send(human)).0.answer);
}

#[test]
fn an_alert_refuses_nothing_and_is_raised_when_the_limit_is_passed() {
    let text = "version = 1\n[[limit]]\nname = \"failures_per_service\"\nmax = 10\n";
    let mut world = World::new(policy(text), Kinds::Own);
    let alerts = |world: &World| verify_tests::events(world, EventKind::LimitAlert);
    for i in 0..12 {
        sent(
            world
                .run(Command::Send(SendRequest::to(number(800 + i * 10_u32))))
                .0
                .answer,
        );
        let guess = Command::Check(CheckRequest::to(number(800 + i * 10_u32), "000000"));
        assert!(matches!(world.run(guess).0.answer, Answer::WrongCode(_)));
    }
    assert_eq!(alerts(&world), 1);
}

#[test]
fn countries_are_blocked_watched_or_asked_for_a_human() {
    let text = "version = 1\n[countries]\nblock = [\"FR\"]\nmonitor = [\"DE\"]\nhuman_check = [\"GB\"]\n[countries.NL]\nchannels = [\"call\"]\n";
    let mut world = World::new(policy(text), Kinds::Own);
    let answer = |world: &mut World, request| world.run(Command::Send(request)).0;
    assert_eq!(
        refused(answer(&mut world, SendRequest::to("+33612345678")).answer).code,
        RefusalCode::Blocked
    );
    let watched = answer(&mut world, SendRequest::to("+4915112345678"));
    assert!(
        watched
            .explanation
            .rules
            .iter()
            .any(|hit| &*hit.rule == "country_monitor")
    );
    sent(watched.answer);
    let british = SendRequest::to("+447400123456");
    let asked = refused(answer(&mut world, british.clone()).answer);
    assert_eq!(asked.code, RefusalCode::HumanCheckRequired);
    sent(
        answer(
            &mut world,
            SendRequest {
                human_check: Some("human".into()),
                ..british
            },
        )
        .answer,
    );
    let dutch = refused(answer(&mut world, SendRequest::to("+31612345678")).answer);
    assert_eq!(
        (dutch.code, dutch.fallback.as_slice()),
        (
            RefusalCode::ChannelUnavailable,
            &[Channel::Call, Channel::Email][..]
        )
    );
    sent(answer(&mut world, SendRequest::to("+31612345678").by(Channel::Call)).answer);
}

#[test]
fn premium_numbers_are_blocked_by_default() {
    let mut plain = world(Kinds::Own);
    let premium = SendRequest::to("+19002345678");
    assert_eq!(
        refused(plain.run(Command::Send(premium.clone())).0.answer).code,
        RefusalCode::Blocked
    );
    let mut allowed = World::new(
        policy("version = 1\n[numbers]\npremium_rate = \"allow\"\n"),
        Kinds::Own,
    );
    sent(allowed.run(Command::Send(premium)).0.answer);
}

#[test]
fn a_purpose_overrides_codes_and_channels_and_shares_the_limits() {
    let text = "version = 1\n[purposes.recovery.code]\nlength = 8\n[purposes.recovery.channels]\nenabled = [\"email\"]\ndefault = \"email\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    let recovery = SendRequest::to("ann@example.com").purpose(Purpose::Recovery);
    sent(world.run(Command::Send(recovery)).0.answer);
    assert_eq!(world.sent[0].code.len(), 8);
    let phone = SendRequest::to(TO).purpose(Purpose::Recovery).by(Channel::Sms);
    assert_eq!(
        refused(world.run(Command::Send(phone)).0.answer).code,
        RefusalCode::ChannelUnavailable
    );
    let sign_in = SendRequest::to("ann@example.com");
    assert_eq!(
        refused(world.run(Command::Send(sign_in)).0.answer).code,
        RefusalCode::Cooldown,
        "one gap for all"
    );
}

#[test]
fn bad_input_is_refused_clearly_and_changes_nothing() {
    let mut world = world(Kinds::Own);
    let before = world.store.clone();
    for (request, code) in [
        (SendRequest::to("2025550123"), RefusalCode::InvalidDestination),
        (SendRequest::to("+1202555CALL"), RefusalCode::InvalidDestination),
        (SendRequest::to("+1202555012😀"), RefusalCode::InvalidDestination),
        (
            SendRequest::to("＋１２０２５５５０１２３"),
            RefusalCode::InvalidDestination,
        ),
        (SendRequest::to("+0"), RefusalCode::InvalidDestination),
        (SendRequest::to("ann@"), RefusalCode::InvalidDestination),
        (
            SendRequest::to(TO).by(Channel::Email),
            RefusalCode::InvalidRequest,
        ),
        (
            SendRequest::to("ann@example.com").by(Channel::Sms),
            RefusalCode::InvalidRequest,
        ),
        (
            SendRequest::to(TO).by(Channel::Whatsapp),
            RefusalCode::ChannelUnavailable,
        ),
        (
            SendRequest::to(TO).subject("x".repeat(201)),
            RefusalCode::InvalidRequest,
        ),
        (
            SendRequest::to(TO).purpose(Purpose::Transaction),
            RefusalCode::InvalidRequest,
        ),
    ] {
        let (outcome, trips) = world.run(Command::Send(request));
        let refusal = refused(outcome.answer);
        assert_eq!((refusal.code, trips), (code, 0), "{}", refusal.detail);
        assert!(refusal.detail.len() > 10);
    }
    assert_eq!(world.store, before);
}
