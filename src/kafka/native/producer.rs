//! A producer that hears of every request the client library gets no answer to. rdkafka's own makes its configuration where no
//! interceptor can be added, and its `flush` waits in slices of 100 ms.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_vtype_t as vtype;
use rdkafka::client::{Client, ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaResult;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr, RDKafkaType};

use super::{GroupMetadata, take_error, timeout_ms};
use crate::kafka::failure::Failure;
use crate::kafka::publisher::Publication;
use crate::wire::Header;

/// Requests of a transaction by their numbers in Kafka's protocol: one that is delayed on its way and taken for lost can still do its
/// work in a later transaction.
const TRANSACTIONAL: [(i16, &str); 5] = [
    (0, "Produce"),
    (24, "AddPartitionsToTxn"),
    (25, "AddOffsetsToTxn"),
    (26, "EndTxn"),
    (28, "TxnOffsetCommit"),
];

/// Leaves the partition to the partitioner.
const BY_KEY: i32 = -1;

/// The first request of a transaction that had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Taint {
    /// What was asked for, in Kafka's words.
    pub(in super::super) request: &'static str,
    /// What came instead of an answer.
    pub(in super::super) code: RDKafkaErrorCode,
}

/// A producer of records and transactions. Delivery reports are taken in whichever call comes to them.
pub(in super::super) struct Producer {
    client: Client<Context>,
}

impl Producer {
    /// A producer that connects by itself.
    ///
    /// # Errors
    /// If a property is wrong.
    pub(in super::super) fn new(config: &ClientConfig) -> KafkaResult<Self> {
        let native = config.create_native_config()?;
        let watch = Arc::<Watch>::default();
        let opaque = Arc::as_ptr(&watch).cast_mut().cast();
        // SAFETY: the configuration is ours. The watch is alive as long as the client that calls back, for the client's context owns
        // it and outlives the native client. The name is NUL-terminated and copied.
        unsafe {
            rd::rd_kafka_conf_set_dr_msg_cb(native.ptr(), Some(on_delivery));
            rd::rd_kafka_conf_set_log_cb(native.ptr(), Some(on_log));
            rd::rd_kafka_conf_set_error_cb(native.ptr(), Some(on_error));
            let name = INTERCEPTOR.as_ptr();
            rd::rd_kafka_conf_interceptor_add_on_new(native.ptr(), name, Some(on_new), opaque);
        }
        let client =
            Client::new(config, native, RDKafkaType::RD_KAFKA_PRODUCER, Context { watch })?;
        Ok(Self { client })
    }

    fn watch(&self) -> &Watch {
        &self.client.context().watch
    }

    /// The first request of a transaction without an answer, since this producer was made: the library repeats most of them by
    /// itself and reports success.
    pub(in super::super) fn taint(&self) -> Option<Taint> {
        self.watch().taint.get().copied()
    }

    /// The first delivery that failed since this was last asked.
    pub(in super::super) fn take_undelivered(&self) -> Option<RDKafkaErrorCode> {
        self.watch().undelivered.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Queues a record; its bytes are copied.
    ///
    /// # Errors
    /// If the queue is full, or the record cannot be produced at all.
    ///
    /// # Panics
    /// If the topic's name holds a NUL.
    pub(in super::super) fn send(
        &self,
        publication: &Publication<'_>,
    ) -> Result<(), RDKafkaErrorCode> {
        let topic = CString::new(publication.topic).expect("a topic's name holds no NUL");
        let (value, value_len) = raw(publication.value);
        let (key, key_len) = raw(publication.key);
        // SAFETY: the client is alive; each tag is followed by arguments of the types it stands for; key and value are copied, and
        // the headers are the library's if it takes the record, or else still ours to destroy.
        unsafe {
            let headers = new_headers(publication.headers);
            let error = rd::rd_kafka_producev(
                self.client.native_ptr(),
                vtype::RD_KAFKA_VTYPE_TOPIC,
                topic.as_ptr(),
                vtype::RD_KAFKA_VTYPE_PARTITION,
                publication.partition.unwrap_or(BY_KEY),
                vtype::RD_KAFKA_VTYPE_MSGFLAGS,
                rd::RD_KAFKA_MSG_F_COPY,
                vtype::RD_KAFKA_VTYPE_VALUE,
                value,
                value_len,
                vtype::RD_KAFKA_VTYPE_KEY,
                key,
                key_len,
                vtype::RD_KAFKA_VTYPE_TIMESTAMP,
                publication.timestamp_ms.unwrap_or(0),
                vtype::RD_KAFKA_VTYPE_HEADERS,
                headers,
                vtype::RD_KAFKA_VTYPE_END,
            );
            if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Ok(());
            }
            if !headers.is_null() {
                rd::rd_kafka_headers_destroy(headers);
            }
            Err(error.into())
        }
    }

