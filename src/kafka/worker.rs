//! A worker: one thread with a consumer, a producer and the engines of the partitions it owns. Its loop polls, answers rebalances,
//! brings partitions back, decides what the journal must hold, handles a batch, commits, and answers questions in between.
//!
//! It decides nothing about trust, and never waits long: every wait is bounded, so the poll never stops.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::clock;
use super::error::{Error, Result};
use super::fact::{Fact, Observer};
use super::failure::Failure;
use super::member::{self, Member, Rebalances};
use super::native::{self, Batch, FetchQueue, Fetched, FetchedRecord};
use super::offsets;
use super::outbox::Outbox;
use super::partition::Scored;
use super::publisher::{Outcome, Publisher};
use super::reference::{PolicyRecord, ReferenceLog, refuse_lasting};
use super::restore::{Next, Phase, Reading, Refusal, Restorer, wait};
#[cfg(feature = "faults")]
use super::safeguard::Safeguard;
use super::settings::{Delivery, KafkaSettings, Scoring};
use super::topics::{EventsTopic, Topics};
use crate::live::{Live, PartitionState, PartitionStatus, PolicyStatus, Query, RefusedPolicy};
use crate::model::{BakedIn, EventTime};
use crate::wire::{self, Expect, RecordRef};

/// Records handled between two turns of the loop.
const BATCH: usize = 1024;
/// Longest wait for a record: questions and rebalances wait as long.
const IDLE_WAIT: Duration = Duration::from_millis(50);
/// The same while partitions are coming back.
const RESTORE_WAIT: Duration = Duration::from_millis(5);
/// Questions that may wait for an answer; one more is refused at the door.
const INBOX: usize = 1024;
/// Questions answered a turn.
const ANSWERS: usize = 256;
/// One question to the broker within a turn.
const QUESTION: Duration = Duration::from_millis(500);
/// How long the consumer may take to move to another offset.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);
/// Transactions in a row that may come to nothing before the worker gives up.
const FAILURES: u32 = 20;
/// Longest pause after a failed transaction; they begin at 10 ms and double.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a partition that moves is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// How often an idle partition's clock is advanced at most: each tick is a journal record.
const TICK_INTERVAL: Duration = Duration::from_secs(60);

/// What all workers of a process share.
pub(super) struct Shared {
    pub(super) settings: Arc<KafkaSettings>,
    pub(super) scoring: Scoring,
    pub(super) topics: Arc<Topics>,
    pub(super) events: EventsTopic,
    pub(super) reference: Arc<ReferenceLog>,
    pub(super) live: Arc<Live>,
    pub(super) observer: Arc<dyn Observer>,
    /// Names this process among the group's.
    pub(super) instance: String,
    pub(super) stop: Arc<AtomicBool>,
    /// Workers that have made their first poll.
    pub(super) started: AtomicI64,
    /// When any worker last saw a record, milliseconds since the epoch.
    pub(super) traffic_ms: AtomicI64,
    /// Policies of the reference log below this offset that were refused are told.
    pub(super) refused_offset_next: AtomicI64,
}

impl Shared {
    /// Tells of a policy that cannot come into force: once, though every partition refuses it.
    fn tell_refused(&self, record: &PolicyRecord, baked_in: &BakedIn) {
        let PolicyRecord { offset, fingerprint, policy } = record;
        if *offset < self.refused_offset_next.fetch_max(offset + 1, Ordering::AcqRel) {
            return;
        }
        let reason = baked_in.to_string();
        self.live.refuse_policy(RefusedPolicy {
            version: policy.version.clone(),
            fingerprint: *fingerprint,
            reason: reason.clone(),
        });
        let (version, fingerprint, reason) = (&policy.version, *fingerprint, &reason);
        self.observer.observe(Fact::PolicyRefused { version, fingerprint, reason });
    }
}

/// One worker; it lives on its own thread.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) member: Arc<Member>,
    pub(super) queue: Rc<FetchQueue<Rebalances>>,
    pub(super) outbox: Outbox,
    pub(super) restorer: Restorer,
    pub(super) partitions: BTreeMap<i32, Owned>,
    inbox: Receiver<Query>,
    pub(super) inbox_sender: SyncSender<Query>,
    /// Transactions in a row that came to nothing.
    failures: u32,
    /// No record is handled before.
    not_before: Instant,
    has_turned: bool,
}

