//! All that can happen to an engine.

use std::sync::Arc;

use crate::model::event::words;
use crate::model::{Catalogue, Event, EventTime, Policy, Text};

/// All that can happen to an engine.
#[derive(Debug, Clone)]
pub enum Input {
    /// The record at `offset` (in files: its line, from 1).
    Record {
        /// Its position; never behind the one before.
        offset: i64,
        /// What it says, or why it says nothing.
        record: Result<Event, Rejection>,
    },
    /// From here on the engine sees this version of the reference data: the journal's word, taken between records.
    Reference {
        /// The journal record's `seq`.
        seq: u64,
        /// The next offset of the reference log this version does not contain.
        offset_next: i64,
        /// The version.
        catalogue: Arc<Catalogue>,
    },
    /// From here on the engine scores by this policy: the journal's word, taken between records.
    Policy {
        /// The journal record's `seq`.
        seq: u64,
        /// The policy; it can replace the one in force.
        policy: Arc<Policy>,
    },
    /// The clock of an idle partition, or the end of a file: advances the watermark to `time` and fires what is due.
    Tick {
        /// The journal record's `seq`; in files the one in force.
        seq: u64,
        /// The watermark to reach; an earlier one changes nothing, but what is due still fires.
        time: EventTime,
    },
}

/// Why a record is set aside, and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The reason code.
    pub reason: Reason,
    /// The attribute, field or type at fault, where the reason has one.
    pub detail: Option<Text>,
    /// The record's `id`, if it is a text.
    pub id: Option<String>,
    /// The record's `subject`, if it is a text.
    pub subject: Option<String>,
}

words! {
    /// Why a record is a dead letter: the first of these that applies.
    Reason {
        /// Not a JSON object in UTF-8.
        NotJson = "not_json",
        /// Registry framing that cannot be read.
        BadFraming = "bad_framing",
        /// Not a Protobuf event.
        NotProtobuf = "not_protobuf",
        /// An attribute is missing or breaks its rule.
        BadEnvelope = "bad_envelope",
        /// One of our own outputs.
        OwnOutput = "own_output",
        /// Not a type of the contract.
        UnknownType = "unknown_type",
        /// The data, or a field of it, breaks its rule.
        BadData = "bad_data",
        /// More than five minutes ahead of its record's timestamp.
        TimeInFuture = "time_in_future",
        /// The record's key is not the subject.
        KeyMismatch = "key_mismatch",
        /// A reference event on the events topic.
        MisplacedReference = "misplaced_reference",
        /// Of an erased customer, and not after the erasure.
        Erased = "erased",
        /// Further behind the customer's clock than the late horizon.
        TooLate = "too_late",
        /// A retraction of no evidence known.
        UnknownEvidence = "unknown_evidence",
        /// A suppression of no squeeze known.
        UnknownSqueeze = "unknown_squeeze",
    }
}
