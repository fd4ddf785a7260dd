//! What the sums say, read at a time: shrunk scores, how much they depend on whom one happens to get, the brand trust index with
//! its spread, and what is said of a company's own values. What too little is known of is withheld, and says so.

use std::collections::BTreeMap;

use super::{RollUp, Savings, Standings, Sums, Unit, UnitKind};
use crate::model::policy::Readings;
use crate::model::{Class, Currency, Dimension, EventTime, Policy};

/// The mean where nothing at all is known.
const NEUTRAL: f64 = 0.5;
/// W of a lived value's Beta.
const PRIOR_WEIGHT: f64 = 2.0;

/// E_u = (R + κμ) / (R + S + κ): a unit's mean, drawn to its parent's mean `parent` by as much as `kappa` observations.
pub fn shrunk(r: f64, s: f64, parent: f64, kappa: f64) -> f64 {
    (r + kappa * parent) / (r + s + kappa)
}

/// How many observations of weight 1 the evidence is worth: (R + S)² / V; 0 without any.
///
/// Source: L. Kish, *Survey Sampling* (1965), on the design effect of weights.
pub fn effective_size(r: f64, s: f64, v: f64) -> f64 {
    if v > 0.0 { (r + s) * (r + s) / v } else { 0.0 }
}

/// How differently the units of one kind treat people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Consistency {
    /// Units compared.
    pub units: usize,
    /// N: effective observations of all of them.
    pub size: f64,
    /// p̄, in 0 to 1.
    pub mean: f64,
    /// Q.
    pub q: f64,
    /// τ², the variance between units, at least 0.
    pub tau2: f64,
    /// ρ, the share of all variance that lies between units, 0 to 1: on care, the lottery coefficient.
    pub icc: f64,
}

impl Consistency {
    /// C = 1 − ρ.
    pub const fn consistency(&self) -> f64 {
        1.0 - self.icc
    }
}

/// The consistency of units of effective size n > 0 and share p for the firm; `None` of fewer than two.
///
/// Method of moments with sample-size weights. Source: R. DerSimonian, R. Kacker, *Random-effects model for meta-analysis of
/// clinical trials: an update*, Contemporary Clinical Trials 28 (2007).
pub fn consistency(groups: &[(f64, f64)]) -> Option<Consistency> {
    if groups.len() < 2 {
        return None;
    }
    let size: f64 = groups.iter().map(|(n, _)| n).sum();
    let mean = groups.iter().map(|(n, p)| n * p).sum::<f64>() / size;
    let q: f64 = groups.iter().map(|(n, p)| n * (p - mean) * (p - mean)).sum();
    let squares: f64 = groups.iter().map(|(n, _)| n * n).sum();
    let within = mean * (1.0 - mean);
    let freedom = groups.len() as f64 - 1.0;
    let tau2 = ((q - freedom * within) / (size - squares / size)).max(0.0);
    let icc = if within > 0.0 { (tau2 / within).min(1.0) } else { 0.0 };
    Some(Consistency { units: groups.len(), size, mean, q, tau2, icc })
}

/// What may be said of a unit in one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Nothing was judged.
    Unknown,
    /// Too little, or of too few customers, to be published.
    Withheld,
    /// Enough.
    Known {
        /// The mean, drawn to the parent's, in 0 to 1.
        shrunk: f64,
        /// Effective observations.
        effective_size: f64,
    },
}

/// One unit, read.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitReading {
    /// Which.
    pub unit: Unit,
    /// The unit it is compared with.
    pub parent: Option<Unit>,
    /// About how many customers it served; `None`: fewer than may be told.
    pub customers: Option<u64>,
    /// In [`Dimension`]'s order.
    pub verdicts: [Verdict; 6],
    /// Share of promises kept in time.
    pub kept_rate: Option<f64>,
    /// Share of promises to oneself kept.
    pub internal_kept_rate: Option<f64>,
    /// Median part of the time allowed that keeping took.
    pub median_used: Option<f64>,
    /// Due times are padded.
    pub is_padded: bool,
    /// Share broken times ambition.
    pub over_promising: Option<f64>,
}

/// The brand trust index of a group of customers, never without its spread.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexReading {
    /// Active customers with a published score.
    pub customers: i64,
    /// 100 · mean T, 0 to 100.
    pub index: f64,
    /// Customers in each hundredth of T.
    pub histogram: [i64; 100],
    /// Share in band depleted; this and the next ones in 0 to 1.
    pub depleted: f64,
    /// Share in band strong.
    pub strong: f64,
    /// Share with whom the firm communicates honestly: the policy's `organisation.honest_from`.
    pub told_honestly: f64,
    /// Share trusting more by .2 than was earned.
    pub overhung: f64,
    /// Share with a squeeze open at minor level or above.
    pub squeezed: f64,
    /// Share with a squeeze open at major level or above.
    pub squeezed_hard: f64,
}

