//! What the service promises, shown on a real Apache Kafka: `make test-broker`, or `KAFKA_BOOTSTRAP=host:port cargo test --test broker
//! -- --ignored`. The oracle is a single-threaded engine over the same logs; outputs are read under `read_committed`.

#![cfg(feature = "service")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{Deployment, Facts, assert_same, scenarios};

const PATIENCE: Duration = Duration::from_secs(180);

fn run_with(workers: usize, events: usize) {
    let mut deployment = Deployment::new("workers");
    deployment.settings.workers = workers;
    deployment.produce(&scenarios(events));
    let facts = Arc::new(Facts::default());
    let service = deployment.start(&facts);
    deployment.wait_handled(PATIENCE);
    service.stop();
    service.join().unwrap();
    let (found, expected) = (deployment.published(), deployment.oracle());
    assert!(expected.count > events / 10, "the input gives too little to compare");
    assert_same(&found, &expected);
    assert_eq!(facts.count("PartitionRestored"), 8);
}

#[test]
#[ignore = "needs a broker"]
fn one_worker_publishes_what_the_oracle_gives() {
    run_with(1, 2_000);
}
