//! How a partition's state comes back: the committed offset with its mark, the journal up to that mark, then the events log from the
//! beginning of the history, silently, to the committed offset. What does not fit together is refused, saying what to do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::clock;
use super::error::{Error, Result};
use super::member::Member;
use super::native::{FetchQueue, Fetched, FetchedRecord};
use super::partition::{Partition, Position, engine};
use super::reference::{ReferenceLog, refuse_lasting};
use super::settings::{Delivery, Scoring};
use super::topics::{EventsTopic, Topics};
use crate::engine::{ENGINE, Effect, Input, PartitionEngine};
use crate::wire::{
    self, Chain, CommitMark, Decision, Expect, Genesis, JournalRecord, policy_fingerprint,
};

/// How long one question to the broker may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the journal may take to be read.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(60);
const BATCH: usize = 1000;
const WAIT: Duration = Duration::from_millis(50);

/// What the logs say of a partition that has just been assigned.
pub(super) enum History {
    /// None yet: it begins at this offset.
    New {
        /// The first offset of the events log.
        start_offset: i64,
    },
    /// One to rebuild.
    Told(Box<Replay>),
    /// One that cannot be built on: why, and what to do.
    Refused(String),
    /// The broker does not say yet; ask again.
    Unsettled(String),
}

/// A rebuild on its way: the state so far and the journal still to apply.
pub(super) struct Replay {
    engine: PartitionEngine,
    /// Decisions not applied yet, in order.
    journal: VecDeque<JournalRecord>,
    chain: Chain,
    /// Where it ends.
    target: Position,
    /// Where the history begins.
    pub(super) start_offset: i64,
    /// Records read again.
    pub(super) records: u64,
    effects: Vec<Effect>,
}

/// Asks for what is needed to restore partitions, on a connection of its own.
pub(super) struct Historian {
    reader: Arc<BaseConsumer>,
    queue: FetchQueue<rdkafka::consumer::DefaultConsumerContext>,
    topics: Topics,
    events: EventsTopic,
    scoring: Scoring,
    delivery: Delivery,
}

impl Historian {
    pub(super) fn new(
        reader: BaseConsumer,
        topics: Topics,
        events: EventsTopic,
        scoring: Scoring,
        delivery: Delivery,
    ) -> Self {
        let reader = Arc::new(reader);
        Self {
            queue: FetchQueue::new(Arc::clone(&reader)),
            reader,
            topics,
            events,
            scoring,
            delivery,
        }
    }

    /// What the logs say of `partition`. `turn` is called while it waits, so that the group does not think the member dead.
    ///
    /// # Errors
    /// If access is refused.
    pub(super) fn history(
        &self,
        member: &Member,
        partition: i32,
        turn: &mut dyn FnMut(),
    ) -> Result<History> {
        let committed = match committed(member, self.topics.events(), &[partition]) {
            Ok(positions) => positions.into_iter().next().and_then(|(_, position)| position),
            Err(CommittedError::NotOurs(text)) => return Ok(History::Refused(text)),
            Err(CommittedError::Unsettled(error)) => {
                return Ok(History::Unsettled(error.to_string()));
            }
        };
        let (first, end) =
            match self.reader.fetch_watermarks(self.topics.journal(), partition, TIMEOUT) {
                Ok(watermarks) => watermarks,
                Err(error) => {
                    refuse_lasting(error.clone())?;
                    return Ok(History::Unsettled(error.to_string()));
                }
            };
        if first > 0 {
            return Ok(History::Refused(format!(
                "the journal begins at offset {first}: its genesis is lost. Set retention.ms=-1 and retention.bytes=-1 on {}, and \
                 begin a new deployment (another group_id and topic_prefix)",
                self.topics.journal()
            )));
        }
        let journal = match self.read_journal(partition, end, committed, turn)? {
            Ok(journal) => journal,
            Err(reason) => return Ok(History::Refused(reason)),
        };
        self.judge(partition, committed, journal)
    }

