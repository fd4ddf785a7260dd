//! Why T is what it is, and why it moved: exact splits of a product into parts that add up.
//!
//! T is a weighted product of expectations; the logarithmic mean turns differences of its logarithm into differences of T
//! without any residual. Which parts there are is the business of the trust state.
//!
//! Source: Ang, *Decomposition analysis for policymaking in energy*, 2004 (LMDI).

use super::number::ln;
use super::{Dimension, Micros, Policy, TrustPoint};

/// L(x, y) = (x − y) / (ln x − ln y), and L(x, x) = x; `x` and `y` above 0, in either order.
pub fn logarithmic_mean(x: f64, y: f64) -> f64 {
    let (less, more) = if x < y { (x, y) } else { (y, x) };
    // Divided by the lesser, the difference is exact where the two are close, where the logarithms alone would cancel.
    let growth = (more - less) / less;
    if growth == 0.0 { less } else { (more - less) / libm::log1p(growth) }
}

/// g = ln(E/a) / (E − a), or 1/a where E = a: what a point of one dimension's expectation is worth in its logarithm.
pub fn g_factor(expected: f64, base_rate: f64) -> f64 {
    1.0 / logarithmic_mean(expected, base_rate)
}

/// Publishes terms, each at its place, such that they add up to `total` exactly: the largest by absolute value (the first of equals)
/// takes what rounding left, all others are rounded half to even.
pub fn apportion<'a>(terms: impl Iterator<Item = (f64, &'a mut Micros)>, total: Micros) {
    let mut rest = total.millionths();
    let mut largest: Option<(f64, &mut Micros)> = None;
    for (term, published) in terms {
        *published = Micros::round(term);
        rest -= published.millionths();
        if largest.as_ref().is_none_or(|(size, _)| *size < term.abs()) {
            largest = Some((term.abs(), published));
        }
    }
    if let Some((_, published)) = largest {
        *published = Micros::new(published.millionths() + rest);
    }
}

/// What moved T since it was `previous`ly published (0.5 before the first): eight numbers that add up to the published T of
/// `after` less `previous`.
///
/// First what moved in earlier steps, from `previous` to T `at_end_of_previous_step`; then what decay did from there to `before`,
/// this step's T ahead of its effect; then what the step's own evidence did in each dimension, in order, up to `after`.
pub fn change(
    previous: Micros,
    at_end_of_previous_step: f64,
    before: &TrustPoint,
    after: &TrustPoint,
    policy: &Policy,
) -> [Micros; 8] {
    let mut terms = [0.0; 8];
    terms[0] = at_end_of_previous_step - previous.to_f64();
    terms[1] = before.score - at_end_of_previous_step;
    let mean = logarithmic_mean(after.score, before.score);
    for dimension in Dimension::ALL.iter().copied() {
        let d = dimension as usize;
        let (from, to) = (before.expected[d], after.expected[d]);
        // What did not move adds nothing, and most did not: ln 1 is 0.
        if from != to {
            terms[2 + d] = mean * policy.dimensions[d].weight * ln(to / from);
        }
    }
    let total = Micros::round(after.score).millionths() - previous.millionths();
    let mut published = [Micros::default(); 8];
    apportion(terms.into_iter().zip(&mut published), Micros::new(total));
    published
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventTime;

    #[test]
    fn a_logarithmic_mean_lies_between_its_arguments_in_either_order() {
        for (x, y) in [(0.9, 1e-9), (0.5, 0.5 + 1e-15), (0.3, 0.300_001), (1e-3, 1.0)] {
            let mean = logarithmic_mean(x, y);
            assert_eq!(mean, logarithmic_mean(y, x));
            assert!(x.min(y) <= mean && mean <= x.max(y), "{x} {y}: {mean}");
        }
    }

    #[test]
    fn the_first_of_equals_takes_the_residue() {
        let mut published = [Micros::default(); 2];
        apportion([-0.5, 0.5].into_iter().zip(&mut published), Micros::new(1));
        assert_eq!(published, [Micros::new(-499_999), Micros::new(500_000)]);
    }

    #[test]
    fn a_change_is_split_as_in_the_worked_example() {
        let policy = Policy::default();
        let mut before = TrustPoint::new(
            EventTime::default(),
            [
                1.553_366_710_447,
                0.902_456_028_845,
                0.0,
                0.496_488_723_262,
                0.875_524_331_663,
                1.073_607_039_88,
            ],
            [1.784_619_412_57, 1.336_348_077_158, 3.804_030_139_16, 0.0, 0.0, 0.0],
            &policy,
        );
        let mut after = before.clone();
        (after.expected[Dimension::Care as usize], after.expected[Dimension::Fairness as usize]) =
            (0.7, 0.15);
        after.score = 0.423_330_4;
        before.score = 0.425_218_6;
        let change = change(Micros::new(425_219), before.score, &before, &after, &policy);
        assert_eq!(change[2 + Dimension::Care as usize], Micros::new(9_870));
        assert_eq!(change[2 + Dimension::Fairness as usize].millionths(), -11_759);
        assert_eq!(change.iter().map(|term| term.millionths()).sum::<i64>(), 423_330 - 425_219);
    }
}
