//! What an operator does about a deployment, by the commands as typed: dead letters looked at and sent again, state thrown away and scored
//! anew.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Deployment, Facts, Line, OUTPUTS, PARTITIONS, Published, Stored, assert_same, generated,
    scenarios, scoring, wait_until,
};
use goodfaith::kafka::{Delivery, Scoring};
use goodfaith::model::Policy;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the service until all is handled; no partition may be refused.
fn run(deployment: &Deployment, scoring: Scoring) {
    let facts = Arc::new(Facts::default());
    let service = deployment.start_with(scoring, &facts);
    wait_until("every partition is served", PATIENCE, || {
        assert_eq!(facts.last("PartitionRefused"), None);
        facts.count("PartitionRestored") == 8
    });
    wait_read(deployment);
    service.stop();
    service.join().unwrap();
}

/// Waits until every record of the events topic is handled. A retry's transaction ends with a marker, which no offset is committed
/// behind.
fn wait_read(deployment: &Deployment) {
    let mut ends = vec![0; 8];
    for record in deployment.read("events") {
        ends[usize::try_from(record.partition).unwrap()] = record.offset + 1;
    }
    deployment.wait_committed("every record is handled", PATIENCE, |offsets| {
        offsets.iter().zip(&ends).all(|(offset, end)| end <= offset)
    });
}

/// A command as typed.
fn command(deployment: &Deployment, arguments: &[&str]) -> Command {
    let settings = &deployment.settings;
    let mut command = Command::new(env!("CARGO_BIN_EXE_goodfaith"));
    command
        .args(arguments)
        .args(["--set", &format!("kafka.bootstrap_servers={}", settings.bootstrap_servers)])
        .args(["--set", &format!("kafka.topic_prefix={}", settings.prefix)])
        .args(["--set", &format!("kafka.group_id={}", settings.group_id)])
        .args(["--set", "snapshot.enabled=false"]);
    command
}

/// Runs a command as typed; its exit code, stdout and stderr.
fn typed(deployment: &Deployment, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(deployment, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// The lines of JSON that a command prints, which must end well.
fn json(deployment: &Deployment, arguments: &[&str]) -> Vec<Value> {
    let (code, stdout, stderr) = typed(deployment, &[arguments, &["--format", "json"]].concat());
    assert_eq!(code, 0, "{stderr}");
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn event(id: &str, kind: &str, time: &str, data: &str) -> Vec<u8> {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/test","type":"io.goodfaith.{kind}.v1","subject":"ada","time":"{time}","data":{data}}}"#
    )
    .into_bytes()
}

fn of_ada(value: Vec<u8>) -> Line {
    Line::Customer { key: b"ada".to_vec(), value }
}

/// A command that names nothing yet: a dead letter that is worth a retry later.
fn early(id: &str, evidence_id: &str) -> Vec<u8> {
    let data = format!(r#"{{"evidence_id":"{evidence_id}"}}"#);
    event(id, "retraction.requested", "2025-01-05T00:00:00Z", &data)
}

/// Writes one record to a partition of the events topic as it is, headers and all.
fn produce_raw(
    deployment: &Deployment,
    partition: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&str, Option<&[u8]>)],
) {
    let producer: BaseProducer = deployment.client().create().unwrap();
    let topic = deployment.topic("events");
    let mut record = BaseRecord::<[u8], [u8]>::to(&topic).partition(partition);
    (record.key, record.payload) = (key, value);
    let owned = headers
        .iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: *value }));
    record.headers = Some(owned);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(Duration::from_secs(60)).unwrap();
}

