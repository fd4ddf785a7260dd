//! What the demo knows of the outputs so far: totals, and the lines of the last moment. It is made from the published records alone,
//! as any other reader could. It holds one entry a customer and one an open squeeze, and some lines.

use std::collections::BTreeMap;

use super::output::{Data, Money, Output, Squeeze, amount};
use super::story::{Story, Subject, minute};
use crate::kafka::TailRecord;

/// Lines told of each subject in one go: what a person can read.
const ROOM: [(Subject, usize); 4] =
    [(Subject::Squeeze, 2), (Subject::Promise, 1), (Subject::Score, 2), (Subject::Refused, 1)];
/// Customers named at the end, of the best and of the worst.
const NAMED: usize = 3;

/// All that was read so far.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The latest time an output was about, RFC 3339.
    now: String,
    scores: BTreeMap<String, (f64, String)>,
    score_changes: u64,
    promises_broken: u64,
    breaches_withdrawn: u64,
    dead_letters: BTreeMap<String, u64>,
    squeezes: BTreeMap<(String, String), SqueezeTotals>,
    /// By dedup key, as last heard of; in minor units.
    unresolved: BTreeMap<String, Amounts>,
    /// Of those that are over.
    resolved: Amounts,
    currency: Option<String>,
    untold: Vec<Story>,
    first_squeezed: Option<String>,
}

/// Alerts of one type.
#[derive(Debug, Default)]
struct SqueezeTotals {
    opened: u64,
    resolved: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Amounts {
    overcharged: i64,
    given_back: i64,
}

impl Amounts {
    fn add(&mut self, other: Self) {
        self.overcharged += other.overcharged;
        self.given_back += other.given_back;
    }
}

impl Account {
    /// Takes in one record. What is no output of ours is passed over.
    pub(super) fn take(&mut self, record: &TailRecord) {
        if let Some(reason) = &record.reason {
            *self.dead_letters.entry(reason.clone()).or_default() += 1;
            let story = Story::refused(reason, &minute(&self.now));
            self.keep(story);
        } else if let Some(value) = &record.value
            && let Ok(output) = serde_json::from_slice::<Output>(value)
        {
            self.count(&output);
            if let Some(story) = Story::of(&output) {
                self.keep(story);
            }
        }
    }

    fn count(&mut self, output: &Output) {
        if self.now < output.time {
            self.now.clone_from(&output.time);
        }
        match &output.data {
            Data::Squeeze(squeeze) => self.count_squeeze(output, squeeze),
            Data::Score(score) => {
                self.score_changes += 1;
                self.scores.insert(output.subject.clone(), (score.score, score.band.clone()));
            }
            Data::Breach(breach) if breach.outcome == "broken" => self.promises_broken += 1,
            Data::Breach(_) => self.breaches_withdrawn += 1,
            Data::Other {} => {}
        }
    }

