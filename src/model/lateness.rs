//! What is left of a promise kept late.

use super::number::exp2;

/// One hour in milliseconds.
const HOUR_MS: f64 = 3_600_000.0;

/// q: the share of a promise's weight that still counts as kept, in (0, 1], when it was kept `late_ms` ≥ 0 after the last moment.
///
/// The longer the promise ran (`horizon_ms`, from its making to its due time), the longer lateness takes to halve the share: a
/// quarter of the horizon, but an hour at least; twice that if the customer was `told` by then.
pub fn lateness_share(horizon_ms: i64, late_ms: i64, told: bool) -> f64 {
    let quarter = (0.25 * horizon_ms as f64).max(HOUR_MS);
    let half_life = if told { 2.0 * quarter } else { quarter };
    exp2(-(late_ms as f64) / half_life)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_due_at_once_still_has_its_hour() {
        assert_eq!(lateness_share(0, 3_600_000, false), 0.5);
        assert_eq!(lateness_share(-5, 0, true), 1.0);
    }
}
