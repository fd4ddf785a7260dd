//! S14, bill shock: a bill far beyond the customer's own usual, and no warning before it.
//!
//! What it rests on is said in [`BASIS`].

use serde::{Deserialize, Serialize};

use super::bill::Bill;
use super::{Finding, SqueezeType};
use crate::model::decay::ReadTimes;
use crate::model::event::NoticeKind;
use crate::model::policy::S14;
use crate::model::step::Step;
use crate::model::subscription::Subscription;
use crate::model::{Accumulator, EventTime, Micros, Money};

/// A total above this is neither judged nor remembered: squares of more do not fit the accumulator.
const CAP: i64 = 5_000_000;

/// Decayed n, sum and sum of squares of bills.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    count: Accumulator,
    sum: Accumulator,
    squares: Accumulator,
}

/// The usual bill: mean and standard deviation, whole minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Usual {
    mean: i64,
    deviation: i64,
}

impl Tally {
    /// Remembers a total, unless it is beyond the cap.
    pub fn add(&mut self, total: i64, time: EventTime, policy: &S14) {
        if (0..=CAP).contains(&total) {
            let (x, half_life_ms) = (total as f64, policy.half_life_ms);
            self.count.add(1.0, time, half_life_ms);
            self.sum.add(x, time, half_life_ms);
            self.squares.add(x * x, time, half_life_ms);
        }
    }

    /// The usual bill as seen at `at`, if there are enough to tell.
    #[expect(clippy::cast_possible_truncation, reason = "a mean of totals up to the cap")]
    fn usual(&self, at: EventTime, policy: &S14) -> Option<Usual> {
        let mut times = ReadTimes::new(at);
        let mut mass = |sum: &Accumulator| times.mass(sum, policy.half_life_ms);
        let n = mass(&self.count);
        if Micros::round(n) < policy.bills {
            return None;
        }
        let mean = mass(&self.sum) / n;
        let variance = (mass(&self.squares) / n - mean * mean).max(0.0);
        Some(Usual {
            mean: mean.round_ties_even() as i64,
            deviation: variance.sqrt().round_ties_even() as i64,
        })
    }
}

/// Holds for a total far above the usual, by an amount that counts and several standard deviations, without a usage alert since
/// the period began.
pub fn judge(step: &Step<'_>, subscription: &Subscription, bill: &Bill<'_>) -> Option<Finding> {
    let total = bill.invoice.total;
    let policy = &step.policy.s14;
    let usual = subscription.totals.usual(step.as_of, policy).filter(|_| total.minor <= CAP)?;
    let jump = total.minor - usual.mean;
    let times = |ratio: Micros, minor: i64| i128::from(ratio.millionths()) * i128::from(minor);
    let is_shock = i128::from(total.minor) * 1_000_000 > times(policy.factor, usual.mean)
        && i128::from(jump) * 1_000_000 >= times(policy.deviations, usual.deviation)
        && step.is_at_least(jump, policy.jump_minor, total.currency);
    let was_warned =
        subscription.was_noticed(&[NoticeKind::UsageAlert], bill.period_start, step.time);
    (is_shock && !was_warned).then(|| {
        let invoice = &bill.invoice.invoice_id;
        let amount = Money::new(jump, total.currency);
        Finding::one_off(SqueezeType::S14, invoice.clone(), amount, invoice.clone())
            .on(Some((subscription.id.clone(), bill.monthly)))
    })
}

/// What the rule asks, and on what ground.
pub const BASIS: super::Basis = super::Basis {
    asks: "is a bill far beyond the customer's own usual, with no warning before it?",
    source: "the EU's roaming warning at 80 %",
};

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, squeezes, with};

    /// Four bills of 20.00, then one of 40.00.
    const SHOCK: &str = "
        2025-01-01 start sub basic 20.00
        2025-01-02..2025-04-02 bill sub 20.00
        2025-05-01 bill sub 40.00";

    #[test]
    fn a_bill_far_beyond_the_usual_opens_it_with_the_jump() {
        assert_snapshot!(squeezes(SHOCK), @"2025-05-01 opened S14:sub:bill/2025-05-01: 1.67 a month, 20.00 accrued, info");
    }

    #[test]
    fn it_takes_half_as_much_again_ten_pounds_more_and_a_usual_bill_to_compare() {
        for (from, to) in [
            ("bill sub 40.00", "bill sub 30.00"),
            ("2025-01-02..2025-04-02", "2025-03-02..2025-04-02"),
        ] {
            assert_eq!(squeezes(&changed(SHOCK, from, to)), "", "{to}");
        }
        assert_ne!(squeezes(&changed(SHOCK, "bill sub 40.00", "bill sub 30.01")), "");
        let small = changed(SHOCK, "bill sub 20.00", "bill sub 5.00");
        assert_eq!(squeezes(&changed(&small, "bill sub 40.00", "bill sub 14.99")), "");
        assert_ne!(squeezes(&changed(&small, "bill sub 40.00", "bill sub 15.00")), "");
    }

    #[test]
    fn a_customer_whose_bills_vary_is_not_shocked_by_one_more() {
        let vary = changed(
            SHOCK,
            "2025-01-02..2025-04-02 bill sub 20.00",
            "2025-03-02 bill sub 10.00\n2025-03-03 bill sub 30.00\n2025-04-02 bill sub 10.00\n2025-04-03 bill sub 30.00",
        );
        assert_eq!(squeezes(&changed(&vary, "bill sub 40.00", "bill sub 49.00")), "");
        assert_ne!(squeezes(&changed(&vary, "bill sub 40.00", "bill sub 51.00")), "");
    }

    #[test]
    fn a_warning_since_the_period_began_keeps_it_quiet() {
        let warned = |at: &str| {
            let story = changed(
                SHOCK,
                "2025-05-01 bill sub 40.00",
                "2025-05-01 bill sub 40.00 from=2025-04-01",
            );
            squeezes(&with(&story, &format!("{at} notice usage_alert sub=sub")))
        };
        assert_eq!(warned("2025-04-01"), "");
        assert_ne!(warned("2025-03-31"), "");
    }

    #[test]
    fn a_total_beyond_the_cap_is_neither_judged_nor_remembered() {
        let large = changed(SHOCK, "bill sub 20.00", "bill sub 30000.00");
        assert_ne!(squeezes(&changed(&large, "bill sub 40.00", "bill sub 50000.00")), "");
        assert_eq!(squeezes(&changed(&large, "bill sub 40.00", "bill sub 50000.01")), "");
        let beyond = changed(SHOCK, "bill sub 20.00", "bill sub 50000.01");
        assert_eq!(squeezes(&beyond), "", "so nothing is usual");
    }

    #[test]
    fn the_number_of_bills_is_compared_as_published() {
        let at = |time: &str| {
            squeezes(&format!(
                "2025-01-01 start sub basic 20.00
                 2025-01-01 bill sub 20.00 id=a
                 2025-01-01 bill sub 20.00 id=b
                 2025-01-01 bill sub 20.00 id=c
                 {time} bill sub 40.00 from=2025-02-01"
            ))
        };
        assert_ne!(at("2025-02-17T08:18:32Z"), "", "2.4999998 of them are 2.500000 of them");
        assert_eq!(at("2025-02-17T08:18:42Z"), "", "2.499999 are not");
    }
}
