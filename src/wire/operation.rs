//! What an operator asks of the running service: records of the reference topic, which every instance reads to its end, so that what
//! is asked reaches whoever owns a partition, now or after a restart. The model never hears of them.

use serde::{Deserialize, Serialize};

/// Begins the key of every such record, and of no reference event.
const KEY: &str = "operation/";

/// One thing asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Operation {
    /// A stopped partition is to go on. It names the stop, so that it ends that one and none after it.
    #[serde(rename = "io.goodfaith.operation.resume_requested.v1")]
    Resume {
        /// Which partition.
        partition: i32,
        /// The partition's lineage.
        #[serde(with = "hex")]
        lineage: [u8; 16],
        /// The `seq` of the stop in the partition's journal.
        stop: u64,
    },
    /// Every instance of this engine, or of an older one, is to end what is under way and leave.
    #[serde(rename = "io.goodfaith.operation.drain_requested.v1")]
    Drain {
        /// The engine's version.
        engine: u32,
    },
    /// What was drained may work again.
    #[serde(rename = "io.goodfaith.operation.drain_withdrawn.v1")]
    Undrain {},
}

/// A record of the topic, as CloudEvents have it.
#[derive(Serialize, Deserialize)]
struct Request {
    specversion: String,
    id: String,
    source: String,
    time: String,
    #[serde(flatten)]
    operation: Operation,
}

impl Operation {
    /// The record's key.
    pub fn key(&self) -> String {
        match self {
            Self::Resume { partition, .. } => format!("{KEY}resume/{partition}"),
            Self::Drain { .. } | Self::Undrain {} => format!("{KEY}drain"),
        }
    }

    /// The record's value, asked for by `source` at `time` (RFC 3339) under the name `id`.
    ///
    /// # Panics
    /// Never: a request is an object of plain values.
    pub fn encode(self, id: &str, source: &str, time: &str) -> Vec<u8> {
        let request = Request {
            specversion: "1.0".to_owned(),
            id: id.to_owned(),
            source: source.to_owned(),
            time: time.to_owned(),
            operation: self,
        };
        serde_json::to_vec(&request).expect("a request is an object of plain values")
    }

    /// What a record asks for; `None` if it is no such record, or one of a kind not known here.
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Self> {
        key?.strip_prefix(KEY.as_bytes())?;
        let request: Request = serde_json::from_slice(value?).ok()?;
        Some(request.operation)
    }
}

/// 16 bytes as 32 hex digits.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 16], out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&format_args!("{:032x}", u128::from_be_bytes(*bytes)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 16], D::Error> {
        let text = String::deserialize(from)?;
        u128::from_str_radix(&text, 16).map(u128::to_be_bytes).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESUME: Operation = Operation::Resume { partition: 3, lineage: [0xa; 16], stop: 17 };

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for operation in [RESUME, Operation::Drain { engine: 1 }, Operation::Undrain {}] {
            let value = operation.encode("r1", "/operator", "2026-01-01T00:00:00Z");
            let key = operation.key();
            assert_eq!(Operation::decode(Some(key.as_bytes()), Some(&value)), Some(operation));
        }
    }

    #[test]
    fn a_request_is_a_cloud_event() {
        let value = RESUME.encode("r1", "/operator", "2026-01-01T00:00:00Z");
        assert_eq!(
            String::from_utf8(value).unwrap(),
            r#"{"specversion":"1.0","id":"r1","source":"/operator","time":"2026-01-01T00:00:00Z","type":"io.goodfaith.operation.resume_requested.v1","data":{"partition":3,"lineage":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","stop":17}}"#
        );
    }

    #[test]
    fn what_is_no_request_asks_for_nothing() {
        let value = RESUME.encode("r1", "/operator", "2026-01-01T00:00:00Z");
        assert_eq!(Operation::decode(Some(b"plan/a"), Some(&value)), None, "another key");
        assert_eq!(Operation::decode(None, Some(&value)), None);
        assert_eq!(Operation::decode(Some(b"operation/resume/3"), None), None);
        for value in ["", "{}", "null", r#"{"type":"io.goodfaith.operation.other.v1","data":{}}"#] {
            let read = Operation::decode(Some(b"operation/resume/3"), Some(value.as_bytes()));
            assert_eq!(read, None, "{value}");
        }
    }
}
