//! What the switch remembers, read and changed where Python keeps it: `switch.memory`.

use crate::request::wide;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet, PyString, PyTuple};
use python_objects::Named;

/// Bits of a transaction counter's window. Twin of `switch.limits.ATC_WINDOW`.
const WINDOW: u32 = 64;
const SEEN: u128 = (1 << WINDOW) - 1;
/// What stands above the 128 bits of transfer ids in the key of a batch.
const BATCH_TAGS: u64 = 16;

/// The tables of one node's memory.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Memory {
    in_flight: Py<PySet>,
    log_ons: Py<PyDict>,
    marks: Py<PyDict>,
    changed_marks: Py<PySet>,
    charged: Py<PyDict>,
    pins: Py<PyDict>,
    /// Python's, for a card whose PIN was changed over the line.
    pin_offset: Py<PyAny>,
    answers: Py<PyDict>,
    spent: Py<PyDict>,
    sales: Py<PyDict>,
    batches: Py<PyDict>,
    quiet_until_ns: Py<PyDict>,
    recent_cards: Py<PyDict>,
    note_card: Py<PyAny>,
    stack_pattern: Py<PyString>,
    batch_lock: Py<PyAny>,
    totals: Named,
}

/// A chip's mark: its key, and what it becomes when the counter is taken.
pub struct Mark<'py> {
    key: Bound<'py, PyTuple>,
    value: u128,
}

impl Memory {
    /// Tell whether nothing of this key, nor a settlement of its batch, is known or under way.
    pub fn is_new(
        &self,
        id: &Bound<'_, PyAny>,
        terminal_number: &Bound<'_, PyAny>,
        batch: &Bound<'_, PyAny>,
    ) -> Option<bool> {
        let py = id.py();
        let in_flight = self.in_flight.bind(py);
        if in_flight.contains(id).ok()? || self.answers.bind(py).contains(id).ok()? {
            return Some(false);
        }
        if self.sales.bind(py).contains(id).ok()? {
            return Some(false);
        }
        let lock = self.batch_lock.bind(py).call1((terminal_number, batch));
        Some(!in_flight.contains(lock.ok()?).ok()?)
    }

    /// Tell whether the terminal is logged on to this shop.
    pub fn serves(
        &self,
        terminal_id: &Bound<'_, PyString>,
        merchant_id: &Bound<'_, PyString>,
    ) -> Option<bool> {
        let py = terminal_id.py();
        let Some(log_on) = self.log_ons.bind(py).get_item(terminal_id).ok()? else {
            return Some(false);
        };
        let serving = log_on.getattr(intern!(py, "merchant_id")).ok()?;
        serving.eq(merchant_id).ok()
    }

    /// Give (sen, sales) of today of an account.
    pub fn spent(&self, account: &Bound<'_, PyAny>) -> Option<(u64, u64)> {
        match self.spent.bind(account.py()).get_item(account).ok()? {
            None => Some((0, 0)),
            Some(found) => found.extract().ok(),
        }
    }

