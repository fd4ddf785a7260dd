//! How a partition's state comes back: the committed offset tells which journal record to read to, the journal tells where the
//! history began and what was decided, and the events log is handled again, silently, up to the committed offset.
//!
//! Every step is a slice of the worker's loop: other partitions run on and the poll never stops. Nothing is published here. A log
//! or journal that does not add up refuses its partition; it is never served from a part of its history.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use thiserror::Error;

use super::error::{Error, Result};
use super::loading::{Answer, Loader, Loading, wanted};
use super::member::Member;
use super::native;
use super::offsets;
use super::partition::{Journalled, Position, Scored, Stop};
use super::reference::{ReferenceLog, refuse_lasting};
use super::settings::{Delivery, KafkaSettings, Scoring};
use super::topics::{EventsTopic, Topics};
use super::upgrade::{self, Base};
use crate::engine::PartitionEngine;
use crate::snapshot::Loaded;
use crate::wire::{
    self, Chain, Decision, Expect, Genesis, JournalError, RESET_MARK, RecordRef, SnapshotPoint,
    Step, policy_fingerprint,
};

/// One question to the broker; it is asked again until the step is overdue.
const QUESTION: Duration = Duration::from_millis(500);
/// How long a step may take before the worker gives up: a broker that is away for longer is somebody's business.
const OVERDUE: Duration = Duration::from_secs(120);
/// Journal records taken a turn.
const JOURNAL_SLICE: usize = 1000;
/// Records after which a replay forgets how to undo them.
const COMMITTED: u64 = 256;
/// How long "no committed offset" is doubted while the journal says there was one, and the end of a reference log the journal has
/// seen more of.
const DOUBT: Duration = Duration::from_secs(30);

/// Why a partition is not served, and what to do.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Refusal {
    #[error(
        "{0}: another program has committed offsets under this group_id, so begin under one of its own"
    )]
    Mark(JournalError),
    #[error(
        "a reset of this deployment is under way, or was cut off: stop the service, and complete it by `goodfaith reset --execute`"
    )]
    ResetUnderWay,
    #[error("{0}: `goodfaith reset` scores the log anew")]
    Journal(JournalError),
    #[error(
        "the journal has a history but group {0} has no committed offset: it may have expired. Set offsets.retention.minutes on the \
         brokers to more than the longest stop, and score the log anew by `goodfaith reset`"
    )]
    OffsetLost(String),
    #[error(
        "topic {0} was deleted and created again: `goodfaith reset` scores what it holds now, with nothing of before"
    )]
    OtherTopic(String),
    #[error(
        "topic {topic} has {found} partitions and had {expected} when scoring began: customers have moved between partitions, so \
         begin a new deployment, with a group_id and topic_prefix of its own"
    )]
    OtherPartitionCount { topic: String, found: i32, expected: i32 },
    #[error(
        "engine {found} has handled it and this is engine {program}, which is older: run {}",
        version.as_ref().map_or_else(|| "that version, or a later one".to_owned(), |version| format!("goodfaith {version} or a later one"))
    )]
    OlderEngine { found: u32, program: u32, version: Option<String> },
    #[error(
        "engine {found} has handled it and this is engine {program}: a new engine begins only where nothing is left to be handled again. \
         Run the version of engine {found} once more, `goodfaith drain` it, and start this one then; or score the log anew by `goodfaith reset`"
    )]
    NotDrained { found: u32, program: u32 },
    #[error(
        "it began with policy {found}, which is not the one configured: configure that one and change it in flight (goodfaith policy \
         publish), or score the log anew by `goodfaith reset`"
    )]
    OtherPolicy { found: String },
    #[error(
        "the journal put the policy at offset {offset} of the reference log in force, and there is none there, or another: bring that \
         topic back, or run the version that wrote the journal"
    )]
    PolicyLost { offset: i64 },
    #[error(
        "topic {topic} reaches back to offset {start} only, and its state needs it from offset {needed}{snapshots}: set retention.ms=-1 \
         and retention.bytes=-1 on it (history already deleted cannot be scored again: `goodfaith reset --partial` begins with what is left)"
    )]
    LogTruncated { topic: String, start: i64, needed: i64, snapshots: String },
    #[error(
        "topic {topic} ends at offset {end}, before the committed offset {committed}: the log has lost records"
    )]
    LogShorter { topic: String, end: i64, committed: i64 },
    #[error(
        "the reference log ends before offset {0}, which the journal says was seen: it has lost records"
    )]
    ReferenceShorter(i64),
    #[error(
        "handling the log again does not lead to what was committed: the log is not what it was, or the program is at fault"
    )]
    Diverged,
    #[error("topic {topic} cannot be read: {code}")]
    Unreadable { topic: String, code: String },
    #[error(
        "topic {topic} cannot be read at offset {offset}: {code}. If it is a batch of records that unpacks to more than 100 MB, set \
         kafka.properties.receive.message.max.bytes to more (up to 2147483647) until it is passed. Else the log is damaged there: delete \
         its records up to behind the batch (kafka-delete-records.sh), and score what is left anew by `goodfaith reset --partial`"
    )]
    Garbled { topic: String, offset: i64, code: String },
}

