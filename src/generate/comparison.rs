//! What was planted against what was found: for each squeeze type how many were found, missed and wrongly said.
//!
//! A squeeze is found if an alert opens it under the same key, held and opened at the same times as planted. It reads alerts as they
//! are published; how they came about is not its business.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use thiserror::Error;

use super::population::{Planted, PlantedSqueeze, read_time};
use crate::model::squeeze::SqueezeType;
use crate::model::{EventTime, Text};

/// Why a line is not what it should be.
#[derive(Debug, Error)]
#[error("line {line} is no {expected}: {source}")]
pub struct LineError {
    /// Counts from 1.
    pub line: u64,
    /// What it should be.
    pub expected: &'static str,
    /// Why it is not.
    pub source: serde_json::Error,
}

/// A squeeze that was said and not planted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FalseAlarm {
    /// Who is said to be squeezed.
    pub customer: Text,
    /// How.
    pub kind: SqueezeType,
    /// The key of the alert.
    pub dedup_key: Text,
    /// When its rule first held.
    pub since: EventTime,
    /// When it was said.
    pub opened: EventTime,
    /// Ids of what the rule judged.
    pub evidence: Vec<Text>,
    /// The guards of decoys of the type with this customer, if the alarm fell for one.
    pub decoys: Vec<Text>,
}

/// One squeeze type in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TypeTally {
    /// Planted squeezes.
    pub planted: u64,
    /// Of these, found.
    pub found: u64,
    /// Said, but not planted.
    pub false_alarms: u64,
    /// Planted decoys.
    pub decoys: u64,
}

impl TypeTally {
    /// Planted and not found.
    pub const fn missed(self) -> u64 {
        self.planted - self.found
    }

    /// Found of all said; `None` if nothing was said.
    pub fn precision(self) -> Option<f64> {
        share(self.found, self.found + self.false_alarms)
    }

    /// Found of all planted; `None` if nothing was planted.
    pub fn recall(self) -> Option<f64> {
        share(self.found, self.planted)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The comparison in the making, and its result.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Planted and not yet found, by key and times.
    missing: BTreeMap<(Text, EventTime, EventTime), PlantedSqueeze>,
    tallies: BTreeMap<SqueezeType, TypeTally>,
    decoys: BTreeMap<(Text, SqueezeType), Vec<Text>>,
    false_alarms: Vec<FalseAlarm>,
    planted_lines: u64,
    alert_lines: u64,
}

/// What of an alert matters here.
#[derive(Deserialize)]
struct Alert {
    #[serde(rename = "type")]
    kind: Text,
    subject: Text,
    data: Option<serde_json::value::Value>,
}

#[derive(Deserialize)]
struct Opened {
    #[serde(rename = "type")]
    kind: SqueezeType,
    dedup_key: Text,
    #[serde(deserialize_with = "read_time")]
    since: EventTime,
    #[serde(deserialize_with = "read_time")]
    opened_at: EventTime,
    evidence: Vec<Text>,
}

impl Comparison {
    /// Takes a line of the file that `gen --plant` wrote; all of them come before the first alert.
    ///
    /// # Errors
    /// If it is no such line.
    pub fn planted(&mut self, line: &[u8]) -> Result<(), LineError> {
        self.planted_lines += 1;
        let of =
            |source| LineError { line: self.planted_lines, expected: "planted squeeze", source };
        match serde_json::from_slice(line).map_err(of)? {
            Planted::Squeeze(squeeze) => {
                self.tallies.entry(squeeze.kind).or_default().planted += 1;
                let place = (squeeze.dedup_key.clone(), squeeze.since, squeeze.opens);
                self.missing.insert(place, squeeze);
            }
            Planted::Decoy(decoy) => {
                self.tallies.entry(decoy.kind).or_default().decoys += 1;
                self.decoys.entry((decoy.customer, decoy.kind)).or_default().push(decoy.guard);
            }
        }
        Ok(())
    }

