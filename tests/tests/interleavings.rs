//! Two flows at once, in every order, with a crash or a lost answer at every step. Each test is complete: every state
//! that two flows can reach within its budget is visited once.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{
    CheckRequest, Command, RedeemRequest, SendRequest, TickRequest, VerificationRequest,
};
use verify_core::event::EventKind;
use verify_core::outcome::{Answer, Outcome};
use verify_core::policy::PolicySet;
use verify_core::record::{DeliveryStatus, Status};
use verify_core::vocabulary::{Channel, Purpose, ServiceId};
use verify_testkit::explore::{Budget, Kinds, Search, World};
use verify_tests::{BOTH, NO_FIRST_WAIT, TO, always, approvals, check, events, policy, record, send};

const ONE_OF_EACH: Budget = Budget {
    crashes: 1,
    faults: 1,
    time_jumps: 1,
};

/// When all is over, ticks repair: nothing is left between states.
fn repaired(world: &World, _outcomes: &[Option<Outcome>]) -> Result<(), String> {
    let mut world = world.clone();
    for _ in 0..4 {
        world.advance(Duration::from_secs(120));
        let Some((key, _)) = record(&world) else {
            return Ok(());
        };
        world.run(Command::Tick(TickRequest {
            service: ServiceId::default(),
            record: key,
        }));
    }
    let Some((_, record)) = record(&world) else {
        return Ok(());
    };
    let stuck = record
        .entries
        .iter()
        .flat_map(|entry| &entry.deliveries)
        .any(|delivery| matches!(delivery.status(), DeliveryStatus::Dispatching));
    if stuck {
        Err("i28: a delivery is never settled".into())
    } else {
        Ok(())
    }
}

fn explore(
    world: &World,
    budget: Budget,
    jumps: &[u64],
    commands: &[Command],
    invariant: impl Fn(&World, &[Option<Outcome>]) -> Result<(), String>,
) -> usize {
    let search = Search {
        jumps: jumps.iter().map(|secs| Duration::from_secs(*secs)).collect(),
        budget,
        invariant: &|world, outcomes| always(world, outcomes).and_then(|()| invariant(world, outcomes)),
        at_end: &repaired,
    };
    match search.run(world.clone(), commands.to_vec()) {
        Ok(states) => states,
        Err(found) => panic!("{}\n{}", found.what, found.trace.join("\n")),
    }
}

fn nothing_more(_: &World, _: &[Option<Outcome>]) -> Result<(), String> {
    Ok(())
}

fn sent_once(kinds: Kinds) -> (World, String, String) {
    let mut world = World::new(PolicySet::default(), kinds);
    let Answer::Sent(verification) = world.run(send()).0.answer else {
        panic!("not sent")
    };
    let code = world.code_for(TO).unwrap().expose().to_owned();
    (world, verification.id, code)
}

#[test]
fn i26_two_sends_one_message() {
    for kinds in BOTH {
        let world = World::new(PolicySet::default(), kinds);
        let states = explore(
            &world,
            Budget {
                time_jumps: 0,
                ..ONE_OF_EACH
            },
            &[],
            &[send(), send()],
            |world, _| {
                // A send that surely reached nobody gives the gap back, so that two may be asked for; two may not arrive.
                if world.sent.len() > 1 {
                    Err("i26: two messages inside the gap".into())
                } else {
                    Ok(())
                }
            },
        );
        println!("send/send {kinds:?}: {states} states");
        let states = explore(&world, ONE_OF_EACH, &[31], &[send(), send()], nothing_more);
        println!("send/send {kinds:?} with a jump: {states} states");
    }
}

#[test]
fn i01_two_wrong_checks_one_comparison() {
    for kinds in BOTH {
        let (world, _, _) = sent_once(kinds);
        let checks = [check("000000"), check("000001")];
        let states = explore(&world, ONE_OF_EACH, &[15], &checks, |world, outcomes| {
            let wrong = outcomes
                .iter()
                .flatten()
                .filter(|o| matches!(o.answer, Answer::WrongCode(_)))
                .count();
            if wrong > 1 || world.compared > 1 {
                Err("i01: two guesses inside the wait".into())
            } else {
                Ok(())
            }
        });
        println!("check/check wrong {kinds:?}: {states} states");
    }
}

