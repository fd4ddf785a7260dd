//! The floor: what reading the topic costs if nothing is done with it. A process of its own, so that it is measured as the others are.
#![allow(
    unsafe_code,
    reason = "librdkafka's batch call, which rdkafka does not wrap; goodfaith fetches by it too"
)]

use std::io::{self, Write as _};
use std::ptr;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::broker::Broker;

/// Records asked for at once.
const BATCH: usize = 4096;
const WAIT_MS: i32 = 100;

/// Reads the whole topic, and says after every batch how many records that makes.
pub(crate) fn run(broker: &Broker, topic: &str, partitions: i32) {
    let total: i64 = broker.ends(topic, partitions).iter().sum();
    let total = u64::try_from(total).unwrap();
    let reader: BaseConsumer = broker
        .client()
        .set("group.id", "harness-drain")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "262144")
        .set("fetch.message.max.bytes", "4194304")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    list.set_all_offsets(Offset::Beginning).unwrap();
    reader.assign(&list).unwrap();
    let (mut records, mut bytes) = (0, 0);
    let mut out = io::stdout().lock();
    while records < total {
        let (more_records, more_bytes) = batch(&reader);
        records += more_records;
        bytes += more_bytes;
        writeln!(out, "{records} {bytes}").unwrap();
    }
}

/// One batch: records and their bytes.
fn batch(reader: &BaseConsumer) -> (u64, u64) {
    let mut messages: Vec<*mut rd::rd_kafka_message_t> = vec![ptr::null_mut(); BATCH];
    let (mut records, mut bytes) = (0, 0);
    // SAFETY: the consumer is alive, and its partitions were assigned by hand, so no rebalance comes by this queue; the vector has room for
    // BATCH pointers, of which the call fills the number it returns (-1: none), each a message of ours alone that is destroyed once.
    unsafe {
        let queue = rd::rd_kafka_queue_get_consumer(reader.client().native_ptr());
        let count = rd::rd_kafka_consume_batch_queue(queue, WAIT_MS, messages.as_mut_ptr(), BATCH);
        for message in messages.iter().take(usize::try_from(count).unwrap_or(0)) {
            if (**message).err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                records += 1;
                bytes += ((**message).len + (**message).key_len) as u64;
            }
            rd::rd_kafka_message_destroy(*message);
        }
        rd::rd_kafka_queue_destroy(queue);
    }
    (records, bytes)
}
