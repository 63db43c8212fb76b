//! Scenarios as files: the reference, the core and the engine, over a store in memory and one in a file, answer each, and all must say what the file expects and
//! the same of everything else. How to write one: `docs/how-to/write-a-scenario.md`.
#![allow(missing_docs, reason = "tests")]

mod engine;
mod file;
#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::EngineSide;
use file::{Expect, Maker, Scenario, Step, duration};
use verify_core::policy::PolicySet;
use verify_core::time::{Timestamp, Until};
use verify_lab::explore::{Kinds, World};
use verify_lab::reference::{Answers, CoreSide, Reference, Seen, Told};
use verify_memstore::MemStore;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Runs a file with every maker that it names. The text says where who disagreed.
fn run(name: &str, text: &str) -> Result<(), String> {
    let scenario = Scenario::read(text).map_err(|what| format!("{name}: {what}"))?;
    let policy = PolicySet::from_toml(&scenario.policy).map_err(|errors| format!("{name}: {errors}"))?;
    for maker in &scenario.makers {
        let run = Run::new(policy.policies.clone(), *maker);
        run.through(&scenario.step)
            .map_err(|what| format!("{name} ({maker:?} codes): {what}\nabout: {}", scenario.about))?;
    }
    Ok(())
}

/// Those who answer.
struct Run {
    sides: Vec<Box<dyn Answers>>,
    now: Timestamp,
}

impl Run {
    fn new(policies: PolicySet, maker: Maker) -> Self {
        let (kinds, of) = match maker {
            Maker::Own => (Kinds::Own, verify_core::port::Maker::Own),
            Maker::Managed => (Kinds::Managed, verify_core::port::Maker::Managed),
        };
        let reference = Reference::new(Arc::clone(&policies.default), of, START);
        let core = CoreSide::new(World::new(policies.clone(), kinds));
        let managed = maker == Maker::Managed;
        let engine = EngineSide::new("engine", MemStore::new(), policies.clone(), managed, START);
        let in_a_file = EngineSide::new("in a file", support::sqlite(), policies, managed, START);
        Self {
            sides: vec![
                Box::new(reference),
                Box::new(core),
                Box::new(engine),
                Box::new(in_a_file),
            ],
            now: START,
        }
    }

