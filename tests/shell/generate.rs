//! The simulated telecom: the same everywhere, readable, and telling.

use std::num::NonZeroU32;

use assert_cmd::Command;
use goodfaith::engine::{Action, Effect, OutputBody, SqueezeChange};
use goodfaith::generate::{Disorder, Form, GeneratedRecord, Generator, Records, Settings};
use goodfaith::model::Event;
use goodfaith::model::squeeze::SqueezeType;
use goodfaith::replay::{Options, Tally, run};
use goodfaith::wire::{self, Expect, RecordRef};
use sha2::{Digest as _, Sha256};

const SOME_DISORDER: [&str; 3] = ["0.05", "0.02", "0.01"];

fn disorder([late, duplicate, poison]: [&str; 3]) -> Disorder {
    let share = |text: &str| text.parse().unwrap();
    Disorder { late: share(late), duplicate: share(duplicate), poison: share(poison) }
}

fn records(disorder: Disorder, form: Form) -> Records {
    Records::new(Settings::default(), disorder, form)
}

/// What the topic of a record's kind makes of it: without a key, the one of reference data.
fn decoded(record: &GeneratedRecord) -> Option<Event> {
    let (key, value) = (record.key.as_deref().map(str::as_bytes), Some(record.value.as_slice()));
    let expect = if key.is_some() { Expect::EventsTopic } else { Expect::ReferenceTopic };
    wire::decode(RecordRef { key, value, headers: &[], timestamp_ms: None }, expect).ok()
}

