//! The few librdkafka calls that rdkafka does not wrap: batch fetch from a private queue, the group's generation, a topic's id, and
//! ([`producer`]) a producer that notices what the library hides.
//!
//! This is the one module with unsafe code, and it does nothing else: no retry, no decision, no state of ours. rdkafka's own
//! `poll` costs twice the CPU a record, and its group metadata cannot be looked into.
#![allow(
    unsafe_code,
    reason = "the one audited exception: calls into librdkafka that rdkafka does not wrap"
)]

mod producer;

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

pub(super) use producer::{Producer, Taint};

use super::failure::Failure;
use crate::wire::{Header, RecordRef};

/// A private queue that assigned partitions are forwarded to, so that records can be taken in batches while the consumer's own
/// queue keeps carrying rebalances and errors. (A batch call on the consumer's own queue would take a rebalance for an error and
/// drop the whole assignment.)
pub(super) struct FetchQueue<C: ConsumerContext> {
    // Invariant: made by `rd_kafka_queue_new` on `consumer`, and destroyed before it.
    queue: NonNull<rd::rd_kafka_queue_t>,
    consumer: Arc<BaseConsumer<C>>,
}

impl<C: ConsumerContext> FetchQueue<C> {
    /// An empty queue of `consumer`.
    pub(super) fn new(consumer: Arc<BaseConsumer<C>>) -> Self {
        // SAFETY: the consumer is alive; the new queue holds a reference to it until destroyed.
        let queue = unsafe { rd::rd_kafka_queue_new(consumer.client().native_ptr()) };
        let queue = NonNull::new(queue).expect("librdkafka allocates or aborts");
        Self { queue, consumer }
    }

    /// Lets the records of a partition come here. To be called at every assignment, before records flow.
    pub(super) fn forward(&self, topic: &str, partition: i32) {
        self.route(topic, partition, self.queue.as_ptr());
    }

    /// Undoes [`FetchQueue::forward`], for a partition given back.
    pub(super) fn release(&self, topic: &str, partition: i32) {
        self.route(topic, partition, ptr::null_mut());
    }

    fn route(&self, topic: &str, partition: i32, target: *mut rd::rd_kafka_queue_t) {
        let topic = CString::new(topic).expect("a topic's name holds no NUL");
        // SAFETY: the consumer is alive, the name is NUL-terminated; the partition's queue is a counted reference that is given
        // back after forwarding, which itself keeps what it needs.
        unsafe {
            let rk = self.consumer.client().native_ptr();
            let queue = rd::rd_kafka_queue_get_partition(rk, topic.as_ptr(), partition);
            if !queue.is_null() {
                rd::rd_kafka_queue_forward(queue, target);
                rd::rd_kafka_queue_destroy(queue);
            }
        }
    }

    /// Up to `max` records, in order within each partition; waits up to `timeout` until there are `max`, so ask for one to wait for
    /// any.
    pub(super) fn fetch(&self, max: usize, timeout: Duration) -> Batch<'_> {
        let mut messages = Vec::with_capacity(max);
        // SAFETY: the queue is alive and the vector has room for `max` pointers, of which the call fills the number it returns.
        unsafe {
            let timeout_ms = timeout_ms(timeout);
            let target = messages.as_mut_ptr();
            let count =
                rd::rd_kafka_consume_batch_queue(self.queue.as_ptr(), timeout_ms, target, max);
            messages.set_len(usize::try_from(count).unwrap_or(0));
        }
        Batch { messages, queue: PhantomData }
    }
}

impl<C: ConsumerContext> Drop for FetchQueue<C> {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, destroyed once, while the consumer (a field) is still alive.
        unsafe { rd::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// Records as fetched, given back to librdkafka when dropped.
pub(super) struct Batch<'q> {
    // Invariant: each a message of ours alone, not yet destroyed.
    messages: Vec<*mut rd::rd_kafka_message_t>,
    queue: PhantomData<&'q ()>,
}

impl Batch<'_> {
    /// How much was fetched; ends of partitions and errors count too.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// What was fetched, in order within each partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = Fetched<'_>> {
        self.messages.iter().map(|message| {
            // SAFETY: by the invariant the message is valid as long as the batch, to which the item's lifetime is tied.
            let message = unsafe { &**message };
            match message.err {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {
                    Fetched::Record(FetchedRecord { message })
                }
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => Fetched::End,
                error => Fetched::Error { partition: message.partition, code: error.into() },
            }
        })
    }
}

