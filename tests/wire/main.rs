//! The wire against its laws: encoding then decoding is the identity, both forms say the same, and nothing makes decoding panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod draw;
mod outputs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{array, fs};

use goodfaith::engine::Rejection;
use goodfaith::model::{Event, EventTime};
use goodfaith::wire::{self, Expect, Header, RecordRef};
use proptest::prelude::*;
use proptest::{collection, sample};
use serde_json::Value;

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) }
}

fn numbers() -> impl Strategy<Value = Vec<u64>> {
    collection::vec(any::<u64>(), 0..1500)
}

/// The place an event belongs to.
const fn place(event: &Event) -> Expect {
    if matches!(event, Event::Reference(_)) { Expect::ReferenceTopic } else { Expect::EventsTopic }
}

/// Decodes `value` where `event` belongs, under its customer's key.
fn decode_as(
    event: &Event,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> Result<Event, Rejection> {
    let (key, time) = match event {
        Event::Customer(event) => (Some(event.customer.as_bytes()), event.time),
        Event::Reference(event) => (None, event.time),
        Event::Tick(time) => (None, *time),
    };
    let timestamp_ms = Some(time.as_millis());
    wire::decode(RecordRef { key, value, headers, timestamp_ms }, place(event))
}

fn decode_line(line: &[u8]) -> Result<Event, Rejection> {
    let record = RecordRef { key: None, value: Some(line), headers: &[], timestamp_ms: None };
    wire::decode(record, Expect::File)
}

fn framed(path: &[u8], payload: &[u8]) -> Vec<u8> {
    [b"\0\0\0\0\x2a", path, payload].concat()
}

/// The attributes of a structured event as binary mode has them.
fn headers(event: &Value) -> Vec<(String, Vec<u8>)> {
    let attributes = event.as_object().unwrap().iter().filter(|(name, _)| *name != "data");
    attributes
        .map(|(name, value)| (format!("ce_{name}"), value.as_str().unwrap().as_bytes().to_vec()))
        .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_event_comes_back_from_every_form(numbers in numbers()) {
        for event in draw::events(numbers, false) {
            let json = wire::encode_event_json(&event).into_bytes();
            let proto = wire::encode_event_proto(&event);
            prop_assert_eq!(&decode_line(&json), &Ok(event.clone()));
            for value in [
                &json,
                &proto,
                &framed(b"", &json),
                &framed(b"\0", &proto),
                &framed(b"\x02\0", &proto),
            ] {
                prop_assert_eq!(&decode_as(&event, Some(value), &[]), &Ok(event.clone()));
            }
        }
    }

    #[test]
    fn an_event_comes_back_from_binary_mode(numbers in numbers()) {
        for event in draw::events(numbers, false) {
            let structured: Value = serde_json::from_str(&wire::encode_event_json(&event)).unwrap();
            let headers = headers(&structured);
            let mut headers: Vec<Header<'_>> =
                headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice()))).collect();
            let (json, proto) = (structured["data"].to_string(), wire::encode_event_proto(&event));
            for (content_type, value) in
                [("application/json", json.as_bytes()), ("application/protobuf", proto.as_slice())]
            {
                headers.push(("content-type", Some(content_type.as_bytes())));
                prop_assert_eq!(&decode_as(&event, Some(value), &headers), &Ok(event.clone()));
            }
        }
    }

    #[test]
    fn both_forms_give_the_same_value_or_the_same_reason(numbers in numbers()) {
        for event in draw::events(numbers, true) {
            let json = wire::encode_event_json(&event).into_bytes();
            let proto = wire::encode_event_proto(&event);
            prop_assert_eq!(decode_as(&event, Some(&json), &[]), decode_as(&event, Some(&proto), &[]));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(value in collection::vec(any::<u8>(), 0..200), begin in 0..4_u8) {
        let prefix: &[u8] = [&b"{"[..], b"\0\0\0\0\x01\0", b"\x0a", b""][usize::from(begin)];
        let value = [prefix, &value].concat();
        let id = [("ce_id", Some(&b"x"[..]))];
        for (expect, headers) in [
            (Expect::File, &[][..]),
            (Expect::EventsTopic, &[]),
            (Expect::ReferenceTopic, &[]),
            (Expect::EventsTopic, &id),
        ] {
            let record = RecordRef { key: None, value: Some(&value), headers, timestamp_ms: Some(i64::MIN) };
            prop_assert!(wire::decode(record, expect).is_err());
        }
    }

    #[test]
    fn a_spoilt_event_never_panics(numbers in numbers(), at in any::<sample::Index>(), byte in any::<u8>()) {
        for event in draw::events(numbers, false) {
            for mut value in [wire::encode_event_json(&event).into_bytes(), wire::encode_event_proto(&event)] {
                let at = at.index(value.len());
                value[at] = byte;
                // Whatever it says now can be said again.
                if let Ok(other) = decode_as(&event, Some(&value), &[]) {
                    let json = wire::encode_event_json(&other).into_bytes();
                    prop_assert_eq!(decode_line(&json), Ok(other));
                }
            }
        }
    }
}

/// The bodies of the Protobuf contract, by name.
fn bodies_in_proto() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/goodfaith/v1/event.proto");
    let text = fs::read_to_string(file).unwrap();
    let (_, oneof) = text.split_once("oneof body {").unwrap();
    let (oneof, _) = oneof.split_once('}').unwrap();
    let names = oneof.split(';').filter_map(|field| field.split_whitespace().nth(1));
    names.map(str::to_owned).collect()
}

