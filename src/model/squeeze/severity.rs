//! How bad a squeeze is. Which excess was taken, and from when on it is said, belongs to the rules and the slots.

use serde::{Deserialize, Serialize};

use crate::model::event::words;
use crate::model::number::exp2;
use crate::model::policy::Severities;
use crate::model::{Micros, Policy};

words! {
    /// A severity in words; PagerDuty's info, warning, error, critical.
    Level { /// Hardly.
        Info = "info", /// Some.
        Minor = "minor", /// Much.
        Major = "major", /// From .75.
        Critical = "critical" }
}

impl Level {
    /// The level of a published severity.
    pub fn of(severity: Micros, policy: &Severities) -> Self {
        match severity {
            _ if severity >= policy.critical => Self::Critical,
            _ if severity >= policy.major => Self::Major,
            _ if severity >= policy.minor => Self::Minor,
            _ => Self::Info,
        }
    }
}

/// A severity, and the factors that make it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Severity {
    /// How much was taken, in thirds of half a severity; ≥ 0.
    pub u: f64,
    /// κ: how culpable the type is.
    pub kappa: f64,
    /// Above 1 while the customer is marked vulnerable, else 1.
    pub v: f64,
    /// Above 1 if the firm has known better for long, else 1.
    pub k: f64,
    /// 1 − 2^(−u·κ·v·k/3), in [0, 1]: 1 only past what an `f64` tells from it.
    pub value: f64,
    /// That in words.
    pub level: Level,
}

/// The severity of taking `excess_monthly` a month on a monthly `bill`, `accrued` so far, all in minor units of a currency of this
/// `scale`.
///
/// `excess_monthly` ≥ 0 need not be whole. A bill of `None`, or of nothing, has no share that could be taken of it. What was
/// given back beyond what was taken counts as nothing accrued.
#[expect(
    clippy::too_many_arguments,
    reason = "the letters of one formula, each named on the page it comes from"
)]
pub fn severity(
    excess_monthly: f64,
    bill: Option<i64>,
    accrued: i64,
    kappa: f64,
    v: f64,
    k: f64,
    scale: f64,
    policy: &Policy,
) -> Severity {
    let share = bill.filter(|bill| 0 < *bill).map_or(0.0, |bill| excess_monthly / bill as f64);
    let u = excess_monthly / (policy.money.e_half * scale)
        + share / policy.severity.share_of_bill
        + accrued.max(0) as f64 / (policy.money.a_half * scale);
    let value = 1.0 - exp2(-u * kappa * v * k / 3.0);
    let level = Level::of(Micros::round(value), &policy.severity);
    Severity { u, kappa, v, k, value, level }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_plan_has_no_share_to_take() {
        let of = |bill| severity(100.0, bill, 100, 1.0, 1.0, 1.0, 1.0, &Policy::default());
        assert_eq!(of(Some(0)), of(None));
    }
}
