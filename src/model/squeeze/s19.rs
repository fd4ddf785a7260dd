//! S19, acquisition gap: existing customers are kept from the better plan that new ones get.
//!
//! Rests on: Ofgem SLC 22B.

use super::SqueezeType;
use super::bill::{Answer, Question};
use crate::model::{Money, Tolerance};

/// A month's excess that counts: £1, or 5 % of the bill.
const TOLERANCE: Tolerance = Tolerance { minor: 100.0, share: 0.05 };
/// Months one must be a customer.
const CUSTOMER_MONTHS: i32 = 24;

/// Holds for a customer of two years who can have no better plan, while new customers get one cheaper by the tolerance.
pub fn judge(Question { step, subscription, bill, .. }: Question<'_>) -> Answer {
    let is_long_standing = subscription.customer_since().plus_months(CUSTOMER_MONTHS) <= step.time;
    if bill.best_eq.is_some() || !is_long_standing || subscription.start.value.negotiated {
        return Answer::Quiet;
    }
    let segment = subscription.start.value.segment.as_deref();
    let paying = Money::new(bill.monthly, bill.currency);
    let best_new = step.catalogue.best_new(&bill.plan_id, step.time, segment, paying);
    Answer::from_finding(
        best_new
            .filter(|best| {
                step.reaches(
                    bill.monthly - best.monthly.minor,
                    TOLERANCE,
                    bill.monthly,
                    bill.currency,
                )
            })
            .map(|best| bill.finding_against(SqueezeType::S19, subscription, &bill.plan_id, &best)),
    )
}
