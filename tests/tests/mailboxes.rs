//! Mailboxes that limits treat as one are several to a verification: what one of them got proves nothing of another.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::time::Duration;

use verify_core::command::{
    CancelRequest, CheckRequest, EraseRequest, Expected, Person, RedeemRequest, SendRequest, UnlockRequest,
};
use verify_core::flow::Step;
use verify_core::keys::Keys;
use verify_core::outcome::{
    CancelAnswer, CheckAnswer, EraseAnswer, RedeemAnswer, RefusalCode, SendAnswer, UnlockAnswer,
};
use verify_core::port::RiskLevel;
use verify_core::record::Status;
use verify_core::token::StepUpToken;
use verify_core::vocabulary::{Purpose, ServiceId, Standing};
use verify_lab::explore::{Kinds, World};
use verify_tests::{Asks, BOTH, approved, policy, refused, seen, sent, verifications};

const OWNER: &str = "support.desk@corp.example";
/// How it is spelled, and whether what is delivered to it is delivered to [`OWNER`].
const SPELLINGS: [(&str, &str, bool); 5] = [
    ("same", OWNER, true),
    ("case", "Support.Desk@CORP.example", true),
    ("tag", "support.desk+t1@corp.example", false),
    ("dots", "supportdesk@corp.example", false),
    ("tag and case", "SUPPORT.DESK+T1@corp.example", false),
];
const ONE_TO_LIMITS: &str =
    "version = 1\n[email]\nplus_tags = \"same\"\ndotless_domains = [\"corp.example\"]\n";

fn world(kinds: Kinds) -> World {
    World::new(policy(ONE_TO_LIMITS), kinds)
}

/// The owner's verification is pending, its message came in, and the gap is over.
fn pending(kinds: Kinds) -> (World, String, String) {
    let mut world = world(kinds);
    let id = sent(world.ask(SendRequest::to(OWNER))).id;
    let right = code(&world);
    world.advance(Duration::from_secs(31));
    (world, id, right)
}

/// What says "the same": true when it takes the other spelling for the owner's.
type Place = fn(Kinds, &str) -> bool;

