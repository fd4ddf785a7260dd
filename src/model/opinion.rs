//! What evidence for and against something lets one expect: the Beta distribution, read as an opinion.
//!
//! Where the evidence comes from and how it fades is not decided here; an opinion is what two masses say at one time.
//!
//! Source: Jøsang & Ismail, *The Beta Reputation System*, Bled 2002; Jøsang, *Subjective Logic*, Springer 2016.

use serde::{Deserialize, Serialize};

use super::decay::ReadTimes;
use super::interval::{beta_interval, incomplete_beta};
use super::{Accumulator, EventTime};

/// Belief, disbelief and uncertainty, together 1, from masses for and against.
///
/// ```
/// # use goodfaith::model::Opinion;
/// let opinion = Opinion::new(8.0, 2.0, 0.5, 2.0);
/// assert_eq!(opinion.expected(), 0.75);
/// assert_eq!((opinion.alpha(), opinion.beta()), (9.0, 3.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opinion {
    /// r: mass for.
    positive: f64,
    /// s: mass against, λ included.
    negative: f64,
    /// a, in (0, 1).
    base_rate: f64,
    /// W > 0.
    prior_weight: f64,
}

impl Opinion {
    /// The opinion that masses `r` for and `s` against support, each ≥ 0, where the base rate `base_rate` in (0, 1) counts as
    /// much as a mass of `prior_weight` > 0.
    pub const fn new(r: f64, s: f64, base_rate: f64, prior_weight: f64) -> Self {
        Self { positive: r, negative: s, base_rate, prior_weight }
    }

    /// r + s + W.
    const fn total(&self) -> f64 {
        self.positive + self.negative + self.prior_weight
    }

    /// r + s.
    pub const fn mass(&self) -> f64 {
        self.positive + self.negative
    }

    /// b = r / (r + s + W), in [0, 1).
    pub const fn belief(&self) -> f64 {
        self.positive / self.total()
    }

    /// d = s / (r + s + W), in [0, 1).
    pub const fn disbelief(&self) -> f64 {
        self.negative / self.total()
    }

    /// u = W / (r + s + W), in (0, 1].
    pub const fn uncertainty(&self) -> f64 {
        self.prior_weight / self.total()
    }

    /// E = (r + W·a) / (r + s + W), in (0, 1).
    pub const fn expected(&self) -> f64 {
        self.alpha() / self.total()
    }

    /// α = r + W·a, above 0.
    pub const fn alpha(&self) -> f64 {
        self.positive + self.prior_weight * self.base_rate
    }

    /// β = s + W·(1 − a), above 0.
    pub const fn beta(&self) -> f64 {
        self.negative + self.prior_weight * (1.0 - self.base_rate)
    }

    /// αβ / ((α + β)² (α + β + 1)).
    pub const fn variance(&self) -> f64 {
        let (alpha, beta) = (self.alpha(), self.beta());
        let sum = alpha + beta;
        alpha * beta / (sum * sum * (sum + 1.0))
    }

    /// The 90 % interval of the probability: low and high, in [0, 1].
    pub fn interval(&self) -> [f64; 2] {
        beta_interval(self.alpha(), self.beta())
    }

    /// How probable it is that the true probability lies below `theta`, in [0, 1].
    pub fn probability_below(&self, theta: f64) -> f64 {
        incomplete_beta(theta, self.alpha(), self.beta())
    }

    /// How many breaches of mass `delta` > 0 each the opinion takes before its expectation is down to `theta` > 0: 0 to 99.
    pub fn reserve(&self, theta: f64, delta: f64) -> f64 {
        ((self.alpha() / theta - (self.alpha() + self.beta())) / delta).clamp(0.0, 99.0)
    }
}

/// A customer's or a read-out's own opinion: two decayed sums of one half-life, without λ, on the neutral prior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct BetaPair {
    /// Mass for.
    pub r: Accumulator,
    /// Mass against.
    pub s: Accumulator,
}

impl BetaPair {
    /// a.
    pub const BASE_RATE: f64 = 0.5;

    /// W.
    pub const PRIOR_WEIGHT: f64 = 2.0;

    /// Adds `w` for, that counts from `time`.
    pub fn add_positive(&mut self, w: f64, time: EventTime, half_life_ms: i64) {
        self.r.add(w, time, half_life_ms);
    }

    /// Adds `w` against, that counts from `time`.
    pub fn add_negative(&mut self, w: f64, time: EventTime, half_life_ms: i64) {
        self.s.add(w, time, half_life_ms);
    }

    /// The opinion at the time of `times`.
    pub fn opinion(&self, times: &mut ReadTimes, half_life_ms: i64) -> Opinion {
        let (r, s) = (times.mass(&self.r, half_life_ms), times.mass(&self.s, half_life_ms));
        Opinion::new(r, s, Self::BASE_RATE, Self::PRIOR_WEIGHT)
    }

    /// E at `at`, in (0, 1).
    pub fn expected(&self, at: EventTime, half_life_ms: i64) -> f64 {
        self.opinion(&mut ReadTimes::new(at), half_life_ms).expected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DAY_MS;

    #[test]
    fn no_evidence_is_the_base_rate_and_wholly_uncertain() {
        let opinion = Opinion::new(0.0, 0.0, 0.3, 2.0);
        assert_eq!((opinion.expected(), opinion.uncertainty()), (0.3, 1.0));
    }

    #[test]
    fn a_pair_reads_as_the_worked_example_of_two_for_and_one_against() {
        let half_life_ms = 180 * DAY_MS;
        let day = |n| EventTime::from_millis(0).plus_days(n);
        let mut pair = BetaPair::default();
        pair.add_positive(1.0, day(0), half_life_ms);
        pair.add_positive(1.0, day(90), half_life_ms);
        pair.add_negative(2.0, day(120), half_life_ms);
        assert!((pair.expected(day(180), half_life_ms) - 0.460_341).abs() < 5e-7);
        let opinion = pair.opinion(&mut ReadTimes::new(day(180)), half_life_ms);
        assert!((opinion.mass() - 2.794_508).abs() < 1e-6);
    }
}
