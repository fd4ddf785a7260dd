//! A worker: one thread with a consumer, a producer and the engines of the partitions it owns. Its loop polls, answers rebalances,
//! brings partitions back, decides what the journal must hold, handles a batch, commits, and answers questions in between.
//!
//! It decides nothing about trust, and never waits long: every wait is bounded, so the poll never stops.

mod ending;
mod handling;
mod holding;
mod restoring;
mod saving;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafkaErrorCode;

use self::holding::{Hold, Room};
pub(super) use self::saving::Saver;
use self::saving::Saving;
use super::clock;
use super::error::{Error, Result};
use super::fact::{Fact, Observer};
use super::failure::Failure;
use super::loading::Loader;
use super::member::{self, Member, Rebalances};
use super::native::FetchQueue;
use super::offsets;
use super::outbox::Outbox;
use super::owners::OwnersWatch;
use super::partition::Scored;
use super::publisher::Publisher;
use super::reference::{PolicyRecord, ReferenceLog, refuse_lasting};
use super::restore::{Phase, Restorer};
use super::settings::{KafkaSettings, Scoring};
use super::steps::Transaction as _;
use super::topics::{EventsTopic, Topics};
use crate::engine::ENGINE;
use crate::live::{Live, PolicyStatus, Query, RefusedPolicy};
use crate::model::BakedIn;
use crate::wire::Encoder;

/// Longest wait for a record while partitions are coming back.
const RESTORE_WAIT: Duration = Duration::from_millis(5);
/// Questions that may wait for an answer; one more is refused at the door.
const INBOX: usize = 1024;
/// Questions answered a turn.
const ANSWERS: usize = 256;
/// One question to the broker within a turn.
const QUESTION: Duration = Duration::from_millis(500);
/// How often an idle partition's clock is advanced at most: each tick is a journal record.
const TICK_INTERVAL: Duration = Duration::from_secs(60);

/// What all workers of a process share.
pub(super) struct Shared {
    pub(super) settings: Arc<KafkaSettings>,
    pub(super) scoring: Scoring,
    pub(super) topics: Arc<Topics>,
    pub(super) events: EventsTopic,
    pub(super) reference: Arc<ReferenceLog>,
    pub(super) live: Arc<Live>,
    pub(super) observer: Arc<dyn Observer>,
    /// Reads snapshots, and takes them on; `None`: there are none.
    pub(super) loader: Option<Arc<Loader>>,
    pub(super) saver: Option<Arc<Saver>>,
    /// Names this process among the group's.
    pub(super) instance: String,
    pub(super) stop: Arc<AtomicBool>,
    /// Workers that have made their first poll.
    pub(super) started: AtomicI64,
    /// When any worker last saw a record, milliseconds since the epoch.
    pub(super) traffic_ms: AtomicI64,
    /// Policies of the reference log below this offset that were refused are told.
    pub(super) refused_offset_next: AtomicI64,
}

impl Shared {
    /// Tells of a policy that cannot come into force: once, though every partition refuses it.
    fn tell_refused(&self, record: &PolicyRecord, baked_in: &BakedIn) {
        let PolicyRecord { offset, fingerprint, policy } = record;
        if *offset < self.refused_offset_next.fetch_max(offset + 1, Ordering::AcqRel) {
            return;
        }
        let reason = baked_in.to_string();
        self.live.refuse_policy(RefusedPolicy {
            version: policy.version.clone(),
            fingerprint: *fingerprint,
            reason: reason.clone(),
        });
        let (version, fingerprint, reason) = (&policy.version, *fingerprint, &reason);
        self.observer.observe(Fact::PolicyRefused { version, fingerprint, reason });
    }
}

/// One worker; it lives on its own thread.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) member: Arc<Member>,
    pub(super) queue: Rc<FetchQueue<Rebalances>>,
    pub(super) outbox: Outbox,
    pub(super) restorer: Restorer,
    pub(super) partitions: BTreeMap<i32, Owned>,
    /// A static member that begins watches whether every partition has an owner.
    pub(super) owners: Option<OwnersWatch>,
    inbox: Receiver<Query>,
    pub(super) inbox_sender: SyncSender<Query>,
    /// Transactions in a row that came to nothing.
    failures: u32,
    /// No record is handled before.
    not_before: Instant,
    has_turned: bool,
    /// What the limit on customers leaves.
    room: Room,
    weighed_at: Instant,
    /// The broker's last word on whether any partition has traffic, and when it was asked.
    traffic: Option<(Instant, bool)>,
}

