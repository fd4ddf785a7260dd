//! S14, bill shock: a bill far beyond the customer's own usual, and no warning before it.
//!
//! Rests on: the EU's roaming warning at 80 %.

use super::bill::Bill;
use super::{Finding, SqueezeType};
use crate::model::event::NoticeKind;
use crate::model::step::Step;
use crate::model::subscription::Subscription;
use crate::model::{Accumulator, DAY_MS, EventTime, Money};

/// Half-life of the usual bill.
const HALF_LIFE_MS: i64 = 180 * DAY_MS;
/// A total above this is neither judged nor remembered: squares of more do not fit the accumulator.
const CAP: i64 = 5_000_000;
/// Decayed number of bills that make a usual one.
const BILLS: f64 = 2.5;
/// A jump that counts, minor units.
const LEAST: f64 = 1000.0;

/// Decayed n, sum and sum of squares of bills.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
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
    pub fn add(&mut self, total: i64, time: EventTime) {
        if (0..=CAP).contains(&total) {
            let x = total as f64;
            self.count.add(1.0, time, HALF_LIFE_MS);
            self.sum.add(x, time, HALF_LIFE_MS);
            self.squares.add(x * x, time, HALF_LIFE_MS);
        }
    }

    /// The usual bill as seen at `at`, if there are enough to tell.
    #[expect(clippy::cast_possible_truncation, reason = "a mean of totals up to the cap")]
    fn usual(&self, at: EventTime) -> Option<Usual> {
        let n = self.count.mass(at, HALF_LIFE_MS);
        if n < BILLS {
            return None;
        }
        let mean = self.sum.mass(at, HALF_LIFE_MS) / n;
        let variance = (self.squares.mass(at, HALF_LIFE_MS) / n - mean * mean).max(0.0);
        Some(Usual {
            mean: mean.round_ties_even() as i64,
            deviation: variance.sqrt().round_ties_even() as i64,
        })
    }
}

/// Holds for a total above 1.5 times the usual, by at least £10 and three standard deviations, without a usage alert since the
/// period began.
pub fn judge(step: &Step<'_>, subscription: &Subscription, bill: &Bill<'_>) -> Option<Finding> {
    let total = bill.invoice.total;
    let usual = subscription.totals.usual(step.as_of).filter(|_| total.minor <= CAP)?;
    let jump = total.minor - usual.mean;
    let is_shock = 2 * total.minor > 3 * usual.mean
        && jump >= 3 * usual.deviation
        && step.is_at_least(jump, LEAST, total.currency);
    let was_warned =
        subscription.was_noticed(&[NoticeKind::UsageAlert], bill.period_start, step.time);
    (is_shock && !was_warned).then(|| {
        let invoice = &bill.invoice.invoice_id;
        let amount = Money::new(jump, total.currency);
        Finding::one_off(SqueezeType::S14, invoice.clone(), amount, invoice.clone())
            .on(Some((subscription.id.clone(), bill.monthly)))
    })
}
