//! One output in a line, for a person.

use super::output::{Breach, Data, Output, Score, Squeeze, amount};

/// What a line is about: each kind has its room on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Squeeze,
    Promise,
    Score,
    Refused,
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) subject: Subject,
    /// To the minute; lines are told in its order.
    pub(super) time: String,
    pub(super) customer: String,
    pub(super) text: String,
    /// Is it good news?
    pub(super) is_good: bool,
    /// When there is no room for all, the heaviest are told.
    pub(super) weight: f64,
}

impl Story {
    /// What there is to tell of `output`; nothing of what only counts.
    pub(super) fn of(output: &Output) -> Option<Self> {
        let (subject, text, is_good, weight) = match &output.data {
            Data::Squeeze(squeeze) => {
                let is_over =
                    matches!(squeeze.state.as_str(), "resolved" | "stopped" | "suppressed");
                (
                    Subject::Squeeze,
                    told_squeeze(squeeze, output.kind()),
                    is_over,
                    weight_of(squeeze, is_over),
                )
            }
            Data::Breach(breach) => {
                let is_broken = breach.outcome == "broken";
                (Subject::Promise, told_breach(breach), !is_broken, f64::from(u8::from(is_broken)))
            }
            Data::Score(score) => {
                let change = score.previous.map_or(0.0, |previous| score.score - previous);
                (Subject::Score, told_score(score), change >= 0.0, change.abs())
            }
            Data::Other {} => return None,
        };
        let time = minute(&output.time);
        Some(Self { subject, time, customer: output.subject.clone(), text, is_good, weight })
    }

    /// A record set aside, in the words of its reason.
    pub(super) fn refused(reason: &str, time: &str) -> Self {
        Self {
            subject: Subject::Refused,
            time: time.to_owned(),
            customer: "-".to_owned(),
            text: format!("a record set aside with its reason, {reason}; everything else goes on"),
            is_good: false,
            weight: 0.0,
        }
    }
}

/// `2025-01-01 17:36`
pub(super) fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

/// What opens and has a price to compare with says most.
fn weight_of(squeeze: &Squeeze, is_over: bool) -> f64 {
    let compared = if squeeze.comparator.is_some() { 1.0 } else { 0.0 };
    if is_over { squeeze.severity } else { squeeze.severity + 1.0 + compared }
}

fn told_squeeze(squeeze: &Squeeze, kind: &str) -> String {
    let what = kind.strip_prefix("squeeze.").unwrap_or(kind);
    let mut text =
        format!("{} {} {what} ({})", squeeze.r#type, squeeze.name.replace('_', " "), squeeze.level);
    let (excess, accrued) = (&squeeze.excess_monthly, &squeeze.accrued);
    if accrued.minor > 0 {
        text += &format!(": {} overcharged", amount(accrued.minor, &accrued.currency));
    } else if excess.minor > 0 && squeeze.state == "open" {
        text += &format!(": {} a month at stake", amount(excess.minor, &excess.currency));
    }
    if let Some(comparator) = squeeze.comparator.as_ref().filter(|_| squeeze.state == "open") {
        let monthly = amount(comparator.monthly.minor, &comparator.monthly.currency);
        let excess = amount(excess.minor, &excess.currency);
        text += &format!(", {excess} a month more than {} for {monthly}", comparator.plan_id);
    }
    if squeeze.refunded.minor > 0 {
        text +=
            &format!(", {} given back", amount(squeeze.refunded.minor, &squeeze.refunded.currency));
    }
    text
}

fn told_breach(breach: &Breach) -> String {
    let Breach { promise_id, kind, outcome, presumed } = breach;
    match (outcome.as_str(), presumed) {
        ("broken", true) => {
            format!("{kind} {promise_id} broken in silence: it was due, and nothing came")
        }
        ("broken", false) => format!("{kind} {promise_id} broken"),
        (outcome, _) => format!("{kind} {promise_id}: not broken after all, {outcome}"),
    }
}

fn told_score(score: &Score) -> String {
    let mut causes: Vec<(&str, f64)> =
        score.change.iter().map(|(cause, points)| (cause.as_str(), *points)).collect();
    causes.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(b.0)));
    let causes: Vec<String> = causes
        .iter()
        .take(2)
        .filter(|(_cause, points)| points.abs() >= 0.0005)
        .map(|(cause, points)| format!("{cause} {points:+.3}"))
        .collect();
    let before =
        score.previous.map_or_else(|| "first".to_owned(), |previous| format!("{previous:.3}"));
    format!("{before} -> {:.3} ({}) by {}", score.score, score.band, causes.join(", "))
}
