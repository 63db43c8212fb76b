//! The program itself: exit codes, signals, and what it prints.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verify-gateway"));
    command.env_clear();
    command
}

fn run(args: &[&str], vars: &[(&str, &str)]) -> Output {
    program().args(args).envs(vars.iter().copied()).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A serving process; killed when the test fails, stopped when it does not.
struct Serving {
    child: Child,
    lines: BufReader<ChildStderr>,
    address: String,
}

impl Serving {
    fn start(args: &[&str]) -> Self {
        let mut command = program();
        command
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let mut serving = Self {
            child,
            lines,
            address: String::new(),
        };
        let line = serving.line_with("Open http://");
        serving.address = line
            .split("http://")
            .nth(1)
            .unwrap()
            .split('/')
            .next()
            .unwrap()
            .to_owned();
        serving.line_with("\"listening\"");
        serving
    }

    fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.lines.read_line(&mut line).unwrap(),
                0,
                "it ended without saying {text:?}"
            );
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([name, &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    fn post(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Already ended, when all went well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("verify-process-{}-{name}", std::process::id())));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

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
