//! Checks what was published against the records it names, without the engine's state: evidence is added up anew in plain
//! floating point, every cause is looked for in the input, and what a squeeze took is compared with the bill it was judged on.
//!
//! It judges no conduct: whether an act was to be recorded at all, and how much it weighs, is what the rules said. Between the
//! audit's weights, which have six places, and the engine's, which have all, lies a tolerance of [`TOLERANCE`].

use std::fmt;
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashSet};

use super::output::Output;
use crate::model::event::Body;
use crate::model::explain::logarithmic_mean;
use crate::model::number::{div_half_even, exp, exp2, ln};
use crate::model::output::{EvidenceNote, OutputBody, ScoreChanged};
use crate::model::ring::ring_hash;
use crate::model::squeeze::{SqueezeAlert, SqueezeChange, SqueezeType};
use crate::model::{
    Class, CustomerEvent, Dimension, EventTime, EvidenceId, Micros, Policy, Sign, Text,
    months_billed,
};

/// How far a recomputed number may be from the published one, in millionths.
pub const TOLERANCE: i64 = 5;
/// Amounts of a customer remembered, the latest: an alert names at most its last eight evaluations.
const AMOUNTS: usize = 32;
/// References of an alert that may be all there ever were.
const ALL_REFERENCES: usize = 7;

/// What a published record claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The parts sum to the score's distance from its start. In millionths, as all of a score.
    PartsSum,
    /// The terms of the change sum to the change.
    ChangeSum,
    /// The score before is the one published before.
    Previous,
    /// The score is what the evidence adds up to.
    Score,
    /// The part of a class is what its evidence contributes.
    Part(Class),
    /// What moved before the step, decay included.
    Carried,
    /// What the step's own evidence moved in a dimension.
    Moved(Dimension),
    /// The record named as the cause is in the input: 1, else 0.
    Cause,
    /// Evidence taken back had been recorded: 1, else 0.
    Retracted,
    /// A squeeze's monthly excess is that of the record it was judged on. In minor units.
    Excess(SqueezeType),
    /// What a squeeze took is what the records it names took, or no more. In minor units.
    Taken(SqueezeType),
}

/// One claim, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// What is claimed.
    pub claim: Claim,
    /// The number published.
    pub published: i64,
    /// The number found.
    pub found: i64,
    /// How much less and more the published one may be.
    margin: (i64, i64),
}

impl Check {
    const fn exact(claim: Claim, published: i64, found: i64) -> Self {
        Self { claim, published, found, margin: (0, 0) }
    }

    const fn about(claim: Claim, published: i64, found: i64) -> Self {
        Self { claim, published, found, margin: (TOLERANCE, TOLERANCE) }
    }

    /// The published number is whole minor units of the one found, at most.
    const fn at_most(claim: Claim, published: i64, found: i64) -> Self {
        Self { claim, published, found, margin: (i64::MAX, 0) }
    }

    /// Does what is published hold?
    pub const fn holds(&self) -> bool {
        let off = self.published.saturating_sub(self.found);
        -self.margin.0 <= off && off <= self.margin.1
    }
}

impl Claim {
    /// What kind of claim it is, in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PartsSum => "the parts sum to the score's distance from its start",
            Self::ChangeSum => "the terms sum to the change",
            Self::Previous => "the score before is the one published before",
            Self::Score => "the score is what the evidence adds up to",
            Self::Part(_) => "the part of a class",
            Self::Carried => "what moved before the step",
            Self::Moved(_) => "what the step moved in a dimension",
            Self::Cause => "the record named as the cause is in the input",
            Self::Retracted => "what is taken back had been recorded",
            Self::Excess(_) => "the monthly excess of a squeeze",
            Self::Taken(_) => "what a squeeze took",
        }
    }
}

impl fmt::Display for Claim {
    /// As [`Self::as_str`], with what it is about.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Part(class) => write!(f, ", {class}"),
            Self::Moved(dimension) => write!(f, ", {dimension}"),
            Self::Excess(kind) | Self::Taken(kind) => write!(f, ", {}", kind.code()),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Check {
    /// The claim and its two numbers, without a verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claim, published, found, margin } = self;
        let bound = if margin.0 == i64::MAX { "at most " } else { "" };
        match claim {
            Claim::Cause | Claim::Retracted => {
                let is_there = if *found > 0 { "found" } else { "not found" };
                write!(f, "{claim}: {is_there}")
            }
            Claim::Excess(_) | Claim::Taken(_) => {
                write!(f, "{claim}: {published} published, {bound}{found} found, minor units")
            }
            _ => {
                let [published, found] = [*published, *found].map(Micros::new);
                write!(f, "{claim}: {published} published, {found} found")
            }
        }
    }
}

