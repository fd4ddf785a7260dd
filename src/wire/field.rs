//! The kinds of field an event can have, in both forms.
//!
//! A [`Kind`] reads one value from JSON and from Protobuf through the same check, so that both forms of an event give the same
//! value or the same fault. A [`Field`] adds what an absent value means. Which events have which fields is said in `contract`.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use prost_types::Timestamp;

use super::json::Json;
use super::message::{self, Raw};
use super::proto;
use super::writer::Writer;
use crate::model::{
    Currency, DAY_MS, EventTime, Money, Period, PolicyDocument, PolicyError, Text,
    parse_duration_ms,
};

/// A field is missing, of the wrong type, or breaks a rule: its name in JSON; within a policy, the path to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault(pub(super) Cow<'static, str>);

impl Fault {
    pub(super) const fn of(field: &'static str) -> Self {
        Self(Cow::Borrowed(field))
    }
}

/// How a value travels. Reading checks every rule of its own; `at` is the event's time.
pub(super) trait Kind {
    type Value;
    type Slot: Slot;
    fn of_json(&self, json: &Json<'_>, at: EventTime) -> Option<Self::Value>;
    fn of_proto(&self, item: <Self::Slot as Slot>::Item, at: EventTime) -> Option<Self::Value>;
    /// As [`Self::of_proto`] of what it would be given; `None` also for what only that can tell.
    fn of_raw(&self, _: Raw<'_>, _: EventTime) -> Option<Self::Value> {
        None
    }
    fn json(&self, value: &Self::Value, at: EventTime, out: &mut Writer);
    fn proto(&self, value: &Self::Value, at: EventTime) -> <Self::Slot as Slot>::Item;
}

/// What a generated message holds for a field: an item, or nothing.
pub(super) trait Slot {
    type Item;
    fn take(self) -> Option<Self::Item>;
    fn of(item: Option<Self::Item>) -> Self;
}

impl<T> Slot for Option<T> {
    type Item = T;
    fn take(self) -> Self {
        self
    }
    fn of(item: Self) -> Self {
        item
    }
}

/// An enum's number; 0, its UNSPECIFIED, is nothing.
impl Slot for i32 {
    type Item = Self;
    fn take(self) -> Option<Self> {
        (self != 0).then_some(self)
    }
    fn of(item: Option<Self>) -> Self {
        item.unwrap_or_default()
    }
}

impl<T> Slot for Vec<T> {
    type Item = Self;
    fn take(self) -> Option<Self> {
        (!self.is_empty()).then_some(self)
    }
    fn of(item: Option<Self>) -> Self {
        item.unwrap_or_default()
    }
}

/// A value in its place: what it means when absent.
pub(super) trait Field {
    type Value;
    type Slot;
    fn of_json(
        &self,
        object: &Json<'_>,
        name: &'static str,
        at: EventTime,
    ) -> Result<Self::Value, Fault>;
    fn of_proto(
        &self,
        slot: Self::Slot,
        name: &'static str,
        at: EventTime,
    ) -> Result<Self::Value, Fault>;
    /// As [`Self::of_proto`], of a value that is not in its message yet; `None` also for what only that can tell.
    fn of_raw(&self, _: Option<Raw<'_>>, _: EventTime) -> Option<Self::Value> {
        None
    }
    fn json(&self, value: &Self::Value, name: &'static str, at: EventTime, out: &mut Writer);
    fn proto(&self, value: &Self::Value, at: EventTime) -> Self::Slot;
}

/// What a field means when nothing is said, and when nothing need be said.
pub(super) trait Presence {
    type Kind: Kind;
    type Value;
    fn kind(&self) -> &Self::Kind;
    /// The field's value, or `None` if it must be said and was not.
    fn settle(
        &self,
        said: Option<<Self::Kind as Kind>::Value>,
        at: EventTime,
    ) -> Option<Self::Value>;
    /// What to say of `value`, if anything.
    fn stated<'v>(
        &self,
        value: &'v Self::Value,
        at: EventTime,
    ) -> Option<&'v <Self::Kind as Kind>::Value>;
}

impl<P: Presence> Field for P {
    type Value = P::Value;
    type Slot = <P::Kind as Kind>::Slot;

