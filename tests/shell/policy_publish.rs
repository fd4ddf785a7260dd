//! `goodfaith policy publish` as it is called: what it checks before anything is written.

use std::fs;

use assert_cmd::Command;
use serde_json::Value;

/// Exit code, stdout and stderr of publishing `policy`, without writing it.
fn checked(name: &str, policy: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, policy).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_goodfaith"));
    command.args(["policy", "publish", "--dry-run", "--format", "json"]).arg(&file);
    command.args([
        "--set",
        "kafka.bootstrap_servers=127.0.0.1:1",
        "--set",
        "kafka.topic_prefix=acme",
    ]);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_policy_that_can_follow_is_told_with_its_hash_and_place() {
    let (code, receipt, words) = checked("keen.toml", "version = \"keen\"\nbase_rate = 0.4");
    assert_eq!((code, words.as_str()), (0, ""));
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["version"], "keen");
    assert_eq!(receipt["topic"], "acme.reference.v1");
    assert_eq!(receipt["key"], "policy/keen");
    assert_eq!(receipt["dry_run"], true);
    let (_, json, _) = checked("keen.json", r#"{"version":"keen","base_rate":0.4}"#);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(receipt["hash"], json["hash"], "the same policy, the same hash");
    assert_eq!(receipt["hash"].as_str().unwrap().len(), 16);
}

#[test]
fn a_half_life_is_refused_with_the_way() {
    let policy = "version = \"slow\"\n[dimensions.care]\nhalf_life_days = 90";
    let (code, receipt, words) = checked("slow.toml", policy);
    assert_eq!((code, receipt.as_str()), (1, ""));
    assert!(words.contains("dimensions.care.half_life_days is 180 and would be 90"), "{words}");
    assert!(words.contains("new deployment"), "{words}");
}

#[test]
fn a_file_that_is_no_policy_is_the_callers_fault() {
    for (policy, says) in [
        ("base_rate = 0.4", "version"),
        ("version = \"keen\"\nbase_rate = 4", "line 2: base_rate: 4 is out of range"),
        ("version = \"keen\"\nsudden = 4", "line 2"),
    ] {
        let (code, receipt, words) = checked("keen.toml", policy);
        assert_eq!((code, receipt.as_str()), (2, ""), "{words}");
        assert!(words.contains("keen.toml") && words.contains(says), "{words}");
    }
}
