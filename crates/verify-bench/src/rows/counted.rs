//! Work whose instructions are counted: the same inputs each time, and a scene that is set before anything counts.

use std::hint::black_box;

use verify_core::command::{Command, StatusRequest};
use verify_core::outcome::{Answer, CheckAnswer, SendAnswer, StatusAnswer};
use verify_core::policy::PolicySet;
use verify_core::record::Record;
use verify_core::store::{Changeset, Row as Stored, Write};
use verify_memstore::MemStore;

use super::attack::Attack;
use super::charge::Charges;
use super::flows::{WRONG, crowd, engine_at_its_limit, flooder, runtime, send_request};
use crate::measure::{BenchError, Measured};
use crate::scene::{Scene, check, policy, send};

/// Work of one kind, so many times over.
pub type Work = fn(usize) -> Measured<()>;

/// Every kind, by its name.
pub const KINDS: [(&str, Work); 10] = [
    ("window_charge", window_charge),
    ("wrong_check", wrong_check),
    ("right_check", right_check),
    ("refused_send", refused_send),
    ("accepted_send", accepted_send),
    ("attack_mix", attack_mix),
    ("engine_refused_send", engine_refused_send),
    ("policy_load", policy_load),
    ("status_by_token", status_by_token),
    ("record_decode", record_decode),
];

/// What callgrind is told to collect: everything inside of `counted`, and nothing that was set up before.
pub const COLLECTED: &str = "*rows::counted::counted*";

/// Runs work that is counted. What happens once in a process, such as compiling patterns, has happened before.
#[inline(never)]
fn counted(work: &mut dyn FnMut() -> Measured<()>) -> Measured<()> {
    black_box(work())
}

fn window_charge(times: usize) -> Measured<()> {
    let mut charges = Charges::on(1_000);
    counted(&mut || charges.charge_all(times))
}

fn wrong_check(times: usize) -> Measured<()> {
    let (mut scene, store, _) = sent_to(times)?;
    let checks = commands(times, |n| check(n, WRONG));
    run_all(&mut scene, &store, checks, |answer| {
        matches!(answer, Answer::Check(CheckAnswer::WrongCode(_)))
    })
}

fn right_check(times: usize) -> Measured<()> {
    let (mut scene, store, sent) = sent_to(times)?;
    let checks = (0..).zip(sent).map(|(n, sent)| check(n, &sent.code)).collect();
    run_all(&mut scene, &store, checks, |answer| {
        matches!(answer, Answer::Check(CheckAnswer::Approved(_)))
    })
}

fn refused_send(times: usize) -> Measured<()> {
    let (mut scene, store) = (Scene::new(), MemStore::new().without_outbox());
    let next = crowd(&mut scene, &store)?;
    let sends = commands(times, |n| send(next + n, flooder()));
    run_all(&mut scene, &store, sends, |answer| {
        matches!(answer, Answer::Send(SendAnswer::Refused(_)))
    })
}

fn accepted_send(times: usize) -> Measured<()> {
    let (mut scene, store, _) = sent_to(1)?;
    let sends = commands(times, |n| send(n + 1, crate::scene::address(n + 1)));
    run_all(&mut scene, &store, sends, |answer| {
        matches!(answer, Answer::Send(SendAnswer::Sent(_)))
    })
}

fn attack_mix(times: usize) -> Measured<()> {
    let mut attack = Attack::on(500);
    attack.run(1);
    counted(&mut || {
        attack.run(times);
        Ok(())
    })
}

fn engine_refused_send(times: usize) -> Measured<()> {
    let runtime = runtime()?;
    let (engine, next) = engine_at_its_limit(&runtime)?;
    let requests: Vec<_> = (next..).take(times).map(send_request).collect();
    let mut requests = requests.into_iter();
    counted(&mut || {
        runtime.block_on(async {
            for request in requests.by_ref() {
                if !matches!(engine.send(request).await.answer, Ok(SendAnswer::Refused(_))) {
                    return Err(BenchError::OtherOutcome("refused send"));
                }
            }
            Ok(())
        })
    })
}

fn policy_load(times: usize) -> Measured<()> {
    let text = policy().to_toml();
    let load = || {
        PolicySet::from_toml(&text)
            .map_err(|error| BenchError::setup(&error))
            .map(black_box)
    };
    load()?;
    counted(&mut || (0..times).try_for_each(|_| load().map(drop)))
}

/// A token is opened, and the one record that it names is read.
fn status_by_token(times: usize) -> Measured<()> {
    let (mut scene, store, sent) = sent_to(1)?;
    let id = sent.into_iter().next().map(|sent| sent.id).unwrap_or_default();
    let statuses = commands(times, |_| StatusRequest::of(&id).into());
    run_all(&mut scene, &store, statuses, |answer| {
        matches!(answer, Answer::Status(StatusAnswer::Found(_)))
    })
}

fn record_decode(times: usize) -> Measured<()> {
    let (_, _, sent) = sent_to(1)?;
    let row = sent.into_iter().next().and_then(|sent| sent.row);
    let row = row.ok_or(BenchError::OtherOutcome("send"))?;
    counted(&mut || {
        (0..times).try_for_each(|_| match black_box(Record::decode(black_box(&row))) {
            Ok(_) => Ok(()),
            Err(_) => Err(BenchError::OtherOutcome("record")),
        })
    })
}

/// What is left of a send.
struct Sent {
    id: String,
    code: String,
    row: Option<Stored>,
}

/// So many people who were sent to.
fn sent_to(people: usize) -> Measured<(Scene, MemStore, Vec<Sent>)> {
    let (mut scene, store) = (Scene::new(), MemStore::new().without_outbox());
    let mut all = Vec::with_capacity(people);
    for command in commands(people, |n| send(n, crate::scene::address(n))) {
        let mut row = None;
        let outcome = scene.run(command, |changeset| {
            row = written(changeset).or(row.take());
            store.apply_now(changeset)
        });
        let Ok(Answer::Send(SendAnswer::Sent(verification))) = outcome.answer else {
            return Err(BenchError::OtherOutcome("send"));
        };
        all.push(Sent {
            id: verification.id,
            code: scene.last_code.clone(),
            row,
        });
    }
    Ok((scene, store, all))
}

fn written(changeset: &Changeset) -> Option<Stored> {
    changeset.records.iter().find_map(|change| match &change.write {
        Write::Put(row) => Some(row.clone()),
        Write::Delete | Write::Keep => None,
    })
}

fn commands(times: usize, make: impl Fn(u64) -> Command) -> Vec<Command> {
    (0..).take(times).map(make).collect()
}

fn run_all(
    scene: &mut Scene,
    store: &MemStore,
    commands: Vec<Command>,
    is_expected: impl Fn(&Answer) -> bool,
) -> Measured<()> {
    let mut commands = commands.into_iter();
    counted(&mut || {
        commands.by_ref().try_for_each(|command| {
            let outcome = scene.run(command, |changeset| store.apply_now(changeset));
            match outcome.answer.as_ref().is_ok_and(&is_expected) {
                true => Ok(()),
                false => Err(BenchError::OtherOutcome("counted command")),
            }
        })
    })
}
