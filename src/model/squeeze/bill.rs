//! A bill as the detectors see it: what is judged, by the month.

use super::{Comparator, Finding, SqueezeSlot, SqueezeState, SqueezeType};
use crate::model::event::Invoice;
use crate::model::number::div_half_even;
use crate::model::step::Step;
use crate::model::subscription::Subscription;
use crate::model::{BestPlan, Currency, EventTime, Money, Text, months_billed};

/// An invoice for a known subscription, in its currency.
#[derive(Debug)]
pub struct Bill<'a> {
    /// The invoice.
    pub invoice: &'a Invoice,
    /// When it was issued.
    pub time: EventTime,
    /// First day billed.
    pub period_start: EventTime,
    /// Months billed, as an exact fraction.
    months: (i64, i64),
    /// The subscription's own cost on it, minor units.
    pub recurring: i64,
    /// B: that by the month, minor units.
    pub monthly: i64,
    /// Of every amount judged.
    pub currency: Currency,
    /// The plan billed.
    pub plan_id: Text,
    /// The catalogue knows the plan.
    pub is_plan_known: bool,
    /// The plan that serves as well for least, open to existing customers.
    pub best_eq: Option<BestPlan>,
}

impl<'a> Bill<'a> {
    /// What `invoice` bills `subscription`; `None` if it bills no subscription, or in another currency.
    pub fn new(step: &Step<'_>, subscription: &Subscription, invoice: &'a Invoice) -> Option<Self> {
        let billed = invoice.subscription.as_ref()?;
        let currency = subscription.price.value.currency;
        if invoice.total.currency != currency {
            return None;
        }
        let months = months_billed(billed.period_start, billed.period_end);
        let plan_id = billed.plan_id.clone().unwrap_or_else(|| subscription.plan.value.clone());
        let recurring = invoice.recurring_minor;
        let monthly = scaled(recurring, (months.1, months.0));
        let segment = subscription.start.value.segment.as_deref();
        Some(Self {
            invoice,
            time: step.time,
            period_start: billed.period_start,
            months,
            recurring,
            monthly,
            currency,
            is_plan_known: step.catalogue.plan(&plan_id, step.time).is_some(),
            best_eq: step.catalogue.best_eq(
                &plan_id,
                step.time,
                segment,
                Money::new(monthly, currency),
                step.policy.catalogue.on_sale_days,
            ),
            plan_id,
        })
    }

    /// Months billed.
    pub fn months(&self) -> f64 {
        self.months.0 as f64 / self.months.1 as f64
    }

    /// What the period would have cost at `monthly` a month, minor units, round half even.
    pub fn at(&self, monthly: i64) -> i64 {
        scaled(monthly, self.months)
    }

    /// The recurring amount is `excess` a month too high: `added` was taken by this bill.
    pub fn finding(
        &self,
        kind: SqueezeType,
        subscription: &Subscription,
        subject: &str,
        found: Excess,
    ) -> Finding {
        Finding {
            kind,
            subscription: Some(subscription.id.clone()),
            subject: subject.into(),
            currency: self.currency,
            excess_monthly: found.monthly as f64,
            added: found.added.max(0),
            bill: Some(self.monthly),
            comparator: None,
            reference: self.invoice.invoice_id.clone(),
            evidence_per_severity: self.months(),
            culpability_share: 1.0,
            baseline: None,
            accrued_by_cause: 0,
        }
    }

    /// The bill measured against `plan`: what it is too high by, and by comparison with what.
    pub fn finding_against(
        &self,
        kind: SqueezeType,
        subscription: &Subscription,
        subject: &str,
        plan: &BestPlan,
    ) -> Finding {
        let cost = plan.monthly.minor;
        let excess = Excess { monthly: self.monthly - cost, added: self.recurring - self.at(cost) };
        let comparator = Comparator {
            plan_id: plan.plan_id.clone(),
            monthly: plan.monthly,
            effective_from: plan.effective_from,
        };
        let finding = self.finding(kind, subscription, subject, excess);
        Finding { comparator: Some((comparator, plan.on_sale_from)), ..finding }
    }
}

/// By how much a bill is too high, minor units.
#[derive(Debug, Clone, Copy)]
pub struct Excess {
    /// A month.
    pub monthly: i64,
    /// On this bill.
    pub added: i64,
}

/// `minor` · numerator / denominator, round half even.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a period is at most 230 years, an amount below 2^53"
)]
fn scaled(minor: i64, (numerator, denominator): (i64, i64)) -> i64 {
    div_half_even(i128::from(minor) * i128::from(numerator), i128::from(denominator)) as i64
}

/// What a rule for the recurring amount is asked: pure facts, no state of its own.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Policy, catalogue and time.
    pub step: &'a Step<'a>,
    /// The record.
    pub subscription: &'a Subscription,
    /// The bill.
    pub bill: &'a Bill<'a>,
    /// The customer's squeezes, for the rules that go on from an earlier finding.
    pub slots: &'a [SqueezeSlot],
}

impl Question<'_> {
    /// The answer of a rule that goes on from an earlier finding: it takes what the bill is above the baseline of an open slot of
    /// `kind` on the subscription that it still `holds` for; of several, of the one of least baseline.
    pub fn going_on(self, kind: SqueezeType, holds: fn(&SqueezeSlot, Self) -> bool) -> Answer {
        let Self { subscription, bill, slots, .. } = self;
        let is_going_on = |slot: &&SqueezeSlot| {
            slot.kind == kind
                && (slot.is_open() || slot.state == SqueezeState::Pending)
                && slot.subscription.as_deref() == Some(&*subscription.id)
                && holds(slot, self)
        };
        let found =
            slots.iter().filter(is_going_on).min_by_key(|slot| (slot.baseline, slot.key.clone()));
        Answer::from_finding(found.and_then(|slot| {
            let excess = Excess { monthly: 0, added: bill.recurring - bill.at(slot.baseline?) };
            let finding = bill.finding(kind, subscription, &slot.subject, excess);
            Some(Finding { excess_monthly: slot.excess_monthly, ..finding })
        }))
    }
}

/// What a rule for the recurring amount answers.
#[derive(Debug)]
pub enum Answer {
    /// It does not hold; the next rule is asked.
    Quiet,
    /// It holds and takes the amount.
    Holds(Box<Finding>),
    /// It takes the amount, though nothing was charged.
    Ends,
}

impl Answer {
    /// Holds, where there is a finding.
    pub fn from_finding(finding: Option<Finding>) -> Self {
        finding.map_or(Self::Quiet, |finding| Self::Holds(Box::new(finding)))
    }
}
