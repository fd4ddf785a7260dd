//! Bytes to an event: tells the form, then asks the questions of the contract in its order, and stops at the first that fails.
//!
//! What needs a customer's state (erased, too late, unknown targets) is for the engine to refuse.

use std::sync::Arc;

use prost::Message as _;

use super::contract::{self, EventType, Said, SaidOwned};
use super::envelope::{Attributes, Envelope};
use super::field::{Fault, Field as _, TEXT, optional, part};
use super::framing::{self, Payload};
use super::json::Json;
use super::proto;
use super::record::{Expect, RecordRef};
use crate::engine::{Reason, Rejection};
use crate::model::event::Actor;
use crate::model::{CustomerEvent, Event, EventTime, ReferenceEvent, Text};

/// An event may be this far ahead of its record.
const FUTURE_MS_MAX: i64 = 5 * 60 * 1000;

/// The event in a record, in whichever form: CloudEvents binary mode, structured JSON, a bare Protobuf event, or either of these in
/// registry framing. Of a file, only structured JSON is expected.
///
/// # Errors
/// The first reason, in the contract's order, for which the record is to be set aside.
pub fn decode(record: RecordRef<'_>, expect: Expect) -> Result<Event, Rejection> {
    let (attributes, data) = parse(&record, expect)?;
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
        .map_err(|Fault(field)| envelope.refuse(Reason::BadData, Some(field)))?;
    check_place(&envelope, kind, &record, expect)?;
    Ok(event(envelope, contents))
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

fn bare(bytes: &[u8]) -> Result<(Attributes<'static>, Data<'static>), Reason> {
    let mut event = proto::Event::decode(bytes).map_err(|_| Reason::NotProtobuf)?;
    let kind = event.body.as_ref().map(|body| EventType::of_proto(body).name());
    Ok((Attributes::of_proto(&mut event, kind), Data::Proto(Box::new(event))))
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
        Payload::Proto(bytes) => proto::Event::decode(bytes)
            .map(|event| Data::Proto(Box::new(event)))
            .map_err(|_| Reason::NotProtobuf),
    }
}

impl Data<'_> {
    /// Checks the data of an event of `kind` that happened at `at`.
    fn read(self, kind: EventType, at: EventTime) -> Result<Contents, Fault> {
        match self {
            Data::None | Data::Json(Json::Null) => read_json(&Json::Object(Vec::new()), kind, at),
            Data::Json(data @ Json::Object(_)) => read_json(&data, kind, at),
            Data::Json(_) => Err(Fault("data")),
            Data::Proto(event) => read_proto(*event, kind, at),
        }
    }
}

fn read_json(data: &Json<'_>, kind: EventType, at: EventTime) -> Result<Contents, Fault> {
    Ok(Contents {
        channel: optional(TEXT).of_json(data, "channel", at)?,
        // A suppression says by its own `actor` who asked for it: a text, and no roll-up's.
        actor: match kind {
            EventType::SuppressionRequested => None,
            _ => optional(part()).of_json(data, "actor", at)?,
        },
        said: contract::of_json(kind, data, at)?,
    })
}

fn read_proto(event: proto::Event, kind: EventType, at: EventTime) -> Result<Contents, Fault> {
    let said = match event.body {
        Some(body) if EventType::of_proto(&body) == kind => contract::of_proto(body, at)?,
        Some(_) => return Err(Fault("data")),
        None => contract::of_json(kind, &Json::Object(Vec::new()), at)?,
    };
    Ok(Contents {
        channel: optional(TEXT).of_proto(event.channel, "channel", at)?,
        actor: optional(part()).of_proto(event.actor, "actor", at)?,
        said,
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
        Expect::File => return Ok(()),
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
    let Envelope { id, source, time, causation_id, .. } = envelope;
    match contents.said {
        Said::Body(body) => Event::Customer(Box::new(CustomerEvent {
            customer: envelope.subject.map_or_else(|| Arc::from(""), Arc::from),
            id,
            source,
            time,
            causation_id,
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
