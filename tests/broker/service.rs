//! What the service publishes, whatever is done to its processes: what the oracle gives.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Deployment, Facts, Line, Published, Stored, assert_same, generated, recorded, reference_change,
    scenarios, tick, wait_until,
};
use goodfaith::engine::{Action, Effect, OutputBody, Reason};
use goodfaith::model::Catalogue;
use goodfaith::replay;
use goodfaith::wire::{self, Decision, Encoding};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the service until all is handled; what it told.
fn run(deployment: &Deployment) -> Arc<Facts> {
    let facts = Arc::new(Facts::default());
    let service = deployment.start(&facts);
    deployment.wait_handled(PATIENCE);
    service.stop();
    service.join().unwrap();
    facts
}

fn assert_is_oracle(deployment: &Deployment) -> Published {
    let (found, expected) = (deployment.published(), deployment.oracle());
    assert!(expected.count > 100, "{} records are too few to compare", expected.count);
    assert_same(&found, &expected);
    found
}

#[test]
#[ignore = "needs a broker"]
fn one_worker_and_four_publish_what_the_oracle_gives() {
    let input = generated(1, 100_000);
    let mut one = Deployment::new("one");
    one.produce(&input);
    let facts = run(&one);
    assert_eq!(facts.count("PartitionRestored"), 8);
    let published = assert_is_oracle(&one);

    let mut four = Deployment::new("four");
    (one.settings.workers, four.settings.workers) = (1, 4);
    four.produce(&input);
    run(&four);
    assert_same(&four.published(), &published);
}

#[test]
#[ignore = "needs a broker"]
fn a_run_publishes_what_a_replay_of_the_same_events_writes() {
    let mut deployment = Deployment::new("replay");
    deployment.settings.encoding = Encoding::StructuredJson;
    deployment.settings.workers = 2;
    let input = history();
    deployment.produce(&input);
    run(&deployment);
    let replayed = replayed(&input);
    assert!(replayed.len() > 100, "{} lines are too few to compare", replayed.len());
    let mut stored: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for topic in ["scores", "alerts", "loyalty", "evidence"] {
        for record in deployment.read(topic) {
            if let (Some(key), Some(value)) = (record.key, record.value) {
                let place = (topic, String::from_utf8(key).unwrap());
                stored.entry(place).or_default().push(String::from_utf8(value).unwrap());
            }
        }
    }
    for (place, lines) in &replayed {
        assert_eq!(stored.get(place), Some(lines), "{place:?}");
    }
    assert_eq!(stored.len(), replayed.len());
    assert_eq!(deployment.read("dead-letters").len(), 0);
}

/// The events of the file that `GOODFAITH_EVENTS` names (`examples/real-data.sh` does), or else generated ones.
fn history() -> Vec<Line> {
    let file = std::env::var_os("GOODFAITH_EVENTS");
    file.map_or_else(|| generated(4, 20_000), |file| recorded(file.as_ref()))
}

/// What `replay --partitions 8` writes for `input`, line by line, by topic and customer.
fn replayed(input: &[Line]) -> BTreeMap<(&'static str, String), Vec<String>> {
    let mut catalogue = Catalogue::default();
    let mut lines = Vec::new();
    for line in input {
        match line {
            Line::Reference(value) => catalogue.apply(&reference_change(value)),
            Line::Tick(value) | Line::Customer { value, .. } => lines.push(value.as_slice()),
        }
    }
    let options = replay::Options {
        catalogue: Arc::new(catalogue),
        partitions: NonZeroU32::new(8).unwrap(),
        audit: true,
        ..replay::Options::default()
    };
    let mut written: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let mut sink = |effect: &Effect| {
        // A dead letter and an erasure look different in files.
        if let Action::Publish(output) = &effect.action
            && !matches!(output.body, OutputBody::CustomerErased { .. })
        {
            let place = (output.stream().as_str(), output.customer.to_string());
            written.entry(place).or_default().extend(wire::file_line(effect).map(|(_, line)| line));
        }
        Ok(())
    };
    replay::run(&options, lines, None, &mut sink).unwrap();
    written
}

