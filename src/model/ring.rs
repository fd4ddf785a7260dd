//! A bounded memory of the last things seen.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// How many entries every ring of a customer holds.
pub const RING_LENGTH: usize = 64;

/// XXH3-64, seed 0, over the parts, a line feed between them.
pub fn ring_hash(parts: [&str; 2]) -> u64 {
    /// Most parts together are shorter: a hash at once costs a fifth of one piece by piece.
    const SHORT: usize = 128;
    let mut text = [0; SHORT];
    let (first, second) = (parts[0].as_bytes(), parts[1].as_bytes());
    let length = first.len() + 1 + second.len();
    if let Some(text) = text.get_mut(..length) {
        text[..first.len()].copy_from_slice(first);
        text[first.len()] = b'\n';
        text[first.len() + 1..].copy_from_slice(second);
        return xxh3_64(text);
    }
    let mut hash = Xxh3::new();
    hash.update(parts[0].as_bytes());
    hash.update(b"\n");
    hash.update(parts[1].as_bytes());
    hash.digest()
}

/// What a record or natural key is remembered by: its [`ring_hash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingHash(u64);

impl RingHash {
    /// The hash of these parts.
    pub fn of(parts: [&str; 2]) -> Self {
        Self(ring_hash(parts))
    }
}

/// The last [`RING_LENGTH`] hashes, oldest first; when full, the oldest leaves. Of each the first `BYTES` bytes are held, as they are
/// packed, so that many are copied at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
// Invariant: whole hashes.
pub struct HashRing<const BYTES: usize = 8>(Vec<u8>);

impl<const BYTES: usize> HashRing<BYTES> {
    /// Takes `hash` in; whether the oldest left.
    pub fn push(&mut self, hash: RingHash) -> bool {
        let is_full = self.0.len() == RING_LENGTH * BYTES;
        if is_full {
            self.0.drain(..BYTES);
        }
        self.0.extend_from_slice(&held::<BYTES>(hash));
        is_full
    }

    /// Takes `hash` in unless it is held; whether it was taken.
    pub fn insert(&mut self, hash: RingHash) -> bool {
        let is_new = !self.contains(hash);
        if is_new {
            self.push(hash);
        }
        is_new
    }

    /// Is `hash` held, or one that begins with the same bytes?
    pub fn contains(&self, hash: RingHash) -> bool {
        let asked = held::<BYTES>(hash);
        // All are compared, without a branch for each: most hashes asked for are not held.
        let hashes = self.0.as_chunks::<BYTES>().0.iter();
        hashes.fold(false, |is_held, held| is_held | (*held == asked))
    }
}

/// What is held of `hash`.
fn held<const BYTES: usize>(hash: RingHash) -> [u8; BYTES] {
    *hash.0.to_le_bytes().first_chunk().expect("a hash has eight bytes")
}

impl<const BYTES: usize> Serialize for HashRing<BYTES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de, const BYTES: usize> Deserialize<'de> for HashRing<BYTES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        if bytes.len().is_multiple_of(BYTES) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(D::Error::custom("a part of a hash"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_same_at_once_and_piece_by_piece() {
        for length in [0, 1, 62, 63, 64, 127, 200] {
            let (first, second) = ("a".repeat(length), "b".repeat(64));
            let whole = [first.as_str(), "\n", &second].concat();
            assert_eq!(ring_hash([&first, &second]), xxh3_64(whole.as_bytes()), "{length}");
        }
    }

    #[test]
    fn the_oldest_hash_leaves_a_full_ring() {
        let mut ring: HashRing = HashRing::default();
        assert!((0..=64).all(|n| ring.insert(RingHash(n))));
        assert!(!ring.contains(RingHash(0)));
        assert!(ring.contains(RingHash(1)));
        assert!(!ring.insert(RingHash(64)), "a hash held is not taken again");
    }
}