/// A declared value as it is lived.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// As the firm calls it.
    pub name: String,
    /// Its Beta mean, in 0 to 1; `None`: no class backs it, or nothing was judged: unevidenced.
    pub expected: Option<f64>,
    /// Effective observations.
    pub effective_size: f64,
    /// ρ between agents.
    pub icc: Option<f64>,
}

/// Savings known and told in one currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// The currency.
    pub currency: Currency,
    /// Minor units a month.
    pub savings: Savings,
    /// Told / known; `None` if none was known.
    pub share: Option<f64>,
}

/// The organisation, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// When it was read.
    pub as_of: EventTime,
    /// All active customers.
    pub index: Option<IndexReading>,
    /// Those without and those with a vulnerability marker.
    pub groups: [Option<IndexReading>; 2],
    /// Σ last monthly bill of customers with a squeeze open, minor units by currency.
    pub exposed: BTreeMap<Currency, i64>,
    /// By currency.
    pub told: Vec<Told>,
    /// Minutes within which half, and nine in ten, of the remedied failures were remedied.
    pub remedy_minutes: Option<[u64; 2]>,
    /// Units, the whole first.
    pub units: Vec<UnitReading>,
    /// Between the units of a kind, in a dimension; only where enough is known.
    pub consistency: Vec<(UnitKind, Dimension, Consistency)>,
    /// In the order of their names.
    pub values: Vec<Value>,
    /// Names counted as `other`.
    pub without_room: u64,
}

impl Report {
    /// Reads `units`, all partitions added up, at `as_of`; `half_lives_ms` are those of the dimensions. The policy says what is too
    /// little to tell, and which values the firm declares.
    pub fn read(
        units: &BTreeMap<Unit, RollUp>,
        as_of: EventTime,
        half_lives_ms: [i64; 6],
        policy: &Policy,
    ) -> Self {
        let reader = Reader { units, as_of, half_lives_ms, limits: &policy.organisation };
        let nothing = RollUp::default();
        let whole = units.get(&Unit::whole()).unwrap_or(&nothing);
        let [unmarked, marked] = whole.standings.as_deref().cloned().unwrap_or_default();
        let mut all = unmarked.clone();
        all.merge(&marked);
        Self {
            as_of,
            index: index(&all, 1),
            groups: [&unmarked, &marked].map(|group| index(group, reader.customers_min())),
            exposed: all.exposed,
            told: whole
                .savings
                .iter()
                .map(|(currency, savings)| told(*currency, *savings))
                .collect(),
            remedy_minutes: remedy_minutes(&whole.remedies),
            units: units.iter().map(|(unit, roll_up)| reader.unit(unit, roll_up)).collect(),
            consistency: reader.all_consistency(),
            values: policy
                .values
                .iter()
                .map(|(name, classes)| reader.value(name, classes, whole))
                .collect(),
            without_room: whole.without_room,
        }
    }

    /// ρ on care between the units of `kind`: how much of being cared for depends on whom one happens to get.
    pub fn lottery(&self, kind: UnitKind) -> Option<&Consistency> {
        let found = self.consistency.iter();
        let mut found = found.filter(|(of, on, _)| (*of, *on) == (kind, Dimension::Care));
        found.next().map(|(_, _, consistency)| consistency)
    }
}

/// What a reading needs throughout.
struct Reader<'a> {
    units: &'a BTreeMap<Unit, RollUp>,
    as_of: EventTime,
    half_lives_ms: [i64; 6],
    limits: &'a Readings,
}

