//! What an event says and how it is known again: whose it is, and an id that is the same however often its change is asked
//! for.
#![allow(missing_docs, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use verify_core::command::{CancelRequest, CheckRequest, Command, Expected, Person, SendRequest};
use verify_core::event::{Event, EventKind};
use verify_core::flow::Step;
use verify_core::ids::EventId;
use verify_core::keys::Print;
use verify_core::outcome::Outcome;
use verify_core::store::Changeset;
use verify_core::vocabulary::{Channel, Purpose};
use verify_lab::explore::{Kinds, World};
use verify_tests::{Asks, BOTH, TO, approved, check, code, policy, send, sent, verifications, world, wrong};

fn ids<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<EventId> {
    events.into_iter().map(|event| event.id).collect()
}

/// The ids of all that a changeset may store, those of its alerts too.
fn ids_in(changeset: &Changeset) -> Vec<EventId> {
    let alerts = changeset.alerts.iter().map(|alert| &alert.event);
    ids(changeset.events.iter().chain(alerts))
}

/// What goes wrong with a store step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    Call,
    Answer,
}

/// Runs a command to its end, and loses the store step of that number. Whether there was one.
fn run(world: &mut World, command: &Command, lost: Option<(usize, Lost)>) -> (Box<Outcome>, bool) {
    let mut step = world.start(command.clone());
    let (mut stores, mut met) = (0, false);
    loop {
        if let Step::Store(store) = &step {
            let ids = ids_in(store.changeset());
            let unique: BTreeSet<_> = ids.iter().collect();
            assert_eq!(unique.len(), ids.len(), "one id for two events of a changeset");
            stores += 1;
        }
        let now = lost.filter(|(number, _)| matches!(step, Step::Store(_)) && stores == *number);
        step = match (step.over(), now) {
            (Ok(outcome), _) => return (outcome, met),
            (Err(step), None) => world.perform(step),
            (Err(step), Some((_, what))) => {
                met = true;
                if what == Lost::Answer {
                    drop(world.perform(step.clone()));
                }
                step.lost(world.now)
            }
        };
    }
}

/// The same change asked for again is the same event, whether or not the first was stored.
#[test]
fn an_event_keeps_its_id_when_its_change_is_asked_for_again() {
    let mut asked_again = 0;
    for kinds in BOTH {
        let mut world = World::new(policy("version = 1\n[lockout]\nwaits = { 1 = \"15m\" }\n"), kinds);
        let fresh = world.clone();
        let id = sent(world.ask(send())).id;
        let right = code(&world);
        let mut later = world.clone();
        later.advance(Duration::from_secs(31));
        for (world, command) in [
            (&fresh, Command::from(send())),
            (&later, send().into()),
            (&world, check(&right).into()),
            (&world, check(&wrong(&right)).into()),
            (&world, CancelRequest::of(&id).into()),
        ] {
            let mut plain = world.clone();
            let (well, _) = run(&mut plain, &command, None);
            for what in [Lost::Call, Lost::Answer] {
                for number in 1.. {
                    let mut world = world.clone();
                    let (outcome, met) = run(&mut world, &command, Some((number, what)));
                    if !met {
                        break;
                    }
                    let (stored, whole) = (
                        ids(world.store.events().values()),
                        ids(plain.store.events().values()),
                    );
                    let unique: BTreeSet<_> = stored.iter().collect();
                    let context = format!("{} {what:?} {number}", command.name());
                    assert_eq!(unique.len(), stored.len(), "{context}: stored twice");
                    if outcome.as_str() == well.as_str() {
                        assert_eq!(stored, whole, "{context}");
                        asked_again += 1;
                    }
                }
            }
        }
    }
    assert!(asked_again >= 20, "{asked_again}");
}

#[test]
fn every_event_of_a_persons_commands_says_whose_it_is() {
    for kinds in BOTH {
        let mut world = world(kinds);
        let subjects = |world: &World, from: usize| -> BTreeSet<Option<Print>> {
            let events = world.store.events().values().skip(from);
            events.map(|event| event.subject).collect()
        };
        let mut journey = |person: Person| {
            let from = world.store.events().len();
            sent(world.ask(SendRequest::to(person.clone())));
            world.run(CheckRequest::to(person.clone(), wrong(&code(&world))));
            world.advance(Duration::from_secs(61));
            world.run(CheckRequest::to(person.clone(), code(&world)));
            world.advance(Duration::from_secs(61));
            let id = sent(world.ask(SendRequest::to(person))).id;
            world.run(CancelRequest::of(id));
            world.advance(Duration::from_secs(601));
            subjects(&world, from)
        };
        let nobody = journey(Person::at(TO));
        assert_eq!(nobody, BTreeSet::from([None]));
        let ann = journey(Person::at(TO).subject("ann"));
        let bob = journey(Person::at(TO).subject("bob"));
        assert_eq!((ann.len(), bob.len()), (1, 1), "the same in each of them");
        assert!(!ann.contains(&None) && !bob.contains(&None) && ann != bob);
    }
}

