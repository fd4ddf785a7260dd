//! A policy told entry by entry: every key, what it says, what it means, and where it differs from another policy.

use super::parameter::{Factor, Kind, Positive, Section};
use super::{Policy, Range, Switch};
use crate::model::squeeze::SqueezeType;

/// One key of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its path, dots between its parts.
    pub key: String,
    /// What it says, as written in TOML; empty where it says nothing.
    pub value: String,
    /// What it means, a sentence or a few.
    pub words: String,
    /// What a number may be; `None` for what is no number.
    pub range: Option<Range>,
    /// It is part of the stored masses: changing it takes a replay from the log.
    pub is_stored: bool,
}

/// A key that two policies differ in.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// What the one says of it; an empty value where it says nothing.
    pub entry: Entry,
    /// What the other says of it; empty where it says nothing.
    pub other: String,
}

impl Policy {
    /// Every key and what it says, in the order of the table.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = vec![plain("version", quoted(&self.version), "Carried by every output.")];
        entries.extend(numbers("", self));
        for (prefix, section) in self.sections() {
            entries.extend(numbers(prefix, section));
            if let Some(squeeze) = squeeze_of(prefix) {
                entries.extend(switch(prefix, &self.switches[squeeze as usize]));
            }
        }
        entries.extend(self.importance.iter().map(|(kind, x)| {
            let words = "How important a promise of this kind is; an unknown kind is `general`.";
            ranged(format!("importance.{kind}"), *x, words, Factor::RANGE)
        }));
        entries.extend(self.currency_scale.iter().map(|(currency, x)| {
            let words = "What the currency's minor unit is worth in that of the policy's amounts.";
            ranged(format!("money.currency_scale.{currency}"), *x, words, Positive::RANGE)
        }));
        entries.push(plain("holidays", list(&self.holidays), "Days that are no business days."));
        entries.extend(self.values.iter().map(|(value, classes)| {
            let words = "The classes of evidence that back the declared value.";
            plain(&format!("values.{value}"), list(classes), words)
        }));
        entries.push(plain(
            "profiles",
            list(&self.profiles),
            "Regulatory profiles it rests on: what they set goes before the defaults.",
        ));
        let effective = self.effective.map(|day| quoted(&day.to_string())).unwrap_or_default();
        let words = "The day on which its profiles are taken as they are in force.";
        entries.push(plain("effective", effective, words));
        entries
    }

    /// The keys this policy and `other` differ in: in this one's order, then those only the other has.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let (ours, theirs) = (self.entries(), other.entries());
        let find = |entries: &[Entry], key: &str| {
            entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone())
        };
        let lost = theirs.iter().filter(|entry| find(&ours, &entry.key).is_none());
        let lost = lost.map(|entry| Difference {
            entry: Entry { value: String::new(), ..entry.clone() },
            other: entry.value.clone(),
        });
        let changed = ours.iter().map(|entry| Difference {
            entry: entry.clone(),
            other: find(&theirs, &entry.key).unwrap_or_default(),
        });
        let changed = changed.filter(|difference| difference.entry.value != difference.other);
        changed.chain(lost).collect()
    }
}

/// The type whose section begins with `prefix`.
pub(super) fn squeeze_of(prefix: &str) -> Option<SqueezeType> {
    let code = prefix.strip_prefix("squeeze.")?;
    SqueezeType::ALL.iter().copied().find(|squeeze| squeeze.code() == code)
}

/// The path of `key` under `prefix`.
pub(super) fn path(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn numbers(prefix: &str, section: &dyn Section) -> Vec<Entry> {
    let parameters = section.parameters().iter().zip(section.numbers());
    let entry = |(parameter, number): (&super::Parameter, f64)| Entry {
        is_stored: parameter.is_stored,
        ..ranged(path(prefix, parameter.key), number, &parameter.words.concat(), parameter.range)
    };
    parameters.map(entry).collect()
}

fn switch(prefix: &str, switch: &Switch) -> [Entry; 3] {
    let key = |name| path(prefix, name);
    [
        plain(&key("enabled"), switch.is_enabled.to_string(), "Whether the type is looked for."),
        plain(
            &key("products"),
            list(&switch.products),
            "The plans, by id, it is looked for on; all of them, and where no plan is known, if none is named.",
        ),
        plain(
            &key("except_products"),
            list(&switch.except_products),
            "The plans, by id, it is not looked for on.",
        ),
    ]
}

fn plain(key: &str, value: String, words: &str) -> Entry {
    let words = words.trim().to_owned();
    Entry { key: key.to_owned(), value, words, range: None, is_stored: false }
}

fn ranged(key: String, number: f64, words: &str, range: Range) -> Entry {
    Entry { range: Some(range), ..plain(&key, number.to_string(), words) }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A list of texts as TOML writes it.
fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quoted(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_is_told_once_and_in_words() {
        let entries = Policy::default().entries();
        let keys: BTreeSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys.len(), entries.len());
        for entry in &entries {
            assert!(entry.words.ends_with('.'), "{}: {}", entry.key, entry.words);
            let default: Option<f64> = entry.value.parse().ok();
            assert_eq!(entry.range.is_some(), default.is_some(), "{}", entry.key);
            assert!(default.is_none_or(|x| entry.range.unwrap().contains(x)), "{}", entry.key);
        }
    }

    #[test]
    fn policies_differ_in_what_one_states() {
        let text = "values.open = ['TRA.MISLED']\nimportance.callback = 0.5\nsqueeze.S01.products = ['old']";
        let differences = Policy::from_toml(text).unwrap().differences(&Policy::default());
        let told: Vec<String> = differences
            .iter()
            .map(|d| format!("{} {} {}", d.entry.key, d.entry.value, d.other))
            .collect();
        assert_eq!(told, ["squeeze.S01.products [\"old\"] []", "values.open [\"TRA.MISLED\"] "]);
        assert_eq!(Policy::default().differences(&Policy::default()), []);
    }
}
