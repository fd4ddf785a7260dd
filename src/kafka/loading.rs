//! Reading a partition's snapshot on a thread of its own, so that the worker's loop turns meanwhile.
//!
//! It decides which snapshot fits; what becomes of a partition without one is decided where it is placed.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::clock;
use super::error::{Error, Result};
use super::fact::{Fact, Observer};
use super::partition;
use super::reference::ReferenceLog;
use super::settings::Scoring;
use crate::engine::{LAYOUT, PartitionEngine};
use crate::snapshot::{
    Customers, Folder, Loaded, Progress, SnapshotFact, Snapshots, Wanted, newest_usable,
};
use crate::wire::Manifest;

/// Starts the threads; one a process.
pub(super) struct Loader {
    pub(super) snapshots: Snapshots,
    pub(super) scoring: Scoring,
    pub(super) reference: Arc<ReferenceLog>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) permits: Permits,
}

/// How many snapshots may be read at once: each takes a processor, and the room of a part.
pub(super) struct Permits {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A snapshot on its way.
pub(super) struct Loading {
    progress: Arc<Progress>,
    answer: Receiver<Answer>,
    began: Instant,
}

/// What there was.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) found: Option<Loaded<PartitionEngine>>,
    /// Snapshots that could not be used.
    pub(super) passed_over: usize,
}

impl Loader {
    /// Begins to read the newest snapshot that agrees with `wanted`.
    ///
    /// # Errors
    /// If the system has no thread.
    pub(super) fn begin(self: &Arc<Self>, wanted: Wanted) -> Result<Loading> {
        let progress = Arc::new(Progress::default());
        let (sender, answer) = sync_channel(1);
        let (loader, shown) = (Arc::clone(self), Arc::clone(&progress));
        let work = move || {
            let answer = loader.permits.with(|| loader.load(&wanted, &shown));
            // Whoever asked may have lost the partition.
            drop(sender.send(answer));
        };
        let name = "restore".to_owned();
        thread::Builder::new().name(name).spawn(work).map_err(Error::Thread)?;
        Ok(Loading { progress, answer, began: clock::now() })
    }

    fn load(&self, wanted: &Wanted, progress: &Progress) -> Answer {
        let (partition, started) = (wanted.partition, clock::now());
        let folder = Folder::new(&self.snapshots.store, wanted.genesis.lineage, partition);
        let tell = |fact: SnapshotFact<'_>| self.observer.observe(Fact::Snapshot(fact));
        let mut passed_over = 0;
        let build = |manifest: &Manifest, header: &[u8], customers: &mut Customers<'_>| {
            self.engine(manifest, header, customers)
        };
        let read = newest_usable(&folder, wanted, progress, build, |name, unusable| {
            passed_over += 1;
            let (name, reason) = (&name.to_string(), &unusable.to_string());
            tell(SnapshotFact::PassedOver { partition, name, reason });
        });
        let found = read.unwrap_or_else(|error| {
            passed_over += 1;
            let reason = &error.to_string();
            tell(SnapshotFact::PassedOver { partition, name: folder.path(), reason });
            None
        });
        if let Some(Loaded { manifest, .. }) = &found {
            tell(SnapshotFact::Loaded {
                partition,
                offset_next: manifest.point.offset_next,
                customers: manifest.customers,
                bytes: manifest.bytes(),
                elapsed: clock::now().saturating_duration_since(started),
            });
        }
        Answer { found, passed_over }
    }

    fn engine(
        &self,
        manifest: &Manifest,
        header: &[u8],
        customers: &mut Customers<'_>,
    ) -> Result<PartitionEngine, String> {
        let point = &manifest.point;
        let policy = match point.policy_offset {
            None => Some(Arc::clone(&self.scoring.policy)),
            Some(offset) => self
                .reference
                .policy(offset)
                .filter(|record| record.fingerprint == point.policy_fingerprint)
                .map(|record| record.policy),
        };
        let policy = policy.ok_or("its policy is not in the reference log")?;
        let catalogue = self.reference.version(point.reference_offset_next);
        let catalogue = catalogue.ok_or("it has seen more of the reference log than there is")?;
        let settings = partition::settings(&self.scoring, &point.genesis);
        let roll_ups = self.scoring.roll_ups;
        PartitionEngine::from_image(settings, roll_ups, policy, catalogue, header, customers)
            .map_err(|error| error.to_string())
    }
}

impl Permits {
    /// One a processor.
    pub(super) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self { free: Mutex::new(processors), freed: Condvar::new() }
    }

    fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        drop(free);
        let _permit = Permit(self);
        work()
    }
}

/// Gives a permit back, however the work ends.
struct Permit<'a>(&'a Permits);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

impl Loading {
    /// What there was; `None` while it is read.
    pub(super) fn answer(&self) -> Option<Answer> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            // The thread panicked, and has said so itself: the log has it all.
            Err(TryRecvError::Disconnected) => Some(Answer::default()),
        }
    }

    /// How long it has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.began)
    }

    /// How far it is: the offset that will be reached, and the share of the way there.
    pub(super) fn progress(&self) -> (i64, f64) {
        (self.progress.offset_next(), self.progress.ratio())
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.progress.cancel();
    }
}

/// What is asked of the snapshot of a partition.
pub(super) fn wanted(
    genesis: crate::wire::Genesis,
    partition: i32,
    offset_committed: i64,
    journal_hashes: Vec<u64>,
) -> Wanted {
    Wanted { genesis, partition, layout: LAYOUT, offset_committed, journal_hashes }
}
