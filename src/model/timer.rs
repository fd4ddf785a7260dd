//! What a customer waits for: deadlines in event time, part of the customer's state.

use serde::{Deserialize, Serialize};

use super::event::words;
use super::organisation::Origin;
use super::{EventTime, Text};

words! {
    /// What a timer is for. Declared in the order of the words, which is the order of firing at one deadline.
    TimerKind { /// A resolved contact stayed resolved.
        Contact = "contact", /// A closed account's credit should have been paid out.
        Credit = "credit", /// A failure should have been compensated.
        Failure = "failure", /// A closed promise is forgotten.
        Forget = "forget", /// A price guarantee is settled.
        Guarantee = "guarantee", /// A notice of the end of a term was due.
        Notice = "notice", /// A promise was due.
        Promise = "promise", /// A gift was not returned.
        Reciprocity = "reciprocity", /// The score is read again.
        Review = "review", /// A purchase was expected.
        Rhythm = "rhythm", /// A failure is forgiven by staying.
        Trial = "trial", /// A rule has gathered for its window.
        Window = "window", /// A saving is still unsaid.
        Withheld = "withheld" }
}

/// One deadline. Timers fire in the order of these fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timer {
    /// When it is due.
    pub deadline: EventTime,
    /// What it is for.
    pub kind: TimerKind,
    /// What, within the customer and kind; `-` if nothing.
    pub key: Text,
    /// Where the event belongs that armed it.
    pub origin: Origin,
}

/// The deadlines of one customer: at most one a kind and key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Timers {
    list: Vec<Timer>,
    /// Where the event at hand belongs: timers are armed by it.
    pub armed_by: Origin,
}

impl Timers {
    /// Sets the deadline of `kind` and `key`, replacing the one before.
    pub fn arm(&mut self, kind: TimerKind, key: &str, deadline: EventTime) {
        let origin = self.armed_by;
        match self.list.iter_mut().find(|timer| timer.kind == kind && *timer.key == *key) {
            Some(timer) => (timer.deadline, timer.origin) = (deadline, origin),
            None => self.list.push(Timer { deadline, kind, key: key.into(), origin }),
        }
    }

    /// Takes the deadline of `kind` and `key` away, if there is one.
    pub fn disarm(&mut self, kind: TimerKind, key: &str) {
        self.list.retain(|timer| timer.kind != kind || *timer.key != *key);
    }

    /// The deadline of `kind` and `key`.
    pub fn deadline(&self, kind: TimerKind, key: &str) -> Option<EventTime> {
        self.list
            .iter()
            .find(|timer| timer.kind == kind && *timer.key == *key)
            .map(|timer| timer.deadline)
    }

    /// When the first is due.
    pub fn earliest(&self) -> Option<EventTime> {
        self.list.iter().map(|timer| timer.deadline).min()
    }

    /// Takes the first out, in the order of firing.
    pub fn pop(&mut self) -> Option<Timer> {
        let first = self
            .list
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| a.cmp(b))
            .map(|(index, _)| index)?;
        Some(self.list.swap_remove(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_by_deadline_then_kind_then_key() {
        assert!(TimerKind::ALL.is_sorted_by_key(|kind| kind.as_str()));
        let at = EventTime::from_millis;
        let mut timers = Timers::default();
        timers.arm(TimerKind::Trial, "b", at(5));
        timers.arm(TimerKind::Promise, "b", at(5));
        timers.arm(TimerKind::Promise, "a", at(5));
        timers.arm(TimerKind::Review, "-", at(9));
        timers.arm(TimerKind::Review, "-", at(4));
        timers.arm(TimerKind::Withheld, "s", at(1));
        timers.disarm(TimerKind::Withheld, "s");
        let order: Vec<String> = std::iter::from_fn(|| timers.pop())
            .map(|timer| format!("{} {}", timer.kind, timer.key))
            .collect();
        assert_eq!(order, ["review -", "promise a", "promise b", "trial b"]);
    }
}
