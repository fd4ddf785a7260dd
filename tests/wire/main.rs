//! The wire against its laws: encoding then decoding is the identity, both forms say the same, and nothing makes decoding panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod draw;
mod mutants;
mod outputs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{array, fs};

use goodfaith::engine::Rejection;
use goodfaith::model::{Event, EventTime};
use goodfaith::wire::{self, Expect, Header, RecordRef};
use proptest::prelude::*;
use proptest::{collection, sample};
use serde_json::Value;

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) }
}

fn numbers() -> impl Strategy<Value = Vec<u64>> {
    collection::vec(any::<u64>(), 0..1500)
}

/// The place an event belongs to.
const fn place(event: &Event) -> Expect {
    if matches!(event, Event::Reference(_)) { Expect::ReferenceTopic } else { Expect::EventsTopic }
}

/// Decodes `value` where `event` belongs, under its customer's key.
fn decode_as(
    event: &Event,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> Result<Event, Rejection> {
    let (key, time) = match event {
        Event::Customer(event) => (Some(event.customer.as_bytes()), event.time),
        Event::Reference(event) => (None, event.time),
        Event::Tick(time) => (None, *time),
    };
    let timestamp_ms = Some(time.as_millis());
    wire::decode(RecordRef { key, value, headers, timestamp_ms }, place(event))
}

fn decode_line(line: &[u8]) -> Result<Event, Rejection> {
    let record = RecordRef { key: None, value: Some(line), headers: &[], timestamp_ms: None };
    wire::decode(record, Expect::File)
}

fn framed(path: &[u8], payload: &[u8]) -> Vec<u8> {
    [b"\0\0\0\0\x2a", path, payload].concat()
}

/// The attributes of a structured event as binary mode has them.
fn headers(event: &Value) -> Vec<(String, Vec<u8>)> {
    let attributes = event.as_object().unwrap().iter().filter(|(name, _)| *name != "data");
    attributes
        .map(|(name, value)| (format!("ce_{name}"), value.as_str().unwrap().as_bytes().to_vec()))
        .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_event_comes_back_from_every_form(numbers in numbers()) {
        for event in draw::events(numbers, false) {
            let json = wire::encode_event_json(&event).into_bytes();
            let proto = wire::encode_event_proto(&event);
            prop_assert_eq!(&decode_line(&json), &Ok(event.clone()));
            for value in [
                &json,
                &proto,
                &framed(b"", &json),
                &framed(b"\0", &proto),
                &framed(b"\x02\0", &proto),
            ] {
                prop_assert_eq!(&decode_as(&event, Some(value), &[]), &Ok(event.clone()));
            }
        }
    }

    #[test]
    fn an_event_comes_back_from_binary_mode(numbers in numbers()) {
        for event in draw::events(numbers, false) {
            let structured: Value = serde_json::from_str(&wire::encode_event_json(&event)).unwrap();
            let headers = headers(&structured);
            let mut headers: Vec<Header<'_>> =
                headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice()))).collect();
            let (json, proto) = (structured["data"].to_string(), wire::encode_event_proto(&event));
            for (content_type, value) in
                [("application/json", json.as_bytes()), ("application/protobuf", proto.as_slice())]
            {
                headers.push(("content-type", Some(content_type.as_bytes())));
                prop_assert_eq!(&decode_as(&event, Some(value), &headers), &Ok(event.clone()));
            }
        }
    }

    #[test]
    fn both_forms_give_the_same_value_or_the_same_reason(numbers in numbers()) {
        for event in draw::events(numbers, true) {
            let json = wire::encode_event_json(&event).into_bytes();
            let proto = wire::encode_event_proto(&event);
            prop_assert_eq!(decode_as(&event, Some(&json), &[]), decode_as(&event, Some(&proto), &[]));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(value in collection::vec(any::<u8>(), 0..200), begin in 0..4_u8) {
        let prefix: &[u8] = [&b"{"[..], b"\0\0\0\0\x01\0", b"\x0a", b""][usize::from(begin)];
        let value = [prefix, &value].concat();
        let id = [("ce_id", Some(&b"x"[..]))];
        for (expect, headers) in [
            (Expect::File, &[][..]),
            (Expect::EventsTopic, &[]),
            (Expect::ReferenceTopic, &[]),
            (Expect::EventsTopic, &id),
        ] {
            let record = RecordRef { key: None, value: Some(&value), headers, timestamp_ms: Some(i64::MIN) };
            prop_assert!(wire::decode(record, expect).is_err());
        }
    }

    #[test]
    fn a_spoilt_event_never_panics(numbers in numbers(), at in any::<sample::Index>(), byte in any::<u8>()) {
        for event in draw::events(numbers, false) {
            for mut value in [wire::encode_event_json(&event).into_bytes(), wire::encode_event_proto(&event)] {
                let at = at.index(value.len());
                value[at] = byte;
                // Whatever it says now can be said again.
                if let Ok(other) = decode_as(&event, Some(&value), &[]) {
                    let json = wire::encode_event_json(&other).into_bytes();
                    prop_assert_eq!(decode_line(&json), Ok(other));
                }
            }
        }
    }
}

/// The bodies of the Protobuf contract, by name.
fn bodies_in_proto() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/goodfaith/v1/event.proto");
    let text = fs::read_to_string(file).unwrap();
    let (_, oneof) = text.split_once("oneof body {").unwrap();
    let (oneof, _) = oneof.split_once('}').unwrap();
    let names = oneof.split(';').filter_map(|field| field.split_whitespace().nth(1));
    names.map(str::to_owned).collect()
}

