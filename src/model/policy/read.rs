//! From a file's tree to a checked policy: profiles first, then what the file states, then what must hold between parameters.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use thiserror::Error;

use super::entry::{path, squeeze_of};
use super::parameter::{Factor, Kind, Positive, Range};
use super::profile::{Profile, profiles};
use super::values::classes;
use super::{Document, Node, NodeValue, Place, Policy};
use crate::model::nearest::hint;
use crate::model::squeeze::SqueezeType;
use crate::model::{Currency, DAY_MS, Text};

/// Declared values, profiles and products a policy may name, each.
const LIST: usize = 256;
/// Of a failure's weight, what telling and mending may earn back together.
const CREDIT_MAX: f64 = 0.75;
/// Half-lives that the late horizon may span: what a stored mass can shift.
const HORIZON_HALF_LIVES: i64 = 40;

/// Why a policy is refused, and where.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("line {}: {}{problem}", .place.line, if .key.is_empty() { String::new() } else { format!("{key}: ") })]
pub struct PolicyError {
    /// Where the file says it.
    pub place: Place,
    /// The path of the setting, dots between its parts; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: PolicyProblem,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PolicyProblem {
    /// The text is no TOML or JSON.
    #[error("{0}")]
    Syntax(String),
    /// There is no such key; what to write instead.
    #[error("unknown key; {0}")]
    Unknown(String),
    /// The value is not what it should be.
    #[error("expected {0}")]
    Expected(String),
    /// A number lies outside its range.
    #[error("{value} is out of range: {range}")]
    OutOfRange {
        /// What it says.
        value: f64,
        /// What it may be.
        range: String,
    },
    /// Two settings contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

impl PolicyError {
    pub(super) fn at(place: Place, key: &str, problem: PolicyProblem) -> Self {
        Self { place, key: key.to_owned(), problem }
    }
}

impl Policy {
    /// The policy that differs from the default in what `document` says. Its `case`s are not read.
    ///
    /// # Errors
    /// If a key is unknown or of the wrong type, a number is out of range, or two settings contradict each other.
    pub fn from_document(document: &Document) -> Result<Self, PolicyError> {
        let mut reader = Reader { policy: Self::default(), places: BTreeMap::new() };
        reader.profiles(document)?;
        reader.table("", &document.root)?;
        reader.check()?;
        Ok(reader.policy.derived())
    }
}

/// A policy in the making.
struct Reader {
    policy: Policy,
    /// Where each key is stated.
    places: BTreeMap<String, Place>,
}

impl Reader {
    fn profiles(&mut self, document: &Document) -> Result<(), PolicyError> {
        if let Some(node) = document.get("effective") {
            self.policy.effective = Some(date("effective", node)?);
        }
        let Some(node) = document.get("profiles") else { return Ok(()) };
        let wrong = |place, problem| PolicyError::at(place, "profiles", problem);
        let known = profiles();
        for (place, id) in texts("profiles", node)? {
            let Some(profile) = known.iter().find(|profile| *profile.id == *id) else {
                let ids: Vec<&str> = known.iter().map(|profile| &*profile.id).collect();
                let problem = format!("a profile; `{id}` is none: {}", hint(&id, &ids));
                return Err(wrong(place, PolicyProblem::Expected(problem)));
            };
            let Some(day) = self.policy.effective else {
                let problem = "say on which day they are in force: effective = \"YYYY-MM-DD\"";
                return Err(wrong(place, PolicyProblem::Contradiction(problem.to_owned())));
            };
            self.rest_on(profile, day, place)?;
        }
        Ok(())
    }

    fn rest_on(&mut self, profile: &Profile, day: Date, place: Place) -> Result<(), PolicyError> {
        for setting in profile.sets.iter().filter(|setting| setting.is_in_force(day)) {
            for (key, number) in &setting.numbers {
                self.number(key, *number, place)?;
                self.places.insert(key.to_string(), place);
            }
        }
        self.policy.profiles.push(profile.id.clone());
        Ok(())
    }

