//! How long each rule gathers what it judges by. What the customer's record keeps whatever the policy (how long a customer, the price
//! before, the last use) needs no gathering, and is not counted.

use super::SqueezeType;
use crate::model::Policy;

/// Days from one bill to the next.
const BILL_DAYS: i64 = 31;

impl SqueezeType {
    /// Days of event time after which a rule that is new or changed by `policy` has seen all it looks back on; 0 if it judges one record
    /// by itself.
    pub fn window_days(self, policy: &Policy) -> i64 {
        let evaluations = i64::from(policy.detector(self).evaluations);
        let in_a_row = if evaluations > 1 { evaluations * BILL_DAYS } else { 0 };
        in_a_row.max(self.look_back_days(policy))
    }

    fn look_back_days(self, policy: &Policy) -> i64 {
        match self {
            Self::S03 => policy.notice.end_of_term_from_days,
            Self::S06 => policy.s06.after_days,
            Self::S08 => policy.s08.notice_days,
            Self::S11 => policy.s11.open_days,
            Self::S12 => policy.notice.renewal_from_days,
            Self::S13 => policy.s13.within_days,
            // Whole bills, though what was usual fades meanwhile.
            Self::S14 => (policy.s14.bills.millionths() + 999_999) / 1_000_000 * BILL_DAYS,
            Self::S16 => policy.notice.price_rise_from_days,
            // Five business days are a week; one more for where it begins.
            Self::S17 => i64::from(policy.s17.reminder_from_business_days) * 7 / 5 + 1,
            Self::S01
            | Self::S02
            | Self::S04
            | Self::S05
            | Self::S07
            | Self::S09
            | Self::S10
            | Self::S15
            | Self::S18
            | Self::S19
            | Self::S20 => 0,
        }
    }
}
