//! The golden scenarios: the engine over each `NAME.events.ndjson` gives what `NAME.expected.json` says, output for output.
//!
//! Compared are every output in order, every dead letter, the final state and the counters: texts, ids, times and integers exactly,
//! published decimals to 2e-6, and the sums of parts and changes exactly.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use goodfaith::engine::{Action, Effect, Input, PartitionEngine, Settings};
use goodfaith::model::{EventTime, Policy};
use goodfaith::wire::{self, Expect, FileKind, RecordRef};
use serde_json::{Map, Value, json};

/// What of the expected files is not compared yet. Nothing.
const NOT_COMPARED: [&str; 0] = [];

const TOLERANCE: f64 = 2e-6;

/// States of a squeeze for which money may still be owed.
const OPEN: [&str; 3] = ["open", "escalated", "stopped"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Runs one scenario and gathers what it gives in the shape of an expected file.
fn run(name: &str, expected: &Value) -> Value {
    let policy = match &expected["policy"] {
        Value::Null => Policy::default(),
        changes => Policy::from_json(&changes.to_string()).unwrap(),
    };
    let mut engine =
        PartitionEngine::new(Settings { policy: Arc::new(policy), salt: [0; 16], audit: true });
    let text = fs::read_to_string(folder().join(format!("{name}.events.ndjson"))).unwrap();
    let (mut effects, mut erased) = (Vec::new(), Vec::new());
    for (line, offset) in text.split('\n').zip(1..) {
        if !line.trim().is_empty() {
            let bytes = RecordRef {
                key: None,
                value: Some(line.as_bytes()),
                headers: &[],
                timestamp_ms: None,
            };
            engine.handle(
                Input::Record { offset, record: wire::decode(bytes, Expect::File) },
                &mut effects,
            );
        }
    }
    let until = expected["until"].as_str().map(|text| EventTime::parse(text).unwrap());
    if let Some(time) = until.or_else(|| engine.watermark()) {
        engine.handle(Input::Tick { seq: 0, time }, &mut effects);
    }
    let mut lists = Map::new();
    for list in ["scores", "alerts", "loyalty", "evidence", "dead_letters"] {
        lists.insert(list.to_owned(), json!([]));
    }
    for effect in &effects {
        let Some((kind, line)) = wire::file_line(effect) else { continue };
        let value: Value = serde_json::from_str(&line).unwrap();
        if value["type"] == "io.goodfaith.customer.erased.v1" {
            erased.push(value["subject"].as_str().unwrap().to_owned());
        }
        lists[list_of(kind)].as_array_mut().unwrap().push(value);
        check_sums(effect);
    }
    erased.sort();
    erased.dedup();
    let mut customers = Map::new();
    for view in engine.customers() {
        let mut state: Map<String, Value> = serde_json::from_str(&wire::state_line(&view)).unwrap();
        let id = state.remove("customer").unwrap();
        customers.insert(id.as_str().unwrap().to_owned(), Value::Object(state));
    }
    let counters = engine.counters();
    let squeezes = engine.customers().flat_map(|view| view.squeezes.into_values());
    let open = squeezes.filter(|squeeze| OPEN.contains(&squeeze.state.as_str())).count();
    assert_eq!(counters.alerts_open, open as u64, "{name}: counted as they open and end");
    lists.insert(
        "state".to_owned(),
        json!({
            "customers": customers,
            "watermark": engine.watermark().map(|time| time.to_string()),
            "counters": {
                "records": counters.records, "accepted": counters.accepted, "duplicates": counters.duplicates,
                "dead_letters": counters.dead_letters, "timers_fired": counters.timers_fired,
            },
            "erased": erased,
        }),
    );
    Value::Object(lists)
}

const fn list_of(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Scores => "scores",
        FileKind::Alerts => "alerts",
        FileKind::Loyalty => "loyalty",
        FileKind::Evidence => "evidence",
        FileKind::Organisation => "organisation",
        FileKind::DeadLetters => "dead_letters",
    }
}

/// Parts and change sum exactly, as decimals.
fn check_sums(effect: &Effect) {
    use goodfaith::engine::OutputBody;
    if let Action::Publish(output) = &effect.action
        && let OutputBody::ScoreChanged(changed) = &output.body
    {
        let score = changed.reading.score.millionths();
        let parts: i64 = changed.reading.parts.iter().map(|(_, part)| part.millionths()).sum();
        let change: i64 = changed.change.iter().map(|part| part.millionths()).sum();
        assert_eq!(parts, score - 500_000);
        assert_eq!(
            change,
            score - changed.previous.map_or(500_000, |previous| previous.millionths())
        );
    }
}

/// Collects every difference between `actual` and `expected`, by path.
fn differences(path: &str, actual: &Value, expected: &Value, into: &mut Vec<String>) {
    match (actual, expected) {
        (Value::Object(a), Value::Object(e)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(e.keys()).collect();
            for key in keys {
                match (a.get(key), e.get(key)) {
                    (Some(a), Some(e)) => differences(&format!("{path}.{key}"), a, e, into),
                    (a, e) => into.push(format!("{path}.{key}: {a:?} is not {e:?}")),
                }
            }
        }
        (Value::Array(a), Value::Array(e)) => {
            if a.len() != e.len() {
                into.push(format!("{path}: {} instead of {}", a.len(), e.len()));
            }
            for (index, (a, e)) in a.iter().zip(e).enumerate() {
                differences(&format!("{path}[{index}]"), a, e, into);
            }
        }
        (Value::Number(a), Value::Number(e))
            if (a.is_f64() || e.is_f64())
                && (a.as_f64().unwrap() - e.as_f64().unwrap()).abs() <= TOLERANCE => {}
        (a, e) if a != e => into.push(format!("{path}: {a} is not {e}")),
        _ => {}
    }
}

#[test]
fn every_scenario_gives_what_is_expected() {
    assert!(NOT_COMPARED.is_empty());
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().to_str()?.strip_suffix(".expected.json").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert_eq!(names.len(), 23, "{names:?}");
    let only = option_env!("SCENARIO");
    let mut report = Vec::new();
    for name in names.iter().filter(|name| only.is_none_or(|only| only == *name)) {
        let text = fs::read_to_string(folder().join(format!("{name}.expected.json"))).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let actual = run(name, &expected);
        let mut found = Vec::new();
        for part in ["scores", "alerts", "loyalty", "evidence", "dead_letters", "state"] {
            differences(part, &actual[part], &expected[part], &mut found);
        }
        if !found.is_empty() {
            report.push(format!(
                "{name}: {} differences\n  {}",
                found.len(),
                found[..found.len().min(12)].join("\n  ")
            ));
        }
    }
    assert!(report.is_empty(), "{}", report.join("\n"));
}
