//! The program itself: exit codes, signals, and what it prints.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

#[path = "support/program.rs"]
mod program;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use program::{Serving, TempFile, err, out, run};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use verify_gateway::cli::ServeArgs;
use verify_gateway::config::{Environment, Goal, resolve};
use verify_gateway::serve::{Limits, assemble, serve_until};
use verify_gateway::store::OpenStore;

#[test]
fn demo_mode_says_so_and_stops_when_told() {
    for signal in ["-TERM", "-INT"] {
        let mut serving = Serving::start(&[]);
        assert!(
            serving
                .post("/verify/send", "{\"to\":\"+12025550143\"}")
                .starts_with("HTTP/1.1 201")
        );
        serving.signal(signal);
        assert_eq!(serving.child.wait().unwrap().code(), Some(0), "{signal}");
        let mut rest = String::new();
        serving.lines.read_to_string(&mut rest).unwrap();
        assert!(
            rest.contains("\"event\":\"send.accepted\""),
            "the events that were left are written: {rest}"
        );
        assert!(!rest.contains("5550143"), "i20: {rest}");
    }
}

#[test]
fn the_log_names_why_somebody_was_refused() {
    let mut serving = Serving::start(&[]);
    let refused = serving.post("/verify/send", "{\"to\":\"+1202555\"}");
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    let line = serving.line_with("\"event\":\"refused\"");
    assert!(line.contains("\"refusal\":\"invalid_destination\""), "{line}");
}

#[test]
fn a_port_in_use_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--listen", &address], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains(&format!("cannot listen on {address}")),
        "{}",
        err(&output)
    );
}

#[test]
fn what_cannot_be_started_exits_with_2_and_says_why() {
    for (args, vars, said) in [
        (
            vec!["--listen", "0.0.0.0:0"],
            vec![],
            "--listen: 0.0.0.0:0 can be reached from other machines",
        ),
        (
            vec![],
            vec![("APP_ENV", "production")],
            "production refuses demo mode",
        ),
        (vec![], vec![("TWILIO_API_KEY_SID", "SK1")], "TWILIO_ACCOUNT_SID"),
        (
            vec!["--config", "/nowhere.toml"],
            vec![],
            "/nowhere.toml: cannot be read",
        ),
        (vec!["--unknown"], vec![], "--unknown"),
    ] {
        let output = run(&args, &vars);
        assert_eq!(output.status.code(), Some(2), "{args:?} {}", err(&output));
        assert!(err(&output).contains(said), "{args:?} {}", err(&output));
    }
}

#[test]
fn i60_the_policy_in_force_reads_back() {
    let printed = run(&["--check-config", "--print"], &[]);
    assert_eq!(printed.status.code(), Some(0));
    let file = TempFile::new("printed.toml", &out(&printed));
    let again = run(&["--check-config", "--print", "--config", file.path()], &[]);
    assert_eq!((again.status.code(), out(&again)), (Some(0), out(&printed)));

    file.write("[code]\nlength = 99\n[channels]\ndefault = \"pigeon\"\n");
    let faulty = run(&["--check-config", "--config", file.path()], &[]);
    assert_eq!(faulty.status.code(), Some(2));
    let said = err(&faulty);
    assert!(
        said.contains("code.length") && said.contains("channels.default"),
        "{said}"
    );
}

#[test]
fn a_reload_takes_a_good_file_and_leaves_a_bad_one() {
    let file = TempFile::new("reload.toml", "[code]\nlength = 7\n");
    let mut serving = Serving::start(&["--config", file.path()]);
    let length = |serving: &Serving, to: &str| {
        let answer = serving.post("/verify/send", &format!("{{\"to\":\"{to}\"}}"));
        answer
            .split("\"code_length\":")
            .nth(1)
            .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
    };
    assert_eq!(length(&serving, "+12025550150").as_deref(), Some("7"));
    file.write("[code]\nlength = 70\n");
    serving.signal("-HUP");
    let said = serving.line_with("nothing changed");
    assert!(said.contains("code.length"), "{said}");
    assert_eq!(length(&serving, "+12025550151").as_deref(), Some("7"));
    file.write("[code]\nlength = 8\n");
    serving.signal("-HUP");
    serving.line_with("in force");
    assert_eq!(length(&serving, "+12025550152").as_deref(), Some("8"));
}

