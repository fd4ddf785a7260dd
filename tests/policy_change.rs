//! A policy that changes in flight: it acts on what is handled after it, what stored masses hold is not changed, and a rule it changes
//! gathers before it opens a squeeze.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use goodfaith::engine::{Action, Effect, Input, OutputBody, PartitionEngine, Settings};
use goodfaith::model::squeeze::SqueezeState;
use goodfaith::model::{EventTime, Policy};
use goodfaith::wire::{self, Expect, RecordRef};

/// An engine in the middle of things, and all it asked for.
struct Run {
    engine: PartitionEngine,
    offset: i64,
    seq: u64,
    effects: Vec<Effect>,
}

fn policy(toml: &str) -> Arc<Policy> {
    Arc::new(Policy::from_toml(toml).unwrap())
}

fn event(kind: &str, time: &str, data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{kind}-{time}","source":"/test","type":"io.goodfaith.{kind}.v1","subject":"ada","time":"{time}T00:00:00Z","data":{data}}}"#
    )
}

fn published(time: &str, policy: &str) -> String {
    event("policy.published", time, &format!(r#"{{"policy":{policy}}}"#))
}

impl Run {
    fn new() -> Self {
        let settings = Settings { policy: Arc::default(), salt: [0; 16], audit: true };
        let engine = PartitionEngine::new(settings);
        Self { engine, offset: 0, seq: 0, effects: Vec::new() }
    }

    fn line(&mut self, line: &str) {
        let value = Some(line.as_bytes());
        let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
        let record = wire::decode(record, Expect::File);
        self.engine.handle(Input::Record { offset: self.offset, record }, &mut self.effects);
        self.offset += 1;
    }

    fn activate(&mut self, policy: &Arc<Policy>) {
        self.seq += 1;
        let (seq, policy) = (self.seq, Arc::clone(policy));
        self.engine.handle(Input::Policy { seq, policy }, &mut self.effects);
    }

    /// A legacy plan at 45.00, four years on it, with an equal one sold at 32.00.
    fn legacy(&mut self) {
        let plan = |id: &str, minor: i64| {
            let data = format!(
                r#"{{"plan_id":"{id}","price":{{"minor":{minor},"currency":"GBP"}},"attributes":{{"data":{{"kind":"max","value":10}}}}}}"#
            );
            event("plan.published", "2020-01-01", &data)
        };
        self.line(&plan("old", 4500));
        self.line(&plan("new", 3200));
        self.line(&event(
            "subscription.started",
            "2021-01-01",
            r#"{"subscription_id":"sub","plan_id":"old","price":{"minor":4500,"currency":"GBP"}}"#,
        ));
    }

    fn bill(&mut self, month: u8) {
        self.bill_of(month, 4500);
    }

    fn bill_of(&mut self, month: u8, minor: i64) {
        let (start, end) = (format!("2025-{month:02}-01"), format!("2025-{:02}-01", month + 1));
        let data = format!(
            r#"{{"invoice_id":"i{month}","total":{{"minor":{minor},"currency":"GBP"}},"subscription_id":"sub","period_start":"{start}","period_end":"{end}"}}"#
        );
        self.line(&event("invoice.issued", &start, &data));
    }

    /// What was said of squeezes, with the policy it rests on, and of scores: each once.
    fn told(&self) -> Vec<String> {
        let output = |effect: &Effect| match &effect.action {
            Action::Publish(output) => match &output.body {
                OutputBody::Squeeze(alert) => {
                    let day: String = output.time.to_string().chars().take(10).collect();
                    Some(format!("{day} {} {}", output.kind(), alert.policy))
                }
                _ => None,
            },
            Action::DeadLetter(rejection) => Some(format!(
                "{} {}",
                rejection.reason,
                rejection.detail.as_deref().unwrap_or_default()
            )),
            Action::ForgetSqueeze(_) | Action::PublishPart(_) => None,
        };
        self.effects.iter().filter_map(output).collect()
    }

    fn score(&self) -> (String, f64) {
        let last = self.effects.iter().rev().find_map(|effect| match &effect.action {
            Action::Publish(output) => match &output.body {
                OutputBody::ScoreChanged(change) => Some(change.clone()),
                _ => None,
            },
            Action::DeadLetter(_) | Action::ForgetSqueeze(_) | Action::PublishPart(_) => None,
        });
        let last = last.unwrap();
        (last.policy.to_string(), last.reading.score.to_string().parse().unwrap())
    }
}

/// Makes S01 hear what it did not: 13.00 of 45.00 are below half.
const DEAF: &str = "version = \"deaf\"\noverpricing_tolerance = { minor = 100, share = 0.5 }";

#[test]
fn weights_and_base_rate_act_on_the_next_step() {
    let mut run = Run::new();
    run.line(&event("service.delivered", "2025-01-01", r#"{"ref":"a"}"#));
    let (version, before) = run.score();
    assert_eq!(version, "generic-1");
    run.activate(&policy("version = \"low\"\nbase_rate = 0.1"));
    run.line(&event("service.delivered", "2025-01-02", r#"{"ref":"b"}"#));
    let (version, after) = run.score();
    assert_eq!(version, "low");
    assert!(after < before - 0.2, "{after} after {before}");
}

#[test]
fn in_a_file_it_takes_effect_where_its_record_stands() {
    let mut run = Run::new();
    run.line(&event("service.delivered", "2025-01-01", r#"{"ref":"a"}"#));
    run.line(&published("2025-01-02", r#"{"version":"low","base_rate":0.1}"#));
    run.line(&event("service.delivered", "2025-01-02", r#"{"ref":"b"}"#));
    let mut journalled = Run::new();
    journalled.line(&event("service.delivered", "2025-01-01", r#"{"ref":"a"}"#));
    journalled.activate(&policy("version = \"low\"\nbase_rate = 0.1"));
    journalled.line(&event("service.delivered", "2025-01-02", r#"{"ref":"b"}"#));
    assert_eq!(run.score(), journalled.score());
    assert_eq!(run.score().0, "low");
    assert_eq!(run.engine.counters().accepted, 3);
}

#[test]
fn in_a_file_one_that_changes_what_masses_hold_is_set_aside_and_the_old_one_stays() {
    let mut run = Run::new();
    let policy = r#"{"version":"b","base_rate":0.1,"dimensions":{"care":{"lambda":3}}}"#;
    run.line(&published("2025-01-01", policy));
    run.line(&event("service.delivered", "2025-01-02", r#"{"ref":"b"}"#));
    assert_eq!(run.told(), ["bad_data policy.dimensions.care.lambda"]);
    assert_eq!(run.score().0, "generic-1");
    let counters = run.engine.counters();
    assert_eq!((counters.accepted, counters.dead_letters), (1, 1));
}

#[test]
#[should_panic(expected = "dimensions.care.lambda is 2 and would be 3")]
fn over_kafka_such_a_decision_is_never_taken() {
    Run::new().activate(&policy("dimensions.care.lambda = 3.0"));
}

#[test]
fn a_policy_that_is_none_is_bad_data_and_its_key_is_named() {
    let mut run = Run::new();
    for policy in [
        r#"{"version":"b","base_rate":2}"#,
        r#"{"base_rate":0.2}"#,
        "7",
        r#"{"version":"b","sudden":1}"#,
    ] {
        run.line(&published("2025-01-01", policy));
    }
    let named = ["bad_data policy.base_rate", "bad_data policy.version"];
    assert_eq!(run.told()[..2], named);
    assert_eq!(run.told()[2..], ["bad_data policy", "bad_data policy.sudden"]);
}

#[test]
fn a_changed_rule_gathers_and_then_opens_with_what_it_gathered() {
    let mut run = Run::new();
    run.legacy();
    run.activate(&policy(DEAF));
    (1..=2).for_each(|month| run.bill(month));
    assert_eq!(run.told(), Vec::<String>::new());
    // From the watermark of 1 February on: until 4 April.
    run.activate(&policy("version = \"keen\""));
    assert_eq!(run.engine.warming().iter().count(), 1);
    (3..=4).for_each(|month| run.bill(month));
    assert_eq!(run.told(), Vec::<String>::new(), "two bills hold, but the window is not filled");
    let slots = run.engine.customer("ada").unwrap().squeezes;
    assert_eq!(slots.values().map(|slot| slot.state).collect::<Vec<_>>(), [SqueezeState::Pending]);
    run.bill(5);
    assert_eq!(run.told(), ["2025-05-01 squeeze.opened keen"]);
    assert_eq!(run.engine.warming().iter().count(), 0);
    let alert = run.effects.iter().find_map(|effect| match &effect.action {
        Action::Publish(output) => match &output.body {
            OutputBody::Squeeze(alert) => Some(alert.clone()),
            _ => None,
        },
        Action::DeadLetter(_) | Action::ForgetSqueeze(_) | Action::PublishPart(_) => None,
    });
    assert_eq!(alert.unwrap().accrued.minor, 3 * 1300, "what was taken meanwhile counts");
}

#[test]
fn what_is_open_goes_on_while_its_rule_gathers() {
    let mut run = Run::new();
    run.legacy();
    (1..=2).for_each(|month| run.bill(month));
    run.activate(&policy("version = \"keen\"\noverpricing_tolerance.share = 0.02"));
    run.bill(3);
    run.bill(4);
    assert_eq!(
        run.told(),
        ["2025-02-01 squeeze.opened generic-1", "2025-04-01 squeeze.escalated keen"]
    );
}

#[test]
fn what_was_over_is_not_taken_up_again_while_its_rule_gathers() {
    let mut run = Run::new();
    run.legacy();
    (1..=2).for_each(|month| run.bill(month));
    run.bill_of(3, 3200);
    run.activate(&policy("version = \"keen\"\noverpricing_tolerance.share = 0.02"));
    (4..=5).for_each(|month| run.bill(month));
    let over = ["2025-02-01 squeeze.opened generic-1", "2025-03-01 squeeze.stopped generic-1"];
    assert_eq!(run.told(), over);
    run.bill(6);
    assert_eq!(run.told()[2..], ["2025-06-01 squeeze.reopened keen"]);
}

#[test]
fn before_the_first_record_nothing_needs_to_gather() {
    let mut run = Run::new();
    run.activate(&policy("version = \"keen\"\noverpricing_tolerance.share = 0.02"));
    run.legacy();
    (1..=2).for_each(|month| run.bill(month));
    assert_eq!(run.told(), ["2025-02-01 squeeze.opened keen"]);
}

#[test]
fn an_abort_takes_the_policy_and_what_gathers_back() {
    let mut run = Run::new();
    run.legacy();
    run.bill(1);
    run.engine.commit();
    let before = run.engine.state_hash();
    run.activate(&policy(DEAF));
    assert_ne!(run.engine.state_hash(), before, "the policy is part of the state");
    run.bill(2);
    run.engine.abort();
    assert_eq!(run.engine.state_hash(), before);
    assert_eq!(*run.engine.policy().version, *"generic-1");
    assert_eq!(run.engine.warming().iter().count(), 0);
}

#[test]
fn a_warm_up_is_told_by_the_watermark() {
    let mut run = Run::new();
    run.line(&event("service.delivered", "2025-01-01", r#"{"ref":"a"}"#));
    run.activate(&policy(DEAF));
    let (kind, warm_up) = run.engine.warming().iter().next().unwrap();
    let since = EventTime::parse("2024-12-31T23:55:00Z").unwrap();
    assert_eq!((kind.code(), warm_up.since, warm_up.until), ("S01", since, since.plus_days(62)));
}

/// A second penalty for one cause within five weeks, found while its rule gathers: from 31 December on, until 9 February.
fn second_penalty(run: &mut Run) {
    run.line(&event("service.delivered", "2025-01-01", r#"{"ref":"a"}"#));
    run.activate(&policy("version = \"keen\"\nsqueeze.S13.within_days = 40"));
    for day in ["2025-01-05", "2025-01-10"] {
        let data = format!(
            r#"{{"fee_id":"{day}","kind":"penalty","amount":{{"minor":9000,"currency":"GBP"}},"cause_id":"late"}}"#
        );
        run.line(&event("fee.charged", day, &data));
    }
    assert_eq!(run.told(), Vec::<String>::new());
}

#[test]
fn what_is_found_once_while_its_rule_gathers_opens_when_the_window_is_filled() {
    let mut run = Run::new();
    second_penalty(&mut run);
    let (_, before) = run.score();
    run.line(&event("clock.ticked", "2025-02-10", "{}"));
    assert_eq!(run.told(), ["2025-02-09 squeeze.opened keen"]);
    let slots = run.engine.customer("ada").unwrap().squeezes;
    let slot = slots.values().next().unwrap();
    assert_eq!((slot.state, slot.gross), (SqueezeState::Open, 9000));
    assert!(run.score().1 < before, "it weighs from then on");
}

#[test]
fn it_does_not_open_if_its_rule_gathers_anew_until_that_is_over() {
    let mut run = Run::new();
    second_penalty(&mut run);
    run.line(&event("service.delivered", "2025-02-01", r#"{"ref":"b"}"#));
    run.activate(&policy("version = \"keener\"\nsqueeze.S13.within_days = 50"));
    run.line(&event("clock.ticked", "2025-02-10", "{}"));
    assert_eq!(run.told(), Vec::<String>::new());
    run.line(&event("clock.ticked", "2025-03-24", "{}"));
    assert_eq!(run.told(), ["2025-03-22 squeeze.opened keener"]);
}

#[test]
fn it_does_not_open_if_its_rule_is_off_or_the_money_is_back_by_then() {
    let mut off = Run::new();
    second_penalty(&mut off);
    off.activate(&policy("version = \"deaf\"\nsqueeze.S13.enabled = false"));
    let mut refunded = Run::new();
    second_penalty(&mut refunded);
    let waived = r#"{"fee_id":"2025-01-10"}"#;
    refunded.line(&event("fee.waived", "2025-01-20", waived));
    for run in [&mut off, &mut refunded] {
        run.line(&event("clock.ticked", "2025-06-01", "{}"));
        assert_eq!(run.told(), Vec::<String>::new());
        assert!(run.engine.customer("ada").unwrap().squeezes.is_empty());
    }
}

#[test]
fn a_rise_found_while_its_rule_gathers_is_said_and_then_asked_of_the_bills() {
    let mut run = Run::new();
    run.line(&event(
        "subscription.started",
        "2025-01-01",
        r#"{"subscription_id":"sub","plan_id":"p","price":{"minor":3000,"currency":"GBP"},"term_end":"2026-01-01T00:00:00Z"}"#,
    ));
    run.activate(&policy("version = \"keen\"\nnotice.price_rise_from_days = 60"));
    let rise = r#"{"subscription_id":"sub","price":{"minor":3300,"currency":"GBP"}}"#;
    run.line(&event("price.changed", "2025-01-10", rise));
    assert_eq!(run.told(), Vec::<String>::new());
    run.bill_of(4, 3300);
    assert_eq!(run.told(), ["2025-03-01 squeeze.opened keen"]);
    let slots = run.engine.customer("ada").unwrap().squeezes;
    assert_eq!(slots.values().map(|slot| slot.gross).collect::<Vec<_>>(), [300]);
}
