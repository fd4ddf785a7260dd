//! Throws away what was derived from the events log (offsets, journal, outputs), so that scoring begins anew where that log begins.
//! The events and reference topics are never touched.
//!
//! **Order.** A reset may be killed anywhere, and a service may be started anywhere in between, so one thing must hold from the
//! first change to the last: nobody scores. Each step relies on the one before:
//!
//! 1. *Hold*: the group's offsets are overwritten, in one request, with [`RESET_MARK`] in the place of their marks. The group's
//!    coordinator takes it only while the group has no member; from then on a partition whose offset carries it is refused by every
//!    service, in either delivery mode, whatever the journal says. A transaction that a dead member left open changes nothing: its
//!    own offsets are older than ours, or never come.
//! 2. *Outputs* are cleared, once no transaction is open on them any more.
//! 3. The *journal* is emptied: the first record of a history that is gone from the outputs.
//! 4. *Release*: the group is deleted, in one request, which the coordinator refuses while it has members. With neither offset nor
//!    journal, a service begins a new history.
//!
//! Killed before 1, nothing has happened; killed later, the mark stands and the reset can only be run again, which repeats what is
//! done already to no effect; after 4 it is done. A service started in between joins the group, serves nothing, and makes 4 fail,
//! with the word to stop it and to run the reset again. Were the journal emptied before the hold, a service would wait for it in
//! vain; were the offsets deleted first, an at-least-once service would go on from the journal among outputs half cleared.
//!
//! **Clearing.** A compacted topic gets a tombstone for each key that has a value: a reader who follows it drops what it holds, and
//! one who begins later finds nothing; brokers do not delete records of such topics anyway. A topic kept by age has its records
//! deleted up to its end: its offsets go on, so readers keep their places. Neither is made anew, as that would strand them all.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::clock;
use super::error::{Error, Result};
use super::offsets;
use super::publisher::{Publication, Publisher};
use super::settings::{Delivery, KafkaSettings};
use super::span::{Go, QUESTION, Span, SpanReader};
use super::topics::{Clearing, Topics, outputs};
use crate::wire::{CommitMark, Decision, Genesis, JournalError, JournalRecord, RESET_MARK};

/// How long the broker may take for one change.
const CHANGE: Duration = Duration::from_secs(60);
/// How long a transaction left open may take to end: the broker ends one of ours after 10 s.
const SETTLE: Duration = Duration::from_secs(60);
/// Tombstones between two waits for their acknowledgement.
const TOMBSTONES: usize = 10_000;
/// The header of a tombstone that says it is no erasure.
const RESET_HEADER: &str = "gfreset";

/// A deployment whose state may be thrown away.
pub struct Reset {
    settings: KafkaSettings,
    topics: Topics,
    admin: AdminClient<DefaultClientContext>,
    /// Reads and writes the group's offsets, a member of nothing.
    outsider: BaseConsumer,
    partitions: i32,
}

/// How a group's offset for a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was ever committed.
    Unread,
    /// Handled up to this offset.
    Scored(i64),
    /// Held by a reset that has not been completed.
    Held,
}

/// What is known of one partition of the events topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionPlan {
    /// Its number.
    pub partition: i32,
    /// How the group stands there.
    pub standing: Standing,
    /// How its history began, if the journal says so.
    pub genesis: Option<Genesis>,
    /// Offsets its journal holds, markers included.
    pub journal: u64,
    /// The first offset the events log holds.
    pub start: i64,
    /// The offset behind its last record.
    pub end: i64,
}

/// What is known of an output topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPlan {
    /// Its name.
    pub topic: String,
    /// Cleared by a tombstone for each key; otherwise its records are deleted.
    pub has_tombstones: bool,
    /// Offsets it holds, markers included.
    pub offsets: u64,
}

/// What a reset would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetPlan {
    /// The group, and who is in it: none may be.
    pub group: String,
    /// Its members, in words.
    pub members: Vec<String>,
    /// By partition.
    pub partitions: Vec<PartitionPlan>,
    /// The topics cleared, in the order they are.
    pub outputs: Vec<OutputPlan>,
}

/// A deployment that no service scores for as long as this stands: clear what was derived, then [`Held::release`] it.
pub struct Held(Reset);

/// How far the clearing of a topic has got.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The topic.
    pub topic: &'a str,
    /// Offsets passed.
    pub done: u64,
    /// Offsets there are.
    pub total: u64,
}

impl PartitionPlan {
    /// Records that were scored and are gone from the log, so that they cannot be scored again: offsets from, and up to.
    pub fn lost(&self) -> Option<(i64, i64)> {
        let begun = self.genesis.as_ref()?.start_offset;
        (begun < self.start).then_some((begun, self.start))
    }
}