impl Refusal {
    /// Why an offset committed with another mark than ours is nothing to go on from.
    pub(super) fn of_mark(error: JournalError) -> Self {
        match error {
            JournalError::ForeignMark(mark) if mark == RESET_MARK => Self::ResetUnderWay,
            error => Self::Mark(error),
        }
    }
}

/// Where a partition stands on its way to being served.
pub(super) enum Phase {
    /// Its committed offset is asked for.
    Locating,
    /// Its journal is read.
    Reading(Box<Reading>),
    /// Its events are handled again.
    Replaying(Box<Replay>),
    /// Its events are handled.
    Running(Box<Scored>),
    /// It is not served.
    Refused,
}

/// A journal on its way.
pub(super) struct Reading {
    committed: Option<Position>,
    chain: Chain,
    genesis: Option<Genesis>,
    rest: VecDeque<Journalled>,
    /// The chain up to and with the genesis.
    begun: Chain,
    is_at_end: bool,
    problem: Option<JournalError>,
    snapshot: Snapshot,
    /// Time spent on reading the snapshot.
    loaded_in: Duration,
}

/// The snapshot of a partition whose journal is read.
enum Snapshot {
    Unasked,
    Loading(Loading),
    Answered(Box<Answer>),
}

/// A state on its way.
pub(super) struct Replay {
    scored: Scored,
    target: Position,
    start: i64,
    pub(super) records: u64,
    /// What the state was read from.
    steps: Vec<Step>,
}

/// Brings partitions back; one a worker.
pub(super) struct Restorer {
    pub(super) settings: Arc<KafkaSettings>,
    pub(super) topics: Arc<Topics>,
    pub(super) events: EventsTopic,
    pub(super) scoring: Scoring,
    pub(super) reference: Arc<ReferenceLog>,
    /// The engine of this program: [`ENGINE`](crate::engine::ENGINE), but in tests of an upgrade.
    pub(super) engine: u32,
    /// Reads snapshots; `None`: there are none.
    pub(super) loader: Option<Arc<Loader>>,
    /// Reads journals while any is needed.
    pub(super) journal: Option<BaseConsumer>,
    /// Committed offsets are asked for one by one, this one next.
    pub(super) asked_alone: Option<usize>,
}

impl Reading {
    pub(super) fn new(committed: Option<Position>) -> Self {
        Self {
            committed,
            chain: Chain::default(),
            genesis: None,
            rest: VecDeque::new(),
            begun: Chain::default(),
            is_at_end: false,
            problem: None,
            snapshot: Snapshot::Unasked,
            loaded_in: Duration::ZERO,
        }
    }

    /// How much of the way to the committed offset is behind, from 0 to 1.
    pub(super) fn ratio(&self) -> f64 {
        let (Snapshot::Loading(loading), Some(genesis), Some(committed)) =
            (&self.snapshot, &self.genesis, self.committed)
        else {
            return 0.0;
        };
        let (offset_next, share) = loading.progress();
        share * ratio(genesis.start_offset, offset_next, committed.offset_next)
    }

    pub(super) fn take(&mut self, value: &[u8]) {
        if self.problem.is_some() || self.is_at_mark() {
            return;
        }
        match self.chain.read(value) {
            Ok(record) => match record.decision {
                Decision::Genesis(genesis) => {
                    (self.genesis, self.begun) = (Some(genesis), self.chain);
                }
                _ => self.rest.push_back(Journalled { record, chain: self.chain }),
            },
            Err(error) => self.problem = Some(error),
        }
    }

    /// The journal, as far as it can be seen, is read.
    pub(super) const fn end(&mut self) {
        self.is_at_end = true;
    }

    fn is_at_mark(&self) -> bool {
        self.committed.is_some_and(|committed| self.chain.seq() == Some(committed.mark.seq))
    }

    /// Exactly once, the journal is read until the committed record is seen, never until the end: markers of different topics
    /// arrive apart. At least once, the journal comes before the offset, so it is read to its end.
    fn is_done(&self, delivery: Delivery) -> bool {
        let is_at_mark = delivery == Delivery::ExactlyOnce && self.is_at_mark();
        let has_no_mark = self.committed.is_none() && self.is_at_end;
        let is_ahead = delivery == Delivery::AtLeastOnce
            && self.is_at_end
            && self.committed.is_none_or(|committed| self.chain.seq() >= Some(committed.mark.seq));
        self.problem.is_some() || is_at_mark || has_no_mark || is_ahead
    }

    /// It holds no history.
    const fn is_empty(&self) -> bool {
        self.genesis.is_none()
    }

    /// How far the reference log must have been read for what is to be repeated.
    fn reference_offset_next(&self) -> i64 {
        let seen = |entry: &Journalled| match entry.record.decision {
            Decision::Reference { offset_next } => Some(offset_next),
            _ => None,
        };
        self.rest.iter().filter_map(seen).max().unwrap_or(0)
    }

