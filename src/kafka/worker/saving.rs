//! When a worker takes snapshots of its partitions: between transactions, one partition a turn, and when it gives one back. Writing
//! them is the uploader's business, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::clock;
use super::super::partition::Scored;
use super::super::restore::Phase;
use super::{Owned, Worker};
use crate::snapshot::{Job, Next, Tenure, Uploader};
use crate::wire::Step;

/// Takes on snapshots; one a process.
pub(in crate::kafka) struct Saver {
    pub(in crate::kafka) uploader: Uploader,
    pub(in crate::kafka) interval: Duration,
}

/// What has been saved of a partition, in one time of owning it.
pub(in crate::kafka) struct Saving {
    tenure: Tenure,
    due_at: Instant,
    /// Offset and journal `seq` of the last image.
    saved: Option<(i64, Option<u64>)>,
    /// The partition has been committed in the current generation of the group: nobody else has it.
    is_ours: Arc<AtomicBool>,
}

/// The first snapshots of partitions that come together are spread over the interval in as many steps.
const STAGGER: u32 = 8;

impl Saver {
    /// Begins to save `partition`, whose state rests on the `steps` of a snapshot.
    pub(in crate::kafka) fn begin(
        &self,
        partition: i32,
        scored: &Scored,
        steps: Vec<Step>,
    ) -> Saving {
        let step = partition.unsigned_abs() % STAGGER + 1;
        // Nothing to save, if it has just been read.
        let saved = steps.last().map(|step| (step.offset_next, Some(step.seq)));
        let is_saved = saved == Some(place(scored));
        Saving {
            tenure: self.uploader.begin(steps),
            due_at: clock::now() + self.interval / STAGGER * step,
            saved: saved.filter(|_| is_saved),
            is_ours: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Takes a snapshot, if there is anything new. Nothing of `scored` may be speculative.
    fn save(&self, partition: i32, saving: &mut Saving, scored: &mut Scored, now: Instant) -> bool {
        saving.due_at = now + self.interval;
        if !saving.is_needed(scored) {
            return false;
        }
        let next = self.uploader.next(saving.tenure);
        if next == Next::Busy {
            return false;
        }
        let job = saving.job(partition, scored);
        let is_whole = next == Next::Base || scored.has_erased();
        let image = if is_whole { scored.image() } else { scored.changes() };
        self.uploader.submit(job, move || image);
        saving.saved = Some(place(scored));
        true
    }

    /// Takes over the state of a partition that goes, and saves what is new of it in its own time.
    fn save_last(&self, partition: i32, saving: &Saving, mut scored: Scored) {
        let next = self.uploader.next(saving.tenure);
        if !saving.is_needed(&scored) {
            return self.uploader.end(saving.tenure);
        }
        let job = Job { is_last: true, ..saving.job(partition, &scored) };
        let is_whole = next != Next::Delta || scored.has_erased();
        self.uploader.submit(job, move || if is_whole { scored.image() } else { scored.changes() });
    }
}

/// How far a partition is.
const fn place(scored: &Scored) -> (i64, Option<u64>) {
    (scored.offset_next(), scored.seq())
}

impl Saving {
    fn is_needed(&self, scored: &Scored) -> bool {
        scored.seq().is_some() && (self.saved != Some(place(scored)) || scored.has_erased())
    }

    fn job(&self, partition: i32, scored: &Scored) -> Job {
        Job {
            tenure: self.tenure,
            point: scored.point(partition),
            customers: scored.engine().customer_count() as u64,
            taken_ms: clock::wall_ms(),
            supersedes: scored.has_erased(),
            may_delete: Arc::clone(&self.is_ours),
            is_last: false,
        }
    }

    /// The partition was committed.
    pub(super) fn note_commit(&self) {
        self.is_ours.store(true, Ordering::Release);
    }

    /// The group has a new generation.
    fn note_generation(&self) {
        self.is_ours.store(false, Ordering::Release);
    }
}

impl Worker {
    /// Begins to save a partition that is served from now on.
    pub(super) fn begin_saving(&mut self, partition: i32, steps: Vec<Step>) {
        let (Some(saver), Some(owned)) = (&self.shared.saver, self.partitions.get_mut(&partition))
        else {
            return;
        };
        if let Phase::Running(scored) = &owned.phase {
            owned.saving = Some(saver.begin(partition, scored, steps));
        }
    }

    /// Takes the snapshot that is due, of one partition a turn. Between transactions: what it holds is certain.
    pub(super) fn save(&mut self) {
        let Some(saver) = self.shared.saver.as_ref().filter(|_| self.outbox.open.is_none()) else {
            return;
        };
        let now = clock::now();
        for (partition, owned) in &mut self.partitions {
            let Owned { phase: Phase::Running(scored), saving: Some(saving), .. } = owned else {
                continue;
            };
            let is_due = saving.due_at <= now && !scored.is_touched();
            if is_due && saver.save(*partition, saving, scored, now) {
                return;
            }
        }
    }

    /// The group has a new generation: who owns what must show anew.
    pub(in crate::kafka) fn note_generation(&self) {
        self.partitions
            .values()
            .filter_map(|owned| owned.saving.as_ref())
            .for_each(Saving::note_generation);
    }

    /// Parts with a partition's state: saved, unless another member may own it already or its last transaction is not settled.
    pub(in crate::kafka) fn part_with(&self, partition: i32, owned: Owned, is_lost: bool) {
        let (Some(saver), Some(saving)) = (&self.shared.saver, owned.saving) else { return };
        saving.note_generation();
        match owned.phase {
            Phase::Running(scored) if !is_lost && !scored.is_touched() => {
                saver.save_last(partition, &saving, *scored);
            }
            _ => saver.uploader.discard(saving.tenure),
        }
    }
}
