//! Effects to Kafka records: CloudEvents in binary or structured mode, tombstones, dead letters.
//!
//! Which topic, key and headers a fact gets is said here; when and in what transaction it is produced is not.

use std::convert::Infallible;

use super::lines::{self, SOURCE};
use super::organisation::part_line;
use super::output_proto;
use super::record::{Encoding, Header, OutRecord, OutRecordRef, RecordRef};
use super::trace;
use super::writer::Writer;
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

/// The most bytes of a record that its dead letter keeps whole: with what is said of it, it is then below the 10 MiB that are produced.
const WHOLE_BYTES: usize = 10_000_000;
/// What is kept of the key and of the value of a longer one, to know it by. All of it stands where it was read.
const EXCERPT_BYTES: usize = 65_536;
/// The most bytes that the lengths of a header take. Source: Kafka's record format, two varints of 32 bits.
const HEADER_BYTES: usize = 10;

/// Writes the records that effects ask for, one after the other into the same memory.
#[derive(Debug, Default)]
pub struct Encoder {
    /// The policy written last, and its text.
    policy: (u64, String),
    place: String,
    json: Writer,
    proto: Vec<u8>,
}

/// The records an effect asks for, each in memory of its own: [`Encoder::encode`] where speed does not matter.
pub fn encode(
    effect: &Effect,
    original: RecordRef<'_>,
    origin: Origin<'_>,
    encoding: Encoding,
) -> Vec<OutRecord> {
    let mut records = Vec::new();
    let keep = |record: OutRecordRef<'_>| {
        records.push(record.into());
        Ok::<(), Infallible>(())
    };
    Encoder::default()
        .encode(effect, original, origin, encoding, keep)
        .unwrap_or_else(|e| match e {});
    records
}

