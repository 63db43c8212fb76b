//! One process of the program on a file, killed under load again and again and started anew at once: whoever asks it meets all that
//! it answered.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/load.rs"]
mod load;
#[path = "support/program.rs"]
mod program;
#[path = "support/scan.rs"]
mod scan;

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use program::{Serving, another, ask, body, check, kill, send, stop, try_ask};
use serde_json::{Value, json};

/// Of each kind of request.
const CLIENTS: usize = 2;
const KINDS: usize = 4;
/// How many people have a code when the load begins.
const PEOPLE: usize = 8;
/// So many answers come before the kill.
const ANSWERS: usize = 60;

/// Three budgets of an hour, and no other limit that a round would meet.
const POLICY: &str = r#"version = 1
[lockout]
waits = { 25 = "never" }
[[limit]]
name = "sends_per_ip"
max = 40
per = "1h"
[[limit]]
name = "checks_per_identity"
max = 30
per = "1h"
[[limit]]
name = "checks_per_ip"
max = "unlimited"
[[limit]]
name = "sends_per_prefix"
max = "unlimited"
[[limit]]
name = "sends_per_service"
max = "unlimited"
"#;

/// Where the file is, and where it is served.
struct Place {
    dir: PathBuf,
    address: String,
    keys: String,
}

impl Place {
    fn new() -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("killed-on-file");
        fs::remove_dir_all(&dir).ok();
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("policy.toml"), POLICY).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self {
            dir,
            address: free.to_string(),
            keys: program::keys(),
        }
    }

    /// On the same file and the same port each time.
    fn serve(&self) -> Serving {
        let mut command = program::program();
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.dir.join("log"));
        command
            .args(["--listen", &self.address, "--store", "sqlite:verify.db"])
            .arg("--state-dir")
            .arg(&self.dir)
            .arg("--config")
            .arg(self.dir.join("policy.toml"))
            .env("VERIFY_KEYS", &self.keys)
            .env("VERIFY_FLOOD_SHIELD", "off")
            .stdout(Stdio::null())
            .stderr(log.unwrap());
        Serving::at(command.spawn().unwrap(), self.address.clone())
    }
}

/// Something of which an hour has so much.
struct Budget {
    what: &'static str,
    most: usize,
    path: &'static str,
    /// What one that was admitted answers.
    admitted: u16,
    asked: Box<dyn Fn(usize) -> Value + Sync>,
    answered: AtomicUsize,
}

