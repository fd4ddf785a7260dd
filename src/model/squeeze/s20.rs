//! S20, allowance erosion: less for the same price, without consent.
//!
//! Rests on: DMCCA, UCPD, unchecked.

use super::bill::{Answer, Question};
use super::{Finding, SqueezeSlot, SqueezeType};
use crate::model::Money;
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// Holds for a loss of enough of the value without consent. The loss is said; nothing is taken until a bill.
pub fn judge_terms(
    step: &Step<'_>,
    subscription: &Subscription,
    loss_share: f64,
    has_consented: bool,
) -> Option<Finding> {
    if loss_share < step.policy.s20.loss_share || has_consented {
        return None;
    }
    let price = subscription.price.value;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a share of at most 1 of a price below 2^53"
    )]
    let loss = (price.minor as f64 * loss_share).round_ties_even() as i64;
    let subject = subscription.plan.value.clone();
    let finding = Finding::one_off(
        SqueezeType::S20,
        subject,
        Money::new(loss, price.currency),
        step.event_id.clone(),
    );
    Some(Finding {
        excess_monthly: loss as f64,
        added: 0,
        evidence_per_severity: 0.0,
        baseline: Some(price.minor - loss),
        ..finding.on(Some((subscription.id.clone(), subscription.monthly_charge())))
    })
}

/// Does the erosion go on: is the same plan still billed above what it is worth?
pub fn holds_for(slot: &SqueezeSlot, question: Question<'_>) -> bool {
    *slot.subject == *question.bill.plan_id
        && slot.currency == question.bill.currency
        && slot.baseline.is_some_and(|worth| worth < question.bill.monthly)
}

/// Holds while an erosion found before is still billed.
pub fn judge(question: Question<'_>) -> Answer {
    question.going_on(SqueezeType::S20, holds_for)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes};

    /// A tenth less for the same price.
    const LESS: &str = "
        2025-01-01 start sub basic 30.00
        2025-03-15 terms sub 0.10
        2025-04-01 bill sub 30.00";

    #[test]
    fn the_loss_opens_it_and_the_bills_take_it() {
        assert_snapshot!(squeezes(LESS), @"2025-03-15 opened S20:sub:basic: 3.00 a month, 0.00 accrued, minor");
        assert_snapshot!(evidence(LESS, "FAI"), @"2025-04-01 FAI.SQUEEZE S20:sub:basic/bill/2025-04-01 -0.31698");
    }

    #[test]
    fn it_is_quiet_with_consent_and_for_less_than_a_twentieth() {
        for quiet in ["0.10 consented", "0.0499"] {
            assert_eq!(squeezes(&changed(LESS, "0.10", quiet)), "", "{quiet}");
        }
        assert_ne!(squeezes(&changed(LESS, "0.10", "0.05")), "");
    }

    #[test]
    fn a_price_to_match_or_another_plan_stops_it() {
        for lines in [
            "2025-05-01 bill sub 27.00",
            "2025-04-15 change sub lean 30.00\n2025-05-01 bill sub 30.00",
        ] {
            let stopped = "2025-05-01 stopped S20:sub:basic: 3.00 a month, 3.00 accrued, minor";
            assert!(squeezes(&format!("{LESS}\n{lines}")).ends_with(stopped), "{lines}");
        }
    }
}
