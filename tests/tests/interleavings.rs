//! Flows that race, in every order, with a crash, a fault and a jump of time anywhere. Each search is complete: every
//! state that its flows can reach within its budget is visited once. What is explored is in `verify_tests::explored`.
#![allow(missing_docs, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::OnceLock;

use verify_core::record::{DeliveryStatus, Status};
use verify_lab::explore::{Explored, Transitions};
use verify_tests::explored::{SCENARIOS, Size};

/// What the searches of one name came to. Each search runs once, whoever asks for it first.
fn ran(name: &str) -> Vec<&'static Explored> {
    static RAN: OnceLock<Vec<Vec<OnceLock<Explored>>>> = OnceLock::new();
    let places = RAN.get_or_init(|| {
        let places = |kinds: usize| (0..kinds).map(|_| OnceLock::new()).collect();
        SCENARIOS.iter().map(|named| places(named.kinds.len())).collect()
    });
    let Some(index) = SCENARIOS.iter().position(|named| named.name == name) else {
        panic!("nothing is called {name}")
    };
    let named = &SCENARIOS[index];
    let searches = named.kinds.iter().zip(&places[index]);
    searches
        .map(|(kinds, place)| {
            place.get_or_init(|| match (named.make)(*kinds).explore(Size::Tests) {
                Ok(explored) => {
                    println!("{name}, {}: {} states", kinds.as_str(), explored.states);
                    explored
                }
                Err(found) => panic!("{name}, {}: {found}", kinds.as_str()),
            })
        })
        .collect()
}

#[test]
fn i26_two_sends_one_message() {
    ran("send/send");
}

#[test]
fn i29_two_sends_under_one_key() {
    ran("send/send, one key");
}

#[test]
fn i37_a_resend_never_ends_a_pending_code() {
    ran("send/send, two identities");
}

#[test]
fn i51_failover_asks_each_provider_once() {
    ran("send/send, a provider is down");
}

#[test]
fn i48_a_send_and_a_check_of_its_code() {
    ran("send/check");
}

#[test]
fn i28_a_send_and_a_repair() {
    ran("send/tick");
}

#[test]
fn i35_a_send_and_reports_of_it() {
    for name in ["send/delivered", "send/undelivered", "send/report/report"] {
        ran(name);
    }
}

#[test]
fn i35_reports_repeated_and_out_of_order() {
    for name in ["report/report, the same", "report/report, out of order"] {
        ran(name);
    }
}

#[test]
fn i01_two_wrong_checks_one_comparison() {
    ran("check/check, wrong");
}

#[test]
fn i02_two_right_checks_one_approval() {
    ran("check/check, right");
}

#[test]
fn i06_a_right_and_a_wrong_check() {
    ran("check/check, one right");
}

#[test]
fn i29_two_checks_under_one_key() {
    ran("check/check, one key");
}

#[test]
fn i03_a_check_and_a_resend() {
    for name in ["check/resend", "check/resend, wrong"] {
        ran(name);
    }
}

#[test]
fn i24_a_check_and_a_cancel() {
    ran("check/cancel");
}

#[test]
fn i53_a_cancel_and_a_new_send() {
    ran("cancel/send");
}

#[test]
fn i133_what_is_over_at_the_provider_overtakes_nothing() {
    for name in ["match/ended", "ended/resend", "ended/cancel", "ended twice"] {
        ran(name);
    }
}

#[test]
fn i130_two_mailboxes_of_one_record() {
    for name in ["check/check, two mailboxes", "cancel/send, two mailboxes"] {
        ran(name);
    }
}

#[test]
fn i40_what_is_left_after_the_answer() {
    for name in [
        "send/send, private",
        "send/send, private and rejected",
        "cancel/send, private",
    ] {
        ran(name);
    }
}

#[test]
fn i54_two_redeems_one_redemption() {
    for name in ["redeem/redeem", "redeem/redeem, one key"] {
        ran(name);
    }
}

#[test]
fn i38_an_unlock_and_a_check() {
    for name in ["unlock/check, right", "unlock/check, wrong"] {
        ran(name);
    }
}

#[test]
fn i02_two_checks_and_a_send() {
    let states: usize = ran("check/check/send")
        .iter()
        .map(|explored| explored.states)
        .sum();
    assert!(states >= 1_000_000, "{states}");
}

#[test]
fn i24_a_check_a_cancel_and_a_send() {
    for name in ["check/cancel/send", "check/send/cancel, two identities"] {
        ran(name);
    }
}

#[test]
fn every_transition_of_both_tables_is_taken_and_no_other() {
    let mut taken = Transitions::default();
    for named in SCENARIOS {
        ran(named.name)
            .iter()
            .for_each(|explored| taken.extend(&explored.transitions));
    }
    let statuses: BTreeSet<_> = Status::TRANSITIONS.iter().copied().collect();
    let deliveries: BTreeSet<_> = DeliveryStatus::TRANSITIONS.iter().copied().collect();
    let never: Vec<_> = statuses.difference(&taken.statuses).collect();
    assert!(never.is_empty(), "never taken: {never:?}");
    let never: Vec<_> = deliveries.difference(&taken.deliveries).collect();
    assert!(never.is_empty(), "never taken: {never:?}");
    assert_eq!((taken.statuses, taken.deliveries), (statuses, deliveries));
}

/// In some state every flow gets what it is after: no search is about flows that only fail.
#[test]
fn every_flow_of_every_search_gets_its_way() {
    for named in SCENARIOS {
        for explored in ran(named.name) {
            let got = |flow| explored.answers.iter().filter(move |(of, _)| *of == flow);
            let flows = 1 + explored.answers.last().map_or(0, |(flow, _)| *flow);
            assert!(flows > 1, "{}", named.name);
            for flow in 0..flows {
                // Who asks after the end is after that word.
                let asks_after_the_end = named.name.starts_with("ended");
                let way = got(flow).any(|(_, word)| match *word {
                    "refused" => asks_after_the_end,
                    word => word != "fault",
                });
                assert!(way, "{}, flow {flow}: {:?}", named.name, explored.answers);
            }
        }
    }
    let met = |explored: &&Explored| explored.answers.contains(&(1, "approved"));
    assert!(
        ran("send/check").iter().all(met),
        "the check knows the code of the send"
    );
}

#[test]
fn states_that_are_taken_for_one_go_on_alike() {
    for name in ["check/cancel", "send/tick", "send/undelivered", "cancel/send"] {
        for named in SCENARIOS.iter().filter(|named| named.name == name) {
            for kinds in named.kinds {
                match (named.make)(*kinds).merges_are_sound() {
                    Ok(states) => assert!(states > 1_000, "{name}: {states}"),
                    Err(found) => panic!("{name}: {found}"),
                }
            }
        }
    }
}