/// A partition this worker owns.
pub(super) struct Owned {
    pub(super) phase: Phase,
    pub(super) assigned_at: Instant,
    record_at: Instant,
    /// When the last record handled was stored, milliseconds since the epoch.
    stored_ms: Option<i64>,
    tick_at: Option<Instant>,
    measured_at: Option<Instant>,
}

impl Owned {
    pub(super) fn new() -> Self {
        let now = clock::now();
        Self {
            phase: Phase::Locating,
            assigned_at: now,
            record_at: now,
            stored_ms: None,
            tick_at: None,
            measured_at: None,
        }
    }
}

impl Worker {
    /// Connects worker `number`.
    ///
    /// # Errors
    /// If a property is wrong or the broker does not answer.
    pub(super) fn connect(number: usize, shared: Arc<Shared>) -> Result<Self> {
        let settings = &shared.settings;
        // Before the group is joined: a predecessor's open transaction must have ended when offsets are asked for.
        let publisher = Publisher::connect(settings, &shared.instance, number)?;
        let member: Member = settings
            .member(number)
            .create_with_context(Rebalances::default())
            .map_err(Error::while_doing("making a consumer"))?;
        let member = Arc::new(member);
        let (inbox_sender, inbox) = sync_channel(INBOX);
        Ok(Self {
            number,
            queue: Rc::new(FetchQueue::new(Arc::clone(&member))),
            member,
            outbox: Outbox {
                worker: number,
                settings: Arc::clone(settings),
                topics: Arc::clone(&shared.topics),
                publisher,
                open: None,
            },
            restorer: Restorer {
                settings: Arc::clone(settings),
                topics: Arc::clone(&shared.topics),
                events: shared.events,
                scoring: shared.scoring.clone(),
                reference: Arc::clone(&shared.reference),
                journal: None,
            },
            partitions: BTreeMap::new(),
            inbox,
            inbox_sender,
            failures: 0,
            not_before: clock::now(),
            has_turned: false,
            shared,
        })
    }

    /// Works until told to stop.
    ///
    /// # Errors
    /// If it cannot go on.
    pub(super) fn run(mut self) -> Result<()> {
        let result = self.work();
        self.leave();
        result
    }

    fn work(&mut self) -> Result<()> {
        self.member
            .subscribe(&[self.shared.topics.events()])
            .map_err(Error::while_doing("joining the group"))?;
        while !self.shared.stop.load(Ordering::Acquire) {
            self.turn()?;
        }
        self.commit()
    }

    fn turn(&mut self) -> Result<()> {
        self.shared.live.workers.entry(self.number).or_default().turned_ms = clock::wall_ms();
        // Records come by the queue; one that does not was fetched before it was forwarded, and will be fetched again.
        if let Some(Err(error)) = self.member.poll(Duration::ZERO) {
            refuse_lasting(error)?;
        }
        if !self.has_turned {
            self.has_turned = true;
            self.tell_started();
        }
        for rebalance in self.member.context().take() {
            self.rebalance(&rebalance)?;
        }
        self.outbox.publisher.serve();
        self.restore()?;
        self.answer();
        self.retire_tainted()?;
        if let Err(failure) = self.handle_batch() {
            let outcome = self.outbox.publisher.abort(failure);
            self.conclude(outcome)?;
        }
        let is_due = self.outbox.due_in(clock::now()).is_some_and(|due| due.is_zero());
        if is_due { self.commit() } else { Ok(()) }
    }

    fn tell_started(&self) {
        let shared = &self.shared;
        shared.observer.observe(Fact::WorkerStarted { worker: self.number });
        let started = shared.started.fetch_add(1, Ordering::AcqRel) + 1;
        if usize::try_from(started) == Ok(shared.settings.workers) {
            shared.live.is_started.store(true, Ordering::Release);
        }
    }

