//! S07, dormant subscription: billed month after month for what nobody has used for a year, unsaid.
//!
//! Rests on: CMA's Xbox undertakings 2022; Netflix 2020.

use super::SqueezeType;
use super::bill::{Answer, Excess, Question};
use crate::model::event::NoticeKind;

/// Days without use, and without a notice of it.
const DAYS: i64 = 365;

/// Holds if use was expected, there was none for a year, and no dormancy notice either.
pub fn judge(Question { step, subscription, bill, .. }: Question<'_>) -> Answer {
    let last_usage = subscription.last_usage.unwrap_or(subscription.start.at.time);
    let is_dormant = last_usage.plus_days(DAYS) <= step.time;
    let was_told =
        subscription.was_noticed(&[NoticeKind::Dormancy], step.time.plus_days(-DAYS), step.time);
    if !subscription.start.value.usage_expected || bill.monthly <= 0 || !is_dormant || was_told {
        return Answer::Quiet;
    }
    let excess = Excess { monthly: bill.monthly, added: bill.recurring };
    Answer::Holds(Box::new(bill.finding(SqueezeType::S07, subscription, "-", excess)))
}
