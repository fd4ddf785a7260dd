//! The checked parameters behind a score. A policy file states only what differs from the defaults; holding a [`Policy`] means
//! every number in it has been checked.
//!
//! The parameters themselves stand in `table`, one line each. What a rule makes of them is the rule's business.

mod document;
mod entry;
mod parameter;
mod profile;
mod read;
mod schema;
mod switch;
mod table;
mod values;

use std::collections::BTreeMap;

use jiff::civil::Date;

use self::parameter::{
    Amount, Days, Kind, LateDays, Minutes, OpenShare, Parameter, Positive, Section, Share, held,
    key, section,
};
use super::event::{Attested, Basis, Cause};
use super::squeeze::SqueezeType;
use super::{Class, Currency, Dimension, Text};

pub use document::{Document, Node, NodeValue, Place};
pub use entry::{Difference, Entry};
pub use parameter::Range;
pub use profile::{Profile, ProfileSetting, profiles};
pub use read::{PolicyError, PolicyProblem};
pub use schema::policy_schema;
pub use switch::Switch;
pub use table::*;

/// How one dimension weighs and forgets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DimensionPolicy {
    /// ω, of all dimensions together 1.
    pub weight: f64,
    /// Time in which evidence halves, in milliseconds, at least a day.
    pub half_life_ms: i64,
    /// λ ≥ 1: how much more a negative tells than a positive.
    pub lambda: f64,
}

/// A threshold on money: the larger of an amount and a share of what is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Minor units, before the currency's scale.
    pub minor: f64,
    /// Share, 0 to 1.
    pub share: f64,
}

/// What a policy asks of one squeeze type, apart from the thresholds that are its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detector<'a> {
    /// κ: how culpable the type is.
    pub culpability: f64,
    /// Evaluations that must hold before it is said.
    pub evaluations: u32,
    /// For which plans it is looked for.
    pub switch: &'a Switch,
}

