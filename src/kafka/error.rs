//! Why the service cannot start or go on. What concerns one partition only is a refusal of that partition, told by a
//! [`Fact`](super::Fact), and not here.

use rdkafka::error::KafkaError;
use thiserror::Error;

/// Why the service cannot start, or ended.
#[derive(Debug, Error)]
pub enum Error {
    /// A property the service sets itself, because its guarantees rest on it.
    #[error("kafka.properties may not set `{key}`: the service sets it itself")]
    ReservedProperty {
        /// The property.
        key: String,
    },
    /// The client library knows no such property, or not that value. (The value stays untold: it may be a secret.)
    #[error("kafka.properties: `{key}`: {reason}")]
    Property {
        /// The property.
        key: String,
        /// What librdkafka says.
        reason: String,
    },
    /// A setting is out of its range.
    #[error("kafka.{key} must be {expected}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A topic does not exist.
    #[error("topic {topic} does not exist: create it, or set kafka.create_topics = true")]
    TopicMissing {
        /// The topic.
        topic: String,
    },
    /// A topic could not be created.
    #[error("topic {topic} could not be created: {reason}")]
    TopicNotCreated {
        /// The topic.
        topic: String,
        /// The broker's answer.
        reason: String,
    },
    /// Topics that belong together have different partition counts.
    #[error("topic {topic} has {found} partitions and should have {expected}")]
    PartitionCount {
        /// The topic.
        topic: String,
        /// Partitions it has.
        found: i32,
        /// Partitions it should have.
        expected: i32,
    },
    /// The reference log has lost its beginning, so older versions of the catalogue cannot be rebuilt.
    #[error(
        "topic {topic} begins at offset {start}: its older versions are lost. Set retention.ms=-1 and retention.bytes=-1 on it, \
         publish the catalogue again, and begin a new deployment (another group_id and topic_prefix)"
    )]
    ReferenceTruncated {
        /// The reference topic.
        topic: String,
        /// Its first offset.
        start: i64,
    },
    /// Another process runs with the same `instance_id`.
    #[error("another process has taken over this instance_id: give each process its own")]
    Fenced,
    /// The broker refuses access.
    #[error("access refused ({0}): check the ACLs of group and topics")]
    Unauthorized(KafkaError),
    /// No producer can be had to begin transactions with.
    #[error("transactions cannot be started: {reason}")]
    TransactionsNotStarted {
        /// What the client or the broker says.
        reason: String,
    },
    /// Transactions fail again and again.
    #[error("{attempts} transactions in a row came to nothing, the last one because: {reason}")]
    TransactionsFail {
        /// How many.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// A step of a restore does not come to an end.
    #[error(
        "partition {partition} could not be restored: {step} took longer than {seconds} s ({reason})"
    )]
    RestoreOverdue {
        /// The partition.
        partition: i32,
        /// What was waited for.
        step: &'static str,
        /// How long.
        seconds: u64,
        /// What was last heard.
        reason: String,
    },
    /// Somebody works on what is to be changed.
    #[error(
        "group {group} has members ({members}): stop the service first (a member with an instance_id is missed only after its session timeout)"
    )]
    GroupInUse {
        /// The group.
        group: String,
        /// Who they are, as far as the broker tells.
        members: String,
    },
    /// The offsets of the group are not ours.
    #[error(
        "{reason}: another program has committed offsets under group {group}, which is left alone"
    )]
    ForeignGroup {
        /// The group.
        group: String,
        /// What was found.
        reason: String,
    },
    /// A topic could not be emptied.
    #[error("topic {topic} could not be emptied: {reason}")]
    TopicNotEmptied {
        /// The topic.
        topic: String,
        /// The broker's answer.
        reason: String,
    },
    /// Somebody's transaction stays open.
    #[error(
        "topic {topic} has an open transaction that does not end within {seconds} s: see `kafka-transactions.sh find-hanging`"
    )]
    TransactionHangs {
        /// The topic.
        topic: String,
        /// How long was waited.
        seconds: u64,
    },
    /// Dead letters could not be sent again.
    #[error("the retry stopped: {reason}")]
    RetryStopped {
        /// What was last heard.
        reason: String,
    },
    /// The system has no randomness to give.
    #[error("no random bytes from the system: {0}")]
    Random(getrandom::Error),
    /// The system would not start a thread.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// A worker thread broke an invariant and ended.
    #[error("{} panicked: {message}", worker.map_or("the reference reader".to_owned(), |worker| format!("worker {worker}")))]
    Panicked {
        /// Which; `None`: the reader of the reference log.
        worker: Option<usize>,
        /// What it said.
        message: String,
    },
    /// Anything else the client or the broker says.
    #[error("{doing}: {error}")]
    Kafka {
        /// What was being done.
        doing: &'static str,
        /// The answer.
        error: KafkaError,
    },
}

/// A result of the service.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// For `map_err`: what was being done when the client or broker refused.
    pub(super) fn while_doing(doing: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |error| match error {
            KafkaError::ClientConfig(_, reason, key, _value) => Self::Property { key, reason },
            error => Self::Kafka { doing, error },
        }
    }
}
