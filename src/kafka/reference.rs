//! The reference log: one reader a process that follows it and hands out immutable versions of the catalogue by offset.
//!
//! Every change is kept in memory, a few hundred bytes each, so that a restore can ask for any older version. It decides nothing:
//! which version an engine sees is a journalled decision of the engine's worker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use backon::{BlockingRetryable as _, ConstantBuilder};
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::error::{Error, Result};
use super::fact::{Fact, Observer};
use super::native::{FetchQueue, Fetched, FetchedRecord};
use super::settings::KafkaSettings;
use super::topics::Topics;
use crate::model::{Catalogue, Event, Policy, ReferenceChange};
use crate::wire::{self, Expect, policy_fingerprint};

const BATCH: usize = 1024;
const WAIT: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
const ATTEMPTS: usize = 100;

/// The reference log as far as it has been read, shared by all workers.
pub(super) struct ReferenceLog {
    read: Mutex<Read>,
    is_caught_up: AtomicBool,
}

#[derive(Default)]
struct Read {
    /// Every change with its offset, in order.
    changes: Vec<(i64, ReferenceChange)>,
    latest: Version,
    /// Every policy, in order.
    policies: Arc<Vec<PolicyRecord>>,
    /// Versions somebody still holds.
    held: BTreeMap<i64, Weak<Catalogue>>,
}

/// One version of the catalogue.
#[derive(Debug, Clone, Default)]
pub(super) struct Version {
    /// The next offset of the reference log it does not contain: one past its last change; 0 for the empty catalogue.
    pub(super) offset_next: i64,
    pub(super) catalogue: Arc<Catalogue>,
}

/// A policy, where it stands in the log.
#[derive(Debug, Clone)]
pub(super) struct PolicyRecord {
    pub(super) offset: i64,
    pub(super) fingerprint: u64,
    pub(super) policy: Arc<Policy>,
}

impl PolicyRecord {
    fn new(offset: i64, policy: &Arc<Policy>) -> Self {
        Self { offset, fingerprint: policy_fingerprint(policy), policy: Arc::clone(policy) }
    }
}

impl ReferenceLog {
    pub(super) fn new() -> Self {
        Self { read: Mutex::default(), is_caught_up: AtomicBool::new(false) }
    }

    /// The log has been read to its end at least once, so that what was published before the service started is visible to the
    /// first record.
    pub(super) fn is_caught_up(&self) -> bool {
        self.is_caught_up.load(Ordering::Acquire)
    }

    /// The newest version.
    pub(super) fn latest(&self) -> Version {
        self.lock().latest.clone()
    }

    /// The version that holds every change below `offset_next`; `None` while the log has not been read as far.
    pub(super) fn version(&self, offset_next: i64) -> Option<Arc<Catalogue>> {
        let mut read = self.lock();
        if read.latest.offset_next == offset_next {
            return Some(Arc::clone(&read.latest.catalogue));
        }
        if read.latest.offset_next < offset_next {
            return None;
        }
        if let Some(held) = read.held.get(&offset_next).and_then(Weak::upgrade) {
            return Some(held);
        }
        let mut catalogue = Catalogue::default();
        for (_, change) in read.changes.iter().take_while(|(offset, _)| *offset < offset_next) {
            catalogue.apply(change);
        }
        let catalogue = Arc::new(catalogue);
        read.held.retain(|_, version| version.strong_count() > 0);
        read.held.insert(offset_next, Arc::downgrade(&catalogue));
        Some(catalogue)
    }

    /// Every policy read so far, in the order of their offsets.
    pub(super) fn policies(&self) -> Arc<Vec<PolicyRecord>> {
        Arc::clone(&self.lock().policies)
    }

    /// The policy whose record stands at `offset`; `None` if none does, or the log has not been read as far.
    pub(super) fn policy(&self, offset: i64) -> Option<PolicyRecord> {
        let policies = self.policies();
        let place = policies.binary_search_by_key(&offset, |record| record.offset).ok()?;
        Some(policies[place].clone())
    }

