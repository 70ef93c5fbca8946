//! A turn of many messages: what is plain is read, let in and answered here, one after the other;
//! everything else goes, in its place in the order, to the functions of `switch.core`.

use crate::decide::PlainSales;
use crate::request::{self, Request};
use crate::sale::PlainSale;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PySet, PyString, PyTuple};
use python_objects::Named;

/// The element by which a sender is known.
const SENDER: usize = 41;
/// Message classes and functions of a link: the twin of `switch.reception`.
const CLASSES: [&[u8]; 6] = [b"01", b"02", b"03", b"04", b"05", b"08"];
const FUNCTIONS: [u8; 2] = [b'0', b'2'];
/// Messages that ask the ledger for a transfer.
const FINANCIAL: &str = "02";

/// Who reads messages and lets them in.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Door {
    /// By link: the native codec's `receive`.
    receive: Py<PyDict>,
    /// By link: its spec's name, which keys are made of.
    specs: Py<PyDict>,
    /// The native reader of facts.
    facts: Py<PyAny>,
    terminal: Py<PyAny>,
    mac_keys: Py<PyDict>,
    valid_sets: Py<PyDict>,
    active_sets: Py<PyDict>,
    accepted: Named,
    departure: Named,
    /// The connections that have proved something; who counts and limits requests.
    proved: Py<PySet>,
    take_token: Py<PyAny>,
    under_way: Py<PyAny>,
    by_connection: Py<PyDict>,
    changes: Py<PyList>,
    counters: Py<PyDict>,
}

/// The functions of the core for what is not plain.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Core {
    let_in: Py<PyAny>,
    look_up: Py<PyAny>,
    receive_one: Py<PyAny>,
    start: Py<PyAny>,
    advance: Py<PyAny>,
    finish: Py<PyAny>,
    wake: Py<PyAny>,
    is_closed: Py<PyAny>,
}

/// A message that was read: natively, or by Python with whether that changed something.
enum Read<'py> {
    Plainly(Bound<'py, PyTuple>),
    Otherwise(Bound<'py, PyAny>, bool),
}

impl Door {
    /// Give the request that a key of its terminal proves; None when the door must look.
    fn read<'py>(&self, arrival: &Bound<'py, PyTuple>) -> Option<Bound<'py, PyTuple>> {
        let py = arrival.py();
        let (raw, link) = (arrival.get_item(2).ok()?, arrival.get_item(3).ok()?);
        raw.cast_exact::<PyBytes>().ok()?;
        let receive = self.receive.bind(py).get_item(&link).ok()??;
        let found = receive.call1((raw, &self.mac_keys, SENDER)).ok()?;
        let found = found.cast_into_exact::<PyTuple>().ok()?;
        let index: usize = found.get_item(1).ok()?.extract().ok()?;
        let spec = self.specs.bind(py).get_item(link).ok()??;
        let facts = self
            .facts
            .bind(py)
            .call1((found.get_item(0).ok()?, spec))
            .ok()?;
        let request = Request::of(&facts)?;
        let mti = request.text(request::MTI)?;
        let mti = mti.to_str().ok()?.as_bytes();
        if !(CLASSES.contains(&mti.get(..2)?) && FUNCTIONS.contains(mti.get(2)?)) {
            return None;
        }
        let terminal_id = request.text(request::TERMINAL_ID)?;
        let terminal = self.terminal.bind(py).call1((&terminal_id,)).ok()?;
        let sets = self.valid_sets.bind(py).get_item(&terminal_id).ok()??;
        let keys = sets.get_item(index).ok()?;
        let number = keys.getattr(intern!(py, "number")).ok()?;
        let named = request.at(request::KEY_SET)?;
        let active = self.active_sets.bind(py).get_item(&terminal_id).ok()??;
        let is_usual = !terminal.is_none()
            && active.eq(&number).ok()?
            && (named.is_none() || named.eq(&number).ok()?);
        if !is_usual {
            return None;
        }
        let fields = PyTuple::new(py, [facts, terminal, keys]).ok()?;
        self.accepted.make(py, fields).ok()?.cast_into().ok()
    }

    /// Count a request that may come in; false, and nothing is counted, when the core must look.
    fn admit(
        &self,
        arrival: &Bound<'_, PyTuple>,
        terminal_id: &Bound<'_, PyAny>,
        now_ns: i128,
    ) -> PyResult<bool> {
        let py = arrival.py();
        let under_way = self.under_way.bind(py);
        let (count, most): (u64, u64) = (
            under_way.getattr(intern!(py, "count"))?.extract()?,
            under_way.getattr(intern!(py, "maximum"))?.extract()?,
        );
        let each: u64 = under_way
            .getattr(intern!(py, "per_connection"))?
            .extract()?;
        let by_connection = self.by_connection.bind(py);
        let connection = arrival.get_item(0)?;
        let own: u64 = match by_connection.get_item(&connection)? {
            None => 0,
            Some(found) => found.extract()?,
        };
        if count >= most || own >= each {
            return Ok(false);
        }
        if !self
            .take_token
            .bind(py)
            .call1((terminal_id, now_ns))?
            .extract::<bool>()?
        {
            return Ok(false);
        }
        under_way.setattr(intern!(py, "count"), count + 1)?;
        by_connection.set_item(connection, own + 1)?;
        Ok(true)
    }

    /// Forget a request that is answered.
    fn release(&self, connection: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = connection.py();
        let under_way = self.under_way.bind(py);
        let count: u64 = under_way.getattr(intern!(py, "count"))?.extract()?;
        under_way.setattr(intern!(py, "count"), count - 1)?;
        let by_connection = self.by_connection.bind(py);
        let own: u64 = by_connection.as_any().get_item(connection)?.extract()?;
        if own > 1 {
            by_connection.set_item(connection, own - 1)
        } else {
            by_connection.del_item(connection)
        }
    }
}

