//! Frames: length, checksum, message. The checksum of each goes on from the one before, so that none can be left out or moved.

use crc32c::crc32c_append;

use super::SnapshotError;

/// The longest message, in bytes: a block and what it is wrapped in.
const MESSAGE_BYTES_MAX: usize = super::part::RAW_BYTES_MAX * 2;
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
        let start = self.bytes.len();
        self.bytes.extend([0; HEAD_BYTES]);
        message.encode(&mut self.bytes).expect("a vector grows");
        let length = self.bytes.len() - start - HEAD_BYTES;
        let length = u32::try_from(length).expect("messages are bounded").to_le_bytes();
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
pub(super) struct FrameReader<'a> {
    rest: &'a [u8],
    checksum: u32,
}

impl<'a> FrameReader<'a> {
    pub(super) fn new(bytes: &'a [u8], magic: [u8; 8]) -> Result<Self, SnapshotError> {
        let rest = bytes.strip_prefix(&magic).ok_or(SnapshotError::Format)?;
        Ok(Self { rest, checksum: 0 })
    }

    /// The next message.
    ///
    /// # Errors
    /// If there is none, or it is not what was written.
    pub(super) fn read<M: prost::Message + Default>(&mut self) -> Result<M, SnapshotError> {
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or(SnapshotError::Torn)?;
        let (checksum, rest) = rest.split_first_chunk::<4>().ok_or(SnapshotError::Torn)?;
        let size = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if MESSAGE_BYTES_MAX < size {
            return Err(SnapshotError::Malformed);
        }
        let (message, rest) = rest.split_at_checked(size).ok_or(SnapshotError::Torn)?;
        let expected = crc32c_append(crc32c_append(self.checksum, length), message);
        if expected != u32::from_le_bytes(*checksum) {
            return Err(SnapshotError::Checksum);
        }
        (self.rest, self.checksum) = (rest, expected);
        M::decode(message).map_err(|_error| SnapshotError::Malformed)
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// If something does.
    pub(super) const fn end(&self) -> Result<(), SnapshotError> {
        if self.rest.is_empty() { Ok(()) } else { Err(SnapshotError::Malformed) }
    }
}
