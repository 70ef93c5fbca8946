//! From a posted record to the answer: the twin of the end of `switch.flows.sale` and of
//! `switch.answers`, for a sale that was posted whole and left money on the card.

use crate::decide::PlainSales;
use crate::request::{self, Request};
use crate::sale::PlainSale;
use crate::texts::{approval_code, slip_code, Record};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

/// Response code of an approval. Source: ISO 8583:1987, data element 39.
const APPROVED: &str = "00";
const ANSWER_MTI: &str = "0210";
/// Elements that an answer never copies from its request: the twin of `switch.answers`.
const NOT_COPIED: [u8; 4] = [44, 48, 60, 61];
/// DE54: available balance, rupiah.
const AVAILABLE: &str = "02";
const CURRENCY: &str = "360";

/// Where an answer comes from and what it needs.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Ending {
    created: Py<PyAny>,
    /// By link: the native codec's `answer`.
    answer: Py<PyDict>,
    arpc: Py<PyAny>,
    day_index: Py<PyAny>,
    day_ids: Py<PyDict>,
    months_max: usize,
}

impl Ending {
    /// Give the answer's bytes and have memory count the sale; None, and nothing has changed, when
    /// the flow must look at the result. A fault while memory counts is a bug, told as such.
    pub fn answer<'py>(
        &self,
        desk: &PlainSales,
        sale: &PlainSale,
        result: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((payload, request, record)) = self.payload(sale, result) else {
            return Ok(None);
        };
        self.count(desk, sale, &request, &record)?;
        Ok(Some(payload))
    }

    /// Give the answer's bytes, with the request and the record that they answer; changes nothing.
    fn payload<'py>(
        &self,
        sale: &PlainSale,
        result: &Bound<'py, PyTuple>,
    ) -> Option<(Bound<'py, PyAny>, Request<'py>, Record)> {
        let py = result.py();
        let entry = self.posted(result)?;
        let record = record_of(&entry)?;
        let transfer = sale.transfer.bind(py);
        let asked: u128 = transfer
            .getattr(intern!(py, "amount"))
            .ok()?
            .extract()
            .ok()?;
        if record.amount != asked || record.debit_balance_after <= 0 {
            return None;
        }
        let accepted = sale.accepted.bind(py).cast::<PyTuple>().ok()?;
        let request = Request::of(&accepted.get_item(0).ok()?)?;
        let changes = PyDict::new(py);
        let code = PyString::new(py, &approval_code(record.transfer_id));
        changes.set_item(39, intern!(py, APPROVED)).ok()?;
        changes.set_item(38, code).ok()?;
        for number in NOT_COPIED {
            changes.set_item(number, py.None()).ok()?;
        }
        changes
            .set_item(54, balance(py, &record, sale.account_type.bind(py))?)
            .ok()?;
        changes
            .set_item(55, self.issuer_data(py, sale, &request)?)
            .ok()?;
        let months = result.get_item(3).ok()?;
        changes
            .set_item(63, self.programme(py, &record, &months)?)
            .ok()?;
        let payload = self.encode(py, sale, accepted, &request, &changes)?;
        Some((payload, request, record))
    }

    /// Give the record of a transfer that was posted.
    fn posted<'py>(&self, result: &Bound<'py, PyTuple>) -> Option<Bound<'py, PyAny>> {
        let posted = result
            .get_item(0)
            .ok()?
            .get_item(0)
            .ok()?
            .get_item(1)
            .ok()?;
        if !posted.is(&self.created) {
            return None;
        }
        let entry = result.get_item(1).ok()?.get_item(0).ok()?;
        (!entry.is_none()).then_some(entry)
    }

    /// Give tag 91: ARPC and response code. Source: EMV 4.4 Book 2, 8.2.1; Book 3, Annex A.
    fn issuer_data<'py>(
        &self,
        py: Python<'py>,
        sale: &PlainSale,
        request: &Request<'py>,
    ) -> Option<Bound<'py, PyDict>> {
        let key = sale
            .cryptogram_key
            .bind(py)
            .call_method0(intern!(py, "reveal"))
            .ok()?;
        let signed = request.chip()?.tag(intern!(py, "9F26"))?;
        let response = APPROVED.as_bytes();
        let arpc = self
            .arpc
            .bind(py)
            .call1((key, signed, PyBytes::new(py, response)))
            .ok()?;
        let mut data = arpc.cast_exact::<PyBytes>().ok()?.as_bytes().to_vec();
        data.extend_from_slice(response);
        let tags = PyDict::new(py);
        tags.set_item(intern!(py, "91"), PyBytes::new(py, &data))
            .ok()?;
        Some(tags)
    }

    /// Give element 63: what is left by month, and the slip's code.
    fn programme<'py>(
        &self,
        py: Python<'py>,
        record: &Record,
        months: &Bound<'py, PyAny>,
    ) -> Option<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        let lines = PyList::empty(py);
        for month in months.cast::<PyTuple>().ok()?.iter().take(self.months_max) {
            let (period, left): (String, u64) = month.extract().ok()?;
            let line = PyDict::new(py);
            line.set_item(intern!(py, "period"), period.replace('-', ""))
                .ok()?;
            line.set_item(intern!(py, "amount"), format!("{left:012}"))
                .ok()?;
            lines.append(line).ok()?;
        }
        if !lines.is_empty() {
            found.set_item(intern!(py, "months"), lines).ok()?;
        }
        found
            .set_item(intern!(py, "slip_code"), slip_code(record))
            .ok()?;
        Some(found)
    }

    /// Give the bytes of the answer, its MAC in the end.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        sale: &PlainSale,
        accepted: &Bound<'py, PyTuple>,
        request: &Request<'py>,
        changes: &Bound<'py, PyDict>,
    ) -> Option<Bound<'py, PyAny>> {
        let link = sale.arrival.bind(py).get_item(3).ok()?;
        let answer = self.answer.bind(py).get_item(link).ok()??;
        let mac = accepted
            .get_item(2)
            .ok()?
            .getattr(intern!(py, "mac"))
            .ok()?;
        let kept = mac.getattr(intern!(py, "kept")).ok()?;
        let message = request.at(request::MESSAGE)?;
        let mti = intern!(py, ANSWER_MTI);
        let payload = answer
            .call1((message, mti, sale.echoed, changes, kept))
            .ok()?;
        (!payload.is_none()).then_some(payload)
    }

    /// Have memory count the sale: the day's index and the terminal's batch.
    fn count(
        &self,
        desk: &PlainSales,
        sale: &PlainSale,
        request: &Request<'_>,
        record: &Record,
    ) -> PyResult<()> {
        let py = request.py();
        let transfer = sale.transfer.bind(py);
        let number = transfer.getattr(intern!(py, "user_data_32"))?;
        let day = self.day_index.bind(py).getattr(intern!(py, "day"))?;
        if day.eq(&sale.day)? {
            let stan: u64 = request
                .text(request::STAN)
                .map_or(Ok(0), |text| text.to_str()?.parse().map_err(PyErr::from))?;
            let code = transfer.getattr(intern!(py, "code"))?;
            self.day_ids
                .bind(py)
                .set_item((&number, stan), (&sale.transfer_id, code))?;
        }
        let batch = request.number(request::BATCH).unwrap_or(0);
        desk.memory
            .count_sale(&number, batch, record.sequence, record.amount)
    }
}

