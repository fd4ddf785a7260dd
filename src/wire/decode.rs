//! Bytes to an event: tells the form, then asks the questions of the contract in its order, and stops at the first that fails.
//!
//! What needs a customer's state (erased, too late, unknown targets) is for the engine to refuse.

use std::borrow::Cow;

use super::contract::{self, EventType, Said, SaidOwned};
use super::envelope::{Attributes, Envelope};
use super::field::{Fault, Field as _, TEXT, TIME, optional, part, required};
use super::framing::{self, Payload};
use super::json::Json;
use super::message::{self, Bare, Raw};
use super::proto;
use super::record::{Expect, RecordRef};
use super::trace;
use crate::engine::{Reason, Rejection};
use crate::model::event::Actor;
use crate::model::{CustomerEvent, Event, EventTime, ReferenceEvent, Text};

/// An event may be this far ahead of its record.
const FUTURE_MS_MAX: i64 = 5 * 60 * 1000;

/// The event in a record, in whichever form: CloudEvents binary mode, structured JSON, a bare Protobuf event, or either of these in
/// registry framing. Of a file, only structured JSON or
/// only bare messages are expected.
///
/// # Errors
/// The first reason, in the contract's order, for which the record is to be set aside.
pub fn decode(record: RecordRef<'_>, expect: Expect) -> Result<Event, Rejection> {
    ordinary(&record, expect).map_or_else(|| in_any_form(record, expect), Ok)
}

/// As [`decode`], of a record in whatever form and state.
fn in_any_form(record: RecordRef<'_>, expect: Expect) -> Result<Event, Rejection> {
    let (mut attributes, data) = parse(&record, expect)?;
    if let Some(trace) = trace::of_headers(&record) {
        attributes.trace = Some(trace);
    }
    let envelope = attributes.check()?;
    if envelope.is_own() {
        return Err(envelope.refuse(Reason::OwnOutput, None));
    }
    let Some(kind) = EventType::from_name(&envelope.kind) else {
        return Err(envelope.refuse(Reason::UnknownType, Some(&envelope.kind)));
    };
    if kind.is_about_customer() && envelope.customer().is_none() {
        return Err(envelope.refuse(Reason::BadEnvelope, Some("subject")));
    }
    let contents = data
        .read(kind, envelope.time)
        .map_err(|Fault(field)| envelope.refuse(Reason::BadData, Some(&field)))?;
    check_place(&envelope, kind, &record, expect)?;
    Ok(event(envelope, contents))
}

/// A bare event of a customer in which nothing is wrong, read from its bytes at once: nearly every record is one. `None` for others, most
/// of which [`in_any_form`] reads.
fn ordinary(record: &RecordRef<'_>, expect: Expect) -> Option<Event> {
    let bytes = match (expect, record.value?) {
        (Expect::Message, value) => value,
        (Expect::EventsTopic, value) if !record.is_binary_mode() => match payload(value).ok()? {
            Payload::Proto(bytes) => bytes,
            Payload::Json(_) => return None,
        },
        _ => return None,
    };
    let Bare { envelope, body } = Bare::of(bytes)?;
    let [id, source, subject, time, causation_id, channel, actor, parent, state] = envelope;
    let (number, body) = body?;
    let time = required(TIME).of_raw(time, EventTime::default())?;
    let (kind, said) = contract::of_raw(number, body.bytes()?, time)?;
    if kind.has_own_actor() || !kind.is_about_customer() {
        return None;
    }
    let of_event = trace::of(text(parent)?, text(state)?);
    let attributes = Attributes {
        specversion: Some("1.0".into()),
        id: text(id)?.map(Cow::Borrowed),
        source: text(source)?.map(Cow::Borrowed),
        kind: Some(kind.name().into()),
        subject: text(subject)?.map(Cow::Borrowed),
        time: Some(time),
        causation_id: text(causation_id)?.map(Cow::Borrowed),
        trace: trace::of_headers(record).or(of_event),
    };
    let envelope = attributes.check().ok()?;
    envelope.customer()?;
    if envelope.is_own() {
        return None;
    }
    check_place(&envelope, kind, record, expect).ok()?;
    let channel = optional(TEXT).of_raw(channel, time)?;
    let actor = optional(part()).of_raw(actor, time)?;
    Some(event(envelope, Contents { channel, actor, said }))
}