impl PlainSales {
    /// Take the messages of a turn in order.
    pub fn take_turn<'py>(
        &self,
        core: &Core,
        arrivals: &Bound<'py, PyList>,
        now_ns: i128,
        today: &Bound<'py, PyAny>,
        queue: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = arrivals.py();
        let door = &self.door;
        let mut read = Vec::with_capacity(arrivals.len());
        let wanted = PyList::empty(py);
        for arrival in arrivals {
            let arrival = arrival.cast_into::<PyTuple>()?;
            let one = if let Some(accepted) = door.read(&arrival) {
                ask(&accepted.get_item(0)?, &wanted)?;
                Read::Plainly(accepted)
            } else {
                let (received, did_change, request): (_, bool, Option<Bound<'py, PyAny>>) =
                    core.let_in.bind(py).call1((&arrival,))?.extract()?;
                if let Some(request) = request {
                    ask(&request, &wanted)?;
                }
                Read::Otherwise(received, did_change)
            };
            read.push((arrival, one));
        }
        let entries = core.look_up.bind(py).call1((wanted,))?;
        let entries = entries.cast_into::<PyDict>()?;
        for (arrival, one) in read {
            match one {
                Read::Otherwise(received, did_change) => {
                    core.receive_one
                        .bind(py)
                        .call1((arrival, received, did_change))?;
                }
                Read::Plainly(accepted) => {
                    self.take_one(core, &arrival, &accepted, &entries, now_ns, today, queue)?;
                }
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // One message and its turn.
    fn take_one<'py>(
        &self,
        core: &Core,
        arrival: &Bound<'py, PyTuple>,
        accepted: &Bound<'py, PyTuple>,
        entries: &Bound<'py, PyDict>,
        now_ns: i128,
        today: &Bound<'py, PyAny>,
        queue: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = arrival.py();
        let terminal_id = accepted.get_item(0)?.get_item(request::TERMINAL_ID)?;
        self.door.proved.bind(py).add(arrival.get_item(0)?)?;
        let is_closed: bool = core.is_closed.bind(py).call0()?.extract()?;
        if is_closed || !self.door.admit(arrival, &terminal_id, now_ns)? {
            core.receive_one
                .bind(py)
                .call1((arrival, accepted, false))?;
            return Ok(());
        }
        if let Some(sale) = self.decided(arrival, accepted, entries, now_ns, today)? {
            let step = sale.step.clone_ref(py);
            let sale = Bound::new(py, sale)?;
            queue.call_method1(intern!(py, "append"), ((sale, step),))?;
        } else {
            let before = self.door.changes.bind(py).len();
            core.start.bind(py).call1((arrival, accepted, before))?;
        }
        Ok(())
    }

    /// Take the results of a turn's steps in order.
    pub fn finish_turn<'py>(
        &self,
        core: &Core,
        stepping: &Bound<'py, PyList>,
        results: &Bound<'py, PyList>,
        departures: &Bound<'py, PyList>,
        parked: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = stepping.py();
        let mut answered = 0_u64;
        for (one, result) in stepping.iter().zip(results) {
            let Ok(sale) = one.cast_exact::<PlainSale>() else {
                core.advance.bind(py).call1((one, result))?;
                continue;
            };
            let result = result.cast_into::<PyTuple>()?;
            let sale = sale.get();
            let Some(payload) = self.ending.answer(self, sale, &result)? else {
                core.finish.bind(py).call1((one, result))?;
                continue;
            };
            let arrival = sale.arrival.bind(py);
            let connection = arrival.get_item(0)?;
            self.door.release(&connection)?;
            let fields = PyTuple::new(py, [connection, arrival.get_item(1)?, payload])?;
            departures.append(self.door.departure.make(py, fields)?)?;
            answered += 1;
            self.memory.settle(sale.transfer_id.bind(py))?;
            if parked.len()? > 0 {
                core.wake.bind(py).call1((&sale.transfer_id,))?;
            }
        }
        if answered > 0 {
            let counters = self.door.counters.bind(py);
            let name = intern!(py, "0200/00");
            let before: u64 = match counters.get_item(name)? {
                None => 0,
                Some(found) => found.extract()?,
            };
            counters.set_item(name, before + answered)?;
        }
        Ok(())
    }
}

/// Have the ledger asked for the key of a message that asks it for a transfer.
fn ask(request: &Bound<'_, PyAny>, wanted: &Bound<'_, PyList>) -> PyResult<()> {
    let Some(request) = Request::of(request) else {
        return Ok(());
    };
    let is_financial = request
        .at(request::MTI)
        .and_then(|mti| mti.cast_into_exact::<PyString>().ok())
        .is_some_and(|mti| mti.to_str().is_ok_and(|text| text.starts_with(FINANCIAL)));
    match request.at(request::TRANSFER_ID) {
        Some(id) if is_financial => wanted.append(id),
        _ => Ok(()),
    }
}
