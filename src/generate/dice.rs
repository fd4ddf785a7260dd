//! The generator's chance: a small portable random sequence, and the few draws made from it.
//!
//! Draws are integer arithmetic of our own: what a distribution of a library makes of the same bits may change with its version.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

/// A sequence of draws, the same on every platform for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Pcg64Mcg);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    /// A number in `0..n`; 0 if `n` is 0. The bias, below n / 2⁶⁴, is left in.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(n);
        u64::try_from(wide >> 64).expect("a 128-bit product shifted by 64 fits")
    }

    /// A number in `lo..=hi`.
    pub(crate) fn within(&mut self, lo: i64, hi: i64) -> i64 {
        let span = hi.abs_diff(lo).saturating_add(1);
        lo.saturating_add_unsigned(self.below(span))
    }

    /// True `per_mille` times of 1000.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of `items`, each as likely.
    ///
    /// # Panics
    /// If `items` is empty.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let index = self.below(items.len() as u64);
        items[usize::try_from(index).expect("an index fits")]
    }

    /// One of `items`, each as likely as its share of the sum of shares.
    ///
    /// # Panics
    /// If the shares sum to 0.
    pub(crate) fn weighted<T: Copy>(&mut self, items: &[(u64, T)]) -> T {
        let mut left = self.below(items.iter().map(|(share, _)| share).sum());
        for (share, item) in items {
            if left < *share {
                return *item;
            }
            left -= share;
        }
        unreachable!("a draw is below the sum of shares")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_in_range_and_reach_both_ends() {
        let mut dice = Dice::new(7);
        let draws: Vec<_> = (0..1000).map(|_| dice.within(-2, 2)).collect();
        assert_eq!((draws.iter().min(), draws.iter().max()), (Some(&-2), Some(&2)));
        assert_eq!(dice.below(0), 0);
    }

    #[test]
    fn shares_are_kept_roughly() {
        let mut dice = Dice::new(7);
        let hits = (0..10_000).filter(|_| dice.weighted(&[(1, true), (3, false)])).count();
        assert!((2300..2700).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| dice.chance(1000) && !dice.chance(0)));
    }
}
