//! The running service: workers, HTTP and signals, from start to a graceful stop. The async runtime serves HTTP, signals and
//! waiting only; events are handled on the workers' own threads. It decides nothing about trust.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::{self, JoinHandle};
use tokio::time::{interval, timeout};

use crate::http::{self, Api};
use crate::kafka::{Fact, KafkaSettings, Observer, Scoring, Service, wall_ms};
use crate::live::Live;
use crate::snapshot::Snapshots;
use crate::telemetry::{Metrics, ServiceFact, Telemetry};

/// How often the workers are looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long answers under way may take once the workers have stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// What to run.
pub struct App {
    /// The brokers, the topics, and how to work on them.
    pub kafka: KafkaSettings,
    /// What to score with.
    pub scoring: Scoring,
    /// Where state is kept for a restart; `None`: nowhere, and it comes back from the log alone.
    pub snapshots: Option<Snapshots>,
    /// Where HTTP answers, bound already.
    pub listener: TcpListener,
    /// Who else takes notice of what the workers tell, besides telemetry.
    pub observers: Vec<Arc<dyn Observer>>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("kafka", &self.kafka)
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

/// Several observers as one.
struct All(Vec<Arc<dyn Observer>>);

impl Observer for All {
    fn observe(&self, fact: Fact<'_>) {
        for observer in &self.0 {
            observer.observe(fact.clone());
        }
    }
}

/// Binds the address HTTP will answer at.
///
/// # Errors
/// If it is taken, or not ours.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| {
        format!("cannot listen on {address}: free it, or set http.listen to another")
    })
}

impl App {
    /// Runs until a signal (SIGTERM, SIGINT), until `quit` is done, or until a worker fails. What is under way is committed first;
    /// a second signal does not wait for that.
    ///
    /// # Errors
    /// If the service cannot start, a worker fails, or a second signal came.
    pub fn run(self, quit: impl Future<Output = ()>) -> anyhow::Result<()> {
        let metrics = Metrics::start()?;
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let result = runtime.block_on(self.supervise(metrics, quit));
        // Whatever still blocks a thread here is past waiting for.
        runtime.shutdown_background();
        result
    }

    async fn supervise(
        self,
        metrics: Metrics,
        quit: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let mut signals = Signals::new().context("cannot listen to signals")?;
        let live = Arc::new(Live::default());
        let server = Server::start(self.listener, &live, &metrics)?;
        let (kafka, scoring, snapshots) = (self.kafka, self.scoring, self.snapshots);
        ServiceFact::Starting { address: server.address, kafka: &kafka, policy: &scoring.policy }
            .emit();
        let mut observers = self.observers;
        observers.push(Arc::new(Telemetry::new(&kafka.prefix, wall_ms)));
        let brokers = kafka.bootstrap_servers.clone();
        let starting = task::spawn_blocking(move || {
            Service::start(kafka, scoring, snapshots, live, Arc::new(All(observers)))
        });
        let service = tokio::select! {
            started = starting => started?.with_context(|| format!("cannot start with the brokers {brokers} (kafka.bootstrap_servers)"))?,
            name = signals.next() => {
                // Nothing has been read yet, so there is nothing to commit.
                ServiceFact::Stopping { because: name }.emit();
                return Ok(());
            }
        };
        let because = tokio::select! {
            () = quit => "done",
            name = signals.next() => name,
            () = ended(&service, &metrics) => "a worker ended",
        };
        ServiceFact::Stopping { because }.emit();
        server.api.stopping();
        service.stop();
        let stopping = task::spawn_blocking(move || service.join());
        tokio::select! {
            stopped = stopping => stopped??,
            name = signals.next() => {
                return Err(anyhow!("stopped at once by a second {name}: what was not committed will be handled again"));
            }
        }
        server.stop().await;
        ServiceFact::Stopped.emit();
        Ok(())
    }
}

/// Waits until a worker has ended, which none does unasked unless it failed.
async fn ended(service: &Service, metrics: &Metrics) {
    let mut looks = interval(LOOK_EVERY);
    while !service.is_finished() {
        looks.tick().await;
        metrics.tidy();
    }
}

/// HTTP while it answers.
struct Server {
    address: SocketAddr,
    api: Api,
    close: oneshot::Sender<()>,
    answering: JoinHandle<io::Result<()>>,
}

impl Server {
    fn start(listener: TcpListener, live: &Arc<Live>, metrics: &Metrics) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (shown, metrics) = (Arc::clone(live), metrics.clone());
        let api = Api::new(Arc::clone(live), move || metrics.render(&shown), wall_ms);
        let (close, closed) = oneshot::channel();
        let until = async move { drop(closed.await) };
        let answering = task::spawn(http::serve(listener, api.clone(), until));
        Ok(Self { address, api, close, answering })
    }

    /// Lets answers under way end, within reason: the process ends next.
    async fn stop(self) {
        drop(self.close);
        drop(timeout(LAST_ANSWERS, self.answering).await);
    }
}

/// The signals that mean "stop".
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one's name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The signals that mean "stop".
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// The next one's name.
    async fn next(&mut self) -> &'static str {
        // An error means that none will ever come.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
