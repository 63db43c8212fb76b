//! What each word of the policy decides, on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{CheckRequest, Person, SendRequest, UnlockRequest};
use verify_core::event::EventKind;
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, RefusalCode, SendAnswer, UnlockAnswer};
use verify_core::port::{Compared, Detail, RejectionKind};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Purpose};
use verify_engine::Engine;
use verify_lab::explore::{Kinds, World};
use verify_memstore::MemStore;
use verify_testkit::{ManualClock, ScriptedProvider, SeededEntropy};
use verify_tests::{Asks, TO, approved, check, code, events, judged, policy, refused, send, sent, world};

fn number(index: u32) -> String {
    format!("+1202555{index:04}")
}

fn sends(world: &mut World, requests: impl IntoIterator<Item = SendRequest>) -> usize {
    let reached = |request| matches!(world.ask(request), SendAnswer::Sent(_));
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
    sent(world.ask(send()));
    let device = approved(world.ask(check(&code(&world)))).device_token;
    world.advance(Duration::from_secs(31));
    assert_eq!(
        sends(&mut world, (200..240).map(|i| SendRequest::to(number(i)))),
        17
    );
    sent(world.ask(send().device_token(device)));
}

/// Whoever unlocks does not say for what: what is counted of any purpose stands, and ends where that is asked for.
#[test]
fn an_unlock_is_of_limits_for_any_purpose() {
    let limit = |counts: &str| {
        format!(
            "[[limit]]\nname = \"{counts}_to_recover\"\ncounts = \"{counts}\"\nby = [\"destination\"]\nmax = 1\nper = \"1h\"\n\
             purposes = [\"recovery\"]\n"
        )
    };
    let text = format!("version = 1\n{}{}", limit("sends"), limit("checks"));
    let recovery = || Person::at(TO).purpose(Purpose::Recovery);
    for check_limits in [false, true] {
        let mut world = World::new(policy(&text), Kinds::Own);
        sent(world.ask(SendRequest::to(recovery())));
        let code = code(&world);
        world.ask(CheckRequest::to(recovery(), "000000"));
        let UnlockAnswer::Unlocked { stands } = world.ask(UnlockRequest::at(TO).check_limits(check_limits))
        else {
            panic!("refused")
        };
        let stands_by = |name: &str| stands.iter().any(|stands| &*stands.rule == name);
        assert!(stands_by("sends_to_recover"), "{stands:?}");
        assert_eq!(stands_by("checks_to_recover"), !check_limits, "{stands:?}");
        let checked = world.ask(CheckRequest::to(recovery(), code));
        assert_eq!(
            matches!(checked, CheckAnswer::Approved(_)),
            check_limits,
            "{checked:?}"
        );
    }
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
    let asked = refused(world.ask(again.clone()));
    assert_eq!(asked.code, RefusalCode::HumanCheckRequired);
    let robot = again.clone().human_check("robot");
    assert_eq!(refused(world.ask(robot)).code, RefusalCode::HumanCheckRequired);
    let human = again.human_check("human");
    sent(world.ask(human));
}

#[test]
fn an_alert_refuses_nothing_and_is_raised_when_the_limit_is_passed() {
    let text = "version = 1\n[[limit]]\nname = \"failures_per_service\"\nmax = 10\n";
    let mut world = World::new(policy(text), Kinds::Own);
    for i in 0..12 {
        sent(world.ask(SendRequest::to(number(800 + i * 10_u32))));
        let guess = CheckRequest::to(number(800 + i * 10_u32), "000000");
        assert!(matches!(world.ask(guess), CheckAnswer::WrongCode(_)));
    }
    assert_eq!(events(&world, EventKind::LimitAlert), 1);
}

/// An alert when more than two messages leave in ten minutes.
const CROWD: &str = "version = 1\n[[limit]]\nname = \"crowd\"\ncounts = \"sends\"\nby = [\"service\"]\nmax = 2\n\
    per = \"10m\"\nthen = \"alert\"\n";

#[test]
fn an_alert_is_told_once_within_its_per_and_again_after_it() {
    let mut world = World::new(policy(CROWD), Kinds::Own);
    let began = world.now;
    // It is crossed at 301 s; at 601 s, when the first has left it, again; and at 903 s, when the alert is over.
    for (second, told) in [(0, 0), (300, 0), (301, 1), (601, 1), (902, 1), (903, 2), (904, 2)] {
        world.now = began + Duration::from_secs(second);
        sent(world.ask(SendRequest::to(number(2_000 + second as u32))));
        assert_eq!(events(&world, EventKind::LimitAlert), told, "after {second} s");
    }
}

