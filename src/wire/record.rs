//! A Kafka record seen from both sides: what decoding reads, and what encoding writes.

/// A record header: its name, and its value if it has one.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// The bytes of one record as fetched.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    /// The record's key.
    pub key: Option<&'a [u8]>,
    /// The record's value; `None` is an event without data.
    pub value: Option<&'a [u8]>,
    /// In the order on the record.
    pub headers: &'a [Header<'a>],
    /// The record's stored timestamp, milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
}

impl<'a> RecordRef<'a> {
    /// The value of the header `name`; of several, the last, as Kafka's own clients read them.
    pub(super) fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().rev().find(|(other, _)| *other == name).and_then(|(_, value)| *value)
    }

    /// The media type of the value; empty if not said.
    pub(super) fn content_type(&self) -> &'a str {
        self.header("content-type")
            .and_then(|value| std::str::from_utf8(value).ok())
            .unwrap_or_default()
    }

    /// True if the headers hold a CloudEvent's envelope. Source: CloudEvents Kafka protocol binding 1.0.2, section 3.
    pub(super) fn is_binary_mode(&self) -> bool {
        let is_structured = self.content_type().starts_with("application/cloudevents");
        !is_structured && self.headers.iter().any(|(name, _)| name.starts_with("ce_"))
    }
}

/// Which rules apply to a record besides its own: whence it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A line of a file: any event.
    File,
    /// The events topic: key is the subject, time not ahead of the timestamp by more than 5 minutes, no reference events.
    EventsTopic,
    /// The reference topic: reference events only.
    ReferenceTopic,
}

/// How outputs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// CloudEvents binary mode, Protobuf value.
    #[default]
    BinaryProtobuf,
    /// CloudEvents binary mode, JSON value.
    BinaryJson,
    /// CloudEvents structured mode: one JSON object.
    StructuredJson,
}

/// One record to produce, in memory that the next one takes again.
#[derive(Debug, Clone, Copy)]
pub struct OutRecordRef<'a> {
    /// As [`OutRecord::topic`].
    pub topic: &'static str,
    /// The record's key.
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// In the order to write.
    pub headers: &'a [Header<'a>],
}

/// One record to produce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutRecord {
    /// Which of our topics, by its last part: `scores`, `alerts`, `open-alerts`, `loyalty`, `organisation`,
    /// `evidence`, `dead-letters`, `journal`.
    pub topic: &'static str,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// In the order to write.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl From<OutRecordRef<'_>> for OutRecord {
    fn from(record: OutRecordRef<'_>) -> Self {
        let OutRecordRef { topic, key, value, headers } = record;
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), owned(*value)));
        Self { topic, key: owned(key), value: owned(value), headers: headers.collect() }
    }
}
