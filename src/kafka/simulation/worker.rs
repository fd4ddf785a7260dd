//! A worker as the brokers know it: its loop, cut into steps of at most one request each, so that anything can happen in between.
//!
//! What it decides it asks of the code the service runs: [`Scored`], [`Reading`], [`Restorer`], [`Replay`](super::super::restore).
//! The order of its steps is that of `worker`, `rebalance` and `publisher`, whose calls to librdkafka stand in its place there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;

use super::super::fact::Settlement;
use super::super::failure::Failure;
use super::super::offsets::Committed;
use super::super::partition::{Position, Scored};
use super::super::reference::ReferenceLog;
use super::super::restore::tests::restorer;
use super::super::restore::{Next, Phase, Reading, Refusal, Restorer};
use super::super::settings::Delivery;
use super::cluster::{Message, Offset};
use super::group::{Member, Told};
use super::network::Answer;
use super::producer::Producer;
use super::world::Around;
use crate::wire::{Chain, CommitMark, Decision, RecordRef};

/// Records handled at a time.
const BATCH: u64 = 4;
/// Records after which a transaction is committed at the latest.
const FULL: u64 = 10;

/// A worker.
pub(super) struct Worker {
    number: usize,
    restorer: Restorer,
    reference_read: usize,
    /// Of the open transaction, or the next.
    producer: Producer,
    /// Of the one after it: they take turns.
    other: Producer,
    member: Option<Member>,
    partitions: BTreeMap<i32, Owned>,
    doing: Doing,
    /// To be given back when the open transaction has ended.
    leaving: Vec<i32>,
}

/// What a worker is in the middle of.
enum Doing {
    /// Its producers come to life, the first or those after a taint.
    Starting,
    Running,
    /// The open transaction is to be committed: its offsets go first,
    CommittingOffsets(Member, BTreeMap<i32, Offset>),
    /// then the rest of its records,
    Producing,
    /// then the word.
    Committing,
    Aborting,
    /// Nobody knows how it ended: the producers are replaced,
    Retiring,
    /// then the group asked.
    Settling,
}

/// A partition a worker has.
pub(super) struct Owned {
    pub(super) phase: Phase,
    assigned_at: Duration,
    doubted_at: Option<Duration>,
    /// The next offset to read.
    position: i64,
    /// The same of its journal.
    journal_position: i64,
    /// The journal as read.
    journal: Vec<Vec<u8>>,
    /// What was found committed when it came.
    committed: Option<Position>,
}

/// The worker's process has ended.
pub(super) struct Died;

impl Owned {
    fn new(now: Duration) -> Self {
        Self {
            phase: Phase::Locating,
            assigned_at: now,
            doubted_at: None,
            position: 0,
            journal_position: 0,
            journal: Vec::new(),
            committed: None,
        }
    }
}

impl Worker {
    pub(super) fn new(number: usize, partition_count: i32) -> Self {
        let mut restorer = restorer(Delivery::ExactlyOnce);
        restorer.events.partition_count = partition_count;
        restorer.scoring = super::world::scoring();
        restorer.reference = Arc::new(ReferenceLog::new());
        Self {
            number,
            restorer,
            reference_read: 0,
            producer: Producer::new(2 * number, partition_count),
            other: Producer::new(2 * number + 1, partition_count),
            member: None,
            partitions: BTreeMap::new(),
            doing: Doing::Starting,
            leaving: Vec::new(),
        }
    }

    pub(super) fn member(&self) -> Option<u64> {
        self.member.map(|member| member.id)
    }

    /// What it serves, and nothing of it in doubt.
    pub(super) fn settled(&self) -> impl Iterator<Item = (i32, &Scored)> {
        self.partitions.iter().filter_map(|(partition, owned)| match &owned.phase {
            Phase::Running(scored) if !scored.is_touched() => Some((*partition, &**scored)),
            _ => None,
        })
    }

    /// One step of its loop.
    pub(super) fn step(&mut self, around: &mut Around) -> Result<(), Died> {
        if matches!(self.doing, Doing::Running) {
            self.turn(around)?;
        } else {
            self.go_on(around);
        }
        if std::mem::take(&mut around.network.is_fatal) { Err(Died) } else { Ok(()) }
    }

