//! The endpoints, driven in process: a thread stands for the worker, the router needs no network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use goodfaith::engine::{
    CustomerView, DimensionReading, Explanation, Grounds, LoyaltyReading, ReciprocityView,
    TrustReading,
};
use goodfaith::http::{Api, router};
use goodfaith::live::{
    Live, PartitionState, PartitionStatus, PolicyStatus, Query, RefusedPolicy, WorkerStatus,
};
use goodfaith::model::{Class, EventTime, Micros, Policy, Warming};
use goodfaith::wire;
use serde_json::Value;
use tokio::runtime;
use tower::ServiceExt as _;

/// What the tests' clock says, in milliseconds.
const NOW_MS: i64 = 1_000_000;

/// A service of one partition.
struct Service {
    live: Arc<Live>,
    api: Api,
}

impl Service {
    fn new() -> Self {
        let live = Arc::new(Live::default());
        live.partition_count.store(1, Ordering::Relaxed);
        live.is_started.store(true, Ordering::Relaxed);
        let api =
            Api::new(Arc::clone(&live), || "goodfaith_events_total 3\n".to_owned(), || NOW_MS);
        Self { live, api }
    }

    /// The partition in `state`; questions come out of the receiver.
    fn partition(&self, partition: i32, state: PartitionState, places: usize) -> Receiver<Query> {
        let (inbox, questions) = sync_channel(places);
        self.put(partition, state, inbox);
        questions
    }

    fn put(&self, partition: i32, state: PartitionState, inbox: SyncSender<Query>) {
        let mut status = PartitionStatus::restoring(inbox);
        let ratio = if state == PartitionState::Running { 1.0 } else { 0.425 };
        status.advance(ratio, Duration::from_secs(10));
        (status.state, status.lag_records) = (state, 7);
        self.live.partitions.insert(partition, status);
    }

    fn turned(&self, worker: usize, turned_ms: i64) {
        self.live.workers.insert(worker, WorkerStatus { turned_ms, is_member: true });
    }

    /// The partition with a worker that knows Ada.
    fn partition_of_ada(&self) {
        let questions = self.partition(0, PartitionState::Running, 4);
        thread::spawn(move || {
            for Query { customer, reply, .. } in questions {
                let explained = || Explanation { view: ada(), grounds: Grounds::default() };
                reply.send((&*customer == "ada l/é").then(explained)).ok();
            }
        });
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).expect("a request"))
    }

    fn ask(&self, request: Request<Body>) -> Answer {
        self.ask_on(runtime::Builder::new_current_thread().enable_time(), request)
    }

    /// As [`Service::get`], with a clock that jumps ahead whenever everything waits.
    fn get_impatiently(&self, path: &str) -> Answer {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        self.ask_on(
            runtime::Builder::new_current_thread().enable_time().start_paused(true),
            request,
        )
    }

    fn ask_on(&self, runtime: &mut runtime::Builder, request: Request<Body>) -> Answer {
        runtime.build().expect("a runtime").block_on(async {
            let response =
                router(self.api.clone()).oneshot(request).await.expect("the router cannot fail");
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, usize::MAX).await.expect("a whole body");
            let body = String::from_utf8(body.into()).expect("UTF-8");
            Answer { status: parts.status, headers: parts.headers, body }
        })
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    /// Status, name and partition of a problem, and when to try again.
    fn problem(&self) -> (u16, String, Option<i64>, Option<&str>) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        let problem: Value = serde_json::from_str(&self.body).expect("JSON");
        assert_eq!(problem["status"], self.status.as_u16());
        assert!(problem["detail"].is_string());
        let name = problem["type"].as_str().expect("a type").replace("urn:goodfaith:problem:", "");
        (self.status.as_u16(), name, problem["partition"].as_i64(), self.header("retry-after"))
    }
}