    fn through(mut self, steps: &[Step]) -> Result<(), String> {
        for (number, step) in steps.iter().enumerate() {
            self.step(step).map_err(|what| format!("step {number}: {what}"))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        for change in step.outside(self.now)? {
            if let verify_lab::reference::Outside::Now(now) = change {
                self.now = now;
            }
            self.sides.iter_mut().for_each(|side| side.outside(change));
        }
        let sent = self.sides.first().map_or(0, |side| side.messages());
        let (Some(ask), Some(expect)) = (step.ask(sent)?, &step.expect) else {
            return Ok(());
        };
        let mut report = String::new();
        let mut first: Option<(Told, usize)> = None;
        let mut agreed = true;
        for side in &mut self.sides {
            let said = (side.answer(&ask), side.messages());
            let missed = missed(expect, &said.0, said.1, self.now);
            let same = first.as_ref().is_none_or(|first| *first == said);
            agreed &= same && missed.is_empty();
            let verdict = match (same, missed.is_empty()) {
                (true, true) => "as expected".to_owned(),
                (false, true) => "as expected, but not as the first".to_owned(),
                (_, false) => missed.join(", "),
            };
            let _ = write!(
                report,
                "\n  {:<9} {verdict}: {:?}, {} messages",
                side.name(),
                said.0,
                said.1
            );
            first.get_or_insert(said);
        }
        if agreed { Ok(()) } else { Err(report) }
    }
}

/// What of the expectation an answer does not meet.
// long because it has a line for each thing that a file can expect
fn missed(expect: &Expect, told: &Told, messages: usize, now: Timestamp) -> Vec<String> {
    let mut missed = Vec::new();
    let mut must = |name: &str, wanted: Option<String>, found: Option<String>| {
        if wanted.is_some() && wanted != found {
            missed.push(format!("{name} {found:?} instead of {wanted:?}"));
        }
    };
    let said = Said::of(told, now);
    let words = |words: &[String]| words.join(" ");
    let channels = |channels: &Vec<verify_core::vocabulary::Channel>| {
        channels
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let span = |text: &String| duration(text).map_or(text.clone(), |span| format!("{} ms", span.as_millis()));
    must(
        "answer",
        Some(expect.answer.clone()),
        Some(said.answer.to_owned()),
    );
    must("code", expect.code.clone(), said.code);
    must("wait", expect.wait.as_ref().map(span), said.wait);
    must(
        "rules",
        expect.rules.as_ref().map(|rules| words(rules)),
        said.rules.as_ref().map(|rules| words(rules)),
    );
    must(
        "approval",
        expect.approval.map(|it| it.to_string()),
        said.approval,
    );
    must(
        "checks_left",
        expect.checks_left.map(|it| it.to_string()),
        said.checks_left,
    );
    must("changed", expect.changed.map(|it| it.to_string()), said.changed);
    must(
        "messages",
        expect.messages.map(|it| it.to_string()),
        Some(messages.to_string()),
    );
    must("channel", expect.channel.map(|it| it.to_string()), said.channel);
    must("status", expect.status.clone(), said.status);
    must(
        "fallback",
        expect.fallback.as_ref().map(channels),
        said.fallback.as_ref().map(channels),
    );
    let seen = said.seen;
    let of = |get: &dyn Fn(&Seen) -> String| seen.as_ref().map(get);
    must(
        "verification",
        expect.verification.map(|it| it.to_string()),
        of(&|seen| seen.verification.to_string()),
    );
    must(
        "sends_left",
        expect.sends_left.map(|it| it.to_string()),
        of(&|seen| left(seen.sends_left)),
    );
    must(
        "expires_in",
        expect.expires_in.as_ref().map(span),
        of(&|seen| wait(Until::At(seen.expires_at), now)),
    );
    must(
        "resend_in",
        expect.resend_in.as_ref().map(span),
        of(&|seen| wait(seen.resend_at, now)),
    );
    let deliveries = |seen: &Seen| {
        let each = seen
            .deliveries
            .iter()
            .map(|(channel, status)| format!("{channel} {}", status.as_str()));
        each.collect::<Vec<_>>().join(" ")
    };
    must(
        "deliveries",
        expect.deliveries.as_ref().map(|it| words(it)),
        of(&deliveries),
    );
    missed
}

fn wait(until: Until, now: Timestamp) -> String {
    match until {
        Until::At(at) => format!("{} ms", at.since(now).as_millis()),
        Until::Never => "never".to_owned(),
    }
}

/// An answer in the words of a file.
#[derive(Default)]
struct Said {
    answer: &'static str,
    code: Option<String>,
    wait: Option<String>,
    rules: Option<Vec<String>>,
    approval: Option<String>,
    checks_left: Option<String>,
    changed: Option<String>,
    channel: Option<String>,
    status: Option<String>,
    fallback: Option<Vec<verify_core::vocabulary::Channel>>,
    seen: Option<Seen>,
}

/// A number, or that there is no end.
fn left(left: Option<u32>) -> String {
    left.map_or("none".to_owned(), |left| left.to_string())
}

impl Said {
    fn of(told: &Told, now: Timestamp) -> Self {
        let plain = |answer| Self {
            answer,
            ..Self::default()
        };
        let seen = |answer, seen: &Seen| Self {
            answer,
            checks_left: Some(left(seen.checks_left)),
            channel: Some(seen.channel.to_string()),
            status: Some(seen.status.as_str().to_owned()),
            fallback: Some(seen.fallback.clone()),
            seen: Some(seen.clone()),
            ..Self::default()
        };
        match told {
            Told::Sent(it) => seen("sent", it),
            Told::Repeated(it) => seen("repeated", it),
            Told::Status(it) => seen("status", it),
            Told::Canceled(it) => seen("canceled", it),
            Told::Approved { approval, channel } => Self {
                approval: Some(approval.to_string()),
                channel: Some(channel.to_string()),
                ..plain("approved")
            },
            Told::Wrong {
                status,
                checks_left,
                wait: until,
            } => Self {
                status: Some(status.as_str().to_owned()),
                checks_left: Some(left(*checks_left)),
                wait: Some(wait(*until, now)),
                ..plain("wrong")
            },
            Told::Reported(changed) => Self {
                changed: Some(changed.to_string()),
                ..plain("reported")
            },
            Told::Ticked => plain("ticked"),
            Told::Redeemed { .. } => plain("redeemed"),
            Told::Unlocked(stands) => Self {
                rules: Some(stands.iter().map(|(rule, ..)| rule.clone()).collect()),
                ..plain("unlocked")
            },
            Told::Erased(_) => plain("erased"),
            Told::Refused(refused) => Self {
                code: Some(refused.code.as_str().to_owned()),
                wait: Some(refused.wait.map_or("none".to_owned(), |until| wait(until, now))),
                rules: Some(refused.rules.clone()),
                checks_left: refused.checks_left.map(|left| left.to_string()),
                fallback: Some(refused.fallback.clone()),
                ..plain("refused")
            },
            Told::Nothing => plain("nothing"),
            Told::Fault => plain("fault"),
        }
    }
}

macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        /// Every file has its test.
        const FILES: &[&str] = &[$(stringify!($name)),+];
        $(
            #[test]
            fn $name() {
                let path = folder().join(concat!(stringify!($name), ".toml"));
                let text = std::fs::read_to_string(&path).expect("the file of the test's name");
                run(stringify!($name), &text).unwrap_or_else(|what| panic!("{what}"));
            }
        )+
    };
}

