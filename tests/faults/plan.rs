//! What is done to a deployment under load, and what came of it. Each fault is one function; all else is the same for all of them:
//! a feed, a fleet, the fault so many times, an end in peace, and the checker's word.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use goodfaith::snapshot::Location;

use crate::checker::{Anomaly, History, Kind};
use crate::dice::Dice;
use crate::fleet::{Feed, Fleet, Flow, address, ends, restart_broker};
use crate::proxy::{self, ApiKey, Harm, Proxy};
use crate::support::{Deployment, Group, now};

/// How long a deployment may take to have handled all there is.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long a fault may take to come about.
const FAULT_PATIENCE: Duration = Duration::from_secs(60);
/// What a service behind the proxy is told, so that a lost reply is missed early.
const SOCKET_TIMEOUT: &str = "kafka.properties.socket.timeout.ms=1000";
/// What the replies are to that are lost in turn: all that a transaction asks for, and what a member asks for meanwhile.
const LOSSES: [ApiKey; 9] = [
    proxy::PRODUCE,
    proxy::ADD_PARTITIONS_TO_TXN,
    proxy::ADD_OFFSETS_TO_TXN,
    proxy::TXN_OFFSET_COMMIT,
    proxy::END_TXN,
    proxy::FETCH,
    proxy::HEARTBEAT,
    proxy::INIT_PRODUCER_ID,
    proxy::OFFSET_FETCH,
];

/// What a process is killed at.
const STEPS: [ApiKey; 5] = [
    proxy::ADD_PARTITIONS_TO_TXN,
    proxy::PRODUCE,
    proxy::ADD_OFFSETS_TO_TXN,
    proxy::TXN_OFFSET_COMMIT,
    proxy::END_TXN,
];
/// Of a few transactions, the last in which a process is killed.
const TRANSACTIONS: usize = 10;

/// The one proxy: the broker sends clients to one address only.
static PROXY: LazyLock<Proxy> =
    LazyLock::new(|| Proxy::start(&address("proxy"), &address("proxied")));

/// Tests run side by side, but a broker that is restarted serves nobody else meanwhile, and the proxy does one harm at a time.
static BROKER: RwLock<()> = RwLock::new(());
static PROXIED: Mutex<()> = Mutex::new(());

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// kill -9 of one of the processes at a random time; another is started at once, and the group misses the old one only after its
    /// session.
    Kill,
    /// The same of static members: the one that is started is taken for the old one.
    KillStatic,
    /// kill -9 of a process at a chosen request of a transaction, of five kinds in turn, which the broker hears or does not.
    KillAtStep,
    /// kill -9 of a static member that has just been asked to give partitions up and has not done so, which is started again at once:
    /// it gets the rest back without a rebalance, and what it was asked for is nobody's.
    KillHalfway,
    /// A process stands still for longer than its session, then goes on.
    Zombie,
    /// Two members join in quick succession and leave again.
    Storm,
    /// The broker is killed, or stopped, and started again.
    Broker,
    /// An EndTxn arrives when the next transaction has produced.
    LateEndTxn,
    /// No EndTxn has an answer, for as long as the service is ready to wait for one.
    UnknownOutcome,
    /// One reply of each kind in turn is lost.
    LostReply,
}

/// Load, and how much of a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dose {
    /// Deployments, one after the other.
    pub(crate) runs: usize,
    /// Faults in each.
    pub(crate) times: usize,
    /// Processes; behind the proxy it is one.
    pub(crate) processes: usize,
    pub(crate) flow: Flow,
    /// How often snapshots are taken; `None`: never.
    pub(crate) snapshots: Option<Duration>,
    pub(crate) seed: u64,
    /// Safeguards that are off, separated by commas.
    pub(crate) without: &'static str,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) runs: usize,
    /// Faults that came about.
    pub(crate) injected: usize,
    /// EndTxns that came late, and that the broker carried out all the same.
    pub(crate) late_accepted: usize,
    /// Processes that ended by themselves and were started again.
    pub(crate) exits: usize,
    /// Runs that did not come to an end.
    pub(crate) stuck: usize,
    pub(crate) events: usize,
    /// Output records compared.
    pub(crate) records: usize,
    pub(crate) anomalies: Vec<Anomaly>,
    /// From each fault until every partition had committed an event that came after it.
    pub(crate) recoveries: Vec<Duration>,
}

impl Found {
    pub(crate) fn is_clean(&self) -> bool {
        self.anomalies.is_empty() && self.stuck == 0
    }

    pub(crate) fn by_kind(&self) -> BTreeMap<Kind, usize> {
        let mut count = BTreeMap::new();
        self.anomalies.iter().for_each(|anomaly| *count.entry(anomaly.kind).or_default() += 1);
        count
    }

