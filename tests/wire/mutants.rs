//! Every decoder on spoilt input: sound bytes of each kind with some changed, cut, doubled or strewn in, and bytes of no kind at all.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use goodfaith::engine::{ENGINE, Input, LAYOUT, PartitionEngine, RollUps, Settings};
use goodfaith::model::{Event, EventTime};
use goodfaith::wire::{
    self, Chain, CommitMark, Decision, Genesis, Manifest, PartDigest, PartHeader, PartWriter,
    SnapshotPoint, Step,
};
use proptest::prelude::*;
use proptest::{collection, sample};

use super::{bodies, draw, framed, headers};

/// One change to some bytes.
#[derive(Debug, Clone)]
enum Change {
    Set(sample::Index, u8),
    Cut(sample::Index),
    Remove(sample::Index),
    Insert(sample::Index, Vec<u8>),
    /// A stretch from the first place again at the second.
    Repeat(sample::Index, sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<sample::Index>;
    // What a format may give a meaning to.
    let strewn = sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "\\u0000",
        "\\ud800",
        "1e999",
        "-0",
        "null",
        "ce_",
        "\0",
        "\n",
        "\n\n",
        "Z",
        "\u{feff}",
        "\u{10ffff}",
    ]);
    prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => place().prop_map(Change::Cut),
        1 => place().prop_map(Change::Remove),
        2 => (place(), strewn).prop_map(|(at, text)| Change::Insert(at, text.as_bytes().to_vec())),
        1 => (place(), collection::vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (place(), place()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

fn spoil(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        match change {
            Change::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Change::Remove(at) => drop(bytes.drain(at.index(bytes.len())..).next()),
            Change::Insert(at, strewn) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, strewn.iter().copied());
            }
            Change::Repeat(from, to) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let stretch: Vec<u8> = bytes[from..].iter().take(40).copied().collect();
                bytes.splice(to..to, stretch);
            }
        }
    }
    bytes
}

/// A decoder's body, and sound bytes for it.
struct Subject {
    body: fn(&[u8]) -> bool,
    sound: Vec<Vec<u8>>,
}

static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let numbers = (0..1500_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let events = draw::events(numbers, false);
    let json = events.iter().map(|event| wire::encode_event_json(event).into_bytes());
    let json: Vec<Vec<u8>> = json.collect();
    let proto: Vec<Vec<u8>> = events.iter().map(wire::encode_event_proto).collect();
    let frame = |path: &[u8], payload: &[u8]| framed(path, payload)[5..].to_vec();
    let frames = json.iter().map(|json| frame(b"", json));
    let frames = frames.chain(proto.iter().map(|proto| frame(b"\x02\0", proto)));
    // Plain texts: a line feed would end a header.
    let plain = draw::events(Vec::new(), false);
    let binary = plain.iter().flat_map(binary_mode);
    let is_reference = |event: &&Event| matches!(event, Event::Reference(_));
    let references = events.iter().filter(is_reference).flat_map(|event| {
        [wire::encode_event_json(event).into_bytes(), wire::encode_event_proto(event)]
    });
    let subject = |body, sound| Subject { body, sound };
    vec![
        subject(bodies::event_json, json.clone()),
        subject(bodies::event_value, json.iter().chain(&proto).cloned().collect()),
        subject(bodies::registry_framing, frames.collect()),
        subject(bodies::event_binary_mode, binary.collect()),
        subject(bodies::reference, references.collect()),
        subject(bodies::journal, journal()),
        subject(bodies::commit_mark, vec![mark().to_string().into_bytes()]),
        subject(bodies::policy, policies()),
        subject(bodies::organisation_part, parts(&events)),
        subject(bodies::snapshot_manifest, vec![manifest().encode()]),
        subject(bodies::snapshot_part, vec![snapshot_part(&events)]),
        subject(bodies::packed_customer, packed_customers(&events)),
    ]
});

/// An event in binary mode, as [`bodies::event_binary_mode`] reads it: with JSON data, and with Protobuf.
fn binary_mode(event: &Event) -> [Vec<u8>; 2] {
    let proto = wire::encode_event_proto(event);
    let event: serde_json::Value = serde_json::from_str(&wire::encode_event_json(event)).unwrap();
    let line = |(name, value): (String, Vec<u8>)| [name.as_bytes(), b": ", &value, b"\n"].concat();
    let head: Vec<u8> = headers(&event).into_iter().flat_map(line).collect();
    let data = event["data"].to_string().into_bytes();
    [("application/json", data.as_slice()), ("application/protobuf", &proto)].map(
        |(kind, value)| {
            let content_type = format!("content-type: {kind}\n\n");
            [head.as_slice(), content_type.as_bytes(), value].concat()
        },
    )
}

