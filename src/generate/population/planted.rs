//! What was planted, as lines beside the events: the squeezes a detector must find, and the decoys it must leave alone.
//!
//! A line is written from the facts the story arranged. No rule of the model is asked.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::squeeze::SqueezeType;
use crate::model::{EventTime, Text};

/// One line of the file that `gen --plant` writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "planted", rename_all = "snake_case")]
pub enum Planted {
    /// Must be found.
    Squeeze(PlantedSqueeze),
    /// Must not be found.
    Decoy(Decoy),
}

/// A squeeze that was arranged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlantedSqueeze {
    /// Who is squeezed.
    pub customer: Text,
    /// How.
    #[serde(rename = "type", serialize_with = "write_type")]
    pub kind: SqueezeType,
    /// The subscription it belongs to; `None` where the type has none.
    pub subscription_id: Option<Text>,
    /// What within the customer and subscription; `-` if nothing.
    pub subject: Text,
    /// The key its alerts carry.
    pub dedup_key: Text,
    /// When its rule first holds.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub since: EventTime,
    /// When it has held often enough to be said.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub opens: EventTime,
    /// What was arranged, in words.
    pub story: Text,
    /// Ids of what the rule judges up to `opens`: invoices, charges, a renewal.
    pub evidence: Vec<Text>,
    /// When it stops or is made good, if the story ends so.
    #[serde(skip)]
    pub(super) ended: Option<EventTime>,
}

/// A situation that looks like a squeeze and is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decoy {
    /// Who is not squeezed.
    pub customer: Text,
    /// What it looks like.
    #[serde(rename = "type", serialize_with = "write_type")]
    pub kind: SqueezeType,
    /// The subscription it is about; `None` where the type has none.
    pub subscription_id: Option<Text>,
    /// When it begins to look so.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub since: EventTime,
    /// What excepts it, in words.
    pub guard: Text,
}

impl Planted {
    /// The line, without its end.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and times are JSON")
    }
}

// serde names the signature: a reference it is.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn write_type<S: Serializer>(kind: &SqueezeType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.code())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn write_time<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

pub(in crate::generate) fn read_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<EventTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    EventTime::parse(&text).ok_or_else(|| serde::de::Error::custom("not a time of RFC 3339"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_what_was_written() {
        let decoy = Planted::Decoy(Decoy {
            customer: "p000001".into(),
            kind: SqueezeType::S08,
            subscription_id: None,
            since: EventTime::parse("2025-03-01T06:00:00Z").unwrap(),
            guard: "told that it expires".into(),
        });
        let line = decoy.to_json();
        assert_eq!(
            line,
            r#"{"planted":"decoy","customer":"p000001","type":"S08","subscription_id":null,"since":"2025-03-01T06:00:00.000Z","guard":"told that it expires"}"#
        );
        assert_eq!(serde_json::from_str::<Planted>(&line).unwrap(), decoy);
    }
}
