//! How long each rule gathers what it judges by. What the customer's record keeps whatever the policy (how long a customer, the price
//! before, the last use) needs no gathering, and is not counted.

use super::SqueezeType;

impl SqueezeType {
    /// Days of event time after which a new or changed rule has seen all it looks back on; 0 if it judges one record by itself.
    pub const fn window_days(self) -> i64 {
        match self {
            // Two bills in a row, a month apart.
            Self::S01 | Self::S07 => 62,
            // The notices before the end of a term.
            Self::S03 => 40,
            // A month for the remedy to come.
            Self::S06 => 31,
            // The notices of expiry.
            Self::S08 => 30,
            // Days a squeeze must have been open.
            Self::S11 => 14,
            // The notices before a renewal, and before a rise.
            Self::S12 => 45,
            Self::S16 => 120,
            // Penalties for one cause.
            Self::S13 => 35,
            // The bills that make a usual one, or three in a row.
            Self::S14 | Self::S19 => 93,
            // Fourteen business days for the reminder.
            Self::S17 => 20,
            Self::S02
            | Self::S04
            | Self::S05
            | Self::S09
            | Self::S10
            | Self::S15
            | Self::S18
            | Self::S20 => 0,
        }
    }
}
