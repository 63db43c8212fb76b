//! The gateway in a process of its own, by the processor time that a request costs it, against a bare server.

use std::time::Duration;

use tokio::runtime::Runtime;
use verify_twilio::double::{Answer, Double};

use super::Effort;
use super::flows::runtime;
use crate::gateway::{Load, Programs, Serving};
use crate::measure::{BenchError, Measured, Sample, compare};
use crate::report::{Row, Target};
use crate::scene::{address, number};

/// As many connections ask at once.
const CONNECTIONS: usize = 64;
/// What Twilio says of a message that it takes.
pub(super) const TAKEN: &str = r#"{"sid":"VE00000000000000000000000000000000","status":"pending"}"#;

/// A kind of request, and what becomes of it.
struct Kind {
    work: &'static str,
    /// What the answers say.
    status: u16,
    /// The flood shield that the gateway is started with.
    shield: &'static str,
    target: Target,
    /// Whether each request comes from an address of its own.
    own_address: bool,
    /// The usual batch, so many times: what costs little needs more to be measured, and what is kept has to fit.
    batches: usize,
    made_of: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        work: "refused send through the gateway",
        status: 429,
        shield: "off",
        target: Target::Least(70.0),
        own_address: false,
        batches: 4,
        made_of: "refused by the limit of its address: a decision of the core after one trip to the store",
    },
    Kind {
        work: "send that the flood shield turns away",
        status: 503,
        shield: "1/s",
        target: Target::None,
        own_address: false,
        batches: 4,
        made_of: "no trip to the store",
    },
    Kind {
        work: "accepted send through the gateway",
        status: 201,
        shield: "off",
        target: Target::Least(10.0),
        own_address: true,
        batches: 1,
        made_of: "with a call of Twilio's double over HTTP on this machine",
    },
];

/// The rows.
///
/// # Errors
/// A server that does not run, or answers otherwise than the row says.
pub fn gateway(effort: Effort, programs: &Programs) -> Measured<Vec<Row>> {
    let runtime = runtime()?;
    KINDS
        .iter()
        .map(|kind| row(effort, programs, &runtime, kind))
        .collect()
}

fn row(effort: Effort, programs: &Programs, runtime: &Runtime, kind: &Kind) -> Measured<Row> {
    let double = runtime
        .block_on(Double::start())
        .map_err(|error| BenchError::setup(&error))?;
    let mut gateway = Serving::gateway(programs, &double.base_url(), kind.shield, "memory")?;
    gateway.connect()?;
    let mut people = 0..;
    let mut bodies = |count: usize| -> Vec<String> {
        people
            .by_ref()
            .take(count)
            .map(|n| body(n, kind.own_address))
            .collect()
    };
    let mut load = Load::connect(runtime, gateway.address, CONNECTIONS)?;
    // The budget of the one address, or nothing that would be missed; the last answer is like all that follow.
    let mut typical = None;
    for body in bodies(WARMING) {
        double.then(Answer::json(201, TAKEN));
        typical = Some(load.ask(runtime, &body)?);
    }
    let typical = typical.filter(|reply| reply.status == kind.status);
    let typical = typical.ok_or(BenchError::OtherOutcome(kind.work))?;

    // The whole answer has the gateway's length, as well as two heads of different lengths allow.
    let bare_length = typical.body + typical.head.saturating_sub(BARE_HEAD);
    let mut bare = Serving::bare(programs, kind.status, bare_length)?;
    bare.connect()?;
    let mut bare_load = Load::connect(runtime, bare.address, CONNECTIONS)?;

    let batch = effort.batch * kind.batches;
    let (mut ours, mut least) = (Meter::of(&gateway)?, Meter::of(&bare)?);
    let ours = || {
        (0..batch).for_each(|_| {
            double.then(Answer::json(201, TAKEN));
        });
        let expected = load.send(runtime, bodies(batch), kind.status)?;
        ours.sample(batch, expected, kind)
    };
    let least = || {
        let bodies = (0..batch as u64).map(|n| body(n, kind.own_address)).collect();
        let expected = bare_load.send(runtime, bodies, kind.status)?;
        least.sample(batch, expected, kind)
    };
    let compared = compare(effort.rounds, least, ours)?;
    Ok(Row {
        work: format!("{}: requests per CPU second of its process", kind.work),
        figure: compared.ratio.times(100.0),
        unit: "% of a bare server's",
        target: kind.target,
        made_of: format!(
            "{:.1} µs of CPU time against {:.1} µs, {CONNECTIONS} connections, {} bytes of answer; {}",
            compared.floor.median / 1e3,
            compared.product.median / 1e3,
            typical.head + typical.body,
            kind.made_of
        ),
    })
}

/// More than any budget of an address.
const WARMING: usize = 20;
/// The head of a bare server's answer: status, media type, length and date.
const BARE_HEAD: usize = 120;

pub(super) fn body(n: u64, own_address: bool) -> String {
    let from = if own_address {
        address(n)
    } else {
        address(u64::MAX)
    };
    format!(r#"{{"to":"{}","channel":"sms","ip":"{from}"}}"#, number(n))
}

/// The processor time of a server, all of it: what it puts off until it is idle falls into its next sample.
struct Meter<'a> {
    server: &'a Serving,
    before: Duration,
}

impl<'a> Meter<'a> {
    fn of(server: &'a Serving) -> Measured<Self> {
        let before = server.cpu()?;
        Ok(Self { server, before })
    }

    fn sample(&mut self, operations: usize, expected: usize, kind: &Kind) -> Measured<Sample> {
        let now = self.server.cpu()?;
        let time = now.saturating_sub(self.before);
        self.before = now;
        // The shield lets one request a second through, whatever the machine's speed.
        let strays = operations - expected;
        match time.is_zero() || strays > operations / 20 + 1 {
            true => Err(BenchError::OtherOutcome(kind.work)),
            false => Ok(Sample { time, operations }),
        }
    }
}
