//! One partition as a pure state machine: inputs in, effects out, in a fixed order. It performs nothing itself.

mod effect;
mod entry;
mod explanation;
mod image;
mod input;
mod organisation;
mod output;
mod publish;
mod store;
mod verify;
mod view;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

pub use effect::{Action, Effect, SourcePosition};
pub use entry::LAYOUT;
pub use explanation::{Explanation, Grounds, explain, explain_change};
pub use image::{Image, ImageError};
pub use input::{Input, Reason, Rejection};
pub use organisation::{OrganisationPart, RollUps};
pub use output::{Output, Stream};
pub use publish::Moved;
pub use verify::{Case, Check, Claim, TOLERANCE, Verifier};
pub use view::{CustomerView, MoneyView, ReciprocityView, SqueezeView};

pub use crate::model::output::{Breach, EvidenceNote, OutputBody, ScoreChanged};
pub use crate::model::squeeze::{Comparator, SqueezeAlert, SqueezeChange};
pub use crate::model::{DimensionReading, LoyaltyReading, TrustReading};

use self::entry::Entry;
use self::publish::StepCount;
use self::store::{Place, Store};
use crate::model::customer::Customer;
use crate::model::event::Body;
use crate::model::organisation::{Organisation, RollUp, Unit};
use crate::model::ring::RingHash;
use crate::model::squeeze::SqueezeState;
use crate::model::step::Step;
use crate::model::timer::{Timer, TimerKind};
use crate::model::{
    Catalogue, CustomerEvent, Event, EventTime, EvidenceId, Policy, ReferenceChange,
    ReferenceEvent, Text, TrustState, Warming,
};

/// Changes only when the bytes of some vector change.
pub const ENGINE: u32 = 1;

/// Roll-ups are published when the watermark enters another one of these.
const HOUR_MS: i64 = 3_600_000;

/// What an engine is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The policy in force from the start.
    pub policy: Arc<Policy>,
    /// Salts the hashes of erased customers: the lineage; zeros in files. No output depends on it.
    pub salt: [u8; 16],
    /// Publish `evidence.recorded` and `evidence.retracted` too. No other output depends on it.
    pub audit: bool,
}

/// What the engine counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Records taken in.
    pub records: u64,
    /// Of those, accepted; reference events and ticks among them.
    pub accepted: u64,
    /// Same source and id, or same natural key.
    pub duplicates: u64,
    /// Set aside.
    pub dead_letters: u64,
    /// Timers fired.
    pub timers_fired: u64,
    /// Of the accepted, those of a customer of whom something later was known.
    pub late: u64,
    /// Squeezes that are open at present, or stopped and not made good.
    pub alerts_open: u64,
}

/// The state machine of one partition.
#[derive(Debug)]
pub struct PartitionEngine {
    settings: Settings,
    header: Header,
    /// The header as of the last commit.
    committed: Header,
    store: Store,
    roll_ups: RollUps,
    /// Unless roll-ups are off.
    organisation: Option<Box<Organisation>>,
}

/// All the engine owns besides its customers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Header {
    offset_next: i64,
    /// Where the last effect came from; the ordinal is the next one's.
    source: SourcePosition,
    reference_offset_next: i64,
    /// As of that offset: not in an image, which the reference log completes.
    #[serde(skip)]
    catalogue: Arc<Catalogue>,
    /// In force; not in an image either.
    #[serde(skip)]
    policy: Arc<Policy>,
    warming: Warming,
    watermark: Option<EventTime>,
    /// The hour of the watermark when roll-ups were last published.
    published_hour: Option<i64>,
    counters: Counters,
}

impl PartitionEngine {
    /// An engine without state, that sees no reference data yet.
    pub fn new(settings: Settings) -> Self {
        let header = Header { policy: Arc::clone(&settings.policy), ..Header::default() };
        Self {
            settings,
            committed: header.clone(),
            header,
            store: Store::default(),
            roll_ups: RollUps::Off,
            organisation: None,
        }
    }

    /// The same engine with roll-ups over the organisation; to be chosen before the first record.
    #[must_use]
    pub fn with_roll_ups(mut self, roll_ups: RollUps) -> Self {
        self.roll_ups = roll_ups;
        self.organisation = (roll_ups != RollUps::Off).then(Box::default);
        if self.store.forgoes_undo() { self.without_undo() } else { self }
    }

    /// The same engine, for whom everything is final at once: it keeps nothing as it was, and cannot abort. For files, which have no
    /// transactions: keeping costs more than all else together.
    #[must_use]
    pub fn without_undo(mut self) -> Self {
        self.store.forgo_undo();
        if let Some(organisation) = &mut self.organisation {
            organisation.forgo_undo();
        }
        self
    }

