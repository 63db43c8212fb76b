//! Attack traffic through the pure machine and the model store.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use verify_testkit::ModelState;

use super::Effort;
use crate::measure::{Figure, Measured, timed};
use crate::report::{Row, Target};
use crate::scene::{Scene, check, send};

/// Commands of the attackers in turn: most guess, some make the system send.
const GUESSES_TO_A_SEND: u64 = 7;

/// The row, against one destination and spread over hundreds.
///
/// # Errors
/// None; flows end however they end.
pub fn attack(effort: Effort) -> Measured<Vec<Row>> {
    let targets = [(1, "one destination"), (500, "500 destinations")];
    targets
        .into_iter()
        .map(|(targets, over)| row(effort, targets, over))
        .collect()
}

fn row(effort: Effort, targets: u64, over: &str) -> Measured<Row> {
    let (mut scene, mut store) = (Scene::new(), ModelState::default());
    let mut turn = 0_u64;
    let mut rates = Vec::new();
    for round in 0..=effort.rounds {
        let sample = timed(effort.batch, || {
            for _ in 0..effort.batch {
                turn += 1;
                let target = (turn / (GUESSES_TO_A_SEND + 1)) % targets;
                // From 250 addresses, a command every ten milliseconds.
                let [.., last] = (turn % 250).to_be_bytes();
                let from = IpAddr::V4(Ipv4Addr::new(198, 51, 100, last));
                let command = match turn % (GUESSES_TO_A_SEND + 1) {
                    0 => send(target, from),
                    guess => check(target, &format!("{:06}", guess * 1_009 + turn % 997)),
                };
                scene.run(command, |changeset| store.apply_now(changeset));
                scene.advance(Duration::from_millis(10));
            }
            Ok(())
        })?;
        // Nobody pumps the outbox here, and a store that is never swept is not what is measured.
        store.acknowledge(verify_core::store::EventSeq(u64::MAX));
        store.purge(scene.now);
        if round > 0 {
            rates.push(1e9 / sample.nanos());
        }
    }
    Ok(Row {
        work: format!("attack traffic, {over}: commands per second and core"),
        figure: Figure::of(rates),
        unit: "/s",
        target: Target::Least(500_000.0),
        made_of: format!("{GUESSES_TO_A_SEND} guesses to a send, the pure machine and the model store"),
    })
}