/// Give element 54: what the card has now.
fn balance<'py>(
    py: Python<'py>,
    record: &Record,
    account_type: &Bound<'py, PyAny>,
) -> Option<Bound<'py, PyList>> {
    let line = PyDict::new(py);
    let amount = format!("{:012}", record.debit_balance_after);
    line.set_item(intern!(py, "account_type"), account_type)
        .ok()?;
    line.set_item(intern!(py, "amount_type"), intern!(py, AVAILABLE))
        .ok()?;
    line.set_item(intern!(py, "currency"), intern!(py, CURRENCY))
        .ok()?;
    line.set_item(intern!(py, "sign"), intern!(py, "C")).ok()?;
    line.set_item(intern!(py, "amount"), amount).ok()?;
    PyList::new(py, [line]).ok()
}

/// Read an entry of the ledger.
fn record_of(entry: &Bound<'_, PyAny>) -> Option<Record> {
    let py = entry.py();
    let transfer = entry.getattr(intern!(py, "transfer")).ok()?;
    Some(Record {
        sequence: entry
            .getattr(intern!(py, "sequence"))
            .ok()?
            .extract()
            .ok()?,
        transfer_id: transfer.getattr(intern!(py, "id")).ok()?.extract().ok()?,
        timestamp: transfer
            .getattr(intern!(py, "timestamp"))
            .ok()?
            .extract()
            .ok()?,
        amount: transfer
            .getattr(intern!(py, "amount"))
            .ok()?
            .extract()
            .ok()?,
        debit_balance_after: entry
            .getattr(intern!(py, "debit_balance_after"))
            .ok()?
            .extract()
            .ok()?,
        credit_balance_after: entry
            .getattr(intern!(py, "credit_balance_after"))
            .ok()?
            .extract()
            .ok()?,
    })
}
