//! Reads whole topics from their beginning, to show them to a person. It joins no group and commits nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::error::{Error, Result};
use super::produce::Placed;
use super::settings::KafkaSettings;
use super::topics::{Topics, partition_count};

/// How long the broker may take to say where a partition ends.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Follows some topics of a deployment.
pub struct TopicTail {
    consumer: BaseConsumer,
    /// The next offset to come, by topic and partition.
    next: BTreeMap<(String, i32), i64>,
}

/// One record of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TailRecord {
    /// Where it is.
    pub place: Placed,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// The bytes; `None`: a tombstone.
    pub value: Option<Vec<u8>>,
    /// Why it was set aside; only of dead letters.
    pub reason: Option<String>,
}

impl TopicTail {
    /// Follows the topics that hold `what`, for instance `scores`, from their beginning.
    ///
    /// # Errors
    /// If one does not exist, or the broker does not answer.
    ///
    /// # Panics
    /// If no topic of ours holds one of `what`.
    pub fn open(settings: &KafkaSettings, what: &[&str]) -> Result<Self> {
        Self::from(settings, what, false)
    }

    /// The same, from what they end with now.
    ///
    /// # Errors
    /// As [`Self::open`].
    ///
    /// # Panics
    /// As [`Self::open`].
    pub fn open_at_end(settings: &KafkaSettings, what: &[&str]) -> Result<Self> {
        Self::from(settings, what, true)
    }

    fn from(settings: &KafkaSettings, what: &[&str], at_end: bool) -> Result<Self> {
        let mut config = settings.reader();
        config.set("enable.partition.eof", "false");
        let consumer: BaseConsumer =
            config.create().map_err(Error::while_doing("making a reader"))?;
        let topics = Topics::new(&settings.prefix);
        let (mut next, mut assignment) = (BTreeMap::new(), TopicPartitionList::new());
        for topic in what.iter().map(|what| topics.name(what)) {
            for partition in 0..partition_count(consumer.client(), topic)? {
                let first = if at_end { end_of(&consumer, topic, partition)? } else { 0 };
                next.insert((topic.to_owned(), partition), first);
                assignment
                    .add_partition_offset(topic, partition, Offset::Offset(first))
                    .map_err(Error::while_doing("reading outputs"))?;
            }
        }
        consumer.assign(&assignment).map_err(Error::while_doing("reading outputs"))?;
        Ok(Self { consumer, next })
    }

    /// The next record; `None` if none comes within `timeout`.
    ///
    /// # Errors
    /// If the broker is gone, or no longer keeps what was to be read.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<TailRecord>> {
        match self.consumer.poll(timeout) {
            None => Ok(None),
            Some(Err(error)) => Err(Error::while_doing("reading outputs")(error)),
            Some(Ok(message)) => {
                let place = (message.topic().to_owned(), message.partition());
                self.next.insert(place, message.offset() + 1);
                Ok(Some(TailRecord {
                    place: Placed {
                        topic: message.topic().to_owned(),
                        partition: message.partition(),
                        offset: message.offset(),
                    },
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    reason: reason(&message),
                }))
            }
        }
    }

    /// Has all been read that the broker holds now?
    ///
    /// # Errors
    /// If the broker does not say.
    pub fn is_at_end(&self) -> Result<bool> {
        for ((topic, partition), next) in &self.next {
            if *next < end_of(&self.consumer, topic, *partition)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl std::fmt::Debug for TopicTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicTail").field("next", &self.next).finish_non_exhaustive()
    }
}

/// The offset after the last record.
fn end_of(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<i64> {
    let (_start, end) = consumer
        .fetch_watermarks(topic, partition, TIMEOUT)
        .map_err(Error::while_doing("asking where a topic ends"))?;
    Ok(end)
}

fn reason(message: &BorrowedMessage<'_>) -> Option<String> {
    let mut headers = message.headers()?.iter();
    let value = headers.find(|header| header.key == "reason")?.value?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::settings::tests::settings;
    use crate::kafka::{EmbeddedBroker, TopicWriter};

    #[test]
    fn all_records_of_all_partitions_are_read_once() {
        let broker = EmbeddedBroker::start("goodfaith", 3).unwrap();
        let bootstrap_servers = broker.bootstrap_servers();
        let writer = TopicWriter::create(&bootstrap_servers, "goodfaith.scores.v1", &[]).unwrap();
        for n in 0..50 {
            writer.send(&n.to_string(), &[n], None).unwrap();
        }
        writer.finish().unwrap();
        let mut tail = TopicTail::open(
            &KafkaSettings { bootstrap_servers, ..settings() },
            &["scores", "alerts"],
        )
        .unwrap();
        let mut read = Vec::new();
        assert!(!tail.is_at_end().unwrap());
        while read.len() < 50 || !tail.is_at_end().unwrap() {
            read.extend(tail.next(TIMEOUT).unwrap().and_then(|record| record.value));
        }
        read.sort();
        assert!(read.iter().flatten().copied().eq(0..50));
    }
}
