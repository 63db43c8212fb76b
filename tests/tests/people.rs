//! Promises about people (I-36 to I-40, I-44, I-59), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{
    CancelRequest, CheckRequest, EraseRequest, Expected, Report, ReportRequest, SendRequest, StatusRequest,
    UnlockRequest,
};
use verify_core::flow::{Outside, Step, drive};
use verify_core::outcome::{
    Answer, CancelAnswer, CheckAnswer, EraseAnswer, Refusal, RefusalCode, Request, SendAnswer, StatusAnswer,
    UnlockAnswer,
};
use verify_core::port::{Detail, Inquired, RejectionKind, RiskLevel};
use verify_core::record::{MOST_DELIVERIES, Status};
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Kinds, World};
use verify_tests::{
    Asks, BOTH, TO, approved, check, code, failures, policy, refused, seen, send, sent, tick, world, wrong,
};

const PRIVATE: &str = "version = 1\n[privacy]\ndisclosure = \"private\"\n";

#[test]
fn i36_strangers_do_not_keep_a_known_caller_out() {
    for kinds in BOTH {
        let mut world = world(kinds);
        sent(world.ask(send()));
        let device = approved(world.ask(check(&code(&world)))).device_token;
        // A stranger sends and guesses for hours.
        for _ in 0..200 {
            world.run(send());
            world.run(check("000000"));
            world.advance(Duration::from_secs(61));
        }
        world.run(check("000000"));
        let mine = send().device_token(&device);
        let id = sent(world.ask(mine)).id;
        let right = code(&world);
        for _ in 0..20 {
            world.run(check("000000"));
        }
        let guess = CheckRequest::of(id, right, Expected::Whoever).device_token(&device);
        approved(world.ask(guess));
    }
}

#[test]
fn a_view_counts_what_its_own_standing_has_left() {
    let mut world = world(Kinds::Own);
    sent(world.ask(send()));
    let device = approved(world.ask(check(&code(&world)))).device_token;
    let known = send().device_token(device);
    let id = sent(world.ask(known)).id;
    world.advance(Duration::from_secs(31));
    sent(world.ask(send()));
    assert_eq!(
        seen(&mut world, &id).sends_left,
        Some(2),
        "the known caller sent once"
    );
}

#[test]
fn i36_every_lockout_ends_by_itself_or_by_an_operator() {
    let mut world = world(Kinds::Own);
    sent(world.ask(send()));
    let bad = wrong(&code(&world));
    for _ in 0..5 {
        world.run(check(&bad));
        world.advance(Duration::from_secs(60));
    }
    let locked = refused(world.ask(send()));
    assert_eq!(locked.code, RefusalCode::Locked);
    let mut waited = world.clone();
    waited.advance(Duration::from_secs(15 * 60));
    sent(waited.ask(send()));
    let UnlockAnswer::Unlocked { stands } = world.ask(UnlockRequest::at(TO)) else {
        panic!("an operator may")
    };
    let stands: Vec<&str> = stands.iter().map(|it| &*it.rule).collect();
    assert_eq!(stands, ["checks_per_identity"], "five guesses in ten minutes");
    world.advance(Duration::from_secs(10 * 60));
    assert_eq!(failures(&world), 0);
    sent(world.ask(send()));
}

#[test]
fn i38_a_long_wait_closes_the_verification() {
    for kinds in BOTH {
        let mut world = world(kinds);
        let id = sent(world.ask(send())).id;
        let right = code(&world);
        let bad = wrong(&right);
        for _ in 0..4 {
            assert!(matches!(world.ask(check(&bad)), CheckAnswer::WrongCode(_)));
            world.advance(Duration::from_secs(60));
        }
        let CheckAnswer::WrongCode(last) = world.ask(check(&bad)) else {
            panic!("the fifth is compared")
        };
        assert_eq!(last.status, Status::Exhausted);
        assert_eq!(seen(&mut world, &id).status, Status::Exhausted);
        world.advance(Duration::from_secs(15 * 60));
        assert_eq!(refused(world.ask(check(&right))).code, RefusalCode::NotFound);
    }
}