    /// Reads the journal until the mark's record is seen, or, without a mark, until its present end.
    fn read_journal(
        &self,
        partition: i32,
        end: i64,
        committed: Option<Position>,
        turn: &mut dyn FnMut(),
    ) -> Result<Result<Journal, String>> {
        let topic = self.topics.journal();
        let mut journal = Journal::default();
        if end == 0 {
            return Ok(Ok(journal));
        }
        // Before records can flow, or some would take the consumer's own queue.
        self.queue.forward(topic, partition);
        let mut assignment = TopicPartitionList::new();
        let assigned = assignment
            .add_partition_offset(topic, partition, Offset::Offset(0))
            .and_then(|()| self.reader.assign(&assignment));
        assigned.map_err(Error::while_doing("reading the journal"))?;
        // Exactly once, the mark says where to stop. At-least-once a decision is acknowledged before the offset that rests on it,
        // so what stands behind the mark counts too.
        let until = committed
            .filter(|_| self.delivery == Delivery::ExactlyOnce)
            .map(|position| position.mark.seq);
        let deadline = clock::now() + JOURNAL_TIMEOUT;
        let result = loop {
            if until.is_some() && journal.chain.seq() >= until {
                break Ok(Ok(journal));
            }
            if deadline <= clock::now() {
                let reason = format!("read up to record {:?}", journal.chain.seq());
                let (step, seconds) = ("reading the journal", JOURNAL_TIMEOUT.as_secs());
                break Err(Error::RestoreOverdue { partition, step, seconds, reason });
            }
            turn();
            if let Some(Err(error)) = self.reader.poll(Duration::ZERO) {
                refuse_lasting(error)?;
            }
            match self.read_slice(&mut journal, partition, until, end)? {
                Slice::More => {}
                Slice::End => break Ok(Ok(journal)),
                Slice::Broken(reason) => break Ok(Err(reason)),
            }
        };
        self.queue.release(topic, partition);
        let unassigned = self.reader.unassign();
        unassigned.map_err(Error::while_doing("leaving the journal"))?;
        result
    }

    fn read_slice(
        &self,
        journal: &mut Journal,
        partition: i32,
        until: Option<u64>,
        end: i64,
    ) -> Result<Slice> {
        let batch = self.queue.fetch(BATCH, WAIT);
        for fetched in batch.iter() {
            match fetched {
                Fetched::Record(record) if record.partition() == partition => {
                    let value = record.as_ref(&[]).value.unwrap_or_default();
                    match journal.chain.read(value) {
                        Ok(record) => journal.records.push_back(record),
                        Err(error) => {
                            return Ok(Slice::Broken(format!(
                                "{error}. Restore the journal from a backup"
                            )));
                        }
                    }
                    journal.note_seq();
                    if until.is_some() && journal.chain.seq() >= until {
                        return Ok(Slice::End);
                    }
                }
                // The mark's record may become visible after its offset did: only without a mark is the end the end.
                Fetched::End { offset, .. } if until.is_none() && offset >= end => {
                    return Ok(Slice::End);
                }
                Fetched::Record(_) | Fetched::End { .. } => {}
                Fetched::Error { code, .. } => {
                    refuse_lasting(KafkaError::MessageConsumption(code))?
                }
            }
        }
        Ok(Slice::More)
    }

    /// Does what the group, the journal and the events log say fit together?
    fn judge(
        &self,
        partition: i32,
        committed: Option<Position>,
        journal: Journal,
    ) -> Result<History> {
        let watermarks = self.reader.fetch_watermarks(self.topics.events(), partition, TIMEOUT);
        let (first, _) = match watermarks {
            Ok(watermarks) => watermarks,
            Err(error) => {
                refuse_lasting(error.clone())?;
                return Ok(History::Unsettled(error.to_string()));
            }
        };
        let (Some(position), Some(genesis)) = (committed, journal.genesis()) else {
            return Ok(match (committed, journal.genesis()) {
                (None, None) => History::New { start_offset: first },
                (None, Some(_)) => History::Unsettled(
                    "the journal has begun but the group knows no offset. If this lasts, the group's offsets were deleted or \
                     expired: set offsets.retention.minutes on the broker, and begin a new deployment (another group_id and \
                     topic_prefix)"
                        .to_owned(),
                ),
                (Some(_), _) => History::Refused(format!(
                    "an offset is committed but {} is empty: the journal was deleted. Begin a new deployment (another group_id and \
                     topic_prefix)",
                    self.topics.journal()
                )),
            });
        };
        if let Some(reason) = self.misfit(genesis, position, &journal, first) {
            return Ok(History::Refused(reason));
        }
        Ok(History::Told(Box::new(Replay {
            engine: engine(&self.scoring, genesis.lineage),
            start_offset: genesis.start_offset,
            chain: journal.chain,
            target: position,
            records: 0,
            effects: Vec::new(),
            journal: journal.records.into_iter().filter(|record| record.seq > 0).collect(),
        })))
    }