/// A text that may be absent; `None` if it is none.
fn text(raw: Option<Raw<'_>>) -> Option<Option<&str>> {
    raw.map_or(Some(None), |raw| raw.text().map(Some))
}

/// The bytes of an event's data, parsed but not checked.
#[derive(Debug)]
enum Data<'a> {
    None,
    Json(Json<'a>),
    Proto(Box<proto::Event>),
}

/// What an event says beside its envelope.
struct Contents {
    channel: Option<Text>,
    actor: Option<Actor>,
    said: SaidOwned,
}

fn parse<'a>(
    record: &RecordRef<'a>,
    expect: Expect,
) -> Result<(Attributes<'a>, Data<'a>), Rejection> {
    let refuse = |reason| Attributes::default().refuse(reason, None);
    match (expect, record.value) {
        (Expect::File, value) => structured(value.unwrap_or_default()).map_err(refuse),
        (Expect::Message, value) => bare(value.unwrap_or_default()).map_err(refuse),
        (_, _) if record.is_binary_mode() => binary(record),
        (_, None) => Ok((Attributes::default(), Data::None)),
        (_, Some(value)) => match payload(value).map_err(refuse)? {
            Payload::Json(text) => structured(text).map_err(refuse),
            Payload::Proto(bytes) => bare(bytes).map_err(refuse),
        },
    }
}

/// Tells a value's form by its first byte.
fn payload(value: &[u8]) -> Result<Payload<'_>, Reason> {
    match value.first() {
        Some(&framing::MAGIC) => framing::open(value).ok_or(Reason::BadFraming),
        Some(b'{') => Ok(Payload::Json(value)),
        _ => Ok(Payload::Proto(value)),
    }
}

fn structured(text: &[u8]) -> Result<(Attributes<'_>, Data<'_>), Reason> {
    let mut event = Json::parse(text)
        .filter(|event| matches!(event, Json::Object(_)))
        .ok_or(Reason::NotJson)?;
    let data = event.take("data").map_or(Data::None, Data::Json);
    Ok((Attributes::of_json(&mut event), data))
}

fn bare(bytes: &[u8]) -> Result<(Attributes<'_>, Data<'_>), Reason> {
    let (texts, event) = message::read(bytes).ok_or(Reason::NotProtobuf)?;
    let kind = event.body.as_ref().map(|body| EventType::of_proto(body).name());
    Ok((Attributes::of_proto(&texts, &event, kind), Data::Proto(event)))
}

/// The envelope is the headers; the value, if any, is the data.
fn binary<'a>(record: &RecordRef<'a>) -> Result<(Attributes<'a>, Data<'a>), Rejection> {
    let attributes = Attributes::of_headers(record);
    let data = match record.value {
        None => Ok(Data::None),
        Some(value) => binary_data(value, record.content_type()),
    };
    match data {
        Ok(data) => Ok((attributes, data)),
        Err(reason) => Err(attributes.refuse(reason, None)),
    }
}

/// The content type tells JSON, which may begin with a space; everything else the first byte tells.
fn binary_data<'a>(value: &'a [u8], content_type: &str) -> Result<Data<'a>, Reason> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = media_type.ends_with("/json") || media_type.ends_with("+json");
    let payload = match payload(value)? {
        Payload::Proto(bytes) if is_json && value.first() != Some(&framing::MAGIC) => {
            Payload::Json(bytes)
        }
        payload => payload,
    };
    match payload {
        Payload::Json(text) => Json::parse(text).map(Data::Json).ok_or(Reason::NotJson),
        Payload::Proto(bytes) => {
            message::read(bytes).map(|(_, event)| Data::Proto(event)).ok_or(Reason::NotProtobuf)
        }
    }
}

impl Data<'_> {
    /// Checks the data of an event of `kind` that happened at `at`.
    fn read(self, kind: EventType, at: EventTime) -> Result<Contents, Fault> {
        match self {
            Data::None | Data::Json(Json::Null) => read_json(&Json::Object(Vec::new()), kind, at),
            Data::Json(data @ Json::Object(_)) => read_json(&data, kind, at),
            Data::Json(_) => Err(Fault::of("data")),
            Data::Proto(event) => read_proto(event, kind, at),
        }
    }
}

