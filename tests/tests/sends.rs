//! Promises about sends (I-27, I-30, I-31, I-35, I-46 to I-53), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{
    Caller, CancelRequest, Command, EraseRequest, Person, RedeemRequest, Report, ReportRequest, SendRequest,
    StatusRequest,
};
use verify_core::flow::{MOST_STEPS, Step};
use verify_core::outcome::{CheckAnswer, RefusalCode, ReportAnswer, SendAnswer, StatusAnswer};
use verify_core::port::{Detail, RejectionKind, RiskLevel};
use verify_core::record::{DeliveryStatus, Status};
use verify_core::store::{Seen, StoreAnswer};
use verify_core::time::Until;
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Kinds, World};
use verify_tests::{Asks, BOTH, TO, approved, check, code, policy, refused, seen, send, sent, world, wrong};

fn by(channel: Channel) -> SendRequest {
    send().by(channel)
}

#[test]
fn i27_only_a_send_sends() {
    let mut world = world(Kinds::Own);
    let id = sent(world.ask(send())).id;
    let before = world.store.clone();
    for _ in 0..50 {
        let (answer, trips) = world.ask_counted(StatusRequest::of(&id));
        assert!(matches!(answer, StatusAnswer::Found(_)) && trips == 1);
    }
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.store, before);
}

#[test]
fn i30_spellings_of_one_number_share_its_limits() {
    let mut world = world(Kinds::Own);
    sent(world.ask(send()));
    for spelling in [
        "+1 202 555 0123",
        "+1 (202) 555-0123",
        "001 2025550123",
        "+1.202.555.0123",
    ] {
        let request = SendRequest::to(spelling);
        let answer = world.ask(request);
        assert!(
            matches!(answer, SendAnswer::Repeated(_) | SendAnswer::Refused(_)),
            "{spelling}: {answer:?}"
        );
    }
    assert_eq!(world.dispatches, 1);
}

#[test]
fn i31_the_address_does_not_multiply_a_destination_s_budget() {
    let mut world = world(Kinds::Own);
    let mut reached = 0;
    for host in 0..20 {
        let request = send().ip(std::net::Ipv4Addr::new(198, 51, 100, host).into());
        reached += u32::from(matches!(world.ask(request), SendAnswer::Sent(_)));
        world.advance(Duration::from_secs(30));
    }
    assert_eq!(reached, 3, "three in ten minutes, from wherever");
}

#[test]
fn i35_reports_move_a_delivery_forward_and_approve_nothing() {
    let mut world = world(Kinds::Own);
    let id = sent(world.ask(send())).id;
    let reference = world.sent[0].reference.clone();
    let delivered = || ReportRequest::of(&reference, Report::Delivered, "m1/delivered");
    assert_eq!(world.ask(delivered()), ReportAnswer { changed: true });
    let before = world.store.clone();
    for late in [
        delivered(),
        ReportRequest::of(&reference, Report::Underway, "m1/sent"),
        ReportRequest::of(
            &reference,
            Report::Undelivered(Detail::new(Some(30_003), "")),
            "m1/undelivered",
        ),
        ReportRequest::of("forged", Report::Delivered, "m2"),
    ] {
        assert_eq!(world.ask(late), ReportAnswer { changed: false });
    }
    assert_eq!(world.store, before);
    let seen = seen(&mut world, &id);
    assert_eq!(seen.deliveries, [(Channel::Sms, DeliveryStatus::Delivered)]);
    assert_eq!(seen.status, Status::Pending);
}

#[test]
fn i35_deliveries_never_go_back() {
    use DeliveryStatus::{Accepted, Delivered, Dispatching, Rejected, Undelivered, Unknown};
    let rank = |status: DeliveryStatus| match status {
        Dispatching => 0,
        Unknown => 1,
        Accepted | Rejected => 2,
        Delivered | Undelivered => 3,
    };
    for (from, to) in DeliveryStatus::TRANSITIONS {
        assert!(rank(*from) < rank(*to), "{from:?} to {to:?}");
    }
    assert_eq!(DeliveryStatus::TRANSITIONS.len(), 9);
}

#[test]
fn a_reported_failure_goes_on_by_itself_only_with_consent() {
    for (consent, expected) in [(true, true), (false, false)] {
        let mut world = world(Kinds::Own);
        sent(world.ask(send().consent(consent)));
        let reference = world.sent[0].reference.clone();
        let failed = ReportRequest::of(
            &reference,
            Report::Undelivered(Detail::new(Some(30_003), "")),
            "m1",
        );
        let outcome = world.run(failed).0;
        assert_eq!(outcome.follow_up.is_some(), expected);
        if let Some(next) = outcome.follow_up {
            let call = sent(world.ask(*next));
            assert_eq!((call.channel, call.deliveries.len()), (Channel::Call, 2));
        }
    }
}

