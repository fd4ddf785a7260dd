//! The work: a seeded stream of the events that `../peers/README.md` counts, as a source would deliver them. The same settings give the
//! same bytes. It knows no broker and no score.
//!
//! Customers are drawn by Zipf's law; one in twenty events arrives late, one in a hundred twice, one in ten thousand is no event. All happens
//! within twenty days, so that decay counts and nothing becomes due.

use std::collections::VecDeque;

use goodfaith::model::event::{
    Actor, Attested, Body, Cause, ComplaintOutcome, ContactClosed, RemedyKind,
};
use goodfaith::model::{Currency, CustomerEvent, Event, EventTime, Money, Text};
use goodfaith::wire;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

/// 2025-01-01.
const BEGIN_MS: i64 = 1_735_689_600_000;
const SPAN_MS: i64 = 20 * 86_400_000;
/// How far behind its neighbours an event may come: an hour.
const LATE_MAX_MS: u64 = 3_600_000;
/// A duplicate comes at most so many records after its original: within what every system remembers of a customer.
const REPEATABLE: u64 = 32;
const MILLION: u64 = 1_000_000;

/// What to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) events: u64,
    pub(crate) customers: u64,
    /// The exponent of Zipf's law, above 0.
    pub(crate) zipf: f64,
    /// The share of the events that one customer has besides its own by Zipf's law, 0 to 1.
    pub(crate) hot: f64,
    /// Customers come one after another instead, so that all have as many events.
    pub(crate) in_turn: bool,
}

/// One record to store.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) key: Text,
    pub(crate) value: Vec<u8>,
}

/// The records of a workload, in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Workload {
    settings: Settings,
    zipf: Zipf,
    dice: Dice,
    made: u64,
    /// The last records that were no repeats, each with its place.
    recent: VecDeque<(u64, Record)>,
}

impl Workload {
    pub(crate) fn new(settings: Settings) -> Self {
        let dice = Dice(Pcg64Mcg::seed_from_u64(settings.seed));
        let zipf = Zipf::new(settings.customers, settings.zipf);
        Self { settings, zipf, dice, made: 0, recent: VecDeque::new() }
    }

    fn customer(&mut self) -> Text {
        if self.settings.in_turn {
            return customer_name(self.made % self.settings.customers).into();
        }
        let is_hot = self.dice.unit() < self.settings.hot;
        let rank = if is_hot { 0 } else { self.zipf.draw(&mut self.dice) };
        customer_name(rank).into()
    }

    fn event(&mut self) -> Record {
        let customer = self.customer();
        if self.dice.happens(100) {
            return Record { key: customer, value: self.dice.garbage() };
        }
        let step = i128::from(SPAN_MS) * i128::from(self.made) / i128::from(self.settings.events);
        let lag = if self.dice.happens(50_000) { self.dice.below(LATE_MAX_MS) } else { 0 };
        let time_ms = BEGIN_MS + i64::try_from(step).unwrap() - i64::try_from(lag).unwrap();
        let (source, body) = self.dice.body(self.made);
        let has_origin = self.dice.happens(600_000);
        let event = CustomerEvent {
            customer: customer.clone(),
            id: event_id(self.made).into(),
            source: source.into(),
            time: EventTime::from_millis(time_ms),
            causation_id: None,
            trace: None,
            channel: has_origin.then(|| self.dice.word("channel", 8)),
            actor: has_origin.then(|| self.dice.actor()),
            body,
        };
        let value = wire::encode_event_proto(&Event::Customer(Box::new(event)));
        Record { key: customer, value }
    }
}

impl Iterator for Workload {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.made == self.settings.events {
            return None;
        }
        while self.recent.front().is_some_and(|(at, _)| at + REPEATABLE <= self.made) {
            self.recent.pop_front();
        }
        let is_repeat = self.dice.happens(10_000) && !self.recent.is_empty();
        let record = if is_repeat {
            let which = self.dice.below(self.recent.len() as u64);
            self.recent[usize::try_from(which).unwrap()].1.clone()
        } else {
            let record = self.event();
            self.recent.push_back((self.made, record.clone()));
            record
        };
        self.made += 1;
        Some(record)
    }
}

