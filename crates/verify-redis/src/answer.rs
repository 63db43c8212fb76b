//! What the script answered, held against the core's own decision.

use std::panic::{AssertUnwindSafe, catch_unwind};

use redis::Value;
use verify_core::port::Detail;
use verify_core::store::{
    Changeset, ClaimKey, Epoch, Evaluation, Loaded, Names, Origin, RecordKey, StoreAnswer, StoreFault, kept,
};
use verify_core::time::Timestamp;

use crate::telemetry;

/// What is kept under a key.
type Bytes = Option<Vec<u8>>;

/// What the script decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Applied,
    /// There was no room for the alerts.
    WithoutAlerts,
    Refused,
    Full,
}

/// What the script answered.
pub(crate) enum Told {
    /// It was too late to begin.
    Late(Timestamp),
    Decided(Box<Decided>),
}

/// A decision, and what it was based on.
pub(crate) struct Decided {
    decision: Decision,
    version: u64,
    pub(crate) origin: Origin,
    /// Each record and claim that was named: put, deleted, or left alone.
    marks: Vec<u8>,
    raised: usize,
    /// True when the epoch was written down just now.
    pub(crate) settled: bool,
    /// What each counter was, and what it became where it was written.
    counters: Vec<(Bytes, Bytes)>,
    records: Vec<Bytes>,
    claims: Vec<Bytes>,
}

/// The parts of an answer, one after the other.
struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    fn bytes(&mut self) -> Option<Bytes> {
        redis::from_redis_value(self.0.next()?).ok()
    }

    fn number(&mut self) -> Option<u64> {
        redis::from_redis_value(self.0.next()?).ok()
    }

    fn at(&mut self) -> Option<Timestamp> {
        self.number().map(Timestamp::from_millis)
    }

    fn list(&mut self, many: usize) -> Option<Vec<Bytes>> {
        (0..many).map(|_| self.bytes()).collect()
    }
}

/// Reads an answer. `None`: it is none.
pub(crate) fn read(answer: Value, names: &Names) -> Option<Told> {
    let parts: Vec<Value> = redis::from_redis_value(answer).ok()?;
    let mut parts = Parts(parts.into_iter());
    let decision = match parts.bytes()??.as_slice() {
        b"late" => return Some(Told::Late(parts.at()?)),
        b"applied" => Decision::Applied,
        b"without alerts" => Decision::WithoutAlerts,
        b"refused" => Decision::Refused,
        b"full" => Decision::Full,
        _ => return None,
    };
    let clock = parts.at()?;
    let version = parts.number()?;
    let origin = Origin {
        epoch: Epoch(parts.bytes()??.try_into().ok()?),
        made: parts.at()?,
        accepted: parts.number()? == 1,
        moved: parts.at().filter(|moved| *moved > Timestamp::ZERO),
        clock,
    };
    Some(Told::Decided(Box::new(Decided {
        decision,
        version,
        origin,
        marks: parts.bytes()??,
        raised: usize::try_from(parts.number()?).ok()?,
        settled: parts.number()? == 1,
        counters: (0..names.counters.len())
            .map(|_| Some((parts.bytes()?, parts.bytes()?)))
            .collect::<Option<_>>()?,
        records: parts.list(names.records.len())?,
        claims: parts.list(names.claims.len())?,
    })))
}

impl Decided {
    /// What it answers. The core decides on what was found, and has the last word: where the script is of another mind, that is told
    /// and answered as a fault.
    pub(crate) fn answer(self, changeset: &Changeset, names: &Names, trusts: bool) -> StoreAnswer {
        let evaluated = catch_unwind(AssertUnwindSafe(|| self.evaluated(changeset, names)));
        let evaluation = match evaluated {
            Ok(Ok(evaluation)) => evaluation,
            Ok(Err(fault)) => return self.differs(fault),
            Err(_) => return self.differs(StoreFault::defect("a decision panicked")),
        };
        if !trusts && let Some(what) = self.difference(&evaluation, names) {
            let words = format!("the server's script and the core's function differ: {what}");
            return self.differs(StoreFault::defect(&words));
        }
        match self.decision {
            Decision::Applied | Decision::WithoutAlerts => StoreAnswer::Applied(evaluation.seen),
            Decision::Refused => StoreAnswer::Refused(evaluation.seen),
            Decision::Full => StoreAnswer::NotApplied(StoreFault::full(
                "no room for another entry, or the outbox is full",
            )),
        }
    }

