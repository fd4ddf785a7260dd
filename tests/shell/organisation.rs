//! `goodfaith organisation` from the outside: a replay's roll-ups in, a report out.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
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
    let all = [&["organisation", "--format", "json", "--from"], arguments].concat();
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
    let report = report(folder.path(), &["one", "--policy", "p.toml"]);
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
