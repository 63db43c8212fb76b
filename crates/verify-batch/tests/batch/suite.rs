//! What every store promises, over lanes.

use verify_batch::{Limits, Turns};
use verify_testkit::{store_answers_as_the_model, store_suite};

use crate::store::OverMemory;

fn together() -> OverMemory {
    OverMemory::new(Limits::of(Turns::Together))
}

fn apart() -> OverMemory {
    OverMemory::new(Limits::of(Turns::Apart { at_once: 4 }))
}

store_suite!(all_services_in_one_transaction, || async { together() });
store_suite!(each_service_in_its_own, || async { apart() });
store_answers_as_the_model!(i146_lanes_together_answer_as_the_model_does, 200, || async {
    together()
});
store_answers_as_the_model!(i146_lanes_apart_answer_as_the_model_does, 200, || async {
    apart()
});
