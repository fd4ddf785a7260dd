//! The running service: the reference reader and the workers, started together and stopped together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;

use rdkafka::consumer::BaseConsumer;

use super::clock;
use super::error::{Error, Result};
use super::fact::Observer;
use super::reference::{ReferenceLog, ReferenceReader};
use super::settings::{KafkaSettings, Scoring};
use super::topics::Topics;
use super::worker::{Shared, Worker};
use crate::live::Live;

/// Running workers. Dropping it leaves them running: stop and join it.
#[derive(Debug)]
pub struct Service {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Service {
    /// Prepares the topics and starts the workers.
    ///
    /// # Errors
    /// If a setting is wrong, a topic is missing or does not fit, or the broker does not answer.
    pub fn start(
        settings: KafkaSettings,
        scoring: Scoring,
        live: Arc<Live>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self> {
        settings.check()?;
        let topics = Topics::new(&settings.prefix);
        let events = topics.prepare(&settings)?;
        live.partition_count.store(i64::from(events.partition_count), Ordering::Release);
        let stop = Arc::new(AtomicBool::new(false));
        let reference = Arc::new(ReferenceLog::new());
        let reader: BaseConsumer =
            settings.reader().create().map_err(Error::while_doing("making a reader"))?;
        let reading = ReferenceReader::start(
            reader,
            topics.reference(),
            Arc::clone(&reference),
            Arc::clone(&observer),
            Arc::clone(&stop),
        )?;
        let mut service = Self { stop: Arc::clone(&stop), threads: vec![reading] };
        let workers = settings.workers;
        let instance = settings.instance_id.clone().map_or_else(random_instance, Ok)?;
        let active_ms = AtomicI64::new(clock::wall_ms());
        let shared = Arc::new(Shared {
            settings,
            scoring,
            topics,
            events,
            reference,
            live: Arc::clone(&live),
            observer,
            stop,
            active_ms,
        });
        for id in 0..workers {
            match start_worker(id, &instance, Arc::clone(&shared)) {
                Ok(thread) => service.threads.push(thread),
                Err(error) => {
                    service.stop();
                    // The first error is the one to tell.
                    drop(service.join());
                    return Err(error);
                }
            }
        }
        live.is_started.store(true, Ordering::Release);
        Ok(service)
    }

    /// Asks the workers to commit, leave the group (unless static) and end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Has a worker, or all of them, ended?
    pub fn is_finished(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Waits until all have ended. A worker that fails makes the others stop.
    ///
    /// # Errors
    /// The first worker's error.
    pub fn join(self) -> Result<()> {
        let mut result = Ok(());
        for thread in self.threads {
            let ended = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(ended);
        }
        result
    }
}

fn start_worker(id: usize, instance: &str, shared: Arc<Shared>) -> Result<JoinHandle<Result<()>>> {
    let worker = Worker::connect(id, instance, Arc::clone(&shared))?;
    std::thread::Builder::new()
        .name(format!("worker-{id}"))
        .spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(|| worker.run()));
            // One partition's worker gone is the process's end: its partitions go to others, not to nobody.
            shared.stop.store(true, Ordering::Release);
            ended.unwrap_or_else(|panic| {
                Err(Error::Panicked { worker: id, message: message(&*panic) })
            })
        })
        .map_err(Error::Thread)
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// A name for the life of the process.
fn random_instance() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}
