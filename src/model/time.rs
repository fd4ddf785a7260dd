//! Event time: milliseconds since the Unix epoch, its text form, and the calendar rules the model needs. No clock is read here.

use std::fmt;

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

/// One day in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// When something happened: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
// Invariant: 0 <= ms < 2200-01-01 when it comes from an event; a deadline may lie past that.
pub struct EventTime(i64);

impl EventTime {
    /// 2200-01-01T00:00:00Z: event times are before it.
    pub const END: Self = Self(7_258_118_400_000);

    /// The time `ms` milliseconds after the epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This time moved by `ms` milliseconds, saturating.
    #[must_use]
    pub const fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This time moved by `days` days of 24 hours, saturating.
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        self.plus(days.saturating_mul(DAY_MS))
    }

    /// Milliseconds from `earlier` to this; negative if this is before it.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads RFC 3339 with any offset: digits beyond milliseconds are dropped; `None` unless 1970 ≤ year < 2200 in UTC, for a
    /// leap second, or for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_ascii(text.as_bytes())
    }

    fn parse_ascii(bytes: &[u8]) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| -> Option<i64> {
            let digits = bytes.get(range)?;
            digits
                .iter()
                .all(u8::is_ascii_digit)
                .then(|| digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
        };
        let is = |at: usize, any_of: &[u8]| bytes.get(at).is_some_and(|byte| any_of.contains(byte));
        let day = civil(number(0..4)?, number(5..7)?, number(8..10)?)?;
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        let separated =
            is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
        if !separated || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (millis, rest) = fraction(bytes.get(19..)?)?;
        let offset_minutes = match rest {
            b"Z" | b"z" => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
                if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) =>
            {
                let (hours, minutes) = (two_digits(*h1, *h2), two_digits(*m1, *m2));
                if hours > 23 || minutes > 59 {
                    return None;
                }
                (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
            }
            _ => return None,
        };
        let seconds =
            epoch_day(day) * 86_400 + hour * 3600 + (minute - offset_minutes) * 60 + second;
        let time = Self(seconds * 1000 + millis);
        (Self(0) <= time && time < Self::END).then_some(time)
    }

    /// Reads `YYYY-MM-DD` as midnight UTC; `None` unless 1970 ≤ year < 2200.
    pub fn parse_date(text: &str) -> Option<Self> {
        let mut midnight = *b"0000-00-00T00:00:00Z";
        *midnight.first_chunk_mut()? = *text.as_bytes().as_array::<10>()?;
        Self::parse_ascii(&midnight)
    }

    /// The calendar day this time falls on, UTC.
    pub fn date(self) -> Date {
        date_of(self.0.div_euclid(DAY_MS).clamp(-700_000, 2_900_000))
    }

    /// The time as published, `2025-01-01T00:00:00.000Z`, made without the formatting machinery: an output says it several times.
    pub fn text(self) -> TimeText {
        let (day, ms) = (self.date(), self.0.rem_euclid(DAY_MS));
        let (year, ms) = (day.year().unsigned_abs(), ms.unsigned_abs() as u32);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let pairs = [
            (0, u32::from(year) / 100 % 100),
            (2, u32::from(year) % 100),
            (5, day.month().unsigned_abs().into()),
            (8, day.day().unsigned_abs().into()),
            (11, ms / 3_600_000),
            (14, ms / 60_000 % 60),
            (17, ms / 1000 % 60),
            (20, ms % 1000 / 10),
        ];
        for (at, number) in pairs {
            text[at] = b'0' + (number / 10) as u8;
            text[at + 1] = b'0' + (number % 10) as u8;
        }
        text[22] = b'0' + (ms % 10) as u8;
        TimeText(text)
    }

    /// `n` business days later, or earlier if negative: whole days are added until `n` days that are Monday to Friday (UTC) and
    /// not in `holidays` have been entered; the time of day stays.
    #[must_use]
    pub fn plus_business_days(self, n: i32, holidays: &[Date]) -> Self {
        let (mut time, mut left) = (self, n.unsigned_abs());
        while left > 0 {
            time = time.plus_days(n.signum().into());
            let day = time.date();
            let is_weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
            if !is_weekend && !holidays.contains(&day) {
                left -= 1;
            }
        }
        time
    }

    /// `n` calendar months later, the day clamped to the month; the time of day stays.
    #[must_use]
    pub fn plus_months(self, n: i32) -> Self {
        let time_of_day = self.0.rem_euclid(DAY_MS);
        let day = self.date().saturating_add(jiff::Span::new().months(n.clamp(-12_000, 12_000)));
        Self(epoch_day(day) * DAY_MS + time_of_day)
    }
}

fn civil(year: i64, month: i64, day: i64) -> Option<Date> {
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Years begin in March here, so that the leap day ends one; the days of 400 years, and from the first of them to 1970-01-01.
const ERA_DAYS: i64 = 146_097;
const EPOCH_DAY: i64 = 719_468;

/// Days from 1970-01-01 to `day`.
///
/// Source: H. Hinnant, *chrono-Compatible Low-Level Date Algorithms*, `days_from_civil`.
fn epoch_day(day: Date) -> i64 {
    let (year, month) = (i64::from(day.year()), i64::from(day.month()));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + i64::from(day.day()) - 1;
    era * ERA_DAYS + year * 365 + year / 4 - year / 100 + day_of_year - EPOCH_DAY
}

/// The day that is `days` days after 1970-01-01.
///
/// Source: as [`epoch_day`], `civil_from_days`.
///
/// # Panics
/// If its year has not at most four digits.
fn date_of(days: i64) -> Date {
    let days = days + EPOCH_DAY;
    let (era, days) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (days - days / 1460 + days / 36_524 - days / 146_096) / 365;
    let day_of_year = days - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    civil(year + era * 400, month, day).expect("four digits of a year")
}

const fn two_digits(tens: u8, ones: u8) -> i64 {
    (tens - b'0') as i64 * 10 + (ones - b'0') as i64
}

/// Splits off `.digits`, keeping milliseconds; `None` if there is a point without digits.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', rest)) = bytes.split_first() else { return Some((0, bytes)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at(length);
    let at = |i: usize| digits.get(i).map_or(0, |d| i64::from(d - b'0'));
    (length > 0).then(|| (at(0) * 100 + at(1) * 10 + at(2), rest))
}

