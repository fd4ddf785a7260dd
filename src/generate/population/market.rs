//! What the firm of the planted population sells beyond the telecom's plans: the plans that rules and guards need.
//!
//! The `solo` plans each have a perk of their own, so nothing compares with them: a story about something else stays its own.

use std::sync::Arc;

use super::super::offers::{self, pounds};
use crate::model::event::{ReferenceChange, ReferenceEvent};
use crate::model::{Attribute, Event, EventTime, Period, PlanVersion};

/// A plan: its id and price a month in pence.
pub(super) type Plan = (&'static str, i64);

/// Plans that compare with nothing.
pub(super) const SOLO: [Plan; 3] = [("solo-s", 1200), ("solo-m", 2400), ("solo-l", 3600)];
/// As the smallest of [`SOLO`]: one may move to it without a bill shock.
pub(super) const BESIDE: Plan = ("solo-xs", 1100);
/// Equal to today's largest plan and cheaper, for one segment only.
pub(super) const STUDENT: Plan = ("student-l", 2500);
/// The segment of [`STUDENT`].
pub(super) const STUDENTS: &str = "student";
/// A legacy plan with a perk that no plan of today has.
pub(super) const CLASSIC_TV: Plan = ("classic-tv", 3500);
/// 90 pence dearer than today's equal plan.
pub(super) const CLASSIC_XS: Plan = ("classic-xs", 1290);
/// 2.5 % dearer than [`FLEX_XL`], which is equal.
pub(super) const CLASSIC_XL: Plan = ("classic-xl", 6000);
const FLEX_XL: Plan = ("flex-xl", 5850);
/// A legacy plan whose equal comes in mid-time, see [`fibre_on_sale`].
pub(super) const CLASSIC_FIBRE: Plan = ("classic-fibre", 4000);
const FLEX_FIBRE: Plan = ("flex-fibre", 3300);
/// A bait for newcomers, a pound below today's largest plan: less than 5 % of it.
const WELCOME_L: Plan = ("welcome-l", 3100);

/// When the equal of [`CLASSIC_FIBRE`] comes on sale.
pub(super) fn fibre_on_sale(from: EventTime) -> EventTime {
    from.plus_months(9)
}

/// The telecom's catalogue and list prices, and the plans above.
pub(super) fn reference_events(from: EventTime) -> Vec<Event> {
    let (long_ago, relaunch) = (from.plus_months(-96), from.plus_months(-offers::RELAUNCH_MONTHS));
    let student =
        PlanVersion { segments: [STUDENTS.into()].into(), ..like_flex(STUDENT, relaunch, None) };
    let welcome = PlanVersion { new_customers_only: true, ..like_flex(WELCOME_L, relaunch, None) };
    let mut plans = vec![
        (STUDENT, student),
        (WELCOME_L, welcome),
        (CLASSIC_TV, like_classic(CLASSIC_TV, long_ago, Some("tv"))),
        (CLASSIC_XS, like_classic(CLASSIC_XS, long_ago, None)),
        (CLASSIC_XL, like_classic(CLASSIC_XL, long_ago, Some("sport"))),
        (FLEX_XL, like_flex(FLEX_XL, relaunch, Some("sport"))),
        (CLASSIC_FIBRE, like_classic(CLASSIC_FIBRE, long_ago, Some("fibre"))),
        (FLEX_FIBRE, like_flex(FLEX_FIBRE, fibre_on_sale(from), Some("fibre"))),
    ];
    plans.extend(
        [SOLO[0], SOLO[1], SOLO[2], BESIDE]
            .map(|solo| (solo, version(solo, long_ago, perk(solo.0)))),
    );
    let changes = plans.into_iter().map(|((id, _), version)| ReferenceChange::PlanPublished {
        plan_id: id.into(),
        version: Arc::new(version),
    });
    let withdrawn = [CLASSIC_TV, CLASSIC_XS, CLASSIC_XL, CLASSIC_FIBRE].map(|(id, _)| {
        ReferenceChange::PlanWithdrawn { plan_id: id.into(), effective_from: relaunch }
    });
    let ours = changes.chain(withdrawn).enumerate().map(|(n, change)| {
        Event::Reference(ReferenceEvent {
            id: format!("m{}", n + 1).into(),
            source: "/catalogue".into(),
            time: from.plus_days(-30),
            change,
        })
    });
    offers::reference_events(from).into_iter().chain(ours).collect()
}

type Attributes = Vec<(&'static str, Attribute)>;

fn perk(name: &str) -> Attributes {
    vec![("perks", Attribute::Set([name.into()].into()))]
}

/// As little as any plan of today offers.
fn like_classic(plan: Plan, published: EventTime, of_its_own: Option<&str>) -> PlanVersion {
    let basics = basics(5.0, 300.0, &["EU"], 1);
    version(
        plan,
        published,
        basics.into_iter().chain(of_its_own.map_or_else(Vec::new, perk)).collect(),
    )
}

/// As much as any plan of today offers.
fn like_flex(plan: Plan, published: EventTime, of_its_own: Option<&str>) -> PlanVersion {
    let basics = basics(f64::INFINITY, f64::INFINITY, &["EU", "US"], 3);
    version(
        plan,
        published,
        basics.into_iter().chain(of_its_own.map_or_else(Vec::new, perk)).collect(),
    )
}

/// The attributes of the telecom's own plans; infinity is no limit.
fn basics(data_gb: f64, minutes: f64, roaming: &[&str], support: u16) -> Attributes {
    let limit = |value: f64| Attribute::Max(value.is_finite().then_some(value));
    vec![
        ("data_gb", limit(data_gb)),
        ("minutes", limit(minutes)),
        ("roaming", Attribute::Set(roaming.iter().map(|place| (*place).into()).collect())),
        ("support", Attribute::Ord(support)),
        ("term_months", Attribute::Min(Some(1.0))),
    ]
}

fn version((_, minor): Plan, published: EventTime, attributes: Attributes) -> PlanVersion {
    PlanVersion {
        price: pounds(minor),
        period: Period::MONTH,
        one_off: None,
        effective_from: published,
        on_sale_from: published,
        attributes: attributes.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        segments: [].into(),
        new_customers_only: false,
    }
}
