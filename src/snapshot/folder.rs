//! The folder of one partition's history: what is in it, writing a snapshot there, and deleting what none needs any more.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{BlockingRetryable as _, ExponentialBuilder};
use object_store::PutPayload;

use super::load::Unusable;
use super::name::{Kind, SnapshotName, folder, folder_of};
use super::store::{Store, StoreError};
use crate::engine::Image;
use crate::wire::{Manifest, PartDigest, PartHeader, PartWriter, SnapshotPoint, Step, StepId};

/// A part is closed when it holds as many bytes, so that few are in memory at a time.
pub(super) const PART_BYTES: usize = 32 << 20;
/// The largest manifest read: a thousand times what one needs.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;
/// How often a question is asked in all, and the pauses between: about ten seconds, for whoever waits behind it waits as long.
const ATTEMPTS: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The folder of one partition's history.
#[derive(Debug, Clone)]
pub struct Folder<'a> {
    store: &'a Store,
    path: String,
    part_bytes: usize,
    attempts: usize,
}

/// A snapshot in the folder.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: SnapshotName,
    /// Its manifest, or why it cannot be used.
    pub manifest: Result<Manifest, Unusable>,
}

impl<'a> Folder<'a> {
    /// The folder of `lineage` and `partition`; it need not exist.
    pub fn new(store: &'a Store, lineage: [u8; 16], partition: i32) -> Self {
        Self { store, path: folder(lineage, partition), part_bytes: PART_BYTES, attempts: ATTEMPTS }
    }

    /// The folder of what `point` is a point of.
    pub(super) fn of(store: &'a Store, point: &SnapshotPoint) -> Self {
        Self { store, path: folder_of(point), part_bytes: PART_BYTES, attempts: ATTEMPTS }
    }

    /// The same, but nothing is tried again: somebody waits.
    pub(super) const fn in_haste(mut self) -> Self {
        self.attempts = 1;
        self
    }

    #[cfg(test)]
    pub(super) const fn with_part_bytes(mut self, part_bytes: usize) -> Self {
        self.part_bytes = part_bytes;
        self
    }

    /// Every folder of `store`: lineage and partition, as text.
    ///
    /// # Errors
    /// If the store fails.
    pub fn all(store: &'a Store) -> Result<Vec<Self>, StoreError> {
        let mut folders = Vec::new();
        for lineage in store.list("")?.folders {
            for partition in store.list(&lineage)?.folders {
                let path = format!("{lineage}/{partition}");
                folders.push(Self { store, path, part_bytes: PART_BYTES, attempts: ATTEMPTS });
            }
        }
        Ok(folders)
    }

    /// `<lineage>/<partition>`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The names of the snapshots that count, newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn names(&self) -> Result<Vec<SnapshotName>, StoreError> {
        let manifests = self.objects()?.into_iter();
        let mut names: Vec<SnapshotName> = manifests
            .filter_map(|(name, kind, _)| (kind == Kind::Manifest).then_some(name))
            .collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    /// Every object of ours: its step, what it is, and its name.
    fn objects(&self) -> Result<Vec<(SnapshotName, Kind, String)>, StoreError> {
        let found = self.patiently(|| self.store.list(&self.path))?.objects.into_iter();
        let ours = |(object, _): (String, u64)| {
            let (name, kind) = SnapshotName::of_object(&object)?;
            Some((name, kind, object))
        };
        Ok(found.filter_map(ours).collect())
    }

    /// The snapshot of that name.
    pub fn entry(&self, name: SnapshotName) -> Entry {
        Entry { name, manifest: self.manifest(&name) }
    }

    pub(super) fn manifest(&self, name: &SnapshotName) -> Result<Manifest, Unusable> {
        let object = name.manifest();
        let mut bytes = Vec::new();
        self.read(&object, MANIFEST_BYTES_MAX, &mut bytes)?;
        let manifest = Manifest::decode(&bytes).map_err(|error| Unusable::Damaged {
            object: object.clone(),
            error: error.to_string(),
        })?;
        // Under another's name it would be taken for newer or older than it is.
        let is_named = manifest.steps.last().map(SnapshotName::of) == Some(*name)
            && folder_of(&manifest.point) == self.path;
        if is_named { Ok(manifest) } else { Err(Unusable::Misplaced) }
    }

    /// Reads an object that must be there into `bytes`, in the place of what is there.
    pub(super) fn read(
        &self,
        object: &str,
        bytes_max: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Unusable> {
        match self.patiently(|| self.store.read(&self.place(object), bytes_max, bytes)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Unusable::Missing { object: object.to_owned() }),
            Err(error) => Err(Unusable::Unreachable(error.to_string())),
        }
    }