    fn of_json(
        &self,
        object: &Json<'_>,
        name: &'static str,
        at: EventTime,
    ) -> Result<Self::Value, Fault> {
        let said = match object.get(name) {
            Some(json) => Some(self.kind().of_json(json, at).ok_or_else(|| Fault::of(name))?),
            None => None,
        };
        self.settle(said, at).ok_or_else(|| Fault::of(name))
    }

    fn of_proto(
        &self,
        slot: Self::Slot,
        name: &'static str,
        at: EventTime,
    ) -> Result<Self::Value, Fault> {
        let said = match slot.take() {
            Some(item) => Some(self.kind().of_proto(item, at).ok_or_else(|| Fault::of(name))?),
            None => None,
        };
        self.settle(said, at).ok_or_else(|| Fault::of(name))
    }

    fn of_raw(&self, raw: Option<Raw<'_>>, at: EventTime) -> Option<Self::Value> {
        let said = match raw {
            Some(raw) => Some(self.kind().of_raw(raw, at)?),
            None => None,
        };
        self.settle(said, at)
    }

    fn json(&self, value: &Self::Value, name: &'static str, at: EventTime, out: &mut Writer) {
        if let Some(value) = self.stated(value, at) {
            self.kind().json(value, at, out.name(name));
        }
    }

    fn proto(&self, value: &Self::Value, at: EventTime) -> Self::Slot {
        Slot::of(self.stated(value, at).map(|value| self.kind().proto(value, at)))
    }
}

/// A field that must be there.
pub(super) const fn required<K: Kind>(kind: K) -> Required<K> {
    Required(kind)
}

/// A field that may be absent.
pub(super) const fn optional<K: Kind>(kind: K) -> Optional<K> {
    Optional(kind)
}

/// A field that, if absent, is what `default` makes of the event's time.
pub(super) const fn or<K: Kind>(kind: K, default: fn(EventTime) -> K::Value) -> Or<K> {
    Or(kind, default)
}

/// A part whose fields stand beside the others in JSON and in a message of their own in Protobuf.
pub(super) const fn flat<T: Fields>() -> Flat<T> {
    Flat(PhantomData)
}

pub(super) struct Required<K>(K);

impl<K: Kind> Presence for Required<K> {
    type Kind = K;
    type Value = K::Value;
    fn kind(&self) -> &K {
        &self.0
    }
    fn settle(&self, said: Option<K::Value>, _: EventTime) -> Option<K::Value> {
        said
    }
    fn stated<'v>(&self, value: &'v K::Value, _: EventTime) -> Option<&'v K::Value> {
        Some(value)
    }
}

pub(super) struct Optional<K>(K);

impl<K: Kind> Presence for Optional<K> {
    type Kind = K;
    type Value = Option<K::Value>;
    fn kind(&self) -> &K {
        &self.0
    }
    fn settle(&self, said: Option<K::Value>, _: EventTime) -> Option<Self::Value> {
        Some(said)
    }
    fn stated<'v>(&self, value: &'v Self::Value, _: EventTime) -> Option<&'v K::Value> {
        value.as_ref()
    }
}

pub(super) struct Or<K: Kind>(K, fn(EventTime) -> K::Value);

impl<K: Kind<Value: PartialEq>> Presence for Or<K> {
    type Kind = K;
    type Value = K::Value;
    fn kind(&self) -> &K {
        &self.0
    }
    fn settle(&self, said: Option<K::Value>, at: EventTime) -> Option<K::Value> {
        Some(said.unwrap_or_else(|| (self.1)(at)))
    }
    fn stated<'v>(&self, value: &'v K::Value, at: EventTime) -> Option<&'v K::Value> {
        (*value != (self.1)(at)).then_some(value)
    }
}

