//! Replay: the engine over files, whatever their packing, number of partitions, or the run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assert_cmd::Command;
use goodfaith::engine::{Action, Effect, Input, PartitionEngine};
use goodfaith::generate::{Disorder, Form, Records, Settings};
use goodfaith::model::{Event, EventTime, Policy};
use goodfaith::replay::{Options, Replay, run};
use goodfaith::wire::{self, Expect, FileKind, RecordRef};
use serde_json::Value;
use tempfile::TempDir;

/// Generated lines with everything that goes wrong on the way.
fn disorderly_lines(count: usize) -> Vec<Vec<u8>> {
    let settings =
        Settings { customers: NonZeroU32::new(60).expect("not zero"), ..Settings::default() };
    let disorder = Disorder {
        late: "0.05".parse().unwrap(),
        duplicate: "0.03".parse().unwrap(),
        poison: "0.01".parse().unwrap(),
    };
    let records = Records::new(settings, disorder, Form::Json).take(count);
    records.map(|record| record.value).collect()
}

fn options(partitions: u32) -> Options {
    let partitions = NonZeroU32::new(partitions).expect("not zero");
    Options { partitions, audit: true, ..Options::default() }
}

/// The lines a replay writes, each with its file.
fn replayed(
    lines: &[Vec<u8>],
    options: &Options,
    until: Option<EventTime>,
) -> (Vec<(FileKind, String)>, Replay) {
    let mut written = Vec::new();
    let lines = lines.iter().map(Vec::as_slice);
    let replay = run(options, lines, until, &mut |effect: &Effect| {
        written.extend(wire::file_line(effect));
        Ok(())
    });
    (written, replay.unwrap())
}

/// The customer a line is about, if it can be read and is about one.
fn customer_of(line: &[u8]) -> Option<Event> {
    wire::decode(file_record(line), Expect::File).ok()
}

fn file_record(line: &[u8]) -> RecordRef<'_> {
    RecordRef { key: None, value: Some(line), headers: &[], timestamp_ms: None }
}

fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

fn goodfaith() -> Command {
    Command::new(env!("CARGO_BIN_EXE_goodfaith"))
}

/// Runs `replay` with these arguments into a new folder and gives what it wrote.
fn cli_files(folder: &TempDir, name: &str, args: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let out = folder.path().join(name);
    goodfaith().arg("replay").args(args).arg("--out").arg(&out).assert().success();
    files_in(&out)
}

fn write_lines(path: &Path, lines: &[Vec<u8>]) {
    let mut file = goodfaith::files::create(path).unwrap();
    for line in lines {
        file.write_all(line).unwrap();
        file.write_all(b"\n").unwrap();
    }
    file.finish().unwrap();
}

fn scenarios() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".events.ndjson").map(ToOwned::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 23, "{names:?}");
    names
}

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

fn scenario(name: &str) -> (Vec<Vec<u8>>, Value) {
    let events = fs::read(vector(&format!("{name}.events.ndjson"))).unwrap();
    let lines = events.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let expected = fs::read(vector(&format!("{name}.expected.json"))).unwrap();
    (lines, serde_json::from_slice(&expected).unwrap())
}

#[test]
fn every_scenario_gives_what_its_engine_gives_and_counts_what_it_should() {
    for name in scenarios() {
        let (lines, expected) = scenario(&name);
        let policy = match &expected["policy"] {
            Value::Null => Policy::default(),
            changes => Policy::from_json(&changes.to_string()).unwrap(),
        };
        let until = expected["until"].as_str().and_then(EventTime::parse);
        let options = Options { policy: policy.into(), ..options(1) };
        let (written, replay) = replayed(&lines, &options, until);
        assert_eq!(written, engine_lines(&lines, &options, until), "{name}");

        let summary: Value = serde_json::from_str(&replay.summary().to_json()).unwrap();
        let state = &expected["state"];
        assert_eq!(summary["watermark"], state["watermark"], "{name}");
        assert_eq!(summary["erased"], state["erased"], "{name}");
        assert_eq!(summary["counters"], state["counters"], "{name}");
    }
}

