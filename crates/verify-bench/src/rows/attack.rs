//! Attack traffic through the pure machine and the model store.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use verify_core::store::EventSeq;
use verify_core::vocabulary::ServiceId;
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
    let mut attack = Attack::on(targets);
    let mut rates = Vec::new();
    for round in 0..=effort.rounds {
        let sample = timed(effort.batch, || {
            attack.run(effort.batch);
            Ok(())
        })?;
        attack.tidy();
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

/// Attackers, and the store that they meet.
pub(super) struct Attack {
    scene: Scene,
    store: ModelState,
    targets: u64,
    turn: u64,
}

impl Attack {
    /// On so many destinations.
    pub(super) fn on(targets: u64) -> Self {
        Self {
            scene: Scene::new(),
            store: ModelState::default(),
            targets,
            turn: 0,
        }
    }

    /// The next commands, however they end.
    pub(super) fn run(&mut self, commands: usize) {
        for _ in 0..commands {
            self.turn += 1;
            let turn = self.turn;
            let target = (turn / (GUESSES_TO_A_SEND + 1)) % self.targets;
            // From 250 addresses, a command every ten milliseconds.
            let [.., last] = (turn % 250).to_be_bytes();
            let from = IpAddr::V4(Ipv4Addr::new(198, 51, 100, last));
            let command = match turn % (GUESSES_TO_A_SEND + 1) {
                0 => send(target, from),
                guess => check(target, &format!("{:06}", guess * 1_009 + turn % 997)),
            };
            self.scene
                .run(command, |changeset| self.store.apply_now(changeset));
            self.scene.advance(Duration::from_millis(10));
        }
    }

    /// Nobody pumps the outbox here, and a store that is never swept is not what is measured.
    fn tidy(&mut self) {
        self.store.acknowledge(&ServiceId::default(), EventSeq(u64::MAX));
        self.store.purge(self.scene.now);
    }
}
