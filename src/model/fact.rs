//! Facts with their place in time, merged so that the order of arrival does not show.

use serde::{Deserialize, Serialize};

use super::{Currency, EventTime, Money, Text};

/// When an event happened, and its id to break ties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// When it happened.
    pub time: EventTime,
    /// The event's id.
    pub id: Text,
}

/// Something an event said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fact<T> {
    /// Which event.
    pub at: Stamp,
    /// What it said.
    pub value: T,
}

impl<T> Fact<T> {
    /// `value`, as said at `at`.
    pub const fn new(at: Stamp, value: T) -> Self {
        Self { at, value }
    }

    /// Makes `self` the later of the two by (time, id): the last writer wins.
    pub fn keep_latest(&mut self, other: Self) {
        if self.at <= other.at {
            *self = other;
        }
    }
}

/// Makes `slot` the earlier of what it holds and `fact` by (time, id).
pub fn keep_earliest<T>(slot: &mut Option<Fact<T>>, fact: Fact<T>) {
    if slot.as_ref().is_none_or(|held| fact.at < held.at) {
        *slot = Some(fact);
    }
}

/// Makes `slot` the later of what it holds and `fact` by (time, id).
pub fn keep_latest<T>(slot: &mut Option<Fact<T>>, fact: Fact<T>) {
    if slot.as_ref().is_none_or(|held| held.at <= fact.at) {
        *slot = Some(fact);
    }
}

/// Amounts added up, each currency apart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Sums(Vec<(Currency, i64)>);

impl Sums {
    /// Adds `money`.
    pub fn add(&mut self, money: Money) {
        match self.0.iter_mut().find(|(currency, _)| *currency == money.currency) {
            Some((_, sum)) => *sum = sum.saturating_add(money.minor),
            None => self.0.push((money.currency, money.minor)),
        }
    }

    /// The sum in `currency`, or of all amounts if there is none to choose.
    pub fn of(&self, currency: Option<Currency>) -> i64 {
        let counts = |held: &Currency| currency.is_none_or(|wanted| wanted == *held);
        self.0.iter().filter(|(held, _)| counts(held)).map(|(_, sum)| sum).sum()
    }
}
