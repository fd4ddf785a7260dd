//! All that an engine can ask for. The shell performs it, in order, in one transaction.

use serde::{Deserialize, Serialize};

use super::input::Rejection;
use super::organisation::OrganisationPart;
use super::output::Output;
use crate::model::Text;

/// Where in its partition an effect comes from: strictly increasing, in this order of fields.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct SourcePosition {
    /// The offset of the causing record; of a tick, the offset before which it applies.
    pub offset: i64,
    /// The journal's `seq` in force.
    pub seq: u64,
    /// Counts the effects of one offset and `seq` from 0.
    pub ordinal: u32,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// Where it comes from.
    pub source: SourcePosition,
    /// What to do.
    pub action: Action,
}

/// What an effect asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Publish a fact.
    Publish(Box<Output>),
    /// Publish this partition's part of a unit of the organisation.
    PublishPart(Box<OrganisationPart>),
    /// Take back the last word about this squeeze of a customer, its dedup key: no more will be known of it.
    ForgetSqueeze(Text),
    /// Set the record at this effect's offset aside, with its original bytes.
    DeadLetter(Box<Rejection>),
}