#[test]
fn i15_a_reload_of_the_length_leaves_what_is_pending() {
    let file = TempFile::new("length.toml", "[code]\nlength = 6\n");
    let mut serving = Serving::start(&["--config", file.path()]);
    let body = |answer: &str| -> Value {
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        serde_json::from_str(body).unwrap()
    };
    let pending = ["+12025550150", "+12025550151"].map(|to| {
        let sent = body(&serving.post("/verify/send", &json!({ "to": to }).to_string()));
        (to, sent["verification_id"].as_str().unwrap().to_owned())
    });
    serving.post("/demo/clock", "{\"advance_seconds\":1}");
    file.write("[code]\nlength = 8\n");
    serving.signal("-HUP");
    serving.line_with("in force");
    for ((to, id), by_id) in pending.into_iter().zip([true, false]) {
        let inbox = body(&serving.get(&format!("/demo/inbox?to={}", to.replace('+', "%2B"))));
        let code = inbox[0]["code"].as_str().unwrap();
        assert_eq!(code.len(), 6);
        let of = if by_id {
            json!({ "verification_id": id })
        } else {
            json!({ "to": to })
        };
        let check = |code: &str| {
            let mut asked = of.clone();
            asked["code"] = json!(code);
            serving.post("/verify/check", &asked.to_string())
        };
        for _ in 0..10 {
            let longer = check("00000000");
            assert!(longer.starts_with("HTTP/1.1 400"), "{longer}");
            assert_eq!(body(&longer)["code"], "invalid_code");
        }
        let right = check(code);
        assert!(right.starts_with("HTTP/1.1 200"), "{right}");
    }
}

/// Standard errors that nobody reads: full like a disk, with the reader gone, and a pipe that is full.
fn unread() -> Vec<(&'static str, Stdio, Option<std::io::PipeReader>)> {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (gone, without_reader) = std::io::pipe().unwrap();
    drop(gone);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filling = writer.try_clone().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    // It holds so much at least; where it holds less, the thread hangs, and the pipe is as full.
    std::thread::spawn(move || tell.send(filling.write_all(&[b'.'; 65_536])));
    told.recv_timeout(Duration::from_secs(5)).ok();
    vec![
        ("full", full.into(), None),
        ("gone", without_reader.into(), None),
        ("unread", writer.into(), Some(reader)),
    ]
}

#[test]
fn i145_it_serves_and_stops_whoever_reads_what_it_says() {
    for (kind, stderr, _reader) in unread() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let mut command = program::program();
        command.args(["--listen", &address]).env("LOG_LEVEL", "trace");
        let child = command.stderr(stderr).spawn().unwrap();
        let mut serving = Serving::at(child, address);
        for _ in 0..100 {
            let answer = serving.post("/verify/send", "{\"to\":\"+12025550143\"}");
            assert!(answer.starts_with("HTTP/1.1 20"), "{kind}: {answer}");
        }
        if kind != "unread" {
            let metrics = serving.get("/metrics");
            let lost = metrics.split("\nverify_log_lines_dropped_total ").nth(1);
            let lost: u32 = lost
                .and_then(|rest| rest.lines().next())
                .unwrap()
                .parse()
                .unwrap();
            assert!(lost > 0, "{kind}: {lost}");
            for (name, says) in [
                (
                    "verify_log_lines_dropped_total",
                    "Lines of the log that were lost.",
                ),
                ("verify_http_request_seconds", "Seconds from a request's head"),
                ("verify_command_seconds", "From a command's start to its answer"),
            ] {
                let help = format!("# HELP {name} {says}");
                assert!(metrics.contains(&help), "{help}: {metrics}");
            }
        }
        serving.signal("-TERM");
        assert_eq!(serving.child.wait().unwrap().code(), Some(0), "{kind}");
    }
}

