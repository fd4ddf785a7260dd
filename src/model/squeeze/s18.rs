//! S18, refund withheld: an agreed refund that did not come.
//!
//! What it rests on is said in [`BASIS`].

use super::{Finding, SqueezeType};
use crate::model::{Money, Text};

/// What a broken promise of a refund of `stake` takes.
pub fn finding(promise_id: &Text, stake: Money) -> Finding {
    Finding::one_off(SqueezeType::S18, promise_id.clone(), stake, promise_id.clone())
}

/// What the rule asks, and on what ground.
pub const BASIS: super::Basis =
    super::Basis { asks: "did an agreed refund not come?", source: "the promise ledger" };

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, customer_after, evidence, said, with};

    /// Agreed on New Year's Day, so due in two weeks, and not heard of since.
    const AGREED: &str = "
        2025-01-01 refund-agreed r 50.00
        2025-01-15 tick";

    #[test]
    fn a_refund_not_paid_in_time_is_withheld() {
        assert_snapshot!(said(AGREED), @r"
        2025-01-15 breach refund/r broken, presumed
        2025-01-15 opened S18:-:refund/r: 4.17 a month, 50.00 accrued, minor
        ");
        assert_eq!(said(&with(AGREED, "2025-01-14 refund-paid r 50.00")), "");
        assert_eq!(said(&changed(AGREED, "r 50.00", "r 50.00 due=2025-01-16")), "");
    }

    #[test]
    fn paid_late_is_made_good() {
        let late = format!("{AGREED}\n2025-01-20 refund-paid r 50.00");
        assert!(said(&late).ends_with(
            "\n2025-01-20 breach refund/r late\
             \n2025-01-20 resolved S18:-:refund/r: 4.17 a month, 0.00 accrued, minor, refunded"
        ));
        assert_snapshot!(evidence(&late, "FAI"), @r"
        2025-01-15 FAI.SQUEEZE S18:-:refund/r/refund/r -0.438769
        2025-01-20 FAI.REDRESS S18:-:refund/r/paid/refund/r +0.329077
        ");
    }

    #[test]
    fn paid_in_time_after_all_it_was_none() {
        let in_time = format!("{AGREED}\n2025-01-10 refund-paid r 50.00");
        assert!(said(&in_time).ends_with(
            "\n2025-01-15 breach refund/r kept\
             \n2025-01-15 resolved S18:-:refund/r: 4.17 a month, 0.00 accrued, minor, withdrawn"
        ));
        assert_snapshot!(evidence(&in_time, "FAI"), @r"
        2025-01-15 FAI.SQUEEZE S18:-:refund/r/refund/r -0.438769
        2025-01-15 FAI.SQUEEZE S18:-:refund/r/refund/r -0.438769 taken back
        ");
        let bad_profit = |story: &str| {
            customer_after(story)
                .accounts
                .iter()
                .map(|(_, account)| account.bad_profit)
                .sum::<i64>()
        };
        assert_eq!((bad_profit(AGREED), bad_profit(&in_time)), (5000, 0));
    }

    #[test]
    fn made_good_before_it_turns_out_none_it_is_taken_back_all_the_same() {
        let story = format!(
            "{AGREED}\n2025-01-20 remedy m 50.00 about=refund/r\n2025-01-10 refund-paid r 50.00"
        );
        assert!(evidence(&story, "FAI.SQUEEZE").ends_with("taken back"));
        let bad_profit = customer_after(&story)
            .accounts
            .iter()
            .map(|(_, account)| account.bad_profit)
            .sum::<i64>();
        assert_eq!(bad_profit, 0);
    }
}
