//! S16, undisclosed mid-term rise: dearer within the term, neither agreed at sale nor announced in time.
//!
//! Rests on: Ofcom's rules from 17 January 2025; EECC art. 105(4), unchecked.

use super::bill::{Answer, Question};
use super::{Finding, SqueezeSlot, SqueezeType};
use crate::model::Money;
use crate::model::event::PriceReason;
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// Holds for a rise from `before` to `after` by the firm's own choice, within the term, not in the schedule and not announced.
/// The rise is said; nothing is taken until a bill.
pub fn judge_rise(
    step: &Step<'_>,
    subscription: &Subscription,
    before: Money,
    after: Money,
    reason: PriceReason,
    in_schedule: bool,
) -> Option<Finding> {
    let is_in_term = subscription.term_end.is_some_and(|end| step.time < end);
    let is_rise = before.currency == after.currency && before.minor < after.minor;
    let is_open_choice = reason == PriceReason::Firm && !in_schedule;
    if !is_in_term || !is_rise || !is_open_choice || subscription.was_rise_noticed(step) {
        return None;
    }
    let rise = Money::new(after.minor - before.minor, after.currency);
    let subject = step.time.to_string().into();
    let finding = Finding::one_off(SqueezeType::S16, subject, rise, step.event_id.clone());
    Some(Finding {
        excess_monthly: rise.minor as f64,
        added: 0,
        evidence_per_severity: 0.0,
        baseline: Some(before.minor),
        ..finding.on(Some((subscription.id.clone(), subscription.monthly_charge())))
    })
}

/// Does the rise go on: is the bill still above the old price, within the term?
pub fn holds_for(slot: &SqueezeSlot, question: Question<'_>) -> bool {
    let is_in_term = question.subscription.term_end.is_some_and(|end| question.step.time < end);
    is_in_term
        && slot.currency == question.bill.currency
        && slot.baseline.is_some_and(|old| old < question.bill.monthly)
}

/// Holds while a rise found before is still billed: of several, the one from the least old price.
pub fn judge(question: Question<'_>) -> Answer {
    question.going_on(SqueezeType::S16, holds_for)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, customer_after, evidence, squeezes, with};

    /// Dearer by 3.00 within the term.
    const RISE: &str = "
        2025-01-01 start sub basic 30.00 term=2026-01-01
        2025-03-15 price sub 33.00
        2025-04-01 bill sub 33.00";

    const OPENED: &str = "2025-03-15 opened S16:sub:2025-03-15: 3.00 a month, 0.00 accrued, minor";

    #[test]
    fn the_rise_opens_it_and_the_bills_take_it() {
        assert_eq!(squeezes(RISE), OPENED);
        assert_snapshot!(evidence(RISE, "FAI"), @"2025-04-01 FAI.SQUEEZE S16:sub:2025-03-15/bill/2025-04-01 -0.41745");
        assert_eq!(customer_after(RISE).squeezes[0].accrued(), 300);
    }

    #[test]
    fn it_is_quiet_for_what_was_agreed_imposed_announced_or_is_no_rise_in_term() {
        for (from, to) in [
            ("price sub 33.00", "price sub 33.00 scheduled"),
            ("price sub 33.00", "price sub 33.00 reason=tax"),
            ("price sub 33.00", "price sub 33.00 reason=regulated"),
            ("price sub 33.00", "price sub 30.00"),
            ("price sub 33.00", "price sub 33.00USD"),
            (" term=2026-01-01", " term=2025-03-15"),
            (" term=2026-01-01", ""),
        ] {
            let story = changed(RISE, "2025-04-01 bill sub 33.00", "2025-04-01 tick");
            assert_eq!(squeezes(&changed(&story, from, to)), "", "{to}");
        }
        let told = |words: &str| squeezes(&with(RISE, &format!("{words} sub=sub")));
        assert_eq!(told("2025-02-13 notice price_change"), "");
        for loud in ["2025-02-13T00:01 notice price_change", "2025-02-01 notice other"] {
            assert_ne!(told(loud), "", "{loud}");
        }
        let early = changed(RISE, "2025-01-01 start", "2024-11-01 start");
        assert_eq!(squeezes(&with(&early, "2024-11-15 notice price_change sub=sub")), "");
        assert_ne!(squeezes(&with(&early, "2024-11-14 notice price_change sub=sub")), "");
    }

    #[test]
    fn of_several_rises_the_one_from_the_least_price_takes_the_bill() {
        let story = format!(
            "{RISE}\n2025-05-15 price sub 36.00\n2025-06-01 bill sub 36.00\n2025-07-01 bill sub 32.00"
        );
        assert_snapshot!(squeezes(&story), @r"
        2025-03-15 opened S16:sub:2025-03-15: 3.00 a month, 0.00 accrued, minor
        2025-05-15 opened S16:sub:2025-05-15: 3.00 a month, 0.00 accrued, minor
        2025-07-01 stopped S16:sub:2025-05-15: 3.00 a month, 0.00 accrued, minor
        2025-07-01 resolved S16:sub:2025-05-15: 3.00 a month, 0.00 accrued, minor, nothing_owed
        ");
        assert_eq!(customer_after(&story).squeezes[0].accrued(), 300 + 600 + 200);
    }

    #[test]
    fn a_bill_in_another_currency_does_not_compare_with_the_old_price() {
        let story = format!("{RISE}\n2025-04-20 price sub 40.00USD\n2025-05-01 bill sub 40.00USD");
        assert_eq!(customer_after(&story).squeezes[0].accrued(), 300);
        assert!(squeezes(&story).contains("2025-05-01 stopped S16"));
    }

    #[test]
    fn the_old_price_or_the_end_of_the_term_stops_it() {
        for (line, at) in [
            ("2025-05-01 bill sub 30.00", "2025-05-01"),
            ("2026-01-01 bill sub 33.00", "2026-01-01"),
        ] {
            let stopped =
                format!("{at} stopped S16:sub:2025-03-15: 3.00 a month, 3.00 accrued, minor");
            assert!(squeezes(&format!("{RISE}\n{line}")).contains(&stopped), "{line}");
        }
    }
}