/// Follows inputs and outputs in the order they come, and checks the outputs.
#[derive(Debug)]
pub struct Verifier {
    policy: Arc<Policy>,
    customers: HashMap<Text, Ledger, FixedState>,
    /// Hashes of customer and id of every event seen.
    events: HashSet<u64, FixedState>,
}

/// What the records say of one customer.
#[derive(Debug, Default)]
struct Ledger {
    /// Evidence of the steps before.
    held: Vec<Held>,
    /// Evidence said at `step`, and whether it was recorded or taken back.
    notes: Vec<(Held, bool)>,
    /// Time and cause of the latest outputs. Steps of several timers may share them.
    step: Option<(EventTime, u64)>,
    published: Option<Micros>,
    amounts: Vec<Amount>,
}

/// One evidence, as the audit has it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Held {
    id: EvidenceId,
    class: Class,
    sign: Sign,
    weight: Micros,
    time: EventTime,
}

/// What a record that can be judged is about, minor units.
#[derive(Debug, Clone, Copy)]
struct Amount {
    /// The hash of its id.
    reference: u64,
    /// By the month.
    monthly: i64,
    /// All of it that a squeeze may take.
    whole: i64,
}

/// A score change with the evidence it rests on, to be recomputed.
#[derive(Debug, Clone)]
pub struct Case {
    at: EventTime,
    changed: Box<ScoreChanged>,
    held: Vec<Held>,
    notes: Vec<(Held, bool)>,
}

impl Verifier {
    /// A verifier of what was published under `policy`, with all evidence (audit).
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy, customers: HashMap::default(), events: HashSet::default() }
    }

    /// Takes in an event, ahead of the outputs it causes.
    pub fn event(&mut self, event: &CustomerEvent) {
        self.events.insert(ring_hash([&event.customer, &event.id]));
        if let Some(amount) = amount(&event.body) {
            self.customers.entry(event.customer.clone()).or_default().note(amount, &event.body);
        }
    }

    /// A score change as a case of its own, with all that was said before it; `None` if `output` is none. To be asked before
    /// [`Self::output`] takes it in.
    pub fn case(&self, output: &Output) -> Option<Case> {
        let OutputBody::ScoreChanged(changed) = &output.body else { return None };
        let ledger = self.customers.get(&output.customer);
        let (mut held, mut notes) = ledger
            .map_or_else(Default::default, |ledger| (ledger.held.clone(), ledger.notes.clone()));
        if ledger.and_then(|ledger| ledger.step) != Some(step_of(output)) {
            apply(&mut held, &notes);
            notes.clear();
        }
        Some(Case { at: output.time, changed: changed.clone(), held, notes })
    }

    /// Takes in the next output, and checks what can be checked without adding evidence up.
    pub fn output(&mut self, output: &Output) -> Vec<Check> {
        let mut checks = Vec::new();
        if let Some(cause) = &output.causation_id {
            let is_there = self.events.contains(&ring_hash([&output.customer, cause]));
            checks.push(Check::exact(Claim::Cause, 1, i64::from(is_there)));
        }
        if matches!(output.body, OutputBody::CustomerErased { .. }) {
            self.customers.remove(&output.customer);
            return checks;
        }
        let ledger = self.customers.entry(output.customer.clone()).or_default();
        ledger.turn_to(step_of(output));
        match &output.body {
            OutputBody::EvidenceRecorded(note) => ledger.notes.push((Held::of(note), true)),
            OutputBody::EvidenceRetracted(note) => {
                let held = Held::of(note);
                let is_known = ledger.holds(&held);
                checks.push(Check::exact(Claim::Retracted, 1, i64::from(is_known)));
                ledger.notes.push((held, false));
            }
            OutputBody::ScoreChanged(changed) => {
                checks.extend(sums(changed, ledger.published, &self.policy));
                ledger.published = Some(changed.reading.score);
                ledger.settle();
            }
            OutputBody::Squeeze(alert) => checks.extend(amounts(alert, &ledger.amounts)),
            _ => {}
        }
        checks
    }
}

