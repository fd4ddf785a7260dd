//! One `[[event]]` of a mapping: from a row to events, checked by the same rules as any other record.

use std::sync::{Arc, OnceLock};

use cel::Context;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde::Serialize;

use super::expression::{Expression, Failure, Place};
use super::scope::Scope;
use crate::engine::{Reason, Rejection};
use crate::model::{Event, EventTime, ReferenceChange, ReferenceEvent};
use crate::wire::{self, Expect, RecordRef};

/// Which rows make events, and how many.
#[derive(Debug)]
pub(super) struct Rule {
    /// Rows it applies to; all without it.
    pub(super) when: Option<Expression>,
    /// One event an item; one a row without it.
    pub(super) for_each: Option<Expression>,
    /// The event.
    pub(super) template: Template,
}

/// How an event is made.
#[derive(Debug)]
pub(super) struct Template {
    /// Its type, or the short form of it.
    pub(super) kind: Expression,
    pub(super) id: Expression,
    pub(super) source: Expression,
    pub(super) subject: Option<Expression>,
    pub(super) time: Expression,
    pub(super) data: Vec<Field>,
}

/// A field of an event's data.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: Data,
    pub(super) place: Arc<Place>,
    /// Whether the contract knows the field, once one of it was made.
    pub(super) is_known: OnceLock<bool>,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Data {
    /// The value of an expression; null leaves the field out.
    Expression(Expression),
    /// The same for every row.
    Constant(serde_json::Value),
    /// An object.
    Table(Vec<Field>),
}

/// A checked event, as it will be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Produced {
    /// When it happened: what files are sorted by.
    pub(super) time: EventTime,
    /// Which log it belongs to.
    pub(super) log: Log,
    /// The record's key: the customer, or what of the catalogue it concerns. Empty for a tick.
    pub(super) key: String,
    /// One line of NDJSON, without its line end.
    pub(super) value: Vec<u8>,
}

/// An event just made of a row.
#[derive(Debug)]
pub(super) struct Made {
    /// Its type without prefix and version.
    pub(super) kind: String,
    pub(super) event: Produced,
}

/// Which of the two input logs an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    /// What happened to customers.
    Events,
    /// The catalogue.
    Reference,
}

/// The envelope, in the order a reader expects.
#[derive(Clone, Serialize)]
struct Envelope<'a> {
    specversion: &'a str,
    id: Option<String>,
    source: Option<String>,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: Option<String>,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    data: &'a serde_json::Map<String, serde_json::Value>,
}

impl Rule {
    /// Appends the events of the scope's row to `events`.
    pub(super) fn apply(
        &self,
        context: &Context<'_, '_>,
        scope: &Scope<'_>,
        events: &mut Vec<Made>,
    ) -> Result<(), Failure> {
        if let Some(when) = &self.when
            && !when.is_true(context, scope)?
        {
            return Ok(());
        }
        let Some(for_each) = &self.for_each else {
            events.push(self.template.event(context, scope)?);
            return Ok(());
        };
        let items = for_each.evaluate(context, scope)?;
        let items = items.downcast_ref::<CelList<'_>>();
        for item in items.ok_or_else(|| for_each.failure("is not a list".to_owned()))?.inner() {
            let mut inner = context.new_inner_scope();
            inner.add_variable_as_val("item", item.clone());
            events.push(self.template.event(&inner, scope)?);
        }
        Ok(())
    }

    /// Every expression of the rule.
    pub(super) fn expressions(&self) -> Vec<&Expression> {
        let own = [&self.when, &self.for_each].into_iter().flatten();
        own.chain(self.template.expressions()).collect()
    }
}

impl Template {
    /// Every expression of the template.
    pub(super) fn expressions(&self) -> Vec<&Expression> {
        let mut all = vec![&self.kind, &self.id, &self.source, &self.time];
        all.extend(&self.subject);
        collect(&self.data, &mut all);
        all
    }

    /// The event it makes where `context` says what the names stand for.
    pub(super) fn event(
        &self,
        context: &Context<'_, '_>,
        scope: &Scope<'_>,
    ) -> Result<Made, Failure> {
        let text = |expression: &Expression| expression.text(context, scope);
        let kind = short_type(text(&self.kind)?.unwrap_or_default());
        let full_kind = format!("{PREFIX}{kind}{VERSION}");
        let subject = self.subject.as_ref().map(text).transpose()?.flatten();
        let data = object(&self.data, context, scope)?;
        let envelope = Envelope {
            specversion: "1.0",
            id: text(&self.id)?,
            source: text(&self.source)?,
            r#type: &full_kind,
            subject,
            time: text(&self.time)?,
            data: &data,
        };
        let value =
            serde_json::to_vec(&envelope).map_err(|error| self.kind.failure(error.to_string()))?;
        let event = self.checked(value)?;
        for field in self.data.iter().filter(|field| data.contains_key(&field.name)) {
            if !field.is_known.get_or_init(|| is_known(&envelope, &field.name)) {
                let reason = format!("{kind} has no such field");
                return Err(Failure { place: Arc::clone(&field.place), reason });
            }
        }
        Ok(Made { event, kind })
    }