    /// Answers questions while nothing is speculative: what a reader sees never turns out not to have been.
    fn answer(&self) {
        if self.outbox.open.is_some() {
            return;
        }
        for query in self.inbox.try_iter().take(ANSWERS) {
            let owned = self.partitions.get(&query.partition);
            if let Some(Owned { phase: Phase::Running(scored), .. }) = owned {
                // Whoever asked may have gone.
                drop(query.reply.send(scored.engine().explain(&query.customer)));
            }
            // Otherwise the question is dropped, which its asker sees: the partition is not served here at present.
        }
    }

    fn handle_batch(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        if now < self.not_before {
            std::thread::sleep(self.not_before.saturating_duration_since(now).min(RESTORE_WAIT));
            return Ok(());
        }
        self.decide(now)?;
        let queue = Rc::clone(&self.queue);
        let batch = queue.fetch(BATCH, Duration::ZERO);
        if batch.len() > 0 {
            return self.handle(&batch);
        }
        let first = queue.fetch(1, self.wait(now));
        self.handle(&first)
    }

    /// How long to wait for a record.
    fn wait(&self, now: Instant) -> Duration {
        let is_restoring =
            |owned: &Owned| matches!(owned.phase, Phase::Locating | Phase::Reading(_));
        let is_any_restoring = self.partitions.values().any(is_restoring);
        let longest = if is_any_restoring { RESTORE_WAIT } else { IDLE_WAIT };
        self.outbox.due_in(now).map_or(longest, |due| due.min(longest))
    }

    /// Decides what the journal must hold before the next batch: the beginning of a history, a newer reference version, another policy,
    /// the clock of a partition without traffic.
    fn decide(&mut self, now: Instant) -> Result<(), Failure> {
        let latest = self.restorer.reference.latest();
        let policies = self.restorer.reference.policies();
        let tick = self.tick_time();
        let (shared, member, outbox) = (&self.shared, &self.member, &mut self.outbox);
        let mut effects = Vec::new();
        for (&partition, owned) in &mut self.partitions {
            let is_silent = tick.is_some_and(|(_, idle_after)| owned.is_silent(now, idle_after));
            let Phase::Running(scored) = &mut owned.phase else { continue };
            if let Some(value) = scored.begin() {
                outbox.journal(partition, &value)?;
            }
            while scored.has_ahead(scored.offset_next()) {
                outbox.open()?;
                if !scored.repeat(&self.restorer.reference, &mut effects) {
                    break;
                }
                outbox.perform(partition, scored.policy(), &mut effects, NO_RECORD)?;
            }
            if let Some(value) = scored.see(&latest, &mut effects) {
                outbox.journal(partition, &value)?;
                outbox.perform(partition, scored.policy(), &mut effects, NO_RECORD)?;
            }
            let refused = |record: &_, baked_in: &_| shared.tell_refused(record, baked_in);
            if let Some(value) = scored.activate(&policies, refused) {
                outbox.journal(partition, &value)?;
            }
            if let Some((time, _)) = tick.filter(|_| is_silent) {
                owned.tick_at = Some(now);
                if is_at_end(shared, member, partition, scored.offset_next())
                    && let Some(value) = scored.tick(time, &mut effects)
                {
                    outbox.journal(partition, &value)?;
                    outbox.perform(partition, scored.policy(), &mut effects, NO_RECORD)?;
                }
            }
        }
        Ok(())
    }

    /// What an idle partition's clock is advanced to, and after how much silence; `None` if ticks are off, or if no partition of this
    /// process has traffic: then upstream is down, and its promises are not broken.
    fn tick_time(&self) -> Option<(EventTime, Duration)> {
        let idle_after = self.shared.settings.idle_after?;
        let idle_ms = i64::try_from(idle_after.as_millis()).unwrap_or(i64::MAX);
        let (wall_ms, traffic_ms) =
            (clock::wall_ms(), self.shared.traffic_ms.load(Ordering::Relaxed));
        let has_traffic = wall_ms.saturating_sub(traffic_ms) < idle_ms;
        has_traffic.then(|| (EventTime::from_millis(wall_ms.saturating_sub(idle_ms)), idle_after))
    }

