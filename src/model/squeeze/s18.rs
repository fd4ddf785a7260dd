//! S18, refund withheld: an agreed refund that did not come.
//!
//! Rests on: the promise ledger.

use super::{Finding, SqueezeType};
use crate::model::{Money, Text};

/// What a broken promise of a refund of `stake` takes.
pub fn finding(promise_id: &Text, stake: Money) -> Finding {
    Finding::one_off(SqueezeType::S18, promise_id.clone(), stake, promise_id.clone())
}