#[test]
fn i38_a_closing_that_a_crash_kept_from_being_written_holds_all_the_same() {
    let text = "version = 1\n[code]\nttl = \"10m\"\n[lockout]\nwaits = { 1 = \"5m\" }\n";
    let mut world = World::new(policy(text), Kinds::Own);
    sent(world.ask(send()));
    let right = code(&world);
    // The failure is counted, and the flow dies before it writes the closing.
    let step = world.start(check(&wrong(&right)));
    assert_eq!(world.perform(step).kind(), "store", "the closing");
    world.advance(Duration::from_secs(301));
    let counted = failures(&world);
    let (outcome, trips) = world.ask_counted(check(&right));
    assert_eq!((refused(outcome).code, trips), (RefusalCode::NotFound, 2));
    assert_eq!(
        failures(&world),
        counted,
        "retyping an old code is not counted anew"
    );
    let (answer, trips) = world.ask_counted(check(&right));
    assert_eq!(
        (refused(answer).code, trips),
        (RefusalCode::NotFound, 1),
        "it is written down now"
    );
}

#[test]
fn i38_checks_left_counts_to_a_closing_as_short_as_what_forgets() {
    let text = "version = 1\n[lockout]\nwaits = { 2 = \"2m\" }\nforget_after = \"2m\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    sent(world.ask(send()));
    let bad = wrong(&code(&world));
    let CheckAnswer::WrongCode(one) = world.ask(check(&bad)) else {
        panic!()
    };
    let CheckAnswer::WrongCode(two) = world.ask(check(&bad)) else {
        panic!()
    };
    assert_eq!((two.status.as_str(), one.checks_left), ("exhausted", Some(1)));
}

#[test]
fn i39_a_success_resets_its_own_run_and_no_other() {
    let text = "version = 1\n[lockout]\nwaits = { 5 = \"15m\" }\n";
    let mut world = World::new(policy(text), Kinds::Own);
    let other = "+12025550124";
    for to in [TO, other] {
        sent(world.ask(SendRequest::to(to)));
        world.run(CheckRequest::to(to, "000000"));
    }
    assert_eq!(failures(&world), 2);
    approved(world.ask(check(&code(&world))));
    assert_eq!(failures(&world), 1);
}

#[test]
fn i39_a_run_without_a_failure_for_long_enough_is_over() {
    let mut world = world(Kinds::Own);
    sent(world.ask(send()));
    let bad = wrong(&code(&world));
    for _ in 0..3 {
        world.run(check(&bad));
        world.advance(Duration::from_secs(60));
    }
    world.advance(Duration::from_secs(30 * 86_400));
    let fresh = sent(world.ask(send()));
    assert_eq!(fresh.checks_left, Some(5));
}

/// What a caller can see of an answer, times and ids aside, and the round trips.
fn shape(world: &mut World, request: impl Request) -> (String, u32) {
    let (answer, trips) = world.ask_counted(request);
    let shape = match answer.into() {
        Answer::Send(SendAnswer::Sent(v) | SendAnswer::Repeated(v))
        | Answer::Status(StatusAnswer::Found(v))
        | Answer::Cancel(CancelAnswer::Canceled(v)) => format!(
            "{:?} {:?} {} {:?} {:?} {:?} {:?} {:?} {} {}",
            v.status,
            v.channel,
            v.to,
            v.deliveries,
            v.resend_at,
            v.sends_left,
            v.checks_left,
            v.fallback,
            v.id.len(),
            v.sid.is_some()
        ),
        other => format!("{other:?}"),
    };
    (shape, trips)
}

