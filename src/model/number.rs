//! Numbers as published: decimals with six places, held as whole millionths. Every decision on a score, a mass, a probability or
//! a severity compares these, never the unrounded number.

use std::fmt;

/// A decimal with six places, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(i64);

impl Micros {
    /// `millionths` / 1 000 000.
    pub const fn new(millionths: i64) -> Self {
        Self(millionths)
    }

    /// `x` to six places, round half even.
    ///
    /// # Panics
    /// In debug builds, if `x` is not finite.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "published numbers are far below 2^63 millionths; the cast saturates"
    )]
    pub fn round(x: f64) -> Self {
        debug_assert!(x.is_finite(), "{x} cannot be published");
        Self((x * 1e6).round_ties_even() as i64)
    }

    /// The whole millionths.
    pub const fn millionths(self) -> i64 {
        self.0
    }

    /// The nearest `f64`.
    pub const fn to_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl fmt::Display for Micros {
    /// A JSON number without exponent, with at least one and at most six decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) =
            (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        let digits = format!("{fraction:06}");
        let digits = digits.trim_end_matches('0');
        write!(f, "{sign}{whole}.{}", if digits.is_empty() { "0" } else { digits })
    }
}

impl fmt::Debug for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millionths_are_written_without_exponent() {
        let written: Vec<String> = [0.0, 0.36549, -0.000_001, 12.0, 1e-7, -1.5]
            .map(|x| Micros::round(x).to_string())
            .into();
        assert_eq!(written, ["0.0", "0.36549", "-0.000001", "12.0", "0.0", "-1.5"]);
    }
}