    /// The chain as it stood at the committed record.
    fn chain_at(&self, seq: u64) -> Option<Chain> {
        let found = self.rest.iter().find(|entry| entry.record.seq == seq);
        if seq == 0 { Some(self.begun) } else { found.map(|entry| entry.chain) }
    }
}

impl Replay {
    /// Records of the log from `start` to the target that are behind, from 0 to 1.
    pub(super) fn ratio(&self) -> f64 {
        ratio(self.start, self.scored.offset_next(), self.target.offset_next)
    }

    /// Handles one record again. One that is not part of what is to be restored changes nothing.
    pub(super) fn take(
        &mut self,
        offset: i64,
        original: RecordRef<'_>,
        reference: &ReferenceLog,
    ) -> Result<(), Refusal> {
        if offset < self.scored.offset_next() || self.target.offset_next <= offset {
            return Ok(());
        }
        self.repeat_until(offset, reference)?;
        self.scored.handle(offset, wire::decode(original, Expect::EventsTopic), &mut Vec::new());
        self.records += 1;
        if self.records.is_multiple_of(COMMITTED) {
            self.scored.commit();
        }
        Ok(())
    }

    /// Every record up to the committed offset has been handled: the offset before it was a record's, as only records move it.
    pub(super) const fn is_whole(&self) -> bool {
        self.target.offset_next <= self.scored.offset_next()
    }

    /// The next offset to handle.
    pub(super) const fn offset_next(&self) -> i64 {
        self.scored.offset_next()
    }

    /// Estimated size of the customers so far.
    pub(super) fn store_bytes(&self) -> usize {
        self.scored.engine().store_bytes()
    }

    fn repeat_until(&mut self, offset: i64, reference: &ReferenceLog) -> Result<(), Refusal> {
        while self.scored.seq() < Some(self.target.mark.seq) && self.scored.has_ahead(offset) {
            if !self.scored.repeat(reference, &mut Vec::new()) {
                return Err(Refusal::ReferenceShorter(self.target.mark.reference_offset_next));
            }
        }
        Ok(())
    }

    /// The state, which must be the one that was committed, and the steps of the snapshot it rests on.
    pub(super) fn finish(
        mut self,
        reference: &ReferenceLog,
    ) -> Result<(Scored, Vec<Step>), Refusal> {
        self.repeat_until(self.target.offset_next, reference)?;
        self.scored.commit();
        if self.scored.position() != self.target {
            return Err(Refusal::Diverged);
        }
        Ok((self.scored, self.steps))
    }
}

/// How much of the way from `start` to `end` is behind at `at`, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a share, for people")]
fn ratio(start: i64, at: i64, end: i64) -> f64 {
    (at - start).max(0) as f64 / (end - start).max(1) as f64
}

