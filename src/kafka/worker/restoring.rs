//! How a worker moves its partitions, step by step, to where they are served, and takes them out of service.

use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::Consumer as _;

use super::super::clock;
use super::super::error::{Error, Result};
use super::super::fact::Fact;
use super::super::failure::Failure;
use super::super::offsets;
use super::super::restore::{Next, Phase, Reading, Refusal, wait};
use super::{Owned, Worker, show_policy};
use crate::live::{PartitionState, PartitionStatus};

/// How long the consumer may take to move to another offset.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

impl Worker {
    /// Moves partitions on their way to being served by one step.
    pub(super) fn restore(&mut self) -> Result<()> {
        self.locate()?;
        let is_reading = |owned: &Owned| matches!(owned.phase, Phase::Reading(_));
        if !self.partitions.values().any(is_reading) {
            self.restorer.journal = None;
            return Ok(());
        }
        let partitions = &mut self.partitions;
        self.restorer.read_journals(|partition, read| {
            if let Some(Owned { phase: Phase::Reading(reading), .. }) =
                partitions.get_mut(&partition)
            {
                read(reading);
            }
        })?;
        let read: Vec<i32> = self
            .partitions
            .iter()
            .filter(|(_, owned)| is_reading(owned))
            .map(|(p, _)| *p)
            .collect();
        read.into_iter().try_for_each(|partition| self.place(partition))
    }

    /// Asks for committed offsets where they are not known.
    fn locate(&mut self) -> Result<()> {
        let now = clock::now();
        let is_locating = |owned: &Owned| matches!(owned.phase, Phase::Locating);
        // What the open transaction holds of a partition given up in its middle is aborted first.
        let open = self.outbox.open.as_ref();
        let is_held = |partition: &i32| open.is_some_and(|open| open.holds(*partition));
        let sought = self
            .partitions
            .iter()
            .filter(|(partition, owned)| is_locating(owned) && !is_held(partition));
        let sought: Vec<i32> = sought.map(|(partition, _)| *partition).collect();
        let Some(&first) = sought.first() else {
            self.restorer.all_located();
            return Ok(());
        };
        let located = match self.restorer.locate(&self.member, &sought) {
            Ok(located) => located,
            Err(error) => {
                let waited = self.waited(first, now);
                let step = "asking for the committed offset";
                return wait(first, step, waited, &error.to_string()).map(drop);
            }
        };
        for (partition, committed) in located {
            match committed {
                Ok(committed) => {
                    self.restorer.open_journal(partition)?;
                    self.set_phase(partition, Phase::Reading(Box::new(Reading::new(committed))));
                }
                Err(error) => self.refuse(partition, &Refusal::of_mark(error)),
            }
        }
        Ok(())
    }

    pub(super) fn waited(&self, partition: i32, now: Instant) -> Duration {
        let assigned = self.partitions.get(&partition).map(|owned| owned.assigned_at);
        assigned.map_or(Duration::ZERO, |assigned| now.saturating_duration_since(assigned))
    }

    /// Puts a partition where its journal says, once it is read.
    fn place(&mut self, partition: i32) -> Result<()> {
        let now = clock::now();
        let waited = self.waited(partition, now);
        let Some(Owned { phase: Phase::Reading(reading), doubted_at, .. }) =
            self.partitions.get_mut(&partition)
        else {
            return Ok(());
        };
        let doubted = doubted_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let next = self.restorer.conclude(&self.member, partition, reading, waited, doubted)?;
        if matches!(next, Next::Doubt | Next::Again) {
            doubted_at.get_or_insert(now);
        }
        match next {
            Next::Wait | Next::Doubt => {
                let ratio = reading.ratio();
                self.set_live(partition, |status| status.advance(ratio, waited));
            }
            Next::Again => {
                self.restorer.close_journal(partition);
                self.set_phase(partition, Phase::Locating);
            }
            Next::Refuse(refusal) => {
                self.restorer.close_journal(partition);
                self.refuse(partition, &refusal);
            }
            Next::Place(phase, offset) => {
                if let Err(error) = self.seek(&[(partition, offset)]) {
                    // The assignment may not have taken effect yet.
                    return wait(partition, "moving to its offset", waited, &error.text).map(drop);
                }
                self.restorer.close_journal(partition);
                let is_new = matches!(phase, Phase::Running(_));
                let is_whole = matches!(&phase, Phase::Replaying(replay) if replay.is_whole());
                self.set_phase(partition, phase);
                if is_new {
                    self.begin_saving(partition, Vec::new());
                    self.tell_restored(partition, 0, true);
                } else if is_whole {
                    self.finish_replay(partition);
                }
                self.resume(partition)?;
            }
        }
        Ok(())
    }

