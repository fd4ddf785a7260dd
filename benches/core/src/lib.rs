//! The steps that are measured, each as a function of what was made ready before: `benches/time.rs` says how long they take,
//! `benches/counts.rs` how many instructions. The histories are golden scenarios, so they change only together with the model.

use std::convert::Infallible;
use std::sync::Arc;

use goodfaith::engine::{Effect, Image, Input, LAYOUT, PartitionEngine, RollUps, Settings};
use goodfaith::model::{
    Class, Event, EventTime, Evidence, Policy, Sign, Text, TrustPoint, TrustState,
};
use goodfaith::wire::{
    self, Encoder, Encoding, Expect, Genesis, Origin, OutRecordRef, Part, PartHeader, PartWriter,
    RecordRef, SnapshotPoint,
};

/// A customer to whom much happens: promises, a failure, bills of a legacy plan, a gift.
const STORY: &str = include_str!("../../../tests/vectors/amara.events.ndjson");
/// A customer on a legacy plan, billed until the squeeze is said and beyond.
const LEGACY: &str = include_str!("../../../tests/vectors/legacy_overpricing.events.ndjson");
/// Lines of it before the bill that opens the squeeze.
const BEFORE_BILL: usize = 16;
/// Customers of a snapshot.
const HELD: usize = 500;

/// An engine, and what it is to handle.
#[derive(Debug)]
pub struct Ready {
    engine: PartitionEngine,
    inputs: Vec<Input>,
}

/// Evidence so far, and one more.
#[derive(Debug)]
pub struct Evidences {
    trust: TrustState,
    policy: Policy,
    next: Evidence,
}

/// A snapshot's part, or what goes into one.
#[derive(Debug)]
pub struct Stored {
    image: Image,
    header: PartHeader,
    bytes: Vec<u8>,
}

fn engine() -> PartitionEngine {
    let policy = Arc::new(Policy::default());
    PartitionEngine::new(Settings { policy, salt: [0; 16], audit: false })
}

fn input((offset, line): (i64, &str)) -> Input {
    let record =
        RecordRef { key: None, value: Some(line.as_bytes()), headers: &[], timestamp_ms: None };
    Input::Record { offset, record: wire::decode(record, Expect::File) }
}

fn inputs(text: &str) -> impl Iterator<Item = Input> {
    (0..).zip(text.lines()).map(input)
}

/// The bill that opens the squeeze, as JSON.
pub fn bill_json() -> Vec<u8> {
    LEGACY.lines().nth(BEFORE_BILL).expect("the scenario has it").into()
}

/// The same as Protobuf.
pub fn bill_proto() -> Vec<u8> {
    wire::encode_event_proto(&decode_bill(&bill_json()))
}

/// A record of the events topic to an event: the bill in either form.
///
/// # Panics
/// If it is no event of that customer.
pub fn decode_bill(value: &[u8]) -> Event {
    let key = Some(&b"lena"[..]);
    let record = RecordRef { key, value: Some(value), headers: &[], timestamp_ms: None };
    wire::decode(record, Expect::EventsTopic).expect("the bill")
}

/// Trust of a customer of whom a hundred things are known, of every class, over two years.
pub fn evidences() -> Evidences {
    let (mut trust, policy) = (TrustState::default(), Policy::default());
    let start = EventTime::parse("2024-01-01T00:00:00Z").expect("a time");
    for (n, class) in (0..100).zip(Class::ALL.iter().cycle()) {
        trust.record(&evidence(*class, start.plus_days(7 * n)), &policy);
    }
    let next = evidence(Class::IntBroken, start.plus_days(730));
    Evidences { trust, policy, next }
}

fn evidence(class: Class, time: EventTime) -> Evidence {
    let sign = if class == Class::IntBroken { Sign::Negative } else { Sign::Positive };
    Evidence { class, key: Text::from("k"), sign, weight: 0.7, time }
}

/// Evidence enters the sums.
pub fn record(Evidences { trust, policy, next }: &mut Evidences) {
    trust.record(next, policy);
}

/// The sums, read at a time and fused into T.
pub fn fuse(evidences: &Evidences) -> TrustPoint {
    evidences.trust.at(evidences.next.time, &evidences.policy)
}

/// T with the exact contribution of every class.
pub fn explain_score(evidences: &Evidences) -> Vec<(Class, f64)> {
    evidences.trust.parts(&fuse(evidences), &evidences.policy)
}

/// A customer after the story, to be explained in words.
pub fn told() -> Ready {
    let mut engine = engine();
    inputs(STORY).for_each(|input| engine.handle(input, &mut Vec::new()));
    engine.commit();
    Ready { engine, inputs: Vec::new() }
}

/// All that can be said of a customer, as HTTP says it.
///
/// # Panics
/// If the engine does not hold the customer of the story.
pub fn explain_customer(ready: &Ready) -> String {
    wire::explained_json(&ready.engine.explain("amara").expect("the customer of the story"))
}