#[test]
fn i40_a_decoy_looks_like_any_other_and_is_never_approved() {
    let private = "version = 1\n[privacy]\ndisclosure = \"private\"\n[countries]\nblock = [\"FR\"]\n";
    let run = |request: SendRequest, risk: RiskLevel| {
        let mut world = World::new(policy(private), Kinds::Own);
        world.risk = risk;
        let id = sent(world.clone().ask(request.clone())).id;
        let mut shapes = vec![
            shape(&mut world, request.clone()),
            shape(&mut world, request.clone()),
        ];
        shapes.push(shape(
            &mut world,
            CheckRequest::of(&id, "000000", Expected::Whoever),
        ));
        world.advance(Duration::from_secs(60));
        shapes.push(shape(&mut world, request));
        shapes.push(shape(&mut world, StatusRequest::of(&id)));
        shapes.push(shape(&mut world, CancelRequest::of(&id)));
        (shapes, world.dispatches)
    };
    let (real, dispatched) = run(SendRequest::to(TO), RiskLevel::Low);
    assert_eq!(dispatched, 2);
    let (unknown, dispatched) = run(send().decoy(true), RiskLevel::Low);
    assert_eq!((&unknown, dispatched), (&real, 0));
    let (risky, dispatched) = run(SendRequest::to(TO), RiskLevel::High);
    assert_eq!((&risky, dispatched), (&real, 0));
    let (blocked, dispatched) = run(SendRequest::to("+33612345678"), RiskLevel::Low);
    assert_eq!(dispatched, 0);
    assert_eq!(
        blocked.iter().map(|(_, trips)| *trips).collect::<Vec<_>>(),
        real.iter().map(|(_, t)| *t).collect::<Vec<_>>()
    );
}

#[test]
fn i40_no_guess_of_a_million_approves_a_decoy() {
    let private =
        "version = 1\n[privacy]\ndisclosure = \"private\"\n[lockout]\nwaits = { 1000000 = \"15m\" }\n";
    let unlimited = "[[limit]]\nname = \"checks_per_identity\"\nmax = \"unlimited\"\n";
    let text = format!("{private}{unlimited}[code]\nlength = 4\nallow_short = true\nttl = \"10m\"\n");
    let mut world = World::new(policy(&text), Kinds::Own);
    sent(world.ask(send().decoy(true)));
    for guess in 0..10_000 {
        let answer = world.ask(check(&format!("{guess:04}")));
        assert!(matches!(answer, CheckAnswer::WrongCode(_)), "{guess}: {answer:?}");
    }
}

/// Who made a code compares no more after five wrong guesses, and only for a real one would say so: both end here by then.
#[test]
fn i40_a_managed_code_and_its_decoy_end_at_the_same_guess() {
    let unlimited = "[[limit]]\nname = \"checks_per_identity\"\nmax = \"unlimited\"\n";
    let text = format!("{PRIVATE}[lockout]\nwaits = \"unlimited\"\n{unlimited}");
    for decoy in [false, true] {
        let mut world = World::new(policy(&text), Kinds::Managed);
        let id = sent(world.ask(send().decoy(decoy))).id;
        for left in (0..5).rev() {
            let CheckAnswer::WrongCode(wrong) = world.ask(check("000000")) else {
                panic!("decoy: {decoy}, {left} left")
            };
            let status = match left {
                0 => Status::Exhausted,
                _ => Status::Pending,
            };
            assert_eq!(
                (wrong.checks_left, wrong.status),
                (Some(left), status),
                "decoy: {decoy}"
            );
            let seen = seen(&mut world, &id);
            assert_eq!(
                (seen.checks_left, seen.status),
                (Some(left), status),
                "decoy: {decoy}"
            );
        }
        let over = refused(world.ask(check("000000")));
        assert_eq!(over.code, RefusalCode::NotFound, "decoy: {decoy}");
    }
}

#[test]
fn i40_a_resent_decoy_expires_as_a_resent_code_does() {
    for kinds in BOTH {
        let life = |decoy: bool| {
            let mut world = World::new(policy(PRIVATE), kinds);
            let request = send().decoy(decoy);
            let first = sent(world.ask(request.clone()));
            world.advance(Duration::from_secs(31));
            let second = sent(world.ask(request));
            (first.expires_at, second.expires_at, first.id == second.id)
        };
        assert_eq!(life(true), life(false));
    }
}

