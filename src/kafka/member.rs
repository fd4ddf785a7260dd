//! A worker's membership of the group: a consumer that is told of rebalances but never acts on one by itself.
//!
//! librdkafka waits until a rebalance is answered. rdkafka answers inside its callback, in the middle of a poll; here the callback
//! only notes it, and the worker answers between batches, when it has ended its transaction. The group's protocol is the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::types::RDKafkaRespErr;

/// A consumer that belongs to the group.
pub(super) type Member = BaseConsumer<Rebalances>;

/// What the group asks of a member.
pub(super) enum Rebalance {
    /// To take these partitions; may be none.
    Assign(TopicPartitionList),
    /// To give these back; may be none.
    Revoke(TopicPartitionList),
}

/// Rebalances not answered yet.
#[derive(Default)]
pub(super) struct Rebalances {
    pending: Mutex<Vec<Rebalance>>,
    is_leaving: AtomicBool,
}

impl Rebalances {
    /// What has come in since the last call, in order.
    pub(super) fn take(&self) -> Vec<Rebalance> {
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on every rebalance is answered at once: the worker has ended its last transaction and is about to close the
    /// consumer, which waits for the answer.
    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }
}

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let rebalance = match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                Rebalance::Assign(partitions.clone())
            }
            _ => Rebalance::Revoke(partitions.clone()),
        };
        if self.is_leaving.load(Ordering::Acquire) {
            // An answer is refused only when the group has already moved on, and then none is waited for.
            drop(answer(consumer, &rebalance));
        } else {
            self.pending.lock().unwrap_or_else(PoisonError::into_inner).push(rebalance);
        }
    }
}

/// Accepts a rebalance. Partitions are taken at the end of their log: where to read from is known only later.
pub(super) fn answer(member: &Member, rebalance: &Rebalance) -> rdkafka::error::KafkaResult<()> {
    match rebalance {
        Rebalance::Assign(partitions) => {
            let mut partitions = partitions.clone();
            partitions.set_all_offsets(rdkafka::Offset::End)?;
            member.incremental_assign(&partitions)
        }
        Rebalance::Revoke(partitions) => member.incremental_unassign(partitions),
    }
}