fn read_json(data: &Json<'_>, kind: EventType, at: EventTime) -> Result<Contents, Fault> {
    Ok(Contents {
        channel: optional(TEXT).of_json(data, "channel", at)?,
        actor: if kind.has_own_actor() {
            None
        } else {
            optional(part()).of_json(data, "actor", at)?
        },
        said: contract::of_json(kind, data, at)?,
    })
}

/// The same questions in the same order as of JSON, so that the same field is named.
fn read_proto(event: Box<proto::Event>, kind: EventType, at: EventTime) -> Result<Contents, Fault> {
    let proto::Event { channel, actor, body, .. } = *event;
    if body.as_ref().is_some_and(|body| EventType::of_proto(body) != kind) {
        return Err(Fault::of("data"));
    }
    Ok(Contents {
        channel: optional(TEXT).of_proto(channel, "channel", at)?,
        actor: if kind.has_own_actor() {
            None
        } else {
            optional(part()).of_proto(actor, "actor", at)?
        },
        said: match body {
            Some(body) => contract::of_proto(body, at)?,
            None => contract::of_json(kind, &Json::Object(Vec::new()), at)?,
        },
    })
}

/// The rules on where a record was found: its timestamp, its key, its topic.
fn check_place(
    envelope: &Envelope<'_>,
    kind: EventType,
    record: &RecordRef<'_>,
    expect: Expect,
) -> Result<(), Rejection> {
    let is_misplaced = match expect {
        Expect::File | Expect::Message => return Ok(()),
        Expect::EventsTopic => kind.is_reference(),
        Expect::ReferenceTopic => !kind.is_reference(),
    };
    let is_ahead = |stored| envelope.time.since(EventTime::from_millis(stored)) > FUTURE_MS_MAX;
    if record.timestamp_ms.is_some_and(is_ahead) {
        return Err(envelope.refuse(Reason::TimeInFuture, None));
    }
    let needs_key = expect == Expect::EventsTopic && kind.is_about_customer();
    if needs_key && record.key != envelope.customer().map(str::as_bytes) {
        return Err(envelope.refuse(Reason::KeyMismatch, None));
    }
    if is_misplaced {
        return Err(envelope.refuse(Reason::MisplacedReference, Some(kind.name())));
    }
    Ok(())
}

