//! What a folder promises: whatever happens to its objects, a snapshot is read as it was written or passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::store::Store;
use super::*;
use crate::engine::Image;
use crate::model::Text;
use crate::wire::{Genesis, Held, Manifest, SnapshotPoint, Step, StepId};

const LINEAGE: [u8; 16] = [1; 16];
const FOREIGN: [u8; 16] = [2; 16];

type State = (Vec<u8>, BTreeMap<Text, Arc<[u8]>>);

fn genesis(lineage: [u8; 16]) -> Genesis {
    Genesis {
        lineage,
        events_topic_id: None,
        partition_count: 1,
        start_offset: 0,
        engine: 1,
        policy_version: "generic-1".into(),
        policy_fingerprint: 1,
    }
}

fn point(lineage: [u8; 16], offset_next: i64) -> SnapshotPoint {
    let seq = u64::try_from(offset_next / 10).unwrap();
    SnapshotPoint {
        layout: 1,
        engine: 1,
        genesis: genesis(lineage),
        partition: 0,
        offset_next,
        seq,
        journal_hash: seq * 1_000,
        reference_offset_next: 0,
        policy_fingerprint: 1,
        policy_offset: None,
    }
}

fn wanted(offset_committed: i64) -> Wanted {
    let seq = u64::try_from(offset_committed / 10).unwrap();
    let journal_hashes = (0..=seq).map(|seq| seq * 1_000).collect();
    Wanted { genesis: genesis(LINEAGE), partition: 0, layout: 1, offset_committed, journal_hashes }
}

fn customer(id: usize, text: &str) -> Held {
    (format!("c{id}").into(), Some(format!("{text} of {id}").into_bytes().into()))
}

fn image(is_whole: bool, customers: Vec<Held>) -> Image {
    Image { header: vec![u8::from(is_whole); 700], customers, is_whole }
}

fn note(step: u8, customers: u64) -> Note {
    Note { step: [step; 16], taken_ms: 0, customers, supersedes: false }
}

/// A base of 90 customers, then half of them changed and one gone, then a new base.
fn write_three(store: &Store, lineage: [u8; 16]) -> Vec<Manifest> {
    let folder = Folder::new(store, lineage, 0).with_part_bytes(600);
    let base = image(true, (0..90).map(|id| customer(id, "first")).collect());
    let mut changes: Vec<Held> = (0..45).map(|id| customer(id, "second")).collect();
    changes.push(("c89".into(), None));
    let again = image(true, (0..60).map(|id| customer(id, "third")).collect());
    let first = folder.write(&point(lineage, 10), &base, &[], note(1, 90)).unwrap();
    let delta = image(false, changes);
    let second = folder.write(&point(lineage, 20), &delta, &first.steps, note(2, 89)).unwrap();
    let third = folder.write(&point(lineage, 30), &again, &second.steps, note(3, 60)).unwrap();
    vec![third, second, first]
}

type PassedOver = Vec<(SnapshotName, Unusable)>;

/// The state that is read, and the names of those passed over with the reason.
fn read(store: &Store, wanted: &Wanted) -> (Option<(i64, State)>, PassedOver) {
    let folder = Folder::new(store, LINEAGE, 0).in_haste();
    let mut passed = Vec::new();
    let build = |_: &Manifest, header: &[u8], customers: &mut Customers<'_>| {
        Ok((header.to_vec(), customers.collect::<BTreeMap<_, _>>()))
    };
    let told = |name: &SnapshotName, why: &Unusable| passed.push((*name, why.clone()));
    let found = newest_usable(&folder, wanted, &Progress::default(), build, told).unwrap();
    (found.map(|loaded| (loaded.manifest.point.offset_next, loaded.state)), passed)
}

#[test]
fn the_newest_is_read_with_each_customer_in_its_newest_form() {
    let store = Store::in_memory();
    write_three(&store, LINEAGE);
    let of = |offset| read(&store, &wanted(offset)).0.unwrap();
    let (offset, (header, customers)) = of(30);
    assert_eq!((offset, header.len(), customers.len()), (30, 700, 60));
    let (offset, (header, customers)) = of(29);
    assert_eq!((offset, header[0], customers.len()), (20, 0, 89));
    assert_eq!(
        (&*customers["c44"], &*customers["c45"]),
        (&b"second of 44"[..], &b"first of 45"[..])
    );
    assert_eq!(of(10).0, 10);
    assert_eq!(read(&store, &wanted(9)).0, None);
}

