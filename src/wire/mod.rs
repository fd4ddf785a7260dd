//! Bytes to model and back: the only module that names a prost type. It performs no I/O and decides nothing about trust.

mod record;

pub use record::{Encoding, Expect, Header, OutRecord, RecordRef};
