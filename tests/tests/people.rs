//! Promises about people (I-36 to I-40, I-44, I-59), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{Caller, CheckRequest, Command, PersonRequest, SendRequest};
use verify_core::outcome::{Answer, Refusal, RefusalCode};
use verify_core::port::RiskLevel;
use verify_core::vocabulary::ServiceId;
use verify_lab::explore::{Kinds, World};
use verify_tests::{
    BOTH, TO, approved, check, code, failures, policy, refused, send, sent, status, world, wrong,
};

const PRIVATE: &str = "version = 1\n[privacy]\ndisclosure = \"private\"\n";

fn known(device_token: &str) -> Caller {
    Caller {
        device_token: Some(device_token.into()),
        ..Caller::default()
    }
}

fn person() -> PersonRequest {
    PersonRequest {
        service: ServiceId::default(),
        to: TO.into(),
        country: None,
        subject: None,
    }
}

#[test]
fn i36_strangers_do_not_keep_a_known_caller_out() {
    for kinds in BOTH {
        let mut world = world(kinds);
        sent(world.run(send()).0.answer);
        let device = approved(world.run(check(&code(&world))).0.answer).device_token;
        // A stranger sends and guesses for hours.
        for _ in 0..200 {
            world.run(send());
            world.run(check("000000"));
            world.advance(Duration::from_secs(61));
        }
        world.run(check("000000"));
        let mine = SendRequest {
            caller: known(&device),
            ..SendRequest::to(TO)
        };
        let id = sent(world.run(Command::Send(mine)).0.answer).id;
        let right = code(&world);
        for _ in 0..20 {
            world.run(check("000000"));
        }
        let guess = CheckRequest {
            caller: known(&device),
            ..CheckRequest::of(id, right)
        };
        approved(world.run(Command::Check(guess)).0.answer);
    }
}

#[test]
fn a_view_counts_what_its_own_standing_has_left() {
    let mut world = world(Kinds::Own);
    sent(world.run(send()).0.answer);
    let device = approved(world.run(check(&code(&world))).0.answer).device_token;
    let mut known = SendRequest::to(TO);
    known.caller.device_token = Some(device);
    let id = sent(world.run(Command::Send(known)).0.answer).id;
    world.advance(Duration::from_secs(31));
    sent(world.run(send()).0.answer);
    let Answer::Status(seen) = world.run(status(&id)).0.answer else {
        panic!()
    };
    assert_eq!(seen.sends_left, 2, "the known caller sent once");
}

#[test]
fn i36_every_lockout_ends_by_itself_or_by_an_operator() {
    let mut world = world(Kinds::Own);
    sent(world.run(send()).0.answer);
    let bad = wrong(&code(&world));
    for _ in 0..5 {
        world.run(check(&bad));
        world.advance(Duration::from_secs(60));
    }
    let locked = refused(world.run(send()).0.answer);
    assert_eq!(locked.code, RefusalCode::Locked);
    let mut waited = world.clone();
    waited.advance(Duration::from_secs(15 * 60));
    sent(waited.run(send()).0.answer);
    assert!(matches!(
        world.run(Command::Unlock(person())).0.answer,
        Answer::Unlocked
    ));
    world.advance(Duration::from_secs(10 * 60));
    assert_eq!(failures(&world), 0);
    sent(world.run(send()).0.answer);
}

#[test]
fn i38_a_long_wait_closes_the_verification() {
    for kinds in BOTH {
        let mut world = world(kinds);
        let id = sent(world.run(send()).0.answer).id;
        let right = code(&world);
        let bad = wrong(&right);
        for _ in 0..4 {
            assert!(matches!(world.run(check(&bad)).0.answer, Answer::WrongCode(_)));
            world.advance(Duration::from_secs(60));
        }
        let Answer::WrongCode(last) = world.run(check(&bad)).0.answer else {
            panic!("the fifth is compared")
        };
        assert_eq!(last.status.as_str(), "exhausted");
        let Answer::Status(seen) = world.run(status(&id)).0.answer else {
            panic!()
        };
        assert_eq!(seen.status.as_str(), "exhausted");
        world.advance(Duration::from_secs(15 * 60));
        assert_eq!(
            refused(world.run(check(&right)).0.answer).code,
            RefusalCode::NotFound
        );
    }
}

