//! A world: a few workers on a small cluster, a short history that arrives bit by bit, and whatever can go wrong; then a time in
//! which nothing does, and all must come right. Everything follows from its seed.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::super::offsets::Committed;
use super::super::partition::Position;
use super::super::settings::Scoring;
use super::checker::{self, Anomaly};
use super::cluster::{Cluster, Message};
use super::group::Group;
use super::network::{Network, Strike};
use super::producer::target;
use super::worker::Worker;
use crate::engine::RollUps;
use crate::generate::dice::Dice;
use crate::model::{Event, EventTime, Policy, PolicyDocument, ReferenceChange};
use crate::wire::{self, Expect, RecordRef};

/// Steps in which all must have come right.
const PATIENCE: usize = 8000;
/// How long the group waits for a member that is silent.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// What keeps a deployment from harm. Control runs do without one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Safeguards {
    /// A producer of which a request took more than one attempt is replaced before its next transaction.
    pub(super) taint: bool,
    /// A transaction of unknown outcome ends its producer, and the group is asked.
    pub(super) retirement: bool,
    /// The mark beside an offset is compared, not the offset alone.
    pub(super) marks: bool,
    /// The journal is read until the committed record, not until what can be seen of it ends.
    pub(super) journal_to_mark: bool,
    /// The state of an aborted transaction is put back.
    pub(super) undo: bool,
    /// The group takes offsets from members of the present generation only.
    pub(super) generations: bool,
    /// A transaction carries an offset of each partition it touched, even one that has not moved.
    pub(super) unchanged_offsets: bool,
}

impl Safeguards {
    /// As in production.
    pub(super) const ALL: Self = Self {
        taint: true,
        retirement: true,
        marks: true,
        journal_to_mark: true,
        undo: true,
        generations: true,
        unchanged_offsets: true,
    };
}

/// How a world is to be lived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) safeguards: Safeguards,
    /// Nothing goes wrong but this: the request of that number is struck.
    pub(super) strike: Option<(u64, Strike)>,
    /// Nothing goes wrong by chance.
    pub(super) is_calm: bool,
    /// It is noted what happens.
    pub(super) is_traced: bool,
}

impl Plan {
    /// As in production, and whatever can go wrong.
    pub(super) const WORST: Self =
        Self { safeguards: Safeguards::ALL, strike: None, is_calm: false, is_traced: false };

    pub(super) const fn without(safeguards: Safeguards) -> Self {
        Self { safeguards, ..Self::WORST }
    }
}

/// All that surrounds a worker.
pub(super) struct Around {
    pub(super) cluster: Cluster,
    pub(super) network: Network,
    pub(super) dice: Dice,
    pub(super) now: Duration,
    pub(super) safeguards: Safeguards,
    /// The reference log: a change an offset.
    pub(super) reference: Vec<ReferenceChange>,
    /// Event time, as ticks tell it.
    pub(super) clock: EventTime,
    /// Idle partitions' clocks are advanced.
    pub(super) ticks: bool,
    /// Out of 1000 times, how often the coordinator says of a committed offset that there is none.
    pub(super) forgetful: u64,
    /// Partitions taken out of service, and why.
    pub(super) refusals: Vec<(i32, String)>,
    trace: Option<Vec<String>>,
}

impl Around {
    /// Notes what happens, if it is to be told.
    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8} ms  {}", self.now.as_millis(), text()));
        }
    }

    /// What was noted.
    pub(super) fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    /// What the coordinator says is committed of `partition`: an error while it is not certain.
    pub(super) fn committed(&mut self, partition: i32) -> Result<Committed, ()> {
        if self.dice.chance(self.forgetful) {
            self.note(|| format!("the coordinator forgets partition {partition}"));
            return Ok(Ok(None));
        }
        let found = self.cluster.group.committed(partition)?;
        let position = |(offset_next, text): &(i64, String)| {
            text.parse().map(|mark| Position { offset_next: *offset_next, mark })
        };
        Ok(found.map(position).transpose())
    }
}

/// What a world came to.
pub(super) struct Outcome {
    pub(super) anomalies: Vec<Anomaly>,
    /// Outputs that readers see.
    pub(super) published: usize,
    /// Requests of producers.
    pub(super) requests: u64,
    /// What happened, if it was to be told.
    pub(super) trace: Vec<String>,
}