/// The text of an [`EventTime`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeText([u8; 24]);

impl TimeText {
    /// The text in ASCII.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits are ASCII")
    }
}

impl fmt::Display for EventTime {
    /// As [`EventTime::text`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads an ISO 8601 duration with fixed units, `PnW` or `PnDTnHnMnS`, as milliseconds; `None` beyond 3660 days, for an empty
/// duration, a fraction, or any other unit.
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    let body = text.strip_prefix('P')?;
    let (days, clock) =
        body.split_once('T').map_or((body, None), |(days, clock)| (days, Some(clock)));
    if clock.is_some_and(str::is_empty) || body.is_empty() {
        return None;
    }
    let is_weeks = days.ends_with('W');
    if is_weeks && clock.is_some() {
        return None;
    }
    let day_units: &[(char, i64)] = if is_weeks { &[('W', 7 * DAY_MS)] } else { &[('D', DAY_MS)] };
    let clock_units = [('H', 3_600_000), ('M', 60_000), ('S', 1000)];
    let total = sum_units(days, day_units)?
        .checked_add(sum_units(clock.unwrap_or_default(), &clock_units)?)?;
    (total <= 3660 * DAY_MS).then_some(total)
}

/// Adds up `n` and unit pairs, each unit at most once and in the order given.
fn sum_units(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total = 0_i64;
    for (unit, ms) in units {
        let Some((number, rest)) = text.split_once(*unit) else { continue };
        if number.is_empty()
            || number.len() > 12
            || !number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(*ms)?)?;
        text = rest;
    }
    text.is_empty().then_some(total)
}

/// Months a bill covers, as an exact fraction (numerator, denominator): n if `end` is `start` plus n calendar months (the day
/// clamped to the month), else days · 4800/146097.
///
/// `start` and `end` are midnights UTC with `start < end`.
pub fn months_billed(start: EventTime, end: EventTime) -> (i64, i64) {
    let (from, to) = (start.date(), end.date());
    let months = (i64::from(to.year()) - i64::from(from.year())) * 12 + i64::from(to.month())
        - i64::from(from.month());
    for n in [months, months + 1] {
        if n >= 1 && i32::try_from(n).is_ok_and(|n| start.plus_months(n) == end) {
            return (n, 1);
        }
    }
    let (numerator, denominator) = (end.since(start) / DAY_MS * 4800, 146_097);
    let divisor = gcd(numerator, denominator);
    (numerator / divisor, denominator / divisor)
}

const fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn times_are_read_and_written_as_rfc_3339() {
        let published = |text: &str| EventTime::parse(text).map(|time| time.to_string());
        assert_eq!(
            published("2025-01-01T01:00:00.1239+01:00").as_deref(),
            Some("2025-01-01T00:00:00.123Z")
        );
        assert_eq!(published("1970-01-01t00:00:00z").as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(
            published("2199-12-31T23:59:59.999Z").as_deref(),
            Some("2199-12-31T23:59:59.999Z")
        );
        for text in [
            "",
            "2025-01-01",
            "2025-01-01T00:00:00",
            "2025-02-30T00:00:00Z",
            "2025-01-01T24:00:00Z",
            "2025-06-30T23:59:60Z",
            "2025-01-01T00:00:00.Z",
            "2025-01-01T00:00:00+1:00",
            "2025-01-01T00:00:00+24:00",
            "2200-01-01T00:00:00Z",
            "1970-01-01T00:00:00+00:01",
            "1969-12-31T23:59:59Z",
            "2025-1-01T00:00:00Z",
            "20250101T000000Z",
            "٢025-01-01T00:00:00Z",
        ] {
            assert_eq!(published(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_counted_as_the_calendar_library_counts_them() {
        for days in (-700_000..=2_900_000).step_by(61) {
            let day = date(1970, 1, 1).saturating_add(jiff::Span::new().days(days));
            assert_eq!((date_of(days), epoch_day(day)), (day, days));
            let time = EventTime(days * DAY_MS + 3_723_004);
            let text = format!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day());
            assert_eq!(time.to_string(), text + "T01:02:03.004Z");
        }
        for (ms, text) in
            [(i64::MIN, "0053-06-19T16:47:04.192Z"), (i64::MAX, "9909-12-07T07:12:55.807Z")]
        {
            assert_eq!(EventTime(ms).to_string(), text);
        }
    }

    #[test]
    fn durations_have_fixed_units_in_order() {
        for (text, ms) in
            [("PT0S", 0), ("P4W", 28 * DAY_MS), ("P1DT2H3M4S", 93_784_000), ("PT90M", 5_400_000)]
        {
            assert_eq!(parse_duration_ms(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "P",
            "PT",
            "P1DT",
            "P1M",
            "PT1S1H",
            "P1W1D",
            "P1.5D",
            "PT-1S",
            "P3661D",
            "P1WT1H",
            "P99999999999999D",
        ] {
            assert_eq!(parse_duration_ms(text), None, "{text}");
        }
    }
}
