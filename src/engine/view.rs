//! A read-out of one customer's state, for files and queries.

use std::collections::BTreeMap;

use super::entry::Entry;
use crate::model::customer::Overflows;
use crate::model::decay::ReadTimes;
use crate::model::squeeze::{SqueezeSlot, SqueezeState, SqueezeType};
use crate::model::{
    Account, Band, Currency, Dimension, EventTime, LoyaltyReading, Micros, Policy, PromiseOutcome,
    Text, TrustReading,
};

/// One customer, read at the later of its `as_of` and the partition's watermark.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerView {
    /// Who.
    pub customer: Text,
    /// The later of clock and latest fired timer.
    pub as_of: EventTime,
    /// Largest accepted event time.
    pub clock: EventTime,
    /// Band of the last publication.
    pub band: Option<Band>,
    /// T of the last publication.
    pub last_published: Option<Micros>,
    /// T and all that explains it.
    pub trust: TrustReading,
    /// L; restricted.
    pub loyalty: LoyaltyReading,
    /// P.
    pub perceived: Micros,
    /// PR.
    pub proactive_ratio: Micros,
    /// Reciprocity trials ended, Σ residual, Σ p₀(1−p₀); restricted.
    pub reciprocity: ReciprocityView,
    /// Of the promise slots, by id.
    pub promises: BTreeMap<Text, PromiseOutcome>,
    /// Of the squeeze slots, pending ones too, by dedup key.
    pub squeezes: BTreeMap<Text, SqueezeView>,
    /// By currency.
    pub money: BTreeMap<Currency, MoneyView>,
    /// Of what overflowed, by name; only those that moved.
    pub counters: BTreeMap<&'static str, u64>,
    /// Breaches of standard weight the relationship survives before T falls to 0.5, 0 to 99; restricted.
    pub reserve: Micros,
}

/// Reciprocity so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReciprocityView {
    /// Trials ended.
    pub trials: u64,
    /// Σ residual.
    pub residual: Micros,
    /// Σ p₀(1−p₀).
    pub variance: Micros,
}

/// One squeeze slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqueezeView {
    /// The type.
    pub kind: SqueezeType,
    /// Its state.
    pub state: SqueezeState,
    /// From 1.
    pub generation: u32,
    /// What was taken, minor units.
    pub gross: i64,
    /// What was given back, minor units.
    pub refunded: i64,
    /// In [0, 1).
    pub severity: Micros,
}

/// A customer's money in one currency, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoneyView {
    /// Invoices, charges, fees, less what was waived.
    pub billed: i64,
    /// Accrued by squeezes once open.
    pub bad_profit: i64,
    /// Money and credit back.
    pub remedies: i64,
    /// Gifts.
    pub generosity: i64,
    /// billed − bad_profit − remedies.
    pub good_profit: i64,
    /// Owed for squeezes open, escalated or stopped.
    pub redress_liability: i64,
}

/// Where the goodwill reserve ends.
const RESERVE_UNTIL: f64 = 0.5;

/// Reads `entry` at the later of its `as_of` and `watermark`.
pub(super) fn read(entry: &Entry, watermark: Option<EventTime>, policy: &Policy) -> CustomerView {
    let customer = &entry.customer;
    let at = watermark.map_or(customer.as_of, |watermark| watermark.max(customer.as_of));
    let mut times = ReadTimes::new(at);
    let point = customer.trust.sums().at(&mut times, policy);
    let parts = customer.trust.parts(&point, policy);
    let [loyalty, consider, rely, forgive] =
        customer.loyalty.read(&mut times, policy).map(Micros::round);
    let reciprocity = customer.loyalty.reciprocity;
    CustomerView {
        customer: customer.id.clone(),
        as_of: at,
        clock: customer.clock,
        band: entry.publication.last.map(|(_, band)| band),
        last_published: entry.publication.last.map(|(score, _)| score),
        trust: point.reading(&parts, policy),
        loyalty: LoyaltyReading { loyalty, consider, rely, forgive },
        perceived: Micros::round(customer.perceived.expected(at, policy.perception.half_life_ms)),
        proactive_ratio: Micros::round(
            customer.proactive.expected(at, policy.proactive.half_life_ms),
        ),
        reciprocity: ReciprocityView {
            trials: reciprocity.trials,
            residual: Micros::round(reciprocity.residual),
            variance: Micros::round(reciprocity.variance),
        },
        promises: customer.promises.iter().map(|slot| (slot.id.clone(), slot.outcome)).collect(),
        squeezes: squeezes(entry),
        money: money(entry),
        counters: counters(*customer.overflows),
        reserve: Micros::round(point.reserve_overall(Dimension::Integrity, RESERVE_UNTIL, policy)),
    }
}

fn squeezes(entry: &Entry) -> BTreeMap<Text, SqueezeView> {
    let slots = entry.customer.squeezes.iter();
    let view = |slot: &SqueezeSlot| SqueezeView {
        kind: slot.kind,
        state: slot.state,
        generation: slot.generation,
        gross: slot.gross,
        refunded: slot.refunded,
        severity: Micros::round(slot.severity.value),
    };
    slots.map(|slot| (slot.key.clone(), view(slot))).collect()
}

fn money(entry: &Entry) -> BTreeMap<Currency, MoneyView> {
    let liability = |currency: Currency| {
        let slots = entry.customer.squeezes.iter();
        slots
            .filter(|slot| slot.currency == currency && slot.is_liability())
            .map(|slot| slot.accrued())
            .sum()
    };
    let view = |(currency, account): (Currency, Account)| {
        let view = MoneyView {
            billed: account.billed,
            bad_profit: account.bad_profit,
            remedies: account.remedies,
            generosity: account.generosity,
            good_profit: account.good_profit(),
            redress_liability: liability(currency),
        };
        (currency, view)
    };
    entry.customer.accounts.iter().map(view).collect()
}

fn counters(overflows: Overflows) -> BTreeMap<&'static str, u64> {
    let Overflows { ledger, squeeze, subscription, trial, guarantee } = overflows;
    let named = [
        ("ledger_overflow", ledger),
        ("squeeze_overflow", squeeze),
        ("subscription_overflow", subscription),
        ("trial_overflow", trial),
        ("guarantee_overflow", guarantee),
    ];
    named.into_iter().filter(|(_, count)| *count > 0).collect()
}
