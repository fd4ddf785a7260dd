//! A policy on its way into force while events flow: the document that was published, whether it can replace the one in force, and
//! which rules must gather anew before they may open a squeeze.
//!
//! When it takes effect is not decided here: the engine is told, by a journal record or, in files, by the record's place.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::policy::{Difference, Document, Node, NodeValue, Place, PolicyProblem};
use super::squeeze::SqueezeType;
use super::{EventTime, Policy, PolicyError, Text};

/// A policy as it was published: what its author wrote, and what it comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDocument {
    // Invariant: an object, its members sorted and without blanks, so that what is written alike is one text.
    json: Text,
    policy: Arc<Policy>,
}

impl PolicyDocument {
    /// The document that the JSON `text` is.
    ///
    /// # Errors
    /// As [`Policy::from_json`]; also if it states no version, for then nobody could say which policy an output rests on.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        Self::from_document(&Document::from_json(text)?)
    }

    /// The document a policy file is. Cases written in it are for whoever checks it, and stay behind.
    ///
    /// # Errors
    /// As [`PolicyDocument::from_json`].
    pub fn from_document(document: &Document) -> Result<Self, PolicyError> {
        let policy = Policy::from_document(document)?;
        if document.get("version").is_none_or(|node| node.value == NodeValue::Null) {
            let problem =
                PolicyProblem::Expected("a version of its own: outputs carry it".to_owned());
            let place = Place { line: 1, column: 1 };
            return Err(PolicyError { place, key: "version".to_owned(), problem });
        }
        let members = document.root.iter().filter(|(key, _)| *key != "case");
        let json: Value = members.map(|(key, node)| (key.clone(), json(node))).collect();
        Ok(Self { json: json.to_string().into(), policy: Arc::new(policy) })
    }

    /// What its author stated, as one line of JSON, members in order of name.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// What it comes to: what is not stated has its default.
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }
}

/// A value of a policy file as JSON.
fn json(node: &Node) -> Value {
    match &node.value {
        NodeValue::Number(number) => (*number).into(),
        NodeValue::Text { text, .. } => text.as_str().into(),
        NodeValue::Flag(flag) => (*flag).into(),
        NodeValue::List(items) => items.iter().map(json).collect(),
        NodeValue::Table(members) => {
            members.iter().map(|(key, node)| (key.clone(), json(node))).collect()
        }
        NodeValue::Null => Value::Null,
    }
}

/// Why a policy cannot replace another in flight: the masses stored of every customer hold a number of the old one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{key} is {from} and would be {to}: it is part of what is stored of every customer, so it is not changed in flight. Score the log \
     again by `goodfaith reset`, or by a new deployment beside this one, with a group_id and topic_prefix of its own"
)]
pub struct BakedIn {
    /// The setting.
    pub key: String,
    /// Its value in force.
    pub from: String,
    /// The value refused.
    pub to: String,
}

impl Policy {
    /// Whether this policy can follow `old` without a replay: half-lives and λ are part of the masses stored, all else is read when it
    /// is needed.
    ///
    /// # Errors
    /// The first setting that would have to stay.
    pub fn can_replace(&self, old: &Self) -> Result<(), BakedIn> {
        match self.differences(old).into_iter().find(|difference| difference.entry.is_stored) {
            Some(Difference { entry, other }) => {
                Err(BakedIn { key: entry.key, from: other, to: entry.value })
            }
            None => Ok(()),
        }
    }
}

/// Since when a plan must be on sale for a rule to compare with it.
const ON_SALE: &str = "catalogue.on_sale_days";
/// What the thresholds in minor units are multiplied by.
const SCALE: &str = "money.currency_scale.";