    fn table(&mut self, prefix: &str, table: &BTreeMap<String, Node>) -> Result<(), PolicyError> {
        for (name, node) in table {
            let key = path(prefix, name);
            self.places.insert(key.clone(), node.place);
            self.entry(&key, node)?;
        }
        Ok(())
    }

    fn entry(&mut self, key: &str, node: &Node) -> Result<(), PolicyError> {
        match key {
            "profiles" | "effective" | "case" => return Ok(()),
            "version" => self.policy.version = version(node)?,
            "holidays" => self.policy.holidays = dates(key, node)?,
            "importance" => self.importance(key, node)?,
            "money.currency_scale" => self.currency_scale(key, node)?,
            "values" => self.values(key, node)?,
            _ => return self.parameter(key, node),
        }
        Ok(())
    }

    /// A number, a section of them, or what switches a squeeze type.
    fn parameter(&mut self, key: &str, node: &Node) -> Result<(), PolicyError> {
        if let Some((squeeze, name)) = switch_of(key) {
            return self.switch(squeeze, name, key, node);
        }
        match &node.value {
            NodeValue::Table(inner) if is_section(&self.policy, key) => self.table(key, inner),
            // A type's number alone is its culpability.
            NodeValue::Number(x) if squeeze_of(key).is_some() => {
                self.number(&path(key, "culpability"), *x, node.place)
            }
            NodeValue::Number(x) => self.number(key, *x, node.place),
            _ if find(&self.policy, key).is_some() => Err(expected(key, node, "a number")),
            _ if is_section(&self.policy, key) => Err(expected(key, node, "a table")),
            _ => Err(self.unknown(key, node.place)),
        }
    }

    fn number(&mut self, key: &str, number: f64, place: Place) -> Result<(), PolicyError> {
        let Some((prefix, index, range)) = find(&self.policy, key) else {
            return Err(if is_section(&self.policy, key) {
                PolicyError::at(place, key, PolicyProblem::Expected("a table".to_owned()))
            } else {
                self.unknown(key, place)
            });
        };
        in_range(key, number, range, place)?;
        self.policy.section_mut(prefix).set(index, number);
        Ok(())
    }

    fn switch(
        &mut self,
        squeeze: SqueezeType,
        name: &str,
        key: &str,
        node: &Node,
    ) -> Result<(), PolicyError> {
        let switch = &mut self.policy.switches[squeeze as usize];
        let plans = |node| -> Result<BTreeSet<Text>, PolicyError> {
            Ok(texts(key, node)?.into_iter().map(|(_, plan)| plan).collect())
        };
        match (name, &node.value) {
            ("enabled", NodeValue::Flag(flag)) => switch.is_enabled = *flag,
            ("enabled", _) => return Err(expected(key, node, "true or false")),
            ("products", _) => switch.products = plans(node)?,
            _ => switch.except_products = plans(node)?,
        }
        Ok(())
    }

    fn importance(&mut self, key: &str, node: &Node) -> Result<(), PolicyError> {
        for (kind, node) in entries(key, node)? {
            let key = path(key, kind);
            let importance = in_range(&key, number(&key, node)?, Factor::RANGE, node.place)?;
            self.policy.importance.insert(kind.as_str().into(), importance);
        }
        Ok(())
    }

    fn currency_scale(&mut self, key: &str, node: &Node) -> Result<(), PolicyError> {
        for (code, node) in entries(key, node)? {
            let key = path(key, code);
            let Some(currency) = Currency::new(code) else {
                return Err(expected(&key, node, "a currency: three capital letters"));
            };
            let scale = in_range(&key, number(&key, node)?, Positive::RANGE, node.place)?;
            self.policy.currency_scale.insert(currency, scale);
        }
        Ok(())
    }