/// When and by what an output was caused, as far as steps can be told apart by it.
fn step_of(output: &Output) -> (EventTime, u64) {
    (output.time, output.causation_id.as_ref().map_or(0, |cause| ring_hash([cause, ""])))
}

impl Ledger {
    fn turn_to(&mut self, step: (EventTime, u64)) {
        if self.step != Some(step) {
            self.settle();
            self.step = Some(step);
        }
    }

    /// Of one id the first to arrive counts, but for a renewal, which is offered and then completed.
    fn note(&mut self, amount: Amount, body: &Body) {
        let place = self.amounts.iter().position(|held| held.reference == amount.reference);
        match place {
            Some(place) if matches!(body, Body::RenewalCompleted { .. }) => {
                self.amounts[place] = amount;
            }
            Some(_) => {}
            None => {
                if self.amounts.len() == AMOUNTS {
                    self.amounts.remove(0);
                }
                self.amounts.push(amount);
            }
        }
    }

    /// What was said so far is of steps before.
    fn settle(&mut self) {
        apply(&mut self.held, &self.notes);
        self.notes.clear();
    }

    fn holds(&self, evidence: &Held) -> bool {
        let mut all = self.held.clone();
        apply(&mut all, &self.notes);
        all.contains(evidence)
    }
}

impl Held {
    fn of(note: &EvidenceNote) -> Self {
        let EvidenceNote { id, class, sign, weight, time, .. } = *note;
        Self { id, class, sign, weight, time }
    }
}

/// Adds what was recorded and removes what was taken back.
fn apply(held: &mut Vec<Held>, notes: &[(Held, bool)]) {
    for (evidence, is_recorded) in notes {
        if *is_recorded {
            held.push(*evidence);
        } else if let Some(place) = held.iter().position(|one| one == evidence) {
            held.swap_remove(place);
        }
    }
}

/// What the published numbers of a score change must come to among themselves.
fn sums(changed: &ScoreChanged, published: Option<Micros>, policy: &Policy) -> [Check; 3] {
    let score = changed.reading.score.millionths();
    let start = Micros::round(policy.base_rate).millionths();
    let from = |previous: Option<Micros>| previous.map_or(start, Micros::millionths);
    let parts = changed.reading.parts.iter().map(|(_, part)| part.millionths()).sum();
    let terms = changed.change.iter().map(|term| term.millionths()).sum();
    [
        Check::exact(Claim::PartsSum, parts, score - start),
        Check::exact(Claim::ChangeSum, terms, score - from(changed.previous)),
        Check::exact(Claim::Previous, from(changed.previous), from(published)),
    ]
}

impl Case {
    /// Adds the evidence up anew and compares: the score, every part, and the terms of the change.
    pub fn check(&self, policy: &Policy) -> Vec<Check> {
        let all_after = self.evidence_after(self.notes.len());
        let after = Sums::new(&all_after, self.at, policy);
        let score = Check::about(
            Claim::Score,
            self.changed.reading.score.millionths(),
            Micros::round(after.score).millionths(),
        );
        let mut checks = vec![score];
        checks.extend(self.parts(&all_after, &after, policy));
        // Where steps of several timers share time and cause, the step's own evidence is some last part of what was said.
        let splits = (0..=self.notes.len()).map(|split| self.terms(split, &after, policy));
        let mut splits: Vec<Vec<Check>> = splits.collect();
        let holding = splits.iter().position(|terms| terms.iter().all(Check::holds));
        checks.append(&mut splits[holding.unwrap_or(0)]);
        checks
    }

    fn evidence_after(&self, notes: usize) -> Vec<Held> {
        let mut all = self.held.clone();
        apply(&mut all, &self.notes[..notes]);
        all
    }

