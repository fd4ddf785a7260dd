//! Explanations and commands about a customer, as a user types them, over files.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// What `goodfaith` with these arguments says, and its exit code.
fn goodfaith(args: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_goodfaith")).args(args).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

fn json(args: &[&str]) -> Value {
    let (code, stdout, stderr) = goodfaith(args);
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).expect("one JSON value")
}

/// A golden scenario's events in a folder of its own, to append to.
fn story(name: &str) -> (TempDir, String) {
    let folder = TempDir::new().expect("a folder");
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let events = folder.path().join("events.ndjson");
    fs::copy(vectors.join(format!("{name}.events.ndjson")), &events).expect("a copy");
    let events = events.to_str().expect("UTF-8").to_owned();
    (folder, events)
}

/// The lines of a result of a replay.
fn replayed(folder: &TempDir, events: &str, file: &str) -> Vec<Value> {
    let out: PathBuf = folder.path().join("results");
    let out_text = out.to_str().expect("UTF-8");
    let (code, _, stderr) =
        goodfaith(&["replay", "--events", events, "--out", out_text, "--force"]);
    assert_eq!(code, 0, "{stderr}");
    let text = fs::read_to_string(out.join(file)).expect("a result");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn an_explanation_tells_the_record_the_evidence_and_what_would_restore_it() {
    let (_folder, events) = story("amara");
    let (code, told, _) = goodfaith(&["explain", "amara", "--events", &events, "--verify"]);
    assert_eq!(code, 0, "{told}");
    for words in [
        "It rests on a telecom's legacy plans; CMA loyalty-penalty response 2018",
        "What its guards see: a customer since 2019-05-01",
        "Giving back 39.00 GBP for squeeze S01 legacy_overpricing",
        "caused by event e19.",
        "  638e1e5e701a7022  COM.CREDIT_REMEDY",
        "  ok    the score is what the evidence adds up to: 0.414127 published, 0.414127 found",
    ] {
        assert!(told.contains(words), "{words}\n{told}");
    }
    assert!(!told.contains("FAILS") && !told.contains("loyalty "), "{told}");
}

#[test]
fn at_an_earlier_time_nothing_later_is_known() {
    let (_folder, events) = story("amara");
    let at = |time: &str| {
        json(&["explain", "amara", "--events", &events, "--at", time, "--format", "json"])
    };
    let (early, late) = (at("2025-04-11"), at("2025-06-01"));
    assert_eq!(early["as_of"], "2025-04-11T00:00:00.000Z");
    assert_eq!(early["score"], 0.499_289);
    assert_eq!(early["change"]["causationid"], "e11");
    assert!(
        early["evidence"].as_array().unwrap().len() < late["evidence"].as_array().unwrap().len()
    );
    let (code, _, stderr) =
        goodfaith(&["explain", "amara", "--events", &events, "--at", "2020-01-01"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("nothing is known of amara by then"), "{stderr}");
}

#[test]
fn a_whole_run_is_verified_and_a_sample_of_it() {
    let (_folder, events) = story("bounds");
    let report = json(&["explain", "--verify", "--events", &events, "--format", "json"]);
    assert_eq!((&report["failed"], &report["changes"]), (&0.into(), &report["recomputed"]));
    let sampled = ["explain", "--verify", "--sample", "3", "--events", &events, "--format", "json"];
    assert_eq!(json(&sampled)["recomputed"], 3);
}

#[test]
fn an_evidence_taken_back_no_longer_counts_and_a_second_request_under_one_id_changes_nothing() {
    let (folder, events) = story("amara");
    let time = "2025-06-02";
    let retract =
        ["retract", "amara", "632d17d25860f05f", "--out", &events, "--id", "r1", "--time", time];
    let (code, receipt, _) = goodfaith(&retract);
    assert_eq!(code, 0);
    assert_eq!(receipt, format!("Wrote retraction.requested of amara, event r1, to {events}.\n"));
    let before = json(&["explain", "amara", "--events", &events, "--format", "json"]);
    assert!(before["parts"].get("PRO.UNPROMPTED").is_none(), "{before}");
    assert_eq!(goodfaith(&retract).0, 0);
    assert_eq!(json(&["explain", "amara", "--events", &events, "--format", "json"]), before);
    assert_eq!(replayed(&folder, &events, "dead_letters.ndjson"), Vec::<Value>::new());
}

#[test]
fn a_suppression_is_published_with_its_reason() {
    let (folder, events) = story("amara");
    let key = "b7216017b64de758b80ed187540ad948";
    let suppress = |until: &str| {
        goodfaith(&[
            "suppress",
            "amara",
            key,
            "--reason",
            "migration",
            "--actor",
            "ops",
            "--until",
            until,
            "--out",
            &events,
            "--time",
            "2025-06-02",
        ])
    };
    let (code, _, stderr) = suppress("2026-07-01");
    assert_eq!(code, 2);
    assert_eq!(stderr, "error: the event would be refused: bad_data until\n");
    assert_eq!(suppress("2025-07-01").0, 0);
    let alerts = replayed(&folder, &events, "alerts.ndjson");
    let last = alerts.last().expect("an alert");
    assert_eq!(last["type"], "io.goodfaith.squeeze.suppressed.v1");
    assert_eq!(last["data"]["reason"], "migration");
}

#[test]
fn an_erasure_is_honoured_by_a_replay() {
    let (folder, events) = story("amara");
    let (code, receipt, _) =
        goodfaith(&["erase", "amara", "--out", &events, "--time", "2025-06-02"]);
    assert_eq!((code, receipt.starts_with("Wrote erasure.requested of amara")), (0, true));
    assert_eq!(replayed(&folder, &events, "state.ndjson"), Vec::<Value>::new());
    let scores = replayed(&folder, &events, "scores.ndjson");
    assert_eq!(scores.last().expect("a record")["type"], "io.goodfaith.customer.erased.v1");
    let (code, _, stderr) = goodfaith(&["explain", "amara", "--events", &events]);
    assert_eq!(code, 1, "{stderr}");
}

#[test]
fn to_stdout_goes_the_event_alone_and_the_receipt_to_stderr() {
    let args = ["erase", "ada", "--out", "-", "--time", "2025-06-02"];
    let (code, stdout, stderr) = goodfaith(&args);
    let event: Value = serde_json::from_str(&stdout).expect("one event");
    assert_eq!((code, &event["subject"]), (0, &Value::from("ada")));
    assert!(stderr.starts_with("Wrote erasure.requested of ada"), "{stderr}");
    assert_eq!(goodfaith(&args).1, stdout, "the same command has the same id");
}

#[test]
fn a_command_that_cannot_be_is_refused_before_it_is_written() {
    let (code, _, stderr) = goodfaith(&["erase", "ada"]);
    assert_eq!((code, stderr.contains("nowhere to write to")), (2, true), "{stderr}");
    let (code, _, stderr) = goodfaith(&["retract", "ada", "xyz", "--out", "-"]);
    assert_eq!((code, stderr.contains("`xyz` is no evidence id")), (2, true), "{stderr}");
    let (code, _, stderr) = goodfaith(&["erase", "ada", "--out", "-", "--source", "/goodfaith/x"]);
    assert_eq!((code, stderr.contains("own_output")), (2, true), "{stderr}");
}

#[test]
fn every_verb_about_a_deployment_wants_one_named_be_it_in_the_environment() {
    for verb in [
        &["resume"][..],
        &["drain"],
        &["snapshot", "list"],
        &["policy", "publish", "Cargo.toml"],
        &["reset"],
        &["dlq", "list"],
        &["organisation"],
    ] {
        let (code, stdout, stderr) = goodfaith(verb);
        assert_eq!((code, stdout.as_str()), (2, ""), "{verb:?}: {stderr}");
        assert!(stderr.contains("which deployment? --config goodfaith.toml"), "{stderr}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_goodfaith"))
        .args(["snapshot", "list"])
        .env("GOODFAITH__SNAPSHOT__ENABLED", "false")
        .env("GOODFAITH__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
        .output()
        .expect("it runs");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(stderr.contains("snapshots are off"), "{stderr}");
}
