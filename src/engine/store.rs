//! The customers of one partition, the order in which their timers are due, and the way back: what was touched since the last
//! commit is kept as it was, so that an abort puts all of it back.
//!
//! A customer has one place as long as it is held. Those heard of lately are awake, ready to be changed; the others rest as packed
//! bytes, which take a fraction of the room. Who is awake shows nowhere but in speed and memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashSet, HashTable};
use sha2::{Digest, Sha256};

use super::entry::{Entry, NEVER, Packer, earliest};
use crate::model::{EventTime, Text};

/// Customers awake unless another number is asked for: some 8 MB of a partition.
const AWAKE: usize = 1024;
/// About what a customer takes while awake: record, lists, and the bytes it was unpacked from.
const AWAKE_BYTES: usize = 8192;

/// The counts of what is shared lie before its bytes.
const COUNTS: usize = 2 * size_of::<usize>();

/// Of what this store packed itself, or was given with its check sums right and its layout agreed.
const UNPACKED: &str = "what was packed can be unpacked";

/// Room is made at once for so many customers at most.
const RESERVED_MAX: usize = 1 << 24;

/// Names an erased customer without holding its id: the first 16 bytes of SHA-256 over salt and id.
type RefusalKey = [u8; 16];

/// A customer as it rests.
pub(super) type Packed = Arc<[u8]>;

/// Erased customers: up to when their events are refused.
pub(super) type Refusals = BTreeMap<RefusalKey, EventTime>;

/// Where a customer is held, until it is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

/// All customers of a partition.
#[derive(Debug, Default)]
pub(super) struct Store {
    slots: Slots,
    sleep: Sleep,
    /// Who is due when, or later: a deadline that moves later is moved here when it comes up, for nearly every event moves the
    /// review of its customer so.
    // Invariant: one of each customer that has a deadline, no later than it; its slot knows which.
    deadlines: BTreeMap<(EventTime, Text), u32>,
    refusals: Refusals,
    undo: Undo,
    /// `None`: nobody asks.
    changed: Option<Changed>,
}

/// Slots by place, and places by id.
#[derive(Debug, Default)]
struct Slots {
    places: HashTable<u32>,
    hasher: FixedState,
    list: Vec<Option<Slot>>,
    free: Vec<u32>,
    /// What ids too long to lie in their slots take.
    id_bytes: usize,
}

/// One customer, awake or at rest.
#[derive(Debug)]
struct Slot {
    id: Text,
    state: State,
    /// Its place among the deadlines; [`NEVER`]: it has none.
    indexed: EventTime,
}

#[derive(Debug)]
enum State {
    Awake(Box<Awake>),
    Resting(Packed),
}

#[derive(Debug)]
struct Awake {
    entry: Entry,
    /// Its bytes, unless it changed since it had some.
    packed: Option<Packed>,
    /// Heard of again since it woke, or since it was last passed over.
    is_recent: bool,
    /// Its place among those awake.
    seat: usize,
}

/// Who is awake, and how large the others are.
#[derive(Debug)]
struct Sleep {
    awake_max: usize,
    /// Places of those awake.
    seats: Vec<u32>,
    /// The seat whose turn it is to rest.
    hand: usize,
    /// Lengths of all that rests.
    resting_bytes: usize,
    packer: Packer,
}

/// What was touched since the last commit, as it was.
#[derive(Debug, Default)]
struct Undo {
    /// Nothing is kept: what is changed is final at once.
    is_off: bool,
    /// By place; `None` if nobody was there.
    touched: HashMap<u32, Option<Packed>, FixedState>,
    /// Whoever was erased, by place: that stays empty until the commit.
    erased: Vec<(u32, Text)>,
    refusals: Vec<(RefusalKey, Option<EventTime>)>,
}

/// Whoever was changed or erased since the last image.
#[derive(Debug, Default)]
struct Changed {
    places: HashSet<u32, FixedState>,
    erased: HashSet<Text, FixedState>,
}

