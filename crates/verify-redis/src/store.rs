//! The store itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::Value;
use tokio::time::{Instant, timeout_at};
use verify_batch::{Away, Figures, OnFailover};
use verify_core::event::Event;
use verify_core::ids::HolderId;
use verify_core::port::Detail;
use verify_core::store::{
    Changeset, EventSeq, Names, Origin, RecordKey, Store, StoreAnswer, StoreFault, Work, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::answer::{self, Told};
use crate::connect::Line;
use crate::epoch;
use crate::errors::{Failed, OpenError};
use crate::keys::Keys;
use crate::nodes::{Answered, Nodes, Times};
use crate::options::{RedisOptions, checked_prefix};
use crate::plan::{Plan, Terms};
use crate::room::{self, Looks};
use crate::script::{By, DECIDE, EPOCH, INTRODUCE, Script};
use crate::services::{Service, Services};

/// A store in Redis or Valkey. Clones are the same store.
///
/// - *Exact over any number of processes*: the server decides, one changeset after the other.
/// - *Durable* as the server is: `appendfsync`, and [`RedisOptions::wait_replicas`] where a replica may take over.
/// - *Bounded* by the server's `maxmemory`; strangers are refused from nine tenths on.
/// - *Its clock* is the server's.
#[derive(Clone)]
pub struct RedisStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: RedisOptions,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) store: Keys,
    pub(crate) services: Services,
    decide: Script,
    looks: Looks,
    /// The name of the next epoch that begins here.
    next_epoch: Mutex<[u8; 16]>,
    /// The store's epoch, as it was seen last.
    origin: Mutex<Origin>,
}

impl RedisStore {
    /// Connects, and looks whether the servers can be the store.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub async fn open(options: RedisOptions) -> Result<Self, OpenError> {
        checked_prefix(&options.prefix)?;
        let nodes = Arc::new(Nodes::of(&options)?);
        let until = Instant::now() + options.connect + options.command;
        let unusable = |failed: Failed| OpenError::of(failed.into(), &options);
        for line in nodes.all(until).await.map_err(unusable)? {
            room::check(&line).await?;
        }
        let decide = DECIDE.clone();
        #[cfg(verify_broken)]
        let decide = options.flaw.map_or(decide, crate::broken::Flaw::script);
        #[cfg(verify_broken)]
        let decide = if options.watched {
            crate::broken::watched(&decide)
        } else {
            decide
        };
        let inner = Inner {
            nodes,
            store: Keys::of_store(&options.prefix),
            services: Services::new(&options.prefix),
            decide,
            looks: Looks::default(),
            next_epoch: Mutex::new(epoch::name()?),
            origin: Mutex::default(),
            options,
        };
        // A store without an epoch is new to whoever never knew another.
        let is_new = inner.options.remembered.is_none();
        let introduced = inner.introduce(None, is_new, until).await;
        introduced.map_err(|failed| OpenError::of(failed.into(), &inner.options))?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Ends the wait that a store which lost data imposes: whatever may have been lost, this is what there is.
    ///
    /// # Errors
    /// It cannot be written down everywhere.
    pub async fn accept(&self) -> Result<(), StoreFault> {
        self.every_epoch(&[]).await
    }

    /// Begins another epoch, as after a restore of an older copy: nobody has accepted it yet.
    ///
    /// # Errors
    /// It cannot be written down everywhere.
    pub async fn begin_epoch(&self) -> Result<Origin, StoreFault> {
        self.every_epoch(&epoch::name()?).await?;
        self.health().await
    }

    async fn every_epoch(&self, name: &[u8]) -> Result<(), StoreFault> {
        let inner = &self.inner;
        let mut keys = vec![inner.store.clone()];
        for service in inner.listed().await? {
            keys.push(inner.services.of(&service).keys.clone());
        }
        for (nth, of) in keys.iter().enumerate() {
            let [origin, ..] = of.store();
            let key = if nth == 0 { origin } else { of.lane() };
            inner.run(of.slot, &EPOCH, &[key], &[name]).await?;
        }
        Ok(())
    }

    /// The part of `maxmemory` that is used, 0 to 1, of the fullest server; 0 where nothing bounds it.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn room_used(&self) -> Result<f64, StoreFault> {
        let mut fullest = 0.0_f64;
        for line in self.inner.nodes.all(self.inner.until()).await? {
            fullest = fullest.max(room::memory(&line).await?.part());
        }
        Ok(fullest)
    }
}

impl RedisStore {
    /// What it holds, and how far behind it is with what it has to do. An answer in no command's way.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn figures(&self) -> Result<Figures, StoreFault> {
        let inner = &self.inner;
        let mut held = 0;
        for line in inner.nodes.all(inner.until()).await? {
            held += room::memory(&line).await?.used;
        }
        Ok(Figures {
            held: Some(held),
            outboxes: inner.outboxes().await?,
            ..Figures::default()
        })
    }
}

