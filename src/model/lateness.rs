//! What is left of a promise kept late.

use super::number::exp2;
use super::policy::Promises;

/// q: the share of a promise's weight that still counts as kept, in (0, 1], when it was kept `late_ms` ≥ 0 after the last moment.
///
/// The longer the promise ran (`horizon_ms`, from its making to its due time), the longer lateness takes to halve the share: a
/// share of the horizon, but a time at least; longer if the customer was `told` by then.
pub fn lateness_share(horizon_ms: i64, late_ms: i64, told: bool, policy: &Promises) -> f64 {
    let share = policy.late_half_life * horizon_ms as f64;
    // Never 0, whatever the policy: a promise kept the moment after is not worth nothing.
    let untold = share.max(policy.late_half_life_min_ms as f64);
    let half_life = if told { policy.late_told_factor * untold } else { untold };
    exp2(-(late_ms as f64) / half_life)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_due_at_once_still_has_its_hour() {
        assert_eq!(lateness_share(0, 3_600_000, false, &Promises::default()), 0.5);
        assert_eq!(lateness_share(-5, 0, true, &Promises::default()), 1.0);
    }
}
