//! Earned trust: what the evidence of one customer adds up to, and T read from it at a time.
//!
//! The state is integers only, so the order of the evidence never shows and any of it can be taken back exactly. It does not
//! remember single evidences; whoever takes one back must hold it.

use serde::{Deserialize, Serialize};

use super::decay::{self, ReadTimes};
use super::explain::{apportion, g_factor, logarithmic_mean};
use super::interval::{Z_90, polygammas};
use super::number::{exp, ln};
use super::{
    Accumulator, Class, Dimension, DimensionReading, EventTime, Evidence, Micros, Opinion, Policy,
    Sign, TrustReading,
};

/// The decayed masses of one customer: by dimension and sign, and again by class and sign.
///
/// λ and the half-lives are part of the masses: all calls on one state need a policy that agrees on them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrustState {
    sums: DimensionSums,
    /// In the order of class, then sign; at most one of each, and at most 45 in all.
    classes: Vec<ClassMass>,
}

/// What the evidence of each dimension adds up to, in [`Dimension`]'s order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DimensionSums {
    positive: [Accumulator; 6],
    /// λ included.
    negative: [Accumulator; 6],
}

/// What evidence of one class and sign adds up to, with its dimension's half-life and λ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct ClassMass {
    class: Class,
    sign: Sign,
    mass: Accumulator,
}

impl TrustState {
    /// Adds `evidence`.
    pub fn record(&mut self, evidence: &Evidence, policy: &Policy) {
        let (epoch, mantissa) = mantissa(evidence, policy);
        self.add(evidence, epoch, mantissa);
    }

    /// Takes back, to the bit, what [`Self::record`] of the same evidence added.
    pub fn retract(&mut self, evidence: &Evidence, policy: &Policy) {
        let (epoch, mantissa) = mantissa(evidence, policy);
        self.add(evidence, epoch, -mantissa);
    }

    fn add(&mut self, evidence: &Evidence, epoch: i64, mantissa: i128) {
        self.of_dimension(evidence.class.dimension(), evidence.sign).add_mantissa(epoch, mantissa);
        self.of_class(evidence.class, evidence.sign).add_mantissa(epoch, mantissa);
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        for dimension in 0..6 {
            self.sums.positive[dimension].merge(&other.sums.positive[dimension]);
            self.sums.negative[dimension].merge(&other.sums.negative[dimension]);
        }
        for ClassMass { class, sign, mass } in &other.classes {
            self.of_class(*class, *sign).merge(mass);
        }
    }

    /// Some evidence was recorded, even if all of it has been taken back since.
    pub const fn has_ever_recorded(&self) -> bool {
        !self.classes.is_empty()
    }

    /// The sum of a dimension's evidence of one sign; λ is in the negative one.
    pub const fn accumulator(&self, dimension: Dimension, sign: Sign) -> Accumulator {
        match sign {
            Sign::Positive => self.sums.positive[dimension as usize],
            Sign::Negative => self.sums.negative[dimension as usize],
        }
    }

    const fn of_dimension(&mut self, dimension: Dimension, sign: Sign) -> &mut Accumulator {
        match sign {
            Sign::Positive => &mut self.sums.positive[dimension as usize],
            Sign::Negative => &mut self.sums.negative[dimension as usize],
        }
    }

    fn of_class(&mut self, class: Class, sign: Sign) -> &mut Accumulator {
        let order = |entry: &ClassMass| (entry.class, entry.sign).cmp(&(class, sign));
        let index = self.classes.binary_search_by(order).unwrap_or_else(|index| {
            self.classes.reserve_exact(1);
            self.classes.insert(index, ClassMass { class, sign, mass: Accumulator::default() });
            index
        });
        &mut self.classes[index].mass
    }

    /// Trust at `time`, which is no earlier than any evidence.
    pub fn at(&self, time: EventTime, policy: &Policy) -> TrustPoint {
        self.sums.at(&mut ReadTimes::new(time), policy)
    }