    fn misfit(
        &self,
        genesis: &Genesis,
        position: Position,
        journal: &Journal,
        first: i64,
    ) -> Option<String> {
        let fresh = "begin a new deployment (another group_id and topic_prefix)";
        if let Err(error) = journal.at(position.mark.seq).check(genesis.lineage, &position.mark) {
            return Some(format!("{error}: {fresh}, or restore the journal"));
        }
        if genesis.engine != ENGINE {
            return Some(format!(
                "its history was begun by ENGINE {}, this program is ENGINE {ENGINE}: run the other version, or {fresh}",
                genesis.engine
            ));
        }
        if genesis.partition_count != self.events.partition_count {
            return Some(format!(
                "the events topic had {} partitions when the history began and has {} now, so customers have moved: {fresh}",
                genesis.partition_count, self.events.partition_count
            ));
        }
        if genesis.events_topic_id.is_some()
            && self.events.id.is_some()
            && genesis.events_topic_id != self.events.id
        {
            return Some(format!("the events topic was deleted and made anew: {fresh}"));
        }
        if genesis.policy_fingerprint != policy_fingerprint(&self.scoring.policy) {
            return Some(format!(
                "its history was begun under policy {} and this one differs: put the old policy back, or {fresh}",
                genesis.policy_version
            ));
        }
        if first > genesis.start_offset {
            return Some(format!(
                "the log of {} begins at offset {first}, its history at {}: a part of it is never served as the whole. Set \
                 retention.ms=-1 and retention.bytes=-1 on {}, restore the log, or {fresh}",
                self.topics.events(),
                genesis.start_offset,
                self.topics.events()
            ));
        }
        None
    }
}

/// What reading one slice of the journal came to.
enum Slice {
    More,
    End,
    Broken(String),
}

/// A partition's journal as read.
#[derive(Default)]
struct Journal {
    records: VecDeque<JournalRecord>,
    chain: Chain,
    /// The chain after each record, by `seq`.
    chains: Vec<Chain>,
}

impl Journal {
    fn genesis(&self) -> Option<&Genesis> {
        match self.records.front().map(|record| &record.decision) {
            Some(Decision::Genesis(genesis)) => Some(genesis),
            _ => None,
        }
    }

    fn note_seq(&mut self) {
        self.chains.push(self.chain);
    }

    /// The chain as it was after record `seq`.
    fn at(&self, seq: u64) -> Chain {
        usize::try_from(seq).ok().and_then(|seq| self.chains.get(seq)).copied().unwrap_or_default()
    }
}

impl Replay {
    /// Handles a record of the log again, silently; one at or past the target is left for the running partition. Whether it was
    /// taken.
    ///
    /// # Errors
    /// The reference version to see, while the reference log has not been read as far.
    pub(super) fn handle(
        &mut self,
        record: FetchedRecord<'_>,
        reference: &ReferenceLog,
    ) -> Result<bool, NotYet> {
        let offset = record.offset();
        if offset >= self.target.offset {
            return Ok(false);
        }
        if offset < self.engine.offset_next() {
            return Ok(true);
        }
        self.apply_journal(offset, reference)?;
        let headers = record.headers();
        let event = wire::decode(record.as_ref(&headers), Expect::EventsTopic);
        self.engine.handle(Input::Record { offset, record: event }, &mut self.effects);
        self.effects.clear();
        self.records += 1;
        Ok(true)
    }

