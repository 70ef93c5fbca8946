//! The rules of a business date, as a plain sale needs them.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What the rule book says on one day; `switch.plain` makes it, by these names.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Terms {
    /// Values of DE22 that mean chip.
    pub entry_modes: Vec<String>,
    pub window_ns: i128,
    /// Purse by account type.
    pub purses: Py<PyDict>,
    /// Category codes that sell food: true always, false where the shop is registered by name.
    pub food: Py<PyDict>,
    /// By purse: the account type that balances of an answer name.
    pub account_types: Py<PyDict>,
    pub currency: String,
    pub sale_max_sen: u64,
    pub card_day_limit_sen: u64,
    pub card_day_sales_limit: u64,
    pub shop_day_limit_sen: u64,
    pub shop_day_sales_limit: u64,
    /// Categories whose sales need a basket, None when none does; an empty list: every one does.
    pub basket_categories: Option<Vec<String>>,
    /// Cards and nanoseconds of a stack that raises the alarm; None when nobody looks.
    pub stack: Option<(u64, i128)>,
    pub pin_digits: usize,
    /// The business date, and as it stands in the bits of a record.
    pub day: Py<PyAny>,
    pub day_bits: u64,
}

impl Terms {
    /// Tell whether a sale of a shop of this category needs a basket.
    pub fn needs_basket(&self, category: &str) -> bool {
        self.basket_categories
            .as_ref()
            .is_some_and(|listed| listed.is_empty() || listed.iter().any(|one| one == category))
    }
}
