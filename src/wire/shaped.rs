//! Events whose data the model keeps in another shape than the wire: here the wire's shape, and the rules between its fields.

use std::collections::{BTreeMap, BTreeSet};

use super::contract::{fields, name, raw_fields};
use super::field::{
    BOOL, DATE, Fault, Field, Fields, Kind, MONEY, PERIOD, TEXT, TIME, int, is_text, list, number,
    optional, or, part, required,
};
use super::json::Json;
use super::proto;
use super::writer::Writer;
use crate::model::event::{BilledSubscription, Invoice, InvoiceLine, Renewal};
use crate::model::{Attribute, EventTime, Money, Period, PlanVersion, Text};

const LINES_MAX: usize = 200;
const ATTRIBUTES_MAX: usize = 32;
const ORD_MAX: u16 = 1000;

/// A part of the model that travels as `Data`.
pub(super) trait Shaped: Sized {
    type Data: Fields;
    fn of(data: Self::Data) -> Result<Self, Fault>;
    fn data(&self) -> Self::Data;
}

/// A blanket implementation would also cover the pointers that `field` gives their own.
macro_rules! shaped {
    ($($model:ty),+) => {$(
        impl Fields for $model {
            type Proto = <<$model as Shaped>::Data as Fields>::Proto;
            fn of_json(object: &Json<'_>, at: EventTime) -> Result<Self, Fault> {
                Self::of(Fields::of_json(object, at)?)
            }
            fn of_proto(message: Self::Proto, at: EventTime) -> Result<Self, Fault> {
                Self::of(Fields::of_proto(message, at)?)
            }
            fn json(&self, at: EventTime, out: &mut Writer) {
                self.data().json(at, out);
            }
            fn proto(&self, at: EventTime) -> Self::Proto {
                self.data().proto(at)
            }
        }
    )+};
}
shaped!(Invoice, Renewal, PlanVersion);

/// `amount` in minor units, if it is in the currency of `of`; else the field `name` is at fault.
fn minor_of(amount: Money, of: Money, name: &'static str) -> Result<i64, Fault> {
    if amount.currency == of.currency { Ok(amount.minor) } else { Err(Fault::of(name)) }
}

pub(super) struct InvoiceData {
    invoice_id: Text,
    total: Money,
    recurring: Option<Money>,
    subscription_id: Option<Text>,
    plan_id: Option<Text>,
    period_start: Option<EventTime>,
    period_end: Option<EventTime>,
    lines: Vec<InvoiceLine>,
}

fields!(
    InvoiceData = InvoiceIssued {
        invoice_id: required(TEXT),
        total: required(MONEY),
        recurring: optional(MONEY),
        subscription_id: optional(TEXT),
        plan_id: optional(TEXT),
        period_start: optional(DATE),
        period_end: optional(DATE),
        lines: or(list(part(), LINES_MAX), |_| Vec::new()),
    }
);

impl Shaped for Invoice {
    type Data = InvoiceData;

    fn of(data: InvoiceData) -> Result<Self, Fault> {
        let InvoiceData { invoice_id, total, recurring, period_start, period_end, lines, .. } =
            data;
        let recurring_minor = minor_of(recurring.unwrap_or(total), total, "recurring")?;
        if let (Some(start), Some(end)) = (period_start, period_end)
            && end <= start
        {
            return Err(Fault::of("period_end"));
        }
        let subscription = match data.subscription_id {
            Some(subscription_id) => Some(BilledSubscription {
                subscription_id,
                plan_id: data.plan_id,
                period_start: period_start.ok_or_else(|| Fault::of("period_start"))?,
                period_end: period_end.ok_or_else(|| Fault::of("period_end"))?,
            }),
            None => None,
        };
        Ok(Self { invoice_id, total, recurring_minor, subscription, lines })
    }

