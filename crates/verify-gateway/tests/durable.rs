//! The program on a file: what a restart keeps, whom it lets near, and what operators do with it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;
#[path = "support/scan.rs"]
mod scan;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use program::{Serving, another, ask, body, check, code, err, kill, out, run, send, stop};
use rusqlite::Connection;
use serde_json::json;
use verify_core::command::{Person, SendRequest};
use verify_core::keys::Keys;
use verify_core::store::Store as _;
use verify_core::vocabulary::ServiceId;
use verify_engine::{Engine, SystemClock};
use verify_sqlite::{SqliteOptions, SqliteStore};
use verify_testkit::ScriptedProvider;

/// A state directory of a test, and the keys that its gateways share.
struct Place {
    dir: PathBuf,
    keys: String,
}

impl Place {
    /// A path where there is nothing yet.
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("durable-{name}"));
        fs::remove_dir_all(&dir).ok();
        let keys = program::keys();
        Self { dir, keys }
    }

    fn dir(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    fn file(&self) -> PathBuf {
        self.dir.join("verify.db")
    }

    /// A gateway in demo mode on the file of this place.
    fn demo(&self) -> Serving {
        self.demo_on("sqlite:verify.db")
    }

    fn demo_on(&self, store: &str) -> Serving {
        let args = ["--store", store, "--state-dir", self.dir()];
        Serving::start_with(&args, &[("VERIFY_KEYS", &self.keys)], "Open http://")
    }

    /// A gateway that is no demo, told by nobody where state lives but by systemd's variable.
    fn live(&self) -> Serving {
        let directories = format!("{}:/nowhere/else", self.dir());
        program::live(&[("STATE_DIRECTORY", &directories)])
    }

    /// A command about its store.
    fn tool(&self, args: &[&str]) -> Output {
        let mut all = vec!["store", "--state-dir", self.dir()];
        all.extend_from_slice(args);
        run(&all, &[("VERIFY_KEYS", &self.keys)])
    }

    /// A line of `store check`.
    fn checked(&self, what: &str) -> String {
        let said = out(&self.tool(&["check"]));
        let line = said.lines().find(|line| line[6..].starts_with(what));
        line.unwrap_or_else(|| panic!("{what}: {said}")).to_owned()
    }
}

#[test]
fn i03_a_restart_on_a_file_forgets_nothing() {
    let place = Place::new("restart");
    let serving = place.demo();
    let (pending, guessed, used) = ("+12025550123", "+12025550124", "+12025550125");
    let right = code(&serving, pending);
    let spent = code(&serving, used);
    assert_eq!(check(&serving, used, &spent).0, 200);
    let wrong = another(&code(&serving, guessed));
    let refused = loop {
        let (status, told) = check(&serving, guessed, &wrong);
        if status != 401 {
            break (status, told["code"].clone());
        }
    };
    assert_eq!(refused.0, 429, "{refused:?}");
    // Not told beforehand: what was answered is on the disk.
    kill(serving);
    let serving = place.demo();
    let locked = check(&serving, guessed, &wrong);
    assert_eq!((locked.0, locked.1["code"].clone()), refused);
    let again = send(&serving, pending);
    assert_eq!(again.0, 200, "within the gap it is the same one: {}", again.1);
    assert_eq!(
        check(&serving, used, &spent).0,
        404,
        "i02: a code that was accepted is used up"
    );
    assert_eq!(check(&serving, pending, &right).0, 200);
    stop(serving);
    let serving = place.demo();
    assert_eq!(check(&serving, pending, &right).0, 404);
    stop(serving);
    scan::file(&place.file());
}

#[test]
fn i05_two_processes_on_one_file_are_one_while_one_takes_over() {
    let place = Place::new("overlap");
    let (old, new) = (place.demo(), place.demo());
    for n in 0..5 {
        let to = format!("+1202555013{n}");
        let right = code(&old, &to);
        let approved = std::thread::scope(|scope| {
            let checks = [&old, &new, &old, &new].map(|serving| {
                let (to, right) = (to.as_str(), right.as_str());
                scope.spawn(move || check(serving, to, right).0)
            });
            checks.map(|check| check.join().unwrap())
        });
        let times = approved.iter().filter(|status| **status == 200).count();
        assert_eq!(times, 1, "{approved:?}");
    }
    // Guesses at either count for both.
    let wrong = another(&code(&old, "+12025550139"));
    assert_eq!(check(&old, "+12025550139", &wrong).0, 401);
    let (status, told) = check(&new, "+12025550139", &wrong);
    let refused = (status, told["code"].as_str());
    assert_eq!(refused, (429, Some("cooldown")), "the wait holds there too");
    stop(old);
    assert_eq!(send(&new, "+12025550140").0, 201);
    stop(new);
    scan::file(&place.file());
}