    /// Takes a line of `alerts.ndjson`; only those that open a squeeze count.
    ///
    /// # Errors
    /// If it is no alert.
    pub fn alert(&mut self, line: &[u8]) -> Result<(), LineError> {
        self.alert_lines += 1;
        let of = |source| LineError { line: self.alert_lines, expected: "alert", source };
        let alert: Alert = serde_json::from_slice(line).map_err(of)?;
        if *alert.kind != *"io.goodfaith.squeeze.opened.v1" {
            return Ok(());
        }
        let opened = Opened::deserialize(alert.data.unwrap_or_default()).map_err(of)?;
        self.opened(alert.subject, opened);
        Ok(())
    }

    fn opened(&mut self, customer: Text, opened: Opened) {
        let tally = self.tallies.entry(opened.kind).or_default();
        let place = (opened.dedup_key.clone(), opened.since, opened.opened_at);
        if self.missing.remove(&place).is_some() {
            tally.found += 1;
            return;
        }
        tally.false_alarms += 1;
        let of_customer = (customer, opened.kind);
        let decoys = self.decoys.get(&of_customer).cloned().unwrap_or_default();
        self.false_alarms.push(FalseAlarm {
            customer: of_customer.0,
            kind: opened.kind,
            dedup_key: opened.dedup_key,
            since: opened.since,
            opened: opened.opened_at,
            evidence: opened.evidence,
            decoys,
        });
    }

    /// The numbers by type; types neither planted nor said are left out.
    pub const fn tallies(&self) -> &BTreeMap<SqueezeType, TypeTally> {
        &self.tallies
    }

    /// Planted and not found, by key.
    pub fn misses(&self) -> impl Iterator<Item = &PlantedSqueeze> {
        self.missing.values()
    }

    /// Said and not planted, in the order of the alerts.
    pub fn false_alarms(&self) -> &[FalseAlarm] {
        &self.false_alarms
    }

    /// Every type's precision and recall is at least `share`.
    pub fn is_at_least(&self, share: f64) -> bool {
        let reaches = |value: Option<f64>| value.is_none_or(|value| value >= share);
        self.tallies.values().all(|tally| reaches(tally.precision()) && reaches(tally.recall()))
    }

