//! Images of an engine: what is made of one goes on as the engine it was made of, whether made whole or of changes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use goodfaith::engine::{Effect, Image, Input, LAYOUT, PartitionEngine, RollUps, Settings};
use goodfaith::model::{EventTime, Policy, Text};
use goodfaith::wire::{self, Expect, RecordRef};
use xxhash_rust::xxh3::Xxh3;

/// Every golden scenario: its name and its inputs, a tick to its end last.
fn scenarios() -> Vec<(String, Vec<Input>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_str().unwrap().ends_with(".events.ndjson"));
    files.sort();
    files.iter().map(|file| (file.display().to_string(), inputs(file))).collect()
}

fn inputs(file: &PathBuf) -> Vec<Input> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let record = |(line, offset): (&str, i64)| {
        let value = Some(line.as_bytes());
        let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
        Input::Record { offset, record: wire::decode(record, Expect::File) }
    };
    let mut inputs: Vec<Input> = lines.zip(0..).map(record).collect();
    let time = EventTime::parse("2028-01-01T00:00:00Z").unwrap();
    inputs.push(Input::Tick { seq: 1, time });
    inputs
}

fn settings() -> Settings {
    Settings { policy: Arc::new(Policy::default()), salt: [7; 16], audit: true }
}

fn engine() -> PartitionEngine {
    PartitionEngine::new(settings()).with_roll_ups(RollUps::Published).with_changes_noted()
}

/// What a chain of images adds up to: the last header, and every customer as it was last.
#[derive(Default)]
struct Sum {
    header: Vec<u8>,
    customers: BTreeMap<Text, Arc<[u8]>>,
}

impl Sum {
    fn add(&mut self, Image { header, customers, is_whole }: Image) {
        self.header = header;
        if is_whole {
            self.customers.clear();
        }
        for (id, packed) in customers {
            match packed {
                Some(packed) => self.customers.insert(id, packed),
                None => self.customers.remove(&id),
            };
        }
    }

    /// The engine again; it sees and scores by what `original` does.
    fn restored(&self, original: &PartitionEngine) -> PartitionEngine {
        let (policy, catalogue) = (Arc::clone(original.policy()), Arc::clone(original.catalogue()));
        let customers = self.customers.clone();
        let (header, roll_ups) = (&self.header, RollUps::Published);
        PartitionEngine::from_image(settings(), roll_ups, policy, catalogue, header, customers)
            .unwrap()
    }
}

/// Handles `inputs` and commits; the effects.
fn handle(engine: &mut PartitionEngine, inputs: &[Input]) -> Vec<Effect> {
    let mut effects = Vec::new();
    inputs.iter().for_each(|input| engine.handle(input.clone(), &mut effects));
    engine.commit();
    effects
}

#[test]
fn an_engine_goes_on_from_its_image_wherever_that_was_made() {
    for (name, inputs) in scenarios() {
        let (mut through, mut original) = (engine(), engine());
        let expected = handle(&mut through, &inputs);
        let mut before = 0;
        for cut in 0..inputs.len() {
            let mut sum = Sum::default();
            sum.add(original.image());
            let mut restored = sum.restored(&original);
            assert_eq!(restored.state_hash(), original.state_hash(), "{name} at {cut}");
            let rest = handle(&mut restored, &inputs[cut..]);
            assert_eq!(rest, expected[before..], "{name} after {cut}");
            assert_eq!(restored.state_hash(), through.state_hash(), "{name} after {cut}");
            before += handle(&mut original, &inputs[cut..=cut]).len();
        }
    }
}

#[test]
fn changes_add_up_to_the_whole() {
    for (name, inputs) in scenarios() {
        let mut original = engine();
        let mut sum = Sum::default();
        sum.add(original.image());
        for (n, some) in inputs.chunks(3).enumerate() {
            handle(&mut original, some);
            sum.add(original.changes());
            let restored = sum.restored(&original);
            assert_eq!(restored.state_hash(), original.state_hash(), "{name} after change {n}");
        }
        let changes = original.changes().customers;
        assert_eq!(changes, [], "{name}: what was taken is not given again");
    }
}

#[test]
fn what_was_undone_is_in_no_image() {
    for (name, inputs) in scenarios() {
        let mut original = engine();
        let (kept, undone) = inputs.split_at(inputs.len() / 2);
        handle(&mut original, kept);
        let image = original.image();
        undone.iter().for_each(|input| original.handle(input.clone(), &mut Vec::new()));
        original.abort();
        assert_eq!(original.changes().customers, [], "{name}");
        let mut again = original.image();
        again.customers.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut before = image;
        before.customers.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert_eq!(again, before, "{name}");
    }
}