/// A group of fields: the data of an event, or a part of it.
pub(super) trait Fields: Sized {
    type Proto: Default;
    fn of_json(object: &Json<'_>, at: EventTime) -> Result<Self, Fault>;
    fn of_proto(message: Self::Proto, at: EventTime) -> Result<Self, Fault>;
    /// As [`Self::of_proto`], of the bytes of the message; `None` also for what only that can tell.
    fn of_raw(_: &[u8], _: EventTime) -> Option<Self> {
        None
    }
    fn json(&self, at: EventTime, out: &mut Writer);
    fn proto(&self, at: EventTime) -> Self::Proto;
}

macro_rules! pointers {
    ($($pointer:ident),+) => {$(
        impl<T: Fields> Fields for $pointer<T> {
            type Proto = T::Proto;
            fn of_json(object: &Json<'_>, at: EventTime) -> Result<Self, Fault> {
                T::of_json(object, at).map(Self::new)
            }
            fn of_proto(message: T::Proto, at: EventTime) -> Result<Self, Fault> {
                T::of_proto(message, at).map(Self::new)
            }
            fn of_raw(bytes: &[u8], at: EventTime) -> Option<Self> {
                T::of_raw(bytes, at).map(Self::new)
            }
            fn json(&self, at: EventTime, out: &mut Writer) {
                T::json(self, at, out);
            }
            fn proto(&self, at: EventTime) -> T::Proto {
                T::proto(self, at)
            }
        }
    )+};
}
pointers!(Box, Arc);

pub(super) struct Flat<T>(PhantomData<T>);

impl<T: Fields> Field for Flat<T> {
    type Value = T;
    type Slot = Option<T::Proto>;
    fn of_json(&self, object: &Json<'_>, _: &'static str, at: EventTime) -> Result<T, Fault> {
        T::of_json(object, at)
    }
    fn of_proto(&self, slot: Self::Slot, _: &'static str, at: EventTime) -> Result<T, Fault> {
        T::of_proto(slot.unwrap_or_default(), at)
    }
    fn json(&self, value: &T, _: &'static str, at: EventTime, out: &mut Writer) {
        value.json(at, out);
    }
    fn proto(&self, value: &T, at: EventTime) -> Self::Slot {
        Some(value.proto(at))
    }
}

/// A part in an object and a message of its own.
pub(super) const fn part<T: Fields>() -> Part<T> {
    Part(PhantomData)
}

pub(super) struct Part<T>(PhantomData<T>);

impl<T: Fields> Kind for Part<T> {
    type Value = T;
    type Slot = Option<T::Proto>;
    fn of_json(&self, json: &Json<'_>, at: EventTime) -> Option<T> {
        if matches!(json, Json::Object(_)) { T::of_json(json, at).ok() } else { None }
    }
    fn of_proto(&self, item: T::Proto, at: EventTime) -> Option<T> {
        T::of_proto(item, at).ok()
    }
    fn of_raw(&self, raw: Raw<'_>, at: EventTime) -> Option<T> {
        T::of_raw(raw.bytes()?, at)
    }
    fn json(&self, value: &T, at: EventTime, out: &mut Writer) {
        out.object(|out| value.json(at, out));
    }
    fn proto(&self, value: &T, at: EventTime) -> T::Proto {
        value.proto(at)
    }
}

/// A list of at most `max` values.
pub(super) const fn list<K: Kind>(kind: K, max: usize) -> List<K> {
    List { kind, max }
}

pub(super) struct List<K> {
    kind: K,
    max: usize,
}

impl<T, K: Kind<Slot = Option<T>>> Kind for List<K> {
    type Value = Vec<K::Value>;
    type Slot = Vec<T>;
    fn of_json(&self, json: &Json<'_>, at: EventTime) -> Option<Self::Value> {
        let Json::List(items) = json else { return None };
        if items.len() > self.max {
            return None;
        }
        items.iter().map(|item| self.kind.of_json(item, at)).collect()
    }
    fn of_proto(&self, items: Vec<T>, at: EventTime) -> Option<Self::Value> {
        if items.len() > self.max {
            return None;
        }
        items.into_iter().map(|item| self.kind.of_proto(item, at)).collect()
    }
    fn json(&self, value: &Self::Value, at: EventTime, out: &mut Writer) {
        out.list(|out| value.iter().for_each(|item| self.kind.json(item, at, out)));
    }
    fn proto(&self, value: &Self::Value, at: EventTime) -> Vec<T> {
        value.iter().map(|item| self.kind.proto(item, at)).collect()
    }
}

/// True for 1 to 128 characters.
pub(super) fn is_text(text: &str) -> bool {
    const CHARS_MAX: usize = 128;
    let is_short = text.len() <= CHARS_MAX
        || (text.len() <= CHARS_MAX * 4 && text.chars().count() <= CHARS_MAX);
    !text.is_empty() && is_short
}

/// Text of 1 to 128 characters.
pub(super) const TEXT: TextKind = TextKind;

pub(super) struct TextKind;

impl Kind for TextKind {
    type Value = Text;
    type Slot = Option<String>;
    fn of_json(&self, json: &Json<'_>, _: EventTime) -> Option<Text> {
        json.text().filter(|text| is_text(text)).map(Text::from)
    }
    fn of_proto(&self, item: String, _: EventTime) -> Option<Text> {
        is_text(&item).then(|| item.into())
    }
    fn of_raw(&self, raw: Raw<'_>, _: EventTime) -> Option<Text> {
        raw.text().filter(|text| is_text(text)).map(Text::from)
    }
    fn json(&self, value: &Text, _: EventTime, out: &mut Writer) {
        out.text(value);
    }
    fn proto(&self, value: &Text, _: EventTime) -> String {
        value.to_string()
    }
}

/// True or false.
pub(super) const BOOL: BoolKind = BoolKind;

pub(super) struct BoolKind;

impl Kind for BoolKind {
    type Value = bool;
    type Slot = Option<bool>;
    fn of_json(&self, json: &Json<'_>, _: EventTime) -> Option<bool> {
        if let Json::Bool(value) = json { Some(*value) } else { None }
    }
    fn of_proto(&self, item: bool, _: EventTime) -> Option<bool> {
        Some(item)
    }
    fn of_raw(&self, raw: Raw<'_>, _: EventTime) -> Option<bool> {
        Some(raw.number()? != 0)
    }
    fn json(&self, value: &bool, _: EventTime, out: &mut Writer) {
        out.bool(*value);
    }
    fn proto(&self, value: &bool, _: EventTime) -> bool {
        *value
    }
}

/// A whole number from `min` to `max`.
pub(super) const fn int<T>(min: T, max: T) -> Int<T> {
    Int { min, max }
}

pub(super) struct Int<T> {
    min: T,
    max: T,
}

impl<T: Copy + PartialOrd + TryFrom<u32> + Into<u32>> Kind for Int<T> {
    type Value = T;
    type Slot = Option<u32>;
    fn of_json(&self, json: &Json<'_>, at: EventTime) -> Option<T> {
        let Json::Int(value) = json else { return None };
        self.of_proto(u32::try_from(*value).ok()?, at)
    }
    fn of_proto(&self, item: u32, _: EventTime) -> Option<T> {
        T::try_from(item).ok().filter(|value| self.min <= *value && *value <= self.max)
    }
    fn of_raw(&self, raw: Raw<'_>, at: EventTime) -> Option<T> {
        self.of_proto(u32::try_from(raw.number()?).ok()?, at)
    }
    fn json(&self, value: &T, _: EventTime, out: &mut Writer) {
        out.int((*value).into());
    }
    fn proto(&self, value: &T, _: EventTime) -> u32 {
        (*value).into()
    }
}

/// A finite number from `min` to `max`.
pub(super) const fn number(min: f64, max: f64) -> Number {
    Number { min, max }
}

pub(super) struct Number {
    min: f64,
    max: f64,
}

impl Kind for Number {
    type Value = f64;
    type Slot = Option<f64>;
    #[expect(clippy::cast_precision_loss, reason = "a number written as an int is the nearest f64")]
    fn of_json(&self, json: &Json<'_>, at: EventTime) -> Option<f64> {
        match json {
            Json::Int(value) => self.of_proto(*value as f64, at),
            Json::Number(value) => self.of_proto(*value, at),
            _ => None,
        }
    }
    fn of_proto(&self, item: f64, _: EventTime) -> Option<f64> {
        (item.is_finite() && self.min <= item && item <= self.max).then_some(item)
    }
    fn of_raw(&self, raw: Raw<'_>, at: EventTime) -> Option<f64> {
        self.of_proto(f64::from_bits(raw.bits()?), at)
    }
    fn json(&self, value: &f64, _: EventTime, out: &mut Writer) {
        out.number(*value);
    }
    fn proto(&self, value: &f64, _: EventTime) -> f64 {
        *value
    }
}

/// A policy that is valid and must be said: an object in JSON, its text in Protobuf.
pub(super) const POLICY: PolicyField = PolicyField;

/// A longer path to a setting is not told: it is made of the author's words.
const PATH_MAX: usize = 128;

pub(super) struct PolicyField;

impl PolicyField {
    fn read(text: &str, name: &'static str) -> Result<Arc<PolicyDocument>, Fault> {
        let fault = |PolicyError { key, .. }| {
            let is_told = !key.is_empty() && key.len() <= PATH_MAX;
            if is_told { Fault(format!("{name}.{key}").into()) } else { Fault::of(name) }
        };
        PolicyDocument::from_json(text).map(Arc::new).map_err(fault)
    }
}

impl Field for PolicyField {
    type Value = Arc<PolicyDocument>;
    type Slot = Option<String>;

