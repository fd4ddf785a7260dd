//! The laws of the engine: order of arrival, duplicates, the scale of money, and where a batch or a run ended do not show.
//!
//! One module an invariant, under its number; the laws of the score alone are in `invariants.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use goodfaith::engine::{Action, Effect, Input, OutputBody, PartitionEngine, RollUps, Settings};
use goodfaith::model::event::{
    Attested, Basis, Beneficiary, Body, Cause, ContactClosed, Party, RemedyKind, ServiceFailed,
    Verdict,
};
use goodfaith::model::event::{
    BilledSubscription, DetectedBy, Invoice, Scope, SubscriptionStarted,
};
use goodfaith::model::{
    Catalogue, Currency, CustomerEvent, DAY_MS, Event, EventTime, Money, Period, PlanVersion,
    Policy, ReferenceChange,
};
use goodfaith::wire::{self, Expect, RecordRef};
use proptest::prelude::*;
use proptest::{collection, sample};

const CUSTOMER: &str = "ada";

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) }
}

fn start() -> EventTime {
    EventTime::from_millis(0).plus_days(20_000)
}

fn pounds(minor: i64) -> Money {
    Money::new(minor, Currency::new("GBP").unwrap())
}

fn event(id: usize, minutes: i64, body: Body) -> CustomerEvent {
    CustomerEvent {
        customer: CUSTOMER.into(),
        id: format!("e{id}").into(),
        source: "/test".into(),
        time: start().plus(minutes * 60_000),
        causation_id: None,
        trace: None,
        channel: None,
        actor: None,
        body,
    }
}

fn engine(policy: Policy) -> PartitionEngine {
    PartitionEngine::new(Settings { policy: Arc::new(policy), salt: [0; 16], audit: true })
}

fn observe(
    engine: &mut PartitionEngine,
    offset: i64,
    event: &CustomerEvent,
    effects: &mut Vec<Effect>,
) {
    let record = Ok(Event::Customer(Box::new(event.clone())));
    engine.handle(Input::Record { offset, record }, effects);
}

/// Handles all of `events` and then moves the clock to `end`.
fn run(policy: Policy, events: &[CustomerEvent], end: EventTime) -> (PartitionEngine, Vec<Effect>) {
    let (mut engine, mut effects) = (engine(policy), Vec::new());
    for (event, offset) in events.iter().zip(0..) {
        observe(&mut engine, offset, event, &mut effects);
    }
    engine.handle(Input::Tick { seq: 0, time: end }, &mut effects);
    (engine, effects)
}

/// Evidence carried by an event itself, each about a thing of its own.
fn direct(key: usize) -> impl Strategy<Value = Body> {
    let attested = sample::select(Attested::ALL);
    let cause = sample::select(Cause::ALL);
    (0..6_u8, attested, cause, 1..20_000_i64, 2..9_u16).prop_map(
        move |(which, attested_by, cause, minor, transfers)| {
            let id = || format!("thing-{key}").into();
            match which {
                0 => {
                    Body::ServiceDelivered { reference: id(), right_first_time: true, attested_by }
                }
                1 => Body::BillingErrorConfirmed {
                    error_id: id(),
                    amount: Some(pounds(minor)),
                    attested_by,
                    cause,
                },
                2 => Body::DisclosureMade { disclosure_id: id(), before_customer_contact: true },
                3 => Body::ContactClosed(Box::new(ContactClosed {
                    contact_id: id(),
                    issue: None,
                    resolved: false,
                    transfers,
                    waited_ms: Some(90_000),
                    wait_stated_ms: Some(10_000),
                    attested_by,
                })),
                4 => Body::EscalationDecided { escalation_id: id(), upheld: true, misled: true },
                _ => Body::RemedyIssued {
                    remedy_id: id(),
                    kind: RemedyKind::Goodwill,
                    amount: pounds(minor),
                    about_id: None,
                    unprompted: true,
                    failure_confirmed: false,
                },
            }
        },
    )
}