    /// All of the state that T is read from.
    pub const fn sums(&self) -> &DimensionSums {
        &self.sums
    }

    /// The points of T by class, in class order, unrounded: they sum to T − T₀ of `point`, which must be read from this state.
    /// A class whose masses have faded to nothing is left out.
    pub fn parts(&self, point: &TrustPoint, policy: &Policy) -> Vec<(Class, f64)> {
        self.parts_at(&mut ReadTimes::new(point.time), point, policy)
    }

    /// As [`Self::parts`], at the point's own time, for which some half-lives may be prepared.
    pub fn parts_at(
        &self,
        times: &mut ReadTimes,
        point: &TrustPoint,
        policy: &Policy,
    ) -> Vec<(Class, f64)> {
        let points_per_logarithm = logarithmic_mean(point.score, policy.base_rate);
        let mut points_per_mass: [Option<[f64; 2]>; 6] = [None; 6];
        let mut parts: Vec<(Class, f64)> = Vec::with_capacity(self.classes.len());
        for ClassMass { class, sign, mass } in &self.classes {
            let dimension = class.dimension();
            let d = dimension as usize;
            let mass = times.mass(mass, policy.dimensions[d].half_life_ms);
            if mass == 0.0 {
                continue;
            }
            let points_per_mass = points_per_mass[d].get_or_insert_with(|| {
                point.points_per_mass(points_per_logarithm, dimension, policy)
            });
            let points = mass * points_per_mass[*sign as usize];
            match parts.last_mut() {
                Some((last, sum)) if last == class => *sum += points,
                _ => parts.push((*class, points)),
            }
        }
        parts
    }
}

impl DimensionSums {
    /// Trust at the time of `times`, which is no earlier than any evidence.
    pub fn at(&self, times: &mut ReadTimes, policy: &Policy) -> TrustPoint {
        let mut masses = |sums: &[Accumulator; 6]| {
            std::array::from_fn(|d| times.mass(&sums[d], policy.dimensions[d].half_life_ms))
        };
        let (positive, negative) = (masses(&self.positive), masses(&self.negative));
        TrustPoint::new(times.time(), positive, negative, policy)
    }

    /// Trust read from these sums at the time of `point`, that of `times` too, which was read from `read`: what is the same is not
    /// read again.
    pub fn at_beside(
        &self,
        times: &mut ReadTimes,
        (read, point): (&Self, &TrustPoint),
        policy: &Policy,
    ) -> TrustPoint {
        let mut beside = point.clone();
        let is_same =
            |d: usize| self.positive[d] == read.positive[d] && self.negative[d] == read.negative[d];
        for d in (0..6).filter(|d| !is_same(*d)) {
            let mut mass = |sum| times.mass(sum, policy.dimensions[d].half_life_ms);
            let (positive, negative) = (mass(&self.positive[d]), mass(&self.negative[d]));
            (beside.positive[d], beside.negative[d]) = (positive, negative);
            beside.expect(d, policy);
            beside.logarithms[d] = ln(beside.expected[d]);
        }
        beside.score = geometric_mean(Dimension::ALL, &beside.logarithms, policy);
        beside
    }
}

/// The epoch and mantissa of one evidence, λ included.
fn mantissa(evidence: &Evidence, policy: &Policy) -> (i64, i128) {
    let dimension = policy.dimension(evidence.class.dimension());
    let mass = match evidence.sign {
        Sign::Positive => evidence.weight,
        Sign::Negative => evidence.weight * dimension.lambda,
    };
    decay::mantissa(mass, evidence.time, dimension.half_life_ms)
}

/// Trust at one time: T, and the masses it comes from. Arrays are in [`Dimension`]'s order.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustPoint {
    /// When.
    pub time: EventTime,
    /// T, in (0, 1).
    pub score: f64,
    /// r.
    pub positive: [f64; 6],
    /// s, λ included.
    pub negative: [f64; 6],
    /// n⁰ = r + s/λ.
    pub unweighted: [f64; 6],
    /// E, in (0, 1).
    pub expected: [f64; 6],
    /// ln E.
    logarithms: [f64; 6],
}

