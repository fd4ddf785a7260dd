//! Reading a snapshot: which one may be used, and its customers one after another, each in its newest form.
//!
//! A snapshot is used whole or not at all. Whatever does not fit is told and passed over; nothing here repairs anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use foldhash::quality::FixedState;
use hashbrown::HashSet;
use thiserror::Error;

use super::folder::Folder;
use super::name::SnapshotName;
use super::store::StoreError;
use crate::model::Text;
use crate::wire::{Genesis, Held, Manifest, PartDigest, PartReader, Step};

/// Why a snapshot is passed over.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Unusable {
    /// An object is not there.
    #[error("{object} is missing")]
    Missing {
        /// Which.
        object: String,
    },
    /// An object is not what was written.
    #[error("{object} is damaged: {error}")]
    Damaged {
        /// Which.
        object: String,
        /// How that shows.
        error: String,
    },
    /// A manifest says it is another than its name says.
    #[error("its manifest is another's")]
    Misplaced,
    /// It is of another lineage or topic.
    #[error("it is of another history")]
    Foreign,
    /// It was written by a version that packs customers otherwise.
    #[error("its layout is {found}, and this program reads {expected}")]
    OtherLayout {
        /// What it says.
        found: u32,
        /// What would be right.
        expected: u32,
    },
    /// It holds more than is committed.
    #[error("it is ahead of what is committed")]
    Ahead,
    /// The journal took another course.
    #[error("the journal it rests on is not the partition's")]
    OtherJournal,
    /// What it holds makes no engine.
    #[error("its state cannot be unpacked: {0}")]
    Unbuildable(String),
    /// The store does not answer.
    #[error("it cannot be read: {0}")]
    Unreachable(String),
    /// Nobody waits for it any more.
    #[error("it is not needed any more")]
    Cancelled,
}

/// What a snapshot must agree with. Which engine made it does not matter here: whether another may go on from it depends on what has
/// been handled since, and is decided where the partition is placed.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// As the journal holds it.
    pub genesis: Genesis,
    /// Of the events topic.
    pub partition: i32,
    /// The layout this program reads.
    pub layout: u32,
    /// The committed offset.
    pub offset_committed: i64,
    /// The rolling hash of the journal after each record up to the committed one, by `seq`.
    pub journal_hashes: Vec<u64>,
}

/// How far a snapshot is read. Whoever reads it and whoever waits for it hold the same.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    bytes_total: AtomicU64,
    offset_next: AtomicI64,
    is_cancelled: AtomicBool,
}

/// A snapshot as read.
#[derive(Debug)]
pub struct Loaded<T> {
    /// What was made of it.
    pub state: T,
    /// Its manifest.
    pub manifest: Manifest,
    /// An older one, which it [supersedes](Manifest::supersedes), is still there.
    pub is_followed: bool,
}

impl Progress {
    /// From 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share, for people")]
    pub fn ratio(&self) -> f64 {
        let total = self.bytes_total.load(Ordering::Relaxed).max(1);
        self.bytes.load(Ordering::Relaxed) as f64 / total as f64
    }

    /// The next offset to handle, as of what is read.
    pub fn offset_next(&self) -> i64 {
        self.offset_next.load(Ordering::Relaxed)
    }

    /// The reader is to give up.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    fn begin(&self, manifest: &Manifest) {
        self.bytes.store(0, Ordering::Relaxed);
        self.bytes_total.store(manifest.bytes(), Ordering::Relaxed);
        self.offset_next.store(manifest.point.offset_next, Ordering::Relaxed);
    }
}

impl Wanted {
    fn check(&self, manifest: &Manifest) -> Result<(), Unusable> {
        let point = &manifest.point;
        if (&point.genesis, point.partition) != (&self.genesis, self.partition) {
            return Err(Unusable::Foreign);
        }
        if point.layout != self.layout {
            return Err(Unusable::OtherLayout { found: point.layout, expected: self.layout });
        }
        let hash = usize::try_from(point.seq).ok().and_then(|seq| self.journal_hashes.get(seq));
        match hash {
            Some(hash) if *hash != point.journal_hash => Err(Unusable::OtherJournal),
            Some(_) if point.offset_next <= self.offset_committed => Ok(()),
            _ => Err(Unusable::Ahead),
        }
    }
}

