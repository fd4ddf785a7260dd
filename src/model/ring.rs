//! A bounded memory of the last things seen.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// How many entries every ring of a customer holds.
pub const RING_LENGTH: usize = 64;

/// The last [`RING_LENGTH`] entries, oldest first; when full, the oldest leaves.
#[derive(Debug, Clone, PartialEq, Hash, Serialize, Deserialize)]
pub struct Ring<T>(VecDeque<T>);

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Ring<T> {
    /// Takes `entry` in.
    pub fn push(&mut self, entry: T) {
        if self.0.len() == RING_LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// Oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

impl<T: PartialEq> Ring<T> {
    /// Takes `entry` in unless it is held; whether it was taken.
    pub fn insert(&mut self, entry: T) -> bool {
        let is_new = !self.0.contains(&entry);
        if is_new {
            self.push(entry);
        }
        is_new
    }

    /// Is `entry` held?
    pub fn contains(&self, entry: &T) -> bool {
        self.0.contains(entry)
    }
}

/// XXH3-64, seed 0, over the parts, a line feed between them.
pub fn ring_hash(parts: [&str; 2]) -> u64 {
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

/// Hashes packed as the bytes they are, one after the other: as numbers each would take two bytes more.
pub(super) mod hashes {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{Ring, RingHash};

    pub(in super::super) fn serialize<S: Serializer>(
        ring: &Ring<RingHash>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = ring.iter().flat_map(|hash| hash.0.to_le_bytes()).collect();
        serializer.serialize_bytes(&bytes)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Ring<RingHash>, D::Error> {
        let (hashes, rest) = <&[u8]>::deserialize(deserializer)?.as_chunks();
        if rest.is_empty() {
            Ok(Ring(hashes.iter().map(|hash| RingHash(u64::from_le_bytes(*hash))).collect()))
        } else {
            Err(D::Error::custom("a hash has eight bytes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_leaves_a_full_ring() {
        let mut ring = Ring::default();
        assert!((0..=64).all(|n| ring.insert(n)));
        assert!(!ring.contains(&0));
        assert!(ring.contains(&1));
        assert!(!ring.insert(64), "an entry held is not taken again");
    }
}
