//! How likely a customer was to buy within a few days anyway: what a purchase after a gift is measured against, so that
//! frequent buyers do not look grateful. What a trial is and how it ends belongs to the ledger of trials.

use std::f64::consts::LN_2;

use super::DAY_MS;
use super::number::exp2;
use super::policy::ReciprocityTrials;

/// X: days of custom that decayed purchases are counted over, when `tenure_ms` ≥ 0 have passed since the first event; 0 up to
/// the half-life over ln 2.
pub fn exposure_days(tenure_ms: i64, policy: &ReciprocityTrials) -> f64 {
    let (tenure_days, half_life_days) = (days(tenure_ms), days(policy.half_life_ms));
    half_life_days / LN_2 * (1.0 - exp2(-tenure_days / half_life_days))
}

/// Purchases a day, from the decayed number of `purchases` ≥ 0 and the tenure; above 0.
pub fn rate_per_day(purchases: f64, tenure_ms: i64, policy: &ReciprocityTrials) -> f64 {
    (purchases + policy.prior_purchases) / (exposure_days(tenure_ms, policy) + policy.prior_days)
}

/// p₀: the probability, in (0, 1), of a purchase within the window without any gift.
pub fn baseline(purchases: f64, tenure_ms: i64, policy: &ReciprocityTrials) -> f64 {
    -libm::expm1(-rate_per_day(purchases, tenure_ms, policy) * days(policy.window_ms))
}

fn days(ms: i64) -> f64 {
    ms as f64 / DAY_MS as f64
}