    fn data(&self) -> InvoiceData {
        let billed = self.subscription.as_ref();
        InvoiceData {
            invoice_id: self.invoice_id.clone(),
            total: self.total,
            recurring: (self.recurring_minor != self.total.minor)
                .then(|| Money::new(self.recurring_minor, self.total.currency)),
            subscription_id: billed.map(|billed| billed.subscription_id.clone()),
            plan_id: billed.and_then(|billed| billed.plan_id.clone()),
            period_start: billed.map(|billed| billed.period_start),
            period_end: billed.map(|billed| billed.period_end),
            lines: self.lines.clone(),
        }
    }
}

pub(super) struct RenewalData {
    subscription_id: Text,
    renewal_id: Text,
    price: Money,
    enbp: Option<Money>,
    term_months: u8,
}

fields!(
    RenewalData = Renewal {
        subscription_id: required(TEXT),
        renewal_id: required(TEXT),
        price: required(MONEY),
        enbp: optional(MONEY),
        term_months: or(int(1, 60), |_| 12),
    }
);

impl Shaped for Renewal {
    type Data = RenewalData;

    fn of(data: RenewalData) -> Result<Self, Fault> {
        let RenewalData { subscription_id, renewal_id, price, enbp, term_months } = data;
        let enbp_minor = enbp.map(|enbp| minor_of(enbp, price, "enbp")).transpose()?;
        Ok(Self { subscription_id, renewal_id, price, enbp_minor, term_months })
    }

    fn data(&self) -> RenewalData {
        RenewalData {
            subscription_id: self.subscription_id.clone(),
            renewal_id: self.renewal_id.clone(),
            price: self.price,
            enbp: self.enbp_minor.map(|minor| Money::new(minor, self.price.currency)),
            term_months: self.term_months,
        }
    }
}

pub(super) struct PlanVersionData {
    price: Money,
    period: Period,
    one_off: Option<Money>,
    effective_from: EventTime,
    on_sale_from: Option<EventTime>,
    attributes: BTreeMap<Text, Attribute>,
    segments: Vec<Text>,
    new_customers_only: bool,
}

fields!(
    PlanVersionData = PlanVersion {
        price: required(MONEY),
        period: or(PERIOD, |_| Period::MONTH),
        one_off: optional(MONEY),
        effective_from: or(TIME, |at| at),
        on_sale_from: optional(TIME),
        attributes: required(Attributes),
        segments: or(list(TEXT, usize::MAX), |_| Vec::new()),
        new_customers_only: or(BOOL, |_| false),
    }
);

impl Shaped for PlanVersion {
    type Data = PlanVersionData;

    fn of(data: PlanVersionData) -> Result<Self, Fault> {
        Ok(Self {
            price: data.price,
            period: data.period,
            one_off: data.one_off,
            effective_from: data.effective_from,
            on_sale_from: data.on_sale_from.unwrap_or(data.effective_from),
            attributes: data.attributes,
            segments: data.segments.into_iter().collect(),
            new_customers_only: data.new_customers_only,
        })
    }

    fn data(&self) -> PlanVersionData {
        PlanVersionData {
            price: self.price,
            period: self.period,
            one_off: self.one_off,
            effective_from: self.effective_from,
            on_sale_from: (self.on_sale_from != self.effective_from).then_some(self.on_sale_from),
            attributes: self.attributes.clone(),
            segments: self.segments.iter().cloned().collect(),
            new_customers_only: self.new_customers_only,
        }
    }
}

/// A plan's attributes: an object by name in JSON, a list in Protobuf.
struct Attributes;

impl Kind for Attributes {
    type Value = BTreeMap<Text, Attribute>;
    type Slot = Option<proto::PlanAttributes>;

    fn of_json(&self, json: &Json<'_>, at: EventTime) -> Option<Self::Value> {
        let Json::Object(members) = json else { return None };
        let stated = || members.iter().filter(|(_, value)| !matches!(value, Json::Null));
        if stated().count() > ATTRIBUTES_MAX {
            return None;
        }
        stated()
            .map(|(name, value)| {
                is_text(name).then_some(())?;
                Some((Text::from(&**name), attribute_of_json(value, at)?))
            })
            .collect()
    }