fn ada() -> CustomerView {
    let half = Micros::new(500_000);
    let dimension = DimensionReading {
        expected: half,
        positive: half,
        negative: half,
        uncertainty: half,
        interval: [half; 2],
    };
    CustomerView {
        customer: "ada l/é".into(),
        as_of: EventTime::from_millis(0),
        clock: EventTime::from_millis(0),
        band: None,
        last_published: None,
        trust: TrustReading {
            score: Micros::new(548_533),
            interval: [half; 2],
            uncertainty: half,
            evidence_mass: half,
            triad: [half; 3],
            dimensions: [dimension; 6],
            parts: vec![(Class::IntKept, Micros::new(48_533))],
        },
        loyalty: LoyaltyReading { loyalty: half, consider: half, rely: half, forgive: half },
        perceived: half,
        proactive_ratio: half,
        reciprocity: ReciprocityView { trials: 0, residual: half, variance: half },
        promises: BTreeMap::new(),
        squeezes: BTreeMap::new(),
        money: BTreeMap::new(),
        counters: BTreeMap::new(),
        reserve: half,
    }
}

const ADA: &str = "/v1/customers/ada%20l%2F%C3%A9";

#[test]
fn a_customer_is_answered_by_its_worker_with_reasons() {
    let service = Service::new();
    service.partition_of_ada();
    let answer = service.get(ADA);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (StatusCode::OK, Some("application/json"))
    );
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (&body["customer"], &body["score"]),
        (&Value::from("ada l/é"), &Value::from(0.548_533))
    );
    let reasons = body["explanation"].as_array().unwrap();
    assert!(
        reasons.contains(&Value::from("Promises kept (INT.KEPT) lift it by 0.048533.")),
        "{reasons:?}"
    );
}

#[test]
fn what_is_restricted_is_not_answered() {
    let service = Service::new();
    service.partition_of_ada();
    let answer = service.get(ADA);
    for name in ["loyalty", "reciprocity", "reserve", "forgive"] {
        assert!(!answer.body.contains(name), "{name} in {}", answer.body);
    }
}

#[test]
fn an_answer_already_known_is_not_sent_again() {
    let service = Service::new();
    service.partition_of_ada();
    let answer = service.get(ADA);
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    let tag = answer.header("etag").unwrap();
    let again = |tag: &str| {
        service.ask(Request::get(ADA).header("if-none-match", tag).body(Body::empty()).unwrap())
    };
    let known = again(tag);
    assert_eq!(
        (known.status, known.body.as_str(), known.header("etag")),
        (StatusCode::NOT_MODIFIED, "", Some(tag))
    );
    assert_eq!(again("\"another\"").status, StatusCode::OK);
}

#[test]
fn a_customer_nobody_heard_of_is_not_found() {
    let service = Service::new();
    service.partition_of_ada();
    let answer = service.get("/v1/customers/charles");
    assert_eq!(answer.problem(), (404, "unknown-customer".to_owned(), None, None));
    assert!(!answer.body.contains("charles"), "a problem names no customer");
}

#[test]
fn an_id_that_cannot_be_one_is_refused() {
    let service = Service::new();
    service.partition_of_ada();
    let longest = "é".repeat(128);
    for (id, status) in
        [("%FF", 400), (&*"a".repeat(129), 400), (&*longest.replace('é', "%C3%A9"), 404)]
    {
        assert_eq!(service.get(&format!("/v1/customers/{id}")).problem().0, status, "{id}");
    }
}

#[test]
fn another_instances_partition_is_named() {
    let service = Service::new();
    service.live.partition_count.store(64, Ordering::Relaxed);
    let partition = i64::from(wire::partition_of(b"charles", 64));
    let answer = service.get("/v1/customers/charles");
    assert_eq!(answer.problem(), (421, "not-owned-here".to_owned(), Some(partition), None));
}