    /// Takes delivery reports, waiting up to `timeout` for the first.
    pub(in super::super) fn poll(&self, timeout: Duration) {
        // SAFETY: the client is alive.
        unsafe { rd::rd_kafka_poll(self.client.native_ptr(), timeout_ms(timeout)) };
    }

    /// Waits until every record sent has its report.
    ///
    /// # Errors
    /// If that takes longer than `timeout`.
    pub(in super::super) fn flush(&self, timeout: Duration) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: the client is alive.
        match unsafe { rd::rd_kafka_flush(self.client.native_ptr(), timeout_ms(timeout)) } {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => Err(error.into()),
        }
    }

    /// Makes the broker end what a predecessor of the same name left open, and refuse whatever still comes from it.
    pub(in super::super) fn init_transactions(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive; the error, if any, is ours.
        unsafe {
            let rk = self.client.native_ptr();
            take_error(rd::rd_kafka_init_transactions(rk, timeout_ms(timeout)))
        }
    }

    pub(in super::super) fn begin_transaction(&self) -> Result<(), Failure> {
        // SAFETY: the client is alive; the error, if any, is ours.
        unsafe { take_error(rd::rd_kafka_begin_transaction(self.client.native_ptr())) }
    }

    /// Adds `offsets` to the open transaction, fenced by the generation of `group`.
    ///
    /// # Errors
    /// As librdkafka says; a timeout leaves open whether they were added.
    pub(in super::super) fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        group: &GroupMetadata,
        timeout: Duration,
    ) -> Result<(), Failure> {
        // SAFETY: client, list and metadata are alive; the error, if any, is ours.
        unsafe {
            take_error(rd::rd_kafka_send_offsets_to_transaction(
                self.client.native_ptr(),
                offsets.ptr(),
                group.0.as_ptr(),
                timeout_ms(timeout),
            ))
        }
    }

    /// Waits for every record's report, and commits.
    ///
    /// # Errors
    /// As librdkafka says; a timeout leaves the outcome open.
    pub(in super::super) fn commit_transaction(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive; the error, if any, is ours.
        unsafe {
            let rk = self.client.native_ptr();
            take_error(rd::rd_kafka_commit_transaction(rk, timeout_ms(timeout)))
        }
    }

    /// Gives up what is queued, waits for the reports on what is under way, and aborts.
    ///
    /// # Errors
    /// As librdkafka says; a timeout leaves the outcome open.
    pub(in super::super) fn abort_transaction(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive; the error, if any, is ours.
        unsafe {
            let rk = self.client.native_ptr();
            take_error(rd::rd_kafka_abort_transaction(rk, timeout_ms(timeout)))
        }
    }
}

fn raw(bytes: Option<&[u8]>) -> (*const c_void, usize) {
    bytes.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr().cast(), bytes.len()))
}

