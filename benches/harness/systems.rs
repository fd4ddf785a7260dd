//! What is measured: goodfaith in two ways, the peers, and two floors; how each is started and where it publishes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::broker::Broker;
use crate::oracle::Changes;

/// A peer exits so if it cannot be built on this machine.
const CANNOT_BE_BUILT: i32 = 3;

/// One system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Goodfaith {
        is_exactly_once: bool,
    },
    /// The folder below `benches/peers`, and the kind of store.
    Peer {
        name: &'static str,
        store: &'static str,
    },
    /// Batches are fetched, bytes are counted.
    Drain,
    /// goodfaith's engine on one thread, without Kafka.
    Alone,
}

/// All of them, in the order of a round.
pub(crate) const ALL: [System; 9] = [
    System::Goodfaith { is_exactly_once: true },
    System::Peer { name: "kafka-streams", store: "memory" },
    System::Peer { name: "flink", store: "memory" },
    System::Drain,
    System::Alone,
    System::Goodfaith { is_exactly_once: false },
    System::Peer { name: "kafka-streams", store: "rocksdb" },
    System::Peer { name: "flink", store: "rocksdb" },
    System::Peer { name: "quix", store: "rocksdb" },
];

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Goodfaith { is_exactly_once: true } => f.write_str("goodfaith"),
            Self::Goodfaith { is_exactly_once: false } => f.write_str("goodfaith-at-least-once"),
            Self::Peer { name, store } => write!(f, "{name}-{store}"),
            Self::Drain => f.write_str("drain"),
            Self::Alone => f.write_str("model-alone"),
        }
    }
}

/// When goodfaith writes snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Snapshots {
    /// At the default interval.
    Usual,
    Never,
    /// So often that one is being written all the time.
    Always,
}

impl Snapshots {
    pub(crate) const ALL: [Self; 3] = [Self::Never, Self::Usual, Self::Always];

    /// The setting, where it is not the default.
    const fn setting(self) -> Option<&'static str> {
        match self {
            Self::Usual => None,
            Self::Never => Some("snapshot.enabled=false"),
            Self::Always => Some("snapshot.interval=1s"),
        }
    }
}

impl fmt::Display for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usual => "snapshots at the default interval",
            Self::Never => "no snapshots",
            Self::Always => "snapshots all the time",
        })
    }
}

/// What a run is started with.
#[derive(Debug, Clone)]
pub(crate) struct Launch<'a> {
    pub(crate) broker: &'a Broker,
    /// Of goodfaith's topics; the events topic is one of them, whoever reads it.
    pub(crate) prefix: &'a str,
    pub(crate) group: String,
    pub(crate) partitions: i32,
    pub(crate) threads: usize,
    pub(crate) commit_ms: u32,
    pub(crate) memory_mib: u32,
    pub(crate) state: PathBuf,
    pub(crate) snapshots: Snapshots,
}

impl Launch<'_> {
    pub(crate) fn input(&self) -> String {
        events_topic(self.prefix)
    }

    fn scores(&self) -> String {
        format!("{}.scores.v1", self.prefix)
    }

    fn peer_output(&self) -> String {
        format!("{}-scores", self.group)
    }

    /// Is `topic` one that this run made?
    pub(crate) fn made(&self, topic: &str) -> bool {
        let is_ours = topic.starts_with(&format!("{}.", self.prefix)) && topic != self.input();
        is_ours || topic.starts_with(&self.group)
    }
}

/// The input of a workload whose topics begin with `prefix`.
pub(crate) fn events_topic(prefix: &str) -> String {
    format!("{prefix}.events.v1")
}