impl TrustPoint {
    /// Trust at `time`, from the masses r and s (λ included) of each dimension: T = Π E^ω.
    pub fn new(time: EventTime, positive: [f64; 6], negative: [f64; 6], policy: &Policy) -> Self {
        let [unweighted, expected, logarithms] = [[0.0; 6]; 3];
        let mut point =
            Self { time, score: 0.0, positive, negative, unweighted, expected, logarithms };
        (0..6).for_each(|d| point.expect(d, policy));
        point.logarithms = self::logarithms(&point.expected);
        point.score = geometric_mean(Dimension::ALL, &point.logarithms, policy);
        point
    }

    /// Reads n⁰ and E of one dimension from its masses.
    fn expect(&mut self, d: usize, policy: &Policy) {
        self.unweighted[d] = self.positive[d] + self.negative[d] / policy.dimensions[d].lambda;
        self.expected[d] = self.opinion(Dimension::ALL[d], policy).expected();
    }

    /// Σ n⁰: how much was observed, λ left out.
    pub fn evidence_mass(&self) -> f64 {
        self.unweighted.iter().sum()
    }

    /// What the masses of one dimension let one expect.
    pub const fn opinion(&self, dimension: Dimension, policy: &Policy) -> Opinion {
        let d = dimension as usize;
        Opinion::new(self.positive[d], self.negative[d], policy.base_rate, policy.prior_weight)
    }

    /// P(E < `theta`) of one dimension, in [0, 1].
    pub fn probability_below(&self, dimension: Dimension, theta: f64, policy: &Policy) -> f64 {
        self.opinion(dimension, policy).probability_below(theta)
    }

    /// u of T, in (0, 1]: Σ ω·u.
    pub fn uncertainty(&self, policy: &Policy) -> f64 {
        let weighted = |dimension: &Dimension| {
            policy.dimension(*dimension).weight * self.opinion(*dimension, policy).uncertainty()
        };
        Dimension::ALL.iter().map(weighted).sum()
    }

    /// Expectation and variance of ln T, each E being Beta distributed and independent.
    pub fn log_moments(&self, policy: &Policy) -> (f64, f64) {
        let moments = self.of_each_dimension(|dimension| {
            let opinion = self.opinion(dimension, policy);
            let (alpha, sum) = (opinion.alpha(), opinion.alpha() + opinion.beta());
            let (of_alpha, of_sum) = (polygammas(alpha), polygammas(sum));
            (of_alpha.0 - of_sum.0, of_alpha.1 - of_sum.1)
        });
        let (mut mean, mut variance) = (0.0, 0.0);
        for (d, (of_mean, of_variance)) in moments.into_iter().enumerate() {
            let weight = policy.dimensions[d].weight;
            mean += weight * of_mean;
            variance += weight * weight * of_variance;
        }
        (mean, variance)
    }

    /// What `read` makes of the masses of each dimension, in order. Those of equal masses share it, as do all without evidence.
    fn of_each_dimension<T: Copy + Default>(&self, read: impl Fn(Dimension) -> T) -> [T; 6] {
        let mut all = [T::default(); 6];
        for d in 0..6 {
            let masses = |d: usize| (self.positive[d], self.negative[d]);
            let equal = (0..d).find(|other| masses(*other) == masses(d));
            all[d] = equal.map_or_else(|| read(Dimension::ALL[d]), |other| all[other]);
        }
        all
    }

    /// The 90 % interval of T, low and high, in [0, 1]: that of a log-normal with the moments of ln T.
    pub fn interval(&self, policy: &Policy) -> [f64; 2] {
        let (mean, variance) = self.log_moments(policy);
        let spread = Z_90 * variance.sqrt();
        [exp(mean - spread), exp(mean + spread)].map(|bound| bound.min(1.0))
    }

