//! Which partitions of a deployment are stopped, as their journals say, and the request that ends a stop: what an operator's command does.
//! It joins no group and commits nothing; the worker that owns a partition ends the stop itself.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::error::{Error, Result};
use super::produce::{ProduceError, TopicWriter};
use super::reference::refuse_lasting;
use super::settings::KafkaSettings;
use super::topics::{Topics, partition_count};
use crate::wire::{CommitMark, Decision, JournalRecord, Operation, StopCause};

/// How long the broker may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A partition that handles no record until somebody resumes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoppedPartition {
    /// Which.
    pub partition: i32,
    /// The next offset to handle once it goes on.
    pub offset: i64,
    /// Why.
    pub cause: StopCause,
    /// Names its history.
    lineage: [u8; 16],
    /// The `seq` of the stop.
    stop: u64,
}

impl StoppedPartition {
    /// What to ask for so that it goes on.
    pub const fn resume(&self) -> Operation {
        let Self { partition, lineage, stop, .. } = *self;
        Operation::Resume { partition, lineage, stop }
    }
}

/// The partitions that are stopped now, in order.
///
/// # Errors
/// If the topics do not exist or the broker does not answer.
pub fn stopped_partitions(settings: &KafkaSettings) -> Result<Vec<StoppedPartition>> {
    let topics = Topics::new(&settings.prefix);
    let doing = "reading the journal";
    let mut config = settings.reader();
    config.set("group.id", &settings.group_id);
    let reader: BaseConsumer = config.create().map_err(Error::while_doing(doing))?;
    let count = partition_count(reader.client(), topics.journal())?;
    let lineages = lineages(&reader, topics.events(), count)?;
    let mut list = TopicPartitionList::new();
    for partition in 0..count {
        list.add_partition_offset(topics.journal(), partition, Offset::Beginning)
            .map_err(Error::while_doing(doing))?;
    }
    reader.assign(&list).map_err(Error::while_doing(doing))?;
    let mut standing = Standing { lineages, stops: BTreeMap::new() };
    let mut ended = 0;
    while ended < count {
        match reader.poll(TIMEOUT) {
            Some(Ok(message)) => {
                standing.take(message.partition(), message.payload().unwrap_or_default());
            }
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => refuse_lasting(error)?,
            None => {
                let error = KafkaError::MessageConsumption(
                    rdkafka::error::RDKafkaErrorCode::OperationTimedOut,
                );
                return Err(Error::while_doing(doing)(error));
            }
        }
    }
    Ok(standing.stops.into_values().collect())
}

/// Every partition's lineage, as its committed offset carries it.
fn lineages(reader: &BaseConsumer, topic: &str, count: i32) -> Result<BTreeMap<i32, [u8; 16]>> {
    let list = super::offsets::list(topic, 0..count);
    let committed = reader
        .committed_offsets(list, TIMEOUT)
        .map_err(Error::while_doing("asking for the committed offsets"))?;
    let lineage = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let mark: CommitMark = element.metadata().parse().ok()?;
        Some((element.partition(), mark.lineage))
    };
    Ok(committed.elements().into_iter().filter_map(lineage).collect())
}

/// How partitions stand, as far as their journals are read.
struct Standing {
    lineages: BTreeMap<i32, [u8; 16]>,
    stops: BTreeMap<i32, StoppedPartition>,
}

impl Standing {
    fn take(&mut self, partition: i32, value: &[u8]) {
        let Some(&lineage) = self.lineages.get(&partition) else { return };
        // What cannot be read is the service's to refuse.
        let Ok(JournalRecord { seq: stop, at: offset, decision }) = JournalRecord::decode(value)
        else {
            return;
        };
        match decision {
            Decision::Stop { cause } => {
                let stopped = StoppedPartition { partition, offset, cause, lineage, stop };
                self.stops.insert(partition, stopped);
            }
            Decision::Resume | Decision::Genesis(_) => drop(self.stops.remove(&partition)),
            _ => {}
        }
    }
}

/// Asks every instance of a deployment for `operation`, and waits until the request is stored. `id` names it.
///
/// # Errors
/// If the topic does not take the record.
pub fn ask(
    settings: &KafkaSettings,
    operation: Operation,
    id: &str,
    time: &str,
) -> Result<(), ProduceError> {
    let properties: Vec<(String, String)> = settings.properties.clone().into_iter().collect();
    let topics = Topics::new(&settings.prefix);
    let writer = TopicWriter::create(&settings.bootstrap_servers, topics.reference(), &properties)?;
    writer.send(&operation.key(), &operation.encode(id, "/operator", time), None)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Chain;

    #[test]
    fn a_stop_stands_until_it_is_resumed() {
        let cause = StopCause::DeadLetters { count: 3, window: 10 };
        let mut chain = Chain::default();
        let mut standing =
            Standing { lineages: BTreeMap::from([(3, [7; 16])]), stops: BTreeMap::new() };
        let mut take = |at, decision| {
            let value = chain.write(at, decision).1;
            // A partition without a committed offset has no history to stop.
            standing.take(4, &value);
            standing.take(3, &value);
            standing
                .stops
                .values()
                .map(|stopped| (stopped.partition, stopped.stop))
                .collect::<Vec<_>>()
        };
        let none = Vec::new();
        let reference = || Decision::Reference { offset_next: 1 };
        assert_eq!(take(0, reference()), none);
        assert_eq!(take(8, Decision::Stop { cause }), [(3, 1)]);
        assert_eq!(take(8, reference()), [(3, 1)]);
        assert_eq!(take(8, Decision::Resume), none);
        assert_eq!(take(9, Decision::Stop { cause }), [(3, 4)]);
        let stopped = standing.stops[&3];
        let expected = Operation::Resume { partition: 3, lineage: [7; 16], stop: 4 };
        assert_eq!((stopped.offset, stopped.resume()), (9, expected));
    }
}
