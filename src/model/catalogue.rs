//! The reference data a customer's events are judged against: plan versions and list prices, each by valid time.
//!
//! A catalogue is a value: the engine holds the version it has been told of, and a change makes a new one. What a customer pays
//! is not here, and no customer is scanned when the catalogue changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{EventTime, Money, Period, ReferenceChange, Text};

/// One version of a plan, in force from `effective_from` until the next version.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanVersion {
    /// What a `period` costs.
    pub price: Money,
    /// How long the price buys.
    pub period: Period,
    /// Mandatory payments of the first 12 months beyond the price.
    pub one_off: Option<Money>,
    /// From when the version is in force.
    pub effective_from: EventTime,
    /// From when it is on sale.
    pub on_sale_from: EventTime,
    /// By name, at most 32.
    pub attributes: BTreeMap<Text, Attribute>,
    /// The market segments it is for; empty: all.
    pub segments: BTreeSet<Text>,
    /// Existing customers cannot have it.
    pub new_customers_only: bool,
}

/// What a plan offers, typed so that two plans can be compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// More is better; `None` is unlimited.
    Max(Option<f64>),
    /// Less is better; `None` is no limit at all, so the worst.
    Min(Option<f64>),
    /// A superset is better.
    Set(BTreeSet<Text>),
    /// A higher tier is better.
    Ord(u16),
}

/// All plan versions and list prices read so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    /// By plan, then by `effective_from`; `None` is a withdrawal: what was last published holds, but is not on sale.
    plans: BTreeMap<Text, BTreeMap<EventTime, Option<Arc<PlanVersion>>>>,
    /// By article, then by `effective_from`.
    prices: BTreeMap<Text, BTreeMap<EventTime, Money>>,
}

impl Catalogue {
    /// Takes in one change; a second version with the same `effective_from` replaces the first.
    pub fn apply(&mut self, change: &ReferenceChange) {
        match change {
            ReferenceChange::PlanPublished { plan_id, version } => {
                let versions = self.plans.entry(plan_id.clone()).or_default();
                versions.insert(version.effective_from, Some(Arc::clone(version)));
            }
            ReferenceChange::PlanWithdrawn { plan_id, effective_from } => {
                self.plans.entry(plan_id.clone()).or_default().insert(*effective_from, None);
            }
            ReferenceChange::PriceListed { sku, price, effective_from } => {
                self.prices.entry(sku.clone()).or_default().insert(*effective_from, *price);
            }
        }
    }
}
