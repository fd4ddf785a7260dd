//! Bands on T, with hysteresis.

use super::Micros;
use super::event::words;

words! {
    /// Where T stands. Declared from the lowest to the highest, so that a better band compares greater.
    Band { /// Too little evidence.
        Insufficient = "insufficient", /// Below .35.
        Depleted = "depleted", /// From .35.
        Strained = "strained", /// From .50.
        Neutral = "neutral", /// From .65.
        Good = "good", /// From .80.
        Strong = "strong" }
}

/// Evidence mass below which there is no band to speak of.
const ENOUGH: Micros = Micros::new(3_000_000);

/// How far past a limit T must go before the band follows.
const SLACK: i64 = 20_000;

impl Band {
    /// The band T lies in, without hysteresis; never [`Band::Insufficient`].
    pub const fn of(score: Micros) -> Self {
        match score.millionths() {
            800_000.. => Self::Strong,
            650_000.. => Self::Good,
            500_000.. => Self::Neutral,
            350_000.. => Self::Strained,
            _ => Self::Depleted,
        }
    }

    /// The band that follows `current`, the last published, at T = `score` and an evidence mass Σ n⁰ of `mass`.
    ///
    /// A band holds until T is .02 past its limit, so that a score on the edge does not flicker.
    pub fn next(current: Option<Self>, score: Micros, mass: Micros) -> Self {
        if mass < ENOUGH {
            return Self::Insufficient;
        }
        let Some(current) = current.filter(|band| *band != Self::Insufficient) else {
            return Self::of(score);
        };
        let surely = Self::of(Micros::new(score.millionths() - SLACK));
        let possibly = Self::of(Micros::new(score.millionths() + SLACK));
        current.clamp(surely, possibly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_band_compares_greater() {
        let scores = [0, 350_000, 500_000, 650_000, 800_000].map(|n| Band::of(Micros::new(n)));
        assert!(scores.is_sorted_by(|worse, better| worse < better));
        assert!(scores.iter().all(|band| Band::Insufficient < *band));
    }
}