#[test]
fn every_type_of_the_contract_is_drawn() {
    let name = |event: &Event| {
        let json: Value = serde_json::from_str(&wire::encode_event_json(event)).unwrap();
        let name = json["type"].as_str().unwrap().to_owned();
        name.trim_start_matches("io.goodfaith.").trim_end_matches(".v1").replace('.', "_")
    };
    let drawn: BTreeSet<String> = draw::events(Vec::new(), false).iter().map(name).collect();
    assert_eq!(drawn, bodies_in_proto());
}

fn vectors() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().ends_with(".events.ndjson")).collect()
}

#[test]
fn every_line_of_the_vectors_says_the_same_in_both_forms() {
    let mut count = 0;
    for path in vectors() {
        for line in fs::read_to_string(path).unwrap().lines() {
            let Ok(event) = decode_line(line.as_bytes()) else { continue };
            let proto = wire::encode_event_proto(&event);
            let again = wire::encode_event_json(&event);
            assert_eq!(decode_line(again.as_bytes()).as_ref(), Ok(&event));
            assert_eq!(decode_as(&event, Some(&proto), &[]).as_ref(), Ok(&event), "{line}");
            count += 1;
        }
    }
    assert!(count > 500, "{count} lines");
}

/// The reasons that decoding alone decides.
const BY_DECODING: [&str; 5] =
    ["not_json", "bad_envelope", "own_output", "unknown_type", "bad_data"];

#[test]
fn a_line_of_the_vectors_is_refused_as_they_say() {
    for path in vectors() {
        let expected = path.to_string_lossy().replace(".events.ndjson", ".expected.json");
        let expected: Value = serde_json::from_str(&fs::read_to_string(expected).unwrap()).unwrap();
        let refused: Vec<&Value> = expected["dead_letters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|letter| BY_DECODING.contains(&letter["reason"].as_str().unwrap()))
            .collect();
        let text = fs::read_to_string(&path).unwrap();
        let told: Vec<Value> = (1..)
            .zip(text.split('\n'))
            .filter(|(_, line)| !line.trim().is_empty())
            .filter_map(|(number, line): (u64, _)| {
                Some(letter(number, decode_line(line.as_bytes()).err()?))
            })
            .collect();
        assert_eq!(told.iter().collect::<Vec<_>>(), refused, "{}", path.display());
    }
}

fn letter(line: u64, rejection: Rejection) -> Value {
    let Rejection { reason, detail, id, subject } = rejection;
    serde_json::json!({
        "line": line, "reason": reason.as_str(), "detail": detail, "id": id, "subject": subject,
    })
}

/// Bytes as hex digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_an_event_stay_what_they_are() {
    let line = r#"{"specversion":"1.0","id":"e7","source":"/shop","type":"io.goodfaith.promise.made.v1","subject":"ada","time":"2025-01-03T06:00:00.500Z","data":{"promise_id":"call-1","due_at":"2025-01-04T06:00:00.000Z","grace":"PT3600S","stake":{"minor":9000,"currency":"GBP"},"basis":"guarantee"}}"#;
    let event = decode_line(line.as_bytes()).unwrap();
    assert_eq!(wire::encode_event_json(&event), line);
    let proto = wire::encode_event_proto(&event);
    assert_eq!(
        hex(&proto),
        "0a02653712052f73686f701a03616461220c08e0f9ddbb061080cab5ee01a201210a0663616c6c2d311a0608e09ce3bb062080dddb012a0808a84612034742503001"
    );
    let frames: [Vec<u8>; 2] = array::from_fn(|i| framed([&b"\0"[..], b"\x02\0"][i], &proto));
    for frame in frames {
        assert_eq!(decode_as(&event, Some(&frame), &[]).as_ref(), Ok(&event));
    }
}

