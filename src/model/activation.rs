//! A policy on its way into force while events flow: the document that was published, whether it can replace the one in force, and
//! which rules must gather anew before they may open a squeeze.
//!
//! When it takes effect is not decided here: the engine is told, by a journal record or, in files, by the record's place.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use super::squeeze::SqueezeType;
use super::{DAY_MS, Dimension, EventTime, Policy, PolicyError, Text};

/// A policy as it was published: what its author wrote, and what it comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDocument {
    // Invariant: an object, its members sorted and without blanks, so that one policy is one text.
    json: Text,
    policy: Arc<Policy>,
}

impl PolicyDocument {
    /// The document that the JSON `text` is.
    ///
    /// # Errors
    /// As [`Policy::from_json`]; also if it states no version, for then nobody could say which policy an output rests on.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        let policy = Policy::from_json(text)?;
        let json: serde_json::Value =
            serde_json::from_str(text).map_err(|error| PolicyError::Syntax(error.to_string()))?;
        if json.get("version").is_none_or(serde_json::Value::is_null) {
            return Err(PolicyError::Version);
        }
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

/// Why a policy cannot replace another in flight: the masses stored of every customer hold a number of the old one.
#[derive(Debug, Clone, PartialEq, Error)]
#[error(
    "{key} is {from} and would be {to}: it is part of what is stored of every customer, so it is not changed in flight. Score the log \
     again by a new deployment beside this one, with a group_id and topic_prefix of its own"
)]
pub struct BakedIn {
    /// The setting.
    pub key: String,
    /// Its value in force.
    pub from: f64,
    /// The value refused.
    pub to: f64,
}

impl Policy {
    /// Whether this policy can follow `old` without a replay: half-lives and λ are part of the masses stored, all else is read when it
    /// is needed.
    ///
    /// # Errors
    /// The first setting that would have to stay.
    pub fn can_replace(&self, old: &Self) -> Result<(), BakedIn> {
        for (before, after) in old.baked_in().into_iter().zip(self.baked_in()) {
            let ((key, from), (_, to)) = (before, after);
            #[expect(clippy::float_cmp, reason = "both are as stated: any difference is a change")]
            if from != to {
                return Err(BakedIn { key, from, to });
            }
        }
        Ok(())
    }

    /// The settings that stored masses hold, by key, in a fixed order.
    fn baked_in(&self) -> Vec<(String, f64)> {
        let of_dimension = |dimension: &Dimension| {
            let held = self.dimension(*dimension);
            let half_life_days = held.half_life_ms as f64 / DAY_MS as f64;
            [("half_life_days", half_life_days), ("lambda", held.lambda)]
                .map(|(name, value)| (format!("dimensions.{dimension}.{name}"), value))
        };
        Dimension::ALL.iter().flat_map(of_dimension).collect()
    }

    /// Whether the rule of `kind` judges otherwise than under `old`. Its culpability is no part of the rule: like every weight it is
    /// read at each evaluation, and acts at once.
    fn judges_otherwise(&self, kind: SqueezeType, old: &Self) -> bool {
        match kind {
            SqueezeType::S01 => self.overpricing_tolerance != old.overpricing_tolerance,
            SqueezeType::S02 => self.renewal_tolerance != old.renewal_tolerance,
            _ => false,
        }
    }
}

/// The time a rule gathers before it may open a squeeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmUp {
    /// The watermark when its policy came into force.
    pub since: EventTime,
    /// The watermark from which on it may.
    pub until: EventTime,
}

/// The rules that gather: new or changed by a policy that came into force in flight, and their window not filled since. What is not
/// here is live. At most one entry a squeeze type.
///
/// A rule that gathers is evaluated as ever. What it finds is kept pending, and opens at the first evaluation after the window;
/// squeezes that are open go on, and one that was over is not taken up again before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warming(BTreeMap<SqueezeType, WarmUp>);

impl Warming {
    /// No rule gathers.
    pub const NONE: &'static Self = &Self(BTreeMap::new());

    /// Every rule that judges otherwise under `new` than under `old` gathers from `since` on. One that gathers already and is not
    /// changed goes on.
    pub fn begin(&mut self, old: &Policy, new: &Policy, since: EventTime) {
        for kind in SqueezeType::ALL.iter().copied() {
            let until = since.plus_days(kind.window_days());
            if new.judges_otherwise(kind, old) && since < until {
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

    /// The rules that gather, in order.
    pub fn iter(&self) -> impl Iterator<Item = (SqueezeType, WarmUp)> {
        self.0.iter().map(|(kind, warm_up)| (*kind, *warm_up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("dimensions.integrity.lambda", 2.0, 2.5),
            ("dimensions.care.half_life_days", 180.0, 90.5),
            ("dimensions.proactivity.half_life_days", 365.0, 366.0),
        ] {
            let new = policy(&format!("{key} = {to}"));
            let refused = new.can_replace(&Policy::default()).unwrap_err();
            assert_eq!(refused, BakedIn { key: key.to_owned(), from, to });
            assert!(refused.to_string().contains("new deployment"), "{refused}");
            assert!(Policy::default().can_replace(&new).is_err(), "{key} back");
        }
    }

    #[test]
    fn a_rule_that_judges_otherwise_gathers_for_its_window() {
        assert_eq!(warming("", "overpricing_tolerance.minor = 50"), [("S01", 62)]);
        assert_eq!(
            warming("", "renewal_tolerance.share = 0"),
            [],
            "it judges one record by itself"
        );
        assert_eq!(warming("", "squeeze.S01 = 2"), [], "a weight acts at once");
        assert_eq!(warming("overpricing_tolerance.minor = 50", ""), [("S01", 62)], "also back");
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
        let written = "{\"version\": \"b\",\n \"base_rate\": 0.30}";
        assert_eq!(read(written), Ok(r#"{"base_rate":0.3,"version":"b"}"#.to_owned()));
        assert_eq!(read("{\"base_rate\":0.3}"), Err(PolicyError::Version));
        assert!(matches!(read("{\"version\":\"b\",\"base\":1}"), Err(PolicyError::Syntax(_))));
    }
}