#[test]
fn files_are_for_their_owner_alone_and_a_demo_remembers_no_store() {
    let place = Place::new("modes");
    let serving = place.demo();
    assert_eq!(send(&serving, "+12025550123").0, 201);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.dir), 0o700);
    let mut names: Vec<_> = fs::read_dir(&place.dir)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["verify.db", "verify.db-shm", "verify.db-wal"]);
    for name in &names {
        assert_eq!(mode(&place.dir.join(name)), 0o600, "{name}");
    }
    stop(serving);
    assert!(
        !place.dir.join("verify.db-wal").exists(),
        "one file has all of it"
    );
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let said = place.checked("file");
    assert!(said.starts_with("WRONG") && said.contains("chmod 600"), "{said}");
}

#[test]
fn outside_demo_mode_state_is_in_the_state_directory_and_its_loss_is_remembered() {
    let place = Place::new("live");
    stop(place.live());
    let epochs = fs::read_to_string(place.dir.join("epochs.toml")).unwrap();
    assert!(epochs.contains("verify.db\" = \""), "{epochs}");
    let accepted = place.checked("epoch");
    assert!(
        accepted.starts_with("ok") && accepted.ends_with("accepted"),
        "{accepted}"
    );
    stop(place.live());
    assert_eq!(place.checked("epoch"), accepted, "a restart is no other epoch");
    let before = place.dir.join("before.db");
    fs::rename(place.file(), &before).unwrap();
    let missing = place.tool(&["check"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).contains("there is no file"), "{}", err(&missing));
    stop(place.live());
    let lost = place.checked("epoch");
    assert!(
        lost.starts_with("WRONG") && lost.contains("nobody accepted it"),
        "{lost}"
    );
    let said = out(&place.tool(&["accept"]));
    assert!(said.contains("is accepted"), "{said}");
    assert!(place.checked("epoch").starts_with("ok"));
    // A copy from before, whose own epoch was accepted then.
    fs::rename(&before, place.file()).unwrap();
    stop(place.live());
    let stale = place.checked("epoch");
    assert!(
        stale.starts_with("WRONG") && stale.contains("nobody accepted it"),
        "{stale}"
    );
}

#[test]
fn a_file_that_is_damaged_is_told() {
    let place = Place::new("damaged");
    stop(place.demo());
    assert_eq!(place.tool(&["check"]).status.code(), Some(0));
    // All but the first page, in which the schema is.
    let mut bytes = fs::read(place.file()).unwrap();
    bytes[4_096..].fill(0xff);
    fs::write(place.file(), bytes).unwrap();
    let told = place.tool(&["check"]);
    assert_ne!(told.status.code(), Some(0), "{}{}", out(&told), err(&told));
}

/// It exits with 2, says this, and nothing of a password.
fn refuses(args: &[&str], said: &str) {
    let output = run(args, &[]);
    let told = err(&output) + &out(&output);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
    assert!(
        told.contains(said) && !told.contains("hunter2"),
        "{args:?}: {told}"
    );
}

