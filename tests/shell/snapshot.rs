//! `goodfaith snapshot`, from the outside: what is there, whether it can be used, and what it is of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assert_cmd::Command;
use goodfaith::engine::{ENGINE, Input, LAYOUT, PartitionEngine, Settings};
use goodfaith::model::Policy;
use goodfaith::snapshot::{Folder, Location, Note, Store};
use goodfaith::wire::{self, Expect, Genesis, RecordRef, SnapshotPoint, policy_fingerprint};
use serde_json::Value;
use tempfile::TempDir;

const EVENTS: &str = include_str!("../vectors/amara.events.ndjson");

fn point(offset_next: i64) -> SnapshotPoint {
    let policy = policy_fingerprint(&Policy::default());
    let genesis = Genesis {
        lineage: [0xab; 16],
        events_topic_id: None,
        partition_count: 8,
        start_offset: 0,
        engine: ENGINE,
        policy_version: "generic-1".into(),
        policy_fingerprint: policy,
    };
    SnapshotPoint {
        layout: LAYOUT,
        engine: ENGINE,
        genesis,
        partition: 3,
        offset_next,
        seq: 2,
        journal_hash: 0xfeed,
        reference_offset_next: 7,
        policy_fingerprint: policy,
        policy_offset: None,
    }
}

/// A folder with a snapshot of half a story, and one of all of it.
fn folder() -> TempDir {
    let temporary = TempDir::new().unwrap();
    let location = Location::Folder(temporary.path().to_owned());
    let store = Store::open(&location, &BTreeMap::new()).unwrap();
    let settings = Settings { policy: Arc::new(Policy::default()), salt: [0xab; 16], audit: false };
    let mut engine = PartitionEngine::new(settings).with_changes_noted();
    let folder = Folder::new(&store, [0xab; 16], 3);
    let lines: Vec<&str> = EVENTS.lines().collect();
    let (mut before, half) = (Vec::new(), lines.len() / 2);
    for (offset, line) in (0..).zip(&lines) {
        let value = Some(line.as_bytes());
        let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
        let record = wire::decode(record, Expect::File);
        engine.handle(Input::Record { offset, record }, &mut Vec::new());
        engine.commit();
        let at = usize::try_from(offset).unwrap() + 1;
        if at == half || at == lines.len() {
            let image = if at == half { engine.image() } else { engine.changes() };
            let customers = engine.customer_count() as u64;
            let step = [u8::try_from(at).unwrap(); 16];
            let note = Note { step, taken_ms: 1_700_000_000_000, customers, supersedes: false };
            before = folder.write(&point(offset + 1), &image, &before, note).unwrap().steps;
        }
    }
    temporary
}

fn goodfaith(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("goodfaith")
        .unwrap()
        .arg("snapshot")
        .args(arguments)
        .arg("--url")
        .arg(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn objects(folder: &Path) -> Vec<PathBuf> {
    let partition = folder.join("ab".repeat(16)).join("00003");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(partition).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn what_is_there_is_listed_newest_first_and_is_whole() {
    let folder = folder();
    for verb in ["list", "verify"] {
        let (code, stdout, stderr) = goodfaith(folder.path(), &[verb]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        assert_eq!(stdout.lines().count(), 2, "{stdout}");
        assert!(stdout.lines().next().unwrap().contains("2 steps"), "{stdout}");
    }
    let (_, json, _) = goodfaith(folder.path(), &["list", "--format", "json"]);
    let listed: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(listed[0]["offset_next"], EVENTS.lines().count());
    assert_eq!(listed[0]["customers"], 1);
    assert_eq!(listed[1]["taken"], "2023-11-14T22:13:20.000Z");
}

#[test]
fn one_is_shown_with_all_that_is_noted_of_it() {
    let folder = folder();
    let (_, json, _) = goodfaith(folder.path(), &["list", "--format", "json"]);
    let listed: Value = serde_json::from_str(&json).unwrap();
    let name = listed[0]["name"].as_str().unwrap();
    let (code, stdout, _) = goodfaith(folder.path(), &["show", name]);
    assert_eq!(code, 0);
    for said in ["3 of 8", "record 2, hash 000000000000feed", "below 7", "as it began", "changes"] {
        assert!(stdout.contains(said), "{said}: {stdout}");
    }
    let (_, json, _) = goodfaith(folder.path(), &["show", name, "--format", "json"]);
    let shown: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(shown[0]["steps"].as_array().unwrap().len(), 2);
    let (code, _, stderr) = goodfaith(folder.path(), &["show", "9"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("There is no such snapshot"), "{stderr}");
}

#[test]
fn what_is_damaged_is_found_by_reading_it_all() {
    let folder = folder();
    let objects = objects(folder.path());
    let part = objects.iter().find(|path| path.extension().unwrap() != "manifest").unwrap();
    let mut bytes = fs::read(part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(part, bytes).unwrap();
    assert_eq!(goodfaith(folder.path(), &["list"]).0, 0, "a list reads no parts");
    let (code, stdout, _) = goodfaith(folder.path(), &["verify"]);
    assert_eq!(code, 1);
    // Both rest on the damaged base.
    assert_eq!(stdout.matches("is damaged").count(), 2, "{stdout}");
}

#[test]
fn nowhere_to_look_and_what_is_no_place_are_the_callers_mistake() {
    let nowhere =
        Command::cargo_bin("goodfaith").unwrap().args(["snapshot", "list"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
    let (code, _, stderr) = goodfaith(Path::new("ftp://example.com/x"), &["list"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("s3://bucket/folder"), "{stderr}");
}