impl Reader<'_> {
    const fn customers_min(&self) -> usize {
        self.limits.customers_min as usize
    }

    const fn effective_size_min(&self) -> f64 {
        self.limits.effective_size_min.to_f64()
    }

    fn shrunk(&self, r: f64, s: f64, parent: f64) -> f64 {
        shrunk(r, s, parent, self.limits.shrinkage.to_f64())
    }

    fn read(&self, sums: &Sums, dimension: Dimension) -> [f64; 3] {
        sums.read(self.as_of, self.half_lives_ms[dimension as usize])
    }

    fn unit(&self, unit: &Unit, roll_up: &RollUp) -> UnitReading {
        let promises = &roll_up.promises;
        let is_whole = unit.kind == UnitKind::Whole;
        let is_told = is_whole || roll_up.customers.at_least() >= self.customers_min();
        let parent = (!is_whole).then(|| self.parent(roll_up));
        let verdict = |dimension: &Dimension| self.verdict(unit, roll_up, *dimension);
        let verdicts: Vec<Verdict> = Dimension::ALL.iter().map(verdict).collect();
        let ended_enough =
            is_told && promises.ended() as f64 >= self.effective_size_min() || is_whole;
        UnitReading {
            unit: unit.clone(),
            parent,
            customers: is_told.then(|| roll_up.customers.estimate()),
            verdicts: verdicts.try_into().expect("as many as there are dimensions"),
            kept_rate: promises.kept_rate().filter(|_| ended_enough),
            internal_kept_rate: promises.internal_kept_rate().filter(|_| ended_enough),
            median_used: promises.median_used().filter(|_| ended_enough),
            is_padded: ended_enough && promises.is_padded(self.limits.padded_below),
            over_promising: promises.over_promising().filter(|_| ended_enough),
        }
    }

    /// The unit that `roll_up` is compared with: the one it belongs to, if that is known, else the whole.
    fn parent(&self, roll_up: &RollUp) -> Unit {
        let said = roll_up.parent.as_ref().map(|(_, parent)| parent);
        said.filter(|parent| self.units.contains_key(parent)).cloned().unwrap_or_else(Unit::whole)
    }

    /// R / (R + S) of a unit; `None` without evidence.
    fn mean(&self, unit: &Unit, dimension: Dimension) -> Option<f64> {
        let [r, s, _] = self.read(&self.units.get(unit)?.dimension(dimension), dimension);
        (r + s > 0.0).then(|| r / (r + s))
    }

    fn verdict(&self, unit: &Unit, roll_up: &RollUp, dimension: Dimension) -> Verdict {
        let [r, s, v] = self.read(&roll_up.dimension(dimension), dimension);
        let effective_size = effective_size(r, s, v);
        if effective_size <= 0.0 {
            return Verdict::Unknown;
        }
        if effective_size < self.effective_size_min()
            || roll_up.customers.at_least() < self.customers_min()
        {
            return Verdict::Withheld;
        }
        if unit.kind == UnitKind::Whole {
            return Verdict::Known { shrunk: self.shrunk(r, s, NEUTRAL), effective_size };
        }
        let parent = self.mean(&self.parent(roll_up), dimension);
        let parent = parent.or_else(|| self.mean(&Unit::whole(), dimension)).unwrap_or(NEUTRAL);
        Verdict::Known { shrunk: self.shrunk(r, s, parent), effective_size }
    }

    fn all_consistency(&self) -> Vec<(UnitKind, Dimension, Consistency)> {
        let kinds = UnitKind::ALL.iter().filter(|kind| **kind != UnitKind::Whole);
        let pairs = kinds.flat_map(|kind| Dimension::ALL.iter().map(move |on| (*kind, *on)));
        let read = |(kind, on): (UnitKind, Dimension)| {
            let sums = |roll_up: &RollUp| self.read(&roll_up.dimension(on), on);
            Some((kind, on, self.between(kind, sums)?))
        };
        pairs.filter_map(read).collect()
    }

    /// How much the units of `kind` differ in what `sums` reads of them; `None` if too little is known of all together.
    fn between(&self, kind: UnitKind, sums: impl Fn(&RollUp) -> [f64; 3]) -> Option<Consistency> {
        let units = self.units.iter().filter(|(unit, _)| unit.kind == kind);
        let groups: Vec<(f64, f64)> = units
            .map(|(_, roll_up)| sums(roll_up))
            .map(|[r, s, v]| (effective_size(r, s, v), r / (r + s)))
            .filter(|(n, _)| *n > 0.0)
            .collect();
        let whole = self.units.get(&Unit::whole())?;
        let found = consistency(&groups)?;
        let is_enough = found.size >= self.effective_size_min()
            && whole.customers.at_least() >= self.customers_min();
        is_enough.then_some(found)
    }

    fn value(&self, name: &str, classes: &[Class], whole: &RollUp) -> Value {
        let sums = |roll_up: &RollUp| {
            let mut read = [0.0; 3];
            for (class, sums) in roll_up.sums.iter().filter(|(class, _)| classes.contains(class)) {
                let more = self.read(sums, class.dimension());
                for (sum, more) in read.iter_mut().zip(more) {
                    *sum += more;
                }
            }
            read
        };
        let [r, s, v] = sums(whole);
        let effective_size = effective_size(r, s, v);
        let expected = (r + PRIOR_WEIGHT * NEUTRAL) / (r + s + PRIOR_WEIGHT);
        Value {
            name: name.to_owned(),
            expected: (effective_size > 0.0).then_some(expected),
            effective_size,
            icc: self.between(UnitKind::Agent, sums).map(|found| found.icc),
        }
    }
}