/// The name of the `rank`th customer.
pub(crate) fn customer_name(rank: u64) -> String {
    format!("c{rank:010}")
}

/// Which customer a key names.
pub(crate) fn customer_rank(key: &[u8]) -> Option<u32> {
    std::str::from_utf8(key).ok()?.strip_prefix('c')?.parse().ok()
}

/// The id of the event at `index`.
fn event_id(index: u64) -> String {
    format!("e{index:010}")
}

/// Which event an id names.
pub(crate) fn event_index(id: &[u8]) -> Option<u64> {
    std::str::from_utf8(id).ok()?.strip_prefix('e')?.parse().ok()
}

/// Chance: integers from one seeded sequence.
#[derive(Debug)]
struct Dice(Pcg64Mcg);

impl Dice {
    /// A number in `0..n`.
    fn below(&mut self, n: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(n);
        u64::try_from(product >> 64).unwrap()
    }

    /// A number in `0.0..1.0`.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn happens(&mut self, millionths: u64) -> bool {
        self.below(MILLION) < millionths
    }

    fn pounds(&mut self, minor_max: u64) -> Money {
        let minor = 50 + i64::try_from(self.below(minor_max)).unwrap();
        Money::new(minor, Currency::new("GBP").unwrap())
    }

    fn word(&mut self, what: &str, kinds: u64) -> Text {
        format!("{what}-{}", self.below(kinds)).into()
    }

    /// Who acted, in 20 to 220 bytes.
    fn actor(&mut self) -> Actor {
        let long = usize::try_from(self.below(60)).unwrap();
        Actor {
            kind: Some("agent".into()),
            id: Some(format!("{}{:05}", "a".repeat(long), self.below(20_000)).into()),
            team: Some(format!("{}{:03}", "team-".repeat(1 + long / 10), self.below(300)).into()),
            department: Some(self.word(&"department-".repeat(1 + long / 15), 20)),
        }
    }

    fn attested(&mut self) -> Attested {
        match self.below(10) {
            0..=6 => Attested::System,
            7..=8 => Attested::Agent,
            _ => Attested::Customer,
        }
    }

    /// What no Protobuf decoder takes: it begins with a wire type that there is not.
    fn garbage(&mut self) -> Vec<u8> {
        vec![0xff; 60 + usize::try_from(self.below(340)).unwrap()]
    }

    /// What happened, and who reports it.
    fn body(&mut self, index: u64) -> (&'static str, Body) {
        let id: Text = format!("k{index:010}").into();
        let attested_by = self.attested();
        match self.below(100) {
            0..=34 => {
                let right_first_time = self.happens(900_000);
                let body = Body::ServiceDelivered { reference: id, right_first_time, attested_by };
                ("/telecom/network", body)
            }
            35..=54 => {
                let subscription_id = self.word("line", 1_000_000);
                let quantity = self.below(10_000) as f64 / 10.0;
                ("/telecom/usage", Body::UsageReported { subscription_id, quantity })
            }
            55..=69 => {
                let complete = self.happens(950_000);
                ("/telecom/shop", Body::OrderFulfilled { order_id: id, complete, attested_by })
            }
            70..=83 => {
                let closed = ContactClosed {
                    contact_id: id,
                    issue: Some(self.word("issue", 500)),
                    resolved: false,
                    transfers: u16::try_from(self.below(4)).unwrap(),
                    waited_ms: Some(i64::try_from(self.below(900)).unwrap() * 1000),
                    wait_stated_ms: Some(300_000),
                    attested_by,
                };
                ("/telecom/contact", Body::ContactClosed(Box::new(closed)))
            }
            84..=86 => {
                let cause = [Cause::Firm, Cause::Supplier, Cause::ForceMajeure, Cause::Customer]
                    [usize::try_from(self.below(4)).unwrap()];
                let amount = self.happens(800_000).then(|| self.pounds(10_000));
                let body = Body::BillingErrorConfirmed { error_id: id, amount, attested_by, cause };
                ("/telecom/billing", body)
            }
            87..=90 => {
                let kind =
                    if self.happens(700_000) { RemedyKind::Goodwill } else { RemedyKind::Credit };
                let body = Body::RemedyIssued {
                    remedy_id: id,
                    kind,
                    amount: self.pounds(5_000),
                    about_id: None,
                    unprompted: false,
                    failure_confirmed: false,
                };
                ("/telecom/billing", body)
            }
            91..=93 => {
                let body = Body::SavingsAdvised {
                    advice_id: id,
                    subscription_id: self.word("line", 1_000_000),
                    plan_id: self.word("plan", 40),
                    saving_monthly: self.pounds(1_500),
                };
                ("/telecom/advice", body)
            }
            94..=95 => {
                let before_customer_contact = self.happens(800_000);
                let body = Body::DisclosureMade { disclosure_id: id, before_customer_contact };
                ("/telecom/care", body)
            }
            96..=98 => {
                let outcome = [
                    ComplaintOutcome::Upheld,
                    ComplaintOutcome::Upheld,
                    ComplaintOutcome::Rejected,
                ][usize::try_from(self.below(3)).unwrap()];
                let body = Body::ComplaintResolved {
                    complaint_id: id,
                    outcome,
                    apology: self.happens(600_000),
                    redress: self.happens(500_000),
                    misled: self.happens(100_000),
                    attested_by,
                };
                ("/telecom/care", body)
            }
            _ => {
                let (upheld, misled) = (self.happens(500_000), self.happens(300_000));
                ("/telecom/care", Body::EscalationDecided { escalation_id: id, upheld, misled })
            }
        }
    }
}