    /// Writes `image` as a new step of a snapshot that rests on the steps `before`, and then the manifest that makes it count.
    ///
    /// # Errors
    /// If the store fails, time after time.
    ///
    /// # Panics
    /// If `image` is not whole and there is nothing before it.
    pub fn write(
        &self,
        point: &SnapshotPoint,
        image: &Image,
        before: &[Step],
        note: Note,
    ) -> Result<Manifest, StoreError> {
        let before = if image.is_whole { &[] } else { before };
        let rests_on = before.last().map(|step| step.id);
        assert!(image.is_whole || rests_on.is_some(), "changes rest on something");
        let step = self.write_step(point, image, rests_on, note.step)?;
        let manifest = Manifest {
            point: point.clone(),
            taken_ms: note.taken_ms,
            steps: before.iter().cloned().chain([step]).collect(),
            customers: note.customers,
            supersedes: note.supersedes,
        };
        let name = SnapshotName { offset_next: point.offset_next, seq: point.seq, step: note.step };
        self.create(&name.manifest(), manifest.encode())?;
        Ok(manifest)
    }

    fn write_step(
        &self,
        point: &SnapshotPoint,
        image: &Image,
        rests_on: Option<StepId>,
        step: StepId,
    ) -> Result<Step, StoreError> {
        let name = SnapshotName { offset_next: point.offset_next, seq: point.seq, step };
        let header = |number| PartHeader { point: point.clone(), step, number, rests_on };
        let (mut parts, mut writer) = (Vec::new(), PartWriter::new(&header(0)));
        let mut close = |writer: PartWriter| {
            let bytes = writer.finish();
            let digest = PartDigest::of(&bytes);
            self.create(&name.part(parts.len()), bytes)?;
            parts.push(digest);
            Ok(PartWriter::new(&header(u32::try_from(parts.len()).expect("parts are large"))))
        };
        for piece in image.header.chunks(self.part_bytes) {
            writer.engine(piece);
            if self.part_bytes <= writer.len() {
                writer = close(writer)?;
            }
        }
        for (id, packed) in &image.customers {
            if self.part_bytes <= writer.len() {
                writer = close(writer)?;
            }
            writer.customer(id, packed.as_deref());
        }
        close(writer)?;
        Ok(Step { id: step, offset_next: point.offset_next, seq: point.seq, parts })
    }

    fn create(&self, object: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let bytes = PutPayload::from(bytes);
        let mut is_again = false;
        self.patiently(|| match self.store.create(&self.place(object), bytes.clone()) {
            // Its name is random: what stands there is what was written before the answer was lost.
            Err(error) if is_again && error.is_taken() => Ok(()),
            done => {
                is_again = true;
                done
            }
        })
    }

    /// Deletes what the newest `keep` snapshots do not name, and what is older than all of them. What is not older may be the beginning
    /// of somebody's next snapshot, and stays.
    ///
    /// # Errors
    /// If the store fails; what is left is deleted another time.
    pub fn tidy(&self, keep: usize) -> Result<(), StoreError> {
        let objects = self.objects()?;
        let (mut kept, mut named) = (Vec::new(), BTreeSet::new());
        for name in self.names()? {
            match self.manifest(&name) {
                Ok(manifest) => {
                    named.extend(manifest.steps.iter().map(SnapshotName::of));
                    kept.push(name);
                }
                // It may be well, and what it names needed.
                Err(Unusable::Unreachable(_)) => return Ok(()),
                Err(_) => {}
            }
            if kept.len() == keep {
                break;
            }
        }
        let Some(oldest) = kept.last().filter(|_| kept.len() == keep).copied() else {
            return Ok(());
        };
        let is_over = |(name, kind, _): &&(SnapshotName, Kind, String)| {
            let is_named = match kind {
                Kind::Manifest => kept.contains(name),
                Kind::Part => named.contains(name),
            };
            name.place() < oldest.place() && !is_named
        };
        self.delete(objects.iter().filter(is_over))
    }

    /// Deletes every snapshot: the partition then comes back from its log alone.
    ///
    /// # Errors
    /// If the store fails; what is left can be removed another time.
    pub fn remove(&self) -> Result<(), StoreError> {
        self.delete(self.objects()?.iter())
    }

    fn delete<'o>(
        &self,
        objects: impl Iterator<Item = &'o (SnapshotName, Kind, String)>,
    ) -> Result<(), StoreError> {
        let (manifests, parts): (Vec<_>, Vec<_>) =
            objects.partition(|(_, kind, _)| *kind == Kind::Manifest);
        // Manifests first: none shall name what is gone.
        for (_, _, object) in manifests.into_iter().chain(parts) {
            self.patiently(|| self.store.delete(&self.place(object)))?;
        }
        Ok(())
    }

    fn place(&self, object: &str) -> String {
        format!("{}/{object}", self.path)
    }

    fn patiently<T>(&self, ask: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_factor(3.0)
            .with_max_times(self.attempts - 1);
        ask.retry(pauses).when(|error| !error.is_taken()).call()
    }
}

/// What is to be noted of a snapshot besides its state.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    /// The name of the step about to be written: random.
    pub step: StepId,
    /// When the image was taken, milliseconds since the epoch.
    pub taken_ms: i64,
    /// Customers the state holds.
    pub customers: u64,
    /// Snapshots before it hold customers that have been erased.
    pub supersedes: bool,
}
