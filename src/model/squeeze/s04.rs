//! S04, charge after cancellation: money taken for service from after the customer's cancellation takes effect.
//!
//! What it rests on is said in [`BASIS`].

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

/// What the rule asks, and on what ground.
pub const BASIS: super::Basis = super::Basis {
    asks: "was money taken for service from after the cancellation took effect?",
    source: "ROSCA, 15 USC 8403(3); DMCCA refunds",
};

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes, with};

    /// Cancelled with effect from 9 April.
    const LEFT: &str = "
        2025-01-01 start sub basic 30.00 notice=P30D
        2025-03-10 cancel sub out
        2025-03-10T12:00 cancelled out";

    #[test]
    fn a_bill_for_a_period_after_the_effect_opens_it_at_once() {
        let story = format!("{LEFT}\n2025-04-01..2025-05-01 bill sub 30.00");
        assert_snapshot!(squeezes(&story), @"2025-05-01 opened S04:sub:out: 30.00 a month, 30.00 accrued, critical");
        let from_the_effect = format!("{LEFT}\n2025-05-01 bill sub 30.00 from=2025-04-09");
        assert_ne!(squeezes(&from_the_effect), "");
    }

    #[test]
    fn a_charge_counts_from_its_service_or_else_from_its_own_time() {
        let charge = |words| squeezes(&format!("{LEFT}\n2025-04-20 charge c 12.00 {words}"));
        assert_snapshot!(charge("sub=sub"), @"2025-04-20 opened S04:sub:out: 1.00 a month, 12.00 accrued, minor");
        for quiet in ["sub=sub start=2025-04-08", "sub=other", "", "sub=sub start=2025-03-01"] {
            assert_eq!(charge(quiet), "", "{quiet}");
        }
        assert_eq!(squeezes(&format!("{LEFT}\n2025-04-20 charge c 0.00 sub=sub")), "");
    }

    #[test]
    fn it_is_quiet_without_a_cancellation_or_once_that_is_withdrawn() {
        let bill = "2025-05-01 bill sub 30.00";
        assert_eq!(squeezes(&format!("2025-01-01 start sub basic 30.00\n{bill}")), "");
        let stays = changed(LEFT, "cancelled out", "stay out");
        assert_eq!(squeezes(&format!("{stays}\n{bill}")), "");
    }

    #[test]
    fn each_thing_charged_breaks_ones_word_too() {
        let story = format!("{LEFT}\n2025-05-01 bill sub 30.00\n2025-05-02 charge c 30.00 sub=sub");
        assert_snapshot!(evidence(&story, "INT.CHARGE"), @r"
        2025-05-01 INT.CHARGE_AFTER_CANCEL bill/2025-05-01 -3.0
        2025-05-02 INT.CHARGE_AFTER_CANCEL c -3.0
        ");
    }

    #[test]
    fn a_bill_of_nothing_ends_the_list_and_so_stops_nothing_after_it() {
        let story = "
            2020-01-01 plan old 45.00 data=10
            2025-01-01 plan new 32.00 data=50
            2020-01-01 start sub old 45.00
            2025-03-01..2025-04-01 bill sub 45.00
            2025-04-10 cancel sub out
            2025-04-10T12:00 cancelled out
            2025-05-01 bill sub 10.00 recurring=0.00";
        assert_snapshot!(squeezes(story), @"2025-04-01 opened S01:sub:old: 13.00 a month, 26.00 accrued, major");
    }

    #[test]
    fn it_is_resolved_at_once_by_money_back_and_its_money_starts_anew() {
        let story = format!("{LEFT}\n2025-05-01 bill sub 30.00\n2025-06-01 bill sub 30.00");
        let story = with(&story, "2025-05-10 remedy m1 28.50 about=out");
        assert_snapshot!(squeezes(&story), @r"
        2025-05-01 opened S04:sub:out: 30.00 a month, 30.00 accrued, critical
        2025-05-10 resolved S04:sub:out: 30.00 a month, 1.50 accrued, critical, refunded
        2025-06-01 reopened S04:sub:out: 30.00 a month, 30.00 accrued, critical
        ");
        let too_little = changed(&story, "m1 28.50", "m1 28.49");
        assert_snapshot!(squeezes(&too_little), @"2025-05-01 opened S04:sub:out: 30.00 a month, 30.00 accrued, critical");
    }

    #[test]
    fn it_says_more_when_the_amount_has_doubled() {
        let story = format!("{LEFT}\n2025-05-01..2025-08-01 bill sub 30.00");
        assert_snapshot!(squeezes(&story), @r"
        2025-05-01 opened S04:sub:out: 30.00 a month, 30.00 accrued, critical
        2025-06-01 escalated S04:sub:out: 30.00 a month, 60.00 accrued, critical
        2025-08-01 escalated S04:sub:out: 30.00 a month, 120.00 accrued, critical
        ");
    }
}