#[test]
fn what_cannot_be_the_store_is_refused_with_what_to_do() {
    let place = Place::new("refused");
    fs::create_dir_all(&place.dir).unwrap();
    let path = |name: &str| format!("sqlite:{}", place.dir.join(name).display());
    fs::write(
        place.dir.join("text.db"),
        "no database at all, by its bytes".repeat(40),
    )
    .unwrap();
    let other = Connection::open(place.dir.join("other.db")).unwrap();
    other
        .execute_batch("CREATE TABLE somebody (elses INTEGER)")
        .unwrap();
    let migrated = place.tool(&["migrate", "--store", &path("newer.db")]);
    assert_eq!(migrated.status.code(), Some(0));
    let newer = Connection::open(place.dir.join("newer.db")).unwrap();
    newer
        .execute_batch("PRAGMA user_version = 99; UPDATE meta SET needs = 98")
        .unwrap();
    drop((other, newer));
    for (store, said) in [
        (
            "sqlite:/nowhere/at/all.db",
            "/nowhere/at/all.db: No such file or directory (os error 2); the directory must exist",
        ),
        (&path("text.db"), "is no SQLite database"),
        (&path("other.db"), "is a database of another program"),
        (&path("newer.db"), "needs a program that knows 98"),
        (
            "mysql://db/verify",
            "--store: this build knows these stores: memory, sqlite:PATH",
        ),
    ] {
        refuses(&["--store", store], said);
    }
    refuses(
        &["--store", "sqlite:v.db", "--state-dir", "/proc/nowhere"],
        "set --state-dir or STATE_DIRECTORY to a directory that this user may write",
    );
    // What is newer is looked at all the same.
    let newer = place.tool(&["check", "--store", &path("newer.db")]);
    assert!(out(&newer).contains("WRONG schema: 99"), "{}", out(&newer));
}

#[test]
fn i20_a_password_on_a_command_line_is_refused_and_not_repeated() {
    let secret = "postgres://user:hunter2@db/verify";
    refuses(&["--store", secret], "--store: found a password");
    refuses(
        &["store", "check", "--store", secret],
        "--store: found a password",
    );
    refuses(
        &["store", "copy", secret, "sqlite:x.db"],
        "FROM: found a password",
    );
    refuses(&["store", "copy", "sqlite:x.db", secret], "TO: found a password");
}

#[test]
fn a_store_is_moved_and_not_while_it_serves() {
    let place = Place::new("copy");
    let serving = place.demo();
    let right = code(&serving, "+12025550123");
    let copy = ["copy", "sqlite:verify.db", "sqlite:moved.db"];
    let held = place.tool(&copy);
    assert_eq!(held.status.code(), Some(2));
    assert!(
        err(&held).contains("is open in another process; stop that first"),
        "{}",
        err(&held)
    );
    stop(serving);
    let mut killed = program::program()
        .args(["store", "--state-dir", place.dir()])
        .args(copy)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    for done in ["copied", "was copied before"] {
        let said = place.tool(&copy);
        assert_eq!(said.status.code(), Some(0), "{}", err(&said));
        let said = out(&said);
        assert!(
            done == "was copied before" || !said.contains(" 0 counters"),
            "{said}"
        );
        assert!(said.contains("read back: 1 services"), "{said}");
    }
    let moved = place.demo_on("sqlite:moved.db");
    assert_eq!(check(&moved, "+12025550123", &right).0, 200);
    stop(moved);
    scan::file(&place.dir.join("moved.db"));
    let again = place.tool(&copy);
    assert_eq!(again.status.code(), Some(2));
    assert!(err(&again).contains("are not the same"), "{}", err(&again));
}

#[test]
fn epochs_and_keys_are_told() {
    let place = Place::new("told");
    assert!(out(&place.tool(&["migrate"])).ends_with("made, with schema 1\n"));
    assert!(out(&place.tool(&["migrate"])).ends_with("has schema 1 already\n"));
    assert!(place.checked("epoch").contains("none yet"));
    // Whoever comes before the first start begins nothing in its place.
    for tool in ["accept", "rekey"] {
        let said = place.tool(&[tool]);
        assert_eq!(said.status.code(), Some(2), "{tool}");
        assert!(err(&said).contains("holds nothing yet"), "{tool}: {}", err(&said));
    }
    assert!(place.checked("epoch").contains("none yet"));
    let begun = out(&place.tool(&["epoch", "new"]));
    assert!(begun.contains("has begun, and nobody has accepted it"), "{begun}");
    assert!(place.checked("epoch").starts_with("WRONG"));
    place.tool(&["accept"]);
    assert!(place.checked("epoch").starts_with("ok"));
    let keys = place.tool(&["rekey"]);
    assert_eq!(keys.status.code(), Some(0), "{}", err(&keys));
    assert!(out(&keys).contains("no durable record is under older keys, and VERIFY_KEYS has none"));
    let without = run(&["store", "rekey", "--state-dir", place.dir()], &[]);
    assert_eq!(without.status.code(), Some(2));
    assert!(err(&without).starts_with("VERIFY_KEYS: "), "{}", err(&without));
    let memory = place.tool(&["check", "--store", "memory"]);
    assert_eq!(memory.status.code(), Some(2));
    assert!(err(&memory).contains("in the memory of the gateway's process"));
}

