//! A small Kafka in memory: logs with transactions and control markers, a coordinator that fences producers, a group with
//! generations, and offsets that wait for their marker.
//!
//! It answers at once and truly; what is lost or late on the way is the business of [`super::network`], and when a marker is
//! written that of [`super::world`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::group::{Group, Member};

/// How long a transaction may stay open before the coordinator ends it.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// What a transaction can touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A partition of a topic.
    Log(&'static str, i32),
    /// The group's offsets.
    Offsets,
}

/// A producer, as the coordinator named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) id: usize,
    pub(super) epoch: u32,
}

/// A record as stored.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(super) timestamp_ms: Option<i64>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_deref().unwrap_or_default();
        write!(f, "{} {}", String::from_utf8_lossy(key), self.source())
    }
}

impl Message {
    /// Its header `gfsource`.
    pub(super) fn source(&self) -> String {
        let header = self.headers.iter().rev().find(|(name, _)| name == "gfsource");
        let value = header.and_then(|(_, value)| value.as_deref()).unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    }
}

/// An offset to commit with its metadata.
pub(super) type Offset = (i64, String);

/// What a producer asks the brokers for.
#[derive(Debug, Clone)]
pub(super) enum Request {
    /// AddPartitionsToTxn, or AddOffsetsToTxn.
    Add(Identity, Place),
    /// One record, numbered within its place.
    Produce(Identity, Place, u32, Message),
    /// TxnOffsetCommit.
    CommitOffsets(Identity, Member, BTreeMap<i32, Offset>),
    /// EndTxn.
    End { producer: Identity, is_commit: bool },
}

/// Why a broker says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// CONCURRENT_TRANSACTIONS: ask again.
    Busy,
    /// PRODUCER_FENCED.
    Fenced,
    /// INVALID_TXN_STATE.
    NoSuchTransaction,
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    OutOfOrder,
    /// ILLEGAL_GENERATION.
    Generation,
    /// UNKNOWN_MEMBER_ID.
    NoMember,
}

/// All of it.
pub(super) struct Cluster {
    logs: BTreeMap<Place, Log>,
    /// By producer id, which is that of its transactional id.
    transactions: Vec<Transaction>,
    pub(super) group: Group,
}

/// A partition.
#[derive(Default)]
pub(super) struct Log {
    entries: Vec<Entry>,
    /// Where each open transaction begins.
    open: BTreeMap<usize, usize>,
    /// By producer: its epoch and the number its next record must have.
    sequences: BTreeMap<usize, (u32, u32)>,
}

/// A record, or a marker.
struct Entry {
    message: Option<Message>,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open(usize),
    Committed,
    Aborted,
}

struct Transaction {
    epoch: u32,
    state: State,
    places: BTreeSet<Place>,
    since: Duration,
}

#[derive(Clone, PartialEq, Eq)]
enum State {
    Empty,
    Ongoing,
    /// Decided; these markers are still to be written.
    Ending {
        is_commit: bool,
        left: BTreeSet<Place>,
    },
    Ended {
        is_commit: bool,
    },
}

impl Cluster {
    pub(super) fn new(producers: usize, group: Group) -> Self {
        let transaction = || Transaction {
            epoch: 0,
            state: State::Empty,
            places: BTreeSet::new(),
            since: Duration::ZERO,
        };
        let transactions = (0..producers).map(|_| transaction()).collect();
        Self { logs: BTreeMap::new(), transactions, group }
    }

    pub(super) fn log(&mut self, topic: &'static str, partition: i32) -> &mut Log {
        self.logs.entry(Place::Log(topic, partition)).or_default()
    }

    /// Every log with its place.
    pub(super) fn logs(&self) -> impl Iterator<Item = (Place, &Log)> {
        self.logs.iter().map(|(place, log)| (*place, log))
    }

