//! The running service: its workers and the reader of the reference log, started together and stopped together.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::error::{Error, Result};
use super::fact::{Fact, Observer};
use super::loading::{Loader, Permits};
use super::reference::{ReferenceLog, ReferenceReader};
use super::settings::{KafkaSettings, Scoring};
use super::topics::Topics;
use super::worker::{Saver, Shared, Worker};
use crate::live::Live;
use crate::snapshot::{SnapshotFact, Snapshots, Uploader};

/// Running workers.
pub struct Service {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    first_error: Arc<Mutex<Option<Error>>>,
    /// Dropped last: then all snapshots are written.
    saver: Option<Arc<Saver>>,
}

impl Service {
    /// Checks the topics, creates them if asked to, and starts reading.
    ///
    /// # Errors
    /// If a setting or property is wrong, the broker does not answer, or the topics are not as they must be.
    pub fn start(
        settings: KafkaSettings,
        scoring: Scoring,
        snapshots: Option<Snapshots>,
        live: Arc<Live>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self> {
        settings.check()?;
        let topics = Topics::new(&settings.prefix);
        let events = topics.prepare(&settings)?;
        live.partition_count.store(events.partition_count.into(), Ordering::Release);
        let instance = match &settings.instance_id {
            Some(instance) => instance.clone(),
            None => random_name()?,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let mut service = Self {
            threads: Vec::new(),
            stop: Arc::clone(&stop),
            first_error: Arc::default(),
            saver: None,
        };
        let reference = service.start_reference(&settings, &topics, &observer)?;
        let saver = snapshots.as_ref().map(|snapshots| saver(snapshots, &observer)).transpose()?;
        service.saver.clone_from(&saver);
        let loader = snapshots.map(|snapshots| {
            Arc::new(Loader {
                snapshots,
                scoring: scoring.clone(),
                reference: Arc::clone(&reference),
                observer: Arc::clone(&observer),
                permits: Permits::new(),
            })
        });
        let shared = Arc::new(Shared {
            settings: Arc::new(settings),
            scoring,
            topics: Arc::new(topics),
            events,
            reference,
            live,
            observer,
            loader,
            saver,
            instance,
            stop,
            started: AtomicI64::new(0),
            traffic_ms: AtomicI64::new(0),
            refused_offset_next: AtomicI64::new(0),
        });
        for number in 0..shared.settings.workers {
            let shared = Arc::clone(&shared);
            service.spawn(format!("worker-{number}"), Some(number), move || {
                Worker::connect(number, shared)?.run()
            })?;
        }
        Ok(service)
    }

    fn start_reference(
        &mut self,
        settings: &KafkaSettings,
        topics: &Topics,
        observer: &Arc<dyn Observer>,
    ) -> Result<Arc<ReferenceLog>> {
        let log = Arc::new(ReferenceLog::new());
        let reader =
            ReferenceReader::open(settings, topics, Arc::clone(&log), Arc::clone(observer))?;
        let stop = Arc::clone(&self.stop);
        self.spawn("reference".to_owned(), None, move || reader.run(&stop))?;
        Ok(log)
    }

    /// Starts a thread whose error, or panic, ends the service.
    fn spawn(
        &mut self,
        name: String,
        worker: Option<usize>,
        work: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (stop, first_error) = (Arc::clone(&self.stop), Arc::clone(&self.first_error));
        let guarded = move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let error = match result {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(panic) => Error::Panicked { worker, message: message(&*panic) },
            };
            first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            // One worker less would be a service at half its strength that looks well.
            stop.store(true, Ordering::Release);
        };
        let thread = std::thread::Builder::new().name(name).spawn(guarded);
        self.threads.push(thread.map_err(Error::Thread)?);
        Ok(())
    }

    /// Asks it to stop: what is open is committed and the group left, unless the membership is static. Does not wait.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// A thread has ended: asked to, or by an error, and then the others end too.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Waits until it has stopped, and the last snapshots are written.
    ///
    /// # Errors
    /// The first that ended a worker.
    pub fn join(mut self) -> Result<()> {
        self.join_threads();
        match self.first_error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn join_threads(&mut self) {
        for thread in self.threads.drain(..) {
            // Its panic, if any, is the error already.
            drop(thread.join());
        }
        self.saver = None;
    }
}

impl Drop for Service {
    /// A service that nobody waits for is stopped too: its threads must not outlive it.
    fn drop(&mut self) {
        self.stop();
        self.join_threads();
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

/// Writes snapshots and tells of them.
fn saver(snapshots: &Snapshots, observer: &Arc<dyn Observer>) -> Result<Arc<Saver>> {
    let (store, observer) = (Arc::clone(&snapshots.store), Arc::clone(observer));
    let tell = Box::new(move |fact: SnapshotFact<'_>| observer.observe(Fact::Snapshot(fact)));
    let uploader = Uploader::start(store, tell).map_err(Error::Thread)?;
    Ok(Arc::new(Saver { uploader, interval: snapshots.interval }))
}

/// A name for the life of this process.
fn random_name() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
