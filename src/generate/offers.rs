//! What the simulated telecom sells: dear legacy plans, cheaper plans equal or better in everything, and a few articles whose
//! list prices fall in a sale each quarter.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::event::{ReferenceChange, ReferenceEvent};
use crate::model::{Attribute, Currency, Event, EventTime, Money, Period, PlanVersion, Text};

/// A plan of the telecom.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) id: &'static str,
    pub(super) monthly_minor: i64,
    /// Index in [`PLANS`] of the newer plan that is equal or better in everything and cheaper.
    pub(super) equal: Option<usize>,
    /// Months before the start at which it was published.
    published_months: i32,
    data_gb: Option<f64>,
    minutes: Option<f64>,
    roaming: &'static [&'static str],
    support_tier: u16,
    new_customers_only: bool,
}

const EU: &[&str] = &["EU"];
const WORLD: &[&str] = &["EU", "US"];

/// Months before the start at which the legacy plans went off sale and today's came.
pub(super) const RELAUNCH_MONTHS: i32 = 30;

/// Every plan: three legacy ones, the three of today that replace them in order, and a bait for newcomers.
pub(super) const PLANS: [Plan; 7] = [
    legacy("classic-s", 1900, 3, Some(5.0), Some(300.0), 1),
    legacy("classic-m", 2900, 4, Some(20.0), Some(1000.0), 1),
    legacy("classic-l", 4500, 5, Some(50.0), None, 2),
    today("flex-s", 1200, Some(10.0), EU, 1, false),
    today("flex-m", 1900, Some(40.0), WORLD, 2, false),
    today("flex-l", 3200, None, WORLD, 3, false),
    today("welcome-m", 1500, Some(40.0), WORLD, 2, true),
];

/// Indices in [`PLANS`] of the legacy plans.
pub(super) const LEGACY: [usize; 3] = [0, 1, 2];
/// Indices in [`PLANS`] of today's plans.
pub(super) const TODAY: [usize; 3] = [3, 4, 5];

const fn legacy(
    id: &'static str,
    monthly_minor: i64,
    equal: usize,
    data_gb: Option<f64>,
    minutes: Option<f64>,
    support_tier: u16,
) -> Plan {
    Plan {
        id,
        monthly_minor,
        equal: Some(equal),
        published_months: 96,
        data_gb,
        minutes,
        roaming: EU,
        support_tier,
        new_customers_only: false,
    }
}

const fn today(
    id: &'static str,
    monthly_minor: i64,
    data_gb: Option<f64>,
    roaming: &'static [&'static str],
    support_tier: u16,
    new_customers_only: bool,
) -> Plan {
    Plan {
        id,
        monthly_minor,
        equal: None,
        published_months: RELAUNCH_MONTHS,
        data_gb,
        minutes: None,
        roaming,
        support_tier,
        new_customers_only,
    }
}