impl ResetPlan {
    /// There is nothing to throw away.
    pub fn is_nothing(&self) -> bool {
        let is_new = |plan: &PartitionPlan| plan.standing == Standing::Unread && plan.journal == 0;
        self.partitions.iter().all(is_new) && self.outputs.iter().all(|plan| plan.offsets == 0)
    }

    /// A reset was cut off before.
    pub fn is_held(&self) -> bool {
        self.partitions.iter().any(|plan| plan.standing == Standing::Held)
    }
}

impl Reset {
    /// Looks at a deployment; nothing is changed.
    ///
    /// # Errors
    /// If the broker does not answer, or a topic is missing.
    pub fn open(settings: &KafkaSettings) -> Result<Self> {
        let topics = Topics::new(&settings.prefix);
        let admin: AdminClient<DefaultClientContext> =
            settings.admin().create().map_err(Error::while_doing("connecting"))?;
        let outsider: BaseConsumer = settings
            .outsider(&settings.group_id)
            .create()
            .map_err(Error::while_doing("making a consumer"))?;
        // One that exists is never created here: the check is the same.
        let existing = KafkaSettings { create_topics: false, ..settings.clone() };
        let partitions = topics.prepare(&existing)?.partition_count;
        Ok(Self { settings: settings.clone(), topics, admin, outsider, partitions })
    }

    /// What would be done.
    ///
    /// # Errors
    /// If the broker does not answer, or the group's offsets are another program's.
    pub fn plan(&self) -> Result<ResetPlan> {
        let committed = self.committed()?;
        let journal = SpanReader::open(&self.settings, self.topics.journal())?;
        let events = SpanReader::open(&self.settings, self.topics.events())?;
        let mut partitions = Vec::new();
        for (span, log) in journal.spans()?.into_iter().zip(events.spans()?) {
            let partition = span.partition;
            let at = committed.find_partition(self.topics.events(), partition);
            partitions.push(PartitionPlan {
                partition,
                standing: match at {
                    Some(at) => self.standing(at.offset(), at.metadata())?,
                    None => Standing::Unread,
                },
                genesis: genesis(&journal, span)?,
                journal: span.len(),
                start: log.start,
                end: log.end,
            });
        }
        Ok(ResetPlan {
            group: self.settings.group_id.clone(),
            members: self.members()?,
            partitions,
            outputs: self.outputs()?,
        })
    }

    fn committed(&self) -> Result<TopicPartitionList> {
        let list = offsets::list(self.topics.events(), 0..self.partitions);
        self.outsider
            .committed_offsets(list, QUESTION)
            .map_err(Error::while_doing("asking for the committed offsets"))
    }

    fn standing(&self, offset: Offset, metadata: &str) -> Result<Standing> {
        let Offset::Offset(offset) = offset else { return Ok(Standing::Unread) };
        if metadata == RESET_MARK {
            return Ok(Standing::Held);
        }
        match metadata.parse::<CommitMark>() {
            Ok(_) => Ok(Standing::Scored(offset)),
            Err(JournalError::ForeignMark(_)) if metadata.is_empty() => {
                Ok(Standing::Scored(offset))
            }
            Err(error) => {
                let group = self.settings.group_id.clone();
                Err(Error::ForeignGroup { group, reason: error.to_string() })
            }
        }
    }

    /// Who is in the group, as far as the broker tells: of members under the protocol of KIP-848 it does not.
    fn members(&self) -> Result<Vec<String>> {
        let groups = self
            .outsider
            .fetch_group_list(Some(&self.settings.group_id), QUESTION)
            .map_err(Error::while_doing("asking for the group's members"))?;
        let members = groups.groups().iter().flat_map(|group| group.members());
        Ok(members.map(|member| format!("{} at {}", member.id(), member.client_host())).collect())
    }

    fn outputs(&self) -> Result<Vec<OutputPlan>> {
        outputs(&self.settings.prefix)
            .into_iter()
            .map(|(topic, clearing)| {
                let spans = SpanReader::open(&self.settings, &topic)?.spans()?;
                let offsets = spans.iter().map(Span::len).sum();
                let has_tombstones = clearing == Clearing::Tombstones;
                Ok(OutputPlan { topic, has_tombstones, offsets })
            })
            .collect()
    }

