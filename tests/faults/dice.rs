//! Chance from a seed: when a fault comes, and which record is corrupted.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

/// A sequence of draws, the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Pcg64Mcg);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    /// A number in `0..n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        assert!(0 < n, "nothing to draw from");
        usize::try_from(self.0.next_u64() % u64::try_from(n).unwrap()).unwrap()
    }
}
