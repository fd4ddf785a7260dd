//! S09, hidden fee: the charges of a quote come to more than it said was mandatory.
//!
//! Rests on: DMCCA s.230; 16 CFR 464.

use super::{Finding, SqueezeType};
use crate::model::customer::Quote;
use crate::model::step::Step;
use crate::model::{Money, Text};

/// What the charges so far exceed the quote by, minor units, if that is beyond the tolerance.
pub fn excess(step: &Step<'_>, quote: &Quote) -> Option<i64> {
    let excess = quote.charged - quote.total.minor;
    step.exceeds(excess, step.policy.s09.tolerance(), quote.total.minor, quote.total.currency)
        .then_some(excess)
}

/// The part of `excess` not evaluated before, found by `charge_id`.
pub fn finding(quote: &Quote, excess: i64, charge_id: &Text) -> Finding {
    let new = Money::new(excess - quote.evaluated, quote.total.currency);
    Finding::one_off(SqueezeType::S09, quote.id.clone(), new, charge_id.clone())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes};

    /// Quoted at 100.00 and charged 101.01.
    const FEE: &str = "
        2025-01-01 quote q 100.00
        2025-01-02 charge c1 100.00 quote=q
        2025-01-03 charge c2 1.01 quote=q";

    #[test]
    fn charges_beyond_the_quote_open_it_and_each_further_one_adds() {
        assert_snapshot!(squeezes(&format!("{FEE}\n2025-01-04 charge c3 2.00 quote=q")), @r"
        2025-01-03 opened S09:-:q: 0.08 a month, 1.01 accrued, info
        2025-01-04 escalated S09:-:q: 0.17 a month, 3.01 accrued, info
        ");
    }

    #[test]
    fn it_is_quiet_for_extras_other_quotes_and_a_hundredth() {
        for (from, to) in [
            ("c2 1.01 quote=q", "c2 1.01 quote=q optional"),
            ("c2 1.01 quote=q", "c2 1.00 quote=q"),
            ("c2 1.01 quote=q", "c2 1.01 quote=p"),
            ("c2 1.01 quote=q", "c2 1.01USD quote=q"),
            ("c2 1.01 quote=q", "c1 1.01 quote=q"),
            ("quote q 100.00", "quote q 100.51"),
        ] {
            assert_eq!(squeezes(&changed(FEE, from, to)), "", "{to}");
        }
    }

    #[test]
    fn it_belongs_to_the_subscription_the_charge_names() {
        let named = changed(FEE, "c2 1.01 quote=q", "c2 1.01 quote=q sub=net");
        assert_snapshot!(squeezes(&named), @"2025-01-03 opened S09:net:q: 0.08 a month, 1.01 accrued, info");
    }

    #[test]
    fn a_quote_met_exactly_is_open_dealing_and_one_exceeded_is_not_counted_twice() {
        assert_snapshot!(evidence(&format!("{FEE}\n2025-01-04 charge c3 2.00 quote=q"), "TRA"), @r"
        2025-01-02 TRA.BILL_MATCH q +0.1
        2025-01-03 TRA.HIDDEN_FEE q -1.571657
        ");
    }
}