    fn of_json(
        &self,
        object: &Json<'_>,
        name: &'static str,
        _: EventTime,
    ) -> Result<Arc<PolicyDocument>, Fault> {
        let mut text = Writer::default();
        text.json(object.get(name).ok_or_else(|| Fault::of(name))?);
        Self::read(&text.into_string(), name)
    }

    fn of_proto(
        &self,
        slot: Option<String>,
        name: &'static str,
        _: EventTime,
    ) -> Result<Arc<PolicyDocument>, Fault> {
        Self::read(&slot.ok_or_else(|| Fault::of(name))?, name)
    }

    fn json(
        &self,
        value: &Arc<PolicyDocument>,
        name: &'static str,
        _: EventTime,
        out: &mut Writer,
    ) {
        out.name(name);
        out.raw(value.json());
    }

    fn proto(&self, value: &Arc<PolicyDocument>, _: EventTime) -> Option<String> {
        Some(value.json().to_owned())
    }
}

/// Money of at least 0.
pub(super) const MONEY: MoneyKind = MoneyKind { is_signed: false };
/// Money that may be negative.
pub(super) const SIGNED_MONEY: MoneyKind = MoneyKind { is_signed: true };

pub(super) struct MoneyKind {
    is_signed: bool,
}

impl MoneyKind {
    fn check(&self, minor: i64, currency: &str) -> Option<Money> {
        const END: i64 = 1 << 53;
        let is_in_range = minor < END && minor > if self.is_signed { -END } else { -1 };
        if is_in_range { Some(Money::new(minor, Currency::new(currency)?)) } else { None }
    }
}

impl Kind for MoneyKind {
    type Value = Money;
    type Slot = Option<proto::Money>;
    fn of_json(&self, json: &Json<'_>, _: EventTime) -> Option<Money> {
        let Some(Json::Int(minor)) = json.get("minor") else { return None };
        self.check(*minor, json.get("currency")?.text()?)
    }
    fn of_proto(&self, item: proto::Money, _: EventTime) -> Option<Money> {
        self.check(item.minor, &item.currency)
    }
    fn of_raw(&self, raw: Raw<'_>, _: EventTime) -> Option<Money> {
        let [minor, currency] = message::fields(raw.bytes()?)?;
        self.check(minor.map_or(Some(0), Raw::number)?.cast_signed(), currency?.text()?)
    }
    fn json(&self, value: &Money, _: EventTime, out: &mut Writer) {
        out.money(value);
    }
    fn proto(&self, value: &Money, _: EventTime) -> proto::Money {
        value.into()
    }
}

impl From<&Money> for proto::Money {
    fn from(money: &Money) -> Self {
        Self { minor: money.minor, currency: money.currency.as_str().to_owned() }
    }
}

/// A time.
pub(super) const TIME: TimeKind = TimeKind { later_days_max: None };
/// A time after the event's.
pub(super) const LATER: TimeKind = later_within(i64::MAX);

/// A time after the event's by at most `days`.
pub(super) const fn later_within(days: i64) -> TimeKind {
    TimeKind { later_days_max: Some(days) }
}

pub(super) struct TimeKind {
    later_days_max: Option<i64>,
}

impl TimeKind {
    fn check(&self, time: EventTime, at: EventTime) -> Option<EventTime> {
        let is_ok = self.later_days_max.is_none_or(|days| at < time && time <= at.plus_days(days));
        is_ok.then_some(time)
    }
}

impl Kind for TimeKind {
    type Value = EventTime;
    type Slot = Option<Timestamp>;
    fn of_json(&self, json: &Json<'_>, at: EventTime) -> Option<EventTime> {
        self.check(EventTime::parse(json.text()?)?, at)
    }
    fn of_proto(&self, item: Timestamp, at: EventTime) -> Option<EventTime> {
        self.check(time_of(item)?, at)
    }
    fn of_raw(&self, raw: Raw<'_>, at: EventTime) -> Option<EventTime> {
        let [seconds, nanos] = message::fields(raw.bytes()?)?;
        let seconds = seconds.map_or(Some(0), Raw::number)?.cast_signed();
        let nanos = i32::try_from(nanos.map_or(Some(0), Raw::number)?).ok()?;
        self.of_proto(Timestamp { seconds, nanos }, at)
    }
    fn json(&self, value: &EventTime, _: EventTime, out: &mut Writer) {
        out.time(*value);
    }
    fn proto(&self, value: &EventTime, _: EventTime) -> Timestamp {
        timestamp(*value)
    }
}

/// The event time of a timestamp, digits beyond milliseconds dropped; `None` unless it is well formed and 1970 ≤ year < 2200.
pub(super) fn time_of(timestamp: Timestamp) -> Option<EventTime> {
    let nanos = (0..1_000_000_000).contains(&timestamp.nanos).then_some(timestamp.nanos)?;
    let ms = timestamp.seconds.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))?;
    let time = EventTime::from_millis(ms);
    (0 <= ms && time < EventTime::END).then_some(time)
}