#[test]
fn i02_two_right_checks_one_approval() {
    for kinds in BOTH {
        let (mut world, _, code) = sent_once(kinds);
        // Under the default policy the second check would wait, and the two would never meet.
        world.use_policies(policy(NO_FIRST_WAIT));
        let states = explore(
            &world,
            ONE_OF_EACH,
            &[61],
            &[check(&code), check(&code)],
            nothing_more,
        );
        println!("check/check right {kinds:?}: {states} states");
    }
}

#[test]
fn i03_send_and_check() {
    for kinds in BOTH {
        let (mut world, _, code) = sent_once(kinds);
        world.advance(Duration::from_secs(31));
        for guess in [code.as_str(), "000000"] {
            let states = explore(&world, ONE_OF_EACH, &[61], &[send(), check(guess)], nothing_more);
            println!("send/check {guess} {kinds:?}: {states} states");
        }
    }
}

#[test]
fn i24_check_and_cancel() {
    for kinds in BOTH {
        let (world, id, code) = sent_once(kinds);
        let cancel = Command::Cancel(VerificationRequest {
            service: ServiceId::default(),
            verification_id: id,
        });
        let states = explore(
            &world,
            ONE_OF_EACH,
            &[31],
            &[check(&code), cancel],
            |world, outcomes| {
                let canceled = outcomes
                    .iter()
                    .flatten()
                    .any(|o| matches!(o.answer, Answer::Canceled(_)));
                if canceled && approvals(outcomes) > 0 {
                    return Err("i24: canceled and approved".into());
                }
                let both = events(world, EventKind::Canceled) + events(world, EventKind::Approved);
                if both > 1 {
                    Err("i24: two ends".into())
                } else {
                    Ok(())
                }
            },
        );
        println!("check/cancel {kinds:?}: {states} states");
    }
}

#[test]
fn a_conclusion_never_ends_a_code_that_was_sent_after_it() {
    let (mut world, id, _) = sent_once(Kinds::Managed);
    world.advance(Duration::from_secs(31));
    let cancel = Command::Cancel(VerificationRequest {
        service: ServiceId::default(),
        verification_id: id,
    });
    let states = explore(
        &world,
        ONE_OF_EACH,
        &[31],
        &[cancel, send()],
        |world, outcomes| {
            let Some(Answer::Sent(sent)) = outcomes.get(1).and_then(|o| o.as_ref()).map(|o| &o.answer) else {
                return Ok(());
            };
            if outcomes.first().is_none_or(Option::is_none) || sent.status != Status::Pending {
                return Ok(());
            }
            let mut later = world.clone();
            later.advance(Duration::from_secs(1));
            let Some(code) = later.code_for(TO).map(|code| code.expose().to_owned()) else {
                return Ok(());
            };
            let pending = record(&later)
                .is_some_and(|(_, record)| record.entries.iter().any(|e| e.is_pending(later.now)));
            let accepted = sent
                .deliveries
                .last()
                .is_some_and(|(_, status)| *status == DeliveryStatus::Accepted);
            if !(pending && accepted) {
                return Ok(());
            }
            match later.run(check(&code)).0.answer {
                Answer::Approved(_) => Ok(()),
                other => Err(format!("the code that was sent last is dead: {other:?}")),
            }
        },
    );
    println!("cancel/send managed: {states} states");
}

#[test]
fn i28_send_and_tick() {
    for kinds in BOTH {
        let (mut world, _, _) = sent_once(kinds);
        let (key, _) = record(&world).unwrap();
        world.advance(Duration::from_secs(31));
        let tick = Command::Tick(TickRequest {
            service: ServiceId::default(),
            record: key,
        });
        let states = explore(&world, ONE_OF_EACH, &[35, 60], &[send(), tick], nothing_more);
        println!("send/tick {kinds:?}: {states} states");
    }
}

