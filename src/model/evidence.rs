//! Evidence: what a judged act says for or against the firm, in which dimension, and how much.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event::words;
use super::{EventTime, Text};

words! {
    /// What trust consists of, in the order every published list keeps.
    Dimension { /// Promises kept.
        Integrity = "integrity", /// Things done right.
        Competence = "competence", /// No squeeze, good profits.
        Fairness = "fairness", /// Benevolence.
        Care = "care", /// Open, shown, said.
        Transparency = "transparency", /// Before one has to.
        Proactivity = "proactivity" }
}

words! {
    /// What kind of act was judged. Declared in the order of the names, so that sorted by class is sorted by name.
    Class {
        /// Support adjusted to a vulnerable customer.
        CarAccommodated = "CAR.ACCOMMODATED",
        /// An apology with redress.
        CarApology = "CAR.APOLOGY",
        /// Goodwill that matched nothing owed.
        CarGoodwill = "CAR.GOODWILL",
        /// A cancellation obstructed.
        CarObstruct = "CAR.OBSTRUCT",
        /// A complaint left unanswered past its time.
        CarOverdue = "CAR.OVERDUE",
        /// A complaint upheld.
        CarUpheld = "CAR.UPHELD",
        /// A vulnerable customer squeezed.
        CarVulnerableHarm = "CAR.VULNERABLE_HARM",
        /// A wait more than twice what was stated.
        CarWait = "CAR.WAIT",
        /// A billing error.
        ComBillError = "COM.BILL_ERROR",
        /// Credit for telling of a failure early.
        ComCreditNotice = "COM.CREDIT_NOTICE",
        /// Credit for mending a failure early.
        ComCreditRemedy = "COM.CREDIT_REMEDY",
        /// Delivered whole, or right first time.
        ComDelivered = "COM.DELIVERED",
        /// A service failure.
        ComFail = "COM.FAIL",
        /// Resolved at the first contact.
        ComFcr = "COM.FCR",
        /// Had to be asked again.
        ComRepeat = "COM.REPEAT",
        /// Passed on again and again.
        ComTransfer = "COM.TRANSFER",
        /// A bill on which nothing was wrong.
        FaiFairBill = "FAI.FAIR_BILL",
        /// Moved by the firm to a cheaper, equal plan.
        FaiMigrated = "FAI.MIGRATED",
        /// A price cut passed on.
        FaiPassThrough = "FAI.PASS_THROUGH",
        /// Money back for a squeeze.
        FaiRedress = "FAI.REDRESS",
        /// A squeeze.
        FaiSqueeze = "FAI.SQUEEZE",
        /// A promise broken.
        IntBroken = "INT.BROKEN",
        /// Charged after cancelling.
        IntChargeAfterCancel = "INT.CHARGE_AFTER_CANCEL",
        /// Marketing after an opt-out.
        IntConsentBreach = "INT.CONSENT_BREACH",
        /// Credit for telling of a broken promise early.
        IntCreditNotice = "INT.CREDIT_NOTICE",
        /// Credit for mending a broken promise early.
        IntCreditRemedy = "INT.CREDIT_REMEDY",
        /// A price guarantee not honoured.
        IntGuaranteeBreached = "INT.GUARANTEE_BREACHED",
        /// A price guarantee honoured.
        IntGuaranteeHonoured = "INT.GUARANTEE_HONOURED",
        /// A promise kept.
        IntKept = "INT.KEPT",
        /// A promise kept late.
        IntLate = "INT.LATE",
        /// A promise moved by the firm.
        IntReneg = "INT.RENEG",
        /// A promise withdrawn in time.
        IntWithdrawn = "INT.WITHDRAWN",
        /// A saving pointed out.
        ProAdvised = "PRO.ADVISED",
        /// A failure known and unsaid.
        ProSilent = "PRO.SILENT",
        /// A gift nobody asked for.
        ProUnprompted = "PRO.UNPROMPTED",
        /// A warning before the bill.
        ProWarned = "PRO.WARNED",
        /// A saving known and unsaid.
        ProWithheld = "PRO.WITHHELD",
        /// Charges that match the quote.
        TraBillMatch = "TRA.BILL_MATCH",
        /// A fee the quote did not name.
        TraHiddenFee = "TRA.HIDDEN_FEE",
        /// Found to have misled.
        TraMisled = "TRA.MISLED",
        /// A due notice missed.
        TraNoticeMissed = "TRA.NOTICE_MISSED",
        /// A due notice given in time.
        TraNoticeOk = "TRA.NOTICE_OK",
        /// Disclosed before being asked.
        TraSelfDisclosed = "TRA.SELF_DISCLOSED",
    }
}

impl Class {
    /// The dimension its evidence enters.
    pub const fn dimension(self) -> Dimension {
        match self.as_str().as_bytes()[0] {
            b'I' => Dimension::Integrity,
            b'F' => Dimension::Fairness,
            b'T' => Dimension::Transparency,
            b'P' => Dimension::Proactivity,
            _ => match self.as_str().as_bytes()[1] {
                b'O' => Dimension::Competence,
                _ => Dimension::Care,
            },
        }
    }
}

/// For or against the firm. `Positive` sorts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sign {
    /// For: enters r.
    Positive,
    /// Against: enters s, multiplied by λ.
    Negative,
}

impl Sign {
    /// `+` or `-`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Positive => "+",
            Self::Negative => "-",
        }
    }
}

/// Names one evidence: the first 8 bytes of SHA-256 over class, line feed, key. Written as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EvidenceId([u8; 8]);

impl EvidenceId {
    /// The id of evidence of `class` about `key`: the thing judged, never the message.
    pub fn new(class: Class, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(class.as_str());
        hash.update("\n");
        hash.update(key);
        let digest = hash.finalize();
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        Self(id)
    }

    /// Reads 16 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex =
            text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| u64::from_str_radix(text, 16).ok().map(|bits| Self(bits.to_be_bytes())))?
    }
}

impl fmt::Display for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One evidence: what was judged, for or against, how much, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What kind of act.
    pub class: Class,
    /// The thing judged.
    pub key: Text,
    /// For or against.
    pub sign: Sign,
    /// w before λ, 0 < w ≤ 8.
    #[serde(with = "super::number::short")]
    pub weight: f64,
    /// When the act counts from.
    pub time: EventTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_declared_in_the_order_of_their_names() {
        assert!(Class::ALL.is_sorted_by_key(|class| class.as_str()));
    }

    #[test]
    fn the_prefix_of_a_class_names_its_dimension() {
        let dimension = |name: &str| Class::from_word(name).unwrap().dimension();
        assert_eq!(dimension("COM.FAIL"), Dimension::Competence);
        assert_eq!(dimension("CAR.WAIT"), Dimension::Care);
        assert_eq!(dimension("INT.KEPT"), Dimension::Integrity);
        assert_eq!(dimension("PRO.WARNED"), Dimension::Proactivity);
        assert_eq!(dimension("TRA.MISLED"), Dimension::Transparency);
        assert_eq!(dimension("FAI.REDRESS"), Dimension::Fairness);
    }

    #[test]
    fn an_evidence_id_is_the_head_of_a_sha_256() {
        let id = EvidenceId::new(Class::IntKept, "call-1");
        assert_eq!(id.to_string(), "7b20d07e27680b32");
        assert_eq!(EvidenceId::parse("7b20d07e27680b32"), Some(id));
        assert_eq!(EvidenceId::parse("7B20D07E27680B32"), None);
    }
}
