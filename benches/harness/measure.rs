//! One run of one system: started, watched until it has done everything, ended, compared with what must come out.

use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::broker::Follower;
use crate::clock;
use crate::oracle::Changes;
use crate::process::{Process, Usage, usage_of_tree};
use crate::systems::{Launch, System};

/// How often a group is asked how far it is.
const ASKING: Duration = Duration::from_millis(50);
/// How often a process that tells by itself is listened to.
const LISTENING: Duration = Duration::from_millis(5);
/// What a system does first, while it compiles itself and fills its caches, is left out of its rates: a tenth of the events.
const WARM: f64 = 0.1;

/// How far a run was, and what it had used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Since the start of the process.
    pub(crate) seconds: f64,
    /// Records done with.
    pub(crate) done: u64,
    pub(crate) usage: Usage,
    pub(crate) broker_cpu_seconds: f64,
}

/// What one run showed.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    // Invariant: at least one; the last of them, and only it, when all was done.
    pub(crate) samples: Vec<Sample>,
    /// Customers whose outputs differ within what is allowed.
    pub(crate) different: usize,
}

impl Run {
    fn end(&self) -> Sample {
        self.samples[self.samples.len() - 1]
    }

    /// The first sample with so large a share of the events done, but not all: else the last before it, or the start.
    fn at(&self, share: f64) -> Sample {
        let enough = share * self.end().done as f64;
        let index = self.samples.partition_point(|sample| (sample.done as f64) < enough);
        match self.samples.get(index) {
            Some(sample) if sample.done < self.end().done => *sample,
            _ => self.samples[..index].last().copied().unwrap_or_default(),
        }
    }

    /// Records a second once warm.
    pub(crate) fn rate(&self) -> f64 {
        let (warm, end) = (self.at(WARM), self.end());
        (end.done - warm.done) as f64 / (end.seconds - warm.seconds)
    }

    /// Seconds from the start of the process to its last commit.
    pub(crate) fn seconds(&self) -> f64 {
        self.end().seconds
    }

    /// Processor seconds for a million records once warm.
    pub(crate) fn cpu_per_million(&self) -> f64 {
        cpu_between(self.at(WARM), self.end())
    }

    /// The broker's own processor seconds for a million records once warm; 0 if it is not known.
    pub(crate) fn broker_cpu_per_million(&self) -> f64 {
        let (warm, end) = (self.at(WARM), self.end());
        (end.broker_cpu_seconds - warm.broker_cpu_seconds) * 1e6 / (end.done - warm.done) as f64
    }

    /// Processor seconds of the whole process, its start included.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.end().usage.cpu_seconds
    }

    /// Memory resident at most, as far as it was seen.
    pub(crate) fn resident_mib(&self) -> f64 {
        self.samples.iter().map(|sample| sample.usage.resident_kib).fold(0.0, f64::max) / 1024.0
    }

    /// Millions of records done, and processor microseconds a record over the tenth of the run that ends there, once warm.
    pub(crate) fn cost_by_progress(&self) -> Vec<(f64, f64)> {
        let marks = (1..10).map(|tenth| self.at(f64::from(tenth) / 10.0)).chain([self.end()]);
        let marks: Vec<Sample> = marks.collect();
        let steps = marks.windows(2).filter(|pair| pair[0].done < pair[1].done);
        steps.map(|pair| (pair[1].done as f64 / 1e6, cpu_between(pair[0], pair[1]))).collect()
    }
}

/// Processor seconds for a million records: microseconds a record.
fn cpu_between(from: Sample, to: Sample) -> f64 {
    (to.usage.cpu_seconds - from.usage.cpu_seconds) * 1e6 / (to.done - from.done) as f64
}

/// How far a run is.
enum Progress {
    Group(Follower),
    Told(Arc<AtomicU64>),
}

impl Progress {
    const fn interval(&self) -> Duration {
        match self {
            Self::Group(_) => ASKING,
            Self::Told(_) => LISTENING,
        }
    }

    fn done(&self) -> Option<u64> {
        match self {
            Self::Group(follower) => follower.done(),
            Self::Told(done) => Some(done.load(Ordering::Relaxed)),
        }
    }
}

