//! Masses that halve with age, summed so exactly that the order of the additions never shows.
//!
//! Forward decay: instead of shrinking a sum as time passes, a mass enters it the larger the later it counts from, and a read
//! scales the whole back. In integers a sum is a group element: what was added can be taken back to the last bit, and two sums
//! of one half-life can be merged. Which half-life belongs to a mass is its owner's business, and must never change.
//!
//! Source: Cormode, Shkapenyuk, Srivastava, Xu, *Forward Decay*, ICDE 2009.

use serde::{Deserialize, Serialize};

use super::EventTime;
use super::number::{exp2, round_half_even};

/// Places a mass of the sum's own epoch is shifted up by: a mass up to this many half-lives older loses nothing.
const GUARD: i64 = 40;

/// 2^32: what one unit of mass is in a mantissa, at the start of an epoch.
const MANTISSA_ONE: f64 = 4_294_967_296.0;

/// 2^-72: what one unit of a sum is worth at the start of its epoch, 32 places of mantissa and 40 of guard down.
const UNIT: f64 = 1.0 / (1_u128 << 72) as f64;

/// The whole half-lives from the Unix epoch to `time`, and the part of the next, in [0, 1).
fn position(time: EventTime, half_life_ms: i64) -> (i64, f64) {
    let (ms, half_life) = (time.as_millis(), half_life_ms);
    (ms.div_euclid(half_life), ms.rem_euclid(half_life) as f64 / half_life as f64)
}

/// The epoch that `time` lies in, in half-lives since the Unix epoch, and `mass` as a whole number there:
/// `mass · 2^((t mod h)/h) · 2^32`, rounded half to even.
///
/// `mass` is at most 2^45, so that 2^9 of the greatest can be summed; evidence is at most 64, which leaves room for 2^48.
///
/// # Panics
/// If `half_life_ms` is 0.
pub fn mantissa(mass: f64, time: EventTime, half_life_ms: i64) -> (i64, i128) {
    let (epoch, part) = position(time, half_life_ms);
    (epoch, round_half_even(mass * exp2(part) * MANTISSA_ONE) as i128)
}

/// A time to read sums of one half-life at.
#[derive(Debug, Clone, Copy)]
struct ReadTime {
    epoch: i64,
    /// What one unit of a sum of this epoch is worth at the time.
    unit: f64,
}

impl ReadTime {
    fn new(at: EventTime, half_life_ms: i64) -> Self {
        let (epoch, part) = position(at, half_life_ms);
        Self { epoch, unit: UNIT * exp2(-part) }
    }
}

/// Half-lives a [`ReadTimes`] keeps: the default policy has no more of one score.
const HALF_LIVES: usize = 4;

/// A time to read sums of several half-lives at: each half-life is prepared once, when it is first asked for; of too many, some
/// are prepared again.
#[derive(Debug, Clone)]
pub struct ReadTimes {
    at: EventTime,
    /// By half-life in milliseconds.
    prepared: [Option<(i64, ReadTime)>; HALF_LIVES],
}

impl ReadTimes {
    /// To read at `at`.
    pub const fn new(at: EventTime) -> Self {
        Self { at, prepared: [None; HALF_LIVES] }
    }

    /// The time.
    pub const fn time(&self) -> EventTime {
        self.at
    }

    /// The mass of `sum`, which is of `half_life_ms`.
    ///
    /// # Panics
    /// If `half_life_ms` is 0.
    pub fn mass(&mut self, sum: &Accumulator, half_life_ms: i64) -> f64 {
        if sum.is_zero() { 0.0 } else { sum.read(self.of(half_life_ms)) }
    }

    fn of(&mut self, half_life_ms: i64) -> ReadTime {
        for place in &mut self.prepared {
            match place {
                Some((held, prepared)) if *held == half_life_ms => return *prepared,
                Some(_) => {}
                None => {
                    let (_, prepared) =
                        place.insert((half_life_ms, ReadTime::new(self.at, half_life_ms)));
                    return *prepared;
                }
            }
        }
        ReadTime::new(self.at, half_life_ms)
    }
}