    /// The part of every class, published or found.
    fn parts(&self, evidence: &[Held], after: &Sums, policy: &Policy) -> Vec<Check> {
        let contributions = |class: Class| {
            let own = evidence.iter().filter(|one| one.class == class);
            own.map(|one| after.contribution(one, self.at, policy)).sum::<f64>()
        };
        let published = |class: Class| {
            let part = self.changed.reading.parts.iter().find(|(held, _)| *held == class);
            part.map_or(0, |(_, part)| part.millionths())
        };
        let check = |class: Class| {
            let found = Micros::round(contributions(class)).millionths();
            Check::about(Claim::Part(class), published(class), found)
        };
        let checks = Class::ALL.iter().map(|class| check(*class));
        checks.filter(|check| check.published != 0 || check.found != 0).collect()
    }

    /// The terms of the change, if all notes after the first `split` are the step's own.
    fn terms(&self, split: usize, after: &Sums, policy: &Policy) -> Vec<Check> {
        let before = Sums::new(&self.evidence_after(split), self.at, policy);
        let change = self.changed.change.map(Micros::millionths);
        let from = self.changed.previous.map_or(policy.base_rate, Micros::to_f64);
        let carried = Micros::round(before.score - from).millionths();
        let mean = logarithmic_mean(after.score, before.score);
        let moved = |dimension: &Dimension| {
            let d = *dimension as usize;
            let weight = policy.dimension(*dimension).weight;
            let found = mean * weight * ln(after.expected[d] / before.expected[d]);
            Check::about(Claim::Moved(*dimension), change[2 + d], Micros::round(found).millionths())
        };
        let carried = Check::about(Claim::Carried, change[0] + change[1], carried);
        std::iter::once(carried).chain(Dimension::ALL.iter().map(moved)).collect()
    }
}

/// T and what it takes, added up in plain floating point.
struct Sums {
    /// r + s + W by dimension.
    total: [f64; 6],
    expected: [f64; 6],
    score: f64,
}

impl Sums {
    fn new(evidence: &[Held], at: EventTime, policy: &Policy) -> Self {
        let (mut positive, mut negative) = ([0.0; 6], [0.0; 6]);
        for one in evidence {
            let masses = if one.sign == Sign::Positive { &mut positive } else { &mut negative };
            masses[one.class.dimension() as usize] += mass(one, at, policy);
        }
        let total: [f64; 6] =
            std::array::from_fn(|d| positive[d] + negative[d] + policy.prior_weight);
        let expected = std::array::from_fn(|d| {
            (positive[d] + policy.prior_weight * policy.base_rate) / total[d]
        });
        let logarithm = |d: &Dimension| policy.dimension(*d).weight * ln(expected[*d as usize]);
        let score = exp(Dimension::ALL.iter().map(logarithm).sum());
        Self { total, expected, score }
    }

    /// What one evidence contributes to T − T₀.
    fn contribution(&self, evidence: &Held, at: EventTime, policy: &Policy) -> f64 {
        let (dimension, a) = (evidence.class.dimension(), policy.base_rate);
        let d = dimension as usize;
        let share = if evidence.sign == Sign::Positive { 1.0 - a } else { -a };
        let in_expectation = mass(evidence, at, policy) * share / self.total[d];
        let slope = 1.0 / logarithmic_mean(self.expected[d], a);
        logarithmic_mean(self.score, a)
            * policy.dimension(dimension).weight
            * slope
            * in_expectation
    }
}

/// What an evidence still weighs at `at`, λ included.
fn mass(evidence: &Held, at: EventTime, policy: &Policy) -> f64 {
    let dimension = policy.dimension(evidence.class.dimension());
    let age = at.since(evidence.time) as f64 / dimension.half_life_ms as f64;
    let lambda = if evidence.sign == Sign::Positive { 1.0 } else { dimension.lambda };
    evidence.weight.to_f64() * lambda * exp2(-age)
}

/// What of an event a squeeze may be judged on.
fn amount(body: &Body) -> Option<Amount> {
    let of = |id: &str, monthly: i64, whole: i64| Amount {
        reference: ring_hash([id, ""]),
        monthly,
        whole,
    };
    let one_off = |id: &str, minor: i64| of(id, rounded(minor, 1, 12), minor);
    Some(match body {
        Body::InvoiceIssued(invoice) => {
            let billed = invoice.subscription.as_ref()?;
            let (months, parts) = months_billed(billed.period_start, billed.period_end);
            let recurring = invoice.recurring_minor;
            of(&invoice.invoice_id, rounded(recurring, parts, months), recurring)
        }
        Body::ChargePosted { charge_id, amount, .. } => one_off(charge_id, amount.minor),
        Body::FeeCharged { fee_id, amount, .. } => one_off(fee_id, amount.minor),
        Body::RefundAgreed { refund_id, amount, .. } => {
            one_off(&format!("refund/{refund_id}"), amount.minor)
        }
        Body::RenewalOffered(renewal) | Body::RenewalCompleted { renewal, .. } => {
            let excess = renewal.price.minor - renewal.enbp_minor?;
            of(&renewal.renewal_id, rounded(excess, 1, i64::from(renewal.term_months)), excess)
        }
        _ => return None,
    })
}