/// Lives the world of `seed`.
pub(super) fn live(seed: u64, plan: Plan) -> Outcome {
    let mut world = World::new(seed, plan);
    world.suffer(plan.is_calm);
    world.heal();
    let survivors: Vec<&Worker> = world.workers.iter().flatten().collect();
    checker::check(world.partition_count, &mut world.around, &survivors, world.is_whole)
}

/// What all worlds score with.
pub(super) fn scoring() -> Scoring {
    Scoring { policy: Arc::new(Policy::default()), audit: true, roll_ups: RollUps::Published }
}

struct World {
    around: Around,
    partition_count: i32,
    workers: Vec<Option<Worker>>,
    /// Until when a worker stands still.
    frozen: Vec<Duration>,
    /// Members whose process is gone, or stands still for too long; the group will notice.
    silent: Vec<u64>,
    input: VecDeque<(i32, Option<Message>)>,
    changes: VecDeque<ReferenceChange>,
    is_whole: bool,
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Work,
    Marker,
    Input,
    Reference,
    Stray,
    Crash,
    Freeze,
    Notice,
    Rebalance,
    Expire,
    Wait,
}

impl World {
    fn new(seed: u64, plan: Plan) -> Self {
        let Plan { safeguards, strike, is_calm, is_traced } = plan;
        let mut dice = Dice::new(seed);
        let partition_count = i32::try_from(dice.within(1, 3)).expect("a few");
        let worker_count = usize::try_from(dice.within(1, 3)).expect("a few");
        let (input, changes) = history(&mut dice, partition_count);
        let group = Group::new(partition_count, safeguards.generations);
        let (lossy, forgetful) = (dice.pick(&[0, 20, 60, 150]), dice.pick(&[0, 0, 30]));
        let network = Network::new(if is_calm { 0 } else { lossy }, strike);
        Self {
            partition_count,
            workers: (0..worker_count).map(|n| Some(Worker::new(n, partition_count))).collect(),
            frozen: vec![Duration::ZERO; worker_count],
            silent: Vec::new(),
            input,
            changes,
            is_whole: false,
            around: Around {
                cluster: Cluster::new(2 * worker_count, group),
                network,
                now: Duration::ZERO,
                safeguards,
                reference: Vec::new(),
                clock: EventTime::parse("2025-06-01T00:00:00Z").expect("a date"),
                ticks: true,
                forgetful: if is_calm { 0 } else { forgetful },
                refusals: Vec::new(),
                trace: is_traced.then(Vec::new),
                dice,
            },
        }
    }

    /// The time in which anything goes wrong.
    fn suffer(&mut self, is_calm: bool) {
        let steps = self.around.dice.within(200, 700);
        let worst = if is_calm { 0 } else { self.around.dice.below(12) };
        let shares = [
            (600, Turn::Work),
            (120, Turn::Marker),
            (60, Turn::Input),
            (20, Turn::Reference),
            (40, Turn::Stray),
            (worst, Turn::Crash),
            (worst / 2, Turn::Freeze),
            (20, Turn::Notice),
            (worst, Turn::Rebalance),
            (20, Turn::Expire),
            (if is_calm { 0 } else { 10 }, Turn::Wait),
        ];
        for _ in 0..steps {
            let turn = self.around.dice.weighted(&shares);
            self.take(turn);
        }
    }

    /// The time in which nothing does.
    fn heal(&mut self) {
        self.around.note(|| "from here on nothing goes wrong".to_owned());
        self.around.network.per_mille = 0;
        (self.around.forgetful, self.around.ticks) = (0, false);
        while !self.input.is_empty() {
            self.take(Turn::Input);
        }
        self.frozen.fill(Duration::ZERO);
        for step in 0..PATIENCE {
            self.is_whole = self.is_done();
            if self.is_whole {
                return;
            }
            let turn = match step % 8 {
                2 if step % 512 == 2 => Turn::Wait,
                0 => Turn::Stray,
                1 => Turn::Notice,
                2 => Turn::Expire,
                3 | 4 => Turn::Marker,
                _ => Turn::Work,
            };
            self.take(turn);
        }
    }

