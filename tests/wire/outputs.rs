//! Laws of what is published, over the outputs of every golden scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use goodfaith::engine::{
    Action, Effect, Input, OutputBody, PartitionEngine, Settings, SqueezeChange,
};
use goodfaith::model::Policy;
use goodfaith::wire::{self, Encoding, Expect, FileKind, Origin, OutRecord, RecordRef};
use serde_json::Value;
use serde_json::value::RawValue;

const ORIGIN: Origin<'_> = Origin { topic: "events", partition: 0, policy: 7 };

/// The line that an effect came from, as it was read.
struct Caused {
    effect: Effect,
    line: Vec<u8>,
}

impl Caused {
    fn encode(&self, encoding: Encoding) -> Vec<OutRecord> {
        let headers = [("trace", Some(&b"t"[..]))];
        let value = Some(self.line.as_slice());
        let original = RecordRef { key: Some(b"k"), value, headers: &headers, timestamp_ms: None };
        wire::encode(&self.effect, original, ORIGIN, encoding)
    }
}

/// Runs a scenario under the default policy.
fn run(path: &Path) -> (PartitionEngine, Vec<Caused>) {
    run_as(path, str::to_owned)
}

/// The same, of its lines as `change` makes them.
fn run_as(path: &Path, change: fn(&str) -> String) -> (PartitionEngine, Vec<Caused>) {
    let policy = Arc::new(Policy::default());
    let mut engine = PartitionEngine::new(Settings { policy, salt: [0; 16], audit: true });
    let mut all = Vec::new();
    for (offset, line) in (1..).zip(fs::read_to_string(path).unwrap().lines().map(change)) {
        let value = Some(line.as_bytes());
        let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
        let record = wire::decode(record, Expect::File);
        let mut effects = Vec::new();
        engine.handle(Input::Record { offset, record }, &mut effects);
        let line = line.as_bytes().to_vec();
        all.extend(effects.into_iter().map(|effect| Caused { effect, line: line.clone() }));
    }
    (engine, all)
}

fn header<'a>(record: &'a OutRecord, name: &str) -> Option<&'a str> {
    let (_, value) = record.headers.iter().find(|(other, _)| other == name)?;
    Some(std::str::from_utf8(value.as_deref()?).unwrap())
}

fn text(bytes: Option<&Vec<u8>>) -> &str {
    std::str::from_utf8(bytes.unwrap()).unwrap()
}

/// The topic of a file.
const fn topic(file: FileKind) -> &'static str {
    match file {
        FileKind::DeadLetters => "dead-letters",
        other => other.as_str(),
    }
}

#[test]
fn every_mode_says_what_the_file_says() {
    for path in super::vectors() {
        for caused in run(&path).1 {
            let Some((file, line)) = wire::file_line(&caused.effect) else { continue };
            let said: Value = serde_json::from_str(&line).unwrap();
            let structured = &caused.encode(Encoding::StructuredJson)[0];
            let json = &caused.encode(Encoding::BinaryJson)[0];
            let proto = &caused.encode(Encoding::BinaryProtobuf)[0];
            for record in [structured, json, proto] {
                assert_eq!(record.topic, topic(file));
            }
            if file == FileKind::DeadLetters {
                assert_eq!(json.value.as_ref(), Some(&caused.line));
                assert_eq!(header(json, "reason"), said["reason"].as_str());
                assert_eq!(header(json, "detail"), said["detail"].as_str());
                continue;
            }
            for record in [json, proto] {
                for name in ["id", "source", "type", "subject", "time", "sequence", "causationid"] {
                    assert_eq!(
                        header(record, &format!("ce_{name}")),
                        said[name].as_str(),
                        "{name}"
                    );
                }
                assert_eq!(record.key.as_deref(), said["subject"].as_str().map(str::as_bytes));
            }
            if said.get("data").is_some() {
                assert_eq!(text(structured.value.as_ref()), line);
                let data = format!("\"data\":{}}}", text(json.value.as_ref()));
                assert!(line.ends_with(&data), "{line}");
                assert!(proto.value.as_ref().is_some_and(|value| !value.is_empty()));
            } else {
                assert_eq!((&structured.value, &json.value, &proto.value), (&None, &None, &None));
            }
        }
    }
}

#[test]
fn a_trace_goes_from_an_event_to_what_it_causes_and_no_further() {
    const TRACED: &str = r#"{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","tracestate":"congo=t61","#;
    let (mut traced, mut untraced) = (0, 0);
    for path in super::vectors() {
        let (_, plain) = run(&path);
        let (_, all) = run_as(&path, |line| line.replacen('{', TRACED, 1));
        assert_eq!(all.len(), plain.len());
        for (caused, plain) in all.iter().zip(&plain) {
            let Action::Publish(output) = &caused.effect.action else { continue };
            let (_, line) = wire::file_line(&caused.effect).unwrap();
            let said: Value = serde_json::from_str(&line).unwrap();
            let is_caused = output.causation_id.is_some();
            for encoding in
                [Encoding::BinaryProtobuf, Encoding::BinaryJson, Encoding::StructuredJson]
            {
                for (record, plain) in caused.encode(encoding).iter().zip(plain.encode(encoding)) {
                    for name in ["traceparent", "tracestate"] {
                        assert_eq!(header(record, name), said[name].as_str());
                        assert_eq!(header(record, name).is_some(), is_caused);
                    }
                    let is_trace = |name: &str| name.starts_with("trace");
                    let rest = record.headers.iter().filter(|(name, _)| !is_trace(name)).cloned();
                    assert_eq!(rest.collect::<Vec<_>>(), plain.headers, "nothing else changes");
                }
            }
            *(if is_caused { &mut traced } else { &mut untraced }) += 1;
        }
    }
    assert!(traced > 50 && untraced > 5, "{traced} and {untraced}");
}