/// `time` as Protobuf's own type.
pub(super) fn timestamp(time: EventTime) -> Timestamp {
    let ms = time.as_millis();
    let nanos = i32::try_from(ms.rem_euclid(1000) * 1_000_000).expect("less than a second");
    Timestamp { seconds: ms.div_euclid(1000), nanos }
}

/// A value that is a text in both forms.
pub(super) struct Spelled<T> {
    read: fn(&str) -> Option<T>,
    write: fn(&T) -> String,
}

impl<T> Kind for Spelled<T> {
    type Value = T;
    type Slot = Option<String>;
    fn of_json(&self, json: &Json<'_>, _: EventTime) -> Option<T> {
        (self.read)(json.text()?)
    }
    fn of_proto(&self, item: String, _: EventTime) -> Option<T> {
        (self.read)(&item)
    }
    fn json(&self, value: &T, _: EventTime, out: &mut Writer) {
        out.text(&(self.write)(value));
    }
    fn proto(&self, value: &T, _: EventTime) -> String {
        (self.write)(value)
    }
}

/// A calendar day: its midnight UTC.
pub(super) const DATE: Spelled<EventTime> =
    Spelled { read: EventTime::parse_date, write: |day| day.date().to_string() };

/// How long a price buys.
pub(super) const PERIOD: Spelled<Period> =
    Spelled { read: Period::parse, write: Period::to_string };

