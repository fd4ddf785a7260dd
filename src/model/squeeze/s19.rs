//! S19, acquisition gap: existing customers are kept from the better plan that new ones get.
//!
//! What it rests on is said in [`BASIS`].

use super::SqueezeType;
use super::bill::{Answer, Question};
use crate::model::Money;

/// Holds for a long-standing customer who can have no better plan, while new customers get one cheaper by the tolerance.
pub fn judge(Question { step, subscription, bill, .. }: Question<'_>) -> Answer {
    let policy = &step.policy.s19;
    let is_long_standing =
        || subscription.customer_since().plus_months(policy.customer_months) <= step.time;
    if bill.best_eq.is_some() || subscription.start.value.negotiated || !is_long_standing() {
        return Answer::Quiet;
    }
    let segment = subscription.start.value.segment.as_deref();
    let paying = Money::new(bill.monthly, bill.currency);
    let best_new = step.catalogue.best_new(
        &bill.plan_id,
        step.time,
        segment,
        paying,
        step.policy.catalogue.on_sale_days,
    );
    Answer::from_finding(
        best_new
            .filter(|best| {
                step.reaches(
                    bill.monthly - best.monthly.minor,
                    policy.tolerance(),
                    bill.monthly,
                    bill.currency,
                )
            })
            .map(|best| bill.finding_against(SqueezeType::S19, subscription, &bill.plan_id, &best)),
    )
}

/// What the rule asks, and on what ground.
pub const BASIS: super::Basis = super::Basis {
    asks: "are existing customers kept from the better plan that new ones get?",
    source: "Ofgem SLC 22B",
};

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, squeezes};

    /// A customer of two years, kept from what new ones get.
    const GAP: &str = "
        2020-01-01 plan old 45.00 data=10
        2023-01-01 start sub old 45.00
        2024-06-01 plan bait 40.00 data=10 new-customers-only
        2025-01-01..2025-03-01 bill sub 45.00";

    #[test]
    fn the_third_bill_opens_it() {
        assert_snapshot!(squeezes(GAP), @"2025-03-01 opened S19:sub:old: 5.00 a month, 15.00 accrued, minor");
        assert_eq!(squeezes(&changed(GAP, "..2025-03-01", "..2025-02-01")), "");
        let fair = format!("{GAP}\n2025-04-01 bill sub 40.00");
        assert!(
            squeezes(&fair)
                .ends_with("\n2025-04-01 stopped S19:sub:old: 5.00 a month, 15.00 accrued, minor")
        );
    }

    #[test]
    fn it_is_quiet_for_newer_customers_small_gaps_and_where_a_plan_is_open_to_all() {
        for (from, to) in [
            ("2023-01-01 start", "2023-01-02 start"),
            ("start sub old 45.00", "start sub old 45.00 negotiated"),
            ("bait 40.00 data=10", "bait 40.00 data=9"),
            ("bait 40.00", "bait 42.76"),
            ("2024-06-01 plan bait", "2024-06-01 plan open 44.99 data=10\n2024-06-01 plan bait"),
        ] {
            assert_eq!(squeezes(&changed(GAP, from, to)), "", "{to}");
        }
        assert_ne!(squeezes(&changed(GAP, "bait 40.00", "bait 42.75")), "");
    }
}
