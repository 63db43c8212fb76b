//! How long a guess must be, and what a reload of `code.length` leaves alone (I-14, I-15, I-40), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;
use verify_core::command::{CheckRequest, Expected, Person, SendRequest};
use verify_core::outcome::{CheckAnswer, RefusalCode, SendAnswer};
use verify_core::policy::PolicySet;
use verify_core::vocabulary::Purpose;
use verify_lab::explore::{Kinds, World};
use verify_tests::{
    Asks, NO_FIRST_WAIT, TO, approved, check, code, failures, policy, refused, seen, send, sent,
};

/// Codes of so many digits, under private disclosure, with a test destination.
fn digits(length: u8) -> String {
    let fixed = "4242424242".get(..usize::from(length)).unwrap_or_default();
    format!(
        "{NO_FIRST_WAIT}[code]\nlength = {length}\nallow_short = {}\n[privacy]\ndisclosure = \"private\"\n\
         [[tests.destination]]\nto = \"{TEST}\"\ncode = \"{fixed}\"\nuntil = 2099-12-31\n",
        length < 6
    )
}

const TEST: &str = "+12025550190";

/// A guess of so many digits, which no code here is.
fn guess(length: u8) -> String {
    "0".repeat(usize::from(length))
}

fn by_id(id: &str, guess: &str) -> CheckRequest {
    CheckRequest::of(id, guess, Expected::Whoever)
}

fn decoy(decoy: bool) -> SendRequest {
    send().decoy(decoy)
}

#[test]
fn i15_a_reload_of_the_length_leaves_what_is_pending() {
    let mut world = World::new(policy(&digits(6)), Kinds::Own);
    let pending = sent(world.ask(send()));
    let right = code(&world);
    world.use_policies(policy(&digits(8)));
    assert_eq!(seen(&mut world, &pending.id).code_length, 6);
    approved(world.clone().ask(by_id(&pending.id, &right)));
    approved(world.clone().ask(check(&right)));

    world.advance(Duration::from_secs(31));
    let again = sent(world.ask(send()));
    assert_eq!((&again.id, code(&world)), (&pending.id, right.clone()));
    world.now = again.expires_at - Duration::from_secs(1);
    approved(world.clone().ask(check(&right)));

    // A send that had begun before may still have issued one.
    world.now = again.expires_at + Duration::from_secs(30);
    let (over, trips) = world.ask_counted(check(&right));
    assert_eq!((refused(over).code, trips), (RefusalCode::InvalidCode, 0));
    assert_eq!(sent(world.ask(send())).code_length, 8);
    let right = code(&world);
    assert_eq!(right.len(), 8);
    approved(world.ask(check(&right)));
}

#[test]
fn i15_a_new_code_of_a_verification_is_as_long_as_its_id_says() {
    let new = |length| policy(&format!("[code]\nresend = \"new\"\nlength = {length}\n"));
    let mut world = World::new(new(6), Kinds::Own);
    let first = sent(world.ask(send())).id;
    let void = code(&world);
    world.use_policies(new(8));
    world.advance(Duration::from_secs(31));
    let second = sent(world.ask(send())).id;
    let right = code(&world);
    assert_eq!((right.len(), right == void), (6, false));
    for id in [first, second] {
        approved(world.clone().ask(by_id(&id, &right)));
    }
}

#[test]
fn i15_after_a_start_a_code_of_any_length_may_be_pending() {
    let mut world = World::new(policy(&digits(6)), Kinds::Own);
    let id = sent(world.ask(send())).id;
    let right = code(&world);
    world.advance(Duration::from_secs(300));
    world.use_policies(policy(&digits(8)));
    world.restart();
    approved(world.clone().ask(by_id(&id, &right)));
    approved(world.clone().ask(check(&right)));
    for length in 4..=10 {
        let nothing = CheckRequest::to(format!("+120255501{}", 60 + length), guess(length));
        assert_eq!(
            refused(world.ask(nothing)).code,
            RefusalCode::NotFound,
            "{length}"
        );
        world.advance(Duration::from_secs(60));
    }
    world.advance(Duration::from_secs(210));
    assert_eq!(world.ask_counted(check(&guess(6))).1, 0);
}

/// What pends, and a guess that is not as long: whether it is one, which it may be where only its provider knows.
#[test]
fn i14_a_guess_of_another_length_by_id_costs_nothing_and_by_destination_gives_all_back() {
    for (what, kinds, send, compared) in [
        ("own", Kinds::Own, decoy(false), false),
        ("decoy", Kinds::Own, decoy(true), false),
        ("test", Kinds::Own, SendRequest::to(TEST), false),
        ("managed", Kinds::Managed, decoy(false), true),
        ("decoy of a managed one", Kinds::Managed, decoy(true), true),
    ] {
        let to = if what == "test" { TEST } else { TO };
        let mut world = World::new(policy(&digits(6)), kinds);
        let id = sent(world.ask(send)).id;
        world.use_policies(policy(&digits(8)));
        let before = world.store.clone();
        let left = seen(&mut world, &id).checks_left;
        // The right one of a test destination is what the policy says now.
        let other = if what == "test" { 7 } else { 8 };
        let (answer, trips) = world.ask_counted(by_id(&id, &guess(other)));
        if compared {
            assert!(matches!(answer, CheckAnswer::WrongCode(_)), "{what}: {answer:?}");
            continue;
        }
        assert_eq!(
            (refused(answer).code, trips),
            (RefusalCode::InvalidCode, 0),
            "{what}"
        );
        assert_eq!(world.store, before, "{what}");
        if what == "test" {
            approved(world.clone().ask(by_id(&id, "42424242")));
            approved(world.ask(CheckRequest::to(to, "42424242")));
            continue;
        }
        // More often than checks are admitted.
        for _ in 0..20 {
            let (answer, trips) = world.ask_counted(CheckRequest::to(to, guess(8)));
            let refusal = refused(answer);
            assert_eq!((refusal.code, trips), (RefusalCode::InvalidCode, 2), "{what}");
            assert_eq!(refusal.field, Some("code"), "{what}");
        }
        assert_eq!(failures(&world), 0, "{what}");
        assert_eq!(seen(&mut world, &id).checks_left, left, "{what}");
        // As long as it is, a wrong guess is one.
        assert!(matches!(
            world.ask(CheckRequest::to(to, guess(6))),
            CheckAnswer::WrongCode(_)
        ));
        assert!(failures(&world) > 0, "{what}");
    }
}

