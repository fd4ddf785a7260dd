//! The squeeze types: their codes and names.

use crate::model::Text;
use crate::model::digest::hex_32;

/// A way to squeeze a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is described by its name, in `name()`")]
pub enum SqueezeType {
    S01,
    S02,
    S03,
    S04,
    S05,
    S06,
    S07,
    S08,
    S09,
    S10,
    S11,
    S12,
    S13,
    S14,
    S15,
    S16,
    S17,
    S18,
    S19,
    S20,
}

impl SqueezeType {
    /// Every type, in order.
    pub const ALL: &'static [Self] = &[
        Self::S01,
        Self::S02,
        Self::S03,
        Self::S04,
        Self::S05,
        Self::S06,
        Self::S07,
        Self::S08,
        Self::S09,
        Self::S10,
        Self::S11,
        Self::S12,
        Self::S13,
        Self::S14,
        Self::S15,
        Self::S16,
        Self::S17,
        Self::S18,
        Self::S19,
        Self::S20,
    ];

    /// Code and name.
    const fn facts(self) -> (&'static str, &'static str) {
        match self {
            Self::S01 => ("S01", "legacy_overpricing"),
            Self::S02 => ("S02", "renewal_price_walk"),
            Self::S03 => ("S03", "end_of_term_penalty"),
            Self::S04 => ("S04", "charge_after_cancellation"),
            Self::S05 => ("S05", "cancellation_obstruction"),
            Self::S06 => ("S06", "undelivered_service_charged"),
            Self::S07 => ("S07", "dormant_subscription"),
            Self::S08 => ("S08", "credit_breakage"),
            Self::S09 => ("S09", "hidden_fee"),
            Self::S10 => ("S10", "price_guarantee_breach"),
            Self::S11 => ("S11", "vulnerability_exploited"),
            Self::S12 => ("S12", "auto_renewal_no_notice"),
            Self::S13 => ("S13", "fee_stacking"),
            Self::S14 => ("S14", "bill_shock"),
            Self::S15 => ("S15", "back_billing"),
            Self::S16 => ("S16", "undisclosed_mid_term_rise"),
            Self::S17 => ("S17", "trial_trap"),
            Self::S18 => ("S18", "refund_withheld"),
            Self::S19 => ("S19", "acquisition_gap"),
            Self::S20 => ("S20", "allowance_erosion"),
        }
    }

    /// `S01` to `S20`.
    pub const fn code(self) -> &'static str {
        self.facts().0
    }

    /// What it is called in words.
    pub const fn name(self) -> &'static str {
        self.facts().1
    }
}

/// Names a squeeze of `customer`: 32 hex digits over the type, the customer, the subscription (`-` if the squeeze is of none) and
/// the `subject`, what within these. Alerts that carry the same key are about the same squeeze.
pub fn dedup_key(
    squeeze: SqueezeType,
    customer: &str,
    subscription: Option<&str>,
    subject: &str,
) -> Text {
    let (code, subscription) = (squeeze.code(), subscription.unwrap_or("-"));
    hex_32(&format!("{code}\n{customer}\n{subscription}\n{subject}")).into()
}