/// A partition this worker owns.
pub(super) struct Owned {
    pub(super) phase: Phase,
    pub(super) assigned_at: Instant,
    /// When what was heard of it was first doubted.
    doubted_at: Option<Instant>,
    record_at: Instant,
    /// When the last record handled was stored, milliseconds since the epoch.
    stored_ms: Option<i64>,
    tick_at: Option<Instant>,
    measured_at: Option<Instant>,
    /// Why it is not handled.
    hold: Option<Hold>,
    /// A customer's estimated size, in bytes, when last measured.
    customer_bytes: usize,
    /// The offset from which nothing could be unpacked, and how often.
    garbled: Option<(i64, u32)>,
    /// When the broker was last asked whether an open transaction holds records back, and how many it does.
    unstable: Option<(Instant, i64)>,
    /// Once it is served, if there are snapshots.
    saving: Option<Saving>,
}

impl Owned {
    pub(super) fn new() -> Self {
        let now = clock::now();
        Self {
            phase: Phase::Locating,
            assigned_at: now,
            doubted_at: None,
            record_at: now,
            stored_ms: None,
            tick_at: None,
            measured_at: None,
            hold: None,
            customer_bytes: 0,
            garbled: None,
            unstable: None,
            saving: None,
        }
    }
}

impl Worker {
    /// Connects worker `number`.
    ///
    /// # Errors
    /// If a property is wrong or the broker does not answer.
    pub(super) fn connect(number: usize, shared: Arc<Shared>) -> Result<Self> {
        let settings = &shared.settings;
        // Before the group is joined: a predecessor's open transaction must have ended when offsets are asked for.
        let publisher = Publisher::connect_two(settings, &shared.instance, number)?;
        let member: Member = settings
            .member(number)
            .create_with_context(Rebalances::default())
            .map_err(Error::while_doing("making a consumer"))?;
        let member = Arc::new(member);
        let (inbox_sender, inbox) = sync_channel(INBOX);
        Ok(Self {
            number,
            queue: Rc::new(FetchQueue::new(Arc::clone(&member))),
            member,
            outbox: Outbox {
                worker: number,
                settings: Arc::clone(settings),
                topics: Arc::clone(&shared.topics),
                publisher,
                open: None,
                encoder: Encoder::default(),
            },
            restorer: Restorer {
                settings: Arc::clone(settings),
                topics: Arc::clone(&shared.topics),
                events: shared.events,
                scoring: shared.scoring.clone(),
                reference: Arc::clone(&shared.reference),
                engine: ENGINE,
                loader: shared.loader.clone(),
                journal: None,
                asked_alone: None,
            },
            partitions: BTreeMap::new(),
            owners: shared.settings.instance_id.as_ref().map(|_| OwnersWatch::new(clock::now())),
            inbox,
            inbox_sender,
            failures: 0,
            not_before: clock::now(),
            has_turned: false,
            room: Room::default(),
            weighed_at: clock::now(),
            traffic: None,
            shared,
        })
    }

    /// Works until told to stop.
    ///
    /// # Errors
    /// If it cannot go on.
    pub(super) fn run(mut self) -> Result<()> {
        let result = self.work();
        self.leave();
        result
    }

    fn work(&mut self) -> Result<()> {
        self.subscribe()?;
        while !self.shared.stop.load(Ordering::Acquire) && !self.is_drained() {
            self.turn()?;
        }
        self.drain()
    }

    pub(super) fn subscribe(&self) -> Result<()> {
        let subscribed = self.member.subscribe(&[self.shared.topics.events()]);
        subscribed.map_err(Error::while_doing("joining the group"))
    }

    /// Somebody has asked all instances of this engine to leave.
    fn is_drained(&self) -> bool {
        self.restorer.reference.is_drained(self.restorer.engine)
    }

    /// Ends what is under way, because the worker goes.
    fn drain(&mut self) -> Result<()> {
        let started = clock::now();
        self.commit()?;
        self.tell_drained(started);
        Ok(())
    }

    /// Tells how long it took to end what was under way.
    pub(super) fn tell_drained(&self, started: Instant) {
        let elapsed = clock::now().saturating_duration_since(started);
        self.shared.observer.observe(Fact::Drained { worker: self.number, elapsed });
    }