/// Guesses at one number or mailbox by whoever shares its record: each event names what it was compared with, and nothing else.
#[test]
fn a_check_by_destination_says_which_verification_it_was_a_guess_at() {
    let at = |to: &str| Person::at(to);
    // As many as a record holds of strangers.
    let people = [
        at("ann@example.com"),
        at("ann+shop@example.com"),
        at("ann@example.com").subject("ann"),
        at("ann@example.com").purpose(Purpose::Recovery),
        at("ann@example.com").pays("10 EUR", "shop"),
        at("ann@example.com").pays("11 EUR", "shop"),
    ];
    let limits = [
        "resend_gap",
        "sends_per_destination",
        "sends_per_destination_day",
        "sends_per_subject",
        "checks_per_identity",
    ];
    let off = limits.map(|name| format!("[[limit]]\nname = \"{name}\"\nmax = \"unlimited\"\n"));
    let text = format!("{}[lockout]\nwaits = {{ 50 = \"15m\" }}\n", off.concat());
    for kinds in BOTH {
        let mut world = World::new(policy(&text), kinds);
        for person in &people {
            sent(world.ask(SendRequest::to(person.clone()).by(Channel::Email)));
        }
        for person in &people {
            world.run(CheckRequest::to(person.clone(), "000000"));
        }
        let events: Vec<_> = world.store.events().values().cloned().collect();
        let of = |kind| events.iter().filter(move |event| event.kind == kind);
        let (intended, taken) = (of(EventKind::SendIntended), of(EventKind::CheckTaken));
        let named: Vec<_> = intended.clone().map(|sent| sent.verification.unwrap()).collect();
        assert_eq!(BTreeSet::from_iter(&named).len(), people.len());
        let guessed: Vec<Vec<_>> = taken
            .map(|guess| {
                let sent = intended.clone().filter(|sent| guess.is_guess_at(sent));
                sent.map(|sent| sent.verification.unwrap()).collect()
            })
            .collect();
        let each: Vec<_> = named.into_iter().map(|one| vec![one]).collect();
        assert_eq!(guessed, each, "{kinds:?}");
    }
}

#[test]
fn a_strangers_guess_is_at_no_known_callers_code() {
    let mut world = world(Kinds::Own);
    sent(world.ask(send()));
    let device = approved(world.ask(check(&code(&world)))).device_token;
    world.advance(Duration::from_secs(61));
    sent(world.ask(send().device_token(&device)));
    let theirs = world.store.events().len();
    world.run(check("000000"));
    world.run(check("000000").device_token(device));
    let events: Vec<_> = world.store.events().values().cloned().collect();
    let intended = |event: &&Event| event.kind == EventKind::SendIntended;
    let known = events.iter().rfind(intended).unwrap();
    let guesses = events[theirs..]
        .iter()
        .filter(|event| event.kind == EventKind::CheckTaken);
    let at_theirs: Vec<_> = guesses.map(|guess| guess.is_guess_at(known)).collect();
    assert_eq!(at_theirs, [false, true]);
}

/// What was guessed at is named where the check named it, and by what it comes to in any case.
#[test]
fn a_check_by_id_says_which_verification_it_is_about_from_its_first_event_on() {
    for kinds in BOTH {
        for by_id in [true, false] {
            let mut world = world(kinds);
            let id = sent(world.ask(send())).id;
            let right = code(&world);
            let nonce = verifications(&world)[0].nonce.print();
            world.run(match by_id {
                true => CheckRequest::of(id, right, Expected::Whoever),
                false => check(&right),
            });
            let of = |kind| {
                let mut events = world.store.events().values();
                events
                    .find(|event| event.kind == kind)
                    .and_then(|event| event.verification)
            };
            assert_eq!(of(EventKind::CheckTaken), by_id.then_some(nonce), "{kinds:?}");
            assert_eq!(of(EventKind::Approved), Some(nonce), "{kinds:?}");
        }
    }
}
