//! How bad a squeeze is. Which excess was taken, and from when on it is said, belongs to the rules and the slots.

use crate::model::event::words;
use crate::model::number::exp2;
use crate::model::{Micros, Policy};

words! {
    /// A severity in words; PagerDuty's info, warning, error, critical.
    Level { /// Below .25.
        Info = "info", /// From .25.
        Minor = "minor", /// From .50.
        Major = "major", /// From .75.
        Critical = "critical" }
}

impl Level {
    /// The level of a published severity.
    pub const fn of(severity: Micros) -> Self {
        match severity.millionths() {
            750_000.. => Self::Critical,
            500_000.. => Self::Major,
            250_000.. => Self::Minor,
            _ => Self::Info,
        }
    }
}

/// A severity, and the factors that make it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Severity {
    /// How much was taken, in thirds of half a severity; ≥ 0.
    pub u: f64,
    /// κ: how culpable the type is.
    pub kappa: f64,
    /// 1.5 while the customer is marked vulnerable, else 1.
    pub v: f64,
    /// 1.25 if the firm has known better for 90 days, else 1.
    pub k: f64,
    /// 1 − 2^(−u·κ·v·k/3), in [0, 1]: 1 only past what an `f64` tells from it.
    pub value: f64,
}

/// Monthly excess as a share of the bill that counts one third of half a severity.
const SHARE_OF_BILL: f64 = 0.10;

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
    let u = excess_monthly / (policy.e_half * scale)
        + share / SHARE_OF_BILL
        + accrued.max(0) as f64 / (policy.a_half * scale);
    Severity { u, kappa, v, k, value: 1.0 - exp2(-u * kappa * v * k / 3.0) }
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
