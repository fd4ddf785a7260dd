//! The functions a mapping has besides those of CEL's standard library and its string, list and math extensions.
//!
//! Each is pure. None repeats its argument in an error: a message goes to a terminal or a log, and rows hold personal data.

use cel::common::types::{CelInt, CelNull, CelString, DYN_TYPE, INT_TYPE, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError, extensions};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::row::map_of;
use crate::model::EventTime;

/// What every mapping is compiled for and evaluated in.
///
/// # Panics
///
/// If a function is declared twice, which the tests would show.
pub(super) fn environment() -> Env {
    let mut env = Env::stdlib();
    let declared = [extensions::strings, extensions::lists, extensions::math, own]
        .into_iter()
        .try_for_each(|extension| env.add_extension(extension));
    declared.expect("each function is declared once");
    env
}

/// The names suggested for a misspelt function: ours, and the standard ones most used.
pub(super) const NAMES: &[&str] = &[
    "parse_time",
    "add_days",
    "add_months",
    "minor",
    "money",
    "div_round",
    "int",
    "double",
    "string",
    "bool",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "has",
    "map",
    "filter",
    "all",
    "exists",
    "join",
    "split",
    "replace",
    "substring",
    "trim",
    "lowerAscii",
    "upperAscii",
    "indexOf",
    "format",
    "lists.range",
    "math.abs",
    "math.greatest",
    "math.least",
];

fn own(env: &mut Env) -> Result<(), DeclarationError> {
    let text = STRING_TYPE;
    env.add_overload("parse_time", "parse_time", vec![DYN_TYPE, text, STRING_TYPE], |args| {
        or_null(args, |args| {
            let [text, format, zone] = args else {
                return Err("wants a text, a format and a zone");
            };
            parse_time(as_text(text)?, as_text(format)?, as_text(zone)?).map(time)
        })
        .map_err(|reason| ExecutionError::function_error("parse_time", reason))
    })?;
    env.add_overload("add_days", "add_days", vec![DYN_TYPE, INT_TYPE], |args| {
        or_null(args, |args| shift(args, |start, n| Some(start.plus_days(n))))
            .map_err(|reason| ExecutionError::function_error("add_days", reason))
    })?;
    env.add_overload("add_months", "add_months", vec![DYN_TYPE, INT_TYPE], |args| {
        or_null(args, |args| shift(args, |start, n| Some(start.plus_months(n.try_into().ok()?))))
            .map_err(|reason| ExecutionError::function_error("add_months", reason))
    })?;
    env.add_overload("minor", "minor", vec![DYN_TYPE], |args| {
        or_null(args, |args| minor_of(args.first(), 2))
            .map_err(|reason| ExecutionError::function_error("minor", reason))
    })?;
    env.add_overload("minor", "minor_digits", vec![DYN_TYPE, INT_TYPE], |args| {
        or_null(args, |args| {
            let digits =
                args.get(1).and_then(as_int).and_then(|digits| usize::try_from(digits).ok());
            minor_of(args.first(), digits.ok_or("wants a number of digits, not below 0")?)
        })
        .map_err(|reason| ExecutionError::function_error("minor", reason))
    })?;
    env.add_overload("money", "money", vec![DYN_TYPE, STRING_TYPE], |args| {
        or_null(args, money).map_err(|reason| ExecutionError::function_error("money", reason))
    })?;
    env.add_overload("div_round", "div_round", vec![INT_TYPE, INT_TYPE], |args| {
        or_null(args, |args| {
            let [Some(n), Some(d)] = [args.first(), args.get(1)].map(|arg| arg.and_then(as_int))
            else {
                return Err("wants two ints");
            };
            div_round(n, d).map(int).ok_or("divides by zero, or is out of range")
        })
        .map_err(|reason| ExecutionError::function_error("div_round", reason))
    })
}

type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, &'static str>;

/// Calls `f`, unless the first argument is null: then the result is null too, so that a missing field stays missing.
fn or_null<'b, 'v>(
    args: Vec<CowVal<'b, 'v>>,
    f: impl FnOnce(&[CowVal<'b, 'v>]) -> Outcome<'b, 'v>,
) -> Outcome<'b, 'v> {
    let is_null = args.first().is_some_and(|arg| arg.downcast_ref::<CelNull>().is_some());
    if is_null { Ok(CowVal::owned(CelNull)) } else { f(&args) }
}

fn as_text<'a>(arg: &'a CowVal<'_, '_>) -> Result<&'a str, &'static str> {
    arg.downcast_ref::<CelString<'_>>().map(CelString::inner).ok_or("wants a text")
}

