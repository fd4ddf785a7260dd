//! S15, back billing: use from long ago, billed late by the firm's own fault.
//!
//! What it rests on is said in [`BASIS`].

use super::bill::Bill;
use super::{Finding, SqueezeType};
use crate::model::Money;
use crate::model::event::{LineKind, Party};
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// Holds for the sum of such usage lines, if above 0.
pub fn judge(step: &Step<'_>, subscription: &Subscription, bill: &Bill<'_>) -> Option<Finding> {
    let is_long_ago = |end| end < step.time.plus_months(-step.policy.s15.months);
    let sum: i64 = bill
        .invoice
        .lines
        .iter()
        .filter(|line| {
            line.kind == LineKind::Usage
                && line.cause == Party::Firm
                && line.amount.currency == bill.currency
                && line.service_end.is_some_and(is_long_ago)
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

/// What the rule asks, and on what ground.
pub const BASIS: super::Basis = super::Basis {
    asks: "was use from more than a year ago billed late by the firm's own fault?",
    source: "Ofgem's 12-month limit",
};

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, squeezes};

    const OLD_USE: &str = "
        2024-01-01 start sub basic 30.00
        2025-02-01 bill sub 40.00 recurring=30.00 line=usage:10.00:2024-01-31";

    #[test]
    fn use_of_more_than_a_year_ago_may_not_be_billed() {
        assert_snapshot!(squeezes(OLD_USE), @"2025-02-01 opened S15:sub:bill/2025-02-01: 0.83 a month, 10.00 accrued, info");
        let twice = changed(OLD_USE, "line=", "line=usage:1.00:2023-12-31 line=");
        assert_snapshot!(squeezes(&twice), @"2025-02-01 opened S15:sub:bill/2025-02-01: 0.92 a month, 11.00 accrued, info");
    }

    #[test]
    fn it_is_quiet_for_a_year_the_customers_own_fault_and_what_is_no_use() {
        let line = "usage:10.00:2024-01-31";
        for other in [
            "usage:10.00:2024-02-01",
            "usage:10.00:2024-01-31:customer",
            "usage:10.00",
            "one_off:10.00:2024-01-31",
            "usage:10.00USD:2024-01-31",
            "usage:10.00:2024-01-31 line=usage:-10.00:2024-01-31",
        ] {
            assert_eq!(squeezes(&changed(OLD_USE, line, other)), "", "{other}");
        }
    }
}
