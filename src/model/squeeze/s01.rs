//! S01, legacy overpricing: a long-standing customer pays more than an equal plan costs that the firm sells today.
//!
//! Rests on: a telecom's legacy plans; CMA loyalty-penalty response 2018; Ofcom and EECC best-tariff duties; FCA Consumer Duty.

use super::SqueezeType;
use super::bill::{Answer, Question};
use crate::model::at_least;

/// Months one must be a customer, and on the plan.
const CUSTOMER_MONTHS: i32 = 36;
const PLAN_MONTHS: i32 = 12;
/// Days an informed decline, and advice on savings, keep the rule quiet.
const DECLINE_DAYS: i64 = 365;
const ADVICE_DAYS: i64 = 45;

/// Holds for a customer of three years, a year on the plan, billed more than the best equal plan by the policy's
/// `overpricing_tolerance`. Quiet if the price was negotiated, or the customer declined as good a plan knowing it, or was told.
pub fn judge(question: Question<'_>) -> Answer {
    let Question { step, subscription, bill, .. } = question;
    let Some(best) = &bill.best_eq else { return Answer::Quiet };
    let is_long_standing = subscription.customer_since().plus_months(CUSTOMER_MONTHS) <= step.time
        && subscription.plan.at.time.plus_months(PLAN_MONTHS) <= step.time;
    let excess = bill.monthly - best.monthly.minor;
    let is_dear =
        step.reaches(excess, step.policy.overpricing_tolerance, bill.monthly, bill.currency);
    let was_told = subscription
        .advised_at
        .is_some_and(|told| told <= step.time && step.time <= told.plus_days(ADVICE_DAYS));
    if !is_long_standing
        || !is_dear
        || was_told
        || subscription.start.value.negotiated
        || has_declined(question)
    {
        return Answer::Quiet;
    }
    let finding = bill.finding_against(SqueezeType::S01, subscription, &bill.plan_id, best);
    Answer::Holds(Box::new(finding))
}

/// Did the customer, knowing what it was, decline a plan equal to or better than the best one within the last year?
fn has_declined(Question { step, subscription, bill, .. }: Question<'_>) -> bool {
    let (Some(declined), Some(best)) = (&subscription.declined, &bill.best_eq) else {
        return false;
    };
    if declined.at.time > step.time || step.time > declined.at.time.plus_days(DECLINE_DAYS) {
        return false;
    }
    let plan = |id| step.catalogue.plan(id, step.time);
    declined.value == best.plan_id
        || plan(&declined.value).zip(plan(&best.plan_id)).is_some_and(|(declined, best)| {
            at_least(&declined.version.attributes, &best.version.attributes)
        })
}
