//! How bad a squeeze is.

use crate::model::event::words;

words! {
    /// A severity in words; PagerDuty's info, warning, error, critical.
    Level { /// Below .25.
        Info = "info", /// From .25.
        Minor = "minor", /// From .50.
        Major = "major", /// From .75.
        Critical = "critical" }
}
