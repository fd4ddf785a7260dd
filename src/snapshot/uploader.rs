//! The one thread a process that writes snapshots. Each partition has at most one waiting; what fails is told and never fatal: the next
//! one of that partition is then a base.
//!
//! A delta only makes sense after the step it rests on. So a partition is not asked for one while another of its images is on the way,
//! and what it notes meanwhile goes into the next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::fact::SnapshotFact;
use super::folder::{Folder, Note};
use super::store::{Store, StoreError};
use crate::engine::Image;
use crate::wire::{Manifest, SnapshotPoint, Step};

/// Steps of a snapshot, beyond which it is written anew: each is an object or more to read.
const STEPS_MAX: usize = 32;
/// Snapshots that are kept: should the newest be damaged, there is another.
const KEPT: usize = 2;

/// Told of what happens, on the uploader's thread.
pub type Tell = Box<dyn Fn(SnapshotFact<'_>) + Send + Sync>;

/// One time of owning a partition, from its restore to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tenure(u64);

/// What the next snapshot of a partition can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// None now: one is on the way.
    Busy,
    /// All of the state.
    Base,
    /// What has changed since the last.
    Delta,
}

/// Makes the image, on the uploader's thread.
type MakeImage = Box<dyn FnOnce() -> Image + Send>;

/// A snapshot to write.
#[derive(Debug)]
pub struct Job {
    /// Of which time of owning a partition.
    pub tenure: Tenure,
    /// Where the partition stood.
    pub point: SnapshotPoint,
    /// Customers the state holds.
    pub customers: u64,
    /// When it was taken, milliseconds since the epoch.
    pub taken_ms: i64,
    /// Customers have been erased since the last base: older snapshots are to go.
    pub supersedes: bool,
    /// The partition has been committed in the current generation of the group, so that nobody else writes here; asked when it is time.
    pub may_delete: Arc<AtomicBool>,
    /// The tenure ends with it.
    pub is_last: bool,
}

/// Writes snapshots, in the order they come.
pub struct Uploader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    store: Arc<Store>,
    tell: Tell,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tenures: u64,
    /// What the next delta of each may rest on.
    steps: BTreeMap<Tenure, Vec<Step>>,
    waiting: VecDeque<(Job, MakeImage)>,
    in_work: Option<Tenure>,
    /// Tenures that ended with a snapshot of theirs on the way.
    ended: BTreeSet<Tenure>,
    is_closing: bool,
}

impl Uploader {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has none.
    pub fn start(store: Arc<Store>, tell: Tell) -> io::Result<Self> {
        let shared =
            Arc::new(Shared { store, tell, state: Mutex::default(), changed: Condvar::new() });
        let works = Arc::clone(&shared);
        let work = move || works.work();
        let thread = thread::Builder::new().name("snapshots".to_owned()).spawn(work)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Begins to own a partition whose state rests on the `steps` of a snapshot; none: its next one is a base.
    pub fn begin(&self, steps: Vec<Step>) -> Tenure {
        let mut state = self.shared.lock();
        state.tenures += 1;
        let tenure = Tenure(state.tenures);
        if !steps.is_empty() {
            state.steps.insert(tenure, steps);
        }
        tenure
    }

    /// Ends it without another snapshot: one on the way still counts.
    pub fn end(&self, tenure: Tenure) {
        let mut state = self.shared.lock();
        state.steps.remove(&tenure);
        if state.is_busy(tenure) {
            state.ended.insert(tenure);
        }
    }

    /// Ends it: what waits is not written.
    pub fn discard(&self, tenure: Tenure) {
        self.shared.lock().waiting.retain(|(job, _)| job.tenure != tenure);
        self.end(tenure);
    }

    /// What the next snapshot can be.
    pub fn next(&self, tenure: Tenure) -> Next {
        let state = self.shared.lock();
        if state.is_busy(tenure) {
            return Next::Busy;
        }
        match state.steps.get(&tenure) {
            Some(steps) if is_delta_worthwhile(steps) => Next::Delta,
            _ => Next::Base,
        }
    }

    /// Takes on a snapshot, whose `image` is made on the uploader's thread. One that waits of the same tenure is dropped, so the new one must then be a base.
    pub fn submit(&self, job: Job, image: impl FnOnce() -> Image + Send + 'static) {
        let mut state = self.shared.lock();
        state.waiting.retain(|(waiting, _)| waiting.tenure != job.tenure);
        state.waiting.push_back((job, Box::new(image)));
        self.shared.changed.notify_all();
    }

    /// Writes what waits, without trying anything again, and ends.
    pub fn close(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.shared.lock().is_closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was told by itself.
            drop(thread.join());
        }
    }
}

