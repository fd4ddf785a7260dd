//! The customers of one partition, the order in which their timers are due, and the way back: what was touched since the last
//! commit is kept as it was, so that an abort puts all of it back.
//!
//! Those heard of lately are awake, ready to be changed; the others rest as packed bytes, which take a fraction of the room. Who is
//! awake shows nowhere but in speed and memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashSet};
use sha2::{Digest, Sha256};

use super::entry::{Entry, Packer, earliest};
use crate::model::EventTime;

/// Customers awake unless another number is asked for: some 30 MB of a partition.
const AWAKE: usize = 4096;
/// About what a customer takes while awake: record and lists.
const AWAKE_BYTES: usize = 8192;

/// Names an erased customer without holding its id: the first 16 bytes of SHA-256 over salt and id.
type RefusalKey = [u8; 16];

/// A customer as it rests.
pub(super) type Packed = Arc<[u8]>;

/// Erased customers: up to when their events are refused.
pub(super) type Refusals = BTreeMap<RefusalKey, EventTime>;

/// All customers of a partition.
#[derive(Debug, Default)]
pub(super) struct Store {
    slots: HashMap<Arc<str>, Slot, FixedState>,
    /// Whoever is awake, in the order they woke; some may rest again, or be gone.
    woken: VecDeque<Arc<str>>,
    sleep: Sleep,
    /// The earliest deadline of every customer that has one.
    deadlines: BTreeSet<(EventTime, Arc<str>)>,
    refusals: Refusals,
    undo: Undo,
    /// Whoever was changed or erased since the last image; `None`: nobody asks.
    changed: Option<HashSet<Arc<str>, FixedState>>,
}

/// One customer, awake or at rest.
#[derive(Debug)]
enum Slot {
    Awake {
        entry: Box<Entry>,
        is_recent: bool,
        /// Its bytes, unless it changed since it had some.
        packed: Option<Packed>,
    },
    Resting(Packed),
}

/// How many are awake and how large the others are.
#[derive(Debug)]
struct Sleep {
    awake_max: usize,
    awake: usize,
    /// Lengths of all that rests.
    resting_bytes: usize,
    /// Lengths of all ids.
    id_bytes: usize,
    packer: Packer,
}

/// What was touched since the last commit, as it was.
#[derive(Debug, Default)]
struct Undo {
    /// Nothing is kept: what is changed is final at once.
    is_off: bool,
    slots: HashMap<Arc<str>, Option<Packed>, FixedState>,
    refusals: Vec<(RefusalKey, Option<EventTime>)>,
}

impl Default for Sleep {
    fn default() -> Self {
        Self {
            awake_max: AWAKE,
            awake: 0,
            resting_bytes: 0,
            id_bytes: 0,
            packer: Packer::default(),
        }
    }
}

impl Sleep {
    /// Counts a slot of `id` that comes.
    fn add(&mut self, id: &str, slot: &Slot) {
        self.id_bytes += id.len();
        match slot {
            Slot::Awake { .. } => self.awake += 1,
            Slot::Resting(packed) => self.resting_bytes += packed.len(),
        }
    }

    /// Counts a slot of `id` that goes.
    fn remove(&mut self, id: &str, slot: &Slot) {
        self.id_bytes -= id.len();
        match slot {
            Slot::Awake { .. } => self.awake -= 1,
            Slot::Resting(packed) => self.resting_bytes -= packed.len(),
        }
    }
}

impl Slot {
    fn entry(&self, id: &Arc<str>) -> Cow<'_, Entry> {
        match self {
            Self::Awake { entry, .. } => Cow::Borrowed(entry),
            Self::Resting(packed) => Cow::Owned(unpack(id, packed)),
        }
    }

    fn packed(&self, packer: &mut Packer) -> Packed {
        match self {
            Self::Awake { packed: Some(packed), .. } | Self::Resting(packed) => Arc::clone(packed),
            Self::Awake { entry, packed: None, .. } => packer.pack(entry),
        }
    }

    fn deadline(&self) -> Option<EventTime> {
        match self {
            Self::Awake { entry, .. } => entry.customer.timers.earliest(),
            Self::Resting(packed) => earliest(packed).expect("what was packed has its deadline"),
        }
    }
}

impl Store {
    /// A store of customers at rest.
    ///
    /// # Errors
    /// If one holds too few bytes for its deadline.
    pub(super) fn of(
        customers: impl IntoIterator<Item = (Arc<str>, Packed)>,
        refusals: Refusals,
    ) -> Result<Self, postcard::Error> {
        let mut store = Self { refusals, ..Self::default() };
        let mut deadlines = Vec::new();
        for (id, packed) in customers {
            deadlines.extend(earliest(&packed)?.map(|deadline| (deadline, Arc::clone(&id))));
            store.put(id, Slot::Resting(packed));
        }
        // Collected at once: a tree is built several times faster from a list in order.
        store.deadlines = deadlines.into_iter().collect();
        Ok(store)
    }

