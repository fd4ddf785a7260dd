//! The checked parameters behind a score. A policy file states only what differs from the defaults; holding a [`Policy`] means
//! every number in it has been checked.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;
use thiserror::Error;

use super::event::{Attested, Basis, Cause};
use super::squeeze::SqueezeType;
use super::time::DAY_MS;
use super::{Class, Currency, Dimension, Text};

/// Why a policy is refused. `key` is the path of the setting, dots between its parts.
#[derive(Debug, Error, PartialEq)]
pub enum PolicyError {
    /// The text is no TOML or JSON, or a key or type in it is wrong; the message names line and column.
    #[error("{0}")]
    Syntax(String),
    /// A number lies outside its range.
    #[error("{key} = {value} is out of range: {expected}")]
    OutOfRange {
        /// The setting.
        key: String,
        /// What it says.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// The version is empty or longer than 128 characters.
    #[error("version must be a text of 1 to 128 characters")]
    Version,
    /// A currency in `money.currency_scale` is not three capitals.
    #[error("money.currency_scale.{0} is not a currency: three capital letters")]
    Currency(String),
}

/// How one dimension weighs and forgets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DimensionPolicy {
    /// ω, of all dimensions together 1.
    pub weight: f64,
    /// Time in which evidence halves, in milliseconds, at least 10 days.
    pub half_life_ms: i64,
    /// λ ≥ 1: how much more a negative tells than a positive.
    pub lambda: f64,
}

/// A threshold on money: the larger of an amount and a share of what is compared.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// Minor units, before the currency's scale.
    pub minor: f64,
    /// Share, 0 to 1.
    pub share: f64,
}

/// Every parameter a deployment may set, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Carried by every output.
    pub version: Text,
    /// In [`Dimension`]'s order.
    pub dimensions: [DimensionPolicy; 6],
    /// a: the expected probability without evidence, in (0, 1).
    pub base_rate: f64,
    /// W: how much evidence outweighs the base rate, > 0.
    pub prior_weight: f64,
    /// By [`Attested`], 0 to 1.
    attestation: [f64; 3],
    /// η of what a timer presumes, 0 to 1.
    pub presumed: f64,
    /// By [`Cause`], 0 to 1.
    cause: [f64; 4],
    /// By [`Basis`], 0 to 1.
    basis: [f64; 4],
    importance: BTreeMap<String, f64>,
    /// Amount at which σ is 2, minor units before scale.
    pub a0: f64,
    /// Monthly excess of half severity, minor units before scale.
    pub e_half: f64,
    /// Accrued excess of half severity, minor units before scale.
    pub a_half: f64,
    currency_scale: BTreeMap<Currency, f64>,
    /// κ by type: culpability.
    pub culpability: BTreeMap<SqueezeType, f64>,
    /// How far a renewal may stand above the new-business price (S02).
    pub renewal_tolerance: Tolerance,
    /// How far a bill may stand above the best equal plan (S01, and the advice on it).
    pub overpricing_tolerance: Tolerance,
    /// How far the watermark stays behind the largest event time, in milliseconds.
    pub grace_ms: i64,
    /// Time without a step after which the score is read again, in milliseconds.
    pub review_interval_ms: i64,
    /// The late horizon, in milliseconds.
    pub late_ms: i64,
    /// Due time of a refund that names none, in milliseconds.
    pub refund_ms: i64,
    /// Due time of a complaint, in milliseconds.
    pub complaint_ms: i64,
    /// Days that are no business days.
    pub holidays: Vec<Date>,
}

impl Default for Policy {
    fn default() -> Self {
        Self::try_from(RawPolicy::default()).expect("the default policy is valid")
    }
}