    fn values(&mut self, key: &str, node: &Node) -> Result<(), PolicyError> {
        for (value, node) in entries(key, node)? {
            let key = path(key, value);
            let mut backed_by = BTreeSet::new();
            for (place, pattern) in texts(&key, node)? {
                backed_by.extend(classes(&pattern).map_err(|problem| {
                    PolicyError::at(place, &key, PolicyProblem::Contradiction(problem))
                })?);
            }
            self.policy.values.insert(value.as_str().into(), backed_by.into_iter().collect());
        }
        Ok(())
    }

    /// The error that there is no `key`: what is wrong is its first part that no key has there.
    fn unknown(&self, key: &str, place: Place) -> PolicyError {
        let known = known_keys(&self.policy);
        let parts: Vec<&str> = key.split('.').collect();
        let siblings = |length: usize| -> BTreeSet<&str> {
            let is_beside =
                |known: &&String| known.split('.').take(length).eq(parts[..length].iter().copied());
            known
                .iter()
                .filter(is_beside)
                .filter_map(|known| known.split('.').nth(length))
                .collect()
        };
        let wrong = (0..parts.len()).find(|n| !siblings(*n).contains(parts[*n]));
        let n = wrong.unwrap_or(parts.len() - 1);
        let names: Vec<&str> = siblings(n).into_iter().collect();
        let problem = if names.is_empty() {
            PolicyProblem::Expected("a number, not a table".to_owned())
        } else {
            PolicyProblem::Unknown(hint(parts[n], &names))
        };
        PolicyError::at(place, key, problem)
    }

    /// What must hold between parameters.
    fn check(&self) -> Result<(), PolicyError> {
        let Policy { bands, severity, notice, promise, s17, stated_dimensions: d, .. } =
            &self.policy;
        let weights = [
            d.integrity_weight,
            d.competence_weight,
            d.fairness_weight,
            d.care_weight,
            d.transparency_weight,
            d.proactivity_weight,
        ];
        let credits =
            promise.notice_credit + promise.remedy_credit.max(promise.remedy_credit_asked);
        let rules = [
            (
                weights.iter().any(|weight| *weight > 0.0),
                "dimensions",
                "at least one weight must be above 0",
            ),
            (bands.strained <= bands.neutral, "bands.neutral", "must not be below bands.strained"),
            (bands.neutral <= bands.good, "bands.good", "must not be below bands.neutral"),
            (bands.good <= bands.strong, "bands.strong", "must not be below bands.good"),
            (
                severity.minor <= severity.major,
                "severity.major",
                "must not be below severity.minor",
            ),
            (
                severity.major <= severity.critical,
                "severity.critical",
                "must not be below severity.major",
            ),
            (
                notice.end_of_term_days <= notice.end_of_term_from_days,
                "notice.end_of_term_days",
                "must not be above notice.end_of_term_from_days",
            ),
            (
                notice.renewal_days <= notice.renewal_from_days,
                "notice.renewal_days",
                "must not be above notice.renewal_from_days",
            ),
            (
                notice.price_rise_days <= notice.price_rise_from_days,
                "notice.price_rise_days",
                "must not be above notice.price_rise_from_days",
            ),
            (
                s17.reminder_business_days <= s17.reminder_from_business_days,
                "squeeze.S17.reminder_business_days",
                "must not be above squeeze.S17.reminder_from_business_days",
            ),
            (
                credits <= CREDIT_MAX,
                "promise.remedy_credit",
                "with promise.notice_credit must be at most 0.75: breaking and mending is never better than not breaking",
            ),
        ];
        for (holds, key, problem) in rules {
            if !holds {
                return Err(self.contradiction(key, problem.to_owned()));
            }
        }
        self.check_half_lives()
    }

