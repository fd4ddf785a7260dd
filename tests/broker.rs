//! Exactly once on a real Apache Kafka: whatever happens meanwhile, what is published is what one engine a partition gives over the
//! same logs. Run by `make test-broker`, which starts a broker or takes the one that `KAFKA_BOOTSTRAP` names.

#![cfg(feature = "service")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use goodfaith::generate::{Generator, Settings};
use goodfaith::kafka::{Fact, Observer};
use goodfaith::model::{Event, EventTime};
use rdkafka::producer::{BaseProducer, Producer};
use support::{Deployment, wait_until};

/// Sends `count` generated customer events, the catalogue before them, and a tick behind them that fires what is due.
fn fill(deployment: &Deployment, seed: u64, count: usize) {
    let customers = NonZeroU32::new(1000).unwrap();
    let events = Generator::new(Settings { seed, customers, ..Settings::default() });
    let mut latest = EventTime::default();
    for event in events.take(count) {
        if let Event::Customer(event) = &event {
            latest = latest.max(event.time);
        }
        deployment.send_event(&event);
    }
    deployment.send_event(&Event::Tick(latest.plus_days(1)));
    deployment.flush();
}

/// Runs a service over what is in the topics until all is committed, and stops it.
fn run_to_the_end(deployment: &Deployment) {
    let (service, _live) = deployment.start();
    deployment.wait_until_done(&service);
    service.stop();
    service.join().unwrap();
}

#[test]
#[ignore = "needs a broker: make test-broker"]
fn one_and_four_workers_publish_what_the_oracle_gives() {
    for workers in [1, 4] {
        let deployment = Deployment::new(workers, 8);
        fill(&deployment, 1, 100_000);
        run_to_the_end(&deployment);
        let expected = deployment.oracle();
        assert!(expected.lines["alerts"].len() > 1000, "the run is not about silence");
        expected.assert_published(&deployment);
    }
}

#[test]
#[ignore = "needs a broker: make test-broker"]
fn a_stop_and_a_start_leave_no_trace() {
    let deployment = Deployment::new(2, 4);
    fill(&deployment, 2, 20_000);
    let half: i64 = deployment.ends().iter().sum::<i64>() / 2;
    let (service, _live) = deployment.start();
    wait_until("half is committed", || deployment.committed().iter().sum::<i64>() >= half);
    service.stop();
    service.join().unwrap();
    run_to_the_end(&deployment);
    deployment.oracle().assert_published(&deployment);
}

#[test]
#[ignore = "needs a broker: make test-broker"]
fn a_second_instance_joins_and_leaves() {
    let deployment = Deployment::new(2, 8);
    fill(&deployment, 3, 20_000);
    let (first, _) = deployment.start();
    wait_until("something is committed", || {
        deployment.committed().iter().any(|offset| *offset > 0)
    });
    let (second, live) = deployment.start();
    wait_until("the second has partitions", || !live.partitions.is_empty());
    fill(&deployment, 4, 20_000);
    second.stop();
    second.join().unwrap();
    deployment.wait_until_done(&first);
    first.stop();
    first.join().unwrap();
    deployment.oracle().assert_published(&deployment);
}

/// Counts retirements.
#[derive(Default)]
struct Retirements(AtomicUsize);

impl Observer for Retirements {
    fn observe(&self, fact: Fact<'_>) {
        if let Fact::ProducerRetired { .. } = fact {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
#[ignore = "needs a broker: make test-broker"]
fn a_fenced_producer_is_replaced_and_nothing_doubles() {
    let mut deployment = Deployment::new(1, 4);
    deployment.settings.instance_id = Some("fenced".to_owned());
    fill(&deployment, 5, 20_000);
    let retirements = Arc::new(Retirements::default());
    let (service, _live) = deployment.start_with(Arc::clone(&retirements) as Arc<dyn Observer>);
    wait_until("something is committed", || {
        deployment.committed().iter().any(|offset| *offset > 0)
    });
    // A producer of the same name ends whatever transaction is open, as a second process with that name would.
    let rival: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &deployment.settings.bootstrap_servers)
        .set("transactional.id", format!("{}/fenced/0", deployment.settings.group_id))
        .create()
        .unwrap();
    rival.init_transactions(Duration::from_secs(30)).unwrap();
    fill(&deployment, 6, 5_000);
    deployment.wait_until_done(&service);
    service.stop();
    service.join().unwrap();
    assert!(retirements.0.load(Ordering::Relaxed) > 0, "the rival fenced nobody");
    deployment.oracle().assert_published(&deployment);
}