/// A fact about one of a few promises; every `made` of one promise says the same.
fn promise_fact() -> impl Strategy<Value = Body> {
    let promise = 0..3_usize;
    let verdict = sample::select(Verdict::ALL);
    let cause = sample::select(Cause::ALL);
    let party = sample::select(Party::ALL);
    (promise, 0..8_u8, verdict, cause, party, 1..9_i64).prop_map(
        |(promise, which, verdict, cause, by, days)| {
            let promise_id = format!("promise-{promise}").into();
            let attested_by = Attested::Agent;
            match which {
                0..=2 => Body::PromiseMade {
                    promise_id,
                    kind: "general".into(),
                    due_at: start().plus_days(30 + i64::try_from(promise).unwrap()),
                    grace_ms: 3_600_000,
                    stake: Some(pounds(3000)),
                    basis: Basis::Explicit,
                    beneficiary: Beneficiary::Customer,
                },
                3 => Body::PromiseKept { promise_id, attested_by },
                4 => Body::PromiseBroken { promise_id, attested_by, cause },
                5 => Body::PromiseRenegotiated {
                    promise_id,
                    new_due_at: start().plus_days(25 + days),
                    by,
                },
                6 => Body::PromiseWithdrawn { promise_id },
                _ => Body::PromiseVerdictGiven { promise_id, verdict },
            }
        },
    )
}

/// Up to 24 such events within 20 days, and an order for them to arrive in.
fn shuffled() -> impl Strategy<Value = (Vec<CustomerEvent>, Vec<CustomerEvent>)> {
    let minutes = 0..20 * 24 * 60_i64;
    let directs: Vec<_> = (0..12).map(|key| (minutes.clone(), direct(key))).collect();
    let facts = collection::vec((minutes, promise_fact()), 0..12);
    (directs, facts).prop_flat_map(|(directs, facts)| {
        let all = directs.into_iter().chain(facts).enumerate();
        let events: Vec<CustomerEvent> =
            all.map(|(id, (minutes, body))| event(id, minutes, body)).collect();
        (Just(events.clone()), Just(events).prop_shuffle())
    })
}

mod i1 {
    //! Any arrival order of events that carry evidence directly or are promise facts gives the same trust, to the bit.

    use super::*;

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn the_order_of_arrival_does_not_show((events, shuffled) in shuffled()) {
            let end = start().plus_days(60);
            let (straight, _) = run(Policy::default(), &events, end);
            let (other, _) = run(Policy::default(), &shuffled, end);
            let read = |engine: &PartitionEngine| {
                let policy = Policy::default();
                let trust = engine.trust(CUSTOMER).unwrap();
                let point = trust.at(end, &policy);
                let parts = trust.parts(&point, &policy);
                (point, parts)
            };
            prop_assert_eq!(read(&straight), read(&other));
        }
    }
}

mod i2 {
    //! A duplicate, of a record or of a natural key, changes no score.

    use super::*;

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn a_second_delivery_changes_nothing((events, _) in shuffled(), at in any::<sample::Index>()) {
            let end = start().plus_days(60);
            let mut twice = events.clone();
            let again = events[at.index(events.len())].clone();
            twice.push(again);
            let (once_engine, once) = run(Policy::default(), &events, end);
            let (twice_engine, twice) = run(Policy::default(), &twice, end);
            prop_assert_eq!(actions(once), actions(twice));
            prop_assert_eq!(once_engine.customer(CUSTOMER), twice_engine.customer(CUSTOMER));
            prop_assert_eq!(twice_engine.counters().duplicates, once_engine.counters().duplicates + 1);
        }