    /// Things done right, the right thing, and before one has to: each in (0, 1).
    pub fn triad(&self, policy: &Policy) -> [f64; 3] {
        use Dimension::{Care, Competence, Fairness, Integrity, Proactivity, Transparency};
        [
            geometric_mean(&[Integrity, Competence], &self.logarithms, policy),
            geometric_mean(&[Fairness, Care, Transparency], &self.logarithms, policy),
            self.expected[Proactivity as usize],
        ]
    }

    /// How many standard breaches, of weight 1, the dimension takes before its E is down to `theta`: 0 to 99.
    pub fn reserve(&self, dimension: Dimension, theta: f64, policy: &Policy) -> f64 {
        self.opinion(dimension, policy).reserve(theta, policy.dimension(dimension).lambda)
    }

    /// How many standard breaches in one dimension T takes before it is down to `theta`: 0 to 99.
    pub fn reserve_overall(&self, dimension: Dimension, theta: f64, policy: &Policy) -> f64 {
        // The other dimensions hold, so this one's E alone must bring T down by its share.
        let weight = policy.dimension(dimension).weight;
        let at_theta =
            self.expected[dimension as usize] * libm::pow(theta / self.score, 1.0 / weight);
        self.reserve(dimension, at_theta, policy)
    }

    /// The reading to publish, `parts` being what [`TrustState::parts`] says of this point.
    pub fn reading(&self, parts: &[(Class, f64)], policy: &Policy) -> TrustReading {
        let score = Micros::round(self.score);
        let at_rest = Micros::round(policy.base_rate);
        let moved = Micros::new(score.millionths() - at_rest.millionths());
        let mut published: Vec<(Class, Micros)> =
            parts.iter().map(|(class, _)| (*class, Micros::default())).collect();
        let terms = parts.iter().zip(&mut published);
        apportion(terms.map(|((_, term), (_, published))| (*term, published)), moved);
        TrustReading {
            score,
            interval: self.interval(policy).map(Micros::round),
            uncertainty: Micros::round(self.uncertainty(policy)),
            evidence_mass: Micros::round(self.evidence_mass()),
            triad: self.triad(policy).map(Micros::round),
            dimensions: self
                .of_each_dimension(|dimension| self.dimension_reading(dimension, policy)),
            parts: published,
        }
    }

    fn dimension_reading(&self, dimension: Dimension, policy: &Policy) -> DimensionReading {
        let opinion = self.opinion(dimension, policy);
        DimensionReading {
            expected: Micros::round(opinion.expected()),
            positive: Micros::round(self.positive[dimension as usize]),
            negative: Micros::round(self.negative[dimension as usize]),
            uncertainty: Micros::round(opinion.uncertainty()),
            interval: opinion.interval().map(Micros::round),
        }
    }

    /// What one unit of mass for, and one against (λ included), is worth in points of T.
    ///
    /// In its dimension a mass for moves E by (1 − a)/(r + s + W), one against by −a/(r + s + W), exactly; the logarithmic mean
    /// carries that over to T: `points_per_logarithm` is that of T and a.
    fn points_per_mass(
        &self,
        points_per_logarithm: f64,
        dimension: Dimension,
        policy: &Policy,
    ) -> [f64; 2] {
        let d = dimension as usize;
        let (a, total) =
            (policy.base_rate, self.positive[d] + self.negative[d] + policy.prior_weight);
        let points_per_expectation =
            points_per_logarithm * policy.dimensions[d].weight * g_factor(self.expected[d], a);
        [(1.0 - a) / total, -a / total].map(|moves| points_per_expectation * moves)
    }
}

/// ln of each. Equal ones share it: the dimensions without evidence, which are most, all expect the same.
fn logarithms(expected: &[f64; 6]) -> [f64; 6] {
    let mut logarithms = [0.0; 6];
    for d in 0..6 {
        let equal = (0..d).find(|other| expected[*other] == expected[d]);
        logarithms[d] = equal.map_or_else(|| ln(expected[d]), |other| logarithms[other]);
    }
    logarithms
}

