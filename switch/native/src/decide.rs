//! From a proved request to a plain sale: the stages of a purchase in their order, all pure, then
//! what they change. The twin of `switch.pipeline.PURCHASE` and of the beginning of
//! `switch.flows.sale`, for what passes.

use crate::finish::Ending;
use crate::memory::{Mark, Memory, Stack};
use crate::request::{self, Chip, Request};
use crate::sale::PlainSale;
use crate::terms::Terms;
use crate::turn::{Core, Door};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple, PyType};
use python_objects::{Named, Slotted, TRANSFER_FIELDS};
use std::sync::Mutex;

/// A purchase of the ledger: `programme.chart.TransferCode`.
const PURCHASE_CODE: u16 = 3;

/// What is asked of other parts: Python's registry, and the native codec and cryptography.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Parts {
    pub card_by_pan: Py<PyAny>,
    pub merchant: Py<PyAny>,
    pub entry: Py<PyAny>,
    pub sent_at_ns: Py<PyAny>,
    pub check_shape: Py<PyAny>,
    pub check_tags: Py<PyAny>,
    pub check_pin: Py<PyAny>,
    pub pin_verification: Py<PyAny>,
    pub decimalisation: Py<PyString>,
    pub active: Py<PyAny>,
    pub secret: Py<PyAny>,
}

/// Decides plain sales for one node.
#[pyclass(module = "switch._core", frozen)]
pub struct PlainSales {
    pub memory: Memory,
    pub parts: Parts,
    pub ending: Ending,
    pub door: Door,
    pub terms: Mutex<Option<Terms>>,
    pub shapes: Mutex<Vec<(Shape, Usage)>>,
    pub transfer: Slotted,
    pub step: Named,
}

/// What a message's shape depends on: MTI and elements by number, and DE3.
pub type Shape = ([u64; 3], String);

/// The spec's use of a message, and a bit for each element that its answer copies.
pub struct Usage {
    pub usage: Py<PyAny>,
    pub echoed: u128,
}

/// What the stages have found.
pub struct Found<'py> {
    pub usage: (Bound<'py, PyAny>, u128),
    pub merchant: Bound<'py, PyAny>,
    pub payable: Bound<'py, PyAny>,
    pub card: Bound<'py, PyAny>,
    pub card_number: Bound<'py, PyAny>,
    pub account: Bound<'py, PyAny>,
    pub purse: Bound<'py, PyAny>,
    pub session_key: Bound<'py, PyBytes>,
    pub mark: Mark<'py>,
    pub card_tag: u64,
}

/// The message on its way through the stages.
pub struct Case<'a, 'py> {
    pub request: Request<'py>,
    pub chip: Chip<'py>,
    pub terminal: Bound<'py, PyAny>,
    pub terminal_number: Bound<'py, PyAny>,
    pub keys: Bound<'py, PyAny>,
    pub entries: &'a Bound<'py, PyDict>,
    pub now_ns: i128,
    pub today: &'a Bound<'py, PyAny>,
}

#[pymethods]
impl PlainSales {
    /// Take the node's memory, its other parts, and the classes of requests, transfers and steps.
    #[new]
    fn new(
        memory: Memory,
        parts: Parts,
        ending: Ending,
        door: Door,
        request: &Bound<'_, PyType>,
        transfer: &Bound<'_, PyType>,
        step: &Bound<'_, PyType>,
    ) -> PyResult<Self> {
        Request::check(request)?;
        Ok(Self {
            memory,
            parts,
            ending,
            door,
            terms: Mutex::new(None),
            shapes: Mutex::new(Vec::new()),
            transfer: Slotted::new(transfer, &TRANSFER_FIELDS)?,
            step: Named::new(step)?,
        })
    }

    /// Decide by these terms from now on; None: no sale is plain.
    fn use_terms(&self, terms: Option<Terms>) {
        *self.terms.lock().expect("nobody panics with it") = terms;
    }

    /// Take the messages of a turn in order: plain sales join the queue, the rest goes to the core.
    #[allow(clippy::needless_pass_by_value)] // PyO3 hands it over so.
    fn receive<'py>(
        &self,
        core: Core,
        arrivals: &Bound<'py, PyList>,
        now_ns: i128,
        today: &Bound<'py, PyAny>,
        queue: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        self.take_turn(&core, arrivals, now_ns, today, queue)
    }

    /// Take the results of a turn's steps in order: plain sales are answered, the rest goes on.
    #[allow(clippy::needless_pass_by_value)] // PyO3 hands it over so.
    fn complete<'py>(
        &self,
        core: Core,
        stepping: &Bound<'py, PyList>,
        results: &Bound<'py, PyList>,
        departures: &Bound<'py, PyList>,
        parked: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        self.finish_turn(&core, stepping, results, departures, parked)
    }
}

