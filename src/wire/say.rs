//! The bodies of outputs as JSON, member by member in a fixed order, and a customer's state.

use super::writer::Writer;
use crate::engine::{
    Breach, Comparator, CustomerView, EvidenceNote, LoyaltyReading, Output, OutputBody,
    ScoreChanged, SqueezeAlert, SqueezeView, TrustReading,
};
use crate::model::{Dimension, Micros};

/// The names of a change's terms, in the order they are published.
const CHANGE: [&str; 8] = [
    "earlier",
    "decay",
    "integrity",
    "competence",
    "fairness",
    "care",
    "transparency",
    "proactivity",
];

fn interval([low, high]: [Micros; 2], out: &mut Writer) {
    out.list(|out| {
        out.micros(low);
        out.micros(high);
    });
}

/// Writes the members of an output's `data`.
pub(super) fn data(output: &Output, out: &mut Writer) {
    match &output.body {
        OutputBody::CustomerErased { .. } => (),
        OutputBody::ScoreChanged(changed) => score_changed(output, changed, out),
        OutputBody::Squeeze(alert) => squeeze(alert, out),
        OutputBody::Breach(breach) => promise_breach(breach, out),
        OutputBody::TrustDepleted { score, probability_below } => {
            out.name("score").micros(*score);
            out.name("probability_below").object(|out| {
                for (dimension, probability) in probability_below {
                    out.name(dimension.as_str()).micros(*probability);
                }
            });
        }
        OutputBody::PerceptionGap { is_over, perceived, score, overhang } => {
            out.name("direction").text(if *is_over { "over" } else { "under" });
            out.name("perceived").micros(*perceived);
            out.name("score").micros(*score);
            out.name("overhang").micros(*overhang);
        }
        OutputBody::SavingsIdentified {
            subscription_id,
            plan_id,
            better_plan_id,
            saving_monthly,
        } => {
            out.name("subscription_id").text(subscription_id);
            out.name("plan_id").text(plan_id);
            out.name("better_plan_id").text(better_plan_id);
            out.name("saving_monthly").money(saving_monthly);
        }
        OutputBody::LoyaltyChanged { previous, loyalty } => {
            out.name("as_of").time(output.time);
            out.name("loyalty").micros(loyalty.loyalty);
            out.name("previous").optional(*previous, Writer::micros);
            components(loyalty, out);
        }
        OutputBody::ReciprocityObserved { remedy_id, opened_at, returned, baseline, residual } => {
            out.name("remedy_id").text(remedy_id);
            out.name("opened_at").time(*opened_at);
            out.name("returned").bool(*returned);
            out.name("baseline").micros(*baseline);
            out.name("residual").micros(*residual);
        }
        OutputBody::EvidenceRecorded(note) | OutputBody::EvidenceRetracted(note) => {
            evidence(note, out)
        }
    }
}

fn score_changed(output: &Output, changed: &ScoreChanged, out: &mut Writer) {
    out.name("as_of").time(output.time);
    out.name("previous").optional(changed.previous, Writer::micros);
    out.name("band").text(changed.band.as_str());
    out.name("previous_band").optional(changed.previous_band, |out, band| out.text(band.as_str()));
    trust(&changed.reading, out);
    out.name("change").object(|out| {
        for (name, term) in CHANGE.iter().zip(changed.change) {
            out.name(name).micros(term);
        }
    });
    out.name("policy").text(&changed.policy);
}

fn trust(reading: &TrustReading, out: &mut Writer) {
    out.name("score").micros(reading.score);
    interval(reading.interval, out.name("interval"));
    out.name("uncertainty").micros(reading.uncertainty);
    out.name("evidence_mass").micros(reading.evidence_mass);
    out.name("triad").object(|out| {
        for (name, value) in ["things_right", "right_thing", "proactive"].iter().zip(reading.triad)
        {
            out.name(name).micros(value);
        }
    });
    out.name("dimensions").object(|out| {
        for (dimension, reading) in Dimension::ALL.iter().zip(&reading.dimensions) {
            out.name(dimension.as_str()).object(|out| {
                out.name("expected").micros(reading.expected);
                out.name("positive").micros(reading.positive);
                out.name("negative").micros(reading.negative);
                out.name("uncertainty").micros(reading.uncertainty);
                interval(reading.interval, out.name("interval"));
            });
        }
    });
    out.name("parts").object(|out| {
        for (class, points) in &reading.parts {
            out.name(class.as_str()).micros(*points);
        }
    });
}

