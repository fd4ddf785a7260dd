//! One step over a customer, and what of its outcome is published: what changed enough to be worth saying.

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::organisation;
use super::output::Stream;
use crate::model::decay::ReadTimes;
use crate::model::organisation::Organisation;
use crate::model::output::{EvidenceNote, OutputBody, ScoreChanged};
use crate::model::step::Step;
use crate::model::{
    Band, Dimension, DimensionSums, EventTime, Evidence, EvidenceId, LoyaltyReading, Micros, Sign,
    Text, TrustPoint, explain,
};

/// What was last published of a customer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Publication {
    /// T at the end of the last step, unrounded; `None` before any evidence.
    score_at_last_step: Option<f64>,
    /// T and band.
    pub(super) last: Option<(Micros, Band)>,
    /// How T moved then.
    pub(super) moved: Option<Moved>,
    /// Depletion was said in this stay in the band.
    is_depletion_said: bool,
    /// The gap the customer is in: over, under, none.
    gap: Option<bool>,
    /// Outputs so far, by [`Stream`].
    sequences: [u64; 4],
}

/// How T moved at its last publication: what of the record is not in the state anyway. Kept small, for there is one a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The record's time: the step's `as_of`.
    pub at: EventTime,
    /// What moved it, as [`ScoreChanged::change`], in millionths.
    pub change: [i32; 8],
}

impl Moved {
    /// What a record of `at` that says `change` leaves.
    pub fn new(at: EventTime, change: &[Micros; 8]) -> Self {
        let small =
            |term: Micros| i32::try_from(term.millionths()).expect("T moves by less than 1");
        Self { at, change: change.map(small) }
    }
}

impl Publication {
    /// The customer trusts the firm more than it earned.
    pub(super) fn is_overhung(&self) -> bool {
        self.gap == Some(true)
    }

    /// Counts one more output of the stream `body` belongs to.
    fn next_sequence(&mut self, body: &OutputBody) -> u64 {
        let sequence = &mut self.sequences[Stream::of(body) as usize];
        *sequence += 1;
        *sequence
    }
}