/// SHA-256 over the first records' values, each after its length.
fn digest(records: Records) -> String {
    let mut hash = Sha256::new();
    for record in records.take(20_000) {
        hash.update((record.value.len() as u64).to_be_bytes());
        hash.update(&record.value);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn seed_1_gives_these_bytes_on_every_platform() {
    assert_eq!(
        digest(records(Disorder::default(), Form::Json)),
        "644cf7401298979bcf6162fa7b4d2543431f015ce098e842926187c28b333afb"
    );
    assert_eq!(
        digest(records(disorder(SOME_DISORDER), Form::Proto)),
        "f0beaaf4cab0f86d4116343f3c4cc7f939823dfef9c090cd1539242aef693fb6"
    );
}

#[test]
fn another_seed_gives_other_events() {
    let settings = Settings { seed: 2, ..Settings::default() };
    let other = Records::new(settings, Disorder::default(), Form::Json);
    assert_ne!(digest(records(Disorder::default(), Form::Json)), digest(other));
}

#[test]
fn every_record_reads_as_what_it_says_or_not_at_all() {
    for form in [Form::Json, Form::Proto] {
        for record in records(disorder(SOME_DISORDER), form).take(20_000) {
            assert_eq!(decoded(&record), record.event, "{record:?}");
        }
    }
}

#[test]
fn what_goes_wrong_on_the_way_changes_no_event() {
    let events: Vec<_> = Generator::new(Settings::default()).take(5000).collect();
    let arrived: Vec<_> = records(disorder(SOME_DISORDER), Form::Json).take(8000).collect();
    let is_there =
        |event: &&Event| arrived.iter().any(|record| record.event.as_ref() == Some(event));
    // All but the few still on their way.
    let there = events.iter().filter(is_there).count();
    assert!(there > 4900, "{there}");
    assert!(there < arrived.iter().filter(|record| record.event.is_some()).count());
}

#[test]
fn the_shares_of_what_goes_wrong_are_kept() {
    const COUNT: usize = 50_000;
    let arrived: Vec<_> =
        records(disorder(["0.1", "0.05", "0.02"]), Form::Json).take(COUNT).collect();
    let events: Vec<_> = arrived.iter().filter_map(|record| record.event.as_ref()).collect();
    let share = |count: usize| count as f64 / COUNT as f64;
    let poison = share(COUNT - events.len());
    assert!((0.017..0.023).contains(&poison), "poison {poison}");

    let (mut ids, mut newest, mut late, mut twice) =
        (std::collections::BTreeSet::new(), None, 0, 0);
    for event in events {
        let Event::Customer(event) = event else { continue };
        late += usize::from(newest.is_some_and(|newest| event.time < newest));
        twice += usize::from(!ids.insert(&event.id));
        newest = newest.max(Some(event.time));
    }
    assert!((0.035..0.06).contains(&share(twice)), "twice {}", share(twice));
    assert!((0.08..0.18).contains(&share(late)), "late {}", share(late));
}

#[test]
fn every_story_has_consequences_and_the_first_alert_comes_early() {
    let lines: Vec<_> =
        records(Disorder::default(), Form::Json).take(60_000).map(|record| record.value).collect();
    let (mut tally, mut first_alert) = (Tally::default(), None);
    let mut sink = |effect: &Effect| {
        tally.count(effect);
        if let Action::Publish(output) = &effect.action
            && let OutputBody::Squeeze(alert) = &output.body
            && alert.change == SqueezeChange::Opened
        {
            first_alert.get_or_insert(effect.source.offset);
        }
        Ok(())
    };
    let replay =
        run(&Options::default(), lines.iter().map(Vec::as_slice), None, &mut sink).unwrap();
    assert!(first_alert.unwrap() < 4000, "{first_alert:?}");
    assert_eq!(tally.dead_letters.len(), 0, "{tally}");
    assert_eq!(replay.summary().counters.duplicates, 0);
    for kind in [SqueezeType::S01, SqueezeType::S04, SqueezeType::S10] {
        let squeezes = tally.squeezes.get(&kind).copied().unwrap_or_default();
        assert!(squeezes.opened > 0 && squeezes.resolved > 0, "{kind:?}: {tally}");
    }
    assert!(tally.breaches > 0 && tally.breaches_withdrawn > 0, "{tally}");
    assert!(tally.other_alerts.contains_key("advice.savings_identified"), "{tally}");
    assert!(tally.score_changes > 1000, "{tally}");
}

#[test]
fn a_share_is_a_number_from_0_to_1() {
    use goodfaith::generate::Share;
    assert!(["0", "1", "0.25"].iter().all(|text| text.parse::<Share>().is_ok()));
    assert!(["", "-0.1", "1.1", "NaN", "5%"].iter().all(|text| text.parse::<Share>().is_err()));
}

#[test]
fn a_simulation_with_months_ends_with_all_that_was_held() {
    let settings = Settings {
        customers: NonZeroU32::new(50).expect("not zero"),
        months: NonZeroU32::new(2),
        ..Settings::default()
    };
    let on_time = Records::new(settings, Disorder::default(), Form::Json).count();
    let late = Records::new(settings, disorder(["0.5", "0", "0"]), Form::Json).count();
    assert_eq!(on_time, late);
}

/// Runs `gen` with these arguments and gives its stdout.
fn gen_stdout(args: &[&str]) -> Vec<u8> {
    let run = Command::new(env!("CARGO_BIN_EXE_goodfaith")).arg("gen").args(args).assert();
    run.success().get_output().stdout.clone()
}

#[test]
fn the_command_writes_the_records_as_lines_or_after_their_lengths() {
    let seven = Settings { seed: 7, ..Settings::default() };
    let args = ["--seed", "7", "--events", "3000", "--poison-share", "0.01", "--out", "-"];
    let disorder = disorder(["0", "0", "0.01"]);
    let lines = Records::new(seven, disorder, Form::Json).take(3000);
    let lines = lines.flat_map(|record| [record.value, b"\n".to_vec()].concat());
    assert_eq!(gen_stdout(&args), lines.collect::<Vec<_>>());

    let written = gen_stdout(&[&args[..], &["--format", "proto"]].concat());
    let mut rest = written.as_slice();
    for record in Records::new(seven, disorder, Form::Proto).take(3000) {
        let length = prost::encoding::decode_varint(&mut rest).unwrap();
        let (value, after) = rest.split_at(usize::try_from(length).unwrap());
        assert_eq!(value, record.value);
        rest = after;
    }
    assert!(rest.is_empty());
}

#[test]
fn a_packed_file_holds_what_stdout_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson.zst");
    let args = ["--customers", "50", "--months", "1", "--late-share", "0.1", "--out"];
    assert!(gen_stdout(&[&args[..], &[path.to_str().unwrap()]].concat()).is_empty());
    let (mut file, mut line, mut lines) =
        (goodfaith::files::open(&path).unwrap(), Vec::new(), Vec::new());
    while file.next_line(&mut line).unwrap() {
        lines.extend_from_slice(&line);
        lines.push(b'\n');
    }
    assert_eq!(lines, gen_stdout(&[&args[..], &["-"]].concat()));
}

#[test]
fn an_endless_simulation_and_a_file_that_cannot_be_are_refused() {
    let cases: [(&[&str], &str); 2] =
        [(&["--out", "-"], "--events"), (&["--events", "1", "--out", "no/such/folder"], "no/such")];
    for (args, word) in cases {
        let run = Command::new(env!("CARGO_BIN_EXE_goodfaith")).arg("gen").args(args).assert();
        let said = String::from_utf8(run.code(2).get_output().stderr.clone()).unwrap();
        assert!(said.contains(word), "{said}");
    }
}
