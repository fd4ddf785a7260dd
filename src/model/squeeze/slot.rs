//! What is remembered of one squeeze.

use crate::model::event::words;

words! {
    /// Where a squeeze stands.
    SqueezeState { /// Held, but not often enough to say so.
        Pending = "pending", /// Said.
        Open = "open", /// It grew.
        Escalated = "escalated", /// Its rule no longer holds.
        Stopped = "stopped", /// Made good.
        Resolved = "resolved" }
}
