//! A population with planted squeezes: events, and beside them what a detector must find in these and what it must not.
//!
//! Every customer has one line, billed each month or quarter. Some are squeezed in one of the twenty ways, others live through
//! something that looks so and is excepted: a negotiated price, a notice in time, a trade-off, a tax; and all have an everyday life
//! of questions, callbacks and purchases. What was planted is known from what was arranged: the stories know dates, amounts and the
//! rules as MODEL.md states them, and ask no detector. Squeezes that follow from a planted one, as a vulnerable customer's from any
//! other of the line, are planted with it. No rule can be reached by two stories of one customer at once; how rules meet on one
//! bill is for the model's own tests.
//!
//! A history is a pure function of the seed and the customer's number. The stream makes it again for each quarter of a year and
//! keeps what happens in it, so that memory holds a quarter's events, however long the span.

mod bills;
mod harm;
mod history;
mod leaving;
mod market;
mod money;
mod planted;
mod pricing;
mod terms;

use std::num::NonZeroU32;
use std::vec;

use super::dice::Dice;
use super::records::Share;
use super::scene::{Customer, Scene, midnight};
use super::{Settings, newcomer, promises, service, shop, voice};
use crate::model::{CustomerEvent, Event, EventTime};
use history::History;

pub(in crate::generate) use planted::read_time;
pub use planted::{Decoy, Planted, PlantedSqueeze};

/// Months of the span whose events are in memory at a time.
const QUARTER: i32 = 3;

/// What population to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PopulationSettings {
    /// Gives every draw.
    pub seed: u64,
    /// How many.
    pub customers: NonZeroU32,
    /// When the span begins; its day, from [`Settings::EARLIEST`] on.
    pub from: EventTime,
    /// Months of the span; at least [`Population::MONTHS_MIN`].
    pub months: NonZeroU32,
    /// Share of customers squeezed by a story of the line, and again by one beside it.
    pub squeezed: Share,
    /// Share of customers with a decoy, likewise; what exceeds 1 with `squeezed` is left out.
    pub decoys: Share,
}

/// Customers of whom it is known who is squeezed, and who only looks so. The same settings give the same population everywhere.
#[derive(Debug, Clone, Copy)]
pub struct Population {
    settings: PopulationSettings,
    from: EventTime,
    until: EventTime,
}

/// Tells a story, and plants what it arranged.
type Story = fn(&mut History);

/// Stories of the line, each with its decoys: a customer has one of them at most.
const LINE_STORIES: [(Story, Story); 12] = [
    (pricing::plant_s01, pricing::decoy_s01),
    (terms::plant_s02, terms::decoy_s02),
    (pricing::plant_s03, pricing::decoy_s03),
    (leaving::plant_s04, leaving::decoy_s04),
    (leaving::plant_s05, leaving::decoy_s05),
    (bills::plant_s07, bills::decoy_s07),
    (leaving::plant_s08, leaving::decoy_s08),
    (terms::plant_s12, terms::decoy_s12),
    (terms::plant_s16, terms::decoy_s16),
    (terms::plant_s17, terms::decoy_s17),
    (pricing::plant_s19, pricing::decoy_s19),
    (terms::plant_s20, terms::decoy_s20),
];

/// Stories beside the line's own; again one at most.
const OTHER_STORIES: [(Story, Story); 8] = [
    (money::plant_s06, money::decoy_s06),
    (money::plant_s08, money::decoy_s08),
    (money::plant_s09, money::decoy_s09),
    (money::plant_s10, money::decoy_s10),
    (money::plant_s13, money::decoy_s13),
    (bills::plant_s14, bills::decoy_s14),
    (bills::plant_s15, bills::decoy_s15),
    (money::plant_s18, money::decoy_s18),
];

