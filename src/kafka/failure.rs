//! What went wrong with a transaction, and whether it is certain that nothing of it counts.

use std::fmt;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

/// Why a transaction did not commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The client's or broker's code.
    pub(super) code: RDKafkaErrorCode,
    /// The producer cannot be used any more.
    pub(super) is_fatal: bool,
    /// In words.
    pub(super) text: String,
}

impl Failure {
    /// A failure that librdkafka has not told itself.
    pub(super) fn new(code: RDKafkaErrorCode, text: &str) -> Self {
        Self { code, is_fatal: false, text: text.to_owned() }
    }

    /// The group's own answer: the generation has moved on, so the offsets were refused and aborting is safe.
    ///
    /// Everything else, above all a timeout, leaves open what the broker did or will still do with a request of ours.
    pub(super) const fn is_definite(&self) -> bool {
        !self.is_fatal
            && matches!(
                self.code,
                RDKafkaErrorCode::IllegalGeneration
                    | RDKafkaErrorCode::UnknownMemberId
                    | RDKafkaErrorCode::StaleMemberEpoch
                    | RDKafkaErrorCode::FencedMemberEpoch
                    | RDKafkaErrorCode::RebalanceInProgress
                    | RDKafkaErrorCode::AssignmentLost
            )
    }
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        let text = error.to_string();
        match error {
            KafkaError::Transaction(error) => {
                Self { code: error.code(), is_fatal: error.is_fatal(), text: error.string() }
            }
            error => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                Self { code, is_fatal: matches!(code, RDKafkaErrorCode::Fatal), text }
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.code)
    }
}