    /// Masses are exact while no event is older than 40 half-lives.
    fn check_half_lives(&self) -> Result<(), PolicyError> {
        let least_ms = self.policy.late_ms / HORIZON_HALF_LIVES;
        let is_half_life = |key: &str| key.ends_with("half_life_days");
        for entry in self.policy.entries().iter().filter(|entry| is_half_life(&entry.key)) {
            let days: f64 = entry.value.parse().unwrap_or_default();
            if days * (DAY_MS as f64) < least_ms as f64 {
                let least = least_ms as f64 / DAY_MS as f64;
                let problem = format!(
                    "{days} is too short: at least {least}, a {HORIZON_HALF_LIVES}th of late_days"
                );
                return Err(self.contradiction(&entry.key, problem));
            }
        }
        Ok(())
    }

    fn contradiction(&self, key: &str, problem: String) -> PolicyError {
        // Where the key is not stated, what it contradicts is; the first of its neighbours tells where.
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        let place = self.places.get(key).or_else(|| self.places.get(section));
        let place = place.or_else(|| self.places.get("late_days")).copied();
        let place = place.unwrap_or(Place { line: 1, column: 1 });
        PolicyError::at(place, key, PolicyProblem::Contradiction(problem))
    }
}

/// The section, the place in it and the range of the parameter `key`.
fn find(policy: &Policy, key: &str) -> Option<(&'static str, usize, Range)> {
    let in_section = |prefix: &'static str, section: &dyn super::Section| {
        let name =
            if prefix.is_empty() { key } else { key.strip_prefix(prefix)?.strip_prefix('.')? };
        let index = section.parameters().iter().position(|parameter| parameter.key == name)?;
        Some((prefix, index, section.parameters()[index].range))
    };
    in_section("", policy).or_else(|| {
        policy.sections().into_iter().find_map(|(prefix, section)| in_section(prefix, section))
    })
}

/// Every key there may be, but for those that users name themselves.
pub(super) fn known_keys(policy: &Policy) -> Vec<String> {
    let named = [
        "version",
        "holidays",
        "importance",
        "money.currency_scale",
        "values",
        "profiles",
        "effective",
        "case",
    ];
    let mut keys: Vec<String> = named.iter().map(|key| (*key).to_owned()).collect();
    keys.extend(
        super::Section::parameters(policy).iter().map(|parameter| parameter.key.to_owned()),
    );
    for (prefix, section) in policy.sections() {
        keys.extend(section.parameters().iter().map(|parameter| path(prefix, parameter.key)));
        if squeeze_of(prefix).is_some() {
            keys.extend(SWITCHES.map(|name| path(prefix, name)));
        }
    }
    keys
}

/// The keys of a type that are no numbers.
const SWITCHES: [&str; 3] = ["enabled", "products", "except_products"];

fn switch_of(key: &str) -> Option<(SqueezeType, &str)> {
    let (section, name) = key.rsplit_once('.')?;
    let squeeze = squeeze_of(section)?;
    SWITCHES.contains(&name).then_some((squeeze, name))
}

/// Do keys begin with `key`?
fn is_section(policy: &Policy, key: &str) -> bool {
    let begins = |known: &String| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    known_keys(policy).iter().any(begins)
}

fn expected(key: &str, node: &Node, what: &str) -> PolicyError {
    PolicyError::at(node.place, key, PolicyProblem::Expected(what.to_owned()))
}

fn in_range(key: &str, value: f64, range: Range, place: Place) -> Result<f64, PolicyError> {
    if range.contains(value) {
        return Ok(value);
    }
    Err(PolicyError::at(place, key, PolicyProblem::OutOfRange { value, range: range.to_string() }))
}

fn number(key: &str, node: &Node) -> Result<f64, PolicyError> {
    match &node.value {
        NodeValue::Number(x) => Ok(*x),
        _ => Err(expected(key, node, "a number")),
    }
}

