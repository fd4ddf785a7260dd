//! A read-out of one customer's state, for files and queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::squeeze::{SqueezeState, SqueezeType};
use crate::model::{
    Band, Currency, EventTime, LoyaltyReading, Micros, PromiseOutcome, Text, TrustReading,
};

/// One customer, read at the later of its `as_of` and the partition's watermark.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerView {
    /// Who.
    pub customer: Arc<str>,
    /// The later of clock and latest fired timer.
    pub as_of: EventTime,
    /// Largest accepted event time.
    pub clock: EventTime,
    /// Band of the last publication.
    pub band: Option<Band>,
    /// T of the last publication.
    pub last_published: Option<Micros>,
    /// T and all that explains it.
    pub trust: TrustReading,
    /// L; restricted.
    pub loyalty: LoyaltyReading,
    /// P.
    pub perceived: Micros,
    /// PR.
    pub proactive_ratio: Micros,
    /// Reciprocity trials ended, Σ residual, Σ p₀(1−p₀); restricted.
    pub reciprocity: ReciprocityView,
    /// Of the promise slots, by id.
    pub promises: BTreeMap<Text, PromiseOutcome>,
    /// Of the squeeze slots, pending ones too, by dedup key.
    pub squeezes: BTreeMap<Text, SqueezeView>,
    /// By currency.
    pub money: BTreeMap<Currency, MoneyView>,
    /// Of what overflowed, by name; only those that moved.
    pub counters: BTreeMap<&'static str, u64>,
    /// Breaches of standard weight the relationship survives before T falls to 0.5, 0 to 99; restricted.
    pub reserve: Micros,
}

/// Reciprocity so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReciprocityView {
    /// Trials ended.
    pub trials: u64,
    /// Σ residual.
    pub residual: Micros,
    /// Σ p₀(1−p₀).
    pub variance: Micros,
}

/// One squeeze slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqueezeView {
    /// The type.
    pub kind: SqueezeType,
    /// Its state.
    pub state: SqueezeState,
    /// From 1.
    pub generation: u32,
    /// What was taken, minor units.
    pub gross: i64,
    /// What was given back, minor units.
    pub refunded: i64,
    /// In [0, 1).
    pub severity: Micros,
}

/// A customer's money in one currency, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoneyView {
    /// Invoices, charges, fees, less what was waived.
    pub billed: i64,
    /// Accrued by squeezes once open.
    pub bad_profit: i64,
    /// Money and credit back.
    pub remedies: i64,
    /// Gifts.
    pub generosity: i64,
    /// billed − bad_profit − remedies.
    pub good_profit: i64,
    /// Owed for squeezes open, escalated or stopped.
    pub redress_liability: i64,
}
