//! What tells how patient a customer is leaves through the restricted topic only: no score, no alert and no explanation carries it,
//! in any form it travels in.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

use goodfaith::engine::{Action, Effect, Stream};
use goodfaith::generate::{Disorder, Form, Records, Settings};
use goodfaith::replay::{Options, Replay};
use goodfaith::wire::{self, Encoding, Origin, RecordRef};
use serde_json::Value;

/// What no name of an open record may contain.
const RESTRICTED: [&str; 9] =
    ["loyal", "consider", "rely", "forgiv", "reciproc", "reserve", "residual", "baseline", "churn"];

/// Every golden scenario and a generated run, one after another.
fn runs() -> Vec<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let paths = fs::read_dir(folder).expect("the vectors").map(|entry| entry.expect("one").path());
    let events = paths.filter(|path| path.to_str().is_some_and(|p| p.ends_with(".events.ndjson")));
    let mut runs: Vec<Vec<Vec<u8>>> = events
        .map(|path| {
            fs::read(path).expect("events").split(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
        })
        .collect();
    assert!(runs.len() >= 23, "{}", runs.len());
    let customers = NonZeroU32::new(60).expect("not zero");
    let settings = Settings { customers, ..Settings::default() };
    let records = Records::new(settings, Disorder::default(), Form::Json).take(20_000);
    runs.push(records.map(|record| record.value).collect());
    runs
}

/// Shows every effect of every run, and every customer's explanation at its end.
fn each(mut effect: impl FnMut(&Effect), mut explained: impl FnMut(&str)) {
    for lines in runs() {
        let mut replay = Replay::new(&Options { audit: true, ..Options::default() });
        let mut sink = |one: &Effect| {
            effect(one);
            Ok(())
        };
        for line in &lines {
            replay.line(line, &mut sink).expect("a sink that takes all");
        }
        replay.end(None, &mut sink).expect("a sink that takes all");
        let ids: Vec<_> = replay.customers().map(|view| view.customer).collect();
        for id in ids {
            let explanation = replay.explain(&id).expect("a customer held");
            explained(&wire::explained_json(&explanation));
        }
    }
}

/// The names in `value`, at any depth, that say what is restricted.
fn restricted(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| {
                let own = RESTRICTED.iter().any(|word| name.to_lowercase().contains(word));
                own.then(|| name.clone()).into_iter().chain(restricted(value))
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(restricted).collect(),
        _ => Vec::new(),
    }
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("JSON")
}

#[test]
fn no_score_and_no_alert_says_how_patient_a_customer_is() {
    let mut seen = BTreeMap::<&str, u32>::new();
    let check = |effect: &Effect| {
        let Action::Publish(output) = &effect.action else { return };
        *seen.entry(output.stream().as_str()).or_default() += 1;
        if output.stream() != Stream::Loyalty {
            let (_, line) = wire::file_line(effect).unwrap();
            assert_eq!(restricted(&json(line.as_bytes())), Vec::<String>::new(), "{line}");
        }
        let nothing = RecordRef { key: None, value: None, headers: &[], timestamp_ms: None };
        let origin = Origin { topic: "goodfaith.events.v1", partition: 0, policy: 0 };
        for encoding in [Encoding::BinaryJson, Encoding::StructuredJson, Encoding::BinaryProtobuf] {
            for record in wire::encode(effect, nothing, origin, encoding) {
                if record.topic == "loyalty" {
                    continue;
                }
                assert_ne!(output.stream(), Stream::Loyalty, "on {}", record.topic);
                let names = record.headers.iter().map(|(name, _)| name.to_lowercase());
                for name in names {
                    assert!(!RESTRICTED.iter().any(|word| name.contains(word)), "{name}");
                }
                if let Some(value) = record.value.filter(|_| encoding != Encoding::BinaryProtobuf) {
                    assert_eq!(restricted(&json(&value)), Vec::<String>::new(), "{}", record.topic);
                }
            }
        }
    };
    each(check, |_explained| {});
    for stream in ["scores", "alerts", "loyalty"] {
        assert!(seen.get(stream).is_some_and(|count| *count > 100), "{seen:?}");
    }
}

#[test]
fn no_explanation_says_so_either_in_name_or_word() {
    let mut count = 0;
    each(
        |_effect| {},
        |explained| {
            count += 1;
            let value = json(explained.as_bytes());
            assert_eq!(restricted(&value), Vec::<String>::new(), "{explained}");
            for sentence in value["explanation"].as_array().expect("sentences") {
                let words = sentence.as_str().expect("text").to_lowercase();
                // The law names the penalty on loyalty; the customer's own is never told.
                let words = words.replace("cma loyalty-penalty response 2018", "");
                for word in ["loyal", "forgiv", "reciproc", "reserve", "churn"] {
                    assert!(!words.contains(word), "{words}");
                }
            }
        },
    );
    assert!(count > 60, "{count}");
}
