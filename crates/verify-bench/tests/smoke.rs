//! Every row still runs against the product as it is. Their figures are not looked at here: no test may depend on how
//! fast a machine is.

use verify_bench::gateway::Programs;
use verify_bench::rows::{
    Effort, attack, charge, flows, gateway, growth, start, stores_lasting, stores_waits, stores_work,
};

#[test]
fn every_row_has_a_figure() {
    for part in [charge, flows, growth, attack, stores_work, stores_waits] {
        for row in part(Effort::SMOKE).unwrap() {
            assert!(row.figure.median > 0.0, "{row}");
        }
    }
}

#[test]
fn every_row_about_the_gateways_process_has_a_figure() {
    let programs = Programs {
        gateway: env!("CARGO_BIN_EXE_gateway").into(),
        bare: env!("CARGO_BIN_EXE_bare").into(),
    };
    for part in [gateway, start, stores_lasting] {
        for row in part(Effort::SMOKE, &programs).unwrap() {
            assert!(row.figure.median > 0.0, "{row}");
        }
    }
}

#[test]
fn the_rows_about_memory_follow_what_a_send_keeps() {
    let rows = verify_bench::rows::memory::memory(10, || 0).unwrap();
    assert!(rows[1].made_of.contains(" 1.0 records each"), "{}", rows[1]);
}
