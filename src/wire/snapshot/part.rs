//! A part: a header, blocks of an engine's bytes and of customers, and an end that counts them.

use std::sync::Arc;

use prost::encoding::{decode_varint, encode_varint};

use super::frame::{FrameReader, FrameWriter};
use super::{SnapshotError, SnapshotPoint, StepId};
use crate::wire::proto;
use crate::wire::proto::snapshot_block::Kind;
use crate::wire::proto::snapshot_frame::Content;

const MAGIC: [u8; 8] = *b"gfsnap\0\x01";
/// A block is closed when it holds as many bytes.
const BLOCK_BYTES: usize = 256 << 10;
/// The most bytes of a block unpacked. A customer is bounded far below.
pub(super) const RAW_BYTES_MAX: usize = 64 << 20;

/// What a part says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHeader {
    /// Where the partition stood.
    pub point: SnapshotPoint,
    /// The step it belongs to.
    pub step: StepId,
    /// Which of the step's parts it is, from 0.
    pub number: u32,
    /// The step whose state it changes; `None`: it holds all of it.
    pub rests_on: Option<StepId>,
}

/// A customer's id and packed bytes; `None`: gone.
pub type Held = (Arc<str>, Option<Arc<[u8]>>);

/// A part that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it says of itself.
    pub header: PartHeader,
    /// What the engine owns besides its customers, or a piece of it; the pieces of a step's parts together are all of it.
    pub engine: Vec<u8>,
    /// Customers, in the order written.
    pub customers: Vec<Held>,
}

/// Writes a part.
#[derive(Debug)]
pub struct PartWriter {
    frames: FrameWriter,
    kind: Kind,
    /// The open block.
    raw: Vec<u8>,
    blocks: u64,
    customers: u64,
}

impl PartWriter {
    /// A part that begins so.
    pub fn new(header: &PartHeader) -> Self {
        let mut frames = FrameWriter::new(MAGIC);
        frames.write(&frame(Content::Header(proto::SnapshotPartHeader {
            point: Some(header.point.to_wire()),
            step: header.step.to_vec(),
            number: header.number,
            rests_on: header.rests_on.map_or_else(Vec::new, |step| step.to_vec()),
        })));
        Self { frames, kind: Kind::Engine, raw: Vec::new(), blocks: 0, customers: 0 }
    }

    /// Adds a piece of what the engine owns besides its customers.
    pub fn engine(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(BLOCK_BYTES) {
            self.open(Kind::Engine);
            self.raw.extend_from_slice(piece);
        }
    }

    /// Adds a customer; `None`: it is gone.
    pub fn customer(&mut self, id: &str, packed: Option<&[u8]>) {
        self.open(Kind::Customers);
        encode_varint(id.len() as u64, &mut self.raw);
        self.raw.extend_from_slice(id.as_bytes());
        encode_varint(packed.map_or(0, |packed| packed.len() as u64 + 1), &mut self.raw);
        self.raw.extend_from_slice(packed.unwrap_or_default());
        self.customers += 1;
    }

    /// Size so far, without the open block.
    pub const fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether nothing was added.
    pub const fn is_empty(&self) -> bool {
        self.blocks == 0 && self.raw.is_empty()
    }

    /// The part's bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.close();
        let (blocks, customers) = (self.blocks, self.customers);
        self.frames.write(&frame(Content::End(proto::SnapshotPartEnd { blocks, customers })));
        self.frames.finish()
    }

    fn open(&mut self, kind: Kind) {
        if self.kind != kind || BLOCK_BYTES <= self.raw.len() {
            self.close();
            self.kind = kind;
        }
    }

    fn close(&mut self) {
        if self.raw.is_empty() {
            return;
        }
        assert!(self.raw.len() <= RAW_BYTES_MAX, "a customer is bounded");
        self.frames.write(&frame(Content::Block(proto::SnapshotBlock {
            kind: self.kind.into(),
            raw_bytes: u32::try_from(self.raw.len()).expect("checked above"),
            data: lz4_flex::block::compress(&self.raw),
        })));
        self.raw.clear();
        self.blocks += 1;
    }
}

const fn frame(content: Content) -> proto::SnapshotFrame {
    proto::SnapshotFrame { content: Some(content) }
}

impl Part {
    /// Reads a part, all of it.
    ///
    /// # Errors
    /// For anything [`PartWriter`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut frames = FrameReader::new(bytes, MAGIC)?;
        let first: proto::SnapshotFrame = frames.read()?;
        let Some(Content::Header(header)) = first.content else {
            return Err(SnapshotError::Malformed);
        };
        let header = PartHeader::from_wire(header)?;
        let mut part = Self { header, engine: Vec::new(), customers: Vec::new() };
        let (mut blocks, mut raw) = (0, Vec::new());
        loop {
            let next: proto::SnapshotFrame = frames.read()?;
            match next.content {
                Some(Content::Block(block)) => part.take(&block, &mut raw)?,
                Some(Content::End(end)) if end == part.end(blocks) => break,
                _ => return Err(SnapshotError::Malformed),
            }
            blocks += 1;
        }
        frames.end()?;
        Ok(part)
    }

    fn end(&self, blocks: u64) -> proto::SnapshotPartEnd {
        proto::SnapshotPartEnd { blocks, customers: self.customers.len() as u64 }
    }

    fn take(
        &mut self,
        block: &proto::SnapshotBlock,
        raw: &mut Vec<u8>,
    ) -> Result<(), SnapshotError> {
        let size = usize::try_from(block.raw_bytes).unwrap_or(usize::MAX);
        if RAW_BYTES_MAX < size {
            return Err(SnapshotError::Malformed);
        }
        raw.clear();
        raw.resize(size, 0);
        let unpacked = lz4_flex::block::decompress_into(&block.data, raw);
        if unpacked.ok() != Some(size) {
            return Err(SnapshotError::Malformed);
        }
        match block.kind() {
            Kind::Engine => self.engine.extend_from_slice(raw),
            Kind::Customers => {
                let mut rest = raw.as_slice();
                while !rest.is_empty() {
                    self.customers.push(customer(&mut rest)?);
                }
            }
            Kind::Unspecified => return Err(SnapshotError::Malformed),
        }
        Ok(())
    }
}

fn customer(rest: &mut &[u8]) -> Result<Held, SnapshotError> {
    let size = length(rest)?;
    let id = std::str::from_utf8(cut(rest, size)?).map_err(|_error| SnapshotError::Malformed)?;
    let packed = match length(rest)?.checked_sub(1) {
        None => None,
        Some(size) => Some(Arc::from(cut(rest, size)?)),
    };
    Ok((Arc::from(id), packed))
}

fn length(rest: &mut &[u8]) -> Result<u64, SnapshotError> {
    decode_varint(rest).map_err(|_error| SnapshotError::Malformed)
}

fn cut<'a>(rest: &mut &'a [u8], size: u64) -> Result<&'a [u8], SnapshotError> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let (taken, left) = rest.split_at_checked(size).ok_or(SnapshotError::Malformed)?;
    *rest = left;
    Ok(taken)
}

impl PartHeader {
    fn from_wire(wire: proto::SnapshotPartHeader) -> Result<Self, SnapshotError> {
        let id =
            |bytes: Vec<u8>| StepId::try_from(bytes).map_err(|_bytes| SnapshotError::Malformed);
        let rests_on = if wire.rests_on.is_empty() { None } else { Some(id(wire.rests_on)?) };
        let point = SnapshotPoint::from_wire(wire.point)?;
        Ok(Self { point, step: id(wire.step)?, number: wire.number, rests_on })
    }
}