impl Drop for Uploader {
    fn drop(&mut self) {
        self.finish();
    }
}

impl State {
    fn is_busy(&self, tenure: Tenure) -> bool {
        self.in_work == Some(tenure) || self.waiting.iter().any(|(job, _)| job.tenure == tenure)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one insertion or removal.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(((job, image), is_hasty)) = self.take() {
            self.write(job, image, is_hasty);
            self.lock().in_work = None;
        }
    }

    fn take(&self) -> Option<((Job, MakeImage), bool)> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                state.in_work = Some(job.0.tenure);
                return Some((job, state.is_closing));
            }
            if state.is_closing {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write(&self, job: Job, image: MakeImage, is_hasty: bool) {
        let Job { tenure, point, customers, taken_ms, supersedes, may_delete, is_last } = job;
        let started = now();
        let before = self.lock().steps.remove(&tenure).unwrap_or_default();
        let image = image();
        let partition = point.partition;
        let mut folder = Folder::of(&self.store, &point);
        if is_hasty {
            folder = folder.in_haste();
        }
        let written = random().and_then(|step| {
            let note = Note { step, taken_ms, customers, supersedes };
            Ok(folder.write(&point, &image, &before, note)?)
        });
        match written {
            Ok(manifest) => {
                (self.tell)(written_fact(
                    &manifest,
                    &image,
                    now().saturating_duration_since(started),
                ));
                let mut state = self.lock();
                if !is_last && !state.ended.remove(&tenure) {
                    state.steps.insert(tenure, manifest.steps);
                }
                drop(state);
                if may_delete.load(Ordering::Acquire) {
                    self.tidy(&folder, partition, if supersedes { 1 } else { KEPT });
                }
            }
            Err(error) => {
                (self.tell)(SnapshotFact::NotWritten { partition, reason: &error.to_string() });
            }
        }
    }

    fn tidy(&self, folder: &Folder<'_>, partition: i32, keep: usize) {
        if let Err(error) = folder.tidy(keep) {
            (self.tell)(SnapshotFact::NotTidied { partition, reason: &error.to_string() });
        }
    }
}

/// Why a snapshot was not written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the system has no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

fn random() -> Result<[u8; 16], WriteError> {
    let mut step = [0; 16];
    getrandom::fill(&mut step)?;
    Ok(step)
}

fn written_fact(
    manifest: &Manifest,
    image: &Image,
    elapsed: std::time::Duration,
) -> SnapshotFact<'static> {
    SnapshotFact::Written {
        partition: manifest.point.partition,
        offset_next: manifest.point.offset_next,
        is_base: image.is_whole,
        customers: image.customers.len() as u64,
        bytes: manifest.steps.last().map_or(0, Step::bytes),
        elapsed,
    }
}

/// A new base when the deltas pass half of it: then reading them costs as much as it saves.
fn is_delta_worthwhile(steps: &[Step]) -> bool {
    let Some((base, deltas)) = steps.split_first() else { return false };
    let deltas_bytes: u64 = deltas.iter().map(Step::bytes).sum();
    steps.len() < STEPS_MAX && deltas_bytes * 2 <= base.bytes()
}

#[expect(clippy::disallowed_methods, reason = "how long a write takes, for people")]
fn now() -> Instant {
    Instant::now()
}

impl fmt::Debug for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploader").finish_non_exhaustive()
    }
}