    /// The event in `value`, if every reader will take it.
    fn checked(&self, value: Vec<u8>) -> Result<Produced, Failure> {
        let (time, log, key) =
            match decoded(&value).map_err(|rejection| self.rejected(rejection))? {
                Event::Customer(event) => (event.time, Log::Events, event.customer.to_string()),
                Event::Reference(event) => (event.time, Log::Reference, reference_key(&event)),
                Event::Tick(time) => (time, Log::Events, String::new()),
            };
        Ok(Produced { time, log, key, value })
    }

    /// The failure of the expression that a reader's refusal is about.
    fn rejected(&self, rejection: Rejection) -> Failure {
        let detail = rejection.detail.unwrap_or_default();
        let place = match (rejection.reason, &*detail) {
            (Reason::BadEnvelope, "id") => self.id.place(),
            (Reason::BadEnvelope, "source") => self.source.place(),
            (Reason::BadEnvelope, "time") => self.time.place(),
            (Reason::BadData, name) => {
                let field = self.data.iter().find(|field| field.name == name);
                field.map_or_else(|| self.kind.place(), |field| &field.place)
            }
            _ => self.kind.place(),
        };
        let separator = if detail.is_empty() { "" } else { ": " };
        Failure {
            place: Arc::clone(place),
            reason: format!("{}{separator}{detail}", rejection.reason),
        }
    }
}

fn decoded(value: &[u8]) -> Result<Event, Rejection> {
    wire::decode(
        RecordRef { key: None, value: Some(value), headers: &[], timestamp_ms: None },
        Expect::File,
    )
}

/// Whether the contract knows a field of the event's data. Readers ignore what they do not know, so a misspelt name would vanish
/// without a word; but they refuse a field they know that holds what no field can.
fn is_known(envelope: &Envelope<'_>, name: &str) -> bool {
    let mut data = envelope.data.clone();
    data.insert(name.to_owned(), serde_json::json!([[]]));
    let value = serde_json::to_vec(&Envelope { data: &data, ..envelope.clone() });
    value.is_ok_and(|value| decoded(&value).is_err())
}

fn collect<'a>(fields: &'a [Field], all: &mut Vec<&'a Expression>) {
    for field in fields {
        match &field.value {
            Data::Expression(expression) => all.push(expression),
            Data::Constant(_) => {}
            Data::Table(fields) => collect(fields, all),
        }
    }
}

/// The key of a record of the reference log: its kind and its id.
fn reference_key(event: &ReferenceEvent) -> String {
    match &event.change {
        ReferenceChange::PlanPublished { plan_id, .. }
        | ReferenceChange::PlanWithdrawn { plan_id, .. } => {
            format!("plan/{plan_id}")
        }
        ReferenceChange::PriceListed { sku, .. } => format!("price/{sku}"),
        ReferenceChange::PolicyPublished { policy } => {
            format!("policy/{}", policy.policy().version)
        }
    }
}

const PREFIX: &str = "io.goodfaith.";
const VERSION: &str = ".v1";

/// `contact.opened` for `io.goodfaith.contact.opened.v1` and for itself.
fn short_type(kind: String) -> String {
    let short = kind.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(VERSION));
    short.map(str::to_owned).unwrap_or(kind)
}

fn object(
    fields: &[Field],
    context: &Context<'_, '_>,
    scope: &Scope<'_>,
) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let mut object = serde_json::Map::new();
    for field in fields {
        let value = match &field.value {
            Data::Constant(value) => value.clone(),
            Data::Table(fields) => object_or_null(fields, context, scope)?,
            Data::Expression(expression) => {
                let value = expression.evaluate(context, scope)?;
                to_json(value.as_ref())
                    .ok_or_else(|| expression.failure("has no JSON form".to_owned()))?
            }
        };
        if !value.is_null() {
            object.insert(field.name.clone(), value);
        }
    }
    Ok(object)
}

/// An object all of whose fields are left out is left out too.
fn object_or_null(
    fields: &[Field],
    context: &Context<'_, '_>,
    scope: &Scope<'_>,
) -> Result<serde_json::Value, Failure> {
    let object = object(fields, context, scope)?;
    Ok(if object.is_empty() { serde_json::Value::Null } else { serde_json::Value::Object(object) })
}

/// `None` for what JSON cannot say: bytes, a number that is not finite, a key that is no text, a row.
fn to_json(value: &dyn Val) -> Option<serde_json::Value> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Some(text.inner().into());
    }
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return Some((*int.inner()).into());
    }
    if let Some(int) = value.downcast_ref::<CelUInt>() {
        return Some((*int.inner()).into());
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        return serde_json::Number::from_f64(*number.inner()).map(serde_json::Value::Number);
    }
    if let Some(truth) = value.downcast_ref::<CelBool>() {
        return Some((*truth.inner()).into());
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().map(|item| to_json(item.as_ref())).collect();
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        return map
            .inner()
            .iter()
            .map(|(key, value)| Some((text_key(key)?, to_json(value.as_ref())?)))
            .collect();
    }
    value.downcast_ref::<CelNull>().map(|_| serde_json::Value::Null)
}

fn text_key(key: &CelMapKey<'_>) -> Option<String> {
    match key {
        CelMapKey::String(text) => Some(text.inner().to_owned()),
        CelMapKey::Bool(_) | CelMapKey::Int(_) | CelMapKey::UInt(_) => None,
    }
}