impl Budget {
    fn new(
        (what, most): (&'static str, usize),
        (path, admitted): (&'static str, u16),
        asked: impl Fn(usize) -> Value + Sync + 'static,
    ) -> Self {
        Self {
            what,
            most,
            path,
            admitted,
            asked: Box::new(asked),
            answered: AtomicUsize::new(0),
        }
    }

    /// Whether there was an answer.
    fn ask(&self, address: &str, nth: usize) -> bool {
        let told = try_ask(address, self.path, &(self.asked)(nth));
        let admitted = told.as_ref().is_some_and(|(status, _)| *status == self.admitted);
        self.answered.fetch_add(usize::from(admitted), Ordering::SeqCst);
        told.is_some()
    }

    /// What was answered before the kill was charged, and at most what was under way besides.
    fn is_kept(&self, serving: &Serving, round: usize) {
        let admitted = |nth: &usize| ask(serving, self.path, (self.asked)(*nth)).0 == self.admitted;
        // Numbers that no client of the load had.
        let left = (1_000..1_000 + self.most + 1).take_while(admitted).count();
        let answered = self.answered.load(Ordering::SeqCst);
        let (most, under_way) = (self.most, CLIENTS);
        assert!(
            (most - under_way..=most).contains(&(answered + left)),
            "round {round}: of {most} {} {answered} were answered before the kill, and {left} after it",
            self.what
        );
    }
}

/// Somebody whose code is pending when the load begins.
struct Person {
    to: String,
    id: String,
    code: String,
    /// What approvals were answered.
    approved: Mutex<Vec<Value>>,
}

impl Person {
    fn of(serving: &Serving, number: usize) -> Self {
        let to = format!("+1303555{:04}", 200 + number % 9_000);
        let (status, sent) = send_from(serving, &to, &format!("203.0.{}.{}", number / 250, number % 250));
        assert_eq!(status, 201, "{sent}");
        ask(serving, "/demo/clock", json!({ "advance_seconds": 1 }));
        let inbox = body(&serving.get(&format!("/demo/inbox?to={}", to.replace('+', "%2B"))));
        Self {
            id: sent["verification_id"].as_str().unwrap().to_owned(),
            code: inbox[0]["code"].as_str().unwrap().to_owned(),
            to,
            approved: Mutex::default(),
        }
    }

    /// Whether there was an answer.
    fn ask(&self, address: &str) -> bool {
        let asked = json!({ "to": self.to, "code": self.code });
        let Some((status, told)) = try_ask(address, "/verify/check", &asked) else {
            return false;
        };
        if status == 200 {
            self.approved.lock().unwrap().push(told);
        }
        true
    }

    /// Approved once, for ever, and its proof is good once.
    fn is_kept(&self, serving: &Serving) {
        let told = self.approved.lock().unwrap();
        assert!(told.len() < 2, "i02: approved {} times", told.len());
        let (status, again) = check(serving, &self.to, &self.code);
        let view = body(&serving.get(&format!("/verify/{}", self.id)));
        assert_eq!(view["status"], "approved", "after {status}");
        assert_ne!(check(serving, &self.to, &self.code).0, 200, "i02: it was used");
        let proof = match told.first() {
            Some(told) => {
                assert_ne!(status, 200, "i02: it was used before the kill");
                &told["proof"]
            }
            // Nobody was told: it is approved now, or was.
            None if status == 200 => &again["proof"],
            None => return,
        };
        let redeem = json!({ "proof": proof, "purpose": "sign_in", "to": self.to });
        assert_eq!(ask(serving, "/proofs/redeem", redeem.clone()).0, 200);
        assert_ne!(
            ask(serving, "/proofs/redeem", redeem).0,
            200,
            "i54: it was redeemed"
        );
    }
}

fn send_from(serving: &Serving, to: &str, ip: &str) -> (u16, Value) {
    ask(serving, "/verify/send", json!({ "to": to, "ip": ip }))
}

/// What must be true of a process and of the one after it.
struct Round {
    number: usize,
    people: Vec<Person>,
    budgets: [Budget; KINDS - 1],
}

impl Round {
    fn prepared(serving: &Serving, number: usize) -> Self {
        let mut people: Vec<_> = (0..=PEOPLE)
            .map(|nth| Person::of(serving, number * (PEOPLE + 1) + nth))
            .collect();
        let guessed = people.pop().unwrap();
        let wrong = json!({ "to": guessed.to, "code": another(&guessed.code) });
        let nothing = json!({ "to": format!("nobody{number}@example.org"), "code": "123456" });
        let ip = format!("2001:db8:{number:x}::1");
        let sends =
            move |nth: usize| json!({ "to": format!("somebody{number}.{nth}@example.org"), "ip": ip });
        Self {
            number,
            people,
            budgets: [
                Budget::new(("messages from an address", 40), ("/verify/send", 201), sends),
                Budget::new(("wrong guesses", 25), ("/verify/check", 401), move |_| {
                    wrong.clone()
                }),
                Budget::new(("guesses at nothing", 30), ("/verify/check", 404), move |_| {
                    nothing.clone()
                }),
            ],
        }
    }

    /// Whether there was an answer.
    fn ask(&self, address: &str, nth: usize) -> bool {
        match self.budgets.get(nth % KINDS) {
            Some(budget) => budget.ask(address, nth),
            None => self.people[nth / (CLIENTS * KINDS) % PEOPLE].ask(address),
        }
    }

    fn is_kept(&self, serving: &Serving) {
        for budget in &self.budgets {
            budget.is_kept(serving, self.number);
        }
        for person in &self.people {
            person.is_kept(serving);
        }
    }
}

#[test]
fn i03_what_one_process_answered_is_there_however_often_it_is_killed_under_load() {
    let (place, kills) = (Place::new(), load::kills());
    let (mut answered, mut used) = (0, Vec::new());
    let mut serving = place.serve();
    for number in 0..kills {
        let round = Round::prepared(&serving, number);
        let address = serving.address.clone();
        let ask = |nth| round.ask(&address, nth);
        answered += load::under_load(CLIENTS * KINDS, ask, |load| {
            load.reaches(ANSWERS);
            kill(serving);
        });
        serving = place.serve();
        round.is_kept(&serving);
        scan::file(&place.dir.join("verify.db"));
        used.extend(round.people);
    }
    for person in &used {
        assert_ne!(
            check(&serving, &person.to, &person.code).0,
            200,
            "i02: it was used"
        );
    }
    assert_eq!(send(&serving, "+13015550177").0, 201);
    stop(serving);
    let some = used.iter().take(PEOPLE);
    let secrets: Vec<_> = some.flat_map(|person| [&person.to[1..], &person.id]).collect();
    scan::file_has_none_of(&place.dir.join("verify.db"), &secrets);
    println!(
        "did: {kills} kills of a gateway on a file, {answered} answers before them to {} people",
        used.len()
    );
}