    /// The smallest recovery time that at least `percent` of all did not exceed; `None` without any.
    pub(crate) fn recovery(&self, percent: usize) -> Option<Duration> {
        let mut sorted = self.recoveries.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }
}

/// Does so much of a fault, once nothing is under way that it would disturb; what came of it, told after each run too.
pub(crate) fn run(fault: Fault, dose: &Dose, mut tell: impl FnMut(&Found)) -> Found {
    let is_alone = fault == Fault::Broker;
    let _alone = is_alone.then(|| BROKER.write().unwrap_or_else(PoisonError::into_inner));
    let _shared = (!is_alone).then(|| BROKER.read().unwrap_or_else(PoisonError::into_inner));
    let _proxied =
        fault.is_proxied().then(|| PROXIED.lock().unwrap_or_else(PoisonError::into_inner));
    let mut found = Found::default();
    for seed in (dose.seed..).take(dose.runs) {
        one(fault, dose, seed, &mut found);
        tell(&found);
    }
    found
}

impl Fault {
    /// Whether the service reaches its broker by the proxy.
    const fn is_proxied(self) -> bool {
        matches!(
            self,
            Self::KillAtStep
                | Self::KillHalfway
                | Self::LateEndTxn
                | Self::UnknownOutcome
                | Self::LostReply
        )
    }

    /// Whether a process that is started again is known to the group.
    const fn is_static(self) -> bool {
        matches!(self, Self::KillStatic) || self.is_proxied()
    }
}

/// One deployment: a feed, the faults, the end, and what is left.
fn one(fault: Fault, dose: &Dose, seed: u64, found: &mut Found) {
    let folder = tempfile::tempdir().unwrap();
    let mut deployment = Deployment::new("faults");
    let location = Location::Folder(folder.path().to_owned());
    deployment.snapshots = dose.snapshots.map(|interval| (location, interval));
    let mut fleet = Fleet::new(&deployment, fault.is_static()).without(dose.without);
    if fault.is_proxied() {
        PROXY.set(Harm::None);
        let bootstrap = format!("kafka.bootstrap_servers={}", PROXY.address());
        fleet = fleet.set(bootstrap).set(SOCKET_TIMEOUT.to_owned());
    }
    let processes = if fault.is_proxied() { 1 } else { dose.processes };
    (0..processes).for_each(|_| fleet.add());
    let feed = Feed::start(&deployment, seed, dose.flow);
    let (dice, group) = (Dice::new(seed), deployment.group());
    let mut run = Run { deployment: &deployment, group, fleet, dice, found, is_stuck: false };
    run.begin();
    for time in 0..dose.times {
        run.pause(2_000);
        run.inject(fault, time);
        if run.is_stuck {
            break;
        }
    }
    run.found.events += feed.finish();
    let is_whole = !run.is_stuck && run.reach(&ends(&deployment));
    run.found.exits += run.fleet.exits;
    run.fleet.stop();
    let history = History::of(&deployment);
    found.runs += 1;
    found.stuck += usize::from(!is_whole);
    let records: usize = history.outputs.values().map(Vec::len).sum();
    assert!(records > 0, "a run that publishes nothing shows nothing");
    found.records += records;
    let anomalies = history.check();
    if anomalies.is_empty() {
        deployment.delete();
    }
    found.anomalies.extend(anomalies);
}

/// A deployment under load.
struct Run<'a> {
    deployment: &'a Deployment,
    group: Group,
    fleet: Fleet<'a>,
    dice: Dice,
    found: &'a mut Found,
    /// It did not get over a fault.
    is_stuck: bool,
}