impl System {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|system| system.to_string() == name)
    }

    /// Publishes nothing: there to show how far the others are from what is possible.
    pub(crate) const fn is_floor(self) -> bool {
        matches!(self, Self::Drain | Self::Alone)
    }

    /// Makes it ready to run; what is missing if that cannot be done here.
    pub(crate) fn build(self) -> Result<(), String> {
        let Self::Peer { name, .. } = self else { return Ok(()) };
        let program = program(name);
        if !program.is_file() {
            return Err(format!("there is no benches/peers/{name}/peer"));
        }
        let done = Command::new(&program).arg("build").stdin(Stdio::null()).output();
        let done = done.map_err(|error| format!("{}: {error}", program.display()))?;
        let words = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        match done.status.code() {
            Some(0) => Ok(()),
            Some(CANNOT_BE_BUILT) => Err(words),
            _ => panic!("{name} does not build: {words}"),
        }
    }

    /// Makes the topic it writes to, where it does not make its own.
    pub(crate) fn prepare(self, launch: &Launch<'_>) {
        if matches!(self, Self::Peer { .. }) {
            launch.broker.create(&launch.peer_output(), launch.partitions);
        }
    }

    pub(crate) fn command(self, launch: &Launch<'_>) -> Command {
        let mut command = match self {
            Self::Goodfaith { is_exactly_once } => goodfaith(launch, is_exactly_once),
            Self::Peer { name, store } => peer(launch, name, store),
            Self::Drain => floor(launch, "drain"),
            Self::Alone => floor(launch, "alone"),
        };
        command.stdin(Stdio::null());
        command
    }

    /// Where its score changes are.
    pub(crate) fn output(self, launch: &Launch<'_>) -> String {
        match self {
            Self::Goodfaith { .. } => launch.scores(),
            Self::Peer { .. } | Self::Drain | Self::Alone => launch.peer_output(),
        }
    }

    /// How many customers' outputs differ from the `expected` within what is allowed; why, if they do not count as the same.
    pub(crate) fn check(self, launch: &Launch<'_>, expected: &Changes) -> Result<usize, String> {
        let (broker, output) = (launch.broker, self.output(launch));
        match self {
            Self::Goodfaith { .. } => {
                expected.check_bytes(&Changes::of_goodfaith(broker, &output)?)
            }
            Self::Peer { .. } => expected.check_scores(&Changes::of_peer(broker, &output)?),
            Self::Drain | Self::Alone => Ok(0),
        }
    }
}

fn goodfaith(launch: &Launch<'_>, is_exactly_once: bool) -> Command {
    let delivery = if is_exactly_once { "exactly-once" } else { "at-least-once" };
    let mut command = Command::new(env!("CARGO_BIN_EXE_goodfaith"));
    command.arg("run").stdout(Stdio::null());
    for setting in [
        format!("kafka.bootstrap_servers={}", launch.broker.bootstrap),
        format!("kafka.group_id={}", launch.group),
        format!("kafka.topic_prefix={}", launch.prefix),
        format!("kafka.workers={}", launch.threads),
        format!("kafka.delivery={delivery}"),
        format!("kafka.commit_interval={}ms", launch.commit_ms),
        "kafka.create_topics=true".to_owned(),
        format!("kafka.partitions={}", launch.partitions),
        format!("policy.file={}", policy_file().display()),
        format!("snapshot.url={}", launch.state.display()),
        "http.listen=127.0.0.1:0".to_owned(),
        "log.filter=error".to_owned(),
    ] {
        command.args(["--set", &setting]);
    }
    if let Some(setting) = launch.snapshots.setting() {
        command.args(["--set", setting]);
    }
    command
}

fn peer(launch: &Launch<'_>, name: &str, store: &str) -> Command {
    let mut command = Command::new(program(name));
    command
        .arg("run")
        .args(["--bootstrap", &launch.broker.bootstrap])
        .args(["--input", &launch.input()])
        .args(["--output", &launch.peer_output()])
        .args(["--group", &launch.group])
        .args(["--partitions", &launch.partitions.to_string()])
        .arg("--state-dir")
        .arg(&launch.state)
        .args(["--store", store])
        .args(["--threads", &launch.threads.to_string()])
        .args(["--commit-ms", &launch.commit_ms.to_string()])
        .args(["--memory-mib", &launch.memory_mib.to_string()])
        .stdout(Stdio::null());
    command
}

fn floor(launch: &Launch<'_>, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg(role)
        .args([&launch.broker.bootstrap, &launch.input(), &launch.partitions.to_string()])
        .stdout(Stdio::piped());
    command
}

fn program(name: &str) -> PathBuf {
    peers().join(name).join("peer")
}

/// The subset as a policy.
pub(crate) fn policy_file() -> PathBuf {
    peers().join("policy.toml")
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}