const PLACES: [(&str, Place); 17] = [
    ("a check meets it", |kinds, other| {
        let (mut world, _, right) = pending(kinds);
        matches!(
            world.ask(CheckRequest::to(other, right)),
            CheckAnswer::Approved(_)
        )
    }),
    ("a send repeats it", |kinds, other| {
        let mut world = world(kinds);
        sent(world.ask(SendRequest::to(OWNER)));
        matches!(world.ask(SendRequest::to(other)), SendAnswer::Repeated(_))
    }),
    ("a resend is of it", |kinds, other| {
        let (mut world, _, _) = pending(kinds);
        sent(world.ask(SendRequest::to(other)));
        verifications(&world).len() == 1
    }),
    ("a resend carries its code", |kinds, other| {
        let (mut world, _, right) = pending(kinds);
        sent(world.ask(SendRequest::to(other)));
        code(&world) == right
    }),
    ("its status shows the other's delivery", |kinds, other| {
        let (mut world, id, _) = pending(kinds);
        sent(world.ask(SendRequest::to(other)));
        seen(&mut world, &id).deliveries.len() == 2
    }),
    ("a cancel of the other's ends it", |kinds, other| {
        let (mut world, _, right) = pending(kinds);
        let theirs = sent(world.ask(SendRequest::to(other))).id;
        let canceled = world.ask(CancelRequest::of(theirs));
        assert!(matches!(canceled, CancelAnswer::Canceled(_)));
        !matches!(
            world.ask(CheckRequest::to(OWNER, right)),
            CheckAnswer::Approved(_)
        )
    }),
    ("an idempotent send is the same body", |kinds, other| {
        let mut world = world(kinds);
        let keyed = |to: &str| SendRequest::to(to).key("key");
        sent(world.ask(keyed(OWNER)));
        match world.ask(keyed(other)) {
            SendAnswer::Repeated(_) => true,
            answer => {
                assert_eq!(refused(answer).code, RefusalCode::IdempotencyMismatch);
                false
            }
        }
    }),
    ("an idempotent check is the same body", |kinds, other| {
        let (mut world, _, right) = pending(kinds);
        let keyed = |to: &str| CheckRequest::to(to, &right).key("key");
        let proof = approved(world.ask(keyed(OWNER))).proof;
        match world.ask(keyed(other)) {
            CheckAnswer::Approved(again) => again.proof == proof,
            answer => {
                assert_eq!(refused(answer).code, RefusalCode::IdempotencyMismatch);
                false
            }
        }
    }),
    ("a test destination", |kinds, other| {
        let test = format!(
            "{ONE_TO_LIMITS}[[tests.destination]]\nto = \"{OWNER}\"\ncode = \"424242\"\nuntil = 2026-12-31\n"
        );
        let mut world = World::new(policy(&test), kinds);
        sent(world.ask(SendRequest::to(other)));
        let silent = world.dispatches == 0;
        let check = world.ask(CheckRequest::to(other, "424242"));
        assert_eq!(matches!(check, CheckAnswer::Approved(_)), silent);
        silent
    }),
    ("a proof", |kinds, other| {
        let (mut world, _, right) = pending(kinds);
        let proof = approved(world.ask(CheckRequest::to(OWNER, right))).proof;
        matches!(
            world.ask(RedeemRequest::of(proof, other)),
            RedeemAnswer::Redeemed(_)
        )
    }),
    ("a device token", |kinds, other| {
        let (mut world, _, right) = pending(kinds);
        let token = approved(world.ask(CheckRequest::to(OWNER, right))).device_token;
        world.advance(Duration::from_secs(60));
        sent(world.ask(SendRequest::to(other).device_token(token)));
        verifications(&world).last().unwrap().identity.standing == Standing::Known
    }),
    ("a step-up reference", |kinds, other| {
        let asks = format!("{ONE_TO_LIMITS}[risk]\nenabled = true\nmedium = \"step_up\"\n");
        let mut world = World::new(policy(&asks), kinds);
        world.risk = RiskLevel::Medium;
        let mut reference = |to: &str| {
            let token = refused(world.ask(SendRequest::to(to))).step_up.unwrap();
            let service = ServiceId::default();
            let opened: StepUpToken = world.keys().open_token(&service, world.now, &token).unwrap();
            opened.destination
        };
        reference(OWNER) == reference(other)
    }),
    ("the expected person of an id", |kinds, other| {
        let (mut world, id, right) = pending(kinds);
        matches!(
            world.ask(CheckRequest::of(id, right, other)),
            CheckAnswer::Approved(_)
        )
    }),
    ("the owner of an unclaimed approval", |kinds, other| {
        let (mut world, id, right) = pending(kinds);
        let check = CheckRequest::of(id, right, Expected::Whoever);
        let CheckAnswer::Unclaimed(unclaimed) = world.ask(check) else {
            panic!("not approved")
        };
        unclaimed.of(&Person::at(other)).is_ok()
    }),
    ("an own code is derived for it", |_, other| {
        // The same seed, so that nothing but the mailbox tells the two codes apart.
        let of = |to: &str| {
            let mut world = world(Kinds::Own);
            sent(world.ask(SendRequest::to(to)));
            code(&world)
        };
        of(OWNER) == of(other)
    }),
    ("a managed code that is used up", |_, other| {
        let (mut world, id, _) = pending(Kinds::Managed);
        let recovery = Person::at(other).purpose(Purpose::Recovery);
        sent(world.ask(SendRequest::to(recovery.clone())));
        let used = code(&world);
        approved(world.ask(CheckRequest::to(recovery, used)));
        seen(&mut world, &id).status == Status::Canceled
    }),
    ("an end that a managed provider hears of", |_, other| {
        let (mut world, id, _) = pending(Kinds::Managed);
        let telling = world.begin(CancelRequest::of(id), "conclude");
        let waits = match world.ask(SendRequest::to(other)) {
            SendAnswer::Refused(refusal) => refusal.code == RefusalCode::Cooldown,
            SendAnswer::Sent(_) | SendAnswer::Repeated(_) => false,
        };
        drop(telling);
        waits
    }),
];

