//! A manifest: which parts make up a snapshot, in which order, of which sizes and checksums.

use xxhash_rust::xxh3::xxh3_64;

use super::frame::{FrameReader, FrameWriter};
use super::{SnapshotError, SnapshotPoint, StepId};
use crate::wire::proto;

const MAGIC: [u8; 8] = *b"gfmani\0\x01";

/// What a snapshot consists of. It counts once its manifest exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Where the partition stood.
    pub point: SnapshotPoint,
    /// When it was taken, milliseconds since the epoch; for people.
    pub taken_ms: i64,
    /// A base, then what changed since, oldest first; never empty.
    pub steps: Vec<Step>,
    /// Customers the state holds.
    pub customers: u64,
    /// Snapshots before this one hold customers that have been erased, and are to go.
    pub supersedes: bool,
}

/// What was written at once: all of the state, or what has changed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// The next offset to handle, when it was taken.
    pub offset_next: i64,
    /// The last journal record applied by then.
    pub seq: u64,
    /// Its objects in order; never empty.
    pub parts: Vec<PartDigest>,
}

/// What one object must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartDigest {
    /// Its size.
    pub bytes: u64,
    /// XXH3-64 of all of it.
    pub checksum: u64,
}

impl PartDigest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, checksum: xxh3_64(bytes) }
    }
}

impl Step {
    /// Size of its objects together.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).fold(0, u64::saturating_add)
    }
}

impl Manifest {
    /// Size of all objects together.
    pub fn bytes(&self) -> u64 {
        self.steps.iter().map(Step::bytes).fold(0, u64::saturating_add)
    }

    /// The object's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let step = |step: &Step| proto::SnapshotStep {
            id: step.id.to_vec(),
            offset_next: step.offset_next,
            seq: step.seq,
            parts: step.parts.iter().map(|part| part.to_wire()).collect(),
        };
        let mut writer = FrameWriter::new(MAGIC);
        writer.write(&proto::SnapshotManifest {
            point: Some(self.point.to_wire()),
            taken_ms: self.taken_ms,
            steps: self.steps.iter().map(step).collect(),
            customers: self.customers,
            supersedes: self.supersedes,
        });
        writer.finish()
    }

    /// The manifest these bytes stand for.
    ///
    /// # Errors
    /// For anything [`Manifest::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut reader = FrameReader::new(bytes, MAGIC)?;
        let wire: proto::SnapshotManifest = reader.read()?;
        reader.end()?;
        let steps = wire.steps.into_iter().map(Step::from_wire).collect::<Result<Vec<_>, _>>()?;
        let point = SnapshotPoint::from_wire(wire.point)?;
        let ends = steps.last().map(|step| (step.offset_next, step.seq));
        if ends != Some((point.offset_next, point.seq)) {
            return Err(SnapshotError::Malformed);
        }
        Ok(Self {
            point,
            taken_ms: wire.taken_ms,
            steps,
            customers: wire.customers,
            supersedes: wire.supersedes,
        })
    }
}

impl PartDigest {
    const fn to_wire(self) -> proto::SnapshotPart {
        proto::SnapshotPart { bytes: self.bytes, checksum: self.checksum }
    }
}

impl Step {
    fn from_wire(wire: proto::SnapshotStep) -> Result<Self, SnapshotError> {
        let digest =
            |part: proto::SnapshotPart| PartDigest { bytes: part.bytes, checksum: part.checksum };
        let parts: Vec<PartDigest> = wire.parts.into_iter().map(digest).collect();
        if parts.is_empty() {
            return Err(SnapshotError::Malformed);
        }
        let id = wire.id.try_into().map_err(|_bytes| SnapshotError::Malformed)?;
        Ok(Self { id, offset_next: wire.offset_next, seq: wire.seq, parts })
    }
}
