//! The oracle: what one engine a partition, on one thread, makes of the logs and of the decisions its journal holds. It knows no
//! broker, no transaction and no failure.

use std::collections::BTreeMap;
use std::sync::Arc;

use goodfaith::engine::{Input, PartitionEngine, Settings};
use goodfaith::kafka::Scoring;
use goodfaith::model::{Catalogue, Event, Policy, ReferenceChange};
use goodfaith::wire::{
    self, Decision, Encoding, Expect, JournalRecord, Origin, OutRecord, RecordRef,
};

use super::{Stored, scoring};

/// What a deployment's outputs follow from, each log partition by partition and in the order of its offsets.
#[derive(Clone, Copy)]
pub(crate) struct Logs<'a> {
    pub(crate) reference: &'a [Stored],
    pub(crate) journal: &'a [Stored],
    pub(crate) events: &'a [Stored],
}

/// One record that must have been published.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    /// The partition of the events topic it comes from.
    pub(crate) partition: i32,
    /// A journalled decision caused it, not a record.
    pub(crate) is_decided: bool,
    pub(crate) record: OutRecord,
}

const NO_RECORD: RecordRef<'static> =
    RecordRef { key: None, value: None, headers: &[], timestamp_ms: None };

/// Everything that must have been published, partition by partition and in the order of its cause. `topic` is the events topic.
pub(crate) fn outputs(logs: Logs<'_>, topic: &str, encoding: Encoding) -> Vec<Due> {
    let reference = Reference::of(logs.reference);
    let mut partitions: BTreeMap<i32, (Vec<JournalRecord>, Vec<&Stored>)> = BTreeMap::new();
    for stored in logs.journal {
        let record = JournalRecord::decode(stored.value.as_deref().unwrap()).unwrap();
        partitions.entry(stored.partition).or_default().0.push(record);
    }
    for stored in logs.events {
        partitions.entry(stored.partition).or_default().1.push(stored);
    }
    let mut due = Vec::new();
    for (partition, (journal, events)) in partitions {
        let mut follower = Follower::new(partition, topic, encoding, &reference);
        let mut journal = journal.into_iter().peekable();
        for stored in events {
            while let Some(decided) = journal.next_if(|record| record.at <= stored.offset) {
                follower.decide(&decided, &mut due);
            }
            follower.handle(stored, &mut due);
        }
        journal.for_each(|decided| follower.decide(&decided, &mut due));
    }
    due
}

/// The reference log, read.
struct Reference {
    changes: Vec<(i64, ReferenceChange)>,
}

impl Reference {
    fn of(log: &[Stored]) -> Self {
        let change = |record: &Stored| match wire::decode(
            record.as_ref(&record.header_refs()),
            Expect::ReferenceTopic,
        ) {
            Ok(Event::Reference(event)) => Some((record.offset, event.change)),
            _ => None,
        };
        Self { changes: log.iter().filter_map(change).collect() }
    }

    fn catalogue(&self, offset_next: i64) -> Arc<Catalogue> {
        let mut catalogue = Catalogue::default();
        let visible = self.changes.iter().take_while(|(offset, _)| *offset < offset_next);
        visible.for_each(|(_, change)| catalogue.apply(change));
        Arc::new(catalogue)
    }

    fn policy(&self, at: i64) -> Arc<Policy> {
        let policy = self.changes.iter().find_map(|(offset, change)| match change {
            ReferenceChange::PolicyPublished { policy } if *offset == at => Some(policy.policy()),
            _ => None,
        });
        Arc::clone(policy.expect("the journal names a policy of the reference log"))
    }
}

/// One partition's engine.
struct Follower<'a> {
    engine: PartitionEngine,
    origin: Origin<'a>,
    encoding: Encoding,
    reference: &'a Reference,
}

impl<'a> Follower<'a> {
    fn new(partition: i32, topic: &'a str, encoding: Encoding, reference: &'a Reference) -> Self {
        let Scoring { policy, audit, roll_ups } = scoring();
        let origin = Origin { topic, partition, policy: wire::policy_fingerprint(&policy) };
        let engine = PartitionEngine::new(Settings { policy, salt: [0; 16], audit });
        Self { engine: engine.with_roll_ups(roll_ups), origin, encoding, reference }
    }

    fn decide(&mut self, decided: &JournalRecord, due: &mut Vec<Due>) {
        let seq = decided.seq;
        let input = match decided.decision {
            Decision::Genesis(_)
            | Decision::Engine { .. }
            | Decision::Stop { .. }
            | Decision::Resume => return,
            Decision::Reference { offset_next } => {
                let catalogue = self.reference.catalogue(offset_next);
                Input::Reference { seq, offset_next, catalogue }
            }
            Decision::Policy { reference_offset, .. } => {
                let policy = self.reference.policy(reference_offset);
                self.origin.policy = wire::policy_fingerprint(&policy);
                Input::Policy { seq, policy }
            }
            Decision::Tick { time } => Input::Tick { seq, time },
        };
        self.perform(input, NO_RECORD, due);
    }

    fn handle(&mut self, stored: &Stored, due: &mut Vec<Due>) {
        let headers = stored.header_refs();
        let original = stored.as_ref(&headers);
        let record = wire::decode(original, Expect::EventsTopic);
        self.perform(Input::Record { offset: stored.offset, record }, original, due);
    }

    fn perform(&mut self, input: Input, original: RecordRef<'_>, due: &mut Vec<Due>) {
        let is_decided = !matches!(input, Input::Record { .. });
        let mut effects = Vec::new();
        self.engine.handle(input, &mut effects);
        self.engine.commit();
        let Self { origin, encoding, .. } = *self;
        let records =
            effects.iter().flat_map(|effect| wire::encode(effect, original, origin, encoding));
        let partition = origin.partition;
        due.extend(records.map(|record| Due { partition, is_decided, record }));
    }
}
