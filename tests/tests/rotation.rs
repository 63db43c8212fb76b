//! What has no end outlives the keys that it was written under (I-150), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{EraseRequest, SendRequest, TickRequest};
use verify_core::flow::drive;
use verify_core::keys::Keys;
use verify_core::outcome::{RefusalCode, TickAnswer};
use verify_core::port::RejectionKind;
use verify_core::record::Notes;
use verify_core::store::{RecordKey, RecordKind, Row, WrittenUnder};
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Kinds, World};
use verify_tests::{Asks, TO, newest_alone, policy, refused, send};

const MOVED: TickAnswer = TickAnswer { changed: true };
const STAYED: TickAnswer = TickAnswer { changed: false };

/// The keys after so many rotations, and the newest of them alone.
fn keys(rotations: u8) -> [Keys; 2] {
    let first = Keys::generate(&[7; 32]);
    let with_all = (1..=rotations).fold(first, |keys, round| keys.rotated(&[round + 7; 32]));
    let alone = newest_alone(&with_all);
    [with_all, alone]
}

/// Somebody opted out, under the first keys.
fn opted_out(to: &str) -> World {
    let mut world = World::new(policy("version = 1"), Kinds::Own);
    world.rejecting.insert("own".into(), RejectionKind::OptedOut);
    refused(world.ask(SendRequest::to(to)));
    world.rejecting.clear();
    world.advance(Duration::from_secs(31));
    world
}

fn notes(world: &World) -> Vec<(RecordKey, Row)> {
    let records = world.store.records().iter();
    let notes = records.filter(|((_, key), _)| key.kind == RecordKind::Notes);
    notes.map(|((_, key), row)| (*key, row.clone())).collect()
}

/// Ticks all notes, as a sweeper does; what came of it.
fn rekey(world: &mut World) -> Vec<TickAnswer> {
    let notes = notes(world);
    let ticked = notes.iter().map(|(key, _)| world.ask(TickRequest::of(*key)));
    ticked.collect()
}

/// Whether sends are refused for what was noted, and reach no provider.
fn is_left_alone(world: &mut World, to: &str) -> bool {
    let before = world.dispatches;
    let answer = world.run(SendRequest::to(to)).0;
    let refused = answer
        .refusal()
        .is_some_and(|refusal| refusal.code == RefusalCode::ChannelUnavailable);
    refused && world.dispatches == before
}

#[test]
fn i150_a_note_without_an_end_moves_to_the_newest_keys_and_outlives_the_old_ones() {
    for to in [TO, "Ann.B+tag@example.com"] {
        let mut world = opted_out(to);
        for rotations in 1..4 {
            let [with_all, alone] = keys(rotations);
            world.use_keys(with_all.clone());
            assert!(is_left_alone(&mut world, to), "found under an older key");
            assert_eq!(rekey(&mut world), [MOVED]);
            let kept = notes(&world);
            let [(_, row)] = kept.as_slice() else {
                panic!("{to}: one row, where the other is deleted: {kept:?}")
            };
            assert_eq!(row.under, WrittenUnder::newest(&with_all));
            world.use_keys(alone);
            assert!(is_left_alone(&mut world, to), "{to}: the older keys were cut off");
            world.use_keys(with_all);
        }
    }
}

#[test]
fn i150_what_is_under_the_newest_keys_already_says_the_same_after_another_move() {
    let mut world = opted_out(TO);
    let before = notes(&world);
    assert_eq!(rekey(&mut world), [MOVED]);
    let after = notes(&world);
    let said = |kept: &[(RecordKey, Row)]| {
        let said = kept
            .iter()
            .map(|(key, row)| (*key, row.under, Notes::decode(row).unwrap().notes));
        said.collect::<Vec<_>>()
    };
    assert_eq!(said(&before), said(&after));
}

/// Two rows of one person, one under an older key: what either says holds afterwards.
#[test]
fn i150_what_was_noted_under_two_keys_is_put_together() {
    let mut world = opted_out(TO);
    let [with_all, alone] = keys(1);
    // A process that does not know the older key notes something of another channel.
    world.use_keys(alone.clone());
    world.rejecting.insert("own".into(), RejectionKind::OptedOut);
    refused(world.ask(send().by(Channel::Call)));
    world.rejecting.clear();
    world.advance(Duration::from_secs(31));
    assert_eq!(notes(&world).len(), 2);
    world.use_keys(with_all.clone());
    let old = notes(&world)
        .into_iter()
        .find(|(_, row)| row.under != WrittenUnder::newest(&with_all));
    assert_eq!(world.ask(TickRequest::of(old.unwrap().0)), MOVED);
    assert_eq!(notes(&world).len(), 1);
    world.use_keys(alone);
    for channel in [Channel::Sms, Channel::Call] {
        let told = refused(world.ask(send().by(channel)));
        assert_eq!(told.code, RefusalCode::ChannelUnavailable, "{channel}");
    }
}

#[test]
fn i150_nobodys_name_is_put_back_after_an_erasure_in_between() {
    let [with_all, alone] = keys(1);
    for stops in ["first look", "second look", "write"] {
        let mut world = opted_out(TO);
        world.use_keys(with_all.clone());
        let (key, _) = notes(&world).pop().unwrap();
        let mut step = world.start(TickRequest::of(key));
        for at in ["first look", "second look", "write"] {
            if at == stops {
                world.ask(EraseRequest::at(TO));
            }
            if step.kind() == "store" {
                step = world.perform(step);
            }
        }
        let outcome = drive(step, &mut world).of::<TickAnswer>();
        assert_eq!(outcome.answer, Ok(STAYED), "{stops}");
        let names = notes(&world)
            .iter()
            .filter(|(_, row)| row.under.seal.is_some())
            .count();
        assert_eq!(names, 0, "{stops}");
        // Whoever erases writes it under the newest keys.
        world.use_keys(alone.clone());
        assert!(is_left_alone(&mut world, TO), "{stops}");
    }
}

#[test]
fn i150_without_one_of_its_keys_a_note_stays_as_it_is() {
    let [with_all, alone] = keys(1);
    let [_, old] = keys(0);
    let ring = |keys: &Keys, number: usize| {
        keys.to_text()
            .expose()
            .split('/')
            .nth(number)
            .unwrap_or_default()
            .to_owned()
    };
    let rings = |fingerprint: &Keys, seal: &Keys| {
        let text = format!(
            "v1/{}/{}/{}",
            ring(fingerprint, 1),
            ring(&with_all, 2),
            ring(seal, 3)
        );
        Keys::parse(&text).unwrap()
    };
    for (fingerprint, seal, to) in [
        (&alone, &alone, STAYED),
        (&alone, &with_all, STAYED),
        (&with_all, &alone, STAYED),
        (&with_all, &old, MOVED),
        (&with_all, &with_all, MOVED),
    ] {
        let mut world = opted_out(TO);
        let before = world.store.clone();
        world.use_keys(rings(fingerprint, seal));
        assert_eq!(rekey(&mut world), [to]);
        assert_eq!(world.store == before, to == STAYED);
    }
}
