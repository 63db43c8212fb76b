//! Flows that race, each search gone through a few times by seed, with whatever may go wrong on the way: what their store was
//! asked, a store in a file answers the same. The model on which all ways are explored is held to it, and it to the model.
#![allow(missing_docs, reason = "tests")]

mod support;

use verify_testkit::suite::rounds;
use verify_tests::explored::SCENARIOS;

/// How often each is gone through; `VERIFY_WALKS` says otherwise.
const WALKS: u32 = 3;

#[test]
fn i46_what_racing_flows_ask_a_store_in_a_file_answers_as_the_model_does() {
    let mut asked = 0;
    for named in SCENARIOS {
        for kinds in named.kinds {
            let scenario = (named.make)(*kinds);
            for seed in 0..u64::from(rounds("VERIFY_WALKS", WALKS)) {
                let world = match scenario.wander(seed) {
                    Ok(world) => world,
                    Err(found) => panic!("{}, {}, {seed}: {found}", named.name, kinds.as_str()),
                };
                support::answers_the_same_in_a_file(&world);
                asked += world.asked.map_or(0, |asked| asked.len());
            }
        }
    }
    assert!(asked > 500, "{asked} changesets show little");
    println!("did: {asked} changesets of racing flows");
}