#[test]
fn i27_a_reported_failure_goes_on_only_with_what_is_pending() {
    type Ends = fn(&mut World, &str);
    let ends: [Ends; 4] = [
        |world, _| drop(world.run(check(&code(world)))),
        |world, id| drop(world.run(CancelRequest::of(id))),
        |world, _| drop(world.run(EraseRequest::at(TO))),
        |world, _| world.advance(Duration::from_secs(600)),
    ];
    for kinds in BOTH {
        for end in ends {
            let mut world = World::new(policy("version = 1\n"), kinds);
            let id = sent(world.ask(send().consent(true))).id;
            // No gap stands against it any more.
            world.advance(Duration::from_secs(31));
            let failed = Report::Undelivered(Detail::default());
            let failed = ReportRequest::of(&world.sent[0].reference, failed, "m1");
            let next = world.run(failed).0.follow_up.unwrap();
            end(&mut world, &id);
            assert_eq!(refused(world.ask(*next)).code, RefusalCode::NotFound);
            assert_eq!(world.sent.len(), 1);
        }
    }
}

/// Sends to one number after the other, each of which is reported undelivered and goes on by itself where it may. The
/// messages that left.
fn messages_with_follow_ups(world: &mut World, request: impl Fn(u32) -> SendRequest) -> usize {
    for i in 0..8 {
        world.run(request(i));
        let sent = world.sent.iter().filter(|sent| sent.channel == Channel::Sms);
        let references: Vec<String> = sent.map(|sent| sent.reference.clone()).collect();
        for reference in references {
            let failed = Report::Undelivered(Detail::default());
            if let Some(next) = world
                .run(ReportRequest::of(&reference, failed, "once"))
                .0
                .follow_up
            {
                world.run(*next);
            }
        }
        world.use_keys(world.keys().rotated(&[u8::try_from(i).unwrap(); 32]));
    }
    world.sent.len()
}

#[test]
fn i144_a_follow_up_is_charged_to_every_limit_of_the_send_that_it_follows() {
    let person = |i: u32| Person::at(format!("+1202555{:04}", 100 + i)).subject("ann");
    let request = |i: u32| {
        let from = Caller::default().ip("2001:db8:1:2::1".parse().unwrap());
        SendRequest::to(person(i))
            .consent(true)
            .caller(from.asn(64_500).device("phone"))
    };
    let off = "[[limit]]\nname = \"sends_per_ip\"\nmax = \"unlimited\"\n[[limit]]\nname = \"sends_per_subject\"\nmax = \"unlimited\"\n";
    for by in ["ip", "asn", "device", "subject", "prefix", "country", "service"] {
        // While the keys are rotated again and again, too. Of what many share a tenth is kept, so strangers have five.
        for then in ["refuse", "human_check"] {
            let text = format!(
                "version = 1\n{off}[[limit]]\nname = \"one\"\ncounts = \"sends\"\nby = [\"{by}\"]\nmax = 5\nper = \"1h\"\nthen = \"{then}\"\n"
            );
            let mut world = World::new(policy(&text), Kinds::Own);
            assert_eq!(messages_with_follow_ups(&mut world, request), 5, "{by} {then}");
        }
    }
}

/// Of a decoy nothing is reported. Soon, when a gap stands against it as well, and later, when nothing else does.
#[test]
fn i40_nothing_follows_by_itself_where_somebody_may_be_hidden() {
    for (disclosure, follows) in [("open", true), ("private", false)] {
        for waited in [1, 25, 40] {
            let text = format!("version = 1\n[privacy]\ndisclosure = \"{disclosure}\"\n");
            let mut world = World::new(policy(&text), Kinds::Own);
            sent(world.ask(send().consent(true)));
            world.advance(Duration::from_secs(waited));
            let failed = Report::Undelivered(Detail::default());
            let failed = ReportRequest::of(&world.sent[0].reference, failed, "once");
            let follow_up = world.run(failed).0.follow_up;
            assert_eq!(follow_up.is_some(), follows, "{disclosure} {waited}");
        }
    }
}

#[test]
fn i144_what_a_follow_up_needs_to_know_is_sealed_and_goes_with_the_record() {
    let mut world = world(Kinds::Own);
    let request = send().consent(true).device("a-device-of-somebody");
    sent(world.ask(request.ip("203.0.113.77".parse().unwrap())));
    for row in world.store.records().values() {
        let held = |bytes: &[u8]| row.bytes.windows(bytes.len()).any(|window| window == bytes);
        assert!(!held(b"a-device-of-somebody") && !held(&[203, 0, 113, 77]));
    }
    world.run(EraseRequest::at(TO));
    assert_eq!(world.store.records().len(), 0);
}

