//! Promises about codes and approvals (I-20 to I-25, I-45, I-54 to I-56, I-64, I-66), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{
    CancelRequest, CheckRequest, Command, Expected, Person, RedeemRequest, SendRequest, StatusRequest,
};
use verify_core::flow::{Step, drive};
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, RedeemAnswer, RefusalCode, SendAnswer};
use verify_core::port::RejectionKind;
use verify_core::record::{MOST_VERIFICATIONS, Status};
use verify_core::vocabulary::{Channel, Purpose, ServiceId};
use verify_lab::explore::{Kinds, World};
use verify_tests::{
    Asks, BOTH, TO, approved, check, code, failures, policy, refused, send, sent, verifications, world,
};

#[test]
fn i20_the_store_holds_no_code_and_no_destination() {
    for kinds in BOTH {
        let mut world = world(kinds);
        for to in [TO, "ann.canary@example.com"] {
            sent(world.ask(SendRequest::to(Person::at(to).subject("canary-subject"))));
        }
        for to in [TO, "ann.canary@example.com"] {
            let guess = CheckRequest::to(Person::at(to).subject("canary-subject"), "000000");
            world.run(guess);
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
        let first = sent(world.ask(send()));
        let right = code(&world);
        world.advance(Duration::from_secs(300));
        let second = sent(world.ask(send()));
        assert_eq!(
            (second.expires_at, code(&world) == right),
            (first.expires_at, true)
        );
        assert_eq!(first.expires_at, world.now + Duration::from_secs(300));
        world.now = first.expires_at;
        assert_eq!(refused(world.ask(check(&right))).code, RefusalCode::NotFound);
        world.now = world.now - Duration::from_secs(70);
        // The clock jumps back: what had not been written as expired is judged by time again, but only if it still lives.
        assert!(world.now < first.expires_at);
    }
}

#[test]
fn i23_an_own_code_approves_only_what_it_was_made_for() {
    let ann = || Person::at(TO).subject("ann");
    let identities = [
        Person::at(TO),
        Person::at(TO).purpose(Purpose::Recovery),
        ann(),
        ann().purpose(Purpose::Manage),
        ann().pays("10 EUR", "Bob"),
        ann().pays("10 EUR", "Eve"),
    ];
    for (at, made_for) in identities.iter().enumerate() {
        let world = World::new(
            policy("version = 1\n[lockout]\nwaits = { 50 = \"15m\" }\n"),
            Kinds::Own,
        );
        for other in identities.iter().filter(|other| *other != made_for) {
            let mut world = world.clone();
            sent(world.ask(SendRequest::to(made_for.clone())));
            let own = code(&world);
            world.advance(Duration::from_secs(31));
            sent(world.ask(SendRequest::to(other.clone())));
            let check = |identity: &Person| CheckRequest::to(identity.clone(), &own);
            let crossed = world.clone().ask(check(other));
            assert!(matches!(crossed, CheckAnswer::WrongCode(_)), "{at}: {crossed:?}");
            approved(world.ask(check(made_for)));
        }
    }
}

#[test]
fn i23_a_managed_code_approves_at_most_one_verification_of_its_scope() {
    let mut world = world(Kinds::Managed);
    sent(world.ask(SendRequest::to(TO)));
    world.advance(Duration::from_secs(31));
    let recovery = sent(world.ask(SendRequest::to(Person::at(TO).purpose(Purpose::Recovery))));
    let shared = code(&world);
    approved(world.ask(CheckRequest::of(&recovery.id, &shared, Expected::Whoever)));
    let statuses: Vec<Status> = verifications(&world).iter().map(|one| one.status()).collect();
    assert_eq!(
        statuses,
        [Status::Canceled, Status::Approved],
        "the sibling ends with the shared code"
    );
    assert_eq!(refused(world.ask(check(&shared))).code, RefusalCode::NotFound);
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
    sent(world.ask(send()));
    world.advance(Duration::from_secs(31));
    world
        .rejecting
        .insert("own".into(), RejectionKind::ChannelUnreachable);
    refused(world.ask(send().by(Channel::Call)));
    let approval = approved(world.ask(check(&code(&world))));
    assert_eq!(approval.channel, Channel::Sms);
}

#[test]
fn i25_an_approval_says_what_it_is_worth() {
    let mut world = world(Kinds::Own);
    for (to, worth) in [(TO, "phone_restricted"), ("ann@example.com", "mailbox_only")] {
        sent(world.ask(SendRequest::to(to)));
        let guess = world.code_for(to).unwrap().expose().to_owned();
        let approval = approved(world.ask(CheckRequest::to(to, guess)));
        assert_eq!(approval.assurance.as_str(), worth);
        assert!(!approval.test);
    }
}

#[test]
fn i45_same_or_new_codes_on_a_send() {
    let mut world = World::new(policy("version = 1\n[code]\nresend = \"new\"\n"), Kinds::Own);
    sent(world.ask(send()));
    let first = code(&world);
    world.advance(Duration::from_secs(31));
    let second = sent(world.ask(send()));
    assert_eq!(
        second.expires_at,
        world.now + Duration::from_secs(600),
        "a new secret has a life of its own"
    );
    let last = code(&world);
    assert_ne!(first, last);
    assert!(matches!(
        world.clone().ask(check(&first)),
        CheckAnswer::WrongCode(_)
    ));
    approved(world.ask(check(&last)));
}

#[test]
fn i54_a_proof_is_redeemed_once_and_only_for_what_it_proves() {
    let mut world = world(Kinds::Own);
    let ann = |to| Person::at(to).subject("ann");
    let payer = ann(TO).pays("10 EUR", "Bob");
    let id = sent(world.ask(SendRequest::to(payer.clone()))).id;
    let proof = approved(world.ask(CheckRequest::of(id, code(&world), Expected::Whoever))).proof;
    let of = |person| RedeemRequest::of(&proof, person);
    let right = of(payer.clone());
    let before = world.store.clone();
    for wrong in [
        of(ann(TO)),
        of(Person::at(TO).pays("10 EUR", "Bob")),
        of(payer.clone().subject("eve")),
        of(ann(TO).pays("99 EUR", "Bob")),
        of(ann(TO).pays("10 EUR", "Eve")),
        of(ann("+12025550124").pays("10 EUR", "Bob")),
        of(payer.purpose(Purpose::SignIn)),
        right.clone().service(ServiceId::new("other").unwrap()),
    ] {
        let (outcome, trips) = world.ask_counted(wrong);
        assert_eq!((refused(outcome).code, trips), (RefusalCode::NotFound, 0));
    }
    assert_eq!(world.store, before, "a mismatch consumes nothing");
    let keyed = right.clone().key("k");
    let (first, trips) = world.ask_counted(keyed.clone());
    assert!(matches!(first, RedeemAnswer::Redeemed(_)) && trips == 1);
    assert_eq!(world.ask(keyed), first, "the same key, the same answer");
    assert_eq!(refused(world.ask(right.clone())).code, RefusalCode::NotFound);
    world.advance(Duration::from_secs(301));
    assert_eq!(refused(world.ask(right)).code, RefusalCode::NotFound);
}

#[test]
fn i55_a_token_that_does_not_open_costs_no_store_call() {
    let mut world = world(Kinds::Own);
    let id = sent(world.ask(send())).id;
    let proof = approved(world.ask(CheckRequest::of(&id, code(&world), Expected::Whoever))).proof;
    let mut flipped = id.clone().into_bytes();
    flipped[20] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    for bad in ["", "x", flipped.as_str(), proof.as_str(), &id[1..]] {
        for command in [
            Command::from(CheckRequest::of(bad, "123456", Expected::Whoever)),
            CancelRequest::of(bad).into(),
            StatusRequest::of(bad).into(),
            SendRequest::again(bad, TO).into(),
            RedeemRequest::of(if bad == proof { &id } else { bad }, TO).into(),
        ] {
            let (outcome, trips) = world.run(command);
            assert_eq!(
                (refused(outcome.answer.unwrap()).code, trips),
                (RefusalCode::NotFound, 0)
            );
        }
    }
}

#[test]
fn i56_a_rotation_is_no_amnesty_and_loses_nothing() {
    let keys = Keys::generate(&[7; 32]);
    let rotated = keys.rotated(&[9; 32]);
    let mut world = world(Kinds::Own);
    let id = sent(world.ask(send())).id;
    let right = code(&world);
    assert!(matches!(world.ask(check("000000")), CheckAnswer::WrongCode(_)));
    world.use_keys(rotated);
    assert_eq!(
        refused(world.ask(check("000000"))).code,
        RefusalCode::Cooldown,
        "the failure still counts"
    );
    assert!(matches!(world.ask(send()), SendAnswer::Repeated(_)) || failures(&world) > 0);
    world.advance(Duration::from_secs(60));
    sent(world.ask(send()));
    assert_eq!(code(&world), right, "the pending code is still the code");
    world.advance(Duration::from_secs(31));
    sent(world.ask(send()));
    world.advance(Duration::from_secs(31));
    assert_eq!(
        refused(world.ask(send())).code,
        RefusalCode::RateLimited,
        "three sends in ten minutes"
    );
    let proof = approved(world.ask(CheckRequest::of(&id, &right, Expected::Whoever))).proof;
    world.use_keys(Keys::generate(&[7; 32]).rotated(&[9; 32]).rotated(&[11; 32]));
    assert!(matches!(
        world.ask(RedeemRequest::of(&proof, TO)),
        RedeemAnswer::Redeemed(_)
    ));
}

#[test]
fn i64_a_test_destination_is_never_sent_to_and_ends_with_its_date() {
    let text =
        "version = 1\n[[tests.destination]]\nto = \"+12025550190\"\ncode = \"424242\"\nuntil = 2026-12-31\n";
    let mut world = World::new(policy(text), Kinds::Own);
    let request = SendRequest::to("+12025550190");
    let id = sent(world.ask(request.clone())).id;
    assert_eq!(world.dispatches, 0);
    let approval = approved(world.ask(CheckRequest::of(&id, "424242", Expected::Whoever)));
    assert!(approval.test);
    assert_eq!(approval.assurance.as_str(), "test");
    world.advance(Duration::from_secs(60));
    let id = sent(world.ask(request.clone())).id;
    // The day after: neither a new one, nor a code that is still pending.
    let end = verify_core::time::Timestamp::from_millis(1_798_761_600_000);
    world.advance(end.since(world.now));
    assert_eq!(refused(world.ask(request)).code, RefusalCode::Blocked);
    let late = refused(world.ask(CheckRequest::of(&id, "424242", Expected::Whoever)));
    assert_eq!(late.code, RefusalCode::NotFound);
    assert_eq!(world.dispatches, 0);
}

#[test]
fn i66_another_amount_is_another_verification() {
    let mut world = world(Kinds::Own);
    let ann = || Person::at(TO).subject("ann");
    let pay = |amount: &str| SendRequest::to(ann().pays(amount, "Bob"));
    let first = sent(world.ask(pay("10 EUR")));
    let first_code = code(&world);
    let other = refused(world.ask(pay("99 EUR")));
    assert_eq!(other.code, RefusalCode::Cooldown, "no repeat of another amount");
    world.advance(Duration::from_secs(31));
    let second = sent(world.ask(pay("99 EUR")));
    assert_ne!(first.id, second.id);
    assert!(matches!(
        world
            .clone()
            .ask(CheckRequest::of(&second.id, &first_code, Expected::Whoever)),
        CheckAnswer::WrongCode(_)
    ));
    approved(world.ask(CheckRequest::of(&first.id, &first_code, Expected::Whoever)));
    for missing in [
        ann().purpose(Purpose::Transaction),
        ann().pays("1", ""),
        ann().pays("", "Bob"),
    ] {
        assert_eq!(
            refused(world.ask(SendRequest::to(missing))).code,
            RefusalCode::InvalidRequest
        );
    }
}

#[test]
fn a_record_is_bounded_and_keeps_room_for_known_callers() {
    let text = "version = 1\n[[limit]]\nname = \"sends_per_destination\"\nmax = \"unlimited\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    sent(world.ask(SendRequest::to(Person::at(TO).subject("owner"))));
    let owner = CheckRequest::to(Person::at(TO).subject("owner"), code(&world));
    let device = approved(world.ask(owner)).device_token;
    for stranger in 0..10 {
        world.advance(Duration::from_secs(31));
        world.run(SendRequest::to(Person::at(TO).subject(format!("s{stranger}"))));
    }
    assert!(verifications(&world).len() <= MOST_VERIFICATIONS - 2);
    sent(world.ask(SendRequest::to(Person::at(TO).subject("owner")).device_token(device)));
}

/// Else each limit is charged twice, and what moves from the older key to the newer is lost on the way.
#[test]
fn i56_a_rotation_to_the_key_that_is_in_force_changes_nothing() {
    let mut world = world(Kinds::Own);
    let key = [7; 32];
    world.use_keys(Keys::generate(&key));
    let before = sent(world.ask(send())).sends_left;
    world.use_keys(world.keys().rotated(&key));
    world.advance(Duration::from_secs(31));
    let after = sent(world.ask(send())).sends_left;
    assert_eq!((before, after), (Some(2), Some(1)));
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
    let again = intent.lost(world.now);
    world.use_keys(Keys::generate(&[7; 32]).rotated(&[8; 32]));
    approved(world.ask(check("424242")));
    drive(again, &mut world);
    let answer = world.ask(check("424242"));
    assert!(!matches!(answer, CheckAnswer::Approved(_)), "approved twice");
}
