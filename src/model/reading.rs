//! Trust and loyalty as published: rounded, apportioned, ready to be written. How they are computed is not visible here.

use super::{Class, Micros};

/// A customer's trust at one time, as published.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustReading {
    /// T, in (0, 1).
    pub score: Micros,
    /// 90 % interval of T: low, high.
    pub interval: [Micros; 2],
    /// u of T, in (0, 1].
    pub uncertainty: Micros,
    /// Σ n⁰.
    pub evidence_mass: Micros,
    /// Things done right, the right thing, proactive; each in (0, 1).
    pub triad: [Micros; 3],
    /// In [`Dimension`](super::Dimension)'s order.
    pub dimensions: [DimensionReading; 6],
    /// Points by class, in the order of their names; they sum to score − 0.5 (score − T₀). Classes without mass are left out.
    pub parts: Vec<(Class, Micros)>,
}

/// One dimension of a [`TrustReading`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DimensionReading {
    /// E, in (0, 1).
    pub expected: Micros,
    /// r.
    pub positive: Micros,
    /// s, λ included.
    pub negative: Micros,
    /// u, in (0, 1].
    pub uncertainty: Micros,
    /// 90 % interval of E: low, high.
    pub interval: [Micros; 2],
}

/// L and its components, each in (0, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoyaltyReading {
    /// (C·R·F)^⅓.
    pub loyalty: Micros,
    /// C.
    pub consider: Micros,
    /// R.
    pub rely: Micros,
    /// F.
    pub forgive: Micros,
}