impl<'a, 'py> Case<'a, 'py> {
    fn of(
        accepted: &Bound<'py, PyTuple>,
        entries: &'a Bound<'py, PyDict>,
        now_ns: i128,
        today: &'a Bound<'py, PyAny>,
    ) -> Option<Self> {
        let request = Request::of(&accepted.get_item(0).ok()?)?;
        if request.text(request::MTI)?.to_str().ok()? != "0200" {
            return None;
        }
        let terminal = accepted.get_item(1).ok()?;
        let keys = accepted.get_item(2).ok()?;
        Some(Self {
            chip: request.chip()?,
            terminal_number: terminal
                .getattr(intern!(keys.py(), "terminal_number"))
                .ok()?,
            request,
            terminal,
            keys,
            entries,
            now_ns,
            today,
        })
    }
}

impl PlainSales {
    /// Give the sale when every stage lets it pass, and have memory take note of it.
    ///
    /// None, and nothing has changed, for whatever the stages must look at. `entries` are the
    /// records that were looked up for the turn; `today` is the date in WITA.
    pub fn decided<'py>(
        &self,
        arrival: &Bound<'py, PyAny>,
        accepted: &Bound<'py, PyTuple>,
        entries: &Bound<'py, PyDict>,
        now_ns: i128,
        today: &Bound<'py, PyAny>,
    ) -> PyResult<Option<PlainSale>> {
        let terms = self.terms.lock().expect("nobody panics with it");
        let Some(terms) = terms.as_ref() else {
            return Ok(None);
        };
        let Some(case) = Case::of(accepted, entries, now_ns, today) else {
            return Ok(None);
        };
        // A fault on the way is met again, and told, by the stages.
        let Some(found) = self.passes(terms, &case) else {
            return Ok(None);
        };
        let py = arrival.py();
        let Some(stack) = self.stack(terms, &case) else {
            return Ok(None);
        };
        let Some((transfer, step)) = self.posting(py, terms, &case, &found)? else {
            return Ok(None);
        };
        if let (Some(rule), Stack::Grows) = (terms.stack, stack) {
            self.memory
                .note_card(&case.terminal_number, &found.card_number, now_ns, rule)?;
        }
        self.memory.take(&found.mark)?;
        let id = case
            .request
            .at(request::TRANSFER_ID)
            .expect("it was read before");
        let amount = case
            .request
            .number(request::AMOUNT)
            .expect("it was read before");
        self.memory
            .sell(&id, &found.account, &found.payable, amount)?;
        Ok(Some(PlainSale {
            arrival: arrival.clone().unbind(),
            accepted: accepted.clone().into_any().unbind(),
            usage: found.usage.0.unbind(),
            echoed: found.usage.1,
            merchant: found.merchant.unbind(),
            card: found.card.unbind(),
            transfer: transfer.unbind(),
            step: step.unbind(),
            transfer_id: id.unbind(),
            day: terms.day.clone_ref(py),
            account_type: account_type(terms, &found.purse)?.unbind(),
            cryptogram_key: self
                .parts
                .secret
                .bind(py)
                .call1((found.session_key,))?
                .unbind(),
        }))
    }

    /// Give the transfer and the step that posts it.
    #[allow(clippy::type_complexity)] // A pair of objects, perhaps.
    fn posting<'py>(
        &self,
        py: Python<'py>,
        terms: &Terms,
        case: &Case<'_, 'py>,
        found: &Found<'py>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let Some((data, id)) =
            record_bits(terms, case, found).zip(case.request.at(request::TRANSFER_ID))
        else {
            return Ok(None);
        };
        let (Some(amount), Some(fingerprint)) = (
            case.request.at(request::AMOUNT),
            case.request.at(request::FINGERPRINT),
        ) else {
            return Ok(None);
        };
        let zero = PyInt::new(py, 0).into_any();
        let transfer = self.transfer.make(
            py,
            [
                id.clone(),
                found.account.clone(),
                found.payable.clone(),
                amount,
                found.purse.clone(),
                PyInt::new(py, PURCHASE_CODE).into_any(),
                zero.clone(),
                zero.clone(),
                fingerprint,
                PyInt::new(py, data).into_any(),
                case.terminal_number.clone(),
                zero.clone(),
                zero.clone(),
            ],
        )?;
        let nothing = PyTuple::empty(py).into_any();
        let step = self.step.make(
            py,
            PyTuple::new(
                py,
                [
                    PyTuple::new(py, [&transfer])?.into_any(),
                    PyTuple::new(py, [&id])?.into_any(),
                    nothing,
                    found.account.clone(),
                    id,
                    zero.clone(),
                    zero,
                ],
            )?,
        )?;
        Ok(Some((transfer, step)))
    }
}

/// Give the bits of the record beside money and accounts: `programme.chart.SaleData.pack`.
fn record_bits(terms: &Terms, case: &Case<'_, '_>, found: &Found<'_>) -> Option<u64> {
    let atc = case.request.number(request::ATC)?;
    let stan: u64 = case
        .request
        .text(request::STAN)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    let batch = case.request.number(request::BATCH)? % 16;
    let is_sound = atc < 1 << 16 && stan < 1_000_000;
    is_sound.then_some(atc << 48 | terms.day_bits << 32 | found.card_tag << 24 | batch << 20 | stan)
}

/// Give the account type that balances of an answer name.
fn account_type<'py>(terms: &Terms, purse: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    terms
        .account_types
        .bind(purse.py())
        .as_any()
        .get_item(purse)
}
