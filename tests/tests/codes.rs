//! Promises about codes and approvals (I-20 to I-25, I-45, I-54 to I-56, I-64, I-66), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{CheckRequest, Command, RedeemRequest, SendRequest};
use verify_core::flow::Step;
use verify_core::keys::Keys;
use verify_core::outcome::{Answer, RefusalCode};
use verify_core::port::RejectionKind;
use verify_core::record::{MOST_VERIFICATIONS, Status};
use verify_core::store::StoreAnswer;
use verify_core::vocabulary::{Channel, Purpose, ServiceId};
use verify_lab::explore::{Kinds, World};
use verify_tests::{
    BOTH, TO, approved, check, code, failures, policy, record, redeem, refused, send, sent, world,
};

fn resend() -> Command {
    Command::Send(SendRequest::to(TO))
}

#[test]
fn i20_the_store_holds_no_code_and_no_destination() {
    for kinds in BOTH {
        let mut world = world(kinds);
        for to in [TO, "ann.canary@example.com"] {
            sent(
                world
                    .run(Command::Send(SendRequest::to(to).subject("canary-subject")))
                    .0
                    .answer,
            );
        }
        for to in [TO, "ann.canary@example.com"] {
            let guess = CheckRequest {
                subject: Some("canary-subject".into()),
                ..CheckRequest::to(to, "000000")
            };
            world.run(Command::Check(guess));
        }
        let dump = format!("{:?}", world.store);
        let bytes: Vec<u8> = world
            .store
            .records()
            .values()
            .flat_map(|row| row.bytes.clone())
            .collect();
        let codes: Vec<String> = world.sent.iter().map(|sent| sent.code.clone()).collect();
        for canary in
            codes
                .iter()
                .map(String::as_str)
                .chain([TO, "2025550123", "ann.canary", "canary-subject"])
        {
            assert!(!dump.contains(canary), "{canary} in the store");
            assert!(
                !bytes
                    .windows(canary.len())
                    .any(|window| window == canary.as_bytes()),
                "{canary} in a record"
            );
        }
    }
}

#[test]
fn i22_a_resend_does_not_extend_the_life_of_a_code() {
    for kinds in BOTH {
        let mut world = world(kinds);
        let first = sent(world.run(send()).0.answer);
        let right = code(&world);
        world.advance(Duration::from_secs(300));
        let second = sent(world.run(resend()).0.answer);
        assert_eq!(
            (second.expires_at, code(&world) == right),
            (first.expires_at, true)
        );
        assert_eq!(first.expires_at, world.now + Duration::from_secs(300));
        world.now = first.expires_at;
        assert_eq!(
            refused(world.run(check(&right)).0.answer).code,
            RefusalCode::NotFound
        );
        world.now = world.now - Duration::from_secs(70);
        // The clock jumps back: what had not been written as expired is judged by time again, but only if it still lives.
        assert!(world.now < first.expires_at);
    }
}

#[test]
fn i23_an_own_code_approves_only_what_it_was_made_for() {
    let bound = |purpose, subject: Option<&str>, payee: Option<&str>| {
        let mut request = SendRequest::to(TO).purpose(purpose);
        request.subject = subject.map(str::to_owned);
        request.payee = payee.map(str::to_owned);
        request.amount = payee.map(|_| "10 EUR".to_owned());
        request
    };
    let identities = [
        bound(Purpose::SignIn, None, None),
        bound(Purpose::Recovery, None, None),
        bound(Purpose::SignIn, Some("ann"), None),
        bound(Purpose::Transaction, Some("ann"), Some("Bob")),
        bound(Purpose::Transaction, Some("ann"), Some("Eve")),
    ];
    for (at, made_for) in identities.iter().enumerate() {
        let world = World::new(
            policy("version = 1\n[lockout]\nwaits = { 50 = \"15m\" }\n"),
            Kinds::Own,
        );
        for other in identities.iter().filter(|other| *other != made_for) {
            let mut world = world.clone();
            sent(world.run(Command::Send(made_for.clone())).0.answer);
            let own = code(&world);
            world.advance(Duration::from_secs(31));
            sent(world.run(Command::Send(other.clone())).0.answer);
            let check = |identity: &SendRequest| CheckRequest {
                subject: identity.subject.clone(),
                purpose: identity.purpose,
                amount: identity.amount.clone(),
                payee: identity.payee.clone(),
                ..CheckRequest::to(TO, &own)
            };
            let crossed = world.clone().run(Command::Check(check(other))).0.answer;
            assert!(matches!(crossed, Answer::WrongCode(_)), "{at}: {crossed:?}");
            approved(world.run(Command::Check(check(made_for))).0.answer);
        }
    }
}

