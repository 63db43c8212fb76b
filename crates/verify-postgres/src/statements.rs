//! The statements, with the schema in them: nothing of a session decides which tables are meant.

use verify_core::store::RecordKind;

/// Milliseconds of the server's clock.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// The minute in which a statement began: by one that moves while it runs no index can be asked.
const MINUTE: &str = "extract(epoch FROM statement_timestamp())::bigint / 60";

/// By what a server is known: its identifier, which a restored dump does not bring along, and its timeline.
#[derive(Debug)]
pub(crate) struct Server {
    system: &'static str,
    timeline: &'static str,
}

impl Server {
    /// As it says itself. `pg_control_checkpoint` would know of a new timeline only some time after it began.
    pub(crate) const TOLD: Self = Self {
        system: "(SELECT system_identifier FROM pg_control_system())",
        timeline: "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint",
    };
    /// It does not say: whatever was seen last.
    pub(crate) const UNTOLD: Self = Self {
        system: "system",
        timeline: "timeline",
    };

    /// What asks it.
    pub(crate) fn asked(&self) -> String {
        format!("SELECT {}, {}", self.system, self.timeline)
    }
}

/// That a key is of a kind that this program knows, in the words of a statement: a later program's are left to it. They fill no page,
/// or nobody would look behind them.
fn is_known() -> String {
    let kinds = RecordKind::ALL
        .iter()
        .map(|kind| format!("decode('{:02x}', 'hex')", kind.tag()));
    format!("substr(key, 1, 1) IN ({})", kinds.collect::<Vec<_>>().join(", "))
}

/// A service's lane, in the words of a statement.
const LANE: &str = "(SELECT id FROM {s}.lane WHERE service = $1)";

