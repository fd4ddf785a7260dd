//! An erasure while events flow, and then a search for the customer in all there is: topics once what they forget is gone, dead
//! letters, snapshots, log, HTTP.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use goodfaith::snapshot::Location;
use goodfaith::wire::{Held, Part};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;
use tempfile::TempDir;

use crate::operate::{PATIENCE, typed};
use crate::support::{
    Deployment, Line, OUTPUTS, PARTITIONS, Process, Stored, assert_same, scenarios, wait_until,
};

/// Who is erased: a name that nothing else contains.
const EVE: &str = "eve-3f9c2a7d";
/// Who she is among the customers of the golden scenarios: one with an open squeeze.
const ORIGINAL: &str = "amara-0";

/// What says nothing about a customer but what it was told, and so is left alone by an erasure: the log of events itself, which is not
/// ours.
const EVENTS: &str = "events";

fn names_her(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains(EVE)
}

/// Any byte of a record does.
fn tells_of_her(record: &Stored) -> bool {
    let headers =
        record.headers.iter().flat_map(|(name, value)| [Some(name.as_bytes()), value.as_deref()]);
    let all = [record.key.as_deref(), record.value.as_deref()].into_iter().chain(headers);
    all.flatten().any(names_her)
}

/// The topics of ours that tell of her, whatever became of the transactions.
fn topics_that_tell(deployment: &Deployment) -> Vec<&'static str> {
    let topics = OUTPUTS.into_iter().chain(["journal", "reference"]);
    topics.filter(|topic| deployment.read_stored(topic).iter().any(tells_of_her)).collect()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        // What a process deletes meanwhile is not there.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// Whether any object of a snapshot holds her, in its bytes as they are or unpacked, and whether a manifest makes it count or not.
fn is_saved(folder: &Path) -> bool {
    files(folder).iter().any(|file| {
        // One that was deleted meanwhile holds nobody.
        let bytes = fs::read(file).unwrap_or_default();
        let unpacked = Part::decode(&bytes).is_ok_and(|part| {
            let mut customers = part.customers.iter();
            let is_hers = |(id, packed): &Held| {
                names_her(id.as_bytes()) || packed.as_deref().is_some_and(names_her)
            };
            names_her(&part.engine) || customers.any(is_hers)
        });
        unpacked || names_her(&bytes)
    })
}

/// The service as a process of its own, in a folder of its own; its log is appended to a file there.
struct Service {
    process: Process,
    folder: PathBuf,
}

