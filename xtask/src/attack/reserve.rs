//! What is kept for known callers, against somebody who has many mailboxes: each is approved, and asks for messages with its
//! device token once strangers have used up what is there for all. Measured, under the default policy.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Gateway, Program};

/// Of the thousand messages in ten minutes, nine hundred are there for all.
const FOR_ALL: usize = 900;
/// By then a message has arrived on the simulated network.
const ARRIVES: u64 = 30;
/// Between two messages to one destination.
const GAP: u64 = 31;
/// As often a destination is sent to within the ten minutes.
const ROUNDS: usize = 3;

/// Prints a row for each number of mailboxes.
///
/// # Errors
/// A gateway that cannot be asked.
pub(super) fn measured(program: &Program) -> io::Result<Vec<String>> {
    let mut faults = Vec::new();
    for mailboxes in [1, 10, 50] {
        let gateway = Gateway::demo(program)?;
        let Taken { messages, waits } = gateway.hoard(mailboxes)?;
        let refused = u8::from(waits.is_some());
        let waits = waits.map_or("the owner waits for nothing".to_owned(), |waits| {
            format!("the owner waits {} s", waits.as_secs())
        });
        println!(
            "| reserve | {mailboxes} approved mailbox(es), each with an address and a subject of its own | 1 | {refused} | | | \
             {messages} of the 100 messages that are kept; {waits} |"
        );
        // Up to ten people have a tenth each, and a destination has three.
        if mailboxes <= 10 && (refused > 0 || messages > mailboxes * ROUNDS) {
            faults.push(format!("reserve: {mailboxes} mailboxes are in the owner's way"));
        }
    }
    Ok(faults)
}

/// What somebody took of what is kept, and for how long the owner of a device has to wait after that.
struct Taken {
    messages: usize,
    waits: Option<Duration>,
}

impl Gateway {
    fn hoard(&self, mailboxes: usize) -> io::Result<Taken> {
        let many = (0..mailboxes).map(|n| (format!("many{n}"), format!("203.0.113.{n}")));
        let owner = ("owner".to_owned(), "198.51.100.7".to_owned());
        let mut known = self.approved(many.chain([owner]).collect())?;
        let owner = known.pop().unwrap_or_default();
        for n in 0..FOR_ALL {
            let (to, ip) = (
                format!("stranger{n}@example.org"),
                format!("10.{}.{}.1", n / 200, n % 200),
            );
            self.ask("/verify/send", &json!({ "to": to, "ip": ip }))?;
        }
        let mut messages = 0;
        for round in 0..ROUNDS {
            if round > 0 {
                self.ask("/demo/clock", &json!({ "advance_seconds": GAP }))?;
            }
            for request in &known {
                messages += usize::from(self.ask("/verify/send", request)?.0 == 201);
            }
        }
        let (status, said) = self.ask("/verify/send", &owner)?;
        let waits = said.get("retry_after").and_then(Value::as_u64);
        Ok(Taken {
            messages,
            waits: (status != 201).then(|| Duration::from_secs(waits.unwrap_or(u64::MAX))),
        })
    }

    /// The sends of people who were verified before, each from their address.
    fn approved(&self, people: Vec<(String, String)>) -> io::Result<Vec<Value>> {
        let who = |(name, ip): &(String, String)| json!({ "to": at(name), "user_id": name, "ip": ip });
        for person in &people {
            self.ask("/verify/send", &who(person))?;
        }
        self.ask("/demo/clock", &json!({ "advance_seconds": ARRIVES }))?;
        let approved = people.iter().map(|person| {
            let (_, inbox) = self.exchange("GET", &format!("/demo/inbox?to={}", at(&person.0)), "")?;
            let check = with(&who(person), "code", inbox.pointer("/0/code"));
            let (_, approval) = self.ask("/verify/check", &check)?;
            match approval.get("device_token") {
                Some(token) => Ok(with(&who(person), "device_token", Some(token))),
                None => Err(io::Error::other(format!("not approved: {approval}"))),
            }
        });
        approved.collect()
    }

    fn ask(&self, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        self.exchange("POST", path, &body.to_string())
    }

    /// Status and body of an answer.
    fn exchange(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, Value)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok((
            status.ok_or_else(|| io::Error::other("no status"))?,
            serde_json::from_str(body).unwrap_or(Value::Null),
        ))
    }
}

fn at(name: &str) -> String {
    format!("{name}@example.org")
}

/// The same with one field more.
fn with(object: &Value, field: &str, value: Option<&Value>) -> Value {
    let mut object = object.clone();
    if let (Some(fields), Some(value)) = (object.as_object_mut(), value) {
        fields.insert(field.to_owned(), value.clone());
    }
    object
}
