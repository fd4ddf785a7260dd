//! What a parameter is: its kind, its range, and the macro that declares a section of them. Each is one line of the table; the
//! struct field, the check of its range, its explanation and its place in the JSON Schema all come from that line.
//!
//! Which parameters there are stands in `table`, and how a file is read in `read`.

use std::fmt;

use crate::model::{DAY_MS, Micros};

/// The range a number must lie in, as a user reads it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The lower end itself is outside.
    pub is_above_low: bool,
    /// The upper end itself is outside.
    pub is_below_high: bool,
    /// Only whole numbers.
    pub is_whole: bool,
    /// What is counted, plural; empty for a plain number.
    pub unit: &'static str,
}

impl Range {
    const fn closed(low: f64, high: f64, unit: &'static str) -> Self {
        Self { low, high, is_above_low: false, is_below_high: false, is_whole: false, unit }
    }

    const fn above(low: f64, high: f64, unit: &'static str) -> Self {
        Self { is_above_low: true, ..Self::closed(low, high, unit) }
    }

    const fn whole(low: f64, high: f64, unit: &'static str) -> Self {
        Self { is_whole: true, ..Self::closed(low, high, unit) }
    }

    /// Does `x` lie in it? Never for what is no number.
    pub fn contains(&self, x: f64) -> bool {
        let is_past_low = if self.is_above_low { self.low < x } else { self.low <= x };
        let is_before_high = if self.is_below_high { x < self.high } else { x <= self.high };
        is_past_low && is_before_high && (!self.is_whole || x.fract() == 0.0)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, high, is_above_low, is_below_high, is_whole, unit } = *self;
        let high = if high < 1e9 { high.to_string() } else { format!("{high:e}") };
        let whole = if is_whole { "a whole number " } else { "" };
        match (is_above_low, is_below_high) {
            (true, true) => write!(f, "{whole}above {low} and below {high}"),
            (true, false) => write!(f, "{whole}above {low}, at most {high}"),
            (false, true) => write!(f, "{whole}from {low}, below {high}"),
            (false, false) => write!(f, "{whole}from {low} to {high}"),
        }?;
        if unit.is_empty() { Ok(()) } else { write!(f, " {unit}") }
    }
}

/// What one parameter is, apart from its value.
#[derive(Debug)]
pub(super) struct Parameter {
    /// Its key within the section.
    pub(super) key: &'static str,
    /// What it means, a part a line.
    pub(super) words: &'static [&'static str],
    /// What it may be.
    pub(super) range: Range,
    /// It is part of the stored masses.
    pub(super) is_stored: bool,
}

/// A kind of number: what it may be, and how it is held.
pub(super) trait Kind {
    /// How it is held.
    type Value: Copy;
    /// What may be written.
    const RANGE: Range;
    /// It is part of the stored masses, so it changes by a replay only.
    const IS_STORED: bool = false;
    /// The value of a number in the range.
    fn hold(written: f64) -> Self::Value;
    /// The number that was written.
    fn tell(value: Self::Value) -> f64;
}