    fn handle(&mut self, batch: &Batch<'_>) -> Result<(), Failure> {
        let started = clock::now();
        for fetched in batch.iter() {
            match fetched {
                Fetched::Record(record) => self.handle_record(&record, started)?,
                Fetched::End => {}
                Fetched::Error { partition, code } => self.handle_error(partition, code),
            }
        }
        self.tell_progress();
        if let Some(open) = &mut self.outbox.open {
            open.tally.handling += clock::now().saturating_duration_since(started);
            self.shared.traffic_ms.fetch_max(clock::wall_ms(), Ordering::Relaxed);
        }
        Ok(())
    }

    fn tell_progress(&self) {
        for (partition, owned) in &self.partitions {
            if let Phase::Replaying(replay) = &owned.phase {
                let elapsed = self.waited(*partition, clock::now());
                self.set_live(*partition, |status| status.advance(replay.ratio(), elapsed));
            }
        }
    }

    fn handle_record(&mut self, record: &FetchedRecord<'_>, now: Instant) -> Result<(), Failure> {
        let (partition, offset) = (record.partition(), record.offset());
        let Some(owned) = self.partitions.get_mut(&partition) else { return Ok(()) };
        owned.record_at = now;
        owned.stored_ms = record.timestamp_ms();
        if let Phase::Replaying(replay) = &mut owned.phase {
            match replay.take(record, &self.restorer.reference) {
                Ok(()) if replay.is_whole() => self.finish_replay(partition),
                Ok(()) => {}
                Err(refusal) => self.refuse(partition, &refusal),
            }
        }
        let Some(Owned { phase: Phase::Running(scored), .. }) = self.partitions.get_mut(&partition)
        else {
            return Ok(());
        };
        if offset < scored.offset_next() {
            return Ok(());
        }
        let (outbox, mut effects) = (&mut self.outbox, Vec::new());
        while scored.has_ahead(offset) {
            outbox.open()?;
            if !scored.repeat(&self.restorer.reference, &mut effects) {
                let text = "the reference log is behind the journal";
                return Err(Failure::new(RDKafkaErrorCode::OperationTimedOut, text));
            }
            outbox.perform(partition, scored.policy(), &mut effects, NO_RECORD)?;
        }
        let headers = record.headers();
        let original = record.as_ref(&headers);
        outbox.open()?.tally.records += 1;
        scored.handle(offset, wire::decode(original, Expect::EventsTopic), &mut effects);
        if effects.is_empty() {
            return Ok(());
        }
        outbox.perform(partition, scored.policy(), &mut effects, original)
    }

    /// librdkafka goes on by itself after most errors, but takes their place in the batch for a record's: so the position is set
    /// again. The others mean that the log cannot be read on without a gap.
    fn handle_error(&mut self, partition: i32, code: RDKafkaErrorCode) {
        let is_lasting = matches!(
            code,
            RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::LogTruncation
                | RDKafkaErrorCode::NoOffset
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed
        );
        let offset_next = match self.partitions.get(&partition).map(|owned| &owned.phase) {
            Some(Phase::Running(scored)) => scored.offset_next(),
            Some(Phase::Replaying(replay)) => replay.offset_next(),
            _ => return,
        };
        if is_lasting {
            let topic = self.shared.topics.events().to_owned();
            self.refuse(partition, &Refusal::Unreadable { topic, code: code.to_string() });
        } else if self.seek(&[(partition, offset_next)]).is_err() {
            self.start_over(partition);
        }
    }

    /// Moves partitions on their way to being served by one step.
    fn restore(&mut self) -> Result<()> {
        self.locate()?;
        let is_reading = |owned: &Owned| matches!(owned.phase, Phase::Reading(_));
        if !self.partitions.values().any(is_reading) {
            self.restorer.journal = None;
            return Ok(());
        }
        let partitions = &mut self.partitions;
        self.restorer.read_journals(|partition, read| {
            if let Some(Owned { phase: Phase::Reading(reading), .. }) =
                partitions.get_mut(&partition)
            {
                read(reading);
            }
        })?;
        let read: Vec<i32> = self
            .partitions
            .iter()
            .filter(|(_, owned)| is_reading(owned))
            .map(|(p, _)| *p)
            .collect();
        read.into_iter().try_for_each(|partition| self.place(partition))
    }