impl Run<'_> {
    fn inject(&mut self, fault: Fault, time: usize) {
        match fault {
            Fault::Kill | Fault::KillStatic => self.kill(),
            // Each kind is heard at every other time it comes.
            Fault::KillAtStep => {
                let nth = 1 + self.dice.below(TRANSACTIONS);
                let (key, is_heard) = (STEPS[time % STEPS.len()], time % 2 == 1);
                self.kill_at(Harm::Halt { key, nth, is_heard });
            }
            Fault::KillHalfway => self.kill_halfway(),
            Fault::Zombie => self.zombie(),
            Fault::Storm => self.storm(),
            Fault::Broker => self.restart(if time.is_multiple_of(2) { "KILL" } else { "TERM" }),
            Fault::LateEndTxn => self.hold(),
            Fault::UnknownOutcome => self.silence(),
            Fault::LostReply => self.lose(LOSSES[time % LOSSES.len()]),
        }
    }

    fn kill(&mut self) {
        let (member, since) = (self.dice.below(self.fleet.len()), now());
        self.fleet.kill(member);
        self.recover(since);
    }

    /// Kills the first process where the proxy halts it.
    fn kill_at(&mut self, halt: Harm) {
        PROXY.set(halt);
        self.kill_halted();
    }

    fn kill_halted(&mut self) {
        let is_halted = self.fleet.mend_until(FAULT_PATIENCE, || PROXY.is_halted());
        let since = now();
        if is_halted {
            self.fleet.kill(0);
        }
        PROXY.set(Harm::None);
        if is_halted {
            self.recover(since);
        }
    }

    /// A second member joins, the first joins too, and is to join once more when it has given partitions up.
    fn kill_halfway(&mut self) {
        PROXY.set(Harm::Halt { key: proxy::JOIN_GROUP, nth: 3, is_heard: false });
        self.fleet.add();
        self.kill_halted();
    }

    fn zombie(&mut self) {
        let (member, since) = (self.dice.below(self.fleet.len()), now());
        self.fleet.signal(member, "STOP");
        // The session is over when the others have taken its partitions.
        self.recover(since);
        self.pause(5_000);
        self.fleet.signal(member, "CONT");
        self.pause(1_000);
    }

    fn storm(&mut self) {
        let since = now();
        for _ in 0..2 {
            self.fleet.add();
            self.pause(1_500);
        }
        for _ in 0..2 {
            self.fleet.remove();
            self.pause(500);
        }
        self.recover(since);
    }

    fn restart(&mut self, signal: &str) {
        let since = now();
        restart_broker(signal);
        self.recover(since);
    }

    /// An EndTxn is late by one transaction.
    fn hold(&mut self) {
        let since = now();
        PROXY.set(Harm::HoldEndTxn);
        if self.fleet.mend_until(FAULT_PATIENCE, || !PROXY.late().is_empty()) {
            let is_accepted = PROXY.late().contains(&proxy::NONE);
            self.found.late_accepted += usize::from(is_accepted);
            PROXY.set(Harm::None);
            self.recover(since);
        }
    }

    /// Nothing is heard of a transaction's end until the service has given up waiting.
    fn silence(&mut self) {
        let (producers, since) = (PROXY.passed(proxy::INIT_PRODUCER_ID), now());
        PROXY.set(Harm::LoseReplies(proxy::END_TXN));
        // A control run goes on with the same producer.
        let patience = Duration::from_secs(15);
        let has_given_up = || producers < PROXY.passed(proxy::INIT_PRODUCER_ID);
        self.fleet.mend_until(patience, has_given_up);
        let is_harmed = PROXY.lost() > 0;
        PROXY.set(Harm::None);
        if is_harmed {
            self.recover(since);
        }
    }

    fn lose(&mut self, key: ApiKey) {
        let since = now();
        PROXY.set(Harm::LoseReply(key));
        if matches!(key, proxy::INIT_PRODUCER_ID | proxy::OFFSET_FETCH) {
            // Asked for only by a process that begins.
            self.fleet.kill(0);
        }
        if self.fleet.mend_until(FAULT_PATIENCE, || PROXY.lost() > 0) {
            self.recover(since);
        }
        PROXY.set(Harm::None);
    }

    /// Up to so many milliseconds, by chance.
    fn pause(&mut self, up_to_ms: usize) {
        let pause = u64::try_from(self.dice.below(up_to_ms)).unwrap();
        thread::sleep(Duration::from_millis(pause));
    }

    /// Waits until every partition is served, and what came first is handled.
    fn begin(&mut self) {
        let begun: Vec<i64> = ends(self.deployment).into_iter().map(|end| end.max(1)).collect();
        assert!(self.reach(&begun), "the service does not begin");
    }

    /// A fault came about at `since`: waits until every partition has gone on, past what its log held by now.
    fn recover(&mut self, since: Instant) {
        self.found.injected += 1;
        let beyond: Vec<i64> = ends(self.deployment).into_iter().map(|end| end + 1).collect();
        self.is_stuck = !self.reach(&beyond);
        if !self.is_stuck {
            self.found.recoveries.push(since.elapsed());
        }
    }

    /// Waits until the group has committed up to `ends`; whether it did.
    fn reach(&mut self, ends: &[i64]) -> bool {
        let group = &self.group;
        let is_there = |committed: Vec<i64>| committed.iter().zip(ends).all(|(at, end)| end <= at);
        self.fleet.mend_until(PATIENCE, || offsets(group).is_some_and(is_there))
    }
}

fn offsets(group: &Group) -> Option<Vec<i64>> {
    Some(group.committed()?.into_iter().map(|(offset, _)| offset).collect())
}