scenarios! {
    a_cancel_is_final,
    an_unlock_says_what_stands,
    a_closing_is_told_to_the_provider,
    a_closing_shows_wherever_one_looks,
    a_decoy_cannot_be_told,
    a_device_token_is_for_its_subject,
    a_failed_delivery_waives_the_gap,
    a_failure_at_another_identity_closes_too,
    a_failure_goes_on_by_itself,
    a_follow_up_is_charged_as_its_send,
    a_fraud_guard_block_is_remembered_for_its_prefix,
    a_guess_that_nobody_compared,
    a_known_caller_meets_a_strangers_code,
    a_landline_is_no_verdict_on_its_prefix,
    a_landline_leaves_no_gap,
    a_limit_asks_for_a_human,
    a_limit_names_its_purposes,
    a_long_wait_closes,
    a_lost_answer_is_not_sent_again,
    a_lost_call_leaves_nothing,
    a_mailbox_has_no_prefix,
    a_mailbox_is_its_own_destination,
    a_managed_match_ends_what_shares_the_code,
    a_missing_dimension_skips_the_limit,
    a_network_has_its_own_limit,
    a_proof_is_spent_once,
    a_repeat_sends_nothing,
    a_repeat_stands_above_the_lockout,
    a_report_never_goes_back,
    a_resend_carries_a_new_code,
    a_resend_carries_the_same_code,
    a_run_is_forgotten,
    a_stopped_resend_ends_nothing,
    a_success_ends_its_own_run,
    a_tenth_is_kept_for_known_callers,
    a_test_destination_is_never_sent_to,
    amount_and_payee_are_bound,
    an_alert_refuses_nothing,
    an_expired_code_stays_expired,
    an_opt_out_ends_with_an_operator,
    another_channel_inside_the_gap,
    checks_count_by_subject_or_destination,
    checks_left_after_a_lockout,
    country_asks_for_a_human,
    country_blocked,
    country_channels,
    country_monitored,
    eight_places,
    erased_records_leave_the_counters,
    failures_count_only_while_something_is_pending,
    lockout_is_named_before_limits,
    malformed_input_costs_nothing,
    money_goes_back_when_nothing_was_sent,
    never_ends_with_an_operator,
    no_code_that_cannot_be_checked,
    premium_number_blocked,
    risk_is_judged_per_delivery,
    sends_count_whatever_becomes_of_them,
    strangers_and_known_callers_count_apart,
    the_last_minute_of_a_code,
    the_same_check_by_its_key,
    the_same_send_by_its_key,
    waits_lead_to_an_admission,
    what_a_provider_refuses_is_not_offered,
    what_died_is_no_sibling,
}

#[test]
fn every_file_is_a_test() {
    let files = std::fs::read_dir(folder()).expect("the folder of scenarios");
    let mut names: Vec<String> = files
        .filter_map(|file| file.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    let mut listed: Vec<&str> = FILES.to_vec();
    listed.sort_unstable();
    assert_eq!(names, listed);
}

const SEND: &str = "about = \"a\"\n[[step]]\nsend = {}\n";

#[test]
fn an_unknown_key_is_named() {
    for text in [
        "about = \"a\"\nstep = []\nstepp = 1\n".to_owned(),
        "about = \"a\"\n[[step]]\nsend = { stepp = 1 }\nexpect = { answer = \"sent\" }\n".to_owned(),
        format!("{SEND}expect = {{ answer = \"sent\", stepp = 1 }}\n"),
    ] {
        let what = run("file", &text).expect_err("an unknown key");
        assert!(what.contains("stepp"), "{what}");
    }
}

#[test]
fn a_scenario_that_expects_too_little_is_an_error() {
    let refusal = format!("{SEND}expect = {{ answer = \"refused\", code = \"locked\" }}\n");
    for (text, says) in [
        ("about = \"a\"\nstep = []\n", "expects nothing"),
        ("about = \"a\"\n[[step]]\nwait = \"1s\"\n", "expects nothing"),
        (SEND, "without `expect`"),
        (&refusal, "needs `code`"),
    ] {
        let what = run("file", text).expect_err("too little");
        assert!(what.contains(says), "{what}");
    }
}

#[test]
fn who_disagrees_is_named() {
    let text = format!("{SEND}expect = {{ answer = \"sent\", checks_left = 4 }}\n");
    let what = run("file", &text).expect_err("five are left");
    for word in [
        "file (Own codes): step 0",
        "reference checks_left",
        "core      checks_left",
        "engine    checks_left",
    ] {
        assert!(what.contains(word), "{what}");
    }
}
