//! What providers say, and what is remembered of it (I-40, I-50, I-65), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{EraseRequest, SendRequest};
use verify_core::event::EventKind;
use verify_core::flow::{Resting, Step, drive};
use verify_core::outcome::{EraseAnswer, RefusalCode};
use verify_core::port::{Detail, Dispatched, Rejection, RejectionKind};
use verify_core::record::Notes;
use verify_core::store::RecordKind;
use verify_core::time::Until;
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Kinds, World};
use verify_tests::{Asks, TO, approved, check, code, died_unsent, events, policy, refused, send, sent};

#[test]
fn i50_a_freed_key_does_not_pass_by_what_providers_said() {
    let mut world = World::new(policy("version = 1"), Kinds::Own);
    let keyed = send().key("k");
    died_unsent(&mut world, keyed.clone());
    world.rejecting.insert("own".into(), RejectionKind::OptedOut);
    assert_eq!(refused(world.ask(send())).code, RefusalCode::ChannelUnavailable);
    world.rejecting.clear();
    world.advance(Duration::from_secs(31));
    assert_eq!(
        refused(world.ask(send())).code,
        RefusalCode::ChannelUnavailable,
        "without the key"
    );
    let before = world.dispatches;
    let answer = world.ask(keyed);
    assert_eq!(
        world.dispatches, before,
        "a message left to who had opted out: {answer:?}"
    );
}

/// A cap is of what the provider counts together: every channel of the scope, and no other scope, provider or person.
#[test]
fn i134_a_cap_holds_for_its_scope_and_for_nobody_else() {
    let file = "version = 1\n[[limit]]\nname = \"resend_gap\"\nmax = \"unlimited\"\n";
    let capped = |world: &mut World, request: SendRequest| {
        let Step::Dispatch(asked) = world.begin(request, "dispatch") else {
            panic!("it begins with a dispatch")
        };
        let cap = Rejection {
            kind: RejectionKind::DestinationQuota,
            retry_after: Some(Duration::from_secs(45)),
            detail: Detail::default(),
        };
        let outcome = drive(asked.resume(world.now, Dispatched::Rejected(cap)), world);
        refused(outcome.answer.unwrap())
    };
    for kinds in [Kinds::Managed, Kinds::TwoOwn] {
        let mut world = World::new(policy(file), kinds);
        let told = capped(&mut world, send());
        let until = Until::At(world.now + Duration::from_secs(45));
        assert_eq!(
            (told.code, told.retry_at),
            (RefusalCode::RateLimited, Some(until))
        );
        world.advance(Duration::from_secs(2));
        for channel in [Channel::Sms, Channel::Call] {
            let again = refused(world.ask(send().by(channel)));
            assert_eq!(
                (again.code, again.retry_at),
                (told.code, told.retry_at),
                "{kinds:?} {channel}"
            );
        }
        assert_eq!(
            world.dispatches, 0,
            "{kinds:?}: no other provider gets round it either"
        );
        sent(world.ask(SendRequest::to("+12025550124")));
        sent(world.ask(SendRequest::to("ann@example.com")));
        world.advance(Duration::from_secs(43));
        sent(world.ask(send()));
    }
    let mut world = World::new(policy(file), Kinds::TwoOwn);
    capped(&mut world, send());
    let resting = Resting {
        sends: [("own".into(), world.now)].into(),
        ..Resting::default()
    };
    world.resting = resting;
    sent(world.ask(send()));
}

#[test]
fn i40_an_opt_out_is_not_told_under_private_disclosure() {
    let mut world = World::new(
        policy("version = 1\n[privacy]\ndisclosure = \"private\"\n"),
        Kinds::Own,
    );
    world.rejecting.insert("own".into(), RejectionKind::OptedOut);
    let first = sent(world.ask(send()));
    world.advance(Duration::from_secs(31));
    assert_eq!(sent(world.ask(send())).id, first.id);
    assert_eq!(
        (world.dispatches, world.sent.len()),
        (1, 0),
        "remembered, and never sent"
    );
}

#[test]
fn after_a_conflict_no_channel_is_offered_that_the_prefix_cannot_get() {
    let run = |conflict: bool| {
        let mut world = World::new(policy("version = 1"), Kinds::Own);
        sent(world.ask(send()));
        let device = approved(world.ask(check(&code(&world)))).device_token;
        world.advance(Duration::from_secs(601));
        world.rejecting.insert("own".into(), RejectionKind::PrefixBlocked);
        refused(world.ask(send().by(Channel::Call)));
        world.rejecting.clear();
        world.advance(Duration::from_secs(31));
        let Step::Dispatch(asked) = world.begin(send(), "dispatch") else {
            panic!("a send is dispatched")
        };
        let rejection = Rejection {
            kind: RejectionKind::ChannelUnreachable,
            retry_after: None,
            detail: Detail::default(),
        };
        let step = asked.resume(world.now, Dispatched::Rejected(rejection));
        if conflict {
            sent(world.ask(send().device_token(device)));
        }
        refused(drive(step, &mut world).answer.unwrap()).fallback
    };
    assert_eq!(run(false), run(true));
}

/// The notes that are kept of the only destination, and whether its row tells whose they are.
fn kept(world: &World) -> (Notes, bool) {
    let mut records = world.store.records().iter();
    let notes = records.find(|((_, key), _)| key.kind == RecordKind::Notes);
    let (_, row) = notes.expect("a note was taken");
    (Notes::decode(row).unwrap(), row.under.seal.is_some())
}

#[test]
fn an_erasure_leaves_a_note_that_tells_nobody_whose_it_is() {
    for others in [false, true] {
        let mut world = World::new(policy("version = 1"), Kinds::Own);
        if others {
            sent(world.ask(send().by(Channel::Call)));
            world.advance(Duration::from_secs(31));
        }
        world.rejecting.insert("own".into(), RejectionKind::OptedOut);
        refused(world.ask(send()));
        let (before, sealed) = kept(&world);
        assert!(before.is_durable() && before.whose.is_some() && sealed);

        let erased = EraseAnswer::Erased {
            verifications: usize::from(others),
        };
        assert_eq!(world.ask(EraseRequest::at(TO)), erased);
        let (after, sealed) = kept(&world);
        assert_eq!((after.notes, after.whose, sealed), (before.notes, None, false));
        assert_eq!(events(&world, EventKind::Erased), 1);
        world.rejecting.clear();
        world.advance(Duration::from_secs(31));
        assert_eq!(
            refused(world.ask(send())).code,
            RefusalCode::ChannelUnavailable,
            "it is there for the person's sake"
        );
        // There is nothing left to erase, and nothing to write about it.
        let before = world.store.clone();
        world.ask(EraseRequest::at(TO));
        assert_eq!(world.store, before);
    }
}

#[test]
fn i65_every_dash_is_a_dash() {
    for said in [
        "to 202\u{ff0d}555\u{ff0d}0110",
        "to 202\u{fe63}555\u{fe63}0110",
        "to 202\u{2043}555\u{2043}0110",
        "to 202\u{b7}555\u{b7}0110",
        "ann\u{fe6b}example.com",
    ] {
        let kept = Detail::new(None, said);
        assert!(
            !kept.message().contains("555") && !kept.message().contains("ann"),
            "{}",
            kept.message()
        );
    }
}