#[test]
fn i14_the_length_of_another_purpose_is_given_back() {
    let mut world = World::new(policy("[purposes.recovery.code]\nlength = 10\n"), Kinds::Own);
    sent(world.ask(send()));
    let right = code(&world);
    assert_eq!(
        refused(world.ask(check(&guess(10)))).code,
        RefusalCode::InvalidCode
    );
    assert_eq!(failures(&world), 0);
    assert_eq!(world.ask_counted(check(&guess(8))).1, 0, "no policy names it");
    approved(world.ask(check(&right)));
    let recovery = || Person::at(TO).purpose(Purpose::Recovery);
    world.advance(Duration::from_secs(31));
    sent(world.ask(SendRequest::to(recovery())));
    let right = code(&world);
    let short = CheckRequest::to(recovery(), guess(6));
    assert_eq!(refused(world.ask(short)).code, RefusalCode::InvalidCode);
    approved(world.ask(CheckRequest::to(recovery(), right)));
}

/// A reload after so many seconds, to codes of this length that live so many minutes, and of which each send has a new one or
/// not.
#[derive(Debug, Clone)]
struct Reload {
    after: u64,
    length: u8,
    minutes: u64,
    renews: bool,
}

impl Reload {
    fn policy(&self) -> PolicySet {
        let resend = if self.renews { "new" } else { "same" };
        let code = format!("[code]\nttl = \"{}m\"\nresend = \"{resend}\"\n", self.minutes);
        let unlimited = "[[limit]]\nname = \"sends_per_destination\"\nmax = \"unlimited\"\n";
        policy(&(digits(self.length).replace("[code]\n", &code) + unlimited))
    }
}

fn reloads() -> impl Strategy<Value = Vec<Reload>> {
    let reload = (0_u64..200, 4_u8..=10, 1_u64..=10, any::<bool>());
    let reload = reload.prop_map(|(after, length, minutes, renews)| Reload {
        after,
        length,
        minutes,
        renews,
    });
    prop::collection::vec(reload, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn i15_whatever_is_reloaded_a_pending_code_stays_the_code(reloads in reloads(), restarted in any::<bool>()) {
        let mut world = World::new(policy(&digits(6)), Kinds::Own);
        let mut pending = sent(world.ask(send()));
        for reload in reloads {
            world.advance(Duration::from_secs(reload.after));
            world.use_policies(reload.policy());
            let right = code(&world);
            if world.now < pending.expires_at {
                approved(world.clone().ask(by_id(&pending.id, &right)));
                approved(world.clone().ask(check(&right)));
            }
            if let SendAnswer::Sent(view) | SendAnswer::Repeated(view) = world.ask(send()) {
                pending = *view;
            }
            let right = code(&world);
            if world.now >= pending.expires_at {
                continue;
            }
            prop_assert_eq!(usize::from(pending.code_length), right.len());
            approved(world.clone().ask(by_id(&pending.id, &right)));
            approved(world.clone().ask(check(&right)));
            if restarted {
                let mut world = world.clone();
                world.restart();
                let known = pending.expires_at <= world.now + Duration::from_secs(60 * reload.minutes);
                let approves = matches!(world.clone().ask(check(&right)), CheckAnswer::Approved(_));
                prop_assert!(approves || !known);
                approved(world.ask(by_id(&pending.id, &right)));
            }
        }
    }

    #[test]
    fn i40_no_length_of_a_guess_and_no_reload_tells_a_decoy(
        reloads in reloads(),
        guesses in prop::collection::vec((4_u8..=10, any::<bool>()), 6),
    ) {
        let [real, decoy] = [false, true].map(|is| {
            let mut world = World::new(policy(&digits(6)), Kinds::Own);
            let mut id = sent(world.ask(decoy(is))).id;
            let mut told = Vec::new();
            for reload in &reloads {
                world.advance(Duration::from_secs(reload.after));
                world.use_policies(reload.policy());
                // Wrong at the real one too.
                let digit = if code(&world).starts_with('0') { "1" } else { "0" };
                for (length, named) in &guesses {
                    let guess = digit.repeat(usize::from(*length));
                    let request = if *named { by_id(&id, &guess) } else { check(&guess) };
                    let (answer, trips) = world.ask_counted(request);
                    told.push((format!("{answer:?}"), trips));
                }
                let (answer, trips) = world.ask_counted(decoy(is));
                told.push((format!("{answer:?}"), trips));
                if let SendAnswer::Sent(view) | SendAnswer::Repeated(view) = answer {
                    id = view.id;
                }
            }
            told
        });
        prop_assert_eq!(real, decoy);
    }
}
