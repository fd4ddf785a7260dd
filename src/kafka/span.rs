//! Reads a topic's partitions one after the other, each from an offset to where it ends, for tools that look at a topic or clear it.
//! It joins no group and commits nothing, and what arrives while it reads is left for another time.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::clock;
use super::error::{Error, Result};
use super::native::{FetchQueue, Fetched, FetchedRecord};
use super::reference::refuse_lasting;
use super::settings::KafkaSettings;
use super::topics::{Topics, partition_count};
use crate::wire::RecordRef;

/// Records taken at once.
const BATCH: usize = 1024;
/// How long one fetch waits.
const WAIT: Duration = Duration::from_millis(20);
/// How long the broker may stay silent before reading is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the broker may take to answer a question.
pub(super) const QUESTION: Duration = Duration::from_secs(15);

/// Part of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub start: i64,
    /// The offset behind the last; as many may be missing in between as were never records.
    pub end: i64,
}

/// Whether to read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// To the next record.
    On,
    /// No further in this partition.
    Stop,
}

impl Span {
    /// Offsets in it.
    pub fn len(&self) -> u64 {
        u64::try_from(self.end - self.start).unwrap_or(0)
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }
}

/// A record of one of our topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputRecord<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The bytes; `None`: a tombstone.
    pub value: Option<&'a [u8]>,
}

/// Hands what the topic that holds `what` holds now to `take`, one partition after the other, each in order; a partition of which
/// enough was seen is left.
///
/// # Errors
/// If the topic does not exist, or the broker refuses or does not answer.
///
/// # Panics
/// If no topic of ours holds `what`.
pub fn read_outputs(
    settings: &KafkaSettings,
    what: &str,
    mut take: impl FnMut(OutputRecord<'_>) -> Go,
) -> Result<()> {
    let reader = SpanReader::open(settings, Topics::new(&settings.prefix).name(what))?;
    for span in reader.spans()? {
        reader.read(span, |record| {
            let RecordRef { key, value, .. } = record.as_ref(&[]);
            let (partition, offset) = (record.partition(), record.offset());
            Ok(take(OutputRecord { partition, offset, key, value }))
        })?;
    }
    Ok(())
}

/// A reader of one topic, under `read_committed`.
pub(super) struct SpanReader {
    // Before the consumer, which its queue belongs to.
    queue: FetchQueue<DefaultConsumerContext>,
    pub(super) consumer: Arc<BaseConsumer>,
    pub(super) topic: String,
    pub(super) partitions: i32,
}

impl SpanReader {
    /// A reader of `topic`.
    ///
    /// # Errors
    /// If it does not exist, or the broker does not answer.
    pub(super) fn open(settings: &KafkaSettings, topic: &str) -> Result<Self> {
        let consumer: BaseConsumer =
            settings.reader().create().map_err(Error::while_doing("making a reader"))?;
        let consumer = Arc::new(consumer);
        let partitions = partition_count(consumer.client(), topic)?;
        let queue = FetchQueue::new(Arc::clone(&consumer));
        // Before records flow, or the first ones would come by the consumer's own queue.
        (0..partitions).for_each(|partition| queue.forward(topic, partition));
        Ok(Self { queue, consumer, topic: topic.to_owned(), partitions })
    }

    /// What each partition holds now that is certain; those that hold nothing too.
    pub(super) fn spans(&self) -> Result<Vec<Span>> {
        (0..self.partitions)
            .map(|partition| {
                let (start, end) = self
                    .consumer
                    .fetch_watermarks(&self.topic, partition, QUESTION)
                    .map_err(Error::while_doing("asking where a topic ends"))?;
                Ok(Span { partition, start, end })
            })
            .collect()
    }

    /// The same, from the first record on that arrived at `since_ms`, milliseconds since the epoch, or later.
    pub(super) fn spans_since(&self, since_ms: i64) -> Result<Vec<Span>> {
        let mut times = TopicPartitionList::new();
        for partition in 0..self.partitions {
            times
                .add_partition_offset(&self.topic, partition, Offset::Offset(since_ms))
                .map_err(Error::while_doing("asking where a time begins"))?;
        }
        let found = self
            .consumer
            .offsets_for_times(times, QUESTION)
            .map_err(Error::while_doing("asking where a time begins"))?;
        let narrowed = |span: Span| {
            let found = found.find_partition(&self.topic, span.partition);
            match found.map(|element| element.offset()) {
                Some(Offset::Offset(start)) => Span { start: start.max(span.start), ..span },
                // Nothing is as young.
                _ => Span { start: span.end, ..span },
            }
        };
        Ok(self.spans()?.into_iter().map(narrowed).collect())
    }

    /// Hands the records of `span` to `take`, in order.
    ///
    /// # Errors
    /// The first of `take`; or if the broker refuses, or does not answer for half a minute.
    pub(super) fn read(
        &self,
        span: Span,
        mut take: impl FnMut(&FetchedRecord<'_>) -> Result<Go>,
    ) -> Result<()> {
        if span.is_empty() {
            return Ok(());
        }
        self.assign(span)?;
        let mut deadline = clock::now() + PATIENCE;
        loop {
            if let Some(Err(error)) = self.consumer.poll(Duration::ZERO) {
                refuse_lasting(error)?;
            }
            // To wait for more than one would be to wait for the whole of it.
            let first = self.queue.fetch(1, WAIT);
            let rest = self.queue.fetch(BATCH, Duration::ZERO);
            for batch in [&first, &rest] {
                for fetched in batch.iter() {
                    deadline = clock::now() + PATIENCE;
                    match fetched {
                        Fetched::Record(record) if record.partition() != span.partition => {}
                        Fetched::Record(record) => {
                            let is_over = span.end <= record.offset();
                            if is_over || take(&record)? == Go::Stop {
                                return Ok(());
                            }
                        }
                        Fetched::End => {}
                        Fetched::Error { partition, code } if partition == span.partition => {
                            let error = KafkaError::MessageConsumption(code);
                            return Err(Error::Kafka { doing: "reading a topic", error });
                        }
                        Fetched::Error { .. } => {}
                    }
                }
                if batch.ends().any(|partition| partition == span.partition) {
                    return Ok(());
                }
            }
            if deadline <= clock::now() {
                let error = KafkaError::MessageConsumption(
                    rdkafka::types::RDKafkaErrorCode::OperationTimedOut,
                );
                return Err(Error::Kafka { doing: "reading a topic", error });
            }
        }
    }

    fn assign(&self, span: Span) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, span.partition, Offset::Offset(span.start))
            .and_then(|()| self.consumer.assign(&list))
            .map_err(Error::while_doing("reading a topic"))
    }
}
