//! Bands on T, with hysteresis.

use super::event::words;

words! {
    /// Where T stands.
    Band { /// Too little evidence.
        Insufficient = "insufficient", /// Below .35.
        Depleted = "depleted", /// From .35.
        Strained = "strained", /// From .50.
        Neutral = "neutral", /// From .65.
        Good = "good", /// From .80.
        Strong = "strong" }
}
