//! S01, legacy overpricing: a long-standing customer pays more than an equal plan costs that the firm sells today.
//!
//! What it rests on is said in [`BASIS`].

use super::SqueezeType;
use super::bill::{Answer, Question};
use crate::model::at_least;

/// Holds for a long-standing customer, long on the plan, billed more than the best equal plan by the policy's
/// `overpricing_tolerance`. Quiet if the price was negotiated, or the customer declined as good a plan knowing it, or was told.
pub fn judge(question: Question<'_>) -> Answer {
    let Question { step, subscription, bill, .. } = question;
    let Some(best) = &bill.best_eq else { return Answer::Quiet };
    let policy = &step.policy.s01;
    let excess = bill.monthly - best.monthly.minor;
    let is_dear =
        step.reaches(excess, step.policy.overpricing_tolerance(), bill.monthly, bill.currency);
    // The calendar is asked last: it is what costs.
    let is_long_standing = || {
        subscription.customer_since().plus_months(policy.customer_months) <= step.time
            && subscription.plan.at.time.plus_months(policy.plan_months) <= step.time
    };
    let was_told = subscription
        .advised_at
        .is_some_and(|told| told <= step.time && step.time <= told.plus_days(policy.advice_days));
    if !is_dear
        || was_told
        || subscription.start.value.negotiated
        || has_declined(question)
        || !is_long_standing()
    {
        return Answer::Quiet;
    }
    let finding = bill.finding_against(SqueezeType::S01, subscription, &bill.plan_id, best);
    Answer::Holds(Box::new(finding))
}

/// Did the customer, knowing what it was, decline a plan equal to or better than the best one of late?
fn has_declined(Question { step, subscription, bill, .. }: Question<'_>) -> bool {
    let (Some(declined), Some(best)) = (&subscription.declined, &bill.best_eq) else {
        return false;
    };
    if declined.at.time > step.time
        || step.time > declined.at.time.plus_days(step.policy.s01.decline_days)
    {
        return false;
    }
    let plan = |id| step.catalogue.plan(id, step.time);
    declined.value == best.plan_id
        || plan(&declined.value).zip(plan(&best.plan_id)).is_some_and(|(declined, best)| {
            at_least(&declined.version.attributes, &best.version.attributes)
        })
}