#[test]
fn i130_only_the_mailbox_as_delivered_is_the_same() {
    for kinds in BOTH {
        for (place, takes) in PLACES {
            for (how, other, same) in SPELLINGS {
                assert_eq!(takes(kinds, other), same, "{place}, {how}, {}", kinds.as_str());
            }
        }
    }
}

/// Some mail systems tell cases apart: what was sent to one spelling is compared, sent again and ended under it.
#[test]
fn i130_a_provider_is_handed_the_spelling_of_the_send() {
    let (mut world, id, right) = pending(Kinds::Managed);
    let loud = "SUPPORT.DESK@corp.example";
    sent(world.ask(SendRequest::to(loud)));
    let spelled = world.sent.iter().map(|message| &*message.to);
    assert_eq!(spelled.collect::<Vec<_>>(), [OWNER, OWNER]);
    let Step::Compare(asked) = world.clone().begin(CheckRequest::to(loud, &right), "compare") else {
        panic!("it begins with a comparison")
    };
    assert_eq!(asked.request().to, OWNER);
    let Step::Conclude(asked) = world.clone().begin(CancelRequest::of(id), "conclude") else {
        panic!("it begins with a conclusion")
    };
    assert_eq!(asked.request().to, OWNER);
    // A lockout closes what is pending of others too: each end is told under the spelling of its own send.
    let tagged = "Support.Desk+T1@corp.example";
    let mut world = World::new(
        policy(&format!("{ONE_TO_LIMITS}[lockout]\nwaits = {{ 1 = \"15m\" }}\n")),
        Kinds::Managed,
    );
    sent(world.ask(SendRequest::to(tagged)));
    let Step::Conclude(asked) = world.begin(CheckRequest::to(OWNER, "000000"), "conclude") else {
        panic!("it begins with a conclusion")
    };
    assert_eq!(asked.request().to, tagged);
}

#[test]
fn i130_one_mailbox_under_two_keys_shares_its_managed_code() {
    let (mut world, _, right) = pending(Kinds::Managed);
    let recovery = Person::at(OWNER).purpose(Purpose::Recovery);
    world.use_keys(Keys::generate(&[7; 32]).rotated(&[9; 32]));
    sent(world.ask(SendRequest::to(recovery.clone())));
    // One mailbox under two keys: the code is still shared, and used up for both.
    approved(world.ask(CheckRequest::to(recovery, code(&world))));
    assert!(matches!(
        world.ask(CheckRequest::to(OWNER, right)),
        CheckAnswer::Refused(_)
    ));
}

/// Limits, lockouts, and what operators do are of all that share them, whichever spelling is named.
#[test]
fn i30_limits_and_operators_mean_every_spelling() {
    for (how, other, _) in SPELLINGS {
        let text = format!("{ONE_TO_LIMITS}[lockout]\nwaits = {{ 1 = \"15m\" }}\n");
        let mut world = World::new(policy(&text), Kinds::Own);
        sent(world.ask(SendRequest::to(OWNER)));
        let early = world.ask(SendRequest::to(Person::at(other).subject("ada")));
        assert_eq!(refused(early).code, RefusalCode::Cooldown, "{how}: one gap");
        let wrong = verify_tests::wrong(&code(&world));
        world.ask(CheckRequest::to(OWNER, wrong));
        world.advance(Duration::from_secs(31));
        let locked = world.ask(SendRequest::to(other));
        assert_eq!(refused(locked).code, RefusalCode::Locked, "{how}: one lockout");
        let unlocked = world.ask(UnlockRequest::at(other));
        assert!(matches!(unlocked, UnlockAnswer::Unlocked { .. }), "{how}");
        sent(world.ask(SendRequest::to(other)));
        let erased = world.ask(EraseRequest::at(OWNER));
        assert_eq!(
            erased,
            EraseAnswer::Erased { verifications: 2 },
            "{how}: one record"
        );
    }
}

fn code(world: &World) -> String {
    world.sent.last().unwrap().code.clone()
}