/// A story of the simulated telecom.
type Moment = fn(&mut Scene<'_>);

/// What happens to everybody, and squeezes nobody.
const EVERYDAY: [(u64, Moment); 8] = [
    (30, service::question),
    (20, shop::purchase),
    (15, promises::callback),
    (10, promises::appointment),
    (10, voice::survey),
    (5, service::complaint),
    (5, shop::proactive_refund),
    (5, voice::autopay),
];

impl Population {
    /// The shortest span: a year for the slowest rule, and room around it.
    pub const MONTHS_MIN: u32 = 24;

    /// The population of `settings`.
    ///
    /// # Panics
    /// If the span is shorter than [`Self::MONTHS_MIN`].
    pub fn new(settings: PopulationSettings) -> Self {
        assert!(settings.months.get() >= Self::MONTHS_MIN, "{} months", settings.months);
        let from = midnight(settings.from.max(Settings::EARLIEST));
        let months = i32::try_from(settings.months.get()).unwrap_or(i32::MAX);
        let until = from.plus_months(months).min(EventTime::END.plus_months(-24));
        Self { settings, from, until }
    }

    /// What is planted, by customer.
    pub fn planted(self) -> impl Iterator<Item = Planted> {
        self.customers().flat_map(move |number| self.history(number).1)
    }

    /// The catalogue, then all events by time, and at last a tick of the clock at the end of the span.
    pub fn events(self) -> Events {
        Events {
            population: self,
            batch: market::reference_events(self.from).into_iter(),
            made_to: None,
        }
    }

    fn customers(self) -> impl Iterator<Item = u64> {
        1..=u64::from(self.settings.customers.get())
    }

    /// Everything about one customer.
    fn history(self, number: u64) -> (Vec<CustomerEvent>, Vec<Planted>) {
        // An odd multiplier tells numbers apart in every bit; what it is does not matter.
        let dice = Dice::new(self.settings.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let customer = Customer { id: format!("p{number:06}").into(), ..newcomer(number, 0) };
        let mut history = History::new(customer, dice, self.from, self.until);
        self.tell_line(&mut history);
        if let Some(story) = self.draw(&mut history.dice, &OTHER_STORIES) {
            story(&mut history);
        }
        harm::perhaps_vulnerable(&mut history);
        tell_everyday(&mut history);
        history.finish()
    }

    fn tell_line(self, history: &mut History) {
        if let Some(story) = self.draw(&mut history.dice, &LINE_STORIES) {
            return story(history);
        }
        let line = if history.dice.chance(250) {
            history.young_line(self.from.plus_days(3), self.until.plus_months(-8))
        } else {
            history.plain_line()
        };
        let is_usage_expected = history.dice.chance(300);
        history.start(&history::Line { is_usage_expected, ..line.clone() });
        if is_usage_expected {
            bills::use_line(history, line.started, self.until);
        }
    }

    /// A story to plant, a decoy, or none.
    fn draw(self, dice: &mut Dice, stories: &[(Story, Story)]) -> Option<Story> {
        let (plant, decoy) = dice.pick(stories);
        let drawn = dice.below(Share::WHOLE);
        let squeezed = self.settings.squeezed.millionths();
        if drawn < squeezed {
            return Some(plant);
        }
        (drawn < squeezed + self.settings.decoys.millionths()).then_some(decoy)
    }
}

/// One moment in about three months.
fn tell_everyday(history: &mut History) {
    let mut at = history.active.0;
    loop {
        at = history.days_after(at, 5, 170);
        if at >= history.active.1 {
            return;
        }
        let story = history.dice.weighted(&EVERYDAY);
        history.let_happen(at, story);
    }
}

/// See [`Population::events`].
#[derive(Debug)]
pub struct Events {
    population: Population,
    batch: vec::IntoIter<Event>,
    /// Events before it have been made; `None` before the first quarter.
    made_to: Option<EventTime>,
}

impl Events {
    /// The next quarter's events, or the last tick; whether there was anything left to make.
    fn make_quarter(&mut self) -> bool {
        let Population { from, until, .. } = self.population;
        let start = self.made_to;
        if start.is_some_and(|start| until < start) {
            return false;
        }
        let end = start.unwrap_or(from).plus_months(QUARTER);
        let is_now = |event: &CustomerEvent| {
            start.is_none_or(|start| start <= event.time) && event.time < end
        };
        let mut events: Vec<_> = self
            .population
            .customers()
            .flat_map(|number| self.population.history(number).0)
            .filter(is_now)
            .collect();
        // Stable: of one time, a customer's events stay in their order.
        events.sort_by_key(|event| event.time);
        let events = events.into_iter().map(|event| Event::Customer(Box::new(event)));
        let tick = (until < end).then_some(Event::Tick(until));
        self.batch = events.chain(tick).collect::<Vec<_>>().into_iter();
        self.made_to = Some(end);
        true
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.batch.next() {
                return Some(event);
            }
            if !self.make_quarter() {
                return None;
            }
        }
    }
}