impl Policy {
    /// The policy that differs from the default in what the TOML `text` says.
    ///
    /// # Errors
    /// If the text is no TOML, a key is unknown or of the wrong type, or a number is out of range.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        toml::from_str::<RawPolicy>(text)
            .map_err(|error| PolicyError::Syntax(error.to_string()))?
            .try_into()
    }

    /// The policy that differs from the default in what the JSON `text` says.
    ///
    /// # Errors
    /// As [`Policy::from_toml`].
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        serde_json::from_str::<RawPolicy>(text)
            .map_err(|error| PolicyError::Syntax(error.to_string()))?
            .try_into()
    }

    /// The parameters of `dimension`.
    pub const fn dimension(&self, dimension: Dimension) -> DimensionPolicy {
        self.dimensions[dimension as usize]
    }

    /// The half-life that decays evidence of `class`, in milliseconds.
    pub const fn half_life_ms(&self, class: Class) -> i64 {
        self.dimension(class.dimension()).half_life_ms
    }

    /// η of a source.
    pub const fn eta(&self, attested_by: Attested) -> f64 {
        self.attestation[attested_by as usize]
    }

    /// α of a cause.
    pub const fn alpha(&self, cause: Cause) -> f64 {
        self.cause[cause as usize]
    }

    /// Strength of a promise's basis.
    pub const fn strength(&self, basis: Basis) -> f64 {
        self.basis[basis as usize]
    }

    /// Importance of a promise's kind; an unknown kind is `general`.
    pub fn importance(&self, kind: &str) -> f64 {
        self.importance.get(kind).or_else(|| self.importance.get("general")).copied().unwrap_or(1.0)
    }

    /// What a currency's minor unit is worth in the policy's: thresholds and scales in minor units are multiplied by it.
    pub fn scale(&self, currency: Currency) -> f64 {
        self.currency_scale.get(&currency).copied().unwrap_or(1.0)
    }

    /// κ of a squeeze type.
    pub fn kappa(&self, squeeze: SqueezeType) -> f64 {
        self.culpability[&squeeze]
    }
}

