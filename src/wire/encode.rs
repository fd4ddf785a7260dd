//! Effects to Kafka records: CloudEvents in binary or structured mode, tombstones, dead letters.
//!
//! Which topic, key and headers a fact gets is said here; when and in what transaction it is produced is not. The causing record's
//! trace context is not copied yet.

use prost::Message as _;

use super::lines::{self, SOURCE};
use super::output_proto;
use super::record::{Encoding, OutRecord, RecordRef};
use crate::engine::{Action, Effect, Output, OutputBody, Rejection, SourcePosition, Stream};
use crate::model::squeeze::{Level, SqueezeState};

/// The topic partition an effect's records come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The events topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
}

/// One header to write.
type Headers = Vec<(String, Option<Vec<u8>>)>;

/// The records an effect asks for, in the order to produce them. `original` is the record that caused it: a dead letter keeps its
/// key, value and headers.
///
/// A squeeze is also the last word of its slot in `open-alerts`, null once resolved; an erasure is a tombstone wherever the last
/// value of a customer is kept.
pub fn encode(
    effect: &Effect,
    original: RecordRef<'_>,
    origin: Origin<'_>,
    encoding: Encoding,
) -> Vec<OutRecord> {
    let place = place(effect.source, origin);
    match &effect.action {
        Action::Publish(output) => publish(output, &place, encoding),
        Action::DeadLetter(rejection) => {
            vec![dead_letter(rejection, original, effect.source, origin, place)]
        }
    }
}

/// Where an output comes from: strictly increasing in each partition of each topic, so that a reader can prove loss or duplication.
fn place(source: SourcePosition, origin: Origin<'_>) -> String {
    let SourcePosition { offset, seq, ordinal } = source;
    format!("{}/{}/{offset}/{seq}/{ordinal}", origin.topic, origin.partition)
}

fn publish(output: &Output, place: &str, encoding: Encoding) -> Vec<OutRecord> {
    let customer = output.customer.as_bytes();
    let record = |topic, key: &[u8]| {
        let (headers, value) = message(output, place, encoding);
        OutRecord { topic, key: Some(key.to_vec()), value, headers }
    };
    match (&output.body, output.stream()) {
        (OutputBody::CustomerErased, _) => {
            vec![record("scores", customer), record("loyalty", customer)]
        }
        (OutputBody::Squeeze(alert), _) => {
            let mut latest = record("open-alerts", alert.dedup_key.as_bytes());
            if alert.state == SqueezeState::Resolved {
                latest.value = None;
                latest.headers.retain(|(name, _)| name != "content-type");
            }
            vec![record("alerts", customer), latest]
        }
        (_, Stream::Scores) => vec![record("scores", customer)],
        (_, Stream::Alerts) => vec![record("alerts", customer)],
        (_, Stream::Loyalty) => vec![record("loyalty", customer)],
        (_, Stream::Evidence) => vec![record("evidence", customer)],
    }
}

/// Headers and value of an output. An erasure has no value in any mode: null is a CloudEvent without data and a tombstone at once.
fn message(output: &Output, place: &str, encoding: Encoding) -> (Headers, Option<Vec<u8>>) {
    let is_tombstone = output.body == OutputBody::CustomerErased;
    if encoding == Encoding::StructuredJson && !is_tombstone {
        let headers =
            vec![header("content-type", "application/cloudevents+json"), header("gfsource", place)];
        return (headers, Some(lines::structured(output).into_bytes()));
    }
    let mut headers = envelope(output);
    let value = if is_tombstone {
        None
    } else if encoding == Encoding::BinaryProtobuf {
        headers.push(header("content-type", "application/protobuf"));
        output_proto::message(output).map(|message| message.encode_to_vec())
    } else {
        headers.push(header("content-type", "application/json"));
        Some(lines::data(output).into_bytes())
    };
    headers.push(header("gfsource", place));
    (headers, value)
}

/// The CloudEvents attributes as headers. Source: CloudEvents Kafka protocol binding 1.0.2, section 3.2.
fn envelope(output: &Output) -> Headers {
    let mut headers = vec![
        header("ce_specversion", "1.0"),
        header("ce_id", &output.id()),
        header("ce_source", SOURCE),
        header("ce_type", &lines::type_of(output)),
        header("ce_subject", &output.customer),
        header("ce_partitionkey", &output.customer),
        header("ce_time", &output.time.to_string()),
    ];
    if output.body != OutputBody::CustomerErased {
        headers.push(header("ce_sequence", &output.sequence.to_string()));
    }
    if let Some(causation_id) = &output.causation_id {
        headers.push(header("ce_causationid", causation_id));
    }
    if let OutputBody::Squeeze(alert) = &output.body {
        headers.push(header("ce_severity", severity(alert.level)));
    }
    headers
}

/// A level in PagerDuty's words, which alerting systems route by.
const fn severity(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Minor => "warning",
        Level::Major => "error",
        Level::Critical => "critical",
    }
}

/// The original bytes with the reason beside them, in our words and in those of KIP-1034.
fn dead_letter(
    rejection: &Rejection,
    original: RecordRef<'_>,
    source: SourcePosition,
    origin: Origin<'_>,
    place: String,
) -> OutRecord {
    let reason = rejection.reason.as_str();
    let message = rejection
        .detail
        .as_deref()
        .map_or_else(|| reason.to_owned(), |detail| format!("{reason}: {detail}"));
    let mut headers: Headers = original
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec)))
        .collect();
    headers.push(header("reason", reason));
    if let Some(detail) = &rejection.detail {
        headers.push(header("detail", detail));
    }
    headers.extend([
        header("__streams.errors.topic", origin.topic),
        header("__streams.errors.partition", &origin.partition.to_string()),
        header("__streams.errors.offset", &source.offset.to_string()),
        header("__streams.errors.exception", reason),
        header("__streams.errors.message", &message),
        header("gfsource", &place),
    ]);
    OutRecord {
        topic: "dead-letters",
        key: original.key.map(<[u8]>::to_vec),
        value: original.value.map(<[u8]>::to_vec),
        headers,
    }
}

fn header(name: &str, value: &str) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), Some(value.as_bytes().to_vec()))
}
