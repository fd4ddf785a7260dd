//! What a story works with: the customer it is about, the time it begins, chance, and the agenda that takes what follows.

use super::agenda::{Act, Agenda, Deed, Item, Telling};
use super::dice::Dice;
use super::offers::PLANS;
use crate::model::event::{Actor, Body};
use crate::model::{DAY_MS, EventTime, Text};

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Every customer's one subscription.
pub(super) const LINE: &str = "line";

/// Agents of the firm, ten to a team.
const AGENTS: u64 = 40;

/// One customer of the simulated telecom.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) id: Text,
    /// Counts the tenants of a seat.
    pub(super) tenancy: u32,
    /// Index in [`PLANS`].
    pub(super) plan: usize,
    pub(super) monthly_minor: i64,
    pub(super) is_negotiated: bool,
    /// Pays without ever using the line.
    pub(super) is_dormant: bool,
    /// The first day not yet billed.
    pub(super) billed_to: EventTime,
    /// Billed above the newer equal plan so far.
    pub(super) overcharged_minor: i64,
    /// Has cancelled: no story begins any more, and the firm should not bill.
    pub(super) is_leaving: bool,
    /// Things named so far.
    pub(super) named: u32,
}

impl Customer {
    /// The newer equal plan, if the customer is on a legacy one at its list price.
    pub(super) fn better_plan(&self) -> Option<usize> {
        PLANS[self.plan].equal.filter(|_| !self.is_negotiated)
    }

    /// What the newer equal plan would save a month; 0 if there is none.
    pub(super) fn saving_minor(&self) -> i64 {
        self.better_plan().map_or(0, |better| self.monthly_minor - PLANS[better].monthly_minor)
    }
}

/// The stage of one story.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) now: EventTime,
    /// When the simulation begins.
    pub(super) from: EventTime,
    pub(super) seat: usize,
    pub(super) customer: &'a mut Customer,
    pub(super) dice: &'a mut Dice,
    pub(super) agenda: &'a mut Agenda,
}

impl Scene<'_> {
    /// A name unique within the customer, for instance `call-3`.
    pub(super) fn name(&mut self, kind: &str) -> Text {
        self.customer.named += 1;
        format!("{kind}-{}", self.customer.named).into()
    }

    /// A time `lo` to `hi` milliseconds from now.
    pub(super) fn after(&mut self, lo: i64, hi: i64) -> EventTime {
        self.now.plus(self.dice.within(lo, hi))
    }

    /// A time of business, `lo` to `hi` days from today.
    pub(super) fn in_days(&mut self, lo: i64, hi: i64) -> EventTime {
        let day = midnight(self.now).plus_days(self.dice.within(lo, hi));
        day.plus(self.dice.within(8 * HOUR_MS, 20 * HOUR_MS))
    }

    /// The system `source` will report `body` at `at`.
    pub(super) fn tell(&mut self, at: EventTime, source: &'static str, body: Body) {
        self.push(at, source, None, None, body);
    }

    /// As [`tell`](Self::tell), of something an agent did on `channel`.
    pub(super) fn tell_of_agent(&mut self, at: EventTime, channel: &'static str, body: Body) {
        let agent = self.dice.below(AGENTS);
        let actor = Actor {
            kind: Some("agent".into()),
            id: Some(format!("agent-{agent:02}").into()),
            team: Some(format!("team-{}", agent / 10).into()),
            department: None,
        };
        self.push(at, "/crm", Some(channel), Some(actor), body);
    }

    fn push(
        &mut self,
        at: EventTime,
        source: &'static str,
        channel: Option<&'static str>,
        actor: Option<Actor>,
        body: Body,
    ) {
        debug_assert!(self.now <= at, "a story tells of its future");
        let customer = self.customer.id.clone();
        self.agenda
            .push(at, Item::Tell(Box::new(Telling { customer, source, channel, actor, body })));
    }

    /// `deed` follows at `at`, unless the customer leaves before.
    pub(super) fn follow(&mut self, at: EventTime, deed: Deed) {
        debug_assert!(self.now <= at, "a deed lies in the future");
        let (seat, tenancy) = (self.seat, self.customer.tenancy);
        self.agenda.push(at, Item::Do(Act { seat, tenancy, deed }));
    }

    /// The customer leaves; another takes the seat at `at`.
    pub(super) fn hand_over(&mut self, at: EventTime) {
        self.customer.is_leaving = true;
        let act = Act { seat: self.seat, tenancy: self.customer.tenancy + 1, deed: Deed::Join };
        self.agenda.push(at, Item::Do(act));
    }
}

/// The beginning of the day of `time`.
pub(super) const fn midnight(time: EventTime) -> EventTime {
    EventTime::from_millis(time.as_millis() - time.as_millis().rem_euclid(DAY_MS))
}