#[test]
fn an_alert_is_told_whatever_the_guess_that_crosses_it_comes_to() {
    let text = "version = 1\n[[limit]]\nname = \"failures_per_service\"\nmax = 1\n";
    for verdict in [Compared::Gone, Compared::Unknown(Detail::default())] {
        let mut world = World::new(policy(text), Kinds::Managed);
        sent(world.ask(SendRequest::to(number(3_000))));
        world.run(CheckRequest::to(number(3_000), "000000"));
        sent(world.ask(send()));
        judged(&mut world, verdict.clone());
        assert_eq!(events(&world, EventKind::LimitAlert), 1, "{verdict:?}");
    }
}

#[test]
fn what_is_given_back_alerts_nobody() {
    let text = "version = 1\n[[limit]]\nname = \"failures_per_service\"\nmax = 1\n";
    let mut world = World::new(policy(text), Kinds::Managed);
    sent(world.ask(SendRequest::to(number(3_000))));
    world.run(CheckRequest::to(number(3_000), "000000"));
    sent(world.ask(send()));
    judged(&mut world, Compared::NotAsked(Detail::default()));
    assert_eq!(events(&world, EventKind::LimitAlert), 0);
    judged(&mut world, Compared::NoMatch);
    assert_eq!(events(&world, EventKind::LimitAlert), 1);
}

#[test]
fn an_alert_is_told_once_while_keys_are_rotated() {
    let mut world = World::new(policy(CROWD), Kinds::Own);
    world.use_keys(Keys::generate(&[7; 32]).rotated(&[9; 32]));
    for second in 0..4 {
        sent(world.ask(SendRequest::to(number(2_000 + second))));
    }
    assert_eq!(events(&world, EventKind::LimitAlert), 1);
}

#[test]
fn countries_are_blocked_watched_or_asked_for_a_human() {
    let text = "version = 1\n[countries]\nblock = [\"FR\"]\nmonitor = [\"DE\"]\nhuman_check = [\"GB\"]\n[countries.NL]\nchannels = [\"call\"]\n";
    let mut world = World::new(policy(text), Kinds::Own);
    assert_eq!(
        refused(world.ask(SendRequest::to("+33612345678"))).code,
        RefusalCode::Blocked
    );
    let watched = world.run(SendRequest::to("+4915112345678")).0;
    assert!(
        watched
            .explanation
            .rules
            .iter()
            .any(|hit| &*hit.rule == "country_monitor")
    );
    assert_eq!(watched.as_str(), "sent");
    let british = SendRequest::to("+447400123456");
    let asked = refused(world.ask(british.clone()));
    assert_eq!(asked.code, RefusalCode::HumanCheckRequired);
    sent(world.ask(british.human_check("human")));
    let dutch = refused(world.ask(SendRequest::to("+31612345678")));
    assert_eq!(
        (dutch.code, dutch.fallback.as_slice()),
        (
            RefusalCode::ChannelUnavailable,
            &[Channel::Call, Channel::Email][..]
        )
    );
    sent(world.ask(SendRequest::to("+31612345678").by(Channel::Call)));
}

#[test]
fn premium_numbers_are_blocked_by_default() {
    let mut plain = world(Kinds::Own);
    let premium = SendRequest::to("+19002345678");
    assert_eq!(refused(plain.ask(premium.clone())).code, RefusalCode::Blocked);
    let mut allowed = World::new(
        policy("version = 1\n[numbers]\npremium_rate = \"allow\"\n"),
        Kinds::Own,
    );
    sent(allowed.ask(premium));
}

#[test]
fn a_purpose_overrides_codes_and_channels_and_shares_the_limits() {
    let text = "version = 1\n[purposes.recovery.code]\nlength = 8\n[purposes.recovery.channels]\nenabled = [\"email\"]\ndefault = \"email\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    let recovery = SendRequest::to(Person::at("ann@example.com").purpose(Purpose::Recovery));
    sent(world.ask(recovery));
    assert_eq!(world.sent[0].code.len(), 8);
    let phone = SendRequest::to(Person::at(TO).purpose(Purpose::Recovery)).by(Channel::Sms);
    assert_eq!(refused(world.ask(phone)).code, RefusalCode::ChannelUnavailable);
    let sign_in = SendRequest::to("ann@example.com");
    assert_eq!(
        refused(world.ask(sign_in)).code,
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
        (send().by(Channel::Email), RefusalCode::InvalidRequest),
        (send().decoy(true), RefusalCode::InvalidRequest),
        (
            SendRequest::to("ann@example.com").by(Channel::Sms),
            RefusalCode::InvalidRequest,
        ),
        (send().by(Channel::Whatsapp), RefusalCode::ChannelUnavailable),
        (
            SendRequest::to(Person::at(TO).subject("x".repeat(201))),
            RefusalCode::InvalidRequest,
        ),
        (
            SendRequest::to(Person::at(TO).purpose(Purpose::Transaction)),
            RefusalCode::InvalidRequest,
        ),
    ] {
        let (answer, trips) = world.ask_counted(request);
        let refusal = refused(answer);
        assert_eq!((refusal.code, trips), (code, 0), "{}", refusal.detail);
        assert!(refusal.detail.len() > 10);
    }
    assert_eq!(world.store, before);
}

