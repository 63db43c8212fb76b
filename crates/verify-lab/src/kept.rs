//! What a store left in its tables: rows that must not be there, and what stands there in the clear.

/// What is the same in both: each fault, and where it is looked for. The second byte of a record's kept form says whether it is
/// durable.
const FAULTS: &[(&str, &str)] = &[
    (
        "a record that has one of its two ends",
        "{s}.record WHERE (ends IS NULL) <> (gone IS NULL)",
    ),
    (
        "a durable record with an end, or a transient one without",
        "{s}.record WHERE (ends IS NULL) <> ({durable})",
    ),
    (
        "a record that is dropped before its end",
        "{s}.record WHERE gone * 60000 < ends",
    ),
    ("a counter without an end", "{s}.counter WHERE gone <= 0"),
    ("a claim without an end", "{s}.claim WHERE gone <= 0"),
    ("a counter of no lane", "{s}.counter WHERE {of_no_lane}"),
    ("a claim of no lane", "{s}.claim WHERE {of_no_lane}"),
    ("a record of no lane", "{s}.record WHERE {of_no_lane}"),
    ("an event of no lane", "{s}.event WHERE {of_no_lane}"),
    (
        "an event at a place that its lane has not given",
        "{s}.event WHERE event.seq > (SELECT lane.seq FROM {s}.lane WHERE lane.id = event.lane)",
    ),
    (
        "a lane that counts other events than it has",
        "{s}.lane WHERE events <> (SELECT count(*) FROM {s}.event WHERE event.lane = lane.id)",
    ),
    (
        "a lane that counts other bytes than its events have",
        "{s}.lane WHERE bytes <> (SELECT coalesce(sum(length(value)), 0) FROM {s}.event WHERE event.lane = lane.id)",
    ),
];

/// How each of these comes to be, in a store with a counter, a durable record, a transient one and an event: statements, and the fault.
pub const SPOILS: &[(&str, &str)] = &[
    ("UPDATE record SET gone = NULL", "one of its two ends"),
    (
        "UPDATE record SET ends = NULL, gone = NULL",
        "a transient one without",
    ),
    (
        "UPDATE record SET ends = 0, gone = 0 WHERE ends IS NULL",
        "a durable record with an end",
    ),
    (
        "UPDATE record SET gone = 1 WHERE ends IS NOT NULL",
        "dropped before its end",
    ),
    ("UPDATE counter SET gone = 0", "a counter without an end"),
    (
        "INSERT INTO claim SELECT lane, key, value, 0 FROM counter",
        "a claim without an end",
    ),
    ("UPDATE counter SET lane = 99", "a counter of no lane"),
    (
        "INSERT INTO claim SELECT 99, key, value, 1 FROM counter",
        "a claim of no lane",
    ),
    ("UPDATE record SET lane = 99", "a record of no lane"),
    ("UPDATE event SET lane = 99", "an event of no lane"),
    (
        "UPDATE event SET seq = seq + 99",
        "a place that its lane has not given",
    ),
    ("DELETE FROM event", "other events than it has"),
    (
        "UPDATE lane SET bytes = bytes + 1",
        "other bytes than its events have",
    ),
];

const OF_POSTGRES: &[(&str, &str)] = &[
    ("a batch of no lane", "{s}.batch WHERE {of_no_lane}"),
    (
        "a lane that holds other bytes than it says",
        "{s}.lane WHERE held <> (SELECT coalesce(sum(length(key) + length(value)), 0) FROM (
           SELECT lane, key, value FROM {s}.counter UNION ALL SELECT lane, key, value FROM {s}.record
           UNION ALL SELECT lane, key, value FROM {s}.claim) rows WHERE rows.lane = lane.id)",
    ),
];

const OF_SQLITE: &[(&str, &str)] = &[(
    "a file that SQLite finds broken",
    "pragma_integrity_check WHERE integrity_check <> 'ok'",
)];

/// A query of what is wrong in a file of the store in SQLite: one value, null where nothing is.
pub fn faults_in_sqlite() -> String {
    let durable = "instr('13579BDF', substr(hex(value), 4, 1)) > 0";
    let faults = faults("main", durable, OF_SQLITE);
    format!("SELECT group_concat(fault, ', ') FROM ({faults})")
}

/// A query of what is wrong in a schema of the store in Postgres: one value, null where nothing is.
pub fn faults_in_postgres(schema: &str) -> String {
    let faults = faults(schema, "get_byte(value, 1) & 1 = 1", OF_POSTGRES);
    format!("SELECT string_agg(fault, ', ') FROM ({faults}) faults")
}

fn faults(schema: &str, durable: &str, more: &[(&str, &str)]) -> String {
    let of_no_lane = "lane NOT IN (SELECT id FROM {s}.lane)";
    let looked = FAULTS.iter().chain(more).map(|(fault, place)| {
        let place = place
            .replace("{durable}", durable)
            .replace("{of_no_lane}", of_no_lane);
        format!(
            "SELECT '{fault}' AS fault WHERE EXISTS (SELECT 1 FROM {})",
            place.replace("{s}", schema)
        )
    });
    looked.collect::<Vec<_>>().join(" UNION ALL ")
}

/// Which of these stand somewhere in the bytes, in whichever case.
pub fn in_the_clear<'a>(bytes: &[u8], planted: &[&'a str]) -> Vec<&'a str> {
    let stands = |text: &&&str| {
        let mut places = bytes.windows(text.len());
        places.any(|place| place.eq_ignore_ascii_case(text.as_bytes()))
    };
    planted.iter().filter(stands).copied().collect()
}
