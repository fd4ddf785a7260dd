//! The bodies of outputs as Protobuf messages.

use super::field::{Word, timestamp};
use super::proto::{self, output::Body};
use crate::engine::{
    Breach, EvidenceNote, Output, OutputBody, ScoreChanged, SqueezeAlert, SqueezeChange,
    TrustReading,
};
use crate::model::{Dimension, Micros, Money, PromiseOutcome, Sign};

/// The message of an output; one without a body for an erasure, which has no data.
pub(super) fn message(output: &Output) -> proto::Output {
    proto::Output { body: body(output) }
}

fn body(output: &Output) -> Option<Body> {
    Some(match &output.body {
        OutputBody::CustomerErased { .. } => return None,
        OutputBody::ScoreChanged(changed) => {
            Body::TrustScoreChanged(score_changed(output, changed))
        }
        OutputBody::Squeeze(alert) => squeeze(alert),
        OutputBody::Breach(breach) => promise_breach(breach),
        OutputBody::TrustDepleted { score, probability_below } => {
            Body::TrustDepleted(proto::TrustDepleted {
                score_micros: score.millionths(),
                probability_below: probability_below
                    .iter()
                    .map(|(dimension, probability)| proto::ProbabilityBelow {
                        dimension: dimension.number(),
                        probability_micros: probability.millionths(),
                    })
                    .collect(),
            })
        }
        OutputBody::PerceptionGap { is_over, perceived, score, overhang } => {
            use proto::perception_gap_detected::Direction;
            Body::PerceptionGapDetected(proto::PerceptionGapDetected {
                direction: if *is_over { Direction::Over } else { Direction::Under }.into(),
                perceived_micros: perceived.millionths(),
                score_micros: score.millionths(),
                overhang_micros: overhang.millionths(),
            })
        }
        OutputBody::SavingsIdentified {
            subscription_id,
            plan_id,
            better_plan_id,
            saving_monthly,
        } => Body::AdviceSavingsIdentified(proto::SavingsIdentified {
            subscription_id: subscription_id.to_string(),
            plan_id: plan_id.to_string(),
            better_plan_id: better_plan_id.to_string(),
            saving_monthly: Some(money(*saving_monthly)),
        }),
        OutputBody::LoyaltyChanged { previous, loyalty } => {
            Body::LoyaltyChanged(proto::LoyaltyChanged {
                as_of: Some(timestamp(output.time)),
                loyalty_micros: loyalty.loyalty.millionths(),
                previous_micros: previous.map(Micros::millionths),
                consider_micros: loyalty.consider.millionths(),
                rely_micros: loyalty.rely.millionths(),
                forgive_micros: loyalty.forgive.millionths(),
            })
        }
        OutputBody::ReciprocityObserved { remedy_id, opened_at, returned, baseline, residual } => {
            Body::ReciprocityObserved(proto::ReciprocityObserved {
                remedy_id: remedy_id.to_string(),
                opened_at: Some(timestamp(*opened_at)),
                returned: *returned,
                baseline_micros: baseline.millionths(),
                residual_micros: residual.millionths(),
            })
        }
        OutputBody::EvidenceRecorded(note) => Body::EvidenceRecorded(evidence(note)),
        OutputBody::EvidenceRetracted(note) => Body::EvidenceRetracted(evidence(note)),
    })
}

fn score_changed(output: &Output, changed: &ScoreChanged) -> proto::ScoreChanged {
    let reading = &changed.reading;
    let [earlier, decay, integrity, competence, fairness, care, transparency, proactivity] =
        changed.change.map(Micros::millionths);
    proto::ScoreChanged {
        as_of: Some(timestamp(output.time)),
        previous_micros: changed.previous.map(Micros::millionths),
        band: changed.band.number(),
        previous_band: changed.previous_band.map_or(0, Word::number),
        score_micros: reading.score.millionths(),
        interval: Some(interval(reading.interval)),
        uncertainty_micros: reading.uncertainty.millionths(),
        evidence_mass_micros: reading.evidence_mass.millionths(),
        triad: Some(triad(reading)),
        dimensions: dimensions(reading),
        parts: parts(reading),
        change: Some(proto::Change {
            earlier_micros: earlier,
            decay_micros: decay,
            integrity_micros: integrity,
            competence_micros: competence,
            fairness_micros: fairness,
            care_micros: care,
            transparency_micros: transparency,
            proactivity_micros: proactivity,
        }),
        policy: changed.policy.to_string(),
    }
}