#[test]
fn i38_a_closing_that_a_crash_kept_from_being_written_holds_all_the_same() {
    use verify_core::flow::Step;
    let text = "version = 1\n[code]\nttl = \"10m\"\n[lockout]\nwaits = { 1 = \"5m\" }\n";
    let mut world = World::new(policy(text), Kinds::Own);
    sent(world.run(send()).0.answer);
    let right = code(&world);
    // The failure is counted, and the flow dies before it writes the closing.
    let step = world.start(check(&wrong(&right)));
    let Step::Store(_) = world.perform(step) else {
        panic!("the closing")
    };
    world.advance(Duration::from_secs(301));
    let counted = failures(&world);
    let (outcome, trips) = world.run(check(&right));
    assert_eq!((refused(outcome.answer).code, trips), (RefusalCode::NotFound, 2));
    assert_eq!(
        failures(&world),
        counted,
        "retyping an old code is not counted anew"
    );
    let (outcome, trips) = world.run(check(&right));
    assert_eq!(
        (refused(outcome.answer).code, trips),
        (RefusalCode::NotFound, 1),
        "it is written down now"
    );
}

#[test]
fn i38_checks_left_counts_to_a_closing_as_short_as_what_forgets() {
    let text = "version = 1\n[lockout]\nwaits = { 2 = \"2m\" }\nforget_after = \"2m\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    sent(world.run(send()).0.answer);
    let bad = wrong(&code(&world));
    let Answer::WrongCode(one) = world.run(check(&bad)).0.answer else {
        panic!()
    };
    let Answer::WrongCode(two) = world.run(check(&bad)).0.answer else {
        panic!()
    };
    assert_eq!((two.status.as_str(), one.checks_left), ("exhausted", 1));
}

#[test]
fn i39_a_success_resets_its_own_run_and_no_other() {
    let text = "version = 1\n[lockout]\nwaits = { 5 = \"15m\" }\n";
    let mut world = World::new(policy(text), Kinds::Own);
    let other = "+12025550124";
    for to in [TO, other] {
        sent(world.run(Command::Send(SendRequest::to(to))).0.answer);
        world.run(Command::Check(CheckRequest::to(to, "000000")));
    }
    assert_eq!(failures(&world), 2);
    approved(world.run(check(&code(&world))).0.answer);
    assert_eq!(failures(&world), 1);
}

#[test]
fn i39_a_run_without_a_failure_for_long_enough_is_over() {
    let mut world = world(Kinds::Own);
    sent(world.run(send()).0.answer);
    let bad = wrong(&code(&world));
    for _ in 0..3 {
        world.run(check(&bad));
        world.advance(Duration::from_secs(60));
    }
    world.advance(Duration::from_secs(30 * 86_400));
    let fresh = sent(world.run(send()).0.answer);
    assert_eq!(fresh.checks_left, 5);
}