/// Runs `effect` as one step of `entry`, and appends what is to be published, in order, each with its sequence number. `audit`:
/// evidence too.
pub(super) fn step(
    entry: &mut Entry,
    mut step: Step<'_>,
    audit: bool,
    effect: impl FnOnce(&mut Entry, &mut Step<'_>),
    outputs: &mut Vec<(u64, OutputBody)>,
) -> StepCount {
    let mut bodies = Vec::new();
    let bodies = &mut bodies;
    let (policy, as_of) = (step.policy, step.as_of);
    step.is_audited = audit;
    let before = *entry.customer.trust.sums();
    let open_before = cfg!(debug_assertions).then(|| alerts_open(entry));
    entry.customer.timers.armed_by = step.origin;
    effect(entry, &mut step);
    if audit {
        note_evidence(&mut step, bodies);
    }
    bodies.append(&mut step.said);
    let mut times = ReadTimes::new(as_of);
    let trust = &entry.customer.trust;
    let after = trust.has_ever_recorded().then(|| trust.sums().at(&mut times, policy));
    if let Some(after) = &after {
        publish_score(entry, &step, &before, after, &mut times, bodies);
        publish_depletion(entry, &step, after, bodies);
    }
    publish_gap(entry, &step, after.as_ref(), &mut times, bodies);
    publish_loyalty(entry, &step, &mut times, bodies);
    outputs.extend(bodies.drain(..).map(|body| (entry.publication.next_sequence(&body), body)));
    if step.organisation.is_some() {
        organisation::end_step(entry, &mut step, after.as_ref());
    }
    debug_assert_eq!(
        open_before.map(|before| before + step.alerts_opened),
        open_before.map(|_| alerts_open(entry)),
        "every squeeze that opens or ends is counted where it does"
    );
    StepCount {
        is_duplicate: step.is_duplicate,
        alerts_opened: step.alerts_opened,
        forgotten: step.forgotten,
        organisation: step.organisation,
    }
}

/// Squeezes for which money may still be owed. A step counts what it adds instead: most touch none of them.
fn alerts_open(entry: &Entry) -> i64 {
    entry.customer.squeezes.iter().map(|slot| i64::from(slot.is_liability())).sum()
}

/// What a step adds to the engine's counts, and what was lent to it.
pub(super) struct StepCount {
    pub(super) is_duplicate: bool,
    /// Squeezes opened less those resolved.
    pub(super) alerts_opened: i64,
    /// Dedup keys of squeezes whose last word is to be taken back.
    pub(super) forgotten: Vec<Text>,
    pub(super) organisation: Option<Box<Organisation>>,
}

fn note_evidence(step: &mut Step<'_>, bodies: &mut Vec<OutputBody>) {
    let note = |evidence: &Evidence| {
        Box::new(EvidenceNote {
            id: EvidenceId::new(evidence.class, &evidence.key),
            class: evidence.class,
            key: evidence.key.clone(),
            sign: evidence.sign,
            weight: Micros::round(evidence.weight),
            time: evidence.time,
        })
    };
    for list in [&mut step.retracted, &mut step.recorded] {
        list.sort_by(|a, b| order(a).cmp(&order(b)));
    }
    bodies.extend(
        step.retracted.iter().map(|evidence| OutputBody::EvidenceRetracted(note(evidence))),
    );
    bodies
        .extend(step.recorded.iter().map(|evidence| OutputBody::EvidenceRecorded(note(evidence))));
}

fn order(evidence: &Evidence) -> (&str, &str, Sign) {
    (evidence.class.as_str(), &evidence.key, evidence.sign)
}

fn publish_score(
    entry: &mut Entry,
    step: &Step<'_>,
    before: &DimensionSums,
    after: &TrustPoint,
    times: &mut ReadTimes,
    bodies: &mut Vec<OutputBody>,
) {
    let publication = &mut entry.publication;
    let base = step.policy.base_rate;
    let at_last_step = publication.score_at_last_step.replace(after.score).unwrap_or(base);
    let score = Micros::round(after.score);
    let (previous, previous_band) =
        (publication.last.map(|(score, _)| score), publication.last.map(|(_, band)| band));
    let band =
        Band::next(previous_band, score, Micros::round(after.evidence_mass()), &step.policy.bands);
    let moved = previous.map(|previous| (score.millionths() - previous.millionths()).abs());
    let enough = step.policy.emission.score_change.millionths();
    if moved.is_some_and(|moved| moved < enough) && previous_band == Some(band) {
        return;
    }
    publication.last = Some((score, band));
    let from = previous.unwrap_or_else(|| Micros::round(base));
    let trust = &entry.customer.trust;
    let parts = trust.parts_at(times, after, step.policy);
    // Read now that it is asked for: most steps publish no score.
    let before = before.at_beside(times, (trust.sums(), after), step.policy);
    let change = explain::change(from, at_last_step, &before, after, step.policy);
    publication.moved = Some(Moved::new(step.as_of, &change));
    bodies.push(OutputBody::ScoreChanged(Box::new(ScoreChanged {
        reading: after.reading(&parts, step.policy),
        previous,
        band,
        previous_band,
        change,
        policy: step.policy.version.clone(),
    })));
}

fn publish_depletion(
    entry: &mut Entry,
    step: &Step<'_>,
    after: &TrustPoint,
    bodies: &mut Vec<OutputBody>,
) {
    let publication = &mut entry.publication;
    if publication.last.is_none_or(|(_, band)| band != Band::Depleted) {
        publication.is_depletion_said = false;
        return;
    }
    let policy = &step.policy.depletion;
    if publication.is_depletion_said || Micros::round(after.evidence_mass()) < policy.evidence_min {
        return;
    }
    let probability_below: Vec<(Dimension, Micros)> = Dimension::ALL
        .iter()
        .map(|dimension| {
            (
                *dimension,
                Micros::round(after.probability_below(*dimension, policy.below, step.policy)),
            )
        })
        .filter(|(_, probability)| *probability >= policy.probability)
        .collect();
    if !probability_below.is_empty() {
        publication.is_depletion_said = true;
        bodies.push(OutputBody::TrustDepleted {
            score: Micros::round(after.score),
            probability_below,
        });
    }
}

fn publish_gap(
    entry: &mut Entry,
    step: &Step<'_>,
    after: Option<&TrustPoint>,
    times: &mut ReadTimes,
    bodies: &mut Vec<OutputBody>,
) {
    let policy = &step.policy.perception;
    let was_in = entry.publication.gap;
    // Of nearly everybody nothing was perceived, and it is not unpacked to see that.
    if was_in.is_none()
        && Micros::default() < policy.evidence_min
        && entry.customer.perceived.is_default()
    {
        return;
    }
    let opinion = entry.customer.perceived.opinion(times, policy.half_life_ms);
    let has_mass = Micros::round(opinion.mass()) >= policy.evidence_min;
    if was_in.is_none() && !has_mass {
        return;
    }
    let perceived = Micros::round(opinion.expected());
    let score = after.map_or_else(
        || entry.customer.trust.sums().at(times, step.policy).score,
        |after| after.score,
    );
    let score = Micros::round(score);
    let overhang = perceived.millionths() - score.millionths();
    let is_in = (has_mass && overhang.abs() >= policy.gap.millionths()).then_some(overhang > 0);
    entry.publication.gap = is_in;
    if let Some(is_over) = is_in.filter(|_| is_in != was_in) {
        bodies.push(OutputBody::PerceptionGap {
            is_over,
            perceived,
            score,
            overhang: Micros::new(overhang),
        });
    }
}

fn publish_loyalty(
    entry: &mut Entry,
    step: &Step<'_>,
    times: &mut ReadTimes,
    bodies: &mut Vec<OutputBody>,
) {
    let loyalty = &mut entry.customer.loyalty;
    if loyalty.is_default() || !loyalty.is_observed {
        return;
    }
    let [l, consider, rely, forgive] = loyalty.read(times, step.policy).map(Micros::round);
    let previous = loyalty.published;
    let enough = step.policy.emission.loyalty_change.millionths();
    if previous.is_some_and(|previous| (l.millionths() - previous.millionths()).abs() < enough) {
        return;
    }
    loyalty.published = Some(l);
    let loyalty = LoyaltyReading { loyalty: l, consider, rely, forgive };
    bodies.push(OutputBody::LoyaltyChanged { previous, loyalty });
}