    /// Asks for committed offsets where they are not known.
    fn locate(&mut self) -> Result<()> {
        let now = clock::now();
        let is_locating = |owned: &Owned| matches!(owned.phase, Phase::Locating);
        // What the open transaction holds of a partition given up in its middle is aborted first.
        let open = self.outbox.open.as_ref();
        let is_held = |partition: &i32| open.is_some_and(|open| open.holds(*partition));
        let sought = self
            .partitions
            .iter()
            .filter(|(partition, owned)| is_locating(owned) && !is_held(partition));
        let sought: Vec<i32> = sought.map(|(partition, _)| *partition).collect();
        let Some(&first) = sought.first() else { return Ok(()) };
        let located = match self.restorer.locate(&self.member, &sought) {
            Ok(located) => located,
            Err(error) => {
                let waited = self.waited(first, now);
                let step = "asking for the committed offset";
                return wait(first, step, waited, &error.to_string()).map(drop);
            }
        };
        for (partition, committed) in located {
            match committed {
                Ok(committed) => {
                    self.restorer.open_journal(partition)?;
                    self.set_phase(partition, Phase::Reading(Box::new(Reading::new(committed))));
                }
                Err(error) => self.refuse(partition, &Refusal::Mark(error)),
            }
        }
        Ok(())
    }

    fn waited(&self, partition: i32, now: Instant) -> Duration {
        let assigned = self.partitions.get(&partition).map(|owned| owned.assigned_at);
        assigned.map_or(Duration::ZERO, |assigned| now.saturating_duration_since(assigned))
    }

    /// Puts a partition where its journal says, once it is read.
    fn place(&mut self, partition: i32) -> Result<()> {
        let waited = self.waited(partition, clock::now());
        let Some(Owned { phase: Phase::Reading(reading), .. }) = self.partitions.get(&partition)
        else {
            return Ok(());
        };
        match self.restorer.conclude(&self.member, partition, reading, waited)? {
            Next::Wait => {}
            Next::Again => {
                self.restorer.close_journal(partition);
                self.set_phase(partition, Phase::Locating);
            }
            Next::Refuse(refusal) => {
                self.restorer.close_journal(partition);
                self.refuse(partition, &refusal);
            }
            Next::Place(phase, offset) => {
                if let Err(error) = self.seek(&[(partition, offset)]) {
                    // The assignment may not have taken effect yet.
                    return wait(partition, "moving to its offset", waited, &error.text).map(drop);
                }
                self.restorer.close_journal(partition);
                let is_new = matches!(phase, Phase::Running(_));
                let is_whole = matches!(&phase, Phase::Replaying(replay) if replay.is_whole());
                self.set_phase(partition, phase);
                if is_new {
                    self.tell_restored(partition, 0, true);
                } else if is_whole {
                    self.finish_replay(partition);
                }
                self.resume(partition)?;
            }
        }
        Ok(())
    }

    fn set_phase(&mut self, partition: i32, phase: Phase) {
        if let Some(owned) = self.partitions.get_mut(&partition) {
            owned.phase = phase;
        }
    }

