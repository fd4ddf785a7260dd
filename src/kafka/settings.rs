//! How to reach Kafka, and what the service insists on whatever the settings say.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;

use super::breaker::DeadLetterLimit;
use super::error::{Error, Result};
use crate::engine::RollUps;
use crate::model::Policy;
use crate::wire::Encoding;

/// How often an output may appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Once, under `read_committed`, whatever fails: every batch is a transaction.
    #[default]
    ExactlyOnce,
    /// Once or, after a failure, again with the same id: no transactions.
    AtLeastOnce,
}

/// How the members of the group come to terms about partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProtocol {
    /// By the members, which all brokers know.
    #[default]
    Classic,
    /// By the broker (KIP-848): Kafka 4.0 or later, dynamic members only. Timeouts are the broker's settings.
    Consumer,
}

/// How to reach Kafka and what to do there.
#[derive(Clone)]
pub struct KafkaSettings {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// The consumer group, and the first part of every transactional id.
    pub group_id: String,
    /// Makes the members static: a restart within the session timeout keeps its partitions. One process, one id.
    pub instance_id: Option<String>,
    /// How the members of the group come to terms.
    pub group_protocol: GroupProtocol,
    /// What our topics' names begin with; `goodfaith` unless there is reason.
    pub prefix: String,
    /// Threads, each with a consumer and a producer, at least 1.
    pub workers: usize,
    /// How often an output may appear.
    pub delivery: Delivery,
    /// How long a transaction collects before it is committed: 1 ms to 5 s.
    pub commit_interval: Duration,
    /// How outputs are written.
    pub encoding: Encoding,
    /// Create the topics that do not exist.
    pub create_topics: bool,
    /// Partitions of a topic we create, at least 1.
    pub partitions: i32,
    /// Copies of a topic we create; −1 leaves it to the broker.
    pub replication_factor: i32,
    /// Silence after which an idle partition's clock is advanced; `None`: never.
    pub idle_after: Option<Duration>,
    /// Advance the clocks of idle partitions even when none has traffic.
    pub ticks_without_traffic: bool,
    /// What to stop or pause for.
    pub limits: Limits,
    /// Passed on to librdkafka by name, security included. Never logged.
    pub properties: BTreeMap<String, String>,
}

/// What to stop or pause for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Dead letters that stop a partition until somebody resumes it.
    pub dead_letters: DeadLetterLimit,
    /// Estimated size of all customers of the process, in bytes, at which its partitions pause until it is less; `None`: never.
    pub state_bytes: Option<u64>,
}

/// What to score with.
#[derive(Debug, Clone)]
pub struct Scoring {
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// Publish every evidence too.
    pub audit: bool,
    /// What becomes of roll-ups over the organisation.
    pub roll_ups: RollUps,
}

/// Properties the guarantees rest on.
const RESERVED: [&str; 18] = [
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "enable.gapless.guarantee",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "partitioner",
    "acks",
    "request.required.acks",
    "transactional.id",
    "client.id",
];

/// Properties of members that come to terms by themselves; else the broker sets them.
const CLASSIC: [&str; 3] = ["group.protocol.type", "heartbeat.interval.ms", "session.timeout.ms"];

/// Largest record produced: a dead letter is as large as the record it sets aside, and its reasons.
pub(super) const MAX_RECORD_BYTES: &str = "10485760";

/// Longest time a record waits for others to be sent with; else a quarter of the commit interval.
const LONGEST_LINGER: Duration = Duration::from_millis(25);
/// How long the broker keeps a fetch waiting, at least and at most, while there is little to read.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

