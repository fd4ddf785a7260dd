//! All that is remembered of one customer, and the ways evidence enters it. The rules that decide what an event means are in
//! `rules`; nothing here publishes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::account::Accounts;
use super::event::{Attested, ConsentScope};
use super::fact::Fact;
use super::failure::FailureSlot;
use super::held::{EvidenceRing, HeldEvidence};
use super::loyalty::Loyalty;
use super::opinion::BetaPair;
use super::organisation::{InternalOutcome, Origin, Standing};
use super::promise::PromiseSlot;
use super::ring::{self, HashRing, RingHash};
use super::section::{Pack, Section};
use super::squeeze::{SqueezeSlot, SqueezeType};
use super::step::Step;
use super::subscription::Subscription;
use super::timer::Timers;
use super::{Class, EventTime, Evidence, EvidenceId, Money, Policy, Sign, Text, TrustState};

/// Promises to oneself remembered.
const INTERNAL_PROMISES: usize = 16;
/// Subscriptions, quotes, credits, resolved contacts, fees and guarantees remembered, each.
pub const FEW: usize = 4;

/// All that is remembered of one customer. What few steps ask for is in sections. It is packed as a [`Head`], and those.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Customer {
    /// Who.
    #[serde(skip)]
    pub id: Text,
    /// The largest accepted event time.
    pub clock: EventTime,
    /// The later of clock and latest fired timer.
    pub as_of: EventTime,
    /// The first accepted event's time.
    pub first_seen: EventTime,
    /// Hashes of source and id of the last accepted records.
    #[serde(skip)]
    pub records: Section<HashRing>,
    /// Hashes of the last natural keys.
    #[serde(skip)]
    pub natural_keys: Section<HashRing>,
    /// What is waited for.
    pub timers: Timers,
    /// Earned trust: firm conduct only.
    #[serde(skip)]
    pub trust: Section<TrustState>,
    /// Direct evidence that can be taken back.
    #[serde(skip)]
    pub evidence: Section<EvidenceRing>,
    /// The promise ledger, at most 16.
    #[serde(skip)]
    pub promises: Section<Vec<PromiseSlot>>,
    /// Promises to oneself, for roll-ups only: at most 16, empty unless there are some.
    #[serde(skip)]
    pub internal_promises: Section<Vec<InternalPromise>>,
    /// What it contributes to the standings of all customers, if roll-ups are kept.
    pub standing: Option<Box<Standing>>,
    /// At most 8.
    #[serde(skip)]
    pub failures: Section<Vec<FailureSlot>>,
    /// At most 12.
    #[serde(skip)]
    pub squeezes: Section<Vec<SqueezeSlot>>,
    /// At most 4.
    #[serde(skip)]
    pub subscriptions: Section<Vec<Subscription>>,
    /// At most 4, oldest first.
    #[serde(skip)]
    pub quotes: Section<VecDeque<Quote>>,
    /// At most 4, oldest first.
    #[serde(skip)]
    pub credits: Section<VecDeque<Credit>>,
    /// Resolved contacts: at most 4, oldest first.
    #[serde(skip)]
    pub contacts: Section<VecDeque<ResolvedContact>>,
    /// Penalty fees: the last 4 to arrive.
    #[serde(skip)]
    pub fees: Section<VecDeque<Fee>>,
    /// Open price guarantees, at most 4.
    #[serde(skip)]
    pub guarantees: Section<Vec<Guarantee>>,
    /// What the customer says of the firm in general.
    #[serde(skip)]
    pub perceived: Section<BetaPair>,
    /// Failures told or mended before the customer had to ask.
    #[serde(skip)]
    pub proactive: Section<BetaPair>,
    /// Voluntary behaviour only; restricted.
    #[serde(skip)]
    pub loyalty: Section<Loyalty>,
    /// Money by currency.
    #[serde(skip)]
    pub accounts: Section<Accounts>,
    /// The last word on a vulnerability marker: set or cleared.
    pub vulnerability: Option<Fact<bool>>,
    /// The last word on marketing.
    pub marketing_consent: Option<Fact<bool>>,
    /// When the account was closed.
    pub closed_at: Option<EventTime>,
    /// What overflowed.
    #[serde(skip)]
    pub overflows: Section<Overflows>,
}

/// What of a [`Customer`] is in no section, in the same order: read apart, for a customer is too large to be handed around.
#[derive(Debug, Default, Deserialize)]
pub struct Head {
    clock: EventTime,
    as_of: EventTime,
    first_seen: EventTime,
    timers: Timers,
    standing: Option<Box<Standing>>,
    vulnerability: Option<Fact<bool>>,
    marketing_consent: Option<Fact<bool>>,
    closed_at: Option<EventTime>,
}

