//! S13, fee stacking: one cause, several penalties.
//!
//! Rests on: the Consumer Duty's price and value outcome.

use super::{Finding, SqueezeType};
use crate::model::Text;
use crate::model::customer::Fee;

/// Days within which an earlier penalty for the same cause makes this one a second.
const DAYS: i64 = 35;

/// Holds for a penalty if `earlier` fees hold one for the same cause, not waived, from the 35 days before.
pub fn judge<'a>(
    fee: &Fee,
    mut earlier: impl Iterator<Item = &'a Fee>,
    subscription: Option<(Text, i64)>,
) -> Option<Finding> {
    let cause = fee.cause_id.as_ref()?;
    let is_stacked = earlier.any(|held| {
        held.cause_id.as_ref() == Some(cause)
            && !held.is_waived
            && held.charged_at <= fee.charged_at
            && fee.charged_at <= held.charged_at.plus_days(DAYS)
    });
    is_stacked.then(|| {
        Finding::one_off(SqueezeType::S13, cause.clone(), fee.amount, fee.id.clone())
            .on(subscription)
    })
}
