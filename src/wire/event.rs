//! Events to bytes: what the generator and `ingest` write, in the forms `decode` reads.

use prost::Message as _;

use super::contract::{self, EventType, Said, SaidRef};
use super::field::{Fields as _, timestamp};
use super::proto;
use super::trace;
use super::writer::Writer;
use crate::model::event::{Actor, TraceContext};
use crate::model::{Event, EventTime};

/// Who a tick without a name of its own is from.
const CLOCK: &str = "/clock";

/// An event's envelope and what it says, borrowed.
struct Parts<'a> {
    id: std::borrow::Cow<'a, str>,
    source: &'a str,
    subject: Option<&'a str>,
    time: EventTime,
    causation_id: Option<&'a str>,
    trace: Option<&'a TraceContext>,
    channel: Option<&'a str>,
    actor: Option<&'a Actor>,
    said: SaidRef<'a>,
}

fn parts(event: &Event) -> Parts<'_> {
    let of = |id, source, time, said| Parts {
        id,
        source,
        time,
        said,
        subject: None,
        causation_id: None,
        trace: None,
        channel: None,
        actor: None,
    };
    match event {
        Event::Customer(event) => Parts {
            subject: Some(&event.customer),
            causation_id: event.causation_id.as_deref(),
            trace: event.trace.as_deref(),
            channel: event.channel.as_deref(),
            actor: event.actor.as_ref(),
            ..of((&*event.id).into(), &event.source, event.time, Said::Body(&event.body))
        },
        Event::Reference(event) => {
            of((&*event.id).into(), &event.source, event.time, Said::ReferenceChange(&event.change))
        }
        Event::Tick(time) => {
            of(format!("tick-{}", time.as_millis()).into(), CLOCK, *time, Said::Tick)
        }
    }
}

/// The event as structured JSON: one line, attributes and fields in a fixed order, what is the default left out.
pub fn encode_event_json(event: &Event) -> String {
    let parts = parts(event);
    let kind = EventType::of(parts.said);
    let mut out = Writer::default();
    out.object(|out| {
        out.name("specversion").text("1.0");
        out.name("id").text(&parts.id);
        out.name("source").text(parts.source);
        out.name("type").text(kind.name());
        if let Some(subject) = parts.subject {
            out.name("subject").text(subject);
        }
        out.name("time").time(parts.time);
        if let Some(causation_id) = parts.causation_id {
            out.name("causationid").text(causation_id);
        }
        if let Some(trace) = parts.trace {
            trace::json(trace, out);
        }
        out.name("data").object(|out| {
            contract::json(parts.said, parts.time, out);
            if let Some(channel) = parts.channel {
                out.name("channel").text(channel);
            }
            if let Some(actor) = parts.actor
                && !kind.has_own_actor()
            {
                out.name("actor").object(|out| actor.json(parts.time, out));
            }
        });
    });
    out.into_string()
}

/// The event as a bare `goodfaith.v1.Event`, its envelope inside.
pub fn encode_event_proto(event: &Event) -> Vec<u8> {
    let parts = parts(event);
    proto::Event {
        id: Some(parts.id.into_owned()),
        source: Some(parts.source.to_owned()),
        subject: parts.subject.map(str::to_owned),
        time: Some(timestamp(parts.time)),
        causation_id: parts.causation_id.map(str::to_owned),
        traceparent: parts.trace.map(|trace| trace.parent.to_string()),
        tracestate: parts.trace.and_then(|trace| Some(trace.state.as_ref()?.to_string())),
        channel: parts.channel.map(str::to_owned),
        actor: parts.actor.map(|actor| actor.proto(parts.time)),
        body: Some(contract::proto(parts.said, parts.time)),
    }
    .encode_to_vec()
}
