//! The planted population: every squeeze planted is found on its day, and nothing else is said.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use assert_cmd::Command;

use goodfaith::engine::Effect;
use goodfaith::generate::{Comparison, Disorder, Form, Population, PopulationSettings, Records};
use goodfaith::model::squeeze::SqueezeType;
use goodfaith::model::{EventTime, Policy};
use goodfaith::replay::{Options, Replay};
use goodfaith::wire::{self, FileKind};

fn settings(customers: u32) -> PopulationSettings {
    PopulationSettings {
        seed: 1,
        customers: NonZeroU32::new(customers).unwrap(),
        from: EventTime::parse_date("2025-01-01").unwrap(),
        months: NonZeroU32::new(36).unwrap(),
        squeezed: "0.5".parse().unwrap(),
        decoys: "0.4".parse().unwrap(),
    }
}

/// Plants, replays by `policy` and compares.
fn compared(settings: PopulationSettings, policy: Policy) -> Comparison {
    let population = Population::new(settings);
    let mut comparison = Comparison::default();
    for planted in population.planted() {
        comparison.planted(planted.to_json().as_bytes()).unwrap();
    }
    let mut alerts = Vec::new();
    let mut sink = |effect: &Effect| {
        let Some((kind, line)) = wire::file_line(effect) else { return Ok(()) };
        assert_ne!(kind, FileKind::DeadLetters, "{line}");
        if kind == FileKind::Alerts {
            alerts.push(line);
        }
        Ok(())
    };
    let options = Options { policy: Arc::new(policy), ..Options::default() };
    let mut replay = Replay::new(&options);
    for record in Records::of(population.events(), 1, Disorder::default(), Form::Json) {
        replay.line(&record.value, &mut sink).unwrap();
    }
    replay.end(None, &mut sink).unwrap();
    for alert in alerts {
        comparison.alert(alert.as_bytes()).unwrap();
    }
    comparison
}

#[test]
fn every_type_is_found_and_nothing_else() {
    let comparison = compared(settings(2000), Policy::default());
    assert!(comparison.is_at_least(0.99), "{comparison}");
    for kind in SqueezeType::ALL {
        let tally = comparison.tallies()[kind];
        assert!(tally.planted >= 20 && tally.decoys >= 20, "{kind:?}: {comparison}");
    }
}

#[test]
fn another_policy_misses_what_it_tolerates_and_falls_for_what_it_does_not() {
    let loose = r#"overpricing_tolerance = { minor = 2000, share = 0.03 }"#;
    let strict = r#"overpricing_tolerance = { minor = 50, share = 0.01 }"#;
    let s01 = |policy: &str| {
        let comparison = compared(settings(300), Policy::from_toml(policy).unwrap());
        assert!(!comparison.is_at_least(0.99), "{comparison}");
        let others = comparison.tallies().iter().filter(|(kind, _)| **kind != SqueezeType::S01);
        // Its harm to the vulnerable goes with it.
        let others = others.filter(|(kind, _)| **kind != SqueezeType::S11);
        for (kind, tally) in others {
            assert_eq!((tally.missed(), tally.false_alarms), (0, 0), "{kind:?}");
        }
        comparison.tallies()[&SqueezeType::S01]
    };
    assert!(s01(loose).missed() > 0 && s01(loose).false_alarms == 0);
    assert!(s01(strict).missed() == 0 && s01(strict).false_alarms > 0);
}

fn goodfaith(args: &[&str]) -> assert_cmd::assert::Assert {
    Command::new(env!("CARGO_BIN_EXE_goodfaith")).args(args).assert()
}

/// The same population by the command line, and its planted lines.
fn written(folder: &Path) -> [String; 3] {
    let paths = ["planted.ndjson", "events.ndjson", "results/alerts.ndjson"];
    let [planted, events, alerts] =
        paths.map(|name| folder.join(name).to_str().unwrap().to_owned());
    let population = ["--customers", "60", "--years", "2", "--duplicate-share", "0.02"];
    let out = ["gen", "--plant", &planted, "--out", &events];
    goodfaith(&[&out[..], &population[..]].concat()).success();
    let results = folder.join("results");
    goodfaith(&["replay", "--events", &events, "--out", results.to_str().unwrap()]).success();
    [planted, events, alerts]
}

#[test]
fn the_command_finds_what_it_planted_and_names_what_it_did_not() {
    let folder = tempfile::tempdir().unwrap();
    let [planted, _, alerts] = written(folder.path());
    let check = ["plant-check", "--planted", &planted, "--alerts", &alerts];
    let said = goodfaith(&check).success();
    let table = String::from_utf8(said.get_output().stdout.clone()).unwrap();
    assert!(table.starts_with("squeeze ") && !table.contains("missed S"), "{table}");

    let nothing = folder.path().join("none.ndjson");
    std::fs::write(&nothing, "").unwrap();
    let check = ["plant-check", "--planted", &planted, "--alerts", nothing.to_str().unwrap()];
    let said = goodfaith(&[&check[..], &["--format", "json"]].concat()).code(1);
    let said: serde_json::Value = serde_json::from_slice(&said.get_output().stdout).unwrap();
    let squeezes = std::fs::read_to_string(&planted).unwrap();
    let squeezes = squeezes.lines().filter(|line| line.contains(r#""planted":"squeeze""#)).count();
    assert!(squeezes > 0);
    assert_eq!(said["misses"].as_array().unwrap().len(), squeezes);
}

#[test]
fn a_file_that_is_something_else_and_a_span_too_short_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [planted, events, alerts] = written(folder.path());
    let swapped = ["plant-check", "--planted", &events, "--alerts", &alerts];
    let short = ["gen", "--plant", &planted, "--months", "23", "--out", &events];
    for (args, word) in [(&swapped[..], "line 1 is no planted squeeze"), (&short[..], "24 months")]
    {
        let said = goodfaith(args).code(2);
        let said = String::from_utf8(said.get_output().stderr.clone()).unwrap();
        assert!(said.contains(word), "{said}");
    }
}