#[test]
fn every_type_of_the_contract_is_drawn() {
    let name = |event: &Event| {
        let json: Value = serde_json::from_str(&wire::encode_event_json(event)).unwrap();
        let name = json["type"].as_str().unwrap().to_owned();
        name.trim_start_matches("io.goodfaith.").trim_end_matches(".v1").replace('.', "_")
    };
    let drawn: BTreeSet<String> = draw::events(Vec::new(), false).iter().map(name).collect();
    assert_eq!(drawn, bodies_in_proto());
}

fn vectors() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().ends_with(".events.ndjson")).collect()
}

#[test]
fn every_line_of_the_vectors_says_the_same_in_both_forms() {
    let mut count = 0;
    for path in vectors() {
        for line in fs::read_to_string(path).unwrap().lines() {
            let Ok(event) = decode_line(line.as_bytes()) else { continue };
            let proto = wire::encode_event_proto(&event);
            let again = wire::encode_event_json(&event);
            assert_eq!(decode_line(again.as_bytes()).as_ref(), Ok(&event));
            assert_eq!(decode_as(&event, Some(&proto), &[]).as_ref(), Ok(&event), "{line}");
            count += 1;
        }
    }
    assert!(count > 500, "{count} lines");
}

/// The reasons that decoding alone decides.
const BY_DECODING: [&str; 5] =
    ["not_json", "bad_envelope", "own_output", "unknown_type", "bad_data"];

#[test]
fn a_line_of_the_vectors_is_refused_as_they_say() {
    for path in vectors() {
        let expected = path.to_string_lossy().replace(".events.ndjson", ".expected.json");
        let expected: Value = serde_json::from_str(&fs::read_to_string(expected).unwrap()).unwrap();
        let refused: Vec<&Value> = expected["dead_letters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|letter| BY_DECODING.contains(&letter["reason"].as_str().unwrap()))
            .collect();
        let text = fs::read_to_string(&path).unwrap();
        let told: Vec<Value> = (1..)
            .zip(text.split('\n'))
            .filter(|(_, line)| !line.trim().is_empty())
            .filter_map(|(number, line): (u64, _)| {
                Some(letter(number, decode_line(line.as_bytes()).err()?))
            })
            .collect();
        assert_eq!(told.iter().collect::<Vec<_>>(), refused, "{}", path.display());
    }
}

fn letter(line: u64, rejection: Rejection) -> Value {
    let Rejection { reason, detail, id, subject } = rejection;
    serde_json::json!({
        "line": line, "reason": reason.as_str(), "detail": detail, "id": id, "subject": subject,
    })
}

/// Bytes as hex digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_an_event_stay_what_they_are() {
    let line = r#"{"specversion":"1.0","id":"e7","source":"/shop","type":"io.goodfaith.promise.made.v1","subject":"ada","time":"2025-01-03T06:00:00.500Z","data":{"promise_id":"call-1","due_at":"2025-01-04T06:00:00.000Z","grace":"PT3600S","stake":{"minor":9000,"currency":"GBP"},"basis":"guarantee"}}"#;
    let event = decode_line(line.as_bytes()).unwrap();
    assert_eq!(wire::encode_event_json(&event), line);
    let proto = wire::encode_event_proto(&event);
    assert_eq!(
        hex(&proto),
        "0a02653712052f73686f701a03616461220c08e0f9ddbb061080cab5ee01a201210a0663616c6c2d311a0608e09ce3bb062080dddb012a0808a84612034742503001"
    );
    let frames: [Vec<u8>; 2] = array::from_fn(|i| framed([&b"\0"[..], b"\x02\0"][i], &proto));
    for frame in frames {
        assert_eq!(decode_as(&event, Some(&frame), &[]).as_ref(), Ok(&event));
    }
}

#[test]
fn a_time_in_protobuf_is_read_to_the_millisecond() {
    let tick = Event::Tick(EventTime::from_millis(1_735_884_000_999));
    assert_eq!(decode_as(&tick, Some(&wire::encode_event_proto(&tick)), &[]), Ok(tick));
}