    /// Give what the chip's mark becomes with this counter; None when it was seen before.
    pub fn mark<'py>(
        &self,
        account: &Bound<'py, PyAny>,
        card_tag: u64,
        atc: u128,
    ) -> Option<Mark<'py>> {
        let py = account.py();
        let key = PyTuple::new(py, [account, &card_tag.into_pyobject(py).ok()?.into_any()]).ok()?;
        let mark = match self.marks.bind(py).get_item(&key).ok()? {
            None => 0,
            Some(found) => wide(&found)?,
        };
        let ahead = u32::try_from(atc.checked_sub(mark >> WINDOW)?).ok()?;
        if ahead == 0 {
            return None;
        }
        let seen = if ahead < WINDOW {
            (mark & SEEN) << ahead & SEEN | 1
        } else {
            1
        };
        let value = atc << WINDOW | seen;
        Some(Mark { key, value })
    }

    /// Note the counter of a proved cryptogram as seen.
    pub fn take(&self, mark: &Mark<'_>) -> PyResult<()> {
        let py = mark.key.py();
        self.marks.bind(py).set_item(&mark.key, mark.value)?;
        self.changed_marks.bind(py).add(&mark.key)
    }

    /// Tell whether the card has used no PIN try.
    pub fn has_all_tries(&self, card_number: &Bound<'_, PyAny>) -> Option<bool> {
        let charged = self.charged.bind(card_number.py());
        Some(!charged.contains(card_number).ok()?)
    }

    /// Give the reference that the card's PIN is verified against.
    pub fn pin_offset<'py>(
        &self,
        card: &Bound<'py, PyAny>,
        card_number: &Bound<'py, PyAny>,
    ) -> Option<Bound<'py, PyString>> {
        let py = card.py();
        let offset = if self.pins.bind(py).contains(card_number).ok()? {
            self.pin_offset.bind(py).call1((card,))
        } else {
            card.getattr(intern!(py, "pin_offset"))
        };
        offset.ok()?.cast_into_exact().ok()
    }

    /// Tell whether the terminal's batch with this number is open.
    pub fn has_batch(&self, terminal_number: &Bound<'_, PyAny>, batch: u64) -> Option<bool> {
        let py = terminal_number.py();
        let Some(open) = self.batch_of(terminal_number, batch)? else {
            return Some(false);
        };
        let number: u64 = open.getattr(intern!(py, "number")).ok()?.extract().ok()?;
        Some(number == batch)
    }

    #[allow(clippy::option_option)] // The outer None: Python must look.
    fn batch_of<'py>(
        &self,
        terminal_number: &Bound<'py, PyAny>,
        batch: u64,
    ) -> Option<Option<Bound<'py, PyAny>>> {
        let py = terminal_number.py();
        let tag = (batch % BATCH_TAGS).into_pyobject(py).ok()?.into_any();
        let key = PyTuple::new(py, [terminal_number, &tag]).ok()?;
        self.batches.bind(py).get_item(key).ok()
    }

    /// Count a posted sale in its batch, unless that was settled since or counted it already.
    pub fn count_sale(
        &self,
        terminal_number: &Bound<'_, PyAny>,
        batch: u64,
        sequence: u64,
        amount: u128,
    ) -> PyResult<()> {
        let py = terminal_number.py();
        let Some(Some(open)) = self.batch_of(terminal_number, batch) else {
            return Ok(());
        };
        if sequence <= open.getattr(intern!(py, "counted"))?.extract::<u64>()? {
            return Ok(());
        }
        let told = open.getattr(intern!(py, "totals"))?;
        let (sales, sen): (i64, i128) =
            (told.get_item(0)?.extract()?, told.get_item(1)?.extract()?);
        let rest = [2, 3, 4, 5].map(|place| told.get_item(place));
        let [voids, voids_sen, refunds, refunds_sen] = rest;
        let sen = sen + i128::try_from(amount)?;
        let totals = PyTuple::new(
            py,
            [
                (sales + 1).into_pyobject(py)?.into_any(),
                sen.into_pyobject(py)?.into_any(),
                voids?,
                voids_sen?,
                refunds?,
                refunds_sen?,
            ],
        )?;
        open.setattr(intern!(py, "totals"), self.totals.make(py, totals)?)?;
        open.setattr(intern!(py, "counted"), sequence)?;
        open.setattr(intern!(py, "changed"), true)
    }

    /// Let go of a key that is settled.
    pub fn settle(&self, id: &Bound<'_, PyAny>) -> PyResult<()> {
        self.in_flight.bind(id.py()).discard(id).map(|_| ())
    }

    /// Count a sale of today.
    pub fn sell(
        &self,
        id: &Bound<'_, PyAny>,
        account: &Bound<'_, PyAny>,
        shop: &Bound<'_, PyAny>,
        amount_sen: u64,
    ) -> PyResult<()> {
        let py = id.py();
        self.sales
            .bind(py)
            .set_item(id, (account, shop, amount_sen))?;
        let spent = self.spent.bind(py);
        for one in [account, shop] {
            let (sen, number): (u64, u64) = match spent.get_item(one)? {
                None => (0, 0),
                Some(found) => found.extract()?,
            };
            spent.set_item(one, (sen + amount_sen, number + 1))?;
        }
        self.in_flight.bind(py).add(id)
    }

    /// Tell whether the card is noted at the terminal, or would be, without completing a stack.
    pub fn keeps_quiet(
        &self,
        terminal_number: &Bound<'_, PyAny>,
        now_ns: i128,
        (cards, within_ns): (u64, i128),
    ) -> Option<Stack> {
        let py = terminal_number.py();
        let key = (self.stack_pattern.bind(py), terminal_number);
        if let Some(until) = self.quiet_until_ns.bind(py).get_item(key).ok()? {
            if now_ns < until.extract().ok()? {
                return Some(Stack::Quiet);
            }
        }
        let Some(line) = self.recent_cards.bind(py).get_item(key).ok()? else {
            return (cards > 1).then_some(Stack::Grows);
        };
        if line.len().ok()? as u64 + 1 < cards {
            return Some(Stack::Grows);
        }
        // The oldest but one is what the line begins with when this card drives one out.
        let (at, _card): (i128, Bound<'_, PyAny>) = line.get_item(1).ok()?.extract().ok()?;
        (now_ns - at > within_ns).then_some(Stack::Grows)
    }

    /// Note a card at a terminal, as the stage of card stacks does.
    pub fn note_card(
        &self,
        terminal_number: &Bound<'_, PyAny>,
        card_number: &Bound<'_, PyAny>,
        now_ns: i128,
        (cards, within_ns): (u64, i128),
    ) -> PyResult<()> {
        let py = terminal_number.py();
        let seconds = within_ns / 1_000_000_000;
        let pattern = self.stack_pattern.bind(py);
        let given = (
            pattern,
            terminal_number,
            card_number,
            now_ns,
            cards,
            seconds,
        );
        let is_alarm: bool = self.note_card.bind(py).call1(given)?.extract()?;
        debug_assert!(!is_alarm, "it was looked at before");
        Ok(())
    }
}

/// What a card does to the line of recent cards.
pub enum Stack {
    /// Nothing: an alarm was raised a moment ago.
    Quiet,
    /// It joins the line.
    Grows,
}
