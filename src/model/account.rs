//! A customer's money with the firm, each currency apart.

use serde::{Deserialize, Serialize};

use super::{Currency, Money};

/// One currency's sums, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Invoices, charges and fees, less what was waived.
    pub billed: i64,
    /// Accrued by squeezes once open.
    pub bad_profit: i64,
    /// Money and credit back.
    pub remedies: i64,
    /// Gifts.
    pub generosity: i64,
}

impl Account {
    /// What is left of `billed` without bad profit and remedies.
    pub const fn good_profit(&self) -> i64 {
        self.billed.saturating_sub(self.bad_profit).saturating_sub(self.remedies)
    }
}

/// A customer's accounts. Currencies are never added together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Accounts(Vec<(Currency, Account)>);

impl Accounts {
    /// The account in `currency`, opened if need be.
    pub fn of(&mut self, currency: Currency) -> &mut Account {
        let place = self.0.iter().position(|(held, _)| *held == currency).unwrap_or_else(|| {
            self.0.push((currency, Account::default()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    /// Adds to what was billed.
    pub fn bill(&mut self, amount: Money) {
        let account = self.of(amount.currency);
        account.billed = account.billed.saturating_add(amount.minor);
    }

    /// Each currency's account, in the order they were opened.
    pub fn iter(&self) -> impl Iterator<Item = (Currency, Account)> {
        self.0.iter().copied()
    }
}