#[test]
fn changes_by_the_next_engine_rest_on_the_snapshot_it_began_from() {
    let store = Store::in_memory();
    let folder = Folder::new(&store, LINEAGE, 0);
    let base = image(true, vec![customer(1, "first"), customer(2, "first")]);
    let first = folder.write(&point(LINEAGE, 10), &base, &[], note(1, 2)).unwrap();
    let next = SnapshotPoint { engine: 2, ..point(LINEAGE, 20) };
    let delta = image(false, vec![customer(2, "second")]);
    folder.write(&next, &delta, &first.steps, note(2, 2)).unwrap();
    let (found, passed) = read(&store, &wanted(20));
    let (offset, (_, customers)) = found.unwrap();
    assert_eq!((offset, &*customers["c2"], passed.len()), (20, &b"second of 2"[..], 0));
}

#[test]
fn what_does_not_agree_is_passed_over_with_the_reason() {
    let store = Store::in_memory();
    write_three(&store, LINEAGE);
    let reasons = |wanted: &Wanted| {
        let (found, passed) = read(&store, wanted);
        let mut reasons: Vec<String> = passed.iter().map(|(_, why)| why.to_string()).collect();
        reasons.dedup();
        (found.map(|(offset, _)| offset), reasons.join(", "))
    };
    let is = |offset, reason: &str| (offset, reason.to_owned());
    assert_eq!(reasons(&wanted(15)), is(Some(10), "it is ahead of what is committed"));
    let layout = Wanted { layout: 2, ..wanted(30) };
    assert_eq!(reasons(&layout), is(None, "its layout is 1, and this program reads 2"));
    let foreign = Wanted { genesis: Genesis { start_offset: 1, ..genesis(LINEAGE) }, ..wanted(30) };
    assert_eq!(reasons(&foreign), is(None, "it is of another history"));
    let mut journal = wanted(30);
    journal.journal_hashes[3] = 7;
    assert_eq!(reasons(&journal), is(Some(20), "the journal it rests on is not the partition's"));
}

/// Every object of both histories by its path.
fn objects(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let mut objects = BTreeMap::new();
    for folder in Folder::all(store).unwrap() {
        for (name, size) in store.list(folder.path()).unwrap().objects {
            let path = format!("{}/{name}", folder.path());
            let mut bytes = Vec::new();
            assert!(store.read(&path, size, &mut bytes).unwrap());
            objects.insert(path, bytes);
        }
    }
    objects
}

/// One thing that can go wrong, drawn by `dice`: objects and what stands in their place.
fn corruption(
    dice: &mut Pcg64,
    ours: &[(&String, &Vec<u8>)],
    foreign: &[(&String, &Vec<u8>)],
) -> Vec<(String, Option<Vec<u8>>)> {
    let mut below =
        |n: usize| usize::try_from(dice.next_u64() % u64::try_from(n).unwrap()).unwrap();
    let (path, bytes) = ours[below(ours.len())];
    let mut changed = bytes.clone();
    let replaced = match below(8) {
        0 => {
            changed[below(bytes.len())] ^= 1 << below(8);
            Some(changed)
        }
        1 => {
            changed.truncate(below(bytes.len()));
            Some(changed)
        }
        2 => None,
        3 => Some(ours[below(ours.len())].1.clone()),
        4 => Some(foreign[below(foreign.len())].1.clone()),
        5 => {
            changed.extend((0..=below(9)).map(|_| 0));
            Some(changed)
        }
        6 => {
            let from = below(bytes.len());
            let to = from + 1 + below(bytes.len() - from);
            changed[from..to].fill(0);
            Some(changed)
        }
        // All of a foreign history, or all of ours once more, under newer names.
        _ => {
            let of = if below(2) == 0 { ours } else { foreign };
            let newer = |(path, bytes): &(&String, &Vec<u8>)| {
                let (_, name) = path.rsplit_once('/').unwrap();
                let (_, end) = name.split_once('-').unwrap();
                let folder = name::folder(LINEAGE, 0);
                (format!("{folder}/{:020}-{end}", 25), Some((*bytes).clone()))
            };
            return of.iter().map(newer).collect();
        }
    };
    vec![(path.clone(), replaced)]
}

