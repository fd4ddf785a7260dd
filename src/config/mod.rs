//! What the service is told to do: a TOML file, over it the environment (`GOODFAITH__SECTION__KEY`), over that flags
//! (`--set section.key=value`). Holding a [`Config`] means all of it was checked, the policy and the secrets it names included.
//! It starts nothing, and never shows a secret: neither in `Debug` nor in what it prints.

mod kafka;
mod layers;
mod limits;
mod raw;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tracing_subscriber::EnvFilter;

use self::layers::Layers;
use self::raw::{RawConfig, RawLogFormat};
use crate::engine::RollUps;
use crate::kafka::KafkaSettings;
use crate::model::{Policy, PolicyError};
use crate::snapshot::SnapshotSettings;

/// Everything `goodfaith run` needs to know.
#[derive(Debug)]
pub struct Config {
    /// The brokers, the topics, and how to work on them.
    pub kafka: KafkaSettings,
    /// Where snapshots go, and how often; `None`: there are none.
    pub snapshot: Option<SnapshotSettings>,
    /// Where HTTP listens.
    pub listen: SocketAddr,
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// Publish every evidence too.
    pub audit: bool,
    /// What becomes of roll-ups over the organisation.
    pub roll_ups: RollUps,
    /// What is logged, and how.
    pub log: LogSettings,
    effective: RawConfig,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Lines for people or for programs.
    pub format: LogFormat,
    /// Directives of `tracing_subscriber::EnvFilter`, known to be valid.
    pub filter: String,
}

/// How a line of log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A setting is unknown or wrong.
    #[error("{origin}: {problem}")]
    Wrong {
        /// `file:line:column`, the variable, or the flag.
        origin: String,
        /// The key, what is wrong with it, and what would be right.
        problem: String,
    },
    /// The policy file is unreadable or wrong.
    #[error("{origin}: policy.file: cannot use {}", path.display())]
    Policy {
        /// Where `policy.file` is set.
        origin: String,
        /// The policy file.
        path: PathBuf,
        /// Why.
        source: PolicyFileError,
    },
}

/// Why a policy file is refused.
#[derive(Debug, Error)]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It says something wrong.
    #[error(transparent)]
    Wrong(#[from] PolicyError),
}

/// A setting that is well-formed but not right.
#[derive(Debug)]
struct Invalid {
    key: Vec<String>,
    problem: String,
}

impl Config {
    /// Reads `file`, lays `environment` and then `flags` (each `section.key=value`) over it, and checks the result. Without a
    /// file every setting comes from the other two. Files named inside are looked for beside `file`.
    ///
    /// # Errors
    /// If a file or secret cannot be read, or a setting is unknown, missing or wrong. The message names where it was set.
    pub fn load(
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
        flags: &[String],
    ) -> Result<Self, ConfigError> {
        let layers = Layers::read(file, environment, flags)?;
        let folder = file.and_then(Path::parent).unwrap_or_else(|| Path::new(""));
        let wrong = |invalid: Invalid| layers.wrong(&invalid.key, &invalid.problem);
        let raw = layers.raw.clone();
        let limits = limits::limits(&raw.stops, &raw.limits).map_err(wrong)?;
        Ok(Self {
            kafka: kafka::settings(&raw.kafka, limits, folder, environment).map_err(wrong)?,
            snapshot: snapshot(&raw).map_err(wrong)?,
            listen: listen(&raw).map_err(wrong)?,
            policy: Arc::new(policy(&raw, folder, &layers)?),
            audit: raw.audit.evidence,
            roll_ups: if raw.organisation.publish { RollUps::Published } else { RollUps::Off },
            log: log(&raw).map_err(wrong)?,
            effective: raw,
        })
    }

    /// Whether `environment` sets anything.
    pub fn is_in(environment: &BTreeMap<String, String>) -> bool {
        environment.keys().any(|name| name.starts_with(layers::PREFIX))
    }

    /// Every setting in force as TOML, defaults written out and secrets masked.
    ///
    /// # Panics
    /// Never: what was read from TOML can be written as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(&self.effective).expect("settings are tables of plain values")
    }

    /// As [`Config::to_toml`], as one JSON object.
    ///
    /// # Panics
    /// Never: settings are plain values.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.effective).expect("settings are objects of plain values")
    }
}

/// A shorter interval would write more than it saves.
const SNAPSHOT_INTERVALS: kafka::Durations =
    (Duration::from_secs(1), Duration::from_secs(86_400), "1s to 1d");

fn invalid<T>(key: &str, problem: impl fmt::Display) -> Result<T, Invalid> {
    let key = key.split('.').map(str::to_owned).collect();
    Err(Invalid { key, problem: problem.to_string() })
}

fn listen(raw: &RawConfig) -> Result<SocketAddr, Invalid> {
    let Ok(address) = raw.http.listen.parse::<SocketAddr>() else {
        let problem =
            format!("`{}` is not an address and port, as in \"127.0.0.1:9464\"", raw.http.listen);
        return invalid("http.listen", problem);
    };
    if address.ip().is_loopback() || raw.http.allow_remote {
        return Ok(address);
    }
    let problem = format!(
        "{address} can be reached from other machines, and whoever reaches it reads customers' scores: \
         listen on 127.0.0.1, or set http.allow_remote = true"
    );
    invalid("http.listen", problem)
}

fn snapshot(raw: &RawConfig) -> Result<Option<SnapshotSettings>, Invalid> {
    let raw = &raw.snapshot;
    let location = raw.url.parse();
    let location = location.or_else(|error| invalid("snapshot.url", error))?;
    let interval = kafka::duration("snapshot.interval", &raw.interval, SNAPSHOT_INTERVALS)?;
    Ok(raw.enabled.then_some(SnapshotSettings { location, interval }))
}

fn policy(raw: &RawConfig, folder: &Path, layers: &Layers) -> Result<Policy, ConfigError> {
    let Some(file) = &raw.policy.file else { return Ok(Policy::default()) };
    let path = folder.join(file);
    read_policy(&path).map_err(|source| ConfigError::Policy {
        origin: layers.origin(&["policy".to_owned(), "file".to_owned()]),
        path,
        source,
    })
}

/// The policy in `path`: JSON if it is named so, else TOML.
fn read_policy(path: &Path) -> Result<Policy, PolicyFileError> {
    let text = std::fs::read_to_string(path)?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    Ok(if is_json { Policy::from_json(&text) } else { Policy::from_toml(&text) }?)
}

fn log(raw: &RawConfig) -> Result<LogSettings, Invalid> {
    let filter = raw.log.filter.clone();
    if let Err(error) = EnvFilter::try_new(&filter) {
        return invalid(
            "log.filter",
            format_args!(
                "`{filter}`: {error}; write for example \"info\" or \"warn,goodfaith=debug\""
            ),
        );
    }
    let format = match raw.log.format {
        RawLogFormat::Text => LogFormat::Text,
        RawLogFormat::Json => LogFormat::Json,
    };
    Ok(LogSettings { format, filter })
}
