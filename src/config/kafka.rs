//! The section `[kafka]`, checked: ranges, durations, topic names, and the client properties that are not for a user to set.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::raw::{RawDelivery, RawEncoding, RawGroupProtocol, RawKafka, RawProperty};
use super::{Invalid, invalid};
use crate::kafka::{Delivery, Error, GroupProtocol, KafkaSettings, Limits};
use crate::wire::Encoding;

/// The most worker threads: beyond it, more machines help more than more threads.
const MAX_WORKERS: usize = 256;
/// The most partitions of a topic we create.
const MAX_PARTITIONS: i32 = 10_000;
/// The broker's own default.
const REPLICATION_BY_BROKER: i32 = -1;

/// The checked form of the section.
pub(super) fn settings(
    raw: &RawKafka,
    limits: Limits,
    folder: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<KafkaSettings, Invalid> {
    checked(KafkaSettings {
        bootstrap_servers: bootstrap_servers(raw)?,
        group_id: text("kafka.group_id", &raw.group_id)?,
        instance_id: raw
            .instance_id
            .as_deref()
            .map(|id| text("kafka.instance_id", id))
            .transpose()?,
        group_protocol: match raw.group_protocol {
            RawGroupProtocol::Classic => GroupProtocol::Classic,
            RawGroupProtocol::Consumer => GroupProtocol::Consumer,
        },
        prefix: topic_prefix(&raw.topic_prefix)?,
        workers: in_range("kafka.workers", raw.workers, 1, MAX_WORKERS)?,
        delivery: match raw.delivery {
            RawDelivery::ExactlyOnce => Delivery::ExactlyOnce,
            RawDelivery::AtLeastOnce => Delivery::AtLeastOnce,
        },
        commit_interval: duration("kafka.commit_interval", &raw.commit_interval, COMMIT_INTERVALS)?,
        encoding: match raw.encoding {
            RawEncoding::Protobuf => Encoding::BinaryProtobuf,
            RawEncoding::Json => Encoding::BinaryJson,
            RawEncoding::StructuredJson => Encoding::StructuredJson,
        },
        create_topics: raw.create_topics,
        partitions: in_range("kafka.partitions", raw.partitions, 1, MAX_PARTITIONS)?,
        replication_factor: match raw.replication_factor {
            None => REPLICATION_BY_BROKER,
            Some(copies) => in_range("kafka.replication_factor", copies, 1, i32::from(i16::MAX))?,
        },
        idle_after: match raw.idle_after.as_str() {
            NEVER => None,
            after => Some(duration("kafka.idle_after", after, IDLE_TIMES)?),
        },
        ticks_without_traffic: raw.ticks_without_traffic,
        limits,
        properties: properties(&raw.properties.0, folder, environment)?,
    })
}

fn bootstrap_servers(raw: &RawKafka) -> Result<String, Invalid> {
    match raw.bootstrap_servers.as_deref().map(str::trim) {
        None | Some("") => {
            invalid("kafka.bootstrap_servers", "is required, for example \"127.0.0.1:9092\"")
        }
        Some(servers) => Ok(servers.to_owned()),
    }
}

fn text(key: &str, value: &str) -> Result<String, Invalid> {
    if value.is_empty() { invalid(key, "is empty") } else { Ok(value.to_owned()) }
}

/// The start of a topic's name: Kafka allows these characters, and 249 of them with what we append.
fn topic_prefix(prefix: &str) -> Result<String, Invalid> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !prefix.is_empty() && prefix.len() <= 200 && prefix.chars().all(is_legal) {
        Ok(prefix.to_owned())
    } else {
        invalid("kafka.topic_prefix", "must be 1 to 200 letters, digits, `.`, `_` or `-`")
    }
}

pub(super) fn in_range<T: PartialOrd + fmt::Display>(
    key: &str,
    value: T,
    low: T,
    high: T,
) -> Result<T, Invalid> {
    if low <= value && value <= high {
        Ok(value)
    } else {
        invalid(key, format_args!("{value} is out of range: from {low} to {high}"))
    }
}

/// What a duration may be: shortest and longest, and how to write them.
pub(super) type Durations = (Duration, Duration, &'static str);

/// The longest lies well below the transaction timeout of 10 s.
const COMMIT_INTERVALS: Durations = (Duration::from_millis(1), Duration::from_secs(5), "1ms to 5s");
const IDLE_TIMES: Durations =
    (Duration::from_secs(60), Duration::from_secs(30 * 86_400), "1m to 30d, or \"never\"");
/// Turns ticks off.
const NEVER: &str = "never";

pub(super) fn duration(
    key: &str,
    text: &str,
    (low, high, range): Durations,
) -> Result<Duration, Invalid> {
    let Some(duration) = parse_duration(text) else {
        return invalid(
            key,
            format_args!(
                "`{text}` is not a duration: a number and ms, s, m, h or d, as in \"100ms\" or \"90d\""
            ),
        );
    };
    if low <= duration && duration <= high {
        Ok(duration)
    } else {
        invalid(key, format_args!("{text} is out of range: from {range}"))
    }
}

/// Reads a whole number and its unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit_ms = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms).map(Duration::from_millis)
}

/// Client properties that have a key of their own.
const OWN_KEYS: [(&str, &str); 5] = [
    ("bootstrap.servers", "bootstrap_servers"),
    ("group.id", "group_id"),
    ("group.instance.id", "instance_id"),
    ("group.protocol", "group_protocol"),
    ("metadata.broker.list", "bootstrap_servers"),
];

/// Whether the service can be run with them. What it refuses, it refuses without naming a value.
fn checked(settings: KafkaSettings) -> Result<KafkaSettings, Invalid> {
    let Err(error) = settings.check() else { return Ok(settings) };
    Err(match error {
        Error::ReservedProperty { key } => {
            let own = OWN_KEYS.iter().find(|(property, _own)| *property == key);
            let problem = own.map_or_else(
                || "is not for you to set: the service sets it itself".to_owned(),
                |(_property, own)| format!("has a key of its own: set kafka.{own}"),
            );
            about_property(&key, problem)
        }
        Error::Property { key, reason } => about_property(&key, reason),
        Error::Setting { key, expected } => Invalid {
            key: vec!["kafka".to_owned(), key.to_owned()],
            problem: format!("must be {expected}"),
        },
        error => Invalid { key: vec!["kafka".to_owned()], problem: error.to_string() },
    })
}

fn about_property(name: &str, problem: String) -> Invalid {
    Invalid { key: ["kafka", "properties", name].map(str::to_owned).into(), problem }
}

/// The properties with their secrets read.
fn properties(
    raw: &BTreeMap<String, RawProperty>,
    folder: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Invalid> {
    let property = |(name, value): (&String, &RawProperty)| {
        let value =
            value.resolve(folder, environment).map_err(|problem| about_property(name, problem))?;
        Ok((name.clone(), value))
    };
    raw.iter().map(property).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, ms) in [
            ("100ms", 100),
            ("5s", 5_000),
            ("15m", 900_000),
            ("2h", 7_200_000),
            ("90d", 7_776_000_000),
            ("5 s", 5_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "s",
            "100",
            "1.5s",
            "-1s",
            "1w",
            "1 min",
            "99999999999999999999d",
            "9999999999999999d",
            "é",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