fn as_int(arg: &CowVal<'_, '_>) -> Option<i64> {
    arg.downcast_ref::<CelInt>().map(|int| *int.inner())
}

fn int<'b, 'v>(value: i64) -> CowVal<'b, 'v> {
    CowVal::owned(CelInt::from(value))
}

fn time<'b, 'v>(value: EventTime) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(value.to_string()))
}

/// Reads `text` by a `strptime` format. An offset or a count of seconds in the text decides; else it is local time in `zone`, an
/// IANA name: an hour that comes twice is its first coming, one that is skipped moves on by the gap. A date alone is midnight.
fn parse_time(text: &str, format: &str, zone: &str) -> Result<EventTime, &'static str> {
    let parts = BrokenDownTime::parse(format, text).map_err(|_| "the text is not of the format")?;
    let timestamp = match parts.to_timestamp() {
        Ok(timestamp) => timestamp,
        Err(_) => {
            let zone = TimeZone::get(zone).map_err(|_| "the zone has no IANA name")?;
            let local = parts.to_datetime().map_err(|_| "the text names no day")?;
            zone.to_timestamp(local).map_err(|_| OUT_OF_RANGE)?
        }
    };
    in_range(EventTime::from_millis(timestamp.as_millisecond()))
}

const OUT_OF_RANGE: &str = "the time is before 1970, or after 2199";

fn in_range(time: EventTime) -> Result<EventTime, &'static str> {
    if EventTime::from_millis(0) <= time && time < EventTime::END {
        Ok(time)
    } else {
        Err(OUT_OF_RANGE)
    }
}

fn shift<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    by: impl FnOnce(EventTime, i64) -> Option<EventTime>,
) -> Outcome<'b, 'v> {
    let [start, n] = args else { return Err("wants a time and a number") };
    let start = EventTime::parse(as_text(start)?).ok_or("wants an RFC 3339 time")?;
    let n = as_int(n).ok_or("wants a whole number")?;
    in_range(by(start, n).ok_or(OUT_OF_RANGE)?).map(time)
}

fn minor_of<'b, 'v>(text: Option<&CowVal<'b, 'v>>, digits: usize) -> Outcome<'b, 'v> {
    let text = as_text(text.ok_or("wants a text")?)?;
    minor(text, digits)
        .map(int)
        .ok_or("the text is not a decimal amount with so few decimals, or out of range")
}

/// A decimal amount as minor units of `digits` decimals, exactly: `29.85` is 2985. `None` for anything else, an exponent, a
/// separator of thousands, more decimals than `digits` unless they are 0, or beyond `i64`.
fn minor(text: &str, digits: usize) -> Option<i64> {
    let text = text.trim();
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let (kept, rest) = decimals.split_at(decimals.len().min(digits));
    let is_decimal = !(whole.is_empty() && decimals.is_empty())
        && (whole.bytes().chain(kept.bytes())).all(|byte| byte.is_ascii_digit())
        && rest.bytes().all(|byte| byte == b'0');
    if !is_decimal || digits > 18 {
        return None;
    }
    let padding = std::iter::repeat_n(b'0', digits - kept.len());
    let units = (whole.bytes().chain(kept.bytes()).chain(padding))
        .try_fold(0_i64, |sum, byte| sum.checked_mul(10)?.checked_add(i64::from(byte - b'0')))?;
    Some(if is_negative { -units } else { units })
}

/// The event contract's money, of minor units and a currency.
fn money<'b, 'v>(args: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let [minor, currency] = args else { return Err("wants minor units and a currency") };
    let minor: Box<dyn Val + 'v> =
        Box::new(CelInt::from(as_int(minor).ok_or("wants minor units, an int")?));
    let currency: Box<dyn Val + 'v> = Box::new(CelString::from(as_text(currency)?.to_owned()));
    Ok(CowVal::owned(map_of([("minor", minor), ("currency", currency)])))
}