/// What a caller can see of an answer, times and ids aside.
fn shape(answer: &Answer) -> String {
    match answer {
        Answer::Sent(v) | Answer::Repeated(v) | Answer::Status(v) | Answer::Canceled(v) => format!(
            "{:?} {:?} {} {:?} {:?} {} {} {:?} {} {}",
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
    }
}

#[test]
fn i40_a_decoy_looks_like_any_other_and_is_never_approved() {
    let private = "version = 1\n[privacy]\ndisclosure = \"private\"\n[countries]\nblock = [\"FR\"]\n";
    let run = |request: SendRequest, risk: RiskLevel| {
        let mut world = World::new(policy(private), Kinds::Own);
        world.risk = risk;
        let mut shapes = Vec::new();
        let (outcome, trips) = world.run(Command::Send(request.clone()));
        shapes.push((shape(&outcome.answer), trips));
        let id = sent(outcome.answer).id;
        let (outcome, trips) = world.run(Command::Send(request.clone()));
        shapes.push((shape(&outcome.answer), trips));
        let (outcome, trips) = world.run(Command::Check(CheckRequest::of(&id, "000000")));
        shapes.push((shape(&outcome.answer), trips));
        world.advance(Duration::from_secs(60));
        let (outcome, trips) = world.run(Command::Send(request));
        shapes.push((shape(&outcome.answer), trips));
        let (outcome, trips) = world.run(status(&id));
        shapes.push((shape(&outcome.answer), trips));
        let (outcome, trips) = world.run(verify_tests::cancel(&id));
        shapes.push((shape(&outcome.answer), trips));
        (shapes, world.dispatches)
    };
    let (real, dispatched) = run(SendRequest::to(TO), RiskLevel::Low);
    assert_eq!(dispatched, 2);
    let (unknown, dispatched) = run(
        SendRequest {
            decoy: true,
            ..SendRequest::to(TO)
        },
        RiskLevel::Low,
    );
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
    sent(
        world
            .run(Command::Send(SendRequest {
                decoy: true,
                ..SendRequest::to(TO)
            }))
            .0
            .answer,
    );
    for guess in 0..10_000 {
        let answer = world.run(check(&format!("{guess:04}"))).0.answer;
        assert!(matches!(answer, Answer::WrongCode(_)), "{guess}: {answer:?}");
    }
}

#[test]
fn i40_a_resent_decoy_expires_as_a_resent_code_does() {
    for kinds in BOTH {
        let life = |decoy: bool| {
            let mut world = World::new(policy(PRIVATE), kinds);
            let request = SendRequest {
                decoy,
                ..SendRequest::to(TO)
            };
            let first = sent(world.run(Command::Send(request.clone())).0.answer);
            world.advance(Duration::from_secs(31));
            let second = sent(world.run(Command::Send(request)).0.answer);
            (first.expires_at, second.expires_at, first.id == second.id)
        };
        assert_eq!(life(true), life(false));
    }
}

#[test]
fn i40_risk_answers_for_a_decoy_as_for_anyone() {
    for risk in [RiskLevel::Low, RiskLevel::Medium, RiskLevel::High] {
        let answer = |decoy: bool| {
            let mut world = World::new(policy(PRIVATE), Kinds::Own);
            world.risk = risk;
            let request = SendRequest {
                decoy,
                ..SendRequest::to(TO)
            };
            match world.run(Command::Send(request)).0.answer {
                Answer::Refused(refusal) => refusal.code.as_str().to_owned(),
                Answer::Sent(_) => "sent".to_owned(),
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
        sent(world.run(send()).0.answer);
        let right = code(&world);
        world.run(check(&wrong(&right)));
        let now = world.now;
        world.now = now - Duration::from_secs(3_600);
        let early = refused(world.run(check(&right)).0.answer);
        assert_eq!(early.code, RefusalCode::Cooldown);
        assert!(matches!(
            world.run(send()).0.answer,
            Answer::Repeated(_) | Answer::Refused(_)
        ));
        assert_eq!(world.dispatches, 1);
        world.now = now + Duration::from_secs(60);
        approved(world.run(check(&right)).0.answer);
    }
}

#[test]
fn i44_an_expired_code_stays_expired_when_the_clock_jumps_back() {
    let mut world = world(Kinds::Own);
    sent(world.run(send()).0.answer);
    let right = code(&world);
    world.advance(Duration::from_secs(600));
    // Somebody sees it expired, and writes a newer stamp.
    sent(world.run(send()).0.answer);
    world.now = world.now - Duration::from_secs(70);
    let answer = world.run(check(&right)).0.answer;
    assert!(!matches!(answer, Answer::Approved(_)), "{answer:?}");
}

#[test]
fn i59_a_public_answer_has_no_place_for_rules_or_providers() {
    let mut world = world(Kinds::Own);
    sent(world.run(send()).0.answer);
    world.advance(Duration::from_secs(31));
    sent(world.run(send()).0.answer);
    world.advance(Duration::from_secs(31));
    sent(world.run(send()).0.answer);
    world.advance(Duration::from_secs(31));
    let outcome = world.run(send()).0;
    let decided: Vec<String> = outcome
        .explanation
        .rules
        .iter()
        .map(|hit| hit.rule.to_string())
        .collect();
    assert_eq!(decided, ["sends_per_destination"], "operators see the rule");
    let Refusal { detail, code, .. } = refused(outcome.answer);
    assert_eq!(code, RefusalCode::RateLimited);
    for secret in ["sends_per_destination", "own", "destination"] {
        assert!(!detail.contains(secret), "{detail}");
    }
}

#[test]
fn an_erased_person_is_gone_and_their_counters_stay() {
    let mut world = world(Kinds::Own);
    let id = sent(world.run(send()).0.answer).id;
    world.run(check("000000"));
    assert_eq!(
        world.run(Command::Erase(person())).0.answer,
        Answer::Erased { verifications: 1 }
    );
    assert_eq!(
        refused(world.run(status(&id)).0.answer).code,
        RefusalCode::NotFound
    );
    assert_eq!(failures(&world), 1);
    assert_eq!(refused(world.run(send()).0.answer).code, RefusalCode::Cooldown);
}
