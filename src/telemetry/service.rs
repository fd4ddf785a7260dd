//! What happens to the service as a whole.

use std::net::SocketAddr;

use ::metrics::gauge;
use tracing::info;

use super::metrics::name;
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
    /// Logs it, and shows the limit the service has set itself.
    pub fn emit(&self) {
        match self {
            Self::Starting { address, kafka, policy } => starting(*address, kafka, policy),
            Self::Stopping { because } => {
                info!(because, "Service stopping; what is under way is committed.")
            }
            Self::Stopped => info!("Service stopped."),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn starting(address: SocketAddr, kafka: &KafkaSettings, policy: &Policy) {
    gauge!(name::STORE_LIMIT_BYTES).set(kafka.limits.state_bytes.unwrap_or(0) as f64);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        engine = ENGINE,
        policy = &*policy.version,
        group = kafka.group_id,
        topics = kafka.prefix,
        workers = kafka.workers,
        delivery = ?kafka.delivery,
        http = %address,
        "Service starting."
    );
}
