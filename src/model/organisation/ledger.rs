//! The roll-ups of one engine: a sum a unit, which of them changed, and the way back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::unit::Origins;
use super::{Counted, InternalOutcome, Origin, RollUp, Savings, Standing, Unit};
use crate::model::event::Actor;
use crate::model::{Evidence, Money, Policy};

/// The roll-ups of one engine.
///
/// Evidence is counted for every unit of the origin it is given, and for the whole. At most 4096 units and 65,536 combinations of
/// them are told apart: beyond that a name counts as `other`, and is counted.
#[derive(Debug, Serialize, Deserialize)]
pub struct Organisation {
    origins: Origins,
    // Invariant: one a unit, by place; the first is the whole.
    roll_ups: Vec<RollUp>,
    /// Places of what changed since it was last taken.
    changed: BTreeSet<u32>,
    #[serde(skip)]
    undo: Undo,
}

/// What was changed since the last commit, as it was.
#[derive(Debug, Default)]
struct Undo {
    is_off: bool,
    /// By place.
    touched: BTreeMap<u32, RollUp>,
    changed: BTreeSet<u32>,
    /// Units and origins there were.
    mark: (usize, usize),
}

impl Default for Organisation {
    /// Roll-ups without anything in them.
    fn default() -> Self {
        let origins = Origins::default();
        let undo = Undo { mark: origins.mark(), ..Undo::default() };
        Self { origins, roll_ups: vec![RollUp::default()], changed: BTreeSet::new(), undo }
    }
}

impl Organisation {
    /// From now on what is changed is final at once.
    pub fn forgo_undo(&mut self) {
        self.undo.is_off = true;
    }

    /// Makes what was changed final.
    pub fn commit(&mut self) {
        if self.undo.is_off {
            return;
        }
        self.undo.touched.clear();
        self.undo.changed.clone_from(&self.changed);
        self.undo.mark = self.origins.mark();
    }

    /// Puts back what was changed since the last commit.
    ///
    /// # Panics
    /// If it forwent that.
    pub fn abort(&mut self) {
        assert!(!self.undo.is_off, "roll-ups that forwent undo cannot abort");
        self.origins.truncate(self.undo.mark);
        self.roll_ups.truncate(self.undo.mark.0);
        for (place, before) in std::mem::take(&mut self.undo.touched) {
            self.roll_ups[place as usize] = before;
        }
        self.changed.clone_from(&self.undo.changed);
    }

    /// What of it is state.
    pub fn describe(&self, into: &mut impl FnMut(&str)) {
        for (unit, roll_up) in self.units() {
            into(&format!("{unit} {roll_up:?}"));
        }
        into(&format!("{:?} {:?}", self.origins.mark(), self.changed));
    }

    /// Every unit, in the order it was first heard of, the whole first.
    pub fn units(&self) -> impl Iterator<Item = (&Unit, &RollUp)> {
        self.origins.units().iter().zip(&self.roll_ups)
    }

    /// The units that changed since this was last asked, in the order of kind and name.
    pub fn take_changed(&mut self) -> Vec<(Unit, RollUp)> {
        let places = std::mem::take(&mut self.changed);
        let of = |place| {
            let place = place as usize;
            (self.origins.units()[place].clone(), self.roll_ups[place].clone())
        };
        let mut changed: Vec<_> = places.into_iter().map(of).collect();
        changed.sort_by(|(a, _), (b, _)| a.cmp(b));
        changed
    }

    /// Where an event of this channel and actor belongs.
    pub fn origin(&mut self, channel: Option<&str>, actor: Option<&Actor>) -> Origin {
        let (origin, without_room) = self.origins.intern(channel, actor);
        self.note_room(without_room);
        origin
    }

    /// `origin`, and the product of this plan besides.
    pub fn with_product(&mut self, origin: Origin, plan: &str) -> Origin {
        let (origin, without_room) = self.origins.with_product(origin, plan);
        self.note_room(without_room);
        origin
    }

    fn note_room(&mut self, without_room: u64) {
        self.roll_ups.resize_with(self.origins.mark().0, RollUp::default);
        if without_room > 0 {
            self.touch(0).without_room += without_room;
        }
    }

    /// Counts evidence about the customer whose id hashes to `customer`.
    pub fn record(&mut self, origin: Origin, customer: u64, evidence: &Evidence, policy: &Policy) {
        for (place, parent) in self.origins.of(origin).iter() {
            let parent = parent.map(|parent| self.origins.units()[parent as usize].clone());
            let roll_up = self.touch(*place);
            roll_up.count(evidence, policy, false);
            roll_up.customers.add(customer);
            if let Some(parent) = parent {
                roll_up.note_parent(evidence.time, &parent);
            }
        }
    }

    /// Takes evidence back exactly; whom it was about stays counted.
    pub fn retract(&mut self, origin: Origin, evidence: &Evidence, policy: &Policy) {
        self.each(origin, |roll_up| roll_up.count(evidence, policy, true));
    }