impl Default for Sleep {
    fn default() -> Self {
        let packer = Packer::default();
        Self { awake_max: AWAKE, seats: Vec::new(), hand: 0, resting_bytes: 0, packer }
    }
}

impl Slot {
    fn entry(&self) -> Cow<'_, Entry> {
        match &self.state {
            State::Awake(awake) => Cow::Borrowed(&awake.entry),
            State::Resting(packed) => Cow::Owned(unpack(&self.id, packed)),
        }
    }

    fn packed(&self, packer: &mut Packer) -> Packed {
        match &self.state {
            State::Resting(packed) => Arc::clone(packed),
            State::Awake(awake) => match &awake.packed {
                Some(packed) => Arc::clone(packed),
                None => packer.pack(&awake.entry),
            },
        }
    }

    /// What its id takes besides the slot.
    fn id_bytes(&self) -> usize {
        if self.id.is_heap_allocated() { COUNTS + self.id.len() } else { 0 }
    }

    /// [`NEVER`] if it has none.
    fn deadline(&self) -> EventTime {
        match &self.state {
            State::Awake(awake) => awake.entry.customer.timers.earliest().unwrap_or(NEVER),
            State::Resting(packed) => earliest(packed).expect("what was packed has its deadline"),
        }
    }
}

impl Slots {
    fn find(&self, id: &str) -> Option<u32> {
        self.places
            .find(self.hasher.hash_one(id), |place| *slot_at(&self.list, *place).id == *id)
            .copied()
    }

    /// Makes room for so many more.
    fn reserve(&mut self, customers: usize) {
        let (hasher, list) = (&self.hasher, &self.list);
        self.places.reserve(customers, |place| hasher.hash_one(&*slot_at(list, *place).id));
        self.list.reserve(customers);
    }

    fn at(&mut self, place: u32) -> &mut Slot {
        self.list[place as usize].as_mut().expect("somebody is at a place")
    }

    /// Takes `slot` in at a free place.
    fn add(&mut self, slot: Slot) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.list.push(None);
            u32::try_from(self.list.len() - 1).expect("a partition has fewer than 2^32 customers")
        });
        self.fill(place, slot);
        place
    }

    /// Puts `slot` at `place`, where nobody is.
    fn fill(&mut self, place: u32, slot: Slot) {
        self.id_bytes += slot.id_bytes();
        let (hasher, hash) = (&self.hasher, self.hasher.hash_one(&*slot.id));
        self.list[place as usize] = Some(slot);
        let list = &self.list;
        let hash_of = |place: &u32| hasher.hash_one(&*slot_at(list, *place).id);
        self.places.insert_unique(hash, place, hash_of);
    }

    /// Empties `place`, which is not free before [`Self::release`].
    fn clear(&mut self, place: u32) -> Option<Slot> {
        let slot = self.list[place as usize].take()?;
        self.id_bytes -= slot.id_bytes();
        let hash = self.hasher.hash_one(&*slot.id);
        let held = self.places.find_entry(hash, |held| *held == place);
        held.expect("whoever is held is found by its id").remove();
        Some(slot)
    }

    fn release(&mut self, place: u32) {
        self.free.push(place);
    }

    /// Whoever is held, and where, in no order.
    fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        (0..).zip(&self.list).filter_map(|(place, slot)| Some((place, slot.as_ref()?)))
    }
}

fn slot_at(list: &[Option<Slot>], place: u32) -> &Slot {
    list[place as usize].as_ref().expect("somebody is at a place")
}

