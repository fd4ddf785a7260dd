//! Roll-ups over an organisation as part of an engine: what a step adds to them, and when a part is published. A part is this
//! partition's share of one unit; whoever reads parts adds up all partitions. None of it is about a single customer.

use super::entry::Entry;
use super::publish::Publication;
use crate::model::customer::Customer;
use crate::model::event::words;
use crate::model::organisation::{Organisation, RollUp, Standing, Unit};
use crate::model::squeeze::{Level, SqueezeSlot};
use crate::model::step::Step;
use crate::model::timer::TimerKind;
use crate::model::{Currency, Dimension, EventTime, Micros, Policy, Text, TrustPoint};

words! {
    /// What becomes of the roll-ups of an engine. No other output depends on it.
    RollUps { /// There are none, and they cost nothing.
        Off = "off", /// They are state, to be read with [`PartitionEngine::organisation`](super::PartitionEngine::organisation).
        Kept = "kept", /// They are kept, and published when the watermark enters another hour than that of their last change.
        Published = "published" }
}

/// One partition's part of one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct OrganisationPart {
    /// Which unit.
    pub unit: Unit,
    /// The partition's watermark.
    pub as_of: EventTime,
    /// Of the masses within, in [`Dimension`]'s order: parts of other half-lives cannot be added.
    pub half_lives_ms: [i64; 6],
    /// The policy's version.
    pub policy: Text,
    /// The sums.
    pub roll_up: RollUp,
}

impl OrganisationPart {
    pub(super) fn new(unit: Unit, roll_up: RollUp, as_of: EventTime, policy: &Policy) -> Self {
        let half_lives_ms = policy.dimensions.map(|dimension| dimension.half_life_ms);
        Self { unit, as_of, half_lives_ms, policy: policy.version.clone(), roll_up }
    }
}

/// Ends a step for the roll-ups: overdue promises to oneself are broken, and the customer stands where it now stands. `after` is
/// T now, `None` for one without evidence, who has no score.
pub(super) fn end_step(entry: &mut Entry, step: &mut Step<'_>, after: Option<&TrustPoint>) {
    entry.customer.break_overdue_internal_promises(step);
    let now = standing(&entry.customer, &entry.publication, step, after);
    let before = &mut entry.customer.standing;
    if let Some(organisation) = &mut step.organisation
        && before.as_deref() != now.as_ref()
    {
        organisation.stand(before.as_deref(), now.as_ref());
        *before = now.map(Box::new);
    }
}

/// Where a customer stands that has a published score and is still read again; the last review comes up to 400 days after its
/// last event.
fn standing(
    customer: &Customer,
    publication: &Publication,
    step: &Step<'_>,
    after: Option<&TrustPoint>,
) -> Option<Standing> {
    customer.timers.deadline(TimerKind::Review, "-")?;
    let (score, band) = publication.last?;
    let after = after?;
    let is_open_at = |level| {
        let is_open = |slot: &SqueezeSlot| slot.is_open() && slot.level() >= level;
        customer.squeezes.iter().any(is_open)
    };
    let is_squeezed = is_open_at(Level::Minor);
    let transparency = after.expected[Dimension::Transparency as usize];
    Some(Standing {
        score,
        band,
        is_told_honestly: Micros::round(transparency) >= step.policy.organisation.honest_from,
        is_overhung: publication.is_overhung(),
        is_squeezed,
        is_squeezed_hard: is_squeezed && is_open_at(Level::Major),
        is_marked: customer.is_vulnerable_at(step.as_of, step.policy),
        exposed: if is_squeezed { last_bills(customer) } else { Vec::new() },
    })
}

/// The last monthly bill of each subscription that was billed.
fn last_bills(customer: &Customer) -> Vec<(Currency, i64)> {
    let bills = customer.subscriptions.iter();
    bills.filter_map(|held| Some((held.price.value.currency, held.last_bill?.1))).collect()
}

/// A customer is erased: it stands nowhere any more. Sums over many stay.
pub(super) fn forget(organisation: &mut Option<Box<Organisation>>, entry: &Entry) {
    if let Some(organisation) = organisation {
        organisation.stand(entry.customer.standing.as_deref(), None);
    }
}
