//! What must come out: goodfaith's own engine, one a partition, on one thread, over the records as they are stored. And whether it did.

use std::path::Path;
use std::sync::Arc;

use goodfaith::engine::{Action, Effect, Input, OutputBody, PartitionEngine, Settings};
use goodfaith::model::Policy;
use goodfaith::wire::{self, Encoding, Expect, Header, Origin, OutRecord, RecordRef};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use xxhash_rust::xxh3::Xxh3;

use crate::broker::Broker;
use crate::workload::customer_rank;

/// How far a score may be from the oracle's, in millionths.
const TOLERANCE: i32 = 2;
/// Of so many customers, one may differ in what was published: a score within rounding of the threshold.
const CUSTOMERS_FOR_ONE_DIFFERENCE: usize = 10_000;

/// One published score change of one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    customer: u32,
    score: i32,
    previous: i32,
    as_of: i64,
    /// Of all bytes of the record as goodfaith writes it, but for where it came from; 0 where another wrote it.
    digest: u64,
}

/// Score changes, customer by customer, each customer's in their order.
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<Change>);

impl Changes {
    fn of(mut changes: Vec<Change>) -> Self {
        changes.sort_by_key(|change| change.customer);
        Self(changes)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What goodfaith published. A record is told by its digest alone.
    pub(crate) fn of_goodfaith(broker: &Broker, topic: &str) -> Result<Self, String> {
        let mut changes = Vec::new();
        let mut strangers = 0;
        broker.read(topic, |message| match message.key().and_then(customer_rank) {
            Some(customer) => {
                let digest = digest_of_message(message);
                changes.push(Change { customer, score: 0, previous: 0, as_of: 0, digest });
            }
            None => strangers += 1,
        });
        if strangers == 0 { Ok(Self::of(changes)) } else { Err(strange(strangers)) }
    }

    /// What a peer published.
    pub(crate) fn of_peer(broker: &Broker, topic: &str) -> Result<Self, String> {
        let mut changes = Vec::new();
        let mut strangers = 0;
        broker.read(topic, |message| match peer_change(message) {
            Some(change) => changes.push(change),
            None => strangers += 1,
        });
        if strangers == 0 { Ok(Self::of(changes)) } else { Err(strange(strangers)) }
    }

    /// Is `found`, of goodfaith, the same record for record, byte for byte?
    pub(crate) fn check_bytes(&self, found: &Self) -> Result<usize, String> {
        let same = |a: &Change, b: &Change| a.customer == b.customer && a.digest == b.digest;
        let pairs = self.0.iter().zip(&found.0);
        match pairs.into_iter().position(|(a, b)| !same(a, b)) {
            None if self.0.len() == found.0.len() => Ok(0),
            None => Err(format!("{} records, not {}", found.0.len(), self.0.len())),
            Some(place) => Err(format!("customer {} differs", self.0[place].customer)),
        }
    }

    /// How many customers' changes in `found`, of a peer, are others than these, if they are few enough to count as the same.
    pub(crate) fn check_scores(&self, found: &Self) -> Result<usize, String> {
        let by_customer = |a: &Change, b: &Change| a.customer == b.customer;
        let (mut expected, mut found) =
            (self.0.chunk_by(by_customer).peekable(), found.0.chunk_by(by_customer).peekable());
        let (mut customers, mut different, mut first) = (0, 0, None);
        loop {
            let (due, made) = (expected.peek().copied(), found.peek().copied());
            let customer = [due, made].into_iter().flatten().map(|list| list[0].customer).min();
            let Some(customer) = customer else { break };
            let due = expected.next_if(|list| list[0].customer == customer).unwrap_or_default();
            let made = found.next_if(|list| list[0].customer == customer).unwrap_or_default();
            customers += 1;
            if due.is_empty() || made.is_empty() {
                return Err(format!(
                    "customer {customer}: {} changes, not {}",
                    made.len(),
                    due.len()
                ));
            }
            if due.len() != made.len() || !due.iter().zip(made).all(|(a, b)| a.is_near(b)) {
                different += 1;
                first.get_or_insert(customer);
            }
        }
        if different <= (customers / CUSTOMERS_FOR_ONE_DIFFERENCE).max(1) {
            Ok(different)
        } else {
            Err(format!("{different} of {customers} customers differ, the first {first:?}"))
        }
    }
}

impl Change {
    fn is_near(&self, other: &Self) -> bool {
        self.as_of == other.as_of
            && (self.score - other.score).abs() <= TOLERANCE
            && (self.previous - other.previous).abs() <= TOLERANCE
    }
}

fn strange(strangers: usize) -> String {
    format!("{strangers} output records are not what a peer writes")
}

/// The score change in 16 bytes, as `../peers/README.md` says.
fn peer_change(message: &BorrowedMessage<'_>) -> Option<Change> {
    let customer = customer_rank(message.key()?)?;
    let value: &[u8; 16] = message.payload()?.try_into().ok()?;
    let as_of = i64::from_be_bytes(value[..8].try_into().ok()?);
    let score = i32::from_be_bytes(value[8..12].try_into().ok()?);
    let previous = i32::from_be_bytes(value[12..].try_into().ok()?);
    Some(Change { customer, score, previous, as_of, digest: 0 })
}

/// What goodfaith is measured with.
pub(crate) fn policy(path: &Path) -> Policy {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    Policy::from_toml(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// Records between two commits: as many as the service commits at once at most.
const COMMIT: u64 = 20_000;

/// goodfaith's own engine, one a partition, on one thread.
pub(crate) struct Engines<'a> {
    topic: &'a str,
    /// Fingerprint of the policy.
    policy: u64,
    by_partition: Vec<PartitionEngine>,
    effects: Vec<Effect>,
    /// Records handled.
    count: u64,
}

impl<'a> Engines<'a> {
    /// Engines that know nothing yet, for the records of `topic`.
    pub(crate) fn new(topic: &'a str, partitions: i32, policy: Policy) -> Self {
        let settings = Settings { policy: Arc::new(policy), salt: [0; 16], audit: false };
        let policy = wire::policy_fingerprint(&settings.policy);
        let engine = |_| PartitionEngine::new(settings.clone());
        let by_partition = (0..partitions).map(engine).collect();
        Self { topic, policy, by_partition, effects: Vec::new(), count: 0 }
    }

    /// Handles the record at `offset` of `partition`, and gives `each` what it leads to. Now and then what was handled is made final.
    pub(crate) fn take(
        &mut self,
        (partition, offset): (i32, i64),
        original: RecordRef<'_>,
        mut each: impl FnMut(&Effect, Origin<'_>),
    ) {
        let record = wire::decode(original, Expect::EventsTopic);
        let engine = &mut self.by_partition[usize::try_from(partition).unwrap()];
        engine.handle(Input::Record { offset, record }, &mut self.effects);
        let origin = Origin { topic: self.topic, partition, policy: self.policy };
        self.effects.drain(..).for_each(|effect| each(&effect, origin));
        self.count += 1;
        if self.count.is_multiple_of(COMMIT) {
            self.by_partition.iter_mut().for_each(PartitionEngine::commit);
        }
    }
}

/// A record as decoding reads it.
pub(crate) fn record_of<'m>(message: &'m BorrowedMessage<'_>) -> RecordRef<'m> {
    RecordRef {
        key: message.key(),
        value: message.payload(),
        headers: &[],
        timestamp_ms: message.timestamp().to_millis(),
    }
}

/// All score changes that the records of `topic` lead to.
pub(crate) fn expected(broker: &Broker, topic: &str, partitions: i32, policy: Policy) -> Changes {
    let mut engines = Engines::new(topic, partitions, policy);
    let mut changes = Vec::new();
    broker.read(topic, |message| {
        let original = record_of(message);
        engines.take((message.partition(), message.offset()), original, |effect, origin| {
            let Action::Publish(output) = &effect.action else { return };
            let OutputBody::ScoreChanged(changed) = &output.body else { return };
            let written = wire::encode(effect, original, origin, Encoding::BinaryProtobuf);
            let small = |millionths| i32::try_from(millionths).unwrap();
            changes.push(Change {
                customer: customer_rank(output.customer.as_bytes()).unwrap(),
                score: small(changed.reading.score.millionths()),
                previous: changed.previous.map_or(-1, |score| small(score.millionths())),
                as_of: output.time.as_millis(),
                digest: digest_of_record(&written[0]),
            });
        });
    });
    Changes::of(changes)
}

fn digest_of_record(record: &OutRecord) -> u64 {
    let headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
    digest(record.key.as_deref(), record.value.as_deref(), headers)
}

fn digest_of_message(message: &BorrowedMessage<'_>) -> u64 {
    let headers = message.headers();
    let headers = headers.iter().flat_map(|headers| headers.iter());
    digest(message.key(), message.payload(), headers.map(|header| (header.key, header.value)))
}

fn digest<'a>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = Header<'a>>,
) -> u64 {
    let mut hash = Xxh3::new();
    let mut add = |bytes: Option<&[u8]>| {
        hash.update(&bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
        hash.update(bytes.unwrap_or_default());
    };
    add(key);
    add(value);
    // Where a record came from names a journal's number, which no record of input fixes.
    for (name, value) in headers.filter(|(name, _)| *name != "gfsource") {
        add(Some(name.as_bytes()));
        add(value);
    }
    hash.digest()
}
