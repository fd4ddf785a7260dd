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
    if !step.exceeds(excess, step.policy.renewal_tolerance(), enbp, renewal.price.currency) {
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

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes};

    /// Offered and renewed at 20.00 above what a new customer would be asked.
    const WALK: &str = "
        2025-01-01 start home basic 25.00 term=2026-01-01
        2025-12-01 offer home r1 320.00 enbp=300.00
        2026-01-01 renew home r1 320.00 enbp=300.00 active";

    #[test]
    fn an_offer_opens_it_taking_nothing_and_the_renewal_takes_the_difference() {
        assert_snapshot!(squeezes(WALK), @r"
        2025-12-01 opened S02:home:-: 1.67 a month, 0.00 accrued, info
        2026-01-01 escalated S02:home:-: 1.67 a month, 20.00 accrued, minor
        ");
        assert_snapshot!(evidence(WALK, "FAI"), @"2026-01-01 FAI.SQUEEZE S02:home:-/r1 -0.311352");
    }

    #[test]
    fn the_excess_must_be_above_a_pound_and_a_hundredth() {
        let renewed = |words: &str| {
            squeezes(&format!(
                "2025-01-01 start home basic 25.00\n2026-01-01 renew home r1 {words} active"
            ))
        };
        for quiet in ["303.00 enbp=300.00", "51.00 enbp=50.00", "280.00 enbp=300.00", "999.00"] {
            assert_eq!(renewed(quiet), "", "{quiet}");
        }
        for walked in ["303.01 enbp=300.00", "51.01 enbp=50.00"] {
            assert_ne!(renewed(walked), "", "{walked}");
        }
    }

    #[test]
    fn a_fair_renewal_stops_it_and_an_offer_taken_back_leaves_nothing_owed() {
        let fair = format!("{WALK}\n2027-01-01 renew home r2 300.00 enbp=300.00 active");
        assert!(
            squeezes(&fair)
                .ends_with("\n2027-01-01 stopped S02:home:-: 1.67 a month, 20.00 accrued, minor")
        );
        let unjudged = format!("{WALK}\n2027-01-01 renew home r2 300.00 active");
        assert_eq!(squeezes(&unjudged), squeezes(WALK), "without an equivalent price");
        let mended =
            changed(WALK, "2026-01-01 renew home r1 320.00", "2026-01-01 renew home r1 300.00");
        assert_snapshot!(squeezes(&mended), @r"
        2025-12-01 opened S02:home:-: 1.67 a month, 0.00 accrued, info
        2026-01-01 stopped S02:home:-: 1.67 a month, 0.00 accrued, info
        2026-01-01 resolved S02:home:-: 1.67 a month, 0.00 accrued, info, nothing_owed
        ");
    }

    #[test]
    fn a_renewal_counts_once_and_in_one_currency() {
        for again in [
            "renew home r1 320.00 enbp=300.00 active",
            "renew home r2 320.00USD enbp=300.00USD active",
        ] {
            assert_eq!(squeezes(&format!("{WALK}\n2026-01-02 {again}")), squeezes(WALK), "{again}");
        }
    }
}
