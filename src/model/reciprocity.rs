//! How likely a customer was to buy within three days anyway: what a purchase after a gift is measured against, so that
//! frequent buyers do not look grateful. What a trial is and how it ends belongs to the ledger of trials.

use std::f64::consts::LN_2;

use super::DAY_MS;
use super::number::exp2;

/// Half-life of purchases, in days.
pub const HALF_LIFE_DAYS: f64 = 90.0;

/// How long a trial waits for a purchase, in days.
pub const WINDOW_DAYS: f64 = 3.0;

/// Purchases assumed before the first, and the days they took.
const PRIOR: (f64, f64) = (0.5, 90.0);

/// X: days of custom that decayed purchases are counted over, when `tenure_ms` ≥ 0 have passed since the first event; 0 up to
/// 129.8.
pub fn exposure_days(tenure_ms: i64) -> f64 {
    let tenure_days = tenure_ms as f64 / DAY_MS as f64;
    HALF_LIFE_DAYS / LN_2 * (1.0 - exp2(-tenure_days / HALF_LIFE_DAYS))
}

/// Purchases a day, from the decayed number of `purchases` ≥ 0 and the tenure; above 0.
pub fn rate_per_day(purchases: f64, tenure_ms: i64) -> f64 {
    (purchases + PRIOR.0) / (exposure_days(tenure_ms) + PRIOR.1)
}

/// p₀: the probability, in (0, 1), of a purchase within [`WINDOW_DAYS`] without any gift.
pub fn baseline(purchases: f64, tenure_ms: i64) -> f64 {
    -libm::expm1(-rate_per_day(purchases, tenure_ms) * WINDOW_DAYS)
}
