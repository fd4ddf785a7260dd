//! Effects to Kafka records: CloudEvents in binary or structured mode, tombstones, dead letters.
//!
//! Which topic, key and headers a fact gets is said here; when and in what transaction it is produced is not. The causing record's
//! trace context is not copied yet.

use prost::Message as _;

use super::lines::{self, SOURCE};
use super::organisation::part_line;
use super::output_proto;
use super::record::{Encoding, OutRecord, RecordRef};
use crate::engine::{
    Action, Effect, OrganisationPart, Output, OutputBody, Rejection, SourcePosition,
};
use crate::model::squeeze::{Level, SqueezeState};

/// The topic partition an effect's records come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The events topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// The fingerprint of the policy in force.
    pub policy: u64,
}

/// One header to write.
type Headers = Vec<(String, Option<Vec<u8>>)>;

/// The records an effect asks for, in the order to produce them. `original` is the record that caused it: a dead letter keeps its
/// key, value and headers.
///
/// A squeeze is also the last word of its slot in `open-alerts`, null once resolved; an erasure is null wherever the last value of
/// a customer is kept. What is null has its envelope in headers in every mode: a CloudEvent without data and a tombstone at once.
pub fn encode(
    effect: &Effect,
    original: RecordRef<'_>,
    origin: Origin<'_>,
    encoding: Encoding,
) -> Vec<OutRecord> {
    let rest = origins(effect.source, origin);
    match &effect.action {
        Action::Publish(output) => publish(output, &rest, encoding),
        Action::PublishPart(part) => vec![organisation_part(part, origin, rest)],
        Action::DeadLetter(rejection) => {
            vec![dead_letter(rejection, original, effect.source, origin, rest)]
        }
    }
}

/// What every record ends with: by which policy it came to be, and where from, which is strictly increasing in each partition of each
/// topic, so that a reader can prove loss or duplication.
fn origins(source: SourcePosition, origin: Origin<'_>) -> Headers {
    let SourcePosition { offset, seq, ordinal } = source;
    let place = format!("{}/{}/{offset}/{seq}/{ordinal}", origin.topic, origin.partition);
    vec![header("gfpolicy", &format!("{:016x}", origin.policy)), header("gfsource", &place)]
}

fn publish(output: &Output, rest: &Headers, encoding: Encoding) -> Vec<OutRecord> {
    let customer = output.customer.as_bytes();
    let said = |topic| {
        let (headers, value) = message(output, rest, encoding);
        OutRecord { topic, key: Some(customer.to_vec()), value: Some(value), headers }
    };
    let forgotten = |topic, key: &[u8]| {
        let headers = [envelope(output), rest.clone()].concat();
        OutRecord { topic, key: Some(key.to_vec()), value: None, headers }
    };
    match &output.body {
        OutputBody::CustomerErased { open_alerts } => {
            let slots = open_alerts.iter().map(|slot| forgotten("open-alerts", slot.as_bytes()));
            [forgotten("scores", customer), forgotten("loyalty", customer)]
                .into_iter()
                .chain(slots)
                .collect()
        }
        OutputBody::Squeeze(alert) => {
            let slot = alert.dedup_key.as_bytes();
            let latest = match alert.state {
                SqueezeState::Resolved => forgotten("open-alerts", slot),
                _ => OutRecord { key: Some(slot.to_vec()), ..said("open-alerts") },
            };
            vec![said("alerts"), latest]
        }
        _ => vec![said(output.stream().as_str())],
    }
}