    /// From now on so many customers are awake at most, at least one.
    pub(super) fn keep_awake(&mut self, awake_max: usize) {
        self.sleep.awake_max = awake_max.max(1);
    }

    /// The customer `id`, awake from now on.
    pub(super) fn wake(&mut self, id: &Arc<str>) -> Option<&Entry> {
        self.waken(id).map(|(entry, _)| &**entry)
    }

    /// The customer `id`, awake from now on, and its bytes, which must go if it changes.
    fn waken(&mut self, id: &Arc<str>) -> Option<(&mut Box<Entry>, &mut Option<Packed>)> {
        if let Slot::Resting(packed) = self.slots.get(id)? {
            let packed = Arc::clone(packed);
            let entry = Box::new(unpack(id, &packed));
            self.put_awake(id, entry, Some(packed));
        }
        match self.slots.get_mut(id) {
            Some(Slot::Awake { entry, is_recent, packed }) => {
                *is_recent = true;
                Some((entry, packed))
            }
            _ => unreachable!("who was woken is awake"),
        }
    }

    /// The customer `id`, whether awake or not.
    pub(super) fn read(&self, id: &str) -> Option<Cow<'_, Entry>> {
        self.slots.get_key_value(id).map(|(id, slot)| slot.entry(id))
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// About the bytes the customers take: those at rest to the byte, those awake by the number of them; with their ids, their slots
    /// in the table and the index of their deadlines. Unused room is not in it.
    pub(super) fn bytes(&self) -> usize {
        let Sleep { awake, resting_bytes, id_bytes, .. } = self.sleep;
        let counts = 2 * size_of::<usize>();
        let slot = size_of::<(Arc<str>, Slot)>() + 1;
        let indexed = size_of::<(EventTime, Arc<str>)>();
        resting_bytes
            + id_bytes
            + awake * AWAKE_BYTES
            + self.slots.len() * (2 * counts + slot)
            + self.deadlines.len() * indexed
    }

    /// Every id, in order.
    pub(super) fn ids(&self) -> Vec<Arc<str>> {
        let mut ids: Vec<Arc<str>> = self.slots.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// Changes the customer `id`, made by `make` if it is new; its deadline is indexed anew.
    pub(super) fn change<R>(
        &mut self,
        id: &Arc<str>,
        make: impl FnOnce() -> Entry,
        change: impl FnOnce(&mut Entry) -> R,
    ) -> R {
        self.keep_as_it_was(id);
        if !self.slots.contains_key(id) {
            self.put_awake(id, Box::new(make()), None);
        }
        let (entry, packed) = self.waken(id).expect("whoever was missing was made");
        *packed = None;
        let before = entry.customer.timers.earliest();
        let result = change(entry);
        let after = entry.customer.timers.earliest();
        self.reindex(id, before, after);
        result
    }

    /// Drops the customer `id`; what it was.
    pub(super) fn remove(&mut self, id: &Arc<str>) -> Option<Entry> {
        self.keep_as_it_was(id);
        let slot = self.take(id)?;
        self.reindex(id, slot.deadline(), None);
        Some(slot.entry(id).into_owned())
    }

    /// The customer whose timer is due first, if that is by `watermark`; ties by id.
    pub(super) fn first_due(&self, watermark: EventTime) -> Option<Arc<str>> {
        self.deadlines
            .first()
            .filter(|(deadline, _)| *deadline <= watermark)
            .map(|(_, id)| Arc::clone(id))
    }

    /// Up to when events of `id` are refused.
    pub(super) fn refused_until(&self, salt: [u8; 16], id: &str) -> Option<EventTime> {
        if self.refusals.is_empty() {
            None
        } else {
            self.refusals.get(&refusal_key(salt, id)).copied()
        }
    }

    /// Refuses events of `id` up to `until`.
    pub(super) fn refuse(&mut self, salt: [u8; 16], id: &str, until: EventTime) {
        let key = refusal_key(salt, id);
        let before = self.refusals.get(&key).copied();
        self.undo.refusals.push((key, before));
        self.refusals.insert(key, before.map_or(until, |before| before.max(until)));
    }

    /// Up to when events of erased customers are refused.
    pub(super) const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Makes what was changed final.
    pub(super) fn commit(&mut self) {
        if let Some(changed) = &mut self.changed {
            changed.extend(self.undo.slots.drain().map(|(id, _)| id));
        }
        self.undo.slots.clear();
        self.undo.refusals.clear();
    }

    /// Puts back what was changed.
    pub(super) fn abort(&mut self) {
        assert!(!self.undo.is_off, "an engine that forwent undo cannot abort");
        let undone = std::mem::take(&mut self.undo.slots);
        self.woken.retain(|id| !undone.contains_key(id));
        for (id, before) in undone {
            let before = before.map(Slot::Resting);
            let now = self.take(&id).and_then(|slot| slot.deadline());
            let then = before.as_ref().and_then(Slot::deadline);
            self.reindex(&id, now, then);
            if let Some(before) = before {
                self.put(id, before);
            }
        }
        for (key, before) in std::mem::take(&mut self.undo.refusals).into_iter().rev() {
            match before {
                Some(until) => self.refusals.insert(key, until),
                None => self.refusals.remove(&key),
            };
        }
    }

    /// Customers touched since the last commit: what an abort would have to put back.
    pub(super) fn touched(&self) -> usize {
        self.undo.slots.len()
    }

    /// From now on whoever is changed is noted, for [`Self::take_changed`].
    pub(super) fn note_changes(&mut self) {
        self.changed = Some(HashSet::default());
    }

    /// Everybody, packed. The notes begin anew.
    pub(super) fn all(&mut self) -> Vec<(Arc<str>, Option<Packed>)> {
        if let Some(changed) = &mut self.changed {
            changed.clear();
        }
        let packer = &mut self.sleep.packer;
        let packed = |(id, slot): (&Arc<str>, &Slot)| (Arc::clone(id), Some(slot.packed(packer)));
        self.slots.iter().map(packed).collect()
    }

    /// Whoever was noted, packed; `None` for whoever is gone. The notes begin anew.
    pub(super) fn take_changed(&mut self) -> Vec<(Arc<str>, Option<Packed>)> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let (slots, packer) = (&self.slots, &mut self.sleep.packer);
        let packed = |id: Arc<str>| {
            let packed = slots.get(&id).map(|slot| slot.packed(packer));
            (id, packed)
        };
        changed.into_iter().map(packed).collect()
    }

