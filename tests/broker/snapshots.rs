//! What snapshots promise: a partition comes back from one, on any machine that reaches the store, and publishes what it would have
//! published without.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Deployment, Facts, Line, PARTITIONS, assert_same, generated, scenarios, tick, wait_until,
};
use goodfaith::snapshot::{Folder, Location, Progress, Store, load};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(300);
/// Far shorter than anybody wants, so that tests see several.
const INTERVAL: Duration = Duration::from_secs(1);

fn deployment(name: &str) -> (Deployment, TempDir) {
    let folder = TempDir::new().unwrap();
    let mut deployment = Deployment::new(name);
    deployment.snapshots = Some((Location::Folder(folder.path().to_owned()), INTERVAL));
    (deployment, folder)
}

/// Runs the service until all is handled; what it told, until its last snapshot was written.
fn run(deployment: &Deployment) -> Arc<Facts> {
    let facts = Arc::new(Facts::default());
    let service = deployment.start(&facts);
    wait_until("every partition is served", PATIENCE, || {
        assert_eq!(facts.last("PartitionRefused"), None);
        facts.count("PartitionRestored") == partitions()
    });
    deployment.wait_handled(PATIENCE);
    service.stop();
    service.join().unwrap();
    facts
}

/// Manifests by the folder of their partition, oldest first.
fn manifests(folder: &Path) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut found: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "manifest") {
                found.entry(folder.clone()).or_default().push(path);
            }
        }
    }
    found.values_mut().for_each(|paths| paths.sort());
    found
}

fn partitions() -> usize {
    usize::try_from(PARTITIONS).unwrap()
}

/// Sum of the records that restored partitions read from the log again.
fn replayed(facts: &Facts) -> u64 {
    let records = |text: &String| {
        let (_, rest) = text.split_once("records: ").unwrap();
        rest.split_once(',').unwrap().0.parse::<u64>().unwrap()
    };
    facts.all("PartitionRestored").iter().map(records).sum()
}

