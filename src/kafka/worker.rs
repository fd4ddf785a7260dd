//! One worker thread: a consumer, a producer, and the engines of the partitions it owns. It fetches a batch, hands it to the engines,
//! publishes what they ask for, and ends the transaction, again and again; between batches it answers the group, restores what is new
//! and answers questions.
//!
//! State is changed before anybody knows whether the transaction will count; what the outcome means for it is decided in
//! [`Worker::end_transaction`] and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::clock;
use super::error::{Error, Result};
use super::fact::{Fact, Observer, Settlement, Tally};
use super::failure::Failure;
use super::member::{Member, Rebalance, Rebalances, answer};
use super::native::{self, FetchQueue, Fetched, FetchedRecord};
use super::partition::{Partition, Position};
use super::publisher::{Outcome, Publication, Publisher};
use super::reference::{ReferenceLog, refuse_lasting};
use super::restore::{CommittedError, Historian, History, Replay, committed};
use super::settings::{Delivery, KafkaSettings, Scoring};
use super::topics::{EventsTopic, Topics};
use crate::engine::{Effect, Input};
use crate::live::{Live, PartitionState, PartitionStatus, Query};
use crate::model::EventTime;
use crate::wire::{self, Decision, Expect, Header, Origin, RecordRef};

/// Records fetched at once.
const BATCH: usize = 1000;
/// How long an idle worker waits for a record before it looks around.
const IDLE_WAIT: Duration = Duration::from_millis(20);
/// Records, and customers kept as they were, after which a transaction ends before its time.
const RECORDS_MAX: u64 = 50_000;
const TOUCHED_MAX: usize = 50_000;
/// Transactions in a row that may come to nothing.
const FAILURES_MAX: u32 = 20;
/// How long the broker may leave open what was committed.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a seek may take, and a partition may stay without an answer before it is refused.
const SEEK_TIMEOUT: Duration = Duration::from_secs(10);
const HISTORY_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a partition is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// How far an idle clock must be behind to be advanced, in milliseconds: each tick is a journal record.
const TICK_STEP_MS: i64 = 60_000;
/// Questions waiting for an answer; more are turned away.
pub(super) const INBOX: usize = 256;

/// What all workers of a process share.
pub(super) struct Shared {
    pub(super) settings: KafkaSettings,
    pub(super) scoring: Scoring,
    pub(super) topics: Topics,
    pub(super) events: EventsTopic,
    pub(super) reference: Arc<ReferenceLog>,
    pub(super) live: Arc<Live>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) stop: Arc<AtomicBool>,
    /// When any partition of this process last had a record, milliseconds since the epoch: if all are silent, no clock is advanced.
    pub(super) active_ms: AtomicI64,
}

/// A partition in whatever state.
enum Slot {
    /// Nobody has asked yet what its history is.
    Asking { since: Instant },
    /// Its log is being read again.
    Replaying { replay: Box<Replay>, since: Instant },
    /// Its events are handled.
    Running(Box<Partition>),
    /// It cannot be served.
    Refused,
}

/// The open transaction.
struct Open {
    began_at: Instant,
    touched: BTreeSet<i32>,
    tally: Tally,
}

/// What a batch came to.
enum Flow {
    /// Go on.
    On,
    /// The transaction has ended in a way that makes the rest of the batch stale.
    Stale,
}

/// One worker.
pub(super) struct Worker {
    id: usize,
    shared: Arc<Shared>,
    // Dropped before the consumer, as librdkafka wants it.
    queue: Arc<FetchQueue<Rebalances>>,
    member: Arc<Member>,
    publisher: Publisher,
    historian: Historian,
    slots: BTreeMap<i32, Slot>,
    open: Option<Open>,
    failures: u32,
    inbox: Receiver<Query>,
    sender: SyncSender<Query>,
}