    /// InitProducerId: ends what a predecessor left open and fences it.
    pub(super) fn init(&mut self, id: usize) -> Result<Identity, Refused> {
        match self.transactions[id].state {
            State::Ongoing => {
                self.fence(id);
                Err(Refused::Busy)
            }
            State::Ending { .. } => Err(Refused::Busy),
            State::Empty | State::Ended { .. } => {
                let transaction = &mut self.transactions[id];
                transaction.epoch += 1;
                transaction.state = State::Empty;
                Ok(Identity { id, epoch: transaction.epoch })
            }
        }
    }

    /// Aborts an open transaction under a new epoch.
    fn fence(&mut self, id: usize) {
        let transaction = &mut self.transactions[id];
        transaction.epoch += 1;
        let left = std::mem::take(&mut transaction.places);
        transaction.state = State::Ending { is_commit: false, left };
    }

    /// Ends what has been open for too long.
    pub(super) fn expire(&mut self, now: Duration) {
        for id in 0..self.transactions.len() {
            let transaction = &self.transactions[id];
            if transaction.state == State::Ongoing && transaction.since + TRANSACTION_TIMEOUT < now
            {
                self.fence(id);
            }
        }
    }

    /// Does what `request` asks for.
    pub(super) fn handle(&mut self, request: &Request, now: Duration) -> Result<(), Refused> {
        match request {
            Request::Add(producer, place) => self.add(*producer, *place, now),
            Request::Produce(producer, place, sequence, message) => {
                self.produce(*producer, *place, *sequence, message)
            }
            Request::CommitOffsets(producer, member, offsets) => {
                self.check_epoch(*producer)?;
                self.group.check(*member)?;
                if !self.group.has_pending(producer.id) {
                    self.verify(*producer, Place::Offsets)?;
                }
                self.group.pend(producer.id, offsets);
                Ok(())
            }
            Request::End { producer, is_commit } => self.end(*producer, *is_commit),
        }
    }

    fn check_epoch(&self, producer: Identity) -> Result<(), Refused> {
        let is_current = self.transactions[producer.id].epoch == producer.epoch;
        if is_current { Ok(()) } else { Err(Refused::Fenced) }
    }

    /// What the coordinator says of a place without open transaction: since Kafka 3.6 none is begun behind its back.
    fn verify(&self, producer: Identity, place: Place) -> Result<(), Refused> {
        self.check_epoch(producer)?;
        let transaction = &self.transactions[producer.id];
        let is_part = transaction.state == State::Ongoing && transaction.places.contains(&place);
        if is_part { Ok(()) } else { Err(Refused::NoSuchTransaction) }
    }

    fn add(&mut self, producer: Identity, place: Place, now: Duration) -> Result<(), Refused> {
        self.check_epoch(producer)?;
        let transaction = &mut self.transactions[producer.id];
        match transaction.state {
            State::Ending { .. } => return Err(Refused::Busy),
            State::Ongoing => {}
            State::Empty | State::Ended { .. } => {
                transaction.state = State::Ongoing;
                transaction.places.clear();
                transaction.since = now;
            }
        }
        transaction.places.insert(place);
        Ok(())
    }

    fn produce(
        &mut self,
        producer: Identity,
        place: Place,
        sequence: u32,
        message: &Message,
    ) -> Result<(), Refused> {
        let log = self.logs.entry(place).or_default();
        let (epoch, expected) =
            log.sequences.get(&producer.id).copied().unwrap_or((producer.epoch, 0));
        let expected = if epoch < producer.epoch { 0 } else { expected };
        if producer.epoch < epoch {
            return Err(Refused::Fenced);
        }
        if sequence < expected {
            return Ok(());
        }
        if expected < sequence {
            return Err(Refused::OutOfOrder);
        }
        let is_open = log.open.contains_key(&producer.id);
        if !is_open {
            self.verify(producer, place)?;
        }
        let log = self.logs.entry(place).or_default();
        log.sequences.insert(producer.id, (producer.epoch, sequence + 1));
        log.open.entry(producer.id).or_insert(log.entries.len());
        let fate = Fate::Open(producer.id);
        log.entries.push(Entry { message: Some(message.clone()), fate });
        Ok(())
    }

