//! A batch of a worker: what the journal must hold first, then record by record.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafkaErrorCode;

use super::super::clock;
use super::super::failure::Failure;
use super::super::member::Member;
use super::super::native::{Batch, Fetched, FetchedRecord};
use super::super::restore::{Phase, Refusal};
use super::{Owned, RESTORE_WAIT, Shared, Worker, position};
use crate::model::EventTime;

/// Records handled between two turns of the loop.
const BATCH: usize = 1024;
/// Longest wait for a record: questions and rebalances wait as long.
const IDLE_WAIT: Duration = Duration::from_millis(50);
/// One question to the broker within a turn.
const QUESTION: Duration = Duration::from_millis(500);

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
        let tick = self.tick_time();
        let (shared, member, outbox) = (&self.shared, &self.member, &mut self.outbox);
        for (&partition, owned) in &mut self.partitions {
            let is_silent = tick.is_some_and(|(_, idle_after)| owned.is_silent(now, idle_after));
            let Phase::Running(scored) = &mut owned.phase else { continue };
            let refused = |record: &_, baked_in: &_| shared.tell_refused(record, baked_in);
            scored.decide(partition, &self.restorer.reference, refused, outbox)?;
            if let Some((time, _)) = tick.filter(|_| is_silent) {
                owned.tick_at = Some(now);
                if is_at_end(shared, member, partition, scored.offset_next()) {
                    scored.advance(partition, time, outbox)?;
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
}

/// The broker says, now, that there is nothing to read: silence alone may be a broken connection. (The consumer's own position counts
/// transaction markers too, and between batches all it has passed has been handled.)
fn is_at_end(shared: &Shared, member: &Member, partition: i32, offset_next: i64) -> bool {
    let topic = shared.topics.events();
    let Ok((_, end)) = member.fetch_watermarks(topic, partition, QUESTION) else { return false };
    end <= position(shared, member, partition).unwrap_or(offset_next)
}
