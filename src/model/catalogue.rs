//! The reference data a customer's events are judged against: plan versions and list prices, each by valid time.
//!
//! A catalogue is a value: the engine holds the version it has been told of, and a change makes a new one. What a customer pays
//! is not here, and no customer is scanned when the catalogue changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::number::div_half_even;
use super::{Currency, EventTime, Money, Period, ReferenceChange, Text};

/// One version of a plan, in force from `effective_from` until the next version.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanVersion {
    /// What a `period` costs.
    pub price: Money,
    /// How long the price buys.
    pub period: Period,
    /// Mandatory payments of the first 12 months beyond the price.
    pub one_off: Option<Money>,
    /// From when the version is in force.
    pub effective_from: EventTime,
    /// From when it is on sale.
    pub on_sale_from: EventTime,
    /// By name, at most 32.
    pub attributes: BTreeMap<Text, Attribute>,
    /// The market segments it is for; empty: all.
    pub segments: BTreeSet<Text>,
    /// Existing customers cannot have it.
    pub new_customers_only: bool,
}

/// What a plan offers, typed so that two plans can be compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// More is better; `None` is unlimited.
    Max(Option<f64>),
    /// Less is better; `None` is no limit at all, so the worst.
    Min(Option<f64>),
    /// A superset is better.
    Set(BTreeSet<Text>),
    /// A higher tier is better.
    Ord(u16),
}

/// What `minor` units a `period` come to a month, with `one_off_minor` more in the first 12 months: in minor units, round half even.
///
/// A day is 1/30.436875 of a month: 365.2425 days are 12. Amounts are those of an event, so at most 2⁵³ either way.
pub fn monthly_price(minor: i64, period: Period, one_off_minor: i64) -> i64 {
    // Twelve months cost `minor · twelve / n`, so a month costs (minor · twelve + one_off · n) / (12 · n), `n` in ten-thousandths
    // where the period is in days.
    let (twelve, n) = match period {
        Period::Months(n) => (12, i128::from(n)),
        Period::Years(n) => (1, i128::from(n)),
        Period::Days(n) => (3_652_425, 10_000 * i128::from(n)),
    };
    let month = div_half_even(i128::from(minor) * twelve + i128::from(one_off_minor) * n, 12 * n);
    i64::try_from(month).expect("a month of 2^53 minor units a day is below 2^58")
}

/// What `plan` costs a month in minor units of its price's currency, the first 12 months taken together; `None` if its one-off
/// payments are in another currency, for then its cost is not one number.
pub fn monthly(plan: &PlanVersion) -> Option<i64> {
    let price = plan.price;
    let one_off = match plan.one_off {
        Some(one_off) if one_off.currency == price.currency => one_off.minor,
        Some(_) => return None,
        None => 0,
    };
    Some(monthly_price(price.minor, plan.period, one_off))
}

/// Every attribute of `p` has one of the same name and kind in `q` that is equal or better.
///
/// Where kinds differ, or `q` leaves an attribute out, the two do not compare and the answer is no: a plan that might be worse in
/// something is not equal. What `q` offers beyond `p` is no matter.
pub fn at_least(q: &BTreeMap<Text, Attribute>, p: &BTreeMap<Text, Attribute>) -> bool {
    p.iter().all(|(name, p)| q.get(name).is_some_and(|q| q.is_at_least(p)))
}

impl Attribute {
    fn is_at_least(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Max(q), Self::Max(p)) => q.is_none_or(|q| p.is_some_and(|p| p <= q)),
            (Self::Min(q), Self::Min(p)) => p.is_none_or(|p| q.is_some_and(|q| q <= p)),
            (Self::Set(q), Self::Set(p)) => q.is_superset(p),
            (Self::Ord(q), Self::Ord(p)) => p <= q,
            _ => false,
        }
    }
}

/// The version of a plan that is in force at some time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanInForce<'a> {
    /// The version last published.
    pub version: &'a Arc<PlanVersion>,
    /// It holds for those who have it, but is not on sale.
    pub is_withdrawn: bool,
}

/// A plan that dominates another: it offers no less and costs less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestPlan {
    /// The plan.
    pub plan_id: Text,
    /// What it costs a month.
    pub monthly: Money,
    /// From when its version is in force.
    pub effective_from: EventTime,
    /// From when its version is on sale.
    pub on_sale_from: EventTime,
}