#[test]
fn a_silent_message_offers_the_next_channel_after_twenty_seconds() {
    let mut world = world(Kinds::Own);
    let id = sent(world.ask(send())).id;
    assert!(seen(&mut world, &id).fallback.is_empty());
    assert_eq!(refused(world.ask(by(Channel::Call))).code, RefusalCode::Cooldown);
    world.advance(Duration::from_secs(20));
    assert_eq!(seen(&mut world, &id).fallback, [Channel::Call, Channel::Email]);
    sent(world.ask(by(Channel::Call)));
    // The waived send still counted: an sms right after it waits for the whole gap.
    world.advance(Duration::from_millis(10_500));
    assert_eq!(refused(world.ask(by(Channel::Sms))).code, RefusalCode::Cooldown);
}

#[test]
fn a_landline_is_remembered_and_the_call_that_is_offered_goes_out_at_once() {
    let mut world = world(Kinds::Own);
    world
        .rejecting
        .insert("own".into(), RejectionKind::ChannelUnreachable);
    let refusal = refused(world.ask(send()));
    assert_eq!(
        (refusal.code, refusal.fallback.first()),
        (RefusalCode::ChannelUnavailable, Some(&Channel::Call))
    );
    world.rejecting.clear();
    assert_eq!(
        refused(world.ask(send())).code,
        RefusalCode::ChannelUnavailable,
        "not asked again"
    );
    assert_eq!(world.dispatches, 1);
    sent(world.ask(by(Channel::Call)));
}

#[test]
fn risk_stops_before_a_dispatch_and_gives_the_gap_back() {
    for (level, code) in [
        (RiskLevel::High, RefusalCode::Blocked),
        (RiskLevel::Medium, RefusalCode::StepUpRequired),
    ] {
        let mut world = World::new(policy("[risk]\nmedium = \"step_up\"\n"), Kinds::Own);
        world.risk = level;
        let refusal = refused(world.ask(send()));
        assert_eq!((refusal.code, world.dispatches), (code, 0));
        assert_eq!(refusal.factors.is_empty(), level == RiskLevel::High);
        world.risk = RiskLevel::Low;
        sent(world.ask(send()));
    }
}

#[test]
fn i46_the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut world = world(Kinds::Own);
        let mut answers = vec![world.run(send()).0];
        let right = code(&world);
        for guess in [wrong(&right), right] {
            world.advance(Duration::from_secs(61));
            answers.push(world.run(check(&guess)).0);
        }
        (
            answers
                .iter()
                .map(|o| format!("{:?} {:?}", o.answer, o.explanation))
                .collect::<Vec<_>>(),
            world.digest(),
        )
    };
    assert_eq!(run(), run());
}

#[test]
fn i47_every_flow_ends_within_its_stated_steps_whatever_the_store_answers() {
    let contended = StoreAnswer::Refused(Seen::default());
    for answer in [contended, StoreAnswer::Unknown(Detail::default())] {
        let mut world = world(Kinds::Managed);
        let id = sent(world.ask(send())).id;
        for command in [
            Command::from(send()),
            check("123456").into(),
            CancelRequest::of(&id).into(),
            StatusRequest::of(&id).into(),
        ] {
            let mut step = world.start(command.clone());
            let mut steps = 0;
            loop {
                step = match step {
                    Step::Store(store) => store.resume(world.now, answer.clone()),
                    Step::Done(_) => break,
                    other => world.perform(other),
                };
                steps += 1;
                assert!(steps <= MOST_STEPS, "{command:?}");
            }
        }
    }
}

#[test]
fn i48_everything_is_charged_before_a_dispatch() {
    let mut world = world(Kinds::Own);
    let request = SendRequest::to(Person::at(TO).subject("ann")).ip(std::net::Ipv4Addr::LOCALHOST.into());
    drop(world.begin(request, "dispatch"));
    // By ip, network, destination (ten minutes, a day, the gap), subject, prefix, service.
    assert_eq!(world.store.counters().len(), 8);
    assert!(world.store.records().values().all(|row| row.live_until.is_some()));
}

#[test]
fn i49_a_refused_changeset_changes_nothing() {
    let mut world = world(Kinds::Own);
    for _ in 0..3 {
        sent(world.ask(send()));
        world.advance(Duration::from_secs(30));
    }
    let before = world.store.clone();
    assert_eq!(refused(world.ask(send())).code, RefusalCode::RateLimited);
    assert_eq!(world.store, before);
}

