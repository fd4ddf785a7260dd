//! How much one evidence weighs, before λ. Which base weight and modifiers apply belongs to the rule that judges.

use super::number::log2;
use super::{Money, Policy};

/// No evidence weighs more.
pub const MAX_WEIGHT: f64 = 8.0;

/// σ: what `money` multiplies a weight by, 1 to `money.sigma_max`; 1 where no money is named, or none changes hands.
///
/// Concave, because the second pound matters less than the first: 1 + log2(1 + m / a0), with a0 in the currency's scale.
///
/// ```
/// # use goodfaith::model::{Currency, Money, Policy, weight::sigma};
/// let pounds = |minor| Some(Money::new(minor, Currency::new("GBP").unwrap()));
/// assert_eq!(sigma(pounds(3000), &Policy::default()), 2.0);
/// assert_eq!(sigma(None, &Policy::default()), 1.0);
/// ```
pub fn sigma(money: Option<Money>, policy: &Policy) -> f64 {
    let Some(money) = money else { return 1.0 };
    let unit = policy.money.a0 * policy.scale(money.currency);
    (1.0 + log2(1.0 + money.minor.max(0) as f64 / unit)).min(policy.money.sigma_max)
}

/// w = min(8, base · σ · modifiers): `modifiers` is the product of η, α and what else the rule multiplies by.
pub fn evidence_weight(base: f64, money: Option<Money>, policy: &Policy, modifiers: f64) -> f64 {
    (base * sigma(money, policy) * modifiers).min(MAX_WEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Currency;

    #[test]
    fn money_the_firm_does_not_take_weighs_like_none() {
        let refund = Money::new(-348, Currency::new("GBP").unwrap());
        assert_eq!(sigma(Some(refund), &Policy::default()), 1.0);
    }
}
