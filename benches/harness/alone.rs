//! The other floor: what the same work takes when there is no Kafka. Records are in memory before it begins, one thread decodes and handles
//! them, and what is to be published is encoded and dropped. A process of its own, so that it is measured as the others are.

use std::convert::Infallible;
use std::io::{self, Write as _};

use goodfaith::model::Policy;
use goodfaith::wire::{Encoder, Encoding, RecordRef};
use rdkafka::message::Message as _;

use crate::broker::Broker;
use crate::oracle::{Engines, record_of};

/// Records between two words about how many are done.
const TOLD: usize = 4_096;

/// A topic in memory.
#[derive(Default)]
struct Stored {
    /// Key and value of each record, one after the other.
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// What a record is, and where its bytes begin.
struct Place {
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    key: usize,
    value: usize,
}

impl Stored {
    fn of(broker: &Broker, topic: &str) -> Self {
        let mut stored = Self::default();
        broker.read(topic, |message| {
            let record = record_of(message);
            let key = stored.push(record.key);
            let value = stored.push(record.value);
            let (partition, offset) = (message.partition(), message.offset());
            let timestamp_ms = record.timestamp_ms;
            stored.places.push(Place { partition, offset, timestamp_ms, key, value });
        });
        stored
    }

    fn push(&mut self, bytes: Option<&[u8]>) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes.unwrap_or_default());
        start
    }

    /// Every record, in the order it was read, with its partition and offset.
    fn iter(&self) -> impl Iterator<Item = ((i32, i64), RecordRef<'_>)> {
        let ends = self.places.iter().skip(1).map(|next| next.key).chain([self.bytes.len()]);
        self.places.iter().zip(ends).map(|(place, end)| {
            let record = RecordRef {
                key: Some(&self.bytes[place.key..place.value]),
                value: Some(&self.bytes[place.value..end]),
                headers: &[],
                timestamp_ms: place.timestamp_ms,
            };
            ((place.partition, place.offset), record)
        })
    }
}

/// Reads the whole topic, then works through it, and says now and then how many records are done.
pub(crate) fn run(broker: &Broker, topic: &str, partitions: i32, policy: Policy) {
    let stored = Stored::of(broker, topic);
    let mut engines = Engines::new(topic, partitions, policy);
    let (mut encoder, mut bytes) = (Encoder::default(), 0);
    let mut out = io::stdout().lock();
    for (count, (place, record)) in (1..).zip(stored.iter()) {
        engines.take(place, record, |effect, origin| {
            let done = encoder.encode(effect, record, origin, Encoding::BinaryProtobuf, |record| {
                bytes += record.value.map_or(0, <[u8]>::len);
                Ok::<(), Infallible>(())
            });
            done.unwrap_or_else(|never| match never {});
        });
        if count % TOLD == 0 || count == stored.places.len() {
            writeln!(out, "{count} {bytes}").unwrap();
        }
    }
}
