//! S15, back billing: use from more than a year ago, billed late by the firm's own fault.
//!
//! Rests on: Ofgem's 12-month limit.

use super::bill::Bill;
use super::{Finding, SqueezeType};
use crate::model::Money;
use crate::model::event::{LineKind, Party};
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// Months after which use may no longer be billed.
const MONTHS: i32 = 12;

/// Holds for the sum of such usage lines, if above 0.
pub fn judge(step: &Step<'_>, subscription: &Subscription, bill: &Bill<'_>) -> Option<Finding> {
    let limit = step.time.plus_months(-MONTHS);
    let sum: i64 = bill
        .invoice
        .lines
        .iter()
        .filter(|line| {
            line.kind == LineKind::Usage
                && line.cause == Party::Firm
                && line.amount.currency == bill.currency
                && line.service_end.is_some_and(|end| end < limit)
        })
        .map(|line| line.amount.minor)
        .fold(0, i64::saturating_add);
    (sum > 0).then(|| {
        let invoice = &bill.invoice.invoice_id;
        Finding::one_off(
            SqueezeType::S15,
            invoice.clone(),
            Money::new(sum, bill.currency),
            invoice.clone(),
        )
        .on(Some((subscription.id.clone(), bill.monthly)))
    })
}
