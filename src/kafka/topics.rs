//! Our topics: their names, the settings they are created with, and what must hold of them before anything is read.
//!
//! It never changes a topic that exists.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{Client, ClientContext, DefaultClientContext};
use rdkafka::types::RDKafkaErrorCode;

use super::error::{Error, Result};
use super::native;
use super::settings::{KafkaSettings, MAX_RECORD_BYTES};
use crate::model::DAY_MS;

/// The topics of one deployment, by name.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    names: Vec<(&'static str, String)>,
}

/// What is known of the events topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventsTopic {
    /// `None` where the broker gives none.
    pub(super) id: Option<[u8; 16]>,
    pub(super) partition_count: i32,
}

const EVENTS: &str = "events";
const REFERENCE: &str = "reference";
const JOURNAL: &str = "journal";
const ORGANISATION: &str = "organisation";
const DAYS_7: &str = "604800000";
const DAYS_14: &str = "1209600000";
const DAYS_30: &str = "2592000000";
const DAYS_90: &str = "7776000000";

/// Every topic and its own settings. All have LogAppendTime, so that retention counts from arrival.
const TOPICS: [(&str, &[(&str, &str)]); 10] = [
    // Until there are snapshots the log must reach back to where scoring began.
    (EVENTS, &[("retention.ms", "-1"), ("retention.bytes", "-1")]),
    (REFERENCE, &[("retention.ms", "-1"), ("retention.bytes", "-1")]),
    (JOURNAL, &[("retention.ms", "-1"), ("retention.bytes", "-1")]),
    (
        "scores",
        &[
            ("cleanup.policy", "compact"),
            ("min.compaction.lag.ms", DAYS_7),
            ("max.compaction.lag.ms", DAYS_14),
            ("delete.retention.ms", DAYS_7),
        ],
    ),
    ("alerts", &[("retention.ms", DAYS_90)]),
    // Without a maximum an erased customer's last value could outlive its tombstone for ever.
    (
        "open-alerts",
        &[
            ("cleanup.policy", "compact"),
            ("max.compaction.lag.ms", DAYS_14),
            ("delete.retention.ms", DAYS_7),
        ],
    ),
    (
        "loyalty",
        &[
            ("cleanup.policy", "compact"),
            ("max.compaction.lag.ms", DAYS_14),
            ("delete.retention.ms", DAYS_7),
        ],
    ),
    (ORGANISATION, &[("cleanup.policy", "compact"), ("delete.retention.ms", DAYS_7)]),
    ("evidence", &[("retention.ms", DAYS_30)]),
    ("dead-letters", &[("retention.ms", DAYS_14), ("max.message.bytes", MAX_RECORD_BYTES)]),
];

/// How what is published about a customer leaves a topic of ours again, as we create it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The topic.
    pub topic: String,
    /// A tombstone removes it; otherwise it leaves by age.
    pub has_tombstone: bool,
    /// How long that takes at most, in days.
    pub days: i64,
}

/// How every topic that holds what we publish about customers forgets, in the order of the table.
///
/// The events themselves are not ours to forget; the reference, the journal and the sums over an organisation name no customer.
pub fn expiries(prefix: &str) -> Vec<Expiry> {
    let topics = TOPICS.into_iter().zip(Topics::new(prefix).names);
    let nobody = [EVENTS, REFERENCE, JOURNAL, ORGANISATION];
    let published = topics.filter(|((what, _), _)| !nobody.contains(what));
    published.map(|((_, own), (_, topic))| expiry(topic, own)).collect()
}

/// How old values leave an output topic at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clearing {
    /// By a tombstone for each key: it is compacted.
    Tombstones,
    /// By deleting its records: it keeps them by age.
    Deletion,
}

/// Every topic of outputs, dead letters included, and how it is cleared, in the order of the table.
pub(super) fn outputs(prefix: &str) -> Vec<(String, Clearing)> {
    let clearing = |own: &[(&str, &str)]| {
        let is_compacted = own.contains(&("cleanup.policy", "compact"));
        if is_compacted { Clearing::Tombstones } else { Clearing::Deletion }
    };
    let topics = TOPICS.into_iter().zip(Topics::new(prefix).names);
    let outputs = topics.filter(|((what, _), _)| ![EVENTS, REFERENCE, JOURNAL].contains(what));
    outputs.map(|((_, own), (_, topic))| (topic, clearing(own))).collect()
}

/// How `topic` forgets, with `own` settings.
fn expiry(topic: String, own: &[(&str, &str)]) -> Expiry {
    let days = |key: &str| {
        let value = own.iter().find(|(name, _)| *name == key);
        value.map_or(0, |(_, ms)| ms.parse::<i64>().expect("a number of ours") / DAY_MS)
    };
    Expiry {
        topic,
        has_tombstone: own.contains(&("cleanup.policy", "compact")),
        days: days("retention.ms") + days("max.compaction.lag.ms") + days("delete.retention.ms"),
    }
}