#[test]
fn a_partition_that_is_not_running_says_so() {
    let service = Service::new();
    let _questions = service.partition(0, PartitionState::Restoring, 1);
    assert_eq!(service.get(ADA).problem(), (503, "restoring".to_owned(), Some(0), Some("5")));
    assert!(service.get(ADA).body.contains("42 % done"));
    let _questions =
        service.partition(0, PartitionState::Refused("raise retention.ms".to_owned()), 1);
    assert_eq!(service.get(ADA).problem(), (503, "partition-refused".to_owned(), Some(0), None));
    assert!(service.get(ADA).body.contains("raise retention.ms"));
}

#[test]
fn what_holds_a_partition_up_is_said_with_its_cause() {
    let service = Service::new();
    let _questions = service.partition(0, PartitionState::Stopped("mend it".to_owned()), 1);
    let _more = service.partition(1, PartitionState::Paused("make room".to_owned()), 1);
    let _last = service.partition(2, PartitionState::Running, 1);
    service.live.partitions.get_mut(&2).unwrap().unstable_records = 3;
    let answer = service.get("/readyz?verbose");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    for line in [
        "[-]partition 0: stopped: mend it",
        "[-]partition 1: paused: make room",
        "[+]partition 2: running, 7 records behind: an open transaction of a producer of events holds 3 back",
    ] {
        assert!(answer.body.contains(line), "{}", answer.body);
    }
}

#[test]
fn before_the_topics_are_known_nothing_is_answered() {
    let service = Service::new();
    service.live.partition_count.store(0, Ordering::Relaxed);
    assert_eq!(service.get(ADA).problem(), (503, "not-started".to_owned(), None, Some("1")));
}

#[test]
fn a_full_inbox_is_not_waited_for() {
    let service = Service::new();
    let _questions = service.partition(0, PartitionState::Running, 0);
    assert_eq!(service.get(ADA).problem(), (503, "busy".to_owned(), None, Some("1")));
}

#[test]
fn a_worker_that_does_not_answer_is_given_up() {
    let service = Service::new();
    let _questions = service.partition(0, PartitionState::Running, 1);
    let answer = service.get_impatiently(ADA);
    assert_eq!(answer.problem(), (503, "no-answer".to_owned(), Some(0), Some("1")));
    drop(service.partition(0, PartitionState::Running, 1));
    assert_eq!(service.get(ADA).problem().1, "no-answer");
}

#[test]
fn a_dropped_question_is_given_up_at_once() {
    let service = Service::new();
    let questions = service.partition(0, PartitionState::Running, 1);
    thread::spawn(move || drop(questions.recv()));
    assert_eq!(service.get(ADA).problem().1, "no-answer");
}

#[test]
fn no_other_path_or_method_is_served() {
    let service = Service::new();
    assert_eq!(service.get("/v2/customers").problem().1, "no-such-path");
    let post = Request::post("/v1/customers/ada").body(Body::empty()).unwrap();
    assert_eq!(service.ask(post).problem().1, "only-reads");
}

#[test]
fn metrics_are_prometheus_text() {
    let answer = Service::new().get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(answer.body, "goodfaith_events_total 3\n");
}

