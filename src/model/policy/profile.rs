//! Regulatory profiles: what rules ask of a firm and which parameters follow from them, as dated data beside the code.
//!
//! They make no claim of law: each says where it comes from, up to when that is known, and whether it is in force at all.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer};

use crate::model::Text;

/// The data.
const PROFILES: &str = include_str!("profiles.toml");

/// The rules of one country and trade.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What a policy names it by.
    pub id: Text,
    /// What it is called.
    pub name: Text,
    /// What it asks of a firm, in words.
    pub asks: Text,
    /// Whether it is in force.
    pub status: Text,
    /// Where that was read.
    pub source: Text,
    /// The last day the source is known to speak of.
    #[serde(deserialize_with = "day")]
    pub verified_on: Date,
    /// What it sets, by when; empty where it sets no parameter.
    #[serde(default)]
    pub sets: Vec<ProfileSetting>,
}

/// What a profile sets while it is in force.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSetting {
    /// The first day; `None`: unknown, long ago.
    #[serde(default, deserialize_with = "some_day")]
    pub from: Option<Date>,
    /// The last day; `None`: not known to end.
    #[serde(default, deserialize_with = "some_day")]
    pub until: Option<Date>,
    /// Parameters by key, as written in a policy.
    pub numbers: BTreeMap<Text, f64>,
}

impl ProfileSetting {
    /// Is it in force on `day`?
    pub fn is_in_force(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn some_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    day(deserializer).map(Some)
}

/// Every profile, in the order of the data.
///
/// # Panics
/// Never: the data is part of the program, and a test reads it.
pub fn profiles() -> Vec<Profile> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        profile: Vec<Profile>,
    }
    toml::from_str::<File>(PROFILES).expect("the profiles are well formed").profile
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Policy;

    #[test]
    fn every_profile_sets_parameters_there_are_to_values_they_may_have() {
        for profile in profiles() {
            let last = profile.sets.iter().filter_map(|set| set.from).max();
            let day = last.unwrap_or(profile.verified_on);
            let text = format!("profiles = ['{}']\neffective = '{day}'", profile.id);
            Policy::from_toml(&text).unwrap_or_else(|error| panic!("{}: {error}", profile.id));
        }
    }

    #[test]
    fn what_is_not_law_sets_nothing() {
        let is_not_law = |profile: &&Profile| {
            profile.status.contains("not law") || profile.status.contains("not in force")
        };
        let profiles = profiles();
        let drafts: Vec<_> = profiles.iter().filter(is_not_law).collect();
        assert_eq!(drafts.len(), 2);
        assert!(drafts.iter().all(|profile| profile.sets.is_empty()));
    }

    #[test]
    fn a_profile_counts_as_it_is_on_the_day_a_policy_takes_effect() {
        let tolerance = |effective: &str| {
            let text = format!("profiles = ['uk-gi']\neffective = '{effective}'");
            Policy::from_toml(&text).unwrap().renewal_tolerance().minor
        };
        assert_eq!((tolerance("2021-12-31"), tolerance("2022-01-01")), (100.0, 0.0));
    }

    #[test]
    fn what_a_policy_states_itself_goes_before_its_profiles() {
        let text = "profiles = ['uk-gi']\neffective = '2025-01-01'\nrenewal_tolerance.minor = 5";
        let tolerance = Policy::from_toml(text).unwrap().renewal_tolerance();
        assert_eq!((tolerance.minor, tolerance.share), (5.0, 0.0));
    }
}