/// A policy file as written: what it leaves out is the default.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawPolicy {
    version: Option<String>,
    dimensions: RawDimensions,
    base_rate: Option<f64>,
    prior_weight: Option<f64>,
    attestation: RawAttestation,
    cause: RawCause,
    basis: RawBasis,
    importance: BTreeMap<String, f64>,
    money: RawMoney,
    squeeze: BTreeMap<SqueezeType, f64>,
    renewal_tolerance: RawTolerance,
    overpricing_tolerance: RawTolerance,
    grace_minutes: Option<f64>,
    review_interval_days: Option<f64>,
    late_days: Option<f64>,
    refund_days: Option<f64>,
    complaint_days: Option<f64>,
    holidays: Vec<Holiday>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawDimensions {
    integrity: RawDimension,
    competence: RawDimension,
    fairness: RawDimension,
    care: RawDimension,
    transparency: RawDimension,
    proactivity: RawDimension,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawDimension {
    weight: Option<f64>,
    half_life_days: Option<f64>,
    lambda: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawAttestation {
    system: Option<f64>,
    customer: Option<f64>,
    agent: Option<f64>,
    presumed: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawCause {
    firm: Option<f64>,
    supplier: Option<f64>,
    force_majeure: Option<f64>,
    customer: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawBasis {
    guarantee: Option<f64>,
    explicit: Option<f64>,
    published: Option<f64>,
    implied: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawMoney {
    a0: Option<f64>,
    e_half: Option<f64>,
    a_half: Option<f64>,
    currency_scale: BTreeMap<String, f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawTolerance {
    minor: Option<f64>,
    share: Option<f64>,
}

/// A day written `YYYY-MM-DD`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Holiday(Date);

impl TryFrom<String> for Holiday {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_error| format!("`{text}` is not a date: YYYY-MM-DD"))
    }
}

/// A range a number may lie in.
struct Range {
    contains: fn(f64) -> bool,
    says: &'static str,
}

const SHARE: Range = Range { contains: |x| (0.0..=1.0).contains(&x), says: "from 0 to 1" };
const OPEN_SHARE: Range = Range { contains: |x| 0.0 < x && x < 1.0, says: "above 0 and below 1" };
const FACTOR: Range = Range { contains: |x| (0.0..=8.0).contains(&x), says: "from 0 to 8" };
const POSITIVE: Range = Range { contains: |x| 0.0 < x && x <= 1e12, says: "above 0, at most 1e12" };
const LAMBDA: Range = Range { contains: |x| (1.0..=8.0).contains(&x), says: "from 1 to 8" };
const AMOUNT: Range = Range { contains: |x| (0.0..=1e12).contains(&x), says: "from 0 to 1e12" };
const HALF_LIFE: Range =
    Range { contains: |x| (10.0..=36_600.0).contains(&x), says: "from 10 to 36600 days" };
const DAYS: Range =
    Range { contains: |x| 0.0 < x && x <= 3660.0, says: "above 0, at most 3660 days" };
const LATE: Range =
    Range { contains: |x| 0.0 < x && x <= 400.0, says: "above 0, at most 400 days" };
const MINUTES: Range =
    Range { contains: |x| (0.0..=1440.0).contains(&x), says: "from 0 to 1440 minutes" };

/// The value stated, or the default, if it lies in `range`.
fn number(key: &str, stated: Option<f64>, default: f64, range: &Range) -> Result<f64, PolicyError> {
    let value = stated.unwrap_or(default);
    if (range.contains)(value) {
        Ok(value)
    } else {
        Err(PolicyError::OutOfRange { key: key.to_owned(), value, expected: range.says })
    }
}

/// Days or minutes as whole milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "at most 36600 days, so far within i64")]
fn millis(units: f64, unit_ms: i64) -> i64 {
    (units * unit_ms as f64).round_ties_even() as i64
}

fn tolerance(key: &str, raw: &RawTolerance, default: Tolerance) -> Result<Tolerance, PolicyError> {
    Ok(Tolerance {
        minor: number(&format!("{key}.minor"), raw.minor, default.minor, &AMOUNT)?,
        share: number(&format!("{key}.share"), raw.share, default.share, &SHARE)?,
    })
}

/// The default importance of a promise by its kind.
const IMPORTANCE: [(&str, f64); 10] = [
    ("receipt", 0.05),
    ("callback", 0.5),
    ("delivery", 1.0),
    ("appointment", 1.0),
    ("repair", 1.0),
    ("refund", 1.0),
    ("complaint", 1.0),
    ("cancellation", 1.0),
    ("safety", 2.0),
    ("general", 1.0),
];

impl TryFrom<RawPolicy> for Policy {
    type Error = PolicyError;

    fn try_from(raw: RawPolicy) -> Result<Self, PolicyError> {
        let version: Text = raw.version.unwrap_or_else(|| "generic-1".to_owned()).into();
        if !(1..=128).contains(&version.chars().count()) {
            return Err(PolicyError::Version);
        }
        let (attestation, cause, basis, money) =
            (&raw.attestation, &raw.cause, &raw.basis, &raw.money);
        let share = |key: &str, stated, default| number(key, stated, default, &SHARE);
        Ok(Self {
            version,
            dimensions: dimensions(&raw.dimensions)?,
            base_rate: number("base_rate", raw.base_rate, 0.5, &OPEN_SHARE)?,
            prior_weight: number("prior_weight", raw.prior_weight, 2.0, &POSITIVE)?,
            attestation: [
                share("attestation.system", attestation.system, 1.0)?,
                share("attestation.customer", attestation.customer, 1.0)?,
                share("attestation.agent", attestation.agent, 0.7)?,
            ],
            presumed: share("attestation.presumed", attestation.presumed, 0.8)?,
            cause: [
                share("cause.firm", cause.firm, 1.0)?,
                share("cause.supplier", cause.supplier, 1.0)?,
                share("cause.force_majeure", cause.force_majeure, 0.25)?,
                share("cause.customer", cause.customer, 0.0)?,
            ],
            basis: [
                share("basis.guarantee", basis.guarantee, 1.0)?,
                share("basis.explicit", basis.explicit, 1.0)?,
                share("basis.published", basis.published, 0.75)?,
                share("basis.implied", basis.implied, 0.5)?,
            ],
            importance: importance(raw.importance)?,
            a0: number("money.a0", money.a0, 3000.0, &POSITIVE)?,
            e_half: number("money.e_half", money.e_half, 500.0, &POSITIVE)?,
            a_half: number("money.a_half", money.a_half, 6000.0, &POSITIVE)?,
            currency_scale: currency_scale(&money.currency_scale)?,
            culpability: culpability(&raw.squeeze)?,
            renewal_tolerance: tolerance(
                "renewal_tolerance",
                &raw.renewal_tolerance,
                Tolerance { minor: 100.0, share: 0.01 },
            )?,
            overpricing_tolerance: tolerance(
                "overpricing_tolerance",
                &raw.overpricing_tolerance,
                Tolerance { minor: 100.0, share: 0.03 },
            )?,
            grace_ms: millis(number("grace_minutes", raw.grace_minutes, 5.0, &MINUTES)?, 60_000),
            review_interval_ms: millis(
                number("review_interval_days", raw.review_interval_days, 30.0, &DAYS)?,
                DAY_MS,
            ),
            late_ms: millis(number("late_days", raw.late_days, 400.0, &LATE)?, DAY_MS),
            refund_ms: millis(number("refund_days", raw.refund_days, 14.0, &DAYS)?, DAY_MS),
            complaint_ms: millis(
                number("complaint_days", raw.complaint_days, 56.0, &DAYS)?,
                DAY_MS,
            ),
            holidays: raw.holidays.into_iter().map(|Holiday(day)| day).collect(),
        })
    }
}

fn dimensions(raw: &RawDimensions) -> Result<[DimensionPolicy; 6], PolicyError> {
    let stated = [
        (Dimension::Integrity, &raw.integrity, 0.25, 365.0, 2.0),
        (Dimension::Competence, &raw.competence, 0.20, 180.0, 1.5),
        (Dimension::Fairness, &raw.fairness, 0.20, 365.0, 2.5),
        (Dimension::Care, &raw.care, 0.15, 180.0, 2.0),
        (Dimension::Transparency, &raw.transparency, 0.10, 365.0, 2.5),
        (Dimension::Proactivity, &raw.proactivity, 0.10, 365.0, 1.0),
    ];
    let mut dimensions = [DimensionPolicy { weight: 0.0, half_life_ms: 0, lambda: 1.0 }; 6];
    let mut sum = 0.0;
    for (dimension, raw, weight, half_life_days, lambda) in stated {
        let key = |name: &str| format!("dimensions.{dimension}.{name}");
        let half_life_days =
            number(&key("half_life_days"), raw.half_life_days, half_life_days, &HALF_LIFE)?;
        let checked = DimensionPolicy {
            weight: number(&key("weight"), raw.weight, weight, &FACTOR)?,
            half_life_ms: millis(half_life_days, DAY_MS),
            lambda: number(&key("lambda"), raw.lambda, lambda, &LAMBDA)?,
        };
        sum += checked.weight;
        dimensions[dimension as usize] = checked;
    }
    if sum <= 0.0 {
        return Err(PolicyError::OutOfRange {
            key: "dimensions.*.weight".to_owned(),
            value: sum,
            expected: "at least one above 0",
        });
    }
    for dimension in &mut dimensions {
        dimension.weight /= sum;
    }
    Ok(dimensions)
}

fn importance(stated: BTreeMap<String, f64>) -> Result<BTreeMap<String, f64>, PolicyError> {
    let mut importance: BTreeMap<String, f64> =
        IMPORTANCE.iter().map(|(kind, x)| ((*kind).to_owned(), *x)).collect();
    for (kind, value) in stated {
        let value = number(&format!("importance.{kind}"), Some(value), 1.0, &FACTOR)?;
        importance.insert(kind, value);
    }
    Ok(importance)
}

fn currency_scale(stated: &BTreeMap<String, f64>) -> Result<BTreeMap<Currency, f64>, PolicyError> {
    let mut scales = BTreeMap::new();
    for (code, scale) in stated {
        let currency = Currency::new(code).ok_or_else(|| PolicyError::Currency(code.clone()))?;
        scales.insert(
            currency,
            number(&format!("money.currency_scale.{code}"), Some(*scale), 1.0, &POSITIVE)?,
        );
    }
    Ok(scales)
}

fn culpability(
    stated: &BTreeMap<SqueezeType, f64>,
) -> Result<BTreeMap<SqueezeType, f64>, PolicyError> {
    let kappa = |squeeze: &SqueezeType| {
        let key = format!("squeeze.{}", squeeze.code());
        number(&key, stated.get(squeeze).copied(), squeeze.culpability(), &FACTOR)
            .map(|kappa| (*squeeze, kappa))
    };
    SqueezeType::ALL.iter().map(kappa).collect()
}