impl Head {
    /// That of a customer first heard of at `time`.
    pub fn new(time: EventTime) -> Self {
        Self { clock: time, as_of: time, first_seen: time, ..Self::default() }
    }
}

/// How often a bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Overflows {
    /// Promises that left an overfull ledger.
    pub ledger: u64,
    /// Squeezes that left.
    pub squeeze: u64,
    /// Subscriptions that left.
    pub subscription: u64,
    /// Trials not opened.
    pub trial: u64,
    /// Guarantees not opened.
    pub guarantee: u64,
}

/// A promise the firm made to itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternalPromise {
    /// Names it.
    pub id: Text,
    /// Where it was made.
    pub origin: Origin,
    /// Due time and grace.
    pub deadline: EventTime,
}

/// A quote and what was charged on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Names it.
    pub id: Text,
    /// When it was given.
    pub given_at: EventTime,
    /// All that was mandatory.
    pub total: Money,
    /// Charged so far, extras apart, minor units.
    pub charged: i64,
    /// Excess already evaluated, minor units.
    pub evaluated: i64,
}

/// Money the firm holds for a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Names it.
    pub id: Text,
    /// When it was granted.
    pub granted_at: EventTime,
    /// What is left.
    pub balance: Money,
    /// The customer paid for it.
    pub is_paid_for: bool,
    /// The last notice that it will expire.
    pub noticed_at: Option<EventTime>,
}

/// A contact that was closed as resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedContact {
    /// The issue, or the contact itself if it named none.
    pub issue: Text,
    /// Whether `issue` is an issue.
    pub has_issue: bool,
    /// The contact.
    pub contact_id: Text,
    /// When it was closed.
    pub closed_at: EventTime,
    /// Who said so.
    pub attested_by: Attested,
}

/// A penalty fee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// Names it.
    pub id: Text,
    /// What it was charged for.
    pub cause_id: Option<Text>,
    /// When.
    pub charged_at: EventTime,
    /// How much.
    pub amount: Money,
    /// It was waived.
    pub is_waived: bool,
    /// The squeeze slot it was judged in.
    pub squeeze_key: Option<Text>,
}

/// A price guarantee on an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarantee {
    /// The order.
    pub order_id: Text,
    /// The article.
    pub sku: Text,
    /// What was paid.
    pub paid: Money,
    /// When it was ordered.
    pub placed_at: EventTime,
    /// Until when a lower price counts.
    pub until: EventTime,
    /// Paid back so far, minor units.
    pub remedied: i64,
}

/// The sections of a customer, in the order they are packed.
macro_rules! sections {
    ($customer:ident, $($reference:tt)+) => {[
        $($reference)+ $customer.records,
        $($reference)+ $customer.natural_keys,
        $($reference)+ $customer.evidence,
        $($reference)+ $customer.promises,
        $($reference)+ $customer.internal_promises,
        $($reference)+ $customer.failures,
        $($reference)+ $customer.squeezes,
        $($reference)+ $customer.subscriptions,
        $($reference)+ $customer.quotes,
        $($reference)+ $customer.credits,
        $($reference)+ $customer.contacts,
        $($reference)+ $customer.fees,
        $($reference)+ $customer.guarantees,
        $($reference)+ $customer.trust,
        $($reference)+ $customer.perceived,
        $($reference)+ $customer.proactive,
        $($reference)+ $customer.loyalty,
        $($reference)+ $customer.accounts,
        $($reference)+ $customer.overflows,
    ]};
}

impl Customer {
    /// How many sections there are.
    pub const SECTIONS: usize = 19;

    /// Its sections, in the order they are packed.
    pub fn sections(&self) -> [&dyn Pack; Self::SECTIONS] {
        sections!(self, &)
    }

    /// Its sections, in the order they are packed.
    pub fn sections_mut(&mut self) -> [&mut dyn Pack; Self::SECTIONS] {
        sections!(self, &mut)
    }

    /// Becomes the customer `id` with this head, in the memory of whoever it was. The sections are left to be replaced.
    pub fn become_head(&mut self, id: Text, head: Head) {
        self.id = id;
        // Every field by name: the compiler tells of one that is left out, which would stay that of somebody else.
        Head {
            clock: self.clock,
            as_of: self.as_of,
            first_seen: self.first_seen,
            timers: self.timers,
            standing: self.standing,
            vulnerability: self.vulnerability,
            marketing_consent: self.marketing_consent,
            closed_at: self.closed_at,
        } = head;
    }