    fn is_done(&mut self) -> bool {
        let Around { cluster, .. } = &mut self.around;
        let is_handled = |partition| {
            let last = cluster.log("events", partition).visible(0).last();
            let end = last.map_or(0, |(offset, _)| offset + 1);
            let found = cluster.group.committed(partition);
            matches!(found, Ok(Some((offset_next, _))) if *offset_next == end)
        };
        (0..self.partition_count).all(is_handled) && cluster.is_at_rest()
    }

    fn take(&mut self, turn: Turn) {
        self.around.now += Duration::from_millis(self.around.dice.below(15));
        match turn {
            Turn::Work => self.work(),
            Turn::Marker => self.write_marker(),
            Turn::Input => self.append(),
            Turn::Reference => self.around.reference.extend(self.changes.pop_front()),
            Turn::Stray => {
                let Around { cluster, network, dice, now, .. } = &mut self.around;
                if let Some(stray) = network.deliver(cluster, dice, *now) {
                    self.around.note(|| format!("late: {stray:?}"));
                }
            }
            Turn::Crash => {
                let number = self.any_worker();
                self.crash(number);
            }
            Turn::Freeze => self.freeze(),
            Turn::Notice => self.notice(),
            Turn::Rebalance => {
                self.around.note(|| "rebalance".to_owned());
                let Around { cluster, dice, .. } = &mut self.around;
                cluster.group.rebalance(dice);
            }
            Turn::Expire => self.around.cluster.expire(self.around.now),
            Turn::Wait => {
                self.around.now += Duration::from_millis(self.around.dice.below(8000));
            }
        }
    }

    fn any_worker(&mut self) -> usize {
        usize::try_from(self.around.dice.below(self.workers.len() as u64)).expect("a few")
    }

    /// One worker goes on; one that is gone is started again.
    fn work(&mut self) {
        let number = self.any_worker();
        if self.around.now < self.frozen[number] {
            return;
        }
        let partition_count = self.partition_count;
        let worker =
            self.workers[number].get_or_insert_with(|| Worker::new(number, partition_count));
        if worker.step(&mut self.around).is_err() {
            self.crash(number);
        }
    }

    fn write_marker(&mut self) {
        let markers = self.around.cluster.markers();
        if !markers.is_empty() {
            let (id, place) = self.around.dice.pick(&markers);
            self.around.note(|| format!("marker of producer {id} at {place:?}"));
            self.around.cluster.write_marker(id, place);
        }
    }

    fn append(&mut self) {
        let Some((partition, message)) = self.input.pop_front() else { return };
        let log = self.around.cluster.log("events", partition);
        match message {
            Some(message) => log.append(message),
            None => log.append_marker(),
        }
    }

    fn crash(&mut self, number: usize) {
        self.around.note(|| format!("worker {number} dies"));
        if let Some(worker) = self.workers[number].take() {
            self.silent.extend(worker.member());
        }
        self.frozen[number] = Duration::ZERO;
    }

    /// A worker stands still, for longer than its session or not.
    fn freeze(&mut self) {
        let number = self.any_worker();
        let pause = Duration::from_millis(500 + self.around.dice.below(20_000));
        self.around.note(|| format!("worker {number} stands still for {pause:?}"));
        self.frozen[number] = self.around.now + pause;
        if SESSION_TIMEOUT < pause {
            self.silent.extend(self.workers[number].as_ref().and_then(Worker::member));
        }
    }

    /// The group notices that a member is silent.
    fn notice(&mut self) {
        if let Some(member) = self.silent.pop() {
            self.around.note(|| format!("member {member} is evicted"));
            let Around { cluster, dice, .. } = &mut self.around;
            cluster.group.evict(member, dice);
        }
    }
}

/// One line of a scenario.
#[derive(Clone)]
struct Line {
    value: Vec<u8>,
    key: Option<Vec<u8>>,
    time: EventTime,
}

