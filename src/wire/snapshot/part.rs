//! A part: a header, blocks of an engine's bytes and of customers, and an end that counts them.

use std::ops::Range;
use std::sync::Arc;

use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use prost::encoding::{decode_varint, encode_varint};

use super::frame::{FrameReader, FrameWriter};
use super::{SnapshotError, SnapshotPoint, StepId};
use crate::model::Text;
use crate::wire::proto;
use crate::wire::proto::snapshot_block::Kind;
use crate::wire::proto::snapshot_frame::Content;

const MAGIC: [u8; 8] = *b"gfsnap\0\x02";
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
pub type Held = (Text, Option<Arc<[u8]>>);

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
        let raw_bytes = u32::try_from(self.raw.len()).expect("checked above");
        let block = proto::SnapshotBlock { kind: self.kind.into(), raw_bytes };
        self.frames.write(&frame(Content::Block(block)));
        self.frames.write_with(|bytes| compress(&self.raw, bytes));
        self.raw.clear();
        self.blocks += 1;
    }
}

/// Appends `raw` as one LZ4 block.
fn compress(raw: &[u8], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + get_maximum_output_size(raw.len()), 0);
    let length = compress_into(raw, &mut bytes[start..]).expect("there is room for the worst");
    bytes.truncate(start + length);
}

const fn frame(content: Content) -> proto::SnapshotFrame {
    proto::SnapshotFrame { content: Some(content) }
}

/// Reads a part, one customer after another.
#[derive(Debug)]
pub struct PartReader<B> {
    frames: FrameReader<B>,
    header: PartHeader,
    /// Room for a block; what it holds beyond `left` is of an earlier one.
    raw: Vec<u8>,
    /// What is left to take of the open block.
    left: Range<usize>,
    blocks: u64,
    customers: u64,
    is_over: bool,
}

impl<B: AsRef<[u8]>> PartReader<B> {
    /// Opens a part.
    ///
    /// # Errors
    /// If it does not begin as one.
    pub fn new(bytes: B) -> Result<Self, SnapshotError> {
        let mut frames = FrameReader::new(bytes, MAGIC)?;
        let first: proto::SnapshotFrame = frames.read()?;
        let Some(Content::Header(header)) = first.content else {
            return Err(SnapshotError::Malformed);
        };
        let header = PartHeader::from_wire(header)?;
        let (raw, left) = (Vec::new(), 0..0);
        Ok(Self { frames, header, raw, left, blocks: 0, customers: 0, is_over: false })
    }

    /// What it says of itself.
    pub const fn header(&self) -> &PartHeader {
        &self.header
    }

    /// Appends what it holds of an engine besides its customers, all of which comes before any customer. Whether customers follow.
    ///
    /// # Errors
    /// For anything [`PartWriter`] does not write.
    pub fn engine(&mut self, into: &mut Vec<u8>) -> Result<bool, SnapshotError> {
        while let Some(kind) = self.block()? {
            if kind == Kind::Customers {
                return Ok(true);
            }
            into.extend_from_slice(&self.raw[std::mem::take(&mut self.left)]);
        }
        Ok(false)
    }

    /// The next customer, in the order written; `None` after the last, once the part has been read to its end. What it holds of the
    /// engine is passed over.
    ///
    /// # Errors
    /// For anything [`PartWriter`] does not write.
    pub fn customer(&mut self) -> Result<Option<Held>, SnapshotError> {
        while self.left.is_empty() {
            match self.block()? {
                Some(Kind::Customers) => {}
                Some(_) => self.left = 0..0,
                None => return Ok(None),
            }
        }
        let mut rest = &self.raw[self.left.clone()];
        let customer = customer(&mut rest)?;
        self.left.start = self.left.end - rest.len();
        self.customers += 1;
        Ok(Some(customer))
    }

    /// The bytes it was read from.
    pub fn into_bytes(self) -> B {
        self.frames.into_bytes()
    }

    /// Opens the next block; `None` after the last.
    fn block(&mut self) -> Result<Option<Kind>, SnapshotError> {
        if self.is_over {
            return Ok(None);
        }
        let next: proto::SnapshotFrame = self.frames.read()?;
        let block = match next.content {
            Some(Content::Block(block)) => block,
            Some(Content::End(end)) if end == self.end() => {
                self.is_over = true;
                return self.frames.end().map(|()| None);
            }
            _ => return Err(SnapshotError::Malformed),
        };
        let is_next = match block.kind() {
            Kind::Engine => self.customers == 0,
            Kind::Customers => true,
            Kind::Unspecified => false,
        };
        let size = usize::try_from(block.raw_bytes).unwrap_or(usize::MAX);
        if !is_next || RAW_BYTES_MAX < size {
            return Err(SnapshotError::Malformed);
        }
        if self.raw.len() < size {
            self.raw.resize(size, 0);
        }
        let unpacked = decompress_into(self.frames.read_bytes()?, &mut self.raw[..size]);
        if unpacked.ok() != Some(size) {
            return Err(SnapshotError::Malformed);
        }
        self.left = 0..size;
        self.blocks += 1;
        Ok(Some(block.kind()))
    }

    const fn end(&self) -> proto::SnapshotPartEnd {
        proto::SnapshotPartEnd { blocks: self.blocks, customers: self.customers }
    }
}

impl Part {
    /// Reads a part, all of it.
    ///
    /// # Errors
    /// For anything [`PartWriter`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut reader = PartReader::new(bytes)?;
        let (mut engine, mut customers) = (Vec::new(), Vec::new());
        reader.engine(&mut engine)?;
        while let Some(customer) = reader.customer()? {
            customers.push(customer);
        }
        Ok(Self { header: reader.header, engine, customers })
    }
}

fn customer(rest: &mut &[u8]) -> Result<Held, SnapshotError> {
    let size = length(rest)?;
    let id = std::str::from_utf8(cut(rest, size)?).map_err(|_error| SnapshotError::Malformed)?;
    let packed = match length(rest)?.checked_sub(1) {
        None => None,
        Some(size) => Some(Arc::from(cut(rest, size)?)),
    };
    Ok((id.into(), packed))
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
