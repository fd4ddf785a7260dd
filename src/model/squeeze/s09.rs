//! S09, hidden fee: the charges of a quote come to more than it said was mandatory.
//!
//! Rests on: DMCCA s.230; 16 CFR 464.

use super::{Finding, SqueezeType};
use crate::model::customer::Quote;
use crate::model::step::Step;
use crate::model::{Money, Text, Tolerance};

/// An excess that counts is above 50 pence and 1 % of the quote.
const TOLERANCE: Tolerance = Tolerance { minor: 50.0, share: 0.01 };

/// What the charges so far exceed the quote by, minor units, if that is beyond the tolerance.
pub fn excess(step: &Step<'_>, quote: &Quote) -> Option<i64> {
    let excess = quote.charged - quote.total.minor;
    step.exceeds(excess, TOLERANCE, quote.total.minor, quote.total.currency).then_some(excess)
}

/// The part of `excess` not evaluated before, found by `charge_id`.
pub fn finding(quote: &Quote, excess: i64, charge_id: &Text) -> Finding {
    let new = Money::new(excess - quote.evaluated, quote.total.currency);
    Finding::one_off(SqueezeType::S09, quote.id.clone(), new, charge_id.clone())
}