/// A decayed sum of masses, of one half-life throughout.
///
/// Exact for every order of additions and retractions while none is 40 half-lives older than the latest; beyond that off by at
/// most 2^-72 each. Two sums that read the same need not be equal: the epoch remembers how late the latest addition was.
///
/// ```
/// # use goodfaith::model::{Accumulator, DAY_MS, EventTime};
/// let (half_life_ms, start) = (180 * DAY_MS, EventTime::from_millis(0));
/// let mut sum = Accumulator::default();
/// sum.add(3.0, start, half_life_ms);
/// assert_eq!(sum.mass(start.plus_days(360), half_life_ms), 0.75);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(into = "Packed", from = "Packed")]
pub struct Accumulator {
    /// The latest epoch of any addition, in half-lives since the Unix epoch; 0 before the first.
    epoch: i64,
    /// The masses, in 2^-72 at the start of the epoch: the upper half of the number, and the lower. An `i128` would be aligned to
    /// 16 bytes, and a customer has dozens of sums.
    high: i64,
    low: u64,
}

/// A sum as it rests. Most were never added to; of most others the units, without the zeros they end in, of which the guard alone
/// makes 40, fit a machine's word.
#[derive(Serialize, Deserialize)]
enum Packed {
    Empty,
    Short(i64, u8, u64),
    Long(i64, i128),
}

impl From<Accumulator> for Packed {
    fn from(sum: Accumulator) -> Self {
        if sum == Accumulator::default() {
            return Self::Empty;
        }
        let units = sum.units();
        let zeros = if units == 0 { 0 } else { units.trailing_zeros() };
        match u64::try_from(units >> zeros) {
            Ok(short) => Self::Short(sum.epoch, zeros as u8, short),
            Err(_) => Self::Long(sum.epoch, units),
        }
    }
}

impl From<Packed> for Accumulator {
    fn from(packed: Packed) -> Self {
        match packed {
            Packed::Empty => Self::default(),
            Packed::Short(epoch, zeros, short) => {
                Self::new(epoch, i128::from(short).checked_shl(zeros.into()).unwrap_or_default())
            }
            Packed::Long(epoch, units) => Self::new(epoch, units),
        }
    }
}

impl Accumulator {
    /// The sum that stands at `units` of 2^-72 in `epoch`, as [`Self::epoch`] and [`Self::units`] give them.
    pub const fn new(epoch: i64, units: i128) -> Self {
        Self { epoch, high: (units >> 64) as i64, low: units as u64 }
    }

    /// The epoch it stands in, in half-lives since the Unix epoch.
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The sum in units of 2^-72 at the start of its epoch.
    pub const fn units(&self) -> i128 {
        (self.high as i128) << 64 | self.low as i128
    }

    /// Adds `mass` that counts from `time`. For what goes against the firm the mass includes λ.
    pub fn add(&mut self, mass: f64, time: EventTime, half_life_ms: i64) {
        let (epoch, mantissa) = mantissa(mass, time, half_life_ms);
        self.add_mantissa(epoch, mantissa);
    }

    /// Takes back what [`Self::add`] with the same arguments added.
    pub fn retract(&mut self, mass: f64, time: EventTime, half_life_ms: i64) {
        let (epoch, mantissa) = mantissa(mass, time, half_life_ms);
        self.add_mantissa(epoch, -mantissa);
    }

    /// Adds a mass given as [`mantissa`] gives it.
    pub fn add_mantissa(&mut self, epoch: i64, mantissa: i128) {
        let latest = self.epoch.max(epoch);
        let addend = shifted(mantissa, latest.saturating_sub(epoch).saturating_sub(GUARD));
        *self = Self::new(latest, self.at_epoch(latest).saturating_add(addend));
    }

    /// Adds another sum of the same half-life.
    pub fn merge(&mut self, other: &Self) {
        let latest = self.epoch.max(other.epoch);
        *self = Self::new(latest, self.at_epoch(latest).saturating_add(other.at_epoch(latest)));
    }

    /// The mass at `at`, which should be no earlier than what was added: before that it reads as grown, not as unknown.
    pub fn mass(&self, at: EventTime, half_life_ms: i64) -> f64 {
        ReadTimes::new(at).mass(self, half_life_ms)
    }

    /// The mass at a time prepared once for many sums.
    fn read(&self, at: ReadTime) -> f64 {
        // Moved to the epoch of the read first, so that the epoch it stands in never shows.
        self.at_epoch(at.epoch) as f64 * at.unit
    }

    /// All that was added has been taken back, or nothing ever was.
    pub const fn is_zero(&self) -> bool {
        self.units() == 0
    }

