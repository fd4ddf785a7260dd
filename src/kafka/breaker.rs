//! The circuit breaker of a partition: too many dead letters among its last records, and it is stopped until somebody has looked.
//!
//! What counts is a record that says nothing usable: the decoder refused it. That is a fault of a producer, or of the version that reads
//! it, and both can be mended. What only the state can tell does not count: an event of an erased customer is expected after an erasure,
//! one that comes too late will be no earlier after a pause, a command without a target is one operator's slip. Duplicates are no dead
//! letters.
//!
//! It decides from the records alone, so that every history of a partition comes to the same stop. It stops nothing itself.

use std::collections::VecDeque;

use crate::wire::StopCause;

/// When dead letters stop a partition: at more than `share` of the last `window` records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeadLetterLimit {
    /// Above 0, at most 1; at 1 nothing is ever stopped.
    pub share: f64,
    /// Records of the partition, at least 1.
    pub window: u64,
}

impl Default for DeadLetterLimit {
    fn default() -> Self {
        Self { share: 0.01, window: 10_000 }
    }
}

impl DeadLetterLimit {
    /// The most dead letters that stop nothing.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of at most a million"
    )]
    const fn most(self) -> u64 {
        (self.share * self.window as f64) as u64
    }
}

/// Counts the dead letters among the last records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Breaker {
    window: u64,
    most: u64,
    /// Records seen.
    records: u64,
    /// The numbers, from 1, of the dead letters among the last `window` records.
    // Invariant: at most `window`; live, one more than `most`, for then the partition stops.
    dead: VecDeque<u64>,
}

impl Breaker {
    pub(super) fn new(limit: DeadLetterLimit) -> Self {
        Self { window: limit.window, most: limit.most(), records: 0, dead: VecDeque::new() }
    }

    /// Counts a record; the cause to stop for, if there is one now.
    pub(super) fn note(&mut self, is_dead: bool) -> Option<StopCause> {
        self.records += 1;
        if !is_dead {
            return None;
        }
        let within = self.records.saturating_sub(self.window);
        while self.dead.front().is_some_and(|number| *number <= within) {
            self.dead.pop_front();
        }
        self.dead.push_back(self.records);
        let count = self.dead.len() as u64;
        (self.most < count).then_some(StopCause::DeadLetters { count, window: self.window })
    }

    /// Begins to count anew: somebody has looked.
    pub(super) fn clear(&mut self) {
        (self.records, self.dead) = (0, VecDeque::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(DeadLetterLimit { share: 0.2, window: 10 })
    }

    /// After which record, from 1, a breaker that stops at more than 2 in 10 stops; `x` is a dead letter.
    fn stops_after(records: &str) -> Option<usize> {
        let mut breaker = breaker();
        let is_stop = |(_, record): &(usize, char)| breaker.note(*record == 'x').is_some();
        let found = records.chars().enumerate().find(is_stop);
        found.map(|(index, _)| index + 1)
    }

    #[test]
    fn more_than_the_share_of_any_window_stops() {
        assert_eq!(stops_after("xx........xx........xx"), None);
        assert_eq!(stops_after("xxx"), Some(3), "a short history is no excuse");
        assert_eq!(stops_after("x........xx"), None, "the first is out of the window");
        assert_eq!(stops_after(".x.......xx"), Some(11), "across what a fixed window would part");
    }

    #[test]
    fn the_default_is_one_in_a_hundred_of_ten_thousand() {
        let mut breaker = Breaker::new(DeadLetterLimit::default());
        assert!((0..10_000).all(|n| breaker.note(n % 100 == 0).is_none()));
        assert!((0..100_000).all(|n| breaker.note(n % 100 == 0).is_none()));
        assert!((0..3).any(|_| breaker.note(true).is_some()));
    }

    #[test]
    fn what_is_kept_is_bounded_and_begins_anew() {
        let mut breaker = Breaker::new(DeadLetterLimit { share: 0.2, window: 10 });
        assert!((0..3).any(|_| breaker.note(true).is_some()));
        breaker.clear();
        assert_eq!(breaker, Breaker::new(DeadLetterLimit { share: 0.2, window: 10 }));
        assert!((0..1000).any(|_| breaker.note(true).is_some()));
        assert!(breaker.dead.len() <= 10);
    }

    #[test]
    fn a_share_of_one_never_stops() {
        let mut breaker = Breaker::new(DeadLetterLimit { share: 1.0, window: 10 });
        assert!((0..1000).all(|_| breaker.note(true).is_none()));
    }
}
