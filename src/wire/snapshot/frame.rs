//! Frames: length, checksum, and what they hold. The checksum of each goes on from the one before, so that none can be left out or moved.

use crc32c::crc32c_append;

use super::SnapshotError;

/// What a frame holds at most, in bytes: a block that did not get smaller.
const FRAME_BYTES_MAX: usize = super::part::RAW_BYTES_MAX * 2;
/// Length and checksum.
const HEAD_BYTES: usize = 8;

/// Writes frames one after another.
#[derive(Debug)]
pub(super) struct FrameWriter {
    bytes: Vec<u8>,
    checksum: u32,
}

impl FrameWriter {
    pub(super) fn new(magic: [u8; 8]) -> Self {
        Self { bytes: magic.to_vec(), checksum: 0 }
    }

    pub(super) fn write(&mut self, message: &impl prost::Message) {
        self.write_with(|bytes| message.encode(bytes).expect("a vector grows"));
    }

    /// Writes as a frame what `append` appends.
    pub(super) fn write_with(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend([0; HEAD_BYTES]);
        append(&mut self.bytes);
        let length = self.bytes.len() - start - HEAD_BYTES;
        let length = u32::try_from(length).expect("frames are bounded").to_le_bytes();
        self.checksum = crc32c_append(self.checksum, &length);
        self.checksum = crc32c_append(self.checksum, &self.bytes[start + HEAD_BYTES..]);
        self.bytes[start..start + 4].copy_from_slice(&length);
        self.bytes[start + 4..start + HEAD_BYTES].copy_from_slice(&self.checksum.to_le_bytes());
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads them again.
#[derive(Debug)]
pub(super) struct FrameReader<B> {
    bytes: B,
    /// Where the next frame begins.
    at: usize,
    checksum: u32,
}

impl<B: AsRef<[u8]>> FrameReader<B> {
    pub(super) fn new(bytes: B, magic: [u8; 8]) -> Result<Self, SnapshotError> {
        if !bytes.as_ref().starts_with(&magic) {
            return Err(SnapshotError::Format);
        }
        Ok(Self { bytes, at: magic.len(), checksum: 0 })
    }

    /// What the next frame holds.
    ///
    /// # Errors
    /// If there is none, or it is not what was written.
    pub(super) fn read_bytes(&mut self) -> Result<&[u8], SnapshotError> {
        let rest = &self.bytes.as_ref()[self.at..];
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(SnapshotError::Torn)?;
        let (checksum, rest) = rest.split_first_chunk::<4>().ok_or(SnapshotError::Torn)?;
        let size = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if FRAME_BYTES_MAX < size {
            return Err(SnapshotError::Malformed);
        }
        let held = rest.get(..size).ok_or(SnapshotError::Torn)?;
        let expected = crc32c_append(crc32c_append(self.checksum, length), held);
        if expected != u32::from_le_bytes(*checksum) {
            return Err(SnapshotError::Checksum);
        }
        self.at += HEAD_BYTES + size;
        self.checksum = expected;
        Ok(held)
    }

    /// The message that is the next frame.
    ///
    /// # Errors
    /// If there is none, or it is not what was written.
    pub(super) fn read<M: prost::Message + Default>(&mut self) -> Result<M, SnapshotError> {
        M::decode(self.read_bytes()?).map_err(|_error| SnapshotError::Malformed)
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// If something does.
    pub(super) fn end(&self) -> Result<(), SnapshotError> {
        let is_over = self.at == self.bytes.as_ref().len();
        if is_over { Ok(()) } else { Err(SnapshotError::Malformed) }
    }

    pub(super) fn into_bytes(self) -> B {
        self.bytes
    }
}
