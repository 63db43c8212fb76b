//! Whole commands against the fingerprints and look-ups that nobody could do without.

use std::collections::{BTreeSet, HashMap};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use foldhash::fast::RandomState;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::runtime::Runtime;
use verify_core::command::{Command, SendRequest};
use verify_core::destination::Destination;
use verify_core::keys::{Keys, Print};
use verify_core::outcome::{Answer, CheckAnswer, SendAnswer};
use verify_core::port::{DispatchRequest, Dispatched};
use verify_core::store::{Changeset, CounterKey};
use verify_core::vocabulary::Channel;
use verify_engine::{Deliverer, Engine};
use verify_memstore::MemStore;
use verify_testkit::ManualClock;

use super::Effort;
use crate::measure::{BenchError, Comparison, Measured, Sample, compare, timed};
use crate::report::{Row, Target};
use crate::scene::{BEGIN, PROVIDER, Scene, check, number, policy, print, send};

/// HMACs that a send makes of its seed, each with a key of its own: one for the ids of the verification and the
/// delivery, one for the nonce of what is sealed.
const SEEDED_BY_A_SEND: usize = 2;
/// The HMAC that the code is.
const CODE: usize = 1;
/// A code that nobody was sent, but for one person in a million.
pub(super) const WRONG: &str = "000000";

/// The row that everything else is read against: what reading a number costs.
fn read_a_number(effort: Effort) -> Measured<Row> {
    let rules = &policy().default.email;
    let mut bare = Bare::new(
        Needs {
            prepared: 1,
            fresh: 0,
            keys: 0,
        },
        false,
    );
    let batch = effort.batch;
    let numbers: Vec<String> = (0..batch as u64).map(number).collect();
    let ours = || {
        timed(batch, || {
            let read = |text: &String| Destination::parse(text, None, rules).is_ok();
            match numbers.iter().all(read) {
                true => Ok(()),
                false => Err(BenchError::OtherOutcome("number")),
            }
        })
    };
    let compared = compare(effort.rounds, ours, || bare.sample(batch))?;
    Ok(Row {
        work: "reading a phone number (libphonenumber), in each of the rows above".to_owned(),
        figure: compared.product,
        unit: "ns",
        target: Target::None,
        made_of: format!("one HMAC takes {:.0} ns", compared.floor.median),
    })
}

/// The rows: a wrong check, a refused send, and a refused send through the engine.
///
/// # Errors
/// A command that ended otherwise than its row says.
pub fn flows(effort: Effort) -> Measured<Vec<Row>> {
    Ok(vec![
        wrong_check(effort)?,
        refused_send(effort)?,
        refused_send_through_the_engine(effort)?,
        read_a_number(effort)?,
    ])
}

fn wrong_check(effort: Effort) -> Measured<Row> {
    let (mut scene, store) = (Scene::new(), MemStore::new().without_outbox());
    scene.send_to(0, |changeset| store.apply_now(changeset))?;
    let needs = Needs::of(&mut scene, &store, check(0, WRONG), CODE);
    let mut bare = Bare::new(needs, true);
    let batch = effort.batch;
    let mut person = 0;
    let ours = || {
        // A store of its own for each sample, so that it does not grow while it is measured.
        let store = MemStore::new().without_outbox();
        let people = person..person + batch as u64;
        person = people.end;
        for n in people.clone() {
            scene.send_to(n, |changeset| store.apply_now(changeset))?;
        }
        let checks: Vec<_> = people.map(|n| check(n, WRONG)).collect();
        timed(batch, || {
            for command in checks {
                let outcome = scene.run(command, |changeset| store.apply_now(changeset));
                if !matches!(
                    outcome.answer,
                    Ok(Answer::Check(
                        CheckAnswer::WrongCode(_) | CheckAnswer::Approved(_) | CheckAnswer::Unclaimed(_)
                    ))
                ) {
                    return Err(BenchError::OtherOutcome("wrong check"));
                }
            }
            Ok(())
        })
    };
    let compared = compare(effort.rounds, ours, || bare.sample(batch))?;
    Ok(row(
        "check of an own code, wrong, machine + memstore",
        needs,
        compared,
    ))
}