    fn end(&mut self, producer: Identity, is_commit: bool) -> Result<(), Refused> {
        self.check_epoch(producer)?;
        let transaction = &mut self.transactions[producer.id];
        match &transaction.state {
            State::Ongoing => {
                let left = std::mem::take(&mut transaction.places);
                transaction.state = State::Ending { is_commit, left };
                Ok(())
            }
            State::Ending { is_commit: decided, .. } | State::Ended { is_commit: decided }
                if *decided == is_commit =>
            {
                Ok(())
            }
            _ => Err(Refused::NoSuchTransaction),
        }
    }

    /// Markers decided on and not written yet.
    pub(super) fn markers(&self) -> Vec<(usize, Place)> {
        let left = |(id, transaction): (usize, &Transaction)| match &transaction.state {
            State::Ending { left, .. } => left.iter().map(|place| (id, *place)).collect(),
            _ => Vec::new(),
        };
        self.transactions.iter().enumerate().flat_map(left).collect()
    }

    /// Writes one of [`Self::markers`].
    pub(super) fn write_marker(&mut self, id: usize, place: Place) {
        let transaction = &mut self.transactions[id];
        let epoch = transaction.epoch;
        let State::Ending { is_commit, left } = &mut transaction.state else { return };
        let is_commit = *is_commit;
        left.remove(&place);
        if left.is_empty() {
            transaction.state = State::Ended { is_commit };
        }
        match place {
            Place::Offsets => self.group.resolve(id, is_commit),
            log => self.logs.entry(log).or_default().end(Identity { id, epoch }, is_commit),
        }
    }

    /// No transaction is open or about to end.
    pub(super) fn is_at_rest(&self) -> bool {
        let is_over = |transaction: &Transaction| {
            matches!(transaction.state, State::Empty | State::Ended { .. })
        };
        self.transactions.iter().all(is_over)
    }
}

impl Log {
    /// Appends a record outside of any transaction.
    pub(super) fn append(&mut self, message: Message) {
        self.entries.push(Entry { message: Some(message), fate: Fate::Committed });
    }

    /// Appends what no reader sees: the marker of somebody else's transaction.
    pub(super) fn append_marker(&mut self) {
        self.entries.push(Entry { message: None, fate: Fate::Committed });
    }

    fn end(&mut self, producer: Identity, is_commit: bool) {
        let fate = if is_commit { Fate::Committed } else { Fate::Aborted };
        if let Some(first) = self.open.remove(&producer.id) {
            for entry in &mut self.entries[first..] {
                if entry.fate == Fate::Open(producer.id) {
                    entry.fate = fate;
                }
            }
        }
        let (epoch, _) = self.sequences.entry(producer.id).or_insert((producer.epoch, 0));
        if *epoch < producer.epoch {
            self.sequences.insert(producer.id, (producer.epoch, 0));
        }
        self.append_marker();
    }

    /// A reader who has passed the record before `position` has passed them all, and no transaction is open.
    pub(super) fn is_decided(&self, position: i64) -> bool {
        self.open.is_empty() && self.visible(position).next().is_none()
    }

    /// The last stable offset: what follows belongs to transactions nobody knows the end of.
    pub(super) fn stable_end(&self) -> i64 {
        offset(self.open.values().min().copied().unwrap_or(self.entries.len()))
    }

    /// What a reader under `read_committed` sees from `start` on.
    pub(super) fn visible(&self, start: i64) -> impl Iterator<Item = (i64, &Message)> {
        let stable_end = usize::try_from(self.stable_end()).expect("an offset is not negative");
        let start = usize::try_from(start).expect("an offset is not negative").min(stable_end);
        let entries = self.entries[start..stable_end].iter().enumerate();
        entries.filter(|(_, entry)| entry.fate == Fate::Committed).filter_map(move |(at, entry)| {
            entry.message.as_ref().map(|message| (offset(start + at), message))
        })
    }
}

fn offset(index: usize) -> i64 {
    i64::try_from(index).expect("an index fits")
}
