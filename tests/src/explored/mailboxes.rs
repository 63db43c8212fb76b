//! Two mailboxes that limits treat as one: they share a record and race in it, and what becomes of one ends nothing of the
//! other's.

use std::time::Duration;

use verify_core::command::{CancelRequest, CheckRequest, SendRequest};
use verify_core::outcome::{CheckAnswer, Outcome};
use verify_core::record::Status;
use verify_lab::explore::{Kinds, World};

use super::{Finding, Scenario, finding};
use crate::{Asks, NO_FIRST_WAIT, policy, sent, verifications};

const MINE: &str = "ann@corp.example";
const THEIRS: &str = "ann+t1@corp.example";

/// Both got a code, and may be sent another.
fn both_pending(kinds: Kinds) -> (World, String, [String; 2]) {
    let mut world = World::new(policy(NO_FIRST_WAIT), kinds);
    let mine = sent(world.ask(SendRequest::to(MINE))).id;
    world.advance(Duration::from_secs(31));
    sent(world.ask(SendRequest::to(THEIRS)));
    world.advance(Duration::from_secs(31));
    let codes = [MINE, THEIRS].map(|to| {
        let code = world.code_for(to);
        code.map_or_else(String::new, |code| code.expose().to_owned())
    });
    (world, mine, codes)
}

fn theirs_is_pending(world: &World) -> Finding {
    let pending = |status: Option<Status>| status == Some(Status::Pending);
    let theirs = verifications(world).get(1).map(|theirs| theirs.status());
    finding(
        pending(theirs),
        "i130: what became of one mailbox ended the other's",
    )
}

fn theirs_is_good(world: &World, right: &str) -> Finding {
    match world.clone().ask(CheckRequest::to(THEIRS, right)) {
        CheckAnswer::Approved(_) => Ok(()),
        other => Err(format!("i130: the other mailbox's code is dead: {other:?}")),
    }
}

/// The code of one is given at both.
pub(super) fn check_check(kinds: Kinds) -> Scenario {
    let (world, _, [mine, theirs]) = both_pending(kinds);
    let flows = [CheckRequest::to(MINE, &mine), CheckRequest::to(THEIRS, &mine)];
    let proves_another = |outcomes: &[Option<Outcome>]| {
        let at_theirs = outcomes.get(1).and_then(Option::as_ref);
        at_theirs.is_some_and(|outcome| outcome.as_str() == "approved")
    };
    Scenario::new(world, flows.map(Into::into))
        .holds(move |world, outcomes| {
            finding(!proves_another(outcomes), "i130: a code proved another mailbox")?;
            theirs_is_pending(world)
        })
        .at_end(move |world, _| theirs_is_good(world, &theirs))
}

/// One is canceled, and its provider told, while a code goes to the other again.
pub(super) fn cancel_send(kinds: Kinds) -> Scenario {
    let (world, mine, [_, theirs]) = both_pending(kinds);
    let flows = [CancelRequest::of(mine).into(), SendRequest::to(THEIRS).into()];
    Scenario::new(world, flows)
        .holds(|world, _| theirs_is_pending(world))
        .at_end(move |world, _| theirs_is_good(world, &theirs))
}
