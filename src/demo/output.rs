//! The service's outputs as a reader of its topics sees them: structured JSON, of which the demo tells a part.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One output.
#[derive(Debug, Deserialize)]
pub(super) struct Output {
    /// With prefix and version.
    pub(super) r#type: String,
    /// The customer.
    pub(super) subject: String,
    /// RFC 3339, UTC.
    pub(super) time: String,
    pub(super) data: Data,
}

/// What is said. The shapes differ in the fields that must be there.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Data {
    Squeeze(Squeeze),
    Score(Score),
    Breach(Breach),
    /// Told by its kind alone.
    Other {},
}

#[derive(Debug, Deserialize)]
pub(super) struct Squeeze {
    pub(super) dedup_key: String,
    /// `S01` to `S20`.
    pub(super) r#type: String,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) level: String,
    pub(super) severity: f64,
    pub(super) excess_monthly: Money,
    pub(super) accrued: Money,
    pub(super) refunded: Money,
    pub(super) comparator: Option<Comparator>,
}

/// What the customer could have had instead.
#[derive(Debug, Deserialize)]
pub(super) struct Comparator {
    pub(super) plan_id: String,
    pub(super) monthly: Money,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Money {
    pub(super) minor: i64,
    pub(super) currency: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Score {
    pub(super) previous: Option<f64>,
    pub(super) score: f64,
    pub(super) band: String,
    /// Points by cause; they sum to what changed.
    pub(super) change: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Breach {
    pub(super) promise_id: String,
    pub(super) kind: String,
    pub(super) outcome: String,
    /// Nobody said so: it was not kept when it was due.
    pub(super) presumed: bool,
}

impl Output {
    /// The type without prefix and version, for instance `squeeze.opened`.
    pub(super) fn kind(&self) -> &str {
        let kind = self.r#type.strip_prefix("io.goodfaith.").unwrap_or(&self.r#type);
        kind.strip_suffix(".v1").unwrap_or(kind)
    }
}

/// An amount in major units, for people; of currencies with two decimals, which the simulated telecom's is.
pub(super) fn amount(minor: i64, currency: &str) -> String {
    let (sign, minor) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
    format!("{sign}{}.{:02} {currency}", minor / 100, minor % 100)
}