    /// The units at the start of another epoch.
    fn at_epoch(&self, epoch: i64) -> i128 {
        shifted(self.units(), epoch.saturating_sub(self.epoch))
    }
}

/// `units · 2^-places`, rounded down: moving up goes no further than the width, and past the width 0 or -1 is left.
fn shifted(units: i128, places: i64) -> i128 {
    if places >= 0 {
        units >> places.min(127)
    } else {
        units.saturating_mul(1 << places.unsigned_abs().min(126))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DAY_MS;

    const HALF_LIFE_MS: i64 = 10 * DAY_MS;

    fn day(n: i64) -> EventTime {
        EventTime::from_millis(0).plus_days(n)
    }

    fn sum(masses: &[(f64, i64)]) -> Accumulator {
        let mut sum = Accumulator::default();
        for (mass, n) in masses {
            sum.add(*mass, day(*n), HALF_LIFE_MS);
        }
        sum
    }

    #[test]
    fn a_mass_halves_in_its_half_life() {
        let sum = sum(&[(8.0, 20_003)]);
        let masses = [20_003, 20_013, 20_033].map(|n| sum.mass(day(n), HALF_LIFE_MS));
        for (mass, expected) in masses.into_iter().zip([8.0, 4.0, 1.0]) {
            assert!((mass - expected).abs() < 1e-8, "{mass} is not {expected}");
        }
    }

    #[test]
    fn a_sum_stands_in_the_epoch_of_its_latest_addition() {
        assert_eq!(Accumulator::default().epoch(), 0);
        assert_eq!(sum(&[(1.0, 20_009), (1.0, 20_010), (1.0, 20_001)]).epoch(), 2001);
    }

    #[test]
    fn the_order_of_additions_does_not_show() {
        let (early, late) = (
            [(1.3, 20_003), (0.7, 20_391), (5.9, 20_111)],
            [(5.9, 20_111), (0.7, 20_391), (1.3, 20_003)],
        );
        assert_eq!(sum(&early), sum(&late));
    }

    #[test]
    fn what_is_retracted_was_never_there() {
        let mut sum = sum(&[(1.3, 20_003)]);
        let before = sum.mass(day(20_500), HALF_LIFE_MS);
        sum.add(7.7, day(20_391), HALF_LIFE_MS);
        sum.retract(7.7, day(20_391), HALF_LIFE_MS);
        assert_eq!(sum.mass(day(20_500), HALF_LIFE_MS), before);
        sum.retract(1.3, day(20_003), HALF_LIFE_MS);
        assert!(sum.is_zero());
    }

    #[test]
    fn an_addition_past_the_width_leaves_nothing_to_panic_about() {
        let mut sum = sum(&[(64.0, 70_000)]);
        let before = sum;
        sum.add(64.0, day(0), HALF_LIFE_MS);
        assert_eq!(sum, before, "7000 half-lives leave nothing");
        sum.retract(64.0, day(0), HALF_LIFE_MS);
        assert_eq!(sum.units(), before.units() - 1, "the floor of what is below nothing");
        assert_eq!(sum.mass(EventTime::from_millis(i64::MAX), 1), 0.0);
    }

    #[test]
    fn more_half_lives_than_are_kept_read_no_other_way() {
        let sum = sum(&[(1.3, 20_003)]);
        let mut times = ReadTimes::new(day(20_391));
        for half_life_days in (10..20).chain(10..20) {
            let half_life_ms = half_life_days * DAY_MS;
            assert_eq!(times.mass(&sum, half_life_ms), sum.mass(day(20_391), half_life_ms));
        }
    }

    #[test]
    fn a_read_before_the_latest_addition_is_finite() {
        let sum = sum(&[(1.0, 70_000)]);
        assert!((sum.mass(day(69_990), HALF_LIFE_MS) - 2.0).abs() < 1e-9);
        assert!(sum.mass(day(0), HALF_LIFE_MS).is_finite());
    }

    #[test]
    fn the_square_of_the_greatest_bill_fits() {
        let mut sum = Accumulator::default();
        for _ in 0..500 {
            sum.add(5e6 * 5e6, day(20_009), HALF_LIFE_MS);
        }
        let mass = sum.mass(day(20_009), HALF_LIFE_MS);
        assert!((mass / 500.0 / 2.5e13 - 1.0).abs() < 1e-12, "{mass}");
    }
}
