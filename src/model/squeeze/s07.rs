//! S07, dormant subscription: billed month after month for what nobody has used for a year, unsaid.
//!
//! Rests on: CMA's Xbox undertakings 2022; Netflix 2020.

use super::SqueezeType;
use super::bill::{Answer, Excess, Question};
use crate::model::event::NoticeKind;

/// Holds if use was expected, there was none for long, and no dormancy notice either.
pub fn judge(Question { step, subscription, bill, .. }: Question<'_>) -> Answer {
    let policy = &step.policy.s07;
    let last_usage = subscription.last_usage.unwrap_or(subscription.start.at.time);
    let is_dormant = last_usage.plus_days(policy.dormant_days) <= step.time;
    let told_from = step.time.plus_days(-policy.notice_days);
    let was_told = subscription.was_noticed(&[NoticeKind::Dormancy], told_from, step.time);
    if !subscription.start.value.usage_expected || bill.monthly <= 0 || !is_dormant || was_told {
        return Answer::Quiet;
    }
    let excess = Excess { monthly: bill.monthly, added: bill.recurring };
    Answer::Holds(Box::new(bill.finding(SqueezeType::S07, subscription, "-", excess)))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, squeezes, with};

    /// Never used in a year.
    const DORMANT: &str = "
        2024-01-01 start sub basic 10.00 usage-expected
        2024-12-31 bill sub 10.00
        2025-01-31 bill sub 10.00";

    #[test]
    fn the_second_bill_for_nothing_opens_it() {
        assert_snapshot!(squeezes(DORMANT), @"2025-01-31 opened S07:sub:-: 10.00 a month, 20.00 accrued, critical");
    }

    #[test]
    fn it_is_quiet_if_no_use_was_expected_or_nothing_billed() {
        for (from, to) in [
            (" usage-expected", ""),
            ("bill sub 10.00", "bill sub 0.00"),
            ("2024-12-31 bill", "2024-12-30 bill"),
        ] {
            assert_eq!(squeezes(&changed(DORMANT, from, to)), "", "{to}");
        }
    }

    #[test]
    fn use_or_a_notice_of_dormancy_within_a_year_keeps_it_quiet() {
        for quiet in ["2024-01-02 usage sub 0.1", "2024-01-01 notice dormancy sub=sub"] {
            assert_eq!(squeezes(&with(DORMANT, quiet)), "", "{quiet}");
        }
        for loud in [
            "2024-06-01 usage sub 0",
            "2024-06-01 notice reminder sub=sub",
            "2024-06-01 notice dormancy",
        ] {
            assert_ne!(squeezes(&with(DORMANT, loud)), "", "{loud}");
        }
    }

    #[test]
    fn use_stops_it() {
        let used = format!("{DORMANT}\n2025-02-10 usage sub 1\n2025-03-01 bill sub 10.00");
        assert!(
            squeezes(&used).ends_with(
                "\n2025-03-01 stopped S07:sub:-: 10.00 a month, 20.00 accrued, critical"
            )
        );
    }
}
