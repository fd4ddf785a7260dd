//! Numbers: decimals as published, the transcendental functions behind them, and exact division.
//!
//! A published decimal has six places and is held as whole millionths; every decision on a score, a mass, a probability or a
//! severity compares these, never the unrounded number. The functions come from one pinned release of `libm`, because those of
//! the platform differ in the last bit from one machine to the next, and a replayed score must be the same bits everywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 2^x.
pub fn exp2(x: f64) -> f64 {
    libm::exp2(x)
}

/// e^x.
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// The natural logarithm of `x` > 0.
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// The binary logarithm of `x` > 0.
pub fn log2(x: f64) -> f64 {
    libm::log2(x)
}

/// `x` to the nearest whole number, the even one of two equally near.
pub fn round_half_even(x: f64) -> f64 {
    // What is added leaves no bits for a fraction, so the sum is rounded as asked for: without the call of a function, which most
    // processors' own instruction would save, but not the one that is compiled for.
    const WHOLE: f64 = 6_755_399_441_055_744.0; // 2^52 + 2^51
    const END: f64 = 1_125_899_906_842_624.0; // 2^50
    if x.abs() < END { (x + WHOLE) - WHOLE } else { x.round_ties_even() }
}

/// The whole number nearest to `numerator / denominator`, the even one of two equally near.
///
/// # Panics
/// If `denominator` is not above 0.
pub const fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    assert!(0 < denominator, "a fraction needs a denominator above 0");
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let above_half = rest > denominator - rest;
    let is_half = rest == denominator - rest;
    if above_half || (is_half && floor % 2 != 0) { floor + 1 } else { floor }
}

/// A decimal with six places, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
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
        Self(round_half_even(x * 1e6) as i64)
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

/// A sign, 13 digits, the point and 6 digits: the longest text of a [`Micros`], in bytes.
const MICROS_BYTES_MAX: usize = 21;

/// The text of a [`Micros`]: a JSON number without exponent, with at least one and at most six decimals.
#[derive(Debug, Clone, Copy)]
pub struct MicrosText {
    // Invariant: ASCII from `start` on.
    bytes: [u8; MICROS_BYTES_MAX],
    start: usize,
}

impl Micros {
    /// Its text, made without the formatting machinery: a score change holds some ninety of them.
    pub fn text(self) -> MicrosText {
        let mut text = MicrosText { bytes: [0; MICROS_BYTES_MAX], start: MICROS_BYTES_MAX };
        let (mut whole, mut fraction) =
            (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        let mut places = 6;
        while places > 1 && fraction % 10 == 0 {
            (fraction, places) = (fraction / 10, places - 1);
        }
        for _ in 0..places {
            fraction = text.push_digit_of(fraction);
        }
        text.push(b'.');
        whole = text.push_digit_of(whole);
        while whole > 0 {
            whole = text.push_digit_of(whole);
        }
        if self.0 < 0 {
            text.push(b'-');
        }
        text
    }
}

impl MicrosText {
    /// The text in ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Puts the last digit of `number` before what is there, and gives the rest.
    fn push_digit_of(&mut self, number: u64) -> u64 {
        self.push(b'0' + (number % 10) as u8);
        number / 10
    }

    fn push(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[self.start] = byte;
    }
}

impl fmt::Display for Micros {
    /// As [`Micros::text`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(self.text().as_bytes()).expect("digits are ASCII"))
    }
}

impl fmt::Debug for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Packs a number by its bits, the last first: most weights are short binary fractions, whose last bits are zeros, so that three bytes
/// hold what would take eight. The bits are the same again.
pub mod short {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Packs `x`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(x.to_bits().swap_bytes())
    }

    /// Unpacks what [`serialize`] packed.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(|bits| f64::from_bits(bits.swap_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Short(#[serde(with = "short")] f64);

    #[test]
    fn a_short_fraction_takes_three_bytes_and_every_number_is_the_same_again() {
        for (x, length) in [(0.25, 3), (1.0, 3), (8.0, 3), (-0.0, 2), (0.1, 10), (f64::MAX, 10)] {
            let packed = postcard::to_allocvec(&Short(x)).unwrap();
            assert!(packed.len() <= length, "{x} takes {} bytes", packed.len());
            let Short(again) = postcard::from_bytes(&packed).unwrap();
            assert_eq!(again.to_bits(), x.to_bits());
        }
    }

    #[test]
    fn every_number_is_rounded_half_to_even() {
        for x in [0.5_f64, 1.5, 2.5, -0.5, -1.5, 0.499_999_999_999_999_94, 1e15 + 0.5, 2e15, 1e300]
        {
            for x in [x, x.next_down(), x.next_up(), -x, x / 3.0] {
                assert_eq!(round_half_even(x), x.round_ties_even(), "{x}");
            }
        }
        assert!(round_half_even(f64::NAN).is_nan());
    }

    #[test]
    fn millionths_are_written_without_exponent() {
        let written: Vec<String> = [0.0, 0.36549, -0.000_001, 12.0, 1e-7, -1.5]
            .map(|x| Micros::round(x).to_string())
            .into();
        assert_eq!(written, ["0.0", "0.36549", "-0.000001", "12.0", "0.0", "-1.5"]);
        let longest = [i64::MIN, i64::MAX].map(|millionths| Micros(millionths).to_string());
        assert_eq!(longest, ["-9223372036854.775808", "9223372036854.775807"]);
    }

    #[test]
    fn a_half_is_divided_to_the_even_side() {
        let halves = [-5, -3, -1, 1, 3, 5].map(|n| div_half_even(n, 2));
        assert_eq!(halves, [-2, -2, 0, 0, 2, 2]);
        assert_eq!([-7, -5, 5, 7].map(|n| div_half_even(n, 3)), [-2, -2, 2, 2]);
    }
}
