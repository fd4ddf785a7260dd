//! What a worker publishes: the open transaction, if there is one, and what it holds so far.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock;
use super::fact::Tally;
use super::failure::Failure;
use super::publisher::{Publication, Publisher};
use super::settings::{Delivery, KafkaSettings};
use super::steps::Transaction;
use super::topics::Topics;
use crate::engine::Effect;
use crate::wire::{Encoder, Origin, OutRecordRef, RecordRef};

/// Inputs after which a transaction is committed before its time, so that what can be undone stays bounded.
const COMMIT_RECORDS: u64 = 20_000;
/// The same for customers touched: each is kept as it was until then.
const COMMIT_CUSTOMERS: usize = 20_000;
/// The same for their estimated size, in bytes. One input that moves the clock far can touch more: it is not divided.
const COMMIT_BYTES: usize = 64 << 20;

/// A worker's transactions.
pub(super) struct Outbox {
    pub(super) worker: usize,
    pub(super) settings: Arc<KafkaSettings>,
    pub(super) topics: Arc<Topics>,
    pub(super) publisher: Publisher,
    pub(super) open: Option<Open>,
    pub(super) encoder: Encoder,
}

/// A transaction that has begun.
pub(super) struct Open {
    since: Instant,
    /// It is to be committed before its time.
    is_due: bool,
    pub(super) tally: Tally,
    /// Partitions it holds records of.
    partitions: BTreeSet<i32>,
}

impl Open {
    /// Whether it holds records of `partition`: its offset must then be committed with them.
    pub(super) fn holds(&self, partition: i32) -> bool {
        self.partitions.contains(&partition)
    }

    /// Whether every partition it holds records of is among `partitions`.
    pub(super) fn is_whole_with(&self, partitions: impl Fn(i32) -> bool) -> bool {
        self.partitions.iter().all(|partition| partitions(*partition))
    }
}

impl Outbox {
    /// Begins a transaction unless one is open.
    pub(super) fn open(&mut self) -> Result<&mut Open, Failure> {
        let Self { worker, publisher, open, .. } = self;
        if open.is_none() {
            publisher.begin()?;
        }
        let worker = *worker;
        Ok(open.get_or_insert_with(|| Open {
            since: clock::now(),
            is_due: false,
            tally: Tally { worker, ..Tally::default() },
            partitions: BTreeSet::new(),
        }))
    }

    /// An abort would have to put back as many customers, of this estimated size in all: more than enough commits.
    pub(super) fn bound_undo(&mut self, customers: usize, bytes: usize) {
        if COMMIT_CUSTOMERS <= customers || COMMIT_BYTES <= bytes {
            self.hurry();
        }
    }

    /// Time until the open transaction is to be committed; `None` if none is open.
    pub(super) fn due_in(&self, now: Instant) -> Option<Duration> {
        let open = self.open.as_ref()?;
        let due = open.since + self.settings.commit_interval;
        let is_full = open.is_due || COMMIT_RECORDS <= open.tally.records;
        Some(if is_full { Duration::ZERO } else { due.saturating_duration_since(now) })
    }
}

impl Transaction for Outbox {
    fn begin(&mut self) -> Result<(), Failure> {
        self.open().map(drop)
    }

    fn hurry(&mut self) {
        if let Some(open) = &mut self.open {
            open.is_due = true;
        }
    }

    fn count_record(&mut self) {
        if let Some(open) = &mut self.open {
            open.tally.records += 1;
        }
    }

    /// At least once, it is acknowledged before anything that follows from it is sent.
    fn journal(&mut self, partition: i32, value: &[u8]) -> Result<(), Failure> {
        self.open()?.partitions.insert(partition);
        self.publisher.send(&Publication {
            topic: self.topics.journal(),
            partition: Some(partition),
            key: Some(partition.to_string().as_bytes()),
            value: Some(value),
            headers: &[],
            timestamp_ms: None,
        })?;
        match self.settings.delivery {
            Delivery::ExactlyOnce => Ok(()),
            Delivery::AtLeastOnce => self.publisher.drain(),
        }
    }

    fn perform(
        &mut self,
        partition: i32,
        policy: u64,
        effects: &mut Vec<Effect>,
        original: RecordRef<'_>,
    ) -> Result<(), Failure> {
        let Open { tally, partitions, .. } = self.open()?;
        partitions.insert(partition);
        for effect in &*effects {
            tally.count(partition, effect, original.timestamp_ms);
        }
        let origin = Origin { topic: self.topics.events(), partition, policy };
        let Self { settings, topics, publisher, encoder, .. } = self;
        let mut send = |record: OutRecordRef<'_>| {
            publisher.send(&Publication {
                topic: topics.name(record.topic),
                partition: None,
                key: record.key,
                value: record.value,
                headers: record.headers,
                timestamp_ms: original.timestamp_ms,
            })
        };
        for effect in effects.drain(..) {
            encoder.encode(&effect, original, origin, settings.encoding, &mut send)?;
        }
        Ok(())
    }
}