/// exp(Σ ω ln E / Σ ω) over `dimensions`, equally weighted if a policy drops them all.
fn geometric_mean(dimensions: &[Dimension], logarithms: &[f64; 6], policy: &Policy) -> f64 {
    let (mut sum, mut weights, mut plain) = (0.0, 0.0, 0.0);
    for dimension in dimensions.iter().copied() {
        let (weight, logarithm) =
            (policy.dimension(dimension).weight, logarithms[dimension as usize]);
        sum += weight * logarithm;
        weights += weight;
        plain += logarithm;
    }
    if weights > 0.0 { exp(sum / weights) } else { exp(plain / dimensions.len() as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(class: Class, sign: Sign, weight: f64, day: i64) -> Evidence {
        let time = EventTime::from_millis(0).plus_days(20_000 + day);
        Evidence { class, key: "k".into(), sign, weight, time }
    }

    fn state(evidence: &[Evidence]) -> TrustState {
        let mut state = TrustState::default();
        for evidence in evidence {
            state.record(evidence, &Policy::default());
        }
        state
    }

    #[test]
    fn a_class_with_both_signs_is_one_part() {
        let state = state(&[
            evidence(Class::IntLate, Sign::Negative, 0.5, 1),
            evidence(Class::ComFail, Sign::Negative, 1.0, 0),
            evidence(Class::IntLate, Sign::Positive, 0.5, 1),
        ]);
        let policy = Policy::default();
        let point = state.at(EventTime::from_millis(0).plus_days(20_010), &policy);
        let parts = state.parts(&point, &policy);
        let classes: Vec<Class> = parts.iter().map(|(class, _)| *class).collect();
        assert_eq!(classes, [Class::ComFail, Class::IntLate]);
        let sum: f64 = parts.iter().map(|(_, points)| points).sum();
        assert!((sum - (point.score - 0.5)).abs() < 1e-12, "{sum}");
    }

    #[test]
    fn what_was_taken_back_leaves_no_part_but_is_remembered() {
        let kept = evidence(Class::IntKept, Sign::Positive, 1.0, 0);
        let mut state = state(std::slice::from_ref(&kept));
        let policy = Policy::default();
        state.retract(&kept, &policy);
        let point = state.at(kept.time, &policy);
        assert!(state.has_ever_recorded());
        assert!(state.parts(&point, &policy).is_empty());
        assert_eq!(point, TrustState::default().at(kept.time, &policy));
        assert_eq!(Micros::round(point.score), Micros::new(500_000));
        assert!(!TrustState::default().has_ever_recorded());
    }

    #[test]
    fn a_dropped_dimension_moves_nothing_and_its_triad_still_reads() {
        let policy = Policy::from_json(
            r#"{"dimensions": {"integrity": {"weight": 0}, "competence": {"weight": 0}}}"#,
        )
        .unwrap();
        let state = state(&[evidence(Class::IntKept, Sign::Positive, 4.0, 0)]);
        let point = state.at(EventTime::from_millis(0).plus_days(20_000), &policy);
        assert!((point.score - 0.5).abs() < 1e-15);
        assert!(point.triad(&policy)[0] > 0.6);
        assert_eq!(point.reserve_overall(Dimension::Integrity, 0.4, &policy), 99.0);
    }

    #[test]
    fn the_reserve_of_the_average_firm_is_that_of_the_worked_example() {
        let policy = Policy::default();
        let (positive, negative) =
            ([8.07, 3.96, 4.39, 1.0, 3.2, 0.72], [1.4, 1.88, 0.0, 1.0, 0.0, 0.72]);
        let point = TrustPoint::new(EventTime::default(), positive, negative, &policy);
        let reserve = |theta| point.reserve_overall(Dimension::Integrity, theta, &policy);
        assert_eq!(Micros::round(reserve(0.5)), Micros::new(14_419_335));
        assert_eq!(reserve(0.7), 0.0);
        assert_eq!(
            Micros::round(point.reserve(Dimension::Integrity, 0.5, &policy)),
            Micros::new(3_335_000)
        );
    }
}
