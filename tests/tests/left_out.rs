//! Says by name what a run leaves out that has no machines which are broken on purpose.
#![cfg(not(verify_broken))]
#![allow(missing_docs, reason = "tests")]

macro_rules! left_out {
    ($($name:ident),+ $(,)?) => {$(
        #[test]
        #[ignore = "needs RUSTFLAGS='--cfg verify_broken', as scripts/test.sh has it"]
        fn $name() {}
    )+};
}

left_out! {
    broken_machines_are_noticed_by_the_promises,
    broken_machines_are_noticed_by_the_reference,
    broken_machines_are_noticed_in_the_worlds_of_attacks,
    broken_machines_are_noticed_by_the_corpus_of_the_fuzzer,
}
