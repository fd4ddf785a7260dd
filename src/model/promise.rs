//! The promise ledger.

use super::event::words;

words! {
    /// What became of a promise.
    PromiseOutcome { /// Nothing yet.
        Open = "open", /// Kept.
        Kept = "kept", /// Kept late.
        Late = "late", /// Broken.
        Broken = "broken", /// Taken back in time.
        Withdrawn = "withdrawn", /// The customer's own doing.
        Void = "void" }
}
