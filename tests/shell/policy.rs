//! Policies as files: the presets that are shipped, the cases written in them, and the verbs that read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assert_cmd::Command;
use goodfaith::model::Policy;
use goodfaith::model::policy::Document;
use goodfaith::replay::{Case, read_cases};
use tempfile::TempDir;

const PRESETS: [&str; 4] = ["telecom", "insurance", "ecommerce", "subscription"];

fn preset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("deploy/policies/{name}.toml"))
}

fn loaded(path: &Path) -> (Arc<Policy>, Vec<Case>) {
    let document = Document::from_toml(&fs::read_to_string(path).unwrap()).unwrap();
    let policy = Policy::from_document(&document).unwrap_or_else(|error| panic!("{error}"));
    let cases = read_cases(&document, path.parent().unwrap()).unwrap();
    (Arc::new(policy), cases)
}

/// Runs `goodfaith policy` and gives its exit code, and what it wrote to stdout and stderr.
fn policy(args: &[&str]) -> (i32, String, String) {
    let run = Command::cargo_bin("goodfaith").unwrap().arg("policy").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (run.status.code().unwrap(), text(run.stdout), text(run.stderr))
}

fn file(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("p.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_case_of_every_preset_holds_and_none_would_without_the_preset() {
    let default = Arc::new(Policy::default());
    for name in PRESETS {
        let (policy, cases) = loaded(&preset(name));
        assert!(cases.len() >= 2, "{name}");
        for case in cases {
            assert_eq!(case.run(&policy), [], "{name}: {}", case.name);
            let missed = case.run(&default);
            let is_bite = missed.iter().any(|mismatch| !mismatch.problem.contains("score"));
            assert!(is_bite, "{name}: {} holds without the preset too", case.name);
        }
    }
}

#[test]
fn presets_halve_and_double_every_half_life() {
    let half_lives = |policy: &Policy| -> Vec<f64> {
        let entries = policy.entries().into_iter();
        let entries = entries.filter(|entry| entry.key.ends_with("half_life_days"));
        entries.map(|entry| entry.value.parse().unwrap()).collect()
    };
    let default = half_lives(&Policy::default());
    for (name, factor) in [("insurance", 2.0), ("ecommerce", 0.5)] {
        let expected: Vec<f64> = default.iter().map(|days| days * factor).collect();
        assert_eq!(half_lives(&loaded(&preset(name)).0), expected, "{name}");
    }
}

/// A customer of the telecom's, whom the default would say to be squeezed.
const LEGACY: &str = r#"
[[case]]
name = "left behind"
reference = '''
{"specversion":"1.0","id":"e1","source":"/case","type":"io.goodfaith.plan.published.v1","time":"2020-01-01T00:00:00Z","data":{"plan_id":"old","price":{"minor":4500,"currency":"GBP"},"attributes":{}}}
{"specversion":"1.0","id":"e2","source":"/case","type":"io.goodfaith.plan.published.v1","time":"2020-01-01T00:00:00Z","data":{"plan_id":"new","price":{"minor":3200,"currency":"GBP"},"attributes":{}}}'''
events = '''
{"specversion":"1.0","id":"e3","source":"/case","type":"io.goodfaith.subscription.started.v1","subject":"ada","time":"2020-02-01T00:00:00Z","data":{"subscription_id":"sub","plan_id":"old","price":{"minor":4500,"currency":"GBP"}}}
{"specversion":"1.0","id":"e4","source":"/case","type":"io.goodfaith.invoice.issued.v1","subject":"ada","time":"2025-01-02T00:00:00Z","data":{"invoice_id":"i1","subscription_id":"sub","period_start":"2025-01-01","period_end":"2025-02-01","total":{"minor":4500,"currency":"GBP"}}}
{"specversion":"1.0","id":"e5","source":"/case","type":"io.goodfaith.invoice.issued.v1","subject":"ada","time":"2025-02-02T00:00:00Z","data":{"invoice_id":"i2","subscription_id":"sub","period_start":"2025-02-01","period_end":"2025-03-01","total":{"minor":4500,"currency":"GBP"}}}'''
"#;

#[test]
fn a_type_is_looked_for_where_it_is_on_and_no_bill_is_fair_where_it_is_off() {
    const OPEN: &str = "alerts = [{ type = 'S01', subject = 'old', state = 'open' }]";
    // Nothing speaks for the firm, and nothing against it: neither a squeeze nor a fair bill.
    const SILENT: &str = "alerts = []\nscore = 0.5\ntolerance = 0";
    let folder = TempDir::new().unwrap();
    for (switch, expected) in [
        ("", OPEN),
        ("products = ['old']", OPEN),
        ("except_products = ['new']", OPEN),
        ("enabled = false", SILENT),
        ("products = ['new']", SILENT),
        ("except_products = ['old']", SILENT),
    ] {
        let text = format!("[squeeze.S01]\n{switch}\n{LEGACY}{expected}\n");
        let (policy, cases) = loaded(Path::new(&file(&folder, &text)));
        assert_eq!(cases[0].run(&policy), [], "{switch}");
    }
}

#[test]
fn a_case_that_does_not_hold_is_told_with_its_line_and_ends_with_1() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, &format!("version = 'x'\n{LEGACY}alerts = []\n"));
    let (code, out, _) = policy(&["check", &path]);
    let expected = format!(
        "{path}:3: case \"left behind\": expected no other alerts; found S01 subject `old` state `open`"
    );
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("0 of 1 cases hold."), "{out}");
    assert_eq!(out.lines().last().unwrap(), expected);

    let (code, out, _) = policy(&["check", &path, "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["cases"][0]["failures"][0]), (1, &expected.into()));
}

#[test]
fn cases_are_no_part_of_the_hash() {
    let folder = TempDir::new().unwrap();
    let hash = |text: &str| {
        let (_, out, _) = policy(&["check", &file(&folder, text), "--format", "json"]);
        serde_json::from_str::<serde_json::Value>(&out).unwrap()["hash"].to_string()
    };
    assert_eq!(hash("version = 'x'"), hash(&format!("version = 'x'\n{LEGACY}")));
    assert_ne!(hash("version = 'x'"), hash("version = 'x'\nbands.margin = 0.01"));
}

#[test]
fn a_wrong_file_is_told_with_line_key_and_the_nearest_name_and_ends_with_2() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "[squeeze.S01]\ncustomer_month = 24\n");
    let (code, out, err) = policy(&["check", &path]);
    assert_eq!((code, out.as_str()), (2, ""));
    let expected = format!(
        "{path}:2:1: squeeze.S01.customer_month: unknown key; did you mean `customer_months`?"
    );
    assert!(err.contains(&expected), "{err}");
    let (code, _, err) = policy(&["check", "nowhere.toml"]);
    assert!(code == 2 && err.contains("nowhere.toml"), "{err}");
}

#[test]
fn a_profile_says_what_is_in_force_on_a_day_and_what_is_part_of_the_policy() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "profiles = ['uk-gi']\neffective = '2021-06-01'\n");
    let (code, out, _) = policy(&["check", &path, "--at", "2025-01-01"]);
    assert_eq!(code, 0);
    let line = out.lines().find(|line| line.contains("sets renewal_tolerance.minor")).unwrap();
    assert_eq!(
        line.trim(),
        "sets renewal_tolerance.minor = 0 from 2022-01-01: in force on 2025-01-01, not part of this policy"
    );
    assert!(out.contains("Nothing differs from the defaults."), "{out}");
}

#[test]
fn a_parameter_is_explained_in_words() {
    let (code, out, _) = policy(&["explain", "squeeze.S01.customer_months"]);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "squeeze.S01.customer_months = 36\n    Months one must have been a customer. It is a whole number from 0 to 600 months.\n"
    );
    let (code, _, err) = policy(&["explain", "squeeze.S1"]);
    assert!(code == 2 && err.contains("did you mean `squeeze.S1"), "{err}");
}
