//! How long snapshots take: a partition's state is written whole, then what changed, then read back, from and to a folder. Run by
//! `make bench-snapshot`.
//!
//! The customers are those of the simulated telecom, each many times under other ids. It measures no broker: the tail of the log that a
//! restart reads besides is not in it, which `make bench BENCH='--only restart'` has.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a harness fails by panicking, and tells what it measured"
)]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use goodfaith::engine::{ENGINE, Image, Input, LAYOUT, PartitionEngine, RollUps, Settings};
use goodfaith::generate::{self, Generator};
use goodfaith::model::{Catalogue, Event, Policy};
use goodfaith::snapshot::{Folder, Location, Note, Progress, Store, load};
use goodfaith::wire::{Genesis, Held, SnapshotPoint};

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures snapshots of one partition.
#[derive(Debug, Parser)]
struct Args {
    /// Customers of the partition
    #[arg(long, default_value_t = 1_000_000)]
    customers: usize,
    /// Customers simulated, and events of each
    #[arg(long, default_value = "10000")]
    simulated: NonZeroU32,
    /// Events of each customer
    #[arg(long, default_value_t = 25)]
    events: usize,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn settings() -> Settings {
    Settings { policy: Arc::new(Policy::default()), salt: [0; 16], audit: false }
}

/// An image of as many customers as asked for.
fn image(args: &Args) -> Image {
    let mut engine = PartitionEngine::new(settings());
    let count = args.simulated.get() as usize * args.events;
    let generator =
        Generator::new(generate::Settings { customers: args.simulated, ..Default::default() });
    let mut catalogue = Catalogue::default();
    for (offset, event) in (0..).zip(generator.take(count)) {
        if let Event::Reference(reference) = &event {
            catalogue.apply(&reference.change);
            let (offset_next, catalogue) = (offset + 1, Arc::new(catalogue.clone()));
            let seq = u64::try_from(offset_next).unwrap();
            engine.handle(Input::Reference { seq, offset_next, catalogue }, &mut Vec::new());
            continue;
        }
        engine.handle(Input::Record { offset, record: Ok(event) }, &mut Vec::new());
        if offset % 1_000 == 0 {
            engine.commit();
        }
    }
    engine.commit();
    let image = engine.image();
    let again = |(n, (id, packed)): (usize, &Held)| (format!("{id}-{n}").into(), packed.clone());
    let customers = image.customers.iter().cycle().take(args.customers).enumerate().map(again);
    Image { customers: customers.collect(), ..image }
}

fn point(offset_next: i64) -> SnapshotPoint {
    let genesis = Genesis {
        lineage: [0; 16],
        events_topic_id: None,
        partition_count: 1,
        start_offset: 0,
        engine: ENGINE,
        policy_version: "generic-1".into(),
        policy_fingerprint: 0,
    };
    SnapshotPoint {
        layout: LAYOUT,
        engine: ENGINE,
        genesis,
        partition: 0,
        offset_next,
        seq: 0,
        journal_hash: 0,
        reference_offset_next: 0,
        policy_fingerprint: 0,
        policy_offset: None,
    }
}

/// What `act` gives, and how long it took per million customers, by the clock and on processors.
fn timed<T>(what: &str, customers: usize, act: impl FnOnce() -> T) -> T {
    let (started, used) = (Instant::now(), processor_seconds());
    let result = act();
    let per_million = 1e6 / customers as f64;
    let clock = started.elapsed().as_secs_f64() * per_million;
    let used = (processor_seconds() - used) * per_million;
    println!("{what}: {clock:.2} s a million, {used:.2} s of a processor");
    result
}

/// User and system time of this process so far: fields 14 and 15 of proc_pid_stat(5), in hundredths of a second.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn main() {
    let args = Args::parse();
    let whole = image(&args);
    let packed: usize =
        whole.customers.iter().filter_map(|(_, packed)| Some(packed.as_ref()?.len())).sum();
    let n = whole.customers.len();
    println!("{n} customers of {} packed bytes", packed / n);
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Folder(folder.path().to_owned());
    let store = Store::open(&location, &BTreeMap::new()).unwrap();
    let folder = Folder::new(&store, [0; 16], 0);
    let note =
        |step| Note { step: [step; 16], taken_ms: 0, customers: n as u64, supersedes: false };
    let base =
        timed("whole, written", n, || folder.write(&point(1), &whole, &[], note(1)).unwrap());
    println!("{} bytes a customer written", base.bytes() / n as u64);
    let changed = whole.customers.iter().step_by(10).cloned().collect();
    let changes = Image { customers: changed, is_whole: false, ..whole.clone() };
    let m = changes.customers.len();
    let manifest = timed("a tenth, written", m, || {
        folder.write(&point(2), &changes, &base.steps, note(2)).unwrap()
    });
    drop((whole, changes));
    for (what, manifest) in [("whole, read", &base), ("whole and changes, read", &manifest)] {
        let engine = timed(what, n, || {
            load(&folder, manifest, &Progress::default(), |_, header, customers| {
                let policy = Arc::new(Policy::default());
                let catalogue = Arc::default();
                PartitionEngine::from_image(
                    settings(),
                    RollUps::Off,
                    policy,
                    catalogue,
                    header,
                    customers,
                )
                .map_err(|error| error.to_string())
            })
            .unwrap()
        });
        assert_eq!(engine.customer_count(), n);
    }
}