/// What is there for all of a limit by service of 200 is 180, and one known caller may use 2 of what is kept.
const KEPT: &str = "version = 1\n[[limit]]\nname = \"sends_per_service\"\nmax = 200\nthen = \"refuse\"\n\
    [[limit]]\nname = \"sends_per_ip\"\nmax = \"unlimited\"\n[[limit]]\nname = \"sends_per_prefix\"\nmax = \"unlimited\"\n\
    [[limit]]\nname = \"sends_per_destination\"\nmax = \"unlimited\"\n[[limit]]\nname = \"sends_per_destination_day\"\nmax = \"unlimited\"\n\
    [[limit]]\nname = \"sends_per_subject\"\nmax = \"unlimited\"\n[[limit]]\nname = \"resend_gap\"\nmax = \"unlimited\"\n";

/// Where somebody is, who, and from which address, by number.
type Caller = fn(usize) -> (String, String, String);

/// A known caller: a subject at a destination, from an address, with the token of an approval.
fn known(world: &mut World, to: &str, subject: &str, from: &str) -> SendRequest {
    let person = Person::at(to).subject(subject);
    sent(world.ask(SendRequest::to(person.clone()).ip(ip("192.0.2.1"))));
    let right = world.sent.last().unwrap().code.clone();
    let guess = CheckRequest::to(person.clone(), right);
    let token = approved(world.ask(guess)).device_token;
    let mut request = SendRequest::to(person).ip(ip(from));
    request.caller.device_token = Some(token);
    request
}

/// Strangers use up what is there for all.
fn strangers_use_up_what_is_for_all(world: &mut World) {
    let strangers = (1_000..1_200).map(|i| SendRequest::to(number(i)));
    assert!(sends(world, strangers) > 100);
    assert_eq!(refused(world.ask(send())).code, RefusalCode::RateLimited);
}

#[test]
fn i143_whoever_has_many_mailboxes_takes_no_more_than_a_share_of_what_is_kept() {
    let mut world = World::new(policy(KEPT), Kinds::Own);
    let hoard: Vec<SendRequest> = (0..5)
        .map(|i| {
            known(
                &mut world,
                &format!("me{i}@example.org"),
                &format!("me{i}"),
                &format!("2001:db8::{i}"),
            )
        })
        .collect();
    let owner = known(&mut world, TO, "owner", "198.51.100.1");
    strangers_use_up_what_is_for_all(&mut world);
    // Five people of one /64, again and again: two messages of the twenty that are kept.
    assert_eq!(sends(&mut world, hoard.iter().cycle().take(100).cloned()), 2);
    let (answer, trips) = world.ask_counted(hoard[0].clone());
    let wait = refused(answer).retry_at;
    assert_eq!(trips, 1, "i52: a refusal takes one trip");
    // The owner of a device is not in their way, and neither is anybody else.
    let (answer, trips) = world.ask_counted(owner);
    sent(answer);
    assert!(trips <= 3, "i52: {trips}");
    let others: Vec<SendRequest> = (0..7)
        .map(|i| hoard[i % 5].clone().ip(ip(&format!("203.0.113.{i}"))))
        .collect();
    assert!(
        sends(&mut world, others) >= 5,
        "who has an address each is as many people to that"
    );
    // The wait that was told is true.
    let Some(verify_core::time::Until::At(at)) = wait else {
        panic!("it ends: {wait:?}")
    };
    let left = at.since(world.now);
    let mut early = world.clone();
    early.advance(left - Duration::from_millis(1));
    refused(early.ask(hoard[0].clone()));
    world.advance(left);
    sent(world.ask(hoard[0].clone()));
}

#[test]
fn i143_one_subject_one_destination_and_one_address_has_a_share_each() {
    let cases: [(&str, Caller); 3] = [
        ("subject", |i| {
            (
                format!("a{i}@example.org"),
                "ann".into(),
                format!("203.0.113.{i}"),
            )
        }),
        ("destination", |i| {
            (
                "shared@example.org".into(),
                format!("s{i}"),
                format!("203.0.113.{i}"),
            )
        }),
        ("address", |i| {
            (format!("a{i}@example.org"), format!("s{i}"), "203.0.113.9".into())
        }),
    ];
    for (one, of) in cases {
        let mut world = World::new(policy(KEPT), Kinds::Own);
        let callers: Vec<SendRequest> = (0..4)
            .map(|i| {
                let (to, subject, from) = of(i);
                known(&mut world, &to, &subject, &from)
            })
            .collect();
        // While there is something for all, nobody's share matters.
        assert_eq!(
            sends(&mut world, callers.iter().cycle().take(40).cloned()),
            40,
            "{one}"
        );
        strangers_use_up_what_is_for_all(&mut world);
        assert_eq!(
            sends(&mut world, callers.iter().cycle().take(40).cloned()),
            2,
            "{one}"
        );
    }
}