#[test]
fn who_is_awake_does_not_show() {
    // All scenarios are one history: each of its customers goes to rest many times.
    let scenarios = scenarios().into_iter().flat_map(|(_, inputs)| inputs);
    let inputs: Vec<Input> = scenarios
        .zip(0..)
        .filter_map(|(input, offset)| match input {
            Input::Record { record, .. } => Some(Input::Record { offset, record }),
            _ => None,
        })
        .collect();
    let all = |mut engine: PartitionEngine, step| {
        let mut effects = Vec::new();
        for some in inputs.chunks(step) {
            some.iter().for_each(|input| engine.handle(input.clone(), &mut Vec::new()));
            engine.abort();
            effects.extend(handle(&mut engine, some));
        }
        (effects, engine.state_hash())
    };
    let expected = all(engine(), 20);
    assert!(expected.0.len() > 500, "{} effects are too few to compare", expected.0.len());
    for awake in [0, 1, 2, 5] {
        let found = all(engine().with_awake(awake), 20);
        assert_eq!(found, expected, "{awake} awake");
    }
}

#[test]
fn bytes_that_are_no_image_are_refused() {
    let mut original = engine();
    handle(&mut original, &scenarios()[0].1);
    let mut sum = Sum::default();
    sum.add(original.image());
    let whole = sum.header.clone();
    let restored = |header: &[u8], roll_ups| {
        let (policy, catalogue) = (Arc::clone(original.policy()), Arc::clone(original.catalogue()));
        PartitionEngine::from_image(settings(), roll_ups, policy, catalogue, header, []).is_ok()
    };
    assert!(restored(&whole, RollUps::Published));
    assert!(!restored(&whole, RollUps::Off), "roll-ups cannot be left out of a history");
    assert!(!restored(&whole[..whole.len() - 1], RollUps::Published));
    for (id, packed) in &sum.customers {
        PartitionEngine::check_customer(id, packed).unwrap();
        assert!(PartitionEngine::check_customer(id, &packed[..packed.len() - 1]).is_err());
        assert!(PartitionEngine::check_customer(id, &packed[..4]).is_err());
    }
}

#[test]
fn the_layout_is_that_of_its_number() {
    let mut hash = Xxh3::new();
    for (_, inputs) in scenarios() {
        let mut engine = engine();
        handle(&mut engine, &inputs);
        let mut sum = Sum::default();
        sum.add(engine.image());
        hash.update(&sum.header);
        sum.customers.iter().for_each(|(id, packed)| {
            hash.update(id.as_bytes());
            hash.update(packed);
        });
    }
    // A change of these bytes without a change of ENGINE is a change of what is packed: count LAYOUT up.
    insta::assert_snapshot!(format!("layout {LAYOUT}: {:016x}", hash.digest()), @"layout 4: e2c82a984fe917db");
}

/// Bytes a customer takes at rest, with id and index, of a thousand to each of whom `events` (type and data; `{n}` is the customer's
/// number) happened, a day apart. What the allocator and the tables leave unused comes on top: `benches/memory.rs` measures that too.
fn bytes_at_rest(events: &[(&str, String)]) -> usize {
    const CUSTOMERS: usize = 1000;
    let mut engine = PartitionEngine::new(settings()).with_awake(1);
    let mut offset = 0;
    for (day, (kind, data)) in events.iter().enumerate() {
        let time = EventTime::parse("2025-01-01T00:00:00Z")
            .unwrap()
            .plus_days(i64::try_from(day).unwrap());
        for n in 0..CUSTOMERS {
            let data = data.replace("{n}", &n.to_string());
            let text = format!(
                r#"{{"specversion":"1.0","id":"e-{offset}","source":"/crm","type":"io.goodfaith.{kind}.v1","subject":"customer-{n:08}","time":"{time}","data":{data}}}"#
            );
            let record = RecordRef {
                key: None,
                value: Some(text.as_bytes()),
                headers: &[],
                timestamp_ms: None,
            };
            let record =
                wire::decode(record, Expect::File).unwrap_or_else(|refused| panic!("{refused:?}"));
            engine.handle(Input::Record { offset, record: Ok(record) }, &mut Vec::new());
            offset += 1;
        }
    }
    engine.commit();
    assert_eq!(engine.customer_count(), CUSTOMERS);
    engine.store_bytes() / CUSTOMERS
}

fn started() -> (&'static str, String) {
    ("subscription.started", r#"{"subscription_id":"line-{n}","plan_id":"basic-2024","price":{"minor":2500,"currency":"GBP"},"term_end":"2026-01-01T00:00:00Z"}"#.to_owned())
}

fn delivered(count: usize) -> impl Iterator<Item = (&'static str, String)> {
    (0..count).map(|k| ("service.delivered", format!(r#"{{"ref":"order-{{n}}-{k}"}}"#)))
}

#[test]
fn a_typical_customer_rests_in_a_kilobyte_and_one_of_five_evidences_in_400_bytes() {
    let promised = |k| {
        (
            "promise.made",
            format!(
                r#"{{"promise_id":"call-{{n}}-{k}","kind":"callback","due_at":"2027-01-01T00:00:00Z"}}"#
            ),
        )
    };
    let mut typical = vec![started()];
    typical.extend(delivered(20));
    typical.extend([promised(1), promised(2)]);
    let (typical, light) =
        (bytes_at_rest(&typical), bytes_at_rest(&delivered(5).collect::<Vec<_>>()));
    assert!(typical <= 1024, "{typical}");
    assert!(light <= 400, "{light}");
}