#[test]
fn a_time_in_protobuf_is_read_to_the_millisecond() {
    let tick = Event::Tick(EventTime::from_millis(1_735_884_000_999));
    assert_eq!(decode_as(&tick, Some(&wire::encode_event_proto(&tick)), &[]), Ok(tick));
}

/// What the fields of an event are when nothing but the required ones is said.
fn defaults(kind: &str, data: &str) -> String {
    let line = format!(
        r#"{{"specversion":"1.0","id":"e","source":"/s","type":"io.goodfaith.{kind}.v1","subject":"ada","time":"2025-01-01T00:00:00Z","data":{{{data}}}}}"#
    );
    match decode_line(line.as_bytes()).unwrap() {
        Event::Customer(event) => format!("{:?}", event.body),
        Event::Reference(event) => format!("{:?}", event.change),
        Event::Tick(time) => format!("{time}"),
    }
}

#[test]
fn an_absent_field_means_what_the_contract_says() {
    let gbp = r#"{"minor":1,"currency":"GBP"}"#;
    let cases = [
        ("promise.made", r#""promise_id":"p","due_at":"2025-01-02T00:00:00Z""#.to_owned()),
        ("promise.broken", r#""promise_id":"p""#.to_owned()),
        ("order.fulfilled", r#""order_id":"o""#.to_owned()),
        ("purchase.completed", r#""order_id":"o""#.to_owned()),
        (
            "invoice.issued",
            format!(r#""invoice_id":"i","total":{gbp},"lines":[{{"kind":"fee","amount":{gbp}}}]"#),
        ),
        ("charge.posted", format!(r#""charge_id":"c","amount":{gbp}"#)),
        ("billing.error_confirmed", r#""error_id":"e""#.to_owned()),
        ("credit.granted", format!(r#""credit_id":"c","amount":{gbp}"#)),
        ("refund.agreed", format!(r#""refund_id":"r","amount":{gbp}"#)),
        ("remedy.issued", format!(r#""remedy_id":"r","kind":"refund","amount":{gbp}"#)),
        ("subscription.started", format!(r#""subscription_id":"s","plan_id":"p","price":{gbp}"#)),
        (
            "plan.changed",
            format!(r#""subscription_id":"s","plan_id":"p","price":{gbp},"initiated_by":"firm""#),
        ),
        ("plan.terms_changed", r#""subscription_id":"s","loss_share":1"#.to_owned()),
        ("price.changed", format!(r#""subscription_id":"s","price":{gbp}"#)),
        ("renewal.offered", format!(r#""subscription_id":"s","renewal_id":"r","price":{gbp}"#)),
        ("notice.sent", r#""kind":"other""#.to_owned()),
        ("cancel.step_taken", r#""request_id":"r","step":1"#.to_owned()),
        ("account.closed", String::new()),
        ("service.failed", r#""failure_id":"f","severity":1"#.to_owned()),
        ("service.delivered", r#""ref":"r""#.to_owned()),
        ("contact.closed", r#""contact_id":"c","resolved":false"#.to_owned()),
        ("complaint.resolved", r#""complaint_id":"c","outcome":"upheld""#.to_owned()),
        ("escalation.decided", r#""escalation_id":"e","upheld":true"#.to_owned()),
        ("offer.declined", r#""subscription_id":"s","plan_id":"p""#.to_owned()),
        ("plan.published", format!(r#""plan_id":"p","price":{gbp},"attributes":{{}}"#)),
        ("plan.withdrawn", r#""plan_id":"p""#.to_owned()),
        ("price.listed", format!(r#""sku":"s","price":{gbp}"#)),
    ];
    let told: Vec<String> = cases.iter().map(|(kind, data)| defaults(kind, data)).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    PromiseMade { promise_id: "p", kind: "general", due_at: 2025-01-02T00:00:00.000Z, grace_ms: 0, stake: None, basis: Explicit, beneficiary: Customer }
    PromiseBroken { promise_id: "p", attested_by: System, cause: Firm }
    OrderFulfilled { order_id: "o", complete: true, attested_by: System }
    PurchaseCompleted { order_id: "o", amount: None, voluntary: true, first_in_category: false }
    InvoiceIssued(Invoice { invoice_id: "i", total: Money { minor: 1, currency: GBP }, recurring_minor: 1, subscription: None, lines: [InvoiceLine { kind: Fee, amount: Money { minor: 1, currency: GBP }, service_end: None, cause: Firm }] })
    ChargePosted { charge_id: "c", amount: Money { minor: 1, currency: GBP }, subscription_id: None, service_start: None, quote_id: None, optional: false }
    BillingErrorConfirmed { error_id: "e", amount: None, attested_by: System, cause: Firm }
    CreditGranted { credit_id: "c", amount: Money { minor: 1, currency: GBP }, paid_for: true }
    RefundAgreed { refund_id: "r", amount: Money { minor: 1, currency: GBP }, due_at: None }
    RemedyIssued { remedy_id: "r", kind: Refund, amount: Money { minor: 1, currency: GBP }, about_id: None, unprompted: false, failure_confirmed: false }
    SubscriptionStarted(SubscriptionStarted { subscription_id: "s", plan_id: "p", price: Money { minor: 1, currency: GBP }, period: Months(1), customer_since: 2025-01-01T00:00:00.000Z, term_end: None, exit_fee: None, notice_period_ms: 0, trial_end: None, signup_steps: 0, segment: None, negotiated: false, usage_expected: false })
    PlanChanged { subscription_id: "s", plan_id: "p", price: Money { minor: 1, currency: GBP }, period: Months(1), initiated_by: Firm }
    PlanTermsChanged { subscription_id: "s", loss_share: 1.0, consent: false }
    PriceChanged { subscription_id: "s", price: Money { minor: 1, currency: GBP }, reason: Firm, in_schedule: false }
    RenewalOffered(Renewal { subscription_id: "s", renewal_id: "r", price: Money { minor: 1, currency: GBP }, enbp_minor: None, term_months: 12 })
    NoticeSent { kind: Other, subscription_id: None, about_id: None, states_price: false }
    CancelStepTaken { request_id: "r", step: 1, save_offer: false }
    AccountClosed { voluntary: true }
    ServiceFailed(ServiceFailed { failure_id: "f", severity: 1, subscription_id: None, detected_by: Firm, scope: Partial, scheme_credit: None, attested_by: System, cause: Firm })
    ServiceDelivered { reference: "r", right_first_time: true, attested_by: System }
    ContactClosed(ContactClosed { contact_id: "c", issue: None, resolved: false, transfers: 0, waited_ms: None, wait_stated_ms: None, attested_by: System })
    ComplaintResolved { complaint_id: "c", outcome: Upheld, apology: false, redress: false, misled: false, attested_by: System }
    EscalationDecided { escalation_id: "e", upheld: true, misled: false }
    OfferDeclined { subscription_id: "s", plan_id: "p", informed: false }
    PlanPublished { plan_id: "p", version: PlanVersion { price: Money { minor: 1, currency: GBP }, period: Months(1), one_off: None, effective_from: 2025-01-01T00:00:00.000Z, on_sale_from: 2025-01-01T00:00:00.000Z, attributes: {}, segments: {}, new_customers_only: false } }
    PlanWithdrawn { plan_id: "p", effective_from: 2025-01-01T00:00:00.000Z }
    PriceListed { sku: "s", price: Money { minor: 1, currency: GBP }, effective_from: 2025-01-01T00:00:00.000Z }
    "#);
}