/// Declares the policy: its own parameters, its sections with what their keys begin with, and what is no number.
macro_rules! policy {
    (
        $(#[doc = $about:literal])+ $name:ident
        parameters { $($(#[doc = $words:literal])+ $field:ident $(as $key:literal)? : $kind:ident = $default:literal,)+ }
        sections { $($prefix:literal $part:ident: $section:ident,)+ }
        detectors { $($code:ident $detector:ident,)+ }
        others { $($(#[doc = $other_words:literal])+ $vis:vis $other:ident: $type:ty = $value:expr,)+ }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $words])+ pub $field: held!($kind),)+
            $(#[doc = concat!("`", $prefix, "`")] pub $part: $section,)+
            $(#[doc = concat!("`squeeze.", stringify!($code), "`")] pub $detector: $code,)+
            $($(#[doc = $other_words])+ $vis $other: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: <$kind as Kind>::hold($default),)+
                    $($part: $section::default(),)+
                    $($detector: $code::default(),)+
                    $($other: $value,)+
                }
                .derived()
            }
        }

        section! { $name { $($(#[doc = $words])+ $field $(as $key)? : $kind = $default,)+ } }

        impl $name {
            /// All sections but its own parameters, with what their keys begin with, in the order of the table.
            fn sections(&self) -> Vec<(&'static str, &dyn Section)> {
                vec![
                    $(($prefix, &self.$part as &dyn Section),)+
                    $((concat!("squeeze.", stringify!($code)), &self.$detector as &dyn Section),)+
                ]
            }

            fn section_mut(&mut self, prefix: &str) -> &mut dyn Section {
                match self.sections().iter().position(|(other, _)| *other == prefix) {
                    None => self,
                    Some(place) => {
                        let sections: Vec<&mut dyn Section> = vec![
                            $(&mut self.$part as &mut dyn Section,)+
                            $(&mut self.$detector as &mut dyn Section,)+
                        ];
                        sections.into_iter().nth(place).expect("as many as before")
                    }
                }
            }

            /// What the policy asks of a squeeze type.
            pub const fn detector(&self, squeeze: SqueezeType) -> Detector<'_> {
                let (culpability, evaluations) = match squeeze {
                    $(SqueezeType::$code => (self.$detector.culpability, self.$detector.evaluations),)+
                };
                Detector { culpability, evaluations, switch: &self.switches[squeeze as usize] }
            }
        }
    };
}

policy! {
    /// Every parameter a deployment may set, checked. The bounds of a customer's state are no parameters.
    Policy
    parameters {
        /// a: the expected probability without evidence.
        base_rate: OpenShare = 0.5,
        /// W: how much evidence outweighs the base rate.
        prior_weight: Positive = 2.0,
        /// How far a renewal may stand above the new-business price (S02), if it is more than the share.
        renewal_tolerance_minor as "renewal_tolerance.minor": Amount = 100.0,
        /// How far a renewal may stand above the new-business price (S02), as a share of it.
        renewal_tolerance_share as "renewal_tolerance.share": Share = 0.01,
        /// How far a bill may stand above the best equal plan (S01, and the advice on it), if it is more than the share.
        overpricing_tolerance_minor as "overpricing_tolerance.minor": Amount = 100.0,
        /// How far a bill may stand above the best equal plan (S01, and the advice on it), as a share of the bill.
        overpricing_tolerance_share as "overpricing_tolerance.share": Share = 0.03,
        /// How far the watermark stays behind the largest event time.
        grace_ms as "grace_minutes": Minutes = 5.0,
        /// Time without a step after which the score is read again.
        review_interval_ms as "review_interval_days": Days = 30.0,
        /// How late an event may come, after the customer's clock; no half-life may be shorter than a fortieth of it.
        late_ms as "late_days": LateDays = 400.0,
        /// Due time of a refund that names none.
        refund_ms as "refund_days": Days = 14.0,
        /// Due time of a complaint.
        complaint_ms as "complaint_days": Days = 56.0,
    }
    sections {
        "dimensions" stated_dimensions: Dimensions,
        "attestation" attestation: Attestation,
        "cause" cause: Causes,
        "basis" basis: Bases,
        "money" money: MoneyScale,
        "bands" bands: Bands,
        "emission" emission: Emission,
        "depletion" depletion: Depletion,
        "perception" perception: Perception,
        "proactive" proactive: Proactive,
        "weights" weights: Weights,
        "promise" promise: Promises,
        "failure" failure: Failures,
        "contact" contact: Contacts,
        "notice" notice: Notices,
        "loyalty" loyalty: LoyaltyWeights,
        "reciprocity" reciprocity: ReciprocityTrials,
        "advice" advice: Advice,
        "vulnerability" vulnerability: Vulnerability,
        "catalogue" catalogue: Comparison,
        "severity" severity: Severities,
        "organisation" organisation: Readings,
    }
    detectors {
        S01 s01, S02 s02, S03 s03, S04 s04, S05 s05, S06 s06, S07 s07, S08 s08, S09 s09, S10 s10,
        S11 s11, S12 s12, S13 s13, S14 s14, S15 s15, S16 s16, S17 s17, S18 s18, S19 s19, S20 s20,
    }
    others {
        /// Carried by every output; 1 to 128 characters.
        pub version: Text = "generic-1".into(),
        /// In [`Dimension`]'s order.
        pub dimensions: [DimensionPolicy; 6] = [DimensionPolicy { weight: 0.0, half_life_ms: 1, lambda: 1.0 }; 6],
        /// By kind of promise.
        importance: BTreeMap<Text, f64> = IMPORTANCE.iter().map(|(kind, x)| ((*kind).into(), *x)).collect(),
        /// Of currencies whose minor unit is not worth the policy's.
        currency_scale: BTreeMap<Currency, f64> = BTreeMap::new(),
        /// By [`SqueezeType`].
        switches: [Switch; 20] = Default::default(),
        /// Days that are no business days.
        pub holidays: Vec<Date> = Vec::new(),
        /// The classes of evidence that back each declared value, in order; none where a value has no evidence.
        pub values: BTreeMap<Text, Vec<Class>> = BTreeMap::new(),
        /// Ids of the regulatory profiles it rests on.
        pub profiles: Vec<Text> = Vec::new(),
        /// The day its profiles are taken as they are in force on.
        pub effective: Option<Date> = None,
    }
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

impl Policy {
    /// The policy that differs from the default in what the TOML `text` says.
    ///
    /// # Errors
    /// If the text is no TOML, a key is unknown or of the wrong type, a number is out of range, or two contradict each other.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        Self::from_document(&Document::from_toml(text)?)
    }

    /// The policy that differs from the default in what the JSON `text` says.
    ///
    /// # Errors
    /// As [`Policy::from_toml`].
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        Self::from_document(&Document::from_json(text)?)
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
        match attested_by {
            Attested::System => self.attestation.system,
            Attested::Customer => self.attestation.customer,
            Attested::Agent => self.attestation.agent,
        }
    }

    /// α of a cause.
    pub const fn alpha(&self, cause: Cause) -> f64 {
        match cause {
            Cause::Firm => self.cause.firm,
            Cause::Supplier => self.cause.supplier,
            Cause::ForceMajeure => self.cause.force_majeure,
            Cause::Customer => self.cause.customer,
        }
    }

    /// Strength of a promise's basis.
    pub const fn strength(&self, basis: Basis) -> f64 {
        match basis {
            Basis::Guarantee => self.basis.guarantee,
            Basis::Explicit => self.basis.explicit,
            Basis::Published => self.basis.published,
            Basis::Implied => self.basis.implied,
        }
    }

    /// Importance of a promise's kind; an unknown kind is `general`.
    pub fn importance(&self, kind: &str) -> f64 {
        self.importance.get(kind).or_else(|| self.importance.get("general")).copied().unwrap_or(1.0)
    }

    /// What a currency's minor unit is worth in the policy's: thresholds and scales in minor units are multiplied by it.
    pub fn scale(&self, currency: Currency) -> f64 {
        self.currency_scale.get(&currency).copied().unwrap_or(1.0)
    }

    /// How far a renewal may stand above the new-business price (S02).
    pub const fn renewal_tolerance(&self) -> Tolerance {
        Tolerance { minor: self.renewal_tolerance_minor, share: self.renewal_tolerance_share }
    }

    /// How far a bill may stand above the best equal plan (S01, and the advice on it).
    pub const fn overpricing_tolerance(&self) -> Tolerance {
        Tolerance {
            minor: self.overpricing_tolerance_minor,
            share: self.overpricing_tolerance_share,
        }
    }

    /// Is `squeeze` looked for on `plan`? Without a plan: where none is known.
    pub fn looks_for(&self, squeeze: SqueezeType, plan: Option<&str>) -> bool {
        self.switches[squeeze as usize].is_on(plan)
    }

    /// The same policy, with what follows from its parameters.
    fn derived(mut self) -> Self {
        let Dimensions {
            integrity_weight,
            integrity_half_life_ms,
            integrity_lambda,
            competence_weight,
            competence_half_life_ms,
            competence_lambda,
            fairness_weight,
            fairness_half_life_ms,
            fairness_lambda,
            care_weight,
            care_half_life_ms,
            care_lambda,
            transparency_weight,
            transparency_half_life_ms,
            transparency_lambda,
            proactivity_weight,
            proactivity_half_life_ms,
            proactivity_lambda,
        } = self.stated_dimensions;
        let dimensions = [
            (integrity_weight, integrity_half_life_ms, integrity_lambda),
            (competence_weight, competence_half_life_ms, competence_lambda),
            (fairness_weight, fairness_half_life_ms, fairness_lambda),
            (care_weight, care_half_life_ms, care_lambda),
            (transparency_weight, transparency_half_life_ms, transparency_lambda),
            (proactivity_weight, proactivity_half_life_ms, proactivity_lambda),
        ];
        let sum: f64 = dimensions.iter().map(|(weight, ..)| weight).sum();
        self.dimensions = dimensions.map(|(weight, half_life_ms, lambda)| DimensionPolicy {
            weight: weight / sum,
            half_life_ms,
            lambda,
        });
        self
    }
}