impl KafkaSettings {
    /// Whether the settings can be run with.
    ///
    /// # Errors
    /// A setting out of its range, or a property that is reserved, or that librdkafka does not know.
    pub fn check(&self) -> Result<()> {
        let is_committable =
            (Duration::from_millis(1)..=Duration::from_secs(5)).contains(&self.commit_interval);
        let is_by_broker = self.group_protocol == GroupProtocol::Consumer;
        let rules = [
            ("bootstrap_servers", !self.bootstrap_servers.is_empty(), "host:port"),
            ("group_id", !self.group_id.is_empty(), "a name"),
            ("topic_prefix", !self.prefix.is_empty(), "a name"),
            ("workers", self.workers >= 1, "at least 1"),
            ("partitions", self.partitions >= 1, "at least 1"),
            ("commit_interval", is_committable, "from 1 ms to 5 s"),
            (
                "instance_id",
                self.instance_id.is_none() || !is_by_broker,
                "unset with group_protocol = \"consumer\": static members want \"classic\"",
            ),
        ];
        for (key, holds, expected) in rules {
            if !holds {
                return Err(Error::Setting { key, expected });
            }
        }
        let is_classic = |key: &&String| is_by_broker && CLASSIC.contains(&key.as_str());
        if let Some(key) = self.properties.keys().find(is_classic) {
            let reason =
                "is for group_protocol = \"classic\": with \"consumer\" the broker sets it";
            return Err(Error::Property { key: key.clone(), reason: reason.to_owned() });
        }
        match self.properties.keys().find(|key| RESERVED.contains(&key.as_str())) {
            Some(key) => Err(Error::ReservedProperty { key: key.clone() }),
            None => self
                .admin()
                .create_native_config()
                .map(drop)
                .map_err(Error::while_doing("reading kafka.properties")),
        }
    }

