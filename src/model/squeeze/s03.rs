//! S03, end-of-term penalty: the term is over, nobody said so, and the price stayed above what is now to be had.
//!
//! Rests on: Ofcom's end-of-contract notices.

use super::SqueezeType;
use super::bill::{Answer, Excess, Question};
use crate::model::event::NoticeKind;

/// Holds after the end of a term without notice of it, if the bill stands above the lesser of the in-term price and the best
/// equal plan.
pub fn judge(Question { step, subscription, bill, .. }: Question<'_>) -> Answer {
    let Some(term_end) = subscription.term_end.filter(|end| *end <= step.time) else {
        return Answer::Quiet;
    };
    let (from, to) = step.policy.notice.end_of_term(term_end);
    if subscription.was_noticed(&[NoticeKind::EndOfTerm], from, to) {
        return Answer::Quiet;
    }
    let in_term = subscription.in_term_price.value;
    if in_term.currency != bill.currency {
        return Answer::Quiet;
    }
    let better = bill.best_eq.as_ref().filter(|best| best.monthly.minor < in_term.minor);
    let cost = better.map_or(in_term.minor, |best| best.monthly.minor);
    if !step.reaches(bill.monthly - cost, step.policy.s03.tolerance(), bill.monthly, bill.currency)
    {
        return Answer::Quiet;
    }
    let subject = term_end.to_string();
    let excess = Excess { monthly: bill.monthly - cost, added: bill.recurring - bill.at(cost) };
    Answer::Holds(Box::new(better.map_or_else(
        || bill.finding(SqueezeType::S03, subscription, &subject, excess),
        |best| bill.finding_against(SqueezeType::S03, subscription, &subject, best),
    )))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes, with};

    /// The term ended on New Year's Day, and the price went up from 30.00.
    const OVER: &str = "
        2024-01-01 start sub basic 30.00 term=2025-01-01
        2025-01-01 bill sub 35.00";

    #[test]
    fn the_first_bill_after_the_end_of_the_term_opens_it() {
        assert_snapshot!(squeezes(OVER), @"2025-01-01 opened S03:sub:2025-01-01: 5.00 a month, 5.00 accrued, minor");
        assert_snapshot!(evidence(OVER, "FAI"), @"2025-01-01 FAI.SQUEEZE S03:sub:2025-01-01/bill/2025-01-01 -0.440311");
    }

    #[test]
    fn it_is_quiet_within_the_term_and_for_a_small_difference() {
        for (from, to) in [
            ("2025-01-01 bill", "2024-12-31 bill"),
            ("bill sub 35.00", "bill sub 30.99"),
            (" term=2025-01-01", ""),
        ] {
            assert_eq!(squeezes(&changed(OVER, from, to)), "", "{to}");
        }
        assert_ne!(squeezes(&changed(OVER, "bill sub 35.00", "bill sub 31.00")), "");
    }

    #[test]
    fn it_is_quiet_if_the_end_was_announced_in_its_window() {
        let told = |words: &str| squeezes(&with(OVER, &format!("{words} sub=sub")));
        for quiet in ["2024-11-22 notice end_of_term", "2024-12-22 notice end_of_term"] {
            assert_eq!(told(quiet), "", "{quiet}");
        }
        for loud in [
            "2024-11-21T23:59 notice end_of_term",
            "2024-12-22T00:01 notice end_of_term",
            "2024-12-01 notice renewal priced",
        ] {
            assert_ne!(told(loud), "", "{loud}");
        }
    }

    #[test]
    fn a_cheaper_equal_plan_is_what_the_bill_is_compared_with() {
        let story =
            with(OVER, "2023-01-01 plan basic 30.00 data=10\n2023-01-01 plan cheap 28.00 data=10");
        assert_snapshot!(squeezes(&story), @"2025-01-01 opened S03:sub:2025-01-01: 7.00 a month, 7.00 accrued, major");
        let unchanged = changed(&story, "bill sub 35.00", "bill sub 30.00");
        assert_snapshot!(squeezes(&unchanged), @"2025-01-01 opened S03:sub:2025-01-01: 2.00 a month, 2.00 accrued, minor");
    }

    #[test]
    fn prices_in_two_currencies_do_not_compare() {
        let abroad = changed(OVER, "bill sub 35.00", "bill sub 35.00USD");
        assert_eq!(squeezes(&with(&abroad, "2024-06-01 price sub 35.00USD")), "");
    }

    #[test]
    fn a_new_term_or_the_old_price_stops_it() {
        for (line, at) in [
            ("2025-02-01 bill sub 30.00", "2025-02-01"),
            (
                "2025-01-15 renew sub r 420.00 active term=2026-01-01\n2025-02-01 bill sub 35.00",
                "2025-02-01",
            ),
        ] {
            let stopped =
                format!("{at} stopped S03:sub:2025-01-01: 5.00 a month, 5.00 accrued, minor");
            assert!(squeezes(&format!("{OVER}\n{line}")).ends_with(&stopped), "{line}");
        }
    }
}