/// What one engine makes of `lines`, without any of the replay's machinery.
fn engine_lines(
    lines: &[Vec<u8>],
    options: &Options,
    until: Option<EventTime>,
) -> Vec<(FileKind, String)> {
    let policy = Arc::clone(&options.policy);
    let settings = goodfaith::engine::Settings { policy, salt: [7; 16], audit: options.audit };
    let (mut engine, mut effects) = (PartitionEngine::new(settings), Vec::new());
    for (offset, line) in (1..).zip(lines) {
        if !line.is_empty() {
            let record = wire::decode(file_record(line), Expect::File);
            engine.handle(Input::Record { offset, record }, &mut effects);
        }
    }
    if let Some(time) = until.or_else(|| engine.watermark()) {
        engine.handle(Input::Tick { seq: engine.seq(), time }, &mut effects);
    }
    effects.iter().filter_map(wire::file_line).collect()
}

#[test]
fn a_partition_gives_the_same_among_others_and_alone() {
    const PARTITIONS: u32 = 4;
    let lines = disorderly_lines(6000);
    let partition = |customer: &str| wire::partition_of(customer.as_bytes(), PARTITIONS);
    let mut together: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let all = run(&options(PARTITIONS), lines.iter().map(Vec::as_slice), None, &mut |effect| {
        if let Action::Publish(output) = &effect.action {
            let written = together.entry(partition(&output.customer)).or_default();
            written.extend(wire::file_line(effect).map(|(_, line)| line));
        }
        Ok(())
    })
    .unwrap();

    let mut states = Vec::new();
    for alone in 0..PARTITIONS {
        // Blank lines keep the numbers of the others.
        let own = lines.iter().map(|line| match customer_of(line) {
            Some(Event::Customer(event)) if partition(&event.customer) != alone => Vec::new(),
            _ => line.clone(),
        });
        let (written, replay) = replayed(&own.collect::<Vec<_>>(), &options(1), None);
        let published = written.into_iter().filter(|(kind, _)| *kind != FileKind::DeadLetters);
        let published: Vec<_> = published.map(|(_, line)| line).collect();
        assert!(published.len() > 100, "partition {alone} says too little to show anything");
        assert_eq!(together.remove(&alone).unwrap(), published, "partition {alone}");
        states.extend(replay.customers());
    }
    states.sort_by(|a, b| a.customer.cmp(&b.customer));
    assert_eq!(all.customers().collect::<Vec<_>>(), states);
}

#[test]
fn every_record_is_counted_once_however_many_partitions_see_it() {
    let mut lines = disorderly_lines(3000);
    let tick = br#"{"specversion":"1.0","id":"t","source":"/clock","type":"io.goodfaith.clock.ticked.v1","time":"2026-01-01T00:00:00Z"}"#;
    lines.push(tick.to_vec());
    let counters = |partitions| replayed(&lines, &options(partitions), None).1.summary().counters;
    let (one, many) = (counters(1), counters(5));
    assert_eq!(one.records, 3001);
    assert_eq!(one.records, one.accepted + one.duplicates + one.dead_letters);
    assert_eq!(
        (one.records, one.accepted, one.duplicates, one.dead_letters),
        (many.records, many.accepted, many.duplicates, many.dead_letters)
    );
}

#[test]
fn a_second_run_and_any_packing_give_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let lines = disorderly_lines(4000);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["a.ndjson", "a.ndjson.gz", "a.ndjson.zst"] {
        write_lines(Path::new(&path(name)), &lines);
    }
    write_lines(Path::new(&path("head.ndjson")), &lines[..1000]);
    write_lines(Path::new(&path("tail.ndjson.gz")), &lines[1000..]);

    let with = |name: &str, events: &[&str]| {
        let mut args = vec!["--evidence", "--partitions", "3", "--events"];
        args.extend(events);
        cli_files(&folder, name, &args)
    };
    let plain = with("plain", &[&path("a.ndjson")]);
    assert_eq!(plain.len(), 7, "{:?}", plain.keys());
    assert!(plain.values().all(|file| !file.is_empty()));
    assert_eq!(plain, with("again", &[&path("a.ndjson")]));
    assert_eq!(plain, with("gzip", &[&path("a.ndjson.gz")]));
    assert_eq!(plain, with("zstd", &[&path("a.ndjson.zst")]));
    assert_eq!(plain, with("parts", &[&path("head.ndjson"), &path("tail.ndjson.gz")]));

    let out = folder.path().join("stdin");
    let piped = fs::read(path("a.ndjson.gz")).unwrap();
    let args = ["replay", "--evidence", "--partitions", "3", "--events", "-", "--out"];
    goodfaith().args(args).arg(&out).write_stdin(piped).assert().success();
    assert_eq!(plain, files_in(&out));
}