        #[test]
        fn another_report_of_the_same_remedy_changes_no_score(minor in 1..9000_i64, minutes in 1..500_i64) {
            let remedy = |id, minutes| event(id, minutes, Body::RemedyIssued {
                remedy_id: "r".into(),
                kind: RemedyKind::Goodwill,
                amount: pounds(minor),
                about_id: None,
                unprompted: true,
                failure_confirmed: false,
            });
            let (first, second) = (remedy(0, 0), remedy(1, minutes));
            let (once, _) = run(Policy::default(), std::slice::from_ref(&first), second.time);
            let (twice, _) = run(Policy::default(), &[first, second.clone()], second.time);
            // Not the number of score changes: time passes with the second report, and may lower the band.
            let read = |engine: &PartitionEngine| {
                let policy = Policy::default();
                engine.trust(CUSTOMER).unwrap().at(second.time, &policy)
            };
            prop_assert_eq!(read(&once), read(&twice));
            prop_assert_eq!(twice.counters().duplicates, 1);
        }
    }

    fn actions(effects: Vec<Effect>) -> Vec<Action> {
        effects.into_iter().map(|effect| effect.action).collect()
    }
}

/// A customer of three years on a plan whose equal costs less, billed monthly; money is `factor` times as much.
fn legacy(factor: i64, price: i64, better: i64, months: i32) -> (Catalogue, Vec<CustomerEvent>) {
    let mut catalogue = Catalogue::default();
    for (plan, minor) in [("old", price), ("new", better)] {
        let version = PlanVersion {
            price: pounds(minor * factor),
            period: Period::MONTH,
            one_off: None,
            effective_from: start().plus_days(-800),
            on_sale_from: start().plus_days(-800),
            attributes: std::collections::BTreeMap::new(),
            segments: std::collections::BTreeSet::new(),
            new_customers_only: false,
        };
        let version = Arc::new(version);
        catalogue.apply(&ReferenceChange::PlanPublished { plan_id: plan.into(), version });
    }
    let began = start().plus_days(-500);
    let mut events = vec![CustomerEvent {
        time: began,
        ..event(
            0,
            0,
            Body::SubscriptionStarted(Box::new(SubscriptionStarted {
                subscription_id: "sub".into(),
                plan_id: "old".into(),
                price: pounds(price * factor),
                period: Period::MONTH,
                customer_since: start().plus_days(-1500),
                term_end: None,
                exit_fee: None,
                notice_period_ms: 0,
                trial_end: None,
                signup_steps: 0,
                segment: None,
                negotiated: false,
                usage_expected: false,
            })),
        )
    }];
    for month in 0..months {
        let (from, to) = (start().plus_months(month), start().plus_months(month + 1));
        events.push(CustomerEvent {
            time: from.plus(DAY_MS),
            ..event(
                1 + usize::try_from(month).unwrap(),
                0,
                Body::InvoiceIssued(Box::new(Invoice {
                    invoice_id: format!("i{month}").into(),
                    total: pounds(price * factor),
                    recurring_minor: price * factor,
                    subscription: Some(BilledSubscription {
                        subscription_id: "sub".into(),
                        plan_id: None,
                        period_start: from,
                        period_end: to,
                    }),
                    lines: Vec::new(),
                })),
            )
        });
    }
    events.push(CustomerEvent {
        time: start().plus_months(months),
        ..event(
            1000,
            0,
            Body::ServiceFailed(Box::new(ServiceFailed {
                failure_id: "f".into(),
                severity: 3,
                subscription_id: Some("sub".into()),
                detected_by: DetectedBy::Firm,
                scope: Scope::Partial,
                scheme_credit: None,
                attested_by: Attested::System,
                cause: Cause::Firm,
            })),
        )
    });
    (catalogue, events)
}

mod i8 {
    //! Multiplying all amounts and every money parameter by one factor changes no score.

    use super::*;