#[test]
fn i23_a_managed_code_approves_at_most_one_verification_of_its_scope() {
    let mut world = world(Kinds::Managed);
    sent(world.run(Command::Send(SendRequest::to(TO))).0.answer);
    world.advance(Duration::from_secs(31));
    let recovery = sent(
        world
            .run(Command::Send(SendRequest::to(TO).purpose(Purpose::Recovery)))
            .0
            .answer,
    );
    let shared = code(&world);
    approved(
        world
            .run(Command::Check(CheckRequest::of(&recovery.id, &shared)))
            .0
            .answer,
    );
    let (_, record) = record(&world).unwrap();
    let statuses: Vec<Status> = record.entries.iter().map(|entry| entry.status()).collect();
    assert_eq!(
        statuses,
        [Status::Canceled, Status::Approved],
        "the sibling ends with the shared code"
    );
    assert_eq!(
        refused(world.run(check(&shared)).0.answer).code,
        RefusalCode::NotFound
    );
}

#[test]
fn i24_terminal_states_absorb() {
    for from in Status::ALL {
        for to in Status::ALL {
            let listed = Status::TRANSITIONS.contains(&(*from, *to));
            assert_eq!(
                listed,
                *from == Status::Pending && *to != Status::Pending,
                "{from:?} to {to:?}"
            );
        }
    }
}

#[test]
fn i23_an_approval_names_the_channel_that_carried_the_code() {
    let mut world = World::new(policy("version = 1"), Kinds::Own);
    sent(world.run(send()).0.answer);
    world.advance(Duration::from_secs(31));
    world
        .rejecting
        .insert("own".into(), RejectionKind::ChannelUnreachable);
    refused(
        world
            .run(Command::Send(SendRequest::to(TO).by(Channel::Call)))
            .0
            .answer,
    );
    let approval = approved(world.run(check(&code(&world))).0.answer);
    assert_eq!(approval.channel, Channel::Sms);
}

#[test]
fn i25_an_approval_says_what_it_is_worth() {
    let mut world = world(Kinds::Own);
    for (to, worth) in [(TO, "phone_restricted"), ("ann@example.com", "mailbox_only")] {
        sent(world.run(Command::Send(SendRequest::to(to))).0.answer);
        let guess = world.code_for(to).unwrap().expose().to_owned();
        let approval = approved(world.run(Command::Check(CheckRequest::to(to, guess))).0.answer);
        assert_eq!(approval.assurance.as_str(), worth);
        assert!(!approval.test);
    }
}

#[test]
fn i45_same_or_new_codes_on_a_resend() {
    let mut world = World::new(policy("version = 1\n[code]\nresend = \"new\"\n"), Kinds::Own);
    sent(world.run(send()).0.answer);
    let first = code(&world);
    world.advance(Duration::from_secs(31));
    let second = sent(world.run(resend()).0.answer);
    assert_eq!(
        second.expires_at,
        world.now + Duration::from_secs(600),
        "a new secret has a life of its own"
    );
    let last = code(&world);
    assert_ne!(first, last);
    assert!(matches!(
        world.clone().run(check(&first)).0.answer,
        Answer::WrongCode(_)
    ));
    approved(world.run(check(&last)).0.answer);
}