macro_rules! statements {
    ($($(#[doc = $help:literal])* $name:ident = $sql:expr;)+) => {
        /// Every statement.
        #[derive(Debug)]
        pub(crate) struct Statements { $($(#[doc = $help])* pub(crate) $name: String,)+ }

        impl Statements {
            /// On the tables of a schema, on a server.
            pub(crate) fn on(schema: &str, server: &Server) -> Self {
                let on = |sql: &str| {
                    let here = format!("({}, {})", server.system, server.timeline);
                    let sql = sql.replace("{here}", &here).replace("{now}", NOW).replace("{minute}", MINUTE).replace("{known}", &is_known());
                    sql.replace("{lane}", LANE).replace("{s}", schema)
                };
                Self { $($name: on($sql),)+ }
            }
        }
    };
}

impl Statements {
    /// What is kept prepared where that can be.
    pub(crate) fn of_every_batch(&self) -> [&String; 7] {
        [
            &self.lock,
            &self.origin,
            &self.named,
            &self.put,
            &self.drop_records,
            &self.drop_claims,
            &self.drop_outlived,
        ]
    }
}

statements! {
    lock = "SELECT id, version, seq, events, bytes FROM {s}.lane WHERE service = $1 FOR UPDATE";
    make_lane = "INSERT INTO {s}.lane (service) VALUES ($1) ON CONFLICT DO NOTHING";
    origin = "SELECT epoch, made, accepted, {now}, moved, (system, timeline) IS NOT DISTINCT FROM {here} FROM {s}.meta";
    /// The same of whatever schema.
    origin_of_any = "SELECT epoch, made, accepted, {now}, NULL::bigint, true FROM {s}.meta";
    /// The server that holds it now, once: whoever comes second finds what the first wrote. One that took over begins an epoch
    /// that nobody accepted, where that is asked for.
    held_here = "UPDATE {s}.meta SET (system, timeline) = {here},
         moved = CASE WHEN system IS NULL THEN moved ELSE {now} END,
         epoch = CASE WHEN $1 AND system IS NOT NULL THEN uuid_send(gen_random_uuid()) ELSE epoch END,
         made = CASE WHEN $1 AND system IS NOT NULL THEN {now} ELSE made END,
         accepted = accepted AND (system IS NULL OR NOT $1)
         WHERE (system, timeline) IS DISTINCT FROM {here}";
    /// A first epoch, once: whoever comes second finds the first's.
    first_epoch = "UPDATE {s}.meta SET epoch = uuid_send(gen_random_uuid()), made = {now}, accepted = $1 WHERE epoch IS NULL";
    begin_epoch = "UPDATE {s}.meta SET epoch = uuid_send(gen_random_uuid()), made = {now}, accepted = false";
    accept = "UPDATE {s}.meta SET accepted = true";
    /// All that is there of what a batch names, each with its kind: an answer costs more than a look. Key by key: asked for a list
    /// of keys the server may read all of the lane instead, which looks as good to it as long as it has not counted its rows.
    named = "SELECT 0::smallint, row.* FROM unnest($2::bytea[]) k CROSS JOIN LATERAL (SELECT key, value FROM {s}.counter WHERE lane = {lane} AND key = k LIMIT 1) row
         UNION ALL SELECT 1::smallint, row.* FROM unnest($3::bytea[]) k CROSS JOIN LATERAL (SELECT key, value FROM {s}.record WHERE lane = {lane} AND key = k LIMIT 1) row
         UNION ALL SELECT 2::smallint, row.* FROM unnest($4::bytea[]) k CROSS JOIN LATERAL (SELECT key, value FROM {s}.claim WHERE lane = {lane} AND key = k LIMIT 1) row";
    /// All that a batch puts, and its number. The last statement before the commit lets that take as long as it takes: its wait for
    /// the server's copy is not to be broken off, which would be a success.
    put = "WITH counters AS (
           INSERT INTO {s}.counter SELECT $1::bigint, k.* FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) k
           ON CONFLICT (lane, key) DO UPDATE SET value = excluded.value, gone = excluded.gone
         ), claims AS (
           INSERT INTO {s}.claim SELECT $1::bigint, k.* FROM unnest($5::bytea[], $6::bytea[], $7::bigint[]) k
           ON CONFLICT (lane, key) DO UPDATE SET value = excluded.value, gone = excluded.gone
         ), records AS (
           INSERT INTO {s}.record (lane, key, value, ends, gone, due, fingerprint, seal)
           SELECT $1::bigint, k.* FROM unnest($8::bytea[], $9::bytea[], $10::bigint[], $11::bigint[], $12::bigint[], $13::smallint[], $14::smallint[]) k
           ON CONFLICT (lane, key) DO UPDATE SET value = excluded.value, ends = excluded.ends, gone = excluded.gone, due = excluded.due,
             put_off = 0, fingerprint = excluded.fingerprint, seal = excluded.seal
         ), events AS (
           INSERT INTO {s}.event SELECT $1::bigint, k.* FROM unnest($15::bigint[], $16::bytea[]) k
         ), lane AS (
           UPDATE {s}.lane SET version = $17, seq = $18, events = $19, bytes = $20, held = held + $21 WHERE id = $1
         )
         INSERT INTO {s}.batch VALUES ($22, $1, $23, $24)
         ON CONFLICT (lane, process) DO UPDATE SET number = excluded.number, at = excluded.at
         RETURNING CASE WHEN $25 THEN set_config('statement_timeout', '0', true) END";
    drop_records = "DELETE FROM {s}.record WHERE ctid = ANY (ARRAY(
           SELECT row.ctid FROM unnest($2::bytea[]) k CROSS JOIN LATERAL (SELECT ctid FROM {s}.record WHERE lane = $1 AND key = k LIMIT 1) row))";
    drop_claims = "DELETE FROM {s}.claim WHERE ctid = ANY (ARRAY(
           SELECT row.ctid FROM unnest($2::bytea[]) k CROSS JOIN LATERAL (SELECT ctid FROM {s}.claim WHERE lane = $1 AND key = k LIMIT 1) row))";
    /// Written, so that its commit waits for whatever was committed before.
    number = "UPDATE {s}.batch SET at = at WHERE lane = {lane} AND process = $2 RETURNING number, set_config('statement_timeout', '0', true)";
    held = "SELECT coalesce(sum(held + bytes), 0)::bigint FROM {s}.lane";
    /// Bytes that are held, bytes on the disk, and the first minute from which a row could have been dropped, if that is over.
    figures = "SELECT (SELECT coalesce(sum(held + bytes), 0) FROM {s}.lane)::bigint,
           (SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE relnamespace = '{s}'::regnamespace AND relkind = 'r')::bigint,
           (SELECT min(least((SELECT min(gone) FROM {s}.counter WHERE counter.lane = lane.id AND gone <= {minute}),
               (SELECT min(gone) FROM {s}.claim WHERE claim.lane = lane.id AND gone <= {minute}),
               (SELECT min(gone) FROM {s}.record WHERE record.lane = lane.id AND gone <= {minute}))) FROM {s}.lane)";
    outboxes = "SELECT service, events, bytes, (SELECT value FROM {s}.event WHERE event.lane = lane.id ORDER BY seq LIMIT 1)
         FROM {s}.lane WHERE events > 0 ORDER BY bytes DESC LIMIT $1";
    /// Of a lane that is locked: whoever writes waits for it, and nobody for a row. It may be the last one before a commit, as above.
    drop_outlived = "WITH counters AS (
           DELETE FROM {s}.counter
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM {s}.counter WHERE lane = $1 AND gone <= $2 ORDER BY gone LIMIT $3))
           RETURNING length(key) + length(value) AS n
         ), claims AS (
           DELETE FROM {s}.claim
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM {s}.claim WHERE lane = $1 AND gone <= $2 ORDER BY gone LIMIT $3))
           RETURNING length(key) + length(value) AS n
         ), records AS (
           DELETE FROM {s}.record
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM {s}.record WHERE lane = $1 AND gone <= $2 ORDER BY gone LIMIT $3))
           RETURNING length(key) + length(value) AS n
         ),
         dropped AS (SELECT n FROM counters UNION ALL SELECT n FROM claims UNION ALL SELECT n FROM records),
         less AS (UPDATE {s}.lane SET held = held - (SELECT coalesce(sum(n), 0) FROM dropped) WHERE id = $1)
         SELECT count(*), CASE WHEN $4 THEN set_config('statement_timeout', '0', true) END FROM dropped";
    drop_processes = "DELETE FROM {s}.batch WHERE at < $1";
    services = "SELECT service FROM {s}.lane WHERE service COLLATE \"C\" > $2 AND (events > 0 OR EXISTS (
           SELECT 1 FROM {s}.record WHERE record.lane = lane.id AND due <= $1 AND (ends IS NULL OR ends > $1)))
         ORDER BY service COLLATE \"C\" LIMIT $3";
    due = "SELECT key FROM {s}.record WHERE lane = {lane} AND due <= $2 AND (ends IS NULL OR ends > $2) AND {known} ORDER BY due, key LIMIT $3";
    find_due = "SELECT put_off FROM {s}.record WHERE lane = {lane} AND key = $2 AND due <= $3 AND (ends IS NULL OR ends > $3)";
    /// Under the lane's lock: whoever drops the record meanwhile does so by its place, which this changes. Written meanwhile by
    /// somebody who settled it: then its count begins anew, and this says nothing of it.
    put_off = "WITH l AS (SELECT id FROM {s}.lane WHERE service = $1 FOR UPDATE)
         UPDATE {s}.record SET due = $4, put_off = put_off + 1 FROM l WHERE lane = l.id AND key = $2 AND due <= $3 AND put_off = $5";
    durable = "SELECT fingerprint, seal, count(*) FROM {s}.record WHERE ends IS NULL AND seal IS NOT NULL GROUP BY fingerprint, seal ORDER BY fingerprint, seal";
    durable_under = "SELECT service, key FROM {s}.record JOIN {s}.lane ON lane.id = record.lane
         WHERE ends IS NULL AND seal IS NOT NULL AND fingerprint = $3 AND seal = $4 AND (record.lane, key) > (coalesce({lane}, 0), $2) AND {known}
         ORDER BY record.lane, key LIMIT $5";
    outbox = "SELECT seq, value FROM {s}.event WHERE lane = {lane} ORDER BY seq LIMIT $2";
    acknowledge = "WITH gone AS (DELETE FROM {s}.event WHERE lane = {lane} AND seq <= $2 RETURNING length(value) AS n)
         UPDATE {s}.lane SET events = events - (SELECT count(*) FROM gone), bytes = bytes - (SELECT coalesce(sum(n), 0) FROM gone) WHERE service = $1 AND EXISTS (SELECT 1 FROM gone)";
    lanes = "SELECT service, version, seq, events, bytes FROM {s}.lane ORDER BY service COLLATE \"C\"";
    page_of_counters = "SELECT key, value FROM {s}.counter WHERE lane = {lane} AND key > $2 ORDER BY key LIMIT $3";
    page_of_records = "SELECT key, value FROM {s}.record WHERE lane = {lane} AND key > $2 ORDER BY key LIMIT $3";
    page_of_claims = "SELECT key, value FROM {s}.claim WHERE lane = {lane} AND key > $2 ORDER BY key LIMIT $3";
    page_of_events = "SELECT seq, value FROM {s}.event WHERE lane = {lane} AND seq > $2 ORDER BY seq LIMIT $3";
    copy_lane = "INSERT INTO {s}.lane (service, version, seq, events, bytes) VALUES ($1, $2, $3, $4, $5)";
    copy_counters = "INSERT INTO {s}.counter SELECT {lane}, k.* FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) k";
    copy_claims = "INSERT INTO {s}.claim SELECT {lane}, k.* FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) k";
    copy_records = "INSERT INTO {s}.record (lane, key, value, ends, gone, due, fingerprint, seal) SELECT {lane}, k.* FROM unnest($2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::smallint[], $8::smallint[]) k";
    copy_events = "INSERT INTO {s}.event SELECT {lane}, k.* FROM unnest($2::bigint[], $3::bytea[]) k";
    copy_epoch = "UPDATE {s}.meta SET epoch = $1, made = $2, accepted = $3";
    copy_held = "UPDATE {s}.lane SET held = (SELECT coalesce(sum(length(key) + length(value)), 0) FROM (
           SELECT lane, key, value FROM {s}.counter UNION ALL SELECT lane, key, value FROM {s}.record UNION ALL SELECT lane, key, value FROM {s}.claim
         ) rows WHERE rows.lane = lane.id)";
    lease = "INSERT INTO {s}.lease VALUES ($1, $2, $3, {now} + $4)
         ON CONFLICT (work, service) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE lease.holder = excluded.holder OR lease.until <= {now}";
}