/// What is offered, and whether a send by another channel is admitted, while reports come of the real thing alone.
#[test]
fn i40_what_is_reported_of_the_real_thing_shows_nowhere() {
    for kinds in BOTH {
        let course = |report: Option<Report>, decoy: bool| {
            let mut world = World::new(policy(PRIVATE), kinds);
            let request = send().decoy(decoy);
            let id = sent(world.ask(request.clone())).id;
            if let Some(report) = report {
                let reference = world.sent[0].reference.clone();
                world.run(ReportRequest::of(reference, report, "1"));
            }
            let mut course = Vec::new();
            for _ in 0..8 {
                world.advance(Duration::from_secs(5));
                course.push(format!("{:?}", seen(&mut world, &id).fallback));
                for by in [Channel::Sms, Channel::Call] {
                    let again = request.clone().by(by);
                    course.push(world.clone().run(again).0.as_str().to_owned());
                }
            }
            course
        };
        let decoy = course(None, true);
        for report in [Report::Delivered, Report::Undelivered(Detail::default())] {
            assert_eq!(
                course(Some(report.clone()), false),
                decoy,
                "{kinds:?}: {report:?}"
            );
        }
        assert_eq!(course(None, false), decoy, "{kinds:?}");
    }
}

/// A message that its provider gives back late goes on through nobody else where somebody has asked again: it would be the last one
/// then, and show.
#[test]
fn i40_a_rejection_after_the_next_send_does_not_show() {
    let text = format!("{PRIVATE}[[limit]]\nname = \"resend_gap\"\nper = \"5s\"\n");
    for late in [RejectionKind::Down, RejectionKind::OptedOut] {
        let mut world = World::new(policy(&text), Kinds::TwoOwn);
        let mut step = world.start(send().by(Channel::Sms));
        while step.kind() != "dispatch" {
            step = world.perform(step);
        }
        world.advance(Duration::from_secs(5));
        let id = sent(world.ask(send().by(Channel::Call))).id;
        world.rejecting.insert("own".to_owned(), late);
        while !matches!(step, Step::Done(_)) {
            step = world.perform(step);
        }
        assert_eq!(seen(&mut world, &id).channel, Channel::Call, "{late:?}");
        approved(world.ask(check(&code(&world))));
    }
}

