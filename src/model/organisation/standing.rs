//! Where the customers stand, all together: the brand trust index with its spread, and who is exposed. One customer's standing is
//! what was last published of it; it enters as a whole and leaves as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Band, Currency, Micros};

/// Parts of the scale of T that are told apart.
const BUCKETS: usize = 100;

/// What one active customer contributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// T as last published.
    pub score: Micros,
    /// Its band as last published.
    pub band: Band,
    /// Transparency is at least the policy's `organisation.honest_from`: the firm communicates honestly.
    pub is_told_honestly: bool,
    /// Trusts the firm by more than .2 above what it earned.
    pub is_overhung: bool,
    /// A squeeze of at least minor level is open.
    pub is_squeezed: bool,
    /// A squeeze of at least major level is open.
    pub is_squeezed_hard: bool,
    /// A vulnerability marker is active.
    pub is_marked: bool,
    /// The last monthly bills, minor units by currency, if squeezed.
    pub exposed: Vec<(Currency, i64)>,
}

/// The customers of one group, added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standings {
    /// How many.
    pub customers: i64,
    /// Σ T in millionths.
    pub score_micros: i64,
    /// How many in each hundredth of T, from 0.
    #[serde(with = "buckets")]
    pub histogram: [i64; BUCKETS],
    /// In band depleted.
    pub depleted: i64,
    /// In band strong.
    pub strong: i64,
    /// With whom the firm communicates honestly.
    pub told_honestly: i64,
    /// Overhang above .2.
    pub overhung: i64,
    /// With a squeeze open at minor level or above.
    pub squeezed: i64,
    /// With a squeeze open at major level or above.
    pub squeezed_hard: i64,
    /// Last monthly bills of the squeezed, minor units by currency; none is 0.
    pub exposed: BTreeMap<Currency, i64>,
}

impl Default for Standings {
    fn default() -> Self {
        Self {
            customers: 0,
            score_micros: 0,
            histogram: [0; BUCKETS],
            depleted: 0,
            strong: 0,
            told_honestly: 0,
            overhung: 0,
            squeezed: 0,
            squeezed_hard: 0,
            exposed: BTreeMap::new(),
        }
    }
}

impl Standings {
    /// Adds `standing` `times` times: 1, or −1 when it leaves.
    pub(super) fn count(&mut self, standing: &Standing, times: i64) {
        let flag = |is: bool| times * i64::from(is);
        self.customers += times;
        self.score_micros += times * standing.score.millionths();
        let bucket = usize::try_from(standing.score.millionths() / 10_000).unwrap_or_default();
        self.histogram[bucket.min(BUCKETS - 1)] += times;
        self.depleted += flag(standing.band == Band::Depleted);
        self.strong += flag(standing.band == Band::Strong);
        self.told_honestly += flag(standing.is_told_honestly);
        self.overhung += flag(standing.is_overhung);
        self.squeezed += flag(standing.is_squeezed);
        self.squeezed_hard += flag(standing.is_squeezed_hard);
        for (currency, minor) in &standing.exposed {
            self.expose(*currency, times * minor);
        }
    }

    /// Adds another group, or the same of another partition.
    pub fn merge(&mut self, other: &Self) {
        self.customers += other.customers;
        self.score_micros += other.score_micros;
        for (sum, more) in self.histogram.iter_mut().zip(&other.histogram) {
            *sum += more;
        }
        self.depleted += other.depleted;
        self.strong += other.strong;
        self.told_honestly += other.told_honestly;
        self.overhung += other.overhung;
        self.squeezed += other.squeezed;
        self.squeezed_hard += other.squeezed_hard;
        for (currency, minor) in &other.exposed {
            self.expose(*currency, *minor);
        }
    }

    fn expose(&mut self, currency: Currency, minor: i64) {
        let sum = self.exposed.entry(currency).or_default();
        *sum = sum.saturating_add(minor);
        if *sum == 0 {
            self.exposed.remove(&currency);
        }
    }
}

/// As a list: serde writes arrays of up to 32 by itself.
mod buckets {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::BUCKETS;

    pub(super) fn serialize<S: Serializer>(
        buckets: &[i64; BUCKETS],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        buckets.as_slice().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[i64; BUCKETS], D::Error> {
        let buckets = Vec::deserialize(deserializer)?;
        buckets.try_into().map_err(|_| D::Error::custom("a hundred buckets make the scale"))
    }
}