#[test]
// long because every field that must match has its line
fn i54_a_proof_is_redeemed_once_and_only_for_what_it_proves() {
    let mut world = world(Kinds::Own);
    let request = SendRequest {
        amount: Some("10 EUR".into()),
        payee: Some("Bob".into()),
        ..SendRequest::to(TO).purpose(Purpose::Transaction).subject("ann")
    };
    let id = sent(world.run(Command::Send(request)).0.answer).id;
    let proof = approved(
        world
            .run(Command::Check(CheckRequest::of(id, code(&world))))
            .0
            .answer,
    )
    .proof;
    let right = RedeemRequest {
        purpose: Purpose::Transaction,
        subject: Some("ann".into()),
        amount: Some("10 EUR".into()),
        payee: Some("Bob".into()),
        ..redeem(&proof)
    };
    let before = world.store.clone();
    for wrong in [
        RedeemRequest {
            purpose: Purpose::SignIn,
            ..right.clone()
        },
        RedeemRequest {
            subject: None,
            ..right.clone()
        },
        RedeemRequest {
            subject: Some("eve".into()),
            ..right.clone()
        },
        RedeemRequest {
            amount: Some("99 EUR".into()),
            ..right.clone()
        },
        RedeemRequest {
            payee: Some("Eve".into()),
            ..right.clone()
        },
        RedeemRequest {
            to: "+12025550124".into(),
            ..right.clone()
        },
        RedeemRequest {
            service: ServiceId::new("other").unwrap(),
            ..right.clone()
        },
    ] {
        let (outcome, trips) = world.run(Command::Redeem(wrong));
        assert_eq!((refused(outcome.answer).code, trips), (RefusalCode::NotFound, 0));
    }
    assert_eq!(world.store, before, "a mismatch consumes nothing");
    let keyed = RedeemRequest {
        idempotency_key: Some("k".into()),
        ..right.clone()
    };
    let (first, trips) = world.run(Command::Redeem(keyed.clone()));
    assert!(matches!(first.answer, Answer::Redeemed(_)) && trips == 1);
    assert_eq!(
        world.run(Command::Redeem(keyed)).0.answer,
        first.answer,
        "the same key, the same answer"
    );
    assert_eq!(
        refused(world.run(Command::Redeem(right.clone())).0.answer).code,
        RefusalCode::NotFound
    );
    world.advance(Duration::from_secs(301));
    assert_eq!(
        refused(world.run(Command::Redeem(right)).0.answer).code,
        RefusalCode::NotFound
    );
}

#[test]
fn i55_a_token_that_does_not_open_costs_no_store_call() {
    let mut world = world(Kinds::Own);
    let id = sent(world.run(send()).0.answer).id;
    let proof = approved(
        world
            .run(Command::Check(CheckRequest::of(&id, code(&world))))
            .0
            .answer,
    )
    .proof;
    let mut flipped = id.clone().into_bytes();
    flipped[20] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    for bad in ["", "x", flipped.as_str(), proof.as_str(), &id[1..]] {
        for command in [
            Command::Check(CheckRequest::of(bad, "123456")),
            verify_tests::cancel(bad),
            verify_tests::status(bad),
            Command::Send(SendRequest::again(bad)),
            Command::Redeem(redeem(if bad == proof { &id } else { bad })),
        ] {
            let (outcome, trips) = world.run(command);
            assert_eq!((refused(outcome.answer).code, trips), (RefusalCode::NotFound, 0));
        }
    }
}

#[test]
fn i56_a_rotation_is_no_amnesty_and_loses_nothing() {
    let keys = Keys::generate(&[7; 32]);
    let rotated = keys.rotated(&[9; 32]);
    let mut world = world(Kinds::Own);
    let id = sent(world.run(send()).0.answer).id;
    let right = code(&world);
    assert!(matches!(
        world.run(check("000000")).0.answer,
        Answer::WrongCode(_)
    ));
    world.use_keys(rotated);
    assert_eq!(
        refused(world.run(check("000000")).0.answer).code,
        RefusalCode::Cooldown,
        "the failure still counts"
    );
    assert!(matches!(world.run(send()).0.answer, Answer::Repeated(_)) || failures(&world) > 0);
    world.advance(Duration::from_secs(60));
    sent(world.run(resend()).0.answer);
    assert_eq!(code(&world), right, "the pending code is still the code");
    world.advance(Duration::from_secs(31));
    sent(world.run(resend()).0.answer);
    world.advance(Duration::from_secs(31));
    assert_eq!(
        refused(world.run(resend()).0.answer).code,
        RefusalCode::RateLimited,
        "three sends in ten minutes"
    );
    let proof = approved(world.run(Command::Check(CheckRequest::of(&id, &right))).0.answer).proof;
    world.use_keys(Keys::generate(&[7; 32]).rotated(&[9; 32]).rotated(&[11; 32]));
    assert!(matches!(
        world.run(Command::Redeem(redeem(&proof))).0.answer,
        Answer::Redeemed(_)
    ));
}

