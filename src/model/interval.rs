//! How far a probability may lie from its expectation: the Beta distribution's quantiles, tail and logarithmic moments.
//!
//! Only `libm` and + − × ÷ √ are used, so that every machine computes the same bits.

use super::number::{exp, ln};

/// The standard normal's 95 % quantile: what makes an interval of 90 %.
pub const Z_90: f64 = 1.644_853_626_951_472_2;

/// The 90 % interval of Beta(`alpha`, `beta`), both above 0: low and high, in [0, 1].
///
/// Paulson's approximation to quantiles of F, off by at most 0.01 for parameters of 1 and more. Below about ½ it says nothing
/// about a bound on that side, and below 1/9 nothing at all: then the bound is 0 or 1.
///
/// Source: E. Paulson, *An approximate normalization of the analysis of variance distribution*, 1942.
pub fn beta_interval(alpha: f64, beta: f64) -> [f64; 2] {
    // The quantiles of F at 5 % and 95 % are reciprocal when the parameters change places, so one bound gives the other.
    [low_bound(alpha, beta), 1.0 - low_bound(beta, alpha)]
}

/// The approximate 5 % quantile of Beta(`alpha`, `beta`), as the lesser root of Paulson's quadratic, rationalised so that
/// nothing is divided by the difference that vanishes at small `beta`.
fn low_bound(alpha: f64, beta: f64) -> f64 {
    let (p, q) = (1.0 / (9.0 * alpha), 1.0 / (9.0 * beta));
    let (a, b) = (1.0 - p, 1.0 - q);
    let product_of_roots = a * a - Z_90 * Z_90 * p;
    if a <= 0.0 || b <= 0.0 || product_of_roots <= 0.0 {
        return 0.0;
    }
    let root = (p * b * b + q * product_of_roots).sqrt();
    let w = product_of_roots / (a * b + Z_90 * root);
    let f = w * w * w;
    alpha * f / (alpha * f + beta)
}

/// How often the continued fraction is extended at most. It converges in some √max(α, β) terms, which stay far below.
const MAX_TERMS: u32 = 10_000;

/// I_x(`alpha`, `beta`): the share of Beta(`alpha`, `beta`), both above 0, that lies below `x`; in [0, 1].
///
/// Source: the continued fraction DLMF 8.17.22, evaluated by Lentz's method.
pub fn incomplete_beta(x: f64, alpha: f64, beta: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if 1.0 <= x {
        return 1.0;
    }
    // The fraction converges fast below the mean; above it, the other tail does.
    let share = if x < (alpha + 1.0) / (alpha + beta + 2.0) {
        lower_tail(x, alpha, beta)
    } else {
        1.0 - lower_tail(1.0 - x, beta, alpha)
    };
    share.clamp(0.0, 1.0)
}

fn lower_tail(x: f64, alpha: f64, beta: f64) -> f64 {
    let ln_beta = libm::lgamma(alpha) + libm::lgamma(beta) - libm::lgamma(alpha + beta);
    let front = exp(alpha * ln(x) + beta * libm::log1p(-x) - ln_beta) / alpha;
    front * continued_fraction(x, alpha, beta)
}

fn continued_fraction(x: f64, alpha: f64, beta: f64) -> f64 {
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (alpha + beta) * x / (alpha + 1.0));
    let mut value = d;
    for term in 1..=MAX_TERMS {
        let m = f64::from(term);
        let even = m * (beta - m) * x / ((alpha + 2.0 * m - 1.0) * (alpha + 2.0 * m));
        let odd =
            -(alpha + m) * (alpha + beta + m) * x / ((alpha + 2.0 * m) * (alpha + 2.0 * m + 1.0));
        let mut growth = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + coefficient * d);
            c = away_from_zero(1.0 + coefficient / c);
            growth = c * d;
            value *= growth;
        }
        if (growth - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// `x`, or something tiny where dividing by it would not do.
const fn away_from_zero(x: f64) -> f64 {
    if x.abs() < 1e-300 { 1e-300 } else { x }
}

/// From here on the asymptotic series of [`digamma`] and [`trigamma`] are right to 1e-13.
const ASYMPTOTIC: f64 = 10.0;

/// ψ(`x`), `x` > 0: the expectation of the logarithm of a Gamma variable.
pub fn digamma(x: f64) -> f64 {
    polygammas(x).0
}

/// ψ₁(`x`), `x` > 0: the derivative of [`digamma`].
pub fn trigamma(x: f64) -> f64 {
    polygammas(x).1
}

/// ψ(`x`) and ψ₁(`x`), `x` > 0: most of the work is the same.
///
/// Source: DLMF 5.5.2 and 5.11.2; 5.15.5 and 5.15.8.
pub fn polygammas(x: f64) -> (f64, f64) {
    let (mut x, mut shift, mut shift_1) = (x, 0.0, 0.0);
    while x < ASYMPTOTIC {
        shift -= 1.0 / x;
        shift_1 += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = y
        * (1.0 / 12.0
            - y * (1.0 / 120.0
                - y * (1.0 / 252.0
                    - y * (1.0 / 240.0 - y * (1.0 / 132.0 - y * 691.0 / 32_760.0)))));
    let series_1 = y
        * (1.0 / 6.0
            - y * (1.0 / 30.0
                - y * (1.0 / 42.0 - y * (1.0 / 30.0 - y * (5.0 / 66.0 - y * 691.0 / 2730.0)))));
    (shift + ln(x) - 0.5 / x - series, shift_1 + (1.0 + 0.5 / x + series_1) / x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_lies_within_0_and_1_for_any_prior() {
        for alpha in [1e-6, 0.01, 0.11, 0.3, 0.499, 0.5, 1.0, 7.0, 1e6] {
            for beta in [1e-6, 0.01, 0.11, 0.3, 0.499, 0.5, 1.0, 7.0, 1e6] {
                let [low, high] = beta_interval(alpha, beta);
                assert!(0.0 <= low && low <= high && high <= 1.0, "{alpha} {beta}: {low} {high}");
            }
        }
    }

    #[test]
    fn both_tails_are_the_whole() {
        for (x, alpha, beta) in [(0.35, 3.0, 9.0), (0.8, 0.2, 0.7), (0.5, 4000.0, 4100.0)] {
            let (below, above) =
                (incomplete_beta(x, alpha, beta), incomplete_beta(1.0 - x, beta, alpha));
            assert!((below + above - 1.0).abs() < 1e-12, "{below} + {above}");
        }
        assert_eq!((incomplete_beta(0.0, 1.0, 1.0), incomplete_beta(1.0, 1.0, 1.0)), (0.0, 1.0));
    }

    #[test]
    fn polygammas_keep_their_recurrences() {
        for x in [0.1, 1.0, 9.5, 10.0, 250.0] {
            assert!((digamma(x + 1.0) - digamma(x) - 1.0 / x).abs() < 1e-12, "{x}");
            assert!((trigamma(x) - trigamma(x + 1.0) - 1.0 / (x * x)).abs() < 1e-11, "{x}");
        }
    }
}
