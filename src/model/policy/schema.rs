//! The JSON Schema of a policy file, made from the same table its numbers are checked by: for editors that complete and underline.
//!
//! It says less than the check does: what must hold between parameters is not in it.

use serde_json::{Map, Value, json};

use super::{Entry, Policy, Range, profiles};
use crate::model::Class;
use crate::model::squeeze::SqueezeType;

/// The schema, draft 2020-12, as indented JSON with a line feed at its end.
pub fn policy_schema() -> String {
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "goodfaith policy",
        "description": "What a policy leaves out is the default.",
        "type": "object",
        "additionalProperties": false,
        "properties": {},
    });
    for entry in Policy::default().entries() {
        let is_named_by_users = ["importance.", "money.currency_scale."];
        if !is_named_by_users.iter().any(|start| entry.key.starts_with(start)) {
            insert(&mut root, &entry.key, property(&entry));
        }
    }
    let number = |low, high| json!({"type": "number", "minimum": low, "maximum": high});
    let map = |words: &str, names: Value, of: Value| json!({"type": "object", "description": words, "propertyNames": names, "additionalProperties": of});
    let kinds = "How important a promise is, by its kind; an unknown kind is `general`.";
    insert(&mut root, "importance", map(kinds, json!({}), number(0.0, 8.0)));
    let scale = "What a currency's minor unit is worth in that of the policy's amounts.";
    let code = json!({"pattern": "^[A-Z]{3}$"});
    let above_0 = json!({"type": "number", "exclusiveMinimum": 0.0, "maximum": 1e12});
    insert(&mut root, "money.currency_scale", map(scale, code, above_0));
    let values = "The classes of evidence that back each declared value.";
    insert(&mut root, "values", map(values, json!({}), list_of(json!({"enum": patterns()}))));
    let case = "Cases that `goodfaith policy check` runs; no part of the policy itself.";
    insert(
        &mut root,
        "case",
        json!({"type": "array", "description": case, "items": {"type": "object"}}),
    );
    // A type's number alone is its culpability.
    let range = Policy::default().entries();
    for squeeze in SqueezeType::ALL {
        let code = squeeze.code();
        let key = format!("squeeze.{code}.culpability");
        if let Some(entry) = range.iter().find(|entry| entry.key == key) {
            let table = root["properties"]["squeeze"]["properties"][code].take();
            root["properties"]["squeeze"]["properties"][code] =
                json!({"description": squeeze.name(), "oneOf": [property(entry), table]});
        }
    }
    serde_json::to_string_pretty(&root).expect("a value can be written") + "\n"
}

/// Puts `property` under `key`, making the objects on its way.
fn insert(root: &mut Value, key: &str, property: Value) {
    let mut object = root;
    let (path, name) = key.rsplit_once('.').map_or((None, key), |(path, name)| (Some(path), name));
    for part in path.into_iter().flat_map(|path| path.split('.')) {
        let inner = &mut object["properties"][part];
        if inner.is_null() {
            *inner = json!({"type": "object", "additionalProperties": false, "properties": {}});
        }
        object = inner;
    }
    object["properties"][name] = property;
}

fn property(entry: &Entry) -> Value {
    let mut property = match entry.range {
        Some(range) => number(range, &entry.value),
        None => plain(&entry.key),
    };
    property.insert("description".to_owned(), entry.words.as_str().into());
    Value::Object(property)
}

fn number(range: Range, default: &str) -> Map<String, Value> {
    let (low, high) = (
        if range.is_above_low { "exclusiveMinimum" } else { "minimum" },
        if range.is_below_high { "exclusiveMaximum" } else { "maximum" },
    );
    let kind = if range.is_whole { "integer" } else { "number" };
    let default: f64 = default.parse().unwrap_or_default();
    let members = [
        ("type", json!(kind)),
        (low, whole(range.low)),
        (high, whole(range.high)),
        ("default", whole(default)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A number without a fraction, as it is written.
#[expect(clippy::cast_possible_truncation, reason = "ranges end at 1e12")]
fn whole(x: f64) -> Value {
    if x.fract() == 0.0 { json!(x as i64) } else { json!(x) }
}

/// What is no number, by its key.
fn plain(key: &str) -> Map<String, Value> {
    let day = json!({"type": "string", "format": "date"});
    let ids: Vec<_> = profiles().into_iter().map(|profile| profile.id).collect();
    let property = match key {
        "version" => json!({"type": "string", "minLength": 1, "maxLength": 128}),
        "effective" => day,
        "holidays" => list_of(day),
        "profiles" => list_of(json!({"enum": ids})),
        _ if key.ends_with(".enabled") => json!({"type": "boolean", "default": true}),
        _ => list_of(json!({"type": "string"})),
    };
    match property {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn list_of(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

/// Every class, and each group of them.
fn patterns() -> Vec<String> {
    let groups = ["*", "CAR.*", "COM.*", "FAI.*", "INT.*", "PRO.*", "TRA.*"];
    let classes = Class::ALL.iter().map(|class| class.as_str());
    groups.into_iter().chain(classes).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::read::known_keys;

    #[test]
    fn the_file_that_is_shipped_is_what_the_table_says() {
        let shipped = include_str!("../../../deploy/policies/policy.schema.json");
        assert!(
            shipped == policy_schema(),
            "write it again: goodfaith policy schema > deploy/policies/policy.schema.json"
        );
    }

    #[test]
    fn it_has_every_key() {
        let schema: Value = serde_json::from_str(&policy_schema()).unwrap();
        for key in known_keys(&Policy::default()) {
            let mut at = &schema;
            for part in key.split('.') {
                let inner = &at["properties"][part];
                at = inner.get("oneOf").map_or(inner, |forms| &forms[1]);
            }
            assert!(at.is_object(), "{key}");
        }
    }
}