    /// Makes sure that nobody scores from here on, and nobody does now.
    ///
    /// # Errors
    /// If the group has members, or the broker does not answer.
    pub fn hold(self) -> Result<Held> {
        let (topic, mut list) = (self.topics.events(), TopicPartitionList::new());
        let committed = self.committed()?;
        for partition in 0..self.partitions {
            let at = committed.find_partition(topic, partition);
            let offset = match at.map(|at| at.offset()) {
                Some(Offset::Offset(offset)) => offset,
                _ => 0,
            };
            let mut element = list.add_partition(topic, partition);
            element
                .set_offset(Offset::Offset(offset))
                .map_err(Error::while_doing("holding the group"))?;
            element.set_metadata(RESET_MARK);
        }
        match self.outsider.commit(&list, CommitMode::Sync) {
            Ok(()) => Ok(Held(self)),
            Err(error) => Err(self.refusal(error, "holding the group")),
        }
    }

    /// What the coordinator means that does not let us change the group's offsets.
    fn refusal(&self, error: KafkaError, doing: &'static str) -> Error {
        let is_in_use = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::UnknownMemberId
                    | RDKafkaErrorCode::IllegalGeneration
                    | RDKafkaErrorCode::RebalanceInProgress
                    | RDKafkaErrorCode::NonEmptyGroup
                    | RDKafkaErrorCode::StaleMemberEpoch
            )
        );
        if is_in_use { self.in_use() } else { Error::Kafka { doing, error } }
    }

    fn in_use(&self) -> Error {
        let members = self.members().unwrap_or_default();
        let told = if members.is_empty() { "not told who".to_owned() } else { members.join(", ") };
        Error::GroupInUse { group: self.settings.group_id.clone(), members: told }
    }
}

impl Held {
    /// Clears every output topic; dead letters too, as they will be written again.
    ///
    /// # Errors
    /// If the broker refuses, or a transaction stays open on one.
    pub fn clear_outputs(&self, mut tell: impl FnMut(Progress<'_>)) -> Result<()> {
        let reset = &self.0;
        let acknowledged =
            KafkaSettings { delivery: Delivery::AtLeastOnce, ..reset.settings.clone() };
        let publisher = Publisher::connect(&acknowledged, "reset", 0)?;
        for (topic, clearing) in outputs(&reset.settings.prefix) {
            let reader = SpanReader::open(&reset.settings, &topic)?;
            self.settle(&reader)?;
            match clearing {
                Clearing::Tombstones => entomb(&reader, &publisher, &mut tell)?,
                Clearing::Deletion => self.delete_records(&topic, reader.partitions)?,
            }
        }
        Ok(())
    }

    /// Empties the journal and lets the group go: whoever starts next begins a new history.
    ///
    /// # Errors
    /// If the broker refuses, or a service was started meanwhile: it serves nothing, and is to be stopped.
    pub fn release(self) -> Result<()> {
        let reset = &self.0;
        self.delete_records(reset.topics.journal(), reset.partitions)?;
        let group = reset.settings.group_id.as_str();
        let deleted = self.wait(reset.admin.delete_groups(&[group], &self.options()))?;
        let refused = deleted
            .map_err(Error::while_doing("deleting the group"))?
            .into_iter()
            .find_map(|result| result.err().map(|(_, code)| code));
        match refused {
            None | Some(RDKafkaErrorCode::GroupIdNotFound) => Ok(()),
            Some(code) => Err(reset.refusal(KafkaError::AdminOp(code), "deleting the group")),
        }
    }

    /// Deletes every record of a topic.
    fn delete_records(&self, topic: &str, partitions: i32) -> Result<()> {
        let mut list = offsets::list(topic, 0..partitions);
        let ends = list.set_all_offsets(Offset::End);
        ends.map_err(Error::while_doing("deleting records"))?;
        let refused = |reason: String| Error::TopicNotEmptied { topic: topic.to_owned(), reason };
        let deleted = self
            .wait(self.0.admin.delete_records(&list, &self.options()))?
            .map_err(|error| refused(error.to_string()))?;
        deleted
            .elements()
            .iter()
            .try_for_each(|element| element.error().map_err(|error| refused(error.to_string())))
    }

    /// Waits until no transaction is open on a topic: what it holds could still come to count.
    fn settle(&self, reader: &SpanReader) -> Result<()> {
        let raw: BaseConsumer = self
            .0
            .settings
            .reader()
            .set("isolation.level", "read_uncommitted")
            .create()
            .map_err(Error::while_doing("making a reader"))?;
        let deadline = clock::now() + SETTLE;
        for partition in 0..reader.partitions {
            loop {
                let ends = |consumer: &BaseConsumer| -> KafkaResult<i64> {
                    Ok(consumer.fetch_watermarks(&reader.topic, partition, QUESTION)?.1)
                };
                let open = ends(&raw).and_then(|end| Ok(ends(&reader.consumer)? < end));
                if !open.map_err(Error::while_doing("asking where a topic ends"))? {
                    break;
                }
                if deadline <= clock::now() {
                    let topic = reader.topic.clone();
                    return Err(Error::TransactionHangs { topic, seconds: SETTLE.as_secs() });
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(CHANGE))
    }

    fn wait<T>(&self, change: impl Future<Output = T>) -> Result<T> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().map_err(Error::Thread)?;
        Ok(runtime.block_on(change))
    }
}

impl fmt::Debug for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reset").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.0).finish()
    }
}

