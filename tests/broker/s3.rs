//! Snapshots in an object store that speaks S3, a real one: `make test-s3` starts it beside the real Apache Kafka.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Deployment, Facts, PARTITIONS, assert_same, generated, wait_until};
use goodfaith::engine::Image;
use goodfaith::snapshot::{Folder, Location, Note, Progress, Store, load};
use goodfaith::wire::{Genesis, Manifest, SnapshotPoint};

const PATIENCE: Duration = Duration::from_secs(300);

fn location() -> Location {
    let url =
        std::env::var_os("GOODFAITH_S3_URL").expect("GOODFAITH_S3_URL, as deploy/s3/s3.sh sets it");
    url.into_string().unwrap().parse().unwrap()
}

fn point(offset_next: i64) -> SnapshotPoint {
    let genesis = Genesis {
        lineage: [u8::try_from(std::process::id() % 251).unwrap(); 16],
        events_topic_id: None,
        partition_count: 1,
        start_offset: 0,
        engine: 1,
        policy_version: "generic-1".into(),
        policy_fingerprint: 1,
    };
    SnapshotPoint {
        layout: 1,
        engine: 1,
        genesis,
        partition: 0,
        offset_next,
        seq: 0,
        journal_hash: 0,
        reference_offset_next: 0,
        policy_fingerprint: 1,
        policy_offset: None,
    }
}

fn note(step: u8) -> Note {
    Note { step: [step; 16], taken_ms: 0, customers: 1_000, supersedes: false }
}

#[test]
#[ignore = "needs an S3-compatible server"]
fn an_object_is_created_once_listed_read_and_deleted() {
    let store = Store::open(&location(), &std::env::vars().collect()).unwrap();
    let (first, second, third) = (point(10), point(20), point(30));
    let folder = Folder::new(&store, first.genesis.lineage, 0);
    let noise = |id: u32| (0..2_000).map(|n: u32| (n.wrapping_mul(id) >> 7) as u8).collect();
    let customer = |id: u32| (format!("c{id}").into(), Some(noise(id)));
    let customers = (0..1_000).map(customer).collect();
    let image = Image { header: b"header".to_vec(), customers, is_whole: true };
    folder.write(&first, &image, &[], note(1)).unwrap();
    let again = folder.write(&first, &image, &[], note(1)).unwrap_err();
    assert!(again.to_string().contains("already exists"), "{again}");
    folder.write(&second, &image, &[], note(2)).unwrap();
    folder.write(&third, &image, &[], note(3)).unwrap();
    folder.tidy(2).unwrap();
    let names = folder.names().unwrap();
    assert_eq!(names.iter().map(|name| name.offset_next).collect::<Vec<_>>(), [30, 20]);
    let manifest = folder.entry(names[0]).manifest.unwrap();
    let count =
        |_: &Manifest, header: &[u8], customers: &mut goodfaith::snapshot::Customers<'_>| {
            assert_eq!(header, b"header");
            Ok(customers.map(|(_, packed)| packed.len()).sum::<usize>())
        };
    assert_eq!(load(&folder, &manifest, &Progress::default(), count), Ok(1_000 * 2_000));
    assert_eq!(
        Folder::all(&store).unwrap().iter().filter(|f| f.path() == folder.path()).count(),
        1
    );
    folder.remove().unwrap();
    assert_eq!(folder.names().unwrap(), []);
}

#[test]
#[ignore = "needs a broker and an S3-compatible server"]
fn another_machine_goes_on_from_what_the_first_one_uploaded() {
    let mut deployment = Deployment::new("snapshot-s3");
    deployment.snapshots = Some((location(), Duration::from_secs(1)));
    let input = generated(12, 20_000);
    let (first, second) = input.split_at(15_000);
    deployment.produce(first);
    let mut process = deployment.spawn(&[]);
    deployment.wait_handled(PATIENCE);
    assert_eq!(process.end("TERM").code(), Some(0));

    deployment.produce(second);
    let facts = Arc::new(Facts::default());
    let service = deployment.start(&facts);
    deployment.wait_handled(PATIENCE);
    wait_until("every partition is served", PATIENCE, || {
        facts.count("PartitionRestored") == usize::try_from(PARTITIONS).unwrap()
    });
    service.stop();
    service.join().unwrap();
    assert_eq!(facts.count("Snapshot(Loaded"), 8, "{:?}", facts.all("Snapshot"));
    assert_eq!(facts.count("Snapshot(PassedOver") + facts.count("Snapshot(NotWritten"), 0);
    assert_same(&deployment.published(), &deployment.oracle());
}