    /// Takes in changes, in the order of their offsets, as one new version; returns how many there are now.
    pub(super) fn extend(&self, changes: Vec<(i64, ReferenceChange)>) -> Version {
        let mut read = self.lock();
        let Read { changes: all, latest, policies, held } = &mut *read;
        if let Some((last, _)) = changes.last() {
            held.insert(latest.offset_next, Arc::downgrade(&latest.catalogue));
            latest.offset_next = last + 1;
            let catalogue = Arc::make_mut(&mut latest.catalogue);
            for (offset, change) in &changes {
                catalogue.apply(change);
                if let ReferenceChange::PolicyPublished { policy } = change {
                    Arc::make_mut(policies).push(PolicyRecord::new(*offset, policy.policy()));
                }
            }
            all.extend(changes);
        }
        latest.clone()
    }

    /// The log has been read to its end.
    pub(super) fn catch_up(&self) {
        self.is_caught_up.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the reference log until told to stop.
pub(super) struct ReferenceReader {
    consumer: Arc<BaseConsumer>,
    topic: String,
    log: Arc<ReferenceLog>,
    observer: Arc<dyn Observer>,
}

impl ReferenceReader {
    /// A reader at the beginning of the log.
    ///
    /// # Errors
    /// If the log has lost its beginning, or the broker does not answer.
    pub(super) fn open(
        settings: &KafkaSettings,
        topics: &Topics,
        log: Arc<ReferenceLog>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self> {
        let doing = Error::while_doing;
        let topic = topics.reference().to_owned();
        let consumer: BaseConsumer =
            settings.reader().create().map_err(doing("making a consumer"))?;
        // A topic just created has no leader for a moment.
        let (start, _) = (|| consumer.fetch_watermarks(&topic, 0, TIMEOUT))
            .retry(ConstantBuilder::default().with_delay(PAUSE).with_max_times(ATTEMPTS))
            .call()
            .map_err(doing("asking for the reference log"))?;
        if start > 0 {
            return Err(Error::ReferenceTruncated { topic, start });
        }
        Ok(Self { consumer: Arc::new(consumer), topic, log, observer })
    }

    /// Follows the log until told to stop.
    ///
    /// # Errors
    /// If the client refuses, or access is refused.
    pub(super) fn run(self, stop: &AtomicBool) -> Result<()> {
        let queue: FetchQueue<DefaultConsumerContext> = FetchQueue::new(Arc::clone(&self.consumer));
        // Before records flow, or the first ones would come by the consumer's own queue.
        queue.forward(&self.topic, 0);
        let mut partitions = TopicPartitionList::new();
        partitions
            .add_partition_offset(&self.topic, 0, Offset::Offset(0))
            .and_then(|()| self.consumer.assign(&partitions))
            .map_err(Error::while_doing("reading the reference log"))?;
        while !stop.load(Ordering::Acquire) {
            if let Some(Err(error)) = self.consumer.poll(Duration::ZERO) {
                refuse_lasting(error)?;
            }
            let first = queue.fetch(1, WAIT);
            self.take(first.iter())?;
            let rest = queue.fetch(BATCH, Duration::ZERO);
            self.take(rest.iter())?;
        }
        Ok(())
    }

    fn take<'b>(&self, fetched: impl Iterator<Item = Fetched<'b>>) -> Result<()> {
        let (mut changes, mut is_at_end) = (Vec::new(), false);
        for fetched in fetched {
            match fetched {
                Fetched::Record(record) => changes.extend(self.change(record)),
                Fetched::End => is_at_end = true,
                Fetched::Error { code, .. } => {
                    refuse_lasting(KafkaError::MessageConsumption(code))?;
                }
            }
        }
        let is_news = !changes.is_empty();
        let count = changes.len();
        let version = self.log.extend(changes);
        if is_at_end {
            self.log.catch_up();
        }
        if is_news {
            let offset_next = version.offset_next;
            self.observer.observe(Fact::ReferenceRead { offset_next, changes: count });
        }
        Ok(())
    }

    /// The change a record makes; a record that is no reference event is told and passed over.
    fn change(&self, record: FetchedRecord<'_>) -> Option<(i64, ReferenceChange)> {
        let offset = record.offset();
        let headers = record.headers();
        match wire::decode(record.as_ref(&headers), Expect::ReferenceTopic) {
            Ok(Event::Reference(event)) => Some((offset, event.change)),
            Ok(Event::Customer(_) | Event::Tick(_)) => None,
            Err(rejection) => {
                let reason = rejection.reason;
                self.observer.observe(Fact::ReferenceRefused { offset, reason });
                None
            }
        }
    }
}

/// Errors that waiting does not cure; librdkafka retries the others by itself.
pub(super) fn refuse_lasting(error: KafkaError) -> Result<()> {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed,
        ) => Err(Error::Unauthorized(error)),
        Some(RDKafkaErrorCode::FencedInstanceId) => Err(Error::Fenced),
        _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
            Err(Error::Kafka { doing: "reading", error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Currency, EventTime, Money, PolicyDocument};

    fn listed(sku: &str, minor: i64) -> ReferenceChange {
        let currency = Currency::new("GBP").unwrap();
        ReferenceChange::PriceListed {
            sku: sku.into(),
            price: Money { minor, currency },
            effective_from: EventTime::from_millis(0),
        }
    }

    pub(in super::super) fn published(json: &str) -> ReferenceChange {
        let policy = Arc::new(PolicyDocument::from_json(json).unwrap());
        ReferenceChange::PolicyPublished { policy }
    }

    /// A log that holds `changes`, from offset 0.
    pub(in super::super) fn log_of(changes: Vec<ReferenceChange>) -> ReferenceLog {
        let log = ReferenceLog::new();
        log.extend((0..).zip(changes).collect());
        log
    }

    #[test]
    fn a_policy_is_found_where_its_record_stands() {
        let low = published(r#"{"version":"low","base_rate":0.1}"#);
        let log = log_of(vec![listed("book", 100), low, listed("pen", 5)]);
        assert_eq!(log.latest().offset_next, 3);
        assert_eq!(*log.policy(1).unwrap().policy.version, *"low");
        assert!([0, 2, 3].iter().all(|offset| log.policy(*offset).is_none()));
        assert_eq!(log.policies().len(), 1);
    }

    fn catalogue(changes: &[ReferenceChange]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        changes.iter().for_each(|change| catalogue.apply(change));
        catalogue
    }

    #[test]
    fn every_version_can_be_had_again() {
        let log = ReferenceLog::new();
        let empty = log.latest();
        log.extend(vec![(0, listed("book", 100))]);
        log.extend(vec![(3, listed("pen", 5)), (7, listed("book", 90))]);
        assert_eq!(log.latest().offset_next, 8);
        let whole = [listed("book", 100), listed("pen", 5), listed("book", 90)];
        assert_eq!(*log.version(8).unwrap(), catalogue(&whole));
        assert_eq!(*log.version(7).unwrap(), catalogue(&whole[..2]));
        assert_eq!(*log.version(1).unwrap(), catalogue(&whole[..1]));
        assert_eq!(log.version(0).unwrap(), empty.catalogue);
        assert!(log.version(9).is_none(), "not read yet");
    }

    #[test]
    fn a_version_in_use_is_shared() {
        let log = ReferenceLog::new();
        log.extend(vec![(0, listed("book", 100)), (1, listed("pen", 5))]);
        let first = log.version(1).unwrap();
        assert!(Arc::ptr_eq(&first, &log.version(1).unwrap()));
        let latest = log.latest().catalogue;
        log.extend(vec![(2, listed("pen", 6))]);
        assert!(Arc::ptr_eq(&latest, &log.version(2).unwrap()), "held across an extension");
    }
}
