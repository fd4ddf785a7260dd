//! Kafka, as far as its settings.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::wire::Encoding;

/// How sure an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// One transaction holds offsets and outputs.
    #[default]
    ExactlyOnce,
    /// Offsets follow outputs: a crash repeats some.
    AtLeastOnce,
}

/// What the Kafka side is started with.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, commas between.
    pub bootstrap_servers: String,
    /// The consumer group.
    pub group_id: String,
    /// Makes the member static.
    pub instance_id: Option<String>,
    /// What our topics' names start with.
    pub prefix: String,
    /// Worker threads.
    pub workers: usize,
    /// How sure an output is.
    pub delivery: Delivery,
    /// Longest time between commits.
    pub commit_interval: Duration,
    /// How outputs are written.
    pub encoding: Encoding,
    /// Create missing topics.
    pub create_topics: bool,
    /// Of the events topic when creating it.
    pub partitions: i32,
    /// Of topics created; −1: the broker's default.
    pub replication_factor: i32,
    /// Silence after which an idle partition's clock ticks; `None`: never.
    pub idle_after: Option<Duration>,
    /// Passed to librdkafka; secret values are never shown.
    pub properties: BTreeMap<String, String>,
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings").finish_non_exhaustive()
    }
}