fn entries<'a>(key: &str, node: &'a Node) -> Result<&'a BTreeMap<String, Node>, PolicyError> {
    match &node.value {
        NodeValue::Table(table) if table.len() <= LIST => Ok(table),
        NodeValue::Table(_) => Err(expected(key, node, &format!("at most {LIST} entries"))),
        _ => Err(expected(key, node, "a table")),
    }
}

/// The texts of a list, each with its place.
fn texts(key: &str, node: &Node) -> Result<Vec<(Place, Text)>, PolicyError> {
    let NodeValue::List(items) = &node.value else {
        return Err(expected(key, node, "a list of texts"));
    };
    if items.len() > LIST {
        return Err(expected(key, node, &format!("at most {LIST} entries")));
    }
    let text = |node: &Node| match &node.value {
        NodeValue::Text { text, .. } => Ok((node.place, text.as_str().into())),
        _ => Err(expected(key, node, "a text")),
    };
    items.iter().map(text).collect()
}

fn version(node: &Node) -> Result<Text, PolicyError> {
    match &node.value {
        NodeValue::Text { text, .. } if (1..=128).contains(&text.chars().count()) => {
            Ok(text.as_str().into())
        }
        _ => Err(expected("version", node, "a text of 1 to 128 characters")),
    }
}

fn date(key: &str, node: &Node) -> Result<Date, PolicyError> {
    match &node.value {
        NodeValue::Text { text, .. } => text.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| expected(key, node, "a date: \"YYYY-MM-DD\""))
}