fn refused_send(effort: Effort) -> Measured<Row> {
    let (mut scene, store) = (Scene::new(), MemStore::new().without_outbox());
    let mut person = crowd(&mut scene, &store)?;
    let needs = Needs::of(&mut scene, &store, send(person, flooder()), SEEDED_BY_A_SEND);
    let mut bare = Bare::new(needs, false);
    let batch = effort.batch;
    let ours = || {
        let sends: Vec<_> = (person..).take(batch).map(|n| send(n, flooder())).collect();
        person += sends.len() as u64;
        timed(batch, || {
            for command in sends {
                let outcome = scene.run(command, |changeset| store.apply_now(changeset));
                if !matches!(outcome.answer, Ok(Answer::Send(SendAnswer::Refused(_)))) {
                    return Err(BenchError::OtherOutcome("refused send"));
                }
            }
            Ok(())
        })
    };
    let compared = compare(effort.rounds, ours, || bare.sample(batch))?;
    Ok(row("refused send, machine + memstore", needs, compared))
}

fn refused_send_through_the_engine(effort: Effort) -> Measured<Row> {
    let runtime = runtime()?;
    let (engine, mut person) = engine_at_its_limit(&runtime)?;
    let (mut scene, store) = (Scene::new(), MemStore::new().without_outbox());
    let next = crowd(&mut scene, &store)?;
    let needs = Needs::of(&mut scene, &store, send(next, flooder()), SEEDED_BY_A_SEND);
    let mut bare = Bare::new(needs, false);
    let batch = effort.batch;
    let ours = || {
        let sends: Vec<_> = (person..).take(batch).map(send_request).collect();
        person += sends.len() as u64;
        timed(batch, || {
            runtime.block_on(async {
                for request in sends {
                    if !matches!(engine.send(request).await.answer, Ok(SendAnswer::Refused(_))) {
                        return Err(BenchError::OtherOutcome("refused send"));
                    }
                }
                Ok(())
            })
        })
    };
    let compared = compare(effort.rounds, ours, || bare.sample(batch))?;
    Ok(row("refused send, async engine + memstore", needs, compared))
}

/// A runtime of this thread.
pub(super) fn runtime() -> Measured<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| BenchError::setup(&error))
}

/// An engine whose flooder is at the end of its budget. The next person nobody sent to.
pub(super) fn engine_at_its_limit(runtime: &Runtime) -> Measured<(Engine, u64)> {
    let sms = Deliverer::new(
        PROVIDER,
        [Channel::Sms, Channel::Call],
        |_: DispatchRequest| async { Dispatched::Accepted { upstream: None } },
    );
    let engine = Engine::builder()
        .policy(policy())
        .keys(Keys::generate(&[7; 32]))
        .clock(ManualClock::at(BEGIN))
        .store(MemStore::new().without_outbox())
        .provider(sms)
        .with_client_ip()
        .build()
        .map_err(|error| BenchError::setup(&error))?;
    runtime.block_on(async {
        for n in 0..BUDGET {
            engine.send(send_request(n)).await;
        }
    });
    Ok((engine, BUDGET))
}

/// A send of the flooder to person `n`.
pub(super) fn send_request(n: u64) -> SendRequest {
    SendRequest::to(number(n)).ip(flooder())
}

/// Sends that an address may make.
const BUDGET: u64 = 5;
/// People who were sent to before anything is measured.
const CROWD: u64 = 1_000;

/// An address that has used up what it may send.
pub(super) fn flooder() -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7))
}

/// A crowd that was sent to, and the flooder at the end of its budget. The next person nobody sent to.
pub(super) fn crowd(scene: &mut Scene, store: &MemStore) -> Measured<u64> {
    for n in 0..CROWD {
        scene.send_to(n, |changeset| store.apply_now(changeset))?;
    }
    for n in CROWD..CROWD + BUDGET {
        scene.run(send(n, flooder()), |changeset| store.apply_now(changeset));
    }
    Ok(CROWD + BUDGET)
}