const OPTED_OUT: &str = "+12025550115";

/// Whether that number is remembered as opted out, and nothing arrives there.
fn is_left_alone(serving: &Serving) {
    let (status, told) = ask(
        serving,
        "/verify/send",
        json!({ "to": OPTED_OUT, "channel": "sms" }),
    );
    assert_eq!((status, &told["code"]), (422, &json!("channel_unavailable")));
    let inbox = serving.get("/demo/inbox?to=%2B12025550115");
    assert_eq!(body(&inbox), json!([]));
}

/// A start that is refused for want of the keys that the opt-out is under; so is `store rekey`'s consent.
fn is_refused_without_its_keys(place: &Place) {
    let args = ["--store", "sqlite:verify.db", "--state-dir", place.dir()];
    let refused = run(&args, &[("VERIFY_KEYS", &place.keys)]);
    assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
    let said = err(&refused);
    assert!(
        said.contains("1 under fingerprint 1, seal 1") && said.contains("--forget-missing-keys"),
        "{said}"
    );
    let told = place.tool(&["rekey"]);
    assert_eq!(told.status.code(), Some(1), "{}", err(&told));
    assert!(out(&told).contains("VERIFY_KEYS does not have these"));
}

#[test]
fn i150_a_key_is_dropped_when_rekey_says_so_and_not_before() {
    let mut place = Place::new("rings");
    let serving = place.demo();
    is_left_alone(&serving);
    stop(serving);

    let both = Keys::generate(&[7; 32]).rotated(&[8; 32]).to_text();
    // The newest of each ring alone.
    let newest = |ring: &str| ring.split(',').next().unwrap().to_owned();
    let rings: Vec<_> = both.expose().split('/').map(newest).collect();
    place.keys = rings.join("/");
    is_refused_without_its_keys(&place);

    place.keys = both.expose().clone();
    let told = place.tool(&["rekey"]);
    assert_eq!(told.status.code(), Some(1), "{}", err(&told));
    assert!(out(&told).contains("keep these in VERIFY_KEYS"), "{}", out(&told));
    let serving = place.demo();
    let begun = Instant::now();
    // A sweep a second moves it.
    while place.tool(&["rekey"]).status.code() != Some(0) {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing moves");
    }
    is_left_alone(&serving);
    stop(serving);

    place.keys = rings.join("/");
    is_left_alone(&place.demo());
    scan::file(&place.file());
}

#[test]
fn i150_another_key_under_the_same_id_is_not_the_key() {
    let mut place = Place::new("same-ids");
    let serving = place.demo();
    is_left_alone(&serving);
    stop(serving);
    place.keys = Keys::generate(&[9; 32]).to_text().expose().clone();
    is_refused_without_its_keys(&place);
    let args = [
        "--store",
        "sqlite:verify.db",
        "--state-dir",
        place.dir(),
        "--forget-missing-keys",
    ];
    stop(Serving::start_with(
        &args,
        &[("VERIFY_KEYS", &place.keys)],
        "Open http://",
    ));
}

