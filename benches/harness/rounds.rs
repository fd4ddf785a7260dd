//! The parts of the measurement: which system runs when, on what.

use std::time::Duration;

use tempfile::TempDir;

use crate::args::Args;
use crate::broker::Broker;
use crate::figures;
use crate::latency::{self, Latency, Load};
use crate::measure::{self, Run};
use crate::oracle::{self, Changes};
use crate::report::{self, Case, Document, Loaded, Measured, Restarted};
use crate::restart;
use crate::start;
use crate::systems::{ALL, Launch, Snapshots, System, events_topic, policy_file};
use crate::workload::{Record, Settings, Workload};

/// Events a second that go on to arrive while goodfaith is killed and comes back.
const TRICKLE: u64 = 1_000;
/// For how many seconds there are such events.
const TRICKLE_SECONDS: u64 = 7_200;

/// Everything a part needs.
pub(crate) struct Harness {
    pub(crate) args: Args,
    pub(crate) broker: Broker,
    pub(crate) document: Document,
}

/// A topic filled, and what must come of it.
struct Stored {
    prefix: String,
    partitions: i32,
    records: u64,
    bytes: u64,
    expected: Changes,
}

impl Harness {
    fn settings(&self, events: u64) -> Settings {
        let Args { seed, customers, zipf, .. } = self.args;
        Settings { seed, events, customers, zipf, hot: 0.0, in_turn: false }
    }

    /// All systems on one topic, in turn.
    pub(crate) fn compare(&self) {
        let mut all: Vec<Measured> = self.chosen().into_iter().map(ready).collect();
        let stored = self.store("bench", self.settings(self.args.events), self.args.partitions);
        for round in 0..self.args.rounds.get() {
            for measured in &mut all {
                self.run_again(measured, &stored, round);
            }
        }
        let Args { customers, zipf, commit_ms, workers, peer_threads, .. } = self.args;
        let about = format!(
            "{} records ({} MB) about {customers} customers (Zipf {zipf}) in {} partitions, {} score changes; commits of {commit_ms} ms; goodfaith with {workers} worker(s), peers with {peer_threads} threads; {} rounds, medians, least and most in parentheses. Rates and costs are of the last nine tenths of the records.",
            stored.records,
            stored.bytes / 1_000_000,
            stored.partitions,
            stored.expected.len(),
            self.args.rounds,
        );
        report::comparison(&self.document, &about, &all);
        self.discard(&stored);
    }

    fn chosen(&self) -> Vec<System> {
        if self.args.systems.is_empty() { ALL.to_vec() } else { self.args.systems.clone() }
    }

    /// Runs a system once more, unless it has failed before.
    fn run_again(&self, measured: &mut Measured, stored: &Stored, round: usize) {
        let Ok(runs) = &mut measured.runs else { return };
        let threads = self.threads(measured.system);
        match self.run(measured.system, stored, round, threads) {
            Ok(run) => {
                let (name, rate) = (measured.system, figures::number(run.rate()));
                let cost = figures::number(run.cpu_per_million());
                eprintln!(
                    "round {}: {name}: {rate} events a second, {cost} s of a processor a million",
                    round + 1
                );
                runs.push(run);
            }
            Err(why) => measured.runs = Err(missing(measured.system, why)),
        }
    }

    fn run(
        &self,
        system: System,
        stored: &Stored,
        round: usize,
        threads: usize,
    ) -> Result<Run, String> {
        let state = tempfile::tempdir().unwrap();
        let launch = Launch { threads, ..self.launch_on(system, stored, round, &state) };
        measure::run(system, &launch, stored.records, &stored.expected, self.limit())
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(self.args.limit)
    }