/// `None` of fewer than `at_least`.
fn index(standings: &Standings, at_least: usize) -> Option<IndexReading> {
    let customers = usize::try_from(standings.customers).unwrap_or_default();
    if customers < at_least {
        return None;
    }
    let n = customers as f64;
    let share = |count: i64| count as f64 / n;
    Some(IndexReading {
        customers: standings.customers,
        index: standings.score_micros as f64 / 1e4 / n,
        histogram: standings.histogram,
        depleted: share(standings.depleted),
        strong: share(standings.strong),
        told_honestly: share(standings.told_honestly),
        overhung: share(standings.overhung),
        squeezed: share(standings.squeezed),
        squeezed_hard: share(standings.squeezed_hard),
    })
}

fn told(currency: Currency, savings: Savings) -> Told {
    let known = savings.identified;
    let share = (known > 0).then(|| (savings.advised as f64 / known as f64).min(1.0));
    Told { currency, savings, share }
}

/// The upper ends of the buckets that hold the median and the ninth decile, in minutes.
fn remedy_minutes(remedies: &[i64; 32]) -> Option<[u64; 2]> {
    let count: i64 = remedies.iter().sum();
    let within = |tenths: i64| {
        let mut below = 0;
        remedies.iter().position(|n| {
            below += n;
            10 * below >= tenths * count
        })
    };
    (count > 0).then(|| [5, 9].map(|tenths| 2 << within(tenths).unwrap_or(31)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::organisation::Organisation;
    use crate::model::{DAY_MS, Evidence, Sign};

    const HALF_LIVES_MS: [i64; 6] = [180 * DAY_MS; 6];

    fn now() -> EventTime {
        EventTime::from_millis(20_000 * DAY_MS)
    }

    /// A report on channels: name, how many for and how many against, of how many customers.
    fn report(channels: &[(&str, u64, u64, u64)]) -> Report {
        let mut organisation = Organisation::default();
        let policy = Policy::default();
        for (name, r, s, customers) in channels {
            let origin = organisation.origin(Some(name), None);
            for n in 0..r + s {
                let sign = if n < *r { Sign::Positive } else { Sign::Negative };
                let key = n.to_string().into();
                let evidence =
                    Evidence { class: Class::CarUpheld, key, sign, weight: 1.0, time: now() };
                let customer = (n % customers).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                organisation.record(origin, customer, &evidence, &policy);
            }
        }
        let units = super::super::merged(organisation.units());
        let declared =
            Policy::from_toml("values = { caring = ['CAR.*'], open = ['TRA.*'], fun = [] }")
                .unwrap();
        Report::read(&units, now(), HALF_LIVES_MS, &declared)
    }

    fn care(report: &Report, name: &str) -> Verdict {
        let unit = report.units.iter().find(|reading| &*reading.unit.name == name).unwrap();
        unit.verdicts[Dimension::Care as usize]
    }

    #[test]
    fn a_unit_of_few_observations_or_few_customers_is_withheld() {
        let report = report(&[("big", 45, 5, 50), ("small", 20, 9, 29), ("few", 45, 5, 19)]);
        let Verdict::Known { shrunk, effective_size } = care(&report, "big") else {
            panic!("withheld")
        };
        let parent = 110.0 / 129.0;
        assert!((shrunk - (45.0 + 20.0 * parent) / 70.0).abs() < 1e-9, "{shrunk}");
        assert!((effective_size - 50.0).abs() < 1e-6, "{effective_size}");
        assert_eq!(care(&report, "small"), Verdict::Withheld);
        assert_eq!(care(&report, "few"), Verdict::Withheld);
        let few = report.units.iter().find(|reading| &*reading.unit.name == "few").unwrap();
        assert_eq!(few.customers, None);
        assert_eq!(few.verdicts[0], Verdict::Unknown);
    }

    #[test]
    fn the_lottery_coefficient_is_the_consistency_of_care() {
        let report =
            report(&[("a", 45, 5, 50), ("b", 30, 20, 50), ("c", 48, 2, 50), ("d", 20, 30, 50)]);
        let lottery = report.lottery(UnitKind::Channel).unwrap();
        assert!((lottery.icc - 0.318_118).abs() < 1e-6, "{lottery:?}");
        assert_eq!(report.lottery(UnitKind::Agent), None);
    }

    #[test]
    fn a_value_without_classes_or_without_evidence_is_unevidenced() {
        let report = report(&[("a", 45, 5, 50)]);
        let [caring, fun, open] = &report.values[..] else { panic!("three values") };
        assert!((caring.expected.unwrap() - 46.0 / 52.0).abs() < 1e-9);
        assert_eq!((fun.expected, open.expected), (None, None));
    }

    #[test]
    fn latencies_are_told_by_the_ends_of_their_buckets() {
        let mut remedies = [0; 32];
        assert_eq!(remedy_minutes(&remedies), None);
        (remedies[3], remedies[7]) = (8, 2);
        assert_eq!(remedy_minutes(&remedies), Some([16, 256]));
    }
}
