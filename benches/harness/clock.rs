//! The harness's one clock.

use std::thread;
use std::time::{Duration, Instant};

/// How often what is waited for is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

#[expect(clippy::disallowed_methods, reason = "the harness's one clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits until `holds`; whether it took no longer than `patience`.
pub(crate) fn wait_until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = now() + patience;
    while !holds() {
        if deadline <= now() {
            return false;
        }
        thread::sleep(INTERVAL);
    }
    true
}