    fn count_squeeze(&mut self, output: &Output, squeeze: &Squeeze) {
        let Squeeze { accrued: Money { minor, currency }, refunded, .. } = squeeze;
        let amounts = Amounts { overcharged: *minor, given_back: refunded.minor };
        let totals =
            self.squeezes.entry((squeeze.r#type.clone(), squeeze.name.clone())).or_default();
        match output.kind() {
            "squeeze.opened" | "squeeze.reopened" => totals.opened += 1,
            "squeeze.resolved" => totals.resolved += 1,
            _ => {}
        }
        if output.kind() == "squeeze.resolved" {
            self.unresolved.remove(&squeeze.dedup_key);
            self.resolved.add(amounts);
        } else {
            self.unresolved.insert(squeeze.dedup_key.clone(), amounts);
        }
        self.currency.get_or_insert_with(|| currency.clone());
        self.first_squeezed.get_or_insert_with(|| output.subject.clone());
    }

    /// Keeps a line if there is room for it, or if it says more than one that is kept.
    fn keep(&mut self, story: Story) {
        let room = ROOM
            .iter()
            .find(|(subject, _room)| *subject == story.subject)
            .map_or(0, |(_, room)| *room);
        let kept = self.untold.iter().enumerate().filter(|(_, kept)| kept.subject == story.subject);
        if kept.clone().count() < room {
            self.untold.push(story);
        } else if let Some((lightest, _)) = kept.min_by(|a, b| a.1.weight.total_cmp(&b.1.weight))
            && self.untold[lightest].weight < story.weight
        {
            self.untold[lightest] = story;
        }
    }

    /// The most telling lines since last asked, in the order of their times.
    pub(super) fn stories(&mut self) -> Vec<Story> {
        let mut stories = std::mem::take(&mut self.untold);
        stories.sort_by(|a, b| {
            (&a.time, &a.customer, a.subject).cmp(&(&b.time, &b.customer, b.subject))
        });
        stories
    }

    /// Whom to look at first.
    pub(super) fn first_squeezed(&self) -> Option<&str> {
        self.first_squeezed.as_deref()
    }

    /// Where everything stands, in one line; `events` is what the scorer is done with.
    pub(super) fn totals(&self, events: u64) -> String {
        let Amounts { overcharged, .. } = self.amounts();
        format!(
            "{}  {events} events, {} customers scored, {} score changes, {} squeezes unresolved, {} overcharged, {} promises broken, {} records set aside",
            minute(&self.now),
            self.scores.len(),
            self.score_changes,
            self.unresolved.len(),
            self.money(overcharged),
            self.promises_broken,
            self.dead_letters.values().sum::<u64>(),
        )
    }

    /// The whole account, in lines.
    pub(super) fn summary(&self, events: u64) -> Vec<String> {
        let Amounts { overcharged, given_back } = self.amounts();
        let mut lines = vec![
            format!("{events} events up to {}", minute(&self.now)),
            format!("{} customers scored, {} score changes", self.scores.len(), self.score_changes),
            format!(
                "{} promises broken, {} of them found kept or taken back later",
                self.promises_broken, self.breaches_withdrawn
            ),
            format!(
                "{} overcharged, {} of it given back",
                self.money(overcharged),
                self.money(given_back)
            ),
            format!("{:<34}{:>8}{:>10}", "squeezes", "opened", "resolved"),
        ];
        lines.extend(self.squeezes.iter().map(|((code, name), totals)| {
            format!(
                "  {:<32}{:>8}{:>10}",
                format!("{code} {}", name.replace('_', " ")),
                totals.opened,
                totals.resolved
            )
        }));
        lines.push(format!("records set aside: {}", listed(&self.dead_letters)));
        let mut by_score: Vec<_> = self.scores.iter().collect();
        by_score.sort_by(|a, b| a.1.0.total_cmp(&b.1.0).then(a.0.cmp(b.0)));
        let named = |customers: &mut dyn Iterator<Item = &(&String, &(f64, String))>| {
            let named = customers
                .take(NAMED)
                .map(|(customer, (score, band))| format!("{customer} {score:.3} ({band})"));
            named.collect::<Vec<_>>().join(", ")
        };
        lines.push(format!("least trust: {}", named(&mut by_score.iter())));
        lines.push(format!("most trust:  {}", named(&mut by_score.iter().rev())));
        lines
    }

    fn amounts(&self) -> Amounts {
        let mut all = self.resolved;
        self.unresolved.values().for_each(|amounts| all.add(*amounts));
        all
    }

    fn money(&self, minor: i64) -> String {
        amount(minor, self.currency.as_deref().unwrap_or("GBP"))
    }
}

/// `bad_data 3, not_json 7`, or `none`.
fn listed(counts: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(kind: &str, customer: &str, time: &str, data: &str) -> TailRecord {
        let json = format!(
            r#"{{"specversion":"1.0","type":"io.goodfaith.{kind}.v1","subject":"{customer}","time":"2025-02-{time}:29.220Z","data":{data}}}"#
        );
        TailRecord { value: Some(json.into_bytes()), ..TailRecord::default() }
    }

    fn score(customer: &str, time: &str, previous: &str, score: f64) -> TailRecord {
        let change = r#"{"earlier":0.0,"decay":0.000004,"competence":-0.027196,"fairness":0.01}"#;
        output(
            "trust.score_changed",
            customer,
            time,
            &format!(
                r#"{{"previous":{previous},"score":{score},"band":"strained","change":{change}}}"#
            ),
        )
    }

    fn squeeze(change: &str, key: &str, accrued: i64, refunded: i64) -> TailRecord {
        let gbp = |minor| format!(r#"{{"minor":{minor},"currency":"GBP"}}"#);
        let state = change.replace("opened", "open");
        output(
            &format!("squeeze.{change}"),
            "ada",
            "01T05:00",
            &format!(
                r#"{{"dedup_key":"{key}","type":"S01","name":"legacy_overpricing","state":"{state}","level":"critical","severity":0.8,"excess_monthly":{},"accrued":{},"refunded":{},"comparator":{{"plan_id":"flex-m","monthly":{}}}}}"#,
                gbp(1000),
                gbp(accrued),
                gbp(refunded),
                gbp(1900)
            ),
        )
    }

    fn breach(outcome: &str, presumed: bool) -> TailRecord {
        let kind = if outcome == "broken" {
            "promise.breach_detected"
        } else {
            "promise.breach_withdrawn"
        };
        output(
            kind,
            "bob",
            "02T15:57",
            &format!(
                r#"{{"promise_id":"call-1","kind":"callback","outcome":"{outcome}","presumed":{presumed}}}"#
            ),
        )
    }

    fn refused(reason: &str) -> TailRecord {
        TailRecord {
            value: Some(b"{".to_vec()),
            reason: Some(reason.to_owned()),
            ..TailRecord::default()
        }
    }

    fn account(records: &[TailRecord]) -> Account {
        let mut account = Account::default();
        records.iter().for_each(|record| account.take(record));
        account
    }

    fn told(records: &[TailRecord]) -> String {
        let line = |story: Story| format!("{} {} {}", story.time, story.customer, story.text);
        account(records).stories().into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_output_is_told_in_a_line() {
        insta::assert_snapshot!(told(&[
            score("cy", "03T10:00", "0.5", 0.482_804),
            score("di", "03T11:00", "null", 0.482_804),
            squeeze("opened", "k", 2000, 0),
            breach("broken", true),
            refused("bad_data"),
        ]), @r"
        2025-02-01 05:00 ada S01 legacy overpricing opened (critical): 20.00 GBP overcharged, 10.00 GBP a month more than flex-m for 19.00 GBP
        2025-02-02 15:57 bob callback call-1 broken in silence: it was due, and nothing came
        2025-02-03 10:00 cy 0.500 -> 0.483 (strained) by competence -0.027, fairness +0.010
        2025-02-03 11:00 - a record set aside with its reason, bad_data; everything else goes on
        2025-02-03 11:00 di first -> 0.483 (strained) by competence -0.027, fairness +0.010
        ");
        insta::assert_snapshot!(told(&[breach("late", false), squeeze("resolved", "k", 2000, 2000)]), @r"
        2025-02-01 05:00 ada S01 legacy overpricing resolved (critical): 20.00 GBP overcharged, 20.00 GBP given back
        2025-02-02 15:57 bob callback call-1: not broken after all, late
        ");
    }

    #[test]
    fn of_many_lines_the_most_telling_are_told() {
        let many: Vec<_> = (1..=9)
            .map(|n| score(&format!("c{n}"), "03T10:00", "0.5", 0.5 - f64::from(n) / 100.0))
            .collect();
        insta::assert_snapshot!(told(&many), @r"
        2025-02-03 10:00 c8 0.500 -> 0.420 (strained) by competence -0.027, fairness +0.010
        2025-02-03 10:00 c9 0.500 -> 0.410 (strained) by competence -0.027, fairness +0.010
        ");
    }

    #[test]
    fn what_is_told_once_is_not_told_again() {
        let mut account = account(&[breach("broken", true)]);
        assert_eq!((account.stories().len(), account.stories().len()), (1, 0));
    }

    #[test]
    fn the_same_squeeze_is_counted_once_however_often_it_is_told_of() {
        let account = account(&[
            squeeze("opened", "k", 2000, 0),
            squeeze("escalated", "k", 3000, 0),
            squeeze("resolved", "k", 3000, 3000),
            squeeze("opened", "l", 500, 100),
            score("ada", "03T10:00", "0.5", 0.4),
            score("ada", "04T10:00", "0.4", 0.3),
            score("bob", "04T10:00", "0.5", 0.7),
            breach("broken", true),
            refused("not_json"),
            refused("not_json"),
        ]);
        insta::assert_snapshot!(account.totals(12), @"2025-02-04 10:00  12 events, 2 customers scored, 3 score changes, 1 squeezes unresolved, 35.00 GBP overcharged, 1 promises broken, 2 records set aside");
        insta::assert_snapshot!(account.summary(12).join("\n"), @r"
        12 events up to 2025-02-04 10:00
        2 customers scored, 3 score changes
        1 promises broken, 0 of them found kept or taken back later
        35.00 GBP overcharged, 31.00 GBP of it given back
        squeezes                            opened  resolved
          S01 legacy overpricing                 2         1
        records set aside: not_json 2
        least trust: ada 0.300 (strained), bob 0.700 (strained)
        most trust:  bob 0.700 (strained), ada 0.300 (strained)
        ");
        assert_eq!(account.first_squeezed(), Some("ada"));
    }

    #[test]
    fn a_stranger_s_record_is_passed_over() {
        let nonsense =
            TailRecord { value: Some(b"{\"type\":3}".to_vec()), ..TailRecord::default() };
        let tombstone = TailRecord::default();
        assert!(told(&[nonsense, tombstone]).is_empty());
    }
}
