//! The simulated telecom as a source would deliver it: encoded, and with what goes wrong on the way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;
use std::str::FromStr;

use super::dice::Dice;
use super::scene::{HOUR_MS, MINUTE_MS};
use super::{Generator, Settings};
use crate::model::{DAY_MS, Event, EventTime, Text};
use crate::wire;

/// How many records may be on their way at once. When it is full, a record is neither late nor repeated.
const HELD_MAX: usize = 10_000;

/// A share of records, to a millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Share {
    // Invariant: <= 1_000_000.
    millionths: u32,
}

impl Share {
    /// All of them, in millionths.
    pub(super) const WHOLE: u64 = 1_000_000;

    /// The share in millionths.
    pub(super) const fn millionths(self) -> u64 {
        self.millionths as u64
    }
}

impl FromStr for Share {
    type Err = &'static str;

    /// Reads a number from 0 to 1, for instance `0.02`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share: f64 = text.parse().map_err(|_error| "not a number")?;
        if !(0.0..=1.0).contains(&share) {
            return Err("not from 0 to 1");
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        Ok(Self { millionths: (share * 1e6).round() as u32 })
    }
}

/// How much goes wrong on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disorder {
    /// Arrives late: nine of ten within the hour, the others within five days.
    pub late: Share,
    /// Arrives a second time within two days.
    pub duplicate: Share,
    /// Is bad on purpose, in one of seven ways in turn; with a share of 1 nothing else ever comes.
    pub poison: Share,
}

/// How a record's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Structured CloudEvents JSON, one line without its end.
    #[default]
    Json,
    /// A bare `goodfaith.v1.Event`.
    Proto,
}

/// One record to send.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedRecord {
    /// The customer; `None` for a change of the catalogue.
    pub key: Option<Text>,
    /// The bytes; without line feeds in [`Form::Json`].
    pub value: Vec<u8>,
    /// What they say; `None` if they are bad on purpose.
    pub event: Option<Event>,
}

/// The records of a simulation, in the order of their arrival. The catalogue is never late, repeated or spoilt.
#[derive(Debug)]
pub struct Records<E: Iterator<Item = Event> = Generator> {
    events: Peekable<E>,
    disorder: Disorder,
    form: Form,
    // Draws of its own: the events are the same whatever goes wrong with them.
    dice: Dice,
    held: BinaryHeap<Reverse<Held>>,
    held_count: u64,
    poison_count: u64,
}

impl Records {
    /// The records of the simulation of `settings`.
    pub fn new(settings: Settings, disorder: Disorder, form: Form) -> Self {
        Self::of(Generator::new(settings), settings.seed, disorder, form)
    }
}

impl<E: Iterator<Item = Event>> Records<E> {
    /// The records of `events`; `seed` gives what goes wrong with them.
    pub fn of(events: E, seed: u64, disorder: Disorder, form: Form) -> Self {
        Self {
            events: events.peekable(),
            disorder,
            form,
            dice: Dice::new(!seed),
            held: BinaryHeap::new(),
            held_count: 0,
            poison_count: 0,
        }
    }

    fn happens(&mut self, share: Share) -> bool {
        self.dice.below(Share::WHOLE) < share.millionths()
    }

    /// Keeps `event` back until `lag_ms` after its time.
    fn hold(&mut self, event: Event, time: EventTime, lag_ms: i64) {
        self.held_count += 1;
        let order = self.held_count;
        self.held.push(Reverse(Held { release: time.plus(lag_ms), order, event }));
    }

    /// The next event to arrive, if any: one kept back whose time has come, else the next to happen.
    fn arrival(&mut self) -> Option<Arrival> {
        let now = self.events.peek().map(time_of);
        let is_due = |held: &Reverse<Held>| now.is_none_or(|now| held.0.release <= now);
        if self.held.peek().is_some_and(is_due) {
            return self.held.pop().map(|Reverse(held)| Arrival::Delayed(held.event));
        }
        self.events.next().map(Arrival::Fresh)
    }

    fn record(&self, event: Event) -> GeneratedRecord {
        let value = match self.form {
            Form::Json => wire::encode_event_json(&event).into_bytes(),
            Form::Proto => wire::encode_event_proto(&event),
        };
        let key = match &event {
            Event::Customer(event) => Some(event.customer.clone()),
            Event::Reference(_) | Event::Tick(_) => None,
        };
        GeneratedRecord { key, value, event: Some(event) }
    }

    /// A record about `customer` that is bad in the next of the ways there are.
    fn poison(&mut self, customer: &Text) -> GeneratedRecord {
        self.poison_count += 1;
        let id = format!("p{}", self.poison_count);
        let envelope = |source: &str, kind: &str| {
            format!(
                r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"io.goodfaith.{kind}.v1","subject":"{customer}""#
            )
        };
        let time = r#""time":"2025-01-01T00:00:00Z""#;
        let value = match self.poison_count % 7 {
            1 => envelope("/crm", "promise.kept").into_bytes(),
            2 => (envelope("/crm", "account.closed") + "}").into_bytes(),
            3 => format!("{},{time}}}", envelope("/goodfaith", "account.closed")).into_bytes(),
            4 => format!("{},{time}}}", envelope("/crm", "promise.pondered")).into_bytes(),
            5 => format!(
                "{},{time},\"data\":{{\"promise_id\":7}}}}",
                envelope("/crm", "promise.kept")
            )
            .into_bytes(),
            6 => b"\xff\xfe no event at all".to_vec(),
            _ => b"\x00\x00".to_vec(),
        };
        GeneratedRecord { key: Some(customer.clone()), value, event: None }
    }
}

impl<E: Iterator<Item = Event>> Iterator for Records<E> {
    type Item = GeneratedRecord;

    fn next(&mut self) -> Option<GeneratedRecord> {
        if let Some(Event::Customer(event)) = self.events.peek() {
            let customer = event.customer.clone();
            if self.happens(self.disorder.poison) {
                return Some(self.poison(&customer));
            }
        }
        loop {
            let event = match self.arrival()? {
                Arrival::Delayed(event) => return Some(self.record(event)),
                Arrival::Fresh(event) => event,
            };
            if !matches!(event, Event::Customer(_)) || self.held.len() >= HELD_MAX {
                return Some(self.record(event));
            }
            let time = time_of(&event);
            if self.happens(self.disorder.duplicate) {
                let lag_ms = self.dice.within(0, 2 * DAY_MS);
                self.hold(event.clone(), time, lag_ms);
            }
            if !self.happens(self.disorder.late) {
                return Some(self.record(event));
            }
            let lag_ms = if self.dice.chance(900) {
                self.dice.within(MINUTE_MS, HOUR_MS)
            } else {
                self.dice.within(HOUR_MS, 5 * DAY_MS)
            };
            self.hold(event, time, lag_ms);
        }
    }
}

/// An event as it arrives.
enum Arrival {
    /// For the first time, in time.
    Fresh(Event),
    /// After having been kept back.
    Delayed(Event),
}

/// An event kept back.
#[derive(Debug)]
struct Held {
    release: EventTime,
    order: u64,
    event: Event,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.release, self.order).cmp(&(other.release, other.order))
    }
}

const fn time_of(event: &Event) -> EventTime {
    match event {
        Event::Customer(event) => event.time,
        Event::Reference(event) => event.time,
        Event::Tick(time) => *time,
    }
}
