//! Reads a deployment at rest into a [`History`]. It judges nothing.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::checker::History;
use crate::fleet::ends;
use crate::support::oracle::{self, Logs};
use crate::support::{Deployment, OUTPUTS, is_soon};

/// A transaction that a killed producer left open is ended by the broker after 10 s, as soon as it looks, which is every 10 s.
const PATIENCE: Duration = Duration::from_secs(60);

impl History {
    /// All that is left of a deployment whose processes have ended.
    pub(crate) fn of(deployment: &Deployment) -> Self {
        OUTPUTS.iter().chain(&["journal"]).for_each(|topic| wait_ended(deployment, topic));
        let (reference, journal, events) =
            (deployment.read("reference"), deployment.read("journal"), deployment.read("events"));
        let logs = Logs { reference: &reference, journal: &journal, events: &events };
        let due = oracle::outputs(logs, &deployment.topic("events"), deployment.settings.encoding);
        let group = deployment.group();
        let mut committed = None;
        let is_told = is_soon(PATIENCE, || {
            committed = group.committed();
            committed.is_some()
        });
        assert!(is_told, "the coordinator does not say what is committed");
        Self {
            outputs: OUTPUTS.iter().map(|topic| (*topic, deployment.read(topic))).collect(),
            journal,
            committed: (0..).zip(committed.unwrap_or_default()).collect(),
            ends: (0..).zip(ends(deployment)).collect(),
            due,
        }
    }
}

/// Waits until no transaction is open on any partition of a topic: what stands behind one is not shown to a reader.
fn wait_ended(deployment: &Deployment, topic: &str) {
    let name = deployment.topic(topic);
    let reader = |isolation| -> BaseConsumer {
        deployment.client().set("isolation.level", isolation).create().unwrap()
    };
    let [stable, high] = ["read_committed", "read_uncommitted"].map(reader);
    let second = Duration::from_secs(5);
    let metadata = high.fetch_metadata(Some(&name), second).unwrap();
    for partition in metadata.topics()[0].partitions() {
        let end = |reader: &BaseConsumer| {
            Some(reader.fetch_watermarks(&name, partition.id(), second).ok()?.1)
        };
        let is_ended = || end(&stable).is_some_and(|stable| end(&high) == Some(stable));
        assert!(is_soon(PATIENCE, is_ended), "a transaction on {name} does not end");
    }
}