    fn finish_replay(&mut self, partition: i32) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        match std::mem::replace(&mut owned.phase, Phase::Locating) {
            Phase::Replaying(replay) => {
                let records = replay.records;
                match replay.finish(&self.restorer.reference) {
                    Ok(scored) => {
                        owned.phase = Phase::Running(Box::new(scored));
                        self.tell_restored(partition, records, false);
                    }
                    Err(refusal) => self.refuse(partition, &refusal),
                }
            }
            phase => owned.phase = phase,
        }
    }

    fn tell_restored(&self, partition: i32, records: u64, is_new: bool) {
        let elapsed = self.waited(partition, clock::now());
        if let Some(Owned { phase: Phase::Running(scored), .. }) = self.partitions.get(&partition) {
            show_policy(&self.shared, partition, scored);
        }
        self.set_live(partition, |status| {
            status.state = PartitionState::Running;
            status.advance(1.0, elapsed);
        });
        let fact = Fact::PartitionRestored { partition, records, elapsed, is_new };
        self.shared.observer.observe(fact);
    }

    /// Stops serving a partition, and says why.
    fn refuse(&mut self, partition: i32, refusal: &Refusal) {
        let reason = refusal.to_string();
        self.set_phase(partition, Phase::Refused);
        self.pause(partition);
        self.set_live(partition, |status| {
            status.state = PartitionState::Refused(reason.clone());
        });
        let fact = Fact::PartitionRefused { partition, reason: &reason };
        self.shared.observer.observe(fact);
    }

    pub(super) fn set_live(&self, partition: i32, set: impl FnOnce(&mut PartitionStatus)) {
        if let Some(mut status) = self.shared.live.partitions.get_mut(&partition) {
            set(&mut status);
        }
    }

    pub(super) fn pause(&self, partition: i32) {
        let list = offsets::list(self.shared.topics.events(), [partition]);
        // Refused only for a partition that is not assigned, and then nothing comes of it either.
        drop(self.member.pause(&list));
    }

    fn resume(&self, partition: i32) -> Result<()> {
        let list = offsets::list(self.shared.topics.events(), [partition]);
        self.member.resume(&list).map_err(Error::while_doing("reading a partition"))
    }

    /// Moves to explicit offsets. What was fetched before is passed over by librdkafka.
    fn seek(&self, positions: &[(i32, i64)]) -> Result<(), Failure> {
        let topic = self.shared.topics.events();
        let mut list = offsets::list(topic, []);
        for (partition, offset) in positions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        let sought = self.member.seek_partitions(list, SEEK_TIMEOUT)?;
        sought.elements().iter().try_for_each(|element| Ok(element.error()?))
    }

    /// Ends the open transaction, if there is one.
    ///
    /// # Errors
    /// If too many in a row have come to nothing.
    pub(super) fn commit(&mut self) -> Result<()> {
        if self.outbox.open.is_none() {
            return Ok(());
        }
        let started = clock::now();
        let outcome = match self.offsets_to_commit() {
            Ok(offsets) => self.outbox.publisher.commit(&self.member, &offsets),
            Err(failure) => self.outbox.publisher.abort(failure),
        };
        if let Some(open) = &mut self.outbox.open {
            open.tally.committing = clock::now().saturating_duration_since(started);
        }
        self.conclude(outcome)
    }

    /// An offset for every partition the open transaction touched, even an unchanged one: an offset is what fences a transaction.
    ///
    /// # Errors
    /// If a partition was given up in its middle: its records would be published without its offset, and so once more.
    fn offsets_to_commit(&self) -> Result<TopicPartitionList, Failure> {
        let positions: BTreeMap<_, _> = self.touched().collect();
        let open = self.outbox.open.as_ref();
        let is_whole = open
            .is_some_and(|open| open.is_whole_with(|partition| positions.contains_key(&partition)));
        if self.shared.settings.delivery == Delivery::ExactlyOnce
            && (positions.is_empty() || !is_whole)
        {
            let text = "a partition was given up in the middle of the transaction";
            return Err(Failure::new(RDKafkaErrorCode::AssignmentLost, text));
        }
        Ok(offsets::marked(self.shared.topics.events(), positions)?)
    }

    /// Where the partitions of the open transaction stand.
    pub(super) fn touched(&self) -> impl Iterator<Item = (i32, super::partition::Position)> {
        self.partitions.iter().filter_map(|(partition, owned)| match &owned.phase {
            Phase::Running(scored) if scored.is_touched() => Some((*partition, scored.position())),
            _ => None,
        })
    }

    /// Does what the outcome of a transaction asks for.
    ///
    /// # Errors
    /// If too many in a row have come to nothing.
    pub(super) fn conclude(&mut self, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Committed => self.keep(),
            Outcome::Delivered(failure) => {
                let (worker, reason) = (self.number, failure.to_string());
                let fact = Fact::OffsetsNotCommitted { worker, reason: &reason };
                self.shared.observer.observe(fact);
                self.keep();
            }
            Outcome::Aborted(failure) => {
                let (worker, reason) = (self.number, failure.to_string());
                let fact = Fact::TransactionAborted { worker, reason: &reason };
                self.shared.observer.observe(fact);
                let touched: Vec<i32> = self.touched().map(|(partition, _)| partition).collect();
                self.undo(&touched);
                self.rewind();
                self.outbox.open = None;
                self.note_failure(&reason)?;
            }
            #[cfg(feature = "faults")]
            Outcome::Unknown(failure) if !Safeguard::Retirement.is_on() => {
                let presumed = self.outbox.publisher.presume(failure)?;
                self.conclude(presumed)?;
            }
            Outcome::Unknown(failure) => self.settle(&failure)?,
        }
        Ok(())
    }

    /// The transaction counts.
    pub(super) fn keep(&mut self) {
        let now = clock::now();
        for (partition, owned) in &mut self.partitions {
            let Phase::Running(scored) = &mut owned.phase else { continue };
            if !scored.is_touched() {
                continue;
            }
            let is_activated = scored.policy() != scored.policy_committed();
            scored.commit();
            show_policy(&self.shared, *partition, scored);
            if is_activated {
                let (version, fingerprint) = (&scored.engine().policy().version, scored.policy());
                let fact = Fact::PolicyActivated { partition: *partition, version, fingerprint };
                self.shared.observer.observe(fact);
            }
            let is_time = owned.measured_at.is_none_or(|at| at + MEASURE_INTERVAL <= now);
            if is_time {
                owned.measured_at = Some(now);
                measure(&self.shared, &self.member, *partition, owned);
            }
        }
        self.failures = 0;
        let Some(open) = self.outbox.open.take() else { return };
        self.shared.observer.observe(Fact::Committed(&open.tally));
    }

    /// Puts partitions back to where they last were certain.
    pub(super) fn undo(&mut self, partitions: &[i32]) {
        for partition in partitions {
            if let Some(Owned { phase: Phase::Running(scored), .. }) =
                self.partitions.get_mut(partition)
            {
                scored.abort();
            }
        }
    }

    /// Reads on from where each partition stands. All of them: a batch given up half-way held records of any.
    pub(super) fn rewind(&mut self) {
        let position = |(partition, owned): (&i32, &Owned)| match &owned.phase {
            Phase::Running(scored) => Some((*partition, scored.offset_next())),
            Phase::Replaying(replay) => Some((*partition, replay.offset_next())),
            Phase::Locating | Phase::Reading(_) | Phase::Refused => None,
        };
        let positions: Vec<(i32, i64)> = self.partitions.iter().filter_map(position).collect();
        if !positions.is_empty() && self.seek(&positions).is_err() {
            // Where the consumer stands is not known: begin again from what is committed.
            positions.iter().for_each(|(partition, _)| self.start_over(*partition));
        }
    }

    /// Drops a partition's state and restores it.
    pub(super) fn start_over(&mut self, partition: i32) {
        self.pause(partition);
        if let Some(owned) = self.partitions.get_mut(&partition) {
            *owned = Owned::new();
        }
        let inbox = self.inbox_sender.clone();
        self.set_live(partition, |status| *status = PartitionStatus::restoring(inbox));
    }

    /// A transaction came to nothing: pause a little longer each time.
    ///
    /// # Errors
    /// If too many in a row have.
    pub(super) fn note_failure(&mut self, reason: &str) -> Result<()> {
        self.failures += 1;
        if FAILURES < self.failures {
            let (attempts, reason) = (self.failures, reason.to_owned());
            return Err(Error::TransactionsFail { attempts, reason });
        }
        let pause = Duration::from_millis(10) * 2_u32.pow(self.failures.min(10));
        self.not_before = clock::now() + pause.min(LONGEST_PAUSE);
        Ok(())
    }

    /// Leaves the group, unless the membership is static: then the partitions are kept for the session timeout.
    fn leave(mut self) {
        if self.outbox.open.is_some() {
            // An error ended the loop: nothing of the open transaction shall count. If this fails too, the broker ends it.
            let text = "the worker is stopping";
            drop(self.outbox.publisher.abort(Failure::new(RDKafkaErrorCode::AssignmentLost, text)));
        }
        let context = self.member.context();
        context.leave();
        for rebalance in context.take() {
            // The consumer closes only when every rebalance is answered; a refusal means that none is waited for.
            drop(member::answer(&self.member, &rebalance));
        }
        let topic = self.shared.topics.events();
        for partition in std::mem::take(&mut self.partitions).into_keys() {
            self.queue.release(topic, partition);
            self.shared.live.partitions.remove(&partition);
            self.shared.observer.observe(Fact::PartitionRevoked { partition });
        }
        self.shared.live.workers.remove(&self.number);
        self.shared.observer.observe(Fact::WorkerStopped { worker: self.number });
        // The fields go in order: the queue before the consumer, which closes as its last owner.
    }
}

