//! The worker threads' clock. No engine reads it: what follows from it (when to commit, a tick) reaches an engine as an input.
#![expect(clippy::disallowed_methods, reason = "the workers' one clock")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now, for deadlines.
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Now, in milliseconds since the epoch.
pub(super) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