/// Draws ranks from 0 with probability proportional to 1 / (rank + 1)^s.
///
/// Source: W. Hörmann and G. Derflinger, *Rejection-inversion to generate variates from monotone discrete distributions* (1996).
#[derive(Debug)]
struct Zipf {
    exponent: f64,
    ranks: f64,
    /// The integral of x^-s up to one and a half, less 1.
    low: f64,
    /// The same up to the last rank and a half.
    high: f64,
    squeeze: f64,
}

impl Zipf {
    fn new(ranks: u64, exponent: f64) -> Self {
        let ranks = ranks as f64;
        let mut zipf = Self { exponent, ranks, low: 0.0, high: 0.0, squeeze: 0.0 };
        zipf.low = zipf.integral(1.5) - 1.0;
        zipf.high = zipf.integral(ranks + 0.5);
        zipf.squeeze = 2.0 - zipf.integral_inverse(zipf.integral(2.5) - libm::pow(2.0, -exponent));
        zipf
    }

    fn draw(&self, dice: &mut Dice) -> u64 {
        loop {
            let u = self.high + dice.unit() * (self.low - self.high);
            let x = self.integral_inverse(u);
            let rank = x.round().clamp(1.0, self.ranks);
            if rank - x <= self.squeeze
                || self.integral(rank + 0.5) - libm::pow(rank, -self.exponent) <= u
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "1 to ranks"
                )]
                return rank as u64 - 1;
            }
        }
    }

    fn integral(&self, x: f64) -> f64 {
        let log = libm::log(x);
        let power = (1.0 - self.exponent) * log;
        if power.abs() < 1e-9 { log } else { libm::expm1(power) / (1.0 - self.exponent) }
    }

    fn integral_inverse(&self, y: f64) -> f64 {
        let power = y * (1.0 - self.exponent);
        if power.abs() < 1e-9 {
            libm::exp(y)
        } else {
            libm::exp(libm::log1p(power) / (1.0 - self.exponent))
        }
    }
}