/// A duration of whole seconds, at most 3660 days; in milliseconds.
pub(super) const DURATION: DurationKind = DurationKind;

pub(super) struct DurationKind;

impl Kind for DurationKind {
    type Value = i64;
    type Slot = Option<i64>;
    fn of_json(&self, json: &Json<'_>, _: EventTime) -> Option<i64> {
        parse_duration_ms(json.text()?)
    }
    fn of_proto(&self, item: i64, _: EventTime) -> Option<i64> {
        (0 <= item && item <= 3660 * DAY_MS && item % 1000 == 0).then_some(item)
    }
    fn of_raw(&self, raw: Raw<'_>, at: EventTime) -> Option<i64> {
        self.of_proto(raw.number()?.cast_signed(), at)
    }
    fn json(&self, value: &i64, _: EventTime, out: &mut Writer) {
        out.text(&format!("PT{}S", value / 1000));
    }
    fn proto(&self, value: &i64, _: EventTime) -> i64 {
        *value
    }
}

/// One of a fixed set of words, a Protobuf enum whose numbers follow the order of declaration from 1.
pub(super) trait Word: Copy + PartialEq + 'static {
    const ALL: &'static [Self];
    fn as_str(self) -> &'static str;
    fn from_word(word: &str) -> Option<Self>;
    /// Its number in Protobuf.
    fn number(self) -> i32;
}