    /// The next step of what it is in the middle of.
    fn go_on(&mut self, around: &mut Around) {
        match &self.doing {
            Doing::Starting => self.start(around),
            Doing::Running => {}
            Doing::Producing => self.send_rest(around),
            Doing::CommittingOffsets(member, offsets) => {
                match self.producer.commit_offsets(*member, offsets, around) {
                    Answer::Done => self.doing = Doing::Producing,
                    Answer::Busy => {}
                    Answer::Failed(failure) => self.fail(&failure, around),
                }
            }
            Doing::Committing => match self.producer.end(true, around) {
                Answer::Done => self.keep(around),
                Answer::Busy => {}
                Answer::Failed(failure) => self.fail(&failure, around),
            },
            Doing::Aborting => match self.producer.end(false, around) {
                Answer::Done => self.undo_all(around),
                Answer::Busy => {}
                Answer::Failed(failure) if around.safeguards.retirement => {
                    self.fail(&failure, around);
                }
                Answer::Failed(_) => {
                    self.undo_all(around);
                    self.doing = Doing::Starting;
                }
            },
            Doing::Retiring => {
                if self.init(around) {
                    self.doing = Doing::Settling;
                }
            }
            Doing::Settling => self.settle(around),
        }
    }

    fn init(&mut self, around: &mut Around) -> bool {
        self.producer.init(around) && self.other.init(around)
    }

    fn start(&mut self, around: &mut Around) {
        if self.init(around) {
            self.doing = Doing::Running;
            self.join(around);
        }
    }

    fn join(&mut self, around: &mut Around) {
        if self.member.is_none() {
            let id = around.cluster.group.join(&mut around.dice);
            self.member = Some(Member { id, generation: -1 });
        }
    }

    fn turn(&mut self, around: &mut Around) -> Result<(), Died> {
        if self.producer.has_queued() && around.dice.chance(400) {
            if let Answer::Failed(failure) = self.producer.produce(around) {
                self.fail(&failure, around);
            }
            return Ok(());
        }
        if around.dice.chance(250) {
            self.poll(around);
            return Ok(());
        }
        self.read_reference(around);
        self.restore(around)?;
        let is_due =
            self.producer.is_open && (FULL <= self.producer.records || around.dice.chance(200));
        if is_due {
            self.send_offsets(around);
        } else if self.is_tainted() && !self.producer.is_open && around.safeguards.taint {
            self.doing = Doing::Starting;
        } else if self.handle(around).is_err() {
            self.doing = Doing::Aborting;
        }
        Ok(())
    }

    const fn is_tainted(&self) -> bool {
        self.producer.is_tainted || self.other.is_tainted
    }

    /// Asks the group what is new.
    fn poll(&mut self, around: &mut Around) {
        let Some(member) = self.member else { return };
        match around.cluster.group.poll(member.id) {
            None => {
                // Another member may own them already.
                self.member = None;
                self.leaving = self.partitions.keys().copied().collect();
                if self.producer.is_open {
                    self.doing = Doing::Aborting
                } else {
                    self.leave(around)
                }
            }
            Some(Told { generation, revoked, assigned }) => {
                self.member = Some(Member { generation, ..member });
                for partition in assigned {
                    self.partitions.insert(partition, Owned::new(around.now));
                }
                if !revoked.is_empty() {
                    self.leaving = revoked;
                    if self.producer.is_open {
                        self.send_offsets(around);
                    } else {
                        self.leave(around);
                    }
                }
            }
        }
    }

    /// Lets go of what is to be given back.
    fn leave(&mut self, around: &mut Around) {
        let leaving = std::mem::take(&mut self.leaving);
        leaving.iter().for_each(|partition| drop(self.partitions.remove(partition)));
        match self.member {
            Some(member) => around.cluster.group.give_back(member.id, &leaving),
            None => self.join(around),
        }
    }

    fn read_reference(&mut self, around: &mut Around) {
        let unread = around.reference.len() - self.reference_read;
        if unread > 0 && around.dice.chance(300) {
            let count = 1 + usize::try_from(around.dice.below(3)).unwrap_or_default();
            let taken = around.reference[self.reference_read..].iter().take(count).cloned();
            let offsets = i64::try_from(self.reference_read).unwrap_or(i64::MAX)..;
            self.restorer.reference.extend(offsets.zip(taken).collect());
            self.reference_read += count.min(unread);
        }
        if self.reference_read == around.reference.len() {
            self.restorer.reference.catch_up();
        }
    }