fn event(envelope: Envelope<'_>, contents: Contents) -> Event {
    let Envelope { id, source, time, causation_id, trace, .. } = envelope;
    match contents.said {
        Said::Body(body) => Event::Customer(Box::new(CustomerEvent {
            customer: envelope.subject.map(Text::from).unwrap_or_default(),
            id,
            source,
            time,
            causation_id,
            trace,
            channel: contents.channel,
            actor: contents.actor,
            body,
        })),
        Said::ReferenceChange(change) => {
            Event::Reference(ReferenceEvent { id, source, time, change })
        }
        Said::Tick => Event::Tick(time),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Header, encode_event_json, encode_event_proto};

    const KEPT: &str = r#"{"specversion":"1.0","id":"e7","source":"/shop","type":"io.goodfaith.promise.kept.v1","subject":"ada","time":"2025-01-03T06:00:00.000Z","data":{"promise_id":"call-1"}}"#;
    const TICK: &str = r#"{"specversion":"1.0","id":"t","source":"/shop","type":"io.goodfaith.clock.ticked.v1","time":"2025-01-03T06:00:00.000Z"}"#;
    const LISTED: &str = r#"{"specversion":"1.0","id":"p","source":"/shop","type":"io.goodfaith.price.listed.v1","time":"2025-01-03T06:00:00Z","data":{"sku":"book","price":{"minor":1,"currency":"GBP"}}}"#;
    const KEPT_AT_MS: i64 = 1_735_884_000_000;
    const HEADERS: [Header<'_>; 6] = [
        ("ce_specversion", Some(b"1.0")),
        ("ce_id", Some(b"e7")),
        ("ce_source", Some(b"/shop")),
        ("ce_type", Some(b"io.goodfaith.promise.kept.v1")),
        ("ce_subject", Some(b"ada")),
        ("ce_time", Some(b"2025-01-03T06:00:00Z")),
    ];

    fn line(value: &[u8]) -> RecordRef<'_> {
        RecordRef { key: Some(b"ada"), value: Some(value), headers: &[], timestamp_ms: None }
    }

    /// `reason detail id subject`, or the event.
    fn told(result: Result<Event, Rejection>) -> String {
        match result {
            Ok(Event::Customer(event)) => {
                let body = format!("{:?}", event.body);
                let name = body.split([' ', '(']).next().unwrap_or_default().to_owned();
                format!("{} {} {} {name}", event.customer, event.id, event.time)
            }
            Ok(Event::Reference(event)) => format!("reference {}", event.id),
            Ok(Event::Tick(time)) => format!("tick {time}"),
            Err(Rejection { reason, detail, id, subject }) => {
                let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
                let (detail, id) = (or_dash(detail.as_deref()), or_dash(id.as_deref()));
                format!("{reason} {detail} {id} {}", or_dash(subject.as_deref()))
            }
        }
    }

    /// Decodes a line of a file after replacing a part of [`KEPT`].
    fn altered(from: &str, to: &str) -> String {
        assert!(KEPT.contains(from), "{from} is not in the line");
        told(decode(line(KEPT.replace(from, to).as_bytes()), Expect::File))
    }

    /// Decodes the data of an event of `kind`.
    fn data(kind: &str, data: &str) -> String {
        let text = KEPT.replace("promise.kept", kind).replace(r#"{"promise_id":"call-1"}"#, data);
        told(decode(line(text.as_bytes()), Expect::File))
    }

    proptest! {
        #[test]
        fn what_is_read_at_once_is_what_is_read_by_its_message(
            which in 0_usize..6,
            changes in proptest::collection::vec((any::<usize>(), any::<u8>(), 0_u8..4), 0..3),
        ) {
            let data = [
                ("promise.kept", r#"{"promise_id":"call-1","channel":"web","actor":{"id":"a"}}"#),
                ("usage.reported", r#"{"subscription_id":"s","quantity":1.5}"#),
                ("contact.closed", r#"{"contact_id":"c","resolved":true,"transfers":300,"waited":"PT9S"}"#),
                ("remedy.issued", r#"{"remedy_id":"r","kind":"credit","amount":{"minor":500,"currency":"GBP"}}"#),
                ("promise.made", r#"{"promise_id":"p","due_at":"2025-01-04T06:00:00.5Z"}"#),
                ("autopay.granted", "{}"),
            ][which];
            let line_of = |(kind, data): (&str, &str)| {
                KEPT.replace("promise.kept", kind).replace(r#"{"promise_id":"call-1"}"#, data)
            };
            let event = decode(line(line_of(data).as_bytes()), Expect::File).unwrap();
            let mut bytes = encode_event_proto(&event);
            prop_assert_eq!(ordinary(&line(&bytes), Expect::EventsTopic), Some(event));
            for (at, byte, kind) in changes {
                let at = at % bytes.len();
                match kind {
                    0 => bytes.insert(at, byte),
                    1 => bytes[at] = byte,
                    2 => bytes[at] ^= 1 << (byte % 8),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            let at_once = ordinary(&line(&bytes), Expect::EventsTopic);
            prop_assert!(at_once.is_none() || at_once == in_any_form(line(&bytes), Expect::EventsTopic).ok(), "{:?}", bytes);
        }
    }

    #[test]
    fn a_structured_line_is_an_event() {
        let kept = "ada e7 2025-01-03T06:00:00.000Z PromiseKept";
        assert_eq!(told(decode(line(KEPT.as_bytes()), Expect::File)), kept);
        assert_eq!(told(decode(line(KEPT.as_bytes()), Expect::EventsTopic)), kept);
        assert_eq!(
            told(decode(line(TICK.as_bytes()), Expect::File)),
            "tick 2025-01-03T06:00:00.000Z"
        );
        assert_eq!(told(decode(line(LISTED.as_bytes()), Expect::File)), "reference p");
        assert_eq!(altered(r#""data""#, r#""unknown":[{}],"data""#), kept);
    }

    #[test]
    fn the_envelope_is_checked_attribute_by_attribute() {
        assert_eq!(altered(r#""1.0""#, r#""1.1""#), "bad_envelope specversion e7 ada");
        assert_eq!(altered(r#""1.0""#, "1.0"), "bad_envelope specversion e7 ada");
        assert_eq!(altered(r#""e7""#, "7"), "bad_envelope id - ada");
        assert_eq!(altered(r#""e7""#, r#""""#), "bad_envelope id  ada");
        assert_eq!(altered(r#""/shop""#, "null"), "bad_envelope source e7 ada");
        assert_eq!(altered("io.goodfaith.promise.kept.v1", ""), "bad_envelope type e7 ada");
        assert_eq!(altered("2025-01-03T", "2025-02-30T"), "bad_envelope time e7 ada");
        assert_eq!(altered(r#""ada""#, "null"), "bad_envelope subject e7 -");
        assert_eq!(
            altered("ada", &"a".repeat(129)),
            format!("bad_envelope subject e7 {}", "a".repeat(129))
        );
        assert!(altered("ada", &"é".repeat(128)).starts_with("éé"));
    }

    #[test]
    fn the_first_reason_in_the_order_of_the_contract_counts() {
        let no_subject = KEPT.replace(r#""ada""#, "1");
        let own = no_subject.replace("/shop", "/goodfaith/eu").replace("promise.kept", "x.y");
        assert_eq!(told(decode(line(own.as_bytes()), Expect::File)), "own_output - e7 -");
        let unknown = no_subject.replace("promise.kept", "x.y");
        let reason = "unknown_type io.goodfaith.x.y.v1 e7 -";
        assert_eq!(told(decode(line(unknown.as_bytes()), Expect::File)), reason);
        let bad_data = no_subject.replace("promise_id", "other");
        assert_eq!(
            told(decode(line(bad_data.as_bytes()), Expect::File)),
            "bad_envelope subject e7 -"
        );
        assert_eq!(altered("/shop", "/goodfaith"), "own_output - e7 ada");
        assert_eq!(altered("/shop", "/goodfaiths"), "ada e7 2025-01-03T06:00:00.000Z PromiseKept");
        assert_eq!(
            altered("kept.v1", "kept.v2"),
            "unknown_type io.goodfaith.promise.kept.v2 e7 ada"
        );
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let cases = [
            ("promise.kept", "[]", "data"),
            ("promise.kept", "{}", "promise_id"),
            ("promise.kept", r#"{"promise_id":"p","attested_by":"me"}"#, "attested_by"),
            ("promise.kept", r#"{"promise_id":"p","channel":1}"#, "channel"),
            ("promise.kept", r#"{"promise_id":"p","actor":{"id":""}}"#, "actor"),
            ("promise.kept", r#"{"promise_id":"p","actor":[]}"#, "actor"),
            ("promise.made", r#"{"promise_id":"p","due_at":"2025-01-03T06:00:00Z"}"#, "due_at"),
            (
                "promise.made",
                r#"{"promise_id":"p","due_at":"2025-01-04T06:00:00Z","grace":"P1M"}"#,
                "grace",
            ),
            ("service.failed", r#"{"failure_id":"f","severity":2.0}"#, "severity"),
            ("service.failed", r#"{"failure_id":"f","severity":2e0}"#, "severity"),
            ("service.failed", r#"{"failure_id":"f","severity":5}"#, "severity"),
            ("service.delivered", "{}", "ref"),
            (
                "quote.given",
                r#"{"quote_id":"q","total":{"minor":9007199254740992,"currency":"GBP"}}"#,
                "total",
            ),
            ("quote.given", r#"{"quote_id":"q","total":{"minor":-1,"currency":"GBP"}}"#, "total"),
            ("quote.given", r#"{"quote_id":"q","total":{"minor":1,"currency":"gbp"}}"#, "total"),
            ("quote.given", r#"{"quote_id":"q","total":{"minor":1.0,"currency":"GBP"}}"#, "total"),
            (
                "order.placed",
                r#"{"order_id":"o","price_guarantee_until":"2025-02-01T00:00:00Z","sku":"s"}"#,
                "price",
            ),
            (
                "survey.answered",
                r#"{"survey_id":"s","score":11,"score_min":0,"score_max":10}"#,
                "score",
            ),
            (
                "survey.answered",
                r#"{"survey_id":"s","score":1,"score_min":1,"score_max":1}"#,
                "score_max",
            ),
            ("usage.reported", r#"{"subscription_id":"s","quantity":-0.5}"#, "quantity"),
            (
                "suppression.requested",
                r#"{"dedup_key":"k","reason":"r","actor":"a","until":"2026-01-03T06:00:00.001Z"}"#,
                "until",
            ),
            (
                "renewal.offered",
                r#"{"subscription_id":"s","renewal_id":"r","price":{"minor":1,"currency":"GBP"},"enbp":{"minor":1,"currency":"EUR"}}"#,
                "enbp",
            ),
            (
                "renewal.completed",
                r#"{"subscription_id":"s","renewal_id":"r","price":{"minor":1,"currency":"GBP"}}"#,
                "mode",
            ),
            (
                "renewal.completed",
                r#"{"subscription_id":"s","renewal_id":"r","mode":"active"}"#,
                "price",
            ),
            ("cancel.step_taken", r#"{"request_id":"r","step":0}"#, "step"),
            (
                "plan.published",
                r#"{"plan_id":"p","price":{"minor":1,"currency":"GBP"}}"#,
                "attributes",
            ),
        ];
        for (kind, text, field) in cases {
            assert_eq!(data(kind, text), format!("bad_data {field} e7 ada"), "{kind} {text}");
        }
    }

    #[test]
    fn an_invoice_for_a_subscription_says_its_period() {
        let invoice = |rest: &str| {
            let total = r#""invoice_id":"i","total":{"minor":5,"currency":"GBP"}"#;
            data("invoice.issued", &format!("{{{total}{rest}}}"))
        };
        let issued = "ada e7 2025-01-03T06:00:00.000Z InvoiceIssued";
        assert_eq!(invoice(""), issued);
        assert_eq!(invoice(r#","subscription_id":"s""#), "bad_data period_start e7 ada");
        let period =
            r#","subscription_id":"s","period_start":"2025-01-01","period_end":"2025-02-01""#;
        assert_eq!(invoice(period), issued);
        let backwards = period.replace("2025-02-01", "2025-01-01");
        assert_eq!(invoice(&backwards), "bad_data period_end e7 ada");
        let other = r#","recurring":{"minor":5,"currency":"EUR"}"#;
        assert_eq!(invoice(other), "bad_data recurring e7 ada");
        let credit = r#"{"kind":"credit","amount":{"minor":-5,"currency":"GBP"}}"#;
        let lines = |n: usize| format!(r#","lines":[{}]"#, vec![credit; n].join(","));
        assert_eq!(invoice(&lines(200)), issued);
        assert_eq!(invoice(&lines(201)), "bad_data lines e7 ada");
    }

    #[test]
    fn attributes_are_typed() {
        let published = |attributes: &str| {
            let plan = r#""plan_id":"p","price":{"minor":1,"currency":"GBP"}"#;
            data("plan.published", &format!("{{{plan},\"attributes\":{attributes}}}"))
        };
        for attributes in [
            "{}",
            r#"{"a":{"kind":"max","value":null},"b":{"kind":"min"},"c":{"kind":"max","value":0.5}}"#,
            r#"{"a":{"kind":"set","value":["x","x"]},"b":{"kind":"ord","value":1000},"c":null}"#,
        ] {
            assert_eq!(published(attributes), "reference e7", "{attributes}");
        }
        let many: Vec<String> = (0..33).map(|i| format!(r#""{i}":{{"kind":"max"}}"#)).collect();
        for attributes in [
            "[]",
            r#"{"a":{"kind":"max","value":-1}}"#,
            r#"{"a":{"kind":"ord","value":1001}}"#,
            r#"{"a":{"kind":"ord"}}"#,
            r#"{"a":{"kind":"set","value":[""]}}"#,
            r#"{"a":{"kind":"tier","value":1}}"#,
            r#"{"":{"kind":"max"}}"#,
            &format!("{{{}}}", many.join(",")),
        ] {
            assert_eq!(published(attributes), "bad_data attributes e7 ada", "{attributes}");
        }
    }

    #[test]
    fn the_form_is_told_by_headers_then_by_the_first_byte() {
        let kept = "ada e7 2025-01-03T06:00:00.000Z PromiseKept";
        let event = decode(line(KEPT.as_bytes()), Expect::File).unwrap();
        let bare = encode_event_proto(&event);
        let framed = |path: &[u8], payload: &[u8]| [b"\0\0\0\0\x01", path, payload].concat();
        let values: [&[u8]; 5] = [
            KEPT.as_bytes(),
            &bare,
            &framed(b"\0", &bare),
            &framed(b"\x02\0", &bare),
            &framed(b"", KEPT.as_bytes()),
        ];
        for value in values {
            assert_eq!(told(decode(line(value), Expect::EventsTopic)), kept, "{value:?}");
        }
        let json =
            [HEADERS.as_slice(), &[("content-type", Some(b"application/json; charset=utf-8"))]]
                .concat();
        let proto =
            [HEADERS.as_slice(), &[("content-type", Some(b"application/protobuf"))]].concat();
        let data = br#"{"promise_id":"call-1"}"#;
        let in_binary_mode: [(&[Header<'_>], &[u8]); 7] = [
            (&json, data),
            (&json, b"\n {\"promise_id\":\"call-1\"}"),
            (&json, &framed(b"", data)),
            (&proto, &bare),
            (&proto, &framed(b"\0", &bare)),
            (&HEADERS, data),
            (&HEADERS, &bare),
        ];
        for (headers, value) in in_binary_mode {
            let record = RecordRef { headers, ..line(value) };
            assert_eq!(told(decode(record, Expect::EventsTopic)), kept, "{value:?}");
        }
        let structured =
            [("content-type", Some(&b"application/cloudevents+json"[..])), ("ce_id", Some(b"x"))];
        let record = RecordRef { headers: &structured, ..line(KEPT.as_bytes()) };
        assert_eq!(told(decode(record, Expect::EventsTopic)), kept);
    }

    #[test]
    fn in_binary_mode_the_headers_are_the_envelope() {
        let with = |headers: &[Header<'_>], value: Option<&[u8]>| {
            let record = RecordRef { key: Some(b"ada"), value, headers, timestamp_ms: None };
            told(decode(record, Expect::EventsTopic))
        };
        assert_eq!(with(&HEADERS, None), "bad_data promise_id e7 ada");
        assert_eq!(with(&HEADERS, Some(b"")), "bad_data promise_id e7 ada");
        assert_eq!(with(&HEADERS, Some(b"{")), "not_json - e7 ada");
        assert_eq!(with(&HEADERS, Some(b"\xff")), "not_protobuf - e7 ada");
        assert_eq!(with(&HEADERS, Some(b"\0")), "bad_framing - e7 ada");
        assert_eq!(with(&HEADERS[1..], None), "bad_envelope specversion e7 ada");
        let last_counts = [HEADERS.as_slice(), &[("ce_id", Some(b"e8"))]].concat();
        assert_eq!(with(&last_counts, None), "bad_data promise_id e8 ada");
        let not_utf8 = [HEADERS.as_slice(), &[("ce_id", Some(b"\xff"))]].concat();
        assert_eq!(with(&not_utf8, None), "bad_envelope id - ada");
        let list = [HEADERS.as_slice(), &[("content-type", Some(b"application/json"))]].concat();
        assert_eq!(with(&list, Some(b"[1]")), "bad_data data e7 ada");
        let tick = decode(line(TICK.as_bytes()), Expect::File).unwrap();
        assert_eq!(with(&HEADERS, Some(&encode_event_proto(&tick))), "bad_data data e7 ada");
        let withdrawn =
            [HEADERS.as_slice(), &[("ce_type", Some(b"io.goodfaith.autopay.withdrawn.v1"))]]
                .concat();
        assert_eq!(with(&withdrawn, None), "ada e7 2025-01-03T06:00:00.000Z AutopayWithdrawn");
    }

    #[test]
    fn what_cannot_be_decoded_is_named_by_its_form() {
        let reason = |value: &[u8], expect| told(decode(line(value), expect));
        assert_eq!(reason(b"{", Expect::EventsTopic), "not_json - - -");
        assert_eq!(reason(b"[]", Expect::File), "not_json - - -");
        assert_eq!(reason(b"\0\0\0\0\x01", Expect::EventsTopic), "bad_framing - - -");
        assert_eq!(reason(b"\0\0\0\0\x01\0\xff", Expect::EventsTopic), "not_protobuf - - -");
        assert_eq!(reason(b"not json", Expect::EventsTopic), "not_protobuf - - -");
        assert_eq!(reason(b"not json", Expect::File), "not_json - - -");
        assert_eq!(reason(b"", Expect::EventsTopic), "bad_envelope id - -");
        let absent = RecordRef { value: None, ..line(b"") };
        assert_eq!(told(decode(absent, Expect::EventsTopic)), "bad_envelope specversion - -");
        assert_eq!(told(decode(absent, Expect::File)), "not_json - - -");
    }

    #[test]
    fn a_place_has_its_rules() {
        let at = |text: &'static str, key: Option<&'static [u8]>, ahead_ms: i64, expect| {
            let timestamp_ms = Some(KEPT_AT_MS - ahead_ms);
            let record =
                RecordRef { key, value: Some(text.as_bytes()), headers: &[], timestamp_ms };
            told(decode(record, expect))
        };
        let (ada, kept) = (Some(&b"ada"[..]), "ada e7 2025-01-03T06:00:00.000Z PromiseKept");
        assert_eq!(at(KEPT, ada, 300_000, Expect::EventsTopic), kept);
        assert_eq!(at(KEPT, ada, 300_001, Expect::EventsTopic), "time_in_future - e7 ada");
        assert_eq!(at(KEPT, None, 300_001, Expect::File), kept);
        assert_eq!(at(KEPT, None, 0, Expect::EventsTopic), "key_mismatch - e7 ada");
        assert_eq!(at(KEPT, Some(b"bob"), 0, Expect::EventsTopic), "key_mismatch - e7 ada");
        assert_eq!(at(TICK, None, 0, Expect::EventsTopic), "tick 2025-01-03T06:00:00.000Z");
        let misplaced = "misplaced_reference io.goodfaith.price.listed.v1 p -";
        assert_eq!(at(LISTED, None, 0, Expect::EventsTopic), misplaced);
        assert_eq!(at(LISTED, None, 0, Expect::ReferenceTopic), "reference p");
        let misplaced = "misplaced_reference io.goodfaith.promise.kept.v1 e7 ada";
        assert_eq!(at(KEPT, ada, 0, Expect::ReferenceTopic), misplaced);
    }

    #[test]
    fn who_acted_in_a_suppression_is_its_own_word() {
        let text = KEPT.replace("promise.kept", "suppression.requested").replace(
            r#"{"promise_id":"call-1"}"#,
            r#"{"dedup_key":"k","reason":"r","actor":"ops","until":"2025-02-01T00:00:00Z"}"#,
        );
        let mut event = decode(line(text.as_bytes()), Expect::File).unwrap();
        let suppression = event.clone();
        let Event::Customer(customer) = &mut event else { panic!("of a customer") };
        customer.actor = Some(Actor::default());
        for bytes in [encode_event_proto(&event), encode_event_json(&event).into_bytes()] {
            assert_eq!(decode(line(&bytes), Expect::EventsTopic), Ok(suppression.clone()));
        }
    }

    #[test]
    fn a_causation_id_that_is_no_text_is_none() {
        for (text, id) in [(r#""o1""#, Some("o1")), ("1", None), (r#""""#, None)] {
            let text = KEPT.replace(r#""data""#, &format!(r#""causationid":{text},"data""#));
            let Ok(Event::Customer(event)) = decode(line(text.as_bytes()), Expect::File) else {
                panic!("refused")
            };
            assert_eq!(event.causation_id.as_deref(), id);
        }
    }
}
