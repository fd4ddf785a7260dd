//! One partition as a pure state machine: inputs in, effects out, in a fixed order. It performs nothing itself.

mod effect;
mod explanation;
mod input;
mod output;
mod view;

use std::sync::Arc;

pub use effect::{Action, Effect, SourcePosition};
pub use explanation::explain;
pub use input::{Input, Reason, Rejection};
pub use output::{
    Breach, Comparator, DimensionReading, EvidenceNote, LoyaltyReading, Output, OutputBody,
    ScoreChanged, SqueezeAlert, SqueezeChange, Stream, TrustReading,
};
pub use view::{CustomerView, MoneyView, ReciprocityView, SqueezeView};

use crate::model::{Catalogue, EventTime, Policy};

/// Changes only when the bytes of some vector change.
pub const ENGINE: u32 = 1;

/// What the engine counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Records taken in.
    pub records: u64,
    /// Of those, accepted; reference events and ticks among them.
    pub accepted: u64,
    /// Same source and id, or same natural key.
    pub duplicates: u64,
    /// Set aside.
    pub dead_letters: u64,
    /// Timers fired.
    pub timers_fired: u64,
}

/// What an engine is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The policy in force from the start.
    pub policy: Arc<Policy>,
    /// Salts the hashes of erased customers: the lineage; zeros in files. No output depends on it.
    pub salt: [u8; 16],
    /// Publish `evidence.recorded` and `evidence.retracted` too. No other output depends on it.
    pub audit: bool,
}

/// The state machine of one partition.
#[derive(Debug)]
pub struct PartitionEngine {}

impl PartitionEngine {
    /// An engine without state, that sees no reference data yet.
    pub fn new(_settings: Settings) -> Self {
        unimplemented!("contract")
    }

    /// Takes one input and appends what follows from it to `effects`, in the order to perform them.
    ///
    /// # Panics
    /// If a record's offset is behind one already handled.
    pub fn handle(&mut self, _input: Input, _effects: &mut Vec<Effect>) {
        unimplemented!("contract")
    }

    /// Makes all that was handled since the last commit final.
    pub fn commit(&mut self) {
        unimplemented!("contract")
    }

    /// Puts back the state of the last commit.
    pub fn abort(&mut self) {
        unimplemented!("contract")
    }

    /// A hash (XXH3-64, seed 0) of all the engine owns, for the check that an abort puts everything back.
    pub fn state_hash(&self) -> u64 {
        unimplemented!("contract")
    }

    /// The next offset to handle; 0 before the first record.
    pub fn offset_next(&self) -> i64 {
        unimplemented!("contract")
    }

    /// The `seq` of the last journal record handled; 0 before any.
    pub fn seq(&self) -> u64 {
        unimplemented!("contract")
    }

    /// The reference data it sees.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        unimplemented!("contract")
    }

    /// How far event time has come; `None` before the first customer event or tick.
    pub fn watermark(&self) -> Option<EventTime> {
        unimplemented!("contract")
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        unimplemented!("contract")
    }

    /// Customers held.
    pub fn customer_count(&self) -> usize {
        unimplemented!("contract")
    }

    /// Rough size of all state in bytes.
    pub fn store_bytes(&self) -> usize {
        unimplemented!("contract")
    }

    /// One customer, read at the later of its `as_of` and the watermark.
    pub fn customer(&self, _id: &str) -> Option<CustomerView> {
        unimplemented!("contract")
    }

    /// Every customer, in the order of their ids.
    pub fn customers(&self) -> Vec<CustomerView> {
        unimplemented!("contract")
    }
}