/// Headers and value of an output that has data.
fn message(output: &Output, rest: &Headers, encoding: Encoding) -> (Headers, Vec<u8>) {
    let content_type = |media_type| vec![header("content-type", media_type)];
    let binary = |media_type, value| {
        ([envelope(output), content_type(media_type), rest.clone()].concat(), value)
    };
    match encoding {
        Encoding::BinaryProtobuf => {
            binary("application/protobuf", output_proto::message(output).encode_to_vec())
        }
        Encoding::BinaryJson => binary("application/json", lines::data(output).into_bytes()),
        Encoding::StructuredJson => (
            [content_type("application/cloudevents+json"), rest.clone()].concat(),
            lines::structured(output).into_bytes(),
        ),
    }
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
    if !matches!(output.body, OutputBody::CustomerErased { .. }) {
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

/// A partition's part of a unit: its last word, by unit and partition. Structured JSON whatever the encoding: whole numbers beyond
/// 64 bits have no Protobuf type.
fn organisation_part(part: &OrganisationPart, origin: Origin<'_>, rest: Headers) -> OutRecord {
    let partition = u32::try_from(origin.partition).unwrap_or_default();
    OutRecord {
        topic: "organisation",
        key: Some(format!("{}/{partition}", part.unit).into_bytes()),
        value: Some(part_line(part, partition).into_bytes()),
        headers: [vec![header("content-type", "application/cloudevents+json")], rest].concat(),
    }
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
    rest: Headers,
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
    ]);
    headers.extend(rest);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Reason, SqueezeAlert, SqueezeChange};
    use crate::model::squeeze::SqueezeType;
    use crate::model::{Currency, EventTime, Micros, Money};

    const ORIGIN: Origin<'_> =
        Origin { topic: "goodfaith.events.v1", partition: 3, policy: 0xfeed };
    const NOTHING: RecordRef<'_> =
        RecordRef { key: None, value: None, headers: &[], timestamp_ms: None };

    fn effect(action: Action) -> Effect {
        Effect { source: SourcePosition { offset: 41, seq: 2, ordinal: 1 }, action }
    }

    fn output(body: OutputBody) -> Effect {
        effect(Action::Publish(Box::new(Output {
            customer: "ada".into(),
            time: EventTime::from_millis(0),
            sequence: 7,
            causation_id: Some("e1".into()),
            body,
        })))
    }

    fn squeeze(state: SqueezeState, level: Level) -> Effect {
        let money = Money::new(1, Currency::new("GBP").unwrap());
        output(OutputBody::Squeeze(Box::new(SqueezeAlert {
            change: SqueezeChange::Opened,
            dedup_key: "b721".into(),
            kind: SqueezeType::S01,
            generation: 1,
            state,
            level,
            severity: Micros::new(819_207),
            subscription_id: None,
            subject: "-".into(),
            excess_monthly: money,
            accrued: money,
            refunded: money,
            since: EventTime::from_millis(0),
            opened_at: EventTime::from_millis(0),
            factors: [Micros::new(1_000_000); 4],
            comparator: None,
            evidence: vec!["i1".into()],
            reason: None,
            policy: "p".into(),
        })))
    }

    /// A line a record: topic, key, whether it has a value; then its headers, `name=value` in their order.
    fn told(records: &[OutRecord]) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let header = |(name, value): &(String, Option<Vec<u8>>)| {
            format!("{name}={}", value.as_deref().map_or_else(|| "null".to_owned(), text))
        };
        let line = |record: &OutRecord| {
            let key = record.key.as_deref().map_or_else(|| "null".to_owned(), text);
            let value = if record.value.is_some() { "value" } else { "null" };
            let headers: Vec<String> = record.headers.iter().map(header).collect();
            format!("{} {key} {value} {}", record.topic, headers.join(" "))
        };
        records.iter().map(line).collect()
    }

    /// The headers of [`output`], whose id and type are `id` and `kind`.
    fn headers(id: &str, kind: &str) -> String {
        format!(
            "ce_specversion=1.0 ce_id={id} ce_source=/goodfaith ce_type=io.goodfaith.{kind}.v1 \
             ce_subject=ada ce_partitionkey=ada ce_time=1970-01-01T00:00:00.000Z"
        )
    }

    fn id(effect: &Effect) -> String {
        match &effect.action {
            Action::Publish(output) => output.id(),
            _ => panic!("not an output about a customer"),
        }
    }

    const PLACE: &str = "gfpolicy=000000000000feed gfsource=goodfaith.events.v1/3/41/2/1";

    #[test]
    fn an_open_squeeze_is_an_alert_and_the_last_word_of_its_slot() {
        let effect = squeeze(SqueezeState::Open, Level::Minor);
        let envelope = headers(&id(&effect), "squeeze.opened");
        for (encoding, media_type) in [
            (Encoding::BinaryProtobuf, "application/protobuf"),
            (Encoding::BinaryJson, "application/json"),
        ] {
            let rest = format!(
                "value {envelope} ce_sequence=7 ce_causationid=e1 ce_severity=warning \
                 content-type={media_type} {PLACE}"
            );
            assert_eq!(
                told(&encode(&effect, NOTHING, ORIGIN, encoding)),
                [format!("alerts ada {rest}"), format!("open-alerts b721 {rest}")]
            );
        }
        let rest = format!("value content-type=application/cloudevents+json {PLACE}");
        assert_eq!(
            told(&encode(&effect, NOTHING, ORIGIN, Encoding::StructuredJson)),
            [format!("alerts ada {rest}"), format!("open-alerts b721 {rest}")]
        );
    }

    #[test]
    fn a_resolved_squeeze_leaves_no_open_alert() {
        for encoding in [Encoding::BinaryProtobuf, Encoding::BinaryJson, Encoding::StructuredJson] {
            let effect = squeeze(SqueezeState::Resolved, Level::Critical);
            let records = encode(&effect, NOTHING, ORIGIN, encoding);
            let envelope = headers(&id(&effect), "squeeze.opened");
            let rest = "ce_sequence=7 ce_causationid=e1 ce_severity=critical";
            assert_eq!(
                told(&records)[1],
                format!("open-alerts b721 null {envelope} {rest} {PLACE}")
            );
            assert!(records[0].value.is_some());
        }
    }

    #[test]
    fn a_level_is_a_severity_that_alerting_systems_know() {
        let words: Vec<&str> = Level::ALL.iter().map(|level| severity(*level)).collect();
        assert_eq!(words, ["info", "warning", "error", "critical"]);
    }

    #[test]
    fn an_erasure_is_a_tombstone_with_an_envelope_in_every_mode() {
        for encoding in [Encoding::BinaryProtobuf, Encoding::BinaryJson, Encoding::StructuredJson] {
            let effect = output(OutputBody::CustomerErased { open_alerts: vec!["b721".into()] });
            let rest = format!(
                "null {} ce_causationid=e1 {PLACE}",
                headers(&id(&effect), "customer.erased")
            );
            assert_eq!(
                told(&encode(&effect, NOTHING, ORIGIN, encoding)),
                [
                    format!("scores ada {rest}"),
                    format!("loyalty ada {rest}"),
                    format!("open-alerts b721 {rest}")
                ]
            );
        }
    }

    #[test]
    fn a_dead_letter_keeps_the_original_and_says_why() {
        let rejection = Rejection {
            reason: Reason::BadData,
            detail: Some("amount".into()),
            id: None,
            subject: None,
        };
        let original = RecordRef {
            key: Some(b"ada"),
            value: Some(b"\xff\0"),
            headers: &[("trace", Some(b"t")), ("empty", None)],
            timestamp_ms: Some(1),
        };
        let effect = effect(Action::DeadLetter(Box::new(rejection)));
        let records = encode(&effect, original, ORIGIN, Encoding::BinaryJson);
        assert_eq!(
            told(&records),
            [format!(
                "dead-letters ada value trace=t empty=null reason=bad_data detail=amount \
                 __streams.errors.topic=goodfaith.events.v1 __streams.errors.partition=3 \
                 __streams.errors.offset=41 __streams.errors.exception=bad_data \
                 __streams.errors.message=bad_data: amount {PLACE}"
            )]
        );
        assert_eq!(records[0].value.as_deref(), Some(&b"\xff\0"[..]));
        let absent = encode(&effect, NOTHING, ORIGIN, Encoding::BinaryJson);
        assert_eq!((&absent[0].key, &absent[0].value), (&None, &None));
    }
}