impl Store {
    /// A store of customers at rest.
    ///
    /// # Errors
    /// If one holds too few bytes for its deadline.
    pub(super) fn of(
        customers: impl IntoIterator<Item = (Text, Packed)>,
        refusals: Refusals,
    ) -> Result<Self, postcard::Error> {
        let customers = customers.into_iter();
        let mut store = Self { refusals, ..Self::default() };
        let expected = customers.size_hint().1.unwrap_or_default().min(RESERVED_MAX);
        store.slots.reserve(expected);
        let mut deadlines = Vec::with_capacity(expected);
        for (id, packed) in customers {
            let indexed = earliest(&packed)?;
            store.sleep.resting_bytes += packed.len();
            let state = State::Resting(packed);
            let place = store.slots.add(Slot { id: id.clone(), state, indexed });
            if indexed != NEVER {
                deadlines.push(((indexed, id), place));
            }
        }
        // In order, and collected at once: a tree is built several times faster so.
        deadlines.sort_unstable();
        store.deadlines = deadlines.into_iter().collect();
        Ok(store)
    }

    /// From now on so many customers are awake at most, at least one.
    pub(super) fn keep_awake(&mut self, awake_max: usize) {
        self.sleep.awake_max = awake_max.max(1);
    }

    /// Where the customer `id` is held.
    pub(super) fn find(&self, id: &str) -> Option<Place> {
        self.slots.find(id).map(Place)
    }

    /// The id of whoever is at `place`.
    pub(super) fn id(&self, place: Place) -> &Text {
        &slot_at(&self.slots.list, place.0).id
    }

    /// The customer at `place`, awake from now on, and for longer if it was awake already.
    pub(super) fn wake(&mut self, place: Place) -> &Entry {
        let was_awake = matches!(self.slots.at(place.0).state, State::Awake(_));
        let awake = self.waken(place);
        awake.is_recent |= was_awake;
        &awake.entry
    }