/// What a plan is from its `effective_from` on. `None` is a withdrawal: what was last published holds, but is not on sale.
type Dated = (EventTime, Option<Listed>);

/// A plan version, and what it costs a month.
#[derive(Debug, Clone, PartialEq)]
struct Listed {
    version: Arc<PlanVersion>,
    /// As [`monthly`] says.
    monthly: Option<i64>,
}

/// All plan versions and list prices read so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    /// By plan, then in the order of `effective_from`, each once: a list, because every bill searches those of all plans.
    plans: BTreeMap<Text, Vec<Dated>>,
    /// By article, then by `effective_from`.
    prices: BTreeMap<Text, BTreeMap<EventTime, Money>>,
}

impl Catalogue {
    /// Takes in one change; a second version with the same `effective_from` replaces the first.
    pub fn apply(&mut self, change: &ReferenceChange) {
        match change {
            ReferenceChange::PlanPublished { plan_id, version } => {
                let listed = Listed { version: Arc::clone(version), monthly: monthly(version) };
                self.list(plan_id, version.effective_from, Some(listed));
            }
            ReferenceChange::PlanWithdrawn { plan_id, effective_from } => {
                self.list(plan_id, *effective_from, None);
            }
            ReferenceChange::PriceListed { sku, price, effective_from } => {
                self.prices.entry(sku.clone()).or_default().insert(*effective_from, *price);
            }
            // Not of the catalogue: the engine is told apart.
            ReferenceChange::PolicyPublished { .. } => {}
        }
    }

    fn list(&mut self, plan_id: &Text, from: EventTime, listed: Option<Listed>) {
        let versions = self.plans.entry(plan_id.clone()).or_default();
        match versions.binary_search_by_key(&from, |(from, _)| *from) {
            Ok(place) => versions[place].1 = listed,
            Err(place) => versions.insert(place, (from, listed)),
        }
    }

    /// The version of `plan_id` in force at `at`: the one with the greatest `effective_from` not after it. `None` if the plan is
    /// not known at that time.
    pub fn plan(&self, plan_id: &str, at: EventTime) -> Option<PlanInForce<'_>> {
        let (listed, is_withdrawn) = in_force(self.plans.get(plan_id)?, at)?;
        Some(PlanInForce { version: &listed.version, is_withdrawn })
    }

    /// Of the plans open to existing customers that dominate `plan_id` at `at` for one who pays `paying` a month, the one of least
    /// cost, ties by plan id.
    ///
    /// A plan dominates if it is another one, on sale for `on_sale_days`, in the currency paid, for all segments or for `segment`, offers
    /// at least what `plan_id` does, and costs less than `paying`. `None` if there is none, and also if `plan_id` is not known at
    /// `at`: with nothing known of what the customer has, nothing can be said to be as good.
    pub fn best_eq(
        &self,
        plan_id: &str,
        at: EventTime,
        segment: Option<&str>,
        paying: Money,
        on_sale_days: i64,
    ) -> Option<BestPlan> {
        self.best(false, plan_id, at.plus_days(-on_sale_days), at, segment, paying)
    }

    /// As [`Self::best_eq`], among the plans that only new customers can have.
    pub fn best_new(
        &self,
        plan_id: &str,
        at: EventTime,
        segment: Option<&str>,
        paying: Money,
        on_sale_days: i64,
    ) -> Option<BestPlan> {
        self.best(true, plan_id, at.plus_days(-on_sale_days), at, segment, paying)
    }

    fn best(
        &self,
        new_customers_only: bool,
        plan_id: &str,
        on_sale_by: EventTime,
        at: EventTime,
        segment: Option<&str>,
        paying: Money,
    ) -> Option<BestPlan> {
        let own = self.plan(plan_id, at)?.version;
        // What is cheap to rule out first: attributes are compared only for a plan that costs less than the best so far. Plans come by
        // id, so of equals the first stays.
        let mut best: Option<(i64, &Text, &PlanVersion)> = None;
        for (id, versions) in &self.plans {
            let Some((listed, false)) = in_force(versions, at) else { continue };
            let (plan, Some(monthly)) = (&*listed.version, listed.monthly) else { continue };
            let is_better = monthly < best.map_or(paying.minor, |(monthly, ..)| monthly)
                && plan.new_customers_only == new_customers_only
                && plan.price.currency == paying.currency
                && plan.on_sale_from <= on_sale_by
                && plan.is_for(segment)
                && **id != *plan_id
                && at_least(&plan.attributes, &own.attributes);
            if is_better {
                best = Some((monthly, id, plan));
            }
        }
        best.map(|(monthly, id, plan)| BestPlan {
            plan_id: id.clone(),
            monthly: Money::new(monthly, paying.currency),
            effective_from: plan.effective_from,
            on_sale_from: plan.on_sale_from,
        })
    }

    /// The lowest price in `currency` that `sku` was listed at at some time from `from` to `until`, both included, among the list
    /// prices known; `None` if none was.
    pub fn lowest_list_price(
        &self,
        sku: &str,
        from: EventTime,
        until: EventTime,
        currency: Currency,
    ) -> Option<Money> {
        let prices = self.prices.get(sku)?;
        let at_start = prices.range(..=from).next_back();
        // Exclusive bounds may not be the wrong way round, and a range that ends before it starts holds nothing new.
        let since = if from < until { Some(prices.range(from.plus(1)..=until)) } else { None };
        at_start
            .into_iter()
            .chain(since.into_iter().flatten())
            .map(|(_, price)| *price)
            .filter(|price| price.currency == currency)
            .min_by_key(|price| price.minor)
    }
}