impl Encoder {
    /// Gives `take` the records an effect asks for, in the order to produce them. `original` is the record that caused it: a dead letter
    /// keeps its key, value and headers, or of more than 10 MB an excerpt, and in the header `truncated` how much there was.
    ///
    /// A squeeze is also the last word of its slot in `open-alerts`, null once resolved; an erasure is null wherever the last value of
    /// a customer is kept. What is null has its envelope in headers in every mode: a CloudEvent without data and a tombstone at once. A squeeze
    /// that is forgotten is a tombstone and no event.
    ///
    /// # Errors
    /// Those of `take`, which gets no record after one.
    pub fn encode<E>(
        &mut self,
        effect: &Effect,
        original: RecordRef<'_>,
        origin: Origin<'_>,
        encoding: Encoding,
        take: impl FnMut(OutRecordRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (written, policy) = &mut self.policy;
        if *written != origin.policy || policy.is_empty() {
            (*written, *policy) = (origin.policy, format!("{:016x}", origin.policy));
        }
        self.place.clear();
        push_place(origin, effect.source, &mut self.place);
        // What every record ends with: by which policy it came to be, and where from, which is strictly increasing in each partition of
        // each topic, so that a reader can prove loss or duplication.
        let rest = [header("gfpolicy", policy), header("gfsource", &self.place)];
        match &effect.action {
            Action::Publish(output) => {
                publish(output, rest, encoding, (&mut self.json, &mut self.proto), take)
            }
            Action::PublishPart(part) => organisation_part(part, origin, rest, take),
            Action::ForgetSqueeze(slot) => forgotten_squeeze(slot, rest, take),
            Action::DeadLetter(rejection) => {
                dead_letter(rejection, original, effect.source, origin, rest, take)
            }
        }
    }
}

/// Topic, partition, offset, journal `seq` and ordinal, by slashes.
fn push_place(origin: Origin<'_>, source: SourcePosition, place: &mut String) {
    let SourcePosition { offset, seq, ordinal } = source;
    place.push_str(origin.topic);
    push_number(origin.partition, place);
    push_number(offset, place);
    push_number(seq, place);
    push_number(ordinal, place);
}

fn push_number(number: impl itoa::Integer, place: &mut String) {
    place.push('/');
    place.push_str(itoa::Buffer::new().format(number));
}

fn publish<E>(
    output: &Output,
    rest: [Header<'_>; 2],
    encoding: Encoding,
    (json, proto): (&mut Writer, &mut Vec<u8>),
    mut take: impl FnMut(OutRecordRef<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (id, kind, time) = (output.id(), lines::type_of(output), output.time.text());
    let sequence = output.sequence.to_string();
    let envelope = || envelope(output, [&id, &kind, time.as_str(), &sequence]);
    // With what every record ends: whatever the mode, tracing tools read headers.
    let rest = || trace::headers(output.trace.as_deref()).chain(rest);
    let forgotten = |topic, key, take: &mut dyn FnMut(OutRecordRef<'_>) -> Result<(), E>| {
        let mut headers = envelope();
        headers.extend(rest());
        take(OutRecordRef { topic, key: Some(key), value: None, headers: &headers })
    };
    let customer = output.customer.as_bytes();
    if let OutputBody::CustomerErased { open_alerts } = &output.body {
        forgotten("scores", customer, &mut take)?;
        forgotten("loyalty", customer, &mut take)?;
        return open_alerts
            .iter()
            .try_for_each(|slot| forgotten("open-alerts", slot.as_bytes(), &mut take));
    }
    let value = value(output, &id, encoding, (json, proto));
    let mut headers = if encoding == Encoding::StructuredJson { Vec::new() } else { envelope() };
    headers.push(header("content-type", media_type(encoding)));
    headers.extend(rest());
    let topic = output.stream().as_str();
    let said = OutRecordRef { topic, key: Some(customer), value: Some(value), headers: &headers };
    take(said)?;
    let OutputBody::Squeeze(alert) = &output.body else { return Ok(()) };
    let slot = alert.dedup_key.as_bytes();
    match alert.state {
        SqueezeState::Resolved => forgotten("open-alerts", slot, &mut take),
        _ => take(OutRecordRef { topic: "open-alerts", key: Some(slot), ..said }),
    }
}

/// A tombstone alone: nothing happened that an event could tell.
fn forgotten_squeeze<E>(
    slot: &str,
    rest: [Header<'_>; 2],
    mut take: impl FnMut(OutRecordRef<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let key = Some(slot.as_bytes());
    take(OutRecordRef { topic: "open-alerts", key, value: None, headers: &rest })
}

/// What an output that has data says, written into one of the two.
fn value<'a>(
    output: &Output,
    id: &str,
    encoding: Encoding,
    (json, proto): (&'a mut Writer, &'a mut Vec<u8>),
) -> &'a [u8] {
    json.clear();
    match encoding {
        Encoding::BinaryProtobuf => {
            proto.clear();
            output_proto::write(output, proto);
            return proto;
        }
        Encoding::BinaryJson => lines::data(output, json),
        Encoding::StructuredJson => lines::structured(output, id, json),
    }
    json.as_bytes()
}

const fn media_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::BinaryProtobuf => "application/protobuf",
        Encoding::BinaryJson => "application/json",
        Encoding::StructuredJson => "application/cloudevents+json",
    }
}

/// The CloudEvents attributes as headers. Source: CloudEvents Kafka protocol binding 1.0.2, section 3.2.
fn envelope<'a>(output: &'a Output, [id, kind, time, sequence]: [&'a str; 4]) -> Vec<Header<'a>> {
    let mut headers = Vec::with_capacity(16);
    headers.extend([
        header("ce_specversion", "1.0"),
        header("ce_id", id),
        header("ce_source", SOURCE),
        header("ce_type", kind),
        header("ce_subject", &output.customer),
        header("ce_partitionkey", &output.customer),
        header("ce_time", time),
    ]);
    if !matches!(output.body, OutputBody::CustomerErased { .. }) {
        headers.push(header("ce_sequence", sequence));
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
fn organisation_part<E>(
    part: &OrganisationPart,
    origin: Origin<'_>,
    [policy, source]: [Header<'_>; 2],
    mut take: impl FnMut(OutRecordRef<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let partition = u32::try_from(origin.partition).unwrap_or_default();
    take(OutRecordRef {
        topic: "organisation",
        key: Some(format!("{}/{partition}", part.unit).as_bytes()),
        value: Some(part_line(part, partition).as_bytes()),
        headers: &[header("content-type", media_type(Encoding::StructuredJson)), policy, source],
    })
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

/// What a dead letter keeps of `original`; the sizes of key, value and headers in bytes, if that is not all of it.
fn kept(original: RecordRef<'_>) -> (RecordRef<'_>, Option<String>) {
    let size = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let header_size = |(name, value): &Header<'_>| name.len() + size(*value) + HEADER_BYTES;
    let headers: usize = original.headers.iter().map(header_size).sum();
    let (key, value) = (size(original.key), size(original.value));
    if key + value + headers <= WHOLE_BYTES {
        return (original, None);
    }
    let excerpt = RecordRef {
        key: original.key.map(|key| &key[..EXCERPT_BYTES.min(key.len())]),
        value: original.value.map(|value| &value[..EXCERPT_BYTES.min(value.len())]),
        headers: &[],
        ..original
    };
    (excerpt, Some(format!("key={key} value={value} headers={headers}")))
}

/// The original bytes with the reason beside them, in our words and in those of KIP-1034.
fn dead_letter<E>(
    rejection: &Rejection,
    original: RecordRef<'_>,
    source: SourcePosition,
    origin: Origin<'_>,
    rest: [Header<'_>; 2],
    mut take: impl FnMut(OutRecordRef<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (original, truncated) = kept(original);
    let reason = rejection.reason.as_str();
    let message = rejection
        .detail
        .as_deref()
        .map_or_else(|| reason.to_owned(), |detail| format!("{reason}: {detail}"));
    let (partition, offset) = (origin.partition.to_string(), source.offset.to_string());
    let mut headers = original.headers.to_vec();
    headers.push(header("reason", reason));
    if let Some(detail) = &rejection.detail {
        headers.push(header("detail", detail));
    }
    if let Some(sizes) = &truncated {
        headers.push(header("truncated", sizes));
    }
    headers.extend([
        header("__streams.errors.topic", origin.topic),
        header("__streams.errors.partition", &partition),
        header("__streams.errors.offset", &offset),
        header("__streams.errors.exception", reason),
        header("__streams.errors.message", &message),
    ]);
    headers.extend(rest);
    let RecordRef { key, value, .. } = original;
    take(OutRecordRef { topic: "dead-letters", key, value, headers: &headers })
}

const fn header<'a>(name: &'a str, value: &'a str) -> Header<'a> {
    (name, Some(value.as_bytes()))
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
            trace: None,
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