    fn handle(&mut self, around: &mut Around) -> Result<(), Failure> {
        let Self { producer, restorer, partitions, .. } = self;
        let reference = &restorer.reference;
        for (&partition, owned) in &mut *partitions {
            let Phase::Running(scored) = &mut owned.phase else { continue };
            scored.decide(partition, reference, |_, _| {}, producer)?;
            let log = around.cluster.log("events", partition);
            let is_at_end = log.visible(owned.position).next().is_none();
            if is_at_end && around.ticks && around.dice.chance(40) {
                around.clock = around.clock.plus_days(around.dice.within(0, 20));
                scored.advance(partition, around.clock, producer)?;
            }
        }
        let numbers: Vec<i32> = partitions.keys().copied().collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let partition = around.dice.pick(&numbers);
        let count = 1 + around.dice.below(BATCH);
        for _ in 0..count {
            self.handle_next(partition, around)?;
        }
        Ok(())
    }

    /// Reads the next record of `partition`.
    fn handle_next(&mut self, partition: i32, around: &mut Around) -> Result<(), Failure> {
        let Self { producer, restorer, partitions, .. } = self;
        let Some(owned) = partitions.get_mut(&partition) else { return Ok(()) };
        if !matches!(owned.phase, Phase::Running(_) | Phase::Replaying(_)) {
            return Ok(());
        }
        let log = around.cluster.log("events", partition);
        let Some((offset, message)) = log.visible(owned.position).next() else { return Ok(()) };
        owned.position = offset + 1;
        let original = as_ref(message);
        if let Phase::Replaying(replay) = &mut owned.phase {
            match replay.take(offset, original, &restorer.reference) {
                Ok(()) if replay.is_whole() => {
                    finish(partition, owned, &restorer.reference, &mut around.refusals)
                }
                Ok(()) => {}
                Err(refusal) => refuse(partition, owned, &refusal, &mut around.refusals),
            }
        }
        if let Phase::Running(scored) = &mut owned.phase {
            scored.take(partition, offset, original, &restorer.reference, producer)?;
        }
        Ok(())
    }

    /// Moves one partition that is coming back by a step.
    fn restore(&mut self, around: &mut Around) -> Result<(), Died> {
        let is_coming = |owned: &Owned| matches!(owned.phase, Phase::Locating | Phase::Reading(_));
        let coming = self.partitions.iter().filter(|(_, owned)| is_coming(owned));
        let coming: Vec<i32> = coming.map(|(partition, _)| *partition).collect();
        if coming.is_empty() {
            return Ok(());
        }
        let partition = around.dice.pick(&coming);
        let Some(owned) = self.partitions.get_mut(&partition) else { return Ok(()) };
        match &mut owned.phase {
            Phase::Locating => match around.committed(partition) {
                Err(()) => {}
                Ok(Ok(committed)) => {
                    (owned.journal_position, owned.journal) = (0, Vec::new());
                    owned.committed = committed;
                    owned.phase = Phase::Reading(Box::new(Reading::new(committed)));
                }
                Ok(Err(error)) => {
                    refuse(partition, owned, &Refusal::Mark(error), &mut around.refusals);
                }
            },
            Phase::Reading(_) => {
                read_journal(partition, owned, around);
                return place(partition, owned, &self.restorer, around);
            }
            Phase::Replaying(_) | Phase::Running(_) | Phase::Refused => {}
        }
        Ok(())
    }

    /// Sends what is left of the open transaction.
    fn send_rest(&mut self, around: &mut Around) {
        for _ in 0..=around.dice.below(2 * BATCH) {
            if let Answer::Failed(failure) = self.producer.produce(around) {
                return self.fail(&failure, around);
            }
        }
        if !self.producer.has_queued() {
            self.doing = Doing::Committing;
        }
    }

    /// Begins to commit: with the offsets, if it is a member.
    fn send_offsets(&mut self, around: &mut Around) {
        match self.member.filter(|member| member.generation >= 0) {
            Some(member) => self.doing = Doing::CommittingOffsets(member, self.offsets(around)),
            None => {
                let text = "not a member of the group at present";
                self.fail(&Failure::new(RDKafkaErrorCode::AssignmentLost, text), around);
            }
        }
    }