impl Inner {
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.options.command
    }

    /// Runs a script of the server that has these keys.
    pub(crate) async fn run(
        &self,
        slot: u16,
        script: &Script,
        keys: &[Vec<u8>],
        args: &[&[u8]],
    ) -> Result<Value, StoreFault> {
        let command = |_: &Line, by: By| script.command(by, keys, args);
        let answered = self.nodes.ask(slot, &command, Times::until(self.until())).await?;
        Ok(answered.value)
    }

    /// The store's epoch; a service that is named is in the list of services afterwards.
    pub(crate) async fn introduce(
        &self,
        named: Option<&ServiceId>,
        accepts: bool,
        until: Instant,
    ) -> Result<Origin, Failed> {
        let epoch = *self.next_epoch.lock();
        let flag = |is: bool| if is { b"1" } else { b"0" };
        let cools = self.options.on_failover == OnFailover::Cool;
        let name = named.map_or("", ServiceId::as_str);
        let keys = self.store.store();
        let command = |line: &Line, by: By| {
            let args = [
                name.as_bytes(),
                &epoch,
                flag(accepts),
                line.role.server.as_bytes(),
                flag(cools),
            ];
            INTRODUCE.command(by, &keys, &args)
        };
        let Answered { line, value, .. } = self
            .nodes
            .ask(self.store.slot, &command, Times::until(until))
            .await?;
        let (origin, has_lane) = epoch::read(value).map_err(Failed::NotApplied)?;
        line.saw_clock(origin.clock);
        if origin.epoch.0 == epoch {
            self.draw_epoch(epoch)?;
        }
        if let Some(service) = named.map(|named| self.services.of(named)) {
            service.has_lane.fetch_or(has_lane, Ordering::AcqRel);
            service.is_listed.store(true, Ordering::Release);
        }
        let before = std::mem::replace(&mut *self.origin.lock(), origin);
        if before.epoch != origin.epoch && before != Origin::default() {
            // The list went with it: those that are known here are in it again before anybody asks who there is.
            for service in self.services.unlist() {
                Box::pin(self.introduce(Some(&service), false, until)).await?;
            }
        }
        Ok(origin)
    }

    /// Draws the name of the next epoch, once.
    fn draw_epoch(&self, used: [u8; 16]) -> Result<(), Failed> {
        let next = epoch::name().map_err(Failed::NotApplied)?;
        let mut name = self.next_epoch.lock();
        if *name == used {
            *name = next;
        }
        Ok(())
    }

    /// Decides a changeset in the server.
    async fn decide(
        &self,
        changeset: &Changeset,
        service: &Service,
        times: Times,
    ) -> Result<StoreAnswer, Failed> {
        if !service.is_listed.load(Ordering::Acquire) {
            let listed = self
                .introduce(Some(&changeset.service), false, times.begin_by)
                .await;
            listed.map_err(Failed::before_anything)?;
        }
        let plan = Plan::of(changeset, &service.keys);
        let had_lane = service.has_lane.load(Ordering::Acquire);
        let (store, next) = (*self.origin.lock(), *self.next_epoch.lock());
        let fill = self
            .fill(service, times.begin_by)
            .await
            .map_err(Failed::before_anything)?;
        let command = |line: &Line, by: By| {
            let terms = Terms {
                not_after: line.not_after(times.begin_by.saturating_duration_since(Instant::now())),
                margin: self.options.margin,
                // One that had something and has no epoch lost it. One that is new has the store's.
                epoch: if had_lane { next } else { store.epoch.0 },
                made: if had_lane { Timestamp::ZERO } else { store.made },
                accepts: !had_lane && store.accepted,
                fill,
                outbox_events: self.options.limits.outbox_events,
                outbox_bytes: self.options.limits.outbox_bytes,
                server: &line.role.server,
                cools: self.options.on_failover == OnFailover::Cool,
                touches: times.wait > 0,
            };
            let head = plan.head(&terms);
            self.decide.command(by, &plan.keys, &plan.args(&head, &terms))
        };
        let answered = self.nodes.ask(service.keys.slot, &command, times).await?;
        let is_replicated = answered.is_replicated;
        let answer = self.read(changeset, service, &plan.names, answered)?;
        self.mark(&changeset.service, service).await;
        Ok(match is_replicated {
            true => answer,
            false => not_replicated(answer),
        })
    }

    fn read(
        &self,
        changeset: &Changeset,
        service: &Service,
        names: &Names,
        answered: Answered,
    ) -> Result<StoreAnswer, Failed> {
        let Answered { line, value, .. } = answered;
        let Some(told) = answer::read(value, names) else {
            return Err(Failed::unknown("the server's answer is none"));
        };
        let decided = match told {
            Told::Late(clock) => {
                line.saw_clock(clock);
                return Ok(Away::Late.answer());
            }
            Told::Decided(decided) => decided,
        };
        line.saw_clock(decided.origin.clock);
        if decided.settled {
            self.draw_epoch(decided.origin.epoch.0)?;
        }
        service.has_lane.store(true, Ordering::Release);
        Ok(decided.answer(changeset, names, self.trusts()))
    }

    /// Writes down that something of a service was kept, once: whoever finds nothing later knows that it was lost.
    async fn mark(&self, id: &ServiceId, service: &Service) {
        if service.has_lane.load(Ordering::Acquire) && !service.is_marked.swap(true, Ordering::AcqRel) {
            let [_, _, marked, _] = self.store.store();
            let mut command = redis::cmd("SADD");
            command.arg(marked).arg(id.as_str());
            if self.query::<u64>(self.store.slot, command).await.is_err() {
                service.is_marked.store(false, Ordering::Release);
            }
        }
    }

    /// How full the server is that has a service, as the script is told; looked at now and then.
    async fn fill(&self, service: &Service, until: Instant) -> Result<u8, Failed> {
        let line = self.nodes.line_of(service.keys.slot, until).await?;
        let (fill, is_old) = self.looks.last(&line.role.server, self.options.room_looked_at);
        if !is_old {
            return Ok(fill);
        }
        self.looks.saw(&line.role.server, fill);
        // Where it does not say, it refuses by itself what it has no room for.
        match timeout_at(until, room::memory(&line)).await {
            Ok(Ok(memory)) => {
                let fill = memory.fill(fill);
                self.looks.saw(&line.role.server, fill);
                Ok(fill)
            }
            Ok(Err(_)) | Err(_) => Ok(fill),
        }
    }

    #[cfg(verify_broken)]
    fn trusts(&self) -> bool {
        self.options.flaw == Some(crate::broken::Flaw::Trusts)
    }

    #[cfg(not(verify_broken))]
    #[allow(clippy::unused_self, reason = "the same call as of a broken one")]
    fn trusts(&self) -> bool {
        false
    }
}

