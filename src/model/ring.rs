//! A bounded memory of the last things seen.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

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