    /// The customer `id`, whether awake or not.
    pub(super) fn read(&self, id: &str) -> Option<Cow<'_, Entry>> {
        self.slots.find(id).map(|place| slot_at(&self.slots.list, place).entry())
    }

    pub(super) fn len(&self) -> usize {
        self.slots.places.len()
    }

    /// About the bytes the customers take: those at rest to the byte, those awake by the number of them; with their ids, their slots
    /// and the index of their deadlines. Unused room is not in it.
    pub(super) fn bytes(&self) -> usize {
        let slot = size_of::<Slot>() + size_of::<u32>() + 1;
        let indexed = size_of::<(EventTime, Text)>() + size_of::<u32>();
        self.sleep.resting_bytes
            + self.slots.id_bytes
            + self.sleep.seats.len() * AWAKE_BYTES
            + self.len() * (COUNTS + slot)
            + self.deadlines.len() * indexed
    }

    /// Every id, in order.
    pub(super) fn ids(&self) -> Vec<Text> {
        let mut ids: Vec<_> = self.slots.iter().map(|(_, slot)| slot.id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Takes the customer `id` in, which is not held, first heard of at `time`.
    pub(super) fn insert(&mut self, id: &Text, time: EventTime) -> Place {
        let mut awake = self.sleep.seat(&mut self.slots);
        awake.entry.begin(id, time);
        awake.packed = None;
        let state = State::Awake(awake);
        let place = self.slots.add(Slot { id: id.clone(), state, indexed: NEVER });
        self.sleep.seats.push(place);
        if !self.undo.is_off {
            self.undo.touched.insert(place, None);
        }
        Place(place)
    }

    /// Changes the customer at `place`; its deadline is indexed anew.
    pub(super) fn change<R>(&mut self, place: Place, change: impl FnOnce(&mut Entry) -> R) -> R {
        self.keep_as_it_was(place.0);
        let awake = self.waken(place);
        awake.packed = None;
        let result = change(&mut awake.entry);
        self.index(place.0);
        result
    }

    /// Drops the customer at `place`; what it was.
    pub(super) fn remove(&mut self, place: Place) -> Entry {
        self.keep_as_it_was(place.0);
        let slot = self.take(place.0).expect("somebody is at a place");
        let entry = slot.entry().into_owned();
        if self.undo.is_off {
            self.slots.release(place.0);
        } else {
            self.undo.erased.push((place.0, slot.id));
        }
        entry
    }

    /// Where the customer is whose timer is due first, if that is by `watermark`; ties by id.
    pub(super) fn first_due(&mut self, watermark: EventTime) -> Option<Place> {
        loop {
            let first = self.deadlines.first_entry().filter(|first| first.key().0 <= watermark)?;
            let (place, indexed) = (*first.get(), first.key().0);
            let slot = self.slots.at(place);
            let deadline = slot.deadline();
            if deadline == indexed {
                return Some(Place(place));
            }
            slot.indexed = deadline;
            let ((_, id), _) = first.remove_entry();
            if deadline != NEVER {
                self.deadlines.insert((deadline, id), place);
            }
        }
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
        self.undo.refusals.clear();
        if let Some(changed) = &mut self.changed {
            changed.places.extend(self.undo.touched.keys());
        }
        self.undo.touched.clear();
        for (place, id) in self.undo.erased.drain(..) {
            self.slots.release(place);
            if let Some(changed) = &mut self.changed {
                changed.erased.insert(id);
            }
        }
    }

    /// Puts back what was changed.
    pub(super) fn abort(&mut self) {
        assert!(!self.undo.is_off, "an engine that forwent undo cannot abort");
        let touched = std::mem::take(&mut self.undo.touched);
        // All go before any comes back: one erased may have come again at another place.
        let mut gone: HashMap<u32, Text, FixedState> = self.undo.erased.drain(..).collect();
        for place in touched.keys() {
            gone.extend(self.take(*place).map(|slot| (*place, slot.id)));
        }
        for (place, before) in touched {
            match (before, gone.remove(&place)) {
                (Some(packed), Some(id)) => self.put_back(place, id, packed),
                _ => self.slots.release(place),
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
        self.undo.touched.len()
    }

    /// From now on whoever is changed is noted, for [`Self::take_changed`].
    pub(super) fn note_changes(&mut self) {
        self.changed = Some(Changed::default());
    }

    /// Everybody, packed. The notes begin anew.
    pub(super) fn all(&mut self) -> Vec<(Text, Option<Packed>)> {
        if self.changed.is_some() {
            self.note_changes();
        }
        let packer = &mut self.sleep.packer;
        let packed = |(_, slot): (u32, &Slot)| (slot.id.clone(), Some(slot.packed(packer)));
        self.slots.iter().map(packed).collect()
    }

    /// Whoever was noted, packed; `None` for whoever is gone. The notes begin anew.
    pub(super) fn take_changed(&mut self) -> Vec<(Text, Option<Packed>)> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let (slots, packer) = (&self.slots, &mut self.sleep.packer);
        let gone = changed.erased.into_iter().filter(|id| slots.find(id).is_none());
        let gone = gone.map(|id| (id, None));
        let held = changed.places.iter().filter_map(|place| slots.list[*place as usize].as_ref());
        let held = held.map(|slot| (slot.id.clone(), Some(slot.packed(packer))));
        held.chain(gone).collect()
    }

    /// What of it is state: customers in order, and refusals. When their timers are due is among what each holds.
    pub(super) fn describe(&self, into: &mut impl FnMut(&[u8])) {
        let mut packer = Packer::default();
        let mut slots: Vec<&Slot> = self.slots.iter().map(|(_, slot)| slot).collect();
        slots.sort_unstable_by_key(|slot| &slot.id);
        for slot in slots {
            into(slot.id.as_bytes());
            into(&slot.packed(&mut packer));
        }
        into(format!("{:?}", self.refusals).as_bytes());
    }

    /// From now on what is changed is final at once.
    pub(super) fn forgo_undo(&mut self) {
        self.undo.is_off = true;
    }

    /// What is changed is final at once.
    pub(super) const fn forgoes_undo(&self) -> bool {
        self.undo.is_off
    }

    fn keep_as_it_was(&mut self, place: u32) {
        if self.undo.is_off {
            return;
        }
        if let hashbrown::hash_map::Entry::Vacant(vacant) = self.undo.touched.entry(place) {
            vacant.insert(Some(self.slots.at(place).packed(&mut self.sleep.packer)));
        }
    }

    /// The customer at `place`, awake.
    fn waken(&mut self, place: Place) -> &mut Awake {
        let Place(place) = place;
        let slot = slot_at(&self.slots.list, place);
        if let State::Resting(packed) = &slot.state {
            let (id, packed) = (slot.id.clone(), Arc::clone(packed));
            self.sleep.resting_bytes -= packed.len();
            let mut awake = self.sleep.seat(&mut self.slots);
            awake.entry.wake(&id, &packed).expect(UNPACKED);
            awake.packed = Some(packed);
            self.sleep.seats.push(place);
            self.slots.at(place).state = State::Awake(awake);
        }
        match &mut self.slots.at(place).state {
            State::Awake(awake) => awake,
            State::Resting(_) => unreachable!("who was woken is awake"),
        }
    }

    /// Puts the customer `id` back at `place`, where nobody is.
    fn put_back(&mut self, place: u32, id: Text, packed: Packed) {
        self.sleep.resting_bytes += packed.len();
        self.slots.fill(place, Slot { id, state: State::Resting(packed), indexed: NEVER });
        self.index(place);
    }

    /// Takes whoever is at `place` out; [`Slots::release`] frees the place.
    fn take(&mut self, place: u32) -> Option<Slot> {
        let slot = self.slots.clear(place)?;
        match &slot.state {
            State::Awake(awake) => self.sleep.unseat(&mut self.slots, awake.seat),
            State::Resting(packed) => self.sleep.resting_bytes -= packed.len(),
        }
        if slot.indexed != NEVER {
            self.deadlines.remove(&(slot.indexed, slot.id.clone()));
        }
        Some(slot)
    }

    /// Moves the customer at `place` forward in the index, if it is due before its place there.
    fn index(&mut self, place: u32) {
        let slot = self.slots.at(place);
        let deadline = slot.deadline();
        if deadline < slot.indexed {
            let indexed = std::mem::replace(&mut slot.indexed, deadline);
            let id = slot.id.clone();
            if indexed != NEVER {
                self.deadlines.remove(&(indexed, id.clone()));
            }
            self.deadlines.insert((deadline, id), place);
        }
    }
}

impl Sleep {
    /// A seat for a customer whose place is to be pushed to the seats next; it still holds somebody else. If all are taken, the one of
    /// them rests whose turn it is and that was not heard of since it last was.
    fn seat(&mut self, slots: &mut Slots) -> Box<Awake> {
        let mut free = None;
        while self.awake_max <= self.seats.len() {
            self.hand %= self.seats.len();
            let slot = slots.at(self.seats[self.hand]);
            let State::Awake(awake) = &mut slot.state else {
                unreachable!("only who is awake has a seat")
            };
            if std::mem::take(&mut awake.is_recent) {
                self.hand += 1;
                continue;
            }
            let packed = slot.packed(&mut self.packer);
            self.resting_bytes += packed.len();
            if let State::Awake(awake) = std::mem::replace(&mut slot.state, State::Resting(packed))
            {
                free = Some(awake);
            }
            self.unseat(slots, self.hand);
        }
        let mut awake = free.unwrap_or_else(|| {
            let entry = Entry::new(&Arc::default(), EventTime::default());
            Box::new(Awake { entry, packed: None, is_recent: false, seat: 0 })
        });
        (awake.is_recent, awake.seat) = (false, self.seats.len());
        awake
    }

    /// Frees a seat; whoever had the last one takes it.
    fn unseat(&mut self, slots: &mut Slots, seat: usize) {
        self.seats.swap_remove(seat);
        if let Some(place) = self.seats.get(seat)
            && let State::Awake(awake) = &mut slots.at(*place).state
        {
            awake.seat = seat;
        }
    }
}

fn unpack(id: &Text, packed: &Packed) -> Entry {
    Entry::unpack(id, packed).expect(UNPACKED)
}

fn refusal_key(salt: [u8; 16], id: &str) -> RefusalKey {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(id);
    let mut key = RefusalKey::default();
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}
