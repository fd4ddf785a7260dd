//! S10, price guarantee breach: a pre-order promised the lowest price, a lower one was listed, and the difference was not paid.
//!
//! Rests on: a pre-order price guarantee.

use super::{Finding, SqueezeType};
use crate::model::Money;
use crate::model::customer::Guarantee;
use crate::model::step::Step;

/// How a guarantee ended.
#[derive(Debug)]
pub enum Settlement {
    /// No lower price was listed: nothing was owed.
    NothingOwed,
    /// The difference was paid.
    Honoured {
        /// All of it.
        difference: Money,
    },
    /// Some of the difference is missing.
    Breached {
        /// What is missing.
        missing: Money,
    },
}

/// The difference to the lowest list price in force while the guarantee ran, and whether it was paid.
pub fn settle(step: &Step<'_>, guarantee: &Guarantee) -> Settlement {
    let Guarantee { sku, paid, placed_at, until, remedied, .. } = guarantee;
    let lowest = step.catalogue.lowest_list_price(sku, *placed_at, *until, paid.currency);
    match lowest.map_or(0, |lowest| paid.minor - lowest.minor) {
        difference if difference <= 0 => Settlement::NothingOwed,
        difference if difference <= *remedied => {
            Settlement::Honoured { difference: Money::new(difference, paid.currency) }
        }
        difference => {
            Settlement::Breached { missing: Money::new(difference - remedied, paid.currency) }
        }
    }
}

/// What is missing of a guarantee.
pub fn finding(guarantee: &Guarantee, missing: Money) -> Finding {
    Finding::one_off(
        SqueezeType::S10,
        guarantee.order_id.clone(),
        missing,
        guarantee.order_id.clone(),
    )
}
