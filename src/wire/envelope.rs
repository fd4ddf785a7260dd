//! The CloudEvents attributes of an input: where each form keeps them, and the rules they obey.

use std::borrow::Cow;
use std::sync::Arc;

use super::field::{is_text, time_of};
use super::json::Json;
use super::message::Texts;
use super::proto;
use super::record::RecordRef;
use super::trace;
use crate::engine::{Reason, Rejection};
use crate::model::event::TraceContext;
use crate::model::{EventTime, Text};

/// The attributes as found; one of the wrong type is as good as absent.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a> {
    pub(super) specversion: Option<Cow<'a, str>>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) source: Option<Cow<'a, str>>,
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) subject: Option<Cow<'a, str>>,
    pub(super) time: Option<EventTime>,
    pub(super) causation_id: Option<Cow<'a, str>>,
    pub(super) trace: Option<Arc<TraceContext>>,
}

impl<'a> Attributes<'a> {
    /// Takes the attributes out of a structured event.
    pub(super) fn of_json(event: &mut Json<'a>) -> Self {
        let mut text = |name| event.take(name).and_then(Json::into_text);
        let (parent, state) = (text("traceparent"), text("tracestate"));
        Self {
            trace: trace::of(parent.as_deref(), state.as_deref()),
            specversion: text("specversion"),
            id: text("id"),
            source: text("source"),
            kind: text("type"),
            subject: text("subject"),
            time: text("time").and_then(|time| EventTime::parse(&time)),
            causation_id: text("causationid"),
        }
    }

    /// Reads the `ce_` headers of binary mode.
    pub(super) fn of_headers(record: &RecordRef<'a>) -> Self {
        let text = |name| {
            let value = record.header(name)?;
            std::str::from_utf8(value).ok().map(Cow::Borrowed)
        };
        Self {
            specversion: text("ce_specversion"),
            id: text("ce_id"),
            source: text("ce_source"),
            kind: text("ce_type"),
            subject: text("ce_subject"),
            time: text("ce_time").and_then(|time| EventTime::parse(&time)),
            causation_id: text("ce_causationid"),
            trace: None, // `decode` reads it of every record's headers.
        }
    }

    /// The envelope inside a bare event, whose type is `kind`.
    pub(super) fn of_proto(
        texts: &Texts<'a>,
        event: &proto::Event,
        kind: Option<&'static str>,
    ) -> Self {
        Self {
            specversion: Some(Cow::Borrowed("1.0")),
            id: texts.id.map(Cow::Borrowed),
            source: texts.source.map(Cow::Borrowed),
            kind: kind.map(Cow::Borrowed),
            subject: texts.subject.map(Cow::Borrowed),
            time: event.time.and_then(time_of),
            causation_id: texts.causation_id.map(Cow::Borrowed),
            trace: trace::of(event.traceparent.as_deref(), event.tracestate.as_deref()),
        }
    }

    /// Checks what every event needs. A causation id that is no text is none: it is never required.
    pub(super) fn check(self) -> Result<Envelope<'a>, Rejection> {
        let is_ok = |value: &Option<Cow<'_, str>>| value.as_deref().is_some_and(is_text);
        let faults = [
            ("specversion", self.specversion.as_deref() != Some("1.0")),
            ("id", !is_ok(&self.id)),
            ("source", !is_ok(&self.source)),
            ("type", !is_ok(&self.kind)),
        ];
        if let Some((fault, _)) = faults.into_iter().find(|(_, is_fault)| *is_fault) {
            return Err(self.refuse(Reason::BadEnvelope, Some(fault)));
        }
        let Some(time) = self.time else {
            return Err(self.refuse(Reason::BadEnvelope, Some("time")));
        };
        Ok(Envelope {
            id: self.id.map(owned).unwrap_or_default(),
            source: self.source.map(owned).unwrap_or_default(),
            kind: self.kind.unwrap_or_default(),
            subject: self.subject,
            time,
            causation_id: self.causation_id.filter(|id| is_text(id)).map(owned),
            trace: self.trace,
        })
    }

    /// A refusal that says what the record says of itself.
    pub(super) fn refuse(self, reason: Reason, detail: Option<&str>) -> Rejection {
        Rejection {
            reason,
            detail: detail.map(Text::from),
            id: self.id.map(Cow::into_owned),
            subject: self.subject.map(Cow::into_owned),
        }
    }
}

fn owned(text: Cow<'_, str>) -> Text {
    text.into()
}

/// The attributes every event needs, checked; the subject, which only some do, as found.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub(super) id: Text,
    pub(super) source: Text,
    pub(super) kind: Cow<'a, str>,
    pub(super) subject: Option<Cow<'a, str>>,
    pub(super) time: EventTime,
    pub(super) causation_id: Option<Text>,
    pub(super) trace: Option<Arc<TraceContext>>,
}

impl Envelope<'_> {
    /// A refusal that says what the record says of itself.
    pub(super) fn refuse(&self, reason: Reason, detail: Option<&str>) -> Rejection {
        Rejection {
            reason,
            detail: detail.map(Text::from),
            id: Some(self.id.to_string()),
            subject: self.subject.as_deref().map(str::to_owned),
        }
    }

    /// True for what goodfaith itself publishes.
    pub(super) fn is_own(&self) -> bool {
        self.source
            .strip_prefix("/goodfaith")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The customer, if validly named.
    pub(super) fn customer(&self) -> Option<&str> {
        self.subject.as_deref().filter(|subject| is_text(subject))
    }
}