    fn set_phase(&mut self, partition: i32, phase: Phase) {
        if let Some(owned) = self.partitions.get_mut(&partition) {
            owned.phase = phase;
        }
    }

    pub(super) fn finish_replay(&mut self, partition: i32) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        match std::mem::replace(&mut owned.phase, Phase::Locating) {
            Phase::Replaying(replay) => {
                let records = replay.records;
                match replay.finish(&self.restorer.reference) {
                    Ok((scored, steps)) => {
                        owned.phase = Phase::Running(Box::new(scored));
                        self.begin_saving(partition, steps);
                        self.tell_restored(partition, records, false);
                    }
                    Err(refusal) => self.refuse(partition, &refusal),
                }
            }
            phase => owned.phase = phase,
        }
    }

    fn tell_restored(&self, partition: i32, records: u64, is_new: bool) {
        let elapsed = self.waited(partition, clock::now());
        if let Some(Owned { phase: Phase::Running(scored), .. }) = self.partitions.get(&partition) {
            show_policy(&self.shared, partition, scored);
        }
        self.set_live(partition, |status| {
            status.state = PartitionState::Running;
            status.advance(1.0, elapsed);
        });
        let fact = Fact::PartitionRestored { partition, records, elapsed, is_new };
        self.shared.observer.observe(fact);
    }

    /// Stops serving a partition, and says why.
    pub(super) fn refuse(&mut self, partition: i32, refusal: &Refusal) {
        let reason = refusal.to_string();
        self.set_phase(partition, Phase::Refused);
        self.pause(partition);
        self.set_live(partition, |status| {
            status.state = PartitionState::Refused(reason.clone());
        });
        let fact = Fact::PartitionRefused { partition, reason: &reason };
        self.shared.observer.observe(fact);
    }

    pub(in crate::kafka) fn set_live(
        &self,
        partition: i32,
        set: impl FnOnce(&mut PartitionStatus),
    ) {
        if let Some(mut status) = self.shared.live.partitions.get_mut(&partition) {
            set(&mut status);
        }
    }

    pub(in crate::kafka) fn pause(&self, partition: i32) {
        let list = offsets::list(self.shared.topics.events(), [partition]);
        // Refused only for a partition that is not assigned, and then nothing comes of it either.
        drop(self.member.pause(&list));
    }

    pub(super) fn resume(&self, partition: i32) -> Result<()> {
        let list = offsets::list(self.shared.topics.events(), [partition]);
        self.member.resume(&list).map_err(Error::while_doing("reading a partition"))
    }

    /// Moves to explicit offsets. What was fetched before is passed over by librdkafka.
    pub(super) fn seek(&self, positions: &[(i32, i64)]) -> Result<(), Failure> {
        let topic = self.shared.topics.events();
        let mut list = offsets::list(topic, []);
        for (partition, offset) in positions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        let sought = self.member.seek_partitions(list, SEEK_TIMEOUT)?;
        sought.elements().iter().try_for_each(|element| Ok(element.error()?))
    }

    /// Drops a partition's state and restores it.
    pub(in crate::kafka) fn start_over(&mut self, partition: i32) {
        self.pause(partition);
        if let Some(owned) = self.partitions.insert(partition, Owned::new()) {
            self.part_with(partition, owned, true);
        }
        let inbox = self.inbox_sender.clone();
        self.set_live(partition, |status| *status = PartitionStatus::restoring(inbox));
    }
}
