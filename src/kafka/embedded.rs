//! A broker inside the process, for the demo. Its transactions isolate nothing and it keeps 5 MiB a partition: nothing about
//! exactly-once is shown on it.

use std::fmt;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::error::{Error, Result};
use super::topics::Topics;

/// An embedded broker; it ends when dropped.
pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedBroker {
    /// Starts one with the topics of `prefix`, the events topic of `partitions` partitions.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(prefix: &str, partitions: i32) -> Result<Self> {
        let cluster =
            MockCluster::new(1).map_err(Error::while_doing("starting an embedded broker"))?;
        let topics = Topics::new(prefix);
        for (what, name) in topics.names() {
            let count = if *what == "reference" { 1 } else { partitions };
            cluster.create_topic(name, count, 1).map_err(Error::while_doing("creating a topic"))?;
        }
        Ok(Self { cluster })
    }

    /// `host:port`.
    pub fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}

impl fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedBroker")
            .field("bootstrap_servers", &self.bootstrap_servers())
            .finish()
    }
}