#[test]
fn messages_give_what_lines_give_packed_or_not_and_through_a_pipe() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, format) in [("a.ndjson", "json"), ("a.pb", "proto"), ("a.binpb.zst", "proto")] {
        let args = ["gen", "--customers", "40", "--events", "3000", "--late-share", "0.05"];
        let to = ["--duplicate-share", "0.02", "--format", format, "--out", &path(name)];
        goodfaith().args(args).args(to).assert().success();
    }
    let with = |name: &str, events: &str| {
        cli_files(&folder, name, &["--evidence", "--partitions", "3", "--events", events])
    };
    let lines = with("lines", &path("a.ndjson"));
    assert!(lines["scores.ndjson"].len() > 10_000);
    assert_eq!(lines, with("messages", &path("a.pb")));
    assert_eq!(lines, with("packed", &path("a.binpb.zst")));

    let out = folder.path().join("stdin");
    let args = ["replay", "--evidence", "--partitions", "3", "--events", "-", "--out"];
    let piped = fs::read(path("a.pb")).unwrap();
    goodfaith().args(args).arg(&out).write_stdin(&piped[..]).assert().success();
    assert_eq!(lines, files_in(&out));

    let cut = &piped[..piped.len() - 1];
    let refused = goodfaith().args(args).arg(&out).arg("--force").write_stdin(cut).assert().code(2);
    let words = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(words.contains("cut short"), "{words}");
}

#[test]
fn results_are_replaced_only_when_asked_and_then_all_of_them() {
    let folder = TempDir::new().unwrap();
    let events = vector("amara.events.ndjson");
    let events = events.to_str().unwrap();
    let with_evidence = cli_files(&folder, "out", &["--evidence", "--events", events]);
    assert!(with_evidence.contains_key("evidence.ndjson"));

    let out = folder.path().join("out");
    let mut again = goodfaith();
    again.args(["replay", "--events", events, "--out"]).arg(&out);
    let refused = again.assert().code(2);
    let words = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(words.contains("--force"), "{words}");
    assert_eq!(with_evidence, files_in(&out));

    again.arg("--force").assert().success();
    let mut expected = with_evidence;
    expected.remove("evidence.ndjson");
    assert_eq!(expected, files_in(&out));
}

/// A record that publishes `policy`.
fn published(policy: &str) -> Vec<u8> {
    format!(
        r#"{{"specversion":"1.0","id":"p","source":"/test","type":"io.goodfaith.policy.published.v1","time":"2025-01-01T00:00:00Z","data":{{"policy":{policy}}}}}"#
    )
    .into_bytes()
}