    fn scores(factor: i64, price: i64, better: i64) -> Vec<(i64, Option<String>)> {
        let (catalogue, events) = legacy(factor, price, better, 14);
        let policy = Policy::from_json(&format!(
            r#"{{"money": {{"currency_scale": {{"GBP": {factor}}}}}}}"#
        ))
        .unwrap();
        let (mut engine, mut effects) = (engine(policy), Vec::new());
        engine.handle(
            Input::Reference { seq: 0, offset_next: 0, catalogue: Arc::new(catalogue) },
            &mut effects,
        );
        for (event, offset) in events.iter().zip(0..) {
            observe(&mut engine, offset, event, &mut effects);
        }
        let published = effects.iter().filter_map(|effect| match &effect.action {
            Action::Publish(output) => match &output.body {
                OutputBody::ScoreChanged(changed) => {
                    Some((changed.reading.score.millionths(), None))
                }
                OutputBody::Squeeze(alert) => {
                    Some((alert.severity.millionths(), Some(output.kind().to_owned())))
                }
                _ => None,
            },
            Action::ForgetSqueeze(_) | Action::PublishPart(_) | Action::DeadLetter(_) => None,
        });
        published.collect()
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn the_unit_of_money_does_not_show(factor in 2..500_i64, price in 1000..9000_i64, share in 50..110_i64) {
            // Whole months and monthly prices, so that no amount is rounded and the law is exact.
            let better = price * share / 100;
            prop_assert_eq!(scores(1, price, better), scores(factor, price, better));
        }
    }

    #[test]
    fn the_law_is_not_about_silence() {
        let squeezes = scores(7, 4500, 3200).iter().filter(|(_, kind)| kind.is_some()).count();
        assert!(squeezes >= 2, "a legacy plan opens and escalates, not {squeezes}");
    }
}

mod i9 {
    //! Where a batch or a run ended does not show: committing, aborting and beginning again give the same effects and state.

    use super::*;

    fn handle(
        engine: &mut PartitionEngine,
        first: usize,
        events: &[CustomerEvent],
        effects: &mut Vec<Effect>,
    ) {
        for (event, offset) in events.iter().zip(i64::try_from(first).unwrap()..) {
            observe(engine, offset, event, effects);
        }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn batches_and_aborts_leave_no_trace(
            (events, _) in shuffled(),
            steps in collection::vec((1..6_usize, 0..3_usize), 1..40),
        ) {
            let mut straight = engine(Policy::default());
            let mut expected = Vec::new();
            for (event, offset) in events.iter().zip(0..) {
                observe(&mut straight, offset, event, &mut expected);
            }
            let mut batched = engine(Policy::default());
            let mut given = Vec::new();
            let mut steps = steps.into_iter().cycle();
            let mut next = 0;
            while next < events.len() {
                let (length, aborts) = steps.next().unwrap();
                let until = (next + length).min(events.len());
                for _ in 0..aborts {
                    let before = batched.state_hash();
                    let mut thrown_away = Vec::new();
                    handle(&mut batched, next, &events[next..until], &mut thrown_away);
                    prop_assert_ne!(batched.state_hash(), before, "handling a record changes the state");
                    batched.abort();
                    prop_assert_eq!(batched.state_hash(), before, "an abort puts all of it back");
                }
                handle(&mut batched, next, &events[next..until], &mut given);
                batched.commit();
                next = until;
            }
            prop_assert_eq!(given, expected);
            prop_assert_eq!(batched.state_hash(), straight.state_hash());
        }
    }

    #[test]
    fn an_aborted_erasure_is_undone() {
        let (mut engine, _) = run(Policy::default(), &[delivered(0, 0)], start());
        engine.commit();
        let before = engine.state_hash();
        observe(&mut engine, 1, &event(1, 5, Body::ErasureRequested), &mut Vec::new());
        assert!(engine.customer(CUSTOMER).is_none());
        engine.abort();
        assert_eq!(engine.state_hash(), before);
    }