    fn of_proto(&self, item: proto::PlanAttributes, at: EventTime) -> Option<Self::Value> {
        if item.attributes.len() > ATTRIBUTES_MAX {
            return None;
        }
        let attribute = |attribute: proto::PlanAttribute| {
            let name = TEXT.of_proto(attribute.name?, at)?;
            Some((name, attribute_of_proto(attribute.value?, at)?))
        };
        item.attributes.into_iter().map(attribute).collect()
    }

    fn json(&self, value: &Self::Value, at: EventTime, out: &mut Writer) {
        out.object(|out| {
            for (name, attribute) in value {
                out.any_name(name).object(|out| attribute_json(attribute, at, out));
            }
        });
    }

    fn proto(&self, value: &Self::Value, at: EventTime) -> proto::PlanAttributes {
        let attribute = |(name, attribute): (&Text, &Attribute)| proto::PlanAttribute {
            name: Some(name.to_string()),
            value: Some(attribute_proto(attribute, at)),
        };
        proto::PlanAttributes { attributes: value.iter().map(attribute).collect() }
    }
}

fn attribute_of_json(json: &Json<'_>, at: EventTime) -> Option<Attribute> {
    let value = || Field::of_json(&optional(number(0.0, f64::MAX)), json, "value", at).ok();
    match json.get("kind")?.text()? {
        "max" => Some(Attribute::Max(value()?)),
        "min" => Some(Attribute::Min(value()?)),
        "set" => {
            let texts = list(TEXT, usize::MAX).of_json(json.get("value")?, at)?;
            Some(Attribute::Set(texts.into_iter().collect()))
        }
        "ord" => Some(Attribute::Ord(int(0, ORD_MAX).of_json(json.get("value")?, at)?)),
        _ => None,
    }
}

fn attribute_of_proto(value: proto::plan_attribute::Value, at: EventTime) -> Option<Attribute> {
    use proto::plan_attribute::Value;
    let limit = |limit: proto::Limit| {
        Field::of_proto(&optional(number(0.0, f64::MAX)), limit.value, "value", at).ok()
    };
    match value {
        Value::Max(max) => Some(Attribute::Max(limit(max)?)),
        Value::Min(min) => Some(Attribute::Min(limit(min)?)),
        Value::Set(texts) => {
            let texts: Option<BTreeSet<Text>> =
                texts.values.into_iter().map(|text| TEXT.of_proto(text, at)).collect();
            texts.map(Attribute::Set)
        }
        Value::Ord(ord) => int(0, ORD_MAX).of_proto(ord, at).map(Attribute::Ord),
    }
}

fn attribute_json(attribute: &Attribute, at: EventTime, out: &mut Writer) {
    let kind = match attribute {
        Attribute::Max(_) => "max",
        Attribute::Min(_) => "min",
        Attribute::Set(_) => "set",
        Attribute::Ord(_) => "ord",
    };
    out.name("kind").text(kind);
    let out = out.name("value");
    match attribute {
        Attribute::Max(limit) | Attribute::Min(limit) => out.optional(*limit, Writer::number),
        Attribute::Set(texts) => out.list(|out| texts.iter().for_each(|text| out.text(text))),
        Attribute::Ord(ord) => int(0, ORD_MAX).json(ord, at, out),
    }
}

fn attribute_proto(attribute: &Attribute, at: EventTime) -> proto::plan_attribute::Value {
    use proto::plan_attribute::Value;
    match attribute {
        Attribute::Max(limit) => Value::Max(proto::Limit { value: *limit }),
        Attribute::Min(limit) => Value::Min(proto::Limit { value: *limit }),
        Attribute::Set(texts) => {
            Value::Set(proto::Texts { values: texts.iter().map(Text::to_string).collect() })
        }
        Attribute::Ord(ord) => Value::Ord(int(0, ORD_MAX).proto(ord, at)),
    }
}
