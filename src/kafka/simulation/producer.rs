//! A transactional producer as its worker sees it: a queue of records, then offsets, then the end, one request at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::failure::Failure;
use super::super::steps::Transaction;
use super::cluster::{Identity, Message, Offset, Place, Request};
use super::group::Member;
use super::network::{Answer, Heard};
use super::world::Around;
use crate::engine::Effect;
use crate::wire::{self, Encoding, Origin, RecordRef, partition_of};

/// The events topic's name in outputs.
pub(super) const EVENTS: &str = "goodfaith.events.v1";

/// One of a worker's producers.
pub(super) struct Producer {
    name: usize,
    partition_count: i32,
    identity: Option<Identity>,
    /// A request took more than one attempt, so one like it may still be under way.
    pub(super) is_tainted: bool,
    pub(super) is_open: bool,
    /// Records of the open transaction.
    pub(super) records: u64,
    added: BTreeSet<Place>,
    queue: VecDeque<(Place, Message)>,
    sequences: BTreeMap<Place, u32>,
}

impl Producer {
    pub(super) const fn new(name: usize, partition_count: i32) -> Self {
        Self {
            name,
            partition_count,
            identity: None,
            is_tainted: false,
            is_open: false,
            records: 0,
            added: BTreeSet::new(),
            queue: VecDeque::new(),
            sequences: BTreeMap::new(),
        }
    }

    /// Comes to life, or is replaced: what the one before left open is ended first. `false` while it is.
    pub(super) fn init(&mut self, around: &mut Around) -> bool {
        let Ok(identity) = around.cluster.init(self.name) else { return false };
        let records = self.records;
        *self =
            Self { is_open: self.is_open, records, ..Self::new(self.name, self.partition_count) };
        self.identity = Some(identity);
        true
    }

    fn identity(&self) -> Identity {
        self.identity.expect("a producer is alive before it is used")
    }

    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Sends the next record, or what must come before it.
    pub(super) fn produce(&mut self, around: &mut Around) -> Answer {
        let Some((place, message)) = self.queue.front() else { return Answer::Done };
        let (place, message) = (*place, message.clone());
        if !self.added.contains(&place) {
            return self.add(place, around);
        }
        let sequence = self.sequences.get(&place).copied().unwrap_or_default();
        let answer = self.send(Request::Produce(self.identity(), place, sequence, message), around);
        if matches!(answer, Answer::Done) {
            self.sequences.insert(place, sequence + 1);
            self.queue.pop_front();
        }
        answer
    }

    fn add(&mut self, place: Place, around: &mut Around) -> Answer {
        let answer = self.send(Request::Add(self.identity(), place), around);
        if matches!(answer, Answer::Done) {
            self.added.insert(place);
        }
        match answer {
            Answer::Done => Answer::Busy,
            other => other,
        }
    }

    /// Sends the offsets, or what must come before them.
    pub(super) fn commit_offsets(
        &mut self,
        member: Member,
        offsets: &BTreeMap<i32, Offset>,
        around: &mut Around,
    ) -> Answer {
        if self.added.contains(&Place::Offsets) {
            let request = Request::CommitOffsets(self.identity(), member, offsets.clone());
            self.send(request, around)
        } else {
            self.add(Place::Offsets, around)
        }
    }

    /// Ends the transaction; one that no broker knows of ends without a word.
    pub(super) fn end(&mut self, is_commit: bool, around: &mut Around) -> Answer {
        if !is_commit {
            self.queue.clear();
        }
        let answer = if self.added.is_empty() {
            Answer::Done
        } else {
            self.send(Request::End { producer: self.identity(), is_commit }, around)
        };
        if matches!(answer, Answer::Done) {
            self.added.clear();
        }
        answer
    }

    /// The open transaction is over, as far as this producer knows.
    pub(super) fn close(&mut self) {
        self.added.clear();
        self.queue.clear();
        (self.is_open, self.records) = (false, 0);
    }

    fn send(&mut self, request: Request, around: &mut Around) -> Answer {
        let Around { cluster, network, dice, now, .. } = around;
        let Heard { answer, is_tainted } = network.send(cluster, &request, dice, *now);
        self.is_tainted |= is_tainted;
        let name = self.name;
        around.note(|| format!("producer {name}: {request:?}: {answer:?}, tainted {is_tainted}"));
        answer
    }

    fn queue(&mut self, topic: &'static str, partition: i32, message: Message) {
        self.queue.push_back((Place::Log(topic, partition), message));
    }
}

impl Transaction for Producer {
    fn begin(&mut self) -> Result<(), Failure> {
        self.is_open = true;
        Ok(())
    }

    /// Every worker commits soon anyway.
    fn hurry(&mut self) {}

    fn count_record(&mut self) {
        self.records += 1;
    }

    fn journal(&mut self, partition: i32, value: &[u8]) -> Result<(), Failure> {
        self.begin()?;
        let (key, value) = (Some(partition.to_string().into_bytes()), Some(value.to_vec()));
        self.queue(
            "journal",
            partition,
            Message { key, value, headers: Vec::new(), timestamp_ms: None },
        );
        Ok(())
    }

    fn perform(
        &mut self,
        partition: i32,
        policy: u64,
        effects: &mut Vec<Effect>,
        original: RecordRef<'_>,
    ) -> Result<(), Failure> {
        self.begin()?;
        for effect in effects.drain(..) {
            let messages = messages(&effect, partition, policy, original, self.partition_count);
            for (topic, target, message) in messages {
                self.queue(topic, target, message);
            }
        }
        Ok(())
    }
}

/// What an effect is published as, and where.
pub(super) fn messages(
    effect: &Effect,
    partition: i32,
    policy: u64,
    original: RecordRef<'_>,
    partition_count: i32,
) -> Vec<(&'static str, i32, Message)> {
    let origin = Origin { topic: EVENTS, partition, policy };
    let timestamp_ms = original.timestamp_ms;
    let placed = |record: wire::OutRecord| {
        let target = record.key.as_deref().map_or(partition, |key| target(key, partition_count));
        let (key, value, headers) = (record.key, record.value, record.headers);
        (record.topic, target, Message { key, value, headers, timestamp_ms })
    };
    wire::encode(effect, original, origin, Encoding::default()).into_iter().map(placed).collect()
}

/// Where a key belongs.
pub(super) fn target(key: &[u8], partition_count: i32) -> i32 {
    let count = u32::try_from(partition_count).expect("a few partitions");
    i32::try_from(partition_of(key, count)).expect("a few partitions")
}