    /// A run of `system` on the topics of `prefix`, with what the command line says and nothing special.
    fn launch<'a>(
        &'a self,
        system: System,
        prefix: &'a str,
        group: String,
        state: &TempDir,
    ) -> Launch<'a> {
        Launch {
            broker: &self.broker,
            prefix,
            group,
            partitions: self.args.partitions,
            threads: self.threads(system),
            commit_ms: self.args.commit_ms,
            memory_mib: self.args.memory_mib,
            state: state.path().to_owned(),
            snapshots: Snapshots::Usual,
        }
    }

    /// The same on what is stored.
    fn launch_on<'a>(
        &'a self,
        system: System,
        stored: &'a Stored,
        round: usize,
        state: &TempDir,
    ) -> Launch<'a> {
        let Stored { prefix, partitions, .. } = stored;
        let group = format!("{prefix}-{system}-{round}");
        Launch { partitions: *partitions, ..self.launch(system, prefix, group, state) }
    }

    const fn threads(&self, system: System) -> usize {
        match system {
            System::Peer { .. } => self.args.peer_threads,
            System::Goodfaith { .. } | System::Drain | System::Alone => self.args.workers,
        }
    }

    /// Fills a topic, and lets the oracle read it.
    fn store(&self, prefix: &str, settings: Settings, partitions: i32) -> Stored {
        eprintln!("Storing {} records of {} customers.", settings.events, settings.customers);
        let topic = events_topic(prefix);
        self.broker.create(&topic, partitions);
        let bytes = self.broker.fill(&topic, Workload::new(settings));
        let policy = oracle::policy(&policy_file());
        let expected = oracle::expected(&self.broker, &topic, partitions, policy);
        let prefix = prefix.to_owned();
        Stored { prefix, partitions, records: settings.events, bytes, expected }
    }

    fn discard(&self, stored: &Stored) {
        self.broker.remove(|topic| topic.starts_with(&stored.prefix));
    }

    /// Systems, and a transaction of one record, under each load, in turn.
    pub(crate) fn latency(&self) {
        let loads: Vec<Loaded> = self.args.loads.iter().map(|load| self.load(*load)).collect();
        let Args { load_seconds, primed, warm_seconds, customers, workers, rounds, .. } = self.args;
        let about = format!(
            "Open loop: from when an event should have been sent to when a `read_committed` reader has its score change; {load_seconds} s counted a run after {primed} records and {warm_seconds} s to warm up, {customers} customers; goodfaith with {workers} worker(s); {rounds} rounds.",
        );
        let part = if self.args.snapshots { "snapshots" } else { "latency" };
        report::latencies(&self.document, part, &about, &loads);
    }

    fn load(&self, (commit_ms, events_per_second): (u32, f64)) -> Loaded {
        let load = Load {
            commit_ms,
            events_per_second,
            primed: self.args.primed,
            warm: Duration::from_secs(self.args.warm_seconds),
            counted: Duration::from_secs(self.args.load_seconds),
        };
        let settings = self.settings(load.records() as u64);
        let records: Vec<Record> = Workload::new(settings).collect();
        let unmeasured = |(system, snapshots): (System, Snapshots)| {
            let runs = system.build().map(|()| Vec::new()).map_err(|why| missing(system, why));
            (system, snapshots, runs)
        };
        let mut systems: Vec<_> = self.timed().into_iter().map(unmeasured).collect();
        let mut floors = Vec::new();
        for round in 0..self.args.rounds.get() {
            floors.push(latency::floor(&self.broker, "floor", &records, load));
            for (system, snapshots, runs) in &mut systems {
                let Ok(done) = runs else { continue };
                match self.run_loaded(*system, *snapshots, round, &records, load) {
                    Ok(run) => {
                        let (p99, round) = (run.output.p99, round + 1);
                        eprintln!("round {round}: {system}, {snapshots}: 99 % within {p99:.1} ms");
                        done.push(run);
                    }
                    Err(why) => *runs = Err(missing(*system, why)),
                }
            }
        }
        let named = |(system, snapshots, runs): (System, Snapshots, _)| {
            let is_told = self.args.snapshots;
            let name = if is_told { format!("{system}, {snapshots}") } else { system.to_string() };
            (name, runs)
        };
        Loaded { load, floors, systems: systems.into_iter().map(named).collect() }
    }

    fn timed(&self) -> Vec<(System, Snapshots)> {
        let exactly_once = System::Goodfaith { is_exactly_once: true };
        match &self.args.systems[..] {
            _ if self.args.snapshots => Snapshots::ALL.map(|when| (exactly_once, when)).to_vec(),
            [] => vec![(exactly_once, Snapshots::Usual)],
            chosen => {
                let timed = chosen.iter().filter(|system| !system.is_floor());
                timed.map(|system| (*system, Snapshots::Usual)).collect()
            }
        }
    }

    fn run_loaded(
        &self,
        system: System,
        snapshots: Snapshots,
        round: usize,
        records: &[Record],
        load: Load,
    ) -> Result<Latency, String> {
        let state = tempfile::tempdir().unwrap();
        let Load { commit_ms, .. } = load;
        let group = format!("latency-{system}-{snapshots:?}-{commit_ms}-{round}");
        let usual = self.launch(system, "latency", group, &state);
        let launch = Launch { commit_ms, snapshots, ..usual };
        latency::run(system, &launch, records, load)
    }

    /// goodfaith alone, over partitions, workers, customers and skew.
    pub(crate) fn scaling(&self) {
        let base = self.settings(self.args.events / 2);
        let mut cases = Vec::new();
        for partitions in [1, 2, 4, 8] {
            let workers: &[usize] = if partitions == 1 { &[1] } else { &[1, 2] };
            self.case(&mut cases, &format!("{partitions} partitions"), base, partitions, workers);
        }
        let mut customers = vec![100_000, 1_000_000];
        customers.extend(self.args.large.then_some(10_000_000));
        for customers in customers {
            let settings = Settings { customers, ..base };
            self.case(&mut cases, &format!("{customers} customers"), settings, 8, &[1]);
        }
        let steep = Settings { zipf: 1.2, ..base };
        self.case(&mut cases, "Zipf 1.2", steep, 8, &[1]);
        let hot = Settings { hot: 0.5, ..base };
        self.case(&mut cases, "half of the events of one customer", hot, 8, &[1]);
        let about = format!(
            "goodfaith alone, exactly once, {} records each, {} customers and Zipf {} if nothing else is said; {} rounds.",
            base.events, base.customers, base.zipf, self.args.rounds,
        );
        report::scaling(&self.document, &about, &cases);
    }

    fn case(
        &self,
        cases: &mut Vec<Case>,
        name: &str,
        settings: Settings,
        partitions: i32,
        workers: &[usize],
    ) {
        let stored = self.store("scaling", settings, partitions);
        let system = System::Goodfaith { is_exactly_once: true };
        for threads in workers {
            let runs = (0..self.args.rounds.get())
                .map(|round| self.run(system, &stored, 100 * threads + round, *threads))
                .collect::<Result<_, _>>()
                .map_err(|why| missing(system, why));
            let name = format!("{name}, {threads} worker(s)");
            cases.push(Case { name, measured: Measured { system, runs } });
        }
        self.discard(&stored);
    }

    /// How soon goodfaith is back after a kill.
    pub(crate) fn restart(&self) {
        let mut customers = vec![self.args.customers];
        customers.extend(self.args.large.then_some(10_000_000));
        let cases: Vec<Restarted> =
            customers.into_iter().map(|customers| self.restarted(customers)).collect();
        let Args { each, session_ms, partitions, workers, rounds, .. } = self.args;
        let about = format!(
            "kill -9 of goodfaith (exactly once, {workers} worker(s)) while {TRICKLE} events a second arrive; {each} events of each customer before, {partitions} partitions, snapshots in a local folder; session.timeout.ms = {session_ms}; {rounds} kills a row.",
        );
        report::restarts(&self.document, &about, &cases);
    }

    fn restarted(&self, customers: u64) -> Restarted {
        let system = System::Goodfaith { is_exactly_once: true };
        let preloaded = customers * self.args.each;
        let events = preloaded + TRICKLE * TRICKLE_SECONDS;
        let settings = Settings { customers, in_turn: true, ..self.settings(events) };
        let state = tempfile::tempdir().unwrap();
        let launch = self.launch(system, "restart", format!("restart-{customers}"), &state);
        let load = restart::Load {
            workload: Workload::new(settings),
            preloaded,
            events_per_second: TRICKLE as f64,
            session_ms: self.args.session_ms,
        };
        let returns = restart::run(launch, load, self.args.rounds.get());
        Restarted { customers, returns: returns.map_err(|why| missing(system, why)) }
    }

    /// Starting goodfaith, and having it wait.
    pub(crate) fn start(&self) {
        let system = System::Goodfaith { is_exactly_once: true };
        let state = tempfile::tempdir().unwrap();
        let launch = self.launch(system, "start", "start".to_owned(), &state);
        let starts = start::run(&launch, self.args.rounds.get());
        let Args { workers, partitions, rounds, .. } = self.args;
        let about = format!(
            "goodfaith (exactly once, {workers} worker(s)) on {partitions} partitions without a record; {rounds} starts.",
        );
        report::starts(&self.document, &about, &starts.map_err(|why| missing(system, why)));
    }

    /// Whether what each system publishes is right after a kill.
    pub(crate) fn crash(&self) {
        let stored = self.store("crash", self.settings(self.args.events), self.args.partitions);
        for system in self.chosen().into_iter().filter(|system| !system.is_floor()) {
            let state = tempfile::tempdir().unwrap();
            let launch = self.launch_on(system, &stored, 0, &state);
            let survived = system.build().and_then(|()| {
                measure::survive(system, &launch, stored.records, &stored.expected, self.limit())
            });
            match survived {
                Ok(different) => {
                    println!("{system}: right after a kill, {different} customers differ")
                }
                Err(why) => drop(missing(system, why)),
            }
        }
        self.discard(&stored);
    }
}

/// A system made ready to run.
fn ready(system: System) -> Measured {
    let runs = system.build().map(|()| Vec::new()).map_err(|why| missing(system, why));
    Measured { system, runs }
}

/// Says loudly that there is no figure.
fn missing(system: System, why: String) -> String {
    eprintln!("\n*** {} IS NOT MEASURED: {why} ***\n", system.to_string().to_uppercase());
    why
}