    /// The same engine with at most so many customers unpacked; a few thousand unless said otherwise. No output depends on it.
    #[must_use]
    pub fn with_awake(mut self, customers: usize) -> Self {
        self.store.keep_awake(customers);
        self
    }

    /// Takes one input and appends what follows from it to `effects`, in the order to perform them.
    ///
    /// What it changes is kept as it was until [`commit`](Self::commit) or [`abort`](Self::abort): one of them must follow, soon.
    ///
    /// # Panics
    /// If a record's offset is behind one already handled, or a policy cannot replace the one in force.
    pub fn handle(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Record { offset, record } => {
                self.advance_to(offset);
                self.header.counters.records += 1;
                match record {
                    Ok(event) => self.observe(event, effects),
                    Err(rejection) => self.reject(rejection, effects),
                }
            }
            Input::Reference { seq, offset_next, catalogue } => {
                self.header.reference_offset_next = offset_next;
                self.header.catalogue = catalogue;
                self.follow_journal(seq);
            }
            Input::Policy { seq, policy } => {
                self.follow_journal(seq);
                self.activate(policy);
            }
            Input::Tick { seq, time } => {
                self.follow_journal(seq);
                self.advance_watermark(time, effects);
            }
        }
        self.publish_parts(effects);
    }

    fn advance_to(&mut self, offset: i64) {
        // Compaction and control records leave gaps, so an offset may jump forward. The source refuses any rewind.
        let expected = self.header.offset_next;
        assert!(expected <= offset, "offset {offset} is behind {expected}");
        self.header.offset_next = offset + 1;
        if self.header.source.offset != offset {
            self.header.source = SourcePosition { offset, seq: self.header.source.seq, ordinal: 0 };
        }
    }

    /// A journal record applies before the record at the next offset.
    fn follow_journal(&mut self, seq: u64) {
        let (offset, source) = (self.header.offset_next, self.header.source);
        if (source.offset, source.seq) != (offset, seq) {
            self.header.source = SourcePosition { offset, seq, ordinal: 0 };
        }
    }

    fn observe(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Customer(event) => self.observe_customer(*event, effects),
            Event::Reference(event) => self.observe_reference(&event, effects),
            Event::Tick(time) => {
                self.header.counters.accepted += 1;
                self.advance_watermark(time, effects);
            }
        }
    }

    /// A reference event among the events of a file. A policy that cannot replace the one in force is set aside.
    fn observe_reference(&mut self, event: &ReferenceEvent, effects: &mut Vec<Effect>) {
        match &event.change {
            ReferenceChange::PolicyPublished { policy } => {
                if let Some(rejection) = self.refusal_of(event) {
                    return self.reject(rejection, effects);
                }
                self.activate(Arc::clone(policy.policy()));
            }
            change => Arc::make_mut(&mut self.header.catalogue).apply(change),
        }
        self.header.counters.accepted += 1;
    }

    /// Why a reference event cannot take effect here: it is a policy that changes what stored masses hold. `None` if it can.
    pub fn refusal_of(&self, event: &ReferenceEvent) -> Option<Rejection> {
        let ReferenceChange::PolicyPublished { policy } = &event.change else { return None };
        let baked_in = policy.policy().can_replace(&self.header.policy).err()?;
        Some(Rejection {
            reason: Reason::BadData,
            detail: Some(format!("policy.{}", baked_in.key).into()),
            id: Some(event.id.to_string()),
            subject: None,
        })
    }

    /// Scores by `policy` from here on. The rules it changes gather first, unless nothing was seen yet: then all of history is theirs.
    fn activate(&mut self, policy: Arc<Policy>) {
        let header = &mut self.header;
        if let Err(baked_in) = policy.can_replace(&header.policy) {
            panic!("policy {} is not checked: {baked_in}", policy.version);
        }
        if let Some(watermark) = header.watermark {
            header.warming.begin(&header.policy, &policy, watermark);
        }
        header.policy = policy;
    }

    /// Checks an event of a customer in the order of the contract; one that fails changes nothing.
    fn observe_customer(&mut self, event: CustomerEvent, effects: &mut Vec<Effect>) {
        let refused_until = self.store.refused_until(self.settings.salt, &event.customer);
        if refused_until.is_some_and(|until| event.time <= until) {
            return self.reject(rejection(Reason::Erased, &event), effects);
        }
        let place = self.store.find(&event.customer);
        let held = match place {
            Some(place) => Some(&self.store.wake(place).customer),
            None => None,
        };
        let record = RingHash::of([&event.source, &event.id]);
        if held.is_some_and(|customer| customer.records.contains(record)) {
            self.header.counters.duplicates += 1;
            return;
        }
        let late_ms = self.header.policy.late_ms;
        if held.is_some_and(|customer| event.time < customer.clock.plus(-late_ms)) {
            return self.reject(rejection(Reason::TooLate, &event), effects);
        }
        if let Err(reason) = has_target(held, &event.body) {
            return self.reject(rejection(reason, &event), effects);
        }
        self.header.counters.accepted += 1;
        let is_late = held.is_some_and(|customer| event.time < customer.clock);
        self.header.counters.late += u64::from(is_late);
        self.advance_watermark(event.time.plus(-self.header.policy.grace_ms), effects);
        if event.body == Body::ErasureRequested {
            self.erase(&event, place, effects);
        } else {
            self.apply(&event, place, record, effects);
        }
    }

    /// Applies an accepted event as one step of its customer, who is at `place` unless it is new.
    fn apply(
        &mut self,
        event: &CustomerEvent,
        place: Option<Place>,
        record: RingHash,
        effects: &mut Vec<Effect>,
    ) {
        let Settings { audit, .. } = &self.settings;
        let Header { policy, catalogue, warming, .. } = &self.header;
        let id = &event.customer;
        let organisation = &mut self.organisation;
        let mut outputs = Vec::new();
        let place = place.unwrap_or_else(|| self.store.insert(id, event.time));
        let (as_of, count) = self.store.change(place, |entry| {
            let customer = &mut entry.customer;
            customer.records.push(record);
            let is_new = customer.timers.deadline(TimerKind::Review, "-").is_none();
            if customer.clock < event.time || is_new {
                customer.clock = customer.clock.max(event.time);
                customer.timers.arm(
                    TimerKind::Review,
                    "-",
                    customer.clock.plus(policy.review_interval_ms),
                );
            }
            customer.as_of = customer.as_of.max(customer.clock);
            let as_of = customer.as_of;
            let mut step = Step::new(policy, catalogue, event.time, as_of, event.id.clone());
            step.is_induced = event.causation_id.is_some();
            step.warming = warming;
            step.organisation = organisation.take();
            if let Some(organisation) = &mut step.organisation {
                step.origin = organisation.origin(event.channel.as_deref(), event.actor.as_ref());
            }
            let apply =
                |entry: &mut Entry, step: &mut Step<'_>| entry.customer.apply(step, &event.body);
            (as_of, publish::step(entry, step, *audit, apply, &mut outputs))
        });
        self.count(count, effects);
        self.publish(id, as_of, Some(event), outputs, effects);
    }

    /// Counts a step. What it takes back comes before what it says: a squeeze forgotten may be found anew.
    fn count(&mut self, step: StepCount, effects: &mut Vec<Effect>) {
        self.organisation = step.organisation;
        let counters = &mut self.header.counters;
        counters.duplicates += u64::from(step.is_duplicate);
        counters.alerts_open = counters.alerts_open.saturating_add_signed(step.alerts_opened);
        for key in step.forgotten {
            self.push(Action::ForgetSqueeze(key), effects);
        }
    }

    /// Moves the watermark, never back, and fires what is due by it.
    fn advance_watermark(&mut self, time: EventTime, effects: &mut Vec<Effect>) {
        let watermark = self.header.watermark.map_or(time, |watermark| watermark.max(time));
        self.header.watermark = Some(watermark);
        self.header.warming.end(watermark);
        while let Some(place) = self.store.first_due(watermark) {
            self.fire(place, effects);
        }
    }

    /// Fires the first timer of the customer at `place` as one step.
    fn fire(&mut self, place: Place, effects: &mut Vec<Effect>) {
        let Settings { audit, .. } = &self.settings;
        let Header { policy, catalogue, warming, .. } = &self.header;
        let organisation = &mut self.organisation;
        let mut outputs = Vec::new();
        let fired = self.store.change(place, |entry| {
            let customer = &mut entry.customer;
            let timer = customer.timers.pop()?;
            customer.as_of = customer.as_of.max(timer.deadline);
            let as_of = customer.as_of;
            let mut step = Step::new(policy, catalogue, timer.deadline, as_of, Text::default());
            step.warming = warming;
            step.origin = timer.origin;
            step.organisation = organisation.take();
            let fire = |entry: &mut Entry, step: &mut Step<'_>| {
                review_again(&mut entry.customer, &timer, policy);
                entry.customer.fire(step, &timer);
            };
            Some((as_of, publish::step(entry, step, *audit, fire, &mut outputs)))
        });
        if let Some((as_of, count)) = fired {
            self.header.counters.timers_fired += 1;
            self.count(count, effects);
            if !outputs.is_empty() {
                let id = self.store.id(place).clone();
                self.publish(&id, as_of, None, outputs, effects);
            }
        }
    }

    /// Drops all that is known of a customer and refuses what comes from before.
    fn erase(&mut self, event: &CustomerEvent, place: Option<Place>, effects: &mut Vec<Effect>) {
        let dropped = place.map(|place| self.store.remove(place));
        let as_of = dropped.as_ref().map_or(event.time, |entry| entry.customer.as_of);
        if let Some(entry) = &dropped {
            organisation::forget(&mut self.organisation, entry);
        }
        let slots = dropped.iter().flat_map(|entry| entry.customer.squeezes.iter());
        let open_alerts: Vec<_> =
            slots.clone().filter(|slot| slot.may_be_told_open()).map(|s| s.key.clone()).collect();
        let liabilities = slots.filter(|slot| slot.is_liability()).count();
        let counters = &mut self.header.counters;
        counters.alerts_open = counters.alerts_open.saturating_sub(liabilities as u64);
        self.store.refuse(self.settings.salt, &event.customer, event.time.max(as_of));
        let output = Output {
            customer: event.customer.clone(),
            time: event.time,
            sequence: 1,
            causation_id: Some(event.id.clone()),
            trace: event.trace.clone(),
            body: OutputBody::CustomerErased { open_alerts },
        };
        self.push(Action::Publish(Box::new(output)), effects);
    }

    fn publish(
        &mut self,
        id: &Text,
        time: EventTime,
        cause: Option<&CustomerEvent>,
        outputs: Vec<(u64, OutputBody)>,
        effects: &mut Vec<Effect>,
    ) {
        for (sequence, body) in outputs {
            let output = Output {
                customer: id.clone(),
                time,
                sequence,
                causation_id: cause.map(|event| event.id.clone()),
                trace: cause.and_then(|event| event.trace.clone()),
                body,
            };
            self.push(Action::Publish(Box::new(output)), effects);
        }
    }

    /// Publishes what changed of the organisation, once an hour of the watermark has passed. Last of all that a record causes, so
    /// that the places of other outputs do not depend on it.
    fn publish_parts(&mut self, effects: &mut Vec<Effect>) {
        let (RollUps::Published, Some(watermark)) = (self.roll_ups, self.header.watermark) else {
            return;
        };
        let hour = watermark.as_millis().div_euclid(HOUR_MS);
        let is_new = self.header.published_hour.replace(hour).is_some_and(|before| before < hour);
        let Some(organisation) = self.organisation.as_mut().filter(|_| is_new) else { return };
        for (unit, roll_up) in organisation.take_changed() {
            let part = OrganisationPart::new(unit, roll_up, watermark, &self.header.policy);
            self.push(Action::PublishPart(Box::new(part)), effects);
        }
    }

    fn reject(&mut self, rejection: Rejection, effects: &mut Vec<Effect>) {
        self.header.counters.dead_letters += 1;
        self.push(Action::DeadLetter(Box::new(rejection)), effects);
    }

    fn push(&mut self, action: Action, effects: &mut Vec<Effect>) {
        effects.push(Effect { source: self.header.source, action });
        self.header.source.ordinal += 1;
    }

    /// Makes all that was handled since the last commit final.
    pub fn commit(&mut self) {
        self.store.commit();
        if let Some(organisation) = &mut self.organisation {
            organisation.commit();
        }
        self.committed = self.header.clone();
    }

    /// Puts back the state of the last commit.
    ///
    /// # Panics
    /// If the engine was made [`without_undo`](Self::without_undo).
    pub fn abort(&mut self) {
        self.store.abort();
        if let Some(organisation) = &mut self.organisation {
            organisation.abort();
        }
        self.header = self.committed.clone();
    }

    /// Customers touched since the last commit: what an abort would have to put back.
    pub fn touched(&self) -> usize {
        self.store.touched()
    }

    /// A hash (XXH3-64, seed 0) of all the engine owns, for the check that an abort puts everything back. It reads every customer.
    pub fn state_hash(&self) -> u64 {
        let mut hash = Xxh3::new();
        hash.update(format!("{:?}", self.header).as_bytes());
        self.store.describe(&mut |bytes| hash.update(bytes));
        if let Some(organisation) = &self.organisation {
            organisation.describe(&mut |text| hash.update(text.as_bytes()));
        }
        hash.digest()
    }

    /// The next offset to handle; 0 before the first record.
    pub const fn offset_next(&self) -> i64 {
        self.header.offset_next
    }

    /// The `seq` of the last journal record handled; 0 before any.
    pub const fn seq(&self) -> u64 {
        self.header.source.seq
    }

    /// The next offset of the reference log that is not visible yet.
    pub const fn reference_offset_next(&self) -> i64 {
        self.header.reference_offset_next
    }

    /// The reference data it sees.
    pub const fn catalogue(&self) -> &Arc<Catalogue> {
        &self.header.catalogue
    }

    /// The policy in force.
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.header.policy
    }

    /// The rules that may not open a squeeze yet, because a policy changed them in flight.
    pub const fn warming(&self) -> &Warming {
        &self.header.warming
    }

    /// How far event time has come; `None` before the first customer event or tick.
    pub const fn watermark(&self) -> Option<EventTime> {
        self.header.watermark
    }

    /// What was counted.
    pub const fn counters(&self) -> Counters {
        self.header.counters
    }

    /// Customers held.
    pub fn customer_count(&self) -> usize {
        self.store.len()
    }

    /// About the bytes all customers take: those at rest to the byte, those awake by their number.
    pub fn store_bytes(&self) -> usize {
        self.store.bytes()
    }

    /// The trust state of one customer, unrounded.
    pub fn trust(&self, id: &str) -> Option<TrustState> {
        self.store.read(id).map(|entry| TrustState::clone(&entry.customer.trust))
    }

    /// One customer, read at the later of its `as_of` and the watermark.
    pub fn customer(&self, id: &str) -> Option<CustomerView> {
        self.store
            .read(id)
            .map(|entry| view::read(&entry, self.header.watermark, &self.header.policy))
    }

    /// One customer as [`Self::customer`] reads it, with the grounds of its explanation.
    pub fn explain(&self, id: &str) -> Option<Explanation> {
        let entry = &*self.store.read(id)?;
        let (policy, catalogue) = (&self.header.policy, &self.header.catalogue);
        let view = view::read(entry, self.header.watermark, policy);
        let grounds = explanation::grounds(entry, view.as_of, policy, catalogue);
        Some(Explanation { view, grounds })
    }

    /// This partition's part of every unit, in the order of kind and name; empty if roll-ups are off or nothing happened.
    pub fn organisation(&self) -> Vec<OrganisationPart> {
        let (Some(organisation), Some(as_of)) = (&self.organisation, self.header.watermark) else {
            return Vec::new();
        };
        let policy = &self.header.policy;
        let part = |(unit, roll_up): (&Unit, &RollUp)| {
            OrganisationPart::new(unit.clone(), roll_up.clone(), as_of, policy)
        };
        let mut parts: Vec<_> = organisation.units().map(part).collect();
        parts.sort_by(|a, b| a.unit.cmp(&b.unit));
        parts
    }

    /// Every customer, in the order of their ids.
    pub fn customers(&self) -> impl Iterator<Item = CustomerView> {
        self.store.ids().into_iter().filter_map(|id| self.customer(&id))
    }
}

