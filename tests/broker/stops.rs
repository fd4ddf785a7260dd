//! What stops, pauses, drains and ticks do. The oracle reads the journal's ticks too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{
    Deployment, Facts, Line, PARTITIONS, Stored, assert_same, generated, scenarios, scoring,
    wait_until,
};
use assert_cmd::Command;
use goodfaith::kafka::{DeadLetterLimit, Observer, Service};
use goodfaith::live::{Live, PartitionState};
use goodfaith::wire::{self, Decision, JournalRecord};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

const PATIENCE: Duration = Duration::from_secs(120);

/// The service, and what it shows.
fn start(deployment: &Deployment, facts: &Arc<Facts>) -> (Service, Arc<Live>) {
    let (live, observer) = (Arc::new(Live::default()), Arc::clone(facts) as Arc<dyn Observer>);
    let settings = deployment.settings.clone();
    (Service::start(settings, scoring(), None, Arc::clone(&live), observer).unwrap(), live)
}

fn end(service: Service) {
    service.stop();
    service.join().unwrap();
}

fn assert_is_oracle(deployment: &Deployment) {
    let (found, expected) = (deployment.published(), deployment.oracle());
    assert!(expected.count > 100, "{} records are too few to compare", expected.count);
    assert_same(&found, &expected);
}

