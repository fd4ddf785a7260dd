//! A seeded telecom: an endless, reproducible stream of what happens between a firm and its customers.
//!
//! The same settings give the same events on every platform: chance comes from one seeded sequence, all arithmetic on it is on
//! integers, and time is simulated. Nothing here reads a clock or knows a score; whether a story earns or costs trust is for the
//! engine to say. Memory grows with the customers alive at once, not with the events made.
//!
//! The firm keeps three dear legacy plans whose holders have stayed three years or more, and sells newer plans that are cheaper
//! and equal or better in everything. Four customers in ten hold a legacy plan, one in ten of them at a negotiated price; half are
//! on one of today's plans; one in ten joins in the first half year. One in fifty never uses the line; all others do each month.
//! Who cancels makes room for somebody new a few weeks later.
//!
//! The stream begins with the catalogue, then the subscriptions that were there before, at their true dates, then the last month's
//! bills; so the first bills of the simulated time are the second ones of the legacy holders, and show them squeezed. From then on
//! every customer is billed each month, a quarter of the bills with extra use, and has a moment about every nine days, at which
//! one story begins:
//!
//! | of 1000 | story | how it goes |
//! |---|---|---|
//! | 215 | a question | 78 % resolved; one in four comes up again, half of these within the week |
//! | 130 | a callback promised | 74 % kept, 10 % late (some told), 6 % silently broken, 3 % owned up to, 4 % moved, 1 % withdrawn, 2 % disputed |
//! | 60 | an appointment | as a callback, over days |
//! | 110 | a delivery | 82 % in time, 13 % late, 5 % never: refund agreed, four in five paid in time |
//! | 110 | a failure | 35 % told and mended, 25 % told, 15 % mended, 25 % neither: the customer calls, some complain |
//! | 20 | a complaint | 50 % upheld, 28 % rejected, 8 % withdrawn, 9 % overdue, 5 % to the ombudsman |
//! | 120 | a purchase | |
//! | 40 | £3.48 back for a failure that may have happened | 65 % buy within 30 hours |
//! | 25 | a pre-order with a price guarantee | prices fall in a sale of two weeks each quarter; 60 % of the differences are paid unasked, 20 % once asked for |
//! | 15 | a quote | 60 % accepted; one charge in ten exceeds its quote |
//! | 40 | advice | legacy holders: of the better plan, 70 % switch, half of these get the excess back; others: use runs high |
//! | 8 | a cancellation | 90 % completed, some late, a quarter hindered; 33 % billed on, half of it refunded; 10 % later ask to be forgotten |
//! | 65 | a survey | |
//! | 35 | consent or autopay given or withdrawn | one opt-out in ten is followed by marketing |
//! | 7 | vulnerability | 70 % helped, a third recover |
//!
//! Three in ten who join within a year have a term of twelve months; it is renewed with notice (80 %), at a raised price (30 %).
//! Not made: suppressions, retractions, price and term changes in mid-term, trials, penalty fees, credits.
//!
//! [`Population`] is other customers of the same firm, of whom is known who is squeezed; [`Comparison`] counts what was found.

mod agenda;
mod billing;
mod comparison;
pub(crate) mod dice;
mod life;
mod offers;
mod population;
mod promises;
mod records;
mod scene;
mod service;
mod shop;
mod voice;

use std::num::NonZeroU32;
use std::vec;

use crate::model::{CustomerEvent, Event, EventTime};
use agenda::{Act, Agenda, Deed, Item, Telling};
use dice::Dice;
use scene::{Customer, HOUR_MS, Scene, midnight};

pub use comparison::{Comparison, FalseAlarm, LineError, TypeTally};
pub use population::{Decoy, Events, Planted, PlantedSqueeze, Population, PopulationSettings};
pub use records::{Disorder, Form, GeneratedRecord, Records, Share};

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Gives every draw.
    pub seed: u64,
    /// Customers at one time.
    pub customers: NonZeroU32,
    /// When the simulated time begins; its day, from [`Settings::EARLIEST`] on.
    pub from: EventTime,
    /// How many months of simulated time; `None`: without end.
    pub months: Option<NonZeroU32>,
}

impl Settings {
    /// 1980-01-01: histories before it would leave the times an event can have.
    pub const EARLIEST: EventTime = EventTime::from_millis(315_532_800_000);
}

impl Default for Settings {
    /// Seed 1, a thousand customers, from 2025-01-01 without end.
    fn default() -> Self {
        Self {
            seed: 1,
            customers: NonZeroU32::new(1000).expect("a thousand is not zero"),
            from: EventTime::from_millis(1_735_689_600_000),
            months: None,
        }
    }
}

/// The events of the simulated telecom: the catalogue first, then by time. Ends only with the months set, or two
/// years before event times do.
#[derive(Debug)]
pub struct Generator {
    reference: vec::IntoIter<Event>,
    from: EventTime,
    until: EventTime,
    seats: Vec<Option<Customer>>,
    customers_named: u64,
    events_made: u64,
    dice: Dice,
    agenda: Agenda,
}

