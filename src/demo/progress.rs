//! How far each part of the demo has come, so that none runs away from another: the embedded broker keeps little, and memory is bounded
//! by what lies between them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::kafka::{Fact, Observer, Tally};

/// Records that may lie unread between two parts. The embedded broker keeps 5 MiB a partition, several times as many.
const ROOM: u64 = 4_000;

/// How far each part has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    counts: Mutex<Counts>,
    changed: Condvar,
}

/// Records since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    sent: u64,
    handled: u64,
    /// Outputs that are told of.
    published: u64,
    told: u64,
    is_stopped: bool,
}

impl Progress {
    /// Notes that an event is on its way to the scorer.
    pub(super) fn sent(&self) {
        self.change(|counts| counts.sent += 1);
    }

    /// Notes that an output was told of.
    pub(super) fn told(&self) {
        self.change(|counts| counts.told += 1);
    }

    /// Notes that all there is was told of.
    pub(super) fn told_all(&self) {
        self.change(|counts| counts.told = counts.published);
    }

    /// Ends all waiting.
    pub(super) fn stop(&self) {
        self.change(|counts| counts.is_stopped = true);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    /// Events the scorer is done with.
    pub(super) fn handled(&self) -> u64 {
        self.lock().handled
    }

    /// Waits until there is room for another event. False: it is over.
    pub(super) fn wait_for_room(&self) -> bool {
        self.wait_while(|counts| {
            ROOM <= counts.sent.saturating_sub(counts.handled)
                || ROOM <= counts.published.saturating_sub(counts.told)
        })
    }

    /// Waits until the scorer is done with all events sent. False: it is over.
    pub(super) fn wait_until_handled(&self) -> bool {
        self.wait_while(|counts| counts.handled < counts.sent)
    }

    /// Lets time pass. False: it is over.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let waited =
            self.changed.wait_timeout_while(self.lock(), time, |counts| !counts.is_stopped);
        let (counts, _timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        !counts.is_stopped
    }

    fn wait_while(&self, must_wait: impl Fn(&Counts) -> bool) -> bool {
        let waited =
            self.changed.wait_while(self.lock(), |counts| !counts.is_stopped && must_wait(counts));
        !waited.unwrap_or_else(PoisonError::into_inner).is_stopped
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Progress {
    fn observe(&self, fact: Fact<'_>) {
        if let Fact::Committed(tally) = fact {
            self.change(|counts| {
                counts.handled += tally.records;
                counts.published += told_of(tally);
            });
        }
    }
}

/// Outputs on the topics the demo tells of.
fn told_of(tally: &Tally) -> u64 {
    let is_told = |kind: &str| {
        !["loyalty.", "reciprocity.", "evidence."].iter().any(|prefix| kind.starts_with(prefix))
    };
    let outputs = tally.outputs.iter().filter(|((kind, _squeeze), _n)| is_told(kind));
    outputs.map(|(_kind, n)| n).sum::<u64>() + tally.dead_letters.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(progress: &Progress, records: u64, scores: u64) {
        let outputs =
            [(("trust.score_changed", None), scores), (("loyalty.changed", None), 9)].into();
        progress.observe(Fact::Committed(&Tally { records, outputs, ..Tally::default() }));
    }

    #[test]
    fn there_is_room_until_the_scorer_falls_behind() {
        let progress = Progress::default();
        for _ in 0..ROOM {
            assert!(progress.wait_for_room());
            progress.sent();
        }
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| progress.wait_for_room());
            committed(&progress, 1, 0);
            assert!(waiting.join().unwrap());
        });
        committed(&progress, ROOM - 1, ROOM);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| progress.wait_for_room());
            progress.told();
            assert!(
                waiting.join().unwrap(),
                "what nobody reads is not told of, so it is not waited for"
            );
        });
        assert!(progress.wait_until_handled());
        assert_eq!(progress.handled(), ROOM);
    }

    #[test]
    fn nobody_waits_once_it_is_over() {
        let progress = Progress::default();
        committed(&progress, 0, ROOM);
        progress.sent();
        progress.stop();
        assert!(!progress.wait_for_room() && !progress.wait_until_handled());
        assert!(!progress.pause(Duration::from_secs(3600)));
    }
}
