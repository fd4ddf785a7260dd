//! Committed offsets with the marks they carry, to and from librdkafka's lists.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::member::Member;
use super::partition::Position;
use crate::wire::JournalError;

/// What the group has committed for a partition; `None`: nothing, ever.
pub(super) type Committed = Result<Option<Position>, JournalError>;

/// A list of `partitions` of `topic`, without offsets.
pub(super) fn list(topic: &str, partitions: impl IntoIterator<Item = i32>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, partition);
    }
    list
}

/// The offsets to commit, each with its mark.
pub(super) fn marked(
    topic: &str,
    positions: impl IntoIterator<Item = (i32, Position)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, Position { offset_next, mark }) in positions {
        let mut element = list.add_partition(topic, partition);
        element.set_offset(Offset::Offset(offset_next))?;
        element.set_metadata(mark.to_string());
    }
    Ok(list)
}

/// Where a consumer stands in a partition, markers passed over; `None` before the first record since it was moved.
pub(super) fn position<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    let positions = consumer.position().ok()?;
    match positions.find_partition(topic, partition)?.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

/// Asks the group's coordinator for what is committed of `partitions`. The consumer is `read_committed`, so the answer is stable: of a
/// partition with an offset in an open transaction the coordinator says "not yet", and it is left out here.
///
/// # Errors
/// If the coordinator does not answer in time.
pub(super) fn committed(
    member: &Member,
    topic: &str,
    partitions: impl IntoIterator<Item = i32>,
    timeout: Duration,
) -> Result<BTreeMap<i32, Committed>, KafkaError> {
    let found = member.committed_offsets(list(topic, partitions), timeout)?;
    let read = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        element.error()?;
        let committed = match element.offset() {
            Offset::Offset(offset_next) => {
                let mark = element.metadata().parse();
                mark.map(|mark| Some(Position { offset_next, mark }))
            }
            _ => Ok(None),
        };
        Ok((element.partition(), committed))
    };
    let is_stable = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let error = element.error().err().and_then(|error| error.rdkafka_error_code());
        error != Some(RDKafkaErrorCode::UnstableOffsetCommit)
    };
    found.elements().iter().filter(|element| is_stable(element)).map(read).collect()
}