#[test]
#[ignore = "needs a broker"]
fn ticks_of_idle_partitions_are_restored_with_the_rest() {
    let mut deployment = Deployment::new("ticks");
    deployment.settings.idle_after = Some(Duration::from_secs(1));
    deployment.produce(&generated(5, 2_000));
    let facts = Arc::default();
    let service = deployment.start(&facts);
    // One partition has traffic, so upstream is alive and the clocks of the others go on without it.
    wait_until("an idle clock has been advanced", PATIENCE, || {
        let lively = Line::Customer { key: b"ada".to_vec(), value: b"traffic".to_vec() };
        deployment.produce(&[lively]);
        let ticks =
            deployment.decisions().into_iter().filter(|d| matches!(d, Decision::Tick { .. }));
        ticks.count() >= 7
    });
    service.stop();
    service.join().unwrap();
    let restored = Arc::new(Facts::default());
    let service = deployment.start(&restored);
    wait_until("every partition is back", PATIENCE, || {
        assert_eq!(restored.last("PartitionRefused"), None);
        restored.count("PartitionRestored") == 8
    });
    service.stop();
    service.join().unwrap();
}

#[test]
#[ignore = "needs a broker"]
fn a_restart_goes_on_where_the_last_commit_was() {
    let deployment = Deployment::new("restart");
    let input = scenarios(6_000);
    let (first, second) = input.split_at(3_000);
    deployment.produce(first);
    run(&deployment);
    deployment.produce(second);
    let facts = run(&deployment);
    assert_eq!(facts.count("PartitionRestored"), 8, "{:?}", facts.last("PartitionRefused"));
    assert_is_oracle(&deployment);
}

/// Puts a policy on the reference topic that `policy publish` would not.
fn publish(deployment: &Deployment, json: &str) {
    let value = format!(
        r#"{{"specversion":"1.0","id":"p","source":"/test","type":"io.goodfaith.policy.published.v1","time":"2020-01-01T00:00:00Z","data":{{"policy":{json}}}}}"#
    );
    deployment.produce(&[Line::Reference(value.into_bytes())]);
}

