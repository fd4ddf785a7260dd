//! S08, credit breakage: the customer's money lapses unsaid, or stays with the firm after the account is closed.
//!
//! Rests on: Ofgem's final credit; Reg E 1005.20.

use super::{Finding, SqueezeType};
use crate::model::customer::Credit;
use crate::model::step::Step;

/// A balance that counts, minor units.
const LEAST: f64 = 500.0;
/// Days within which a notice of expiry counts.
const NOTICE_DAYS: i64 = 30;
/// Culpability where the customer never paid for the credit.
const UNPAID_SHARE: f64 = 0.5;

fn finding(step: &Step<'_>, credit: &Credit) -> Option<Finding> {
    step.is_at_least(credit.balance.minor, LEAST, credit.balance.currency).then(|| Finding {
        culpability_share: if credit.is_paid_for { 1.0 } else { UNPAID_SHARE },
        ..Finding::one_off(SqueezeType::S08, credit.id.clone(), credit.balance, credit.id.clone())
    })
}

/// Holds for a credit that expires with a balance and without a notice in the last 30 days.
pub fn judge_expiry(step: &Step<'_>, credit: &Credit) -> Option<Finding> {
    let was_told = credit
        .noticed_at
        .is_some_and(|noticed| noticed <= step.time && step.time <= noticed.plus_days(NOTICE_DAYS));
    finding(step, credit).filter(|_| !was_told)
}

/// Holds for a credit paid for that is still there ten business days after the account was closed.
pub fn judge_closing(step: &Step<'_>, credit: &Credit) -> Option<Finding> {
    finding(step, credit).filter(|_| credit.is_paid_for)
}