    /// Applies the decisions that stand before the record at `offset`.
    fn apply_journal(&mut self, offset: i64, reference: &ReferenceLog) -> Result<(), NotYet> {
        while let Some(record) = self.journal.front().filter(|record| record.at <= offset) {
            let seq = record.seq;
            let input = match record.decision {
                Decision::Genesis(_) => None,
                Decision::Reference { offset_next } => {
                    let catalogue = reference.version(offset_next).ok_or(NotYet)?;
                    Some(Input::Reference { seq, offset_next, catalogue })
                }
                Decision::Tick { time } => Some(Input::Tick { seq, time }),
            };
            if let Some(input) = input {
                self.engine.handle(input, &mut self.effects);
                self.effects.clear();
            }
            self.journal.pop_front();
        }
        Ok(())
    }

    /// Makes what was read so far final: nothing of it can be undone.
    pub(super) fn keep(&mut self) {
        self.engine.commit();
    }

    /// The next offset it wants.
    pub(super) fn next_offset(&self) -> i64 {
        self.engine.offset_next().max(self.start_offset)
    }

    /// Where it ends.
    pub(super) const fn target_offset(&self) -> i64 {
        self.target.offset
    }

    /// Share of the log read again, 0 to 1.
    pub(super) fn ratio(&self) -> f64 {
        let whole = (self.target.offset - self.start_offset).max(1);
        let read = (self.next_offset() - self.start_offset).clamp(0, whole);
        read as f64 / whole as f64
    }

    /// The log has been read to the target: the partition runs from there.
    ///
    /// # Errors
    /// While the reference log has not been read as far as the journal says; `self` is handed back.
    pub(super) fn finish(
        mut self: Box<Self>,
        reference: &ReferenceLog,
    ) -> Result<Partition, Box<Self>> {
        if self.apply_journal(self.target.offset, reference).is_err() {
            return Err(self);
        }
        self.engine.commit();
        let mut partition = Partition::restored(
            self.engine,
            self.chain,
            self.target,
            self.start_offset,
            clock::now(),
        );
        partition.decided = self.journal;
        Ok(partition)
    }
}

/// The reference log has not been read as far as a decision says; try again in a moment.
#[derive(Debug)]
pub(super) struct NotYet;

/// Why committed offsets could not be had.
pub(super) enum CommittedError {
    /// They are not ours: why.
    NotOurs(String),
    /// The broker does not say yet.
    Unsettled(KafkaError),
}

/// The committed positions of `partitions` of `topic`, stable: no transaction in flight can still change them.
pub(super) fn committed(
    member: &Member,
    topic: &str,
    partitions: &[i32],
) -> Result<Vec<(i32, Option<Position>)>, CommittedError> {
    let mut wanted = TopicPartitionList::new();
    partitions.iter().for_each(|partition| {
        wanted.add_partition(topic, *partition);
    });
    let found = member.committed_offsets(wanted, TIMEOUT).map_err(CommittedError::Unsettled)?;
    let mut positions = Vec::with_capacity(partitions.len());
    for element in found.elements() {
        if let Err(error) = element.error() {
            return Err(CommittedError::Unsettled(error));
        }
        let position = match element.offset() {
            Offset::Offset(offset) => {
                let mark: CommitMark =
                    element.metadata().parse().map_err(|error: wire::JournalError| CommittedError::NotOurs(
                        format!("{error}: another program commits to this group. Give goodfaith a group_id of its own"),
                    ))?;
                Some(Position { offset, mark })
            }
            Offset::Invalid => None,
            other => {
                let text =
                    format!("the group answers {other:?} for partition {}", element.partition());
                return Err(CommittedError::NotOurs(text));
            }
        };
        positions.push((element.partition(), position));
    }
    if positions.len() == partitions.len() {
        Ok(positions)
    } else {
        Err(CommittedError::Unsettled(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset)))
    }
}