    /// The core's decision on the same.
    fn evaluated(&self, changeset: &Changeset, names: &Names) -> Result<Evaluation, StoreFault> {
        let mut loaded = Loaded::new(self.origin);
        for (key, (before, _)) in names.counters.iter().zip(&self.counters) {
            if let Some(bytes) = before {
                let (state, ends) = kept::read_counter(bytes)?;
                loaded.counter(*key, state, ends);
            }
        }
        for (key, bytes) in names.records.iter().zip(&self.records) {
            if let Some(bytes) = bytes {
                loaded.record(*key, kept::read_row(bytes)?);
            }
        }
        for (key, bytes) in names.claims.iter().zip(&self.claims) {
            if let Some(bytes) = bytes {
                loaded.claim(kept::read_claim(*key, bytes)?);
            }
        }
        if self.decision == Decision::WithoutAlerts {
            let without = Changeset {
                alerts: Vec::new(),
                ..changeset.clone()
            };
            return Ok(loaded.evaluate(&without, self.version));
        }
        Ok(loaded.evaluate(changeset, self.version))
    }

    fn wrote(&self) -> bool {
        match self.decision {
            Decision::Applied | Decision::WithoutAlerts => true,
            Decision::Refused | Decision::Full => false,
        }
    }

    /// In what the script is of another mind.
    fn difference(&self, evaluation: &Evaluation, names: &Names) -> Option<&'static str> {
        let refused = self.decision == Decision::Refused;
        if refused == evaluation.applied {
            return Some("whether it is refused");
        }
        if !self.wrote() {
            return None;
        }
        for (key, (_, after)) in names.counters.iter().zip(&self.counters) {
            let mut written = evaluation
                .counters
                .iter()
                .filter(|(written, _, _)| written == key);
            let bytes = written
                .next_back()
                .map(|(_, state, ends)| kept::counter(state, *ends));
            if bytes != *after {
                return Some("what becomes of a counter");
            }
        }
        if self.marks != marks(evaluation, names) {
            return Some("what is written");
        }
        (self.raised != evaluation.alerts.len()).then_some("which alerts are raised")
    }

    /// Tells of it. What was written may not stand as it should, and nobody may take it for undone.
    fn differs(&self, fault: StoreFault) -> StoreAnswer {
        let words = fault.detail().message();
        tracing::error!(target: "verify::store", words, written = self.wrote(), "the server decided something else than the core");
        telemetry::differed(self.wrote());
        match self.wrote() {
            true => StoreAnswer::Unknown(Detail::new(None, words)),
            false => StoreAnswer::NotApplied(fault),
        }
    }
}

/// What the core would have had written.
fn marks(evaluation: &Evaluation, names: &Names) -> Vec<u8> {
    let mark = |is_put: Option<bool>| match is_put {
        None => b'-',
        Some(true) => b'p',
        Some(false) => b'd',
    };
    let record = |key: &RecordKey| {
        let mut written = evaluation.records.iter().filter(|(written, _)| written == key);
        mark(written.next_back().map(|(_, row)| row.is_some()))
    };
    let claim = |key: &ClaimKey| {
        let mut written = evaluation.claims.iter().filter(|(written, _)| written == key);
        mark(written.next_back().map(|(_, claim)| claim.is_some()))
    };
    let records = names.records.iter().map(record);
    records.chain(names.claims.iter().map(claim)).collect()
}
