//! A batch of a worker: what the journal must hold first, then record by record.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::super::clock;
use super::super::failure::Failure;
use super::super::member::Member;
use super::super::native::{self, Batch, Fetched, FetchedRecord};
use super::super::offsets;
use super::super::restore::{Phase, Refusal};
use super::{Owned, QUESTION, RESTORE_WAIT, Shared, TICK_INTERVAL, Worker, position};
use crate::model::EventTime;

/// Records handled between two turns of the loop.
const BATCH: usize = 1024;
/// How often a batch is fetched that cannot be unpacked. librdkafka waits half a second between two.
const GARBLED_ATTEMPTS: u32 = 8;
/// Longest wait for a record: questions and rebalances wait as long.
const IDLE_WAIT: Duration = Duration::from_millis(50);

impl Worker {
    pub(super) fn handle_batch(&mut self) -> Result<(), Failure> {
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
        let tick = self.tick_time(now);
        let (shared, member, outbox) = (&self.shared, &self.member, &mut self.outbox);
        for (&partition, owned) in &mut self.partitions {
            let is_silent = tick.is_some_and(|(_, idle_after)| owned.is_silent(now, idle_after));
            let Phase::Running(scored) = &mut owned.phase else { continue };
            let refused = |record: &_, baked_in: &_| shared.tell_refused(record, baked_in);
            scored.decide(partition, &self.restorer.reference, refused, outbox)?;
            if scored.stopped().is_some() {
                continue;
            }
            if let Some((time, _)) = tick.filter(|_| is_silent) {
                owned.tick_at = Some(now);
                if is_at_end(shared, member, partition, scored.offset_next()) {
                    scored.advance(partition, time, outbox)?;
                }
            }
        }
        Ok(())
    }

    /// What an idle partition's clock is advanced to, and after how much silence; `None` if ticks are off, no clock is due, or no partition
    /// of the topic has traffic: then upstream is down, and its promises are not broken.
    fn tick_time(&mut self, now: Instant) -> Option<(EventTime, Duration)> {
        let settings = Arc::clone(&self.shared.settings);
        let idle_after = settings.idle_after?;
        let is_due = self.partitions.values().any(|owned| owned.is_silent(now, idle_after));
        let idle_ms = i64::try_from(idle_after.as_millis()).unwrap_or(i64::MAX);
        let since_ms = clock::wall_ms().saturating_sub(idle_ms);
        if !is_due {
            return None;
        }
        let has_traffic = self.has_traffic(now, since_ms, idle_after);
        self.shared.live.is_upstream_silent.store(!has_traffic, Ordering::Relaxed);
        let is_wanted = has_traffic || settings.ticks_without_traffic;
        is_wanted.then(|| (EventTime::from_millis(since_ms), idle_after))
    }

    /// Whether any partition, here or elsewhere, got a record since `since_ms`: as this process has seen, or as the broker says.
    fn has_traffic(&mut self, now: Instant, since_ms: i64, idle_after: Duration) -> bool {
        if since_ms < self.shared.traffic_ms.load(Ordering::Relaxed) {
            return true;
        }
        let interval = TICK_INTERVAL.min(idle_after);
        if let Some((_, answer)) = self.traffic.filter(|(at, _)| now < *at + interval) {
            return answer;
        }
        let answer = has_records_since(&self.shared, &self.member, since_ms);
        self.traffic = Some((now, answer));
        answer
    }