#[test]
fn i57_a_file_holds_what_it_may_and_tells_when_it_is_nearly_full() {
    let place = Place::new("full");
    let args = ["--store", "sqlite:verify.db", "--state-dir", place.dir()];
    let vars = [
        ("VERIFY_FLOOD_SHIELD", "off"),
        ("VERIFY_STORE_SIZE", "400KiB"),
        ("VERIFY_KEYS", place.keys.as_str()),
    ];
    let mut serving = Serving::start_with(&args, &vars, "Open http://");
    let one = |n: u32| {
        let to = format!("+1{}{:07}", 202 + n % 7, 2_000_000 + n * 3);
        let ip = format!("203.{}.{}.7", n / 250, n % 250);
        let (status, told) = ask(&serving, "/verify/send", json!({ "to": to, "ip": ip }));
        (status, told["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = (0..).map(one).find(|(_, code)| code == "store_unavailable");
    assert_eq!(refused.unwrap().0, 503);
    serving.line_with("nearly full");
    // Both are looked at now and then, and what was handed over since has given some of it back.
    let used = || -> f64 {
        let metrics = serving.get("/metrics");
        let (_, used) = metrics.split_once("\nverify_store_room_ratio ").unwrap();
        used.lines().next().unwrap().parse().unwrap()
    };
    while (used() - body(&serving.get("/readyz"))["store_room_used"].as_f64().unwrap()).abs() > 0.01 {}
    assert!(used() > 0.3);
    stop(serving);
    scan::file(&place.file());
}

/// The value of a metric that stands in a line of its own.
fn metric(serving: &Serving, name: &str) -> Option<f64> {
    let metrics = serving.get("/metrics");
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    assert!(
        metrics.contains("# HELP verify_store_outbox_events "),
        "{metrics}"
    );
    value
}

/// An engine of somebody's own on a file, without a sink for events.
fn engine_without_a_sink(file: &Path) -> (SqliteStore, Engine) {
    let store = SqliteStore::open(SqliteOptions::at(file)).unwrap();
    let provider = ScriptedProvider::own("sms", Arc::new(SystemClock));
    let engine = Engine::builder()
        .keys(Keys::generate(&[7; 32]))
        .store(store.clone())
        .provider(provider)
        .without_client_ip();
    (store, engine.build().unwrap())
}

/// Until the gateway has said in the file that it has a sink.
fn has_said_so(file: &Path) {
    let file = Connection::open(file).unwrap();
    let said = || {
        file.query_row("SELECT count(*) FROM lease WHERE work = 4", (), |row| {
            row.get::<_, u32>(0)
        })
    };
    while said() != Ok(1) {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn an_engine_without_a_sink_leaves_a_gateway_its_events_also_while_that_is_away() {
    let place = Place::new("sinks");
    let serving = place.live();
    has_said_so(&place.file());
    kill(serving);
    let (store, engine) = engine_without_a_sink(&place.file());
    assert!(!engine.readiness().await.is_ready(), "refused at its start");
    engine
        .send(SendRequest::to(Person::at("+12025550123")))
        .await
        .answer
        .unwrap();
    assert_eq!(engine.pump_once().await.unwrap().taken, 0);
    let waiting = store.outbox(&ServiceId::default(), 10).await.unwrap();
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    store.close().await;
    let mut serving = place.live();
    for (_, event) in &waiting {
        serving.line_with(&event.id.to_string());
    }
    stop(serving);
}

#[test]
fn an_outbox_that_nobody_empties_is_told_before_it_is_full() {
    let place = Place::new("outbox");
    let mut serving = place.demo();
    assert_eq!(send(&serving, "+12025550123").0, 201);
    let waits = |events: u32| {
        // Only the lane says so: there is no event that a sink could take.
        let file = Connection::open(place.file()).unwrap();
        file.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        let set = "UPDATE lane SET events = ?1 + (SELECT count(*) FROM event)";
        assert_eq!(file.execute(set, [events]), Ok(1));
    };
    assert!(body(&serving.get("/readyz"))["store_outboxes"].is_null());
    waits(850_000);
    let told = serving.line_with("no sink takes");
    assert!(
        told.contains("\"percent\":85") && told.contains("default"),
        "{told}"
    );
    let of_default = "verify_store_outbox_events{service=\"default\"}";
    assert!(metric(&serving, of_default).unwrap() >= 850_000.0);
    // What was seen a moment ago is told once more.
    let ready = loop {
        let ready = body(&serving.get("/readyz"));
        if !ready["store_outboxes"].is_null() {
            break ready;
        }
    };
    assert_eq!(ready["ok"], true, "{ready}");
    let outbox = &ready["store_outboxes"][0];
    assert_eq!(
        (&outbox["service"], &outbox["used"]),
        (&json!("default"), &json!(0.85))
    );
    waits(0);
    serving.line_with("the outbox has room again");
    assert!(metric(&serving, of_default).unwrap() < 10.0);
    for (name, least) in [
        ("verify_store_held_bytes", 4_096.0),
        ("verify_store_disk_bytes", 4_096.0),
        ("verify_store_outlived_seconds", 0.0),
        ("verify_store_outbox_oldest_seconds{service=\"default\"}", 0.0),
        ("verify_store_epoch_accepted", 1.0),
        ("verify_store_epoch_age_seconds", 0.0),
    ] {
        let value = metric(&serving, name);
        assert!(value.is_some_and(|value| value >= least), "{name}: {value:?}");
    }
    stop(serving);
}