impl Restorer {
    /// Asks for the committed offsets of `partitions`, of which there are some; those that are certain by now. One that is in an open
    /// transaction keeps the answer about all of them away: from then on they are asked for one by one, in turn.
    ///
    /// # Errors
    /// If the coordinator does not answer in time.
    pub(super) fn locate(
        &mut self,
        member: &Member,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, offsets::Committed>, KafkaError> {
        let asked = match self.asked_alone {
            None => partitions,
            Some(turn) => std::slice::from_ref(&partitions[turn % partitions.len()]),
        };
        let topic = self.topics.events();
        let answer = offsets::committed(member, topic, asked.iter().copied(), QUESTION);
        self.asked_alone = match self.asked_alone {
            None => answer.is_err().then_some(0),
            Some(turn) => Some(turn.wrapping_add(1)),
        };
        answer
    }

    /// All partitions are located: the next are asked for together again.
    pub(super) const fn all_located(&mut self) {
        self.asked_alone = None;
    }

    /// Begins to read the journal of `partition`.
    ///
    /// # Errors
    /// If the client refuses.
    pub(super) fn open_journal(&mut self, partition: i32) -> Result<()> {
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(self.topics.journal(), partition, Offset::Beginning);
        added.map_err(Error::while_doing("reading the journal"))?;
        let journal = match self.journal.take() {
            Some(journal) => journal,
            None => self
                .settings
                .reader()
                .create()
                .map_err(Error::while_doing("reading the journal"))?,
        };
        let journal = self.journal.insert(journal);
        journal.incremental_assign(&list).map_err(Error::while_doing("reading the journal"))
    }

    /// Stops reading the journal of `partition`.
    pub(super) fn close_journal(&self, partition: i32) {
        if let Some(journal) = &self.journal {
            // Refused only if it was not being read.
            drop(journal.incremental_unassign(&offsets::list(self.topics.journal(), [partition])));
        }
    }

    /// Takes what has arrived of journals.
    ///
    /// # Errors
    /// If access is refused.
    pub(super) fn read_journals(
        &self,
        mut reading: impl FnMut(i32, &dyn Fn(&mut Reading)),
    ) -> Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        for _ in 0..JOURNAL_SLICE {
            match journal.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    let value = message.payload().unwrap_or_default();
                    reading(message.partition(), &|reading| reading.take(value));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    reading(partition, &|reading| reading.end());
                }
                Some(Err(error)) => refuse_lasting(error)?,
            }
        }
        Ok(())
    }

    /// What follows from a journal, `waited` after its partition was assigned and `doubted` after the first doubt about what was
    /// heard of it.
    ///
    /// # Errors
    /// If the step is overdue, or the system has no randomness for a new history.
    pub(super) fn conclude(
        &self,
        member: &Member,
        partition: i32,
        reading: &mut Reading,
        waited: Duration,
        doubted: Duration,
    ) -> Result<Next> {
        let is_decided = || self.is_journal_decided(partition);
        let ends = || member.fetch_watermarks(self.topics.events(), partition, QUESTION);
        self.conclude_from(partition, reading, waited, doubted, is_decided, ends)
    }

    /// The same; whether all of the journal `is_decided`, and the `ends` of the log, are asked for once they matter.
    pub(super) fn conclude_from(
        &self,
        partition: i32,
        reading: &mut Reading,
        waited: Duration,
        doubted: Duration,
        is_decided: impl FnOnce() -> bool,
        ends: impl FnOnce() -> Result<(i64, i64), KafkaError>,
    ) -> Result<Next> {
        let waited = waited.saturating_sub(reading.loaded_in);
        if !reading.is_done(self.settings.delivery) {
            return wait(partition, "reading the journal", waited, "no answer");
        }
        if !self.reference.is_caught_up() {
            return wait(partition, "reading the reference log", waited, "not at its end yet");
        }
        // Whoever had the partition before may have read further. What is lost, the replay will find missing.
        let is_behind = self.reference.latest().offset_next < reading.reference_offset_next();
        if is_behind && doubted < DOUBT {
            return Ok(Next::Doubt);
        }
        let is_exact = self.settings.delivery == Delivery::ExactlyOnce;
        if is_exact && reading.committed.is_none() && reading.genesis.is_some() && doubted < DOUBT {
            return Ok(Next::Again);
        }
        if reading.is_empty() && !is_decided() {
            return wait(partition, "reading the journal", waited, "a transaction is open in it");
        }
        if !self.is_loaded(partition, reading)? {
            return Ok(Next::Wait);
        }
        match ends() {
            Ok((start, end)) => self.place(reading, start, end),
            Err(error) => {
                wait(partition, "asking for the ends of the log", waited, &error.to_string())
            }
        }
    }

    /// Whether the snapshot of a partition, if there may be one, has been read.
    fn is_loaded(&self, partition: i32, reading: &mut Reading) -> Result<bool> {
        let (Some(loader), Some(genesis), Some(committed), None) =
            (&self.loader, &reading.genesis, reading.committed, &reading.problem)
        else {
            return Ok(true);
        };
        match &reading.snapshot {
            Snapshot::Answered(_) => return Ok(true),
            Snapshot::Loading(loading) => {
                reading.loaded_in = loading.elapsed();
                let Some(answer) = loading.answer() else { return Ok(false) };
                reading.snapshot = Snapshot::Answered(Box::new(answer));
                return Ok(true);
            }
            Snapshot::Unasked => {}
        }
        let rest = reading.rest.iter().take_while(|entry| entry.record.seq <= committed.mark.seq);
        let hashes =
            std::iter::once(reading.begun.hash()).chain(rest.map(|entry| entry.chain.hash()));
        let wanted = wanted(genesis.clone(), partition, committed.offset_next, hashes.collect());
        reading.snapshot = Snapshot::Loading(loader.begin(wanted)?);
        Ok(false)
    }

    /// Whether the journal is passed to its very end, beyond which no transaction is undecided. The end of what can be seen is not
    /// enough to begin a history: the one that is there may not be visible yet, and the coordinator forgetful.
    fn is_journal_decided(&self, partition: i32) -> bool {
        let Some(journal) = &self.journal else { return false };
        let topic = self.topics.journal();
        let start = || Some(journal.fetch_watermarks(topic, partition, QUESTION).ok()?.0);
        let passed = offsets::position(journal, topic, partition).or_else(start);
        let end = native::high_watermark(journal, topic, partition);
        passed.zip(end).is_some_and(|(passed, end)| end <= passed)
    }

    /// Where a journal that is read puts its partition, whose log reaches from `start` to `end`.
    fn place(&self, reading: &mut Reading, start: i64, end: i64) -> Result<Next> {
        if let Some(problem) = &reading.problem {
            return Ok(Next::Refuse(Refusal::Journal(problem.clone())));
        }
        let Some(genesis) = reading.genesis.clone() else {
            let genesis = self.genesis(start)?;
            let scored = Scored::new(genesis, Chain::default(), VecDeque::new(), &self.scoring);
            return Ok(Next::Place(Phase::Running(Box::new(self.equipped(scored))), start));
        };
        let Answer { found, passed_over } = match &mut reading.snapshot {
            Snapshot::Answered(answer) => std::mem::take(&mut **answer),
            Snapshot::Unasked | Snapshot::Loading(_) => Answer::default(),
        };
        let base = match found.as_ref().map(|found| &found.manifest.point) {
            Some(&SnapshotPoint { offset_next, seq, engine, .. }) => {
                Base { offset_next, seq, engine }
            }
            None => Base { offset_next: genesis.start_offset, seq: 0, engine: genesis.engine },
        };
        let from = base.offset_next;
        let examined = self
            .examine(&genesis)
            .and_then(|()| self.examine_policies(reading))
            .and_then(|()| self.reach(start, from, passed_over))
            .and_then(|()| {
                upgrade::examine(&base, reading.rest.iter(), reading.committed, self.engine)
            });
        if let Err(refusal) = examined {
            return Ok(Next::Refuse(refusal));
        }
        let (begins, lineage) = (genesis.start_offset, genesis.lineage);
        let (scored, steps) = self.state(reading, genesis, found);
        Ok(match reading.committed {
            None if self.settings.delivery == Delivery::ExactlyOnce => {
                Next::Refuse(Refusal::OffsetLost(self.settings.group_id.clone()))
            }
            None => Next::Place(Phase::Running(Box::new(scored)), from),
            Some(target) => match self.agree(reading, lineage, target, end) {
                Err(refusal) => Next::Refuse(refusal),
                Ok(()) => {
                    let replay = Replay { scored, target, start: begins, records: 0, steps };
                    Next::Place(Phase::Replaying(Box::new(replay)), from)
                }
            },
        })
    }

    /// The state to go on from: a snapshot's, or that at the beginning.
    fn state(
        &self,
        reading: &Reading,
        genesis: Genesis,
        found: Option<Loaded<PartitionEngine>>,
    ) -> (Scored, Vec<Step>) {
        // Its journal was compared with this one, so it is in it.
        let chain = found.as_ref().and_then(|found| reading.chain_at(found.manifest.point.seq));
        let (Some(Loaded { state, manifest, is_followed }), Some(chain)) = (found, chain) else {
            let scored = Scored::new(genesis, reading.begun, reading.rest.clone(), &self.scoring);
            return (self.equipped(scored), Vec::new());
        };
        let is_after = |entry: &&Journalled| manifest.point.seq < entry.record.seq;
        let ahead = reading.rest.iter().filter(is_after).cloned().collect();
        let stop = Stop::after(reading.rest.iter().filter(|entry| !is_after(entry)));
        let mut scored = self.equipped(Scored::restored(state, manifest.point, chain, stop, ahead));
        if is_followed {
            scored.note_erasure();
        }
        (scored, manifest.steps)
    }

    /// The same partition, with what holds for all of them here.
    fn equipped(&self, scored: Scored) -> Scored {
        let scored = scored.handled_by(self.engine, self.settings.limits.dead_letters);
        if self.loader.is_some() { scored.with_changes_noted() } else { scored }
    }

    /// The beginning of a history at `start_offset`.
    fn genesis(&self, start_offset: i64) -> Result<Genesis> {
        let mut lineage = [0; 16];
        getrandom::fill(&mut lineage).map_err(Error::Random)?;
        Ok(Genesis {
            lineage,
            events_topic_id: self.events.id,
            partition_count: self.events.partition_count,
            start_offset,
            engine: self.engine,
            policy_version: self.scoring.policy.version.clone(),
            policy_fingerprint: policy_fingerprint(&self.scoring.policy),
        })
    }

    /// Whether a history that began with `genesis` can go on here.
    fn examine(&self, genesis: &Genesis) -> Result<(), Refusal> {
        let topic = || self.topics.events().to_owned();
        let ids = (genesis.events_topic_id, self.events.id);
        if matches!(ids, (Some(then), Some(now)) if then != now) {
            return Err(Refusal::OtherTopic(topic()));
        }
        let (expected, found) = (genesis.partition_count, self.events.partition_count);
        if expected != found {
            return Err(Refusal::OtherPartitionCount { topic: topic(), found, expected });
        }
        if genesis.policy_fingerprint != policy_fingerprint(&self.scoring.policy) {
            return Err(Refusal::OtherPolicy { found: genesis.policy_version.to_string() });
        }
        Ok(())
    }

    /// Whether a log that reaches back to `start` reaches the offset `needed`.
    fn reach(&self, start: i64, needed: i64, passed_over: usize) -> Result<(), Refusal> {
        if start <= needed {
            return Ok(());
        }
        let snapshots = match (&self.loader, passed_over) {
            (None, _) => ", as snapshots are off (snapshot.enabled)".to_owned(),
            (Some(_), 0) => ", as there is no snapshot (snapshot.url)".to_owned(),
            (Some(_), n) => format!(", as none of {n} snapshots can be used"),
        };
        let topic = self.topics.events().to_owned();
        Err(Refusal::LogTruncated { topic, start, needed, snapshots })
    }

    /// Whether the policies the journal put in force are still what they were.
    fn examine_policies(&self, reading: &Reading) -> Result<(), Refusal> {
        for entry in &reading.rest {
            let Decision::Policy { reference_offset: offset, fingerprint } = entry.record.decision
            else {
                continue;
            };
            let found = self.reference.policy(offset).map(|record| record.fingerprint);
            if found != Some(fingerprint) {
                return Err(Refusal::PolicyLost { offset });
            }
        }
        Ok(())
    }

    /// Whether the journal is the one `target` was committed with, and the log, which ends at `end`, reaches it.
    fn agree(
        &self,
        reading: &Reading,
        lineage: [u8; 16],
        target: Position,
        end: i64,
    ) -> Result<(), Refusal> {
        let unknown = || JournalError::OtherHistory { seq: target.mark.seq };
        let chain = reading.chain_at(target.mark.seq).ok_or_else(unknown);
        chain.and_then(|chain| chain.check(lineage, &target.mark)).map_err(Refusal::Journal)?;
        let committed = target.offset_next;
        if end < committed {
            let topic = self.topics.events().to_owned();
            return Err(Refusal::LogShorter { topic, end, committed });
        }
        Ok(())
    }
}