    /// A promise made here ended as `now`, though it was counted as `before`.
    pub fn count_promise(&mut self, origin: Origin, before: Option<Counted>, now: Option<Counted>) {
        self.each(origin, |roll_up| {
            for (counted, times) in [(before, -1), (now, 1)] {
                if let Some(counted) = counted {
                    roll_up.promises.count(counted, times);
                }
            }
        });
    }

    /// A promise to oneself made here ended.
    pub fn count_internal_promise(&mut self, origin: Origin, outcome: InternalOutcome) {
        self.each(origin, |roll_up| roll_up.promises.count_internal(outcome));
    }

    /// A failure here was first made good after `latency_ms`.
    pub fn count_remedy(&mut self, origin: Origin, latency_ms: i64) {
        self.each(origin, |roll_up| roll_up.note_remedy(latency_ms));
    }

    /// A saving of so much a month was found.
    pub fn note_saving_identified(&mut self, origin: Origin, monthly: Money) {
        self.save(origin, monthly, |savings| &mut savings.identified);
    }

    /// A saving of so much a month was told to the customer.
    pub fn note_saving_advised(&mut self, origin: Origin, monthly: Money) {
        self.save(origin, monthly, |savings| &mut savings.advised);
    }

    fn save(&mut self, origin: Origin, monthly: Money, which: fn(&mut Savings) -> &mut i64) {
        self.each(origin, |roll_up| {
            let sum = which(roll_up.savings.entry(monthly.currency).or_default());
            *sum = sum.saturating_add(monthly.minor);
        });
    }

    /// A customer that stood at `before` stands at `now`; `None` is not counted.
    pub fn stand(&mut self, before: Option<&Standing>, now: Option<&Standing>) {
        if before == now {
            return;
        }
        let standings = self.touch(0).standings.get_or_insert_default();
        for (standing, times) in [(before, -1), (now, 1)] {
            if let Some(standing) = standing {
                standings[usize::from(standing.is_marked)].count(standing, times);
            }
        }
    }

    fn each(&mut self, origin: Origin, change: impl Fn(&mut RollUp)) {
        for (place, _) in self.origins.of(origin).iter() {
            change(self.touch(*place));
        }
    }

    /// The roll-up at `place`, about to change.
    fn touch(&mut self, place: u32) -> &mut RollUp {
        let roll_up = &mut self.roll_ups[place as usize];
        if !self.undo.is_off && (place as usize) < self.undo.mark.0 {
            self.undo.touched.entry(place).or_insert_with(|| roll_up.clone());
        }
        self.changed.insert(place);
        roll_up
    }
}

/// Adds up the parts of each unit, of one deployment or of one replay.
pub fn merged<'a>(
    parts: impl IntoIterator<Item = (&'a Unit, &'a RollUp)>,
) -> BTreeMap<Unit, RollUp> {
    let mut units = BTreeMap::<Unit, RollUp>::new();
    for (unit, part) in parts {
        units.entry(unit.clone()).or_default().merge(part);
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Class, DAY_MS, EventTime, Sign};

    fn evidence(day: i64) -> Evidence {
        let time = EventTime::from_millis(day * DAY_MS);
        Evidence {
            class: Class::CarGoodwill,
            key: "r".into(),
            sign: Sign::Positive,
            weight: 1.5,
            time,
        }
    }

    fn described(organisation: &Organisation) -> String {
        let mut text = String::new();
        organisation.describe(&mut |part| text.push_str(part));
        text
    }

    #[test]
    fn an_abort_puts_back_units_sums_and_what_changed() {
        let policy = Policy::default();
        let mut organisation = Organisation::default();
        let phone = organisation.origin(Some("phone"), None);
        organisation.record(phone, 1, &evidence(20_000), &policy);
        organisation.commit();
        let before = described(&organisation);
        let web = organisation.origin(Some("web"), None);
        let sold = organisation.with_product(web, "basic");
        organisation.record(sold, 2, &evidence(20_001), &policy);
        organisation.retract(phone, &evidence(20_000), &policy);
        assert_eq!(organisation.take_changed().len(), 4);
        organisation.abort();
        assert_eq!(described(&organisation), before);
    }

    #[test]
    fn evidence_counts_for_every_unit_named_and_once_for_the_whole() {
        let policy = Policy::default();
        let mut organisation = Organisation::default();
        for (channel, customer) in [("phone", 1 << 60), ("web", 2 << 60), ("web", 2 << 60)] {
            let origin = organisation.origin(Some(channel), None);
            organisation.record(origin, customer, &evidence(20_000), &policy);
        }
        let told: Vec<String> = organisation
            .units()
            .map(|(unit, roll_up)| {
                let sums = roll_up.sums[&Class::CarGoodwill];
                let [r, _, v] =
                    sums.read(evidence(20_000).time, policy.half_life_ms(Class::CarGoodwill));
                format!("{unit} {r:.2} {v:.2} {}", roll_up.customers.at_least())
            })
            .collect();
        assert_eq!(
            told,
            ["whole/- 4.50 6.75 2", "channel/phone 1.50 2.25 1", "channel/web 3.00 4.50 1"]
        );
    }
}