#[test]
fn i145_a_start_that_fails_and_a_tool_end_as_ever() {
    for (args, code) in [
        (vec!["--listen", "here"], 2),
        (vec!["--check-config"], 0),
        (vec!["--check-config", "--listen", "here"], 2),
        (vec!["keys", "new"], 0),
        (vec!["keys", "caller", "a b"], 2),
    ] {
        for (kind, stderr, reader) in unread() {
            if kind == "unread" && args[0] != "--listen" {
                // Who asks a tool is waited for.
                continue;
            }
            let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
            let mut command = program::program();
            let status = command.args(&args).stdout(full).stderr(stderr).status().unwrap();
            assert_eq!(status.code(), Some(code), "{kind}: {args:?}");
            drop(reader);
        }
    }
}

#[test]
fn a_weaker_or_an_empty_file_is_taken_by_nobody_who_did_not_say_so() {
    let strict = "[numbers]\npremium_rate = \"block\"\n[countries]\nblock = [\"KP\"]\n";
    let weaker = "[numbers]\npremium_rate = \"allow\"\n[code]\nlength = 8\n";
    let file = TempFile::new("weaker.toml", strict);
    let mut serving = Serving::start(&["--config", file.path()]);
    for (text, named) in [
        (
            weaker,
            &[
                "numbers.premium_rate: no longer refused",
                "countries.KP: allow, and it was block",
            ][..],
        ),
        // Cut off while it was written.
        (
            &strict[..strict.find("[countries]").unwrap()],
            &["countries.KP: allow"],
        ),
        ("", &["nothing stands in it"]),
        ("# nothing\n", &["nothing stands in it"]),
    ] {
        file.write(text);
        serving.signal("-HUP");
        let said = serving.line_with("reload: ");
        for named in named.iter().chain(&["reload: nothing changed"]) {
            assert!(said.contains(named), "{text}: {said}");
        }
    }
    drop(serving);
    file.write(strict);
    let mut serving = Serving::start(&["--config", file.path(), "--reload-weaker"]);
    file.write(weaker);
    serving.signal("-HUP");
    serving.line_with("numbers.premium_rate: no longer refused");
    serving.line_with("code.length: 8, and it was 6");
    serving.line_with("in force");
    file.write("");
    serving.signal("-HUP");
    serving.line_with("nothing stands in it");
}

#[test]
fn a_reload_says_what_it_left_out() {
    let file = TempFile::new(
        "beside.toml",
        "[gateway]\nflood_shield = \"50/s\"\n[logging]\nlog_level = \"info\"\n",
    );
    let mut serving = Serving::start(&["--config", file.path()]);
    file.write("[gateway]\nflood_shield = \"50/s\"\n[logging]\nlog_level = \"debug\"\n[code]\nlength = 8\n");
    serving.signal("-HUP");
    serving.line_with("code.length");
    let said = serving.line_with("left out");
    assert!(said.contains("\"section\":\"logging\""), "{said}");
    let said = serving.line_with("reload: ");
    assert!(said.contains("in force"), "nothing else was left out: {said}");
}