/// How the history in `span` of the journal began; `None` if it holds none, or another beginning.
fn genesis(journal: &SpanReader, span: Span) -> Result<Option<Genesis>> {
    let mut genesis = None;
    journal.read(span, |record| {
        let first = JournalRecord::decode(record.as_ref(&[]).value.unwrap_or_default());
        if let Ok(JournalRecord { decision: Decision::Genesis(found), .. }) = first {
            genesis = Some(found);
        }
        Ok(Go::Stop)
    })?;
    Ok(genesis)
}

/// Writes a tombstone for each key that has a value, partition by partition: the keys of one are in memory at a time.
fn entomb(
    reader: &SpanReader,
    publisher: &Publisher,
    tell: &mut impl FnMut(Progress<'_>),
) -> Result<()> {
    let spans = reader.spans()?;
    let total = spans.iter().map(Span::len).sum();
    let mut passed = 0;
    for span in spans {
        let mut alive = BTreeSet::new();
        reader.read(span, |record| {
            let read = record.as_ref(&[]);
            match (read.key, read.value) {
                (Some(key), None) => drop(alive.remove(key)),
                (Some(key), Some(_)) if !alive.contains(key) => drop(alive.insert(key.to_vec())),
                _ => {}
            }
            let done = passed + u64::try_from(record.offset() - span.start).unwrap_or(0);
            tell(Progress { topic: &reader.topic, done, total });
            Ok(Go::On)
        })?;
        passed += span.len();
        bury(reader, publisher, span.partition, &alive)?;
    }
    Ok(())
}

/// Writes a tombstone for each of `keys`, to the partition they were found on, and waits until the broker has them.
fn bury(
    reader: &SpanReader,
    publisher: &Publisher,
    partition: i32,
    keys: &BTreeSet<Vec<u8>>,
) -> Result<()> {
    let refused = |reason: String| Error::TopicNotEmptied { topic: reader.topic.clone(), reason };
    let headers = [(RESET_HEADER, Some(&b"true"[..]))];
    publisher.begin().map_err(|failure| refused(failure.to_string()))?;
    for (index, key) in keys.iter().enumerate() {
        let tombstone = Publication {
            topic: &reader.topic,
            partition: Some(partition),
            key: Some(key),
            value: None,
            headers: &headers,
            timestamp_ms: None,
        };
        publisher.send(&tombstone).map_err(|failure| refused(failure.to_string()))?;
        if (index + 1).is_multiple_of(TOMBSTONES) {
            publisher.drain().map_err(|failure| refused(failure.to_string()))?;
        }
    }
    publisher.drain().map_err(|failure| refused(failure.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(start: i64, begun: Option<i64>) -> PartitionPlan {
        let genesis = begun.map(|start_offset| Genesis {
            lineage: [1; 16],
            events_topic_id: None,
            partition_count: 1,
            start_offset,
            engine: 1,
            policy_version: "generic-1".into(),
            policy_fingerprint: 0,
        });
        let standing = Standing::Unread;
        PartitionPlan { partition: 0, standing, genesis, journal: 0, start, end: 9 }
    }

    #[test]
    fn what_was_scored_and_is_gone_is_lost() {
        assert_eq!(plan(5, Some(2)).lost(), Some((2, 5)));
        assert_eq!(plan(5, Some(5)).lost(), None);
        assert_eq!(plan(5, None).lost(), None, "nothing was scored");
    }

    #[test]
    fn a_deployment_that_never_scored_has_nothing_to_throw_away() {
        let mut all = ResetPlan {
            group: "g".to_owned(),
            members: Vec::new(),
            partitions: vec![plan(0, None)],
            outputs: vec![OutputPlan { topic: "t".to_owned(), has_tombstones: true, offsets: 0 }],
        };
        assert!(all.is_nothing() && !all.is_held());
        all.partitions[0].standing = Standing::Held;
        assert!(!all.is_nothing() && all.is_held());
    }
}