fn row(work: &str, needs: Needs, compared: Comparison) -> Row {
    Row {
        work: work.to_owned(),
        figure: compared.ratio,
        unit: "×",
        target: Target::Most(3.0),
        made_of: format!(
            "{:.0} ns against {:.0} ns: {} HMACs under a prepared key, {} under a fresh one, {} keys",
            compared.product.median, compared.floor.median, needs.prepared, needs.fresh, needs.keys
        ),
    }
}

/// What a command cannot do without: counted in the changeset that it asks for.
#[derive(Debug, Clone, Copy)]
struct Needs {
    /// HMACs under a key that is ready: one for each distinct fingerprint, and the code.
    prepared: usize,
    /// HMACs under a key made for it.
    fresh: usize,
    /// Keys that are looked up or updated.
    keys: usize,
}

impl Needs {
    fn of(scene: &mut Scene, store: &MemStore, command: Command, more: usize) -> Self {
        let mut needs = None;
        let is_check = matches!(command, Command::Check(_));
        scene.run(command, |changeset| {
            needs.get_or_insert_with(|| Self::in_changeset(changeset));
            store.apply_now(changeset)
        });
        let Self { prepared, keys, .. } = needs.unwrap_or(Self {
            prepared: 0,
            fresh: 0,
            keys: 0,
        });
        Self {
            prepared: prepared + if is_check { more } else { 0 },
            fresh: if is_check { 0 } else { more },
            keys,
        }
    }

    fn in_changeset(changeset: &Changeset) -> Self {
        let charged = changeset.charges.iter().map(|charge| charge.key.print);
        let recorded = changeset.records.iter().map(|change| change.key.print);
        let read = changeset.reads.iter().map(|key| key.print);
        let prints: BTreeSet<Print> = charged.chain(recorded).chain(read).collect();
        Self {
            prepared: prints.len(),
            fresh: 0,
            keys: changeset.charges.len() + changeset.records.len() + changeset.reads.len(),
        }
    }
}

/// The same HMACs and the same number of map operations, and nothing else.
struct Bare {
    needs: Needs,
    updates: bool,
    mac: Hmac<Sha256>,
    map: HashMap<CounterKey, [u64; 6], RandomState>,
    turn: u64,
}

/// As many keys as the crowd has.
const KEYS: u64 = CROWD * 4;

impl Bare {
    fn new(needs: Needs, updates: bool) -> Self {
        Self {
            needs,
            updates,
            mac: Hmac::new(&[7; 64].into()),
            map: (0..KEYS).map(|n| (Self::key(n), [n; 6])).collect(),
            turn: 0,
        }
    }

    fn key(n: u64) -> CounterKey {
        CounterKey {
            scope: 7,
            print: print(n),
        }
    }

    fn sample(&mut self, operations: usize) -> Measured<Sample> {
        // A kind, a service and a number with their lengths: what a fingerprint is of.
        let message = [0x2b; 32];
        timed(operations, || {
            for _ in 0..operations {
                for _ in 0..self.needs.prepared {
                    let mut mac = self.mac.clone();
                    mac.update(black_box(&message));
                    black_box(mac.finalize());
                }
                for _ in 0..self.needs.fresh {
                    let mut mac = Hmac::<Sha256>::new(black_box(&[9; 64]).into());
                    mac.update(black_box(&message));
                    black_box(mac.finalize());
                }
                for _ in 0..self.needs.keys {
                    self.turn = self.turn.wrapping_add(7_919);
                    let key = Self::key(self.turn % KEYS);
                    if self.updates {
                        if let Some(value) = self.map.get_mut(&key) {
                            *value = value.map(|word| word.wrapping_add(1));
                        }
                    } else {
                        black_box(self.map.get(&key));
                    }
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::address;

    #[test]
    fn the_crowd_has_addresses_of_its_own() {
        assert!((0..CROWD).all(|n| address(n) != flooder()));
    }
}