/// The limits that many share ask for a human where they do not refuse, as the default ones do: a share holds there too.
#[test]
fn i143_a_share_holds_of_limits_that_ask_for_a_human() {
    let text = KEPT.replacen("\"refuse\"", "\"human_check\"", 1);
    let mut world = World::new(policy(&text), Kinds::Own);
    let hoard: Vec<SendRequest> = (0..4)
        .map(|i| known(&mut world, &format!("a{i}@example.org"), "ann", "203.0.113.9"))
        .collect();
    let owner = known(&mut world, TO, "owner", "198.51.100.1");
    let strangers = (1_000..1_200).map(|i| SendRequest::to(number(i)));
    assert!(sends(&mut world, strangers) > 100);
    assert_eq!(sends(&mut world, hoard.iter().cycle().take(40).cloned()), 2);
    let more = hoard[0].clone();
    assert_eq!(
        refused(world.ask(more.clone())).code,
        RefusalCode::HumanCheckRequired
    );
    sent(world.ask(owner));
    sent(world.ask(more.human_check("human")));
}

/// Many applications call a user by the mailbox: the two shares are two all the same.
#[test]
fn i143_who_is_called_like_their_mailbox_has_a_whole_share() {
    let mut world = World::new(policy(KEPT), Kinds::Own);
    let mailbox = "ann@example.org";
    let known = known(&mut world, mailbox, mailbox, "203.0.113.9");
    strangers_use_up_what_is_for_all(&mut world);
    assert_eq!(sends(&mut world, std::iter::repeat_n(known, 5)), 2);
}

/// One network asks for numbers that nobody knows, and for others, from ever new addresses.
#[tokio::test]
async fn i57_one_network_fills_no_more_than_a_twentieth_of_the_strangers_room() {
    let room = verify_memstore::Capacity::default();
    let strangers = room.records * usize::from(100 - room.reserved_for_known_percent) / 100;
    assert_eq!(strangers / 20, 4_500, "the default limit is of the default store");
    let text = "version = 1\n[privacy]\ndisclosure = \"private\"\n[risk]\nenabled = false\n\
        [[limit]]\nname = \"sends_per_service\"\nmax = \"unlimited\"\n[[limit]]\nname = \"sends_per_prefix\"\nmax = \"unlimited\"\n";
    let networks: [fn(u32) -> String; 2] = [
        |i| format!("2001:db8:7:{i:x}::1"),
        |i| format!("203.0.113.{}", i % 256),
    ];
    for (nth, address) in networks.into_iter().enumerate() {
        // By IPv4 there are 256 addresses for all of it.
        let per_ip = "[[limit]]\nname = \"sends_per_ip\"\nmax = 1000\n";
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let store = Arc::new(MemStore::new());
        let provider = ScriptedProvider::own("own", Arc::new(clock.clone()));
        let engine = Engine::builder()
            .keys(Keys::generate(&[7; 32]))
            .policy(policy(&format!("{text}{per_ip}")))
            .store(Arc::clone(&store))
            .provider(provider)
            .clock(clock.clone())
            .entropy(SeededEntropy::new(7))
            .with_client_ip()
            .build()
            .unwrap();
        let ask = async |i: u32, from: String| {
            let request = SendRequest::to(format!("+1202{:07}", 2_000_000 + i * 3))
                .ip(ip(&from))
                .decoy(i.is_multiple_of(2));
            match engine.send(request).await.answer {
                Ok(SendAnswer::Refused(refusal)) => Err(refusal.code),
                other => other.map(|_| ()).map_err(|fault| panic!("{fault}")),
            }
        };
        let (mut admitted, mut refused) = (0, 0);
        for i in 0..5_500 {
            match ask(i, address(i)).await {
                Ok(()) => admitted += 1,
                Err(code) => {
                    assert_eq!(code, RefusalCode::RateLimited, "decoy or not");
                    refused += 1;
                }
            }
        }
        // A tenth is kept for known callers.
        assert_eq!((admitted, refused), (4_050, 1_450), "network {nth}");
        assert!(store.usage().records <= strangers / 20);
        for i in 0..50 {
            let from = format!("198.51.{i}.7");
            assert_eq!(ask(100_000 + i, from).await, Ok(()), "honest people elsewhere");
        }
    }
}