impl Worker {
    /// Connects: first the producer, whose fencing ends what a predecessor left open, then the consumer.
    ///
    /// # Errors
    /// If a property is wrong or the broker does not answer.
    pub(super) fn connect(id: usize, instance: &str, shared: Arc<Shared>) -> Result<Self> {
        let settings = &shared.settings;
        let publisher = Publisher::connect(settings, instance, id)?;
        let reader: BaseConsumer =
            settings.reader().create().map_err(Error::while_doing("making a reader"))?;
        let (topics, scoring) = (shared.topics.clone(), shared.scoring.clone());
        let historian = Historian::new(reader, topics, shared.events, scoring, settings.delivery);
        let member: Member = settings
            .member(id)
            .create_with_context(Rebalances::default())
            .map_err(Error::while_doing("making a consumer"))?;
        member
            .subscribe(&[shared.topics.events()])
            .map_err(Error::while_doing("joining the group"))?;
        let member = Arc::new(member);
        let (sender, inbox) = std::sync::mpsc::sync_channel(INBOX);
        Ok(Self {
            id,
            queue: Arc::new(FetchQueue::new(Arc::clone(&member))),
            member,
            publisher,
            historian,
            slots: BTreeMap::new(),
            open: None,
            failures: 0,
            inbox,
            sender,
            shared,
        })
    }

    /// Runs until told to stop, then commits and leaves the group.
    ///
    /// # Errors
    /// What waiting does not cure.
    pub(super) fn run(mut self) -> Result<()> {
        self.observe(Fact::WorkerStarted { worker: self.id });
        while !self.shared.stop.load(Ordering::Acquire) {
            self.turn()?;
        }
        let ended = self.end_transaction(None);
        for partition in std::mem::take(&mut self.slots).into_keys() {
            self.queue.release(self.shared.topics.events(), partition);
            self.shared.live.partitions.remove(&partition);
        }
        self.member.context().leave();
        self.shared.live.turns.remove(&self.id);
        self.observe(Fact::WorkerStopped { worker: self.id });
        ended
    }

    fn observe(&self, fact: Fact<'_>) {
        self.shared.observer.observe(fact);
    }

    /// One turn of the loop.
    fn turn(&mut self) -> Result<()> {
        self.shared.live.turns.insert(self.id, clock::wall_ms());
        self.serve_group()?;
        self.answer_queries();
        self.restore()?;
        self.begin_histories()?;
        self.tick()?;
        self.handle_batch()?;
        if self.is_due() {
            self.end_transaction(None)?;
        }
        self.publisher.serve();
        self.measure();
        Ok(())
    }

    // --- the group ---------------------------------------------------------------------------------------------------------------

    fn serve_group(&mut self) -> Result<()> {
        if let Some(Err(error)) = self.member.poll(Duration::ZERO) {
            refuse_lasting(error)?;
        }
        for rebalance in self.member.context().take() {
            match &rebalance {
                Rebalance::Assign(partitions) => self.assign(partitions)?,
                Rebalance::Revoke(partitions) => self.revoke(partitions)?,
            }
        }
        Ok(())
    }

    fn assign(&mut self, partitions: &TopicPartitionList) -> Result<()> {
        let topic = self.shared.topics.events();
        let given: Vec<i32> =
            partitions.elements().iter().map(|element| element.partition()).collect();
        // Before records can flow, or some would take the consumer's own queue.
        given.iter().for_each(|partition| self.queue.forward(topic, *partition));
        let accepted = answer(&self.member, &Rebalance::Assign(partitions.clone()));
        accepted
            .and_then(|()| self.member.pause(partitions))
            .map_err(Error::while_doing("taking partitions"))?;
        let (worker, assigned) = (self.id, given.len());
        self.observe(Fact::Rebalanced { worker, assigned, revoked: 0, is_lost: false });
        for partition in given {
            self.slots.insert(partition, Slot::Asking { since: clock::now() });
            self.show(partition, PartitionState::Restoring, 0.0, 0);
            self.observe(Fact::PartitionAssigned { partition });
        }
        Ok(())
    }