/// The members of an object as they are written.
fn members(object: &str) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(object).unwrap()
}

/// A published decimal in millionths, read from its text.
fn millionths(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap();
    assert!((1..=6).contains(&fraction.len()), "{text} has not one to six decimals");
    format!("{whole}{fraction:0<6}").parse().unwrap()
}

fn sum(object: &str) -> i64 {
    members(object).values().map(|number| millionths(number.get())).sum()
}

#[test]
fn parts_and_changes_sum_exactly_as_they_are_written() {
    let mut count = 0;
    for path in super::vectors() {
        for caused in run(&path).1 {
            let Some((_, line)) = wire::file_line(&caused.effect) else { continue };
            if !line.contains("io.goodfaith.trust.score_changed.v1") {
                continue;
            }
            let data = members(members(&line)["data"].get());
            let score = millionths(data["score"].get());
            assert_eq!(sum(data["parts"].get()), score - 500_000, "{line}");
            let previous = data["previous"].get();
            let previous = if previous == "null" { 500_000 } else { millionths(previous) };
            assert_eq!(sum(data["change"].get()), score - previous, "{line}");
            count += 1;
        }
    }
    assert!(count > 50, "{count} scores");
}

#[test]
fn a_source_position_never_comes_twice_to_a_topic_and_only_grows() {
    for path in super::vectors() {
        let mut last: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for caused in run(&path).1 {
            for record in caused.encode(Encoding::BinaryJson) {
                let place = header(&record, "gfsource").unwrap().strip_prefix("events/0/").unwrap();
                let place: Vec<u64> =
                    place.split('/').map(|number| number.parse().unwrap()).collect();
                let before = last.insert(record.topic, place.clone());
                assert!(before.is_none_or(|before| before < place), "{place:?}");
            }
        }
    }
}

#[test]
fn an_erasure_leaves_no_open_alert() {
    let mut erased = 0;
    for path in super::vectors() {
        let (mut engine, effects) = run(&path);
        let mut open: BTreeSet<String> = BTreeSet::new();
        let mut note = |record: OutRecord| {
            let key = text(record.key.as_ref()).to_owned();
            if record.value.is_some() { open.insert(key) } else { open.remove(&key) }
        };
        let is_slot = |record: &OutRecord| record.topic == "open-alerts";
        for caused in effects {
            caused.encode(Encoding::BinaryJson).into_iter().filter(is_slot).for_each(|record| {
                note(record);
            });
        }
        let ids: Vec<_> = engine.customers().map(|view| (view.customer, view.as_of)).collect();
        for (customer, as_of) in ids {
            let line = format!(
                r#"{{"specversion":"1.0","id":"forget","source":"/s","type":"io.goodfaith.erasure.requested.v1","subject":"{customer}","time":"{as_of}"}}"#
            );
            let mut effects = Vec::new();
            let record = super::decode_line(line.as_bytes());
            engine.handle(Input::Record { offset: engine.offset_next(), record }, &mut effects);
            for effect in effects {
                let caused = Caused { effect, line: Vec::new() };
                caused.encode(Encoding::BinaryJson).into_iter().filter(is_slot).for_each(
                    |record| {
                        erased += usize::from(record.value.is_none());
                        note(record);
                    },
                );
            }
        }
        assert_eq!(open, BTreeSet::new(), "{}", path.display());
    }
    assert!(erased > 10, "{erased} open alerts");
}

#[test]
fn open_alerts_hold_what_is_not_resolved() {
    let mut seen = 0;
    for path in super::vectors() {
        let (engine, effects) = run(&path);
        let mut latest: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
        let mut muted = BTreeSet::new();
        for caused in effects {
            let records = caused.encode(Encoding::BinaryJson);
            if let Action::Publish(output) = &caused.effect.action
                && let OutputBody::Squeeze(alert) = &output.body
                && alert.change == SqueezeChange::Suppressed
            {
                muted.insert(alert.dedup_key.to_string());
            }
            for record in records.into_iter().filter(|record| record.topic == "open-alerts") {
                latest.insert(text(record.key.as_ref()).to_owned(), record.value);
            }
        }
        let held: BTreeMap<String, String> = engine
            .customers()
            .flat_map(|view| view.squeezes.into_iter())
            .map(|(key, slot)| (key.to_string(), slot.state.to_string()))
            .collect();
        for (key, value) in latest.iter().filter(|(key, _)| !muted.contains(*key)) {
            let said = value.as_ref().map(|value| {
                let data: Value = serde_json::from_slice(value).unwrap();
                data["state"].as_str().unwrap().to_owned()
            });
            let held = held.get(key).filter(|state| *state != "resolved").cloned();
            assert_eq!(said, held, "{key} in {}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} squeezes");
}