#[test]
fn i40_risk_answers_for_a_decoy_as_for_anyone() {
    for risk in [RiskLevel::Low, RiskLevel::Medium, RiskLevel::High] {
        let answer = |decoy: bool| {
            let mut world = World::new(policy(PRIVATE), Kinds::Own);
            world.risk = risk;
            let request = send().decoy(decoy);
            match world.ask(request) {
                SendAnswer::Refused(refusal) => refusal.code.as_str().to_owned(),
                SendAnswer::Sent(_) => "sent".to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(answer(true), answer(false), "{risk:?}");
    }
}

#[test]
fn i44_a_clock_that_jumps_back_opens_nothing() {
    for kinds in BOTH {
        let mut world = world(kinds);
        sent(world.ask(send()));
        let right = code(&world);
        world.run(check(&wrong(&right)));
        let now = world.now;
        world.now = now - Duration::from_secs(3_600);
        let early = refused(world.ask(check(&right)));
        assert_eq!(early.code, RefusalCode::Cooldown);
        assert!(matches!(
            world.ask(send()),
            SendAnswer::Repeated(_) | SendAnswer::Refused(_)
        ));
        assert_eq!(world.dispatches, 1);
        world.now = now + Duration::from_secs(60);
        approved(world.ask(check(&right)));
    }
}

#[test]
fn i44_an_expired_code_stays_expired_when_the_clock_jumps_back() {
    let mut world = world(Kinds::Own);
    sent(world.ask(send()));
    let right = code(&world);
    world.advance(Duration::from_secs(600));
    // Somebody sees it expired, and writes a newer stamp.
    sent(world.ask(send()));
    world.now = world.now - Duration::from_secs(70);
    let answer = world.ask(check(&right));
    assert!(!matches!(answer, CheckAnswer::Approved(_)), "{answer:?}");
}

#[test]
fn i59_a_public_answer_has_no_place_for_rules_or_providers() {
    let mut world = world(Kinds::Own);
    sent(world.ask(send()));
    world.advance(Duration::from_secs(31));
    sent(world.ask(send()));
    world.advance(Duration::from_secs(31));
    sent(world.ask(send()));
    world.advance(Duration::from_secs(31));
    let outcome = world.run(send()).0;
    let decided: Vec<String> = outcome
        .explanation
        .rules
        .iter()
        .map(|hit| hit.rule.to_string())
        .collect();
    assert_eq!(decided, ["sends_per_destination"], "operators see the rule");
    let Refusal { detail, code, .. } = refused(outcome.answer.unwrap());
    assert_eq!(code, RefusalCode::RateLimited);
    for secret in ["sends_per_destination", "own", "destination"] {
        assert!(!detail.contains(secret), "{detail}");
    }
}

#[test]
fn an_erased_person_is_gone_and_their_counters_stay() {
    let mut world = world(Kinds::Own);
    let id = sent(world.ask(send())).id;
    world.run(check("000000"));
    assert_eq!(
        world.ask(EraseRequest::at(TO)),
        EraseAnswer::Erased { verifications: 1 }
    );
    assert_eq!(
        refused(world.ask(StatusRequest::of(&id))).code,
        RefusalCode::NotFound
    );
    assert_eq!(failures(&world), 1);
    assert_eq!(refused(world.ask(send())).code, RefusalCode::Cooldown);
}

/// Every provider of this world is down from now on.
fn goes_down(world: &mut World) {
    for name in ["own", "second"] {
        world.rejecting.insert(name.into(), RejectionKind::Down);
    }
}

#[test]
fn a_code_that_came_stays_right_whatever_becomes_of_the_messages_after_it() {
    let mut often = "[[limit]]\nname = \"resend_gap\"\nper = \"5s\"\n".to_owned();
    for name in ["sends_per_destination", "sends_per_destination_day"] {
        often += &format!("[[limit]]\nname = \"{name}\"\nmax = \"unlimited\"\n");
    }
    for text in ["version = 1\n", PRIVATE] {
        let mut world = World::new(policy(&format!("{text}{often}")), Kinds::TwoOwn);
        sent(world.ask(send()));
        let right = code(&world);
        goes_down(&mut world);
        for _ in 0..2 * MOST_DELIVERIES {
            world.advance(Duration::from_secs(6));
            world.run(send());
        }
        assert_eq!(world.sent.len(), 1);
        approved(world.ask(check(&right)));
    }
}

#[test]
fn an_approval_names_the_channel_that_the_code_came_by() {
    for text in ["version = 1\n", PRIVATE] {
        let mut world = World::new(policy(text), Kinds::Own);
        sent(world.ask(send()));
        let right = code(&world);
        goes_down(&mut world);
        world.advance(Duration::from_secs(31));
        world.run(send().by(Channel::Call));
        let approval = approved(world.ask(check(&right)));
        assert_eq!(approval.channel, Channel::Sms);
    }
}

#[test]
fn what_is_reported_was_carried_whatever_its_provider_said_before() {
    let mut world = World::new(policy(PRIVATE), Kinds::Own);
    let Step::Dispatch(dispatch) = world.begin(send(), "dispatch") else {
        panic!("a send asks a provider")
    };
    Outside::dispatch(&mut world, dispatch.request());
    let lost = dispatch.lost(world.now);
    drive(lost, &mut world);
    world.advance(Duration::from_secs(60));
    let Step::Inquire(inquire) = world.begin(tick(&world), "inquire") else {
        panic!("a tick asks about it")
    };
    let not_sent = inquire.resume(world.now, Inquired::NotSent);
    drive(not_sent, &mut world);
    let reference = world.sent[0].reference.clone();
    world.run(ReportRequest::of(reference, Report::Delivered, "m1"));
    approved(world.ask(check(&code(&world))));
}