/// `minor` · `numerator` / `denominator`, round half even.
#[expect(clippy::cast_possible_truncation, reason = "an amount below 2^53 by the month")]
fn rounded(minor: i64, numerator: i64, denominator: i64) -> i64 {
    div_half_even(i128::from(minor) * i128::from(numerator), i128::from(denominator)) as i64
}

/// What an alert that follows from an evaluation must come to by the records it names. Records that left memory, and rules whose
/// amount is in no record of their own, are not checked.
fn amounts(alert: &SqueezeAlert, known: &[Amount]) -> Vec<Check> {
    use SqueezeChange::{Escalated, Opened, Reopened};
    let find = |reference: &str| {
        let hash = ring_hash([reference, ""]);
        known.iter().find(|amount| amount.reference == hash)
    };
    let judged = alert.evidence.last().and_then(|reference| find(reference));
    let Some(judged) = judged.filter(|_| matches!(alert.change, Opened | Escalated | Reopened))
    else {
        return Vec::new();
    };
    let excess = alert.excess_monthly.minor;
    let claim = Claim::Excess(alert.kind);
    let against = alert.comparator.as_ref().map(|plan| judged.monthly - plan.monthly.minor);
    let mut checks: Vec<Check> = match (alert.kind, against) {
        (SqueezeType::S01 | SqueezeType::S03 | SqueezeType::S19, Some(against)) => {
            Some(Check::exact(claim, excess, against))
        }
        (SqueezeType::S03, None) => Some(Check::at_most(claim, excess, judged.monthly)),
        (
            SqueezeType::S02
            | SqueezeType::S04
            | SqueezeType::S07
            | SqueezeType::S13
            | SqueezeType::S17
            | SqueezeType::S18,
            _,
        ) => Some(Check::exact(claim, excess, judged.monthly)),
        _ => None,
    }
    .into_iter()
    .collect();
    checks.extend(taken(alert, find));
    checks
}

