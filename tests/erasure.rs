//! After an erasure nothing that topics keep for ever tells of the customer: no key has a last value that does. Nor do they keep a
//! word about a squeeze that the engine has forgotten.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use goodfaith::engine::{Action, Effect, Input, OutputBody, PartitionEngine, Settings};
use goodfaith::model::event::Body;
use goodfaith::model::{Currency, CustomerEvent, Event, EventTime, Money, Policy, Text};
use goodfaith::wire::{self, Encoding, Expect, Origin, RecordRef};

/// Topics whose last value of a key stays until a tombstone takes it, as far as they tell of customers.
const KEPT: [&str; 3] = ["scores", "open-alerts", "loyalty"];

/// An engine, and what its topics keep: the customer of the last value of each key that has one.
struct Partition {
    engine: PartitionEngine,
    offset: i64,
    kept: BTreeMap<(&'static str, Vec<u8>), String>,
}

impl Partition {
    fn new() -> Self {
        let policy = Arc::new(Policy::default());
        let engine = PartitionEngine::new(Settings { policy, salt: [0; 16], audit: false });
        Self { engine, offset: 0, kept: BTreeMap::new() }
    }

    /// Handles what a line says; the keys of the squeezes it opened.
    fn handle(&mut self, line: &str) -> Vec<(Text, String)> {
        let value = Some(line.as_bytes());
        let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
        let mut effects = Vec::new();
        let record = wire::decode(record, Expect::File);
        self.engine.handle(Input::Record { offset: self.offset, record }, &mut effects);
        self.offset += 1;
        effects.iter().for_each(|effect| self.keep(effect));
        effects.iter().filter_map(squeeze).collect()
    }

    fn keep(&mut self, effect: &Effect) {
        let origin = Origin { topic: "events", partition: 0, policy: 0 };
        let original = RecordRef { key: None, value: None, headers: &[], timestamp_ms: None };
        let customer = match &effect.action {
            Action::Publish(output) => output.customer.to_string(),
            _ => String::new(),
        };
        for record in wire::encode(effect, original, origin, Encoding::BinaryJson) {
            if KEPT.contains(&record.topic) {
                let place = (record.topic, record.key.unwrap());
                match record.value {
                    Some(_) => self.kept.insert(place, customer.clone()),
                    None => self.kept.remove(&place),
                };
            }
        }
    }

    fn tell(&mut self, customer: &str, time: EventTime, body: Body) {
        let event = Event::Customer(Box::new(CustomerEvent {
            customer: customer.into(),
            id: format!("told-{}", self.offset).as_str().into(),
            source: "/test".into(),
            time,
            causation_id: None,
            trace: None,
            channel: None,
            actor: None,
            body,
        }));
        self.handle(&wire::encode_event_json(&event));
    }
}

/// Customer and key of the squeeze that an effect tells of.
fn squeeze(effect: &Effect) -> Option<(Text, String)> {
    let Action::Publish(output) = &effect.action else { return None };
    let OutputBody::Squeeze(alert) = &output.body else { return None };
    Some((output.customer.clone(), alert.dedup_key.to_string()))
}

/// Lives a scenario in which somebody may suppress every squeeze as soon as it is told of, and then erases everybody; what is kept
/// before, and after.
fn live(scenario: &Path, is_suppressed: bool) -> (usize, Vec<(&'static str, String)>) {
    let mut partition = Partition::new();
    for line in fs::read_to_string(scenario).unwrap().lines() {
        let told = partition.handle(line);
        let Some(time) = partition.engine.watermark().filter(|_| is_suppressed) else { continue };
        for (customer, dedup_key) in told {
            let body = Body::SuppressionRequested {
                dedup_key: dedup_key.as_str().into(),
                reason: "noise".into(),
                actor: "ops".into(),
                until: time.plus_days(300),
            };
            partition.tell(&customer, time, body);
        }
    }
    let kept = partition.kept.len();
    let customers: Vec<String> =
        partition.engine.customers().map(|c| c.customer.to_string()).collect();
    let time = partition.engine.watermark().unwrap().plus_days(1);
    customers.iter().for_each(|customer| partition.tell(customer, time, Body::ErasureRequested));
    (kept, partition.kept.into_iter().map(|((topic, _), customer)| (topic, customer)).collect())
}

#[test]
fn no_last_word_about_a_customer_outlives_an_erasure() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut kept_before = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".events.ndjson") {
            continue;
        }
        for is_suppressed in [false, true] {
            let (before, after) = live(&path, is_suppressed);
            assert_eq!(after, [], "{path:?}, suppressed: {is_suppressed}");
            kept_before += before;
        }
    }
    assert!(kept_before > 100, "{kept_before}");
}

/// Twenty credits lapse, each a squeeze of its own, of which a customer has room for twelve.
fn lapse(partition: &mut Partition) {
    let day = |n: i64| EventTime::from_millis(1_735_689_600_000).plus_days(n);
    for n in 0..20 {
        let credit_id: Text = format!("c{n}").as_str().into();
        let amount = Money::new(2_000 - n, Currency::new("EUR").unwrap());
        let granted = Body::CreditGranted { credit_id: credit_id.clone(), amount, paid_for: true };
        partition.tell("ada", day(n), granted);
        partition.tell("ada", day(n), Body::CreditExpired { credit_id });
    }
}

#[test]
fn no_last_word_about_a_squeeze_outlives_the_engines_memory_of_it() {
    let mut partition = Partition::new();
    lapse(&mut partition);
    let open = |partition: &Partition| {
        partition.kept.keys().filter(|(topic, _)| *topic == "open-alerts").count()
    };
    assert_eq!(open(&partition), 12);
    partition.tell("ada", partition.engine.watermark().unwrap(), Body::ErasureRequested);
    assert_eq!(partition.kept.len(), 0);
}
