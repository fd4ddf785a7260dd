//! The judge of a world: what readers see must be, byte for byte, what one engine a partition makes of the same log and journal.
//!
//! It names what is wrong as Jepsen's tests of Kafka do, and knows nothing of how the workers came to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::partition::{Position, Scored};
use super::cluster::{Message, Offset, Place};
use super::producer::messages;
use super::worker::Worker;
use super::world::{Around, Outcome, scoring};
use crate::engine::{Input, PartitionEngine, Settings};
use crate::model::{Catalogue, ReferenceChange};
use crate::wire::{
    self, Chain, CommitMark, Decision, Expect, JournalRecord, RecordRef, policy_fingerprint,
};

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// An output of a committed input is not there.
    LostWrite,
    /// An output is there that follows from nothing committed.
    AbortedRead,
    /// Of the outputs of one input some are there and some are not.
    TornTransaction,
    /// An output is there twice.
    Duplicate,
    /// Offset, mark and journal do not agree, or an offset moved back.
    InconsistentOffsets,
    /// An output says something else.
    WrongBytes,
    /// Outputs of a partition are not in their order.
    OutOfOrder,
    /// A worker's state is not what its log makes.
    WrongState,
    /// A partition is not served, though its history is whole.
    Refused,
    /// It did not come right in time.
    Stuck,
    /// The program broke one of its own rules.
    Panicked,
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anomaly {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// An output's name: where it comes from, and its key, since an erasure clears several at once.
type Id = (String, Option<Vec<u8>>);

/// Outputs by place and by the partition they come from, in order.
type Streams = BTreeMap<(Place, String), Vec<(Id, Message)>>;

/// Judges a world that has come to rest; `is_whole` if everything was handled.
pub(super) fn check(
    partition_count: i32,
    around: &mut Around,
    workers: &[&Worker],
    is_whole: bool,
) -> Outcome {
    let mut found = Found::default();
    if !is_whole {
        found.note(Kind::Stuck, "not everything was handled in time");
    }
    for (partition, reason) in std::mem::take(&mut around.refusals) {
        found.note(Kind::Refused, &format!("partition {partition}: {reason}"));
    }
    for text in std::mem::take(&mut around.cluster.group.moved_back) {
        found.note(Kind::InconsistentOffsets, &text);
    }
    let mut expected = Streams::new();
    for partition in 0..partition_count {
        if let Some((engine, committed)) =
            oracle(partition, partition_count, around, &mut expected, &mut found)
        {
            let served = workers.iter().flat_map(|worker| worker.settled());
            let is_asked =
                |(served, scored): &(i32, &Scored)| *served == partition && scored.seq().is_some();
            for (_, scored) in served.filter(is_asked) {
                let Position { offset_next, mark } = scored.position();
                // A member that is gone and does not know it yet stands elsewhere.
                let is_current = (offset_next, mark.to_string()) == committed;
                if is_current && scored.engine().state_hash() != engine.state_hash() {
                    found.note(Kind::WrongState, &format!("partition {partition}"));
                }
            }
        }
    }
    let published = compare(&expected, &visible(around), &mut found);
    let requests = around.network.requests;
    Outcome { anomalies: found.anomalies, published, requests, trace: around.take_trace() }
}

#[derive(Default)]
struct Found {
    anomalies: Vec<Anomaly>,
}

impl Found {
    fn note(&mut self, kind: Kind, text: &str) {
        self.anomalies.push(Anomaly { kind, text: text.to_owned() });
    }
}

/// What one engine makes of a partition's log and journal up to the committed offset: its outputs go to `expected`. `None` if the
/// partition has no history that can be followed.
fn oracle(
    partition: i32,
    partition_count: i32,
    around: &mut Around,
    expected: &mut Streams,
    found: &mut Found,
) -> Option<(PartitionEngine, Offset)> {
    let committed = around.cluster.group.committed(partition).ok()?.cloned()?;
    let mut decisions = journal(partition, &committed.1, around, found)?;
    let Some(JournalRecord { decision: Decision::Genesis(genesis), .. }) = decisions.first() else {
        return None;
    };
    let scoring = scoring();
    let salt = genesis.lineage;
    let settings = Settings { policy: Arc::clone(&scoring.policy), salt, audit: scoring.audit };
    let mut engine = PartitionEngine::new(settings).with_roll_ups(scoring.roll_ups);
    let mut policy = policy_fingerprint(&scoring.policy);
    decisions.remove(0);
    let mut decisions = decisions.into_iter().peekable();
    let log = around.cluster.log("events", partition);
    let records = log.visible(0).take_while(|(offset, _)| *offset < committed.0);
    let records: Vec<(i64, Message)> =
        records.map(|(offset, message)| (offset, message.clone())).collect();
    let end = [(i64::MAX, None)];
    let inputs = records.iter().map(|(offset, message)| (*offset, Some(message))).chain(end);
    let mut effects = Vec::new();
    for (offset, message) in inputs {
        while let Some(record) = decisions.next_if(|record| record.at <= offset) {
            decide(&mut engine, &record, &around.reference, &mut policy, &mut effects);
            let nothing = RecordRef { key: None, value: None, headers: &[], timestamp_ms: None };
            publish(&mut effects, partition, policy, nothing, partition_count, expected);
        }
        let Some(message) = message else { continue };
        let original = RecordRef {
            key: message.key.as_deref(),
            value: message.value.as_deref(),
            headers: &[],
            timestamp_ms: message.timestamp_ms,
        };
        let record = wire::decode(original, Expect::EventsTopic);
        engine.handle(Input::Record { offset, record }, &mut effects);
        publish(&mut effects, partition, policy, original, partition_count, expected);
        engine.commit();
    }
    engine.commit();
    Some((engine, committed))
}

/// The decisions readers see, if they are the ones that were committed.
fn journal(
    partition: i32,
    mark: &str,
    around: &mut Around,
    found: &mut Found,
) -> Option<Vec<JournalRecord>> {
    let mut note = |text: String| {
        found.note(Kind::InconsistentOffsets, &format!("partition {partition}: {text}"));
    };
    let (mut chain, mut decisions) = (Chain::default(), Vec::new());
    let (mut lineage, mut reference_offset_next) = ([0; 16], 0);
    let log = around.cluster.log("journal", partition);
    for (_, message) in log.visible(0) {
        match chain.read(message.value.as_deref().unwrap_or_default()) {
            Ok(record) => {
                match &record.decision {
                    Decision::Genesis(genesis) => lineage = genesis.lineage,
                    Decision::Reference { offset_next } => reference_offset_next = *offset_next,
                    Decision::Policy { .. } | Decision::Tick { .. } => {}
                }
                decisions.push(record);
            }
            Err(error) => {
                note(error.to_string());
                return None;
            }
        }
    }
    let seq = chain.seq()?;
    let expected = CommitMark { lineage, seq, hash: chain.hash(), reference_offset_next };
    if mark != expected.to_string() {
        note(format!("{mark} is committed and the journal says {expected}"));
    }
    Some(decisions)
}

fn decide(
    engine: &mut PartitionEngine,
    record: &JournalRecord,
    reference: &[ReferenceChange],
    policy: &mut u64,
    effects: &mut Vec<crate::engine::Effect>,
) {
    let seq = record.seq;
    let index = |offset: i64| usize::try_from(offset).expect("an offset is not negative");
    match &record.decision {
        Decision::Genesis(_) => {}
        Decision::Reference { offset_next } => {
            let mut catalogue = Catalogue::default();
            reference[..index(*offset_next)].iter().for_each(|change| catalogue.apply(change));
            let (offset_next, catalogue) = (*offset_next, catalogue.into());
            engine.handle(Input::Reference { seq, offset_next, catalogue }, effects);
        }
        Decision::Policy { reference_offset, fingerprint } => {
            let change = &reference[index(*reference_offset)];
            if let ReferenceChange::PolicyPublished { policy: document } = change {
                *policy = *fingerprint;
                let policy = Arc::clone(document.policy());
                engine.handle(Input::Policy { seq, policy }, effects);
            }
        }
        Decision::Tick { time } => engine.handle(Input::Tick { seq, time: *time }, effects),
    }
}

fn publish(
    effects: &mut Vec<crate::engine::Effect>,
    partition: i32,
    policy: u64,
    original: RecordRef<'_>,
    partition_count: i32,
    expected: &mut Streams,
) {
    for effect in effects.drain(..) {
        for (topic, target, message) in
            messages(&effect, partition, policy, original, partition_count)
        {
            add(expected, Place::Log(topic, target), message);
        }
    }
}

fn add(streams: &mut Streams, place: Place, message: Message) {
    let source = message.source();
    let partition = source.split('/').nth(1).unwrap_or_default().to_owned();
    let id = (source, message.key.clone());
    streams.entry((place, partition)).or_default().push((id, message));
}

/// All outputs readers see.
fn visible(around: &Around) -> Streams {
    let mut streams = Streams::new();
    for (place, log) in around.cluster.logs() {
        if matches!(place, Place::Log("events" | "journal", _)) {
            continue;
        }
        for (_, message) in log.visible(0) {
            add(&mut streams, place, message.clone());
        }
    }
    streams
}

/// Notes every difference; how many outputs there are.
fn compare(expected: &Streams, visible: &Streams, found: &mut Found) -> usize {
    let keys: BTreeSet<_> = expected.keys().chain(visible.keys()).collect();
    // By input, counted: its outputs that are there, and those that are not.
    let mut inputs: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut published = 0;
    for key in keys {
        let nothing = Vec::new();
        let expected = expected.get(key).unwrap_or(&nothing);
        let visible = visible.get(key).unwrap_or(&nothing);
        published += visible.len();
        let before = found.anomalies.len();
        compare_stream(&key.0, expected, visible, &mut inputs, found);
        let is_same = found.anomalies.len() == before;
        if is_same && expected != visible {
            found.note(Kind::OutOfOrder, &format!("{:?} from partition {}", key.0, key.1));
        }
    }
    for (input, (there, missing)) in inputs {
        if there > 0 && missing > 0 {
            found.note(Kind::TornTransaction, &input);
        }
    }
    published
}

fn compare_stream(
    place: &Place,
    expected: &[(Id, Message)],
    visible: &[(Id, Message)],
    inputs: &mut BTreeMap<String, (usize, usize)>,
    found: &mut Found,
) {
    let mut seen: BTreeMap<&Id, Vec<&Message>> = BTreeMap::new();
    for (id, message) in visible {
        seen.entry(id).or_default().push(message);
    }
    for (id, message) in expected {
        let copies = seen.remove(id).unwrap_or_default();
        let input = id.0.rsplit_once('/').map_or_else(String::new, |(input, _)| input.to_owned());
        let counted = inputs.entry(input).or_default();
        let told = |what: &str| format!("{place:?} {}: {what}", id.0);
        match copies.as_slice() {
            [] => {
                counted.1 += 1;
                found.note(Kind::LostWrite, &told("not there"));
            }
            [copy, rest @ ..] => {
                counted.0 += 1;
                if *copy != message {
                    found.note(Kind::WrongBytes, &told("other bytes"));
                }
                if !rest.is_empty() {
                    found.note(Kind::Duplicate, &told("more than once"));
                }
            }
        }
    }
    for id in seen.keys() {
        found.note(Kind::AbortedRead, &format!("{place:?} {}: of nothing committed", id.0));
    }
}