impl Owned {
    /// How long ago the last record handled was stored.
    fn age(&self) -> Duration {
        let age_ms = self.stored_ms.map_or(0, |stored_ms| clock::wall_ms() - stored_ms);
        Duration::from_millis(u64::try_from(age_ms).unwrap_or(0))
    }

    /// Silence for `idle_after`, and no tick of late.
    fn is_silent(&self, now: Instant, idle_after: Duration) -> bool {
        let interval = TICK_INTERVAL.min(idle_after);
        self.record_at + idle_after <= now
            && self.tick_at.is_none_or(|tick_at| tick_at + interval <= now)
    }
}

/// The broker says, now, that there is nothing to read: silence alone may be a broken connection. (The consumer's own position counts
/// transaction markers too, and between batches all it has passed has been handled.)
fn is_at_end(shared: &Shared, member: &Member, partition: i32, offset_next: i64) -> bool {
    let topic = shared.topics.events();
    let Ok((_, end)) = member.fetch_watermarks(topic, partition, QUESTION) else { return false };
    end <= position(shared, member, partition).unwrap_or(offset_next)
}

/// Where the consumer stands, markers passed over; `None` before the first record since it was moved.
fn position(shared: &Shared, member: &Member, partition: i32) -> Option<i64> {
    let positions = member.position().ok()?;
    let found = positions.find_partition(shared.topics.events(), partition)?;
    match found.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

/// What journalled decisions are caused by: no record.
const NO_RECORD: RecordRef<'static> =
    RecordRef { key: None, value: None, headers: &[], timestamp_ms: None };

/// Shows what a partition is scored by, and which rules gather.
fn show_policy(shared: &Shared, partition: i32, scored: &Scored) {
    let Some(mut status) = shared.live.partitions.get_mut(&partition) else { return };
    let (fingerprint, warming) = (scored.policy(), scored.engine().warming());
    let is_shown =
        |shown: &PolicyStatus| shown.fingerprint == fingerprint && shown.warming == *warming;
    if !status.policy.as_ref().is_some_and(is_shown) {
        let policy = Arc::clone(scored.engine().policy());
        status.policy = Some(PolicyStatus { policy, fingerprint, warming: warming.clone() });
    }
}

/// Tells how a partition stands.
fn measure(shared: &Shared, member: &Member, partition: i32, owned: &Owned) {
    let Phase::Running(scored) = &owned.phase else { return };
    let high = native::high_watermark(member, shared.topics.events(), partition);
    let handled = scored.offset_committed();
    let passed = position(shared, member, partition).map_or(handled, |passed| passed.max(handled));
    let lag_records = high.map_or(0, |high| (high - passed).max(0));
    if let Some(mut status) = shared.live.partitions.get_mut(&partition) {
        status.lag_records = lag_records;
        status.event_lag = if lag_records > 0 { owned.age() } else { Duration::ZERO };
    }
    let engine = scored.engine();
    shared.observer.observe(Fact::PartitionMeasured {
        partition,
        counters: engine.counters(),
        customers: engine.customer_count(),
        store_bytes: engine.store_bytes(),
        lag_records,
        watermark: engine.watermark(),
    });
}
