//! `goodfaith organisation` from the outside: a replay's roll-ups in, a report out.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use goodfaith::kafka::{EmbeddedBroker, TopicWriter};
use serde_json::Value;

fn goodfaith(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goodfaith"));
    command.current_dir(folder).args(arguments);
    command
}

/// Replays a generated telecom of `partitions` into `out`.
fn replay(folder: &Path, partitions: &str, out: &str) {
    goodfaith(
        folder,
        &[
            "replay",
            "--events",
            "e.ndjson",
            "--organisation",
            "--partitions",
            partitions,
            "--out",
            out,
        ],
    )
    .assert()
    .success();
}

fn report(folder: &Path, arguments: &[&str]) -> Value {
    let all = [&["organisation", "--format", "json"], arguments].concat();
    let done = goodfaith(folder, &all).assert().success();
    serde_json::from_slice(&done.get_output().stdout).unwrap()
}

fn generated() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["gen", "--seed", "3", "--customers", "60", "--events", "4000", "--out", "e.ndjson"];
    goodfaith(folder.path(), &arguments).assert().success();
    replay(folder.path(), "1", "one");
    folder
}

#[test]
fn a_replay_is_read_whole_whatever_it_left_out_of_sight() {
    let folder = generated();
    fs::write(folder.path().join("p.toml"), "[values]\nfun = []\n").unwrap();
    let report = report(folder.path(), &["--from", "one", "--policy", "p.toml"]);
    let index = &report["index"];
    let counted: i64 =
        index["histogram"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).sum();
    assert_eq!(index["customers"].as_i64(), Some(counted));
    assert!(counted > 0);
    let units = report["units"].as_array().unwrap();
    assert!(units.iter().any(|unit| unit["dimension"] == "channel"));
    assert!(units.iter().all(|unit| unit["dimension"] != "agent"), "agents only on request");
    assert_eq!(report["values"][0]["unevidenced"], true);
}

#[test]
fn a_line_that_is_no_part_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.ndjson"), "\n{\"type\":\"x\"}\n").unwrap();
    let refused =
        goodfaith(folder.path(), &["organisation", "--from", "p.ndjson"]).assert().code(2);
    let error = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(error.contains("p.ndjson, line 2"), "{error}");
    let absent = goodfaith(folder.path(), &["organisation", "--from", "."]).assert().code(2);
    let error = String::from_utf8(absent.get_output().stderr.clone()).unwrap();
    assert!(error.contains("replay --organisation"), "{error}");
}

#[test]
fn the_text_never_shows_the_index_without_its_spread() {
    let folder = generated();
    let done = goodfaith(folder.path(), &["organisation", "--from", "one"]).assert().success();
    let text = String::from_utf8(done.get_output().stdout.clone()).unwrap();
    for words in
        ["Brand trust index", "spread", "90-100", "Lottery coefficient", "between channels"]
    {
        assert!(text.contains(words), "no `{words}` in\n{text}");
    }
}

/// Writes the roll-ups of `results` to the topic of `broker` as the service does: by unit and partition.
fn publish(broker: &EmbeddedBroker, results: &Path) {
    let topic = "goodfaith.organisation.v1";
    let writer = TopicWriter::create(&broker.bootstrap_servers(), topic, &[]).unwrap();
    for line in fs::read_to_string(results.join("organisation.ndjson")).unwrap().lines() {
        let part: Value = serde_json::from_str(line).unwrap();
        let key = format!("{}/{}", part["subject"].as_str().unwrap(), part["data"]["partition"]);
        writer.send(&key, line.as_bytes(), None).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn the_topic_of_a_deployment_says_what_its_replay_says() {
    let folder = generated();
    replay(folder.path(), "3", "three");
    let broker = EmbeddedBroker::start("goodfaith", 3).unwrap();
    let server = format!("kafka.bootstrap_servers={}", broker.bootstrap_servers());
    let empty = goodfaith(folder.path(), &["organisation", "--set", &server]).assert().code(1);
    let error = String::from_utf8(empty.get_output().stderr.clone()).unwrap();
    assert!(error.contains("organisation.publish = true"), "{error}");

    // Of what is published twice the last counts.
    (0..2).for_each(|_| publish(&broker, &folder.path().join("three")));
    let file = report(folder.path(), &["--from", "three", "--agents"]);
    assert_eq!(report(folder.path(), &["--set", &server, "--agents"]), file);

    fs::write(folder.path().join("p.toml"), "policy.file = \"values.toml\"\n").unwrap();
    fs::write(folder.path().join("values.toml"), "[values]\nfun = []\n").unwrap();
    let valued = report(folder.path(), &["--config", "p.toml", "--set", &server]);
    assert_eq!(valued["values"][0]["name"], "fun", "the policy of the deployment");
}

#[test]
fn without_files_a_deployment_is_wanted() {
    let refused = goodfaith(Path::new("."), &["organisation"]).assert().code(2);
    let error = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(error.contains("--from") && error.contains("--config"), "{error}");
}