fn dates(key: &str, node: &Node) -> Result<Vec<Date>, PolicyError> {
    let NodeValue::List(items) = &node.value else {
        return Err(expected(key, node, "a list of dates"));
    };
    items.iter().map(|node| date(key, node)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Class;

    fn refusal(text: &str) -> String {
        Policy::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn the_file_of_the_vectors_is_the_default_policy() {
        let text = include_str!("../../../tests/vectors/policy.json");
        assert_eq!(Policy::from_json(text), Ok(Policy::default()));
    }

    #[test]
    fn a_type_is_a_number_or_a_table() {
        let alone = Policy::from_toml("[squeeze]\nS01 = 1.5").unwrap();
        let table = Policy::from_toml("[squeeze.S01]\nculpability = 1.5").unwrap();
        assert_eq!(alone, table);
        let off = Policy::from_toml("[squeeze.S01]\nenabled = false").unwrap();
        assert!(!off.looks_for(SqueezeType::S01, Some("old")));
        assert!(off.looks_for(SqueezeType::S02, Some("old")));
    }

    #[test]
    fn an_error_names_line_key_and_the_nearest_right_name() {
        for (text, expected) in [
            (
                "\n[squeeze.S01]\ncustomer_month = 24",
                "line 3: squeeze.S01.customer_month: unknown key; did you mean `customer_months`?",
            ),
            ("base_rat = 0.5", "line 1: base_rat: unknown key; did you mean `base_rate`?"),
            ("[band]\nstrong = 0.9", "line 1: band: unknown key; did you mean `bands`?"),
            ("base_rate = 1.5", "line 1: base_rate: 1.5 is out of range: above 0 and below 1"),
            ("base_rate = '1'", "line 1: base_rate: expected a number"),
            ("[bands]\nstrong = { x = 1 }", "line 2: bands.strong: expected a number"),
            ("bands = 3", "line 1: bands: expected a table"),
            (
                "[squeeze.S01]\ncustomer_months = 2.5",
                "line 2: squeeze.S01.customer_months: 2.5 is out of range: a whole number from 0 to 600 months",
            ),
            ("[squeeze.S07]\nenabled = 1", "line 2: squeeze.S07.enabled: expected true or false"),
            (
                "[values]\nopen = [\n'TRA.*',\n'INT.KEP']",
                "line 4: values.open: `INT.KEP` is no class of evidence; did you mean `INT.KEPT`?",
            ),
            (
                "money.currency_scale.gbp = 1",
                "line 1: money.currency_scale.gbp: expected a currency: three capital letters",
            ),
            ("holidays = ['easter']", "line 1: holidays: expected a date: \"YYYY-MM-DD\""),
            (
                "effective = '2025-01-01'\nprofiles = ['uk-telcom']",
                "line 2: profiles: expected a profile; `uk-telcom` is none: did you mean `uk-telecom`?",
            ),
            (
                "profiles = ['uk-gi']",
                "line 1: profiles: say on which day they are in force: effective = \"YYYY-MM-DD\"",
            ),
            ("version = ''", "line 1: version: expected a text of 1 to 128 characters"),
        ] {
            assert_eq!(refusal(text), expected, "{text}");
        }
        assert_eq!(
            Policy::from_json("{\n\"base_rate\": 0}").unwrap_err().to_string(),
            "line 2: base_rate: 0 is out of range: above 0 and below 1"
        );
        assert!(refusal("= 1").starts_with("line 1: "));
    }

    #[test]
    fn parameters_that_contradict_each_other_are_refused() {
        for (text, expected) in [
            ("[bands]\ngood = 0.9", "line 1: bands.strong: must not be below bands.good"),
            (
                "[dimensions.care]\nhalf_life_days = 9",
                "line 2: dimensions.care.half_life_days: 9 is too short: at least 10, a 40th of late_days",
            ),
            (
                "[promise]\nremedy_credit = 0.6",
                "line 2: promise.remedy_credit: with promise.notice_credit must be at most 0.75: \
                 breaking and mending is never better than not breaking",
            ),
            (
                "[notice]\nrenewal_days = 50",
                "line 2: notice.renewal_days: must not be above notice.renewal_from_days",
            ),
        ] {
            assert_eq!(refusal(text), expected, "{text}");
        }
        let shorter = "late_days = 100\n[dimensions.care]\nhalf_life_days = 2.5";
        assert!(Policy::from_toml(shorter).is_ok());
        let names = ["integrity", "competence", "fairness", "care", "transparency", "proactivity"];
        let none: Vec<String> =
            names.iter().map(|name| format!("dimensions.{name}.weight = 0")).collect();
        assert!(refusal(&none.join("\n")).ends_with("at least one weight must be above 0"));
    }

    #[test]
    fn every_number_can_be_stated_and_is_then_held() {
        for entry in Policy::default().entries() {
            let Some(range) = entry.range else { continue };
            let default: f64 = entry.value.parse().unwrap();
            // Near the default, so that nothing contradicts it; a little off, so that it shows.
            let near = [default * 0.99, default * 1.01, default + 1.0, default - 1.0];
            let other = near.into_iter().find(|x| range.contains(*x) && *x != default);
            let other = other.unwrap_or_else(|| panic!("{}: nothing near", entry.key));
            let text = format!("{} = {other:?}", entry.key);
            let stated = Policy::from_toml(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let told = stated.entries().into_iter().find(|told| told.key == entry.key).unwrap();
            let told: f64 = told.value.parse().unwrap();
            assert!((told - other).abs() < 1e-6 * other.abs().max(1.0), "{text}: {told}");
            assert_ne!(stated, Policy::default(), "{text}");
        }
    }

    #[test]
    fn a_value_is_backed_by_the_classes_its_patterns_name() {
        let policy = Policy::from_toml(
            "[values]\nsimple = ['COM.TRANSFER', 'COM.REPEAT', 'COM.T*']\nbold = []",
        )
        .unwrap();
        assert_eq!(policy.values["simple"], [Class::ComRepeat, Class::ComTransfer]);
        assert_eq!(policy.values["bold"], []);
    }

    #[test]
    fn cases_are_no_part_of_a_policy() {
        let with = Policy::from_toml("version = 'x'\n[[case]]\nname = 'any'").unwrap();
        assert_eq!(with, Policy::from_toml("version = 'x'").unwrap());
    }
}
