//! Roll-ups over an organisation: to whom what is judged belongs, and that parts add up whatever the partitioning.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use goodfaith::engine::{
    Action, Effect, Input, OrganisationPart, PartitionEngine, RollUps, Settings,
};
use goodfaith::model::organisation::{self, RollUp, Unit};
use goodfaith::model::{Catalogue, Event, EventTime, Policy, Sign};
use goodfaith::wire::{self, Expect, RecordRef, partition_of};
use proptest::prelude::*;
use proptest::sample;

const END: &str = "2026-06-01T00:00:00Z";

/// What happened to a customer: day of 2025, customer, type, data.
type Told<'a> = (&'a str, &'a str, &'a str, &'a str);

fn event(n: usize, (day, customer, kind, data): Told<'_>) -> Event {
    let text = format!(
        r#"{{"specversion":"1.0","id":"e{n}","source":"/test","type":"io.goodfaith.{kind}.v1","subject":"{customer}","time":"{day}T00:00:00Z","data":{{{data}}}}}"#
    );
    let record =
        RecordRef { key: None, value: Some(text.as_bytes()), headers: &[], timestamp_ms: None };
    wire::decode(record, Expect::File).unwrap_or_else(|refused| panic!("{refused:?}: {text}"))
}

fn engine(roll_ups: RollUps) -> PartitionEngine {
    let settings = Settings { policy: Arc::new(Policy::default()), salt: [0; 16], audit: true };
    PartitionEngine::new(settings).with_roll_ups(roll_ups)
}

fn end() -> EventTime {
    EventTime::parse(END).unwrap()
}

/// One engine over all of `events`, until `until`.
fn run(roll_ups: RollUps, events: &[Event], until: EventTime) -> (PartitionEngine, Vec<Effect>) {
    let (mut engine, mut effects) = (engine(roll_ups), Vec::new());
    for (event, offset) in events.iter().zip(0..) {
        engine.handle(Input::Record { offset, record: Ok(event.clone()) }, &mut effects);
    }
    engine.handle(Input::Tick { seq: 0, time: until }, &mut effects);
    (engine, effects)
}

fn units(parts: &[OrganisationPart]) -> BTreeMap<Unit, RollUp> {
    organisation::merged(parts.iter().map(|part| (&part.unit, &part.roll_up)))
}