/// Declares kinds: name, how it is held, range, and both conversions.
macro_rules! kinds {
    ($($(#[doc = $about:literal])+ $name:ident: $value:ty, $range:expr, $hold:expr, $tell:expr $(, stored = $stored:literal)?;)+) => {
        $($(#[doc = $about])+
        #[derive(Debug)]
        pub(super) enum $name {}

        impl Kind for $name {
            type Value = $value;
            const RANGE: Range = $range;
            $(const IS_STORED: bool = $stored;)?
            fn hold(written: f64) -> $value {
                let hold: fn(f64) -> $value = $hold;
                hold(written)
            }
            fn tell(value: $value) -> f64 {
                let tell: fn($value) -> f64 = $tell;
                tell(value)
            }
        })+
    };
}

kinds! {
    /// A share.
    Share: f64, Range::closed(0.0, 1.0, ""), |x| x, |x| x;
    /// A share that is neither nothing nor all.
    OpenShare: f64, Range { is_below_high: true, ..Range::above(0.0, 1.0, "") }, |x| x, |x| x;
    /// A weight, or what multiplies one.
    Factor: f64, Range::closed(0.0, 8.0, ""), |x| x, |x| x;
    /// What multiplies and never lessens.
    AtLeastOne: f64, Range::closed(1.0, 8.0, ""), |x| x, |x| x;
    /// λ, which is part of the stored masses.
    Lambda: f64, Range::closed(1.0, 8.0, ""), |x| x, |x| x, stored = true;
    /// A number that divides.
    Positive: f64, Range::above(0.0, 1e12, ""), |x| x, |x| x;
    /// An amount, before the currency's scale.
    Amount: f64, Range::closed(0.0, 1e12, "minor units"), |x| x, |x| x;
    /// A published probability or score, compared in millionths.
    Limit: Micros, Range::closed(0.0, 1.0, ""), Micros::round, Micros::to_f64;
    /// A published evidence mass, compared in millionths.
    Mass: Micros, Range::closed(0.0, 1000.0, ""), Micros::round, Micros::to_f64;
    /// A ratio of whole amounts, compared exactly, in millionths.
    Ratio: Micros, Range::closed(0.0, 100.0, ""), Micros::round, Micros::to_f64;
    /// A half-life, held in milliseconds.
    HalfLife: i64, Range::closed(1.0, 36_600.0, "days"), days_to_ms, ms_to_days, stored = true;
    /// A time, held in milliseconds.
    Days: i64, Range::above(0.0, 3660.0, "days"), days_to_ms, ms_to_days;
    /// The late horizon, held in milliseconds.
    LateDays: i64, Range::above(0.0, 400.0, "days"), days_to_ms, ms_to_days;
    /// A time, held in milliseconds.
    Hours: i64, Range::above(0.0, 8760.0, "hours"), |x| to_ms(x, DAY_MS / 24), |ms| from_ms(ms, DAY_MS / 24);
    /// A time, held in milliseconds.
    Minutes: i64, Range::closed(0.0, 1440.0, "minutes"), |x| to_ms(x, 60_000), |ms| from_ms(ms, 60_000);
    /// Whole days.
    WholeDays: i64, Range::whole(0.0, 3660.0, "days"), |x| to_ms(x, 1), |n| n as f64;
    /// Calendar months.
    Months: i32, Range::whole(0.0, 600.0, "months"), to_whole, f64::from;
    /// Monday to Friday, holidays left out.
    BusinessDays: i32, Range::whole(0.0, 260.0, "business days"), to_whole, f64::from;
    /// How many.
    Count: u32, Range::whole(1.0, 1000.0, ""), |x| to_whole(x).unsigned_abs(), f64::from;
}

/// How a kind is held, as a type that anyone may name.
macro_rules! held {
    (Limit) => {
        $crate::model::Micros
    };
    (Mass) => {
        $crate::model::Micros
    };
    (Ratio) => {
        $crate::model::Micros
    };
    (HalfLife) => {
        i64
    };
    (Days) => {
        i64
    };
    (LateDays) => {
        i64
    };
    (Hours) => {
        i64
    };
    (Minutes) => {
        i64
    };
    (WholeDays) => {
        i64
    };
    (Months) => {
        i32
    };
    (BusinessDays) => {
        i32
    };
    (Count) => {
        u32
    };
    ($number:ident) => {
        f64
    };
}

fn days_to_ms(days: f64) -> i64 {
    to_ms(days, DAY_MS)
}

fn ms_to_days(ms: i64) -> f64 {
    from_ms(ms, DAY_MS)
}

#[expect(clippy::cast_possible_truncation, reason = "at most 36600 days, so far within i64")]
fn to_ms(units: f64, unit_ms: i64) -> i64 {
    (units * unit_ms as f64).round_ties_even() as i64
}

fn from_ms(ms: i64, unit_ms: i64) -> f64 {
    ms as f64 / unit_ms as f64
}

#[expect(clippy::cast_possible_truncation, reason = "at most 1000")]
const fn to_whole(x: f64) -> i32 {
    x as i32
}

/// A section's numbers, by their place in its table.
pub(super) trait Section {
    /// What they are, in order.
    fn parameters(&self) -> &'static [Parameter];
    /// What they say, in order, as written.
    fn numbers(&self) -> Vec<f64>;
    /// Sets the number at a place of [`Self::parameters`] to one in its range.
    fn set(&mut self, place: usize, written: f64);
}

/// The key of a parameter: its field's name, unless it states another.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

/// Makes a struct a [`Section`].
macro_rules! section {
    ($name:ident { $($(#[doc = $words:literal])+ $field:ident $(as $key:literal)? : $kind:ident = $default:literal,)+ }) => {
        impl Section for $name {
            fn parameters(&self) -> &'static [Parameter] {
                const { &[$(Parameter {
                    key: key!($field $($key)?),
                    words: &[$($words),+],
                    range: <$kind as Kind>::RANGE,
                    is_stored: <$kind as Kind>::IS_STORED,
                }),+] }
            }

            fn numbers(&self) -> Vec<f64> {
                vec![$(<$kind as Kind>::tell(self.$field)),+]
            }

            fn set(&mut self, place: usize, written: f64) {
                let setters: &[fn(&mut Self, f64)] =
                    &[$(|section, x| section.$field = <$kind as Kind>::hold(x)),+];
                setters[place](self, written);
            }
        }
    };
}

/// Declares a section of the policy: each parameter with its words, its key where that is not the field's name, its kind and its
/// default as written in a file.
macro_rules! parameters {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $words:literal])+ $field:ident $(as $key:literal)? : $kind:ident = $default:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[doc = $words])+ pub $field: held!($kind),)+ }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: <$kind as Kind>::hold($default),)+ }
            }
        }

        section! { $name { $($(#[doc = $words])+ $field $(as $key)? : $kind = $default,)+ } }
    };
}

pub(super) use {held, key, parameters, section};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_what_it_contains() {
        for (range, inside, outside, words) in [
            (Share::RANGE, 1.0, 1.1, "from 0 to 1"),
            (OpenShare::RANGE, 0.5, 1.0, "above 0 and below 1"),
            (Positive::RANGE, 1.0, 0.0, "above 0, at most 1e12"),
            (WholeDays::RANGE, 3.0, 3.5, "a whole number from 0 to 3660 days"),
        ] {
            assert!(range.contains(inside) && !range.contains(outside), "{words}");
            assert!(!range.contains(f64::NAN), "{words}");
            assert_eq!(range.to_string(), words);
        }
    }

    #[test]
    fn what_is_held_tells_what_was_written() {
        assert_eq!(HalfLife::tell(HalfLife::hold(182.5)), 182.5);
        assert_eq!(Minutes::tell(Minutes::hold(5.0)), 5.0);
        assert_eq!(Limit::tell(Limit::hold(0.35)), 0.35);
        assert_eq!(Months::tell(Months::hold(36.0)), 36.0);
    }
}