impl Service {
    fn start(deployment: &Deployment, folder: &Path) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        let settings = ["kafka.instance_id=a", "log.format=json", "log.filter=debug"];
        let mut command = deployment.command(&settings);
        let process = Process::start(command.current_dir(folder).stderr(log));
        Self { process, folder: folder.to_owned() }
    }

    /// Where it answers, once it does.
    fn address(&self) -> Option<String> {
        let log = fs::read_to_string(self.folder.join("log")).unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let address = |line: Value| line["http"].as_str().map(str::to_owned);
        lines.filter_map(address).last()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address().unwrap()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// Has the topics forget at once what they would forget in days or months: everything by age, and tombstones with what they delete.
fn hasten(deployment: &Deployment) {
    let admin: AdminClient<DefaultClientContext> = deployment.client().create().unwrap();
    let names = OUTPUTS.map(|what| (what, deployment.topic(what)));
    let changes = names.iter().map(|(what, name)| {
        let change = AlterConfig::new(ResourceSpecifier::Topic(name)).set("segment.ms", "1");
        match *what {
            "scores" | "open-alerts" | "loyalty" | "organisation" => change
                .set("cleanup.policy", "compact")
                .set("min.cleanable.dirty.ratio", "0.0")
                .set("min.compaction.lag.ms", "0")
                .set("max.compaction.lag.ms", "1")
                .set("delete.retention.ms", "0"),
            _ => change.set("retention.ms", "1"),
        }
    });
    let changes: Vec<_> = changes.collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let done = runtime.block_on(admin.alter_configs(&changes, &AdminOptions::new())).unwrap();
    assert!(done.iter().all(Result::is_ok), "{done:?}");
}

/// A record of nobody's on every partition: the segment before is closed, and may be compacted.
fn fill(deployment: &Deployment) {
    let producer: BaseProducer = deployment.client().create().unwrap();
    for what in OUTPUTS {
        for partition in 0..PARTITIONS {
            let topic = deployment.topic(what);
            let record = BaseRecord::to(&topic).partition(partition).key("nobody").payload("-");
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
    }
    producer.flush(PATIENCE).unwrap();
}

/// Events of the golden scenarios in which one customer is her.
fn input() -> Vec<Line> {
    let rename =
        |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(ORIGINAL, EVE).into_bytes();
    let renamed = |line| match line {
        Line::Customer { key, value } if key == ORIGINAL.as_bytes() => {
            Line::Customer { key: rename(key), value: rename(value) }
        }
        line => line,
    };
    scenarios(9_000).into_iter().map(renamed).collect()
}

/// What no decoder accepts, and what names her where no customer is looked for.
fn malformed() -> Vec<Line> {
    let event = |name: &str, data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{EVE}","source":"/{EVE}","type":"io.goodfaith.{name}.v1","subject":"{EVE}","time":"2025-01-01T00:00:00Z","data":{data}}}"#
        )
    };
    let values = [
        EVE.to_owned(),
        event(EVE, "{}"),
        event("service.delivered", &format!(r#"{{"{EVE}":1}}"#)),
        event(
            "subscription.started",
            &format!(r#"{{"subscription_id":"{EVE}","plan_id":"{EVE}"}}"#),
        ),
    ];
    values.map(|value| Line::Customer { key: EVE.into(), value: value.into_bytes() }).into()
}

#[test]
#[ignore = "needs a broker"]
fn an_erasure_under_load_and_a_kill_leave_nothing_of_the_customer_and_all_of_the_others() {
    let folder = TempDir::new().unwrap();
    let mut deployment = Deployment::new("erasure");
    let snapshots = folder.path().join("snapshots");
    deployment.snapshots = Some((Location::Folder(snapshots.clone()), Duration::from_secs(1)));
    let input = input();
    let is_hers = |line: &Line| matches!(line, Line::Customer { key, .. } if key == EVE.as_bytes());
    // Later, and she would be known again.
    let (before, rest) = input.split_at(input.iter().rposition(is_hers).unwrap() + 1);
    let (meanwhile, after) = rest.split_at(rest.len() / 2);
    assert!(meanwhile.len() > 500, "{} events are no load", meanwhile.len());
    let asked_at = after_all(before);
    deployment.produce(before);
    deployment.produce(&malformed());
    let mut service = Service::start(&deployment, folder.path());
    wait_until("a snapshot holds her", PATIENCE, || is_saved(&snapshots));

    thread::scope(|scope| {
        scope.spawn(|| deployment.produce(meanwhile));
        let erase = ["erase", EVE, "--wait", "--time", &asked_at];
        let (code, _, told) = typed(&deployment, &erase);
        assert_eq!(code, 0, "{told}");
        service.process.end("KILL");
    });
    service = Service::start(&deployment, folder.path());
    // What comes late about her is set aside, and she is not known again.
    deployment.produce(&before[before.len() - 1..]);
    deployment.produce(after);
    deployment.wait_handled(PATIENCE);
    wait_until("no snapshot holds her", PATIENCE, || !is_saved(&snapshots));
    wait_until("she is not known", PATIENCE, || {
        service.get(&format!("/v1/customers/{EVE}")).starts_with("HTTP/1.1 404")
    });
    for path in ["/metrics", "/readyz?verbose", "/v1/policy"] {
        assert!(!names_her(service.get(path).as_bytes()), "{path}");
    }
    assert_eq!(service.process.end("TERM").code(), Some(0));

    assert_same(&deployment.published(), &deployment.oracle());
    // Sums over all customers were made of what she lived too.
    let is_about_her = |topic: &str, key: &[u8], text: &str| {
        topic == "organisation" || names_her(key) || names_her(text.as_bytes())
    };
    let is_request = |record: &Stored| {
        let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
        value.contains("erasure.requested") && value.contains(EVE)
    };
    let had_she_stayed = deployment.oracle_where(|record| !is_request(record));
    let (found, expected) = (deployment.published(), had_she_stayed);
    assert_same(&found.without(is_about_her), &expected.without(is_about_her));

    let told = ["scores", "alerts", "open-alerts", "loyalty", "evidence", "dead-letters"];
    assert_eq!(topics_that_tell(&deployment), told, "while what they keep is there");
    hasten(&deployment);
    wait_until("the topics forget her", PATIENCE, || {
        fill(&deployment);
        topics_that_tell(&deployment).is_empty()
    });
    assert!(deployment.read_stored(EVENTS).iter().any(tells_of_her), "not ours to forget");
    assert!(deployment.group().committed().unwrap().iter().all(|(_, mark)| !mark.contains(EVE)));
    for file in files(folder.path()) {
        assert!(!names_her(&fs::read(&file).unwrap()), "{}", file.display());
    }
    assert!(!is_saved(&snapshots));
}

/// The time of the last event.
fn after_all(lines: &[Line]) -> String {
    let value = lines.iter().rev().find_map(|line| match line {
        Line::Customer { value, .. } => Some(value),
        Line::Reference(_) | Line::Tick(_) => None,
    });
    let event: Value = serde_json::from_slice(value.unwrap()).unwrap();
    event["time"].as_str().unwrap().to_owned()
}