#[test]
fn of_ten_thousand_corruptions_none_is_read_and_all_fall_back() {
    let store = Store::in_memory();
    let manifests = write_three(&store, LINEAGE);
    write_three(&store, FOREIGN);
    let pristine = objects(&store);
    let states: Vec<State> =
        [30, 20, 10].map(|offset| read(&store, &wanted(offset)).0.unwrap().1).into();
    let is_ours = |path: &str| path.starts_with(&name::folder(LINEAGE, 0));
    let (ours, foreign): (Vec<_>, Vec<_>) = pristine.iter().partition(|(path, _)| is_ours(path));
    // The objects each snapshot cannot do without.
    let needs = |manifest: &Manifest| {
        let part = |step: &Step| {
            let name = SnapshotName::of(step);
            (0..step.parts.len()).map(move |number| name.part(number)).collect::<Vec<_>>()
        };
        let newest = SnapshotName::of(manifest.steps.last().unwrap());
        manifest.steps.iter().flat_map(part).chain([newest.manifest()]).collect::<BTreeSet<_>>()
    };
    let needs: Vec<BTreeSet<String>> = manifests.iter().map(needs).collect();
    let (mut fell_back, mut lost) = (0, 0);
    for seed in 0..10_000 {
        let changes = corruption(&mut Pcg64::seed_from_u64(seed), &ours, &foreign);
        let harmed: BTreeSet<&str> = changes
            .iter()
            .filter(|(path, bytes)| pristine.get(path) != bytes.as_ref())
            .map(|(path, _)| path.rsplit_once('/').unwrap().1)
            .collect();
        changes.iter().for_each(|(path, bytes)| store.replace(path, bytes.clone()));
        let whole =
            needs.iter().position(|needs| needs.iter().all(|name| !harmed.contains(&**name)));
        let (found, passed) = read(&store, &wanted(30));
        let expected =
            whole.map(|index| (manifests[index].point.offset_next, states[index].clone()));
        assert_eq!(found, expected, "seed {seed}: {passed:?}");
        fell_back += usize::from(whole.is_some_and(|index| index > 0));
        lost += usize::from(whole.is_none());
        changes.iter().for_each(|(path, _)| store.replace(path, pristine.get(path).cloned()));
    }
    assert!(fell_back > 1_000 && lost == 0, "{fell_back} fell back, {lost} found nothing");
    assert_eq!(objects(&store), pristine);
}

#[test]
fn tidying_leaves_what_the_kept_need_and_what_is_not_older() {
    let store = Store::in_memory();
    write_three(&store, LINEAGE);
    let folder = Folder::new(&store, LINEAGE, 0);
    let begun = SnapshotName { offset_next: 20, seq: 2, step: [9; 16] };
    let begun = format!("{}/{}", folder.path(), begun.part(0));
    store.create(&begun, "somebody's next".into()).unwrap();
    let before = objects(&store);
    folder.tidy(3).unwrap();
    assert_eq!(objects(&store), before, "the three need all there is");
    folder.tidy(2).unwrap();
    let names: Vec<i64> = folder.names().unwrap().iter().map(|name| name.offset_next).collect();
    assert_eq!(names, [30, 20]);
    assert_eq!(read(&store, &wanted(29)).0.unwrap().0, 20, "its base is still there");
    assert!(objects(&store).contains_key(&begun));
    folder.tidy(1).unwrap();
    assert!(objects(&store).keys().all(|path| path.contains(&format!("{:020}-", 30))));
    folder.tidy(1).unwrap();
    assert_eq!(read(&store, &wanted(30)).0.unwrap().0, 30);
    folder.remove().unwrap();
    assert_eq!(objects(&store), BTreeMap::new());
}

/// Runs an uploader over a store and tells what it told.
fn uploaded(store: &Arc<Store>, act: impl FnOnce(&Uploader)) -> Vec<String> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = Arc::clone(&told);
    let tell = move |fact: SnapshotFact<'_>| {
        let words = match fact {
            SnapshotFact::Written { offset_next, is_base, customers, .. } => {
                format!("{offset_next}: {} of {customers}", if is_base { "base" } else { "delta" })
            }
            fact => format!("{fact:?}"),
        };
        tells.lock().unwrap().push(words);
    };
    let uploader = Uploader::start(Arc::clone(store), Box::new(tell)).unwrap();
    act(&uploader);
    uploader.close();
    told.lock().unwrap().clone()
}

