//! All that is added up of one unit: a sum, of which any two merge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{PromiseTally, Sketch, Standings, Unit};
use crate::model::decay::Accumulator;
use crate::model::{Class, Currency, Dimension, EventTime, Evidence, Policy, Sign};

/// Times from failure to remedy that are told apart: doubling from a minute.
const LATENCIES: usize = 32;

/// What evidence of one class adds up to, without λ: outcomes, not diagnosticity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// R = Σ w for, decayed.
    pub positive: Accumulator,
    /// S = Σ w against, decayed.
    pub negative: Accumulator,
    /// V = Σ w², decayed twice as fast: (2^{-Δ/h})² = 2^{-Δ/(h/2)}.
    pub squares: Accumulator,
}

impl Sums {
    /// Adds `evidence`, or takes it back exactly.
    fn count(&mut self, evidence: &Evidence, half_life_ms: i64, is_retracted: bool) {
        let Evidence { weight, time, sign, .. } = *evidence;
        let count = if is_retracted { Accumulator::retract } else { Accumulator::add };
        let mass = match sign {
            Sign::Positive => &mut self.positive,
            Sign::Negative => &mut self.negative,
        };
        count(mass, weight, time, half_life_ms);
        count(&mut self.squares, weight * weight, time, half_life_ms / 2);
    }

    /// Adds another sum of the same half-life.
    pub fn merge(&mut self, other: &Self) {
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
        self.squares.merge(&other.squares);
    }

    /// R, S and V at `at`.
    pub fn read(&self, at: EventTime, half_life_ms: i64) -> [f64; 3] {
        [
            self.positive.mass(at, half_life_ms),
            self.negative.mass(at, half_life_ms),
            self.squares.mass(at, half_life_ms / 2),
        ]
    }
}

/// Savings known and savings told, minor units a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Savings {
    /// `advice.savings_identified`.
    pub identified: i64,
    /// `savings.advised`.
    pub advised: i64,
}

/// All that is added up of one unit, or of one partition's part of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RollUp {
    /// By class; a dimension is the sum of its classes.
    pub sums: BTreeMap<Class, Sums>,
    /// Whom the evidence is about.
    pub customers: Sketch,
    /// Promises made here.
    pub promises: PromiseTally,
    /// Failures here that were made good, by the time it took: the n-th holds up to 2^(n+1) minutes.
    pub remedies: [i64; LATENCIES],
    /// By currency.
    pub savings: BTreeMap<Currency, Savings>,
    /// The unit this one belongs to, as last said; ties by unit.
    pub parent: Option<(EventTime, Unit)>,
    /// The active customers, unmarked and marked as vulnerable; of the whole only.
    pub standings: Option<Box<[Standings; 2]>>,
    /// Names that had no room and were counted as `other`; of the whole only.
    pub without_room: u64,
}

impl RollUp {
    pub(super) fn count(&mut self, evidence: &Evidence, policy: &Policy, is_retracted: bool) {
        let half_life_ms = policy.half_life_ms(evidence.class);
        self.sums.entry(evidence.class).or_default().count(evidence, half_life_ms, is_retracted);
    }

    pub(super) fn note_parent(&mut self, time: EventTime, parent: &Unit) {
        let said = (time, parent);
        if self.parent.as_ref().is_none_or(|(held_at, held)| (*held_at, held) < said) {
            self.parent = Some((time, parent.clone()));
        }
    }

    pub(super) fn note_remedy(&mut self, latency_ms: i64) {
        let minutes = u64::try_from(latency_ms / 60_000).unwrap_or_default().max(1);
        self.remedies[(minutes.ilog2() as usize).min(LATENCIES - 1)] += 1;
    }

    /// Adds the same unit's part of another partition. The half-lives behind both must be the same.
    pub fn merge(&mut self, other: &Self) {
        for (class, sums) in &other.sums {
            self.sums.entry(*class).or_default().merge(sums);
        }
        self.customers.merge(&other.customers);
        self.promises.merge(&other.promises);
        for (sum, more) in self.remedies.iter_mut().zip(&other.remedies) {
            *sum += more;
        }
        for (currency, more) in &other.savings {
            let sum = self.savings.entry(*currency).or_default();
            sum.identified = sum.identified.saturating_add(more.identified);
            sum.advised = sum.advised.saturating_add(more.advised);
        }
        if let Some((time, parent)) = &other.parent {
            self.note_parent(*time, parent);
        }
        if let Some(more) = &other.standings {
            let standings = self.standings.get_or_insert_default();
            for (sum, more) in standings.iter_mut().zip(&**more) {
                sum.merge(more);
            }
        }
        self.without_room += other.without_room;
    }

    /// The evidence of one dimension.
    pub fn dimension(&self, dimension: Dimension) -> Sums {
        self.of(|class| class.dimension() == dimension)
    }

    /// The evidence of the classes that `is_meant`, which must share a half-life.
    fn of(&self, is_meant: impl Fn(Class) -> bool) -> Sums {
        let mut sum = Sums::default();
        for (_, sums) in self.sums.iter().filter(|(class, _)| is_meant(**class)) {
            sum.merge(sums);
        }
        sum
    }
}
