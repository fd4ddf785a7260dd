//! Faults on a real Apache Kafka, with the service as processes of its own under load, and what is left of them. `make test` does a
//! little of each; `make faults` does as much as the reliability report asks for. What is left is judged by the checker, which is
//! itself checked, without a broker.
//!
//! It needs a broker of its own, which it may restart and reach by a proxy: `deploy/kafka/kafka.sh with`.

#![cfg(feature = "service")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells what it measured"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
mod support;

mod checker;
mod corruption;
mod dice;
mod fleet;
mod history;
mod plan;
mod proxy;
mod report;

use std::num::NonZeroU32;

use fleet::Flow;
use plan::{Dose, Fault, Found, run};

/// A little of a fault, with every safeguard on.
fn little(times: usize) -> Dose {
    let flow = Flow { customers: NonZeroU32::new(500).unwrap(), preload: 0, rate: 2_000 };
    Dose { runs: 1, times, processes: 3, flow, snapshots: None, seed: 1, without: "" }
}

/// Faults came about, and did no harm.
fn assert_harmless(fault: Fault, dose: &Dose) -> Found {
    let found = run(fault, dose, |_| {});
    println!("{}", report::row(fault, dose, &found));
    assert!(found.is_clean(), "{} stuck, {:?}", found.stuck, found.anomalies);
    assert_eq!(found.injected, dose.runs * dose.times, "every fault came about");
    assert!(found.records > 500, "{} records are too few to compare", found.records);
    found
}

#[test]
#[ignore = "needs a broker of its own"]
fn kills_under_load_leave_no_trace() {
    assert_harmless(Fault::Kill, &little(2));
}

#[test]
#[ignore = "needs a broker of its own"]
fn kills_at_each_step_of_a_transaction_leave_no_trace() {
    assert_harmless(Fault::KillAtStep, &little(5));
}

#[test]
#[ignore = "needs a broker of its own"]
fn a_static_member_killed_in_the_middle_of_a_rebalance_leaves_no_partition_without_owner() {
    assert_harmless(Fault::KillHalfway, &little(1));
}

#[test]
#[ignore = "needs a broker of its own"]
fn a_zombie_that_goes_on_after_its_session_changes_nothing() {
    assert_harmless(Fault::Zombie, &little(1));
}

#[test]
#[ignore = "needs a broker of its own"]
fn members_that_come_and_go_leave_no_trace() {
    assert_harmless(Fault::Storm, &little(1));
}

#[test]
#[ignore = "needs a broker of its own"]
fn a_broker_that_is_killed_under_load_loses_nothing() {
    assert_harmless(Fault::Broker, &little(1));
}

#[test]
#[ignore = "needs a broker of its own"]
fn an_end_of_a_transaction_that_arrives_in_the_next_one_is_fenced() {
    let found = assert_harmless(Fault::LateEndTxn, &little(2));
    assert_eq!(found.late_accepted, 0);
}

#[test]
#[ignore = "needs a broker of its own"]
fn a_transaction_nobody_hears_the_end_of_is_settled_by_the_committed_offsets() {
    assert_harmless(Fault::UnknownOutcome, &little(1));
}

#[test]
#[ignore = "needs a broker of its own"]
fn a_lost_reply_of_a_transaction_leaves_no_trace() {
    assert_harmless(Fault::LostReply, &little(5));
}

/// The long plan and the control runs, as `GOODFAITH_FAULTS` wants them: `make faults FAULTS=--help`.
#[test]
#[ignore = "takes hours, and needs a broker of its own"]
fn long_plan() {
    report::long_plan();
}