/// What a squeeze took in its first generation, while all its records are named and nothing was given back.
fn taken<'a>(alert: &SqueezeAlert, find: impl Fn(&str) -> Option<&'a Amount>) -> Option<Check> {
    if alert.generation > 1 || alert.refunded.minor != 0 || alert.evidence.len() > ALL_REFERENCES {
        return None;
    }
    let records: Option<Vec<&Amount>> = alert.evidence.iter().map(|one| find(one)).collect();
    let whole: i64 = records?.iter().map(|amount| amount.whole).sum();
    let (claim, accrued) = (Claim::Taken(alert.kind), alert.accrued.minor);
    match alert.kind {
        SqueezeType::S04
        | SqueezeType::S07
        | SqueezeType::S13
        | SqueezeType::S17
        | SqueezeType::S18 => Some(Check::exact(claim, accrued, whole)),
        SqueezeType::S01 | SqueezeType::S02 | SqueezeType::S03 | SqueezeType::S19 => {
            Some(Check::at_most(claim, accrued, whole))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Action, Input, PartitionEngine, Settings};
    use crate::model::Event;
    use crate::wire::{self, Expect, RecordRef};

    /// Runs a golden scenario and verifies its outputs as `change` leaves them; `false` loses one. What does not hold, and how many
    /// claims were checked.
    fn verified(name: &str, mut change: impl FnMut(&mut Output) -> bool) -> (Vec<String>, usize) {
        let path = format!("{}/tests/vectors/{name}.events.ndjson", env!("CARGO_MANIFEST_DIR"));
        let events = std::fs::read(path).unwrap();
        let policy = Arc::new(Policy::default());
        let settings = Settings { policy: Arc::clone(&policy), salt: [0; 16], audit: true };
        let mut engine = PartitionEngine::new(settings);
        let mut verifier = Verifier::new(Arc::clone(&policy));
        let (mut failed, mut count) = (Vec::new(), 0);
        for (line, offset) in events.split(|byte| *byte == b'\n').zip(1..) {
            let value = (!line.is_empty()).then_some(line);
            let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
            let record = wire::decode(record, Expect::File);
            if let Ok(Event::Customer(event)) = &record {
                verifier.event(event);
            }
            let mut effects = Vec::new();
            engine.handle(Input::Record { offset, record }, &mut effects);
            for effect in effects {
                let Action::Publish(mut output) = effect.action else { continue };
                if !change(&mut output) {
                    continue;
                }
                let case = verifier.case(&output);
                let mut checks = verifier.output(&output);
                checks.extend(case.iter().flat_map(|case| case.check(&policy)));
                count += checks.len();
                failed.extend(checks.iter().filter(|check| !check.holds()).map(Check::to_string));
            }
        }
        (failed, count)
    }

    fn score(output: &mut Output) -> Option<&mut ScoreChanged> {
        match &mut output.body {
            OutputBody::ScoreChanged(changed) => Some(changed),
            _ => None,
        }
    }

    const SCENARIOS: [&str; 12] = [
        "amara",
        "billing",
        "bounds",
        "breach_withdrawn",
        "charge_after_cancellation",
        "good_firm",
        "late_and_duplicate",
        "legacy_redress",
        "promise_ledger",
        "renewal_price_walk",
        "retraction_and_suppression",
        "service_failures",
    ];

    #[test]
    fn what_the_engine_publishes_holds() {
        for name in SCENARIOS {
            let (failed, count) = verified(name, |_| true);
            assert!(count > 5, "{name}: {count}");
            assert_eq!(failed, Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn a_score_off_by_ten_millionths_is_found() {
        let (failed, _) = verified("amara", |output| {
            if let Some(changed) = score(output) {
                changed.reading.score = Micros::new(changed.reading.score.millionths() + 10);
            }
            true
        });
        for claim in ["the parts sum", "the terms sum", "the score is what the evidence"] {
            assert!(failed.iter().any(|one| one.contains(claim)), "{claim}: {failed:#?}");
        }
    }

    #[test]
    fn a_term_moved_to_another_dimension_is_found() {
        let (failed, _) = verified("amara", |output| {
            if let Some(changed) = score(output) {
                changed.change.swap(2, 7);
            }
            true
        });
        assert!(failed.iter().any(|one| one.contains("what the step moved in")), "{failed:#?}");
        assert!(!failed.iter().any(|one| one.contains("sum")), "{failed:#?}");
    }

    #[test]
    fn a_lost_evidence_is_missed_in_every_later_score() {
        let mut is_lost = false;
        let (failed, _) = verified("amara", |output| {
            let is_first = !is_lost && matches!(output.body, OutputBody::EvidenceRecorded(_));
            is_lost |= is_first;
            !is_first
        });
        assert!(failed.iter().any(|one| one.starts_with("the score is what the evidence")));
        assert!(
            failed.iter().any(|one| one.starts_with("the part of a class, INT.KEPT")),
            "{failed:#?}"
        );
    }

    #[test]
    fn a_cause_that_never_was_is_found() {
        let (failed, _) = verified("amara", |output| {
            if matches!(output.body, OutputBody::EvidenceRecorded(_)) {
                output.causation_id = output.causation_id.as_ref().map(|_| "nobody".into());
            }
            true
        });
        assert!(
            failed.contains(&"the record named as the cause is in the input: not found".to_owned())
        );
    }

    #[test]
    fn a_squeeze_dearer_than_its_bill_is_found() {
        let (failed, _) = verified("charge_after_cancellation", |output| {
            if let OutputBody::Squeeze(alert) = &mut output.body {
                alert.excess_monthly.minor += 1;
                alert.accrued.minor += 1;
            }
            true
        });
        assert!(
            failed.iter().any(|one| one.starts_with("the monthly excess of a squeeze, S04")),
            "{failed:#?}"
        );
        assert!(
            failed.iter().any(|one| one.starts_with("what a squeeze took, S04")),
            "{failed:#?}"
        );
    }
}