    /// What of it is state: customers in order, deadlines and refusals.
    pub(super) fn describe(&self, into: &mut impl FnMut(&[u8])) {
        let mut packer = Packer::default();
        for id in self.ids() {
            into(id.as_bytes());
            into(&self.slots[&id].packed(&mut packer));
        }
        into(format!("{:?} {:?}", self.deadlines, self.refusals).as_bytes());
    }

    /// From now on what is changed is final at once.
    pub(super) fn forgo_undo(&mut self) {
        self.undo.is_off = true;
    }

    /// What is changed is final at once.
    pub(super) const fn forgoes_undo(&self) -> bool {
        self.undo.is_off
    }

    fn keep_as_it_was(&mut self, id: &Arc<str>) {
        if !self.undo.is_off && !self.undo.slots.contains_key(id) {
            let before = self.slots.get(id).map(|slot| slot.packed(&mut self.sleep.packer));
            self.undo.slots.insert(Arc::clone(id), before);
        }
    }

    /// Puts `entry` in place, awake, when those awake longest and not heard of since have gone to rest.
    fn put_awake(&mut self, id: &Arc<str>, entry: Box<Entry>, packed: Option<Packed>) {
        while self.sleep.awake_max <= self.sleep.awake {
            let Some(oldest) = self.woken.pop_front() else { break };
            match self.slots.get_mut(&oldest) {
                Some(Slot::Awake { is_recent, .. }) if *is_recent => {
                    *is_recent = false;
                    self.woken.push_back(oldest);
                }
                Some(slot @ Slot::Awake { .. }) => {
                    let packed = slot.packed(&mut self.sleep.packer);
                    self.put(oldest, Slot::Resting(packed));
                }
                _ => {}
            }
        }
        self.put(Arc::clone(id), Slot::Awake { entry, is_recent: false, packed });
        self.woken.push_back(Arc::clone(id));
    }

    fn put(&mut self, id: Arc<str>, slot: Slot) {
        self.sleep.add(&id, &slot);
        match self.slots.entry(id) {
            hashbrown::hash_map::Entry::Occupied(mut place) => {
                let before = place.insert(slot);
                self.sleep.remove(place.key(), &before);
            }
            hashbrown::hash_map::Entry::Vacant(place) => {
                place.insert(slot);
            }
        }
    }

    fn take(&mut self, id: &str) -> Option<Slot> {
        let slot = self.slots.remove(id)?;
        self.sleep.remove(id, &slot);
        Some(slot)
    }

    fn reindex(&mut self, id: &Arc<str>, before: Option<EventTime>, after: Option<EventTime>) {
        if before != after {
            if let Some(before) = before {
                self.deadlines.remove(&(before, Arc::clone(id)));
            }
            if let Some(after) = after {
                self.deadlines.insert((after, Arc::clone(id)));
            }
        }
    }
}

/// What this store packed itself, or was given with its check sums right and its layout agreed.
fn unpack(id: &Arc<str>, packed: &Packed) -> Entry {
    Entry::unpack(id, packed).expect("what was packed can be unpacked")
}

fn refusal_key(salt: [u8; 16], id: &str) -> RefusalKey {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(id);
    let mut key = RefusalKey::default();
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}