    /// A customer first heard of at `time`.
    pub fn new(id: Text, time: EventTime) -> Self {
        Self {
            id,
            clock: time,
            as_of: time,
            first_seen: time,
            records: Section::default(),
            natural_keys: Section::default(),
            timers: Timers::default(),
            trust: Section::default(),
            evidence: Section::default(),
            promises: Section::default(),
            internal_promises: Section::default(),
            standing: None,
            failures: Section::default(),
            squeezes: Section::default(),
            subscriptions: Section::default(),
            quotes: Section::default(),
            credits: Section::default(),
            contacts: Section::default(),
            fees: Section::default(),
            guarantees: Section::default(),
            perceived: Section::default(),
            proactive: Section::default(),
            loyalty: Section::default(),
            accounts: Section::default(),
            vulnerability: None,
            marketing_consent: None,
            closed_at: None,
            overflows: Section::default(),
        }
    }

    /// Is this the first event with the natural key? If not, the step is marked a duplicate.
    pub fn is_first(&mut self, step: &mut Step<'_>, kind: &str, key: &str) -> bool {
        let is_first = self.natural_keys.insert(RingHash::of([kind, key]));
        step.is_duplicate |= !is_first;
        is_first
    }

    /// Records direct evidence, unless its weight is 0 or the ring holds its id. Whether it was recorded.
    pub fn observe(
        &mut self,
        step: &mut Step<'_>,
        class: Class,
        key: &str,
        sign: Sign,
        weight: f64,
        time: EventTime,
    ) -> bool {
        if weight <= 0.0 || self.evidence.contains(class, key) {
            return false;
        }
        let evidence = Evidence { class, key: key.into(), sign, weight, time };
        self.note_recorded(step, &evidence);
        let origin = step.origin;
        self.evidence.push(HeldEvidence { evidence, origin, is_retracted: false });
        true
    }

    /// Records direct evidence for the firm at the step's time.
    pub fn credit(&mut self, step: &mut Step<'_>, class: Class, key: &str, weight: f64) -> bool {
        self.observe(step, class, key, Sign::Positive, weight, step.time)
    }

    /// Records direct evidence against the firm at the step's time.
    pub fn blame(&mut self, step: &mut Step<'_>, class: Class, key: &str, weight: f64) -> bool {
        self.observe(step, class, key, Sign::Negative, weight, step.time)
    }

    /// Does the ring hold this evidence, not taken back?
    pub fn holds_evidence(&self, id: EvidenceId) -> bool {
        self.evidence.iter().any(|held| !held.is_retracted && held.id() == id)
    }

    /// Has a duty been judged, one way or the other?
    pub fn has_judged(&self, key: &str) -> bool {
        let is_held = |class| self.evidence.contains(class, key);
        is_held(Class::TraNoticeOk) || is_held(Class::TraNoticeMissed)
    }

    /// Takes direct evidence in the ring back exactly; its id stays. Whether it was there.
    pub fn retract(&mut self, step: &mut Step<'_>, id: EvidenceId) -> bool {
        let Some(HeldEvidence { evidence, origin, .. }) = self.evidence.retract(id) else {
            return false;
        };
        let origin = std::mem::replace(&mut step.origin, origin);
        self.note_retracted(step, &evidence);
        step.origin = origin;
        true
    }

    /// Replaces what a slot supported by what it supports now: what is the same stays.
    pub fn replace_evidence(
        &mut self,
        step: &mut Step<'_>,
        before: &[Evidence],
        after: &[Evidence],
    ) {
        for evidence in before.iter().filter(|evidence| !after.contains(evidence)) {
            self.note_retracted(step, evidence);
        }
        for evidence in after.iter().filter(|evidence| !before.contains(evidence)) {
            self.note_recorded(step, evidence);
        }
    }

    /// Evidence enters trust, and the roll-ups where the step belongs.
    fn note_recorded(&mut self, step: &mut Step<'_>, evidence: &Evidence) {
        self.trust.record(evidence, step.policy);
        if step.is_audited {
            step.recorded.push(evidence.clone());
        }
        if let Some(organisation) = &mut step.organisation {
            let customer = ring::ring_hash(["customer", &self.id]);
            organisation.record(step.origin, customer, evidence, step.policy);
        }
    }

    fn note_retracted(&mut self, step: &mut Step<'_>, evidence: &Evidence) {
        self.trust.retract(evidence, step.policy);
        if step.is_audited {
            step.retracted.push(evidence.clone());
        }
        if let Some(organisation) = &mut step.organisation {
            organisation.retract(step.origin, evidence, step.policy);
        }
    }

