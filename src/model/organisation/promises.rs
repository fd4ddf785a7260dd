//! How a unit keeps its word, in numbers: to customers and to itself, and whether its due times were padded or too bold.

use serde::{Deserialize, Serialize};

use crate::model::{EventTime, Micros, PromiseOutcome};

/// Parts of the time allowed that are told apart: twentieths, and the last for all of it or more.
const BUCKETS: usize = 21;

/// How a promise to oneself ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InternalOutcome {
    /// By its due time.
    Kept,
    /// Not by then.
    Broken,
}

/// A promise's outcome as it was counted: what has to be taken back when it turns out otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What became of it; never open or void.
    pub outcome: PromiseOutcome,
    /// (kept − made) / (due − made) of one that was kept, in time or late.
    pub used: Option<Micros>,
}

impl Counted {
    /// A promise made at `made_at` and due at `due_at` that ended as `outcome`, kept at `kept_at`; `None` if there is nothing to
    /// count.
    pub fn new(
        outcome: PromiseOutcome,
        made_at: EventTime,
        due_at: EventTime,
        kept_at: Option<EventTime>,
    ) -> Option<Self> {
        use PromiseOutcome::{Broken, Kept, Late, Open, Void, Withdrawn};
        let used = || {
            let allowed_ms = due_at.since(made_at);
            let used_ms = kept_at?.since(made_at);
            (0 < allowed_ms && 0 <= used_ms)
                .then(|| Micros::round((used_ms as f64 / allowed_ms as f64).min(1.0)))
        };
        match outcome {
            Open | Void => None,
            Kept | Late => Some(Self { outcome, used: used() }),
            Broken | Withdrawn => Some(Self { outcome, used: None }),
        }
    }
}

/// Promises by how they ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PromiseTally {
    /// Kept in time.
    pub kept: i64,
    /// Kept late.
    pub late: i64,
    /// Broken.
    pub broken: i64,
    /// Taken back in time.
    pub withdrawn: i64,
    /// Promises to oneself, kept.
    pub internal_kept: i64,
    /// Promises to oneself, broken.
    pub internal_broken: i64,
    /// Of those kept, by the part of the time allowed that was used, in twentieths; the last is all of it or more.
    pub used: [i64; BUCKETS],
    /// Σ of that part, at most 1 each, in millionths.
    pub used_micros: i64,
}

impl PromiseTally {
    /// Adds `counted` `times` times: 1, or −1 to take it back.
    pub(super) fn count(&mut self, counted: Counted, times: i64) {
        match counted.outcome {
            PromiseOutcome::Kept => self.kept += times,
            PromiseOutcome::Late => self.late += times,
            PromiseOutcome::Broken => self.broken += times,
            PromiseOutcome::Withdrawn => self.withdrawn += times,
            PromiseOutcome::Open | PromiseOutcome::Void => {}
        }
        if let Some(used) = counted.used {
            let bucket = usize::try_from(used.millionths() / 50_000).unwrap_or_default();
            self.used[bucket.min(BUCKETS - 1)] += times;
            self.used_micros += times * used.millionths();
        }
    }

    /// Counts a promise to oneself.
    pub(super) fn count_internal(&mut self, outcome: InternalOutcome) {
        match outcome {
            InternalOutcome::Kept => self.internal_kept += 1,
            InternalOutcome::Broken => self.internal_broken += 1,
        }
    }

    /// Adds another unit's, or the same unit's of another partition.
    pub fn merge(&mut self, other: &Self) {
        self.kept += other.kept;
        self.late += other.late;
        self.broken += other.broken;
        self.withdrawn += other.withdrawn;
        self.internal_kept += other.internal_kept;
        self.internal_broken += other.internal_broken;
        for (sum, more) in self.used.iter_mut().zip(&other.used) {
            *sum += more;
        }
        self.used_micros += other.used_micros;
    }

    /// Promises to customers that came to an end in their own time: kept, late or broken.
    pub const fn ended(&self) -> i64 {
        self.kept + self.late + self.broken
    }

    /// Share of those kept in time; `None` without any.
    pub fn kept_rate(&self) -> Option<f64> {
        share(self.kept, self.ended())
    }

    /// Share of promises to oneself that were kept; `None` without any.
    pub fn internal_kept_rate(&self) -> Option<f64> {
        share(self.internal_kept, self.internal_kept + self.internal_broken)
    }

