//! The bodies of outputs as Protobuf messages.

use prost::Message as _;
use prost_types::Timestamp;

use super::field::{Word, timestamp};
use super::proto::{self, output::Body};
use super::proto_writer::Message;
use crate::engine::{
    Breach, EvidenceNote, Output, OutputBody, ScoreChanged, SqueezeAlert, SqueezeChange,
};
use crate::model::{Dimension, EventTime, Micros, Money, PromiseOutcome, Sign};

/// Appends the message of an output; nothing for an erasure, which has no data.
pub(super) fn write(output: &Output, out: &mut Vec<u8>) {
    if let OutputBody::ScoreChanged(changed) = &output.body {
        return Message::new(out).message(1, |out| score_changed(output, changed, out));
    }
    let message = proto::Output { body: body(output) };
    message.encode(out).expect("a vector takes all that is written");
}

/// The body of an output; `None` for one without data, and for a score change, which is written without its message.
fn body(output: &Output) -> Option<Body> {
    Some(match &output.body {
        OutputBody::CustomerErased { .. } | OutputBody::ScoreChanged(_) => return None,
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

/// Writes a `goodfaith.v1.ScoreChanged`.
fn score_changed(output: &Output, changed: &ScoreChanged, out: &mut Message<'_>) {
    let reading = &changed.reading;
    out.message(1, |out| time(output.time, out));
    if let Some(previous) = changed.previous {
        out.present(2, previous.millionths());
    }
    out.int(3, changed.band.number().into());
    out.int(4, changed.previous_band.map_or(0, Word::number).into());
    out.int(5, reading.score.millionths());
    out.message(6, |out| all_micros(&reading.interval, out));
    out.int(7, reading.uncertainty.millionths());
    out.int(8, reading.evidence_mass.millionths());
    out.message(9, |out| all_micros(&reading.triad, out));
    for (dimension, reading) in Dimension::ALL.iter().zip(&reading.dimensions) {
        out.message(10, |out| {
            out.int(1, dimension.number().into());
            out.int(2, reading.expected.millionths());
            out.int(3, reading.positive.millionths());
            out.int(4, reading.negative.millionths());
            out.int(5, reading.uncertainty.millionths());
            out.message(6, |out| all_micros(&reading.interval, out));
        });
    }
    for (class, points) in &reading.parts {
        out.message(11, |out| {
            out.text(1, class.as_str());
            out.int(2, points.millionths());
        });
    }
    out.message(12, |out| all_micros(&changed.change, out));
    out.text(13, &changed.policy);
}

/// The fields of a message that has nothing but decimals, numbered from 1.
fn all_micros(values: &[Micros], out: &mut Message<'_>) {
    for (field, value) in (1..).zip(values) {
        out.int(field, value.millionths());
    }
}

fn time(time: EventTime, out: &mut Message<'_>) {
    let Timestamp { seconds, nanos } = timestamp(time);
    out.int(1, seconds);
    out.int(2, nanos.into());
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::TrustReading;
    use crate::model::{Band, Class, DimensionReading};

    fn message(output: &Output, changed: &ScoreChanged) -> proto::ScoreChanged {
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
        let part = |(class, points): &(Class, Micros)| proto::Part {
            class: class.as_str().to_owned(),
            points_micros: points.millionths(),
        };
        reading.parts.iter().map(part).collect()
    }

    /// A score change whose numbers are `numbers` in turn.
    fn changed(numbers: &[i64]) -> ScoreChanged {
        let mut numbers = numbers.iter().copied().cycle();
        let mut next = || Micros::new(numbers.next().unwrap_or_default());
        let has_previous = next().millionths() % 2 == 0;
        ScoreChanged {
            previous: has_previous.then(&mut next),
            band: Band::Good,
            previous_band: has_previous.then_some(Band::Strained),
            change: std::array::from_fn(|_| next()),
            policy: "p-1".into(),
            reading: TrustReading {
                score: next(),
                interval: [next(), next()],
                uncertainty: next(),
                evidence_mass: next(),
                triad: std::array::from_fn(|_| next()),
                dimensions: std::array::from_fn(|_| DimensionReading {
                    expected: next(),
                    positive: next(),
                    negative: next(),
                    uncertainty: next(),
                    interval: [next(), next()],
                }),
                parts: Class::ALL.iter().map(|class| (*class, next())).collect(),
            },
        }
    }

    proptest! {
        #[test]
        fn a_score_change_is_written_as_its_message_would_be(
            numbers in proptest::collection::vec(
                prop_oneof![Just(0), -3_000_000_i64..3_000_000, any::<i64>()],
                1..99,
            ),
            time_ms in 0..EventTime::END.as_millis(),
        ) {
            let output = Output {
                customer: "ada".into(),
                time: EventTime::from_millis(time_ms),
                sequence: 1,
                causation_id: None,
                trace: None,
                body: OutputBody::ScoreChanged(Box::new(changed(&numbers))),
            };
            let OutputBody::ScoreChanged(said) = &output.body else { unreachable!() };
            let body = Some(Body::TrustScoreChanged(message(&output, said)));
            let mut written = Vec::new();
            write(&output, &mut written);
            prop_assert_eq!(written, proto::Output { body }.encode_to_vec());
        }
    }
}
