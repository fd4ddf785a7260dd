//! What keeps a worker from handling a partition whose state it has: a stop that somebody must end, or no room for more customers. Nothing
//! is dropped: the partition is paused where it stands, and read on from there.

use std::time::{Duration, Instant};

use super::super::error::Result;
use super::super::fact::Fact;
use super::super::partition::Stop;
use super::super::restore::Phase;
use super::{Owned, Worker};
use crate::live::PartitionState;

/// How often customers are weighed, if there is a limit.
const WEIGH_INTERVAL: Duration = Duration::from_millis(100);

/// Why a partition is not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Until somebody resumes it.
    Stopped(Stop),
    /// Until there is room.
    Full,
}

/// How much room the limit leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Room {
    #[default]
    Ample,
    /// Transactions are committed at every turn, so that what can be undone takes little.
    Scarce,
    /// Partitions pause.
    Gone,
}

impl Room {
    /// The room that `bytes` leave of `limit`, after this. Once it is gone it comes back below 95 %, so that a partition does not pause and
    /// go on with every customer.
    const fn after(self, bytes: u64, limit: u64) -> Self {
        let percent = bytes.saturating_mul(100) / limit;
        match (self, percent) {
            (Self::Gone, 95..) | (_, 100..) => Self::Gone,
            (_, 90..) => Self::Scarce,
            _ => Self::Ample,
        }
    }
}

impl Worker {
    /// Holds partitions, or lets them go on, as they stand now.
    ///
    /// # Errors
    /// If the client refuses.
    pub(super) fn hold(&mut self, now: Instant) -> Result<()> {
        self.weigh(now);
        let room = self.room;
        let change = |(partition, owned): (&i32, &Owned)| {
            let hold = owned.reason_to_hold(room);
            (hold != owned.hold).then_some((*partition, hold))
        };
        let changes: Vec<_> = self.partitions.iter().filter_map(change).collect();
        changes.into_iter().try_for_each(|(partition, hold)| match hold {
            Some(hold) => {
                self.halt(partition, hold);
                Ok(())
            }
            None => self.go_on(partition),
        })
    }

    /// Looks how much room is left.
    fn weigh(&mut self, now: Instant) {
        let Some(limit) = self.shared.settings.limits.state_bytes else { return };
        if now < self.weighed_at + WEIGH_INTERVAL {
            return;
        }
        self.weighed_at = now;
        for (partition, owned) in &self.partitions {
            let bytes = match &owned.phase {
                Phase::Running(scored) => scored.engine().store_bytes(),
                Phase::Replaying(replay) => replay.store_bytes(),
                Phase::Locating | Phase::Reading(_) | Phase::Refused => 0,
            };
            self.set_live(*partition, |status| status.store_bytes = bytes);
        }
        let of_all = self.shared.live.partitions.iter().map(|status| status.store_bytes as u64);
        self.room = self.room.after(of_all.sum(), limit);
    }

    fn halt(&mut self, partition: i32, hold: Hold) {
        self.pause(partition);
        let reason = self.reason(partition, hold);
        let (state, fact) = match hold {
            Hold::Stopped(_) => (
                PartitionState::Stopped(reason.clone()),
                Fact::PartitionStopped { partition, reason: &reason },
            ),
            Hold::Full => (
                PartitionState::Paused(reason.clone()),
                Fact::PartitionPaused { partition, reason: &reason },
            ),
        };
        self.set_live(partition, |status| status.state = state);
        self.shared.observer.observe(fact);
        self.set_hold(partition, Some(hold));
    }

    fn reason(&self, partition: i32, hold: Hold) -> String {
        match hold {
            Hold::Stopped(Stop { offset, cause, .. }) => format!(
                "{cause} (stopped at offset {offset}): look at them on {}, have their producer mended, then `goodfaith resume \
                 --partition {partition}`",
                self.shared.topics.name("dead-letters")
            ),
            Hold::Full => format!(
                "the customers of this process take limits.state_bytes, {} bytes: raise it, or start another instance; nothing is dropped",
                self.shared.settings.limits.state_bytes.unwrap_or_default()
            ),
        }
    }

    /// Reads on from where the partition stands.
    fn go_on(&mut self, partition: i32) -> Result<()> {
        self.set_hold(partition, None);
        let (offset, state) = match self.partitions.get(&partition).map(|owned| &owned.phase) {
            Some(Phase::Running(scored)) => (scored.offset_next(), PartitionState::Running),
            Some(Phase::Replaying(replay)) => (replay.offset_next(), PartitionState::Restoring),
            _ => return Ok(()),
        };
        if self.seek(&[(partition, offset)]).is_err() {
            self.start_over(partition);
            return Ok(());
        }
        self.set_live(partition, |status| status.state = state);
        self.shared.observer.observe(Fact::PartitionResumed { partition });
        self.resume(partition)
    }

    fn set_hold(&mut self, partition: i32, hold: Option<Hold>) {
        if let Some(owned) = self.partitions.get_mut(&partition) {
            owned.hold = hold;
        }
    }
}

impl Owned {
    /// Only what is certain stops a partition: an aborted stop never was.
    fn reason_to_hold(&self, room: Room) -> Option<Hold> {
        let full = (room == Room::Gone).then_some(Hold::Full);
        match &self.phase {
            Phase::Running(scored) => scored.stopped_committed().map(Hold::Stopped).or(full),
            Phase::Replaying(_) => full,
            Phase::Locating | Phase::Reading(_) | Phase::Refused => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Room::{Ample, Gone, Scarce};

    #[test]
    fn room_goes_step_by_step_and_comes_back_with_a_margin() {
        let rooms = |sizes: &[u64]| {
            let mut room = Ample;
            let next = |bytes: &u64| {
                room = room.after(*bytes, 1000);
                room
            };
            sizes.iter().map(next).collect::<Vec<_>>()
        };
        assert_eq!(rooms(&[0, 899, 900, 999, 1000]), [Ample, Ample, Scarce, Scarce, Gone]);
        assert_eq!(rooms(&[1000, 960, 950, 949, 899]), [Gone, Gone, Gone, Scarce, Ample]);
        assert_eq!(rooms(&[999, 950]), [Scarce, Scarce], "what never was gone does not hold");
        assert_eq!(Ample.after(u64::MAX, 1), Gone);
    }
}