#[test]
#[ignore = "needs a broker"]
fn after_a_kill_another_machine_goes_on_from_the_snapshots_and_passes_over_a_damaged_one() {
    let (deployment, folder) = deployment("snapshot-kill");
    let input = generated(11, 40_000);
    let (first, second) = input.split_at(30_000);
    deployment.produce(first);
    let mut process = deployment.spawn(&[]);
    wait_until("every partition has two snapshots", PATIENCE, || {
        // A tick moves partitions whose customers are silent, so that there is something to save.
        deployment.produce(&[tick("2020-01-01T00:00:00Z")]);
        let found = manifests(folder.path());
        found.len() == partitions() && found.values().all(|manifests| manifests.len() >= 2)
    });
    process.end("KILL");
    // One is damaged, of another the manifest is gone, and somebody's folder is not ours.
    let found: Vec<_> = manifests(folder.path()).into_values().collect();
    let damaged = found[0].last().unwrap();
    let mut bytes = fs::read(damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(damaged, bytes).unwrap();
    fs::remove_file(found[1].last().unwrap()).unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();

    deployment.produce(second);
    let facts = run(&deployment);
    assert_eq!(
        facts.count("PartitionRestored"),
        partitions(),
        "{:?}",
        facts.last("PartitionRefused")
    );
    assert_eq!(
        facts.count("Snapshot(Loaded"),
        partitions(),
        "{:?}",
        facts.all("Snapshot(PassedOver")
    );
    assert_eq!(facts.count("Snapshot(PassedOver"), 1, "{:?}", facts.all("Snapshot(PassedOver"));
    assert!(replayed(&facts) < 30_000, "{} records", replayed(&facts));
    assert_eq!(facts.count("Snapshot(NotWritten"), 0);
    assert_same(&deployment.published(), &deployment.oracle());

    // A stop saves what there is: nothing is left to read.
    let facts = run(&deployment);
    assert_eq!(facts.count("Snapshot(Loaded"), partitions());
    assert_eq!(replayed(&facts), 0);
    assert!(manifests(folder.path()).values().all(|manifests| manifests.len() <= 3));
}

#[test]
#[ignore = "needs a broker"]
fn a_log_that_reaches_back_to_a_snapshot_is_enough_and_to_none_is_refused() {
    let input = scenarios(6_000);
    let (first, second) = input.split_at(3_000);
    let twin = Deployment::new("snapshot-twin");
    twin.produce(&input);
    run(&twin);

    let (mut deployment, folder) = deployment("snapshot-truncated");
    deployment.produce(first);
    let facts = run(&deployment);
    assert_eq!(facts.count("Snapshot(Written"), partitions(), "{:?}", facts.all("Snapshot"));
    deployment.delete_records(50);
    deployment.produce(second);
    let facts = run(&deployment);
    assert_eq!(
        facts.count("PartitionRestored"),
        partitions(),
        "{:?}",
        facts.last("PartitionRefused")
    );
    assert_same(&deployment.published(), &twin.published());

    let refused = |deployment: &Deployment| {
        let facts = Arc::default();
        let service = deployment.start(&facts);
        wait_until("every partition is refused", PATIENCE, || {
            facts.count("PartitionRefused") == partitions()
        });
        service.stop();
        service.join().unwrap();
        facts.last("PartitionRefused").unwrap()
    };
    for manifest in manifests(folder.path()).into_values().flatten() {
        fs::write(manifest, "nothing").unwrap();
    }
    let told = refused(&deployment);
    assert!(told.contains("snapshots can be used") && told.contains("retention.ms=-1"), "{told}");
    fs::remove_dir_all(folder.path()).unwrap();
    let told = refused(&deployment);
    assert!(told.contains("there is no snapshot"), "{told}");
    deployment.snapshots = None;
    let told = refused(&deployment);
    assert!(told.contains("snapshot.enabled"), "{told}");
}

/// Whether any snapshot holds a customer whose id begins so.
fn holds(folder: &Path, customer: &str) -> bool {
    let store = Store::open(&Location::Folder(folder.to_owned()), &BTreeMap::new()).unwrap();
    let folders = Folder::all(&store).unwrap();
    folders.iter().any(|folder| {
        folder.names().unwrap().into_iter().any(|name| {
            let manifest = folder.entry(name).manifest.unwrap();
            load(folder, &manifest, &Progress::default(), |_, _, customers| {
                Ok(customers.filter(|(id, _)| &**id == customer).count() > 0)
            })
            .unwrap()
        })
    })
}

#[test]
#[ignore = "needs a broker"]
fn an_erasure_is_followed_by_a_snapshot_that_leaves_no_older_one() {
    let (deployment, folder) = deployment("snapshot-erase");
    deployment.produce(&scenarios(2_000));
    let facts = run(&deployment);
    assert_eq!(facts.count("Snapshot(Written"), partitions(), "{:?}", facts.all("Snapshot"));
    assert!(holds(folder.path(), "amara-0"));

    let facts = Arc::new(Facts::default());
    let service = deployment.start(&facts);
    let erasure = r#"{"specversion":"1.0","id":"gone","source":"/test","type":"io.goodfaith.erasure.requested.v1","subject":"amara-0","time":"2026-01-01T00:00:00Z"}"#;
    deployment.produce(&[Line::Customer { key: b"amara-0".to_vec(), value: erasure.into() }]);
    wait_until("no snapshot holds the customer", PATIENCE, || {
        facts.count("Snapshot(Written") > 0 && !holds(folder.path(), "amara-0")
    });
    service.stop();
    service.join().unwrap();
    let again = run(&deployment);
    assert_eq!(again.count("Snapshot(Loaded"), partitions());
    assert_same(&deployment.published(), &deployment.oracle());
}

#[test]
#[ignore = "needs a broker"]
fn a_reset_removes_the_snapshots_of_its_deployment_and_no_others() {
    let (deployment, folder) = deployment("snapshot-reset");
    deployment.produce(&generated(13, 20_000));
    run(&deployment);
    assert_eq!(manifests(folder.path()).len(), partitions());
    let foreign = folder.path().join("00000000000000000000000000000001/0");
    fs::create_dir_all(&foreign).unwrap();
    fs::write(foreign.join("somebody.manifest"), "theirs").unwrap();
    let settings = &deployment.settings;
    let reset = Command::new(env!("CARGO_BIN_EXE_goodfaith"))
        .args(["reset", "--execute"])
        .args(["--set", &format!("kafka.bootstrap_servers={}", settings.bootstrap_servers)])
        .args(["--set", &format!("kafka.topic_prefix={}", settings.prefix)])
        .args(["--set", &format!("kafka.group_id={}", settings.group_id)])
        .args(["--set", &format!("snapshot.url={}", folder.path().display())])
        .output()
        .unwrap();
    assert!(reset.status.success(), "{}", String::from_utf8_lossy(&reset.stderr));
    let left: Vec<_> = manifests(folder.path()).into_keys().collect();
    assert_eq!(left, [foreign]);
    let facts = run(&deployment);
    assert_eq!(facts.count("Snapshot(Loaded"), 0, "there is nothing to begin from but the log");
}