    fn handle(&mut self, batch: &Batch<'_>) -> Result<(), Failure> {
        let started = clock::now();
        let records_before = self.records();
        for fetched in batch.iter() {
            match fetched {
                Fetched::Record(record) => self.handle_record(&record, started)?,
                Fetched::End => {}
                Fetched::Error { partition, code } => self.handle_error(partition, code),
            }
        }
        self.tell_progress();
        self.bound_undo();
        if let Some(open) = &mut self.outbox.open {
            open.tally.handling += clock::now().saturating_duration_since(started);
        }
        // A tick opens a transaction too, and is no traffic.
        if records_before < self.records() {
            self.shared.traffic_ms.fetch_max(clock::wall_ms(), Ordering::Relaxed);
            self.shared.live.is_upstream_silent.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Records in the open transaction.
    fn records(&self) -> u64 {
        self.outbox.open.as_ref().map_or(0, |open| open.tally.records)
    }

    fn bound_undo(&mut self) {
        let (mut customers, mut bytes) = (0, 0);
        for owned in self.partitions.values() {
            if let Phase::Running(scored) = &owned.phase {
                let touched = scored.engine().touched();
                customers += touched;
                bytes += touched * owned.customer_bytes;
            }
        }
        self.outbox.bound_undo(customers, bytes);
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
        if owned.hold.is_some() {
            // Fetched before it was paused; it is read again from here.
            return Ok(());
        }
        owned.record_at = now;
        owned.stored_ms = record.timestamp_ms();
        let headers = record.headers();
        let original = record.as_ref(&headers);
        if let Phase::Replaying(replay) = &mut owned.phase {
            match replay.take(offset, original, &self.restorer.reference) {
                Ok(()) if replay.is_whole() => self.finish_replay(partition),
                Ok(()) => {}
                Err(refusal) => self.refuse(partition, &refusal),
            }
        }
        let Some(Owned { phase: Phase::Running(scored), .. }) = self.partitions.get_mut(&partition)
        else {
            return Ok(());
        };
        let reference = &self.restorer.reference;
        scored.take(partition, offset, original, reference, &mut self.outbox)
    }

    /// librdkafka goes on by itself after most errors, but takes their place in the batch for a record's: so the position is set
    /// again. The others mean that the log cannot be read on without a gap; so does one batch that cannot be unpacked however often it
    /// is fetched.
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
        } else if is_garbled(code) && self.is_garbled_again(partition, offset_next) {
            let topic = self.shared.topics.events().to_owned();
            let (offset, code) = (offset_next, code.to_string());
            self.refuse(partition, &Refusal::Garbled { topic, offset, code });
        } else if self.seek(&[(partition, offset_next)]).is_err() {
            self.start_over(partition);
        }
    }

    /// Nothing from `offset` on could be unpacked, once more; whether that has been so too often for an accident on the way.
    fn is_garbled_again(&mut self, partition: i32, offset: i64) -> bool {
        let Some(owned) = self.partitions.get_mut(&partition) else { return false };
        let before = owned.garbled.filter(|(at, _)| *at == offset).map_or(0, |(_, count)| count);
        owned.garbled = Some((offset, before + 1));
        GARBLED_ATTEMPTS <= before + 1
    }
}

/// A fetch came, and what it holds is no batch of records, or a larger one than the client takes.
const fn is_garbled(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::NotImplemented
    )
}

/// The broker says, now, that there is nothing to read: silence alone may be a broken connection. What an open transaction holds back is
/// something to read. (The consumer's own position counts transaction markers too, and between batches all it has passed has been
/// handled.)
fn is_at_end(shared: &Shared, member: &Member, partition: i32, offset_next: i64) -> bool {
    let topic = shared.topics.events();
    let Ok((_, stable)) = member.fetch_watermarks(topic, partition, QUESTION) else { return false };
    let end =
        native::high_watermark(member, topic, partition).map_or(stable, |high| high.max(stable));
    end <= position(shared, member, partition).unwrap_or(offset_next)
}

/// Whether the broker holds, in any partition of the events topic, a record stored since `since_ms`; not if it does not say.
fn has_records_since(shared: &Shared, member: &Member, since_ms: i64) -> bool {
    let mut list = offsets::list(shared.topics.events(), 0..shared.events.partition_count);
    let found = list.set_all_offsets(Offset::Offset(since_ms));
    let found = found.and_then(|()| member.offsets_for_times(list, QUESTION));
    let is_there = |list: TopicPartitionList| {
        list.elements().iter().any(|element| matches!(element.offset(), Offset::Offset(_)))
    };
    found.is_ok_and(is_there)
}