    /// Remembers a promise to oneself; in a full list the one due first leaves uncounted.
    pub fn note_internal_promise(&mut self, step: &Step<'_>, id: &Text, deadline: EventTime) {
        let is_known = self.internal_promises.iter().any(|held| held.id == *id);
        if step.organisation.is_none() || is_known {
            return;
        }
        if self.internal_promises.len() == INTERNAL_PROMISES {
            let first = self.internal_promises.iter().enumerate();
            let first = first.min_by_key(|(_, held)| (held.deadline, held.id.clone()));
            first.map(|(place, _)| place).map(|place| self.internal_promises.remove(place));
        }
        let promise = InternalPromise { id: id.clone(), origin: step.origin, deadline };
        self.internal_promises.push(promise);
    }

    /// A promise to oneself ended, if there is one of this id.
    pub fn end_internal_promise(&mut self, step: &mut Step<'_>, id: &str, said: InternalOutcome) {
        let place = self.internal_promises.iter().position(|held| *held.id == *id);
        let Some(held) = place.map(|place| self.internal_promises.remove(place)) else { return };
        let is_late = held.deadline < step.time;
        let outcome = if is_late { InternalOutcome::Broken } else { said };
        if let Some(organisation) = &mut step.organisation {
            organisation.count_internal_promise(held.origin, outcome);
        }
    }

    /// Promises to oneself that nothing was heard of by their deadline are broken.
    pub fn break_overdue_internal_promises(&mut self, step: &mut Step<'_>) {
        while let Some(overdue) =
            self.internal_promises.iter().find(|held| held.deadline < step.as_of)
        {
            let id = overdue.id.clone();
            self.end_internal_promise(step, &id, InternalOutcome::Broken);
        }
    }

    /// The plan of the subscription `id`.
    pub fn plan_of(&self, id: Option<&str>) -> Option<Text> {
        self.subscription(id?).map(|held| held.plan.value.clone())
    }

    /// The subscription `id`.
    pub fn subscription(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions.iter().find(|held| *held.id == *id)
    }

    /// The subscription `id`, noted as mentioned at the step's time.
    pub fn mention_subscription(&mut self, step: &Step<'_>, id: &str) -> Option<&mut Subscription> {
        let held = self.subscriptions.iter_mut().find(|held| *held.id == *id)?;
        held.latest_event = held.latest_event.max(step.time);
        Some(held)
    }

    /// Is a vulnerability marker active at the step's time?
    pub fn is_vulnerable(&self, step: &Step<'_>) -> bool {
        self.is_vulnerable_at(step.time, step.policy)
    }

    /// Is a vulnerability marker active at `time`?
    pub fn is_vulnerable_at(&self, time: EventTime, policy: &Policy) -> bool {
        let active_days = policy.vulnerability.active_days;
        self.vulnerability.as_ref().is_some_and(|marker| {
            marker.value && marker.at.time <= time && time < marker.at.time.plus_days(active_days)
        })
    }

    /// Is `squeeze` looked for on the plan of `subscription`?
    pub fn looks_for(
        &self,
        step: &Step<'_>,
        squeeze: SqueezeType,
        subscription: Option<&str>,
    ) -> bool {
        let plan = subscription.and_then(|id| self.subscription(id)).map(|held| &*held.plan.value);
        step.policy.looks_for(squeeze, plan)
    }

    /// Takes in a word on consent; only marketing is remembered.
    pub fn note_consent(&mut self, step: &Step<'_>, scope: ConsentScope, granted: bool) {
        if scope == ConsentScope::Marketing {
            super::fact::keep_latest(&mut self.marketing_consent, Fact::new(step.stamp(), granted));
        }
    }

    /// The customer could leave without a fee and nobody stands in the way.
    pub fn is_free(&self, time: EventTime) -> bool {
        !self.subscriptions.iter().any(|held| held.is_locked_in(time))
            && !self.squeezes.iter().any(|slot| slot.kind == SqueezeType::S05 && slot.is_open())
    }
}

/// Takes `entry` in; if there are more than [`FEW`], the oldest goes, ties by id: `age` is its time and its id. What went.
pub fn keep_few<T>(
    entries: &mut VecDeque<T>,
    entry: T,
    age: impl Fn(&T) -> (EventTime, Text),
) -> Option<T> {
    entries.push_back(entry);
    if entries.len() <= FEW {
        return None;
    }
    let oldest = entries.iter().enumerate().min_by_key(|(_, held)| age(held))?.0;
    entries.remove(oldest)
}