    /// The median part of the time allowed that was used, to the twentieth below; `None` without any kept.
    pub fn median_used(&self) -> Option<f64> {
        let counted: i64 = self.used.iter().sum();
        let mut below = 0;
        let median = self.used.iter().position(|n| {
            below += n;
            counted > 0 && 2 * below >= counted
        });
        median.map(|bucket| bucket as f64 / 20.0)
    }

    /// Half of what is kept is kept in less than `below` of the time allowed: such promises say little.
    pub fn is_padded(&self, below: f64) -> bool {
        self.median_used().is_some_and(|used| used < below)
    }

    /// Ambition: the mean part of the time allowed that keeping took, at most 1 each; `None` without any kept.
    pub fn ambition(&self) -> Option<f64> {
        let counted: i64 = self.used.iter().sum();
        (counted > 0).then(|| self.used_micros as f64 / 1e6 / counted as f64)
    }

    /// Over-promising: share broken times ambition, 0 to 1. `None` unless some promise ended and some was kept.
    pub fn over_promising(&self) -> Option<f64> {
        Some(share(self.broken, self.ended())? * self.ambition()?)
    }
}

fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_after(hours: i64) -> Counted {
        let at = |hours: i64| EventTime::from_millis(hours * 3_600_000);
        let outcome = if hours <= 100 { PromiseOutcome::Kept } else { PromiseOutcome::Late };
        Counted::new(outcome, at(0), at(100), Some(at(hours))).unwrap()
    }

    fn tally(hours: &[i64], broken: i64) -> PromiseTally {
        let mut tally = PromiseTally { broken, ..PromiseTally::default() };
        for hours in hours {
            tally.count(kept_after(*hours), 1);
        }
        tally
    }

    #[test]
    fn promises_kept_long_before_they_are_due_are_padded() {
        assert!(tally(&[1, 2, 24, 90, 100], 0).is_padded(0.25));
        assert!(!tally(&[1, 2, 25, 90, 100], 0).is_padded(0.25));
        assert!(tally(&[1, 2, 25, 90, 100], 0).is_padded(0.3));
        assert!(!PromiseTally::default().is_padded(1.0));
    }

    #[test]
    fn over_promising_is_what_was_broken_times_how_bold_it_was() {
        let tally = tally(&[50, 100, 300], 1);
        assert_eq!((tally.kept, tally.late, tally.kept_rate()), (2, 1, Some(0.5)));
        let expected = 0.25 * (0.5 + 1.0 + 1.0) / 3.0;
        assert!((tally.over_promising().unwrap() - expected).abs() < 1e-6);
        assert_eq!(PromiseTally::default().over_promising(), None);
    }

    #[test]
    fn half_of_what_is_kept_is_kept_by_the_median() {
        for (hours, median) in [(&[][..], None), (&[10, 70], Some(0.1)), (&[10, 70, 71], Some(0.7))]
        {
            assert_eq!(tally(hours, 3).median_used(), median, "{hours:?}");
        }
    }

    #[test]
    fn tallies_of_two_partitions_are_one_of_both() {
        let mut all = PromiseTally::default();
        let mut parts = [PromiseTally::default(), PromiseTally::default()];
        let withdrawn = Counted { outcome: PromiseOutcome::Withdrawn, used: None };
        let broken = Counted { outcome: PromiseOutcome::Broken, used: None };
        let counted = [kept_after(10), kept_after(300), kept_after(20), broken, withdrawn, broken];
        for (number, counted) in counted.into_iter().enumerate() {
            for tally in [&mut all, &mut parts[number % 2]] {
                tally.count(counted, 1);
                tally.count_internal(InternalOutcome::Kept);
            }
            all.count_internal(InternalOutcome::Broken);
            parts[1 - number % 2].count_internal(InternalOutcome::Broken);
        }
        let [mut sum, other] = parts;
        sum.merge(&other);
        assert_eq!(sum, all);
        assert_eq!((sum.kept, sum.late, sum.broken, sum.withdrawn), (2, 1, 2, 1));
        assert_eq!((sum.internal_kept, sum.internal_broken), (6, 6));
    }

    #[test]
    fn what_is_taken_back_was_never_counted() {
        let mut tally = tally(&[10, 70], 0);
        let before = tally.clone();
        tally.count(kept_after(55), 1);
        tally.count(kept_after(55), -1);
        assert_eq!(tally, before);
    }
}
