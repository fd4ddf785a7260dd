//! Bands on T, with hysteresis.

use super::Micros;
use super::event::words;
use super::policy::Bands;

words! {
    /// Where T stands. Declared from the lowest to the highest, so that a better band compares greater.
    Band { /// Too little evidence.
        Insufficient = "insufficient", /// The lowest.
        Depleted = "depleted", /// Low.
        Strained = "strained", /// In the middle.
        Neutral = "neutral", /// High.
        Good = "good", /// The highest.
        Strong = "strong" }
}

impl Band {
    /// The band T lies in, without hysteresis; never [`Band::Insufficient`].
    pub fn of(score: Micros, policy: &Bands) -> Self {
        match score {
            _ if score >= policy.strong => Self::Strong,
            _ if score >= policy.good => Self::Good,
            _ if score >= policy.neutral => Self::Neutral,
            _ if score >= policy.strained => Self::Strained,
            _ => Self::Depleted,
        }
    }

    /// The band that follows `current`, the last published, at T = `score` and an evidence mass Σ n⁰ of `mass`.
    ///
    /// A band holds until T is a margin past its limit, so that a score on the edge does not flicker.
    pub fn next(current: Option<Self>, score: Micros, mass: Micros, policy: &Bands) -> Self {
        if mass < policy.evidence_min {
            return Self::Insufficient;
        }
        let Some(current) = current.filter(|band| *band != Self::Insufficient) else {
            return Self::of(score, policy);
        };
        let margin = policy.margin.millionths();
        let surely = Self::of(Micros::new(score.millionths() - margin), policy);
        let possibly = Self::of(Micros::new(score.millionths() + margin), policy);
        current.clamp(surely, possibly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_band_compares_greater() {
        let scores = [0, 350_000, 500_000, 650_000, 800_000]
            .map(|n| Band::of(Micros::new(n), &Bands::default()));
        assert!(scores.is_sorted_by(|worse, better| worse < better));
        assert!(scores.iter().all(|band| Band::Insufficient < *band));
    }
}