/// What the rule asks, and on what ground.
pub const BASIS: super::Basis = super::Basis {
    asks: "is a long-standing customer billed more than an equal plan costs that the firm sells today?",
    source: "a telecom's legacy plans; CMA loyalty-penalty response 2018; Ofcom and EECC best-tariff duties; FCA Consumer Duty",
};

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes, with};

    /// A customer of four years, a year on a plan for which one sold since January would do.
    const LEGACY: &str = "
        2020-01-01 plan old 45.00 data=10
        2024-03-01 start sub old 45.00 since=2022-03-01
        2025-01-01 plan new 32.00 data=50
        2025-03-01..2025-04-01 bill sub 45.00";

    #[test]
    fn the_second_dear_bill_opens_it_with_what_the_first_one_took() {
        assert_snapshot!(squeezes(LEGACY), @"2025-04-01 opened S01:sub:old: 13.00 a month, 26.00 accrued, major");
        assert_snapshot!(evidence(LEGACY, "FAI.SQUEEZE"), @"2025-04-01 FAI.SQUEEZE S01:sub:old/bill/2025-04-01 -0.745467");
    }

    #[test]
    fn one_dear_bill_between_fair_ones_is_forgotten() {
        let story = changed(LEGACY, "2025-03-01..2025-04-01", "2025-03-01");
        let story = with(&story, "2025-04-01 bill sub 32.00");
        assert_snapshot!(squeezes(&with(&story, "2025-05-01 bill sub 45.00")), @"");
    }

    #[test]
    fn it_is_quiet_unless_the_customer_is_of_long_standing_and_the_plan_is_dearer_for_nothing() {
        for (from, to) in [
            ("since=2022-03-01", "since=2022-03-02"),
            ("2024-03-01 start", "2024-03-02 start"),
            ("since=2022-03-01", "since=2022-03-01 negotiated"),
            ("new 32.00 data=50", "new 32.00 data=9"),
            ("new 32.00 data=50", "new 43.66 data=50"),
            ("2025-01-01 plan new", "2025-01-31 plan new"),
            ("bill sub 45.00", "bill sub 45.00 plan=unknown"),
            ("bill sub 45.00", "bill sub 45.00 recurring=32.99"),
        ] {
            assert_eq!(squeezes(&changed(LEGACY, from, to)), "", "{to}");
        }
        for line in
            ["2025-02-01 withdraw new", "2025-02-01 plan new 32.00 data=50 segment=business"]
        {
            assert_eq!(squeezes(&with(LEGACY, line)), "", "{line}");
        }
        let just_dear = changed(LEGACY, "new 32.00", "new 43.65");
        assert_snapshot!(squeezes(&just_dear), @"2025-04-01 opened S01:sub:old: 1.35 a month, 2.70 accrued, info");
    }

    #[test]
    fn it_is_quiet_for_a_year_after_an_informed_decline_of_as_good_a_plan() {
        assert_eq!(squeezes(&with(LEGACY, "2024-04-01 decline sub new informed")), "");
        assert_ne!(squeezes(&with(LEGACY, "2025-02-01 decline sub new")), "", "uninformed");
        let longer = changed(LEGACY, "..2025-04-01", "..2025-06-01");
        let longer = squeezes(&with(&longer, "2024-04-01 decline sub new informed"));
        assert_snapshot!(longer, @"2025-06-01 opened S01:sub:old: 13.00 a month, 26.00 accrued, critical");
        let better = with(LEGACY, "2024-12-01 plan best 40.00 data=60");
        assert_eq!(squeezes(&with(&better, "2025-02-01 decline sub best informed")), "");
        let lesser = with(LEGACY, "2024-12-01 plan less 33.00 data=20");
        assert_ne!(squeezes(&with(&lesser, "2025-02-01 decline sub less informed")), "");
    }

    #[test]
    fn it_is_quiet_for_45_days_after_the_customer_was_told() {
        let told = |day: &str| squeezes(&with(LEGACY, &format!("{day} advise a sub new 13.00")));
        assert_eq!(told("2025-02-15"), "");
        assert_ne!(told("2025-01-14"), "");
    }

    #[test]
    fn it_says_more_as_the_amount_doubles_and_stops_with_a_fair_bill() {
        let story = changed(LEGACY, "..2025-04-01", "..2025-08-01");
        assert_snapshot!(squeezes(&with(&story, "2025-09-01 bill sub 32.00")), @r"
        2025-04-01 opened S01:sub:old: 13.00 a month, 26.00 accrued, major
        2025-05-01 escalated S01:sub:old: 13.00 a month, 39.00 accrued, critical
        2025-08-01 escalated S01:sub:old: 13.00 a month, 78.00 accrued, critical
        2025-09-01 stopped S01:sub:old: 13.00 a month, 78.00 accrued, critical
        ");
    }

    #[test]
    fn money_back_resolves_it_only_once_it_has_stopped_and_it_can_come_back() {
        let story = format!(
            "{LEGACY}
             2025-04-10 remedy r1 26.00 about=S01:sub:old
             2025-05-01 bill sub 32.00
             2025-06-01 bill sub 45.00"
        );
        assert_snapshot!(squeezes(&story), @r"
        2025-04-01 opened S01:sub:old: 13.00 a month, 26.00 accrued, major
        2025-05-01 stopped S01:sub:old: 13.00 a month, 0.00 accrued, major
        2025-05-01 resolved S01:sub:old: 13.00 a month, 0.00 accrued, major, refunded
        2025-06-01 reopened S01:sub:old: 13.00 a month, 13.00 accrued, critical
        ");
    }
}
