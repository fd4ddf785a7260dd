//! S10, price guarantee breach: a pre-order promised the lowest price, a lower one was listed, and the difference was not paid.
//!
//! What it rests on is said in [`BASIS`].

use super::{Finding, SqueezeType};
use crate::model::Money;
use crate::model::customer::Guarantee;
use crate::model::step::Step;

/// How a guarantee ended.
#[derive(Debug)]
pub enum Settlement {
    /// No lower price was listed: nothing was owed.
    NothingOwed,
    /// The difference was paid.
    Honoured {
        /// All of it.
        difference: Money,
    },
    /// Some of the difference is missing.
    Breached {
        /// What is missing.
        missing: Money,
    },
}

/// The difference to the lowest list price in force while the guarantee ran, and whether it was paid.
pub fn settle(step: &Step<'_>, guarantee: &Guarantee) -> Settlement {
    let Guarantee { sku, paid, placed_at, until, remedied, .. } = guarantee;
    let lowest = step.catalogue.lowest_list_price(sku, *placed_at, *until, paid.currency);
    match lowest.map_or(0, |lowest| paid.minor - lowest.minor) {
        difference if difference <= 0 => Settlement::NothingOwed,
        difference if difference <= *remedied => {
            Settlement::Honoured { difference: Money::new(difference, paid.currency) }
        }
        difference => {
            Settlement::Breached { missing: Money::new(difference - remedied, paid.currency) }
        }
    }
}

/// What is missing of a guarantee.
pub fn finding(guarantee: &Guarantee, missing: Money) -> Finding {
    Finding::one_off(
        SqueezeType::S10,
        guarantee.order_id.clone(),
        missing,
        guarantee.order_id.clone(),
    )
}

/// What the rule asks, and on what ground.
pub const BASIS: super::Basis = super::Basis {
    asks: "was a lower price listed while the lowest was guaranteed, and the difference not paid?",
    source: "a pre-order price guarantee",
};

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes, with};

    /// Ordered at 20.00 with a guarantee until 30 June; listed at 18.00 in between.
    const PREORDER: &str = "
        2025-06-01 list book 20.00
        2025-06-10 order pre sku=book price=20.00 guaranteed=2025-06-30
        2025-06-20 list book 18.00
        2025-07-07 tick";

    #[test]
    fn a_lower_price_not_paid_back_a_week_after_the_end_is_a_breach() {
        assert_snapshot!(squeezes(PREORDER), @"2025-07-07 opened S10:-:pre: 0.17 a month, 2.00 accrued, info");
        assert_snapshot!(evidence(PREORDER, "INT"), @"2025-07-07 INT.GUARANTEE_BREACHED pre -1.093109");
        assert_eq!(squeezes(&changed(PREORDER, "2025-07-07 tick", "2025-07-06T23:59 tick")), "");
    }

    #[test]
    fn the_difference_paid_back_is_a_guarantee_honoured() {
        let paid = |words| with(PREORDER, &format!("2025-07-01 remedy back {words} about=pre"));
        assert_eq!(squeezes(&paid("2.00")), "");
        assert_snapshot!(evidence(&paid("2.00"), "INT"), @"2025-07-07 INT.GUARANTEE_HONOURED pre +1.093109");
        assert_snapshot!(squeezes(&paid("1.50")), @"2025-07-07 opened S10:-:pre: 0.04 a month, 0.50 accrued, info");
        assert_snapshot!(squeezes(&paid("2.00USD")), @"2025-07-07 opened S10:-:pre: 0.17 a month, 2.00 accrued, info");
    }

    #[test]
    fn nothing_is_owed_for_a_price_as_high_another_article_or_another_time() {
        for (from, to) in [
            ("book 18.00", "book 20.00"),
            ("book 18.00", "book 18.00EUR"),
            ("book 18.00", "film 18.00"),
            ("2025-06-20 list", "2025-07-01 list"),
            ("2025-06-20 list", "2025-06-09 list"),
        ] {
            let story = with(&changed(PREORDER, from, to), "2025-06-09T12:00 list book 20.00");
            assert_eq!(evidence(&story, "INT"), "", "{to}");
        }
    }

    #[test]
    fn a_late_difference_resolves_it() {
        assert_snapshot!(squeezes(&format!("{PREORDER}\n2025-08-01 remedy back 2.00 about=pre")), @r"
        2025-07-07 opened S10:-:pre: 0.17 a month, 2.00 accrued, info
        2025-08-01 resolved S10:-:pre: 0.17 a month, 0.00 accrued, info, refunded
        ");
    }
}