    /// What happens to the engine of one partition, each in its place.
    fn inputs(scenario: &str) -> Vec<Input> {
        let (mut inputs, mut seq, mut time) = (Vec::new(), 0, start());
        let (mut catalogue, mut policies) = (Catalogue::default(), [LOW, LOWER].into_iter());
        for (line, offset) in scenario.lines().zip(0..) {
            let value = Some(line.as_bytes());
            let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
            let record = wire::decode(record, Expect::File);
            if let Ok(Event::Reference(event)) = record {
                seq += 1;
                catalogue.apply(&event.change);
                let catalogue = Arc::new(catalogue.clone());
                inputs.push(Input::Reference { seq, offset_next: offset + 1, catalogue });
                continue;
            }
            if let Ok(Event::Customer(event)) = &record {
                time = event.time;
            }
            inputs.push(Input::Record { offset, record });
            if offset % 5 == 4 {
                seq += 1;
                inputs.push(Input::Tick { seq, time: time.plus_days(3) });
            }
            if offset % 7 == 6
                && let Some(policy) = policies.next()
            {
                seq += 1;
                let policy = Arc::new(Policy::from_json(policy).unwrap());
                inputs.push(Input::Policy { seq, policy });
            }
        }
        inputs.push(Input::Tick { seq: seq + 1, time: time.plus_days(400) });
        inputs
    }

    const LOW: &str = r#"{"version": "low", "base_rate": 0.1}"#;
    const LOWER: &str = r#"{"version": "lower", "base_rate": 0.05}"#;

    fn whole_engine() -> PartitionEngine {
        engine(Policy::default()).with_roll_ups(RollUps::Published)
    }

    fn handle_all(engine: &mut PartitionEngine, inputs: &[Input]) -> Vec<Effect> {
        let mut effects = Vec::new();
        inputs.iter().for_each(|input| engine.handle(input.clone(), &mut effects));
        effects
    }

    fn scenarios() -> Vec<(String, Vec<Input>)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| path.to_string_lossy().ends_with(".events.ndjson"));
        let read = |path: std::path::PathBuf| {
            (path.display().to_string(), inputs(&std::fs::read_to_string(&path).unwrap()))
        };
        paths.map(read).collect()
    }

    #[test]
    fn an_abort_after_any_number_of_inputs_leaves_no_trace() {
        let scenarios = scenarios();
        assert_eq!(scenarios.len(), 23);
        for (name, inputs) in scenarios {
            let fresh = whole_engine().state_hash();
            let mut straight = whole_engine();
            let expected = handle_all(&mut straight, &inputs);
            for count in 1..=inputs.len() {
                let mut aborted = whole_engine();
                let thrown_away = handle_all(&mut aborted, &inputs[..count]);
                assert_eq!(thrown_away, expected[..thrown_away.len()], "{name}, {count} inputs");
                aborted.abort();
                assert_eq!(aborted.state_hash(), fresh, "{name}, {count} inputs");
                let given = handle_all(&mut aborted, &inputs);
                assert_eq!(given, expected, "{name}, again after {count} inputs");
                assert_eq!(aborted.state_hash(), straight.state_hash(), "{name}, {count} inputs");
            }
        }
    }

    #[test]
    fn an_abort_at_any_place_leaves_what_was_committed() {
        for (name, inputs) in scenarios() {
            let mut engine = whole_engine();
            for place in 0..inputs.len() {
                let committed = engine.state_hash();
                for count in 1..=(inputs.len() - place).min(6) {
                    handle_all(&mut engine, &inputs[place..place + count]);
                    engine.abort();
                    let told = format!("{name}, {count} inputs from {place}");
                    assert_eq!(engine.state_hash(), committed, "{told}");
                }
                handle_all(&mut engine, &inputs[place..=place]);
                engine.commit();
            }
            let mut straight = whole_engine();
            handle_all(&mut straight, &inputs);
            straight.commit();
            assert_eq!(engine.state_hash(), straight.state_hash(), "{name}");
        }
    }

    fn delivered(id: usize, minutes: i64) -> CustomerEvent {
        let reference = format!("d{id}").into();
        event(
            id,
            minutes,
            Body::ServiceDelivered {
                reference,
                right_first_time: true,
                attested_by: Attested::System,
            },
        )
    }
}