impl PlanVersion {
    /// Sold to a subscription of this segment.
    fn is_for(&self, segment: Option<&str>) -> bool {
        self.segments.is_empty() || segment.is_some_and(|segment| self.segments.contains(segment))
    }
}

/// The last version published up to `at`, and whether a withdrawal came after it.
fn in_force(versions: &[Dated], at: EventTime) -> Option<(&Listed, bool)> {
    let up_to = &versions[..versions.partition_point(|(from, _)| *from <= at)];
    let listed = up_to.iter().rev().find_map(|(_, listed)| listed.as_ref())?;
    let (_, latest) = up_to.last()?;
    Some((listed, latest.is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gbp(minor: i64) -> Money {
        Money::new(minor, Currency::new("GBP").unwrap())
    }

    fn day(n: i64) -> EventTime {
        EventTime::from_millis(0).plus_days(n)
    }

    fn plan(minor: i64, data_gb: f64, from: EventTime) -> PlanVersion {
        PlanVersion {
            price: gbp(minor),
            period: Period::MONTH,
            one_off: None,
            effective_from: from,
            on_sale_from: from,
            attributes: BTreeMap::from([("data_gb".into(), Attribute::Max(Some(data_gb)))]),
            segments: BTreeSet::new(),
            new_customers_only: false,
        }
    }

    fn publish(catalogue: &mut Catalogue, id: &str, version: PlanVersion) {
        let version = Arc::new(version);
        catalogue.apply(&ReferenceChange::PlanPublished { plan_id: id.into(), version });
    }

    /// `old` at 45.00 and dearer or lesser plans, all from day 0; asked for at day 100.
    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        publish(&mut catalogue, "old", plan(4500, 10.0, day(0)));
        publish(&mut catalogue, "small", plan(1000, 5.0, day(0)));
        publish(&mut catalogue, "dear", plan(5000, 50.0, day(0)));
        catalogue
    }

    fn best(catalogue: &Catalogue, segment: Option<&str>) -> Option<(String, i64)> {
        let best = catalogue.best_eq("old", day(100), segment, gbp(4500), 30)?;
        Some((best.plan_id.into(), best.monthly.minor))
    }

    #[test]
    fn a_lesser_or_dearer_plan_does_not_dominate() {
        assert_eq!(best(&catalogue(), None), None);
    }

    #[test]
    fn the_cheapest_equal_plan_is_the_best_and_ties_go_by_id() {
        let mut catalogue = catalogue();
        for (id, minor) in [("c", 3200), ("b", 3200), ("a", 3300)] {
            publish(&mut catalogue, id, plan(minor, 10.0, day(0)));
        }
        assert_eq!(best(&catalogue, None), Some(("b".to_owned(), 3200)));
    }

    #[test]
    fn a_plan_counts_once_it_has_been_on_sale_for_30_days() {
        for (from, expected) in [(day(70), true), (day(70).plus(1), false)] {
            let mut catalogue = catalogue();
            publish(&mut catalogue, "new", plan(3200, 10.0, from));
            assert_eq!(best(&catalogue, None).is_some(), expected, "{from}");
        }
    }

    #[test]
    fn a_plan_of_another_segment_currency_or_audience_does_not_dominate() {
        let mut catalogue = catalogue();
        let usd = Money::new(3200, Currency::new("USD").unwrap());
        let segments = BTreeSet::from(["business".into()]);
        publish(&mut catalogue, "euro", PlanVersion { price: usd, ..plan(0, 10.0, day(0)) });
        publish(
            &mut catalogue,
            "mixed",
            PlanVersion { one_off: Some(usd), ..plan(3200, 10.0, day(0)) },
        );
        publish(&mut catalogue, "firm", PlanVersion { segments, ..plan(3200, 10.0, day(0)) });
        publish(
            &mut catalogue,
            "bait",
            PlanVersion { new_customers_only: true, ..plan(2000, 10.0, day(0)) },
        );
        assert_eq!(best(&catalogue, None), None);
        assert_eq!(best(&catalogue, Some("home")), None);
        assert_eq!(best(&catalogue, Some("business")), Some(("firm".to_owned(), 3200)));
        let bait = catalogue.best_new("old", day(100), None, gbp(4500), 30).unwrap();
        assert_eq!((&*bait.plan_id, bait.monthly), ("bait", gbp(2000)));
    }

    #[test]
    fn a_withdrawn_plan_still_holds_but_is_not_on_sale() {
        let mut catalogue = catalogue();
        publish(&mut catalogue, "new", plan(3200, 10.0, day(0)));
        for (plan_id, from) in
            [("new", day(90)), ("old", day(10)), ("old", day(20)), ("never", day(0))]
        {
            let change =
                ReferenceChange::PlanWithdrawn { plan_id: plan_id.into(), effective_from: from };
            catalogue.apply(&change);
        }
        let old = catalogue.plan("old", day(100)).unwrap();
        assert_eq!((old.version.price, old.is_withdrawn), (gbp(4500), true));
        assert!(!catalogue.plan("new", day(89)).unwrap().is_withdrawn);
        assert_eq!(catalogue.plan("never", day(100)), None);
        assert_eq!(best(&catalogue, None), None, "withdrawn on day 90");
        publish(
            &mut catalogue,
            "new",
            PlanVersion { on_sale_from: day(0), ..plan(3100, 10.0, day(95)) },
        );
        assert_eq!(best(&catalogue, None), Some(("new".to_owned(), 3100)), "back on sale");
    }

    #[test]
    fn of_an_unknown_plan_nothing_is_said() {
        let catalogue = catalogue();
        assert_eq!(catalogue.best_eq("lost", day(100), None, gbp(9900), 30), None);
        assert_eq!(catalogue.best_eq("small", day(-1), None, gbp(9900), 30), None);
    }

    #[test]
    fn a_one_off_is_spread_over_12_months() {
        let version = PlanVersion { one_off: Some(gbp(1206)), ..plan(1000, 1.0, day(0)) };
        assert_eq!(monthly(&version), Some(1100), "100.5 rounds to the even 1100");
        assert_eq!(monthly_price(1 << 53, Period::Days(1), 0), 274_150_997_816_644_731);
    }

    #[test]
    fn the_lowest_list_price_is_sought_among_those_in_force() {
        let mut catalogue = Catalogue::default();
        for (from, price) in [(0, gbp(900)), (10, gbp(1000)), (20, gbp(950)), (30, gbp(100))] {
            let change = ReferenceChange::PriceListed {
                sku: "book".into(),
                price,
                effective_from: day(from),
            };
            catalogue.apply(&change);
        }
        let lowest = |from, until| {
            let currency = Currency::new("GBP").unwrap();
            catalogue.lowest_list_price("book", from, until, currency).map(|price| price.minor)
        };
        assert_eq!(lowest(day(10), day(29)), Some(950));
        assert_eq!(lowest(day(12), day(12)), Some(1000));
        assert_eq!(lowest(day(9), day(30)), Some(100));
        assert_eq!(lowest(day(-5), day(-1)), None);
        assert_eq!(lowest(day(-5), day(0)), Some(900));
        assert_eq!(lowest(day(25), day(5)), Some(950));
    }
}