    /// Where the partitions of the open transaction stand.
    fn offsets(&self, around: &Around) -> BTreeMap<i32, Offset> {
        let offset = |(partition, scored): (i32, &Scored)| {
            let Position { offset_next, mark } = scored.position();
            (partition, (offset_next, mark.to_string()))
        };
        let is_sent = |scored: &Scored| {
            around.safeguards.unchanged_offsets || scored.offset_committed() != scored.offset_next()
        };
        self.touched().filter(|(_, scored)| is_sent(scored)).map(offset).collect()
    }

    fn touched(&self) -> impl Iterator<Item = (i32, &Scored)> {
        self.partitions.iter().filter_map(|(partition, owned)| match &owned.phase {
            Phase::Running(scored) if scored.is_touched() => Some((*partition, &**scored)),
            _ => None,
        })
    }

    fn fail(&mut self, failure: &Failure, around: &mut Around) {
        let number = self.number;
        around.note(|| format!("worker {number}: {failure}"));
        let is_aborting = matches!(self.doing, Doing::Aborting);
        let can_abort = failure.is_definite() && !is_aborting;
        self.doing = if can_abort || !around.safeguards.retirement {
            Doing::Aborting
        } else {
            Doing::Retiring
        };
    }

    /// The transaction counts.
    fn keep(&mut self, around: &mut Around) {
        let number = self.number;
        around.note(|| format!("worker {number}: committed"));
        for owned in self.partitions.values_mut() {
            if let Phase::Running(scored) = &mut owned.phase
                && scored.is_touched()
            {
                scored.commit();
            }
        }
        self.end(around);
    }

    /// Nothing of it does.
    fn undo_all(&mut self, around: &mut Around) {
        let touched: Vec<i32> = self.touched().map(|(partition, _)| partition).collect();
        self.undo(&touched, around);
        self.rewind();
        self.end(around);
    }

    fn undo(&mut self, partitions: &[i32], around: &mut Around) {
        let number = self.number;
        around.note(|| format!("worker {number}: undoes {partitions:?}"));
        for partition in partitions {
            if let Some(Owned { phase: Phase::Running(scored), .. }) =
                self.partitions.get_mut(partition)
                && around.safeguards.undo
            {
                scored.abort();
            }
        }
    }

    fn rewind(&mut self) {
        for owned in self.partitions.values_mut() {
            match &owned.phase {
                Phase::Running(scored) => owned.position = scored.offset_next(),
                Phase::Replaying(replay) => owned.position = replay.offset_next(),
                Phase::Locating | Phase::Reading(_) | Phase::Refused => {}
            }
        }
    }

    fn end(&mut self, around: &mut Around) {
        self.producer.close();
        std::mem::swap(&mut self.producer, &mut self.other);
        self.doing = Doing::Running;
        if !self.leaving.is_empty() || self.member.is_none() {
            self.leave(around);
        }
    }

    /// Finds out what became of a transaction.
    fn settle(&mut self, around: &mut Around) {
        let touched: Vec<i32> = self.touched().map(|(partition, _)| partition).collect();
        let found: Result<BTreeMap<i32, Committed>, ()> =
            touched.iter().map(|p| Ok((*p, around.committed(*p)?))).collect();
        let Ok(found) = found else { return };
        let mut undone = Vec::new();
        for partition in touched {
            match self.settlement(partition, &found, around) {
                Settlement::Kept => {}
                Settlement::Undone => undone.push(partition),
                Settlement::Dropped => {
                    self.partitions.insert(partition, Owned::new(around.now));
                }
            }
        }
        self.undo(&undone, around);
        let is_kept = self.touched().next().is_some();
        if is_kept {
            self.keep(around);
            return;
        }
        self.rewind();
        self.end(around);
    }

    fn settlement(
        &self,
        partition: i32,
        found: &BTreeMap<i32, Committed>,
        around: &mut Around,
    ) -> Settlement {
        let Some(Owned { phase: Phase::Running(scored), .. }) = self.partitions.get(&partition)
        else {
            return Settlement::Dropped;
        };
        let mut committed = found.get(&partition).cloned();
        if !around.safeguards.marks
            && let Some(Ok(Some(position))) = &mut committed
            && position.offset_next == scored.offset_next()
        {
            position.mark = scored.position().mark;
        }
        let settlement = scored.settle(Delivery::ExactlyOnce, committed.as_ref());
        let number = self.number;
        around.note(|| format!("worker {number}: partition {partition} settled: {settlement:?}"));
        settlement
    }
}