    fn turn(&mut self) -> Result<()> {
        self.shared.live.workers.entry(self.number).or_default().turned_ms = clock::wall_ms();
        // Records come by the queue; one that does not was fetched before it was forwarded, and will be fetched again.
        if let Some(Err(error)) = self.member.poll(Duration::ZERO) {
            refuse_lasting(error)?;
        }
        if !self.has_turned {
            self.has_turned = true;
            self.tell_started();
        }
        for rebalance in self.member.context().take() {
            self.rebalance(&rebalance)?;
        }
        self.outbox.publisher.serve();
        self.restore()?;
        self.save();
        self.answer();
        self.retire_tainted()?;
        if let Err(failure) = self.handle_batch() {
            let outcome = self.outbox.publisher.abort(failure);
            self.conclude(outcome)?;
        }
        if self.room != Room::Ample {
            self.outbox.hurry();
        }
        let is_due = self.outbox.due_in(clock::now()).is_some_and(|due| due.is_zero());
        if is_due {
            self.commit()?;
        }
        let now = clock::now();
        self.watch_owners(now)?;
        self.measure_idle(now);
        self.hold(now)
    }

    fn tell_started(&self) {
        let shared = &self.shared;
        shared.observer.observe(Fact::WorkerStarted { worker: self.number });
        let started = shared.started.fetch_add(1, Ordering::AcqRel) + 1;
        if usize::try_from(started) == Ok(shared.settings.workers) {
            shared.live.is_started.store(true, Ordering::Release);
        }
    }

    /// Answers questions while nothing is speculative: what a reader sees never turns out not to have been.
    fn answer(&self) {
        if self.outbox.open.is_some() {
            return;
        }
        for query in self.inbox.try_iter().take(ANSWERS) {
            let owned = self.partitions.get(&query.partition);
            if let Some(Owned { phase: Phase::Running(scored), .. }) = owned {
                // Whoever asked may have gone.
                drop(query.reply.send(scored.engine().explain(&query.customer)));
            }
            // Otherwise the question is dropped, which its asker sees: the partition is not served here at present.
        }
    }

    /// Leaves the group, unless the membership is static: then the partitions are kept for the session timeout.
    fn leave(mut self) {
        if self.outbox.open.is_some() {
            // An error ended the loop: nothing of the open transaction shall count. If this fails too, the broker ends it.
            let text = "the worker is stopping";
            drop(self.outbox.publisher.abort(Failure::new(RDKafkaErrorCode::AssignmentLost, text)));
        }
        let context = self.member.context();
        context.leave();
        for rebalance in context.take() {
            // The consumer closes only when every rebalance is answered; a refusal means that none is waited for.
            drop(member::answer(&self.member, &rebalance));
        }
        let topic = self.shared.topics.events();
        for (partition, owned) in std::mem::take(&mut self.partitions) {
            self.part_with(partition, owned, false);
            self.queue.release(topic, partition);
            self.shared.live.partitions.remove(&partition);
            self.shared.observer.observe(Fact::PartitionRevoked { partition });
        }
        self.shared.live.workers.remove(&self.number);
        self.shared.observer.observe(Fact::WorkerStopped { worker: self.number });
        // The fields go in order: the queue before the consumer, which closes as its last owner.
    }
}

impl Owned {
    /// How long ago the last record handled was stored.
    fn age(&self) -> Duration {
        let age_ms = self.stored_ms.map_or(0, |stored_ms| clock::wall_ms() - stored_ms);
        Duration::from_millis(u64::try_from(age_ms).unwrap_or(0))
    }

    /// In state running, silence for `idle_after`, and no tick of late.
    fn is_silent(&self, now: Instant, idle_after: Duration) -> bool {
        let interval = TICK_INTERVAL.min(idle_after);
        let is_running = self.hold.is_none() && matches!(self.phase, Phase::Running(_));
        is_running
            && self.record_at + idle_after <= now
            && self.tick_at.is_none_or(|tick_at| tick_at + interval <= now)
    }
}

/// Where the consumer stands in the events topic.
fn position(shared: &Shared, member: &Member, partition: i32) -> Option<i64> {
    offsets::position(member, shared.topics.events(), partition)
}

/// Shows what a partition is scored by, and which rules gather.
fn show_policy(shared: &Shared, partition: i32, scored: &Scored) {
    let Some(mut status) = shared.live.partitions.get_mut(&partition) else { return };
    let (fingerprint, warming) = (scored.policy(), scored.engine().warming());
    let is_shown =
        |shown: &PolicyStatus| shown.fingerprint == fingerprint && shown.warming == *warming;
    if !status.policy.as_ref().is_some_and(is_shown) {
        let policy = Arc::clone(scored.engine().policy());
        status.policy = Some(PolicyStatus { policy, fingerprint, warming: warming.clone() });
    }
}