#[test]
fn a_service_is_alive_while_its_loops_turn() {
    let service = Service::new();
    assert_eq!(service.get("/livez").body, "ok");
    service.turned(0, NOW_MS);
    service.turned(1, NOW_MS - 60_000);
    let alive = service.get("/livez?verbose");
    assert_eq!(
        (alive.status, alive.body.as_str()),
        (StatusCode::OK, "[+]worker 0: turns\n[+]worker 1: turns\nlivez check passed\n")
    );
    service.turned(1, NOW_MS - 60_001);
    let dead = service.get("/livez");
    assert_eq!(dead.status, StatusCode::SERVICE_UNAVAILABLE);
    insta::assert_snapshot!(dead.body, @r"
    [+]worker 0: turns
    [-]worker 1: its loop has not turned for 60 s
    livez check failed
    ");
}

#[test]
fn a_service_is_ready_when_every_partition_runs() {
    let service = Service::new();
    let _questions =
        [2, 0].map(|partition| service.partition(partition, PartitionState::Running, 1));
    assert_eq!(
        (service.get("/readyz").status, service.get("/readyz").body),
        (StatusCode::OK, "ok".to_owned())
    );
    insta::assert_snapshot!(service.get("/readyz?verbose").body, @r"
    [+]started: yes
    [+]staying: yes
    [+]partition 0: running, 7 records behind
    [+]partition 2: running, 7 records behind
    readyz check passed
    ");

    let _more = service.partition(1, PartitionState::Restoring, 1);
    let _refused =
        service.partition(2, PartitionState::Refused("raise retention.ms".to_owned()), 1);
    let answer = service.get("/readyz");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    insta::assert_snapshot!(answer.body, @r"
    [+]started: yes
    [+]staying: yes
    [+]partition 0: running, 7 records behind
    [-]partition 1: restoring, 42 % done, 13 s to go
    [-]partition 2: refused: raise retention.ms
    readyz check failed
    ");
    assert_eq!(service.get("/livez").status, StatusCode::OK, "restoring is alive");
}

#[test]
fn a_worker_that_waits_for_its_share_is_not_ready() {
    let service = Service::new();
    service.turned(0, NOW_MS);
    assert_eq!(service.get("/readyz").status, StatusCode::OK, "a share of no partitions");
    service.live.workers.insert(1, WorkerStatus { turned_ms: NOW_MS, is_member: false });
    let answer = service.get("/readyz");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.body.contains("[-]worker 1: waits for its share"), "{}", answer.body);
}

#[test]
fn a_service_that_stops_is_not_ready() {
    let service = Service::new();
    service.api.stopping();
    assert_eq!(service.get("/readyz").status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(service.get("/livez").status, StatusCode::OK);
}

#[test]
fn a_service_has_started_once_its_workers_polled() {
    let service = Service::new();
    assert_eq!(service.get("/startupz").status, StatusCode::OK);
    service.live.is_started.store(false, Ordering::Relaxed);
    assert_eq!(service.get("/startupz").status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(service.get("/readyz").status, StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn the_policy_is_told_by_partition_and_active_only_where_it_is_everywhere() {
    let service = Service::new();
    let show = |partition: i32, fingerprint: u64, toml: &str| {
        let policy = Arc::new(Policy::from_toml(toml).unwrap());
        let mut warming = Warming::default();
        let since = EventTime::parse("2025-01-01T00:00:00Z").unwrap();
        warming.begin(&Policy::default(), &policy, since);
        drop(service.partition(partition, PartitionState::Running, 1));
        let policy = PolicyStatus { policy, fingerprint, warming };
        service.live.partitions.get_mut(&partition).unwrap().policy = Some(policy);
    };
    let told = || -> Value { serde_json::from_str(&service.get("/v1/policy").body).unwrap() };
    let keen = "version = 'keen'\noverpricing_tolerance.minor = 1\nsqueeze.S07.enabled = false";
    show(0, 0xfeed, keen);
    show(1, 1, "");
    let body = told();
    assert_eq!(body["active"], Value::Null, "the two differ");
    assert_eq!(
        body["partitions"][0],
        serde_json::json!({
            "partition": 0,
            "policy": {"version": "keen", "hash": "000000000000feed"},
            "warming": [{
                "type": "S01", "name": "legacy_overpricing", "state": "warming",
                "since": "2025-01-01T00:00:00.000Z", "until": "2025-03-04T00:00:00.000Z"
            }]
        })
    );
    show(1, 0xfeed, keen);
    let refused =
        RefusedPolicy { version: "slow".into(), fingerprint: 2, reason: "a half-life".to_owned() };
    service.live.refuse_policy(refused);
    let body = told();
    assert_eq!(body["active"], body["partitions"][1]["policy"]);
    assert_eq!(
        [0, 1, 6].map(|detector| body["detectors"][detector]["state"].as_str().unwrap()),
        ["warming", "live", "off"]
    );
    assert_eq!(body["refused"]["reason"], "a half-life");
}
