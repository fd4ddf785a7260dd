//! librdkafka's mock broker in this process: for the demo and for tests of what does not rest on transactions.
//!
//! It accepts transactions but does not isolate them, drops the offsets in them, and keeps 5 MiB a partition. It proves nothing about
//! exactly-once.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::mocking::MockCluster;

use super::error::{Error, Result};

/// A broker on a loopback port, gone when dropped.
pub struct EmbeddedBroker {
    bootstrap_servers: String,
    // Dropping it ends the thread.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// A broker with all topics of `prefix`, of `partitions` partitions each; reference has one.
    ///
    /// # Errors
    /// If librdkafka cannot make one.
    pub fn start(prefix: &str, partitions: i32) -> Result<Self> {
        let topics = super::topics::Topics::new(prefix).with_partitions(partitions);
        let (stop, stopped) = sync_channel(0);
        let (told, tell) = sync_channel(1);
        // The cluster may not leave the thread that made it.
        let thread = std::thread::Builder::new()
            .name("embedded-broker".to_owned())
            .spawn(move || serve(&topics, &told, &stopped))
            .map_err(Error::Thread)?;
        let answer = tell.recv().unwrap_or(Err(KafkaError::Canceled));
        let bootstrap_servers =
            answer.map_err(Error::while_doing("starting the embedded broker"))?;
        Ok(Self { bootstrap_servers, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn bootstrap_servers(&self) -> String {
        self.bootstrap_servers.clone()
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It ends as soon as its sender is gone; a panic of it concerns nobody any more.
            drop(thread.join());
        }
    }
}

impl std::fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBroker")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .finish_non_exhaustive()
    }
}

/// Makes the cluster, tells where it listens, and keeps it until the other side hangs up.
fn serve(topics: &[(String, i32)], told: &SyncSender<KafkaResult<String>>, stopped: &Receiver<()>) {
    let cluster = MockCluster::new(1).and_then(|cluster| {
        topics
            .iter()
            .try_for_each(|(topic, partitions)| cluster.create_topic(topic, *partitions, 1))?;
        Ok(cluster)
    });
    let answer = cluster.as_ref().map(|cluster| cluster.bootstrap_servers()).map_err(Clone::clone);
    if told.send(answer).is_ok() {
        let _hung_up = stopped.recv();
    }
}
