//! Delivery reports with their real reference: racing with their send, repeated, and out of order.

use verify_core::command::{Command, Report};
use verify_core::event::EventKind;
use verify_core::outcome::{Answer, Outcome, ReportAnswer};
use verify_core::policy::PolicySet;
use verify_core::port::Detail;
use verify_lab::explore::{Kinds, Opening, World};

use super::{Finding, Scenario, finding, sent_once};
use crate::{approvals, events, send};

fn report(report: Report, dedupe: &str) -> Opening {
    Opening::Report {
        message: 0,
        report,
        dedupe: dedupe.into(),
    }
}

fn undelivered(dedupe: &str) -> Opening {
    report(Report::Undelivered(Detail::default()), dedupe)
}

/// However often it is reported, a delivery ends once, and nothing is approved.
fn told_once(world: &World, outcomes: &[Option<Outcome>]) -> Finding {
    let ends = events(world, EventKind::DeliveryDelivered) + events(world, EventKind::DeliveryFailed);
    finding(ends <= world.sent.len(), "i35: a delivery ended twice")?;
    let approved = approvals(outcomes) + events(world, EventKind::Approved);
    finding(approved == 0, "i35: a report approved something")
}

pub(super) fn send_delivered(kinds: Kinds) -> Scenario {
    let world = World::new(PolicySet::default(), kinds);
    let flows = [Command::from(send()).into(), report(Report::Delivered, "1")];
    Scenario::with_reports(world, flows).holds(told_once)
}

pub(super) fn send_undelivered(kinds: Kinds) -> Scenario {
    let world = World::new(PolicySet::default(), kinds);
    let flows = [Command::from(send()).into(), undelivered("1")];
    Scenario::with_reports(world, flows).holds(told_once)
}

pub(super) fn the_same_twice(kinds: Kinds) -> Scenario {
    let (world, _, _) = sent_once(kinds);
    let flows = [report(Report::Delivered, "1"), report(Report::Delivered, "1")];
    Scenario::with_reports(world, flows).holds(|world, outcomes| {
        let new =
            |outcome: &&Outcome| matches!(outcome.answer, Ok(Answer::Report(ReportAnswer { changed: true })));
        let told = outcomes.iter().flatten().filter(new).count();
        finding(told <= 1, "i35: a duplicate told something new")?;
        told_once(world, outcomes)
    })
}

pub(super) fn out_of_order(kinds: Kinds) -> Scenario {
    let (world, _, _) = sent_once(kinds);
    let flows = [undelivered("2"), report(Report::Delivered, "1")];
    Scenario::with_reports(world, flows).holds(told_once)
}

pub(super) fn send_and_two_reports(kinds: Kinds) -> Scenario {
    let world = World::new(PolicySet::default(), kinds);
    let flows = [
        Command::from(send()).into(),
        report(Report::Underway, "1"),
        report(Report::Delivered, "2"),
    ];
    Scenario::with_reports(world, flows).holds(told_once)
}
