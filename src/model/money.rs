//! Money in minor units, and how long a price buys. Amounts of different currencies are never added or compared.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An ISO 4217 style code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The currency `code` names; `None` unless it is three letters `A` to `Z`.
    pub fn new(code: &str) -> Option<Self> {
        let code: [u8; 3] = code.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is three ASCII capitals")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in minor units (pence, cents) of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units; within ±2⁵³ when it comes from an event.
    pub minor: i64,
    /// Which money.
    pub currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }
}

/// Currencies with another number of decimals than two. Source: ISO 4217, list one.
const DECIMALS: [(&[u8; 3], usize); 22] = [
    (b"BHD", 3),
    (b"BIF", 0),
    (b"CLP", 0),
    (b"DJF", 0),
    (b"GNF", 0),
    (b"IQD", 3),
    (b"ISK", 0),
    (b"JOD", 3),
    (b"JPY", 0),
    (b"KMF", 0),
    (b"KRW", 0),
    (b"KWD", 3),
    (b"LYD", 3),
    (b"OMR", 3),
    (b"PYG", 0),
    (b"RWF", 0),
    (b"TND", 3),
    (b"UGX", 0),
    (b"VND", 0),
    (b"VUV", 0),
    (b"XAF", 0),
    (b"XOF", 0),
];

impl fmt::Display for Money {
    /// `26.00 GBP`, for people: with the currency's own number of decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = DECIMALS.iter().find(|(code, _)| **code == self.currency.0);
        let decimals = known.map_or(2, |(_, decimals)| *decimals);
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = decimals + 1);
        let (whole, part) = digits.split_at(digits.len() - decimals);
        let point = if decimals > 0 { "." } else { "" };
        write!(f, "{sign}{whole}{point}{part} {}", self.currency)
    }
}

/// How long a price buys: `PnM`, `PnY` or `PnD`, n ≥ 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Period {
    /// Calendar months.
    Months(u32),
    /// Calendar years.
    Years(u32),
    /// Days.
    Days(u32),
}

impl Period {
    /// One month, the default.
    pub const MONTH: Self = Self::Months(1);

    /// Reads `PnM`, `PnY` or `PnD`; `None` for anything else, n = 0, or n beyond nine digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, unit) =
            text.strip_prefix('P')?.split_at_checked(text.len().checked_sub(2)?)?;
        let is_number =
            (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let n = if is_number { digits.parse().ok().filter(|n| *n >= 1)? } else { return None };
        match unit {
            "M" => Some(Self::Months(n)),
            "Y" => Some(Self::Years(n)),
            "D" => Some(Self::Days(n)),
            _ => None,
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Months(n) => write!(f, "P{n}M"),
            Self::Years(n) => write!(f, "P{n}Y"),
            Self::Days(n) => write!(f, "P{n}D"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_told_with_the_decimals_of_its_currency() {
        let told = |minor, code| Money::new(minor, Currency::new(code).unwrap()).to_string();
        assert_eq!(told(2600, "GBP"), "26.00 GBP");
        assert_eq!(told(-5, "EUR"), "-0.05 EUR");
        assert_eq!(told(2600, "JPY"), "2600 JPY");
        assert_eq!(told(2600, "KWD"), "2.600 KWD");
    }

    #[test]
    fn a_period_reads_what_it_writes_and_nothing_else() {
        for text in ["P1M", "P12M", "P1Y", "P28D", "P999999999D"] {
            assert_eq!(Period::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "P",
            "P1",
            "PM",
            "P0M",
            "P-1M",
            "P+1M",
            "P1W",
            "P1.5M",
            "1M",
            "P1000000000D",
            "P1é",
        ] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_currency_is_three_capitals() {
        assert_eq!(Currency::new("GBP").unwrap().as_str(), "GBP");
        for code in ["gbp", "GB", "GBPX", "G1P", "ÄB"] {
            assert_eq!(Currency::new(code), None, "{code}");
        }
    }
}