/// A review is followed by another, as long as that is within the late horizon of the customer's clock.
fn review_again(customer: &mut Customer, fired: &Timer, policy: &Policy) {
    let next = fired.deadline.plus(policy.review_interval_ms);
    if fired.kind == TimerKind::Review && next <= customer.clock.plus(policy.late_ms) {
        customer.timers.arm(TimerKind::Review, "-", next);
    }
}

/// Does the command name something the customer has?
fn has_target(held: Option<&Customer>, body: &Body) -> Result<(), Reason> {
    match body {
        Body::RetractionRequested { evidence_id } => {
            let id = EvidenceId::parse(evidence_id);
            let is_held = held.zip(id).is_some_and(|(customer, id)| customer.holds_evidence(id));
            if is_held { Ok(()) } else { Err(Reason::UnknownEvidence) }
        }
        Body::SuppressionRequested { dedup_key, .. } => {
            let is_said = |customer: &Customer| {
                customer
                    .squeezes
                    .iter()
                    .any(|slot| slot.key == *dedup_key && slot.state != SqueezeState::Pending)
            };
            if held.is_some_and(is_said) { Ok(()) } else { Err(Reason::UnknownSqueeze) }
        }
        _ => Ok(()),
    }
}

fn rejection(reason: Reason, event: &CustomerEvent) -> Rejection {
    Rejection {
        reason,
        detail: None,
        id: Some(event.id.to_string()),
        subject: Some(event.customer.to_string()),
    }
}