#[test]
fn i64_a_test_destination_is_never_sent_to_and_ends_with_its_date() {
    let text =
        "version = 1\n[[tests.destination]]\nto = \"+12025550190\"\ncode = \"424242\"\nuntil = 2026-12-31\n";
    let mut world = World::new(policy(text), Kinds::Own);
    let request = SendRequest::to("+12025550190");
    let id = sent(world.run(Command::Send(request.clone())).0.answer).id;
    assert_eq!(world.dispatches, 0);
    let approval = approved(
        world
            .run(Command::Check(CheckRequest::of(&id, "424242")))
            .0
            .answer,
    );
    assert!(approval.test);
    assert_eq!(approval.assurance.as_str(), "test");
    world.advance(Duration::from_secs(60));
    let id = sent(world.run(Command::Send(request.clone())).0.answer).id;
    // The day after: neither a new one, nor a code that is still pending.
    let end = verify_core::time::Timestamp::from_millis(1_798_761_600_000);
    world.advance(end.since(world.now));
    assert_eq!(
        refused(world.run(Command::Send(request)).0.answer).code,
        RefusalCode::Blocked
    );
    let late = refused(
        world
            .run(Command::Check(CheckRequest::of(&id, "424242")))
            .0
            .answer,
    );
    assert_eq!(late.code, RefusalCode::NotFound);
    assert_eq!(world.dispatches, 0);
}

#[test]
fn i66_another_amount_is_another_verification() {
    let mut world = world(Kinds::Own);
    let pay = |amount: &str| SendRequest {
        amount: Some(amount.into()),
        payee: Some("Bob".into()),
        ..SendRequest::to(TO).purpose(Purpose::Transaction).subject("ann")
    };
    let first = sent(world.run(Command::Send(pay("10 EUR"))).0.answer);
    let first_code = code(&world);
    let other = refused(world.run(Command::Send(pay("99 EUR"))).0.answer);
    assert_eq!(other.code, RefusalCode::Cooldown, "no repeat of another amount");
    world.advance(Duration::from_secs(31));
    let second = sent(world.run(Command::Send(pay("99 EUR"))).0.answer);
    assert_ne!(first.id, second.id);
    assert!(matches!(
        world
            .clone()
            .run(Command::Check(CheckRequest::of(&second.id, &first_code)))
            .0
            .answer,
        Answer::WrongCode(_)
    ));
    approved(
        world
            .run(Command::Check(CheckRequest::of(&first.id, &first_code)))
            .0
            .answer,
    );
    for missing in [
        SendRequest {
            amount: None,
            payee: None,
            ..pay("1")
        },
        SendRequest {
            payee: None,
            ..pay("1")
        },
        SendRequest {
            amount: None,
            ..pay("1")
        },
    ] {
        assert_eq!(
            refused(world.run(Command::Send(missing)).0.answer).code,
            RefusalCode::InvalidRequest
        );
    }
}

#[test]
fn a_record_is_bounded_and_keeps_room_for_known_callers() {
    let text = "version = 1\n[[limit]]\nname = \"sends_per_destination\"\nmax = \"unlimited\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    sent(
        world
            .run(Command::Send(SendRequest::to(TO).subject("owner")))
            .0
            .answer,
    );
    let owner = CheckRequest {
        subject: Some("owner".into()),
        ..CheckRequest::to(TO, code(&world))
    };
    let device = approved(world.run(Command::Check(owner)).0.answer).device_token;
    for stranger in 0..10 {
        world.advance(Duration::from_secs(31));
        world.run(Command::Send(
            SendRequest::to(TO)
                .by(Channel::Sms)
                .subject(format!("s{stranger}")),
        ));
    }
    let (_, full) = record(&world).unwrap();
    assert!(full.entries.len() <= MOST_VERIFICATIONS - 2);
    let mut known = SendRequest::to(TO).subject("owner");
    known.caller.device_token = Some(device);
    sent(world.run(Command::Send(known)).0.answer);
}

#[test]
fn i56_an_intent_that_is_repeated_under_the_old_key_revives_nothing() {
    // The gap would refuse the repetition.
    let mut world = World::new(
        policy(
            "[[limit]]\nname = \"resend_gap\"\nmax = 3\n[[tests.destination]]\nto = \"+12025550123\"\n\
             code = \"424242\"\nuntil = 2099-12-31\n",
        ),
        Kinds::Own,
    );
    let Step::Store(intent) = world.start(send()) else {
        panic!("a send begins with an intent")
    };
    world.store.apply_now(intent.changeset());
    let again = intent.resume(world.now, StoreAnswer::Unknown);
    world.use_keys(Keys::generate(&[7; 32]).rotated(&[8; 32]));
    approved(world.run(check("424242")).0.answer);
    let mut step = again;
    while !matches!(step, Step::Done(_)) {
        step = world.perform(step);
    }
    let answer = world.run(check("424242")).0.answer;
    assert!(!matches!(answer, Answer::Approved(_)), "approved twice");
}