/// Whether the setting `key` is part of what the rule of `kind` judges by. Its culpability is not: like every weight it is read at each
/// evaluation, and acts at once; nor are holidays, which say what a business day is, not what is asked of it.
fn is_of_rule(kind: SqueezeType, key: &str) -> bool {
    let own = key.strip_prefix("squeeze.").and_then(|rest| rest.split_once('.'));
    let shared = match kind {
        SqueezeType::S01 => &["overpricing_tolerance.", ON_SALE, SCALE][..],
        SqueezeType::S02 => &["renewal_tolerance.", SCALE],
        SqueezeType::S03 => &["notice.end_of_term_", ON_SALE, SCALE],
        SqueezeType::S06 | SqueezeType::S08 | SqueezeType::S09 | SqueezeType::S14 => &[SCALE],
        SqueezeType::S11 => &["vulnerability.active_days"],
        // It is quiet where S02 holds.
        SqueezeType::S12 => &["notice.renewal_", "renewal_tolerance.", SCALE],
        SqueezeType::S16 => &["notice.price_rise_"],
        SqueezeType::S19 => &[ON_SALE, SCALE],
        _ => &[],
    };
    own.is_some_and(|(code, name)| code == kind.code() && name != "culpability")
        || shared.iter().any(|prefix| key.starts_with(prefix))
}

/// The time a rule gathers before it may open a squeeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmUp {
    /// The watermark when its policy came into force.
    pub since: EventTime,
    /// The watermark from which on it may.
    pub until: EventTime,
}

/// The rules that gather: new or changed by a policy that came into force in flight, and their window not filled since. What is not
/// here is live. At most one entry a squeeze type.
///
/// A rule that gathers is evaluated as ever. What it finds is kept pending, and opens at the first evaluation after the window; what is
/// evaluated once opens by a timer when the window is filled. Squeezes that are open go on, and one that was over is not taken up again
/// before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Warming(BTreeMap<SqueezeType, WarmUp>);

impl Warming {
    /// No rule gathers.
    pub const NONE: &'static Self = &Self(BTreeMap::new());

    /// Every rule that judges otherwise under `new` than under `old` gathers from `since` on, unless it is off. One that gathers already
    /// and is not changed goes on.
    pub fn begin(&mut self, old: &Policy, new: &Policy, since: EventTime) {
        let differences = new.differences(old);
        for kind in SqueezeType::ALL.iter().copied() {
            if !differences.iter().any(|difference| is_of_rule(kind, &difference.entry.key)) {
                continue;
            }
            self.0.remove(&kind);
            let until = since.plus_days(kind.window_days(new));
            if new.detector(kind).switch.is_enabled && since < until {
                self.0.insert(kind, WarmUp { since, until });
            }
        }
    }

    /// The rules whose window is filled by `watermark` are live.
    pub fn end(&mut self, watermark: EventTime) {
        self.0.retain(|_, warm_up| watermark < warm_up.until);
    }

    /// May `kind` not open a squeeze yet?
    pub fn holds_back(&self, kind: SqueezeType) -> bool {
        self.0.contains_key(&kind)
    }

    /// The watermark from which on `kind` may open a squeeze; `None` if it may already.
    pub fn until(&self, kind: SqueezeType) -> Option<EventTime> {
        self.0.get(&kind).map(|warm_up| warm_up.until)
    }