/// How long a broker may take to answer about topics.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Topics {
    /// The topics `<prefix>.<what>.v1`.
    pub(super) fn new(prefix: &str) -> Self {
        let name = |(what, _)| (what, format!("{prefix}.{what}.v1"));
        Self { names: TOPICS.into_iter().map(name).collect() }
    }

    /// Every topic with its partition count, where events has `partitions`.
    pub(super) fn with_partitions(self, partitions: i32) -> Vec<(String, i32)> {
        let count = |what| if what == REFERENCE { 1 } else { partitions };
        self.names.into_iter().map(|(what, name)| (name, count(what))).collect()
    }

    /// The name of the topic that holds `what`.
    ///
    /// # Panics
    /// If there is no such topic.
    pub(super) fn name(&self, what: &str) -> &str {
        let found = self.names.iter().find(|(of, _)| *of == what);
        &found.unwrap_or_else(|| panic!("no topic holds {what}")).1
    }

    pub(super) fn events(&self) -> &str {
        self.name(EVENTS)
    }

    pub(super) fn reference(&self) -> &str {
        self.name(REFERENCE)
    }

    pub(super) fn journal(&self) -> &str {
        self.name(JOURNAL)
    }

    /// Creates what is missing, if asked to, and checks that all is there and fits together.
    ///
    /// # Errors
    /// If a topic is missing or cannot be created, reference has not one partition or journal not as many as events.
    pub(super) fn prepare(&self, settings: &KafkaSettings) -> Result<EventsTopic> {
        let admin: AdminClient<DefaultClientContext> =
            settings.admin().create().map_err(Error::while_doing("connecting"))?;
        if settings.create_topics {
            self.create_missing(&admin, settings)?;
        }
        for (_, name) in &self.names {
            partition_count(admin.inner(), name)?;
        }
        let events = partition_count(admin.inner(), self.events())?;
        for (topic, expected) in [(self.reference(), 1), (self.journal(), events)] {
            let found = partition_count(admin.inner(), topic)?;
            if found != expected {
                return Err(Error::PartitionCount { topic: topic.to_owned(), found, expected });
            }
        }
        let id = native::topic_id(admin.inner(), self.events(), TIMEOUT);
        Ok(EventsTopic { id, partition_count: events })
    }

    /// Creates the topics that do not exist: reference with one partition, journal with as many as events.
    fn create_missing(
        &self,
        admin: &AdminClient<DefaultClientContext>,
        settings: &KafkaSettings,
    ) -> Result<()> {
        let is_missing = |name: &str| {
            matches!(partition_count(admin.inner(), name), Err(Error::TopicMissing { .. }))
        };
        let partitions = match partition_count(admin.inner(), self.events()) {
            Ok(count) => count,
            Err(Error::TopicMissing { .. }) => settings.partitions,
            Err(error) => return Err(error),
        };
        let new_topics: Vec<NewTopic<'_>> = TOPICS
            .iter()
            .zip(&self.names)
            .filter(|(_, (_, name))| is_missing(name))
            .map(|((what, own), (_, name))| {
                let count = if *what == REFERENCE { 1 } else { partitions };
                let copies = TopicReplication::Fixed(settings.replication_factor);
                let topic = NewTopic::new(name, count, copies);
                let topic = topic.set("message.timestamp.type", "LogAppendTime");
                own.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
            })
            .collect();
        create(admin, &new_topics)
    }
}

fn create(admin: &AdminClient<DefaultClientContext>, topics: &[NewTopic<'_>]) -> Result<()> {
    if topics.is_empty() {
        return Ok(());
    }
    let options =
        AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(Error::Thread)?;
    let results = runtime
        .block_on(admin.create_topics(topics, &options))
        .map_err(Error::while_doing("creating topics"))?;
    for result in results {
        match result {
            // Another instance may have been faster.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(Error::TopicNotCreated { topic, reason: code.to_string() });
            }
        }
    }
    // A topic shows in metadata a moment after its creation was acknowledged.
    for topic in topics {
        wait_for_topic(admin.inner(), topic.name)?;
    }
    Ok(())
}

fn wait_for_topic(client: &Client<DefaultClientContext>, topic: &str) -> Result<()> {
    let deadline = super::clock::now() + TIMEOUT;
    loop {
        match partition_count(client, topic) {
            Err(Error::TopicMissing { .. }) if super::clock::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result.map(drop),
        }
    }
}

/// Partitions of `topic`, at least 1.
///
/// # Errors
/// If it does not exist, or the broker does not answer.
pub(super) fn partition_count<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<i32> {
    let metadata = client
        .fetch_metadata(Some(topic), TIMEOUT)
        .map_err(Error::while_doing("asking for topics"))?;
    let count = metadata
        .topics()
        .iter()
        .find(|found| found.name() == topic && found.error().is_none())
        .map_or(0, |found| found.partitions().len());
    match i32::try_from(count) {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(Error::TopicMissing { topic: topic.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_prefix_content_and_version() {
        let topics = Topics::new("acme");
        assert_eq!(topics.events(), "acme.events.v1");
        assert_eq!(topics.name("open-alerts"), "acme.open-alerts.v1");
    }

    #[test]
    fn all_that_is_published_of_a_customer_leaves_by_tombstone_or_age() {
        let told = |expiry: &Expiry| {
            let how = if expiry.has_tombstone { "tombstone" } else { "age" };
            format!("{} {how} {}", expiry.topic, expiry.days)
        };
        let all: Vec<String> = expiries("acme").iter().map(told).collect();
        insta::assert_snapshot!(all.join("\n"), @r"
        acme.scores.v1 tombstone 21
        acme.alerts.v1 age 90
        acme.open-alerts.v1 tombstone 21
        acme.loyalty.v1 tombstone 21
        acme.evidence.v1 age 30
        acme.dead-letters.v1 age 14
        ");
    }
}
