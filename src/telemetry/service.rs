//! What happens to the service as a whole.

use std::net::SocketAddr;

use tracing::info;

use crate::engine::ENGINE;
use crate::kafka::KafkaSettings;
use crate::model::Policy;

/// Something that happened to the service as a whole.
#[derive(Debug)]
pub enum ServiceFact<'a> {
    /// HTTP answers, the workers are about to start.
    Starting {
        /// Where HTTP answers.
        address: SocketAddr,
        /// Where the events are.
        kafka: &'a KafkaSettings,
        /// The policy in force.
        policy: &'a Policy,
    },
    /// It was told to stop, or a worker ended.
    Stopping {
        /// What told it.
        because: &'static str,
    },
    /// The workers have committed and left.
    Stopped,
}

impl ServiceFact<'_> {
    /// Logs it. Nothing here is worth a number.
    pub fn emit(&self) {
        match self {
            Self::Starting { address, kafka, policy } => info!(
                version = env!("CARGO_PKG_VERSION"),
                engine = ENGINE,
                policy = &*policy.version,
                group = kafka.group_id,
                topics = kafka.prefix,
                workers = kafka.workers,
                delivery = ?kafka.delivery,
                http = %address,
                "Service starting."
            ),
            Self::Stopping { because } => {
                info!(because, "Service stopping; what is under way is committed.")
            }
            Self::Stopped => info!("Service stopped."),
        }
    }
}