/// Runs `system` over all `total` records; why it has no figure, if it has none.
pub(crate) fn run(
    system: System,
    launch: &Launch<'_>,
    total: u64,
    expected: &Changes,
    limit: Duration,
) -> Result<Run, String> {
    system.prepare(launch);
    let samples = watch(system, launch, total, limit);
    let outcome = samples.and_then(|samples| {
        let different =
            system.check(launch, expected).map_err(|why| format!("wrong output: {why}"))?;
        Ok(Run { samples, different })
    });
    launch.broker.remove(|topic| launch.made(topic));
    outcome
}

/// Lets `system` work, kills it in the middle, starts it again with the same arguments, and compares what it published in both lives.
pub(crate) fn survive(
    system: System,
    launch: &Launch<'_>,
    total: u64,
    expected: &Changes,
    limit: Duration,
) -> Result<usize, String> {
    system.prepare(launch);
    let killed = kill_in_the_middle(system, launch, total, limit);
    let outcome = killed.and_then(|()| watch(system, launch, total, limit)).and_then(|_samples| {
        system.check(launch, expected).map_err(|why| format!("wrong output: {why}"))
    });
    launch.broker.remove(|topic| launch.made(topic));
    outcome
}

fn kill_in_the_middle(
    system: System,
    launch: &Launch<'_>,
    total: u64,
    limit: Duration,
) -> Result<(), String> {
    let process = Process::start(&mut system.command(launch))?;
    let follower = launch.broker.follow(&launch.group, &launch.input(), launch.partitions);
    let is_on_its_way = || follower.done().is_some_and(|done| total / 4 <= done);
    let in_time = clock::wait_until(limit, is_on_its_way);
    let done = follower.done().unwrap_or_default();
    drop(process);
    match (in_time, done < total) {
        (true, true) => Ok(()),
        (true, false) => Err("it was done before it could be killed: more events".to_owned()),
        (false, _) => Err(format!("{done} of {total} records within {limit:?}")),
    }
}

fn watch(
    system: System,
    launch: &Launch<'_>,
    total: u64,
    limit: Duration,
) -> Result<Vec<Sample>, String> {
    let begin = clock::now();
    let mut process = Process::start(&mut system.command(launch))?;
    let progress = match process.stdout() {
        Some(out) => Progress::Told(follow_words(out)),
        None => {
            let follower = launch.broker.follow(&launch.group, &launch.input(), launch.partitions);
            Progress::Group(follower)
        }
    };
    let mut samples: Vec<Sample> = Vec::new();
    while samples.last().is_none_or(|sample| sample.done < total) {
        if let Some(status) = process.ended() {
            return Err(format!("ended by itself: {status}"));
        }
        if limit < begin.elapsed() {
            let done = samples.last().map_or(0, |sample| sample.done);
            return Err(format!("{done} of {total} records within {limit:?}"));
        }
        thread::sleep(progress.interval());
        let Some(done) = progress.done() else { continue };
        samples.push(Sample {
            seconds: begin.elapsed().as_secs_f64(),
            done,
            usage: process.usage(),
            broker_cpu_seconds: broker_cpu_seconds(),
        });
    }
    process.stop()?;
    Ok(samples)
}

/// The first number of the last line said so far.
fn follow_words(out: std::process::ChildStdout) -> Arc<AtomicU64> {
    let done = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&done);
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if let Some(count) = line.split(' ').next().and_then(|word| word.parse().ok()) {
                told.store(count, Ordering::Relaxed);
            }
        }
    });
    done
}

/// Of the broker that `deploy/kafka/kafka.sh` started; 0 of another.
fn broker_cpu_seconds() -> f64 {
    #[expect(clippy::disallowed_methods, reason = "how the harness is told of its broker")]
    let folder = std::env::var("KAFKA_DIR");
    let pid = folder.ok().and_then(|dir| std::fs::read_to_string(format!("{dir}/pid")).ok());
    let pid = pid.and_then(|pid| pid.trim().parse().ok());
    pid.map_or(0.0, |pid| usage_of_tree(pid).cpu_seconds)
}
