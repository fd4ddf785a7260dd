//! Images of an engine: what is made of one goes on as the engine it was made of, whether made whole or of changes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use goodfaith::engine::{Effect, Image, Input, LAYOUT, PartitionEngine, RollUps, Settings};
use goodfaith::model::{EventTime, Policy};
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
    customers: BTreeMap<Arc<str>, Arc<[u8]>>,
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
    insta::assert_snapshot!(format!("layout {LAYOUT}: {:016x}", hash.digest()), @"layout 1: 8f5a1d1397eefd4d");
}
