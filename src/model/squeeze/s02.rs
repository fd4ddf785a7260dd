//! S02, renewal price walk: a renewal dearer than what a new customer would be asked for the same.
//!
//! Rests on: FCA PS21/5, ICOBS 6B.

use super::{Finding, SqueezeType};
use crate::model::Money;
use crate::model::event::Renewal;
use crate::model::number::div_half_even;
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// The price of a month of the renewed term, minor units, round half even.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a price below 2^53 divided by a number of months"
)]
pub fn monthly(renewal: &Renewal) -> i64 {
    div_half_even(i128::from(renewal.price.minor), i128::from(renewal.term_months)) as i64
}

/// Holds if the renewal's price stands above the equivalent new-business price by more than the policy's `renewal_tolerance`.
/// An offer takes nothing yet and weighs nothing.
pub fn judge(
    step: &Step<'_>,
    subscription: &Subscription,
    renewal: &Renewal,
    is_completed: bool,
) -> Option<Finding> {
    let enbp = renewal.enbp_minor?;
    let excess = renewal.price.minor - enbp;
    if !step.exceeds(excess, step.policy.renewal_tolerance, enbp, renewal.price.currency) {
        return None;
    }
    let amount = Money::new(excess, renewal.price.currency);
    let finding =
        Finding::one_off(SqueezeType::S02, "-".into(), amount, renewal.renewal_id.clone());
    Some(Finding {
        excess_monthly: excess as f64 / f64::from(renewal.term_months),
        added: if is_completed { excess } else { 0 },
        evidence_per_severity: if is_completed { 1.0 } else { 0.0 },
        ..finding.on(Some((subscription.id.clone(), monthly(renewal))))
    })
}