/// The headers in librdkafka's own list, for the caller to give away or destroy; null if there are none.
fn new_headers(headers: &[Header<'_>]) -> *mut rd::rd_kafka_headers_t {
    if headers.is_empty() {
        return ptr::null_mut();
    }
    // SAFETY: the list is new and ours; name and value are as long as stated, and copied.
    unsafe {
        let list = rd::rd_kafka_headers_new(headers.len());
        for (name, value) in headers {
            let (bytes, length) = raw(*value);
            // It refuses read-only lists alone.
            rd::rd_kafka_header_add(
                list,
                name.as_ptr().cast(),
                name.len().cast_signed(),
                bytes,
                length.cast_signed(),
            );
        }
        list
    }
}

/// What the library's threads tell.
#[derive(Default)]
struct Watch {
    undelivered: Mutex<Option<RDKafkaErrorCode>>,
    taint: OnceLock<Taint>,
}

impl Watch {
    /// Notes the end of a request: with an answer, whatever it says, or without.
    fn note_end(&self, request: i16, error: RDKafkaRespErr) {
        if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        if let Some((_, request)) = TRANSACTIONAL.iter().find(|(number, _)| *number == request) {
            self.taint.get_or_init(|| Taint { request, code: error.into() });
        }
    }
}

struct Context {
    watch: Arc<Watch>,
}

impl ClientContext for Context {}

const INTERCEPTOR: &CStr = c"taint";

/// Asks to be told of the end of every request.
unsafe extern "C" fn on_new(
    rk: *mut rd::rd_kafka_t,
    _conf: *const rd::rd_kafka_conf_t,
    watch: *mut c_void,
    _text: *mut c_char,
    _text_size: usize,
) -> RDKafkaRespErr {
    let name = INTERCEPTOR.as_ptr();
    // SAFETY: called by `rd_kafka_new`, as it has to be, with the pointer given there.
    unsafe { rd::rd_kafka_interceptor_add_on_response_received(rk, name, Some(on_end), watch) }
}

/// Called on the library's threads for every request that ends: with its response, or with the error that ended it without one. It is
/// called before the library looks into either, so before it repeats a request and before any call of ours returns.
unsafe extern "C" fn on_end(
    _rk: *mut rd::rd_kafka_t,
    _socket: c_int,
    _broker: *const c_char,
    _broker_id: i32,
    request: i16,
    _version: i16,
    _correlation: i32,
    _size: usize,
    _round_trip_us: i64,
    error: RDKafkaRespErr,
    watch: *mut c_void,
) -> RDKafkaRespErr {
    // SAFETY: the pointer given to `on_new`, alive as long as the client.
    unsafe { &*watch.cast::<Watch>() }.note_end(request, error);
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

unsafe extern "C" fn on_delivery(
    _rk: *mut rd::rd_kafka_t,
    message: *const rd::rd_kafka_message_t,
    context: *mut c_void,
) {
    // SAFETY: the message is valid during the call; the opaque pointer is the client's context, which outlives the native client.
    let (error, context) = unsafe { ((*message).err, &*context.cast::<Context>()) };
    if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        let undelivered = &context.watch.undelivered;
        undelivered.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.into());
    }
}

/// Passes a line on to where rdkafka's own clients log.
unsafe extern "C" fn on_log(
    _rk: *const rd::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    text: *const c_char,
) {
    let level = match level {
        ..=3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 | 6 => RDKafkaLogLevel::Info,
        7.. => RDKafkaLogLevel::Debug,
    };
    // SAFETY: both texts are NUL-terminated and valid during the call.
    let (facility, text) = unsafe { (CStr::from_ptr(facility), CStr::from_ptr(text)) };
    DefaultClientContext.log(level, &facility.to_string_lossy(), &text.to_string_lossy());
}

/// What is an error the library logs too: told once is enough.
unsafe extern "C" fn on_error(
    _rk: *mut rd::rd_kafka_t,
    _error: c_int,
    _text: *const c_char,
    _context: *mut c_void,
) {
}