fn job(tenure: Tenure, offset_next: i64, customers: u64) -> Job {
    Job {
        tenure,
        point: point(LINEAGE, offset_next),
        customers,
        taken_ms: 0,
        supersedes: false,
        may_delete: Arc::new(true.into()),
        is_last: false,
    }
}

/// Waits until the uploader has nothing of `tenure` on its way; what can be next.
fn settled(uploader: &Uploader, tenure: Tenure) -> Next {
    loop {
        match uploader.next(tenure) {
            Next::Busy => std::thread::yield_now(),
            next => return next,
        }
    }
}

#[test]
fn after_a_base_come_deltas_until_they_pass_half_of_it() {
    let store = Arc::new(Store::in_memory());
    let all = || image(true, (0..400).map(|id| customer(id, "all")).collect());
    let some = |n| image(false, (0..n).map(|id| customer(id, "some")).collect());
    let told = uploaded(&store, |uploader| {
        let tenure = uploader.begin(vec![]);
        let mut nexts = Vec::new();
        for offset in [10, 20, 30, 40] {
            let next = settled(uploader, tenure);
            nexts.push(next);
            let image =
                if next == Next::Base { all() } else { some(if offset == 20 { 10 } else { 300 }) };
            uploader.submit(job(tenure, offset, 400), move || image);
        }
        assert_eq!(nexts, [Next::Base, Next::Delta, Next::Delta, Next::Base]);
    });
    assert_eq!(told, ["10: base of 400", "20: delta of 10", "30: delta of 300", "40: base of 400"]);
    assert_eq!(read(&store, &wanted(30)).0.unwrap().0, 30);
}

#[test]
fn a_snapshot_that_supersedes_leaves_none_before_it() {
    let store = Arc::new(Store::in_memory());
    uploaded(&store, |uploader| {
        let tenure = uploader.begin(vec![]);
        for offset in [10, 20] {
            settled(uploader, tenure);
            uploader.submit(job(tenure, offset, 1), || image(true, vec![customer(1, "here")]));
        }
        settled(uploader, tenure);
        let last = Job { supersedes: true, ..job(tenure, 30, 0) };
        uploader.submit(last, || image(true, vec![]));
    });
    let folder = Folder::new(&store, LINEAGE, 0);
    assert_eq!(folder.names().unwrap().len(), 1);
    assert!(objects(&store).keys().all(|path| path.contains(&format!("{:020}-", 30))));
}

#[test]
fn what_waits_is_written_before_the_end_and_a_newer_one_takes_its_place() {
    let store = Arc::new(Store::in_memory());
    let told = uploaded(&store, |uploader| {
        let (a, b) = (uploader.begin(vec![]), uploader.begin(vec![]));
        let (hold, held) = std::sync::mpsc::channel::<()>();
        uploader.submit(job(a, 10, 0), move || {
            held.recv().unwrap_err();
            image(true, vec![])
        });
        uploader.submit(job(b, 20, 0), || image(true, vec![]));
        uploader.submit(job(b, 30, 1), || image(true, vec![customer(1, "x")]));
        assert_eq!(uploader.next(b), Next::Busy);
        drop(hold);
    });
    assert_eq!(told, ["10: base of 0", "30: base of 1"]);
}

#[test]
fn what_cannot_be_written_is_told_and_the_next_is_a_base() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Location::Folder(folder.path().into()), &BTreeMap::new()).unwrap();
    let taken = folder.path().join(name::folder(LINEAGE, 0).split_once('/').unwrap().0);
    std::fs::write(&taken, "a file where a folder should be").unwrap();
    let told = uploaded(&Arc::new(store), |uploader| {
        let step = Step { id: StepId::default(), offset_next: 5, seq: 0, parts: vec![] };
        let tenure = uploader.begin(vec![step]);
        uploader.submit(job(tenure, 10, 0), || image(false, vec![]));
        // Closing, it does not try again for long.
    });
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("NotWritten"), "{told:?}");
}