impl Generator {
    /// A simulation at its beginning.
    pub fn new(settings: Settings) -> Self {
        let from = midnight(settings.from.max(Settings::EARLIEST));
        let months = settings.months.and_then(|months| i32::try_from(months.get()).ok());
        let until = months.map_or(EventTime::END, |months| from.plus_months(months));
        let mut generator = Self {
            reference: offers::reference_events(from).into_iter(),
            from,
            until: until.min(EventTime::END.plus_months(-24)),
            seats: Vec::new(),
            customers_named: 0,
            events_made: 0,
            dice: Dice::new(settings.seed),
            agenda: Agenda::default(),
        };
        generator.fill_seats(settings.customers);
        generator
    }

    /// Sets when each seat is first taken.
    fn fill_seats(&mut self, customers: NonZeroU32) {
        let relaunch = self.from.plus_months(-offers::RELAUNCH_MONTHS);
        for seat in 0..customers.get() as usize {
            let (earliest, latest) = self.dice.weighted(&[
                (400, (self.from.plus_months(-90), relaunch.plus_months(-7))),
                (500, (relaunch, self.from.plus_days(-1))),
                (100, (self.from, self.from.plus_months(6))),
            ]);
            let day = earliest.plus(self.dice.within(0, latest.since(earliest)));
            let joined = midnight(day).plus(self.dice.within(8 * HOUR_MS, 20 * HOUR_MS));
            self.agenda.push(joined, Item::Do(Act { seat, tenancy: 0, deed: Deed::Join }));
            self.seats.push(None);
        }
    }

    /// Lets `act` happen, if its customer is still there.
    fn perform(&mut self, now: EventTime, act: Act) {
        if matches!(act.deed, Deed::Join) {
            self.customers_named += 1;
            self.seats[act.seat] = Some(newcomer(self.customers_named, act.tenancy));
        }
        let Some(customer) = &mut self.seats[act.seat] else { return };
        if customer.is_leaving || customer.tenancy != act.tenancy {
            return;
        }
        let mut scene = Scene {
            now,
            from: self.from,
            seat: act.seat,
            customer,
            dice: &mut self.dice,
            agenda: &mut self.agenda,
        };
        life::perform(&mut scene, act.deed);
    }

    fn event(&mut self, time: EventTime, telling: Telling) -> Event {
        self.events_made += 1;
        Event::Customer(Box::new(CustomerEvent {
            customer: telling.customer,
            id: format!("g{}", self.events_made).into(),
            source: telling.source.into(),
            time,
            causation_id: None,
            trace: None,
            channel: telling.channel.map(Into::into),
            actor: telling.actor,
            body: telling.body,
        }))
    }
}

/// A customer of whom nothing is decided yet but the name.
fn newcomer(number: u64, tenancy: u32) -> Customer {
    Customer {
        id: format!("c{number:06}").into(),
        tenancy,
        plan: 0,
        monthly_minor: 0,
        is_negotiated: false,
        is_dormant: false,
        billed_to: EventTime::default(),
        overcharged_minor: 0,
        is_leaving: false,
        named: 0,
    }
}

impl Iterator for Generator {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.reference.next() {
            return Some(event);
        }
        loop {
            let (time, item) = self.agenda.pop()?;
            if time >= self.until {
                return None;
            }
            match item {
                Item::Tell(telling) => return Some(self.event(time, *telling)),
                Item::Do(act) => self.perform(time, act),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Body;

    fn customer_events(settings: Settings) -> impl Iterator<Item = CustomerEvent> {
        Generator::new(settings).filter_map(|event| match event {
            Event::Customer(event) => Some(*event),
            Event::Reference(_) | Event::Tick(_) => None,
        })
    }

    #[test]
    fn the_catalogue_comes_first_and_the_rest_by_time() {
        let events: Vec<_> = Generator::new(Settings::default()).take(20_000).collect();
        let first = events.iter().position(|event| matches!(event, Event::Customer(_))).unwrap();
        let (catalogue, rest) = events.split_at(first);
        assert!(catalogue.iter().all(|event| matches!(event, Event::Reference(_))));
        let times: Vec<_> = rest
            .iter()
            .map(|event| match event {
                Event::Customer(event) => event.time,
                Event::Reference(_) | Event::Tick(_) => panic!("only customers' events follow"),
            })
            .collect();
        assert!(times.is_sorted());
    }

    #[test]
    fn the_months_set_are_the_end() {
        let settings = Settings { months: NonZeroU32::new(2), ..Settings::default() };
        let last = customer_events(settings).last().unwrap();
        assert!(last.time < settings.from.plus_months(2));
        assert!(settings.from.plus_months(2).plus_days(-1) < last.time);
    }

    #[test]
    fn a_legacy_holder_is_billed_twice_within_the_first_few_thousand_events() {
        let mut bills = std::collections::BTreeMap::<_, u32>::new();
        let second = customer_events(Settings::default()).position(|event| {
            let Body::InvoiceIssued(_) = event.body else { return false };
            let count = bills.entry(event.customer).or_default();
            *count += 1;
            *count == 2
        });
        assert!(second.unwrap() < 3000, "{second:?}");
    }

    #[test]
    fn memory_does_not_grow_with_the_events_made() {
        let mut generator = Generator::new(Settings {
            customers: NonZeroU32::new(100).expect("not zero"),
            ..Settings::default()
        });
        let pending_after = |generator: &mut Generator, events| {
            assert_eq!(generator.by_ref().take(events).count(), events);
            generator.agenda.len()
        };
        let early = pending_after(&mut generator, 20_000);
        let late = pending_after(&mut generator, 100_000);
        assert!(late < early * 2, "{early} then {late}");
    }
}