/// An engine after `events`.
fn engine(events: &[Event]) -> PartitionEngine {
    let settings = Settings { policy: Arc::default(), salt: [0; 16], audit: false };
    let mut engine = PartitionEngine::new(settings).with_roll_ups(RollUps::Kept);
    for (event, offset) in events.iter().zip(0..) {
        engine.handle(Input::Record { offset, record: Ok(event.clone()) }, &mut Vec::new());
    }
    engine.commit();
    engine
}

fn point() -> SnapshotPoint {
    SnapshotPoint {
        layout: LAYOUT,
        engine: ENGINE,
        genesis: genesis(),
        partition: 3,
        offset_next: 40,
        seq: 3,
        journal_hash: 0xfeed,
        reference_offset_next: 12,
        policy_fingerprint: 99,
        policy_offset: None,
    }
}

fn manifest() -> Manifest {
    let parts = vec![PartDigest { bytes: 7, checksum: 0xfeed }];
    Manifest {
        point: point(),
        taken_ms: 1_700_000_000_000,
        steps: vec![Step { id: [5; 16], offset_next: 40, seq: 3, parts }],
        customers: 2,
        supersedes: false,
    }
}

/// A snapshot of an engine after `events`, in one part.
fn snapshot_part(events: &[Event]) -> Vec<u8> {
    let header = PartHeader { point: point(), step: [5; 16], number: 0, rests_on: None };
    let mut writer = PartWriter::new(&header);
    let image = engine(events).image();
    writer.engine(&image.header);
    image.customers.iter().for_each(|(id, packed)| writer.customer(id, packed.as_deref()));
    writer.finish()
}

/// Customers after `events`, each packed.
fn packed_customers(events: &[Event]) -> Vec<Vec<u8>> {
    let customers = engine(events).image().customers;
    customers.into_iter().filter_map(|(_, packed)| Some(packed?.to_vec())).collect()
}

/// What an engine says of the organisation after `events`.
fn parts(events: &[Event]) -> Vec<Vec<u8>> {
    let engine = engine(events);
    let line = |part| wire::part_line(&part, 3).into_bytes();
    engine.organisation().into_iter().map(line).collect()
}

fn genesis() -> Genesis {
    Genesis {
        lineage: [7; 16],
        events_topic_id: Some([9; 16]),
        partition_count: 8,
        start_offset: 3,
        engine: 1,
        policy_version: "generic-1".into(),
        policy_fingerprint: 99,
    }
}

fn journal() -> Vec<Vec<u8>> {
    let mut chain = Chain::default();
    let decisions = [
        Decision::Genesis(genesis()),
        Decision::Reference { offset_next: 12 },
        Decision::Tick { time: EventTime::from_millis(1_700_000_000_000) },
        Decision::Policy { reference_offset: 12, fingerprint: 0xfeed },
    ];
    decisions.into_iter().map(|decision| chain.write(40, decision).1).collect()
}

const fn mark() -> CommitMark {
    CommitMark { lineage: [7; 16], seq: 3, hash: 0xfeed, reference_offset_next: 12 }
}

/// The policies that ship with the program.
fn policies() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policies");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let json =
        br#"{"version":"low","base_rate":0.1,"holidays":["2025-12-25"],"squeeze":{"S01":2}}"#;
    read.map(|path| fs::read(path).unwrap()).chain([json.to_vec()]).collect()
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_decoder_survives_spoilt_input(
        subject in any::<sample::Index>(),
        at in any::<sample::Index>(),
        changes in collection::vec(change(), 0..6),
    ) {
        let Subject { body, sound } = subject.get(&SUBJECTS);
        body(&spoil(at.get(sound).clone(), &changes));
    }

    #[test]
    fn a_decoder_survives_any_bytes(bytes in collection::vec(any::<u8>(), 0..300)) {
        for Subject { body, .. } in SUBJECTS.iter() {
            body(&bytes);
        }
    }
}

#[test]
fn what_the_mutants_begin_with_is_sound() {
    for Subject { body, sound } in SUBJECTS.iter() {
        for bytes in sound {
            assert!(body(bytes), "{}", bytes.escape_ascii());
        }
    }
}
