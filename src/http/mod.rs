//! What the service answers over HTTP: health, metrics, the policy in force, and one customer at a time. It reads and never
//! writes, asks the worker that owns a customer instead of sharing its state, and knows no password: it is for loopback or a network one trusts.

mod customers;
mod health;
mod policy;
mod problem;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::timeout::TimeoutLayer;

use self::problem::Problem;
use crate::live::Live;

/// How long any request may take. None is near it: a question to a worker gives up sooner.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Questions to workers at once; one more is told to come back.
const MAX_QUERIES: usize = 64;

/// What the endpoints read.
#[derive(Clone)]
pub struct Api {
    live: Arc<Live>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    now_ms: fn() -> i64,
    is_stopping: Arc<AtomicBool>,
    queries: Arc<Semaphore>,
}

impl Api {
    /// Endpoints over `live`; `metrics` writes the Prometheus text, `now_ms` is milliseconds since the epoch.
    pub fn new(
        live: Arc<Live>,
        metrics: impl Fn() -> String + Send + Sync + 'static,
        now_ms: fn() -> i64,
    ) -> Self {
        Self {
            live,
            metrics: Arc::new(metrics),
            now_ms,
            is_stopping: Arc::default(),
            queries: Arc::new(Semaphore::new(MAX_QUERIES)),
        }
    }

    /// From now on the service is not ready.
    pub fn stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("live", &self.live).finish_non_exhaustive()
    }
}

/// All endpoints. What is not one of them is a problem of its own.
///
/// No layer logs requests: a path may name a customer.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/startupz", get(health::startupz))
        .route("/metrics", get(metrics))
        .route("/v1/customers/{id}", get(customers::customer))
        .route("/v1/policy", get(policy::policy))
        .fallback(async || Problem::NoSuchPath)
        .method_not_allowed_fallback(async || Problem::OnlyReads)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .with_state(api)
}

/// Answers on `listener` until `stop` is done and the requests under way are answered.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(api)).with_graceful_shutdown(stop).await
}

/// `GET /metrics`
async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (api.metrics)())
}