#[test]
fn i54_two_redeems_one_redemption() {
    let (mut world, id, code) = sent_once(Kinds::Own);
    let Answer::Approved(approval) = world.run(Command::Check(CheckRequest::of(id, code))).0.answer else {
        panic!()
    };
    let redeem = Command::Redeem(RedeemRequest {
        service: ServiceId::default(),
        proof: approval.proof,
        purpose: Purpose::SignIn,
        to: TO.into(),
        country: None,
        subject: None,
        amount: None,
        payee: None,
        idempotency_key: None,
    });
    let states = explore(
        &world,
        ONE_OF_EACH,
        &[31],
        &[redeem.clone(), redeem],
        |_, outcomes| {
            let redeemed = outcomes
                .iter()
                .flatten()
                .filter(|o| matches!(o.answer, Answer::Redeemed(_)))
                .count();
            if redeemed > 1 {
                Err("i54: redeemed twice".into())
            } else {
                Ok(())
            }
        },
    );
    println!("redeem/redeem: {states} states");
}

#[test]
fn i37_a_resend_never_ends_a_pending_code() {
    for kinds in BOTH {
        let (mut world, _, code) = sent_once(kinds);
        world.advance(Duration::from_secs(31));
        let call = Command::Send(SendRequest::to(TO).by(Channel::Call));
        let stranger = Command::Send(SendRequest::to(TO).subject("another"));
        let states = explore(&world, ONE_OF_EACH, &[], &[call, stranger], |world, outcomes| {
            if outcomes.iter().any(Option::is_none) {
                return Ok(());
            }
            match world.clone().run(check(&code)).0.answer {
                Answer::Approved(_) => Ok(()),
                other => Err(format!("i37: the first code is dead: {other:?}")),
            }
        });
        println!("send/send of two identities {kinds:?}: {states} states");
    }
}

#[test]
fn i51_failover_asks_each_provider_once() {
    let mut world = World::new(PolicySet::default(), Kinds::TwoOwn);
    world
        .rejecting
        .insert("own".into(), verify_core::port::RejectionKind::Down);
    let search = Search {
        jumps: Vec::new(),
        budget: Budget {
            crashes: 1,
            faults: 1,
            time_jumps: 0,
        },
        invariant: &|world, _| {
            if world.sent.len() > 1 {
                Err("i51: two messages".into())
            } else {
                Ok(())
            }
        },
        at_end: &repaired,
    };
    match search.run(world, vec![send(), send()]) {
        Ok(states) => println!("send/send with failover: {states} states"),
        Err(found) => panic!("{}\n{}", found.what, found.trace.join("\n")),
    }
}

#[test]
fn i06_three_flows_with_a_fault() {
    for kinds in BOTH {
        let (mut world, id, code) = sent_once(kinds);
        world.advance(Duration::from_secs(31));
        let cancel = verify_tests::cancel(&id);
        let budget = Budget {
            crashes: 0,
            faults: 1,
            time_jumps: 0,
        };
        let call = Command::Send(SendRequest::to(TO).by(Channel::Call));
        for commands in [
            [check(&code), check("000000"), call.clone()],
            [check(&code), cancel.clone(), call.clone()],
            [
                check(&code),
                Command::Send(SendRequest::to(TO).subject("another")),
                cancel,
            ],
        ] {
            let states = explore(&world, budget, &[], &commands, |world, outcomes| {
                let ends = events(world, EventKind::Canceled) + events(world, EventKind::Approved);
                let both = approvals(outcomes) > 0 && events(world, EventKind::Canceled) > 0;
                if ends > 1 && both {
                    Err("i24: two ends".into())
                } else {
                    Ok(())
                }
            });
            println!("three flows {kinds:?}: {states} states");
        }
    }
}