/// The newest snapshot in `folder` that agrees with `wanted`, as `build` makes it; `None` if there is none. Those passed over on the
/// way are told with the reason.
///
/// # Errors
/// If the store does not say what there is.
pub fn newest_usable<T>(
    folder: &Folder<'_>,
    wanted: &Wanted,
    progress: &Progress,
    mut build: impl FnMut(&Manifest, &[u8], &mut Customers<'_>) -> Result<T, String>,
    mut passed_over: impl FnMut(&SnapshotName, &Unusable),
) -> Result<Option<Loaded<T>>, StoreError> {
    let names = folder.names()?;
    for (index, name) in names.iter().enumerate() {
        let read = folder.manifest(name).and_then(|manifest| {
            wanted.check(&manifest)?;
            let state = load(folder, &manifest, progress, &mut build)?;
            let is_followed = manifest.supersedes && index + 1 < names.len();
            Ok(Loaded { state, manifest, is_followed })
        });
        match read {
            Ok(loaded) => return Ok(Some(loaded)),
            Err(Unusable::Cancelled) => return Ok(None),
            Err(unusable) => passed_over(name, &unusable),
        }
    }
    Ok(None)
}

/// Reads all of a snapshot; what `build` makes of it. `build` is given what the engine owns besides its customers, and these.
///
/// # Errors
/// If anything is missing, damaged, or not what it should be.
pub fn load<T>(
    folder: &Folder<'_>,
    manifest: &Manifest,
    progress: &Progress,
    build: impl FnOnce(&Manifest, &[u8], &mut Customers<'_>) -> Result<T, String>,
) -> Result<T, Unusable> {
    progress.begin(manifest);
    let mut customers = Customers::new(folder, manifest, progress);
    let engine = customers.engine()?;
    let state = build(manifest, &engine, &mut customers);
    // The cause before its consequence.
    customers.end()?;
    state.map_err(Unusable::Unbuildable)
}

/// The customers of a snapshot, each once, in its newest form: steps are read newest first, and what was seen is passed over.
#[derive(Debug)]
pub struct Customers<'a> {
    folder: &'a Folder<'a>,
    manifest: &'a Manifest,
    progress: &'a Progress,
    /// The next part to read: how many steps are left, the one it is of among them, and its number.
    steps_left: usize,
    part: usize,
    current: Option<Current>,
    /// Room for a part, while none is read.
    room: Vec<u8>,
    /// Of all steps but the base, which is read last and has each customer once.
    seen: HashSet<Text, FixedState>,
    count: u64,
    problem: Option<Unusable>,
}

/// The part being read.
#[derive(Debug)]
struct Current {
    reader: PartReader<Vec<u8>>,
    object: String,
    /// It is of the step that rests on none.
    is_base: bool,
}

impl<'a> Customers<'a> {
    fn new(folder: &'a Folder<'a>, manifest: &'a Manifest, progress: &'a Progress) -> Self {
        Self {
            folder,
            manifest,
            progress,
            steps_left: manifest.steps.len(),
            part: 0,
            current: None,
            room: Vec::new(),
            seen: HashSet::default(),
            count: 0,
            problem: None,
        }
    }

    /// What the engine owns besides its customers: it comes first in the newest step, which is read first.
    fn engine(&mut self) -> Result<Vec<u8>, Unusable> {
        let (mut engine, steps) = (Vec::new(), self.steps_left);
        while self.steps_left == steps
            && let Some(Current { reader, object, .. }) = self.open_next()?
        {
            if reader.engine(&mut engine).map_err(|error| damaged(object, &error))? {
                break;
            }
        }
        Ok(engine)
    }

    /// Opens the next part in order; `None` after the last.
    fn open_next(&mut self) -> Result<Option<&mut Current>, Unusable> {
        if self.progress.is_cancelled() {
            return Err(Unusable::Cancelled);
        }
        if let Some(current) = self.current.take() {
            self.room = current.reader.into_bytes();
        }
        let Some(at) = self.steps_left.checked_sub(1) else { return Ok(None) };
        let (step, number) = (&self.manifest.steps[at], self.part);
        let current = self.open(at, step, number)?;
        self.progress.bytes.fetch_add(step.parts[number].bytes, Ordering::Relaxed);
        self.part += 1;
        if self.part == step.parts.len() {
            (self.steps_left, self.part) = (at, 0);
        }
        Ok(Some(self.current.insert(current)))
    }

    fn open(&mut self, at: usize, step: &Step, number: usize) -> Result<Current, Unusable> {
        let object = SnapshotName::of(step).part(number);
        let mut bytes = std::mem::take(&mut self.room);
        let digest = step.parts[number];
        self.folder.read(&object, digest.bytes, &mut bytes)?;
        if PartDigest::of(&bytes) != digest {
            return Err(damaged(&object, &"its size or checksum is not the manifest's"));
        }
        let reader = PartReader::new(bytes).map_err(|error| damaged(&object, &error))?;
        let rests_on = at.checked_sub(1).map(|before| self.manifest.steps[before].id);
        let (header, genesis) = (reader.header(), &self.manifest.point.genesis);
        let is_here = (header.step, header.rests_on) == (step.id, rests_on)
            && usize::try_from(header.number) == Ok(number)
            && &header.point.genesis == genesis
            // A step may rest on one of the engine before: a drained deployment goes on from it.
            && header.point.layout == self.manifest.point.layout;
        if is_here {
            Ok(Current { reader, object, is_base: at == 0 })
        } else {
            Err(damaged(&object, &"it belongs elsewhere"))
        }
    }

    /// The next customer, in whichever form, and whether it is of the base; `None` after the last.
    fn next_held(&mut self) -> Result<Option<(Held, bool)>, Unusable> {
        loop {
            if let Some(Current { reader, object, is_base }) = &mut self.current
                && let Some(held) = reader.customer().map_err(|error| damaged(object, &error))?
            {
                return Ok(Some((held, *is_base)));
            }
            if self.open_next()?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Whether a newer form of it was read before.
    fn is_seen(&mut self, id: &Text, is_base: bool) -> bool {
        if is_base {
            !self.seen.is_empty() && self.seen.contains(id)
        } else {
            !self.seen.insert(id.clone())
        }
    }

    /// Customers that have been taken.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// All must have been taken.
    fn end(mut self) -> Result<(), Unusable> {
        let rest = self.by_ref().count();
        match self.problem {
            Some(problem) => Err(problem),
            None if rest > 0 || self.count != self.manifest.customers => {
                let (found, expected) = (self.count, self.manifest.customers);
                Err(Unusable::Unbuildable(format!(
                    "it has {found} customers instead of {expected}"
                )))
            }
            None => Ok(()),
        }
    }
}

impl Iterator for Customers<'_> {
    type Item = (Text, Arc<[u8]>);

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.manifest.customers.saturating_sub(self.count);
        (0, usize::try_from(left).ok())
    }

    fn next(&mut self) -> Option<Self::Item> {
        while self.problem.is_none() {
            match self.next_held() {
                Ok(Some(((id, packed), is_base))) => {
                    if !self.is_seen(&id, is_base)
                        && let Some(packed) = packed
                    {
                        self.count += 1;
                        return Some((id, packed));
                    }
                }
                Ok(None) => return None,
                Err(problem) => self.problem = Some(problem),
            }
        }
        None
    }
}

fn damaged(object: &str, error: &dyn ToString) -> Unusable {
    Unusable::Damaged { object: object.to_owned(), error: error.to_string() }
}