#[test]
fn i50_another_refusing_rule_never_makes_an_acceptance() {
    let strict = "version = 1\n[[limit]]\nname = \"extra\"\ncounts = \"sends\"\nby = [\"destination\"]\nmax = 1\nper = \"1h\"\n";
    let reversed = "version = 1\n[[limit]]\nname = \"extra\"\ncounts = \"sends\"\nby = [\"service\"]\nmax = 2\nper = \"1h\"\n";
    for waits in [0_u64, 10, 31, 400] {
        let plain = {
            let mut world = world(Kinds::Own);
            sent(world.ask(send()));
            world.advance(Duration::from_secs(waits));
            world
        };
        let accepts = |text: Option<&str>| {
            let mut world = plain.clone();
            if let Some(text) = text {
                world.use_policies(policy(text));
                // The added rule has seen what the others have.
                let mut seen = World::new(policy(text), Kinds::Own);
                sent(seen.ask(send()));
                seen.advance(Duration::from_secs(waits));
                return matches!(seen.ask(by(Channel::Call)), SendAnswer::Sent(_));
            }
            matches!(world.ask(by(Channel::Call)), SendAnswer::Sent(_))
        };
        for text in [strict, reversed] {
            assert!(!accepts(Some(text)) || accepts(None), "after {waits} s");
        }
    }
}

#[test]
fn i52_round_trips_stay_within_the_table() {
    for kinds in BOTH {
        let mut world = world(kinds);
        assert_eq!(world.run(SendRequest::to("nonsense")).1, 0);
        assert_eq!(world.run(check("12")).1, 0);
        assert_eq!(world.run(check("123456")).1, 1, "nothing pending");
        assert_eq!(world.run(send()).1, 2, "no record there");
        assert_eq!(world.run(send()).1, 1, "a repeat");
        assert_eq!(world.run(by(Channel::Call)).1, 1, "refused by a limit");
        world.advance(Duration::from_secs(30));
        assert_eq!(world.run(send()).1, 3, "send again");
        let right = code(&world);
        assert_eq!(world.run(check(&wrong(&right))).1, 1, "wrong");
        assert_eq!(world.run(check(&right)).1, 1, "refused by the wait");
        assert_eq!(world.run(send()).1, 1, "refused by the wait");
        world.advance(Duration::from_secs(60));
        let (answer, trips) = world.ask_counted(check(&right));
        assert_eq!(trips, 2, "right");
        let proof = approved(answer).proof;
        assert_eq!(world.run(RedeemRequest::of(&proof, TO)).1, 1);
        world.advance(Duration::from_secs(600));
        assert_eq!(world.run(send()).1, 3, "after a terminal one");
    }
}

#[test]
fn i52_one_trip_more_for_each_further_provider_and_two_for_a_closing() {
    let mut failing = World::new(policy("version = 1"), Kinds::TwoOwn);
    failing.rejecting.insert("own".into(), RejectionKind::Down);
    assert_eq!(failing.run(send()).1, 3);
    assert_eq!(failing.sent[0].provider, "second");

    for kinds in BOTH {
        let mut world = World::new(policy("version = 1\n[lockout]\nwaits = { 1 = \"15m\" }\n"), kinds);
        sent(world.ask(send()));
        let bad = wrong(&code(&world));
        let (CheckAnswer::WrongCode(closed), trips) = world.ask_counted(check(&bad)) else {
            panic!("a guess is compared")
        };
        assert_eq!(
            (closed.status, closed.checks_left, trips),
            (Status::Exhausted, Some(0), 2)
        );
    }
}

#[test]
fn i53_no_code_that_cannot_be_checked() {
    let mut world = world(Kinds::Own);
    sent(world.ask(send()));
    let right = code(&world);
    world.run(check(&wrong(&right)));
    world.advance(Duration::from_secs(31));
    let refusal = refused(world.ask(send()));
    assert_eq!(
        refusal.code,
        RefusalCode::Cooldown,
        "a check would be refused just now"
    );
    assert_eq!(
        refusal.retry_at,
        Some(Until::At(world.now + Duration::from_secs(29)))
    );
    world.advance(Duration::from_secs(29 + 485));
    let late = refused(world.ask(send()));
    assert_eq!(late.code, RefusalCode::Cooldown, "the last minute of a code");
}

#[test]
fn i53_a_used_up_limit_on_failures_holds_a_send_back() {
    let text = "version = 1\n[lockout]\nwaits = { 100 = \"never\" }\n[[limit]]\nname = \"mine\"\ncounts = \"failures\"\nby = [\"destination\"]\nmax = 1\nper = \"10m\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    sent(world.ask(send()));
    let bad = wrong(&code(&world));
    world.run(check(&bad));
    world.advance(Duration::from_secs(31));
    assert_eq!(refused(world.ask(send())).code, RefusalCode::RateLimited);
}