/// `n / d`, rounded half to even; `None` for d = 0 or out of range.
pub(super) fn div_round(n: i64, d: i64) -> Option<i64> {
    let (n, d) = if d < 0 { (n.checked_neg()?, d.checked_neg()?) } else { (n, d) };
    let (floor, rest) = (n.checked_div_euclid(d)?, n.checked_rem_euclid(d)?);
    let is_up = match rest.cmp(&(d - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => floor % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    if is_up { floor.checked_add(1) } else { Some(floor) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The value of an expression as it would be written, or its error.
    fn value(expression: &str) -> String {
        let env = Arc::new(environment());
        let program = env.compile(expression).unwrap();
        match program.execute(&cel::Context::with_env(env)) {
            Ok(cel::Value::String(text)) => text.to_string(),
            Ok(value) => format!("{value:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn times_are_read_in_their_zone() {
        for (text, format, zone, time) in [
            ("29/2/2016 01:16", "%d/%m/%Y %H:%M", "UTC", "2016-02-29T01:16:00.000Z"),
            (
                "2025-07-01 00:30:00",
                "%Y-%m-%d %H:%M:%S",
                "Europe/London",
                "2025-06-30T23:30:00.000Z",
            ),
            ("2025-07-01", "%Y-%m-%d", "UTC", "2025-07-01T00:00:00.000Z"),
            // An offset in the text decides.
            ("2025-07-01T00:00+0200", "%Y-%m-%dT%H:%M%z", "Asia/Tokyo", "2025-06-30T22:00:00.000Z"),
            ("1735689600", "%s", "Asia/Tokyo", "2025-01-01T00:00:00.000Z"),
            // An hour that comes twice is its first coming; one that never comes moves on.
            ("2025-10-26 01:30", "%Y-%m-%d %H:%M", "Europe/London", "2025-10-26T00:30:00.000Z"),
            ("2025-03-30 01:30", "%Y-%m-%d %H:%M", "Europe/London", "2025-03-30T01:30:00.000Z"),
        ] {
            assert_eq!(value(&format!("parse_time('{text}', '{format}', '{zone}')")), time);
        }
        for (text, format, zone, reason) in [
            ("30/2/2016", "%d/%m/%Y", "UTC", "names no day"),
            ("2016-02-29", "%d/%m/%Y", "UTC", "not of the format"),
            ("1/2/2016", "%d/%m/%Y", "Mars/Base", "no IANA name"),
            ("1/2/1916", "%d/%m/%Y", "UTC", "before 1970"),
        ] {
            let error = value(&format!("parse_time('{text}', '{format}', '{zone}')"));
            assert!(error.contains(reason) && !error.contains(text), "{error}");
        }
    }

    #[test]
    fn days_and_months_are_added_to_a_time() {
        assert_eq!(value("add_days('2024-02-28T10:00:00Z', 2)"), "2024-03-01T10:00:00.000Z");
        assert_eq!(value("add_months('2024-01-31T10:00:00Z', 1)"), "2024-02-29T10:00:00.000Z");
        assert_eq!(value("add_months('2024-01-31T00:00:00Z', -72)"), "2018-01-31T00:00:00.000Z");
        assert!(value("add_days('2024-02-28', 2)").contains("RFC 3339"));
        assert!(value("add_months('2024-01-31T00:00:00Z', 9999999999)").contains("2199"));
    }

    #[test]
    fn money_text_becomes_minor_units_exactly() {
        for (text, minor) in [
            ("29.85", "Int(2985)"),
            ("0.1", "Int(10)"),
            ("70", "Int(7000)"),
            (".5", "Int(50)"),
            ("-1.25", "Int(-125)"),
            (" 1889.500 ", "Int(188950)"),
            ("92233720368547758.07", "Int(9223372036854775807)"),
        ] {
            assert_eq!(value(&format!("minor('{text}')")), minor, "{text}");
        }
        for text in [
            "",
            " ",
            ".",
            "1.005",
            "1,000.00",
            "1e3",
            "+1",
            "--1",
            "1.2.3",
            "92233720368547758.08",
            "٣",
        ] {
            assert!(value(&format!("minor('{text}')")).contains("not a decimal"), "{text}");
        }
        assert_eq!(value("minor('500', 0)"), "Int(500)");
        assert_eq!(value("minor('1.234', 3)"), "Int(1234)");
        assert_eq!(value("money(minor('1.20'), 'GBP').minor"), "Int(120)");
    }

    #[test]
    fn null_in_is_null_out() {
        for call in [
            "parse_time(null, '%Y', 'UTC')",
            "add_days(null, 1)",
            "add_months(null, 1)",
            "minor(null)",
            "money(null, 'GBP')",
        ] {
            assert_eq!(value(call), "Null", "{call}");
        }
    }

    #[test]
    fn division_rounds_half_to_even() {
        for (n, d, result) in [
            (5, 2, 2),
            (7, 2, 4),
            (-5, 2, -2),
            (-7, 2, -4),
            (5, -2, -2),
            (10, 3, 3),
            (11, 3, 4),
            (0, 7, 0),
        ] {
            assert_eq!(div_round(n, d), Some(result), "{n}/{d}");
        }
        assert_eq!(div_round(1, 0), None);
        assert_eq!(div_round(i64::MIN, -1), None);
        assert_eq!(div_round(i64::MAX, 2), Some(1 << 62));
    }
}