/// An article: its stock-keeping unit and usual list price in pence.
pub(super) type Article = (&'static str, i64);

/// What the shop sells.
pub(super) const ARTICLES: [Article; 3] =
    [("phone-one", 49_900), ("watch-two", 19_900), ("earbuds", 8_900)];

const SALES: i32 = 16;
const SALE_DAYS: i64 = 14;

/// `minor` pence.
pub(super) fn pounds(minor: i64) -> Money {
    Money::new(minor, Currency::new("GBP").expect("GBP is three capitals"))
}

/// When the `n`th sale begins: the third month from `from`, then each quarter.
fn sale_start(from: EventTime, n: i32) -> EventTime {
    from.plus_months(2 + 3 * n)
}

/// The price of an article in a sale: 15 % off.
const fn sale_price(minor: i64) -> i64 {
    minor - minor * 15 / 100
}

/// The list price of `article` in force at `at`.
pub(super) fn list_price(article: Article, from: EventTime, at: EventTime) -> i64 {
    let is_sale = (0..SALES).any(|n| {
        let start = sale_start(from, n);
        start <= at && at < start.plus_days(SALE_DAYS)
    });
    if is_sale { sale_price(article.1) } else { article.1 }
}

/// The lowest list price of `article` in force at some time in `start..=end`.
pub(super) fn lowest_price(
    article: Article,
    from: EventTime,
    start: EventTime,
    end: EventTime,
) -> i64 {
    let meets_sale = (0..SALES).any(|n| {
        let sale = sale_start(from, n);
        sale <= end && start < sale.plus_days(SALE_DAYS)
    });
    if meets_sale { sale_price(article.1) } else { article.1 }
}

/// The catalogue as events: plans by time, then four years of list prices, all published before `from`.
pub(super) fn reference_events(from: EventTime) -> Vec<Event> {
    let mut changes: Vec<_> = PLANS.iter().map(|plan| publication(plan, from)).collect();
    changes.extend(LEGACY.map(|index| withdrawal(&PLANS[index], from)));
    for article in ARTICLES {
        changes.extend(list_prices(article, from));
    }
    changes
        .into_iter()
        .enumerate()
        .map(|(n, (time, change))| {
            Event::Reference(ReferenceEvent {
                id: format!("r{}", n + 1).into(),
                source: "/catalogue".into(),
                time,
                change,
            })
        })
        .collect()
}

fn publication(plan: &Plan, from: EventTime) -> (EventTime, ReferenceChange) {
    let time = from.plus_months(-plan.published_months);
    let texts = |words: &[&str]| words.iter().map(|word| Text::from(*word)).collect();
    let version = PlanVersion {
        price: pounds(plan.monthly_minor),
        period: Period::MONTH,
        one_off: None,
        effective_from: time,
        on_sale_from: time,
        attributes: [
            ("data_gb", Attribute::Max(plan.data_gb)),
            ("minutes", Attribute::Max(plan.minutes)),
            ("roaming", Attribute::Set(texts(plan.roaming))),
            ("support", Attribute::Ord(plan.support_tier)),
            ("term_months", Attribute::Min(Some(1.0))),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect(),
        segments: BTreeSet::new(),
        new_customers_only: plan.new_customers_only,
    };
    let change =
        ReferenceChange::PlanPublished { plan_id: plan.id.into(), version: Arc::new(version) };
    (time, change)
}

fn withdrawal(plan: &Plan, from: EventTime) -> (EventTime, ReferenceChange) {
    let time = from.plus_months(-RELAUNCH_MONTHS);
    let change = ReferenceChange::PlanWithdrawn { plan_id: plan.id.into(), effective_from: time };
    (time, change)
}

fn list_prices(
    (sku, minor): Article,
    from: EventTime,
) -> impl Iterator<Item = (EventTime, ReferenceChange)> {
    let listed = move |minor: i64, effective_from: EventTime| {
        let price = pounds(minor);
        let change = ReferenceChange::PriceListed { sku: sku.into(), price, effective_from };
        (from.plus_days(-30), change)
    };
    let sales = (0..SALES).flat_map(move |n| {
        let start = sale_start(from, n);
        [listed(sale_price(minor), start), listed(minor, start.plus_days(SALE_DAYS))]
    });
    std::iter::once(listed(minor, from.plus_months(-RELAUNCH_MONTHS))).chain(sales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_legacy_plan_has_a_cheaper_one_of_today_that_lacks_nothing() {
        for index in LEGACY {
            let old = &PLANS[index];
            let new = &PLANS[old.equal.expect("a legacy plan has an equal")];
            let at_least = |new: Option<f64>, old: Option<f64>| {
                new.is_none_or(|new| old.is_some_and(|old| new >= old))
            };
            assert!(new.monthly_minor + 100 <= old.monthly_minor, "{}", old.id);
            assert!(at_least(new.data_gb, old.data_gb) && at_least(new.minutes, old.minutes));
            assert!(new.support_tier >= old.support_tier);
            assert!(old.roaming.iter().all(|place| new.roaming.contains(place)));
        }
    }

    #[test]
    fn a_price_falls_in_a_sale_and_comes_back() {
        let from = EventTime::parse_date("2025-01-01").unwrap();
        let price =
            |date: &str| list_price(ARTICLES[2], from, EventTime::parse_date(date).unwrap());
        assert_eq!(
            ["2025-02-28", "2025-03-01", "2025-03-14", "2025-03-15", "2025-06-01"].map(price),
            [8900, 7565, 7565, 8900, 7565]
        );
        let lowest = lowest_price(ARTICLES[2], from, from.plus_days(40), from.plus_days(59));
        assert_eq!(lowest, 7565);
    }
}