/// What follows from a journal.
pub(super) enum Next {
    /// Nothing yet.
    Wait,
    /// Nothing yet: what was heard is doubted.
    Doubt,
    /// The same, and the committed offset is to be asked for again.
    Again,
    /// The partition is read from this offset in this phase.
    Place(Phase, i64),
    /// It is not served.
    Refuse(Refusal),
}

/// Waits on, unless `waited` is too long.
pub(super) fn wait(
    partition: i32,
    step: &'static str,
    waited: Duration,
    reason: &str,
) -> Result<Next> {
    if waited < OVERDUE {
        return Ok(Next::Wait);
    }
    let (seconds, reason) = (waited.as_secs(), reason.to_owned());
    Err(Error::RestoreOverdue { partition, step, seconds, reason })
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::super::reference::tests::{log_of, published};
    use super::super::settings::GroupProtocol;
    use super::*;
    use crate::engine::ENGINE;
    use crate::kafka::Limits;
    use crate::model::{EventTime, Policy};
    use crate::wire::{CommitMark, Encoding};

    pub(in super::super) fn restorer(delivery: Delivery) -> Restorer {
        let settings = KafkaSettings {
            bootstrap_servers: "nowhere:1".to_owned(),
            group_id: "group".to_owned(),
            instance_id: None,
            group_protocol: GroupProtocol::Classic,
            prefix: "test".to_owned(),
            workers: 1,
            delivery,
            commit_interval: Duration::from_millis(100),
            encoding: Encoding::default(),
            create_topics: false,
            partitions: 8,
            replication_factor: 1,
            idle_after: None,
            ticks_without_traffic: false,
            limits: Limits::default(),
            properties: BTreeMap::new(),
        };
        Restorer {
            settings: Arc::new(settings),
            topics: Arc::new(Topics::new("test")),
            events: EventsTopic { id: Some([1; 16]), partition_count: 8 },
            scoring: Scoring {
                policy: Arc::new(Policy::default()),
                audit: false,
                roll_ups: crate::engine::RollUps::Off,
            },
            reference: Arc::new(ReferenceLog::new()),
            engine: ENGINE,
            loader: None,
            journal: None,
            asked_alone: None,
        }
    }

    /// A journal of a genesis at offset 10, changed by `change`, and two ticks; and the position at offset 30.
    fn history(change: impl FnOnce(&mut Genesis)) -> (Vec<Vec<u8>>, Position) {
        let mut genesis = restorer(Delivery::ExactlyOnce).genesis(10).unwrap();
        change(&mut genesis);
        let lineage = genesis.lineage;
        let mut chain = Chain::default();
        let mut values = vec![chain.write(10, Decision::Genesis(genesis)).1];
        for at in [20, 30] {
            values.push(chain.write(at, Decision::Tick { time: EventTime::from_millis(at) }).1);
        }
        let mark = CommitMark { lineage, seq: 2, hash: chain.hash(), reference_offset_next: 0 };
        (values, Position { offset_next: 30, mark })
    }

    fn read(values: &[Vec<u8>], committed: Option<Position>) -> Reading {
        let mut reading = Reading::new(committed);
        values.iter().for_each(|value| reading.take(value));
        reading.is_at_end = true;
        reading
    }

    /// Where a journal puts its partition, in words, on a log from offset `start` to 40.
    fn placed(delivery: Delivery, reading: &mut Reading, start: i64) -> String {
        match restorer(delivery).place(reading, start, 40).unwrap() {
            Next::Place(Phase::Running(_), offset) => format!("running from {offset}"),
            Next::Place(Phase::Replaying(_), offset) => format!("replaying from {offset}"),
            Next::Refuse(refusal) => format!("refused: {refusal}"),
            _ => "neither".to_owned(),
        }
    }

    fn exactly(reading: &mut Reading) -> String {
        placed(Delivery::ExactlyOnce, reading, 0)
    }

    #[test]
    fn a_partition_without_history_begins_one_where_its_log_begins() {
        assert_eq!(placed(Delivery::ExactlyOnce, &mut read(&[], None), 7), "running from 7");
    }

    #[test]
    fn an_offset_that_a_reset_holds_is_told_from_another_programs() {
        let refusal = |mark: &str| Refusal::of_mark(mark.parse::<CommitMark>().unwrap_err());
        assert_eq!(refusal(RESET_MARK), Refusal::ResetUnderWay);
        assert!(matches!(refusal("theirs"), Refusal::Mark(_)));
    }

    #[test]
    fn a_history_is_replayed_from_its_beginning() {
        let (values, position) = history(|_| {});
        assert_eq!(exactly(&mut read(&values, Some(position))), "replaying from 10");
    }

    #[test]
    fn the_journal_is_read_to_the_committed_record_and_no_further() {
        let (values, position) = history(|_| {});
        let mut reading = read(&values[..2], Some(position));
        assert!(!reading.is_done(Delivery::ExactlyOnce), "the end of the journal is not the end");
        reading.take(&values[2]);
        reading.is_at_end = false;
        assert!(reading.is_done(Delivery::ExactlyOnce));
        assert!(!reading.is_done(Delivery::AtLeastOnce), "decisions may come before their offset");
    }

    #[test]
    fn a_committed_offset_that_vanished_is_believed_only_at_least_once() {
        let (values, _) = history(|_| {});
        let mut reading = read(&values, None);
        assert!(
            exactly(&mut reading).contains("offsets.retention.minutes"),
            "{}",
            exactly(&mut reading)
        );
        assert_eq!(placed(Delivery::AtLeastOnce, &mut reading, 0), "running from 10");
    }

    #[test]
    fn what_does_not_agree_with_the_genesis_is_refused_with_what_to_do() {
        type Change = fn(&mut Genesis);
        let cases: [(Change, &str); 4] = [
            (|genesis| genesis.events_topic_id = Some([2; 16]), "deleted and created again"),
            (|genesis| genesis.partition_count = 4, "has 8 partitions and had 4"),
            (|genesis| genesis.engine += 1, "run that version, or a later one"),
            (|genesis| genesis.policy_fingerprint += 1, "not the one configured"),
        ];
        for (change, says) in cases {
            let (values, position) = history(change);
            let told = exactly(&mut read(&values, Some(position)));
            assert!(told.starts_with("refused") && told.contains(says), "{told}");
        }
    }

    #[test]
    fn a_deployment_moves_to_the_next_engine_when_drained_and_never_back() {
        let (values, position) = history(|_| {});
        let placed = |engine, mut reading: Reading| {
            let restorer = Restorer { engine, ..restorer(Delivery::ExactlyOnce) };
            match restorer.place(&mut reading, 0, 40).unwrap() {
                Next::Place(Phase::Replaying(replay), _) => Ok(replay),
                Next::Refuse(refusal) => Err(refusal.to_string()),
                _ => panic!("neither replayed nor refused"),
            }
        };
        let loaded = placed(ENGINE + 1, read(&values, Some(position))).err().unwrap();
        assert!(loaded.contains("goodfaith drain"), "{loaded}");

        // A history of which nothing was handled yet leaves nothing to be handled again.
        let mut chain = Chain::default();
        let mut journal = vec![values[0].clone()];
        let lineage = chain.read(&journal[0]).map(|_| position.mark.lineage).unwrap();
        let mark = CommitMark { lineage, seq: 0, hash: chain.hash(), reference_offset_next: 0 };
        let drained = Position { offset_next: 10, mark };
        let replay = placed(ENGINE + 1, read(&journal, Some(drained))).unwrap();
        let (mut scored, _) = replay.finish(&ReferenceLog::new()).unwrap();
        journal.push(scored.begin().expect("the new engine says so first"));
        scored.commit();
        let moved = Some(scored.position());
        assert!(placed(ENGINE + 1, read(&journal, moved)).is_ok());
        let older = placed(ENGINE, read(&journal, moved)).err().unwrap();
        assert!(older.contains(concat!("goodfaith ", env!("CARGO_PKG_VERSION"))), "{older}");
    }

    /// The same reading, and the snapshot that `engine` left at `position`.
    fn with_snapshot(mut reading: Reading, engine: u32, position: Position) -> Reading {
        let genesis = reading.genesis.clone().unwrap();
        let settings =
            super::super::partition::settings(&restorer(Delivery::ExactlyOnce).scoring, &genesis);
        let mut state = PartitionEngine::new(settings.clone());
        let offset = position.offset_next - 1;
        let rejected = wire::decode(
            RecordRef { key: None, value: None, headers: &[], timestamp_ms: None },
            Expect::EventsTopic,
        );
        state.handle(crate::engine::Input::Record { offset, record: rejected }, &mut Vec::new());
        state.commit();
        let CommitMark { seq, hash, reference_offset_next, .. } = position.mark;
        let point = SnapshotPoint {
            layout: crate::engine::LAYOUT,
            engine,
            policy_fingerprint: genesis.policy_fingerprint,
            genesis,
            partition: 0,
            offset_next: position.offset_next,
            seq,
            journal_hash: hash,
            reference_offset_next,
            policy_offset: None,
        };
        let manifest = wire::Manifest {
            point,
            taken_ms: 0,
            steps: Vec::new(),
            customers: 0,
            supersedes: false,
        };
        let found = Some(Loaded { state, manifest, is_followed: false });
        reading.snapshot = Snapshot::Answered(Box::new(Answer { found, passed_over: 0 }));
        reading
    }

    #[test]
    fn a_loaded_deployment_moves_to_the_next_engine_from_the_snapshot_it_was_drained_to() {
        let (mut values, position) = history(|_| {});
        let next = ENGINE + 1;
        let placed = |engine, mut reading: Reading| {
            let restorer = Restorer { engine, ..restorer(Delivery::ExactlyOnce) };
            match restorer.place(&mut reading, 0, 40).unwrap() {
                Next::Place(Phase::Replaying(replay), from) => Ok((replay, from)),
                Next::Refuse(refusal) => Err(refusal.to_string()),
                _ => panic!("neither replayed nor refused"),
            }
        };
        let drained = || with_snapshot(read(&values, Some(position)), ENGINE, position);
        let (replay, from) = placed(next, drained()).unwrap();
        assert_eq!(from, position.offset_next, "nothing is handled again");
        let (mut scored, _) = replay.finish(&ReferenceLog::new()).unwrap();
        let begins = scored.begin().expect("the new engine says so first");
        scored.commit();
        let (moved, left) = (scored.position(), scored.point(0));
        assert_eq!(left.engine, next);

        // Its own snapshots, and the one it began from, are good to go on from; for the old engine none is.
        values.push(begins);
        let read = || read(&values, Some(moved));
        assert!(placed(next, with_snapshot(read(), next, moved)).is_ok());
        assert!(placed(next, with_snapshot(read(), ENGINE, position)).is_ok());
        for reading in
            [read(), with_snapshot(read(), ENGINE, position), with_snapshot(read(), next, moved)]
        {
            let told = placed(ENGINE, reading).err().unwrap();
            assert!(told.contains("which is older"), "{told}");
        }
    }

    #[test]
    fn a_policy_that_is_not_what_the_journal_put_in_force_is_refused() {
        let (mut values, mut position) = history(|_| {});
        let mut chain = Chain::default();
        values.iter().for_each(|value| drop(chain.read(value)));
        let json = r#"{"version":"low","base_rate":0.1}"#;
        let log = log_of(vec![published(json)]);
        let fingerprint = log.policy(0).unwrap().fingerprint;
        values.push(chain.write(30, Decision::Policy { reference_offset: 0, fingerprint }).1);
        position.mark = CommitMark { seq: 3, hash: chain.hash(), ..position.mark };
        let placed = |log: ReferenceLog| {
            let mut reading = read(&values, Some(position));
            let restorer = Restorer { reference: Arc::new(log), ..restorer(Delivery::ExactlyOnce) };
            match restorer.place(&mut reading, 0, 40).unwrap() {
                Next::Place(_, offset) => format!("from {offset}"),
                Next::Refuse(refusal) => refusal.to_string(),
                Next::Wait | Next::Doubt | Next::Again => "neither".to_owned(),
            }
        };
        assert_eq!(placed(log), "from 10");
        assert!(placed(ReferenceLog::new()).contains("policy at offset 0"));
        let other = published(r#"{"version":"low","base_rate":0.2}"#);
        assert!(placed(log_of(vec![other])).contains("policy at offset 0"));
    }

    #[test]
    fn a_broker_that_tells_no_topic_id_is_no_reason_to_refuse() {
        let (values, position) = history(|genesis| genesis.events_topic_id = None);
        assert_eq!(exactly(&mut read(&values, Some(position))), "replaying from 10");
    }

    #[test]
    fn a_log_that_no_longer_holds_the_history_is_refused_with_the_setting() {
        let (values, position) = history(|_| {});
        let mut reading = read(&values, Some(position));
        assert_eq!(placed(Delivery::ExactlyOnce, &mut reading, 10), "replaying from 10");
        let told = placed(Delivery::ExactlyOnce, &mut reading, 11);
        assert!(told.contains("retention.ms=-1") && told.contains("retention.bytes=-1"), "{told}");
        let ahead = Position { offset_next: 41, ..position };
        assert!(exactly(&mut read(&values, Some(ahead))).contains("has lost records"));
    }

    #[test]
    fn a_journal_with_a_gap_or_of_another_history_is_refused() {
        let (values, position) = history(|_| {});
        let gap = [values[0].clone(), values[2].clone()];
        assert!(
            exactly(&mut read(&gap, Some(position))).contains("journal record 2 stands where 1")
        );
        let (_, elsewhere) = history(|_| {});
        assert!(exactly(&mut read(&values, Some(elsewhere))).contains("not the one the offset"));
    }
}