#[test]
#[ignore = "needs a broker"]
fn dead_letters_are_listed_by_reason_time_and_source_without_naming_anybody() {
    let deployment = Deployment::new("list");
    let delivered = |id| event(id, "service.delivered", "2025-01-01T00:00:00Z", r#"{"ref":"r"}"#);
    deployment.produce(&[of_ada(delivered("good"))]);
    for id in 0..3 {
        deployment.produce(&[of_ada(event(
            &id.to_string(),
            "service.delivered",
            "2025-01-01T00:00:00Z",
            "{}",
        ))]);
    }
    deployment.produce(&[of_ada(early("early", "none")), of_ada(b"\x1b[2J".to_vec())]);
    run(&deployment, scoring());

    let all = json(&deployment, &["dlq", "list"]);
    let reasons: Vec<&str> = all.iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        ["bad_data", "bad_data", "bad_data", "unknown_evidence", "not_protobuf"],
        "newest last"
    );
    assert!(all.iter().all(|row| row.get("key").is_none() && row.get("value").is_none()));
    let (_, shown, told) = typed(&deployment, &["dlq", "list"]);
    assert!(!shown.contains("ada") && shown.starts_with("PLACE"), "{shown}");
    assert!(told.contains("5 dead letters"), "{told}");
    assert_eq!(json(&deployment, &["dlq", "list", "--keys"])[0]["key"], "ada");

    let count =
        |arguments: &[&str]| json(&deployment, &[&["dlq", "list"], arguments].concat()).len();
    assert_eq!(count(&["--reason", "bad_data"]), 3);
    assert_eq!(count(&["--reason", "bad_data", "--reason", "not_protobuf"]), 4);
    assert_eq!(count(&["--limit", "2"]), 2);
    assert_eq!(count(&["--since", "1h"]), 5);
    assert_eq!(count(&["--until", "1h"]), 0);
    let third = &all[2];
    let (since, partition) = (third["arrived"].as_str().unwrap(), &third["source"]["partition"]);
    assert!((3..=5).contains(&count(&["--since", since])));
    let offset = third["source"]["offset"].as_i64().unwrap();
    assert_eq!(count(&["--source", &format!("{partition}/{offset}-{}", offset + 1)]), 2);
    let by_reason = json(&deployment, &["dlq", "list", "--count"]);
    let told: BTreeMap<&str, u64> = by_reason
        .iter()
        .map(|row| (row["reason"].as_str().unwrap(), row["letters"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [("bad_data", 3), ("not_protobuf", 1), ("unknown_evidence", 1)].into());

    let place = all[4]["place"].as_str().unwrap();
    let shown = json(&deployment, &["dlq", "show", place]).remove(0);
    assert_eq!((&shown["key"], &shown["bytes"]), (&"ada".into(), &4.into()));
    let (code, text, _) = typed(&deployment, &["dlq", "show", place]);
    assert!(code == 0 && text.contains("4 bytes as hex:\n1b5b324a"), "{text}");
    assert_eq!(typed(&deployment, &["dlq", "show", place, "--raw"]).1, "\x1b[2J");
    let (code, _, told) = typed(&deployment, &["dlq", "show", "0/99999"]);
    assert!(code == 2 && told.contains("holds offsets"), "{told}");
    let (code, _, told) = typed(&deployment, &["dlq", "list", "--reason", "worse"]);
    assert!(code == 2 && told.contains("too_late"), "{told}");
}

/// The records of the events topic that were sent again.
fn redriven(deployment: &Deployment) -> Vec<Stored> {
    let events = deployment.read("events");
    events.into_iter().filter(|record| record.header("gfredrive").is_some()).collect()
}

#[test]
#[ignore = "needs a broker"]
fn a_retry_sends_the_same_bytes_to_the_same_partition_and_no_letter_twice() {
    let deployment = Deployment::new("retry");
    let binary: [(&str, Option<&[u8]>); 4] = [
        ("reason", Some(b"mine")),
        ("trace", Some(b"\xff\0")),
        ("none", None),
        ("gfsource", Some(b"elsewhere")),
    ];
    // On a partition its key does not belong to, without value and without key: nothing may be made up.
    produce_raw(&deployment, 5, Some(b"ada"), Some(b"\xff\xfe"), &binary);
    produce_raw(&deployment, 6, None, None, &binary[1..3]);
    produce_raw(&deployment, 6, Some(b""), Some(b""), &[]);
    deployment.produce(&[of_ada(event("late", "weather.changed", "2025-01-01T00:00:00Z", "{}"))]);
    run(&deployment, scoring());
    let before = deployment.read("events");
    assert_eq!(deployment.read("dead-letters").len(), 4);

    let plan = json(&deployment, &["dlq", "retry"]).remove(0);
    assert_eq!((&plan["executed"], &plan["selected"]), (&false.into(), &4.into()));
    assert_eq!(plan["topic"], deployment.topic("events"));
    assert_eq!(deployment.read("events").len(), before.len(), "a plan sends nothing");

    let first = json(&deployment, &["dlq", "retry", "--execute", "--limit", "1"]).remove(0);
    assert_eq!(first["sent"], 1);
    let rest = json(&deployment, &["dlq", "retry", "--execute"]).remove(0);
    assert_eq!(rest["sent"], 3, "it goes on behind the first");
    let again = json(&deployment, &["dlq", "retry", "--execute"]).remove(0);
    assert_eq!(
        (&again["sent"], &again["left"][0]["because"]),
        (&0.into(), &"sent by this retry before; --again sends them once more".into())
    );

    let sent = redriven(&deployment);
    assert_eq!(sent.len(), 4);
    let told = |record: &Stored| {
        let own = |(name, _): &&(String, Option<Vec<u8>>)| name != "gfredrive";
        let headers: Vec<_> = record.headers.iter().filter(own).cloned().collect();
        (record.partition, record.key.clone(), record.value.clone(), headers)
    };
    let (mut found, mut expected): (Vec<_>, Vec<_>) =
        (sent.iter().map(told).collect(), before.iter().map(told).collect());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(deployment.read("dead-letters").len(), 4, "nothing is deleted");
}

#[test]
#[ignore = "needs a broker"]
fn a_retry_killed_in_the_middle_goes_on_where_it_was() {
    let mut deployment = Deployment::new("killed");
    // Nothing but bad records: none of them shall stop it.
    deployment.settings.limits.dead_letters.share = 1.0;
    let count = 20_000;
    let bad = |n: u32| {
        let value = event(&n.to_string(), "weather.changed", "2025-01-01T00:00:00Z", "{}");
        Line::Customer { key: (n % 100).to_string().into_bytes(), value }
    };
    deployment.produce(&(0..count).map(bad).collect::<Vec<_>>());
    run(&deployment, scoring());
    let before = end_of_events(&deployment);

    let arguments = ["dlq", "retry", "--reason", "unknown_type", "--execute"];
    let mut retry = command(&deployment, &arguments).stdout(Stdio::null()).spawn().unwrap();
    wait_until("some are sent", PATIENCE, || before < end_of_events(&deployment));
    retry.kill().unwrap();
    assert_eq!(retry.wait().unwrap().code(), None, "it was killed only when all was done");
    let sent = redriven(&deployment).len();
    let rest = json(&deployment, &arguments).remove(0);
    assert_eq!(rest["sent"], count as usize - sent, "{sent} were sent before");

    let events = deployment.read("events");
    let (sent, original): (Vec<_>, Vec<_>) =
        events.iter().partition(|record| record.header("gfredrive").is_some());
    let by_key = |records: Vec<&Stored>| {
        let mut values: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for Stored { partition, key, value, .. } in records {
            values.entry((*partition, key.clone())).or_default().push(value.clone());
        }
        values
    };
    assert!(by_key(sent) == by_key(original), "each was sent once, in order");
}

/// Offsets of the events topic that are certain.
fn end_of_events(deployment: &Deployment) -> i64 {
    let reader: BaseConsumer = deployment.client().create().unwrap();
    let end = |partition| {
        reader.fetch_watermarks(&deployment.topic("events"), partition, PATIENCE).unwrap().1
    };
    (0..PARTITIONS).map(end).sum()
}

#[test]
#[ignore = "needs a broker"]
fn a_record_that_fails_for_ever_goes_round_three_times_and_no_more() {
    let deployment = Deployment::new("redrive");
    deployment.produce(&[of_ada(event("a", "weather.changed", "2025-01-01T00:00:00Z", "{}"))]);
    for round in 0..4 {
        run(&deployment, scoring());
        let letters = deployment.read("dead-letters");
        assert_eq!(letters.len(), round + 1, "set aside once a round");
        let arguments = ["dlq", "retry", "--reason", "unknown_type", "--execute"];
        let (code, stdout, stderr) = typed(&deployment, &arguments);
        if round < 3 {
            // What was sent before stays sent: only the letter that came back goes again.
            assert!(code == 0 && stdout.starts_with("Sent 1 dead letters"), "{stdout}{stderr}");
        } else {
            assert_eq!(code, 1, "{stdout}");
            assert!(stdout.contains("sent again 3 times already, which is the most"), "{stdout}");
        }
    }
    let counts: Vec<_> =
        redriven(&deployment).iter().map(|record| record.header("gfredrive").unwrap()).collect();
    assert_eq!(counts, ["1", "2", "3"]);
    // Named by its place it is refused too, and nothing is left of the refusal but a word.
    let newest = json(&deployment, &["dlq", "list", "--limit", "1"]).remove(0);
    let place = newest["place"].as_str().unwrap();
    let (code, stdout, _) = typed(&deployment, &["dlq", "retry", place, "--execute"]);
    assert!(code == 1 && stdout.contains("refused"), "{stdout}");
    assert_eq!(redriven(&deployment).len(), 3);
}

#[test]
#[ignore = "needs a broker"]
fn a_record_retried_in_time_is_accepted_and_a_second_copy_is_a_duplicate() {
    let deployment = Deployment::new("accepted");
    let delivered = || {
        let data = r#"{"ref":"r","right_first_time":true}"#;
        of_ada(event("d", "service.delivered", "2025-01-01T00:00:00Z", data))
    };
    deployment.produce(&[delivered()]);
    run(&deployment, scoring());
    let evidence = deployment.read("evidence");
    let found = evidence.iter().find_map(|record| {
        let value: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
        value["evidence_id"].as_str().map(str::to_owned)
    });
    let id = found.expect("a delivery is evidence");

    // A command that overtook what it names: elsewhere, where that is known to have happened.
    let other = Deployment::new("overtaken");
    other.produce(&[of_ada(early("undo", &id))]);
    run(&other, scoring());
    other.produce(&[delivered()]);
    run(&other, scoring());
    assert_eq!(other.read("dead-letters").len(), 1);
    let sent = json(&other, &["dlq", "retry", "--reason", "unknown_evidence", "--execute"]);
    assert_eq!(sent[0]["sent"], 1);
    let place = json(&other, &["dlq", "list"])[0]["place"].as_str().unwrap().to_owned();
    let again = json(&other, &["dlq", "retry", &place, "--execute"]);
    assert_eq!(again[0]["sent"], 1, "another selection knows nothing of the first");
    run(&other, scoring());
    assert_eq!(other.read("dead-letters").len(), 1, "both were read, and neither set aside");
    assert_same(&other.published(), &other.oracle());
}

#[test]
#[ignore = "needs a broker"]
fn what_would_be_refused_again_is_left_unless_it_is_named() {
    let deployment = Deployment::new("hopeless");
    let delivered = |id, time| event(id, "service.delivered", time, r#"{"ref":"r"}"#);
    deployment.produce(&[
        of_ada(delivered("now", "2025-06-01T00:00:00Z")),
        of_ada(delivered("then", "2022-01-01T00:00:00Z")),
    ]);
    run(&deployment, scoring());
    let plan = json(&deployment, &["dlq", "retry"]).remove(0);
    assert_eq!((&plan["selected"], &plan["left"][0]["reason"]), (&0.into(), &"too_late".into()));
    let (_, text, _) = typed(&deployment, &["dlq", "retry"]);
    assert!(text.contains("a customer's clock never goes back"), "{text}");
    let named = json(&deployment, &["dlq", "retry", "--reason", "too_late"]).remove(0);
    assert_eq!(named["selected"], 1);
}

/// Where the outputs end now, by topic and partition.
fn ends(deployment: &Deployment) -> BTreeMap<(&'static str, i32), i64> {
    let reader: BaseConsumer = deployment.client().create().unwrap();
    let end = |topic, partition| {
        reader.fetch_watermarks(&deployment.topic(topic), partition, PATIENCE).unwrap().1
    };
    OUTPUTS
        .into_iter()
        .flat_map(|topic| (0..PARTITIONS).map(move |partition| (topic, partition)))
        .map(|place| (place, end(place.0, place.1)))
        .collect()
}

/// What was published from `start` on.
fn published_since(
    deployment: &Deployment,
    start: &BTreeMap<(&'static str, i32), i64>,
) -> Published {
    deployment.published_where(|topic, record| start[&(topic, record.partition)] <= record.offset)
}

/// Asks for a reset until the group is empty: the broker may take a moment to see members leave.
fn reset(deployment: &Deployment, more: &[&str]) -> String {
    let arguments = [&["reset", "--execute"], more].concat();
    let mut told = String::new();
    wait_until("the group is empty", PATIENCE, || {
        let (code, stdout, stderr) = typed(deployment, &arguments);
        assert!(code == 0 || stdout.contains("has members"), "{stdout}{stderr}");
        told = stdout;
        code == 0
    });
    told
}

/// Nothing a reader of the outputs would hold is left.
fn assert_cleared(deployment: &Deployment) {
    for topic in OUTPUTS {
        let mut last: BTreeMap<(i32, Option<Vec<u8>>), bool> = BTreeMap::new();
        for record in deployment.read(topic) {
            last.insert((record.partition, record.key), record.value.is_some());
        }
        assert!(last.values().all(|has_value| !has_value), "{topic}");
        let is_kept_by_age = ["alerts", "evidence", "dead-letters"].contains(&topic);
        assert!(!is_kept_by_age || last.is_empty(), "{topic}");
    }
    assert_eq!(deployment.read("journal").len(), 0);
}

#[test]
#[ignore = "needs a broker"]
fn after_a_reset_a_run_publishes_what_it_published_before() {
    let deployment = Deployment::new("reset");
    deployment.produce(&generated(7, 20_000));
    deployment.produce(&[of_ada(b"not an event".to_vec())]);
    run(&deployment, scoring());
    let before = deployment.published();
    let (events, reference) = (deployment.read("events").len(), deployment.read("reference").len());
    assert!(before.count > 100, "{} records are too few to compare", before.count);

    let (code, plan, _) = typed(&deployment, &["reset"]);
    assert!(plan.contains("a plan, nothing is changed") || code == 1, "{plan}");
    assert_same(&deployment.published(), &before);
    let done = reset(&deployment, &[]);
    assert!(done.contains("done.") && done.contains("a tombstone for each key"), "{done}");
    assert_cleared(&deployment);
    assert_eq!(
        (deployment.read("events").len(), deployment.read("reference").len()),
        (events, reference)
    );

    let start = ends(&deployment);
    run(&deployment, scoring());
    assert_same(&published_since(&deployment, &start), &before);
}

#[test]
#[ignore = "needs a broker"]
fn a_reset_carries_a_deployment_to_another_half_life() {
    let deployment = Deployment::new("halflife");
    deployment.produce(&scenarios(3_000));
    run(&deployment, scoring());
    let toml = "version = \"slow\"\n[dimensions.care]\nhalf_life_days = 90";
    let slow = || Scoring { policy: Arc::new(Policy::from_toml(toml).unwrap()), ..scoring() };
    let facts = Arc::new(Facts::default());
    let service = deployment.start_with(slow(), &facts);
    wait_until("every partition is refused", PATIENCE, || facts.count("PartitionRefused") == 8);
    service.stop();
    service.join().unwrap();
    let told = facts.last("PartitionRefused").unwrap();
    assert!(told.contains("goodfaith reset"), "{told}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("slow.toml");
    fs::write(&file, toml).unwrap();
    let done = reset(&deployment, &["--set", &format!("policy.file={}", file.display())]);
    assert!(
        done.contains("anew with policy slow") && done.contains("begun with generic-1"),
        "{done}"
    );
    let start = ends(&deployment);
    run(&deployment, slow());

    // The same as a deployment that never knew another policy.
    let fresh = Deployment::new("slow");
    fresh.produce(&scenarios(3_000));
    run(&fresh, slow());
    assert_same(&published_since(&deployment, &start), &fresh.published());
}

#[test]
#[ignore = "needs a broker"]
fn a_group_with_members_is_left_alone() {
    let deployment = Deployment::new("members");
    deployment.produce(&scenarios(500));
    let facts = Arc::new(Facts::default());
    let service = deployment.start_with(scoring(), &facts);
    deployment.wait_handled(PATIENCE);
    let before = deployment.published();
    let (code, told, _) = typed(&deployment, &["reset", "--execute"]);
    assert!(
        code == 1 && told.contains("has members") && told.contains("nothing is changed"),
        "{told}"
    );
    assert_same(&deployment.published(), &before);
    service.stop();
    service.join().unwrap();
    run(&deployment, scoring());
}

/// Puts the mark of a reset on every partition, as one does that is killed right after its first step.
fn hold(deployment: &Deployment) {
    let outsider: BaseConsumer =
        deployment.client().set("group.id", &deployment.settings.group_id).create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let mut element = list.add_partition(&deployment.topic("events"), partition);
        element.set_offset(Offset::Offset(0)).unwrap();
        element.set_metadata(goodfaith::wire::RESET_MARK);
    }
    // Refused until the broker has seen the last member leave.
    wait_until("the group is empty", PATIENCE, || outsider.commit(&list, CommitMode::Sync).is_ok());
}

#[test]
#[ignore = "needs a broker"]
fn a_reset_cut_off_anywhere_refuses_every_service_until_it_is_completed() {
    let deployment = Deployment::new("cutoff");
    deployment.produce(&scenarios(2_000));
    run(&deployment, scoring());
    let before = deployment.published();

    // Killed after the first step: all is still there.
    hold(&deployment);
    assert_refused(&deployment);
    let mut at_least_once = deployment.clone();
    at_least_once.settings.delivery = Delivery::AtLeastOnce;
    assert_refused(&at_least_once);
    assert_same(&deployment.published(), &before);
    // Killed while outputs are cleared, or the journal was emptied and the group not yet deleted.
    for topic in ["alerts", "journal"] {
        deployment.delete_all(topic);
        assert_refused(&deployment);
    }
    let plan = json_either(&deployment, &["reset"]);
    assert_eq!(plan["cut_off_before"], true);
    reset(&deployment, &[]);
    assert_cleared(&deployment);
    // Once more changes nothing.
    reset(&deployment, &[]);
    assert_cleared(&deployment);
    let start = ends(&deployment);
    run(&deployment, scoring());
    assert_same(&published_since(&deployment, &start), &before);
}

/// What a command prints, though its exit code says that something stands in the way.
fn json_either(deployment: &Deployment, arguments: &[&str]) -> Value {
    let (_, stdout, stderr) = typed(deployment, &[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"))
}

/// A service that is started serves nothing, and says why; under it the reset cannot be completed.
fn assert_refused(deployment: &Deployment) {
    let facts = Arc::new(Facts::default());
    let service = deployment.start_with(scoring(), &facts);
    wait_until("every partition is refused", PATIENCE, || facts.count("PartitionRefused") == 8);
    let told = facts.last("PartitionRefused").unwrap();
    assert!(told.contains("goodfaith reset --execute"), "{told}");
    assert_eq!(facts.count("PartitionRestored"), 0);
    let (code, stdout, _) = typed(deployment, &["reset", "--execute"]);
    assert!(code == 1 && stdout.contains("has members"), "{stdout}");
    service.stop();
    service.join().unwrap();
}

#[test]
#[ignore = "needs a broker"]
fn a_log_that_lost_its_beginning_is_reset_only_if_that_is_accepted() {
    let deployment = Deployment::new("lost");
    deployment.produce(&scenarios(500));
    run(&deployment, scoring());
    deployment.delete_records(1);
    wait_until("the group is empty", PATIENCE, || {
        let plan = json_either(&deployment, &["reset"]);
        let obstacles = plan["obstacles"].as_array().unwrap().len();
        obstacles == 1 && plan["lost"].as_array().unwrap().len() == 8
    });
    let (code, told, _) = typed(&deployment, &["reset", "--execute"]);
    assert!(code == 1 && told.contains("--partial begins with what is left"), "{told}");
    reset(&deployment, &["--partial"]);
    run(&deployment, scoring());
}