    /// The rules that gather, in order.
    pub fn iter(&self) -> impl Iterator<Item = (SqueezeType, WarmUp)> {
        self.0.iter().map(|(kind, warm_up)| (*kind, *warm_up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DAY_MS;

    fn policy(toml: &str) -> Policy {
        Policy::from_toml(toml).unwrap()
    }

    /// What warms from day 0 on when `new` follows `old`, and the days it takes.
    fn warming(old: &str, new: &str) -> Vec<(&'static str, i64)> {
        let (mut warming, since) = (Warming::default(), EventTime::default());
        warming.begin(&policy(old), &policy(new), since);
        let days = |warm_up: WarmUp| warm_up.until.since(since) / DAY_MS;
        warming.iter().map(|(kind, warm_up)| (kind.code(), days(warm_up))).collect()
    }

    #[test]
    fn what_is_read_when_needed_may_change_in_flight() {
        for toml in [
            "version = \"b\"",
            "base_rate = 0.4",
            "dimensions.care.weight = 0.9",
            "squeeze.S01 = 8.0",
            "late_days = 30",
            "overpricing_tolerance.minor = 1",
        ] {
            assert_eq!(policy(toml).can_replace(&Policy::default()), Ok(()), "{toml}");
        }
    }

    #[test]
    fn what_stored_masses_hold_may_not_and_is_named() {
        for (key, from, to) in [
            ("dimensions.integrity.lambda", "2", "2.5"),
            ("dimensions.care.half_life_days", "180", "90.5"),
            ("perception.half_life_days", "180", "181"),
            ("loyalty.half_life_days", "365", "366"),
            ("reciprocity.half_life_days", "90", "91"),
            ("squeeze.S14.half_life_days", "180", "181"),
        ] {
            let new = policy(&format!("{key} = {to}"));
            let refused = new.can_replace(&Policy::default()).unwrap_err();
            let (key, from, to) = (key.to_owned(), from.to_owned(), to.to_owned());
            assert_eq!(refused, BakedIn { key: key.clone(), from, to });
            assert!(refused.to_string().contains("new deployment"), "{refused}");
            assert!(Policy::default().can_replace(&new).is_err(), "{key} back");
        }
    }

    #[test]
    fn a_rule_that_judges_otherwise_gathers_for_its_window() {
        assert_eq!(warming("", "overpricing_tolerance.minor = 50"), [("S01", 62)]);
        assert_eq!(warming("overpricing_tolerance.minor = 50", ""), [("S01", 62)], "also back");
        assert_eq!(warming("", "squeeze.S01.evaluations = 3"), [("S01", 93)]);
        assert_eq!(warming("", "notice.renewal_from_days = 50"), [("S12", 50)]);
        assert_eq!(
            warming("", "catalogue.on_sale_days = 40"),
            [("S01", 62), ("S03", 40), ("S19", 93)]
        );
        assert_eq!(
            warming("", "money.currency_scale.SEK = 12"),
            [
                ("S01", 62),
                ("S03", 40),
                ("S06", 30),
                ("S08", 30),
                ("S12", 45),
                ("S14", 93),
                ("S19", 93)
            ]
        );
        assert_eq!(warming("", "vulnerability.active_days = 100"), [("S11", 14)]);
        assert_eq!(warming("", "squeeze.S13.products = ['old']"), [("S13", 35)]);
        assert_eq!(
            warming("", "renewal_tolerance.share = 0"),
            [("S12", 45)],
            "S02 judges one record by itself"
        );
        assert_eq!(warming("", "squeeze.S01 = 2"), [], "a weight acts at once");
    }

    #[test]
    fn a_rule_gathers_once_it_is_turned_on_and_not_while_it_is_off() {
        let off = "squeeze.S07.enabled = false";
        assert_eq!(warming("", off), []);
        assert_eq!(warming(off, ""), [("S07", 62)]);
        let (mut warming, since) = (Warming::default(), EventTime::default());
        warming.begin(&policy(off), &Policy::default(), since);
        warming.begin(&Policy::default(), &policy(off), since.plus_days(1));
        assert_eq!(warming, Warming::default());
    }

    #[test]
    fn a_warm_up_ends_at_its_watermark_and_another_policy_does_not_prolong_it() {
        let day = |n| EventTime::default().plus_days(n);
        let changed = "overpricing_tolerance.minor = 50";
        let again = policy(&format!("base_rate = 0.3\n{changed}"));
        let mut warming = Warming::default();
        warming.begin(&Policy::default(), &policy(changed), day(0));
        warming.begin(&policy(changed), &again, day(60));
        warming.end(day(62).plus(-1));
        assert!(warming.holds_back(SqueezeType::S01));
        warming.end(day(62));
        assert!(!warming.holds_back(SqueezeType::S01));
    }

    #[test]
    fn a_document_is_one_text_however_it_was_written() {
        let read =
            |text| PolicyDocument::from_json(text).map(|document| document.json().to_owned());
        let written = "{\"version\": \"b\",\n \"squeeze\": {\"S01\": 2}, \"base_rate\": 0.30}";
        let text = r#"{"base_rate":0.3,"squeeze":{"S01":2.0},"version":"b"}"#;
        assert_eq!(read(written).as_deref(), Ok(text));
        assert_eq!(read(text).as_deref(), Ok(text));
        let toml = "version = 'b'\nbase_rate = 0.3\nsqueeze.S01 = 2\n[[case]]\nname = 'any'";
        let document = Document::from_toml(toml).unwrap();
        assert_eq!(PolicyDocument::from_document(&document).unwrap().json(), text);
        let refused = |text| read(text).unwrap_err().to_string();
        assert_eq!(
            refused("{\"base_rate\":0.3}"),
            "line 1: version: expected a version of its own: outputs carry it"
        );
        assert!(refused("{\"version\":\"b\",\"base\":1}").contains("base"));
    }
}
