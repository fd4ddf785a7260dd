//! Which dead letters: by reason, time of arrival, and where they came from.

use std::fmt;
use std::ops::RangeInclusive;

use clap::Args;

use crate::cli::replay::time;
use crate::engine::Reason;
use crate::kafka::{StoredLetter, wall_ms};
use crate::model::EventTime;

/// Arguments that choose dead letters; all must hold.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Selection {
    /// Set aside for this reason; may be repeated
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub(super) reason: Vec<Reason>,
    /// Arrived at this time or later: RFC 3339, a date, or how long ago, as in 90m, 2h, 3d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) since: Option<EventTime>,
    /// Arrived before this time, written likewise
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) until: Option<EventTime>,
    /// Came from this partition of the events topic, and these offsets of it
    #[arg(long, value_name = "PARTITION[/FROM[-TO]]", value_parser = source)]
    pub(super) source: Option<Source>,
}

/// A part of the events topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    partition: i32,
    offsets: RangeInclusive<i64>,
}

fn reason(text: &str) -> Result<Reason, String> {
    let words = || Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ");
    Reason::from_word(text).ok_or_else(|| format!("no reason; there are {}", words()))
}

fn moment(text: &str) -> Result<EventTime, &'static str> {
    let ago = |ms| EventTime::from_millis(wall_ms().saturating_sub(ms));
    time(text).or_else(|_| {
        ago_ms(text).map(ago).ok_or("neither a time like 2025-01-31T12:00:00Z, nor a date, nor how long ago, as in 90m, 2h or 3d")
    })
}

/// Milliseconds of a whole number and its unit.
fn ago_ms(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| number.parse::<i64>().ok()?.checked_mul(unit_ms))?
}

fn source(text: &str) -> Result<Source, &'static str> {
    let read = || {
        let (partition, offsets) = match text.split_once('/') {
            None => (text, 0..=i64::MAX),
            Some((partition, offsets)) => match offsets.split_once('-') {
                None => (partition, offsets.parse().ok()?..=offsets.parse().ok()?),
                Some((from, to)) => (partition, from.parse().ok()?..=to.parse().ok()?),
            },
        };
        let partition = partition.parse().ok()?;
        let is_real = 0 <= partition && 0 <= *offsets.start() && offsets.start() <= offsets.end();
        is_real.then_some(Source { partition, offsets })
    };
    read().ok_or("neither a partition, as in 3, nor offsets of it, as in 3/17 or 3/17-40")
}

impl Selection {
    /// Whether a dead letter is chosen. What is no dead letter of ours has neither reason nor source.
    pub(super) fn takes(&self, stored: &StoredLetter<'_>) -> bool {
        let arrived = stored.arrived_ms.map(EventTime::from_millis);
        let letter = stored.letter.as_ref();
        let is_reason = self.reason.is_empty()
            || letter.is_some_and(|letter| self.reason.contains(&letter.reason));
        let is_source = self.source.as_ref().is_none_or(|source| {
            letter.is_some_and(|letter| {
                source.partition == letter.partition && source.offsets.contains(&letter.offset)
            })
        });
        let is_young = self.since.is_none_or(|since| arrived.is_some_and(|at| since <= at));
        let is_old = self.until.is_none_or(|until| arrived.is_some_and(|at| at < until));
        is_reason && is_source && is_young && is_old
    }
}

/// As arguments, times absolute: the same text, the same choice.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons = self.reason.clone();
        reasons.sort();
        reasons.dedup();
        let mut arguments: Vec<String> =
            reasons.into_iter().map(|reason| format!("--reason {reason}")).collect();
        arguments.extend(self.since.map(|since| format!("--since {since}")));
        arguments.extend(self.until.map(|until| format!("--until {until}")));
        arguments.extend(self.source.as_ref().map(|Source { partition, offsets }| {
            format!("--source {partition}/{}-{}", offsets.start(), offsets.end())
        }));
        f.write_str(&arguments.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::LetterPlace;
    use crate::wire::{DeadLetter, RecordRef};

    fn stored(reason: Option<Reason>) -> StoredLetter<'static> {
        let (topic, partition, offset) = ("goodfaith.events.v1", 3, 41);
        let letter = |reason| DeadLetter {
            reason,
            detail: None,
            topic,
            partition,
            offset,
            truncated: None,
            redrives: 0,
            original: &[],
        };
        StoredLetter {
            place: LetterPlace { partition: 0, offset: 7 },
            arrived_ms: Some(1_000),
            record: RecordRef { key: None, value: None, headers: &[], timestamp_ms: None },
            letter: reason.map(letter),
        }
    }

    fn takes(selection: &Selection) -> bool {
        selection.takes(&stored(Some(Reason::BadData)))
    }

    #[test]
    fn every_condition_must_hold() {
        let of = |text| Selection { source: Some(source(text).unwrap()), ..Selection::default() };
        let at = |since: Option<i64>, until: Option<i64>| Selection {
            since: since.map(EventTime::from_millis),
            until: until.map(EventTime::from_millis),
            ..Selection::default()
        };
        assert!(takes(&Selection::default()));
        for (text, is_taken) in
            [("3", true), ("2", false), ("3/41", true), ("3/40-41", true), ("3/42-50", false)]
        {
            assert_eq!(takes(&of(text)), is_taken, "{text}");
        }
        for (since, until, is_taken) in [
            (Some(1_000), None, true),
            (Some(1_001), None, false),
            (None, Some(1_000), false),
            (None, Some(1_001), true),
        ] {
            assert_eq!(takes(&at(since, until)), is_taken, "{since:?} {until:?}");
        }
        let late = Selection { reason: vec![Reason::TooLate], ..Selection::default() };
        assert!(!takes(&late));
        assert!(!late.takes(&stored(None)) && Selection::default().takes(&stored(None)));
    }

    #[test]
    fn the_same_choice_is_the_same_text() {
        let selection = |reasons: &[Reason]| Selection {
            reason: reasons.to_vec(),
            since: Some(EventTime::from_millis(0)),
            source: Some(source("3").unwrap()),
            until: None,
        };
        let text = selection(&[Reason::TooLate, Reason::BadData, Reason::BadData]).to_string();
        assert_eq!(text, selection(&[Reason::BadData, Reason::TooLate]).to_string());
        insta::assert_snapshot!(text, @"--reason bad_data --reason too_late --since 1970-01-01T00:00:00.000Z --source 3/0-9223372036854775807");
    }

    #[test]
    fn how_long_ago_is_a_whole_number_and_a_unit() {
        for (text, ms) in
            [("90m", 5_400_000), ("2h", 7_200_000), ("3d", 259_200_000), ("1s", 1_000)]
        {
            assert_eq!(ago_ms(text), Some(ms), "{text}");
        }
        for text in
            ["", "h", "-1h", "1.5h", "2w", "2é", "99999999999999999999d", "9999999999999999d"]
        {
            assert_eq!(ago_ms(text), None, "{text}");
        }
    }

    #[test]
    fn a_source_is_a_partition_and_offsets_of_it() {
        for text in ["", "x", "-1", "3/", "3/a", "3/9-8", "3/-1", "3/1-2-3"] {
            assert!(source(text).is_err(), "{text}");
        }
    }
}
