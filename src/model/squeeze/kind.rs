//! The squeeze types: their codes and names.

use serde::{Deserialize, Serialize};

use super::{
    s01, s02, s03, s04, s05, s06, s07, s08, s09, s10, s11, s12, s13, s14, s15, s16, s17, s18, s19,
    s20,
};
use crate::model::Text;
use crate::model::digest::hex_32;

/// Why a rule is a rule: each type's own file says it, beside the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    /// What the rule asks, as a question.
    pub asks: &'static str,
    /// The law, ruling or source it rests on.
    pub source: &'static str,
}

/// A way to squeeze a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

    /// What its rule asks, and on what ground.
    pub const fn basis(self) -> Basis {
        match self {
            Self::S01 => s01::BASIS,
            Self::S02 => s02::BASIS,
            Self::S03 => s03::BASIS,
            Self::S04 => s04::BASIS,
            Self::S05 => s05::BASIS,
            Self::S06 => s06::BASIS,
            Self::S07 => s07::BASIS,
            Self::S08 => s08::BASIS,
            Self::S09 => s09::BASIS,
            Self::S10 => s10::BASIS,
            Self::S11 => s11::BASIS,
            Self::S12 => s12::BASIS,
            Self::S13 => s13::BASIS,
            Self::S14 => s14::BASIS,
            Self::S15 => s15::BASIS,
            Self::S16 => s16::BASIS,
            Self::S17 => s17::BASIS,
            Self::S18 => s18::BASIS,
            Self::S19 => s19::BASIS,
            Self::S20 => s20::BASIS,
        }
    }

    /// What its rule asks, as a question.
    pub const fn asks(self) -> &'static str {
        self.basis().asks
    }

    /// The law, ruling or source it rests on.
    pub const fn source(self) -> &'static str {
        self.basis().source
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Policy;

    const PAGE: &str = include_str!("../../../docs/model.md");

    #[test]
    fn the_page_on_the_model_has_a_row_for_every_type_with_its_ground_and_its_file() {
        for kind in SqueezeType::ALL {
            let (code, name) = (kind.code(), kind.name());
            let of_type = |row: &&str| row.starts_with(&format!("| {code} "));
            let rows: Vec<&str> = PAGE.lines().filter(of_type).collect();
            let [row] = rows[..] else { panic!("{code} has {} rows", rows.len()) };
            let file = format!("src/model/squeeze/{}.rs", code.to_lowercase());
            for said in [
                &format!("{code} {name}, κ {:?} |", Policy::default().detector(*kind).culpability),
                &format!("| {} |", kind.asks()),
                &format!("| {} |", kind.source()),
                &format!("(../{file})"),
            ] {
                assert!(row.contains(said), "{code} does not say {said}");
            }
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.contains("mod tests"), "{code} has no tests");
        }
    }
}