/// The golden scenarios: their events, and the reference data they need.
fn scenarios() -> &'static [(Vec<Line>, Vec<ReferenceChange>)] {
    static SCENARIOS: OnceLock<Vec<(Vec<Line>, Vec<ReferenceChange>)>> = OnceLock::new();
    SCENARIOS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
        let mut paths: Vec<_> = fs::read_dir(folder)
            .expect("the vectors are here")
            .map(|entry| entry.expect("a file").path())
            .filter(|path| path.to_string_lossy().ends_with(".events.ndjson"))
            .collect();
        paths.sort();
        paths.iter().map(|path| scenario(&fs::read_to_string(path).expect("text"))).collect()
    })
}

fn scenario(text: &str) -> (Vec<Line>, Vec<ReferenceChange>) {
    let (mut lines, mut changes, mut time) = (Vec::new(), Vec::new(), EventTime::default());
    for line in text.lines() {
        let value = line.as_bytes().to_vec();
        let record = RecordRef { key: None, value: Some(&value), headers: &[], timestamp_ms: None };
        let key = match wire::decode(record, Expect::File) {
            Ok(Event::Reference(event)) => {
                changes.push(event.change);
                continue;
            }
            Ok(Event::Customer(event)) => {
                time = event.time;
                Some(event.customer.as_bytes().to_vec())
            }
            Ok(Event::Tick(_)) | Err(_) => None,
        };
        lines.push(Line { value, key, time });
    }
    (lines, changes)
}

/// A short history: pieces of scenarios, interleaved, with doubles and disorder; and the changes that reach the reference log.
fn history(
    dice: &mut Dice,
    partition_count: i32,
) -> (VecDeque<(i32, Option<Message>)>, VecDeque<ReferenceChange>) {
    let (mut pieces, mut changes) = (Vec::new(), VecDeque::new());
    for _ in 0..dice.within(1, 3) {
        let all = scenarios();
        let at = usize::try_from(dice.below(all.len() as u64)).expect("an index");
        let (lines, needed) = &all[at];
        let count = usize::try_from(dice.within(10, 24)).expect("a few");
        let first = dice.below(lines.len().saturating_sub(count) as u64 + 1);
        let first = usize::try_from(first).expect("an index");
        pieces.push(lines.iter().skip(first).take(count).cloned().collect::<VecDeque<_>>());
        changes.extend(needed.iter().cloned());
    }
    for policy in ["low", "baked", "lower"] {
        let text = match policy {
            "baked" => r#"{"version":"baked","dimensions":{"care":{"lambda":3}}}"#.to_owned(),
            low => format!(r#"{{"version":"{low}","base_rate":0.{}}}"#, low.len()),
        };
        let policy = Arc::new(PolicyDocument::from_json(&text).expect("a policy"));
        let at = usize::try_from(dice.below(changes.len() as u64 + 1)).expect("an index");
        changes.insert(at, ReferenceChange::PolicyPublished { policy });
    }
    let mut input = VecDeque::new();
    while let Some(at) = any_piece(dice, &mut pieces) {
        let Some(line) = pieces[at].pop_front() else { continue };
        if dice.chance(40) {
            // Out of order: two lines later, if there are as many.
            let later = pieces[at].len().min(2);
            pieces[at].insert(later, line);
            continue;
        }
        let record = message(dice, &line, partition_count);
        if dice.chance(50) {
            input.push_back(record.clone());
        }
        if dice.chance(30) {
            input.push_back((record.0, None));
        }
        input.push_back(record);
    }
    (input, changes)
}

fn any_piece(dice: &mut Dice, pieces: &mut Vec<VecDeque<Line>>) -> Option<usize> {
    pieces.retain(|piece| !piece.is_empty());
    if pieces.is_empty() {
        return None;
    }
    Some(usize::try_from(dice.below(pieces.len() as u64)).expect("an index"))
}

fn message(dice: &mut Dice, line: &Line, partition_count: i32) -> (i32, Option<Message>) {
    let anywhere = i32::try_from(dice.below(partition_count.unsigned_abs().into())).expect("few");
    let partition = line.key.as_deref().map_or(anywhere, |key| target(key, partition_count));
    // A little behind the event, or before it could have happened.
    let delay = if dice.chance(20) { -3_600_000 } else { dice.within(0, 5000) };
    let message = Message {
        key: line.key.clone(),
        value: Some(line.value.clone()),
        headers: Vec::new(),
        timestamp_ms: Some(line.time.as_millis() + delay),
    };
    (partition, Some(message))
}