fn interval([low, high]: [Micros; 2]) -> proto::Interval {
    proto::Interval { low_micros: low.millionths(), high_micros: high.millionths() }
}

fn triad(reading: &TrustReading) -> proto::Triad {
    let [things_right_micros, right_thing_micros, proactive_micros] =
        reading.triad.map(Micros::millionths);
    proto::Triad { things_right_micros, right_thing_micros, proactive_micros }
}

fn dimensions(reading: &TrustReading) -> Vec<proto::DimensionReading> {
    let each = Dimension::ALL.iter().zip(&reading.dimensions);
    each.map(|(dimension, reading)| proto::DimensionReading {
        dimension: dimension.number(),
        expected_micros: reading.expected.millionths(),
        positive_micros: reading.positive.millionths(),
        negative_micros: reading.negative.millionths(),
        uncertainty_micros: reading.uncertainty.millionths(),
        interval: Some(interval(reading.interval)),
    })
    .collect()
}

fn parts(reading: &TrustReading) -> Vec<proto::Part> {
    let part = |(class, points): &(crate::model::Class, Micros)| proto::Part {
        class: class.as_str().to_owned(),
        points_micros: points.millionths(),
    };
    reading.parts.iter().map(part).collect()
}

fn squeeze(alert: &SqueezeAlert) -> Body {
    let [u_micros, kappa_micros, v_micros, k_micros] = alert.factors.map(Micros::millionths);
    let message = proto::SqueezeAlert {
        dedup_key: alert.dedup_key.to_string(),
        r#type: alert.kind.code().to_owned(),
        name: alert.kind.name().to_owned(),
        generation: alert.generation,
        state: alert.state.number(),
        level: alert.level.number(),
        severity_micros: alert.severity.millionths(),
        subscription_id: alert.subscription_id.as_deref().map(str::to_owned),
        subject: alert.subject.to_string(),
        excess_monthly: Some(money(alert.excess_monthly)),
        accrued: Some(money(alert.accrued)),
        refunded: Some(money(alert.refunded)),
        since: Some(timestamp(alert.since)),
        opened_at: Some(timestamp(alert.opened_at)),
        factors: Some(proto::SeverityFactors { u_micros, kappa_micros, v_micros, k_micros }),
        comparator: alert.comparator.as_ref().map(|plan| proto::Comparator {
            plan_id: plan.plan_id.to_string(),
            monthly: Some(money(plan.monthly)),
            effective_from: Some(timestamp(plan.effective_from)),
        }),
        evidence: alert.evidence.iter().map(|reference| reference.to_string()).collect(),
        reason: alert.reason.as_deref().map(str::to_owned),
        policy: alert.policy.to_string(),
    };
    match alert.change {
        SqueezeChange::Opened => Body::SqueezeOpened(message),
        SqueezeChange::Escalated => Body::SqueezeEscalated(message),
        SqueezeChange::Stopped => Body::SqueezeStopped(message),
        SqueezeChange::Resolved => Body::SqueezeResolved(message),
        SqueezeChange::Reopened => Body::SqueezeReopened(message),
        SqueezeChange::Suppressed => Body::SqueezeSuppressed(message),
    }
}

fn promise_breach(breach: &Breach) -> Body {
    let message = proto::Breach {
        promise_id: breach.promise_id.to_string(),
        kind: breach.kind.to_string(),
        made_at: Some(timestamp(breach.made_at)),
        due_at: Some(timestamp(breach.due_at)),
        outcome: breach.outcome.number(),
        presumed: breach.presumed,
        stake: breach.stake.map(money),
    };
    match breach.outcome {
        PromiseOutcome::Broken => Body::PromiseBreachDetected(message),
        _ => Body::PromiseBreachWithdrawn(message),
    }
}

fn evidence(note: &EvidenceNote) -> proto::EvidenceNote {
    proto::EvidenceNote {
        evidence_id: note.id.to_string(),
        class: note.class.as_str().to_owned(),
        key: note.key.to_string(),
        dimension: note.class.dimension().number(),
        sign: match note.sign {
            Sign::Positive => proto::evidence_note::Sign::Positive,
            Sign::Negative => proto::evidence_note::Sign::Negative,
        }
        .into(),
        weight_micros: note.weight.millionths(),
        time: Some(timestamp(note.time)),
    }
}

fn money(money: Money) -> proto::Money {
    proto::Money { minor: money.minor, currency: money.currency.as_str().to_owned() }
}