    /// `defaults` that `properties` may change, then what it may not.
    fn config(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers).set("client.id", "goodfaith");
        // A dead connection shows within 5 s, so that a transaction that hangs on it can still be ended within its timeout.
        config.set("socket.timeout.ms", "5000");
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        for (key, value) in fixed {
            config.set(*key, *value);
        }
        config
    }

    /// A worker's consumer: a member of the group whose positions are always explicit.
    pub(super) fn member(&self, worker: usize) -> ClientConfig {
        let wait = (self.commit_interval / 10).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        let wait_ms = wait.as_millis().to_string();
        let mut config = self.config(
            &[
                // The default of 1000 stops fetching for a second whenever the local queue is full.
                ("fetch.queue.backoff.ms", "10"),
                // In a stream that flows, fewer answers that hold more. One that holds less waits a tenth of what a commit does, and so
                // does a partition just restored, which is fetched only after the request under way.
                ("fetch.min.bytes", "32768"),
                ("fetch.wait.max.ms", &wait_ms),
                // What a worker has fetched and not handled: the queue of all its partitions, and the answers under way. Of each
                // partition some 30 ms of work, not the default of 100000: a record in the queue takes hundreds of bytes besides its
                // own, which alone are counted.
                ("queued.min.messages", "10000"),
                ("queued.max.messages.kbytes", "65536"),
                ("fetch.message.max.bytes", "1048576"),
                // Below what the allocator gives back to the system at once, to get it as fresh pages for the next answer.
                ("fetch.max.bytes", "4194304"),
            ],
            &[
                ("group.id", &self.group_id),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("isolation.level", "read_committed"),
                // What a producer may send: of no use here, but refused if it is more than `fetch.max.bytes`.
                ("message.max.bytes", "1000000"),
                // The batch call takes the end of a partition for a record: after a rebalance librdkafka would read on one
                // record too far.
                ("enable.partition.eof", "false"),
            ],
        );
        match self.group_protocol {
            GroupProtocol::Classic => {
                config.set("partition.assignment.strategy", "cooperative-sticky");
                if !self.properties.contains_key("session.timeout.ms") {
                    config.set("session.timeout.ms", "45000");
                }
            }
            GroupProtocol::Consumer => {
                config.set("group.protocol", "consumer");
            }
        }
        if let Some(instance) = &self.instance_id {
            config.set("group.instance.id", format!("{instance}-{worker}"));
        }
        config
    }

    /// A reader of whole topics, a member of no group.
    pub(super) fn reader(&self) -> ClientConfig {
        self.config(
            &[
                ("fetch.queue.backoff.ms", "10"),
                ("fetch.wait.max.ms", "100"),
                ("queued.max.messages.kbytes", "16384"),
                ("fetch.max.bytes", "16777216"),
            ],
            &[
                // librdkafka wants a name; nothing is ever joined or committed under it.
                ("group.id", &format!("{}.reader", self.group_id)),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("isolation.level", "read_committed"),
                ("enable.partition.eof", "true"),
            ],
        )
    }

    /// A client that reads and writes the offsets of `group` without being a member of it.
    pub(super) fn outsider(&self, group: &str) -> ClientConfig {
        let mut config = self.reader();
        config.set("group.id", group);
        config
    }

    /// A worker's producer. `instance` is the process's: [`KafkaSettings::instance_id`], or random for the life of the process, so that
    /// two dynamic members never fence each other by name (the group's generation does that).
    pub(super) fn producer(&self, instance: &str, worker: usize) -> ClientConfig {
        let linger_ms = (self.commit_interval / 4).min(LONGEST_LINGER).as_millis().to_string();
        let mut config = self.config(
            &[
                ("compression.type", "lz4"),
                // Nothing shows before the commit, which does not wait for it: in larger batches a record costs half.
                ("linger.ms", &linger_ms),
                ("message.max.bytes", MAX_RECORD_BYTES),
                // What is produced and not acknowledged. When it is full, handling waits for acknowledgements.
                ("queue.buffering.max.messages", "100000"),
                ("queue.buffering.max.kbytes", "65536"),
                ("retry.backoff.ms", "5"),
                // Every broker is connected to at once. Else whoever asks for the coordinator of its transactions before a broker that it
                // learned of is connected to waits half a second, and a worker has two producers.
                ("enable.sparse.connections", "false"),
            ],
            &[
                // Keys land where the JVM's default partitioner puts them.
                ("partitioner", "murmur2_random"),
                ("enable.idempotence", "true"),
            ],
        );
        if self.delivery == Delivery::ExactlyOnce {
            config.set("transactional.id", format!("{}/{instance}/{worker}", self.group_id));
            if !self.properties.contains_key("transaction.timeout.ms") {
                config.set("transaction.timeout.ms", "10000");
            }
        }
        config
    }

    /// A client for topics and their settings.
    pub(super) fn admin(&self) -> ClientConfig {
        self.config(&[], &[])
    }
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of the properties only the names: any value may be a secret.
        f.debug_struct("KafkaSettings")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("group_id", &self.group_id)
            .field("instance_id", &self.instance_id)
            .field("group_protocol", &self.group_protocol)
            .field("prefix", &self.prefix)
            .field("workers", &self.workers)
            .field("delivery", &self.delivery)
            .field("commit_interval", &self.commit_interval)
            .field("encoding", &self.encoding)
            .field("create_topics", &self.create_topics)
            .field("partitions", &self.partitions)
            .field("replication_factor", &self.replication_factor)
            .field("idle_after", &self.idle_after)
            .field("ticks_without_traffic", &self.ticks_without_traffic)
            .field("limits", &self.limits)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn settings() -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: "localhost:9092".to_owned(),
            group_id: "goodfaith".to_owned(),
            instance_id: None,
            group_protocol: GroupProtocol::Classic,
            prefix: "goodfaith".to_owned(),
            workers: 1,
            delivery: Delivery::ExactlyOnce,
            commit_interval: Duration::from_millis(100),
            encoding: Encoding::default(),
            create_topics: false,
            partitions: 8,
            replication_factor: 1,
            idle_after: None,
            ticks_without_traffic: false,
            limits: Limits::default(),
            properties: BTreeMap::new(),
        }
    }

    fn with_property(key: &str, value: &str) -> KafkaSettings {
        let properties = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        KafkaSettings { properties, ..settings() }
    }

    #[test]
    fn no_property_can_weaken_the_guarantees() {
        for key in RESERVED {
            let refused = with_property(key, "x").check();
            assert!(matches!(refused, Err(Error::ReservedProperty { .. })), "{key}");
        }
        with_property("sasl.password", "x").check().unwrap();
        settings().check().unwrap();
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", with_property("sasl.password", "hunter2"));
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
        let error = with_property("sasl.passwrod", "hunter2").admin().create_native_config().err();
        let shown = Error::while_doing("connecting")(error.expect("no such property")).to_string();
        assert!(shown.contains("sasl.passwrod") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_property_changes_a_default() {
        let settings = with_property("session.timeout.ms", "6000");
        assert_eq!(settings.member(0).get("session.timeout.ms"), Some("6000"));
        assert_eq!(settings.producer("a", 0).get("session.timeout.ms"), Some("6000"));
    }

    #[test]
    fn a_group_formed_by_the_broker_has_no_setting_of_a_classic_one() {
        let by_broker =
            |settings| KafkaSettings { group_protocol: GroupProtocol::Consumer, ..settings };
        let member = by_broker(settings()).member(0);
        by_broker(settings()).check().unwrap();
        assert_eq!(member.get("group.protocol"), Some("consumer"));
        for key in CLASSIC.iter().chain(&["partition.assignment.strategy"]) {
            assert_eq!(member.get(key), None, "{key}");
        }
        for key in CLASSIC {
            with_property(key, "6000").check().unwrap();
            let told = by_broker(with_property(key, "6000")).check().unwrap_err().to_string();
            assert!(told.contains(key) && told.contains("the broker sets it"), "{told}");
        }
    }

    #[test]
    fn a_producer_may_be_told_of_larger_records_than_one_fetch_holds() {
        let settings = with_property("message.max.bytes", "20000000");
        settings.member(0).create_native_config().unwrap();
        assert_eq!(settings.producer("a", 0).get("message.max.bytes"), Some("20000000"));
    }

    #[test]
    fn what_the_client_holds_is_bounded() {
        let settings = settings();
        for (config, keys) in [
            (settings.member(0), &["queued.max.messages.kbytes", "fetch.max.bytes"][..]),
            (settings.reader(), &["queued.max.messages.kbytes", "fetch.max.bytes"]),
            (settings.producer("a", 0), &["queue.buffering.max.kbytes"]),
        ] {
            assert!(keys.iter().all(|key| config.get(key).is_some()), "{keys:?}");
            config.create_native_config().unwrap();
        }
    }

    #[test]
    fn static_members_want_the_classic_protocol() {
        let instance_id = Some("a".to_owned());
        let settings = KafkaSettings { instance_id, ..settings() };
        settings.check().unwrap();
        assert_eq!(settings.member(2).get("group.instance.id"), Some("a-2"));
        let settings = KafkaSettings { group_protocol: GroupProtocol::Consumer, ..settings };
        insta::assert_snapshot!(settings.check().unwrap_err(), @r#"kafka.instance_id must be unset with group_protocol = "consumer": static members want "classic""#);
    }

    #[test]
    fn an_interval_out_of_range_is_refused() {
        for interval in [Duration::ZERO, Duration::from_secs(6)] {
            let settings = KafkaSettings { commit_interval: interval, ..settings() };
            assert!(matches!(settings.check(), Err(Error::Setting { key: "commit_interval", .. })));
        }
    }

    #[test]
    fn only_exactly_once_is_transactional() {
        let id = |delivery| {
            let settings = KafkaSettings { delivery, ..settings() };
            settings.producer("i", 3).get("transactional.id").map(str::to_owned)
        };
        assert_eq!(id(Delivery::ExactlyOnce).as_deref(), Some("goodfaith/i/3"));
        assert_eq!(id(Delivery::AtLeastOnce), None);
    }
}