    /// All of it as one JSON object: `types`, `misses`, `false_alarms`.
    pub fn to_json(&self) -> serde_json::Value {
        let types: Vec<_> =
            self.tallies.iter().map(|(kind, tally)| type_json(*kind, *tally)).collect();
        let alarms: Vec<_> = self.false_alarms.iter().map(alarm_json).collect();
        serde_json::json!({
            "types": types,
            "misses": self.misses().collect::<Vec<_>>(),
            "false_alarms": alarms,
        })
    }
}

fn type_json(kind: SqueezeType, tally: TypeTally) -> serde_json::Value {
    serde_json::json!({
        "type": kind.code(),
        "name": kind.name(),
        "planted": tally.planted,
        "found": tally.found,
        "missed": tally.missed(),
        "false_alarms": tally.false_alarms,
        "decoys": tally.decoys,
        "precision": tally.precision(),
        "recall": tally.recall(),
    })
}

fn alarm_json(alarm: &FalseAlarm) -> serde_json::Value {
    serde_json::json!({
        "customer": alarm.customer,
        "type": alarm.kind.code(),
        "dedup_key": alarm.dedup_key,
        "since": alarm.since.to_string(),
        "opened": alarm.opened.to_string(),
        "evidence": alarm.evidence,
        "decoys": alarm.decoys,
    })
}

impl fmt::Display for Comparison {
    /// A table of several lines, then each miss and false alarm on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<34}{:>8}{:>8}{:>8}{:>14}{:>8}{:>11}{:>8}",
            "squeeze",
            "planted",
            "found",
            "missed",
            "false alarms",
            "decoys",
            "precision",
            "recall"
        )?;
        for (kind, tally) in &self.tallies {
            let name = format!("{} {}", kind.code(), kind.name());
            let TypeTally { planted, found, false_alarms, decoys } = tally;
            let missed = tally.missed();
            let [precision, recall] = [tally.precision(), tally.recall()]
                .map(|share| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.4}")));
            writeln!(
                f,
                "{name:<34}{planted:>8}{found:>8}{missed:>8}{false_alarms:>14}{decoys:>8}{precision:>11}{recall:>8}"
            )?;
        }
        for miss in self.misses() {
            let PlantedSqueeze { customer, kind, subject, since, opens, story, evidence, .. } =
                miss;
            let (code, judged) = (kind.code(), evidence.join(", "));
            writeln!(
                f,
                "missed {code} of {customer}, subject {subject}: {story}; holds since {since}, due {opens}, by {judged}"
            )?;
        }
        for alarm in &self.false_alarms {
            let FalseAlarm { customer, kind, dedup_key, since, opened, evidence, decoys } = alarm;
            let (code, judged) = (kind.code(), evidence.join(", "));
            write!(
                f,
                "false alarm {code} of {customer}, key {dedup_key}: since {since}, opened {opened}, by {judged}"
            )?;
            match decoys.as_slice() {
                [] => writeln!(f)?,
                guards => writeln!(f, "; a decoy: {}", guards.join(", "))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const PLANTED: &str = r#"{"planted":"squeeze","customer":"ada","type":"S04","subscription_id":"line","subject":"out","dedup_key":"k1","since":"2025-03-01T06:00:00.000Z","opens":"2025-03-01T06:00:00.000Z","story":"billed on","evidence":["inv-1"]}"#;
    const DECOY: &str = r#"{"planted":"decoy","customer":"ben","type":"S04","subscription_id":"line","since":"2025-03-01T06:00:00.000Z","guard":"the customer stayed"}"#;

    fn opened(customer: &str, key: &str, since: &str) -> String {
        format!(
            r#"{{"type":"io.goodfaith.squeeze.opened.v1","subject":"{customer}","data":{{"type":"S04","dedup_key":"{key}","since":"{since}","opened_at":"{since}","evidence":["inv-1"]}}}}"#
        )
    }

    fn compared(alerts: &[String]) -> Comparison {
        let mut comparison = Comparison::default();
        for line in [PLANTED, DECOY] {
            comparison.planted(line.as_bytes()).unwrap();
        }
        for alert in alerts {
            comparison.alert(alert.as_bytes()).unwrap();
        }
        comparison
    }

    #[test]
    fn found_is_what_opens_under_the_planted_key_at_the_planted_time() {
        let time = "2025-03-01T06:00:00.000Z";
        let stopped = opened("ada", "k9", time).replace("opened.v1", "stopped.v1");
        let all = compared(&[opened("ada", "k1", time), stopped]);
        assert_eq!((all.misses().count(), all.false_alarms().len()), (0, 0));
        assert!(all.is_at_least(1.0));
    }

    #[test]
    fn a_day_later_is_a_miss_and_a_false_alarm_and_a_decoy_is_named() {
        let time = "2025-03-02T06:00:00.000Z";
        let all = compared(&[opened("ada", "k1", time), opened("ben", "k2", time)]);
        assert!(!all.is_at_least(0.01));
        assert_snapshot!(all, @r"
        squeeze                            planted   found  missed  false alarms  decoys  precision  recall
        S04 charge_after_cancellation            1       0       1             2       1     0.0000  0.0000
        missed S04 of ada, subject out: billed on; holds since 2025-03-01T06:00:00.000Z, due 2025-03-01T06:00:00.000Z, by inv-1
        false alarm S04 of ada, key k1: since 2025-03-02T06:00:00.000Z, opened 2025-03-02T06:00:00.000Z, by inv-1
        false alarm S04 of ben, key k2: since 2025-03-02T06:00:00.000Z, opened 2025-03-02T06:00:00.000Z, by inv-1; a decoy: the customer stayed
        ");
    }

    #[test]
    fn a_line_that_is_something_else_is_named() {
        let error = Comparison::default().alert(b"{}").unwrap_err().to_string();
        assert!(error.starts_with("line 1 is no alert: missing field"), "{error}");
    }
}