/// A word.
pub(super) const fn word<W: Word>() -> WordKind<W> {
    WordKind(PhantomData)
}

pub(super) struct WordKind<W>(PhantomData<W>);

impl<W: Word> Kind for WordKind<W> {
    type Value = W;
    type Slot = i32;
    fn of_json(&self, json: &Json<'_>, _: EventTime) -> Option<W> {
        W::from_word(json.text()?)
    }
    fn of_proto(&self, item: i32, _: EventTime) -> Option<W> {
        W::ALL.get(usize::try_from(item).ok()?.checked_sub(1)?).copied()
    }
    fn of_raw(&self, raw: Raw<'_>, at: EventTime) -> Option<W> {
        self.of_proto(i32::try_from(raw.number()?).ok()?, at)
    }
    fn json(&self, value: &W, _: EventTime, out: &mut Writer) {
        out.text(value.as_str());
    }
    fn proto(&self, value: &W, _: EventTime) -> i32 {
        value.number()
    }
}

/// Makes enums of the model words, and tests that each is the Protobuf enum of its name.
macro_rules! word_enums {
    ($($name:ident: $path:path),+ $(,)?) => {
        $(impl Word for $path {
            const ALL: &'static [Self] = Self::ALL;
            fn as_str(self) -> &'static str {
                self.as_str()
            }
            fn from_word(word: &str) -> Option<Self> {
                Self::from_word(word)
            }
            fn number(self) -> i32 {
                self as i32 + 1
            }
        })+

        #[cfg(test)]
        mod word_tests {
            use super::*;

            fn spelled(screaming: &str) -> String {
                screaming.to_lowercase()
            }

            #[test]
            fn a_word_has_the_same_name_in_both_forms() {
                $({
                    let prefix = proto::$name::Unspecified.as_str_name().strip_suffix("UNSPECIFIED").unwrap();
                    let mut count = 0;
                    for word in <$path>::ALL {
                        let twin = proto::$name::try_from(Word::number(*word)).unwrap();
                        assert_eq!(spelled(twin.as_str_name().strip_prefix(prefix).unwrap()), word.as_str());
                        count += 1;
                    }
                    assert!(proto::$name::try_from(count + 1).is_err(), "{prefix} has more words");
                })+
            }
        }
    };
}

word_enums! {
    Attested: crate::model::event::Attested,
    Cause: crate::model::event::Cause,
    Party: crate::model::event::Party,
    Basis: crate::model::event::Basis,
    Beneficiary: crate::model::event::Beneficiary,
    Verdict: crate::model::event::Verdict,
    LineKind: crate::model::event::LineKind,
    FeeKind: crate::model::event::FeeKind,
    RemedyKind: crate::model::event::RemedyKind,
    PriceReason: crate::model::event::PriceReason,
    RenewalMode: crate::model::event::RenewalMode,
    NoticeKind: crate::model::event::NoticeKind,
    DetectedBy: crate::model::event::DetectedBy,
    Scope: crate::model::event::Scope,
    ComplaintOutcome: crate::model::event::ComplaintOutcome,
    EscalationBody: crate::model::event::EscalationBody,
    ConsentScope: crate::model::event::ConsentScope,
    VulnerabilityDriver: crate::model::event::VulnerabilityDriver,
    Dimension: crate::model::Dimension,
    Band: crate::model::Band,
    PromiseOutcome: crate::model::PromiseOutcome,
    SqueezeState: crate::model::squeeze::SqueezeState,
    Level: crate::model::squeeze::Level,
}
