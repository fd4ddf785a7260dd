//! What is still to come, by time: events already decided, and acts that decide more when their time comes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::event::{Actor, Body};
use crate::model::{EventTime, Text};

/// An event decided on, but for its id.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) customer: Text,
    pub(super) source: &'static str,
    pub(super) channel: Option<&'static str>,
    pub(super) actor: Option<Actor>,
    pub(super) body: Body,
}

/// What the simulated firm or customer does when its time comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    /// A customer takes the seat.
    Join,
    /// The month from this day on is billed.
    Bill { period_start: EventTime },
    /// A moment of the customer's life: one of the stories begins.
    Live,
    /// The customer moves to the newer equal plan.
    Switch,
    /// The term ends in 30 days.
    OfferRenewal { term_end: EventTime },
    /// The term ends and is renewed at this price a month.
    Renew { term_end: EventTime, monthly_minor: i64, enbp_minor: i64 },
}

/// A deed of one tenant of a seat; void once somebody else sits there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act {
    pub(super) seat: usize,
    pub(super) tenancy: u32,
    pub(super) deed: Deed,
}

/// One thing to come.
#[derive(Debug)]
pub(super) enum Item {
    Tell(Box<Telling>),
    Do(Act),
}

#[derive(Debug)]
struct Entry {
    time: EventTime,
    order: u64,
    item: Item,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.order).cmp(&(other.time, other.order))
    }
}

/// A queue by time; of one time, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: BinaryHeap<Reverse<Entry>>,
    order: u64,
}

impl Agenda {
    pub(super) fn push(&mut self, time: EventTime, item: Item) {
        self.order += 1;
        self.entries.push(Reverse(Entry { time, order: self.order, item }));
    }

    pub(super) fn pop(&mut self) -> Option<(EventTime, Item)> {
        self.entries.pop().map(|Reverse(entry)| (entry.time, entry.item))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