/// A squeezed customer, before the next bill.
pub fn squeezed() -> Ready {
    let mut inputs: Vec<Input> = inputs(LEGACY).take(BEFORE_BILL + 1).collect();
    let mut engine = engine();
    let bill = inputs.split_off(BEFORE_BILL);
    inputs.into_iter().for_each(|input| engine.handle(input, &mut Vec::new()));
    engine.commit();
    Ready { engine, inputs: bill }
}

/// A new engine, before the whole story.
pub fn story() -> Ready {
    Ready { engine: engine(), inputs: inputs(STORY).collect() }
}

/// The engine handles what it is to handle, and commits; what it asks for.
pub fn handle(mut ready: Ready) -> (Ready, Vec<Effect>) {
    let mut effects = Vec::new();
    for input in ready.inputs.drain(..) {
        ready.engine.handle(input, &mut effects);
    }
    ready.engine.commit();
    (ready, effects)
}

/// What the whole story has an engine ask for.
pub fn effects() -> Vec<Effect> {
    handle(story()).1
}

/// Bytes of all records that perform `effects`, written as the service writes them.
pub fn encode(effects: &[Effect]) -> usize {
    let nothing = RecordRef { key: None, value: None, headers: &[], timestamp_ms: None };
    let origin = Origin { topic: "goodfaith.events.v1", partition: 0, policy: 0 };
    let (mut encoder, mut bytes) = (Encoder::default(), 0);
    for effect in effects {
        let count = |record: OutRecordRef<'_>| {
            bytes += record.value.map_or(0, <[u8]>::len);
            Ok::<(), Infallible>(())
        };
        let encoded = encoder.encode(effect, nothing, origin, Encoding::default(), count);
        encoded.unwrap_or_else(|never| match never {});
    }
    bytes
}

/// Five hundred customers after the story, and a part of a snapshot that holds them.
pub fn stored() -> Stored {
    let mut engine = engine();
    let lines = STORY.lines().flat_map(|line| {
        let is_shared = !line.contains(r#""subject":"#);
        let of = move |n| line.replace(r#""subject":"amara""#, &format!(r#""subject":"c{n}""#));
        (0..if is_shared { 1 } else { HELD }).map(of)
    });
    for (offset, line) in (0..).zip(lines) {
        engine.handle(input((offset, &line)), &mut Vec::new());
    }
    engine.commit();
    let genesis = Genesis {
        lineage: [0; 16],
        events_topic_id: None,
        partition_count: 1,
        start_offset: 0,
        engine: goodfaith::engine::ENGINE,
        policy_version: Text::from("generic-1"),
        policy_fingerprint: 0,
    };
    let point = SnapshotPoint {
        layout: LAYOUT,
        engine: genesis.engine,
        genesis,
        partition: 0,
        offset_next: 1,
        seq: 0,
        journal_hash: 0,
        reference_offset_next: 0,
        policy_fingerprint: 0,
        policy_offset: None,
    };
    let header = PartHeader { point, step: [0; 16], number: 0, rests_on: None };
    let mut stored = Stored { image: engine.image(), header, bytes: Vec::new() };
    stored.bytes = write_snapshot(&stored);
    stored
}

/// An image as the bytes of a part.
pub fn write_snapshot(stored: &Stored) -> Vec<u8> {
    let mut part = PartWriter::new(&stored.header);
    part.engine(&stored.image.header);
    for (id, packed) in &stored.image.customers {
        part.customer(id, packed.as_deref());
    }
    part.finish()
}

/// An engine from the bytes of a part.
///
/// # Panics
/// If they are none.
pub fn restore(stored: &Stored) -> PartitionEngine {
    let part = Part::decode(&stored.bytes).expect("a part");
    let policy = Arc::new(Policy::default());
    let settings = Settings { policy: Arc::clone(&policy), salt: [0; 16], audit: false };
    let held = part.customers.into_iter().filter_map(|(id, packed)| Some((id, packed?)));
    let (roll_ups, catalogue) = (RollUps::Off, Arc::default());
    PartitionEngine::from_image(settings, roll_ups, policy, catalogue, &part.engine, held)
        .expect("an image")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_does_what_it_is_measured_for() {
        assert_eq!(decode_bill(&bill_json()), decode_bill(&bill_proto()));
        let mut evidences = evidences();
        assert_eq!(explain_score(&evidences).len(), Class::ALL.len());
        let before = fuse(&evidences).score;
        record(&mut evidences);
        assert!(fuse(&evidences).score < before);
        assert!(explain_customer(&told()).contains("amara"));
        let (_, effects) = handle(squeezed());
        let lines = effects.iter().filter_map(wire::file_line);
        let says = lines.filter(|(_, line)| line.contains("squeeze.opened"));
        assert_eq!(says.count(), 1, "the bill opens the squeeze");
        assert!(encode(&super::effects()) > 1_000);
        assert_eq!(restore(&stored()).customer_count(), HELD);
    }
}