#[test]
#[ignore = "needs a broker"]
fn a_policy_published_in_flight_comes_into_force_everywhere_and_is_restored() {
    let mut deployment = Deployment::new("policy");
    deployment.settings.workers = 2;
    let input = scenarios(9_000);
    let (first, rest) = input.split_at(3_000);
    let (second, third) = rest.split_at(3_000);
    let facts = Arc::new(Facts::default());
    deployment.produce(first);
    let service = deployment.start(&facts);
    deployment.wait_handled(PATIENCE);
    deployment
        .publish("version = \"keen\"\nbase_rate = 0.4\noverpricing_tolerance = { share = 0 }");
    wait_until("it is in force on every partition", PATIENCE, || {
        facts.count("PolicyActivated") == 8
    });
    deployment.produce(second);
    deployment.wait_handled(PATIENCE);
    publish(&deployment, r#"{"version":"baked","dimensions":{"care":{"half_life_days":90}}}"#);
    wait_until("it is refused", PATIENCE, || facts.count("PolicyRefused") == 1);
    let told = facts.last("PolicyRefused").unwrap();
    assert!(told.contains("dimensions.care.half_life_days"), "{told}");
    service.stop();
    service.join().unwrap();

    deployment.produce(third);
    let again = run(&deployment);
    assert_eq!(again.count("PartitionRestored"), 8, "{:?}", again.last("PartitionRefused"));
    assert_eq!(again.count("PolicyActivated"), 0, "what was in force is so again");
    assert_eq!(again.count("PolicyRefused"), 1, "what was refused is so again");
    let activations = deployment.activations();
    assert_eq!(activations.values().map(Vec::len).collect::<Vec<_>>(), [1; 8]);
    assert_is_oracle(&deployment);
    let hash = |record: &Stored| record.header("gfpolicy").unwrap();
    let hashes: BTreeSet<String> = deployment.read("scores").iter().map(hash).collect();
    assert_eq!(hashes.len(), 2, "{hashes:?}");
}

#[test]
#[ignore = "needs a broker"]
fn an_erasure_has_its_receipt_and_leaves_tombstones_that_a_restart_keeps() {
    let deployment = Deployment::new("erase");
    deployment.produce(&scenarios(2_000));
    let mut process = deployment.spawn(&[]);
    deployment.wait_handled(PATIENCE);
    let arguments =
        ["erase", "amara-0", "--wait", "--timeout", "120", "--id", "gone", "--format", "json"];
    let receipt = deployment.ask(&arguments);
    assert!(receipt.contains(r#""done""#), "{receipt}");
    deployment.wait_handled(PATIENCE);
    assert_eq!(process.end("TERM").code(), Some(0));
    for topic in ["scores", "loyalty"] {
        let records = deployment.read(topic);
        let of_customer = |record: &&Stored| record.key.as_deref() == Some(b"amara-0");
        let last = records.iter().rev().find(of_customer).unwrap();
        assert_eq!(last.value, None, "{topic}");
    }
    // The same request once more, under the same id: refused, for the restored state still knows of the first.
    let erasure = deployment.read("events").into_iter().find(|record| {
        record
            .value
            .as_deref()
            .is_some_and(|value| value.escape_ascii().to_string().contains("gone"))
    });
    let value = erasure.unwrap().value.unwrap();
    deployment.produce(&[Line::Customer { key: b"amara-0".to_vec(), value }]);
    let facts = run(&deployment);
    assert_eq!(facts.count("DeadLettered"), 1);
    assert_is_oracle(&deployment);
}

fn total(offsets: &[i64]) -> i64 {
    offsets.iter().sum()
}

#[test]
#[ignore = "needs a broker"]
fn kills_in_the_middle_leave_no_trace() {
    let mut deployment = Deployment::new("kill");
    deployment.settings.workers = 2;
    let input = generated(2, 60_000);
    deployment.produce(&input);
    let all = input.iter().filter(|line| matches!(line, Line::Customer { .. })).count();
    let mut reached = 0;
    for _ in 0..3 {
        let mut process = deployment.spawn(&[]);
        // Any progress will do: a fixed step could lie behind the end of what there is.
        deployment.wait_committed("it has gone on", PATIENCE, |offsets| reached < total(offsets));
        let status = process.end("KILL");
        assert_eq!(status.code(), None, "it was killed: {status}");
        reached = total(&deployment.wait_committed("the offsets are known", PATIENCE, |_| true));
        assert!(reached < i64::try_from(all).unwrap(), "it was killed only when all was done");
    }
    let mut process = deployment.spawn(&[]);
    deployment.wait_handled(PATIENCE);
    assert_eq!(process.end("TERM").code(), Some(0));
    assert_is_oracle(&deployment);
}

#[test]
#[ignore = "needs a broker"]
fn a_stop_by_signal_commits_what_is_under_way() {
    let deployment = Deployment::new("term");
    deployment.produce(&generated(3, 20_000));
    let mut process = deployment.spawn(&[]);
    deployment.wait_committed("it is under way", PATIENCE, |offsets| 1_000 <= total(offsets));
    assert_eq!(process.end("TERM").code(), Some(0));
    // What is published is what is committed: read at once, with no transaction left open to wait for.
    let published = deployment.published();
    let mut again = deployment.spawn(&[]);
    deployment.wait_handled(PATIENCE);
    assert_eq!(again.end("TERM").code(), Some(0));
    let whole = assert_is_oracle(&deployment);
    assert!(published.count <= whole.count);
}

#[test]
#[ignore = "needs a broker"]
fn a_second_instance_joins_and_leaves_unnoticed() {
    let deployment = Deployment::new("join");
    let input = scenarios(9_000);
    let (first, rest) = input.split_at(3_000);
    let (second, third) = rest.split_at(3_000);
    let (facts, joined) = (Arc::default(), Arc::new(Facts::default()));
    deployment.produce(first);
    let stays = deployment.start(&facts);
    let leaves = deployment.start(&joined);
    deployment.produce(second);
    wait_until("the second instance has partitions", PATIENCE, || {
        joined.count("PartitionRestored") > 0
    });
    deployment.wait_handled(PATIENCE);
    leaves.stop();
    leaves.join().unwrap();
    deployment.produce(third);
    deployment.wait_handled(PATIENCE);
    stays.stop();
    stays.join().unwrap();
    assert_is_oracle(&deployment);
}

#[test]
#[ignore = "needs a broker"]
fn a_fenced_producer_is_replaced_and_nothing_is_lost_or_doubled() {
    let mut deployment = Deployment::new("fence");
    deployment.settings.instance_id = Some("a".to_owned());
    let input = scenarios(8_000);
    deployment.produce(&input[..100]);
    let facts = Arc::default();
    let service = deployment.start(&facts);
    for part in input[100..].chunks(2_000) {
        deployment.produce(part);
        // A zombie of the same name: it aborts the open transaction and fences the service's producer in the middle of it.
        let fences = facts.count("ProducerRetired");
        wait_until("the producer is retired", PATIENCE, || {
            let zombie: BaseProducer = deployment
                .client()
                .set("transactional.id", format!("{}/a/0", deployment.settings.group_id))
                .create()
                .unwrap();
            zombie.init_transactions(Duration::from_secs(10)).unwrap();
            deployment.produce(&[tick("2020-01-01T00:00:00Z")]);
            facts.count("ProducerRetired") > fences
        });
    }
    deployment.wait_handled(PATIENCE);
    service.stop();
    service.join().unwrap();
    assert!(facts.count("TransactionSettled") > 0);
    assert_is_oracle(&deployment);
}

#[test]
#[ignore = "needs a broker"]
fn a_log_that_lost_its_beginning_is_refused() {
    let deployment = Deployment::new("truncated");
    deployment.produce(&scenarios(500));
    run(&deployment);
    deployment.delete_records(1);
    let facts = Arc::default();
    let service = deployment.start(&facts);
    wait_until("every partition is refused", PATIENCE, || facts.count("PartitionRefused") == 8);
    service.stop();
    service.join().unwrap();
    let told = facts.last("PartitionRefused").unwrap();
    assert!(told.contains("retention.ms") && told.contains("retention.bytes"), "{told}");
    assert_eq!(facts.count("PartitionRestored"), 0);
}

#[test]
#[ignore = "needs a broker"]
fn a_poison_record_of_each_kind_is_set_aside_once() {
    let deployment = Deployment::new("poison");
    let poison = poison();
    // Two customers to be refused about: one who is known, and one who asked to be forgotten.
    deployment.produce(&[known(), forgotten()]);
    for (_, line) in &poison {
        deployment.produce(std::slice::from_ref(line));
    }
    deployment.produce(&[tick("2026-01-01T00:00:00Z")]);
    let facts = run(&deployment);
    let set_aside = deployment.read("dead-letters");
    for (reason, line) in &poison {
        let Line::Customer { value, .. } = line else { continue };
        let found: Vec<_> = set_aside
            .iter()
            .filter(|record| record.header("reason").as_deref() == Some(reason.as_str()))
            .collect();
        assert_eq!(found.len(), 1, "{reason}");
        assert_eq!(found[0].value.as_deref(), Some(value.as_slice()), "{reason}");
    }
    assert_eq!(set_aside.len(), poison.len());
    assert_eq!(facts.count("DeadLettered"), poison.len());
    assert_same(&deployment.published(), &deployment.oracle());
}

#[test]
#[ignore = "needs a broker"]
fn poison_too_large_too_deep_or_not_of_this_world_is_set_aside_once_and_takes_no_gigabyte() {
    let deployment = Deployment::new("bulk");
    let process = deployment.spawn(&[]);
    deployment.produce(&[known()]);
    let bulk = bulk();
    // One batch each, a few kilobytes however much they hold.
    let producer: BaseProducer = deployment
        .client()
        .set("compression.type", "zstd")
        .set("message.max.bytes", "100000000")
        .create()
        .unwrap();
    let topic = deployment.topic("events");
    for (_, value) in &bulk {
        let record = BaseRecord::to(&topic).key("ada").payload(value);
        producer.send(record).unwrap();
        producer.flush(PATIENCE).unwrap();
    }
    deployment.produce(&[tick("2026-01-01T00:00:00Z")]);
    deployment.wait_handled(PATIENCE);
    let set_aside = deployment.read("dead-letters");
    let told: Vec<_> = set_aside.iter().map(|record| record.header("reason").unwrap()).collect();
    let reasons: Vec<_> = bulk.iter().map(|(reason, _)| reason.as_str().to_owned()).collect();
    assert_eq!(told, reasons);
    let is_kept = |(record, (_, value)): (&Stored, &(Reason, Vec<u8>))| {
        let is_excerpt = value.len() > 10_000_000;
        let kept = if is_excerpt { &value[..65_536] } else { value };
        let sizes = is_excerpt.then(|| format!("key=3 value={} headers=0", value.len()));
        record.value.as_deref() == Some(kept) && record.header("truncated") == sizes
    };
    let are_kept = set_aside.iter().zip(&bulk).all(is_kept);
    assert!(are_kept, "a dead letter has all of its record, unless that is too large");
    assert_same(&deployment.published(), &deployment.oracle());
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    assert!(peak_kib < 1 << 20, "{peak_kib} KiB resident at most");
}

/// Records that are more than they seem, and why each is set aside.
fn bulk() -> Vec<(Reason, Vec<u8>)> {
    let event = |time: &str, data: &[u8]| {
        let envelope = format!(
            r#"{{"specversion":"1.0","id":"bulk","source":"/test","type":"io.goodfaith.service.delivered.v1","subject":"ada","time":"{time}","data":"#
        );
        [envelope.as_bytes(), data, b"}"].concat()
    };
    let now = "2025-01-02T00:00:00Z";
    let text = |bytes: Vec<u8>| [br#"{"ref":""#, bytes.as_slice(), br#""}"#].concat();
    let deep = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
    const MEGABYTE: usize = 1 << 20;
    vec![
        (Reason::BadData, event(now, &text(vec![b'a'; MEGABYTE]))),
        (Reason::NotJson, event(now, &deep(10_000))),
        (Reason::NotJson, event(now, &deep(4 * MEGABYTE))),
        // What does not begin as an object is read as Protobuf.
        (Reason::NotProtobuf, vec![b'['; 8 * MEGABYTE]),
        (Reason::NotProtobuf, [vec![b' '; 8 * MEGABYTE], b"x".to_vec()].concat()),
        (Reason::NotJson, event(now, &text(b"\xc3\x28".to_vec()))),
        (Reason::NotProtobuf, [&b"\x0a\x02"[..], b"\xc3\x28"].concat()),
        (Reason::NotProtobuf, vec![0xff; 8 * MEGABYTE]),
        (Reason::NotProtobuf, vec![0xff; 16 * MEGABYTE]),
        // Later than an event time can be.
        (Reason::BadEnvelope, event("9999-12-31T23:59:59Z", br#"{"ref":"r"}"#)),
        (Reason::BadEnvelope, event("10000-01-01T00:00:00Z", br#"{"ref":"r"}"#)),
        (Reason::BadEnvelope, event("-0001-01-01T00:00:00Z", br#"{"ref":"r"}"#)),
    ]
}

/// One record for every reason that makes one a dead letter.
fn poison() -> Vec<(Reason, Line)> {
    let event = |subject: &str, kind: &str, time: &str, data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{kind}-{time}","source":"/test","type":"io.goodfaith.{kind}.v1","subject":"{subject}","time":"{time}","data":{data}}}"#
        )
        .into_bytes()
    };
    let ada = |kind: &str, time: &str, data: &str| event("ada", kind, time, data);
    let delivered = r#"{"ref":"r"}"#;
    let line = |value: Vec<u8>| Line::Customer { key: b"ada".to_vec(), value };
    let text = |value: Vec<u8>, from: &str, to: &str| {
        String::from_utf8(value).unwrap().replace(from, to).into_bytes()
    };
    let good = || ada("service.delivered", "2025-01-01T00:00:00Z", delivered);
    let erased = event("eve", "service.delivered", "2024-01-01T00:00:00Z", delivered);
    let all = vec![
        (Reason::NotJson, line(b"{\"specversion\":".to_vec())),
        (Reason::BadFraming, line(b"\0\0".to_vec())),
        (Reason::NotProtobuf, line(b"\xff\xff\xff".to_vec())),
        (
            Reason::BadEnvelope,
            line(text(good(), r#""id":"service.delivered-2025-01-01T00:00:00Z","#, "")),
        ),
        (Reason::OwnOutput, line(text(good(), "/test", "/goodfaith"))),
        (Reason::UnknownType, line(ada("weather.changed", "2025-01-01T00:00:00Z", "{}"))),
        (Reason::BadData, line(ada("service.delivered", "2025-01-01T00:00:00Z", "{}"))),
        (Reason::TimeInFuture, line(ada("service.delivered", "2199-01-01T00:00:00Z", delivered))),
        (Reason::KeyMismatch, Line::Customer { key: b"bob".to_vec(), value: good() }),
        (
            Reason::MisplacedReference,
            line(ada("plan.withdrawn", "2025-01-01T00:00:00Z", r#"{"plan_id":"p"}"#)),
        ),
        (Reason::Erased, Line::Customer { key: b"eve".to_vec(), value: erased }),
        (Reason::TooLate, line(ada("service.delivered", "2023-01-01T00:00:00Z", delivered))),
        (
            Reason::UnknownEvidence,
            line(ada("retraction.requested", "2025-01-02T00:00:00Z", r#"{"evidence_id":"none"}"#)),
        ),
        (
            Reason::UnknownSqueeze,
            line(ada(
                "suppression.requested",
                "2025-01-02T00:00:00Z",
                r#"{"dedup_key":"none","reason":"x","actor":"y","until":"2025-02-01T00:00:00Z"}"#,
            )),
        ),
    ];
    assert_eq!(all.len(), Reason::ALL.len(), "one of each");
    all
}

fn known() -> Line {
    let value = br#"{"specversion":"1.0","id":"known","source":"/test","type":"io.goodfaith.service.delivered.v1","subject":"ada","time":"2025-01-01T12:00:00Z","data":{"ref":"first"}}"#;
    Line::Customer { key: b"ada".to_vec(), value: value.to_vec() }
}

fn forgotten() -> Line {
    let value = br#"{"specversion":"1.0","id":"forgotten","source":"/test","type":"io.goodfaith.erasure.requested.v1","subject":"eve","time":"2025-01-01T12:00:00Z"}"#;
    Line::Customer { key: b"eve".to_vec(), value: value.to_vec() }
}
