//! How many different customers a unit served, without remembering any of them.
//!
//! HyperLogLog with 512 registers: two sketches merge into that of the union, so it does not matter which partition saw whom. The
//! estimate is off by about 4.6 % (one standard error); a count of at most a few dozen is nearly exact, and [`Sketch::at_least`]
//! never says more than there were. Source: Flajolet, Fusy, Gandouet, Meunier, *HyperLogLog*, AofA 2007.

use serde::{Deserialize, Serialize};

use crate::model::number::ln;

/// log₂ of the number of registers.
const BITS: u32 = 9;
/// Registers.
const REGISTERS: usize = 1 << BITS;

/// The customers counted. Holds only the registers in use: at most 512, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sketch(Vec<(u16, u8)>);

impl Sketch {
    /// The sketch of these registers: number below 512 and rank, each number once. `None` if they are not that.
    pub fn from_registers(mut registers: Vec<(u16, u8)>) -> Option<Self> {
        registers.sort_unstable();
        let is_sorted = registers.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let is_in_range = |(register, rank): &(u16, u8)| {
            usize::from(*register) < REGISTERS && 0 < *rank && u32::from(*rank) <= 65 - BITS
        };
        (is_sorted && registers.iter().all(is_in_range)).then_some(Self(registers))
    }

    /// The registers in use: number and rank, in order of number.
    pub fn registers(&self) -> &[(u16, u8)] {
        &self.0
    }

    /// Counts the customer whose id hashes to `hash`; once, however often.
    #[expect(clippy::cast_possible_truncation, reason = "9 bits, and a rank of at most 56")]
    pub fn add(&mut self, hash: u64) {
        let register = (hash >> (u64::BITS - BITS)) as u16;
        let rank = ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1;
        self.raise(register, rank);
    }

    /// Takes in all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (register, rank) in &other.0 {
            self.raise(*register, *rank);
        }
    }

    fn raise(&mut self, register: u16, rank: u8) {
        match self.0.binary_search_by_key(&register, |(held, _)| *held) {
            Ok(place) => self.0[place].1 = self.0[place].1.max(rank),
            Err(place) => self.0.insert(place, (register, rank)),
        }
    }

    /// Certainly as many different customers as this, or more: each register in use was set by one. 0 to 512.
    pub const fn at_least(&self) -> usize {
        self.0.len()
    }

    /// About how many different customers.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 ≤ estimate < 2^64"
    )]
    pub fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let unused = REGISTERS - self.0.len();
        let used: f64 = self.0.iter().map(|(_, rank)| 1.0 / (1_u64 << rank) as f64).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / (used + unused as f64);
        let estimate = if raw <= 2.5 * m && unused > 0 { m * ln(m / unused as f64) } else { raw };
        estimate.round_ties_even() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ring::ring_hash;

    fn of(customers: std::ops::Range<u32>) -> Sketch {
        let mut sketch = Sketch::default();
        for customer in customers {
            sketch.add(ring_hash(["customer", &customer.to_string()]));
        }
        sketch
    }

    #[test]
    fn a_customer_counts_once_and_a_union_is_counted_as_a_union() {
        let (mut left, right) = (of(0..300), of(200..500));
        left.merge(&right);
        left.merge(&right);
        assert_eq!(left, of(0..500));
    }

    #[test]
    fn the_estimate_is_close_and_the_lower_bound_holds() {
        for n in [0, 1, 19, 20, 100, 1000, 50_000] {
            let sketch = of(0..n);
            let (estimate, n) = (sketch.estimate() as f64, f64::from(n));
            assert!((estimate - n).abs() <= 0.1 * n + 0.5, "{estimate} for {n}");
            assert!(sketch.at_least() as f64 <= n);
        }
    }

    #[test]
    fn registers_are_checked() {
        let sketch = of(0..40);
        let registers = sketch.registers().to_vec();
        assert_eq!(Sketch::from_registers(registers), Some(sketch));
        for wrong in [vec![(512, 1)], vec![(0, 0)], vec![(0, 57)], vec![(1, 1), (1, 2)]] {
            assert_eq!(Sketch::from_registers(wrong), None);
        }
    }
}
