//! Bytes to model and back: the only module that names a prost type. It performs no I/O and decides nothing about trust.

mod contract;
mod dead_letter;
mod decode;
mod encode;
mod envelope;
mod event;
mod field;
mod framing;
mod journal;
mod json;
mod lines;
mod message;
mod operation;
mod organisation;
mod output_proto;
mod partition;
mod proto;
mod proto_writer;
mod record;
mod say;
mod shaped;
mod snapshot;
mod trace;
mod writer;

pub use dead_letter::{DeadLetter, Prospect, REDRIVE_HEADER, REDRIVES_MAX};
pub use decode::decode;
pub use encode::{Encoder, Origin, encode};
pub use event::{encode_event_json, encode_event_proto};
pub use journal::{
    Chain, CommitMark, Decision, Genesis, JournalError, JournalRecord, RESET_MARK, StopCause,
    policy_fingerprint,
};
pub use lines::{FileKind, customer_json, explained_json, file_line, state_line};
pub use operation::Operation;
pub use organisation::{PartError, part_line, read_part};
pub use partition::partition_of;
pub use record::{Encoding, Expect, Header, OutRecord, OutRecordRef, RecordRef};
pub use snapshot::{
    Held, Manifest, Part, PartDigest, PartHeader, PartReader, PartWriter, SnapshotError,
    SnapshotPoint, Step, StepId,
};