impl Batch<'_> {
    /// The partitions whose end was reached, in the order it was told.
    pub(super) fn ends(&self) -> impl Iterator<Item = i32> {
        let end = |message: &*mut rd::rd_kafka_message_t| {
            // SAFETY: by the invariant the message is valid as long as the batch.
            let message = unsafe { &**message };
            let is_end = message.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF;
            is_end.then_some(message.partition)
        };
        self.messages.iter().filter_map(end)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for message in &self.messages {
            // SAFETY: by the invariant; destroyed once.
            unsafe { rd::rd_kafka_message_destroy(*message) }
        }
    }
}

/// One thing a batch holds.
pub(super) enum Fetched<'b> {
    /// A record.
    Record(FetchedRecord<'b>),
    /// The end of the log as it is now; told only if `enable.partition.eof` is set.
    End,
    /// The partition cannot be read.
    Error { partition: i32, code: RDKafkaErrorCode },
}

/// A record, seen in librdkafka's memory.
#[derive(Clone, Copy)]
pub(super) struct FetchedRecord<'b> {
    message: &'b rd::rd_kafka_message_t,
}

impl<'b> FetchedRecord<'b> {
    pub(super) const fn partition(&self) -> i32 {
        self.message.partition
    }

    pub(super) const fn offset(&self) -> i64 {
        self.message.offset
    }

    /// The record's headers; one whose name is not UTF-8 is left out.
    pub(super) fn headers(&self) -> Vec<Header<'b>> {
        let mut list = ptr::null_mut();
        // SAFETY: the message is valid for 'b, and so is the list it owns.
        let error = unsafe { rd::rd_kafka_message_headers(self.message, &mut list) };
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Vec::new();
        }
        // SAFETY: the list is valid, as the message is, for 'b.
        (0..).map_while(|index| unsafe { header(list, index) }).filter_map(name_as_text).collect()
    }

    /// The record as decoding reads it.
    pub(super) fn as_ref<'h>(&self, headers: &'h [Header<'h>]) -> RecordRef<'h>
    where
        'b: 'h,
    {
        let message = self.message;
        // SAFETY: key and payload point to as many bytes as stated, valid as long as the message, or are null.
        let (key, value) =
            unsafe { (bytes(message.key, message.key_len), bytes(message.payload, message.len)) };
        RecordRef { key, value, headers, timestamp_ms: self.timestamp_ms() }
    }

    /// The stored timestamp.
    pub(super) fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid; the kind is written, not read.
        let timestamp = unsafe { rd::rd_kafka_message_timestamp(self.message, &mut kind) };
        (timestamp >= 0).then_some(timestamp)
    }
}

type RawHeader<'b> = (&'b CStr, Option<&'b [u8]>);

/// The header at `index`; `None` behind the last.
///
/// # Safety
/// `list` is valid for 'b.
unsafe fn header<'b>(list: *const rd::rd_kafka_headers_t, index: usize) -> Option<RawHeader<'b>> {
    let (mut name, mut value, mut size) = (ptr::null::<c_char>(), ptr::null::<c_void>(), 0);
    // SAFETY: the caller's promise; name and value point into the list, the name NUL-terminated.
    unsafe {
        let error = rd::rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut size);
        (error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR)
            .then(|| (CStr::from_ptr(name), bytes(value, size)))
    }
}

fn name_as_text<'b>((name, value): RawHeader<'b>) -> Option<Header<'b>> {
    Some((name.to_str().ok()?, value))
}

/// # Safety
/// `start` is null or points to `length` bytes valid for 'b.
unsafe fn bytes<'b>(start: *const c_void, length: usize) -> Option<&'b [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length) })
}

fn timeout_ms(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}

/// What the consumer knows of its group, read at one moment.
pub(super) struct GroupMetadata(NonNull<rd::rd_kafka_consumer_group_metadata_t>);