    /// Gives partitions back: commits what is open, or, if they are lost already, lets go of it.
    fn revoke(&mut self, partitions: &TopicPartitionList) -> Result<()> {
        let is_lost = self.member.assignment_lost();
        let cause = is_lost
            .then(|| Failure::new(RDKafkaErrorCode::AssignmentLost, "the partitions were lost"));
        let given: Vec<i32> =
            partitions.elements().iter().map(|element| element.partition()).collect();
        if is_lost {
            // Another member may own them: whatever became of the transaction, their state is not ours to judge.
            given.iter().for_each(|partition| self.drop_slot(*partition));
        }
        self.end_transaction(cause)?;
        given.iter().for_each(|partition| self.drop_slot(*partition));
        answer(&self.member, &Rebalance::Revoke(partitions.clone()))
            .map_err(Error::while_doing("giving partitions back"))?;
        let (worker, revoked) = (self.id, given.len());
        self.observe(Fact::Rebalanced { worker, assigned: 0, revoked, is_lost });
        Ok(())
    }

    fn drop_slot(&mut self, partition: i32) {
        if self.slots.remove(&partition).is_some() {
            self.queue.release(self.shared.topics.events(), partition);
            self.shared.live.partitions.remove(&partition);
            self.observe(Fact::PartitionRevoked { partition });
        }
    }

    // --- restoring ---------------------------------------------------------------------------------------------------------------

    /// Asks for the history of one partition that waits for it; the others run on meanwhile.
    fn restore(&mut self) -> Result<()> {
        let asking = self.slots.iter().find_map(|(partition, slot)| match slot {
            Slot::Asking { since } => Some((*partition, *since)),
            _ => None,
        });
        let Some((partition, since)) = asking.filter(|_| self.shared.reference.is_caught_up())
        else {
            return Ok(());
        };
        // Asking takes a while, and a transaction must not wait for it.
        self.end_transaction(None)?;
        let member = Arc::clone(&self.member);
        let history = self
            .historian
            .history(&member, partition, &mut || drop(member.poll(Duration::ZERO)))?;
        match history {
            History::New { start_offset } => {
                let lineage = lineage()?;
                let begun =
                    Partition::begin(&self.shared.scoring, lineage, start_offset, clock::now());
                self.slots.insert(partition, Slot::Running(Box::new(begun)));
                self.read_from(partition, start_offset)?;
                self.told_restored(partition, 0, since, true);
            }
            History::Told(replay) => {
                let from = replay.start_offset;
                self.slots.insert(partition, Slot::Replaying { replay, since });
                self.read_from(partition, from)?;
                self.finish_if_read(partition, from);
            }
            History::Refused(reason) => self.refuse(partition, &reason),
            History::Unsettled(reason) if since + HISTORY_TIMEOUT <= clock::now() => {
                self.refuse(partition, &reason)
            }
            History::Unsettled(_) => {}
        }
        Ok(())
    }

    fn refuse(&mut self, partition: i32, reason: &str) {
        self.slots.insert(partition, Slot::Refused);
        self.show(partition, PartitionState::Refused(reason.to_owned()), 0.0, 0);
        self.observe(Fact::PartitionRefused { partition, reason });
    }

