//! The sections `[stops]` and `[limits]`, checked.

use super::kafka::in_range;
use super::raw::{RawLimits, RawStops};
use super::{Invalid, invalid};
use crate::kafka::{DeadLetterLimit, Limits};

/// Fewest and most records a share is taken of: fewer say nothing, and of more than this a partition remembers too much.
const WINDOWS: (u64, u64) = (100, 1_000_000);
/// Less is no memory to score with.
const LEAST_STATE_BYTES: u64 = 1 << 20;

/// The checked form of both.
pub(super) fn limits(stops: &RawStops, limits: &RawLimits) -> Result<Limits, Invalid> {
    let share = stops.dead_letter_share;
    if !(0.0 < share && share <= 1.0) {
        let problem = format!("{share} is out of range: above 0, and at most 1, which never stops");
        return invalid("stops.dead_letter_share", problem);
    }
    let (fewest, most) = WINDOWS;
    let window = in_range("stops.dead_letter_window", stops.dead_letter_window, fewest, most)?;
    let state_bytes = limits.state_bytes.as_deref().map(state_bytes).transpose()?;
    Ok(Limits { dead_letters: DeadLetterLimit { share, window }, state_bytes })
}

fn state_bytes(text: &str) -> Result<u64, Invalid> {
    match parse_size(text) {
        Some(bytes) if LEAST_STATE_BYTES <= bytes => Ok(bytes),
        Some(_) => invalid("limits.state_bytes", format!("{text} is out of range: at least 1MiB")),
        None => invalid(
            "limits.state_bytes",
            format!("`{text}` is not a size: a number and MiB or GiB, as in \"16GiB\""),
        ),
    }
}

/// Reads a whole number and its unit.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit: u64 = match unit.trim_start() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_whole_number_and_a_unit() {
        for (text, bytes) in [("512MiB", 512 << 20), ("16GiB", 16 << 30), ("2048 KiB", 2 << 20)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "16", "GiB", "1.5GiB", "-1GiB", "16GB", "99999999999999999999GiB", "é"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    /// What is wrong with these settings.
    fn refused(share: f64, window: u64, size: &str) -> String {
        let stops = RawStops { dead_letter_share: share, dead_letter_window: window };
        let raw = RawLimits { state_bytes: Some(size.to_owned()) };
        let invalid = limits(&stops, &raw).err();
        invalid.map_or_else(|| "fine".to_owned(), |invalid| invalid.key.join("."))
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_its_key() {
        assert_eq!(refused(0.01, 10_000, "1GiB"), "fine");
        assert_eq!(refused(1.0, 100, "1MiB"), "fine");
        for share in [0.0, -0.1, 1.1, f64::NAN] {
            assert_eq!(refused(share, 10_000, "1GiB"), "stops.dead_letter_share");
        }
        assert_eq!(refused(0.01, 99, "1GiB"), "stops.dead_letter_window");
        assert_eq!(refused(0.01, 10_000, "1KiB"), "limits.state_bytes");
        assert_eq!(refused(0.01, 10_000, "much"), "limits.state_bytes");
    }
}
