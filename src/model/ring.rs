//! A bounded memory of the last things seen.

use std::collections::VecDeque;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// How many entries every ring of a customer holds.
pub const RING_LENGTH: usize = 64;

/// The last [`RING_LENGTH`] entries, oldest first; when full, the oldest leaves.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Ring<T>(VecDeque<T>);

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Ring<T> {
    /// An empty one, with room for `entries`, but no more than it holds.
    pub fn with_room(entries: usize) -> Self {
        Self(VecDeque::with_capacity(entries.min(RING_LENGTH)))
    }

    /// The newest.
    pub fn last(&self) -> Option<&T> {
        self.0.back()
    }

    /// Takes `entry` in.
    pub fn push(&mut self, entry: T) {
        if self.0.len() == RING_LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    /// Oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> {
        self.0.iter()
    }

    /// Oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

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

/// The last [`RING_LENGTH`] hashes, oldest first; when full, the oldest leaves. Held as they are packed, so that many are copied at
/// once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
// Invariant: whole hashes.
pub struct HashRing(Vec<u8>);

impl HashRing {
    /// Takes `hash` in.
    pub fn push(&mut self, hash: RingHash) {
        if self.0.len() == RING_LENGTH * size_of::<RingHash>() {
            self.0.drain(..size_of::<RingHash>());
        }
        self.0.extend_from_slice(&hash.0.to_le_bytes());
    }

    /// Takes `hash` in unless it is held; whether it was taken.
    pub fn insert(&mut self, hash: RingHash) -> bool {
        let is_new = !self.contains(hash);
        if is_new {
            self.push(hash);
        }
        is_new
    }

    /// Is `hash` held?
    pub fn contains(&self, hash: RingHash) -> bool {
        // All are compared, without a branch for each: most hashes asked for are not held.
        let hashes = self.0.as_chunks().0.iter();
        hashes.fold(false, |is_held, held| is_held | (u64::from_le_bytes(*held) == hash.0))
    }
}

impl Serialize for HashRing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for HashRing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        if bytes.len().is_multiple_of(size_of::<RingHash>()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(D::Error::custom("a hash has eight bytes"))
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
    fn the_oldest_entry_leaves_a_full_ring() {
        let mut ring = Ring::default();
        (0..=64).for_each(|n| ring.push(n));
        assert!(ring.iter().copied().eq(1..=64));
    }

    #[test]
    fn the_oldest_hash_leaves_a_full_ring() {
        let mut ring = HashRing::default();
        assert!((0..=64).all(|n| ring.insert(RingHash(n))));
        assert!(!ring.contains(RingHash(0)));
        assert!(ring.contains(RingHash(1)));
        assert!(!ring.insert(RingHash(64)), "a hash held is not taken again");
    }
}
