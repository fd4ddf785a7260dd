//! S04, charge after cancellation: money taken for service from after the customer's cancellation takes effect.
//!
//! Rests on: ROSCA, 15 USC 8403(3); DMCCA refunds.

use super::bill::{Answer, Excess, Question};
use super::{Finding, SqueezeType};
use crate::model::subscription::Subscription;
use crate::model::{EventTime, Money, Text};

/// Takes every bill for a period that starts at or after the cancellation's effect; holds if anything was charged on it.
pub fn judge(Question { subscription, bill, .. }: Question<'_>) -> Answer {
    let Some((request, from)) = subscription.request.as_ref().zip(subscription.cancelled_from())
    else {
        return Answer::Quiet;
    };
    if bill.period_start < from {
        return Answer::Quiet;
    }
    if bill.recurring <= 0 {
        return Answer::Ends;
    }
    let excess = Excess { monthly: bill.monthly, added: bill.recurring };
    Answer::Holds(Box::new(bill.finding(SqueezeType::S04, subscription, &request.id, excess)))
}

/// Holds for a charge above 0 for service that starts at or after the cancellation's effect.
pub fn judge_charge(
    subscription: &Subscription,
    charge_id: &Text,
    amount: Money,
    service_start: EventTime,
) -> Option<Finding> {
    let (request, from) = subscription.request.as_ref().zip(subscription.cancelled_from())?;
    let is_after = from <= service_start && amount.minor > 0;
    is_after.then(|| {
        Finding::one_off(SqueezeType::S04, request.id.clone(), amount, charge_id.clone())
            .on(Some((subscription.id.clone(), subscription.monthly_charge())))
    })
}