/// Nobody may go by what a server said that may still be lost.
fn not_replicated(answer: StoreAnswer) -> StoreAnswer {
    let words = "too few replicas have it";
    match answer {
        StoreAnswer::Applied(_) => StoreAnswer::Unknown(Detail::new(None, words)),
        StoreAnswer::Refused(_) => StoreAnswer::NotApplied(StoreFault::unavailable(words)),
        other @ (StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_)) => other,
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn apply(&self, changeset: &Changeset, within: Duration) -> StoreAnswer {
        let inner = &self.inner;
        let service = inner.services.of(&changeset.service);
        let Some(_place) = inner
            .services
            .place(&service, changeset.room, &inner.options.limits)
        else {
            return Away::Full.answer();
        };
        let end_by = inner.until();
        let times = Times {
            begin_by: end_by.min(Instant::now() + within.min(inner.options.command)),
            end_by,
            wait: inner.options.wait_replicas,
        };
        match inner.decide(changeset, &service, times).await {
            Ok(answer) => answer,
            Err(Failed::NotApplied(fault) | Failed::Unreached(fault)) => StoreAnswer::NotApplied(fault),
            Err(Failed::Unknown(words) | Failed::RanOut(words)) => StoreAnswer::Unknown(words),
        }
    }

    async fn services<'a>(
        &self,
        now: Timestamp,
        after: Option<&'a ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault> {
        self.inner.services_with_work(now, after, most).await
    }

    async fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault> {
        self.inner.due(service, now, most).await
    }

    async fn put_off(
        &self,
        service: &ServiceId,
        record: &RecordKey,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        self.inner.put_off(service, record, now).await
    }

    async fn outbox(&self, service: &ServiceId, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        self.inner.outbox(service, most).await
    }

    async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault> {
        self.inner.acknowledge(service, through).await
    }

    async fn lease(
        &self,
        work: Work,
        service: &ServiceId,
        holder: HolderId,
        span: Duration,
    ) -> Result<bool, StoreFault> {
        self.inner.lease(work, service, holder, span).await
    }

    /// Nothing is left to do: keys end by themselves, and what pointed at them is dropped when it is due.
    async fn drop_outlived(&self, _: &ServiceId, _: Timestamp, _: usize) -> Result<usize, StoreFault> {
        Ok(0)
    }

    async fn durable(&self) -> Result<Vec<(WrittenUnder, u64)>, StoreFault> {
        self.inner.durable().await
    }

    async fn durable_under<'a>(
        &self,
        under: WrittenUnder,
        after: Option<&'a (ServiceId, RecordKey)>,
        most: usize,
    ) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        self.inner.durable_under(under, after, most).await
    }

    /// Where nobody decides anything, this sees whether another server took over.
    async fn health(&self) -> Result<Origin, StoreFault> {
        Ok(self.inner.introduce(None, false, self.inner.until()).await?)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}