/// Exit code and stdout of a command on this deployment.
fn ask(deployment: &Deployment, arguments: &[&str]) -> (i32, String) {
    let settings = &deployment.settings;
    let output = Command::new(env!("CARGO_BIN_EXE_goodfaith"))
        .args(arguments)
        .args(["--set", &format!("kafka.bootstrap_servers={}", settings.bootstrap_servers)])
        .args(["--set", &format!("kafka.topic_prefix={}", settings.prefix)])
        .args(["--set", &format!("kafka.group_id={}", settings.group_id)])
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn poison() -> Line {
    Line::Customer { key: b"ada".to_vec(), value: b"poison".to_vec() }
}

/// The partition of `ada`.
fn of_ada() -> i32 {
    i32::try_from(wire::partition_of(b"ada", u32::try_from(PARTITIONS).unwrap())).unwrap()
}

fn state(live: &Live, partition: i32) -> Option<PartitionState> {
    live.partitions.get(&partition).map(|status| status.state.clone())
}

fn is_stopped(live: &Live) -> bool {
    matches!(state(live, of_ada()), Some(PartitionState::Stopped(_)))
}

#[test]
#[ignore = "needs a broker"]
fn a_batch_too_large_to_unpack_refuses_its_partition_by_name_until_the_limit_is_raised() {
    let mut deployment = Deployment::new("bomb");
    let producer: BaseProducer = deployment
        .client()
        .set("compression.type", "zstd")
        .set("message.max.bytes", "200000000")
        .create()
        .unwrap();
    let (topic, bomb) = (deployment.topic("events"), vec![b'['; 110_000_000]);
    let record = BaseRecord::to(&topic).partition(of_ada()).key("ada").payload(&bomb);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
    let known = |customer: &str| {
        Line::Customer {
        key: customer.into(),
        value: format!(r#"{{"specversion":"1.0","id":"1","source":"/test","type":"io.goodfaith.service.delivered.v1","subject":"{customer}","time":"2025-01-01T12:00:00Z","data":{{"ref":"r"}}}}"#).into_bytes(),
    }
    };
    let customers: Vec<Line> = (0..100).map(|number| known(&format!("c{number}"))).collect();
    deployment.produce(&customers);
    let facts = Arc::new(Facts::default());
    let (service, live) = start(&deployment, &facts);
    let is_refused =
        |live: &Live| matches!(state(live, of_ada()), Some(PartitionState::Refused(_)));
    wait_until("its partition is refused", PATIENCE, || is_refused(&live));
    let others = |offsets: &[i64]| {
        let of_others = (0..).zip(offsets).filter(|(partition, _)| *partition != of_ada());
        of_others.map(|(_, offset)| offset).all(|offset| *offset > 0)
    };
    deployment.wait_committed("the others go on", PATIENCE, others);
    end(service);
    assert_eq!(facts.count("PartitionRefused"), 1);
    let told = facts.last("PartitionRefused").unwrap();
    assert!(told.contains("at offset 0") && told.contains("receive.message.max.bytes"), "{told}");

    let limit = ("receive.message.max.bytes".to_owned(), "200000000".to_owned());
    deployment.settings.properties.extend([limit]);
    let facts = Arc::new(Facts::default());
    let (service, _) = start(&deployment, &facts);
    deployment.wait_handled(PATIENCE);
    end(service);
    assert_eq!((facts.count("PartitionRefused"), facts.count("DeadLettered")), (0, 1));
    let letter = deployment.read("dead-letters").remove(0);
    let sizes = format!("key=3 value={} headers=0", bomb.len());
    assert_eq!(letter.header("truncated"), Some(sizes));
    assert_eq!(letter.value.as_deref(), Some(&bomb[..65_536]));
}

/// Ticks in the journal, partition by partition.
fn ticked(deployment: &Deployment) -> Vec<(i32, JournalRecord)> {
    let records = deployment.read("journal").into_iter().map(|stored| {
        (stored.partition, JournalRecord::decode(stored.value.as_deref().unwrap()).unwrap())
    });
    records.filter(|(_, record)| matches!(record.decision, Decision::Tick { .. })).collect()
}

#[test]
#[ignore = "needs a broker"]
fn too_many_dead_letters_stop_a_partition_over_restarts_until_it_is_resumed() {
    let mut deployment = Deployment::new("breaker");
    deployment.settings.limits.dead_letters = DeadLetterLimit { share: 0.01, window: 1_000 };
    let input = scenarios(4_000);
    let (before, after) = input.split_at(2_000);
    deployment.produce(before);
    deployment.produce(&vec![poison(); 20]);
    let facts = Arc::new(Facts::default());
    let (service, live) = start(&deployment, &facts);
    wait_until("the partition is stopped", PATIENCE, || is_stopped(&live));
    let ada = usize::try_from(of_ada()).unwrap();
    deployment.produce(after);
    let ends = |offsets: &[i64]| offsets.iter().sum::<i64>();
    let stopped_at = deployment.wait_committed("it stands", PATIENCE, |_| true)[ada];
    end(service);
    assert_eq!(facts.count("PartitionStopped"), 1, "{:?}", facts.last("PartitionStopped"));
    let is_poison = |stored: &Stored| stored.value.as_deref() == Some(&b"poison"[..]);
    let poisoned = deployment.read("dead-letters").into_iter().filter(is_poison).count();
    assert_eq!(poisoned, 11, "one more than a hundredth of the last thousand");

    // A restart, which is what a takeover by another host comes to: its name in the group is another.
    let facts = Arc::new(Facts::default());
    let (service, live) = start(&deployment, &facts);
    wait_until("it is stopped again", PATIENCE, || is_stopped(&live));
    let others = |offsets: &[i64]| ends(offsets) - offsets[ada];
    let whole = i64::try_from(after.len()).unwrap() / 2;
    let handled =
        deployment.wait_committed("the others go on", PATIENCE, |offsets| whole < others(offsets));
    assert_eq!(handled[ada], stopped_at, "nothing of it is handled");
    let told = facts.last("PartitionStopped").unwrap();
    assert!(
        told.contains("11 of the last 1000 records") && told.contains("goodfaith resume"),
        "{told}"
    );

    let (code, text) = ask(&deployment, &["resume", "--dry-run"]);
    assert_eq!(code, 0);
    assert!(
        text.starts_with(&format!("partition {ada}: stopped at offset {stopped_at}")),
        "{text}"
    );
    assert_eq!(ask(&deployment, &["resume", "--partition", &((ada + 1) % 8).to_string()]).0, 1);
    assert!(is_stopped(&live), "nobody has resumed it");
    let (code, text) = ask(&deployment, &["resume", "--partition", &ada.to_string()]);
    assert_eq!(code, 0, "{text}");
    deployment.wait_handled(PATIENCE);
    assert_eq!(state(&live, of_ada()), Some(PartitionState::Running));
    end(service);
    assert_eq!(ask(&deployment, &["resume"]).1, "no partition is stopped\n");

    // What was resumed stays so: the request names one stop.
    let facts = Arc::new(Facts::default());
    let (service, _live) = start(&deployment, &facts);
    wait_until("all are back", PATIENCE, || facts.count("PartitionRestored") == 8);
    // Two more, with the nine left over from before, are too many again.
    deployment.produce(&vec![poison(); 8]);
    wait_until("it stops anew", PATIENCE, || facts.count("PartitionStopped") == 1);
    assert_eq!(ask(&deployment, &["resume"]).0, 0);
    deployment.wait_handled(PATIENCE);
    end(service);
    assert_is_oracle(&deployment);
}

#[test]
#[ignore = "needs a broker"]
fn an_open_transaction_among_the_events_is_named_as_the_cause_of_lag() {
    let deployment = Deployment::new("unstable");
    let input = generated(7, 2_000);
    let (first, rest) = input.split_at(1_000);
    deployment.produce(first);
    let facts = Arc::new(Facts::default());
    let (service, live) = start(&deployment, &facts);
    deployment.wait_handled(PATIENCE);

    let stranger: BaseProducer = deployment
        .client()
        .set("transactional.id", format!("{}-stranger", deployment.settings.prefix))
        .set("transaction.timeout.ms", "300000")
        .create()
        .unwrap();
    stranger.init_transactions(PATIENCE).unwrap();
    stranger.begin_transaction().unwrap();
    let events = deployment.topic("events");
    let partition = of_ada();
    stranger
        .send(
            BaseRecord::<[u8], [u8]>::to(&events).key(b"ada").payload(b"open").partition(partition),
        )
        .map_err(|(error, _)| error)
        .unwrap();
    wait_until("it is sent", PATIENCE, || {
        stranger.poll(Duration::from_millis(10));
        stranger.in_flight_count() == 0
    });
    deployment.produce(rest);
    let held_back = || live.partitions.get(&partition).map_or(0, |status| status.unstable_records);
    wait_until("the cause is shown", PATIENCE, || held_back() > 0);
    assert!(live.partitions.get(&partition).unwrap().lag_records >= held_back());
    stranger.abort_transaction(PATIENCE).unwrap();
    wait_until("the cause is gone", PATIENCE, || held_back() == 0);
    let is_behind = || live.partitions.iter().any(|status| status.lag_records > 0);
    wait_until("nothing is behind", PATIENCE, || !is_behind());
    end(service);
    assert_is_oracle(&deployment);
}

#[test]
#[ignore = "needs a broker"]
fn a_full_memory_pauses_and_drops_nothing() {
    let mut deployment = Deployment::new("full");
    deployment.settings.limits.state_bytes = Some(1 << 20);
    deployment.produce(&generated(8, 40_000));
    let facts = Arc::new(Facts::default());
    let (service, live) = start(&deployment, &facts);
    let paused = || {
        let is_paused = |state: &PartitionState| matches!(state, PartitionState::Paused(_));
        live.partitions.iter().filter(|status| is_paused(&status.state)).count()
    };
    wait_until("every partition is paused", PATIENCE, || paused() == 8);
    let size = || live.partitions.iter().map(|status| status.store_bytes).sum::<usize>();
    assert!((1 << 20) <= size() && size() < (4 << 20), "{} bytes", size());
    let told = facts.last("PartitionPaused").unwrap();
    assert!(told.contains("limits.state_bytes"), "{told}");

    // With seven of eight gone to another instance there is room, however far over its limit the first was.
    let joined = Arc::new(Facts::default());
    let mut ample = deployment.clone();
    ample.settings.limits.state_bytes = None;
    ample.settings.workers = 7;
    let (other, _) = start(&ample, &joined);
    wait_until("the first goes on", PATIENCE, || facts.count("PartitionResumed") > 0);
    end(service);
    deployment.wait_handled(PATIENCE);
    end(other);
    assert_is_oracle(&deployment);
}

#[test]
#[ignore = "needs a broker"]
fn a_drain_sends_every_instance_away_until_it_is_withdrawn() {
    let deployment = Deployment::new("drain");
    let input = generated(9, 6_000);
    let (before, after) = input.split_at(3_000);
    deployment.produce(before);
    let mut processes =
        [deployment.spawn(&["kafka.instance_id=a"]), deployment.spawn(&["kafka.instance_id=b"])];
    deployment.wait_handled(PATIENCE);
    assert_eq!(ask(&deployment, &["drain"]).0, 0);
    let codes = processes.each_mut().map(|process| process.wait().code());
    assert_eq!(codes, [Some(0), Some(0)], "they leave by themselves");
    let drained = deployment.wait_committed("it stands", PATIENCE, |_| true);
    deployment.produce(after);
    let again = deployment.spawn(&[]).wait();
    assert_eq!(again.code(), Some(0), "one that starts again leaves again");
    assert_eq!(deployment.wait_committed("it stands", PATIENCE, |_| true), drained);
    assert_eq!(ask(&deployment, &["drain", "--withdraw"]).0, 0);
    let mut process = deployment.spawn(&[]);
    deployment.wait_handled(PATIENCE);
    assert_eq!(process.end("TERM").code(), Some(0));
    assert_is_oracle(&deployment);
}

#[test]
#[ignore = "needs a broker"]
fn ticks_are_the_same_after_a_rebalance_a_restart_and_a_replay() {
    let mut deployment = Deployment::new("same-ticks");
    deployment.settings.idle_after = Some(Duration::from_secs(2));
    // Without the tick at the end of the input: the service's own come instead.
    let mut input = generated(5, 3_000);
    input.pop();
    deployment.produce(&input);
    let lively = || deployment.produce(&[poison()]);
    let others = || {
        let ticked = ticked(&deployment).into_iter().map(|(partition, _)| partition);
        ticked.collect::<BTreeSet<i32>>()
    };
    let facts = Arc::new(Facts::default());
    let (service, _) = start(&deployment, &facts);
    wait_until("every idle clock has been advanced", PATIENCE, || {
        lively();
        others().len() == 7
    });
    assert!(!others().contains(&of_ada()), "a partition with traffic has its own clock");

    // Half of the partitions go to an instance of whose own none has traffic: the broker says that another has.
    let joined = Arc::new(Facts::default());
    let (other, _) = start(&deployment, &joined);
    wait_until("the second instance has partitions", PATIENCE, || {
        lively();
        joined.count("PartitionRestored") > 0
    });
    let count = ticked(&deployment).len();
    wait_until("clocks go on after the rebalance", PATIENCE, || {
        lively();
        count + 14 <= ticked(&deployment).len()
    });
    end(other);
    end(service);
    assert_is_oracle(&deployment);

    let facts = Arc::new(Facts::default());
    let (service, live) = start(&deployment, &facts);
    wait_until("every partition is back", PATIENCE, || {
        assert_eq!(facts.last("PartitionRefused"), None);
        facts.count("PartitionRestored") == 8
    });
    // Nobody has traffic any more: upstream is down, and no promise is broken by that.
    wait_until("the silence is seen", PATIENCE, || live.is_upstream_silent.load(Ordering::Relaxed));
    let silent = ticked(&deployment).len();
    let late = generated(6, 1_000);
    deployment.produce(&late[..late.len() - 1]);
    deployment.wait_handled(PATIENCE);
    wait_until("traffic is back", PATIENCE, || !live.is_upstream_silent.load(Ordering::Relaxed));
    assert!(silent <= ticked(&deployment).len());
    end(service);
    assert_is_oracle(&deployment);
}