    /// Reads the partition from `offset` on.
    fn read_from(&self, partition: i32, offset: i64) -> Result<()> {
        let topic = self.shared.topics.events();
        let deadline = clock::now() + SEEK_TIMEOUT;
        loop {
            match self.member.seek(topic, partition, Offset::Offset(offset), SEEK_TIMEOUT) {
                Ok(()) => break,
                // An assignment takes a moment to arrive inside the library.
                Err(_) if clock::now() < deadline => {
                    drop(self.member.poll(Duration::from_millis(5)))
                }
                Err(error) => return Err(Error::while_doing("seeking")(error)),
            }
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        self.member.resume(&list).map_err(Error::while_doing("resuming"))
    }

    /// The log has been read up to `offset`: if that is all, the partition runs.
    fn finish_if_read(&mut self, partition: i32, offset: i64) {
        let is_read = matches!(self.slots.get(&partition), Some(Slot::Replaying { replay, .. })
            if replay.target_offset() <= offset.max(replay.next_offset()));
        if !is_read {
            return;
        }
        if let Some(Slot::Replaying { replay, since }) = self.slots.remove(&partition) {
            let records = replay.records;
            match replay.finish(&self.shared.reference) {
                Ok(restored) => {
                    self.slots.insert(partition, Slot::Running(Box::new(restored)));
                    self.told_restored(partition, records, since, false);
                }
                // The reference log will be read as far in a moment: the next end of log or record asks again.
                Err(replay) => {
                    self.slots.insert(partition, Slot::Replaying { replay, since });
                }
            }
        }
    }

    fn told_restored(&self, partition: i32, records: u64, since: Instant, is_new: bool) {
        self.show(partition, PartitionState::Running, 1.0, 0);
        let elapsed = clock::now() - since;
        self.observe(Fact::PartitionRestored { partition, records, elapsed, is_new });
    }

    // --- handling ----------------------------------------------------------------------------------------------------------------

    fn handle_batch(&mut self) -> Result<()> {
        let wait = match &self.open {
            Some(open) => {
                let left = (open.began_at + self.shared.settings.commit_interval)
                    .saturating_duration_since(clock::now());
                left.min(IDLE_WAIT)
            }
            None => IDLE_WAIT,
        };
        let queue = Arc::clone(&self.queue);
        let first = queue.fetch(1, wait);
        let rest = if first.len() == 0 { None } else { Some(queue.fetch(BATCH, Duration::ZERO)) };
        let mut decided = BTreeSet::new();
        for fetched in first.iter().chain(rest.iter().flat_map(|rest| rest.iter())) {
            if let Flow::Stale = self.handle_fetched(&fetched, &mut decided)? {
                break;
            }
        }
        for slot in self.slots.values_mut() {
            if let Slot::Replaying { replay, .. } = slot {
                replay.keep();
            }
        }
        Ok(())
    }

    fn handle_fetched(
        &mut self,
        fetched: &Fetched<'_>,
        decided: &mut BTreeSet<i32>,
    ) -> Result<Flow> {
        match fetched {
            Fetched::Record(record) => self.handle_record(*record, decided),
            Fetched::End { partition, offset } => {
                self.finish_if_read(*partition, *offset);
                if let Some(Slot::Running(running)) = self.slots.get_mut(partition) {
                    running.is_at_end = true;
                }
                Ok(Flow::On)
            }
            Fetched::Error { partition, code } => {
                if matches!(
                    code,
                    RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange
                ) {
                    let topic = self.shared.topics.events();
                    let reason = format!(
                        "the log of {topic} no longer holds the next offset to read. Set retention.ms=-1 and retention.bytes=-1 on it, \
                         restore the log, or begin a new deployment (another group_id and topic_prefix)"
                    );
                    self.refuse(*partition, &reason);
                } else {
                    refuse_lasting(KafkaError::MessageConsumption(*code))?;
                }
                Ok(Flow::On)
            }
        }
    }

    fn handle_record(
        &mut self,
        record: FetchedRecord<'_>,
        decided: &mut BTreeSet<i32>,
    ) -> Result<Flow> {
        let (partition, offset) = (record.partition(), record.offset());
        if let Some(Slot::Replaying { replay, .. }) = self.slots.get_mut(&partition) {
            match replay.handle(record, &self.shared.reference) {
                Ok(true) => {
                    self.finish_if_read(partition, offset + 1);
                    return Ok(Flow::On);
                }
                Ok(false) => self.finish_if_read(partition, offset),
                Err(_not_yet) => {
                    self.slots.insert(partition, Slot::Asking { since: clock::now() });
                    return Ok(Flow::Stale);
                }
            }
        }
        match self.slots.get(&partition) {
            Some(Slot::Running(running))
                if running.has_genesis() && running.next_offset() <= offset => {}
            // Behind what is handled, or not to be handled.
            _ => return Ok(Flow::On),
        }
        if let Err(failure) = self.handle_running(record, decided.insert(partition)) {
            self.end_transaction(Some(failure))?;
            return Ok(Flow::Stale);
        }
        if self.is_full() {
            self.end_transaction(None)?;
            // After a commit the engines stand where the batch does; after anything else they do not.
            return Ok(if self.failures == 0 { Flow::On } else { Flow::Stale });
        }
        Ok(Flow::On)
    }

    /// Hands a record to its engine and publishes what it asks for.
    fn handle_running(
        &mut self,
        record: FetchedRecord<'_>,
        is_first_in_batch: bool,
    ) -> Result<(), Failure> {
        let started = clock::now();
        let partition = record.partition();
        self.open_transaction(partition)?;
        if is_first_in_batch {
            self.see_reference(partition)?;
        }
        let headers = record.headers();
        let original = record.as_ref(&headers);
        self.follow_decided(partition, record.offset())?;
        let input = Input::Record {
            offset: record.offset(),
            record: wire::decode(original, Expect::EventsTopic),
        };
        self.hand_over(partition, input, original)?;
        if let Some(Slot::Running(running)) = self.slots.get_mut(&partition) {
            (running.is_at_end, running.active_at) = (false, started);
        }
        self.shared.active_ms.store(clock::wall_ms(), Ordering::Relaxed);
        if let Some(open) = &mut self.open {
            open.tally.records += 1;
            open.tally.handling += clock::now() - started;
        }
        Ok(())
    }

    /// Gives the engine one input and performs its effects, in order.
    fn hand_over(
        &mut self,
        partition: i32,
        input: Input,
        original: RecordRef<'_>,
    ) -> Result<(), Failure> {
        let Some(Slot::Running(running)) = self.slots.get_mut(&partition) else { return Ok(()) };
        let mut effects = Vec::new();
        running.engine.handle(input, &mut effects);
        for effect in &effects {
            self.perform(partition, effect, original)?;
        }
        Ok(())
    }

    fn perform(
        &mut self,
        partition: i32,
        effect: &Effect,
        original: RecordRef<'_>,
    ) -> Result<(), Failure> {
        let topics = &self.shared.topics;
        let origin = Origin { topic: topics.events(), partition };
        for record in wire::encode(effect, original, origin, self.shared.settings.encoding) {
            self.publisher.send(Publication {
                topic: topics.name(record.topic),
                partition: None,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &record.headers,
                timestamp_ms: original.timestamp_ms,
            })?;
        }
        if let Some(open) = &mut self.open {
            open.tally.count(partition, effect, original.timestamp_ms);
        }
        Ok(())
    }

    // --- the journal -------------------------------------------------------------------------------------------------------------

    /// Begins the history of partitions that have none: the genesis is in the partition's first transaction.
    fn begin_histories(&mut self) -> Result<()> {
        let new: Vec<i32> = self
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Running(running) if !running.has_genesis()))
            .map(|(partition, _)| *partition)
            .collect();
        for partition in new {
            if let Err(failure) = self.begin_history(partition) {
                return self.end_transaction(Some(failure));
            }
        }
        Ok(())
    }

    fn begin_history(&mut self, partition: i32) -> Result<(), Failure> {
        self.open_transaction(partition)?;
        let (events, policy) = (self.shared.events, Arc::clone(&self.shared.scoring.policy));
        if let Some(Slot::Running(running)) = self.slots.get_mut(&partition) {
            let genesis = running.write_genesis(events, &policy);
            self.write_journal(partition, &genesis)?;
        }
        self.see_reference(partition)
    }

    /// At a batch boundary: lets the engine see the reference data as read so far.
    fn see_reference(&mut self, partition: i32) -> Result<(), Failure> {
        let latest = self.shared.reference.latest();
        let Some(Slot::Running(running)) = self.slots.get_mut(&partition) else { return Ok(()) };
        if !running.decided.is_empty()
            || latest.offset_next <= running.engine.reference_offset_next()
        {
            return Ok(());
        }
        let (value, input) = running.see_reference(latest.offset_next, latest.catalogue);
        self.write_journal(partition, &value)?;
        self.hand_over(partition, input, NO_RECORD)
    }

    /// Applies decisions that stand in the journal already, before the record at `offset`.
    fn follow_decided(&mut self, partition: i32, offset: i64) -> Result<(), Failure> {
        loop {
            let Some(Slot::Running(running)) = self.slots.get_mut(&partition) else {
                return Ok(());
            };
            let Some(record) = running.decided.pop_front_if(|record| record.at <= offset) else {
                return Ok(());
            };
            let seq = record.seq;
            let input = match record.decision {
                Decision::Genesis(_) => continue,
                Decision::Reference { offset_next } => {
                    let text = "the reference log has not been read as far as the journal";
                    let catalogue = self.shared.reference.version(offset_next);
                    let catalogue = catalogue
                        .ok_or_else(|| Failure::new(RDKafkaErrorCode::InProgress, text))?;
                    Input::Reference { seq, offset_next, catalogue }
                }
                Decision::Tick { time } => Input::Tick { seq, time },
            };
            self.hand_over(partition, input, NO_RECORD)?;
        }
    }

    fn write_journal(&mut self, partition: i32, value: &[u8]) -> Result<(), Failure> {
        self.publisher.send(Publication {
            topic: self.shared.topics.journal(),
            partition: Some(partition),
            key: Some(partition.to_string().as_bytes()),
            value: Some(value),
            headers: &[],
            timestamp_ms: None,
        })?;
        match self.shared.settings.delivery {
            Delivery::ExactlyOnce => Ok(()),
            // No effect of a decision may be seen before the decision is certain.
            Delivery::AtLeastOnce => self.publisher.drain(),
        }
    }

    /// Advances the clock of partitions that are read to the end and silent, unless all of them are: then the source is down, and
    /// nobody broke a promise.
    fn tick(&mut self) -> Result<()> {
        let Some(idle_after) = self.shared.settings.idle_after else { return Ok(()) };
        let idle_ms = i64::try_from(idle_after.as_millis()).unwrap_or(i64::MAX);
        let now = clock::wall_ms();
        if now - self.shared.active_ms.load(Ordering::Relaxed) >= idle_ms {
            return Ok(());
        }
        let time = EventTime::from_millis(now - idle_ms);
        let is_due = |running: &Partition| {
            let behind = running.engine.watermark().map_or(0, |watermark| time.since(watermark));
            running.has_genesis()
                && running.is_at_end
                && running.active_at + idle_after <= clock::now()
                && behind >= TICK_STEP_MS
        };
        let due: Vec<i32> = self
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Running(running) if is_due(running)))
            .map(|(partition, _)| *partition)
            .collect();
        for partition in due {
            if let Err(failure) = self.tick_one(partition, time) {
                return self.end_transaction(Some(failure));
            }
        }
        Ok(())
    }

    fn tick_one(&mut self, partition: i32, time: EventTime) -> Result<(), Failure> {
        self.open_transaction(partition)?;
        let Some(Slot::Running(running)) = self.slots.get_mut(&partition) else { return Ok(()) };
        let (value, input) = running.tick(time);
        self.write_journal(partition, &value)?;
        self.hand_over(partition, input, NO_RECORD)
    }

    // --- transactions ------------------------------------------------------------------------------------------------------------

    /// Makes `partition` part of the open transaction, opening one if need be.
    fn open_transaction(&mut self, partition: i32) -> Result<(), Failure> {
        if self.open.is_none() {
            let tally = Tally { worker: self.id, ..Tally::default() };
            self.open = Some(Open { began_at: clock::now(), touched: BTreeSet::new(), tally });
            self.publisher.begin()?;
        }
        if let Some(open) = &mut self.open {
            open.touched.insert(partition);
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.open.as_ref().is_some_and(|open| {
            open.began_at + self.shared.settings.commit_interval <= clock::now()
        })
    }

    /// Has the transaction grown as far as memory allows?
    fn is_full(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let touched = |partition: &i32| match self.slots.get(partition) {
            Some(Slot::Running(running)) => running.engine.touched(),
            _ => 0,
        };
        open.tally.records >= RECORDS_MAX
            || (open.tally.records % 256 == 255
                && open.touched.iter().map(touched).sum::<usize>() >= TOUCHED_MAX)
    }

    /// Ends the open transaction, if there is one: commits it, or aborts it because of `cause`; then makes the state say what the
    /// outcome says.
    fn end_transaction(&mut self, cause: Option<Failure>) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let mut after = BTreeMap::new();
        for partition in &open.touched {
            if let Some(Slot::Running(running)) = self.slots.get(partition) {
                after.insert(*partition, running.position());
            }
        }
        let started = clock::now();
        let outcome = match cause {
            None => match offsets(self.shared.topics.events(), &after) {
                Ok(offsets) => self.publisher.commit(&self.member, &offsets),
                Err(error) => self.publisher.abort(error.into()),
            },
            Some(cause) => self.publisher.abort(cause),
        };
        open.tally.committing = clock::now() - started;
        match outcome {
            Outcome::Committed => {
                self.failures = 0;
                self.keep(&after);
                self.observe(Fact::Committed(&open.tally));
            }
            Outcome::Delivered(failure) => {
                // Published all the same: the next commit covers it, and a crash before repeats it with the same ids.
                self.keep(&after);
                self.observe(Fact::Committed(&open.tally));
                let reason = failure.to_string();
                self.observe(Fact::OffsetsNotCommitted { worker: self.id, reason: &reason });
            }
            Outcome::Aborted(failure) => {
                let reason = failure.to_string();
                self.observe(Fact::TransactionAborted { worker: self.id, reason: &reason });
                self.count_failure(&reason)?;
                for partition in after.keys() {
                    self.undo(*partition)?;
                }
            }
            Outcome::Unknown(failure) => self.retire(&failure, &after)?,
        }
        Ok(())
    }

    fn count_failure(&mut self, reason: &str) -> Result<()> {
        self.failures += 1;
        if self.failures > FAILURES_MAX {
            return Err(Error::TransactionsFail {
                attempts: self.failures,
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }

    fn keep(&mut self, after: &BTreeMap<i32, Position>) {
        for (partition, position) in after {
            if let Some(Slot::Running(running)) = self.slots.get_mut(partition) {
                running.commit(*position);
            }
        }
    }

    /// Puts a partition back to its last commit, and reads from there again.
    fn undo(&mut self, partition: i32) -> Result<()> {
        let Some(Slot::Running(running)) = self.slots.get_mut(&partition) else { return Ok(()) };
        running.abort();
        let from = running.next_offset();
        self.read_from(partition, from)
    }

    /// Nobody can say how the transaction ended. A new producer of the same name ends it one way or the other; then the committed
    /// offsets tell which.
    fn retire(&mut self, failure: &Failure, after: &BTreeMap<i32, Position>) -> Result<()> {
        let reason = failure.to_string();
        self.observe(Fact::ProducerRetired { worker: self.id, reason: &reason });
        self.count_failure(&reason)?;
        self.publisher.retire()?;
        let ours: Vec<i32> =
            after.keys().copied().filter(|partition| self.slots.contains_key(partition)).collect();
        let settled = self.settled(&ours)?;
        for (partition, position) in after {
            let before = match self.slots.get(partition) {
                Some(Slot::Running(running)) => running.committed,
                _ => continue,
            };
            let settlement = match settled.get(partition) {
                Some(now) if *now == Some(*position) => Settlement::Kept,
                // At-least-once the journal may be ahead of the offset: only a restore knows.
                Some(now)
                    if *now == before && self.shared.settings.delivery == Delivery::ExactlyOnce =>
                {
                    Settlement::Undone
                }
                _ => Settlement::Dropped,
            };
            match settlement {
                Settlement::Kept => self.keep(&BTreeMap::from([(*partition, *position)])),
                Settlement::Undone => self.undo(*partition)?,
                Settlement::Dropped => self.restore_again(*partition)?,
            }
            self.observe(Fact::TransactionSettled { partition: *partition, settlement });
        }
        Ok(())
    }

    /// What is committed for `partitions`, once the broker says.
    fn settled(&self, partitions: &[i32]) -> Result<BTreeMap<i32, Option<Position>>> {
        let deadline = clock::now() + SETTLE_TIMEOUT;
        loop {
            match committed(&self.member, self.shared.topics.events(), partitions) {
                Ok(positions) => return Ok(positions.into_iter().collect()),
                // Left out of the answer, a partition is dropped and restored, which asks again and says why not.
                Err(CommittedError::NotOurs(_)) => return Ok(BTreeMap::new()),
                Err(CommittedError::Unsettled(_)) if clock::now() < deadline => {
                    drop(self.member.poll(Duration::from_millis(50)));
                }
                Err(CommittedError::Unsettled(error)) => {
                    return Err(Error::Kafka { doing: "asking what was committed", error });
                }
            }
        }
    }

    fn restore_again(&mut self, partition: i32) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition(self.shared.topics.events(), partition);
        self.member.pause(&list).map_err(Error::while_doing("pausing"))?;
        self.slots.insert(partition, Slot::Asking { since: clock::now() });
        self.show(partition, PartitionState::Restoring, 0.0, 0);
        Ok(())
    }

    // --- what is shown -----------------------------------------------------------------------------------------------------------

    /// Answers questions about customers, from what is certain: never in the middle of a transaction.
    fn answer_queries(&self) {
        if self.open.is_some() {
            return;
        }
        for query in self.inbox.try_iter().take(INBOX) {
            let view = match self.slots.get(&query.partition) {
                Some(Slot::Running(running)) => running.engine.customer(&query.customer),
                _ => None,
            };
            // Whoever asked may have stopped waiting.
            drop(query.reply.send(view));
        }
    }

    fn measure(&mut self) {
        let now = clock::now();
        let mut facts = Vec::new();
        for (partition, slot) in &mut self.slots {
            let (topic, member) = (self.shared.topics.events(), &self.member);
            let lag = |next: i64| {
                native::high_watermark(member, topic, *partition)
                    .map_or(0, |end| (end - next).max(0))
            };
            match slot {
                Slot::Running(running) if running.measured_at + MEASURE_EVERY <= now => {
                    running.measured_at = now;
                    let lag_records = lag(running.next_offset());
                    facts.push((*partition, PartitionState::Running, 1.0, lag_records));
                    self.shared.observer.observe(Fact::PartitionMeasured {
                        partition: *partition,
                        counters: running.engine.counters(),
                        customers: running.engine.customer_count(),
                        store_bytes: running.engine.store_bytes(),
                        lag_records,
                        watermark: running.engine.watermark(),
                    });
                }
                Slot::Replaying { replay, .. } => {
                    facts.push((
                        *partition,
                        PartitionState::Restoring,
                        replay.ratio(),
                        lag(replay.next_offset()),
                    ));
                }
                _ => {}
            }
        }
        for (partition, state, ratio, lag) in facts {
            self.show(partition, state, ratio, lag);
        }
    }

    fn show(&self, partition: i32, state: PartitionState, restored_ratio: f64, lag_records: i64) {
        let status =
            PartitionStatus { state, lag_records, restored_ratio, inbox: self.sender.clone() };
        self.shared.live.partitions.insert(partition, status);
    }
}

/// What a decision of ours stands for where a record is asked for.
const NO_RECORD: RecordRef<'static> =
    RecordRef { key: None, value: None, headers: &[] as &[Header<'static>], timestamp_ms: None };

/// The offsets to commit, each with its mark.
fn offsets(
    topic: &str,
    positions: &BTreeMap<i32, Position>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, position) in positions {
        let mut element = list.add_partition(topic, *partition);
        element.set_offset(Offset::Offset(position.offset))?;
        element.set_metadata(position.mark.to_string());
    }
    Ok(list)
}

/// A random name for a new history.
fn lineage() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}