fn squeeze(alert: &SqueezeAlert, out: &mut Writer) {
    out.name("dedup_key").text(&alert.dedup_key);
    out.name("type").text(alert.kind.code());
    out.name("name").text(alert.kind.name());
    out.name("generation").int(alert.generation);
    out.name("state").text(alert.state.as_str());
    out.name("level").text(alert.level.as_str());
    out.name("severity").micros(alert.severity);
    out.name("subscription_id").optional(alert.subscription_id.as_deref(), Writer::text);
    out.name("subject").text(&alert.subject);
    out.name("excess_monthly").money(&alert.excess_monthly);
    out.name("accrued").money(&alert.accrued);
    out.name("refunded").money(&alert.refunded);
    out.name("since").time(alert.since);
    out.name("opened_at").time(alert.opened_at);
    out.name("factors").object(|out| {
        for (name, factor) in ["u", "kappa", "v", "k"].iter().zip(alert.factors) {
            out.name(name).micros(factor);
        }
    });
    out.name("comparator")
        .optional(alert.comparator.as_ref(), |out, plan| out.object(|out| comparator(plan, out)));
    out.name("evidence")
        .list(|out| alert.evidence.iter().for_each(|reference| out.text(reference)));
    out.name("reason").optional(alert.reason.as_deref(), Writer::text);
    out.name("policy").text(&alert.policy);
}

fn comparator(plan: &Comparator, out: &mut Writer) {
    out.name("plan_id").text(&plan.plan_id);
    out.name("monthly").money(&plan.monthly);
    out.name("effective_from").time(plan.effective_from);
}

fn promise_breach(breach: &Breach, out: &mut Writer) {
    out.name("promise_id").text(&breach.promise_id);
    out.name("kind").text(&breach.kind);
    out.name("made_at").time(breach.made_at);
    out.name("due_at").time(breach.due_at);
    out.name("outcome").text(breach.outcome.as_str());
    out.name("presumed").bool(breach.presumed);
    out.name("stake").optional(breach.stake.as_ref(), Writer::money);
}

fn components(loyalty: &LoyaltyReading, out: &mut Writer) {
    out.name("consider").micros(loyalty.consider);
    out.name("rely").micros(loyalty.rely);
    out.name("forgive").micros(loyalty.forgive);
}

fn evidence(note: &EvidenceNote, out: &mut Writer) {
    out.name("evidence_id").text(&note.id.to_string());
    out.name("class").text(note.class.as_str());
    out.name("key").text(&note.key);
    out.name("dimension").text(note.class.dimension().as_str());
    out.name("sign").text(note.sign.as_str());
    out.name("weight").micros(note.weight);
    out.name("time").time(note.time);
}

/// Writes the members of a customer's state. `restricted`: what is dual-use too.
pub(super) fn state(view: &CustomerView, restricted: bool, out: &mut Writer) {
    out.name("customer").text(&view.customer);
    out.name("as_of").time(view.as_of);
    out.name("clock").time(view.clock);
    out.name("band").optional(view.band, |out, band| out.text(band.as_str()));
    out.name("last_published").optional(view.last_published, Writer::micros);
    trust(&view.trust, out);
    if restricted {
        out.name("loyalty").object(|out| {
            out.name("loyalty").micros(view.loyalty.loyalty);
            components(&view.loyalty, out);
        });
    }
    out.name("perceived").micros(view.perceived);
    out.name("proactive_ratio").micros(view.proactive_ratio);
    if restricted {
        out.name("reciprocity").object(|out| {
            out.name("trials").int(view.reciprocity.trials);
            out.name("residual").micros(view.reciprocity.residual);
            out.name("variance").micros(view.reciprocity.variance);
        });
    }
    out.name("promises").object(|out| {
        for (id, outcome) in &view.promises {
            out.any_name(id).text(outcome.as_str());
        }
    });
    out.name("squeezes").object(|out| {
        for (key, slot) in &view.squeezes {
            out.any_name(key).object(|out| squeeze_slot(slot, out));
        }
    });
    money_and_counters(view, out);
}

fn squeeze_slot(slot: &SqueezeView, out: &mut Writer) {
    out.name("type").text(slot.kind.code());
    out.name("state").text(slot.state.as_str());
    out.name("generation").int(slot.generation);
    out.name("gross").int(slot.gross);
    out.name("refunded").int(slot.refunded);
    out.name("severity").micros(slot.severity);
}

fn money_and_counters(view: &CustomerView, out: &mut Writer) {
    out.name("money").object(|out| {
        for (currency, money) in &view.money {
            out.any_name(currency.as_str()).object(|out| {
                out.name("billed").int(money.billed);
                out.name("bad_profit").int(money.bad_profit);
                out.name("remedies").int(money.remedies);
                out.name("generosity").int(money.generosity);
                out.name("good_profit").int(money.good_profit);
                out.name("redress_liability").int(money.redress_liability);
            });
        }
    });
    out.name("counters").object(|out| {
        for (name, count) in &view.counters {
            out.name(name).int(*count);
        }
    });
}