#[test]
fn a_policy_among_the_events_is_in_force_on_every_partition_after_it() {
    let mut lines = disorderly_lines(3_000);
    lines.insert(1_500, published(r#"{"version":"late","base_rate":0.4}"#));
    lines.insert(2_000, published(r#"{"version":"baked","dimensions":{"care":{"lambda":3}}}"#));
    let (written, _) = replayed(&lines, &options(4), None);
    let versions = |kind: FileKind| -> Vec<String> {
        let lines = written.iter().filter(|(file, _)| *file == kind);
        let version = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["data"]["policy"].as_str().map(str::to_owned)
        };
        lines.filter_map(|(_, line)| version(line)).collect()
    };
    let scores = versions(FileKind::Scores);
    let change = scores.iter().position(|version| version == "late").expect("it takes effect");
    assert!(scores[..change].iter().all(|version| version == "generic-1"));
    assert!(scores[change..].iter().all(|version| version == "late"), "and stays");
    let refused = "\"detail\":\"policy.dimensions.care.lambda\"";
    let set_aside = written.iter().filter(|(_, line)| line.contains(refused)).count();
    assert_eq!(set_aside, 1, "one record, one dead letter, whatever the partitions");
}

#[test]
fn of_the_policies_in_a_reference_file_the_last_is_in_force_unless_one_is_named() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write_lines(Path::new(&path("events.ndjson")), &disorderly_lines(500));
    let policies = ["first", "last"].map(|version| {
        published(&format!(r#"{{"version":"{version}","dimensions":{{"care":{{"lambda":3}}}}}}"#))
    });
    write_lines(Path::new(&path("reference.ndjson")), &policies);
    fs::write(path("named.toml"), "version = \"named\"").unwrap();
    let (events, reference, named) =
        (path("events.ndjson"), path("reference.ndjson"), path("named.toml"));
    let scores = |name: &str, more: &[&str]| {
        let args = [&["--events", &events, "--reference", &reference], more].concat();
        String::from_utf8(cli_files(&folder, name, &args)["scores.ndjson"].clone()).unwrap()
    };
    for (scores, version) in
        [(scores("a", &[]), "last"), (scores("b", &["--policy", &named]), "named")]
    {
        let says = format!("\"policy\":\"{version}\"");
        assert!(scores.lines().count() > 10 && scores.lines().all(|line| line.contains(&says)));
    }
}

#[test]
fn a_reference_file_is_known_before_the_first_event() {
    let folder = TempDir::new().unwrap();
    let events = fs::read_to_string(vector("legacy_overpricing.events.ndjson")).unwrap();
    let (reference, events): (Vec<_>, Vec<_>) =
        events.lines().partition(|line| line.contains("plan.published"));
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("reference.ndjson"), reference.join("\n")).unwrap();
    fs::write(path("events.ndjson"), events.join("\n")).unwrap();
    fs::write(path("whole.ndjson"), [reference, events].concat().join("\n")).unwrap();

    let whole = cli_files(&folder, "whole", &["--events", &path("whole.ndjson")]);
    let args = ["--events", &path("events.ndjson"), "--reference", &path("reference.ndjson")];
    let apart = cli_files(&folder, "apart", &args);
    assert!(String::from_utf8_lossy(&apart["alerts.ndjson"]).contains("squeeze.opened"));
    for name in ["scores.ndjson", "alerts.ndjson", "loyalty.ndjson", "state.ndjson"] {
        assert_eq!(whole[name], apart[name], "{name}");
    }
}

#[test]
fn an_error_names_the_file_and_what_is_wrong_with_it() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let events = vector("amara.events.ndjson").to_str().unwrap().to_owned();
    let misspelt = path("policy.toml", "version = 'x'\nbase_rat = 0.5\n");
    let customer = fs::read_to_string(vector("cold_start.events.ndjson")).unwrap();
    let customer = path("plans.ndjson", &format!("\n{}\n", customer.lines().next().unwrap()));
    let broken = path("broken.ndjson.gz", "\u{1f}");
    fs::write(&broken, [0x1f, 0x8b, 8, 0, 0]).unwrap();
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--events", "nowhere.ndjson"], &["nowhere.ndjson"]),
        (&["--events", &broken], &[&broken]),
        (&["--events", &events, "--policy", &misspelt], &[&misspelt, "base_rat"]),
        (&["--events", &events, "--reference", &customer], &[&customer, "line 2"]),
        (&["--events", &events, "--until", "tomorrow"], &["--until", "tomorrow"]),
        (&["--events", &events, "--partitions", "0"], &["--partitions"]),
    ];
    for (args, words) in cases {
        let out = folder.path().join("out");
        let run = goodfaith().arg("replay").args(args).arg("--out").arg(&out).assert().code(2);
        let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
        assert!(words.iter().all(|word| said.contains(word)), "{args:?}: {said}");
        assert!(!out.join("summary.json").exists(), "{args:?}");
    }
}

#[test]
fn a_policy_may_be_toml_or_json_and_the_summary_may_go_to_stdout() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let events = vector("amara.events.ndjson").to_str().unwrap().to_owned();
    let toml = path("p.toml", "version = 'mine'\n");
    let json = path("p.json", r#"{"version": "mine"}"#);
    let from_toml = cli_files(&folder, "toml", &["--events", &events, "--policy", &toml]);
    assert!(String::from_utf8_lossy(&from_toml["scores.ndjson"]).contains(r#""policy":"mine""#));
    assert_eq!(from_toml, cli_files(&folder, "json", &["--events", &events, "--policy", &json]));

    let out = folder.path().join("out");
    let args = ["replay", "--events", &events, "--policy", &toml, "--format", "json", "--out"];
    let run = goodfaith().args(args).arg(&out).assert().success();
    assert_eq!(run.get_output().stdout, from_toml["summary.json"]);
}

#[test]
fn time_goes_on_to_until() {
    let (lines, _) = scenario("cold_start");
    let until = EventTime::parse_date("2027-01-01");
    let (_, replay) = replayed(&lines, &options(3), until);
    assert_eq!(replay.summary().watermark, until);
    let (_, replay) = replayed(&lines, &options(3), EventTime::parse_date("2000-01-01"));
    assert!(replay.summary().watermark > EventTime::parse_date("2025-01-01"));
}