/// Reads on in the journal of `partition`, a few records at a time.
fn read_journal(partition: i32, owned: &mut Owned, around: &mut Around) {
    let Phase::Reading(reading) = &mut owned.phase else { return };
    let log = around.cluster.log("journal", partition);
    for _ in 0..4 {
        let Some((offset, message)) = log.visible(owned.journal_position).next() else {
            reading.end();
            return;
        };
        owned.journal_position = offset + 1;
        let value = message.value.as_deref().unwrap_or_default();
        reading.take(value);
        owned.journal.push(value.to_vec());
    }
}

/// The wrong way, for a control run: what can be seen of the journal is taken for all that was committed.
fn read_to_the_end(partition: i32, owned: &mut Owned, around: &mut Around) {
    let log = around.cluster.log("journal", partition);
    let is_at_end = log.visible(owned.journal_position).next().is_none();
    let Some(committed) = owned.committed.filter(|_| is_at_end) else { return };
    let (mut chain, mut mark) = (Chain::default(), committed.mark);
    for value in &owned.journal {
        match chain.read(value).map(|record| record.decision) {
            Ok(Decision::Genesis(genesis)) => mark.lineage = genesis.lineage,
            Ok(Decision::Reference { offset_next }) => mark.reference_offset_next = offset_next,
            Ok(_) => {}
            Err(_) => return,
        }
    }
    let mark = chain.seq().map(|seq| CommitMark { seq, hash: chain.hash(), ..mark });
    let mut reading = Reading::new(mark.map(|mark| Position { mark, ..committed }));
    owned.journal.iter().for_each(|value| reading.take(value));
    reading.end();
    owned.phase = Phase::Reading(Box::new(reading));
}

/// Puts `partition` where its journal says, once it is read.
fn place(
    partition: i32,
    owned: &mut Owned,
    restorer: &Restorer,
    around: &mut Around,
) -> Result<(), Died> {
    if !around.safeguards.journal_to_mark {
        read_to_the_end(partition, owned, around);
    }
    let now = around.now;
    let waited = now.saturating_sub(owned.assigned_at);
    let doubted = owned.doubted_at.map_or(Duration::ZERO, |at| now.saturating_sub(at));
    let Phase::Reading(reading) = &mut owned.phase else { return Ok(()) };
    let is_decided = around.cluster.log("journal", partition).is_decided(owned.journal_position);
    let end = around.cluster.log("events", partition).stable_end();
    let next =
        restorer.conclude_from(partition, reading, waited, doubted, || is_decided, || Ok((0, end)));
    let next = next.map_err(|_error| Died)?;
    if matches!(next, Next::Doubt | Next::Again) {
        owned.doubted_at.get_or_insert(now);
    }
    match next {
        Next::Wait | Next::Doubt => {}
        Next::Again => owned.phase = Phase::Locating,
        Next::Refuse(refusal) => refuse(partition, owned, &refusal, &mut around.refusals),
        Next::Place(phase, offset) => {
            let is_whole = matches!(&phase, Phase::Replaying(replay) if replay.is_whole());
            (owned.phase, owned.position) = (phase, offset);
            if is_whole {
                finish(partition, owned, &restorer.reference, &mut around.refusals);
            }
        }
    }
    Ok(())
}

fn finish(
    partition: i32,
    owned: &mut Owned,
    reference: &ReferenceLog,
    refusals: &mut Vec<(i32, String)>,
) {
    if let Phase::Replaying(replay) = std::mem::replace(&mut owned.phase, Phase::Locating) {
        match replay.finish(reference) {
            Ok((scored, _steps)) => owned.phase = Phase::Running(Box::new(scored)),
            Err(refusal) => refuse(partition, owned, &refusal, refusals),
        }
    }
}

fn refuse(partition: i32, owned: &mut Owned, refusal: &Refusal, refusals: &mut Vec<(i32, String)>) {
    owned.phase = Phase::Refused;
    refusals.push((partition, refusal.to_string()));
}

fn as_ref(message: &Message) -> RecordRef<'_> {
    RecordRef {
        key: message.key.as_deref(),
        value: message.value.as_deref(),
        headers: &[],
        timestamp_ms: message.timestamp_ms,
    }
}
