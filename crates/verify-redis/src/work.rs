//! What is done for services besides commands.

use std::time::Duration;

use futures_util::future::try_join_all;
use redis::Value;
use verify_batch::{OUTBOXES_NAMED, Outbox};
use verify_core::event::Event;
use verify_core::ids::HolderId;
use verify_core::store::{EventSeq, RecordKey, StoreFault, Work, kept, put_off_for};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::connect::Line;
use crate::nodes::Times;
use crate::script::{ACKNOWLEDGE, By, DUE, LEASE, PUT_OFF};
use crate::store::Inner;

/// Services that are asked at a time, names of records, and events.
const PAGE: usize = 256;
/// So often a record is put off for longer each time.
const LONGER: u32 = 8;

impl Inner {
    /// Asks the server that has these keys.
    pub(crate) async fn query<A: redis::FromRedisValue>(
        &self,
        slot: u16,
        command: redis::Cmd,
    ) -> Result<A, StoreFault> {
        let command = |_: &Line, _: By| command.clone();
        let answered = self.nodes.ask(slot, &command, Times::until(self.until())).await?;
        read(answered.value)
    }

    /// Services behind this one in the list, at most so many, in their order.
    pub(crate) async fn page_of_services(
        &self,
        after: Option<&ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault> {
        let [_, list, ..] = self.store.store();
        let mut command = redis::cmd("ZRANGEBYLEX");
        command.arg(list).arg(match after {
            Some(after) => format!("({after}"),
            None => "-".to_owned(),
        });
        command.arg("+").arg("LIMIT").arg(0).arg(most);
        let names: Vec<String> = self.query(self.store.slot, command).await?;
        let services = names.iter().map(|name| ServiceId::new(name));
        services
            .collect::<Result<_, _>>()
            .map_err(|error| StoreFault::corrupt(&error.to_string()))
    }

    /// All services.
    pub(crate) async fn listed(&self) -> Result<Vec<ServiceId>, StoreFault> {
        let mut all: Vec<ServiceId> = Vec::new();
        loop {
            let page = self.page_of_services(all.last(), PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    pub(crate) async fn services_with_work(
        &self,
        now: Timestamp,
        after: Option<&ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault> {
        // A list that was lost is filled again by those who know somebody.
        self.introduce(None, false, self.until()).await?;
        let (mut busy, mut last) = (Vec::new(), after.cloned());
        while busy.len() < most {
            let page = self.page_of_services(last.as_ref(), PAGE).await?;
            let Some(end) = page.last() else { break };
            last = Some(end.clone());
            let has_work = try_join_all(page.iter().map(|service| self.has_work(service, now))).await?;
            let some = page.into_iter().zip(has_work).filter(|(_, has_work)| *has_work);
            busy.extend(some.map(|(service, _)| service));
        }
        busy.truncate(most);
        Ok(busy)
    }

    async fn has_work(&self, service: &ServiceId, now: Timestamp) -> Result<bool, StoreFault> {
        let keys = &self.services.of(service).keys;
        let mut events = redis::cmd("XLEN");
        events.arg(keys.outbox());
        if self.query::<u64>(keys.slot, events).await? > 0 {
            return Ok(true);
        }
        Ok(!self.due(service, now, 1).await?.is_empty())
    }

    pub(crate) async fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault> {
        let keys = &self.services.of(service).keys;
        let (mut found, mut skipped) = (Vec::new(), 0);
        let at = now.as_millis().to_string();
        while found.len() < most {
            let mut command = redis::cmd("ZRANGEBYSCORE");
            command
                .arg(keys.due())
                .arg("-inf")
                .arg(&at)
                .arg("LIMIT")
                .arg(skipped)
                .arg(PAGE.min(most));
            let names: Vec<Vec<u8>> = self.query(keys.slot, command).await?;
            if names.is_empty() {
                break;
            }
            let mut of = vec![keys.due(), keys.times()];
            of.extend(names.iter().map(|name| keys.record_named(name)));
            let mut args = vec![at.as_bytes()];
            args.extend(names.iter().map(Vec::as_slice));
            // Those that are gone have left the set, so the next page begins where these are.
            let there: (Vec<Vec<u8>>, usize) = read(self.run(keys.slot, &DUE, &of, &args).await?)?;
            skipped += names.len().saturating_sub(there.1);
            // A later program may have kinds of records that this one does not know.
            found.extend(there.0.iter().filter_map(|name| RecordKey::from_bytes(name)));
        }
        found.truncate(most);
        Ok(found)
    }

    pub(crate) async fn put_off(
        &self,
        service: &ServiceId,
        record: &RecordKey,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        let keys = &self.services.of(service).keys;
        let spans = (0..LONGER).map(|times| put_off_for(times).as_millis().to_string());
        let (name, at, spans) = (
            record.to_bytes(),
            now.as_millis().to_string(),
            spans.collect::<Vec<_>>(),
        );
        let mut args = vec![name.as_slice(), at.as_bytes()];
        args.extend(spans.iter().map(String::as_bytes));
        let of = [keys.due(), keys.times(), keys.record(record)];
        self.run(keys.slot, &PUT_OFF, &of, &args).await.map(drop)
    }

    pub(crate) async fn outbox(
        &self,
        service: &ServiceId,
        most: usize,
    ) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        let keys = &self.services.of(service).keys;
        let mut command = redis::cmd("XRANGE");
        command
            .arg(keys.outbox())
            .arg("-")
            .arg("+")
            .arg("COUNT")
            .arg(limit(most));
        let events: Vec<(String, Vec<Vec<u8>>)> = self.query(keys.slot, command).await?;
        let event = |(place, fields): (String, Vec<Vec<u8>>)| {
            let place = place.split('-').next().and_then(|place| place.parse().ok());
            let broken = || StoreFault::corrupt("an event's place is not in its format");
            let bytes = fields.get(1).ok_or_else(broken)?;
            Ok((EventSeq(place.ok_or_else(broken)?), kept::read_event(bytes)?))
        };
        events.into_iter().map(event).collect()
    }

    /// The largest outboxes.
    pub(crate) async fn outboxes(&self) -> Result<Vec<Outbox>, StoreFault> {
        let mut outboxes = Vec::new();
        for page in self.listed().await?.chunks(PAGE) {
            let waiting = try_join_all(page.iter().map(|service| self.waiting_of(service))).await?;
            outboxes.extend(waiting.into_iter().flatten());
        }
        outboxes.sort_by(|one, other| other.used.total_cmp(&one.used));
        outboxes.truncate(OUTBOXES_NAMED);
        Ok(outboxes)
    }

    async fn waiting_of(&self, service: &ServiceId) -> Result<Option<Outbox>, StoreFault> {
        let keys = &self.services.of(service).keys;
        let mut command = redis::cmd("XLEN");
        command.arg(keys.outbox());
        let events: u64 = self.query(keys.slot, command).await?;
        if events == 0 {
            return Ok(None);
        }
        let mut command = redis::cmd("HGET");
        command.arg(keys.lane()).arg("bytes");
        let bytes: Option<u64> = self.query(keys.slot, command).await?;
        let first = self
            .outbox(service, 1)
            .await
            .ok()
            .and_then(|first| first.into_iter().next());
        let first = first.map(|(_, event)| kept::event(&event));
        let held = (events, bytes.unwrap_or(0));
        Ok(Some(Outbox::of(
            service.clone(),
            held,
            first.as_deref(),
            &self.options.limits,
        )))
    }

    pub(crate) async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault> {
        let keys = &self.services.of(service).keys;
        let (through, page) = (through.0.to_string(), PAGE.to_string());
        let of = [keys.lane(), keys.outbox()];
        while read(
            self.run(
                keys.slot,
                &ACKNOWLEDGE,
                &of,
                &[through.as_bytes(), page.as_bytes()],
            )
            .await?,
        )? {}
        Ok(())
    }

    pub(crate) async fn lease(
        &self,
        work: Work,
        service: &ServiceId,
        holder: HolderId,
        span: Duration,
    ) -> Result<bool, StoreFault> {
        let keys = &self.services.of(service).keys;
        let span = span
            .as_millis()
            .min(u128::from(Timestamp::MAX.as_millis()))
            .to_string();
        let args = [holder.as_bytes().as_slice(), span.as_bytes()];
        read(self.run(keys.slot, &LEASE, &[keys.lease(work)], &args).await?)
    }
}

/// A bound that the server takes.
pub(crate) fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// An answer in its form.
pub(crate) fn read<A: redis::FromRedisValue>(answer: Value) -> Result<A, StoreFault> {
    redis::from_redis_value(answer).map_err(|error| StoreFault::corrupt(&error.to_string()))
}