impl GroupMetadata {
    /// Reads it; `None` unless the consumer is a member of a generation: with a negative generation or without a member id the
    /// broker would accept offsets unchecked.
    pub(super) fn read<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        let metadata = Self::read_anyway(consumer)?;
        // SAFETY: the metadata is a copy of our own, with NUL-terminated texts.
        unsafe {
            let generation =
                rd::rd_kafka_consumer_group_metadata_generation_id(metadata.0.as_ptr());
            let member = rd::rd_kafka_consumer_group_metadata_member_id(metadata.0.as_ptr());
            let is_member = !member.is_null() && !CStr::from_ptr(member).is_empty();
            (generation >= 0 && is_member).then_some(metadata)
        }
    }

    /// Reads it, whether the consumer is a member or only names a group; `None` if it names none.
    pub(super) fn read_anyway<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the consumer is alive, and the metadata is a copy of our own.
        let metadata =
            unsafe { rd::rd_kafka_consumer_group_metadata(consumer.client().native_ptr()) };
        NonNull::new(metadata).map(Self)
    }
}

impl Drop for GroupMetadata {
    fn drop(&mut self) {
        // SAFETY: a copy of our own, destroyed once.
        unsafe { rd::rd_kafka_consumer_group_metadata_destroy(self.0.as_ptr()) }
    }
}

/// # Safety
/// `error` is null or an error of ours, not used afterwards.
unsafe fn take_error(error: *mut rd::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: by the caller's promise it is valid until destroyed here; its text is NUL-terminated and copied before.
    unsafe {
        let failure = Failure {
            code: rd::rd_kafka_error_code(error).into(),
            is_fatal: rd::rd_kafka_error_is_fatal(error) != 0,
            text: CStr::from_ptr(rd::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
        };
        rd::rd_kafka_error_destroy(error);
        Err(failure)
    }
}

/// The end of a partition's log as the last fetch told it, without asking the broker; `None` before the first fetch.
pub(super) fn high_watermark<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the consumer is alive, the name is NUL-terminated, and both numbers are written, not read.
    let error = unsafe {
        let rk = consumer.client().native_ptr();
        rd::rd_kafka_get_watermark_offsets(rk, topic.as_ptr(), partition, &mut low, &mut high)
    };
    (error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
}

/// The id the broker gave `topic` when it was made, 16 bytes; `None` if the broker does not say within `timeout`.
pub(super) fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Option<[u8; 16]> {
    let topic = CString::new(topic).ok()?;
    let mut names = [topic.as_ptr()];
    // SAFETY: the client is alive; queue, collection and event are made here and destroyed once, in reverse; the description is read
    // before the event that owns it is destroyed.
    unsafe {
        let rk = client.native_ptr();
        let queue = rd::rd_kafka_queue_new(rk);
        let topics = rd::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        rd::rd_kafka_DescribeTopics(rk, topics, ptr::null(), queue);
        let event = rd::rd_kafka_queue_poll(queue, timeout_ms(timeout));
        let id = if event.is_null() { None } else { described_id(event) };
        if !event.is_null() {
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_TopicCollection_destroy(topics);
        rd::rd_kafka_queue_destroy(queue);
        id
    }
}

/// # Safety
/// `event` is a valid event.
unsafe fn described_id(event: *mut rd::rd_kafka_event_t) -> Option<[u8; 16]> {
    let mut count = 0;
    // SAFETY: the result and all it leads to live as long as the event; each pointer is checked before use.
    unsafe {
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null()
            || rd::rd_kafka_event_error(event) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return None;
        }
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if count == 0 {
            return None;
        }
        let id = rd::rd_kafka_TopicDescription_topic_id(*topics);
        if id.is_null() {
            return None;
        }
        let most = rd::rd_kafka_Uuid_most_significant_bits(id).to_be_bytes();
        let least = rd::rd_kafka_Uuid_least_significant_bits(id).to_be_bytes();
        let mut whole = [0; 16];
        whole[..8].copy_from_slice(&most);
        whole[8..].copy_from_slice(&least);
        (whole != [0; 16]).then_some(whole)
    }
}