/// Every class counted for a unit other than the whole: `unit class signs`, in order.
fn attributed(events: &[Told<'_>]) -> String {
    let events: Vec<Event> = events.iter().enumerate().map(|(n, told)| event(n, *told)).collect();
    let (engine, _) = run(RollUps::Kept, &events, end());
    let mut lines = Vec::new();
    for part in engine.organisation() {
        for (class, sums) in &part.roll_up.sums {
            let has = |sum: &goodfaith::model::Accumulator, sign: Sign| {
                if sum.is_zero() { "" } else { sign.as_str() }
            };
            let signs = [has(&sums.positive, Sign::Positive), has(&sums.negative, Sign::Negative)];
            if &*part.unit.name != "-" && signs != ["", ""] {
                lines.push(format!("{} {class} {}", part.unit, signs.concat()));
            }
        }
    }
    lines.join("\n")
}

#[test]
fn direct_evidence_belongs_to_the_channel_and_actor_of_its_event() {
    let told = attributed(&[(
        "2025-01-01",
        "ada",
        "contact.closed",
        r#""contact_id":"c","resolved":false,"transfers":3,"channel":"phone","actor":{"kind":"agent","id":"anna","team":"blue","department":"care"}"#,
    )]);
    insta::assert_snapshot!(told, @r"
    channel/phone COM.TRANSFER -
    agent/anna COM.TRANSFER -
    team/blue COM.TRANSFER -
    department/care COM.TRANSFER -
    ");
}

#[test]
fn a_promise_belongs_to_whoever_made_it_and_not_to_whoever_kept_it() {
    let told = attributed(&[
        (
            "2025-01-01",
            "ada",
            "promise.made",
            r#""promise_id":"p","due_at":"2025-01-05T00:00:00Z","actor":{"id":"anna"}"#,
        ),
        ("2025-01-02", "ada", "promise.kept", r#""promise_id":"p","actor":{"id":"ben"}"#),
        (
            "2025-01-01",
            "eve",
            "service.failed",
            r#""failure_id":"f","severity":2,"channel":"north","cause":"supplier""#,
        ),
        (
            "2025-01-02",
            "eve",
            "remedy.issued",
            r#""remedy_id":"r","kind":"refund","amount":{"minor":500,"currency":"GBP"},"about_id":"f","channel":"phone""#,
        ),
    ]);
    insta::assert_snapshot!(told, @r"
    channel/north COM.CREDIT_REMEDY +
    channel/north COM.FAIL -
    agent/anna INT.KEPT +
    ");
}

#[test]
fn what_a_timer_judges_belongs_to_the_event_that_armed_it() {
    let told = attributed(&[
        (
            "2025-01-01",
            "ada",
            "contact.closed",
            r#""contact_id":"c","resolved":true,"actor":{"kind":"partner","id":"acme"}"#,
        ),
        (
            "2025-01-01",
            "eve",
            "subscription.started",
            r#""subscription_id":"s","plan_id":"basic","price":{"minor":100,"currency":"GBP"},"term_end":"2025-06-01T00:00:00Z","channel":"shop""#,
        ),
    ]);
    insta::assert_snapshot!(told, @r"
    channel/shop TRA.NOTICE_MISSED -
    partner/acme COM.FCR +
    ");
}

#[test]
fn a_squeeze_and_its_redress_belong_to_the_plan() {
    let told = attributed(&[
        (
            "2025-01-01",
            "ada",
            "subscription.started",
            r#""subscription_id":"s","plan_id":"basic","price":{"minor":1200,"currency":"GBP"}"#,
        ),
        ("2025-02-01", "ada", "cancel.requested", r#""request_id":"q","subscription_id":"s""#),
        ("2025-02-02", "ada", "cancel.completed", r#""request_id":"q""#),
        (
            "2025-03-01",
            "ada",
            "charge.posted",
            r#""charge_id":"x","amount":{"minor":1200,"currency":"GBP"},"subscription_id":"s","channel":"billing""#,
        ),
        (
            "2025-03-02",
            "ada",
            "remedy.issued",
            r#""remedy_id":"r","kind":"refund","amount":{"minor":600,"currency":"GBP"},"about_id":"q","channel":"phone""#,
        ),
    ]);
    insta::assert_snapshot!(told, @r"
    channel/billing INT.CHARGE_AFTER_CANCEL -
    product/basic FAI.REDRESS +
    product/basic FAI.SQUEEZE -
    ");
}

#[test]
fn evidence_taken_back_leaves_the_unit_it_was_counted_for() {
    let id = goodfaith::model::EvidenceId::new(goodfaith::model::Class::ComTransfer, "c");
    let command = format!(r#""evidence_id":"{id}","channel":"back-office""#);
    let told = attributed(&[
        (
            "2025-01-01",
            "ada",
            "contact.closed",
            r#""contact_id":"c","resolved":false,"transfers":3,"channel":"phone""#,
        ),
        ("2025-01-02", "ada", "retraction.requested", &command),
    ]);
    assert_eq!(told, "");
}

#[test]
fn promises_to_oneself_count_as_kept_late_or_forgotten() {
    let made = |id: &str| {
        format!(
            r#""promise_id":"{id}","due_at":"2025-01-05T00:00:00Z","beneficiary":"internal","actor":{{"team":"blue"}}"#
        )
    };
    let (a, b, c) = (made("a"), made("b"), made("c"));
    let told: [Told<'_>; 5] = [
        ("2025-01-01", "ada", "promise.made", &a),
        ("2025-01-01", "ada", "promise.made", &b),
        ("2025-01-01", "ada", "promise.made", &c),
        ("2025-01-04", "ada", "promise.kept", r#""promise_id":"a""#),
        ("2025-01-06", "ada", "promise.kept", r#""promise_id":"b""#),
    ];
    let events: Vec<Event> = told.iter().enumerate().map(|(n, told)| event(n, *told)).collect();
    let (engine, _) = run(RollUps::Kept, &events, end());
    let units = units(&engine.organisation());
    let team = &units[&Unit::new(organisation::UnitKind::Team, "blue")].promises;
    assert_eq!((team.internal_kept, team.internal_broken), (1, 2));
}

#[test]
fn a_part_is_published_once_the_hour_it_changed_in_is_over() {
    let contact = r#""contact_id":"c","resolved":false,"transfers":3,"channel":"phone""#;
    let published = |until: &str| {
        let events = [event(0, ("2025-01-01", "ada", "contact.closed", contact))];
        let until = EventTime::parse(until).unwrap();
        let (_, effects) = run(RollUps::Published, &events, until);
        let part = |effect: &Effect| match &effect.action {
            Action::PublishPart(part) => Some(part.unit.to_string()),
            _ => None,
        };
        effects.iter().filter_map(part).collect::<Vec<_>>()
    };
    assert_eq!(published("2024-12-31T23:59:59Z"), Vec::<String>::new());
    assert_eq!(published("2025-01-01T00:00:00Z"), ["whole/-", "channel/phone"]);
}

#[test]
fn no_other_output_depends_on_roll_ups() {
    let scenario = include_str!("vectors/amara.events.ndjson");
    let events: Vec<Event> = scenario
        .lines()
        .filter_map(|line| {
            let value = Some(line.as_bytes());
            let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
            wire::decode(record, Expect::File).ok()
        })
        .collect();
    let others = |roll_ups| {
        let (_, mut effects) = run(roll_ups, &events, end());
        effects.retain(|effect| !matches!(effect.action, Action::PublishPart(_)));
        effects
    };
    assert!(others(RollUps::Off).len() > 10);
    assert_eq!(others(RollUps::Off), others(RollUps::Published));
}

const CUSTOMERS: [&str; 8] = ["ada", "ben", "cleo", "dan", "eve", "finn", "gus", "hal"];

/// Up to 60 events of eight customers in the order of their days, over most of a year.
fn history() -> impl Strategy<Value = Vec<Event>> {
    let one = (0..280_i64, sample::select(&CUSTOMERS[..]), 0..8_u8, 0..4_u8, 0..3_u8);
    prop::collection::vec(one, 1..60).prop_map(|mut drawn| {
        drawn.sort_by_key(|(day, ..)| *day);
        let start = EventTime::parse_date("2025-01-01").unwrap();
        let told = drawn.iter().enumerate().map(|(n, (day, customer, what, who, key))| {
            let date = |day: i64| start.plus_days(day).to_string();
            let who = format!(
                r#""channel":"c{}","actor":{{"id":"a{who}","team":"t{}"}}"#,
                who % 2,
                who / 2
            );
            let money = r#"{"minor":1200,"currency":"GBP"}"#;
            let (kind, data) = match what {
                0 => ("promise.made", format!(r#""promise_id":"p{key}","due_at":"{}""#, date(day + 9))),
                1 => ("promise.kept", format!(r#""promise_id":"p{key}""#)),
                2 => ("service.failed", format!(r#""failure_id":"f{key}","severity":2"#)),
                3 => (
                    "remedy.issued",
                    format!(r#""remedy_id":"r{n}","kind":"goodwill","amount":{money},"about_id":"f{key}""#),
                ),
                4 => ("contact.closed", format!(r#""contact_id":"k{n}","resolved":true,"transfers":4"#)),
                5 => (
                    "subscription.started",
                    format!(r#""subscription_id":"s{key}","plan_id":"plan{key}","price":{money}"#),
                ),
                6 => (
                    "charge.posted",
                    format!(r#""charge_id":"x{n}","amount":{money},"subscription_id":"s{key}""#),
                ),
                _ => (
                    "cancel.requested",
                    format!(r#""request_id":"q{n}","subscription_id":"s{key}""#),
                ),
            };
            let day = start.plus_days(*day).date().to_string();
            event(n, (&day, customer, kind, &format!("{data},{who}")))
        });
        told.collect()
    })
}

fn parts_of(events: &[Event], partitions: u32) -> Vec<OrganisationPart> {
    let of = |partition| {
        let is_here = |event: &&Event| match event {
            Event::Customer(event) => {
                partition_of(event.customer.as_bytes(), partitions) == partition
            }
            _ => true,
        };
        let here: Vec<Event> = events.iter().filter(is_here).cloned().collect();
        run(RollUps::Kept, &here, end()).0.organisation()
    };
    (0..partitions).flat_map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn the_parts_of_any_partitioning_add_up_to_the_same(events in history(), partitions in 2..=8_u32) {
        let one = parts_of(&events, 1);
        let many = parts_of(&events, partitions);
        // Through their lines, as a reader has them.
        let many: Vec<OrganisationPart> = many
            .iter()
            .map(|part| wire::read_part(wire::part_line(part, 3).as_bytes()).unwrap())
            .map(|(partition, part)| { assert_eq!(partition, 3); part })
            .collect();
        prop_assert_eq!(units(&one), units(&many));
    }

    #[test]
    fn an_abort_puts_the_roll_ups_back(events in history(), kept in 0..60_usize) {
        let mut engine = engine(RollUps::Published);
        engine.handle(
            Input::Reference { seq: 0, offset_next: 0, catalogue: Arc::new(Catalogue::default()) },
            &mut Vec::new(),
        );
        engine.commit();
        let kept = kept.min(events.len());
        for (n, event) in events.iter().enumerate() {
            if n == kept {
                engine.commit();
            }
            let offset = i64::try_from(n).unwrap();
            let before = (n == kept).then(|| engine.state_hash());
            engine.handle(Input::Record { offset, record: Ok(event.clone()) }, &mut Vec::new());
            if let Some(before) = before {
                for (later, offset) in events[n + 1..].iter().zip(offset + 1..) {
                    engine.handle(Input::Record { offset, record: Ok(later.clone()) }, &mut Vec::new());
                }
                engine.abort();
                prop_assert_eq!(engine.state_hash(), before);
                return Ok(());
            }
        }
    }
}