#[test]
fn a_file_that_blocks_stops_nothing() {
    let file = TempFile::new("blocks.toml", "[code]\nlength = 7\n");
    let mut serving = Serving::start(&["--config", file.path()]);
    std::fs::remove_file(file.path()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(file.path()).status();
    assert!(made.unwrap().success());
    for _ in 0..4 {
        // More than the runtime has threads.
        serving.signal("-HUP");
    }
    for _ in 0..20 {
        assert!(serving.get("/healthz").starts_with("HTTP/1.1 200"));
    }
    // To open it for writing waits for whoever reads it.
    file.write("[code]\nlength = 8\n");
    serving.line_with("in force");
    serving.signal("-TERM");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

#[test]
fn new_keys_are_exactly_the_value() {
    let output = run(&["keys", "new"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = out(&output);
    assert!(
        text.starts_with("v1/fingerprint=") && text.lines().count() == 1,
        "it has one line"
    );
    let vars = [("VERIFY_KEYS", text.trim())];
    assert_eq!(run(&["--check-config"], &vars).status.code(), Some(0));
}

#[test]
fn a_webhook_can_be_looked_into() {
    // The example of Twilio's own documentation.
    let body =
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
    let file = TempFile::new("body", body);
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    let check = |url: &str, signature: &str, vars: &[(&str, &str)]| {
        let form = "application/x-www-form-urlencoded";
        let args = [
            "webhook",
            "check",
            "--url",
            url,
            "--signature",
            signature,
            "--content-type",
            form,
            "--body-file",
            file.path(),
        ];
        run(&args, vars)
    };
    let token = [("TWILIO_AUTH_TOKEN", "12345")];
    let fits = check(url, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", &token);
    assert_eq!(fits.status.code(), Some(0), "{}{}", out(&fits), err(&fits));
    let not = check(
        "https://mycompany.com/other",
        "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        &token,
    );
    assert_eq!(not.status.code(), Some(1));
    assert!(out(&not).contains("tried: "), "{}", out(&not));
    assert_eq!(check(url, "x", &[]).status.code(), Some(2));
}

/// Such a client must not keep the process, and the events that are left, for ever.
#[tokio::test]
async fn a_client_that_takes_no_answer_does_not_keep_it_from_stopping() {
    let (serving, mut client, stop) = in_this_process().await;
    // More pages than the buffers of two sockets hold.
    let pages = "GET /docs HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    client.write_all(pages.as_bytes()).await.unwrap();
    let mut first = [0; 15];
    client.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    stop.send(()).unwrap();
    // From here on, time goes on only when nothing else can happen.
    tokio::time::pause();
    let ended = tokio::time::timeout(Duration::from_secs(3_600), serving).await;
    ended.expect("it still waits for the client").unwrap();
}

#[tokio::test]
async fn a_body_that_stays_away_is_not_waited_for() {
    let (_serving, mut client, _stop) = in_this_process().await;
    let begun = "POST /verify/send HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: 100\r\n\r\n{";
    client.write_all(begun.as_bytes()).await.unwrap();
    tokio::time::pause();
    let mut first = [0; 12];
    let answered = client.read_exact(&mut first);
    tokio::time::timeout(Duration::from_secs(3_600), answered)
        .await
        .expect("it still waits for the body")
        .unwrap();
    assert_eq!(&first, b"HTTP/1.1 400");
}

/// A gateway in demo mode that serves until told to stop, and a client of it.
async fn in_this_process() -> (JoinHandle<()>, TcpStream, oneshot::Sender<()>) {
    let nothing = |_: &str| None;
    let settings = resolve(&ServeArgs::default(), &Environment::new(&nothing), Goal::Serve).unwrap();
    let store = OpenStore::in_memory(&settings.storage);
    let app = assemble(settings, store, None).unwrap().app;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopped = async { stopped.await.unwrap_or_default() };
    let serving = tokio::spawn(serve_until(listener, app, Limits::of_this_process(), stopped));
    (serving, TcpStream::connect(address).await.unwrap(), stop)
}

#[test]
fn what_a_budget_of_memory_holds_is_told() {
    let print = |budget| {
        let vars = [("VERIFY_MEMORY_BUDGET", budget)];
        out(&run(&["--check-config", "--print"], &vars))
    };
    // It was a hundred thousand records, whatever the machine had.
    let told = print("1GiB");
    assert!(
        told.starts_with("# store: memory, 1.0 GiB of memory: room for 82"),
        "{told}"
    );
    assert!(print("25%").contains(" of memory (25 % of the "));
}
