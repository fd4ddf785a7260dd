//! Bytes to model and back: the only module that names a prost type. It performs no I/O and decides nothing about trust.

mod journal;
mod proto;
mod record;

pub use journal::{
    Chain, CommitMark, Decision, Genesis, JournalError, JournalRecord, policy_fingerprint,
};
pub use record::{Encoding, Expect, Header, OutRecord, RecordRef};
